# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that ends a registration: a sample of that cluster, newer than the start, read where operators read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError, ProofError
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import parse
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    Watch,
    has_samples_ahead,
    missing_jobs,
    observer_time,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.broken_link import (
    Seen,
    broken_link,
    remote_write_errors,
    unready_components,
)

POLL_SECONDS = 0.5
# A scrape may just have been missed, the next is one interval away; half of one more for a slow target.
INTERVALS_FOR_ALL_JOBS = 1.5
LOG_LINES = 400
_TIME = "prometheus_remote_storage_queue_highest_timestamp_seconds"
_ATTEMPTS = "prometheus_remote_storage_samples_total"
# Of the attempts, those that came to nothing
_IN_VAIN = ("prometheus_remote_storage_samples_retried_total", "prometheus_remote_storage_samples_failed_total")


@dataclass(frozen=True)
class Start:
    """What there was before anything was done: the observer's clock, and the newest sample of the cluster, if any.

    A new sample has to be newer than both, so that an agent's clock that is ahead proves nothing.
    """

    time: float
    newest: float | None

    @property
    def floor(self) -> float:
        return max(self.time, self.newest or 0.0)


@dataclass(frozen=True)
class Evidence:
    """What the proof found; seconds count from the start of the run. ``missing`` maps jobs to the reason."""

    seconds: float
    series: int
    missing: Mapping[str, str]
    timings: Mapping[str, float]


class Lister(Protocol):
    """The part of the Kubernetes client that tells what is not ready."""

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[dict[str, Any]]: ...


