# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.diagnosis import container_state, diagnose
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey

from .conftest import Answer, ScriptedApi, failure
from .workloads import (
    MISCONFIGURED,
    PULLING,
    RUNNING,
    container,
    crashing,
    deployment,
    pod,
    replica_set,
    stateful_set,
)

RECEIVE = ObjectKey("apps/v1", "StatefulSet", "ns", "receive")
PODS = "/api/v1/namespaces/ns/pods"
EVENTS = "/api/v1/namespaces/ns/events"


@pytest.fixture
def receive(api: ScriptedApi) -> ScriptedApi:
    api.on(
        "GET",
        "/apis/apps/v1/namespaces/ns/statefulsets/receive",
        stateful_set(observedGeneration=2, replicas=3, readyReplicas=2, updateRevision="receive-9f"),
    )
    return api


def event(reason: str, message: str, at: str | None = None, **more: Any) -> dict[str, Any]:
    return {"reason": reason, "message": message, "lastTimestamp": at, **more}


def test_a_crash(receive: ScriptedApi, client: KubernetesClient) -> None:
    receive.on("GET", PODS, {"items": [pod("receive-0", RUNNING), pod("receive-1", crashing(5))]})
    lines = [f'level=error msg="line {number}"' for number in range(14)]
    receive.on("GET", f"{PODS}/receive-1/log", Answer(body="\n".join(lines).encode()))
    assert diagnose(client, RECEIVE).splitlines() == [
        "  pod receive-1 (Running)",
        "    container receive: CrashLoopBackOff: back-off 40s restarting failed container=receive; "
        "before: ended with 1 (Error): unknown flag --tsdb; 5 restarts",
        "    last log lines of receive:",
        *[f"      {line}" for line in lines[-10:]],
    ]


def test_an_image_that_cannot_be_pulled_and_the_last_warnings(receive: ScriptedApi, client: KubernetesClient) -> None:
    receive.on("GET", PODS, {"items": [pod("receive-0", PULLING, phase="Pending")]})
    receive.on(
        "GET",
        EVENTS,
        {"items": []},
        {
            "items": [
                event("Failed", "Error:\n  ErrImagePull", "2026-01-01T00:00:03Z"),
                event("Oldest", "no longer of interest", "2026-01-01T00:00:01Z"),
                event("BackOff", "Back-off pulling image", None, eventTime="2026-01-01T00:00:04Z"),
                event("Failed", "Error: ErrImagePull", "2026-01-01T00:00:05Z"),
                event("Failed", "manifest unknown", "2026-01-01T00:00:02Z"),
            ]
        },
    )
    assert diagnose(client, RECEIVE).splitlines() == [
        "  pod receive-0 (Pending)",
        '    container receive: ImagePullBackOff: Back-off pulling image "quay.io/thanos/thanos:v0.0.0"',
        "    Failed: manifest unknown",
        "    Failed: Error: ErrImagePull",
        "    BackOff: Back-off pulling image",
    ]
    assert [request.query["fieldSelector"] for request in receive.requests if request.path == EVENTS] == [
        "involvedObject.kind=StatefulSet,involvedObject.name=receive,type=Warning",
        "involvedObject.kind=Pod,involvedObject.name=receive-0,type=Warning",
    ]


def test_a_pod_that_fits_nowhere(receive: ScriptedApi, client: KubernetesClient) -> None:
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims",
    }
    waiting = pod("receive-0", phase="Pending", conditions=[unscheduled], containerStatuses=None)
    waiting["status"]["conditions"][0]["status"] = "False"
    waiting["spec"]["volumes"] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-receive-0"}},
    ]
    receive.on("GET", PODS, {"items": [waiting]})
    warning = event("ProvisioningFailed", 'storageclass "fast" not found')
    receive.on("GET", EVENTS, {"items": []}, {"items": []}, {"items": [warning]})
    assert diagnose(client, RECEIVE).splitlines() == [
        "  pod receive-0 (Pending): Unschedulable: 0/1 nodes are available: "
        "pod has unbound immediate PersistentVolumeClaims",
        '    ProvisioningFailed: storageclass "fast" not found',
    ]


