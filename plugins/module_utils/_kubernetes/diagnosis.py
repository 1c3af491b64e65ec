# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a workload is not ready, in the words of its pods, containers, events and logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    Manifest,
    ObjectKey,
    conditions_of,
    is_terminating,
    status_of,
)

_EVENTS = 3
_PODS = 2
_LOG_LINES = 10

# The Prometheus Operator makes pods for these, and labels them.
OPERATED = frozenset({"Prometheus", "Alertmanager"})


def diagnose(client: KubernetesClient, key: ObjectKey) -> str:
    """Return why a workload is not ready: its pods, the states of their containers, warnings, last log lines.

    Several lines of text, empty when there is nothing to tell. What we are not allowed to read is left out.
    """
    manifest = _allowed(partial(client.get, key.api_version, key.kind, key.name, key.namespace), None)
    if manifest is None:
        return ""
    lines = [
        f"  {condition['type']}: {condition.get('message', '')}"
        for condition in conditions_of(manifest).values()
        if (condition["type"], condition.get("status")) in (("ReplicaFailure", "True"), ("Progressing", "False"))
    ]
    lines += _warnings(client, key.kind, key.name, key.namespace)
    if key.kind in OPERATED or "matchLabels" in ((manifest.get("spec") or {}).get("selector") or {}):
        current = _allowed(partial(current_pods, client, manifest), [])
        names = {pod["metadata"]["name"] for pod in current}
        pods = current + [pod for pod in _allowed(partial(_pods, client, manifest), []) if _name(pod) not in names]
        unready = [pod for pod in pods if not _pod_is_ready(pod)]
        if not pods:
            lines.append("  it has no pods")
        for pod in unready[:_PODS]:
            lines += _describe_pod(client, pod)
        if len(unready) > _PODS:
            lines.append(f"  and {len(unready) - _PODS} more pods")
    return "\n".join(lines)


def _describe_pod(client: KubernetesClient, pod: Manifest) -> list[str]:
    name, namespace = _name(pod), pod["metadata"]["namespace"]
    phase = "Terminating" if is_terminating(pod) else status_of(pod).get("phase", "Unknown")
    scheduled = conditions_of(pod).get("PodScheduled", {})
    lines = [f"  pod {name} ({phase})"]
    if scheduled.get("status") == "False":
        lines[0] += f": {scheduled.get('reason', '')}: {scheduled.get('message', '')}"
    if status_of(pod).get("reason"):
        lines[0] += f": {status_of(pod)['reason']}: {status_of(pod).get('message', '')}"
    with_log = ""
    for status in container_statuses(pod):
        text = container_state(status)
        if text:
            lines.append(f"    container {status['name']}: {text}")
            with_log = with_log or (status["name"] if _has_run(status) else "")
    lines += [f"  {line}" for line in _warnings(client, "Pod", name, namespace)]
    for claim in _claims(pod):
        lines += [f"  {line}" for line in _warnings(client, "PersistentVolumeClaim", claim, namespace)]
    if with_log:
        log = _allowed(partial(client.logs, name, namespace, with_log, _LOG_LINES), "").strip()
        if log:
            lines.append(f"    last log lines of {with_log}:")
            lines += [f"      {line}" for line in log.splitlines()[-_LOG_LINES:]]
    return lines


def container_state(status: Mapping[str, Any]) -> str:
    """Return in words why a container is not ready; empty for one that is, or that ended well."""
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated")
    terminated = state.get("terminated")
    if status.get("ready") or (terminated and terminated.get("exitCode") == 0):
        return ""
    if state.get("waiting"):
        waiting = state["waiting"]
        parts = [": ".join(part for part in (waiting.get("reason", "waiting"), waiting.get("message", "")) if part)]
    elif terminated:
        parts = [_ended(terminated)]
    elif "running" in state:
        parts = ["running, but not ready"]
    else:
        return ""
    if last:
        parts.append(f"before: {_ended(last)}")
    if status.get("restartCount"):
        parts.append(f"{status['restartCount']} restarts")
    return "; ".join(parts)


