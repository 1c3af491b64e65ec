# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may write changes while gateways run: how soon each of them knows, and what that does to connections."""

from __future__ import annotations

import re
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import urllib3

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    fingerprint,
    issue,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway
from tests.integration.api_server import ApiServer
from tests.integration.thanos.clients import QUICK, Clients
from tests.integration.thanos.conftest import (
    GATEWAY_NAME,
    NAMESPACE,
    Identities,
    component_of,
    connection,
    known_clients,
    limited,
    write,
)
from tests.integration.thanos.pods import Manifest, Node, Pod, wait_for

PATH = "/api/v1/receive"
RECEIVE_URL = f"https://thanos-receive.{NAMESPACE}.svc:19291{PATH}"
# From a change to when each gateway heeds it, in seconds
SOON = 5.0
# Old enough for nobody to think that it is still to be read
OLD = timedelta(minutes=1)

_NUMBERS = count(1)


@dataclass
class Doors:
    """Gateways before a receive that works: one that looks often, for all tests, and others of single tests."""

    identities: Identities
    clients: Clients
    node: Node
    folder: Path
    pods: list[Pod] = field(default_factory=list)

    @contextmanager
    def another(self, *, quick: bool = True, **params: Any) -> Iterator[Pod]:
        """A gateway on a node of its own, with other settings."""
        known = {name: address for name, address in self.node.addresses.items() if "thanos-" in name}
        folder = self.folder / f"node-{next(_NUMBERS)}"
        folder.mkdir()
        node = Node(folder, {**known, **(QUICK if quick else {})}, self.clients)
        with node.run(self.manifests(**params)) as pod:
            yield pod

    def manifests(self, **params: Any) -> list[Manifest]:
        """Those of a gateway, with certificates that were just made."""
        settings = gateway.settings_of({"receive_url": RECEIVE_URL, **params})
        observed = gateway.observe(self.identities.secrets, settings, self.identities.now)
        return gateway.objects(settings, (), observed, self.identities.now)

    def certificate(self, cluster: str, lifetime: timedelta = timedelta(days=1)) -> KeyPair:
        authority = self.identities.authorities["tenants"]
        now = datetime.now(UTC) - OLD
        return issue(authority, cluster, now, lifetime=lifetime + OLD, client=True, server=False)

    def context(self, certificate: KeyPair) -> ssl.SSLContext:
        context = self.identities.anonymous()
        path = self.folder / f"{fingerprint(certificate.certificate)}.pem"
        path.write_text(certificate.certificate + certificate.key)
        context.load_cert_chain(path)
        return context

    def pools(self, certificate: KeyPair, *pods: Pod) -> list[urllib3.HTTPSConnectionPool]:
        """A connection to each gateway, which is kept."""
        context = self.context(certificate)
        return [connection(pod.ports["https"], context, GATEWAY_NAME) for pod in pods or self.pods]

    def admit(self, cluster: str, *certificates: KeyPair, state: str = "active") -> None:
        prints = [fingerprint(certificate.certificate) for certificate in certificates]
        self.clients.write(cluster, " ".join([state, *prints]))


