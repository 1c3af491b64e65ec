# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, NotReadyError, ProofError
from ansible_collections.scs.observability.plugins.module_utils._manifests.agent import Agent
from ansible_collections.scs.observability.plugins.module_utils._promql.client import (
    Answer,
    QueryApi,
    QueryError,
    Sample,
)
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import Watch
from ansible_collections.scs.observability.plugins.module_utils._registration.proof import (
    Proof,
    Start,
    observe_start,
)

EPOCH = 1_000_000.0


class World:
    """A clock that only sleeping moves, and a Thanos in which samples appear at given times.

    ``targets`` maps a job to (first time it is scraped, whether it is up); it is scraped every 30 s from then on, and
    a sample can be read 5 s later.
    """

    namespace = "scs-observability"

    def __init__(self, targets: Mapping[str, tuple[float, bool]], *, skew: float = 0.0) -> None:
        self.now = 0.0
        self.targets = targets
        self.skew = skew
        self.broken: Callable[[float], bool] = lambda _now: False

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        time.sleep(0.0005)  # lets the thread that waits for readiness run

    def _last(self, job: str) -> float | None:
        first, _up = self.targets[job]
        readable = self.now - 5 - first
        return None if readable < 0 else EPOCH + first + readable // 30 * 30 + self.skew

    def query(self, expression: str) -> Answer:
        if self.broken(self.now):
            raise QueryError("no endpoints available")
        moment = EPOCH + self.now
        if expression == "time()":
            return Answer((Sample({}, moment, moment),))
        if "offset -" in expression:
            return Answer(())
        wanted = [job for job in self.targets if self._last(job) is not None]
        if "== 1" in expression:
            wanted = [job for job in wanted if self.targets[job][1]]
        found = {job: self._last(job) or 0.0 for job in wanted}
        if expression.startswith("sum"):
            return Answer((Sample({"cluster": "alpha"}, 100.0 * len(found), moment),) if found else ())
        if expression.startswith("max by"):
            return Answer(
                tuple(Sample({"cluster": "alpha", "job": job}, value, moment) for job, value in found.items())
            )
        return Answer((Sample({}, max(found.values()), moment),) if found else ())

    def query_all(self, expressions: list[str]) -> list[Answer]:
        return [self.query(expression) for expression in expressions]


class Kaas:
    def __init__(self, log: str | ApiError = "", metrics: bytes | ApiError = b"") -> None:
        self.log = log
        self.metrics = metrics

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[dict[str, Any]]:
        assert label_selector == "app.kubernetes.io/name=prometheus-agent,app.kubernetes.io/instance=alpha"
        return [{"metadata": {"name": "agent-0"}}]

    def logs(self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False) -> str:
        if isinstance(self.log, ApiError):
            raise self.log
        return self.log

    def pod_get(self, namespace: str, pod: str, port: int, path: str, query: Mapping[str, str] | None = None) -> bytes:
        assert (pod, port, path) == ("agent-0", 9090, "/metrics")
        if isinstance(self.metrics, ApiError):
            raise self.metrics
        return self.metrics


def proof(world: World, **changes: Any) -> Proof:
    api: Any = world
    return Proof(
        **{
            "api": api,
            "watch": Watch(api),
            "kaas": Kaas(),
            "wanted": Agent("alpha", "scs-observability", "https://observer/api/v1/receive"),
            "jobs": tuple(world.targets),
            "interval": 30.0,
            "start": Start(EPOCH, None),
            "started": 0.0,
            "renewed": True,
            "timeout": 60.0,
            "clock": world.clock,
            "sleep": world.sleep,
            **changes,
        }
    )


def at_once() -> None:
    """Ready already."""


def test_the_first_sample_ends_the_seconds_and_every_job_is_waited_for() -> None:
    world = World({"agent": (8.0, True), "kubelet": (3.0, True), "coredns": (25.0, True)})
    evidence = proof(world).establish([at_once, at_once])
    assert 8.0 <= evidence.seconds <= 9.0
    assert evidence.series == 300
    assert evidence.missing == {}
    assert 30.0 <= evidence.timings["all_jobs"] <= 31.0


