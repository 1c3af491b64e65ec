# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    ClusterSamples,
    JobSamples,
    SharedWatch,
    Watch,
    freshness,
    last_seen,
    missing_jobs,
    newest_sample,
    newest_samples,
    observer_time,
)

T = TypeVar("T")
NOW = 1000.0

# cluster, job, time of the sample, value of up, series of the target
TARGETS = [
    ("alpha", "kubelet", 990.0, 1, 300),
    ("alpha", "kubelet", 970.0, 0, 0),
    ("alpha", "coredns", 980.0, 0, 0),
    ("beta", "agent", 700.0, 1, 100),
]


class Thanos:
    """Evaluates just the expressions that are asked here, over TARGETS; counts requests."""

    def __init__(self) -> None:
        self.expressions: list[str] = []

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        expression = (query or {})["query"]
        self.expressions.append(expression)
        if expression == "time()":
            return self._answer("scalar", [NOW, str(NOW)])
        wanted = re.search(r'cluster=~?"([\w|]+)"', expression)
        targets = [target for target in TARGETS if wanted is None or target[0] in wanted[1].split("|")]
        values: dict[tuple[tuple[str, str], ...], float] = {}
        for cluster, job, at, up, series in targets:
            if "== 1" in expression and not up:
                continue
            by_job = "by (cluster, job)" in expression
            key = (("cluster", cluster), *((("job", job),) if by_job else ()))
            if expression.startswith("max(timestamp"):
                key = ()
            if expression.startswith("sum"):
                values[key] = values.get(key, 0) + series + 5
            else:
                values[key] = max(values.get(key, 0), at)
        return self._answer(
            "vector", [{"metric": dict(key), "value": [NOW, str(value)]} for key, value in values.items()]
        )

    def parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]

    @staticmethod
    def _answer(kind: str, result: object) -> bytes:
        document = {
            "status": "success",
            "data": {"resultType": kind, "result": result},
            "warnings": ["a store is down"],
        }
        return json.dumps(document).encode()


@pytest.fixture
def thanos() -> Thanos:
    return Thanos()


@pytest.fixture
def api(thanos: Thanos) -> QueryApi:
    return QueryApi(thanos, "monitoring")


def test_all_clusters_at_once(api: QueryApi) -> None:
    result = freshness(api)
    assert result.time == NOW
    assert result.clusters == {
        "alpha": ClusterSamples({"kubelet": JobSamples(990, 990), "coredns": JobSamples(980, None)}, 315),
        "beta": ClusterSamples({"agent": JobSamples(700, 700)}, 105),
    }
    assert result.warnings == ("a store is down",)


def test_one_cluster(api: QueryApi) -> None:
    assert set(freshness(api, "beta").clusters) == {"beta"}


def test_the_number_of_queries_does_not_grow_with_clusters(api: QueryApi, thanos: Thanos) -> None:
    freshness(api)
    assert len(thanos.expressions) == 4
    assert not [text for text in thanos.expressions if "alpha" in text]


def test_samples_without_a_cluster_are_not_asked_for(api: QueryApi, thanos: Thanos) -> None:
    freshness(api)
    assert all('cluster!=""' in text for text in thanos.expressions if text != "time()")


def test_what_the_observer_probes_of_a_cluster_is_no_sample_of_it(api: QueryApi, thanos: Thanos) -> None:
    freshness(api)
    freshness(api, "alpha")
    newest_sample(api, "alpha")
    newest_samples(api, ["alpha", "beta"])
    last_seen(api)
    asked = [text for text in thanos.expressions if text != "time()"]
    assert all(text.count("{") == text.count('observer=""') for text in asked)


def test_newest_samples_of_a_cluster() -> None:
    samples = ClusterSamples({"kubelet": JobSamples(990, 960), "coredns": JobSamples(995, None)})
    assert samples.last == 995
    assert samples.last_up == 960
    assert ClusterSamples({"coredns": JobSamples(995, None)}).last_up is None


def test_the_newest_sample_alone(api: QueryApi) -> None:
    assert newest_sample(api, "alpha") == 990
    assert newest_sample(api, "gamma") is None


def test_the_observers_clock(api: QueryApi) -> None:
    assert observer_time(api) == NOW


def test_clusters_that_are_silent_now_were_seen(api: QueryApi) -> None:
    assert last_seen(api) == {"alpha": 990, "beta": 700}


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ({"kubelet": JobSamples(990, 990)}, {}),
        ({"kubelet": JobSamples(990, 900)}, {"kubelet": "target down"}),
        ({"kubelet": JobSamples(990, None)}, {"kubelet": "target down"}),
        ({"kubelet": JobSamples(900, 900)}, {"kubelet": "no sample"}),
        ({}, {"kubelet": "no sample"}),
        ({"kubelet": JobSamples(990, 990), "unexpected": JobSamples(990, None)}, {}),
    ],
)
def test_missing_jobs(samples: dict[str, JobSamples], expected: dict[str, str]) -> None:
    assert missing_jobs(samples, ["kubelet"], since=950) == expected


def test_several_clusters_are_asked_for_together_and_not_again_within_a_moment() -> None:
    thanos, now = Thanos(), [0.0]
    api = QueryApi(thanos, "observer")
    watch = SharedWatch(api, ["alpha", "beta", "gamma"], lambda: now[0])
    alone = Watch(api)
    for name in ("alpha", "beta", "gamma"):
        assert watch.newest(name) == alone.newest(name)
        assert watch.samples(name) == alone.samples(name)
        assert watch.time_and_newest(name) == alone.time_and_newest(name)
    shared = [expression for expression in thanos.expressions if 'cluster=~"alpha|beta|gamma"' in expression]
    # The newest, three of all jobs, and the newest at the start
    assert len(shared) == 5

    now[0] += 0.5
    watch.newest("alpha")
    watch.newest("beta")
    assert len([expression for expression in thanos.expressions if "|" in expression]) == 6


def test_of_very_many_clusters_all_are_asked_for() -> None:
    thanos = Thanos()
    watch = SharedWatch(QueryApi(thanos, "observer"), [f"kaas-{number}" for number in range(1000)] + ["alpha"])
    assert watch.newest("alpha") == 990.0
    assert thanos.expressions == ['max by (cluster) (timestamp(up{cluster!="",observer=""}))']


def test_an_answer_that_does_not_come_is_told_to_all_who_wait_for_it() -> None:
    class Broken(Thanos):
        def service_get(self, *request: object, **more: object) -> bytes:
            self.expressions.append("")
            raise ApiError("observer", "get", "services/proxy", 503, "no endpoints")

    thanos = Broken()
    watch = SharedWatch(QueryApi(thanos, "observer"), ["alpha", "beta"], lambda: 0.0)
    for name in ("alpha", "beta"):
        with pytest.raises(QueryError):
            watch.newest(name)
    assert len(thanos.expressions) == 1
