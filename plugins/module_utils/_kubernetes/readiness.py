# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When is a workload ready, and if it does not get there: which pod, which container, why.

The predicates are pure functions of an object. Waiting ends early when it is clear that it cannot succeed: an image
that cannot be pulled, a container that crashes again and again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ansible_collections.scs.observability.plugins.module_utils._core.errors import NotReadyError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.diagnosis import (
    container_statuses,
    current_pods,
    diagnose,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    Manifest,
    ObjectKey,
    conditions_of,
    is_terminating,
    status_of,
)

__all__ = ["diagnose", "troubles", "unready_reason", "wait_gone", "wait_ready"]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
PAUSE_GROWTH = 1.4

# Seconds before pods are looked at for the first time, and between looks: most workloads are ready by then.
POD_LOOK_AFTER = 5.0
POD_LOOK_EVERY = 3.0
# Seconds that such a state must last without a break: a registry may hiccup, a Secret may come a moment later.
GRACE = 30.0
CRASHES = 4

# Annotation of a workload that the others work without: when its image cannot be had, nobody waits for it.
OPTIONAL = "observability.scs.community/optional"

_IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"})
_CONFIGURATION = frozenset({"CreateContainerConfigError", "CreateContainerError"})


# Predicates: None when ready, else why not yet


def unready_reason(manifest: Mapping[str, Any] | None) -> str | None:
    """Return why an object is not ready, None when it is (kinds that have no readiness are, when they are there)."""
    if manifest is None:
        return "is not there"
    predicate = _PREDICATES.get(manifest["kind"])
    return predicate(manifest) if predicate else None


def _unseen(manifest: Mapping[str, Any]) -> bool:
    return int(status_of(manifest).get("observedGeneration", 0)) < int(manifest["metadata"].get("generation", 0))


def _deployment(manifest: Mapping[str, Any]) -> str | None:
    status, wanted = status_of(manifest), _replicas(manifest)
    updated = status.get("updatedReplicas", 0)
    if _unseen(manifest):
        return "its controller has not seen the change yet"
    if updated < wanted:
        return f"{updated} of {wanted} replicas are of the wanted revision"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} replicas of an earlier revision are still there"
    return _too_few("replicas are available", status.get("availableReplicas", 0), wanted)