def test_a_job_that_does_not_come_is_waited_for_one_and_a_half_intervals_and_then_named() -> None:
    world = World({"kubelet": (3.0, True), "coredns": (10.0, False)})
    evidence = proof(world, jobs=("kubelet", "coredns", "node-exporter")).establish([at_once, at_once])
    assert evidence.missing == {"coredns": "target down", "node-exporter": "no sample"}
    assert 50.0 <= evidence.timings["all_jobs"] - evidence.seconds <= 52.0


def test_the_first_sample_of_a_target_that_is_down_proves_the_way() -> None:
    evidence = proof(World({"coredns": (3.0, False)})).establish([at_once, at_once])
    assert evidence.seconds < 10
    assert evidence.missing == {"coredns": "target down"}


def test_samples_from_before_the_start_prove_nothing() -> None:
    """The agent sent until just now, and its clock is ahead: an old sample looks newer than the start."""
    world = World({"agent": (-20.0, True)}, skew=15.0)
    api: Any = world
    start = observe_start(Watch(api), "alpha")
    assert start.newest is not None
    assert start.newest < start.floor + 0.1
    evidence = proof(world, start=start).establish([at_once, at_once])
    assert evidence.seconds >= 14.0  # the next scrape, at 10 s, and the batch


def test_an_agent_that_was_not_touched_need_not_send_every_job_anew() -> None:
    world = World({"agent": (-29.0, True), "kubelet": (-8.0, True)})
    evidence = proof(world, start=Start(EPOCH, EPOCH - 8), renewed=False).establish([at_once, at_once])
    assert evidence.missing == {}
    assert evidence.timings["all_jobs"] <= evidence.seconds + 1


def test_nor_is_a_job_waited_for_that_it_has_not_sent_lately() -> None:
    world = World({"agent": (-29.0, True), "coredns": (-8.0, False)})
    evidence = proof(world, start=Start(EPOCH, EPOCH - 8), renewed=False).establish([at_once, at_once])
    assert evidence.missing == {"coredns": "target down"}
    assert evidence.timings["all_jobs"] <= evidence.seconds + 1


def test_an_agent_that_was_changed_has_to_send_every_job_anew() -> None:
    world = World({"agent": (-29.0, True), "kubelet": (-8.0, True)})
    evidence = proof(world, start=Start(EPOCH, EPOCH - 8)).establish([at_once, at_once])
    assert evidence.missing == {}
    assert evidence.timings["all_jobs"] >= 22 + 5


def test_the_sample_may_be_there_before_everything_is_ready() -> None:
    world = World({"agent": (3.0, True)})
    seen = threading.Event()

    def slow() -> None:
        assert seen.wait(10)

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        if world.now > 20:
            seen.set()

    evidence = proof(world, sleep=sleep).establish([at_once, slow])
    assert evidence.seconds < 10
    assert evidence.timings["all_ready"] >= 20


def test_starting_an_image_does_not_use_up_the_time_for_the_proof() -> None:
    world = World({"agent": (200.0, True)})
    started = threading.Event()

    def slow() -> None:
        assert started.wait(10)

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        if world.now > 190:
            started.set()

    assert proof(world, sleep=sleep).establish([slow, at_once]).seconds >= 200


def test_what_does_not_become_ready_is_the_error() -> None:
    def broken() -> None:
        raise NotReadyError("the image cannot be pulled")

    with pytest.raises(NotReadyError, match="cannot be pulled"):
        proof(World({"agent": (500.0, True)})).establish([broken, at_once])


def test_one_that_does_not_become_ready_later_is_the_error_too() -> None:
    world = World({"agent": (1.0, True)})

    def broken() -> None:
        while world.now < 30:
            time.sleep(0.001)
        raise NotReadyError("kube-state-metrics crashes")

    with pytest.raises(NotReadyError, match="crashes"):
        proof(world).establish([at_once, broken])


def failed(world: World, **changes: Any) -> ProofError:
    with pytest.raises(ProofError) as raised:
        proof(world, **changes).establish([at_once, at_once])
    return raised.value


def test_without_a_sample_the_error_says_what_was_seen() -> None:
    log = 'time=2026-01-01T00:00:00Z level=WARN msg="Failed to send batch" component=remote err="connection refused"'
    error = failed(World({"agent": (500.0, True)}), kaas=Kaas(log))
    assert "no sample of 'alpha' came through within 60 s" in str(error)
    assert "queries are answered, but there is no sample of it" in str(error)
    assert "connection refused" in str(error)
    assert "https://observer/api/v1/receive" in str(error)