def test_a_container_that_runs_and_is_not_ready_tells_in_its_log(
    receive: ScriptedApi, client: KubernetesClient
) -> None:
    starting = container("init", waiting={"reason": "PodInitializing"})
    running = container("receive", running={"startedAt": "2026-01-01T00:00:00Z"})
    receive.on("GET", PODS, {"items": [pod("receive-0", starting, running)]})
    receive.on("GET", f"{PODS}/receive-0/log", Answer(body=b"replaying WAL\n"))
    assert diagnose(client, RECEIVE).splitlines()[-2:] == ["    last log lines of receive:", "      replaying WAL"]
    (log,) = [request for request in receive.requests if request.path.endswith("/log")]
    assert log.query == {"container": "receive", "tailLines": "10"}


def test_a_workload_without_pods(api: ScriptedApi, client: KubernetesClient) -> None:
    conditions = [
        {"type": "ReplicaFailure", "status": "True", "message": 'pods "query-x" is forbidden: exceeded quota'},
        {"type": "Available", "status": "False", "message": "not of interest"},
        {"type": "Progressing", "status": "True", "message": "not of interest either"},
    ]
    api.on("GET", "/apis/apps/v1/namespaces/ns/deployments/query", deployment(conditions=conditions))
    api.on("GET", PODS, {"items": []})
    assert diagnose(client, ObjectKey("apps/v1", "Deployment", "ns", "query")).splitlines() == [
        '  ReplicaFailure: pods "query-x" is forbidden: exceeded quota',
        "  it has no pods",
    ]


def test_a_service_tells_its_warnings_and_no_pods(api: ScriptedApi, client: KubernetesClient) -> None:
    metadata = {"name": "door", "namespace": "ns"}
    spec = {"type": "LoadBalancer", "selector": {"app": "door"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    api.on("GET", "/api/v1/namespaces/ns/services/door", service)
    events = [{"reason": "SyncLoadBalancerFailed", "message": "no quota for floating IPs"}]
    api.on("GET", "/api/v1/namespaces/ns/events", {"items": events})
    text = diagnose(client, ObjectKey("v1", "Service", "ns", "door"))
    assert text == "  SyncLoadBalancerFailed: no quota for floating IPs"


def test_pods_of_the_wanted_revision_come_first_and_the_others_are_counted(
    api: ScriptedApi, client: KubernetesClient
) -> None:
    api.on("GET", "/apis/apps/v1/namespaces/ns/deployments/query", deployment())
    api.on("GET", "/apis/apps/v1/namespaces/ns/replicasets", {"items": [replica_set("2", "new")]})
    gone = pod("query-gone", MISCONFIGURED)
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    old = [pod(f"query-old-{number}", crashing(9)) for number in range(3)]
    api.on("GET", PODS, {"items": [gone]}, {"items": [*old, gone]})
    lines = diagnose(client, ObjectKey("apps/v1", "Deployment", "ns", "query")).splitlines()
    assert [line for line in lines if line.startswith("  pod") or "more" in line] == [
        "  pod query-gone (Terminating)",
        "  pod query-old-0 (Running)",
        "  and 2 more pods",
    ]


def test_a_pod_that_was_evicted(receive: ScriptedApi, client: KubernetesClient) -> None:
    evicted = pod("receive-0", phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    evicted["status"]["conditions"] = []
    receive.on("GET", PODS, {"items": [evicted]})
    assert diagnose(client, RECEIVE) == "  pod receive-0 (Failed): Evicted: The node was low on resource: memory."


def test_a_workload_that_is_not_there_or_must_not_be_read(api: ScriptedApi, client: KubernetesClient) -> None:
    assert diagnose(client, RECEIVE) == ""
    api.on("GET", "/apis/apps/v1/namespaces/ns/statefulsets/receive", failure(403, "Forbidden", "no"))
    assert diagnose(client, RECEIVE) == ""


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (RUNNING, ""),
        (container("init", terminated={"exitCode": 0, "reason": "Completed"}), ""),
        (container("x"), ""),
        (container("x", running={"startedAt": "2026-01-01T00:00:00Z"}), "running, but not ready"),
        (container("x", waiting={"reason": "ContainerCreating"}), "ContainerCreating"),
        (
            container("x", terminated={"exitCode": 137, "reason": "OOMKilled"}, restarts=1),
            "ended with 137 (OOMKilled); 1 restarts",
        ),
    ],
)
def test_states_of_containers(status: dict[str, Any], text: str) -> None:
    assert container_state(status) == text
