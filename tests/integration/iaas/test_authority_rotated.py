# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority ``internal`` is rotated in steps, and query reads a sidecar through each of them.

The order of calls is that of the playbooks: authority and query (observer), then registration and sidecar
(osism_sidecar). Query and the sidecar run with what the modules deployed and returned.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._iaas import registration
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    authority_secret_name,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, issue
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._observer import authority, thanos
from tests import pki
from tests.integration.api_server import ApiServer
from tests.integration.iaas.conftest import Host
from tests.integration.iaas.test_iaas_registration import answers_to
from tests.integration.thanos.clients import QUICK
from tests.integration.thanos.pods import Node, Pod, wait_for

NAME = "rotated-1"
SECRET = f"iaas-{NAME}-sidecar"
SOON = 30.0
# Its other endpoint is not there, and names do not change.
_QUICK = {**QUICK, "--store.sd-dns-interval=10s": "--endpoint.info-timeout=1s"}


@dataclass
class Rotation:
    """An observer of which query runs, and a host with a sidecar."""

    namespace: str
    kubeconfig: str
    admin: KubernetesClient
    folder: Path
    host: Host
    query: Pod | None = None
    queries: ExitStack = field(default_factory=ExitStack)
    sidecars: ExitStack = field(default_factory=ExitStack)

    def common(self, **params: Any) -> dict[str, Any]:
        return {"namespace": self.namespace, "kubeconfig": self.kubeconfig, "wait": False, **params}

    def authority(self, **params: Any) -> dict[str, Any]:
        return authority.ensure(self.common(name="internal", **params), False)

    def live(self) -> KeyPair:
        secret = self.admin.get("v1", "Secret", authority_secret_name("internal"), self.namespace) or {}
        return KeyPair(secret_text(secret, "tls.crt") or "", secret_text(secret, "tls.key") or "")

    def deploy(self) -> bool:
        """Deploy query; a kubelet replaces its pod where the template changes. Whether it did."""
        done = thanos.ensure(self.common(component="query", endpoints=["127.0.0.1:1"]), False)
        is_another = any("Deployment" in line for line in done["changes"])
        if is_another:
            self.queries.close()
            kinds = (("apps/v1", "Deployment"), ("v1", "ConfigMap"), ("v1", "Secret"))
            found = [
                {"data": {}, **item, "apiVersion": version, "kind": kind}
                for version, kind in kinds
                for item in self.admin.list(version, kind, self.namespace)
            ]
            self.query = self.queries.enter_context(Node(self.folder, dict(_QUICK)).run(found))
        return is_another

    def register(self, *, keep_sidecar: bool = False) -> dict[str, Any]:
        """What the sidecar is given; kept, by who does not bring it to the host."""
        given = {"name": NAME, "region": "rotated", "state": "present", "pull_address": self.host.address}
        more = {"issue": True, "proof": False, "keep_sidecar": keep_sidecar}
        issued: dict[str, Any] = registration.ensure(self.common(**given, **more), False)["sidecar"]
        return issued

    def sidecar(self, issued: dict[str, Any]) -> None:
        """As the role does: a sidecar of its own for another client authority."""
        self.sidecars.close()
        self.sidecars.enter_context(self.host.sidecar(issued))

    def reads(self) -> None:
        """Query has a sample that was made after now."""
        assert self.query is not None
        begin, port = time.time(), self.query.ports["http"]

        def newest() -> bool:
            asked = urlencode({"query": 'max(timestamp(up{layer="iaas",region="rotated"}))'})
            with urlopen(f"http://127.0.0.1:{port}/api/v1/query?{asked}", timeout=10) as response:
                found = json.load(response)["data"]["result"]
            return bool(found) and float(found[0]["value"][1]) >= begin

        wait_for(newest, SOON, "query reads the sidecar")

    def lets_in(self, pair: KeyPair) -> bool:
        """Whether the sidecar talks to a client with a certificate of that authority."""
        made = issue(pair, "any", datetime.now(UTC), server=False, client=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        path = self.folder / "client.pem"
        path.write_text(made.certificate + made.key)
        context.load_cert_chain(path)
        return answers_to(context, self.host.grpc, NAME)


@contextmanager
def rotation(api_server: ApiServer, folder: Path, namespace: str) -> Iterator[Rotation]:
    data = folder / "host"
    data.mkdir()
    host = Host(data, {"layer": "iaas", "region": "rotated", "replica": "control-1"})
    made = Rotation(namespace, str(api_server.kubeconfig()), api_server.client(), folder, host)
    with host.prometheus(), made.queries, made.sidecars:
        try:
            yield made
        finally:
            registration.ensure(made.common(name=NAME, state="absent"), False)


def test_query_reads_a_sidecar_through_every_step(api_server: ApiServer, tmp_path: Path, new_namespace: str) -> None:
    new = pki.authority("Next Internal")
    signs = {"certificate": new.pem, "private_key": new.key_pem}
    with rotation(api_server, tmp_path, new_namespace) as site:
        first = site.register()
        site.deploy()
        site.sidecar(first)
        site.reads()
        old = site.live()
        assert first["client_ca"] == old.certificate
        with pytest.raises(InputError, match="would not be known") as refused:
            site.authority(**signs)
        assert refused.value.details == {"signed": [SECRET, "thanos-query-tls"]}

        # Both are trusted, and the old one signs.
        assert site.authority(also_trusted=new.pem)["changed"]
        assert site.authority(also_trusted=new.pem)["changed"] is False
        assert site.deploy()
        site.reads()
        # The sidecar does not know the new one yet, so it must not sign.
        assert site.register(keep_sidecar=True) == first
        with pytest.raises(InputError, match="does not trust the other one yet") as refused:
            site.authority(**signs, also_trusted=old.certificate)
        assert refused.value.details == {"signed": [SECRET]}
        both = site.register()
        assert both["client_ca"] == old.certificate + new.pem
        assert both["certificate"] == first["certificate"]
        site.sidecar(both)
        site.reads()

        # The new one signs, and both are trusted.
        assert site.authority(**signs, also_trusted=old.certificate)["changed"]
        assert site.deploy()
        site.reads()
        # The sidecar has a certificate of the old one, so it must be trusted.
        assert site.register(keep_sidecar=True) == both
        with pytest.raises(InputError, match="no longer to be trusted") as refused:
            site.authority(**signs)
        assert (refused.value.parameter, refused.value.details) == ("also_trusted", {"signed": [SECRET]})
        signed = site.register()
        assert signed["client_ca"] == new.pem + old.certificate
        assert signed["certificate"] != first["certificate"]
        site.sidecar(signed)
        site.reads()
        assert site.lets_in(old)

        # The old one is gone.
        assert site.authority(**signs)["changed"]
        assert site.deploy()
        site.reads()
        alone = site.register()
        assert (alone["client_ca"], alone["certificate"]) == (new.pem, signed["certificate"])
        site.sidecar(alone)
        site.reads()
        assert not site.lets_in(old)
        assert site.lets_in(site.live())
        assert site.deploy() is False
