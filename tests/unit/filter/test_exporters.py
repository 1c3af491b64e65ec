# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.exporters import exporters

WANTED = {
    name: {"image": f"registry.example.org/{name}:1", "resources": {"limits": {"memory": "64Mi"}}}
    for name in ("kube_state_metrics", "node_exporter", "kaas_metric_importer", "cluster_api_importer")
}


def objects(namespace: str = "monitoring") -> list[dict[str, Any]]:
    return exporters(WANTED, namespace=namespace, set_name="exporters")


def test_observers_in_one_cluster_share_no_name() -> None:
    def names(namespace: str) -> set[tuple[str, str, str]]:
        return {
            (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
            for item in objects(namespace)
        }

    assert len(names("a")) == len(names("b")) == len(objects())
    assert not names("a") & names("b")
    # The observer's name for its part, without the prefix that they have in customers' clusters.
    assert {name for kind, namespace, name in names("a") if kind in ("Deployment", "DaemonSet")} == {
        "kube-state-metrics",
        "node-exporter",
        "kaas-metric-importer",
        "cluster-api-importer",
    }


def test_bindings_give_roles_to_the_accounts_that_pods_run_as() -> None:
    accounts = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]
        for item in objects()
        if item["kind"] in ("Deployment", "DaemonSet")
    }
    bound = {}
    for item in objects():
        if item["kind"] == "ClusterRoleBinding":
            (subject,) = item["subjects"]
            assert subject["namespace"] == "monitoring"
            assert item["roleRef"]["name"] == item["metadata"]["name"]
            bound[subject["name"]] = item["roleRef"]["name"]
    assert set(bound) == {name for name, pod in accounts.items() if pod["automountServiceAccountToken"]}
    for name, pod in accounts.items():
        assert pod["serviceAccountName"] == name


def test_images_and_resources_are_the_given_ones() -> None:
    for item in objects():
        if item["kind"] in ("Deployment", "DaemonSet"):
            (container,) = item["spec"]["template"]["spec"]["containers"]
            assert container["image"].endswith(f"/{item['metadata']['name'].replace('-', '_')}:1")
            assert container["resources"] == {"limits": {"memory": "64Mi"}}


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="grafana is none of cluster_api_importer, kaas_metric_importer"):
        exporters({"grafana": {}}, namespace="a", set_name="b")
