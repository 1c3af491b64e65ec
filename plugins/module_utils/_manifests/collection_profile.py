# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What agents collect: the allow-list of the profile "minimal" as data, and its form as Prometheus relabelling.

"minimal" is what rules and dashboards need. "full" is everything the targets offer. Neither says what a Secret is
called, or how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PROFILES = ("minimal", "full")

APISERVER = "apiserver"
KUBELET = "kubelet"
CADVISOR = "cadvisor"
COREDNS = "coredns"
KUBE_STATE_METRICS = "kube-state-metrics"
NODE_EXPORTER = "node-exporter"
AGENT = "agent"
# In every cluster
JOBS = (AGENT, APISERVER, CADVISOR, COREDNS, KUBE_STATE_METRICS, KUBELET, NODE_EXPORTER)

SCHEDULER = "scheduler"
CONTROLLER_MANAGER = "controller-manager"
ETCD = "etcd"
KUBE_PROXY = "kube-proxy"
INGRESS_NGINX = "ingress-nginx"
TRAEFIK = "traefik"
CERT_MANAGER = "cert-manager"
CILIUM = "cilium"
# Where they are and can be reached, see optional_jobs
OPTIONAL_JOBS = (SCHEDULER, CONTROLLER_MANAGER, ETCD, KUBE_PROXY, INGRESS_NGINX, TRAEFIK, CERT_MANAGER, CILIUM)

BLACKBOX = "blackbox"
WORKLOADS = "workloads"
# What no extra job may be called
RESERVED_JOBS = (*JOBS, *OPTIONAL_JOBS, BLACKBOX, WORKLOADS)


@dataclass(frozen=True)
class Series:
    """Metrics that are kept: ``name`` is a regular expression that matches the whole name.

    With ``label``, only series whose label matches ``values`` (a regular expression too) are kept.
    """

    name: str
    label: str = ""
    values: str = ""


def _metrics(*names: str) -> tuple[Series, ...]:
    return tuple(Series(name) for name in names)


# Neither what a Secret is called nor how many there are is collected: from no job, in no profile, with no override.
# Whole series are dropped: without the label that has the name, several would be one.
SECRETS = (
    *_metrics("kube_secret_.*", "kube_serviceaccount_(?:image_pull_)?secret", "kube_ingress_tls"),
    Series(".*", "secret", ".+"),
    Series(".*", "secret_name", ".+"),
    # What is counted of each kind of object. How often somebody asked an API server for them, and how long that took,
    # stays: error budgets are of all requests (all that begins with apiserver_request but their sizes).
    Series("(?:apiserver_(?:[^r]|re[^q]|request_body_)|etcd_|informer_|watch_cache_).*", "resource", "secrets"),
    Series("apiserver_.*", "resource_prefix", ".*/secrets"),
    Series("apiserver_.*", "kind", "Secret"),
    Series("kube_resourcequota", "resource", "(?:count/)?secrets"),
    Series("volume_manager_total_volumes", "plugin_name", r"kubernetes\.io/secret"),
)
# Where the label has to go instead. A host has one certificate, so what is left tells them apart.
_SECRET_NAMES_GO = (INGRESS_NGINX,)


# Prometheus 3 writes bounds as floats ("1.0"), other agents as the target spells them ("1").
_SLO_BOUNDS = r"0\.05|0\.1|0\.4|(?:1|2|5|10|30)(?:\.0)?|\+Inf"
_LATENCY_BOUNDS = r"0\.005|0\.025|0\.1|0\.5|(?:1|5|10)(?:\.0)?|\+Inf"

_SCHEDULING_BOUNDS = r"0\.(?:001|004|016|064|128|512)|1\.024|8\.192|\+Inf"
_DISK_BOUNDS = r"0\.(?:001|004|008|016|032|064|128|256|512)|1\.024|8\.192|\+Inf"
_ROUND_TRIP_BOUNDS = r"0\.(?:0004|0016|0064|0256|1024|4096)|1\.6384|\+Inf"

_PROCESS = _metrics("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds")
_VERSION = _metrics("kubernetes_build_info")