def _stateful_set(manifest: Mapping[str, Any]) -> str | None:
    status, wanted = status_of(manifest), _replicas(manifest)
    if _unseen(manifest):
        return "its controller has not seen the change yet"
    if status.get("replicas", 0) > wanted:
        return f"{status['replicas'] - wanted} replicas too many are still there"
    strategy = manifest["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        to_update = wanted - min(wanted, (strategy.get("rollingUpdate") or {}).get("partition") or 0)
        # When current and update revision are one, controllers count all replicas as current and none as updated.
        settled = status.get("currentRevision") == status.get("updateRevision")
        updated = status.get("updatedReplicas", wanted if settled else 0)
        if not settled and updated < to_update:
            return f"{updated} of {to_update} replicas are of the wanted revision"
    return _too_few("replicas are ready", status.get("readyReplicas", 0), wanted) or _too_few(
        "replicas are available", status.get("availableReplicas", 0), wanted
    )


def _daemon_set(manifest: Mapping[str, Any]) -> str | None:
    status = status_of(manifest)
    if _unseen(manifest):
        return "its controller has not seen the change yet"
    wanted = status.get("desiredNumberScheduled", 0)
    return _too_few("pods are of the wanted revision", status.get("updatedNumberScheduled", 0), wanted) or _too_few(
        "pods are available", status.get("numberAvailable", 0), wanted
    )


def _operated(manifest: Mapping[str, Any]) -> str | None:
    """Of the Prometheus Operator, which says in conditions how far it is."""
    conditions = conditions_of(manifest)
    reconciled, available = conditions.get("Reconciled", {}), conditions.get("Available", {})
    seen = min(int(condition.get("observedGeneration", 0)) for condition in (reconciled, available))
    if seen < int(manifest["metadata"].get("generation", 0)):
        return "its operator has not seen the change yet"
    if reconciled.get("status") != "True":
        return f"its operator cannot make it: {reconciled.get('message', '')}"
    if available.get("status") != "True":
        return f"is not available: {available.get('message', '')}"
    status, wanted = status_of(manifest), _replicas(manifest)
    return _too_few("replicas are of the wanted revision", status.get("updatedReplicas", 0), wanted)


def _definition(manifest: Mapping[str, Any]) -> str | None:
    conditions = conditions_of(manifest)
    if conditions.get("NamesAccepted", {}).get("status") == "False":
        return f"its names are taken: {conditions['NamesAccepted'].get('message', '')}"
    return None if conditions.get("Established", {}).get("status") == "True" else "is not established"


def _job(manifest: Mapping[str, Any]) -> str | None:
    conditions = conditions_of(manifest)
    if conditions.get("Complete", {}).get("status") == "True":
        return None
    failed = conditions.get("Failed", {})
    return f"failed: {failed.get('message', '')}" if failed.get("status") == "True" else "has not completed"


def _namespace(manifest: Mapping[str, Any]) -> str | None:
    return "is being deleted" if is_terminating(manifest) else None


def _service(manifest: Mapping[str, Any]) -> str | None:
    if manifest["spec"].get("type") != "LoadBalancer" or (status_of(manifest).get("loadBalancer") or {}).get("ingress"):
        return None
    return "no load balancer has given it an address"


def _too_few(what: str, count: int, wanted: int) -> str | None:
    return f"{count} of {wanted} {what}" if count < wanted else None


def _replicas(manifest: Mapping[str, Any]) -> int:
    replicas = manifest["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


_PREDICATES: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Prometheus": _operated,
    "Alertmanager": _operated,
    "CustomResourceDefinition": _definition,
    "Job": _job,
    "Namespace": _namespace,
    "Service": _service,
}


# Waiting


def wait_ready(
    client: KubernetesClient,
    keys: Sequence[ObjectKey],
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Wait until all objects are ready, at most ``timeout`` seconds.

    Raises NotReadyError with a diagnosis when the time is over or it is clear that waiting is of no use. Workloads that
    are OPTIONAL are left out when their image cannot be pulled; what is returned tells of them.
    """
    start = clock()
    next_pod_look = start + POD_LOOK_AFTER
    pause = FIRST_PAUSE
    hopeless = _Hopeless()
    left_out: dict[ObjectKey, str] = {}
    while True:
        objects = client.parallel([partial(_get, client, key) for key in keys])
        waiting = {
            key: (manifest, reason)
            for key, manifest in zip(keys, objects, strict=True)
            if key not in left_out and (reason := unready_reason(manifest)) is not None
        }
        if not waiting:
            return list(left_out.values())
        now = clock()
        if now >= start + timeout:
            raise _not_ready(
                client, {key: reason for key, (_ignored, reason) in waiting.items()}, f"after {timeout:.0f} s"
            )
        workloads = {key: manifest for key, (manifest, _ignored) in waiting.items() if manifest is not None}
        # When there is nothing else to wait for, an image that is missing since an earlier run takes no time.
        if now >= next_pod_look or all(is_optional(manifest) for manifest, _ignored in waiting.values()):
            next_pod_look = now + POD_LOOK_EVERY
            pods = client.parallel([partial(current_pods, client, manifest) for manifest in workloads.values()])
            looked = dict(zip(workloads, pods, strict=True))
            missing = {key: _missing_images(found) for key, found in looked.items() if is_optional(workloads[key])}
            left_out |= {key: _left_out(key, images) for key, images in missing.items() if images}
            given_up = {
                key: waiting[key][1]
                for key, found in looked.items()
                if key not in left_out and hopeless.look(found, now)
            }
            if given_up:
                raise _not_ready(client, given_up, f"and will not be (given up after {now - start:.0f} s)")
        sleep(min(pause, max(start + timeout - now, 0.01)))
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)


def wait_gone(
    client: KubernetesClient,
    keys: Sequence[ObjectKey],
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until none of the objects is there any more; raises NotReadyError naming what is left and its finalizers."""
    start = clock()
    pause = FIRST_PAUSE
    while True:
        objects = client.parallel([partial(_get, client, key) for key in keys])
        left = {key: manifest for key, manifest in zip(keys, objects, strict=True) if manifest is not None}
        if not left:
            return
        now = clock()
        if now >= start + timeout:
            lines = [f"{key}{_finalizers(manifest)}" for key, manifest in left.items()]
            raise NotReadyError(
                f"still there after {timeout:.0f} s: {'; '.join(lines)}",
                details={"not_gone": [str(key) for key in left]},
            )
        sleep(min(pause, max(start + timeout - now, 0.01)))
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)


def _get(client: KubernetesClient, key: ObjectKey) -> Manifest | None:
    return client.get(key.api_version, key.kind, key.name, key.namespace)


def _finalizers(manifest: Manifest) -> str:
    finalizers = [
        *(manifest["metadata"].get("finalizers") or []),
        *((manifest.get("spec") or {}).get("finalizers") or [] if manifest["kind"] == "Namespace" else []),
    ]
    remaining = conditions_of(manifest).get("NamespaceContentRemaining", {}).get("message", "")
    text = f" (finalizers: {', '.join(finalizers)})" if finalizers else ""
    return f"{text} {remaining}".rstrip()


def _not_ready(client: KubernetesClient, reasons: Mapping[ObjectKey, str], when: str) -> NotReadyError:
    texts = [
        f"{key} is not ready {when}: {reason}\n{diagnose(client, key)}".rstrip() for key, reason in reasons.items()
    ]
    return NotReadyError("\n".join(texts), details={"not_ready": [str(key) for key in reasons]})


def is_optional(manifest: Mapping[str, Any] | None) -> bool:
    """Tell whether an object is one that others can do without."""
    annotations = ((manifest or {}).get("metadata") or {}).get("annotations") or {}
    return bool(annotations.get(OPTIONAL) == "true")


def _missing_images(pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """The images that pods wait for and cannot have."""
    found = []
    for pod in pods:
        containers = {trouble.container for trouble in troubles(pod) if trouble.cause == "image"}
        found += [item["image"] for item in pod["spec"].get("containers") or [] if item["name"] in containers]
    return list(dict.fromkeys(found))


def _left_out(key: ObjectKey, images: Iterable[str]) -> str:
    return (
        f"{key} does not run, as its image cannot be pulled: {', '.join(images)}. The others work without it; "
        "it starts by itself when the image can be had."
    )


class Trouble(NamedTuple):
    """What keeps a container from running: a class of causes and how Kubernetes calls it."""

    container: str
    cause: str
    lasting: bool
    """It has lasted long enough by what the pod itself tells."""


class _Hopeless:
    """Remembers since when containers have been in trouble."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str, str], float] = {}

    def look(self, pods: Iterable[Mapping[str, Any]], now: float) -> bool:
        """Tell whether one of the pods has no hope to run."""
        verdict = False
        for pod in pods:
            uid = pod["metadata"].get("uid", pod["metadata"]["name"])
            current = {(uid, trouble.container, trouble.cause): trouble.lasting for trouble in troubles(pod)}
            for known in [known for known in self._since if known[0] == uid and known not in current]:
                del self._since[known]
            for trouble, lasting in current.items():
                since = self._since.setdefault(trouble, now)
                verdict = verdict or lasting or now - since >= GRACE
        return verdict


def troubles(pod: Mapping[str, Any]) -> list[Trouble]:
    """Return what keeps the containers of a pod from running and does not pass by itself."""
    found = []
    for status in container_statuses(pod):
        reason = ((status.get("state") or {}).get("waiting") or {}).get("reason", "")
        if reason in _IMAGE:
            found.append(Trouble(status["name"], "image", False))
        elif reason in _CONFIGURATION:
            found.append(Trouble(status["name"], "configuration", False))
        elif reason == "CrashLoopBackOff" and status.get("restartCount", 0) >= CRASHES:
            found.append(Trouble(status["name"], "crash", True))
    return found
