# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node-exporter of the observer's nodes as the role has it, with the real programs: Prometheus gets in, nobody else."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    create_authority,
    issue,
)
from ansible_collections.scs.observability.plugins.module_utils._observer import apply_set
from tests import rendered
from tests.integration import agents
from tests.integration.processes import free_port, process
from tests.integration.thanos.pods import Manifest, Node, publish, wait_for

LOOPBACK = "127.0.0.1"
NAMESPACE = "scs-observability"
SERVER_NAME = f"node-exporter.{NAMESPACE}.svc"
CLIENT_NAME = f"prometheus.{NAMESPACE}.svc"
SOON = 60.0


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [item for item in manifests if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def mounts(folder: Path, manifests: list[Manifest], template: Manifest) -> dict[str, str]:
    """What stands for mount paths: folders, in which the files are written, and of the host what is mounted."""
    node, spec = Node(folder), template["spec"]
    paths, files = node.mounted(folder, manifests, template)
    node.write(files, paths)
    host = {item["name"]: item["hostPath"]["path"] for item in spec["volumes"] if "hostPath" in item}
    seen = {item["mountPath"]: host.get(item["name"], "") for item in spec["containers"][0]["volumeMounts"]}
    return {mount: seen[mount] or path for mount, path in paths.items()}


@dataclass
class Site:
    """A node-exporter that runs, and what the role makes for Prometheus."""

    port: int
    authority: KeyPair
    manifests: list[Manifest]
    folder: Path

    def client(self, pair: KeyPair | None = None) -> HTTPSConnection:
        context = ssl.create_default_context(cadata=self.authority.certificate)
        context.check_hostname = False
        if pair:
            path = self.folder / "client.pem"
            path.write_text(pair.certificate + pair.key)
            context.load_cert_chain(path)
        return HTTPSConnection(LOOPBACK, self.port, context=context, timeout=20)

    def issue(self, authority: KeyPair, name: str) -> KeyPair:
        return issue(authority, "any", datetime.now(UTC), dns_names=[name], client=True, server=False)


def made(authority: KeyPair) -> list[Manifest]:
    """All objects and Secrets of the two sets."""
    found: list[Manifest] = []
    for call in rendered.calls("exporters.yml", "prometheus.yml"):
        settings = apply_set.settings_of({**call.arguments, "namespace": NAMESPACE})
        observed = apply_set.Observed(authority, (), {})
        found += apply_set.objects(settings, observed, datetime.now(UTC))[0]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("node-exporter")
    authority = create_authority("internal", datetime.now(UTC))
    manifests = made(authority)
    template = one(manifests, "DaemonSet", "node-exporter")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    port = free_port()
    node = Node(folder, {"[$(HOST_IP)]:19100": f"[{LOOPBACK}]:{port}", **mounts(folder, manifests, template)})
    arguments = [node.translated(argument, {}) for argument in container["args"]]
    with process("node_exporter", arguments, folder / "log"):
        result = Site(port, authority, manifests, folder)
        pair = result.issue(authority, CLIENT_NAME)
        wait_for(lambda: answer(result, pair), SOON, "node-exporter answers")
        yield result


def answer(site: Site, pair: KeyPair | None) -> int:
    """The status of an answer, 0 for none."""
    connection = site.client(pair)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def prometheus(site: Site, folder: Path) -> Iterator[int]:
    """Prometheus with the files that it has in its pod, and the job that it has for nodes; its port is yielded."""
    spec = one(site.manifests, "Prometheus", "observer")["spec"]
    template = {"spec": {"volumes": spec["volumes"], "containers": [{"volumeMounts": spec["volumeMounts"]}]}}
    paths = mounts(folder, site.manifests, template)
    jobs = secret_text(one(site.manifests, "Secret", "prometheus-scrape-jobs"), "jobs.yml") or ""
    (job,) = [job for job in yaml.safe_load(Node(folder).translated(jobs, paths)) if job["job_name"] == "node-exporter"]
    del job["kubernetes_sd_configs"], job["relabel_configs"]
    job["static_configs"] = [{"targets": [f"{LOOPBACK}:{site.port}"]}]
    with agents.running_agent(folder, [job], []) as running:
        yield running.port


def scraped(port: int) -> dict[str, Any] | None:
    """What Prometheus tells of its target once it has asked it."""
    with urlopen(f"http://{LOOPBACK}:{port}/api/v1/targets", timeout=10) as response:
        targets: list[dict[str, Any]] = json.load(response)["data"]["activeTargets"]
    return next((target for target in targets if target["health"] != "unknown"), None)


def test_prometheus_gets_in_with_what_the_role_gives_it(site: Site, tmp_path: Path) -> None:
    with prometheus(site, tmp_path) as port:
        found = wait_for(lambda: scraped(port), SOON, "it was scraped")
    assert found is not None
    assert (found["health"], found["lastError"]) == ("up", "")
    assert found["scrapeUrl"] == f"https://{LOOPBACK}:{site.port}/metrics"


def test_others_stay_out(site: Site) -> None:
    now = datetime.now(UTC)
    assert answer(site, site.issue(site.authority, CLIENT_NAME)) == 200
    assert answer(site, None) == 0
    # Of the authority, but somebody else
    assert answer(site, site.issue(site.authority, f"thanos-query.{NAMESPACE}.svc")) == 0
    assert answer(site, site.issue(create_authority("internal", now), CLIENT_NAME)) == 0
    # A server's certificate, even its own
    own = one(site.manifests, "Secret", "node-exporter-tls")
    assert answer(site, KeyPair(secret_text(own, "tls.crt") or "", secret_text(own, "tls.key") or "")) == 0
    plain = HTTPConnection(LOOPBACK, site.port, timeout=20)
    plain.request("GET", "/metrics")
    response = plain.getresponse()
    assert (response.status, b"node_" in response.read()) == (400, False)


def test_a_renewed_certificate_needs_no_restart(site: Site) -> None:
    renewed = one(made(site.authority), "Secret", "node-exporter-tls")
    publish(site.folder / "tls", {name: secret_text(renewed, name) or "" for name in ("tls.crt", "tls.key", "ca.crt")})
    connection = site.client(site.issue(site.authority, CLIENT_NAME))
    connection.connect()
    shown = connection.sock.getpeercert(binary_form=True)
    connection.close()
    assert ssl.DER_cert_to_PEM_cert(shown or b"") == secret_text(renewed, "tls.crt")
