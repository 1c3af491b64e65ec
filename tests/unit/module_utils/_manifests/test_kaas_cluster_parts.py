# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the three parts in a customer's cluster must all keep to."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    kube_state_metrics,
    node_exporter,
    scrape_jobs,
)

NAMESPACE = "scs-observability"
OBJECTS: list[dict[str, Any]] = [
    *agent.objects(agent.Agent("alpha", NAMESPACE, "https://observer/api/v1/receive")),
    *kube_state_metrics.objects(kube_state_metrics.KubeStateMetrics("alpha", NAMESPACE)),
    *node_exporter.objects(node_exporter.NodeExporter("alpha", NAMESPACE)),
]
ROLES = [item for item in OBJECTS if item["kind"] in ("ClusterRole", "Role")]
WORKLOADS = [item for item in OBJECTS if item["kind"] in ("Deployment", "DaemonSet", "StatefulSet")]
READING = {"get", "list", "watch"}


def name_of(item: dict[str, Any]) -> str:
    return f"{item['kind']}-{item['metadata']['name']}"


def test_there_is_something_to_look_at() -> None:
    assert len(ROLES) == 4
    assert len(WORKLOADS) == 3


@pytest.mark.parametrize("role", ROLES, ids=name_of)
def test_no_right_to_secrets_no_wildcard_and_nothing_but_reading(role: dict[str, Any]) -> None:
    for rule in role["rules"]:
        named = [*rule.get("apiGroups", []), *rule.get("resources", []), *rule.get("nonResourceURLs", [])]
        assert not [name for name in [*named, *rule["verbs"]] if "*" in name]
        assert set(rule["verbs"]) <= READING
        # Secrets themselves, and what would lead to them: tokens, other pods, anything through a node or a pod.
        assert not {name for name in rule.get("resources", []) if name.split("/")[0] in ("secrets", "configmaps")}
        assert not {name for name in rule.get("resources", []) if name.endswith(("/proxy", "/exec", "/log", "/token"))}


@pytest.mark.parametrize("item", OBJECTS, ids=name_of)
def test_nothing_can_collide_with_what_the_customer_has(item: dict[str, Any]) -> None:
    assert item["metadata"]["name"].startswith("scs-observability-")
    cluster_wide = item["kind"] in ("ClusterRole", "ClusterRoleBinding")
    if item["kind"] in ("Role", "RoleBinding"):
        assert item["metadata"]["namespace"] in scrape_jobs.TARGET_NAMESPACES
    else:
        assert item["metadata"].get("namespace", "") == ("" if cluster_wide else NAMESPACE)


@pytest.mark.parametrize("item", OBJECTS, ids=name_of)
def test_everything_can_be_found_again_by_the_registration_it_belongs_to(item: dict[str, Any]) -> None:
    labels = item["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "scs.observability"
    assert labels["app.kubernetes.io/instance"] == "alpha"


def test_no_workload_selects_pods_of_another() -> None:
    selectors = [item["spec"]["selector"]["matchLabels"] for item in WORKLOADS]
    for index, item in enumerate(WORKLOADS):
        pod = item["spec"]["template"]["metadata"]["labels"].items()
        assert [selector.items() <= pod for selector in selectors] == [
            other == index for other in range(len(selectors))
        ]


@pytest.mark.parametrize("item", WORKLOADS, ids=name_of)
def test_containers_have_no_privilege_and_limited_resources(item: dict[str, Any]) -> None:
    pod = item["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == 65534
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["limits"]["cpu"]
        assert container["resources"]["requests"]


@pytest.mark.parametrize("item", WORKLOADS, ids=name_of)
def test_only_who_needs_the_api_gets_a_token(item: dict[str, Any]) -> None:
    needs = item["metadata"]["name"] != node_exporter.NAME
    assert item["spec"]["template"]["spec"]["automountServiceAccountToken"] is needs
