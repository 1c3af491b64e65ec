# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that makes series as fast as the gateways let it: receive stops it, and the others do not notice.

Limits are those that the role ships, and Prometheus asks receive as often as it is told to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import urllib3
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._manifests import gateway, thanos_receive
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import parse
from tests.integration import agents, remote_write
from tests.integration.agents import Agent
from tests.integration.api_server import ApiServer
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.remote_write import Sample
from tests.integration.thanos.clients import Clients
from tests.integration.thanos.conftest import (
    GATEWAY_NAME,
    NAMESPACE,
    Identities,
    component_of,
    limited,
)
from tests.integration.thanos.pods import Node, Pod, wait_for
from tests.integration.thanos.test_gateway_clients import PATH, Doors

SHIPPED = yaml.safe_load((Path(__file__).parents[3] / "roles" / "observer" / "defaults" / "main.yml").read_text())
LIMITS: dict[str, Any] = SHIPPED["observer_receive_limits"]
GATEWAYS: int = SHIPPED["observer_gateway_replicas"]
OF_A_GATEWAY = {
    name: SHIPPED[f"observer_gateway_{name}"]
    for name in ("max_body_bytes", "max_message_bytes", "max_connections", "max_requests_per_second")
}
SCRAPED = duration_seconds(thanos_receive.SCRAPE_INTERVAL, "scrape_interval")
# Receive asks Prometheus every 15 seconds.
ASKED = 15.0
# What a cluster may have at most, as docs/sizing.md has it: so many requests may come at once, and then go on.
LET_IN = (SCRAPED + ASKED + gateway.RATE_SECONDS) * GATEWAYS * OF_A_GATEWAY["max_requests_per_second"]
MOST_SERIES = LIMITS["series"] + LET_IN * LIMITS["request_series"]
# It is a minute until the last of these, and a busy machine takes longer for each.
STOPPED = 240.0

SERIES = "prometheus_tsdb_head_series"
APPENDED = "prometheus_tsdb_head_samples_appended_total"
LIMITED = "thanos_receive_head_series_limited_requests_total"
ABOVE_LIMIT = b"tenant is above active series limit"


def body(first: int, number: int) -> bytes:
    """A request with a sample each of so many series."""
    now = int(time.time() * 1000)
    return remote_write.body(
        Sample({"__name__": "wild", "path": f"/{name}"}, 1.0, now) for name in range(first, first + number)
    )


def post(pool: urllib3.HTTPSConnectionPool, content: bytes) -> urllib3.BaseHTTPResponse:
    return pool.request("POST", PATH, body=content, headers=remote_write.HEADERS)


@dataclass
class Site:
    """A receive with limits, and what makes gateways before it."""

    doors: Doors
    receive: Pod

    def pools(self, cluster: str, *pods: Pod) -> list[urllib3.HTTPSConnectionPool]:
        """Where a cluster that is registered writes: a connection to each gateway."""
        certificate = self.doors.certificate(cluster)
        self.doors.admit(cluster, certificate)
        pools = self.doors.pools(certificate, *pods)
        for pool in pools:
            # What it is refused until then is not counted.
            wait_for(lambda pool=pool: post(pool, body(0, 10)).status == 200, 30, f"{cluster} is let in", every=0.1)
        return pools

    def counted(self, metric: str) -> dict[str, float]:
        """A metric by tenant."""
        with urlopen(f"http://127.0.0.1:{self.receive.ports['http']}/metrics") as response:
            found = parse(response.read(), (metric,)).get(metric, [])
        total: dict[str, float] = {}
        for item in found:
            tenant = item.labels.get("tenant", "")
            total[tenant] = total.get(tenant, 0.0) + item.value
        return total


