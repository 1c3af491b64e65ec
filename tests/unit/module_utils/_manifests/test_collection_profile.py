# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import collection_profile
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import (
    MINIMAL,
    Series,
    metric_allow_list,
    relabel_rules,
    series_of,
)

ALL = [(job, entry) for job, entries in MINIMAL.items() for entry in entries]


def is_kept(job: str, series: dict[str, str], profile: str = "minimal") -> bool:
    """What Prometheus does with "keep": the values of the source labels, joined by ";", match as a whole."""
    for rule in relabel_rules(series_of(profile, job)):
        assert rule["action"] == "keep"
        joined = ";".join(series.get(label, "") for label in rule["source_labels"])
        if not re.fullmatch(rule["regex"], joined):
            return False
    return True


@pytest.mark.parametrize(
    ("job", "series", "expected"),
    [
        ("apiserver", {"__name__": "apiserver_request_total", "verb": "GET"}, True),
        ("apiserver", {"__name__": "apiserver_request_total_more"}, False),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "1"}, True),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "1.0"}, True),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "+Inf"}, True),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "0.6"}, False),
        ("apiserver", {"__name__": "apiserver_request_sli_duration_seconds_bucket", "le": "1.5"}, False),
        ("apiserver", {"__name__": "apiserver_request_body_size_bytes_bucket", "le": "1.0"}, False),
        ("apiserver", {"__name__": "etcd_request_duration_seconds_bucket", "le": "1.0"}, False),
        ("cadvisor", {"__name__": "container_cpu_usage_seconds_total", "pod": "p", "container": "c"}, True),
        ("cadvisor", {"__name__": "container_cpu_usage_seconds_total", "pod": "p"}, False),
        ("cadvisor", {"__name__": "container_cpu_usage_seconds_total", "id": "/system.slice"}, False),
        ("cadvisor", {"__name__": "container_network_receive_bytes_total", "pod": "p"}, True),
        ("cadvisor", {"__name__": "container_network_receive_bytes_total"}, False),
        ("cadvisor", {"__name__": "machine_cpu_cores"}, True),
        ("cadvisor", {"__name__": "container_tasks_state", "pod": "p", "container": "c"}, False),
        ("kubelet", {"__name__": "kubelet_volume_stats_available_bytes"}, True),
        ("kubelet", {"__name__": "kubelet_http_requests_duration_seconds_bucket", "le": "1.0"}, False),
        ("coredns", {"__name__": "coredns_panics_total"}, True),
        ("kube-state-metrics", {"__name__": "kube_pod_status_phase", "phase": "Running"}, True),
        ("kube-state-metrics", {"__name__": "kube_pod_tolerations"}, False),
        ("kube-state-metrics", {"__name__": "kube_secret_info"}, False),
        ("node-exporter", {"__name__": "node_memory_MemAvailable_bytes"}, True),
        ("node-exporter", {"__name__": "node_memory_DirectMap4k_bytes"}, False),
        ("agent", {"__name__": "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"}, True),
        ("agent", {"__name__": "prometheus_http_request_duration_seconds_bucket", "le": "1.0"}, False),
    ],
)
def test_minimal(job: str, series: dict[str, str], expected: bool) -> None:
    assert is_kept(job, series) is expected


@pytest.mark.parametrize("job", collection_profile.JOBS)
def test_full_keeps_everything(job: str) -> None:
    assert relabel_rules(series_of("full", job)) == []
    assert is_kept(job, {"__name__": "anything_at_all"}, "full")


def test_minimal_knows_every_job() -> None:
    known = {*collection_profile.JOBS, *collection_profile.OPTIONAL_JOBS, collection_profile.BLACKBOX}
    assert set(MINIMAL) == known


@pytest.mark.parametrize(("job", "entry"), ALL, ids=[f"{job}-{entry.name}" for job, entry in ALL])
def test_an_entry_is_one_expression_that_go_understands(job: str, entry: Series) -> None:
    # An alternative outside of brackets would end where the label's value begins.
    depth = 0
    for character in entry.name:
        depth += {"(": 1, ")": -1}.get(character, 0)
        assert depth > 0 or character != "|"
    # RE2 has neither look-around nor back references, and the list for kube-state-metrics is split at commas.
    assert not re.search(r"\(\?[=!<]|\\[1-9]", entry.name + entry.values)
    assert "," not in entry.name
    assert bool(entry.label) == bool(entry.values)


def test_no_metric_of_a_secret_is_in_any_profile() -> None:
    for name in ("kube_secret_info", "kube_secret_labels", "kube_secret_type", "kube_configmap_info"):
        assert not is_kept("kube-state-metrics", {"__name__": name})


def test_the_list_of_kube_state_metrics_matches_whole_names() -> None:
    allowed = metric_allow_list(series_of("minimal", "kube-state-metrics")).split(",")
    assert any(re.search(item, "kube_node_info") for item in allowed)
    assert not any(re.search(item, "kube_node_info_more") for item in allowed)
    assert not any(re.search(item, "my_kube_node_info") for item in allowed)
    assert metric_allow_list(series_of("full", "kube-state-metrics")) == ""