@pytest.fixture(scope="module")
def doors(identities: Identities, api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    node, clients = Node(folder), Clients(api_server, NAMESPACE)
    manifests, _endpoints = component_of(identities, component="receive")
    with node.run(manifests):
        result = Doors(identities, clients, node, folder)
        with result.another() as pod:
            result.pods.append(pod)
            yield result


def statuses(pools: list[urllib3.HTTPSConnectionPool], name: str = "by_change") -> list[int]:
    return [write(pool, name).status for pool in pools]


def seconds_until(pools: list[urllib3.HTTPSConnectionPool], status: int) -> float:
    start = time.monotonic()
    wait_for(lambda: set(statuses(pools)) == {status}, 30, f"each gateway answers {status}", every=0.1)
    return time.monotonic() - start


def test_a_change_reaches_each_gateway_and_each_connection_soon(doors: Doors) -> None:
    one, two = doors.certificate("kaas-changing"), doors.certificate("kaas-steady")
    doors.admit("kaas-changing", one)
    doors.admit("kaas-steady", two)
    with doors.another(quick=False) as first, doors.another(quick=False) as second:
        pools, others = doors.pools(one, first, second), doors.pools(two, first, second)
        assert set(statuses(pools) + statuses(others)) == {200}
        connections = [pool.num_connections for pool in [*pools, *others]]

        doors.admit("kaas-changing", one, state="suspended")
        assert seconds_until(pools, 503) < SOON
        doors.admit("kaas-changing", one)
        assert seconds_until(pools, 200) < SOON
        doors.clients.write("kaas-changing", None)
        assert seconds_until(pools, 403) < SOON
        assert write(pools[0], "revoked").data == b"the certificate is not registered"

        assert statuses(others) == [200, 200]
        # All of that was heard over the connections that were there before.
        assert [pool.num_connections for pool in [*pools, *others]] == connections


def test_a_renewed_certificate_is_shown_and_who_is_connected_stays(doors: Doors) -> None:
    agent = doors.certificate("kaas-stays")
    doors.admit("kaas-stays", agent)
    (pool,) = doors.pools(agent)
    seconds_until([pool], 200)
    changed = doors.manifests()
    (server,) = [item for item in changed if item["metadata"]["name"] == "remote-write-gateway-server"]
    renewed = ssl.PEM_cert_to_DER_cert(secret_text(server, "tls.crt") or "")
    doors.pods[0].deliver(changed)

    def is_shown() -> bool:
        with (
            socket.create_connection(("127.0.0.1", doors.pods[0].ports["https"]), timeout=30) as plain,
            doors.context(agent).wrap_socket(plain, server_hostname=GATEWAY_NAME) as client,
        ):
            return client.getpeercert(binary_form=True) == renewed

    wait_for(is_shown, 60, "the renewed certificate is shown")
    assert write(pool, "stays").status == 200
    assert pool.num_connections == 1


def test_a_key_of_former_times_does_not_come_back_with_the_name(doors: Doors) -> None:
    former, present = doors.certificate("kaas-again"), doors.certificate("kaas-again")
    doors.admit("kaas-again", former)
    old, new = doors.pools(former), doors.pools(present)
    seconds_until(old, 200)
    doors.admit("kaas-again", present)
    seconds_until(new, 200)
    assert seconds_until(old, 403) < SOON
    # While it is renewed, both are let in.
    doors.admit("kaas-again", present, former)
    seconds_until(old, 200)
    assert statuses(new) == [200]


def test_a_certificate_is_good_for_its_own_name_only(doors: Doors) -> None:
    certificate = doors.certificate("kaas-own")
    doors.admit("kaas-other", certificate)
    doors.admit("kaas-proof", doors.certificate("kaas-proof"))
    wait_for(lambda: known_clients(doors.pods[0]) == len(doors.clients.entries), 30, "it was read")
    assert statuses(doors.pools(certificate), "for_other") == [403]


def test_what_is_not_the_name_of_a_cluster_does_not_become_a_tenant(doors: Doors) -> None:
    names = ("-kaas", "kaas-", "a" * 64, "kaas.example", "kaas_1", "Kaas")
    certificates = {name: doors.certificate(name) for name in names}
    for name, certificate in certificates.items():
        doors.admit(name, certificate)
    longest = doors.certificate("a" * 63)
    doors.admit("a" * 63, longest)
    seconds_until(doors.pools(longest), 200)
    found = [statuses(doors.pools(certificate), "odd_name") for certificate in certificates.values()]
    for name in names:
        doors.clients.write(name, None)
    assert found == [[403]] * len(names)


def test_a_certificate_that_was_just_made_is_not_refused_for_good(doors: Doors) -> None:
    """An agent may use its certificate before each gateway has read that it is registered."""
    authority = doors.identities.authorities["tenants"]
    certificate = issue(authority, "kaas-new", datetime.now(UTC), client=True, server=False)
    pools = doors.pools(certificate)
    response = write(pools[0], "early")
    assert (response.status, response.data) == (503, b"the certificate is not registered yet")
    doors.admit("kaas-new", certificate)
    assert seconds_until(pools, 200) < SOON
    # Once it was known, it is told from one that is not known yet.
    doors.clients.write("kaas-new", None)
    assert seconds_until(pools, 403) < SOON


def test_a_certificate_ends_with_its_time_also_for_a_connection(doors: Doors) -> None:
    certificate = doors.certificate("kaas-short", timedelta(seconds=6))
    doors.admit("kaas-short", certificate)
    pools = doors.pools(certificate)
    wait_for(lambda: set(statuses(pools)) == {200}, 5.5, "it may write", every=0.1)

    def answer() -> bytes:
        response = write(pools[0], "short")
        return response.data if response.status == 503 else b""

    # By 503, as it is kept by agents: they come again with a new one.
    assert wait_for(answer, 30, "it has expired", every=0.1) == b"the certificate has expired"
    with pytest.raises(urllib3.exceptions.HTTPError, match=r"alert|reset|EOF|expired"):
        write(doors.pools(certificate)[0], "expired")


def test_no_more_than_its_share_while_others_are_unharmed(doors: Doors) -> None:
    greedy, modest = doors.certificate("kaas-greedy"), doors.certificate("kaas-modest")
    doors.admit("kaas-greedy", greedy)
    doors.admit("kaas-modest", modest)
    with doors.another(max_connections=3, max_requests_per_second=1) as pod, ExitStack() as stack:
        port = pod.ports["https"]
        pool = connection(port, doors.context(greedy), GATEWAY_NAME)
        answers = [write(pool, "greedy").status for _number in range(15)]
        # Counted over ten seconds
        assert (answers[:10], answers[-1]) == ([200] * 10, 429)
        assert pool.num_connections == 1

        context = doors.context(greedy)

        def connected() -> bool:
            """Tell whether a connection is kept beside those that there are."""
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            client = stack.enter_context(context.wrap_socket(plain, server_hostname=GATEWAY_NAME))
            client.settimeout(1)
            try:
                return client.recv(1) != b""
            except TimeoutError:
                return True
            except OSError:
                return False

        assert [connected() for _number in range(3)] == [True, True, False]
        pool = connection(port, doors.context(modest), GATEWAY_NAME)
        assert write(pool, "modest").status == 200
        assert limited(pod) == {("kaas-greedy", "requests"): answers.count(429)}

        # What would be counted of one that leaves is forgotten.
        doors.clients.write("kaas-greedy", None)
        wait_for(lambda: limited(pod) == {}, 30, "it is forgotten", every=0.1)


# What a gateway of this memory takes at once, and what of it may come from one address before it has proven itself
MEMORY, TAKEN, UNPROVEN = "64Mi", 327, 81


def connect(pod: Pod, source: str) -> socket.socket:
    """A connection that says nothing, from an address of this machine."""
    return socket.create_connection(("127.0.0.1", pod.ports["https"]), timeout=30, source_address=(source, 0))


def connections(pod: Pod) -> int:
    """How many connections of agents it has."""
    with urlopen(f"http://127.0.0.1:{pod.ports['metrics']}/metrics", timeout=5) as response:
        text = response.read().decode()
    (found,) = re.findall(r'^haproxy_frontend_current_sessions\{proxy="remote_write"\} (\d+)$', text, re.M)
    return int(found)


def test_a_full_door_keeps_neither_probes_nor_those_out_who_are_in(doors: Doors) -> None:
    certificate, late = doors.certificate("kaas-inside"), doors.certificate("kaas-late")
    doors.admit("kaas-inside", certificate)
    doors.admit("kaas-late", late)
    limits = {"resources": {"limits": {"memory": MEMORY}}, "max_body_bytes": 65536}
    with doors.another(**limits, timeouts={"handshake": "1m"}) as pod, ExitStack() as stack:
        (inside,) = doors.pools(certificate, pod)
        seconds_until([inside], 200)

        # Nobody needs a certificate for that. One address alone does not get far: what is too much is closed at once,
        # at times before the client knows that it was connected.
        alone, reset = [], 0
        for _number in range(UNPROVEN + 5):
            try:
                alone.append(stack.enter_context(connect(pod, "127.0.0.2")))
            except ConnectionResetError:
                reset += 1
        # Not select(), which knows no descriptor above 1,023: how many there are depends on the tests before.
        watched = stack.enter_context(selectors.DefaultSelector())
        for client in alone:
            watched.register(client, selectors.EVENT_READ)
        wait_for(lambda: reset + len(watched.select(0.1)) == 5, 30, "what is too much is closed")
        assert connections(pod) == 1 + UNPROVEN
        # Three more than it takes
        more = {"127.0.0.3": UNPROVEN, "127.0.0.4": UNPROVEN, "127.0.0.5": UNPROVEN}
        for source, number in {**more, "127.0.0.6": TAKEN - 4 * UNPROVEN - 1 + 3}.items():
            for _number in range(number):
                stack.enter_context(connect(pod, source))
        wait_for(lambda: connections(pod) == TAKEN, 30, "it is full", every=0.1)

        outside = stack.enter_context(connect(pod, "127.0.0.9"))
        outside.settimeout(1)
        with pytest.raises(TimeoutError):
            doors.context(late).wrap_socket(outside, server_hostname=GATEWAY_NAME)
        assert {health(pod, path) for path in ("/healthz", "/readyz", "/metrics", "/metrics/clients")} == {200}
        assert (statuses([inside]), inside.num_connections) == ([200], 1)
        stack.close()
        assert statuses(doors.pools(late, pod)) == [200]


def test_only_http_1_1_is_spoken_and_with_a_length(doors: Doors) -> None:
    certificate = doors.certificate("kaas-protocol")
    doors.admit("kaas-protocol", certificate)
    seconds_until(doors.pools(certificate), 200)

    def exchange(text: bytes) -> bytes:
        context = doors.context(certificate)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", doors.pods[0].ports["https"]), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=GATEWAY_NAME) as client,
        ):
            assert client.selected_alpn_protocol() == "http/1.1"
            client.sendall(text)
            with suppress(OSError):
                return client.recv(65536)
        return b""

    # HTTP/2 without being asked: no frame comes back.
    answer = exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    for more in (b"", b"Content-Length: 5\r\n"):
        head = f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n".encode()
        answer = exchange(head + more + b"\r\n1\r\nx\r\n0\r\n\r\n")
        assert answer.split(b" ", 2)[1] in (b"400", b"411"), answer


