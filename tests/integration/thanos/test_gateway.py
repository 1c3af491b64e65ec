# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door: who may write, as whom, what and how much. Each refusal is told from an outage by a write that passes."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
import urllib3

from ansible_collections.scs.observability.plugins.module_utils._observer import gateway
from tests.integration import remote_write
from tests.integration.remote_write import Sample
from tests.integration.thanos.conftest import (
    BODY_SECONDS,
    GATEWAY_NAME,
    RECEIVE_NAME,
    SHARED_NAME,
    Identities,
    Observer,
    connection,
    limited,
    write,
)
from tests.integration.thanos.pods import wait_for

PATH = "/api/v1/receive"
SLOW_BODY_SECONDS = 20


def ask(
    observer: Observer, head: str, body: bytes = b"", *, cluster: str = "kaas-1", to_be_continued: bool = False
) -> tuple[int, bytes]:
    """Send the beginning of a request in one piece; return status and body of the answer, (0, b"") for none.

    Unlike a whole HTTP client it reads an answer that comes before the request is complete.
    """
    context = observer.identities.client("tenants", cluster)
    end = "\r\n" if to_be_continued else "\r\nHost: gateway\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", observer.gateway.ports["https"]), timeout=BODY_SECONDS * 10) as plain,
        context.wrap_socket(plain, server_hostname=GATEWAY_NAME) as client,
    ):
        client.sendall((head + end).encode() + body)
        answer = client.recv(65536)
    status_line, _ignored, rest = answer.partition(b"\r\n")
    return (int(status_line.split()[1]), rest.partition(b"\r\n\r\n")[2]) if answer else (0, b"")


def test_a_sample_is_stored_under_the_common_name_and_the_other_labels_stay(observer: Observer) -> None:
    assert write(observer.agent("kaas-1"), "honest", job="node").status == 200
    # The label of the replica is there to be deduplicated by.
    assert observer.wait_for_series("honest") == [{"__name__": "honest", "cluster": "kaas-1", "job": "node"}]


@pytest.mark.parametrize(
    "header",
    ["THANOS-TENANT", "thanos-tenant", "THANOS-REPLICA", "X-Scope-OrgID", "THANOS-TENANT-ID"],
)
def test_no_header_makes_an_agent_another_cluster(observer: Observer, header: str) -> None:
    name = f"by_header_{header.replace('-', '_')}"
    assert write(observer.agent("kaas-1"), name, {header: "kaas-2"}).status == 200
    assert {series["cluster"] for series in observer.wait_for_series(name)} == {"kaas-1"}


def test_no_label_makes_an_agent_another_cluster(observer: Observer) -> None:
    response = write(
        observer.agent("kaas-1"), "by_label", cluster="kaas-2", tenant_id="kaas-2", receive_replica="elsewhere", job="x"
    )
    assert response.status == 200
    (series,) = observer.wait_for_series("by_label")
    assert series["cluster"] == "kaas-1"
    assert "kaas-2" not in series.values()
    assert "elsewhere" not in series.values()
    assert observer.series('by_label{cluster="kaas-2"}') == []


def test_no_label_and_no_name_makes_an_agent_the_observer(observer: Observer) -> None:
    """Rules trust what has the label observer, and recorded series of certain names."""
    told = {"observer": "one", "prometheus_replica": "a", "ruler_replica": "b", "layer": "iaas", "region": "r"}
    names = ("kaas_cluster_phase", "kaas_capi_cluster_info", "kaas:cluster:registered", "iaas:host:up", "up", "kaas")
    now = int(time.time() * 1000)
    job = "kaas-metric-importer"
    message = remote_write.body([Sample({"__name__": name, "job": job, **told}, 1.0, now) for name in names])
    pool = observer.agent("kaas-forges")
    assert pool.request("POST", PATH, body=message, headers=remote_write.HEADERS).status == 200
    # Nothing is left of it
    message = remote_write.body([Sample({"__name__": "kaas_cluster_info", "cluster": "kaas-2"}, 1.0, now)])
    assert pool.request("POST", PATH, body=message, headers=remote_write.HEADERS).status == 200
    observer.wait_for_series('kaas{cluster="kaas-forges"}')
    # The IaaS layer writes through the same door.
    left = {"cluster": "kaas-forges", "job": job, "layer": "iaas", "region": "r"}
    found = observer.series('{cluster="kaas-forges", __name__!=""}') + observer.series('{observer!=""}')
    found += observer.series('{__name__=~"kaas_.*|.*:.*"}')
    assert sorted(found, key=str) == sorted(({"__name__": name, **left} for name in ("kaas", "up")), key=str)


