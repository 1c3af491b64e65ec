# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive: takes remote write from the gateway, keeps one TSDB per cluster, uploads its blocks."""

from __future__ import annotations

import json

from ansible_collections.scs.observability.plugins.module_utils._manifests import receive_limits
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import Series
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    CONFIGURATION_PATH,
    GRPC_PORT,
    TLS_PATH,
    Component,
    Settings,
    instead,
    local_retention,
)

REMOTE_WRITE_PORT = 19291
REMOTE_WRITE_PATH = "/api/v1/receive"
LIMITS_FILE = "limits.yml"
GATEWAY_CA_FILE = "gateway-ca.crt"
DATA_PATH = "/var/thanos/receive"

# Not a DNS label, so no cluster can have this name: what comes without a tenant never mixes with anybody's data.
DEFAULT_TENANT = "_unassigned"

# By these, rules tell what the observer's own Prometheus and rulers say from what a cluster says of itself.
OBSERVERS_LABELS = ("observer", "prometheus_replica", "ruler_replica")
# What importers tell, and what rulers record
OBSERVERS_NAMES = "(?:kaas|iaas)[_:].+"

# With an object store the local blocks only bridge the time until the store gateway serves them.
RETENTION = {True: "2d", False: "15d"}

# Each cluster's database adds some 220 series about itself, most of them buckets. What tells how it fares is kept.
SERIES = (
    Series(".*", "tenant", ""),
    Series("prometheus_tsdb_head_(?:series|max_time|samples_appended_total|truncations_failed_total)"),
    Series("prometheus_tsdb_(?:compactions|reloads|wal_truncations|wal_writes)(?:_failed|_failures)_total"),
    Series("prometheus_tsdb_(?:out_of_order|out_of_bound|too_old)_samples_total"),
    Series("prometheus_tsdb_(?:storage_blocks_bytes|wal_corruptions_total|wal_storage_size_bytes)"),
    Series("thanos_(?:objstore|shipper)_.*"),
    Series("thanos_receive_.*_(?:total|count|sum)"),
    Series("http_(?:requests_total|request_duration_seconds_(?:count|sum))"),
    Series("http_request_duration_seconds_bucket", "le", r"0\.1|0\.5|[125](?:\.0)?|\+Inf"),
)

# Receive learns from Prometheus how many series a cluster has. Until then that may make as many as it can.
SCRAPE_INTERVAL = "10s"


def _arguments(settings: Settings) -> list[str]:
    result = [
        f"--remote-write.address=0.0.0.0:{REMOTE_WRITE_PORT}",
        # It asks nobody who they are, takes samples for every tenant, and cannot be turned off.
        "--receive.capnproto-address=127.0.0.1:0",
        f"--tsdb.path={DATA_PATH}",
        f"--tsdb.retention={settings.retention or RETENTION[settings.objstore]}",
        '--label=receive_replica="$(POD_NAME)"',
        f"--receive.tenant-header={settings.tenant_header}",
        f"--receive.tenant-label-name={settings.tenant_label}",
        f"--receive.default-tenant-id={DEFAULT_TENANT}",
        f"--receive.relabel-config-file={CONFIGURATION_PATH}/relabel.yml",
    ]
    if receive_limits.configuration(settings.limits):
        result.append(f"--receive.limits-config-file={CONFIGURATION_PATH}/{LIMITS_FILE}")
    if settings.limits.counts_series:
        # Receive looks at the number of series only when it routes: in a ring of its own it routes to itself, which it
        # knows by this address and does not ask.
        itself = f"127.0.0.1:{GRPC_PORT}"
        result += [f"--receive.local-endpoint={itself}", f"--receive.hashrings={json.dumps([{'endpoints': [itself]}])}"]
    if settings.tls:
        result += [
            f"--remote-write.server-tls-cert={TLS_PATH}/tls.crt",
            f"--remote-write.server-tls-key={TLS_PATH}/tls.key",
            f"--remote-write.server-tls-client-ca={TLS_PATH}/{GATEWAY_CA_FILE}",
            "--remote-write.server-tls-min-version=1.3",
        ]
    return result


def _files(settings: Settings) -> dict[str, str]:
    # External labels win on read anyway; without their own of that name, series are not stored under two names.
    reserved = dict.fromkeys((settings.tenant_label, "tenant_id", "receive_replica", *OBSERVERS_LABELS))
    limits = receive_limits.configuration(settings.limits)
    return {
        "relabel.yml": f"- source_labels: [__name__]\n  action: drop\n  regex: {OBSERVERS_NAMES}\n"
        f"- action: labeldrop\n  regex: {'|'.join(reserved)}\n",
        **({LIMITS_FILE: limits} if limits else {}),
    }


def _endpoints(settings: Settings) -> dict[str, str]:
    scheme = "https" if settings.tls else "http"
    return {"remote_write": f"{scheme}://{settings.host}:{REMOTE_WRITE_PORT}{REMOTE_WRITE_PATH}"}


COMPONENT = Component(
    name="receive",
    command=("receive",),
    # The limit has room for one cluster that runs wild, see docs/sizing.md.
    resources={"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "6Gi"}},
    takes=("retention", "limits", "objstore", "storage_size", "storage_class"),
    check=local_retention,
    arguments=_arguments,
    tuning=(
        # An agent that was cut off sends its backlog late and out of order.
        "--tsdb.out-of-order.time-window=8h",
        # One sample from the future would make the head refuse everything that follows.
        "--tsdb.too-far-in-future.time-window=10m",
    ),
    # Measured (benchmarks/fleet.py): a cluster takes about a third less memory than with Go's default of 100, and with
    # a hundred of them a sample about a tenth more CPU.
    environment={"GOGC": "30"},
    reserved={
        "--tsdb.path": "Volumes are mounted there",
        "--tsdb.retention": instead("retention"),
        "--label": "Deduplication rests on this label",
        "--receive.tenant-header": instead("tenant_header"),
        "--receive.tenant-label-name": instead("tenant_label"),
        "--receive.tenant-certificate-field": "Behind the gateway every cluster would become the gateway",
        "--receive.split-tenant-label-name": "A series could choose the cluster that it is stored under",
        "--receive.default-tenant-id": "It must not be the name of a cluster",
        "--receive.limits-config": instead("limits"),
        "--receive.relabel-config": "It keeps series from carrying the labels of a cluster",
        "--receive.hashrings": "One receive, no ring",
        "--receive.local-endpoint": "One receive, no ring",
        "--receive.capnproto-address": "It takes samples without asking for a certificate",
        "--remote-write.address": "The gateway relies on this port",
        "--remote-write.server-tls": instead("tls"),
    },
    files=_files,
    ports={"remote-write": REMOTE_WRITE_PORT},
    endpoints=_endpoints,
    stateful=True,
    data_path=DATA_PATH,
    storage_size="10Gi",
    trusts_gateway=True,
    series=SERIES,
    scrape_interval=SCRAPE_INTERVAL,
    single="A second one would need a hashring, or it gets half of the data of each cluster",
    # At its end it writes out what it has in memory and uploads it.
    termination_grace_period=900,
)
