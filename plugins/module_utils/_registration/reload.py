# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running agent reads what is changed for it, at once: a restart would lose what it has not sent yet.

Prometheus looks at its configuration every second, but a kubelet brings changed ConfigMaps and Secrets into a pod only
when it looks at the pod: measured, after 67 to 86 s by itself, and after 0.5 to 1.6 s when the pod gets another
annotation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, NotReadyError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.kubelet import touch
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import is_terminating
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import apply_plan
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, workload

Manifest = dict[str, Any]

# A kubelet that was not told looks after a minute and a half at the latest.
TIMEOUT = 120.0
POLL_SECONDS = 0.5
# A kubelet may look before it has heard of the change.
TOUCH_SECONDS = 5.0
# It tries every second, and a certificate may come a moment later than its name.
REFUSALS = 20
LOG_LINES = 200

_LOADED = "Completed loading of configuration file"
_REFUSED = re.compile(r"level=(?:ERROR|error)\b.*msg=\"Error reloading config\"")


class LogReader(Protocol):
    """The part of the Kubernetes client that tells what an agent made of its configuration."""

    def logs(
        self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False
    ) -> str: ...


def apply_and_reload(
    kaas: KubernetesClient, plan: Plan, instance: str, namespace: str, *, force: bool = False, wait: bool = True
) -> None:
    """Carry out what changes in a KaaS cluster, and have the agent that runs there read it.

    A certificate goes last. Without it, what is queued could not be sent when the queue ends: the agent would try until
    its flush deadline, and scrape nothing meanwhile. Raises NotReadyError when the agent refuses its new configuration:
    it works on with the former one. Without ``wait`` nobody looks whether it does, unless a certificate has to go.
    """
    changed = {(change.kind, change.name) for change in plan.changes if change.namespace == namespace}
    last = tuple(change for change in plan.changes if change.action == "delete" and _is_identity(change, namespace))
    configured = ("ConfigMap", agent.NAME) in changed
    running: list[Manifest] = []
    # Another pod reads everything at its start.
    if ("Deployment", agent.NAME) not in changed and (
        configured or any(_is_identity(change, namespace) for change in plan.changes)
    ):
        running = _running(kaas, instance, namespace)
    readers = [
        Reader(kaas, pod["metadata"]["name"], namespace, partial(touch, kaas, pod))
        for pod in running
        if configured and (wait or last)
    ]
    for reader in readers:
        reader.start()
    apply_plan(kaas, Plan(tuple(change for change in plan.changes if change not in last)), force=force)
    kaas.parallel([partial(touch, kaas, pod) for pod in running])
    for reader in readers:
        reader.wait()
    apply_plan(kaas, Plan(last))


def _is_identity(change: Change, namespace: str) -> bool:
    return change.kind == "Secret" and change.namespace == namespace and change.name in agent.IDENTITY_SECRETS


def _running(kaas: KubernetesClient, instance: str, namespace: str) -> list[Manifest]:
    labels = workload.selector(agent.Agent(instance, namespace, "").labels)
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    return [pod for pod in kaas.list("v1", "Pod", namespace, selector) if not is_terminating(pod)]


@dataclass
class Reader:
    """Tells by an agent's log what it made of its new configuration: its metrics are not reachable everywhere."""

    kaas: LogReader
    pod: str
    namespace: str
    touch: Callable[[], None]
    timeout: float = TIMEOUT
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _last: str | None = field(default=None, init=False)

    def start(self) -> None:
        """Remember where the log ends now."""
        with suppress(ApiError):
            lines = self._lines()
            self._last = lines[-1] if lines else None

    def wait(self) -> None:
        """Wait until the new configuration is loaded. Without a log to be read, what comes after has to tell."""
        if self._last is None:
            return
        start = self.clock()
        touched = start
        while True:
            lines = lines_of_pod = self._lines()
            if self._last in lines:
                lines = lines[len(lines) - lines[::-1].index(self._last) :]
            # A pod that is gone has a successor, which reads everything at its start.
            if not lines_of_pod or any(_LOADED in line for line in lines):
                return
            refused = [line for line in lines if _REFUSED.search(line)]
            now = self.clock()
            if now - start >= self.timeout or len(refused) >= REFUSALS:
                raise NotReadyError(
                    f"the agent {self.namespace}/{self.pod} has not loaded its new configuration after "
                    f"{now - start:.0f} s" + (f": {refused[-1]}" if refused else ""),
                    advice="It works on with the former one",
                )
            if now - touched >= TOUCH_SECONDS:
                self.touch()
                touched = now
            self.sleep(POLL_SECONDS)

    def _lines(self) -> list[str]:
        return self.kaas.logs(self.pod, self.namespace, agent.CONTAINER, LOG_LINES).splitlines()