def test_each_request_of_a_connection_is_its_own_cluster(observer: Observer) -> None:
    one, two = observer.agent("kaas-1"), observer.agent("kaas-2")
    for pool, label in ((one, "a"), (two, "b"), (one, "c"), (two, "d")):
        assert write(pool, "alternating", series=label).status == 200
    assert one.num_connections == two.num_connections == 1
    wait_for(lambda: len(observer.series("alternating")) == 4, 15, "all four series")
    found = {(series["series"], series["cluster"]) for series in observer.series("alternating")}
    assert found == {("a", "kaas-1"), ("b", "kaas-2"), ("c", "kaas-1"), ("d", "kaas-2")}


STRANGERS: dict[str, Callable[[Identities], ssl.SSLContext]] = {
    "without a certificate": lambda identities: identities.anonymous(),
    "of another tenants authority": lambda identities: identities.client("another", "kaas-1"),
    "of internal": lambda identities: identities.client("internal", "kaas-1"),
    "the gateway itself": lambda identities: identities.client("internal-gateway", "kaas-1"),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_strangers_write_nothing(observer: Observer, who: str) -> None:
    name = f"stranger_{who.replace(' ', '_')}"
    with pytest.raises(urllib3.exceptions.HTTPError, match=r"alert|reset|EOF"):
        write(observer.door(STRANGERS[who](observer.identities)), name)
    # What is written later is seen, so what was written before would be as well.
    assert write(observer.agent("kaas-1"), f"{name}_control").status == 200
    observer.wait_for_series(f"{name}_control")
    assert observer.series(name) == []


def test_a_certificate_whose_name_is_no_cluster_name_is_refused(observer: Observer) -> None:
    body = remote_write.body([Sample({"__name__": "odd_name"}, 1.0, int(time.time() * 1000))])
    # Nothing of the kind can be registered, so whoever signed it, it is not known (503: or not yet).
    for common_name in ("Kaas-1", "kaas_1", "..", "-kaas", "a" * 64, "kaas-1.example"):
        status, _ignored = ask(
            observer, f"POST {PATH} HTTP/1.1\r\nContent-Length: {len(body)}", body, cluster=common_name
        )
        assert status in (403, 503), common_name
    assert write(observer.agent("a" * 63), "longest_name").status == 200
    assert observer.wait_for_series("longest_name")[0]["cluster"] == "a" * 63
    assert observer.series("odd_name") == []


def test_only_tls_1_3_is_spoken(observer: Observer) -> None:
    context = observer.identities.client("tenants", "kaas-1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(urllib3.exceptions.HTTPError, match=r"(?i)version"):
        write(observer.door(context), "old_tls")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("PUT", PATH),
        ("POST", f"{PATH}/"),
        ("POST", "/api/v1/receive/../status/tsdb"),
        ("GET", "/api/v1/status/tsdb?all_tenants=true"),
        ("POST", "/api/v1/otlp"),
        ("POST", "/api/v1/otlp/v1/metrics"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/"),
    ],
)
def test_nothing_but_remote_write_is_served(observer: Observer, method: str, path: str) -> None:
    body = remote_write.body([Sample({"__name__": "elsewhere"}, 1.0, int(time.time() * 1000))])
    status, _ignored = ask(observer, f"{method} {path} HTTP/1.1\r\nContent-Length: {len(body)}", body)
    assert status == 404


def test_a_body_needs_a_length(observer: Observer) -> None:
    status, _ignored = ask(observer, f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked", b"1\r\nx\r\n0\r\n\r\n")
    assert status == 411


def test_a_body_has_a_limit(observer: Observer) -> None:
    limit = 2 * 1024**2
    timestamp = int(time.time() * 1000)
    padding = "x" * 1000
    just_right = remote_write.body(
        [
            Sample({"__name__": "large", "number": str(number), "padding": padding}, 1.0, timestamp)
            for number in range(1900)
        ]
    )
    assert limit * 0.9 < len(just_right) <= limit
    pool = observer.agent("kaas-1")
    assert pool.request("POST", PATH, body=just_right, headers=remote_write.HEADERS).status == 200
    wait_for(lambda: len(observer.series('large{padding!=""}')) == 1900, 15, "all series of a large message")
    # Refused by what it announces: none of it has been sent.
    assert ask(observer, f"POST {PATH} HTTP/1.1\r\nContent-Length: {limit + 1}") == (413, b"the message is too large")
    assert limited(observer.gateway)["kaas-1", "body"] > 0


def test_a_message_that_announces_to_be_huge_is_refused(observer: Observer) -> None:
    limit = 64 * 1024**2
    # What receive says itself of a message that is wrong is told by its own words.
    small, false = b"the decompressed message is too large", b"the message announces more than it can hold"
    for announced, size, expected in (
        (1024**3, 20, (413, small)),
        (4 * 1024**3 - 1, 20, (413, small)),
        (limit + 1, 20, (413, small)),
        # Exactly as much as may be, and one byte more or less than the shortest body that can hold it
        (limit, limit * 3 // 64, (400, false)),
        (4 * 1024**2, 20, (400, false)),
        (2 * 1024**2, 2 * 1024**2 * 3 // 64 + 8, (400, b"")),
        (1024, 20, (400, b"")),
    ):
        body = remote_write.varint(announced).ljust(min(size, 2 * 1024**2), b"\xff")
        status, text = ask(observer, f"POST {PATH} HTTP/1.1\r\nContent-Length: {len(body)}", body)
        assert status == expected[0], (announced, text)
        assert (text == expected[1]) if expected[1] else (text not in (small, false)), (announced, text)
    assert limited(observer.gateway)["kaas-1", "message"] >= 3


def test_a_length_may_not_be_written_longer_than_need_be(observer: Observer) -> None:
    # One GiB in six, eight and ten bytes, as decoders of such numbers understand it too
    for length in (6, 8, 10):
        number = 1024**3
        encoded = bytes([number >> 7 * place & 0x7F | 0x80 for place in range(length - 1)]) + b"\x00"
        status, text = ask(observer, f"POST {PATH} HTTP/1.1\r\nContent-Length: {len(encoded)}", encoded)
        assert (status, text) == (413, b"the decompressed message is too large")


def test_a_body_that_does_not_come_ends_the_request_in_time(observer: Observer) -> None:
    start = time.monotonic()
    assert ask(observer, f"POST {PATH} HTTP/1.1\r\nContent-Length: 8", b"half")[0] == 408
    assert BODY_SECONDS * 0.9 <= time.monotonic() - start < BODY_SECONDS * 3


def test_headers_that_do_not_come_end_the_connection_in_time(observer: Observer) -> None:
    start = time.monotonic()
    assert ask(observer, f"POST {PATH} HTTP/1.1", to_be_continued=True)[0] in (0, 408)
    assert BODY_SECONDS * 0.9 <= time.monotonic() - start < BODY_SECONDS * 3


def test_who_does_not_say_who_it_is_keeps_no_connection(observer: Observer) -> None:
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", observer.gateway.ports["https"]), timeout=30) as silent:
        assert silent.recv(1) == b""
    assert BODY_SECONDS * 0.9 <= time.monotonic() - start < BODY_SECONDS * 3


def resident_bytes(path: Path) -> int:
    """Memory of the HAProxy processes with this configuration file, wherever they run."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"haproxy") and str(path).encode() in words:
                total += int(re.findall(r"^RssAnon:\s+(\d+) kB", (folder / "status").read_text(), re.M)[0]) * 1024
        except (OSError, IndexError):
            continue
    return total


def test_requests_that_do_not_end_do_not_take_all_memory(observer: Observer, identities: Identities) -> None:
    limit = 128 * 2**20
    settings = gateway.settings_of(
        {
            "name": "small-gateway",
            "receive_url": f"https://{RECEIVE_NAME}:19291{PATH}",
            "timeouts": {"body": f"{SLOW_BODY_SECONDS}s"},
            "resources": {"limits": {"memory": str(limit)}},
        }
    )
    observed = gateway.observe(identities.secrets, settings, identities.now)
    manifests = gateway.objects(settings, (), observed, identities.now)
    size = settings.max_body_bytes
    head = f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {size}\r\n\r\n".encode()
    with ExitStack() as stack:
        pod = stack.enter_context(observer.node.run(manifests))

        def begin(cluster: str) -> None:
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", pod.ports["https"]), timeout=30))
            context = identities.client("tenants", cluster)
            connection = stack.enter_context(context.wrap_socket(plain, server_hostname=settings.host))
            connection.settimeout(0.5)
            # All but the end of it; a gateway that holds enough takes no more.
            with suppress(TimeoutError):
                connection.sendall(head + bytes(size - 1))

        with ThreadPoolExecutor(15) as executor:
            list(executor.map(begin, [f"slow-{number % 3}" for number in range(60)]))
        taken = resident_bytes(pod.folder / "configuration" / "haproxy.cfg")
        assert settings.requests * settings.buffer_bytes * 0.4 < taken < limit
        # Others are not kept waiting, and neither are probes.
        start = time.monotonic()
        pool = connection(pod.ports["https"], identities.client("tenants", "kaas-1"), settings.host)
        assert write(pool, "beside_slow_ones").status == 200
        with urlopen(f"http://127.0.0.1:{pod.ports['metrics']}/readyz") as response:
            assert response.status == 200
        assert time.monotonic() - start < SLOW_BODY_SECONDS / 2
        refused = limited(pod)
        assert {cluster for cluster, limit in refused if limit == "requests_at_once"} <= {f"slow-{i}" for i in range(3)}
        assert refused


def test_the_log_tells_refusals_and_nothing_of_what_is_written(observer: Observer) -> None:
    assert write(observer.agent("kaas-9"), "secret_name", customer="secret-value").status == 200
    assert observer.agent("kaas-9").request("GET", "/nosy").status == 404
    log = wait_for(lambda: observer.gateway.log if "/nosy" in observer.gateway.log else "", 5, "a line about a refusal")
    (line,) = [line for line in log.splitlines() if "tenant=kaas-9" in line]
    assert "GET /nosy status=404" in line
    assert "secret" not in log


def test_health_and_metrics_have_a_port_of_their_own(observer: Observer) -> None:
    url = f"http://127.0.0.1:{observer.gateway.ports['metrics']}"
    with urlopen(f"{url}/healthz") as response:
        assert response.status == 200
    with urlopen(f"{url}/metrics") as response:
        metrics = response.read().decode()
    assert 'haproxy_frontend_http_requests_total{proxy="remote_write"}' in metrics


def test_receive_takes_remote_write_from_the_gateway_only(observer: Observer) -> None:
    identities, port = observer.identities, observer.receive.ports["remote-write"]
    others = {
        "nobody": identities.anonymous(),
        "component": identities.client("internal", "thanos-query"),
        "agent": identities.client("tenants", "kaas-1"),
        "another": identities.client("another", "kaas-1"),
    }
    for who, context in others.items():
        with pytest.raises(urllib3.exceptions.HTTPError):
            write(connection(port, context, RECEIVE_NAME), f"direct_{who}", {"THANOS-TENANT": "kaas-1"})
    context = identities.client("internal-gateway", "remote-write-gateway")
    assert write(connection(port, context, RECEIVE_NAME), "direct_gateway", {"THANOS-TENANT": "kaas-1"}).status == 200
    observer.wait_for_series("direct_gateway")
    assert observer.series('{__name__=~"direct_.*",__name__!="direct_gateway"}') == []


# How HTTP/2 begins, with empty settings
GRPC_BEGINNING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def serves_grpc(port: int, context: ssl.SSLContext) -> bool:
    """Tell whether a gRPC server answers the beginning of HTTP/2 with its settings, rather than by an alert or not."""
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=SHARED_NAME) as client,
        ):
            client.sendall(GRPC_BEGINNING)
            answer = client.recv(4096)
    except (ssl.SSLError, ConnectionError):
        return False
    return len(answer) > 3 and answer[3] == 4  # the type of the frame: SETTINGS


@pytest.mark.parametrize("component", ["receive", "query", "store"])
def test_grpc_is_for_components_only(observer: Observer, component: str) -> None:
    port = getattr(observer, component).ports["grpc"]
    identities = observer.identities
    assert serves_grpc(port, identities.client("internal", "thanos-query"))
    for authority, common_name in (("tenants", "kaas-1"), ("tenants", "thanos-query"), ("another", "kaas-1")):
        assert not serves_grpc(port, identities.client(authority, common_name))
    assert not serves_grpc(port, identities.anonymous())
