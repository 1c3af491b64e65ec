# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus of the IaaS layer is registered with an observer that runs, by each path, and read back."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any
from urllib.request import urlopen

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, InputError, ProofError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    iaas_prometheus,
    kaas_cluster,
    remote_write_clients,
)
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway, thanos
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import refuse_iaas_name
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from tests.integration.iaas.conftest import Host, Iaas
from tests.integration.processes import binary
from tests.integration.thanos.conftest import NAMESPACE
from tests.integration.thanos.pods import wait_for

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
    host, _issued = running
    wanted = {"pull_address": host.address, "remote_write": True}
    done = iaas.register(NAME, **wanted, proof=True)
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
    # What verify.yml prints of it
    (told,) = iaas.site.look(components=False)["iaas"]
    assert (told["name"], told["region"], told["state"], told["healthy"]) == (NAME, "north", "ok", True)
    assert told["last_sample_age_seconds"] < 60
    ends = [item["expires"] for item in done["certificates"].values()]
    assert told["certificate_expires"] == min(ends)


def test_a_store_that_has_just_been_started_is_waited_for(iaas: Iaas) -> None:
    """Whether the name is free is not known before query sees it."""
    reached, store = iaas.stores(), iaas.site.running.store
    store.stop()
    with ThreadPoolExecutor() as pool:
        try:
            wait_for(lambda: iaas.stores() < reached, 60, "query does not see it")
            registering = pool.submit(iaas.register, "north-6", remote_write=True)
            with pytest.raises(TimeoutError):
                registering.exception(timeout=5)
        finally:
            store.start()
        assert registering.result()["changed"]
    iaas.register("north-6", state="absent")


def test_who_has_the_certificate_of_a_cluster_gets_nothing_from_a_sidecar(
    iaas: Iaas, running: tuple[Host, dict[str, Any]]
) -> None:
    host, issued = running
    for authority, is_let_in in (("tenants", False), ("another", False), ("internal", True)):
        context = iaas.site.running.identities.client(authority, "kaas-spy")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        assert answers_to(context, host.grpc, issued["server_name"]) == is_let_in


def test_two_prometheuses_of_a_region_are_one_to_who_asks(iaas: Iaas, running: tuple[Host, dict[str, Any]]) -> None:
    host, _issued = running
    twin = iaas.host("control-9", target=host.own)
    issued = iaas.register("north-9", pull_address=twin.address, issue=True)
    with twin.prometheus(), twin.sidecar(issued["sidecar"]):
        for name, address in ((NAME, host.address), ("north-9", twin.address)):
            iaas.register(name, pull_address=address, proof=True)
        selector = f'up{{layer="iaas",cluster="",instance="127.0.0.1:{host.own}"}}'
        assert sorted(item["job"] for item in iaas.series(selector)) == ["mysqld", "prometheus"]
    # One of them is enough.
    assert sorted(item["job"] for item in iaas.series(selector)) == ["mysqld", "prometheus"]


FULL = "full-1"


@pytest.fixture(scope="module")
def full(iaas: Iaas) -> Iterator[Host]:
    """A host on whose disk there was no room any more when its sidecar began to upload; there is since that failed."""
    host = iaas.host("control-8", region="full")
    host.data.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", host.data], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    with ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", host.data], check=True)
        issued = iaas.register(FULL, region="full", pull_address=host.address, upload=True, issue=True)
        stack.enter_context(host.prometheus())
        add_block(host)
        ballast = stack.enter_context((host.data / "ballast").open("wb", buffering=0))

        def fill() -> None:
            with suppress(OSError):
                while ballast.write(bytes(4096)):
                    pass

        def is_felt() -> bool:
            """By Prometheus, by the sidecar, and by nobody who asks that."""
            fill()
            return (
                metric(host.own, "prometheus_tsdb_wal_writes_failed_total") > 0
                and metric(host.http, "thanos_shipper_dir_sync_failures_total") > 0
                and host.address in iaas.stores()
            )

        fill()
        stack.enter_context(host.sidecar(issued["sidecar"], objstore(iaas)))
        wait_for(is_felt, 60, "neither of the two can write, and query reaches the sidecar")
        assert metric(host.http, "thanos_shipper_uploads_total") == 0
        ballast.truncate(0)
        yield host


