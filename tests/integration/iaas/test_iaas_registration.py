# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus of the IaaS layer is registered with an observer that runs, by each path, and read back."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway, thanos
from tests.integration.iaas.conftest import Host, Iaas
from tests.integration.thanos.conftest import NAMESPACE

NAME = "north-1"


def test_first_certificates_then_everything_by_which_it_is_reached(iaas: Iaas) -> None:
    host = iaas.host()
    would = iaas.register(NAME, check=True, pull_address=host.address, remote_write=True, issue=True)
    assert iaas.record(NAME) is None
    done = iaas.register(NAME, pull_address=host.address, remote_write=True, issue=True)
    assert would["changes"] == done["changes"]
    assert iaas.endpoints() == {host.address: f"{NAME}.iaas.{NAMESPACE}.svc"}
    assert done["server_name"] == f"{NAME}.iaas.{NAMESPACE}.svc"
    clients = iaas.site.admin.get("v1", "ConfigMap", remote_write_clients.NAME, NAMESPACE)
    assert clients is not None
    assert clients["data"][NAME] == f"active {done['certificates']['remote_write']['fingerprint']}"
    pod = iaas.site.admin.get("v1", "Pod", "thanos-query-0", NAMESPACE)
    assert pod is not None
    assert "observability.scs.community/refreshed" in pod["metadata"]["annotations"]

    again = iaas.register(NAME, pull_address=host.address, remote_write=True, issue=True)
    assert (again["changed"], again["sidecar"], again["remote_write"]) == (False, done["sidecar"], done["remote_write"])
    # Who deploys the observer meanwhile finds nothing to do because of it.
    common = {"kubeconfig": iaas.kubeconfig, "namespace": NAMESPACE, "wait": False}
    endpoints = [
        "dnssrv+_grpc._tcp.thanos-receive-headless.scs-observability.svc",
        "dnssrv+_grpc._tcp.thanos-store-headless.scs-observability.svc",
    ]
    query = thanos.ensure({**common, "component": "query", "endpoints": endpoints}, False)
    assert query["changes"] == []
    url = "https://thanos-receive.scs-observability.svc:19291/api/v1/receive"
    assert gateway.ensure({**common, "receive_url": url, "replicas": 1}, False)["changes"] == []


@pytest.fixture
def running(iaas: Iaas) -> Iterator[tuple[Host, dict[str, Any]]]:
    """A host with all that was issued for it."""
    host = iaas.host()
    issued = iaas.register(NAME, pull_address=host.address, remote_write=True, issue=True)
    with ExitStack() as stack:
        stack.enter_context(host.prometheus(issued["remote_write"], iaas.remote_write_url))
        stack.enter_context(host.sidecar(issued["sidecar"]))
        yield host, issued


def test_what_it_has_is_read_back_by_pull_and_by_remote_write(iaas: Iaas, running: tuple[Host, Any]) -> None:
    host, issued = running
    wanted = {"pull_address": host.address, "remote_write": True}
    start = time.monotonic()
    done = iaas.register(NAME, **wanted, proof=True)
    print("seconds", time.monotonic() - start, done["proof"])
    assert not done["changed"]
    assert {path: found["state"] for path, found in done["proof"].items()} == {
        "pull": "proven",
        "remote_write": "proven",
    }
    series = iaas.series('up{layer="iaas"}')
    assert {(item["region"], item["job"], item.get("cluster", "")) for item in series} == {
        ("north", job, cluster) for job in ("prometheus", "mysqld") for cluster in ("", NAME)
    }
    # Replicas are one to who asks.
    assert not any("replica" in item for item in series)
    record = iaas.record(NAME)
    assert record is not None
    assert record["status"]["proof"]["pull"] == {"state": "proven"}

    # Who has a certificate of a cluster gets nothing of it.
    for authority, is_let_in in (("tenants", False), ("internal", True)):
        context = iaas.site.running.identities.client(authority, "kaas-spy")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        assert answers_to(context, host.grpc, done["server_name"]) == is_let_in


def answers_to(context: ssl.SSLContext, port: int, name: str) -> bool:
    """Whether a server goes on with a client: by TLS 1.3 it refuses a certificate after the handshake."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as client,
    ):
        try:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            return bool(client.recv(1))
        except (ssl.SSLError, ConnectionError):
            return False