MINIMAL: dict[str, tuple[Series, ...]] = {
    # 30,000 of the 37,000 series of a single-node cluster come from here, almost all of them histogram buckets.
    APISERVER: (
        *_metrics(
            "apiserver_request_total",
            "apiserver_current_inflight_requests",
            "apiserver_request_terminations_total",
            "apiserver_client_certificate_expiration_seconds_(?:bucket|count)",
            "aggregator_unavailable_apiservice",
            "apiserver_storage_objects",
            "apiserver_storage_size_bytes",
            "etcd_request_errors_total",
            "workqueue_(?:adds_total|depth)",
            "go_goroutines",
        ),
        # The bounds of the error budgets (1, 5 and 30 seconds), and enough others to draw a latency.
        Series("apiserver_request_sli_duration_seconds_bucket", "le", _SLO_BOUNDS),
        *_PROCESS,
        *_VERSION,
    ),
    KUBELET: (
        *_metrics(
            "kubelet_node_name",
            "kubelet_running_(?:pods|containers)",
            "kubelet_volume_stats_(?:available_bytes|capacity_bytes|used_bytes|inodes|inodes_free|inodes_used)",
            "kubelet_certificate_manager_(?:client|server)_ttl_seconds",
            "kubelet_certificate_manager_client_expiration_renew_errors",
            "kubelet_server_expiration_renew_errors",
            "kubelet_evictions",
            "kubelet_pleg_relist_interval_seconds_(?:count|sum)",
            "kubelet_pleg_relist_duration_seconds_(?:count|sum)",
            "kubelet_runtime_operations_errors_total",
            "rest_client_requests_total",
            "storage_operation_duration_seconds_(?:count|sum)",
            "volume_manager_total_volumes",
            "go_goroutines",
        ),
        Series("kubelet_pleg_relist_duration_seconds_bucket", "le", _LATENCY_BOUNDS),
        Series("kubelet_pod_worker_duration_seconds_bucket", "le", _LATENCY_BOUNDS + r"|60(?:\.0)?"),
        *_PROCESS,
        *_VERSION,
    ),
    CADVISOR: (
        *_metrics("machine_cpu_cores", "machine_memory_bytes"),
        # Without the sums over a pod and the slices of systemd: they double what the containers give.
        Series("container_cpu_usage_seconds_total", "container", ".+"),
        Series("container_cpu_cfs_(?:throttled_)?periods_total", "container", ".+"),
        Series("container_memory_(?:working_set_bytes|rss|cache|swap)", "container", ".+"),
        Series("container_oom_events_total", "container", ".+"),
        Series("container_fs_(?:reads|writes)(?:_bytes)?_total", "container", ".+"),
        # A pod's network belongs to its sandbox, which has no container name.
        Series("container_network_(?:receive|transmit)_(?:bytes|packets|packets_dropped|errors)_total", "pod", ".+"),
    ),
    COREDNS: (
        *_metrics(
            "coredns_build_info",
            "coredns_panics_total",
            "coredns_dns_requests_total",
            "coredns_dns_responses_total",
            "coredns_cache_(?:hits|misses|requests)_total",
            "coredns_cache_entries",
            "coredns_forward_healthcheck_(?:broken|failures)_total",
            "coredns_proxy_healthcheck_failures_total",
            "coredns_reload_failed_total",
        ),
        Series("coredns_dns_request_duration_seconds_bucket", "le", r"0\.008|0\.032|0\.128|0\.512|2\.048|4\.096|\+Inf"),
        Series("coredns_(?:forward|proxy)_request_duration_seconds_(?:count|sum)"),
        *_PROCESS,
    ),
    KUBE_STATE_METRICS: _metrics(
        "kube_node_(?:info|role|spec_unschedulable|spec_taint|created)",
        "kube_node_status_(?:condition|allocatable|capacity)",
        "kube_namespace_status_phase",
        "kube_pod_(?:info|owner|start_time|deletion_timestamp)",
        "kube_pod_status_(?:phase|ready|reason|unschedulable)",
        "kube_pod_container_status_(?:ready|restarts_total|waiting_reason|last_terminated_reason)",
        "kube_pod_init_container_status_(?:restarts_total|waiting_reason)",
        "kube_pod_container_resource_(?:requests|limits)",
        "kube_replicaset_owner",
        "kube_deployment_(?:metadata_generation|spec_replicas|spec_paused)",
        "kube_deployment_status_(?:observed_generation|condition)",
        "kube_deployment_status_replicas(?:_available|_ready|_unavailable|_updated)?",
        "kube_statefulset_(?:metadata_generation|replicas)",
        "kube_statefulset_status_(?:observed_generation|current_revision|update_revision)",
        "kube_statefulset_status_replicas(?:_available|_current|_ready|_updated)?",
        "kube_daemonset_metadata_generation",
        "kube_daemonset_status_(?:observed_generation|current_number_scheduled|desired_number_scheduled)",
        "kube_daemonset_status_(?:number_available|number_misscheduled|number_ready|number_unavailable)",
        "kube_daemonset_status_updated_number_scheduled",
        "kube_job_(?:info|owner|failed|complete)",
        "kube_job_status_(?:active|failed|succeeded|start_time|completion_time)",
        "kube_cronjob_(?:spec_suspend|status_active|next_schedule_time|status_last_schedule_time)",
        "kube_horizontalpodautoscaler_spec_(?:max|min)_replicas",
        "kube_horizontalpodautoscaler_status_(?:current_replicas|desired_replicas|condition)",
        "kube_persistentvolume_(?:info|status_phase|capacity_bytes)",
        "kube_persistentvolumeclaim_(?:info|status_phase|access_mode|resource_requests_storage_bytes)",
        "kube_poddisruptionbudget_status_(?:current_healthy|desired_healthy|expected_pods)",
        "kube_poddisruptionbudget_status_pod_disruptions_allowed",
        "kube_resourcequota",
        "kube_ingress_(?:info|path)",
        "kube_service_(?:info|spec_type)",
        "kube_certificatesigningrequest_condition",
    ),
    NODE_EXPORTER: _metrics(
        "node_boot_time_seconds",
        "node_bonding_(?:active|slaves)",
        "node_context_switches_total",
        "node_cpu_seconds_total",
        "node_disk_(?:io_time_seconds|io_time_weighted_seconds)_total",
        "node_disk_(?:read|reads_completed|read_bytes|read_time_seconds)_total",
        "node_disk_(?:written_bytes|writes_completed|write_time_seconds)_total",
        "node_exporter_build_info",
        "node_filefd_(?:allocated|maximum)",
        "node_filesystem_(?:avail|size)_bytes",
        "node_filesystem_(?:files|files_free|readonly|device_error)",
        "node_load(?:1|5|15)",
        "node_md_disks(?:_required)?",
        "node_md_state",
        "node_memory_(?:MemTotal|MemFree|MemAvailable|Buffers|Cached|Slab|SReclaimable|SwapTotal|SwapFree)_bytes",
        "node_network_(?:receive|transmit)_(?:bytes|packets|errs|drop)_total",
        "node_network_up",
        "node_nf_conntrack_entries(?:_limit)?",
        "node_pressure_(?:cpu|io|irq|memory)_(?:waiting|stalled)_seconds_total",
        "node_procs_(?:blocked|running)",
        "node_scrape_collector_success",
        "node_time_seconds",
        "node_timex_(?:offset_seconds|sync_status|maxerror_seconds|estimated_error_seconds)",
        "node_uname_info",
        "node_vmstat_(?:oom_kill|pgmajfault|pswpin|pswpout)",
    ),
    AGENT: (
        *_metrics(
            "prometheus_build_info",
            "prometheus_config_last_reload_success(?:_timestamp_seconds|ful)",
            "prometheus_agent_(?:active_series|corruptions_total|samples_appended_total|out_of_order_samples_total)",
            "prometheus_remote_storage_queue_highest_(?:sent_)?timestamp_seconds",
            "prometheus_remote_storage_highest_timestamp_in_seconds",
            "prometheus_remote_storage_(?:samples|samples_failed|samples_dropped|samples_retried)_total",
            "prometheus_remote_storage_(?:samples_pending|bytes_total)",
            "prometheus_remote_storage_shards(?:_desired|_max)?",
            "prometheus_sd_kubernetes_failures_total",
            "prometheus_sd_discovered_targets",
            "prometheus_target_scrape_pool_exceeded_(?:target_limit|label_limits)_total",
            "prometheus_target_scrapes_exceeded_(?:sample_limit|body_size_limit)_total",
            "prometheus_target_scrapes_(?:sample_out_of_order|sample_out_of_bounds)_total",
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "go_goroutines",
        ),
        *_PROCESS,
    ),
    SCHEDULER: (
        *_metrics(
            "scheduler_(?:schedule_attempts_total|pending_pods|preemption_attempts_total)",
            "scheduler_(?:scheduling_attempt|pod_scheduling_sli)_duration_seconds_(?:count|sum)",
            "leader_election_master_status",
            "rest_client_requests_total",
            "workqueue_(?:adds_total|depth)",
            "go_goroutines",
        ),
        Series("scheduler_scheduling_attempt_duration_seconds_bucket", "le", _SCHEDULING_BOUNDS),
        *_PROCESS,
        *_VERSION,
    ),
    CONTROLLER_MANAGER: (
        *_metrics(
            "leader_election_master_status",
            "node_collector_(?:evictions_total|unhealthy_nodes_in_zone|zone_health|zone_size)",
            "rest_client_requests_total",
            "workqueue_(?:adds_total|depth|retries_total)",
            "go_goroutines",
        ),
        *_PROCESS,
        *_VERSION,
    ),
    ETCD: (
        *_metrics(
            "etcd_(?:cluster_version|server_version)",
            "etcd_server_(?:has_leader|is_leader|leader_changes_seen_total|is_learner)",
            "etcd_server_proposals_(?:committed_total|applied_total|pending|failed_total)",
            "etcd_server_(?:quota_backend_bytes|slow_apply_total|slow_read_indexes_total)",
            "etcd_server_(?:heartbeat_send_failures_total|health_failures)",
            "etcd_mvcc_db_total_size(?:_in_use)?_in_bytes",
            "etcd_network_(?:peer_sent_failures|peer_received_failures|client_grpc_sent_bytes)_total",
            "etcd_debugging_mvcc_keys_total",
            "go_goroutines",
        ),
        Series("etcd_disk_(?:wal_fsync|backend_commit)_duration_seconds_bucket", "le", _DISK_BOUNDS),
        Series("etcd_network_peer_round_trip_time_seconds_bucket", "le", _ROUND_TRIP_BOUNDS),
        *_PROCESS,
    ),
    KUBE_PROXY: (
        *_metrics(
            "kubeproxy_sync_proxy_rules_(?:last_timestamp|last_queued_timestamp|duration)_seconds(?:_count|_sum)?",
            "kubeproxy_sync_(?:partial|full)_proxy_rules_duration_seconds_(?:count|sum)",
            "kubeproxy_sync_proxy_rules_(?:iptables_restore_failures|nftables_sync_failures)_total",
            "kubeproxy_network_programming_duration_seconds_(?:count|sum)",
            "rest_client_requests_total",
            "go_goroutines",
        ),
        Series("kubeproxy_sync_proxy_rules_duration_seconds_bucket", "le", _SCHEDULING_BOUNDS),
        Series("kubeproxy_network_programming_duration_seconds_bucket", "le", _LATENCY_BOUNDS + r"|(?:30|60)(?:\.0)?"),
        *_PROCESS,
        *_VERSION,
    ),
    INGRESS_NGINX: (
        *_metrics(
            "nginx_ingress_controller_(?:build_info|success|errors)",
            "nginx_ingress_controller_requests",
            "nginx_ingress_controller_request_duration_seconds_(?:count|sum)",
            "nginx_ingress_controller_config_last_reload_success(?:ful|ful_timestamp_seconds)",
            "nginx_ingress_controller_ssl_(?:expire_time_seconds|certificate_info)",
            "nginx_ingress_controller_nginx_process_(?:connections|connections_total|requests_total)",
            "nginx_ingress_controller_nginx_process_(?:cpu_seconds_total|resident_memory_bytes)",
            "nginx_ingress_controller_leader_election_status",
            "nginx_ingress_controller_(?:check_errors|check_success|orphan_ingress)",
        ),
        Series("nginx_ingress_controller_request_duration_seconds_bucket", "le", _LATENCY_BOUNDS),
        *_PROCESS,
    ),
    TRAEFIK: (
        *_metrics(
            "traefik_config_(?:reloads_total|last_reload_success)",
            "traefik_(?:open_connections|tls_certs_not_after)",
            "traefik_(?:entrypoint|service)_requests_total",
            "traefik_(?:entrypoint|service)_request_duration_seconds_(?:count|sum)",
            "traefik_service_(?:retries_total|server_up)",
        ),
        Series("traefik_(?:entrypoint|service)_request_duration_seconds_bucket", "le", _LATENCY_BOUNDS),
        *_PROCESS,
    ),
    CERT_MANAGER: (
        *_metrics(
            "certmanager_certificate_(?:expiration|renewal|not_after|not_before)_timestamp_seconds",
            "certmanager_certificate_ready_status",
            "certmanager_(?:controller_sync_call_count|controller_sync_error_count|clock_time_seconds)",
            "certmanager_http_acme_client_request_count",
        ),
        *_PROCESS,
    ),
    CILIUM: (
        *_metrics(
            "cilium_(?:version|errors_warnings_total|unreachable_nodes|unreachable_health_endpoints)",
            "cilium_(?:endpoint_state|controllers_failing|bpf_map_pressure|drop_count_total)",
            "cilium_(?:endpoint_regenerations_total|policy_import_errors_total|policy_change_total)",
            "cilium_node_(?:connectivity_status|health_connectivity_status)",
            "cilium_(?:agent_api_process_time_seconds|k8s_client_api_latency_time_seconds)_(?:count|sum)",
        ),
        *_PROCESS,
    ),
    BLACKBOX: _metrics(
        "probe_(?:success|duration_seconds|dns_lookup_time_seconds|ip_protocol|failed_due_to_regex)",
        "probe_http_(?:status_code|duration_seconds|redirects|ssl|version)",
        "probe_ssl_earliest_cert_expiry",
        "probe_ssl_last_chain_expiry_timestamp_seconds",
    ),
}