def metric(port: int, name: str) -> float:
    """What a program says of itself."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_disk_that_was_full_is_written_to_again(iaas: Iaas, full: Host) -> None:
    freed = time.time()
    selector = 'timestamp(up{layer="iaas",region="full"}) > '
    wait_for(lambda: iaas.series(f"{selector}{freed}"), 30, "samples by pull")


def test_registered_side_by_side_none_is_lost(iaas: Iaas) -> None:
    addresses = {f"side-{number}": f"192.0.2.{number}:10901" for number in range(1, 7)}

    def register(name: str, **changes: Any) -> None:
        iaas.register(name, **{"pull_address": addresses[name], **changes})

    with ThreadPoolExecutor(len(addresses)) as executor:
        list(executor.map(register, addresses))
        assert set(addresses.values()) <= set(iaas.endpoints())
        list(executor.map(lambda name: register(name, state="absent"), addresses))
    assert not set(addresses.values()) & set(iaas.endpoints())


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


def test_blocks_are_read_back_when_there_are_some(iaas: Iaas) -> None:
    host, name = iaas.host("control-2"), "north-2"
    done = iaas.register(name, upload=True, issue=True, proof=True)
    assert done["proof"]["upload"]["state"] == "pending"
    # It listens, too.
    assert done["sidecar"]["certificate"]
    assert "no block" in done["proof"]["upload"]["message"]
    issued = iaas.register(name, pull_address=host.address, upload=True, issue=True)
    # A sidecar looks for blocks when it starts, and every half minute.
    add_block(host)
    with host.prometheus(), host.sidecar(issued["sidecar"], objstore(iaas)):

        def found() -> dict[str, Any]:
            return iaas.register(name, pull_address=host.address, upload=True, proof=True)["proof"]

        assert found()["pull"]["state"] == "proven"
        wait_for(lambda: found()["upload"]["state"] == "proven", 60, "the block is served")
    # Without the host, blocks are what is left, and they prove nothing of another path.
    done = iaas.register(name, upload=True, proof=True)
    assert done["proof"]["upload"]["state"] == "proven"
    assert host.address not in iaas.endpoints()


def objstore(iaas: Iaas) -> dict[str, Any]:
    s3, ca = iaas.site.running.s3, iaas.folder / "s3.crt"
    ca.write_text(s3.ca.read_text())
    return {
        "type": "S3",
        "config": {
            "bucket": iaas.site.running.bucket,
            "endpoint": s3.url.removeprefix("https://"),
            "access_key": s3.owner.access_key,
            "secret_key": s3.owner.secret_key,
            "http_config": {"tls_config": {"ca_file": str(ca)}},
        },
    }


def add_block(host: Host) -> None:
    """A block as Prometheus would have written it by now, had it run for some hours. promtool needs a larger disk."""
    end = int(time.time()) // 7200 * 7200 - 60
    lines = [f'up{{job="node",instance="192.0.2.10:9100"}} 1 {end - 60 * number}' for number in range(60, 0, -1)]
    samples = host.folder / "samples"
    samples.write_text("\n".join(["# TYPE up gauge", *lines, "# EOF", ""]))
    made = host.folder / "made"
    command = [binary("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(samples), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    for block in made.iterdir():
        shutil.copytree(block, host.data / block.name)


def test_the_link_that_is_broken_is_named(
    iaas: Iaas, running: tuple[Host, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, issued = running
    # There is no kubelet that could be asked for it.
    monkeypatch.setattr(KubernetesClient, "logs", lambda *_pod: iaas.site.running.query.log)
    other, strange, nobody = iaas.host("control-3"), iaas.host("control-4", region="south"), iaas.host()
    # Of another registration, so for another name
    wrong = iaas.register("north-3", pull_address=other.address, issue=True)["sidecar"]
    labelled = iaas.register("north-4", pull_address=strange.address, issue=True)["sidecar"]
    iaas.register("north-5", pull_address=nobody.address)

    def link(name: str, at: Host, seconds: int = 20) -> str:
        with pytest.raises(ProofError) as caught:
            iaas.register(name, pull_address=at.address, proof=True, proof_timeout=seconds)
        assert wrong["key"] not in str(caught.value)
        return caught.value.link

    with other.prometheus(), other.sidecar(issued["sidecar"]), strange.prometheus(), strange.sidecar(labelled):
        wait_for(lambda: link("north-4", strange, 1) == "labels", 60, "query sees its labels")
        wait_for(lambda: link("north-3", other, 1) == "tls", 60, "query does not believe it")
        wait_for(lambda: link("north-5", nobody, 1) == "tcp", 60, "query does not reach it")

    # What it writes is refused once it is registered no more for that.
    iaas.register(NAME, pull_address=host.address)
    with pytest.raises(ProofError) as caught:
        iaas.register(NAME, pull_address=host.address, remote_write=True, proof=True, proof_timeout=3)
    assert caught.value.link == "remote_write"


def test_what_is_removed_is_exactly_what_was_made(iaas: Iaas) -> None:
    name, address = "south-1", "192.0.2.20:10901"

    def secrets() -> set[str]:
        return {item["metadata"]["name"] for item in iaas.site.admin.list("v1", "Secret", NAMESPACE)}

    def clients() -> dict[str, str]:
        live = iaas.site.admin.get("v1", "ConfigMap", remote_write_clients.NAME, NAMESPACE)
        return dict(live["data"]) if live else {}

    before = secrets(), clients(), iaas.endpoints()
    iaas.register(name, region="south", pull_address=address, remote_write=True)
    assert secrets() - before[0] == {f"iaas-{name}-sidecar", f"iaas-{name}-remote-write"}
    # A path that is no longer wanted takes what belongs to it along.
    less = iaas.register(name, region="south", pull_address=address)
    assert f"delete v1 Secret {NAMESPACE}/iaas-{name}-remote-write" in less["changes"]
    assert (secrets() - before[0], clients()) == ({f"iaas-{name}-sidecar"}, before[1])

    would = iaas.register(name, check=True, state="absent")
    gone = iaas.register(name, state="absent")
    assert would["changes"] == gone["changes"]
    assert (secrets(), clients(), iaas.endpoints()) == before
    assert iaas.record(name) is None
    assert iaas.register(name, state="absent")["changed"] is False


def test_a_name_is_of_one_kind_of_tenant(iaas: Iaas) -> None:
    admin = iaas.site.admin
    cluster = Registration("taken", "00000000-0000-0000-0000-000000000000", "active", observer=NAMESPACE)
    admin.apply(cluster.manifest())
    try:
        with pytest.raises(InputError, match="KaaS cluster") as caught:
            iaas.register("taken", upload=True)
        assert caught.value.parameter == "name"
        # The entry of the cluster is not what is removed.
        remote_write_clients_of(iaas, "taken", f"active {'a' * 64}")
        assert iaas.register("taken", state="absent")["changed"] is False
    finally:
        admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, "taken")
        remote_write_clients_of(iaas, "taken", None)
    iaas.register("free", upload=True)
    with pytest.raises(InputError, match="IaaS Prometheus"):
        refuse_iaas_name(admin, "free")


def remote_write_clients_of(iaas: Iaas, name: str, entry: str | None) -> None:
    metadata = {"name": remote_write_clients.NAME, "namespace": NAMESPACE}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {name: entry}}
    iaas.site.admin.merge(manifest)


def test_another_certificate_is_let_in_beside_the_one_before(iaas: Iaas) -> None:
    wanted = {"region": "west", "remote_write": True, "issue": True}
    first = iaas.register("west-1", **wanted)
    second = iaas.register("west-1", **wanted, renew=True)
    prints = [done["certificates"]["remote_write"]["fingerprint"] for done in (second, first)]
    assert prints[0] != prints[1]
    live = iaas.site.admin.get("v1", "ConfigMap", remote_write_clients.NAME, NAMESPACE)
    assert live is not None
    assert live["data"]["west-1"] == " ".join(["active", *prints])
    assert iaas.register("west-1", **wanted)["changed"] is False


def test_a_definition_refuses_what_has_no_path(iaas: Iaas) -> None:
    record = {**iaas.site.admin.list(iaas_prometheus.API_VERSION, iaas_prometheus.KIND)[0]}
    bad = {"apiVersion": record["apiVersion"], "kind": record["kind"], "metadata": {"name": "bad"}}
    with pytest.raises(ApiError, match="there must be a path"):
        iaas.site.admin.create({**bad, "spec": {"region": "north"}})
    with pytest.raises(ApiError, match="DNS label"):
        iaas.site.admin.create({**bad, "metadata": {"name": "a.b"}, "spec": {"region": "north", "upload": True}})


def test_what_a_full_disk_held_up_is_uploaded(iaas: Iaas, full: Host) -> None:
    """The last one: a sidecar tries every half minute, which other tests have used."""

    def state() -> str:
        done = iaas.register(FULL, region="full", pull_address=full.address, upload=True, proof=True)
        return str(done["proof"]["upload"]["state"])

    wait_for(lambda: state() == "proven", 90, "the block is served")
    assert metric(full.http, "thanos_shipper_uploads_total") == 1
