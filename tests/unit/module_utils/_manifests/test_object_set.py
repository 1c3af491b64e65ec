# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import object_set

PLACEMENT = {"node_selector": {"pool": "observer"}, "priority_class": "high"}
PLACED = {"nodeSelector": {"pool": "observer"}, "priorityClassName": "high"}


def workload(kind: str, **pod: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "exporter", "labels": {"mine": "stays"}},
        "spec": {"template": {"spec": {"containers": [{"name": "exporter"}], **pod}}},
    }


def operated(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": "observer"},
        "spec": spec,
    }


def completed(manifest: dict[str, Any], *, namespaced: bool = True) -> dict[str, Any]:
    before = copy.deepcopy(manifest)
    result = object_set.complete(manifest, "exporter", "observability", placement=PLACEMENT, namespaced=namespaced)
    assert manifest == before, "what was given is another's"
    return result


def test_objects_of_two_observers_are_told_apart() -> None:
    one, other = (object_set.owner("exporter", namespace) for namespace in ("north", "south"))
    assert one != other
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "exporter"}}
    result = completed(role, namespaced=False)
    assert "namespace" not in result["metadata"]
    assert object_set.owner("exporter", "observability").items() <= result["metadata"]["labels"].items()


def test_labels_and_namespace_are_put_to_what_is_there() -> None:
    result = completed(workload("Deployment"))
    assert result["metadata"]["namespace"] == "observability"
    assert result["metadata"]["labels"]["mine"] == "stays"
    assert object_set.labels("exporter", "observability").items() <= result["metadata"]["labels"].items()
    template = result["spec"]["template"]["metadata"]["labels"]
    assert object_set.labels("exporter", "observability").items() <= template.items()


@pytest.mark.parametrize(
    ("manifest", "path", "expected"),
    [
        (workload("Deployment"), ("spec", "template", "spec"), PLACED),
        (workload("StatefulSet"), ("spec", "template", "spec"), PLACED),
        # For every node that it wants
        (workload("DaemonSet"), ("spec", "template", "spec"), {}),
        (operated(replicas=1), ("spec",), PLACED),
        # What it says itself stays
        (
            workload("Deployment", nodeSelector={"pool": "own"}),
            ("spec", "template", "spec"),
            {**PLACED, "nodeSelector": {"pool": "own"}},
        ),
    ],
)
def test_pods_run_where_they_shall(manifest: dict[str, Any], path: tuple[str, ...], expected: dict[str, Any]) -> None:
    found = completed(manifest)
    for part in path:
        found = found[part]
    assert {name: value for name, value in found.items() if name in PLACED} == expected


@pytest.mark.parametrize(
    ("manifest", "claim"),
    [
        (
            {**workload("StatefulSet"), "spec": {**workload("x")["spec"], "volumeClaimTemplates": [{"spec": {}}]}},
            lambda spec: spec["volumeClaimTemplates"][0],
        ),
        (operated(storage={"volumeClaimTemplate": {"spec": {}}}), lambda spec: spec["storage"]["volumeClaimTemplate"]),
    ],
)
def test_volumes_can_be_found_again(manifest: dict[str, Any], claim: Any) -> None:
    labels = claim(completed(manifest)["spec"])["metadata"]["labels"]
    assert object_set.owner("exporter", "observability").items() <= labels.items()


REFERENCES: list[tuple[dict[str, Any], set[tuple[str, str]]]] = [
    ({"volumes": [{"name": "a", "configMap": {"name": "used"}}]}, {("ConfigMap", "used")}),
    ({"volumes": [{"name": "a", "secret": {"secretName": "used"}}]}, {("Secret", "used")}),
    (
        {
            "volumes": [
                {"name": "a", "projected": {"sources": [{"secret": {"name": "one"}}, {"configMap": {"name": "two"}}]}}
            ]
        },
        {("Secret", "one"), ("ConfigMap", "two")},
    ),
    ({"containers": [{"envFrom": [{"secretRef": {"name": "used"}}]}]}, {("Secret", "used")}),
    (
        {"initContainers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "used", "key": "a"}}}]}]},
        {("ConfigMap", "used")},
    ),
    ({"containers": [{"env": [{"name": "a", "value": "b"}]}], "volumes": [{"name": "a", "emptyDir": {}}]}, set()),
]


@pytest.mark.parametrize(("pod", "expected"), REFERENCES)
def test_references(pod: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    assert set(object_set.references(pod)) == expected


def test_pods_are_replaced_when_what_they_use_changes_and_for_nothing_else() -> None:
    def annotations(used: str, unused: str) -> dict[str, str]:
        manifests = [
            completed(workload("Deployment", volumes=[{"name": "a", "configMap": {"name": "used"}}])),
            {"kind": "ConfigMap", "metadata": {"name": "used"}, "data": {"key": used}},
            {"kind": "ConfigMap", "metadata": {"name": "unused"}, "data": {"key": unused}},
        ]
        metadata = object_set.with_checksums(manifests)[0]["spec"]["template"]["metadata"]
        found: dict[str, str] = metadata["annotations"]
        return found

    assert annotations("a", "b") == annotations("a", "c")
    assert annotations("a", "b") != annotations("b", "b")


def test_pods_that_the_operator_makes_are_replaced_too() -> None:
    def metadata(content: str) -> dict[str, str] | None:
        manifests = [
            operated(volumes=[{"name": "a", "secret": {"secretName": "used"}}]),
            {"kind": "Secret", "metadata": {"name": "used"}, "data": {"key": content}},
        ]
        found: dict[str, str] | None = object_set.with_checksums(manifests)[0]["spec"].get("podMetadata")
        return found

    assert metadata("a") == metadata("a")
    assert metadata("a") != metadata("b")
    assert "podMetadata" not in object_set.with_checksums([operated()])[0]["spec"]