def series_of(profile: str, job: str, extra: Sequence[str] = ()) -> tuple[Series, ...] | None:
    """What a profile keeps of a job, with ``extra`` expressions of names; None means everything."""
    if profile != "minimal" or job not in MINIMAL:
        return None
    return (*MINIMAL[job], *(Series(f"(?:{name})") for name in extra))


# Of a target's samples, by profile. Jobs that tell of all objects of a cluster grow with it.
_SAMPLES = {"minimal": 20_000, "full": 200_000}
_SAMPLES_OF_OBJECTS = {"minimal": 200_000, "full": 500_000}
_JOBS_OF_OBJECTS = (KUBE_STATE_METRICS, APISERVER, CADVISOR, INGRESS_NGINX, TRAEFIK)
# What others than us run; the profile says nothing of it. An agent remembers what it has refused for up to two hours.
_SAMPLES_OF_OTHERS = 2_000
_TARGETS_OF_OTHERS = 500


def limits(job: str, profile: str) -> dict[str, Any]:
    """Bounds of what one target, or one job, can bring about, in Prometheus' terms. A scrape beyond them fails."""
    result: dict[str, Any] = {
        "body_size_limit": "256MB",
        "label_limit": 64,
        "label_name_length_limit": 256,
        "label_value_length_limit": 2048,
    }
    if job in MINIMAL:
        samples = _SAMPLES_OF_OBJECTS if job in _JOBS_OF_OBJECTS else _SAMPLES
        return {"sample_limit": samples[profile], **result}
    return {
        "sample_limit": _SAMPLES_OF_OTHERS,
        "target_limit": _TARGETS_OF_OTHERS,
        **result,
        "body_size_limit": "4MB",
    }


def relabel_rules(series: Sequence[Series] | None) -> list[dict[str, Any]]:
    """metric_relabel_configs that keep just these series."""
    return [] if series is None else [_rule("keep", series)]


def rules_about_secrets(job: str) -> list[dict[str, Any]]:
    """metric_relabel_configs by which nothing is collected of Secrets."""
    unnamed = [{"regex": "secret_name", "action": "labeldrop"}] if job in _SECRET_NAMES_GO else []
    return [*unnamed, _rule("drop", SECRETS)]


def _rule(action: str, series: Sequence[Series]) -> dict[str, Any]:
    """One rule: names and the labels they are conditional on, joined by ";", matched by one expression."""
    labels = sorted({entry.label for entry in series if entry.label})
    alternatives = [
        ";".join([entry.name, *(f"(?:{entry.values})" if entry.label == label else ".*" for label in labels)])
        for entry in series
    ]
    return {"source_labels": ["__name__", *labels], "regex": "|".join(alternatives), "action": action}


def metric_allow_list(series: Sequence[Series] | None) -> str:
    """The same names as kube-state-metrics takes them: it does not even keep the others in memory."""
    return "" if series is None else ",".join(f"^{entry.name}$" for entry in series)
