# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that ends a registration: a sample of that cluster, newer than the start, read where operators read."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError, ProofError
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    Watch,
    missing_jobs,
    observer_time,
)

POLL_SECONDS = 0.5
# A scrape may just have been missed, the next is one interval away; half of one more for a slow target.
INTERVALS_FOR_ALL_JOBS = 1.5
LOG_LINES = 400
SHOWN_LOG_LINES = 5
_LOG_OF_INTEREST = re.compile(r"level=(WARN|ERROR)|level=(warn|error)|\berr=", re.IGNORECASE)
_LOG_OF_REMOTE_WRITE = re.compile(r"component=remote|remote_name=|remote[ _-]?write", re.IGNORECASE)


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


class LogReader(Protocol):
    """The part of the Kubernetes client that tells why nothing arrives."""

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[dict[str, Any]]: ...

    def logs(
        self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False
    ) -> str: ...


def observe_start(watch: Watch, cluster: str) -> Start:
    """Raises QueryError: without the query path nothing can be proven, so nothing is begun."""
    return Start(*watch.time_and_newest(cluster))


@dataclass(frozen=True)
class Proof:
    """How to prove one cluster's samples.

    ``api`` reads on the observer, ``kaas`` logs in the cluster; ``started`` is ``clock()`` at the start of the run;
    ``renewed`` tells that the agent was changed, so that each job has to send anew; ``timeout`` in seconds counts
    from when the agent is ready, because starting its image is not what is proven.
    """

    api: QueryApi
    watch: Watch
    kaas: LogReader
    wanted: agent.Agent
    jobs: Sequence[str]
    interval: float
    start: Start
    started: float
    renewed: bool
    timeout: float
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
                raise self._failed(newest, failure)
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
            except QueryError:
                if late:
                    raise
            else:
                missing = missing_jobs(samples.jobs if samples else {}, self.jobs, since)
                if late or (deadline is not None and not missing):
                    return (samples.series if samples else 0), missing
            self.sleep(POLL_SECONDS)

    def _failed(self, newest: float | None, failure: QueryError | None) -> ProofError:
        """Say what was seen on each part of the way, so that the operator knows where to look."""
        name = self.wanted.instance
        if failure is not None:
            seen = [str(failure)]
        elif newest is None:
            seen = ["queries are answered, but there is no sample of it"]
        else:
            age = observer_time(self.api) - newest
            seen = [f"queries are answered, its newest sample is {age:.0f} s old"]
            if newest > (self.start.newest or 0.0):
                seen.append(
                    "samples do come, but they are older than the start: its clock is behind the observer's, "
                    "or it is still sending what it had kept"
                )
        lines = self._remote_write_errors()
        if lines:
            seen.append("last messages of the agent: " + " | ".join(lines))
        else:
            seen.append("the agent reports no error of remote write")
        return ProofError(
            f"no sample of {name!r} came through within {self.timeout:.0f} s after its agent was ready: "
            + "; ".join(seen),
            advice=f"Check that pods there reach {self.wanted.remote_write_url} and that it is the observer's gateway",
            details={"seen": seen},
        )

    def _remote_write_errors(self) -> list[str]:
        namespace = self.wanted.namespace
        selector = ",".join(
            f"{name}={self.wanted.labels[name]}" for name in ("app.kubernetes.io/name", "app.kubernetes.io/instance")
        )
        lines: list[str] = []
        try:
            for pod in self.kaas.list("v1", "Pod", namespace, label_selector=selector):
                log = self.kaas.logs(pod["metadata"]["name"], namespace, agent.CONTAINER, LOG_LINES)
                lines += remote_write_errors(log)
        except ObservabilityError as error:
            lines.append(f"its log cannot be read: {error}")
        return lines[-SHOWN_LOG_LINES:]


def remote_write_errors(log: str) -> list[str]:
    """Of an agent's log, the warnings and errors of remote write, each once, the last one last."""
    found: dict[str, None] = {}
    for line in log.splitlines():
        if _LOG_OF_INTEREST.search(line) and _LOG_OF_REMOTE_WRITE.search(line):
            # The same but for its time is the same.
            text = re.sub(r"^(ts|time)=\S+\s+", "", line).strip()
            found.pop(text, None)
            found[text] = None
    return list(found)[-SHOWN_LOG_LINES:]