def test_an_old_sample_is_told_with_its_age() -> None:
    world = World({"agent": (500.0, True)})
    world.targets = {"agent": (-1000.0, True)}
    # Nothing newer than the start arrives, because the clock of the cluster is far behind.
    world.skew = -300.0
    error = failed(world, start=Start(EPOCH, EPOCH - 1000))
    assert "its newest sample is" in str(error)


def test_a_clock_that_is_behind_is_named() -> None:
    world = World({"agent": (3.0, True)}, skew=-90.0)
    error = failed(world)
    assert "clock is behind" in str(error)


def test_a_query_path_that_breaks_is_told() -> None:
    world = World({"agent": (3.0, True)})
    world.broken = lambda now: now > 2
    assert "no endpoints available" in str(failed(world))


def test_a_query_path_that_comes_back_is_forgiven() -> None:
    world = World({"agent": (3.0, True)})
    world.broken = lambda now: 2 < now < 20
    assert proof(world).establish([at_once, at_once]).seconds >= 20


def test_queries_that_break_after_the_first_sample_are_an_error_in_the_end() -> None:
    world = World({"agent": (3.0, True), "kubelet": (40.0, True)})
    world.broken = lambda now: now > 12
    with pytest.raises(ProofError) as raised:
        proof(world).establish([at_once, at_once])
    assert raised.value.link == "query"


def test_a_log_that_cannot_be_read_does_not_hide_the_failure() -> None:
    forbidden = ApiError("https://kaas:6443", "get", "pods/log", 403, "forbidden")
    error = failed(World({"agent": (500.0, True)}), kaas=Kaas(forbidden))
    assert "its agent cannot be looked at" in str(error)


def test_an_agent_without_complaint_is_said_to_have_none() -> None:
    error = failed(World({"agent": (500.0, True)}), kaas=Kaas("time=x level=INFO msg=ok component=remote"))
    assert "reports no error of remote write" in str(error)


class Observer:
    """Its gateway is there, the rest of it not."""

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[dict[str, Any]]:
        if kind != "Deployment":
            return []
        labels = {"app.kubernetes.io/component": "remote-write-gateway"}
        status = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        return [{"kind": kind, "metadata": {"labels": labels}, "spec": {"replicas": 1}, "status": status}]


def test_the_agent_and_the_observer_are_looked_at() -> None:
    log = (
        'time=1 level=WARN component=remote url=https://other/api/v1/receive err="no such host"\n'
        'time=2 level=WARN component=remote url=https://observer/api/v1/receive err="HTTP status 503 No server"'
    )
    error = failed(World({"agent": (500.0, True)}), kaas=Kaas(log), observer=Observer())
    assert error.link == error.result()["link"] == "receive"
    assert "it is not deployed" in str(error)
    assert "no such host" not in str(error)


def test_what_the_agent_counts_tells_on() -> None:
    at = 'remote_name="observer",url="https://observer/api/v1/receive"'
    metrics = (
        f"prometheus_remote_storage_samples_total{{{at}}} 100\n"
        f"prometheus_remote_storage_samples_retried_total{{{at}}} 40\n"
        f"prometheus_remote_storage_queue_highest_timestamp_seconds{{{at}}} %s\n"
    )
    world = World({"agent": (500.0, True)})
    error = failed(world, kaas=Kaas(metrics=(metrics % (EPOCH + 50)).encode()))
    assert error.link == "query"
    assert "60 samples of the agent were taken" in str(error)
    ahead = (metrics % (EPOCH + 400)).encode()
    error = failed(World({"agent": (500.0, True)}), kaas=Kaas(metrics=ahead))
    assert error.link == "clock"


def test_the_log_is_read_where_the_metrics_cannot_be() -> None:
    forbidden = ApiError("https://kaas:6443", "get", "pods/proxy", 403, "forbidden")
    log = 'time=1 level=WARN component=remote err="dial tcp 192.0.2.1:443: connect: no route to host"'
    assert failed(World({"agent": (500.0, True)}), kaas=Kaas(log, forbidden)).link == "tcp"


def test_the_start_needs_the_query_path() -> None:
    world = World({})
    world.broken = lambda _now: True
    api: QueryApi = world  # type: ignore[assignment]
    with pytest.raises(QueryError) as raised:
        observe_start(Watch(api), "alpha")
    assert raised.value.result()["link"] == "query"
