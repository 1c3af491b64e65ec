# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.scrape_jobs import jobs
from ansible_collections.scs.observability.plugins.module_utils._manifests import collection_profile

NAMES = [
    "apiserver",
    "cadvisor",
    "coredns",
    "kaas-metric-importer",
    "kube-state-metrics",
    "kubelet",
    "node-exporter",
]


def job(name: str, **options: Any) -> dict[str, Any]:
    (found,) = jobs([name], namespace="observer-a", **options)
    return found


def test_the_jobs_are_those_that_are_named() -> None:
    assert [item["job_name"] for item in jobs(NAMES[::-1], namespace="observer-a")] == NAMES
    assert jobs([], namespace="observer-a") == []


def test_all_that_are_not_known_are_refused_at_once() -> None:
    with pytest.raises(AnsibleFilterError, match="etcd, scheduler is none of apiserver, cadvisor"):
        jobs(["scheduler", "kubelet", "etcd"], namespace="observer-a")


def test_nothing_is_looked_for_but_nodes() -> None:
    """So Prometheus needs no right in other namespaces."""
    found = [item for item in jobs(NAMES, namespace="observer-a") if "kubernetes_sd_configs" in item]
    assert {item["job_name"] for item in found} == {"cadvisor", "kubelet", "node-exporter"}
    assert all(item["kubernetes_sd_configs"] == [{"role": "node"}] for item in found)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "kaas-metric-importer"])
def test_it_keeps_what_agents_keep(name: str) -> None:
    expected = [
        *collection_profile.rules_about_secrets(name),
        *collection_profile.relabel_rules(collection_profile.series_of("minimal", name)),
    ]
    assert job(name)["metric_relabel_configs"] == expected


def test_exporters_are_asked_in_the_namespace_of_the_observer() -> None:
    for name in ("kube-state-metrics", "kaas-metric-importer"):
        assert job(name)["static_configs"][0] == {
            "targets": [f"{name}.observer-a.svc:8080"],
            "labels": {"instance": name},
        }
        assert job(name)["honor_labels"] is True


def test_the_certificate_of_the_api_server_is_verified_whatever_kubelets_have() -> None:
    assert "insecure_skip_verify" not in job("apiserver")["tls_config"]
    assert "insecure_skip_verify" not in job("kubelet", kubelet_insecure_skip_verify=False)["tls_config"]
    assert job("kubelet")["tls_config"] == {"insecure_skip_verify": True}
