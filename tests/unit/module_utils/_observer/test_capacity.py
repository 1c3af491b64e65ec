# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._observer import capacity
from ansible_collections.scs.observability.plugins.module_utils._observer.capacity import Amount, Room, WantedPod

GI = 2**30


def node(name: str = "n1", *, cpu: str = "4", memory: str = "16Gi", ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "disk": "fast"}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def container(cpu: str | None = None, memory: str | None = None, **more: Any) -> dict[str, Any]:
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": "main", "resources": {"requests": requests}, **more}


def pod(
    *containers: dict[str, Any], namespace: str = "default", on: str = "n1", phase: str = "Running", **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": "some", "namespace": namespace},
        "spec": {"containers": list(containers), "nodeName": on, **spec},
        "status": {"phase": phase},
    }


def wanted(name: str = "receive", cpu: str = "1", memory: str = "1Gi", **more: Any) -> WantedPod:
    return WantedPod.of({"name": name, "requests": {"cpu": cpu, "memory": memory}, **more})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [container()]}, Amount(0, 0, 1)),
        ({"containers": [container("250m", "64Mi"), container("1", "1G")]}, Amount(1.25, 64 * 2**20 + 1e9, 1)),
        # What starts before counts only where it is more, for each resource by itself.
        (
            {"containers": [container("500m", "1Gi")], "initContainers": [container("2", "64Mi")]},
            Amount(2, GI, 1),
        ),
        # One that goes on beside the others is added.
        (
            {
                "containers": [container("500m", "1Gi")],
                "initContainers": [container("100m", "1Gi", restartPolicy="Always"), container("500m", "64Mi")],
            },
            Amount(0.6, 2 * GI, 1),
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m", "memory": "1Gi"}}, Amount(1.25, GI, 1)),
        ({"containers": [container("1", "1Gi")], "resources": {"requests": {"cpu": "3"}}}, Amount(3, GI, 1)),
    ],
)
def test_what_is_reserved_for_a_pod(spec: dict[str, Any], expected: Amount) -> None:
    assert capacity.request_of(spec) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("spec", "selector", "tolerations", "reason"),
    [
        ({}, {}, [], None),
        ({}, {"disk": "fast"}, [], None),
        ({}, {"disk": "slow"}, [], "has no label disk=slow"),
        ({"ready": "Unknown"}, {}, [], "is not Ready"),
        ({"unschedulable": True}, {}, [], "is cordoned"),
        ({"taints": [{"key": "a", "effect": "PreferNoSchedule"}]}, {}, [], None),
        ({"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}, {}, [], "has the taint a=b:NoSchedule"),
        ({"taints": [{"key": "a", "effect": "NoExecute"}]}, {}, [{"operator": "Exists"}], None),
        ({"taints": [{"key": "a", "effect": "NoSchedule"}]}, {}, [{"key": "a", "operator": "Exists"}], None),
        ({"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}, {}, [{"key": "a", "value": "b"}], None),
        (
            {"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]},
            {},
            [{"key": "a", "value": "c"}, {"key": "a", "value": "b", "effect": "NoExecute"}, {"key": "d"}],
            "has the taint a=b:NoSchedule",
        ),
    ],
)
def test_which_nodes_may_be_used(
    spec: dict[str, Any], selector: dict[str, str], tolerations: list[dict[str, str]], reason: str | None
) -> None:
    assert capacity.unusable_reason(node(**spec), selector, tolerations) == reason


def test_our_own_pods_and_ended_ones_take_no_room() -> None:
    pods = [
        pod(container("1", "4Gi")),
        pod(container("1", "4Gi"), namespace="observer"),
        pod(container("1", "4Gi"), phase="Succeeded"),
        pod(container("1", "4Gi"), on="n2"),
        pod(container("1", "4Gi"), on=""),
    ]
    there = capacity.room([node(), node("n2", unschedulable=True)], pods, "observer")
    assert there.free == {"n1": Amount(3, 12 * GI, 109)}
    assert there.unusable == {"n2": "is cordoned"}


def texts(there: Room, *pods: WantedPod) -> list[str]:
    return [str(problem) for problem in capacity.problems(there, pods)]


def test_enough_is_enough() -> None:
    there = Room({"n1": Amount(1, GI, 2)})
    assert texts(there, wanted(), wanted("web", "0", "0")) == []
    # Ten times a tenth is one.
    assert texts(Room({"n1": Amount(1, GI, 20)}), wanted(cpu="100m", memory="1Mi", replicas=10)) == []
    assert texts(Room(), *[]) == []


def test_everything_that_is_too_little_is_told() -> None:
    there = Room({"n1": Amount(1, 4 * GI, 4), "n2": Amount(1.5, GI, 1)})
    found = texts(there, wanted(cpu="2", memory="2Gi", replicas=2), wanted("query", memory="6Gi"))
    assert found == [
        "pods: the pods ask for more than 2 nodes have free: 5.00 of 2.50 CPU, 10.0 of 5.0 GiB of memory. "
        "Add nodes, or ask for less",
        "pods: receive asks for more than any single node has free: 2.00 of 1.00 CPU. "
        "Add a larger node, or ask for less",
        "pods: query asks for more than any single node has free: 6.0 of 4.0 GiB of memory. "
        "Add a larger node, or ask for less",
    ]


def test_a_pod_on_every_node_counts_as_often() -> None:
    nodes = {name: Amount(1, GI, 10) for name in ("n1", "n2", "n3")}
    exporter = wanted("node_exporter", "600m", "1Mi", every_node=True)
    assert texts(Room(nodes), exporter) == []
    (found,) = texts(Room(nodes), exporter, wanted(cpu="1", memory="0", replicas=2))
    assert "3.80 of 3.00 CPU" in found


def test_too_few_pods() -> None:
    (found,) = texts(Room({"n1": Amount(8, 8 * GI, 2)}), wanted(cpu="0", memory="0", replicas=3))
    assert "3 of 2 pods" in found


def test_an_overcommitted_node_takes_nothing_from_another() -> None:
    assert texts(Room({"n1": Amount(-5, -GI, 10), "n2": Amount(1, GI, 10)}), wanted()) == []


def test_no_node_at_all() -> None:
    there = capacity.room([node("n2", unschedulable=True), node("n1", ready="False")], [], "observer")
    (found,) = texts(there, wanted())
    assert found.startswith("node_selector: no node takes pods: n1 is not Ready; n2 is cordoned. ")
    (found,) = texts(capacity.room([], [], "observer"), wanted())
    assert "there is none" in found


def test_ports_of_nodes_that_others_have() -> None:
    exporter = wanted("node_exporter", host_ports=[19100], every_node=True)
    listening = {"hostNetwork": True}
    pods = [
        pod(container(ports=[{"containerPort": 19100}]), **listening),
        pod(container(ports=[{"containerPort": 80, "hostPort": 19100}]), namespace="other"),
        pod(container(ports=[{"containerPort": 19100}]), namespace="elsewhere"),
        pod(container(ports=[{"containerPort": 19100}]), namespace="observer", **listening),
        pod(container(ports=[{"containerPort": 19100}]), on="n2", **listening),
    ]
    (found,) = capacity.port_problems(pods, "observer", [exporter], ["n1"])
    assert str(found).startswith("pods: port 19100 of nodes is taken by default/some on n1, other/some on n1. ")
    assert capacity.port_problems(pods, "observer", [wanted()], ["n1"]) == []


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"name": "a", "requests": {"cpu": "much"}}, "pods[a].requests.cpu"),
        ({"name": "a", "requests": {"cores": 1}}, "pods[a].requests"),
        ({"name": "a", "replicas": -1}, "pods[a]"),
        ({"name": ""}, "pods[]"),
    ],
)
def test_what_cannot_be_asked_for(given: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InputError) as caught:
        WantedPod.of(given)
    assert caught.value.parameter == parameter
