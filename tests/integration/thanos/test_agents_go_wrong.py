# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents that fail, and agents that do harm: what is said of them, and that others do not notice.

The last test takes receive away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import urllib3

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, ProofError
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import issue
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent as agent_manifests
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    Watch,
    freshness,
    has_samples_ahead,
)
from ansible_collections.scs.observability.plugins.module_utils._registration import overview
from ansible_collections.scs.observability.plugins.module_utils._registration.proof import Proof, observe_start
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from tests.integration import agents, remote_write
from tests.integration.agents import Agent
from tests.integration.processes import free_port
from tests.integration.remote_write import Sample
from tests.integration.thanos.conftest import GATEWAY_NAME, VISIBLE, Observer
from tests.integration.thanos.pods import wait_for

T = TypeVar("T")

# Seconds until an agent has tried to send and says what came of it
SAID = 60.0


class Loopback:
    """Stands in for the API server's proxy in front of query-frontend."""

    def __init__(self, observer: Observer) -> None:
        self.port = observer.query_frontend.ports["http"]

    def service_get(
        self, _namespace: str, service: str, _port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        response = urllib3.request("GET", f"http://127.0.0.1:{self.port}{path}", fields=dict(query or {}))
        if response.status != 200:
            raise ApiError("loopback", "get", service, response.status, response.data.decode())
        return response.data

    def parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]