@contextmanager
def prometheus(folder: Path, port: int, scraped: int) -> Iterator[None]:
    """The observer's own Prometheus, as far as receive needs it."""
    configuration = {
        "global": {"scrape_interval": thanos_receive.SCRAPE_INTERVAL},
        "scrape_configs": [{"job_name": "receive", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    arguments = [
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--scrape.discovery-reload-interval=1s",
    ]
    log = folder / "prometheus.log"
    with process("prometheus", arguments, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
        yield


@pytest.fixture
def site(identities: Identities, api_server: ApiServer, tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    limits = {**LIMITS, "metrics_url": f"http://127.0.0.1:{port}"}
    manifests, _endpoints = component_of(identities, component="receive", limits=limits)
    clients, node = Clients(api_server, NAMESPACE), Node(tmp_path)
    with node.run(manifests) as pod, prometheus(tmp_path, port, pod.ports["http"]):
        yield Site(Doors(identities, clients, node, tmp_path), pod)
        # Nobody reads the block that it would make of so many series.
        pod.process.kill()


def runs_wild(pool: urllib3.HTTPSConnectionPool, names: Iterator[int], stopped: threading.Event) -> int:
    """Make new series until receive refuses them; return how many were taken."""
    size, taken = LIMITS["request_series"], 0
    deadline = time.monotonic() + STOPPED
    content = body(next(names), size)
    while time.monotonic() < deadline:
        answer = post(pool, content)
        if answer.status == 200:
            taken += size
            content = body(next(names), size)
            continue
        assert answer.status == 429, answer.data
        if ABOVE_LIMIT in answer.data:
            stopped.set()
            return taken
        # It does not wait for as long as it is told.
        stopped.wait(0.1)
    pytest.fail(f"nobody stopped it within {STOPPED:.0f} s")


def refused_by_receive(pool: urllib3.HTTPSConnectionPool) -> urllib3.BaseHTTPResponse | None:
    """The answer to some samples, unless it is that the gateway has let in enough."""
    answer = post(pool, body(0, 10))
    return None if b"too many requests" in answer.data else answer


def writes_on(pool: urllib3.HTTPSConnectionPool, stopped: threading.Event) -> list[int]:
    """Write a sample each of the same series again and again; return the answers."""
    found = []
    while not stopped.wait(1.0):
        found.append(post(pool, body(0, 10)).status)
    return found


def test_a_cluster_that_makes_series_as_fast_as_it_can(site: Site) -> None:
    with ExitStack() as stack:
        pods = [stack.enter_context(site.doors.another(**OF_A_GATEWAY)) for _number in range(GATEWAYS)]
        executor = stack.enter_context(ThreadPoolExecutor(1 + 2 * GATEWAYS))
        neighbour, *_others = site.pools("neighbour", *pods)
        pools = site.pools("wild", *pods, *pods)
        # More than an agent sends at once: refused whole, and for good.
        assert post(pools[0], body(0, LIMITS["request_series"] + 1)).status == 413
        before, appended = site.counted(SERIES), site.counted(APPENDED)

        stopped, names = threading.Event(), count(100, LIMITS["request_series"])
        beside = executor.submit(writes_on, neighbour, stopped)
        taken = sum(executor.map(lambda pool: runs_wild(pool, names, stopped), pools))
        after = site.counted(SERIES)
        assert after["wild"] == before["wild"] + taken
        assert LIMITS["series"] <= after["wild"] <= MOST_SERIES

        # What is refused is nowhere, and its agent keeps it and tries again.
        answer = wait_for(lambda: refused_by_receive(pools[0]), 30, "the gateway lets it in", every=0.5)
        assert (answer.status, answer.data.strip()) == (429, ABOVE_LIMIT)
        assert site.counted(SERIES)["wild"] == after["wild"]
        assert site.counted(LIMITED)["wild"] >= 1

        answered = beside.result()
        assert set(answered) == {200}
        assert after["neighbour"] == before["neighbour"]
        assert site.counted(APPENDED)["neighbour"] == appended["neighbour"] + 10 * len(answered)


# Of an agent that has three requests a second to send where one is let in
MANY = 6000


def waiting(agent: Agent) -> float:
    """How many samples an agent has that are not sent."""
    counted = agent.counted()
    sent = counted["remote_storage_samples"] - counted["remote_storage_samples_retried"]
    return counted["agent_samples_appended"] - sent


def test_an_agent_that_sends_more_requests_than_it_may_is_slowed_and_loses_nothing(site: Site, tmp_path: Path) -> None:
    certificate = site.doors.certificate("behind")
    site.doors.admit("behind", certificate)
    with site.doors.another(**{**OF_A_GATEWAY, "max_requests_per_second": 1}) as pod:
        internal = site.doors.identities.authorities["internal"].certificate
        url = f"https://127.0.0.1:{pod.ports['https']}{PATH}"
        (tmp_path / "agent").mkdir()
        identity = agents.identity(tmp_path / "agent", certificate, internal)
        write = agents.remote_write(url, **identity, server_name=GATEWAY_NAME)
        with (
            agents.target(agents.moments(MANY)) as port,
            agents.running_agent(tmp_path / "agent", [agents.scraping(port)], [write]) as agent,
        ):
            wait_for(lambda: waiting(agent) > 10 * LIMITS["request_samples"], 60, "it falls behind")
            agent.scrape([])
            left, since = waiting(agent), time.monotonic()
            sent = wait_for(agent.sent, 180, "the agent has sent everything", every=0.5)
            seconds = time.monotonic() - since
            counted = agent.counted()
            refused = limited(pod)[("behind", "requests")]
    assert refused > 0
    assert counted["remote_storage_samples_failed"] == counted["remote_storage_samples_dropped"] == 0
    assert site.counted(APPENDED)["behind"] == sent
    # One request a second, after those that came at once, and a pause before it comes again
    requests = left / LIMITS["request_samples"]
    assert seconds < 1.5 * requests + gateway.RATE_SECONDS + 2 * gateway.RETRY_SECONDS
