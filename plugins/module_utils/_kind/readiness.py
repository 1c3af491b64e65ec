# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a KinD cluster still lacks, from its objects. Pure.

Imports nothing but its neighbour, so that the lab can use it from the checkout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from .containers import moment

# Without these a cluster cannot run what the collection deploys: name, namespace, labels, how long they must have run.
# The provisioner has no probe, and ends at once when it was started before kube-proxy showed it the API server
REQUIRED_PODS: tuple[tuple[str, str, Mapping[str, str], timedelta], ...] = (
    ("CoreDNS", "kube-system", {"k8s-app": "kube-dns"}, timedelta()),
    ("kube-proxy", "kube-system", {"k8s-app": "kube-proxy"}, timedelta()),
    ("the storage provisioner", "local-path-storage", {}, timedelta(seconds=5)),
)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def unready(objects: Iterable[Mapping[str, Any]], since: datetime, now: datetime) -> list[str]:
    """What a cluster still lacks, from its nodes, pods and storage classes.

    Only what the kubelet saw after `since`, the start of the node's container, counts: an API server that came back
    first repeats what was true before.
    """
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for item in objects:
        by_kind.setdefault(item["kind"], []).append(item)
    lacking = []
    nodes = by_kind.get("Node", [])
    if not nodes or not all(_condition(node, "Ready") for node in nodes):
        lacking.append("a Ready node")
    for title, namespace, labels, duration in REQUIRED_PODS:
        pods = [pod for pod in by_kind.get("Pod", []) if _selected(pod, namespace, labels)]
        if not any(_condition(pod, "Ready") and _started_within(pod, since, now - duration) for pod in pods):
            lacking.append(title)
    classes = by_kind.get("StorageClass", [])
    if not any(item["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true" for item in classes):
        lacking.append("a default storage class")
    return lacking


def _selected(pod: Mapping[str, Any], namespace: str, labels: Mapping[str, str]) -> bool:
    metadata = pod["metadata"]
    present = metadata.get("labels", {})
    return metadata["namespace"] == namespace and all(present.get(name) == value for name, value in labels.items())


def _condition(item: Mapping[str, Any], name: str) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(condition["type"] == name and condition["status"] == "True" for condition in conditions)


def _started_within(pod: Mapping[str, Any], since: datetime, until: datetime) -> bool:
    states = [status.get("state", {}).get("running") for status in pod["status"].get("containerStatuses", [])]
    # Kubernetes' times have whole seconds
    since = since.replace(microsecond=0)
    return bool(states) and all(state and since <= moment(state["startedAt"]) <= until for state in states)
