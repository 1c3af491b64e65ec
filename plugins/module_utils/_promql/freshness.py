# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fresh the samples of clusters are: a handful of queries, however many clusters there are.

Times are seconds since 1970. The time of a sample is the one its agent gave it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import AGENT
from ansible_collections.scs.observability.plugins.module_utils._promql.client import Answer, QueryApi, QueryError

# What every scrape adds of its own: up, scrape_duration_seconds, scrape_samples_scraped,
# scrape_samples_post_metric_relabeling, scrape_series_added.
SERIES_PER_TARGET = 5
# Within these a cluster that went silent is looked for.
HISTORY = "24h"
# Shorter than the five minutes that a sample stays visible, so that none is missed.
HISTORY_STEP = "2m"
# Seconds for which an answer serves all who ask the same.
RECENT_SECONDS = 0.4
# Clusters that are named in a query; of more, all are asked for.
MOST_NAMED = 200


@dataclass(frozen=True)
class JobSamples:
    """The newest sample of ``up`` of a job, and the newest of a target of it that was up (None if there is none)."""

    last: float
    last_up: float | None = None


@dataclass(frozen=True)
class ClusterSamples:
    """What arrived from one cluster: per job, and the number of its series."""

    jobs: Mapping[str, JobSamples]
    series: int = 0

    @property
    def last(self) -> float:
        """The time of its newest sample."""
        return max(job.last for job in self.jobs.values())

    @property
    def last_up(self) -> float | None:
        """The time of the newest sample of a target that was up.

        The agent itself is no sign of life: it writes as well when nothing that it scrapes answers.
        """
        return max(
            (job.last_up for name, job in self.jobs.items() if name != AGENT and job.last_up is not None), default=None
        )


@dataclass(frozen=True)
class Freshness:
    """Samples by cluster at ``time`` on the observer's clock; clusters silent for five minutes are not in it."""

    time: float
    clusters: Mapping[str, ClusterSamples]
    warnings: tuple[str, ...] = ()


def freshness(api: QueryApi, *clusters: str) -> Freshness:
    """Ask about some clusters, or all of them, with the same four queries at once. Raises QueryError."""
    selector = _selector(clusters)
    now, last, last_up, series = api.query_all(
        [
            "time()",
            f"max by (cluster, job) (timestamp(up{{{selector}}}))",
            # timestamp() of a comparison would be the time of the query.
            f"max by (cluster, job) (timestamp(up{{{selector}}}) and up{{{selector}}} == 1)",
            f"sum by (cluster) (scrape_samples_post_metric_relabeling{{{selector}}} + {SERIES_PER_TARGET})",
        ]
    )
    up = {_key(sample.labels): sample.value for sample in last_up.samples}
    count = {sample.labels.get("cluster", ""): int(sample.value) for sample in series.samples}
    jobs: dict[str, dict[str, JobSamples]] = {}
    for sample in last.samples:
        name, job = key = _key(sample.labels)
        jobs.setdefault(name, {})[job] = JobSamples(sample.value, up.get(key))
    return Freshness(
        time=_scalar(now),
        clusters={name: ClusterSamples(of_cluster, count.get(name, 0)) for name, of_cluster in jobs.items()},
        warnings=tuple(sorted({text for answer in (last, last_up, series) for text in answer.warnings})),
    )


def newest_sample(api: QueryApi, cluster: str) -> float | None:
    """The time of the newest sample of a cluster; None when there is none to be seen. One query."""
    answer = api.query(f"max(timestamp(up{{{_selector([cluster])}}}))")
    return answer.samples[0].value if answer.samples else None


def newest_samples(api: QueryApi, clusters: Sequence[str]) -> dict[str, float]:
    """The time of the newest sample of each of some clusters that has any. One query."""
    answer = api.query(f"max by (cluster) (timestamp(up{{{_selector(clusters)}}}))")
    return {sample.labels.get("cluster", ""): sample.value for sample in answer.samples}


