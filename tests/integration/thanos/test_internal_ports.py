# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent's certificate at the ports inside of the observer: it opens none of those that ask for one, which is all of
gRPC and of remote write. The others are plain HTTP, and that is all that is said of them here: who gets to them is for
the NetworkPolicies to say, which are evaluated in tests/unit/module_utils/_manifests/test_network_policies.py.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import issue
from ansible_collections.scs.observability.plugins.module_utils._observer import thanos
from tests import rendered
from tests.integration import agents
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.s3_server import S3Server
from tests.integration.thanos.conftest import SHARED_NAME, Identities, component_of, connection, new_bucket
from tests.integration.thanos.pods import Node
from tests.integration.thanos.test_gateway import GRPC_BEGINNING, serves_grpc

# What each needs beside an object store to run at all
NEEDED: dict[str, dict[str, Any]] = {
    "query": {"endpoints": ["127.0.0.1:1"]},
    "rule": {"endpoints": ["http://127.0.0.1:1"], "external_labels": {"observer": "site"}},
}
WITHOUT_BUCKET = ("query", "query_frontend")
# What of each component asks for no certificate: metrics, and what is asked by people and through the API server
PLAIN = ("http",)
# As if it were a component, too
NAMES = ("kaas-1", "thanos-query", "remote-write-gateway")
HTTP_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
TLS_ALERT = b"\x15\x03"
TLS_IS_SPOKEN = b"Client sent an HTTP request to an HTTPS server"


def speaks_tls(port: int, context: ssl.SSLContext) -> bool:
    """Whether a request by TLS gets an answer there."""
    try:
        return bool(connection(port, context, SHARED_NAME).request("GET", "/").status)
    except urllib3.exceptions.HTTPError:
        return False


def speaks_plain(port: int) -> bool:
    """Whether there is an answer without TLS, to HTTP or to gRPC, other than that TLS is spoken there."""
    return any(
        answer and not answer.startswith(TLS_ALERT) and TLS_IS_SPOKEN not in answer
        for answer in (answer_to(port, HTTP_REQUEST), answer_to(port, GRPC_BEGINNING))
    )


def answer_to(port: int, request: bytes) -> bytes:
    """The first bytes that come back, none if the connection ends or nothing comes."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(request)
            return plain.recv(4096)
    except (ConnectionError, TimeoutError):
        return b""


def refused(identities: Identities, port: int) -> bool:
    """By any protocol, under any name, and without TLS."""
    return not speaks_plain(port) and not any(
        asked(port, identities.client("tenants", name)) for name in NAMES for asked in (serves_grpc, speaks_tls)
    )


@pytest.fixture(scope="module")
def objstore(s3: S3Server) -> dict[str, Any]:
    return new_bucket(s3, "internal-ports")


@pytest.mark.parametrize("component", thanos.COMPONENTS)
def test_an_agents_certificate_opens_no_port_that_asks_for_one(
    component: str, identities: Identities, objstore: dict[str, Any], tmp_path: Path
) -> None:
    given = {**({} if component in WITHOUT_BUCKET else objstore), **NEEDED.get(component, {})}
    with ExitStack() as stack:
        if component == "query_frontend":
            # Not ready before what it asks is.
            given["endpoints"] = [f"http://127.0.0.1:{stack.enter_context(agents.target(str))}"]
        manifests, _endpoints = component_of(identities, component=component, **given)
        pod = stack.enter_context(Node(tmp_path).run(manifests))
        assert set(pod.ports) == set(thanos.COMPONENTS[component].all_ports)
        assert {name for name, port in pod.ports.items() if not refused(identities, port)} == set(PLAIN)
        # It is the certificate: a component's own gets in where one is asked for.
        if "grpc" in pod.ports:
            assert serves_grpc(pod.ports["grpc"], identities.client("internal", "thanos-query"))


def sidecar_of_the_role() -> dict[str, Any]:
    (prometheus,) = (
        item
        for call in rendered.calls("prometheus.yml")
        for item in call.arguments["objects"]
        if item["kind"] == "Prometheus"
    )
    return dict(prometheus["spec"]["thanos"])


def test_nor_that_of_the_sidecar(identities: Identities, tmp_path: Path) -> None:
    sidecar = sidecar_of_the_role()
    pair = issue(
        identities.authorities["internal"],
        "prometheus",
        identities.now,
        dns_names=[SHARED_NAME],
        server=True,
        client=True,
    )
    content = {
        "tls.crt": pair.certificate,
        "tls.key": pair.key,
        "ca.crt": identities.authorities["internal"].certificate,
    }
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    # As the Prometheus Operator makes arguments of it
    flags = {"certFile": "cert", "keyFile": "key", "caFile": "client-ca"}
    files = {flags[field]: Path(path).name for field, path in sidecar["grpcServerTlsConfig"].items()}
    more = {item["name"]: item.get("value") for item in sidecar["additionalArgs"]}
    grpc, http, prometheus = free_port(), free_port(), free_port()
    (tmp_path / "prometheus.yml").write_text("global: {external_labels: {observer: site}}\n")
    with ExitStack() as stack:
        log = tmp_path / "prometheus.log"
        arguments = [
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{prometheus}",
        ]
        running = stack.enter_context(process("prometheus", arguments, log))
        wait_until(lambda: answers(f"http://127.0.0.1:{prometheus}/-/ready"), running, log)
        log = tmp_path / "sidecar.log"
        arguments = [
            "sidecar",
            f"--prometheus.url=http://127.0.0.1:{prometheus}",
            f"--grpc-address=127.0.0.1:{grpc}",
            f"--http-address=127.0.0.1:{http}",
            *(f"--grpc-server-tls-{flag}={tmp_path / name}" for flag, name in files.items()),
            *(f"--{name}={value}" if value else f"--{name}" for name, value in more.items()),
        ]
        running = stack.enter_context(process("thanos", arguments, log))
        wait_until(lambda: answers(f"http://127.0.0.1:{http}/-/ready"), running, log)
        assert refused(identities, grpc)
        assert speaks_plain(http)
        assert serves_grpc(grpc, identities.client("internal", "thanos-query"))