class AgentReader(Lister, Protocol):
    """The part of it that tells how an agent fares."""

    def logs(
        self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False
    ) -> str: ...

    def pod_get(
        self, namespace: str, pod: str, port: int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes: ...


def observe_start(watch: Watch, cluster: str) -> Start:
    """Raises QueryError: without the query path nothing can be proven, so nothing is begun."""
    try:
        return Start(*watch.time_and_newest(cluster))
    except QueryError as error:
        error.details["link"] = "query"
        raise


@dataclass(frozen=True)
class Proof:
    """How to prove one cluster's samples.

    ``api`` and ``observer`` read on the observer, ``kaas`` in the cluster; ``started`` is ``clock()`` at the start of
    the run; ``renewed`` tells that the agent was changed, so that each job has to send anew; ``timeout`` in seconds
    counts from when the agent is ready, because starting its image is not what is proven.
    """

    api: QueryApi
    watch: Watch
    kaas: AgentReader
    wanted: agent.Agent
    jobs: Sequence[str]
    interval: float
    start: Start
    started: float
    renewed: bool
    timeout: float
    observer: Lister | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def establish(self, ready: Sequence[Callable[[], None]]) -> Evidence:
        """Wait for the first sample and then for every job, while what ``ready`` waits for starts.

        The first of ``ready`` is the agent. Raises what they raise, and ProofError that says what was seen.
        """
        timings: dict[str, float] = {}

        def wait() -> None:
            for name, wait_for in zip(("agent_ready", "all_ready"), ready, strict=True):
                wait_for()
                timings[name] = self._elapsed()

        # Both at once: the first sample may be there before the slowest image is.
        with ThreadPoolExecutor(1, thread_name_prefix="readiness") as executor:
            readiness = executor.submit(wait)
            self._first_sample(readiness, timings)
            seconds = timings["first_sample"] = self._elapsed()
            series, missing = self._all_jobs(readiness)
            timings["all_jobs"] = self._elapsed()
        return Evidence(seconds, series, missing, timings)

    def _elapsed(self) -> float:
        return round(self.clock() - self.started, 1)

    def _first_sample(self, readiness: Future[None], timings: Mapping[str, float]) -> None:
        deadline: float | None = None
        while True:
            if deadline is None and ("agent_ready" in timings or readiness.done()):
                deadline = self.clock() + self.timeout
            if readiness.done():
                readiness.result()
            newest, failure = None, None
            try:
                newest = self.watch.newest(self.wanted.instance)
            except QueryError as error:
                failure = error
            if newest is not None and newest > self.start.floor:
                return
            if deadline is not None and self.clock() >= deadline:
                late = f"came through within {self.timeout:.0f} s after its agent was ready"
                raise self._failed(late, newest, failure)
            self.sleep(POLL_SECONDS)

    def _all_jobs(self, readiness: Future[None]) -> tuple[int, Mapping[str, str]]:
        """Wait until every job has sent, as long as that can take. What is missing then is returned, not an error."""
        # An agent that was not touched has been sending all the time: what it did lately counts, and waiting is no use.
        since = self.start.floor if self.renewed else self.start.time - 2 * self.interval
        patience = INTERVALS_FOR_ALL_JOBS * self.interval + agent.BATCH_DEADLINE_SECONDS if self.renewed else 0.0
        deadline: float | None = None
        while True:
            if readiness.done():
                readiness.result()
                if deadline is None:
                    deadline = self.clock() + patience
            late = deadline is not None and self.clock() >= deadline
            try:
                samples = self.watch.samples(self.wanted.instance)
            except QueryError as error:
                if late:
                    raise self._failed("can be read any more", None, error) from error
            else:
                missing = missing_jobs(samples.jobs if samples else {}, self.jobs, since)
                if late or (deadline is not None and not missing):
                    return (samples.series if samples else 0), missing
            self.sleep(POLL_SECONDS)

    def _failed(self, what: str, newest: float | None, failure: QueryError | None) -> ProofError:
        """Say which link of the way is broken, and what was seen of each, so that the operator knows where to look."""
        seen, notes = self._look_around(newest, failure)
        broken = broken_link(seen)
        if failure is not None:
            notes.insert(0, str(failure))
        elif newest is None:
            notes.insert(0, "queries are answered, but there is no sample of it")
        else:
            notes.insert(0, f"queries are answered, its newest sample is {seen.now - newest:.0f} s old")
        if seen.messages:
            notes.append("last messages of the agent: " + " | ".join(seen.messages))
        else:
            notes.append("the agent reports no error of remote write")
        return ProofError(
            f"no sample of {self.wanted.instance!r} {what}; broken link: {broken.link}, {broken.message}. "
            f"Seen: {'; '.join(notes)}",
            link=broken.link,
            advice=f"{broken.advice}. It writes to {self.wanted.remote_write_url}",
            details={"seen": notes},
        )

    def _look_around(self, newest: float | None, failure: QueryError | None) -> tuple[Seen, list[str]]:
        """What can be seen of the way, and what could not be looked at. Nothing of it is itself a failure."""
        notes: list[str] = []
        seen = Seen(started=self.start.time, newest=newest, newest_before=self.start.newest)
        try:
            if failure is not None:
                raise failure
            name = self.wanted.instance
            seen = replace(seen, now=observer_time(self.api), ahead=has_samples_ahead(self.api, name))
        except QueryError as error:
            seen = replace(seen, query_failure=error.message)
        try:
            seen = self._look_at_agent(seen)
        except ObservabilityError as error:
            notes.append(f"its agent cannot be looked at: {error}")
        if self.observer is not None:
            # Who may register need not see the observer's workloads.
            with suppress(ObservabilityError):
                workloads = [
                    item
                    for kind in ("Deployment", "StatefulSet")
                    for item in self.observer.list("apps/v1", kind, self.api.namespace)
                ]
                seen = replace(seen, unready=unready_components(workloads))
        return seen, notes

    def _look_at_agent(self, seen: Seen) -> Seen:
        namespace, url = self.wanted.namespace, self.wanted.remote_write_url
        selector = ",".join(
            f"{name}={self.wanted.labels[name]}" for name in ("app.kubernetes.io/name", "app.kubernetes.io/instance")
        )
        for pod in self.kaas.list("v1", "Pod", namespace, label_selector=selector):
            name = pod["metadata"]["name"]
            log = self.kaas.logs(name, namespace, agent.CONTAINER, LOG_LINES)
            seen = replace(seen, messages=[*seen.messages, *remote_write_errors(log, url)])
            # The counters tell what the log leaves out; a pod that is about to go has none.
            with suppress(ObservabilityError, ValueError):
                body = self.kaas.pod_get(namespace, name, agent.PORT, "/metrics")
                time_of_newest, accepted = remote_write_state(body, url)
                seen = replace(seen, agent_time=time_of_newest, accepted=accepted)
        return seen


def remote_write_state(metrics: bytes, url: str) -> tuple[float | None, float | None]:
    """Of an agent's own metrics: the time of the newest sample that it has, and how many it got rid of at ``url``.

    Raises ValueError for what are no metrics.
    """
    found = parse(metrics, (_TIME, _ATTEMPTS, *_IN_VAIN))

    def total(*names: str) -> float | None:
        values = [metric.value for name in names for metric in found.get(name, []) if metric.labels.get("url") == url]
        return sum(values) if values else None

    # Zero as long as there is no sample.
    newest, attempts = total(_TIME) or None, total(_ATTEMPTS)
    return newest, None if attempts is None else attempts - (total(*_IN_VAIN) or 0.0)
