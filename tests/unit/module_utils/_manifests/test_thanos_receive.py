# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive: whose samples they are, and that none are lost."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_component
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_receive import COMPONENT

SETTINGS = Settings("thanos-receive", "observer", objstore=True)


def arguments(settings: Settings = SETTINGS) -> dict[str, str]:
    pairs = (argument.partition("=") for argument in thanos_component.arguments(COMPONENT, settings))
    return {flag: value for flag, _ignored, value in pairs}


def test_the_tenant_comes_from_the_header_and_from_nowhere_else() -> None:
    found = arguments(replace(SETTINGS, tenant_header="X-Cluster", tenant_label="customer"))
    assert found["--receive.tenant-header"] == "X-Cluster"
    assert found["--receive.tenant-label-name"] == "customer"
    assert not [flag for flag in found if "certificate-field" in flag or "split-tenant" in flag]


def test_what_has_no_tenant_has_a_name_that_no_cluster_can_have() -> None:
    assert not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", arguments()["--receive.default-tenant-id"])


def test_series_lose_the_labels_that_tell_whose_they_are() -> None:
    for label in ("cluster", "customer"):
        _names, rule = yaml.safe_load(COMPONENT.files(replace(SETTINGS, tenant_label=label))["relabel.yml"])
        assert rule["action"] == "labeldrop"
        dropped = re.compile(rule["regex"])
        lost = (label, "tenant_id", "receive_replica", "observer", "prometheus_replica", "ruler_replica")
        assert all(dropped.fullmatch(name) for name in lost)
        # The IaaS layer tells itself by its own.
        kept = ("job", "cluster_name", "my_cluster", "instance", "layer", "region", "replica", "observer_namespace")
        assert not any(dropped.fullmatch(name) for name in kept)


def test_no_cluster_writes_series_that_are_the_observers() -> None:
    rule, _labels = yaml.safe_load(COMPONENT.files(SETTINGS)["relabel.yml"])
    assert (rule["action"], rule["source_labels"]) == ("drop", ["__name__"])
    dropped = re.compile(rule["regex"])
    assert all(dropped.fullmatch(name) for name in ("kaas_cluster_info", "kaas:cluster:state", "iaas:region:hosts"))
    assert not any(dropped.fullmatch(name) for name in ("up", "kaas", "my_kaas_cluster_info", "job:up:sum", "ALERTS"))


def test_remote_write_trusts_the_gateways_authority_alone() -> None:
    found = arguments()
    assert found["--remote-write.server-tls-client-ca"] == "/etc/thanos/tls/gateway-ca.crt"
    assert found["--remote-write.server-tls-client-ca"] != found["--grpc-server-tls-client-ca"]
    assert found["--remote-write.server-tls-min-version"] == "1.3"
    assert COMPONENT.trusts_gateway


def test_the_way_in_that_knows_no_certificates_is_closed() -> None:
    assert arguments()["--receive.capnproto-address"] == "127.0.0.1:0"


def test_without_tls_remote_write_is_plain() -> None:
    plain = replace(SETTINGS, tls=False)
    assert not [flag for flag in arguments(plain) if "tls" in flag]
    assert COMPONENT.endpoints(plain)["remote_write"].startswith("http://")


def test_each_pod_is_a_replica_by_its_own_name() -> None:
    assert arguments()["--label"] == 'receive_replica="$(POD_NAME)"'
    (workload,) = [item for item in thanos_component.objects(COMPONENT, SETTINGS) if item["kind"] == "StatefulSet"]
    variables = {item.pop("name"): item for item in workload["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert variables["POD_NAME"] == {"valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}


def test_blocks_stay_until_they_are_somewhere_else() -> None:
    with_store, alone = arguments(), arguments(replace(SETTINGS, objstore=False))
    assert duration_seconds(with_store["--tsdb.retention"], "") < duration_seconds(alone["--tsdb.retention"], "")
    assert arguments(replace(SETTINGS, retention="7d"))["--tsdb.retention"] == "7d"


def test_late_samples_are_taken_and_future_ones_are_not() -> None:
    found = arguments()
    assert found["--tsdb.out-of-order.time-window"] == "8h"
    assert 0 < duration_seconds(found["--tsdb.too-far-in-future.time-window"], "") <= 3600


def test_its_end_has_time_to_upload() -> None:
    (workload,) = [item for item in thanos_component.objects(COMPONENT, SETTINGS) if item["kind"] == "StatefulSet"]
    assert workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 600


@pytest.mark.parametrize(
    ("series", "kept"),
    [
        ({"__name__": "go_goroutines"}, True),
        ({"__name__": "grpc_server_handling_seconds_bucket", "le": "0.3"}, True),
        ({"__name__": "prometheus_tsdb_head_series", "tenant": "alpha"}, True),
        ({"__name__": "prometheus_tsdb_head_max_time", "tenant": "alpha"}, True),
        ({"__name__": "prometheus_tsdb_compactions_failed_total", "tenant": "alpha"}, True),
        ({"__name__": "prometheus_tsdb_reloads_failures_total", "tenant": "alpha"}, True),
        ({"__name__": "prometheus_tsdb_head_chunks", "tenant": "alpha"}, False),
        ({"__name__": "prometheus_tsdb_compaction_duration_seconds_bucket", "tenant": "alpha", "le": "1.0"}, False),
        ({"__name__": "thanos_receive_write_samples_sum", "tenant": "alpha"}, True),
        ({"__name__": "thanos_receive_write_samples_bucket", "tenant": "alpha", "le": "10.0"}, False),
        ({"__name__": "thanos_shipper_upload_failures_total", "tenant": "alpha"}, True),
        ({"__name__": "http_requests_total", "tenant": "alpha", "code": "500"}, True),
        ({"__name__": "http_request_duration_seconds_sum", "tenant": "alpha"}, True),
        ({"__name__": "http_request_duration_seconds_bucket", "tenant": "alpha", "le": "1.0"}, True),
        ({"__name__": "http_request_duration_seconds_bucket", "tenant": "alpha", "le": "0.04"}, False),
        ({"__name__": "http_response_size_bytes_bucket", "tenant": "alpha", "le": "+Inf"}, False),
    ],
)
def test_of_each_cluster_the_few_series_are_kept_that_tell_how_it_fares(series: dict[str, str], kept: bool) -> None:
    (monitor,) = [
        item
        for item in thanos_component.objects(COMPONENT, replace(SETTINGS, service_monitor=True))
        if item["kind"] == "ServiceMonitor"
    ]
    ((rule,),) = [endpoint["metricRelabelings"] for endpoint in monitor["spec"]["endpoints"]]
    assert rule["action"] == "keep"
    joined = ";".join(series.get(label, "") for label in rule["sourceLabels"])
    assert bool(re.fullmatch(rule["regex"], joined)) is kept