def _ended(terminated: Mapping[str, Any]) -> str:
    text = f"ended with {terminated.get('exitCode')} ({terminated.get('reason', 'Error')})"
    message = (terminated.get("message") or "").strip()
    return f"{text}: {message}" if message else text


def _has_run(status: Mapping[str, Any]) -> bool:
    states = {**(status.get("lastState") or {}), **(status.get("state") or {})}
    return "running" in states or "terminated" in states


def _warnings(client: KubernetesClient, kind: str, name: str, namespace: str) -> list[str]:
    """Return the last warnings about an object, one line per reason and message."""
    selector = f"involvedObject.kind={kind},involvedObject.name={name},type=Warning"
    events = _allowed(partial(client.list, "v1", "Event", namespace, field_selector=selector), [])
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    lines = [f"  {event.get('reason', '')}: {' '.join((event.get('message') or '').split())}" for event in events]
    return list(dict.fromkeys(lines))[-_EVENTS:]


def _allowed(call: Callable[[], Any], otherwise: Any) -> Any:
    """Return what a call gives; a diagnosis says what it can and is never itself the failure."""
    try:
        return call()
    except ApiError:
        return otherwise


def _name(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def container_statuses(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statuses of a pod's containers, those of init containers first."""
    status = status_of(pod)
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _pod_is_ready(pod: Mapping[str, Any]) -> bool:
    return conditions_of(pod).get("Ready", {}).get("status") == "True"


def _claims(pod: Mapping[str, Any]) -> list[str]:
    volumes = (pod.get("spec") or {}).get("volumes") or []
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]


def pod_labels(workload: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that select the pods of a workload."""
    if workload["kind"] in OPERATED:
        # What the operator's own StatefulSet selects by, see makeStatefulSetSpec there
        return {
            "app.kubernetes.io/managed-by": "prometheus-operator",
            "app.kubernetes.io/name": workload["kind"].lower(),
            "app.kubernetes.io/instance": workload["metadata"]["name"],
        }
    return dict((workload["spec"].get("selector") or {}).get("matchLabels") or {})


def _pods(client: KubernetesClient, workload: Mapping[str, Any], **more: str) -> list[Manifest]:
    labels = {**pod_labels(workload), **more}
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return client.list("v1", "Pod", workload["metadata"].get("namespace", ""), label_selector=selector)


def current_pods(client: KubernetesClient, workload: Mapping[str, Any]) -> list[Manifest]:
    """Return the pods of the wanted revision: earlier ones may well be crashing, that is what the change mends."""
    metadata = workload["metadata"]
    match workload["kind"]:
        case "StatefulSet":
            revision = status_of(workload).get("updateRevision")
            return _pods(client, workload, **{"controller-revision-hash": revision}) if revision else []
        case "DaemonSet":
            generation = (metadata.get("annotations") or {}).get("deprecated.daemonset.template.generation")
            return _pods(client, workload, **{"pod-template-generation": generation}) if generation else []
        case "Prometheus" | "Alertmanager":
            return _pods(client, workload)
        case "Deployment":
            template = _current_template(client, workload)
            return _pods(client, workload, **{"pod-template-hash": template}) if template else []
    return []


def _current_template(client: KubernetesClient, deployment: Mapping[str, Any]) -> str | None:
    revision = "deployment.kubernetes.io/revision"
    metadata = deployment["metadata"]
    current = (metadata.get("annotations") or {}).get(revision)
    for replica_set in client.list("apps/v1", "ReplicaSet", metadata["namespace"]):
        owned = any(
            owner.get("uid") == metadata["uid"] for owner in replica_set["metadata"].get("ownerReferences") or []
        )
        if owned and current and (replica_set["metadata"].get("annotations") or {}).get(revision) == current:
            return str((replica_set["metadata"].get("labels") or {}).get("pod-template-hash", "")) or None
    return None
