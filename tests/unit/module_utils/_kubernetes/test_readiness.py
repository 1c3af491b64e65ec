# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import NotReadyError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import (
    OPTIONAL,
    unready_reason,
    wait_gone,
    wait_ready,
)

from .conftest import NOT_FOUND, ScriptedApi, Time, failure
from .workloads import (
    MISCONFIGURED,
    PULLING,
    RUNNING,
    container,
    crashing,
    daemon_set,
    deployment,
    pod,
    replica_set,
    stateful_set,
)

ONE_REVISION: dict[str, Any] = {"currentRevision": "receive-7d", "updateRevision": "receive-7d"}
ROLLING: dict[str, Any] = {"currentRevision": "receive-7d", "updateRevision": "receive-9f"}
DEFINITION: dict[str, Any] = {"kind": "CustomResourceDefinition", "metadata": {"name": "kaasclusters"}}


def operated(updated: int = 2, *, seen: int = 3, reconciled: str = "True", available: str = "True") -> dict[str, Any]:
    """A Prometheus as the Prometheus Operator leaves it."""
    said = {"Reconciled": reconciled, "Available": available}
    found = [
        {"type": name, "status": value, "observedGeneration": seen, "message": f"about {name}"}
        for name, value in said.items()
    ]
    return {
        "kind": "Prometheus",
        "metadata": {"name": "observer", "generation": 3},
        "spec": {"replicas": 2},
        "status": {"conditions": found, "updatedReplicas": updated},
    }


