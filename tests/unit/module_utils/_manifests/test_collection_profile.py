# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

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


def test_what_is_dropped_about_secrets_is_one_expression_that_go_understands() -> None:
    for entry in collection_profile.SECRETS:
        test_an_entry_is_one_expression_that_go_understands("any", entry)


def test_the_list_of_kube_state_metrics_matches_whole_names() -> None:
    allowed = metric_allow_list(series_of("minimal", "kube-state-metrics")).split(",")
    assert any(re.search(item, "kube_node_info") for item in allowed)
    assert not any(re.search(item, "kube_node_info_more") for item in allowed)
    assert not any(re.search(item, "my_kube_node_info") for item in allowed)
    assert metric_allow_list(series_of("full", "kube-state-metrics")) == ""


# What dashboards and alerts stand on: by job a series of each metric, with the labels that decide.
NEEDED: dict[str, list[str]] = {
    "kube-state-metrics": [
        *("kube_node_status_condition", "kube_node_status_allocatable", "kube_node_spec_unschedulable"),
        *("kube_pod_status_phase", "kube_pod_owner", "kube_pod_container_resource_requests"),
        *("kube_pod_container_resource_limits", "kube_pod_container_status_restarts_total"),
        *("kube_pod_container_status_waiting_reason", "kube_deployment_spec_replicas", "kube_job_status_failed"),
        *("kube_deployment_status_replicas_available", "kube_statefulset_status_replicas_ready", "kube_resourcequota"),
        *("kube_daemonset_status_number_unavailable", "kube_persistentvolumeclaim_status_phase", "kube_node_info"),
    ],
    "node-exporter": [
        *("node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_filesystem_avail_bytes"),
        *("node_filesystem_files_free", "node_disk_io_time_seconds_total", "node_network_receive_bytes_total"),
        *("node_timex_offset_seconds", "node_timex_sync_status", "node_pressure_memory_stalled_seconds_total"),
        *("node_md_disks", "node_bonding_active", "node_nf_conntrack_entries", "node_nf_conntrack_entries_limit"),
    ],
    "cadvisor": [
        *('container_cpu_usage_seconds_total{container="c"}', 'container_memory_working_set_bytes{container="c"}'),
        *(
            'container_cpu_cfs_throttled_periods_total{container="c"}',
            'container_network_transmit_bytes_total{pod="p"}',
        ),
    ],
    "kubelet": [
        *("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_inodes_free", "kubernetes_build_info"),
        *('kubelet_pleg_relist_duration_seconds_bucket{le="0.5"}', "kubelet_certificate_manager_client_ttl_seconds"),
        "kubelet_certificate_manager_server_ttl_seconds",
    ],
    "apiserver": [
        *("apiserver_request_total", 'apiserver_request_sli_duration_seconds_bucket{le="1"}', "workqueue_depth"),
        *('apiserver_client_certificate_expiration_seconds_bucket{le="86400"}', "kubernetes_build_info"),
    ],
    "scheduler": ["scheduler_pending_pods", "scheduler_schedule_attempts_total"],
    "controller-manager": ["workqueue_depth", "leader_election_master_status"],
    "etcd": [
        *("etcd_server_has_leader", "etcd_mvcc_db_total_size_in_bytes", "etcd_server_quota_backend_bytes"),
        'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.512"}',
    ],
    "kube-proxy": ["kubeproxy_sync_proxy_rules_last_timestamp_seconds"],
    "coredns": ["coredns_dns_responses_total", 'coredns_dns_request_duration_seconds_bucket{le="0.512"}'],
    "ingress-nginx": [
        *("nginx_ingress_controller_requests", "nginx_ingress_controller_ssl_expire_time_seconds"),
        'nginx_ingress_controller_request_duration_seconds_bucket{le="0.1"}',
    ],
    "traefik": ["traefik_service_requests_total", "traefik_tls_certs_not_after"],
    "cert-manager": ["certmanager_certificate_expiration_timestamp_seconds", "certmanager_certificate_ready_status"],
    "cilium": ["cilium_unreachable_nodes", "cilium_drop_count_total"],
    "blackbox": [
        *("probe_success", "probe_http_status_code", "probe_http_duration_seconds", "probe_duration_seconds"),
        *("probe_dns_lookup_time_seconds", "probe_ssl_earliest_cert_expiry"),
    ],
    "agent": [
        *("prometheus_remote_storage_queue_highest_timestamp_seconds", "prometheus_agent_active_series"),
        *("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", "prometheus_remote_storage_shards_max"),
        *("prometheus_remote_storage_samples_failed_total", "prometheus_remote_storage_samples_dropped_total"),
        *("prometheus_target_scrapes_exceeded_sample_limit_total", "prometheus_remote_storage_samples_pending"),
        *(
            "prometheus_target_scrape_pool_exceeded_target_limit_total",
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
        ),
        "prometheus_target_scrape_pool_exceeded_label_limits_total",
    ],
}


def labels_of(series: str) -> dict[str, str]:
    name, _brace, rest = series.partition("{")
    return {"__name__": name, **dict(re.findall(r'(\w+)="([^"]*)"', rest))}


@pytest.mark.parametrize(("job", "series"), [(job, series) for job, listed in NEEDED.items() for series in listed])
def test_minimal_has_what_dashboards_and_alerts_stand_on(job: str, series: str) -> None:
    assert is_kept(job, labels_of(series))


def test_each_job_has_something_that_is_needed() -> None:
    assert set(NEEDED) == set(MINIMAL)


ROLE_FILES = Path(__file__).resolve().parents[4] / "roles" / "observer" / "files"
OF_CLUSTERS = re.compile(
    r"\b(?:apiserver|certmanager|container|coredns|etcd|kube|kubelet|kubeproxy|kubernetes|nginx_ingress|node|probe|process"
    r"|prometheus_(?:agent|remote_storage|target|sd)|scheduler|traefik|workqueue)_\w+\b(?!\s*=)"
)
# Labels and what kube-state-metrics tells of itself, as the importer
NO_METRICS = re.compile(r"kube_state_metrics_.*|prometheus_replica|probe_")


def named_in_rules() -> list[str]:
    """The metrics that rules about customers' clusters name, whatever is in quotation marks left out."""
    expressions = [
        re.sub(r'"[^"]*"|#.*', "", str(rule["expr"]))
        for path in sorted((ROLE_FILES / "ruler_rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    return sorted(
        {name for text in expressions for name in OF_CLUSTERS.findall(text) if not NO_METRICS.fullmatch(name)}
    )


def test_minimal_has_every_metric_that_rules_about_clusters_name() -> None:
    # Bounds and containers are what a rule selects; here it is enough that there are any.
    values = {"le": "+Inf", "container": "c", "pod": "p"}
    missing = [
        name for name in named_in_rules() if not any(is_kept(job, {"__name__": name, **values}) for job in MINIMAL)
    ]
    assert missing == []


def test_metrics_in_a_rule_are_found() -> None:
    found = OF_CLUSTERS.findall('sum by (node) (kube_node_info{node="a"}) / node_load1 > on (cluster) etcd_server_id')
    assert found == ["kube_node_info", "node_load1", "etcd_server_id"]


def test_the_documentation_knows_every_job() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "collection.md").read_text()
    assert [job for job in collection_profile.RESERVED_JOBS if f"`{job}`" not in page] == []
