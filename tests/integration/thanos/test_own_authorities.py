# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's own authorities and certificates with the programs that verify them: HAProxy and receive."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    authority_secret,
    authority_secret_name,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    fingerprint,
    issue,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import (
    Source,
    authority_of,
    server_of,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_component
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway, thanos
from tests import pki
from tests.integration.api_server import ApiServer
from tests.integration.thanos.clients import QUICK, Clients
from tests.integration.thanos.conftest import GATEWAY_NAME, NAMESPACE, VISIBLE, Secrets, connection, write
from tests.integration.thanos.pods import Node, Pod, wait_for
from tests.integration.thanos.test_gateway import serves_grpc
from tests.pki import Made

HOSTNAME = "metrics.example.org"


@dataclass
class Site:
    """Receive behind a gateway, and who signed what."""

    folder: Path
    clients: Clients
    receive: Pod
    query: Pod
    door: Pod
    public_door: Pod
    root: Made
    tenants: Made
    internal: Made
    public: Made

    def client(self, signer: Made, *chain: Made, trusts: str | None = None) -> ssl.SSLContext:
        """What an agent has: a certificate of the signer, followed by others, and whom it trusts, as Go does it."""
        made = issue(KeyPair(signer.pem, signer.key_pem), "kaas-1", datetime.now(UTC), server=False, client=True)
        # Whoever signed it: that is what the tests are about.
        self.clients.write("kaas-1", f"active {fingerprint(made.certificate)}")
        file = self.folder / "client.pem"
        file.write_text(made.certificate + "".join(item.pem for item in chain) + made.key)
        context = ssl.create_default_context(cadata=trusts or self.internal.pem)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.load_cert_chain(file)
        return context

    def write(self, context: ssl.SSLContext) -> int:
        return self.write_to(self.door, context, GATEWAY_NAME, "own_authority")

    def write_to(self, door: Pod, context: ssl.SSLContext, server_name: str, name: str) -> int:
        """Write as an agent does: again as long as it is not known yet."""
        pool = connection(door.ports["https"], context, server_name)
        return wait_for(
            lambda: status if (status := write(pool, name).status) != 503 else 0, 30, "the certificate is known"
        )


@pytest.fixture(scope="module", params=["roots", "intermediates", "RSA intermediates"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, api_server: ApiServer
) -> Iterator[Site]:
    folder, now = tmp_path_factory.mktemp("own"), datetime.now(UTC)
    root = pki.authority("Example Root")

    def own(name: str) -> Made:
        key = rsa.generate_private_key(65537, 2048) if "RSA" in request.param else None
        return pki.authority(name, root if "intermediates" in request.param else None, key=key)

    made = {"tenants": own("Example Tenants"), "internal": own("Example Internal")}
    secrets = Secrets()
    for name, authority in made.items():
        source = Source(authority.pem + root.pem, authority.key_pem)
        pair = authority_of(source, now, signs_servers=name == "internal")
        secrets.stored[authority_secret_name(name)] = authority_secret(name, NAMESPACE, pair)
    clients = Clients(api_server, NAMESPACE)
    node = Node(folder, dict(QUICK), clients)

    def component(name: str, **params: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
        kind = thanos.component_of({"component": name})
        settings, _none = thanos.settings_of(kind, params)
        observed = thanos.observe(secrets, kind, settings, now)  # type: ignore[arg-type]
        secrets.stored.update({secret["metadata"]["name"]: secret for secret in observed.missing})
        return thanos.objects(kind, settings, None, observed, now), thanos_component.endpoints(kind, settings)

    received, endpoints = component("receive")
    queried, _endpoints = component("query", endpoints=[endpoints["grpc"]], extra_args=["--store.sd-dns-interval=1s"])
    public = pki.authority("Public Authority")
    below = pki.authority("Public Intermediate", public)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    server = pki.make("metrics", below, extensions=[usage], names=[HOSTNAME])
    certificate = server_of(Source(server.pem + below.pem, server.key_pem), now, [HOSTNAME])

    def door(name: str, certificate: KeyPair | None) -> list[dict[str, Any]]:
        settings = gateway.settings_of({"name": name, "receive_url": endpoints["remote_write"]})
        observed = gateway.observe(secrets, settings, now)  # type: ignore[arg-type]
        assert observed.missing == ()
        return gateway.objects(settings, [HOSTNAME], observed, now, certificate)

    with ExitStack() as stack:
        receive = stack.enter_context(node.run(received))
        query = stack.enter_context(node.run(queried))
        ours = stack.enter_context(node.run(door("remote-write-gateway", None)))
        theirs = stack.enter_context(node.run(door("public-gateway", certificate)))
        yield Site(folder, clients, receive, query, ours, theirs, root, made["tenants"], made["internal"], public)


def test_agents_of_tenants_are_let_in_with_and_without_a_chain(site: Site) -> None:
    assert site.write(site.client(site.tenants)) == 200
    assert site.write(site.client(site.tenants, site.tenants)) == 200
    assert site.write(site.client(site.tenants, site.tenants, site.root)) == 200


def test_nobody_else_is_let_in(site: Site) -> None:
    sibling = pki.authority("Example Sibling", site.root)
    others = {
        "a sibling's": site.client(sibling, sibling, site.root),
        "the root's": site.client(site.root, site.root),
        "internal's": site.client(site.internal, site.internal, site.root),
        "one of the same name": site.client(pki.authority("Example Tenants", site.root), site.root),
    }
    for who, context in others.items():
        with pytest.raises(urllib3.exceptions.HTTPError, match=r"alert|reset|EOF"):
            pytest.fail(f"{who} was let in: {site.write(context)}")
    assert site.write(site.client(site.tenants)) == 200


def test_query_reads_from_receive_what_was_written(site: Site) -> None:
    assert site.write(site.client(site.tenants)) == 200
    url = f"http://127.0.0.1:{site.query.ports['http']}/api/v1/query?query=own_authority"

    def result() -> list[dict[str, Any]]:
        with urlopen(url) as response:
            found: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return found

    (series,) = wait_for(result, VISIBLE, "the series in query")
    assert series["metric"]["cluster"] == "kaas-1"


def test_components_know_those_of_internal_alone(site: Site) -> None:
    port = site.receive.ports["grpc"]
    assert serves_grpc(port, site.client(site.internal))
    for signer in (site.tenants, site.root, pki.authority("Example Sibling", site.root)):
        assert not serves_grpc(port, site.client(signer, signer, site.root))


def test_agents_know_a_public_name_by_its_own_authority(site: Site) -> None:
    port = site.public_door.ports["https"]
    trusting = site.client(site.tenants, trusts=site.public.pem)
    assert site.write_to(site.public_door, trusting, HOSTNAME, "public_name") == 200
    with pytest.raises(urllib3.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        write(connection(port, site.client(site.tenants), HOSTNAME), "public_name")