def conditions(**status: str) -> dict[str, Any]:
    return {
        "conditions": [{"type": name, "status": value, "message": f"about {name}"} for name, value in status.items()]
    }


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (None, "is not there"),
        ({"kind": "ConfigMap", "metadata": {"name": "x"}}, None),
        (operated(), None),
        (operated(seen=2), "its operator has not seen the change yet"),
        ({**operated(), "status": {}}, "its operator has not seen the change yet"),
        (operated(reconciled="False"), "its operator cannot make it: about Reconciled"),
        (operated(available="Degraded"), "is not available: about Available"),
        (operated(updated=1), "1 of 2 replicas are of the wanted revision"),
        (
            deployment(observedGeneration=2, replicas=3, updatedReplicas=3, readyReplicas=3, availableReplicas=3),
            None,
        ),
        (
            deployment(observedGeneration=1, replicas=3, updatedReplicas=3, readyReplicas=3, availableReplicas=3),
            "its controller has not seen the change yet",
        ),
        (deployment(), "its controller has not seen the change yet"),
        (
            deployment(observedGeneration=2, replicas=4, updatedReplicas=1, availableReplicas=3),
            "1 of 3 replicas are of the wanted revision",
        ),
        (
            deployment(observedGeneration=2, replicas=4, updatedReplicas=3, availableReplicas=3),
            "1 replicas of an earlier revision are still there",
        ),
        (
            deployment(observedGeneration=2, replicas=3, updatedReplicas=3, availableReplicas=2),
            "2 of 3 replicas are available",
        ),
        (deployment({"replicas": 0}, observedGeneration=2), None),
        (deployment({"replicas": None}, observedGeneration=2), "0 of 1 replicas are of the wanted revision"),
        (
            stateful_set(
                observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=3, updatedReplicas=3,
                **ONE_REVISION,
            ),
            None,
        ),
        # Without an update going on, the controller leaves updatedReplicas out.
        (stateful_set(observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=3, **ONE_REVISION), None),
        (
            stateful_set(observedGeneration=1, replicas=3, readyReplicas=3, **ONE_REVISION),
            "its controller has not seen the change yet",
        ),
        (
            stateful_set(
                observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=3, updatedReplicas=1, **ROLLING
            ),
            "1 of 3 replicas are of the wanted revision",
        ),
        (
            stateful_set(observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=3, **ROLLING),
            "0 of 3 replicas are of the wanted revision",
        ),
        (
            stateful_set(
                {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
                observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=3, updatedReplicas=1, **ROLLING,
            ),
            None,
        ),
        (
            stateful_set(
                {"updateStrategy": {"type": "OnDelete"}},
                observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=3, **ROLLING,
            ),
            None,
        ),
        (
            stateful_set(observedGeneration=2, replicas=2, readyReplicas=1, **ONE_REVISION),
            "1 of 3 replicas are ready",
        ),
        (
            stateful_set(observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=2, **ONE_REVISION),
            "2 of 3 replicas are available",
        ),
        (
            stateful_set(observedGeneration=2, replicas=5, readyReplicas=5, availableReplicas=5, **ONE_REVISION),
            "2 replicas too many are still there",
        ),
        (
            daemon_set(
                observedGeneration=2, desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=2
            ),
            None,
        ),
        (daemon_set(observedGeneration=2, desiredNumberScheduled=0), None),
        (daemon_set(), "its controller has not seen the change yet"),
        (
            daemon_set(
                observedGeneration=2, desiredNumberScheduled=2, updatedNumberScheduled=1, numberAvailable=2
            ),
            "1 of 2 pods are of the wanted revision",
        ),
        (
            daemon_set(observedGeneration=2, desiredNumberScheduled=2, updatedNumberScheduled=2),
            "0 of 2 pods are available",
        ),
        (DEFINITION, "is not established"),
        ({**DEFINITION, "status": conditions(NamesAccepted="True", Established="False")}, "is not established"),
        ({**DEFINITION, "status": conditions(NamesAccepted="True", Established="True")}, None),
        (
            {**DEFINITION, "status": conditions(NamesAccepted="False", Established="False")},
            "its names are taken: about NamesAccepted",
        ),
        ({"kind": "Job", "metadata": {}, "status": conditions(Complete="True")}, None),
        ({"kind": "Job", "metadata": {}, "status": conditions(Failed="True")}, "failed: about Failed"),
        ({"kind": "Job", "metadata": {}}, "has not completed"),
        ({"kind": "Namespace", "metadata": {}}, None),
        ({"kind": "Service", "spec": {"type": "ClusterIP"}}, None),
        ({"kind": "Service", "spec": {"type": "LoadBalancer"}}, "no load balancer has given it an address"),
        (
            {"kind": "Service", "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{}]}}},
            None,
        ),
        ({"kind": "Namespace", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "is being deleted"),
    ],
)  # fmt: skip
def test_why_an_object_is_not_ready(manifest: dict[str, Any] | None, reason: str | None) -> None:
    assert unready_reason(manifest) == reason


RECEIVE = ObjectKey("apps/v1", "StatefulSet", "ns", "receive")
QUERY = ObjectKey("apps/v1", "Deployment", "ns", "query")
EXPORTER = ObjectKey("apps/v1", "DaemonSet", "ns", "node-exporter")
PATHS = {
    RECEIVE: "/apis/apps/v1/namespaces/ns/statefulsets/receive",
    QUERY: "/apis/apps/v1/namespaces/ns/deployments/query",
    EXPORTER: "/apis/apps/v1/namespaces/ns/daemonsets/node-exporter",
}
PODS = "/api/v1/namespaces/ns/pods"

READY = {
    RECEIVE: stateful_set(observedGeneration=2, replicas=3, readyReplicas=3, availableReplicas=3, **ONE_REVISION),
    QUERY: deployment(observedGeneration=2, replicas=3, updatedReplicas=3, availableReplicas=3),
    EXPORTER: daemon_set(observedGeneration=2, desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=2),
}
UNREADY = {
    RECEIVE: stateful_set(observedGeneration=2, replicas=3, readyReplicas=2, availableReplicas=2, **ONE_REVISION),
    QUERY: deployment(observedGeneration=2, replicas=3, updatedReplicas=1, availableReplicas=2),
    EXPORTER: daemon_set(observedGeneration=2, desiredNumberScheduled=2, updatedNumberScheduled=1, numberAvailable=1),
}


class TestWait:
    def test_nothing_to_wait_for(self, client: KubernetesClient, time: Time) -> None:
        wait_ready(client, [], 300, clock=time.clock, sleep=time.sleep)
        assert time.slept == []

    def test_until_all_are_ready(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PATHS[RECEIVE], NOT_FOUND, UNREADY[RECEIVE], READY[RECEIVE])
        api.on("GET", PATHS[QUERY], READY[QUERY])
        wait_ready(client, [RECEIVE, QUERY], 300, clock=time.clock, sleep=time.sleep)
        assert time.slept == pytest.approx([0.1, 0.14])

    def test_pauses_grow_to_two_seconds_and_end_at_the_timeout(
        self, api: ScriptedApi, client: KubernetesClient, time: Time
    ) -> None:
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        api.on("GET", PODS, {"items": [pod("receive-0", RUNNING)]})
        with pytest.raises(NotReadyError) as refused:
            wait_ready(client, [RECEIVE], 60, clock=time.clock, sleep=time.sleep)
        assert max(time.slept) == 2.0
        assert time.slept[:3] == pytest.approx([0.1, 0.14, 0.196])
        assert sum(time.slept) == pytest.approx(60)
        assert str(refused.value).startswith(
            "apps/v1 StatefulSet ns/receive is not ready after 60 s: 2 of 3 replicas are ready"
        )
        assert refused.value.result()["not_ready"] == ["apps/v1 StatefulSet ns/receive"]

    def test_a_timeout_of_nothing_still_looks_once(
        self, api: ScriptedApi, client: KubernetesClient, time: Time
    ) -> None:
        api.on("GET", PATHS[RECEIVE], READY[RECEIVE])
        wait_ready(client, [RECEIVE], 0, clock=time.clock, sleep=time.sleep)
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        with pytest.raises(NotReadyError):
            wait_ready(client, [RECEIVE], 0, clock=time.clock, sleep=time.sleep)

    def test_only_what_is_not_ready_is_reported(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PATHS[QUERY], READY[QUERY])
        with pytest.raises(NotReadyError) as refused:
            wait_ready(client, [RECEIVE, QUERY], 1, clock=time.clock, sleep=time.sleep)
        assert str(refused.value) == "apps/v1 StatefulSet ns/receive is not ready after 1 s: is not there"


class TestGivingUp:
    """Waiting ends early when it is of no use."""

    @pytest.mark.parametrize(
        ("key", "selector"),
        [
            (RECEIVE, "app=receive,controller-revision-hash=receive-7d"),
            (QUERY, "app=query,pod-template-hash=new"),
            (EXPORTER, "app=node-exporter,pod-template-generation=2"),
        ],
    )
    def test_only_pods_of_the_wanted_revision_are_looked_at(
        self, api: ScriptedApi, client: KubernetesClient, time: Time, key: ObjectKey, selector: str
    ) -> None:
        api.on("GET", PATHS[key], UNREADY[key])
        api.on(
            "GET",
            "/apis/apps/v1/namespaces/ns/replicasets",
            {"items": [replica_set("1", "old"), replica_set("2", "other", "d-2"), replica_set("2", "new")]},
        )
        api.on("GET", PODS, {"items": [pod("x", crashing(4))]})
        with pytest.raises(NotReadyError, match=r"will not be \(given up after \d s\)"):
            wait_ready(client, [key], 300, clock=time.clock, sleep=time.sleep)
        first_look = next(request for request in api.requests if request.path == PODS)
        assert first_look.query["labelSelector"] == selector

    @pytest.mark.parametrize("status", [PULLING, MISCONFIGURED])
    def test_what_may_pass_is_given_half_a_minute(
        self, api: ScriptedApi, client: KubernetesClient, time: Time, status: dict[str, Any]
    ) -> None:
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        api.on("GET", PODS, {"items": [pod("receive-0", status)]})
        with pytest.raises(NotReadyError) as refused:
            wait_ready(client, [RECEIVE], 300, clock=time.clock, sleep=time.sleep)
        assert 30 < time.now - 1000 < 45
        assert status["state"]["waiting"]["message"] in str(refused.value)

    def test_what_passes_starts_anew(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        api.on("GET", PODS, {"items": [pod("receive-0", PULLING)]})
        starting = container("receive", waiting={"reason": "ContainerCreating"})
        time.after(20, lambda: api.on("GET", PODS, {"items": [pod("receive-0", starting)]}))
        time.after(28, lambda: api.on("GET", PODS, {"items": [pod("receive-0", PULLING)]}))
        with pytest.raises(NotReadyError):
            wait_ready(client, [RECEIVE], 300, clock=time.clock, sleep=time.sleep)
        assert 58 < time.now - 1000 < 75

    def test_two_names_of_one_trouble_are_one(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        pulling_again = container("receive", waiting={"reason": "ErrImagePull", "message": "not found"})
        api.on("GET", PODS, {"items": [pod("receive-0", PULLING)]})
        time.after(20, lambda: api.on("GET", PODS, {"items": [pod("receive-0", pulling_again)]}))
        with pytest.raises(NotReadyError):
            wait_ready(client, [RECEIVE], 300, clock=time.clock, sleep=time.sleep)
        assert time.now - 1000 < 45

    def test_a_few_crashes_are_no_reason(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        api.on("GET", PODS, {"items": [pod("receive-0", crashing(3))]})
        time.after(100, lambda: api.on("GET", PATHS[RECEIVE], READY[RECEIVE]))
        wait_ready(client, [RECEIVE], 300, clock=time.clock, sleep=time.sleep)
        assert time.now >= 1100

    def test_an_init_container_counts_too(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        waiting = container("receive", waiting={"reason": "PodInitializing"})
        api.on("GET", PODS, {"items": [pod("receive-0", waiting, initContainerStatuses=[crashing(9)])]})
        with pytest.raises(NotReadyError):
            wait_ready(client, [RECEIVE], 300, clock=time.clock, sleep=time.sleep)
        assert time.now - 1000 < 10

    @pytest.mark.parametrize(
        "workload",
        [
            {**UNREADY[RECEIVE], "status": {"observedGeneration": 2}},
            {**UNREADY[QUERY], "metadata": {**UNREADY[QUERY]["metadata"], "annotations": {}}},
            {**UNREADY[EXPORTER], "metadata": {**UNREADY[EXPORTER]["metadata"], "annotations": {}}},
        ],
    )
    def test_while_the_revision_is_not_known_nobody_gives_up(
        self, api: ScriptedApi, client: KubernetesClient, time: Time, workload: dict[str, Any]
    ) -> None:
        key = ObjectKey("apps/v1", workload["kind"], "ns", workload["metadata"]["name"])
        api.on("GET", PATHS[key], workload)
        api.on("GET", "/apis/apps/v1/namespaces/ns/replicasets", {"items": [replica_set("2", "new")]})
        api.on("GET", PODS, {"items": [pod("x", crashing(9))]})
        with pytest.raises(NotReadyError, match="after 60 s"):
            wait_ready(client, [key], 60, clock=time.clock, sleep=time.sleep)

    def test_a_definition_has_no_pods(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kaasclusters"
        api.on("GET", path, DEFINITION)
        key = ObjectKey("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "kaasclusters")
        with pytest.raises(NotReadyError, match="is not established"):
            wait_ready(client, [key], 20, clock=time.clock, sleep=time.sleep)
        assert {request.path for request in api.requests if "customresource" not in request.path} == {"/api/v1/events"}


GRAFANA = "docker.io/grafana/grafana:12.2.1"


def optional(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = manifest["metadata"]
    return {
        **manifest,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), OPTIONAL: "true"}},
    }


def without_image(status: dict[str, Any]) -> dict[str, Any]:
    found = pod("query-1", status)
    return {
        **found,
        "spec": {"containers": [{"name": "receive", "image": GRAFANA}, {"name": "other", "image": "other"}]},
    }


class TestOptional:
    """What the others work without is not waited for when its image cannot be had."""

    @pytest.fixture(autouse=True)
    def _revision(self, api: ScriptedApi) -> None:
        api.on("GET", PATHS[QUERY], optional(UNREADY[QUERY]))
        api.on("GET", "/apis/apps/v1/namespaces/ns/replicasets", {"items": [replica_set("2", "new")]})

    def test_it_is_told_and_takes_no_time(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PODS, {"items": [without_image(PULLING)]})
        (said,) = wait_ready(client, [QUERY], 300, clock=time.clock, sleep=time.sleep)
        assert time.now - 1000 < 1
        assert "apps/v1 Deployment ns/query" in said
        assert GRAFANA in said

    def test_the_others_are_waited_for(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PODS, {"items": [without_image(PULLING)]})
        api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
        time.after(20, lambda: api.on("GET", PATHS[RECEIVE], READY[RECEIVE]))
        assert len(wait_ready(client, [RECEIVE, QUERY], 300, clock=time.clock, sleep=time.sleep)) == 1
        assert time.now - 1000 >= 20

    def test_it_is_waited_for_while_its_image_comes(
        self, api: ScriptedApi, client: KubernetesClient, time: Time
    ) -> None:
        api.on("GET", PODS, {"items": [without_image(container("receive", waiting={"reason": "ContainerCreating"}))]})
        time.after(50, lambda: api.on("GET", PATHS[QUERY], optional(READY[QUERY])))
        assert wait_ready(client, [QUERY], 300, clock=time.clock, sleep=time.sleep) == []
        assert time.now - 1000 >= 50

    @pytest.mark.parametrize("status", [MISCONFIGURED, crashing(4)])
    def test_what_else_keeps_it_from_running_is_a_failure(
        self, api: ScriptedApi, client: KubernetesClient, time: Time, status: dict[str, Any]
    ) -> None:
        api.on("GET", PODS, {"items": [without_image(status)]})
        with pytest.raises(NotReadyError, match="will not be"):
            wait_ready(client, [QUERY], 300, clock=time.clock, sleep=time.sleep)


class TestGone:
    def test_until_nothing_is_left(self, api: ScriptedApi, client: KubernetesClient, time: Time) -> None:
        api.on("GET", PATHS[RECEIVE], READY[RECEIVE], NOT_FOUND)
        wait_gone(client, [RECEIVE, QUERY], 60, clock=time.clock, sleep=time.sleep)
        assert time.slept == [0.1]

    def test_what_is_left_is_named_with_what_holds_it(
        self, api: ScriptedApi, client: KubernetesClient, time: Time
    ) -> None:
        held = {**READY[RECEIVE], "metadata": {**READY[RECEIVE]["metadata"], "finalizers": ["example.com/hold"]}}
        api.on("GET", PATHS[RECEIVE], held)
        terminating = {
            "kind": "Namespace",
            "metadata": {"name": "ns", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {
                "conditions": [
                    {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1 resource instances"}
                ]
            },
        }
        api.on("GET", "/api/v1/namespaces/ns", terminating)
        with pytest.raises(NotReadyError) as refused:
            wait_gone(client, [RECEIVE, ObjectKey("v1", "Namespace", "", "ns")], 10, clock=time.clock, sleep=time.sleep)
        assert str(refused.value) == (
            "still there after 10 s: apps/v1 StatefulSet ns/receive (finalizers: example.com/hold); "
            "v1 Namespace ns (finalizers: kubernetes) pods. has 1 resource instances"
        )
        assert sum(time.slept) == pytest.approx(10)


def test_a_diagnosis_that_is_forbidden_does_not_hide_the_failure(
    api: ScriptedApi, client: KubernetesClient, time: Time
) -> None:
    api.on("GET", PATHS[RECEIVE], UNREADY[RECEIVE])
    for path in (PODS, "/api/v1/namespaces/ns/events"):
        api.on("GET", path, failure(403, "Forbidden", "no"))
    with pytest.raises(NotReadyError, match="2 of 3 replicas are ready"):
        wait_ready(client, [RECEIVE], 3, clock=time.clock, sleep=time.sleep)