class Cluster:
    """Stands in for the API server of the agent's cluster."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def list(self, *_what: str, **_selectors: str) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "agent"}}]

    def logs(self, *_what: object) -> str:
        return self.agent.log

    def pod_get(self, *_what: object) -> bytes:
        return self.agent.metrics()


@dataclass
class World:
    """An observer, and agents to let loose on it."""

    observer: Observer
    folder: Path

    @property
    def api(self) -> QueryApi:
        return QueryApi(Loopback(self.observer), "any")

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.observer.gateway.ports['https']}/api/v1/receive"

    @contextmanager
    def agent(
        self,
        cluster: str,
        *,
        url: str = "",
        trusts: str = "internal",
        expired: bool = False,
        targets: Sequence[int] = (),
    ) -> Iterator[Agent]:
        """An agent of that cluster, which scrapes itself and the targets (ports)."""
        folder = self.folder / cluster
        folder.mkdir()
        identities = self.observer.identities
        pair = issue(
            identities.authorities["tenants"],
            cluster,
            identities.now - timedelta(days=2 if expired else 0),
            lifetime=timedelta(days=1),
            client=True,
            server=False,
        )
        if not expired:
            identities.register(cluster, pair)
        files = agents.identity(folder, pair, identities.authorities[trusts].certificate)
        target = agents.remote_write(url or self.url, **files, server_name=GATEWAY_NAME)
        # As soon as there is something to send
        target["queue_config"]["batch_send_deadline"] = "1s"
        own = free_port()
        jobs = [agents.scraping(port, job) for port, job in ((own, "agent"), *((port, "target") for port in targets))]
        with agents.running_agent(folder, jobs, [target], port=own) as agent:
            yield agent

    def failed_proof(self, cluster: str, agent: Agent, url: str = "") -> ProofError:
        """What the proof says of an agent once it has said something itself."""
        said = (lambda: wait_for(lambda: "component=remote" in warnings(agent), SAID, f"{cluster} complains"),) * 2
        proof = Proof(
            api=self.api,
            watch=Watch(self.api),
            kaas=Cluster(agent),  # type: ignore[arg-type]
            wanted=agent_manifests.Agent(cluster, "any", url or self.url),
            jobs=(),
            interval=1.0,
            start=observe_start(Watch(self.api), cluster),
            started=time.monotonic(),
            renewed=True,
            timeout=0.1,
        )
        with pytest.raises(ProofError) as raised:
            proof.establish(said)  # type: ignore[arg-type]
        return raised.value


def warnings(agent: Agent) -> str:
    return "\n".join(line for line in agent.log.splitlines() if "level=WARN" in line or "level=ERROR" in line)


@pytest.fixture(scope="module")
def world(observer: Observer, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(observer, tmp_path_factory.mktemp("agents"))


def test_the_proof_names_the_broken_link(world: World) -> None:
    broken: dict[str, tuple[str, dict[str, Any]]] = {
        "no-such-host": ("dns", {"url": "https://no-such-host.invalid/api/v1/receive"}),
        "refused": ("tcp", {"url": f"https://127.0.0.1:{free_port()}/api/v1/receive"}),
        "stranger": ("tls", {"trusts": "tenants"}),
        "expired": ("certificate", {"expired": True}),
        "elsewhere": ("gateway", {"url": f"{world.url}/elsewhere"}),
    }

    def link_of(cluster: str) -> str:
        with world.agent(cluster, **broken[cluster][1]) as agent:
            return world.failed_proof(cluster, agent, broken[cluster][1].get("url", "")).link

    with ThreadPoolExecutor(len(broken)) as executor:
        found = dict(zip(broken, executor.map(link_of, broken), strict=True))
    assert found == {name: link for name, (link, _how) in broken.items()}


def write_at(observer: Observer, cluster: str, name: str, ahead: float) -> int:
    sample = Sample({"__name__": name}, 1.0, int((time.time() + ahead) * 1000))
    answer = observer.agent(cluster).request(
        "POST", "/api/v1/receive", body=remote_write.body([sample]), headers=remote_write.HEADERS
    )
    return int(answer.status)


def test_a_sample_from_the_future_harms_nobody(world: World) -> None:
    observer = world.observer
    # The first sample of a database may have any time, so there is one before.
    assert write_at(observer, "ahead", "up", 0) == 200
    # An agent does not repeat what is answered with 409.
    assert write_at(observer, "ahead", "up", 11 * 60) == 409
    assert not has_samples_ahead(world.api, "ahead")
    assert write_at(observer, "ahead", "up", 9 * 60) == 200
    wait_for(lambda: has_samples_ahead(world.api, "ahead"), VISIBLE, "the sample that is ahead is seen")
    # Neither itself nor another cluster is kept from writing.
    clusters = {"ahead", "neighbour"}
    assert {write_at(observer, cluster, "of_now", 0) for cluster in clusters} == {200}

    def seen() -> bool:
        return {series["cluster"] for series in observer.series("of_now")} == clusters

    wait_for(seen, VISIBLE, "samples of now of both")


def state_of(world: World, cluster: str, later: float = 0.0) -> str:
    """What observer_info says of an active cluster, now or in some seconds."""
    jobs = ("agent", "target")
    registration = Registration(name=cluster, cluster_uid="", phase="active", scrape_interval="30s", jobs=jobs)
    now = freshness(world.api, cluster)
    (row,) = overview.describe([registration], replace(now, time=now.time + later), {})
    return str(row["state"])


def test_what_is_seen_of_agents_that_die_and_of_agents_without_targets(world: World) -> None:
    with (
        agents.target(agents.moments(1)) as port,
        world.agent("mortal", targets=[port]) as mortal,
        world.agent("idle", targets=[free_port()]) as idle,
    ):
        wait_for(lambda: state_of(world, "mortal") == "ok", SAID, "a cluster that is well")
        mortal.running.kill()
        mortal.running.wait()
        assert state_of(world, "mortal") == "ok", "a lost scrape is no failure"
        assert state_of(world, "mortal", later=121.0) == "silent"
        # It writes that it is up itself.
        wait_for(lambda: state_of(world, "idle") == "down", SAID, "its agent writes, but nothing is up")
        assert idle.running.poll() is None


def test_without_receive_the_proof_says_so(world: World) -> None:
    with world.agent("late", url=world.url) as agent:
        wait_for(lambda: world.observer.series('up{cluster="late"}'), SAID, "a sample before")
        world.observer.receive.stop()
        assert world.failed_proof("late", agent).link == "receive"