def has_samples_ahead(api: QueryApi, cluster: str) -> bool:
    """Whether there are samples of a time that is still to come, as far as receive lets them in (10 minutes)."""
    return bool(api.query(f"count(last_over_time(up{{{_selector([cluster])}}}[10m] offset -10m))").samples)


def observer_time(api: QueryApi) -> float:
    """The observer's clock."""
    return _scalar(api.query("time()"))


def last_seen(api: QueryApi) -> dict[str, float]:
    """Per cluster, the newest sample of its agent within the last day. Dear: ask only when one is silent."""
    answer = api.query(
        f'max by (cluster) (max_over_time(timestamp(up{{{_selector(())},job="agent"}})[{HISTORY}:{HISTORY_STEP}]))'
    )
    return {sample.labels["cluster"]: sample.value for sample in answer.samples if "cluster" in sample.labels}


def missing_jobs(jobs: Mapping[str, JobSamples], expected: Iterable[str], since: float) -> dict[str, str]:
    """Of the expected jobs, those without a sample newer than ``since`` of a target that is up: job -> why."""
    missing = {}
    for job in sorted(set(expected)):
        samples = jobs.get(job)
        if samples is None or samples.last <= since:
            missing[job] = "no sample"
        elif samples.last_up is None or samples.last_up <= since:
            missing[job] = "target down"
    return missing


class Watch:
    """What arrives of a cluster, asked for anew each time."""

    def __init__(self, api: QueryApi) -> None:
        self._api = api

    def time_and_newest(self, cluster: str) -> tuple[float, float | None]:
        """The observer's clock, and the time of the cluster's newest sample, if any. Raises QueryError."""
        return observer_time(self._api), self.newest(cluster)

    def newest(self, cluster: str) -> float | None:
        """The time of the cluster's newest sample, if any. Raises QueryError."""
        return newest_sample(self._api, cluster)

    def samples(self, cluster: str) -> ClusterSamples | None:
        """What arrived of the cluster, if anything. Raises QueryError."""
        return freshness(self._api, cluster).clusters.get(cluster)


class SharedWatch(Watch):
    """What arrives of several clusters: asked for together, and not again within a moment. For several threads.

    Whoever waits for a hundred clusters does not ask a hundred times as much.
    """

    def __init__(self, api: QueryApi, clusters: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(api)
        self._clusters = tuple(clusters)
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, Any]] = {}

    def time_and_newest(self, cluster: str) -> tuple[float, float | None]:
        now, newest = self._recent(
            "start", lambda: (observer_time(self._api), newest_samples(self._api, self._clusters))
        )
        return now, newest.get(cluster)

    def newest(self, cluster: str) -> float | None:
        found: dict[str, float] = self._recent("newest", lambda: newest_samples(self._api, self._clusters))
        return found.get(cluster)

    def samples(self, cluster: str) -> ClusterSamples | None:
        found: Freshness = self._recent("freshness", lambda: freshness(self._api, *self._clusters))
        return found.clusters.get(cluster)

    def _recent(self, what: str, ask: Callable[[], Any]) -> Any:
        """The last answer, if it is recent; an error counts as one, too."""
        with self._lock:
            asked, answer = self._answers.get(what, (float("-inf"), None))
            if self._clock() - asked > RECENT_SECONDS:
                try:
                    answer = ask()
                except QueryError as error:
                    answer = error
                self._answers[what] = (self._clock(), answer)
        if isinstance(answer, QueryError):
            raise answer
        return answer


def _selector(clusters: Sequence[str]) -> str:
    """What selects the series of clusters, of all of them when none is named or when they are many."""
    if len(clusters) == 1:
        named = f'cluster="{clusters[0]}"'
    else:
        # Components of the observer have no label cluster.
        named = f'cluster=~"{"|".join(clusters)}"' if 0 < len(clusters) <= MOST_NAMED else 'cluster!=""'
    # What the observer probes of a cluster is no sample that this one has sent.
    return f'{named},observer=""'


def _key(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("cluster", ""), labels.get("job", "")


def _scalar(answer: Answer) -> float:
    return answer.samples[0].value