def test_many_clusters_are_read_at_once(doors: Doors) -> None:
    metadata = {"name": remote_write_clients.NAME, "namespace": NAMESPACE}
    entries = {f"one-of-{number}": f"active {number:064x} {number + 10**6:064x}" for number in range(1000)}
    many = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    before = len(doors.clients.entries)
    try:
        doors.clients.api.merge({**many, "data": entries})
        wait_for(lambda: known_clients(doors.pods[0]) == before + 1000, 30, "all are known", every=0.1)
    finally:
        doors.clients.api.merge({**many, "data": dict.fromkeys(entries)})
    wait_for(lambda: known_clients(doors.pods[0]) == before, 30, "they are forgotten", every=0.1)


def health(pod: Pod, path: str) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{pod.ports['metrics']}{path}", timeout=5) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.fixture
def lone(doors: Doors) -> Iterator[Pod]:
    """A gateway to try what it does when it cannot read."""
    with doors.another() as pod:
        yield pod


def test_while_nothing_can_be_read_what_was_read_last_holds(doors: Doors, lone: Pod) -> None:
    certificate = doors.certificate("kaas-holding")
    doors.admit("kaas-holding", certificate)
    pool = connection(lone.ports["https"], doors.context(certificate), GATEWAY_NAME)
    seconds_until([pool], 200)
    # A kubelet renews it, so it is read each time.
    token = lone.folder / "account" / "token"
    good = token.read_text()
    token.write_text("nobody's")
    wait_for(lambda: "clients are not read" in lone.log, 30, "it tells")
    assert (write(pool, "holding").status, health(lone, "/readyz")) == (200, 200)
    doors.clients.write("kaas-holding", None)

    # Whoever starts meanwhile knows nobody, and says so in a way that costs no samples.
    lone.stop()
    with ThreadPoolExecutor(1) as executor:
        started = executor.submit(lone.start)
        wait_for(lambda: health(lone, "/healthz") == 200, 30, "it lives")
        assert health(lone, "/readyz") == 503
        response = write(pool, "not_known")
        assert (response.status, response.data) == (503, b"who may write is not known yet")
        token.write_text(good)
        started.result()
    assert write(pool, "known_again").status == 403
    assert "clients are read again" in lone.log
    assert good not in lone.log


@pytest.mark.parametrize("what", ["name", "authority"])
def test_it_believes_nobody_but_the_api_server(doors: Doors, lone: Pod, what: str) -> None:
    lone.stop()
    program, ca = lone.folder / "configuration" / "clients.lua", lone.folder / "account" / "ca.crt"
    good = program.read_text(), ca.read_text()
    if what == "name":
        program.write_text(good[0].replace("https://localhost/", "https://elsewhere.example/"))
    else:
        ca.write_text(doors.identities.authorities["another"].certificate)
    with ThreadPoolExecutor(1) as executor:
        started = executor.submit(lone.start)
        wait_for(lambda: "clients are not read" in lone.log, 30, "it tells")
        assert health(lone, "/readyz") == 503
        program.write_text(good[0])
        ca.write_text(good[1])
        lone.stop()
        with pytest.raises(pytest.fail.Exception, match="ended with"):
            started.result()
