# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting and diagnosis against a real API server; the tests play the controllers' part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api

from ansible_collections.scs.observability.plugins.module_utils._core.errors import NotReadyError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_gone, wait_ready

LABELS = {"app": "query"}
CONTAINER = {"name": "query", "image": "quay.io/thanos/thanos:v0.0.0"}


class Time:
    """A clock that goes on when somebody sleeps, and lets the controllers work meanwhile."""

    def __init__(self, meanwhile: Callable[[float], None] = lambda now: None) -> None:
        self.now = 0.0
        self._meanwhile = meanwhile

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._meanwhile(self.now)


@pytest.fixture
def query(admin: KubernetesClient, namespace: str) -> ObjectKey:
    """Return a Deployment that the API server has and no controller has seen."""
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
    admin.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "query", "namespace": namespace},
            "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template},
        }
    )
    return ObjectKey("apps/v1", "Deployment", namespace, "query")


def replica_set(other: ApiClient, admin: KubernetesClient, key: ObjectKey, revision: str) -> dict[str, str]:
    """Make the ReplicaSet of a revision; return the labels of its pods."""
    owner = admin.get(key.api_version, key.kind, key.name, key.namespace)
    assert owner is not None
    labels = {**LABELS, "pod-template-hash": f"hash{revision}"}
    reference = {"apiVersion": key.api_version, "kind": key.kind, "name": key.name, "uid": owner["metadata"]["uid"]}
    metadata = {
        "name": f"query-hash{revision}",
        "labels": labels,
        "annotations": {"deployment.kubernetes.io/revision": revision},
        "ownerReferences": [{**reference, "controller": True}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    AppsV1Api(other).create_namespaced_replica_set(key.namespace, {"metadata": metadata, "spec": spec})
    return labels


def pod(other: ApiClient, namespace: str, name: str, labels: dict[str, str], waiting: dict[str, str]) -> None:
    core = CoreV1Api(other)
    core.create_namespaced_pod(
        namespace, {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [CONTAINER]}}
    )
    status = {**CONTAINER, "imageID": "", "ready": False, "restartCount": 9, "state": {"waiting": waiting}}
    core.patch_namespaced_pod_status(name, namespace, {"status": {"phase": "Pending", "containerStatuses": [status]}})


def warn(other: ApiClient, namespace: str, name: str, reason: str, message: str) -> None:
    event = {
        "metadata": {"name": f"{name}.{reason.lower()}"},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": name},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    CoreV1Api(other).create_namespaced_event(namespace, event)


def seen(other: ApiClient, key: ObjectKey, **status: Any) -> None:
    """Be the controller that has seen the Deployment."""
    apps = AppsV1Api(other)
    annotations = {"deployment.kubernetes.io/revision": "2"}
    live = apps.patch_namespaced_deployment(key.name, key.namespace, {"metadata": {"annotations": annotations}})
    status["observedGeneration"] = live.metadata.generation
    apps.patch_namespaced_deployment_status(key.name, key.namespace, {"status": status})


def test_it_waits_until_the_controller_says_so(admin: KubernetesClient, other: ApiClient, query: ObjectKey) -> None:
    def controller(now: float) -> None:
        if now > 3:
            counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
            seen(other, query, **counts)

    time = Time(controller)
    wait_ready(admin, [query], 60, clock=time.clock, sleep=time.sleep)
    assert 3 < time.now < 10


def test_it_gives_up_on_an_image_that_cannot_be_pulled_and_says_so(
    admin: KubernetesClient, other: ApiClient, query: ObjectKey
) -> None:
    seen(other, query, replicas=2, updatedReplicas=1, unavailableReplicas=1)
    old, new = (replica_set(other, admin, query, revision) for revision in ("1", "2"))
    # The earlier revision crashes: no reason to give up on the change that mends it.
    pod(other, query.namespace, "query-old", old, {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"})
    time = Time()
    with pytest.raises(NotReadyError, match="after 20 s"):
        wait_ready(admin, [query], 20, clock=time.clock, sleep=time.sleep)

    message = 'Back-off pulling image "quay.io/thanos/thanos:v0.0.0"'
    pod(other, query.namespace, "query-new", new, {"reason": "ImagePullBackOff", "message": message})
    warn(other, query.namespace, "query-new", "Failed", "manifest unknown")
    warn(other, query.namespace, "query-gone", "Failed", "of another pod")
    with pytest.raises(NotReadyError) as refused:
        wait_ready(admin, [query], 300, clock=time.clock, sleep=time.sleep)
    assert time.now < 20 + 60
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"apps/v1 Deployment {query.namespace}/query is not ready and will not be")
    assert lines[1:4] == [
        "  pod query-new (Pending)",
        f"    container query: ImagePullBackOff: {message}; 9 restarts",
        "    Failed: manifest unknown",
    ]
    assert "of another pod" not in str(refused.value)


def test_it_waits_until_it_is_gone(admin: KubernetesClient, query: ObjectKey) -> None:
    def somebody(now: float) -> None:
        if now > 3:
            admin.delete(*query[:2], query.name, query.namespace)

    time = Time(somebody)
    wait_gone(admin, [query], 60, clock=time.clock, sleep=time.sleep)
    assert 3 < time.now < 10
    assert admin.get(*query[:2], query.name, query.namespace) is None
