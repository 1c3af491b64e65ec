# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import cluster_api_importer
from ansible_collections.scs.observability.plugins.module_utils._manifests.cluster_api_importer import (
    ClusterApiImporter,
)

TOKEN = "swordfish"


def objects(*, elsewhere: bool) -> dict[str, dict[str, Any]]:
    wanted = ClusterApiImporter(instance="exporters", namespace="n", cluster_role="r", elsewhere=elsewhere)
    return {item["kind"]: item for item in cluster_api_importer.objects(wanted)}


def test_in_the_observers_cluster_it_may_read_clusters_and_nothing_else() -> None:
    found = objects(elsewhere=False)
    assert [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in found["ClusterRole"]["rules"]] == [
        (["cluster.x-k8s.io"], ["clusters"], ["list", "watch"]),
        (["apiextensions.k8s.io"], ["customresourcedefinitions"], ["list", "watch"]),
    ]
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    assert "kubeconfig" not in str(pod)


def test_elsewhere_it_goes_by_a_kubeconfig_and_may_nothing_here() -> None:
    found = objects(elsewhere=True)
    assert not {"ClusterRole", "ClusterRoleBinding"} & set(found)
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert {"secretName": "cluster-api-importer-kubeconfig", "defaultMode": 0o444} in [
        volume.get("secret") for volume in pod["volumes"]
    ]
    assert "--kubeconfig=/etc/kubeconfig/kubeconfig" in pod["containers"][0]["args"]


def kubeconfig(*, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **changed: Any) -> str:
    config = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "b", "user": "c"}}],
        "clusters": [{"name": "b", "cluster": {"server": "https://management.example.org:6443", **(cluster or {})}}],
        "users": [{"name": "c", "user": {"token": TOKEN, **(user or {})}}],
    }
    return yaml.safe_dump({**config, **changed})


CANNOT = ", which a pod cannot use. Put data and a token into it"
NONE = "is not a kubeconfig with a current context, its cluster and its user"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (kubeconfig(), ""),
        (f"{TOKEN}: [", "is not valid YAML"),
        (TOKEN, NONE),
        ("", NONE),
        (kubeconfig(users=[]), NONE),
        (kubeconfig(contexts=None), NONE),
        (kubeconfig(**{"current-context": "other"}), NONE),
        (kubeconfig(clusters=[TOKEN]), NONE),
        (kubeconfig(cluster={"server": "http://management.example.org"}), "has no server at https://"),
        (kubeconfig(user={"exec": {"command": TOKEN}}), f"has exec{CANNOT}"),
        (
            kubeconfig(cluster={"certificate-authority": "ca.crt"}, user={"client-key": TOKEN}),
            f"has certificate-authority, client-key{CANNOT}",
        ),
    ],
)
def test_a_kubeconfig_that_a_pod_cannot_use_is_refused(text: str, expected: str) -> None:
    assert cluster_api_importer.problem(text) == expected


def test_a_cluster_has_the_name_that_it_is_registered_as() -> None:
    _keep, name, drop = cluster_api_importer.scrape_job("n")["metric_relabel_configs"]
    assert name == {"source_labels": ["registered_as"], "regex": "(.+)", "target_label": "cluster"}
    # Two versions of an object would be one series, given twice.
    assert "version" not in drop["regex"]
