# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._observer.components import (
    Facts,
    describe,
    observe,
    parse_stores,
    problems,
)
from ansible_collections.scs.observability.plugins.module_utils._promql.client import Answer as Queried
from ansible_collections.scs.observability.plugins.module_utils._promql.client import Sample
from tests.unit.module_utils._kubernetes import conftest as scripted
from tests.unit.module_utils._kubernetes.conftest import Answer, ScriptedApi, failure
from tests.unit.module_utils._kubernetes.workloads import PULLING, RUNNING, Manifest, container, crashing

api, client, pauses = scripted.api, scripted.client, scripted.pauses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BUILD = 'thanos_build_info{branch="HEAD",version="0.42.4"} 1\n'
ENDPOINT = {
    "name": "10.244.0.7:10901",
    "lastCheck": "2026-03-01T11:59:58.123456789Z",
    "lastError": None,
    "labelSets": [{"cluster": "alpha", "receive_replica": "thanos-receive-0"}],
    "minTime": 1772280000000,
    "maxTime": 1772366400000,
}


def labels(component: str, software: str = "thanos") -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "scs.observability",
        "app.kubernetes.io/part-of": "scs-observability",
        "app.kubernetes.io/name": software,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": f"{software}-{component}",
    }


def workload(component: str, *, software: str = "thanos", wanted: int = 1, ready: int | None = None) -> Manifest:
    """A StatefulSet as its controller leaves it."""
    ready = wanted if ready is None else ready
    revisions = dict.fromkeys(("currentRevision", "updateRevision"), "new")
    all_labels = labels(component, software)
    seen = " ".join(f"dnssrv+_grpc._tcp.thanos-{name}-headless.ns.svc" for name in ("receive", "store", "rule"))
    reads = {"annotations": {"observability.scs.community/reads": seen}} if component == "query" else {}
    selector = {name: all_labels[name] for name in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": f"{software}-{component}", "namespace": "ns", "labels": all_labels, **reads},
        "spec": {
            "replicas": wanted,
            "selector": {"matchLabels": selector},
            "template": {"spec": {"containers": [{"image": f"quay.io/{software}:v1"}]}},
        },
        "status": {"replicas": wanted, "readyReplicas": ready, "availableReplicas": ready, **revisions},
    }


def pod(component: str, number: int = 0, status: Manifest = RUNNING, *, software: str = "thanos") -> Manifest:
    port = {"thanos": {"name": "http", "containerPort": 10902}, "haproxy": {"name": "metrics", "containerPort": 8404}}
    return {
        "metadata": {
            "name": f"{software}-{component}-{number}",
            "namespace": "ns",
            "labels": labels(component, software),
        },
        "spec": {"containers": [{"ports": [{"name": "grpc", "containerPort": 10901}, port[software]]}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def secret(name: str, expires: str = "2026-05-30T12:00:00Z", renew_after: str = "2026-05-10T12:00:00Z") -> Manifest:
    prefix = "observability.scs.community/certificate"
    annotations = {f"{prefix}-expires": expires, f"{prefix}-renew-after": renew_after}
    return {"metadata": {"name": name, "labels": labels("query"), "annotations": annotations}}


def stores(**endpoints: Any) -> bytes:
    return json.dumps({"status": "success", "data": endpoints}).encode()


def facts(component: str, *bodies: str, **changes: Any) -> Facts:
    """A component that is ready, with pods that answer with their version and more metrics."""
    metrics = {f"thanos-{component}-{number}": (BUILD + body).encode() for number, body in enumerate(bodies or [""])}
    return Facts(**{"workload": workload(component), "metrics": metrics, **changes})


def row(item: Facts, *others: Facts, **expected: Any) -> dict[str, Any]:
    (found,) = (found for found in describe([item, *others], NOW, **expected) if found["name"] == item.name)
    return found


def deployed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those that tell that a part of the record is not there."""
    return [found for found in rows if found["state"] != "absent"]


# Facts in, status out


def test_a_component_that_works() -> None:
    assert row(facts("query-frontend")) == {
        "name": "thanos-query-frontend",
        "component": "query_frontend",
        "version": "0.42.4",
        "image": "quay.io/thanos:v1",
        "replicas": {"wanted": 1, "ready": 1},
        "endpoints": [],
        "last_upload": None,
        "compaction": None,
        "figures": {},
        "certificates": [],
        "error": None,
        "diagnosis": "",
        "healthy": True,
        "state": "ok",
        "reason": "ready",
    }


def test_components_come_by_name() -> None:
    names = [found["name"] for found in deployed(describe([facts("store"), facts("compact")], NOW))]
    assert names == ["thanos-compact", "thanos-store"]


def test_versions_of_pods_may_differ_while_they_are_replaced() -> None:
    older = BUILD.replace("0.42.4", "0.41.0").encode()
    assert row(facts("store", metrics={"a": BUILD.encode(), "b": older, "c": older}))["version"] == "0.41.0, 0.42.4"


def test_the_newest_upload_of_all_pods_counts() -> None:
    name = 'thanos_objstore_bucket_last_successful_upload_time{bucket="metrics"}'
    found = row(facts("receive", f"{name} 1.772362841e+09\n", f"{name} 1.7723628e+09\n", f"{name} 0\n"))
    assert found["last_upload"] == "2026-03-01T11:00:41Z"
    assert row(facts("receive", f"{name} 0\n"))["last_upload"] is None, "never"


def test_progress_of_a_compactor() -> None:
    found = row(
        facts(
            "compact",
            "thanos_compact_halted 0\nthanos_compact_iterations_total 12\nthanos_compact_retries_total 2\n"
            "thanos_compact_todo_compactions 1\nthanos_compact_todo_compaction_blocks 3\n",
        )
    )
    assert found["compaction"] == {
        "since": None,
        "halted": False,
        "iterations": 12,
        "retries": 2,
        "todo": {"compactions": 1, "compaction_blocks": 3},
    }
    assert found["healthy"] is True


def test_a_compactor_that_has_halted_is_not_healthy_although_it_is_ready() -> None:
    found = row(facts("compact", "thanos_compact_halted 1\n"))
    assert (found["state"], found["healthy"]) == ("halted", False)
    assert found["replicas"] == {"wanted": 1, "ready": 1}


def seconds_ago(hours: float) -> float:
    return NOW.timestamp() - hours * 3600


@pytest.mark.parametrize(
    ("iterations", "retries", "hours", "uploaded", "reason"),
    [
        (0, 0, 1, None, "ready"),
        (0, 3, 1, None, "ready"),
        (0, 900, 75, None, "more of its runs failed (900) than succeeded (0) since 2026-02-26T09:00:00Z"),
        (13, 12, 75, None, "ready"),
        (12, 13, 75, None, "more of its runs failed (13) than succeeded (12) since 2026-02-26T09:00:00Z"),
        (0, 0, 25, None, "none of its runs succeeded since 2026-02-28T11:00:00Z, and it uploads nothing"),
        (0, 1, 75, 1, "ready"),  # it works through a bucket that was left alone for long
        (1, 0, 75, None, "ready"),
    ],
)
def test_a_compactor_whose_runs_fail(
    iterations: int, retries: int, hours: float, uploaded: float | None, reason: str
) -> None:
    last = 0 if uploaded is None else seconds_ago(uploaded)
    found = row(
        facts(
            "compact",
            f"thanos_compact_halted 0\nthanos_compact_iterations_total {iterations}\n"
            f"thanos_compact_retries_total {retries}\nprocess_start_time_seconds {seconds_ago(hours)}\n"
            f'thanos_objstore_bucket_last_successful_upload_time{{bucket="metrics"}} {last}\n',
        )
    )
    assert found["reason"].partition(";")[0] == reason
    assert (found["state"], found["healthy"]) == (("ok", True) if reason == "ready" else ("failing", False))


def receive(started: float, uploaded: float | None, **tenants: tuple[float, int]) -> Facts:
    """A receive by hours: when it started and uploaded; per tenant the begin of its head and how often it was cut."""
    last = 0 if uploaded is None else seconds_ago(uploaded)
    heads = "".join(
        f'prometheus_tsdb_head_min_time{{tenant="{tenant}"}} {seconds_ago(begin) * 1000}\n'
        f'prometheus_tsdb_head_truncations_total{{tenant="{tenant}"}} {cut}\n'
        for tenant, (begin, cut) in tenants.items()
    )
    return facts(
        "receive",
        f"process_start_time_seconds {seconds_ago(started)}\n{heads}"
        f'thanos_objstore_bucket_last_successful_upload_time{{bucket="metrics"}} {last}\n',
    )


def test_a_receive_that_does_not_upload() -> None:
    found = row(receive(100, 7, alpha=(2, 40), beta=(50, 0)))
    assert (found["state"], found["healthy"]) == ("failing", False)
    assert found["reason"].startswith("has blocks that are complete, and uploads none since 2026-03-01T05:00:00Z")
    assert row(receive(7, None, alpha=(2, 3)))["reason"].startswith(
        "has blocks that are complete, and uploads none since 2026-03-01T05:00:00Z"
    ), "never, since it started"


@pytest.mark.parametrize(
    "item",
    [
        receive(100, 5, alpha=(2, 40)),  # the store may be away for some hours
        receive(5, None, alpha=(2, 2)),  # just started
        receive(100, 90, alpha=(1, 0)),  # its first cluster is new
        receive(100, 50, alpha=(52, 9)),  # no cluster writes any more
        receive(100, 50, alpha=(-(10**9), 9)),  # nor has anything in memory
        receive(100, None),
        facts("receive", f"process_start_time_seconds {seconds_ago(100)}\n"),  # no bucket
    ],
)
def test_a_receive_that_has_nothing_to_upload(item: Facts) -> None:
    assert row(item)["reason"] == "ready"


@pytest.mark.parametrize(
    ("replicas", "pods", "reason"),
    [
        ({"wanted": 2, "ready": 1}, [], "1 of 2 replicas are ready"),
        ({"wanted": 0}, [], "scaled to 0 replicas"),
        (
            {"ready": 0},
            [pod("store", status=PULLING)],
            '0 of 1 replicas are ready (thanos-store-0: ImagePullBackOff: Back-off pulling image "quay.io/thanos',
        ),
        (
            {"ready": 0},
            [pod("store", 0), pod("store", 1, crashing(5))],
            "0 of 1 replicas are ready (thanos-store-1: CrashLoopBackOff: back-off 40s restarting failed "
            "container=receive; before: ended with 1 (Error): unknown flag --tsdb; 5 restarts)",
        ),
    ],
)
def test_why_a_component_is_not_ready(replicas: dict[str, int], pods: list[Manifest], reason: str) -> None:
    found = row(facts("store", workload=workload("store", **replicas), pods=pods, diagnosis="  more"))
    assert (found["state"], found["healthy"], found["diagnosis"]) == ("unready", False, "  more")
    assert found["reason"].startswith(reason)
    assert "\n" not in found["reason"]


def test_endpoints_that_query_sees() -> None:
    empty = {**ENDPOINT, "name": "10.244.0.8:10901", "labelSets": [], "minTime": 2**63 - 1, "maxTime": -(2**63)}
    found = row(facts("query", stores={"thanos-query-0": stores(store=[empty], receive=[ENDPOINT])}))
    assert found["endpoints"] == [
        {
            "name": "10.244.0.7:10901",
            "type": "receive",
            "label_sets": [{"cluster": "alpha", "receive_replica": "thanos-receive-0"}],
            "min_time": "2026-02-28T12:00:00Z",
            "max_time": "2026-03-01T12:00:00Z",
            "last_check": "2026-03-01T11:59:58.123456789Z",
            "error": None,
        },
        {
            "name": "10.244.0.8:10901",
            "type": "store",
            "label_sets": [],
            "min_time": None,
            "max_time": None,
            "last_check": "2026-03-01T11:59:58.123456789Z",
            "error": None,
        },
    ]
    assert found["healthy"] is True


def test_an_endpoint_with_an_error_is_told_whichever_pod_has_it() -> None:
    failing = {**ENDPOINT, "lastError": "connection refused"}
    for order in ([ENDPOINT, failing], [failing, ENDPOINT]):
        answers = {f"thanos-query-{number}": stores(receive=[item]) for number, item in enumerate(order)}
        found = row(facts("query", stores=answers))
        assert [item["error"] for item in found["endpoints"]] == ["connection refused"]
        assert (found["state"], found["healthy"]) == ("failing", False)
        assert found["reason"] == "endpoint 10.244.0.7:10901 (receive): connection refused"


def test_an_endpoint_that_query_has_never_reached_is_missed() -> None:
    query = facts("query", stores={"thanos-query-0": stores(receive=[ENDPOINT])})
    receive, store, frontend = facts("receive"), facts("store"), facts("query-frontend")
    assert row(query, receive, frontend)["state"] == "ok"
    found = row(query, receive, store, frontend)
    assert (found["state"], found["reason"]) == ("failing", "sees 0 of 1 endpoints of type store")
    assert row(store, query, receive)["state"] == "ok", "it is query that lacks something"
    unready = facts("store", workload=workload("store", ready=0))
    assert row(query, receive, unready)["state"] == "ok", "nothing to be seen yet"


@pytest.mark.parametrize(
    ("reads", "reason"),
    [
        ("peer.example.org:10901", "ready"),
        ("", "ready"),
        ("thanos-store.ns.svc:10901", "sees 0 of 1 endpoints of type store"),
        ("thanos-store.elsewhere.svc:10901", "ready"),
        ("dnssrv+_grpc._tcp.thanos-receive-headless peer.example.org:10901", "sees 0 of 1 endpoints of type receive"),
    ],
)
def test_a_query_misses_only_what_it_was_told_to_read(reads: str, reason: str) -> None:
    second = workload("query")
    second["metadata"]["name"] = "fleet-query"
    second["metadata"]["annotations"] = {"observability.scs.community/reads": reads}
    query = facts("query", workload=second, stores={"fleet-query-0": stores()})
    assert row(query, facts("receive"), facts("store"))["reason"] == reason


def test_every_pod_of_query_shall_see_every_pod() -> None:
    second = {**ENDPOINT, "name": "10.244.0.9:10901"}
    both, one = stores(store=[ENDPOINT, second]), stores(store=[ENDPOINT])
    two = facts("store", workload=workload("store", wanted=2))
    assert row(facts("query", stores={"thanos-query-0": both, "thanos-query-1": both}), two)["state"] == "ok"
    found = row(facts("query", stores={"thanos-query-0": both, "thanos-query-1": one}), two)
    assert found["reason"] == "sees 1 of 2 endpoints of type store"
    behind_a_service = facts("store", workload={**workload("store", wanted=2), "kind": "Deployment"})
    assert row(facts("query", stores={"thanos-query-0": one}), behind_a_service)["state"] == "ok"


@pytest.mark.parametrize(
    ("dates", "state", "healthy"),
    [
        ({}, "ok", True),
        ({"renew_after": "2026-03-01T12:00:00Z"}, "due", True),
        ({"renew_after": "2026-02-01T00:00:00Z", "expires": "2026-03-01T12:00:01Z"}, "due", True),
        ({"renew_after": "2026-02-01T00:00:00Z", "expires": "2026-03-01T12:00:00Z"}, "expired", False),
        ({"renew_after": "", "expires": "written by hand"}, "ok", True),
    ],
)
def test_certificates(dates: dict[str, str], state: str, healthy: bool) -> None:
    plain = {"metadata": {"name": "thanos-query-objstore", "labels": labels("query")}}
    given = secret("thanos-query-tls", **dates)
    found = row(facts("query", secrets=[plain, given]))
    assert [item["secret"] for item in found["certificates"]] == ["thanos-query-tls"]
    assert (found["state"], found["healthy"]) == (state, healthy)
    if state != "ok":
        assert "thanos-query-tls" in found["reason"]


def test_certificates_that_may_not_be_read_are_no_failure() -> None:
    found = row(facts("query", secrets=None))
    assert (found["certificates"], found["state"]) == (None, "ok")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("dial tcp 10.244.0.9:10902: i/o timeout", "dial tcp 10.244.0.9:10902: i/o timeout"),
        (b"<html>", "line 1 is not in Prometheus' text format: '<html>'"),
        (b"go_goroutines 12\n", "thanos_build_info is not among its metrics"),
    ],
)
def test_a_pod_that_cannot_be_read_is_an_error_and_hides_no_other(answer: bytes | str, error: str) -> None:
    found = row(facts("store", metrics={"thanos-store-0": answer, "thanos-store-1": BUILD.encode()}))
    assert found["error"] == f"thanos-store-0: {error}"
    assert (found["state"], found["healthy"], found["version"]) == ("unknown", False, "0.42.4")
    assert error in found["reason"]


def test_a_query_whose_endpoints_cannot_be_read_is_not_said_to_lack_them() -> None:
    found = row(facts("query", stores={"thanos-query-0": "forbidden"}), facts("receive"))
    assert (found["state"], found["reason"]) == ("unknown", "cannot be read: thanos-query-0: forbidden")


def test_all_reasons_are_told() -> None:
    failing = {**ENDPOINT, "lastError": "connection refused"}
    item = facts(
        "query",
        workload=workload("query", wanted=2, ready=1),
        secrets=[secret("thanos-query-tls", expires="2026-01-01T00:00:00Z")],
        stores={"thanos-query-0": stores(receive=[failing]), "thanos-query-1": "i/o timeout"},
    )
    found = row(item, facts("store"))
    assert found["state"] == "unready"
    assert found["reason"].split("; ") == [
        "1 of 2 replicas are ready",
        "the certificate in Secret thanos-query-tls expired at 2026-01-01T00:00:00Z",
        "endpoint 10.244.0.7:10901 (receive): connection refused",
        "sees 0 of 1 endpoints of type store",
        "cannot be read: thanos-query-1: i/o timeout",
    ]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data":[]}', b'{"data":{"store":[{}]}}', b'{"data":{"store":1}}']
)
def test_what_is_no_list_of_endpoints_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="no list of endpoints"):
        parse_stores(body)


def test_problems_name_what_is_wrong_and_what_is_missing() -> None:
    rows = describe([facts("query"), facts("store", workload=workload("store", ready=0), diagnosis="  pod x")], NOW)
    assert problems(rows, ("receive", "query"), "monitoring") == [
        "component thanos-store: 0 of 1 replicas are ready\n  pod x",
        "component receive: not deployed in namespace monitoring, although clusters are registered",
    ]


# The parts beside Thanos

PROMETHEUS = 'prometheus_build_info{version="3.16.0"} 1\nprometheus_config_last_reload_successful 1\n'
ALERTMANAGER = 'alertmanager_build_info{version="0.28.1"} 1\nalertmanager_config_last_reload_successful 1\n'
BLACKBOX = 'blackbox_exporter_build_info{version="0.26.0"} 1\nblackbox_exporter_config_last_reload_successful 1\n'
KUBE_STATE_METRICS = 'kube_state_metrics_build_info{version="v2.15.0"} 1\n'


def part(name: str, *bodies: str, wanted: int = 1, ready: int | None = None, **changes: Any) -> Facts:
    """A part whose workload has the given name, which is what tells it."""
    made = workload("x", software=name, wanted=wanted, ready=ready)
    made["metadata"]["name"] = name
    answers = {f"{name}-{number}": body.encode() for number, body in enumerate(bodies)}
    return Facts(**{"workload": made, "metrics": answers, **changes})


def vector(*samples: tuple[dict[str, str], float]) -> Queried:
    return Queried(tuple(Sample(found, value, NOW.timestamp()) for found, value in samples))


def prometheus(body: str = PROMETHEUS, **queried: Any) -> Facts:
    """Prometheus, with what it answers to each query by name."""
    names = {
        "up": "up",
        "probes": "probe_success",
        "requests": "sum(increase(thanos_objstore_bucket_operations_total[15m]))",
        "failures": "sum(increase(thanos_objstore_bucket_operation_failures_total[15m]))",
    }
    return part("prometheus-observer", body, queried={names[name]: answer for name, answer in queried.items()})


def test_every_part_of_the_record_is_told_also_when_it_is_not_there() -> None:
    rows = describe([facts("query")], NOW)
    assert {found["component"]: (found["state"], found["healthy"]) for found in rows} == {
        **dict.fromkeys(("bucket", "query_frontend", "receive", "rule", "compact"), ("absent", True)),
        **dict.fromkeys(("bucket_web", "store", "prometheus", "alertmanager"), ("absent", True)),
        **dict.fromkeys(("blackbox_exporter", "kaas_metric_importer"), ("absent", True)),
        "query": ("ok", True),
    }


def test_a_part_that_has_a_service_and_no_workload_shall_be_there() -> None:
    rows = describe([facts("query")], NOW, expected={"query", "alertmanager", "web_gateway"})
    missing = {found["name"]: found["reason"] for found in rows if not found["healthy"]}
    assert sorted(missing) == ["alertmanager", "web-gateway"]
    assert [text.partition(":")[0] for text in problems(rows, (), "ns")] == [
        "component alertmanager",
        "component web-gateway",
    ]


def test_a_part_that_every_observer_has_shall_be_there_also_without_a_service() -> None:
    rows = describe([facts("query")], NOW, expected={"store"}, wanted=("query", "store", "compact", "alertmanager"))
    told = {found["component"]: found["reason"] for found in rows if not found["healthy"]}
    assert {part: "every observer has it" in reason for part, reason in told.items()} == {
        "store": False,
        "compact": True,
        "alertmanager": True,
    }
    assert {found["state"] for found in rows if found["component"] != "query"} == {"absent"}
    assert len(problems(rows, ("query", "compact"), "ns")) == 3


def test_a_needed_component_that_is_absent_is_told_once() -> None:
    rows = describe([], NOW, expected={"receive"})
    assert [text.partition(":")[0] for text in problems(rows, ("receive", "query"), "ns")] == [
        "component receive",
        "component query",
    ]


def test_prometheus_tells_its_targets() -> None:
    up = vector(({"job": "thanos-query", "instance": "a"}, 1), ({"job": "grafana", "instance": "b"}, 0))
    found = row(prometheus(up=up))
    assert (found["component"], found["version"]) == ("prometheus", "3.16.0")
    assert found["figures"] == {"targets_up": 1, "targets_down": 1}
    assert (found["state"], found["healthy"], found["reason"]) == ("incomplete", True, "targets down: grafana b")


def test_of_many_targets_that_are_down_some_are_named() -> None:
    up = vector(*(({"job": "node", "instance": f"{number:02}"}, 0) for number in range(12)))
    found = row(prometheus(up=up))
    assert found["reason"].endswith("node 08, node 09 and 2 more")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("prometheus-observer", PROMETHEUS),
        ("alertmanager-observer", ALERTMANAGER),
        ("blackbox-exporter", BLACKBOX),
    ],
)
def test_a_configuration_that_could_not_be_loaded_is_a_failure(name: str, body: str) -> None:
    assert row(part(name, body))["state"] == "ok"
    found = row(part(name, body.replace("successful 1", "successful 0")))
    assert (found["state"], found["healthy"]) == ("failing", False)
    assert "could not load its configuration" in found["reason"]


def test_a_prometheus_that_answers_no_query_cannot_be_read() -> None:
    found = row(prometheus(up="no such host"))
    assert (found["state"], found["figures"]) == ("unknown", {})
    assert "no such host" in found["reason"]


def test_a_sidecar_without_uploads_is_told_like_a_receive_without() -> None:
    head = f"prometheus_tsdb_head_min_time {seconds_ago(2) * 1000}\nprometheus_tsdb_head_truncations_total 9\n"
    sidecar = (
        f"process_start_time_seconds {seconds_ago(100)}\n"
        f'thanos_objstore_bucket_last_successful_upload_time{{bucket="b"}} {seconds_ago(7)}\n'
    )
    found = row(prometheus(PROMETHEUS + head + sidecar))
    assert found["reason"].startswith("has blocks that are complete, and uploads none since 2026-03-01T05:00:00Z")
    assert found["last_upload"] == "2026-03-01T05:00:00Z"


def test_query_misses_the_sidecar_that_it_was_told_to_read() -> None:
    asking = workload("query")
    asking["metadata"]["annotations"] = {
        "observability.scs.community/reads": "dnssrv+_grpc._tcp.prometheus-sidecar-headless.ns.svc"
    }
    query = facts("query", workload=asking, stores={"thanos-query-0": stores()})
    assert row(query, prometheus())["reason"] == "sees 0 of 1 endpoints of type sidecar"
    seeing = facts("query", workload=asking, stores={"thanos-query-0": stores(sidecar=[ENDPOINT])})
    assert row(seeing, prometheus())["state"] == "ok"


def test_alertmanager_tells_alerts_and_members() -> None:
    alerts = 'alertmanager_alerts{state="active"} 3\nalertmanager_alerts{state="suppressed"} 2\n'
    assert row(part("alertmanager-observer", ALERTMANAGER + alerts))["figures"] == {"alerts_active": 3, "members": 1}
    both = f"{ALERTMANAGER}{alerts}alertmanager_cluster_members 2\n"
    found = row(part("alertmanager-observer", both, both, wanted=2))
    assert (found["figures"], found["state"]) == ({"alerts_active": 3, "members": 2}, "ok")
    found = row(part("alertmanager-observer", both, both.replace("members 2", "members 1"), wanted=2))
    assert (found["state"], found["reason"]) == ("failing", "sees 1 of 2 members")


def test_probes_that_fail_are_counted_and_no_failure_of_the_exporter() -> None:
    probes = vector(({"instance": "https://a"}, 1), ({"instance": "https://b"}, 0), ({"instance": "https://c"}, 1))
    found = row(part("blackbox-exporter", BLACKBOX), prometheus(probes=probes))
    assert (found["figures"], found["state"]) == ({"probes": 3, "probes_failing": 1}, "ok")
    assert row(part("blackbox-exporter", BLACKBOX))["figures"] == {}, "nobody to ask"


def test_an_importer_shall_know_every_registration() -> None:
    series = "".join(
        f'kaas_cluster_info{{cluster="{name}",observer_namespace="{namespace}"}} 1\n'
        for name, namespace in (("alpha", "ns"), ("beta", "ns"), ("gamma", "another"))
    )
    importer = part("kaas-metric-importer", KUBE_STATE_METRICS + series)
    found = row(importer, registered=["alpha"])
    assert (found["figures"], found["state"]) == ({"clusters": 2}, "ok")
    found = row(importer, registered=["alpha", "gamma"])
    assert (found["state"], found["reason"]) == ("failing", "has no series of gamma, which are registered")
    away = part("kaas-metric-importer", metrics={"pod": "i/o timeout"})
    assert row(away, registered=["alpha"])["state"] == "unknown"


def test_a_daemon_set_wants_as_many_pods_as_there_are_nodes() -> None:
    exporter = part("node-exporter")
    status = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2, "numberReady": 2}
    exporter.workload.update(kind="DaemonSet", status=status)
    found = row(exporter)
    assert (found["replicas"], found["state"]) == ({"wanted": 3, "ready": 2}, "unready")


def grafana(status: Manifest) -> Facts:
    made = part("grafana", ready=0, pods=[pod("x", status=status)])
    made.workload["metadata"]["annotations"] = {"observability.scs.community/optional": "true"}
    return made


@pytest.mark.parametrize(("status", "state"), [(PULLING, "ok"), (crashing(5), "incomplete")], ids=["image", "crash"])
def test_no_target_is_missed_of_what_can_be_missed(status: Manifest, state: str) -> None:
    target = {"job": "grafana", "instance": "b", "pod": "thanos-x-0"}
    up = vector(({"job": "thanos-query", "instance": "a", "pod": "thanos-query-0"}, 1), (target, 0))
    assert row(prometheus(up=up), grafana(status))["state"] == state
    others = vector((target, 0), ({"job": "thanos-query", "instance": "a", "pod": "thanos-query-0"}, 0))
    found = row(prometheus(up=others), grafana(PULLING))
    assert (found["state"], found["reason"]) == ("incomplete", "targets down: thanos-query a")


def test_what_can_be_missed_is_absent_when_its_image_is_not_to_be_had() -> None:
    found = row(grafana(PULLING))
    assert (found["state"], found["healthy"]) == ("absent", True)
    assert found["reason"].startswith("its image cannot be pulled: 0 of 1 replicas are ready (thanos-x-0: ImagePull")
    assert row(grafana(crashing(5)))["healthy"] is False
    assert row(part("grafana", ready=0, pods=[pod("x", status=PULLING)]))["healthy"] is False, "it was required"


def asking(requests: int, failed: int) -> str:
    return (
        f'thanos_objstore_bucket_operations_total{{bucket="metrics",operation="get"}} {requests}\n'
        f'thanos_objstore_bucket_operation_failures_total{{bucket="metrics",operation="get"}} {failed}\n'
        'thanos_objstore_bucket_last_successful_upload_time{bucket="metrics"} 1.7723628e+09\n'
    )


@pytest.mark.parametrize(
    ("since_start", "recent", "figures", "reason"),
    [
        ((10, 2), None, (20, 4), "ready"),
        ((10, 10), None, (20, 20), "20 of 20 requests of the components failed since the components started"),
        ((0, 0), None, (0, 0), "ready"),
        ((900, 0), (20.4, 10.4), (20, 10), "10 of 20 requests of the components failed within 15 minutes"),
        ((10, 10), (20.4, 1.2), (20, 1), "ready"),
        ((900, 0), (20.4, None), (20, 0), "ready"),
    ],
)
def test_the_bucket_as_components_see_it(
    since_start: tuple[int, int],
    recent: tuple[float, float | None] | None,
    figures: tuple[int, int],
    reason: str,
) -> None:
    items = [facts("store", asking(*since_start)), facts("receive", asking(*since_start))]
    if recent:
        given = zip(("requests", "failures"), recent, strict=True)
        items.append(prometheus(**{name: vector(*([({}, value)] if value else [])) for name, value in given}))
    (bucket,) = [found for found in describe(items, NOW) if found["component"] == "bucket"]
    assert (bucket["name"], bucket["last_upload"]) == ("metrics", "2026-03-01T11:00:00Z")
    assert bucket["figures"] == dict(zip(("requests", "requests_failed"), figures, strict=True))
    assert (bucket["reason"], bucket["healthy"]) == (reason, reason == "ready")


# What real programs say (Thanos 0.42.4, HAProxy 2.6, Prometheus 3.16), without the metrics of their libraries

SAMPLES = Path(__file__).parent / "samples"


def sampled(component: str, sample: str, **changes: Any) -> dict[str, Any]:
    return row(facts(component, metrics={"pod": (SAMPLES / f"{sample}.txt").read_bytes()}, **changes))


@pytest.mark.parametrize(
    ("sample", "state", "compaction"),
    [
        (
            "compact",
            "ok",
            {"iterations": 4, "compactions": 0, "compaction_blocks": 0, "downsample_blocks": 0, "deletion_blocks": 0},
        ),
        (
            "compact_halted",
            "halted",
            {"iterations": 0, "compactions": 1, "compaction_blocks": 2, "downsample_blocks": 0, "deletion_blocks": 0},
        ),
    ],
)
def test_a_real_compactor(sample: str, state: str, compaction: dict[str, int]) -> None:
    found = sampled("compact", sample)
    assert (found["version"], found["state"], found["last_upload"], found["error"]) == ("0.42.4", state, None, None)
    told = found["compaction"]
    assert {"iterations": told["iterations"], **told["todo"]} == compaction
    assert (told["halted"], told["retries"], told["since"]) == (state == "halted", 0, "2026-11-25T22:47:44Z")


def test_a_real_receive() -> None:
    found = sampled("receive", "receive")
    assert (found["version"], found["state"], found["compaction"]) == ("0.42.4", "ok", None)


@pytest.mark.parametrize(("sample", "later"), [("receive_uploading", "ok"), ("receive_not_uploading", "failing")])
def test_a_real_receive_with_blocks(sample: str, later: str) -> None:
    """Two minutes old, with blocks of a minute; one has a bucket that takes nothing."""
    answer = facts("receive", metrics={"pod": (SAMPLES / f"{sample}.txt").read_bytes()})
    taken = datetime(2026, 11, 25, 23, 57, 43, tzinfo=UTC)
    for after, state in ((0, "ok"), (5, "ok"), (7, later)):
        (found,) = deployed(describe([answer], taken + timedelta(hours=after)))
        assert (found["state"], found["error"]) == (state, None)


def test_a_real_query_whose_store_gateway_went_away() -> None:
    found = sampled("query", "query", stores={"pod": (SAMPLES / "stores.json").read_bytes()})
    receive, store = found["endpoints"]
    assert (receive["type"], receive["error"], receive["min_time"]) == ("receive", None, None)
    assert receive["label_sets"] == [{"cluster": "default-tenant", "receive_replica": "0"}]
    assert "connect: connection refused" in store["error"]
    assert (found["version"], found["state"]) == ("0.42.4", "failing")


@pytest.mark.parametrize(
    ("name", "sample", "version", "figures"),
    [
        ("prometheus-observer", "prometheus", "3.16.0", {}),
        ("alertmanager-observer", "alertmanager", "0.28.1", {"alerts_active": 0, "members": 1}),
        ("blackbox-exporter", "blackbox_exporter", "0.26.0", {}),
    ],
)
def test_a_real_part(name: str, sample: str, version: str, figures: dict[str, int]) -> None:
    found = row(part(name, (SAMPLES / f"{sample}.txt").read_text()))
    assert (found["version"], found["state"], found["figures"]) == (version, "ok", figures)


def test_a_real_gateway() -> None:
    gateway = workload("remote-write-gateway", software="haproxy")
    found = sampled("remote-write-gateway", "haproxy", workload=gateway)
    assert (found["version"], found["state"]) == ("2.6.12-1+deb12u4", "ok")


# What is asked

APPS = "/apis/apps/v1/namespaces/ns"
CORE = "/api/v1/namespaces/ns"


def service(name: str, all_labels: dict[str, str]) -> Manifest:
    return {"metadata": {"name": name, "namespace": "ns", "labels": all_labels}}


@pytest.fixture
def observer(api: ScriptedApi) -> ScriptedApi:
    """An observer with query, two pods of the gateway, and things that are no components of it."""
    other = {**labels("agent", "prometheus-agent")}
    agent = {**workload("store"), "metadata": {"name": "agent", "namespace": "ns", "labels": other}}
    api.on("GET", f"{APPS}/deployments", {"items": [agent]})
    api.on("GET", f"{APPS}/daemonsets", {"items": []})
    api.on("GET", f"{CORE}/services", {"items": [service("thanos-query", labels("query"))]})
    gateway = workload("remote-write-gateway", software="haproxy", wanted=2)
    api.on("GET", f"{APPS}/statefulsets", {"items": [workload("query"), gateway]})
    pods = [pod("remote-write-gateway", number, software="haproxy") for number in (0, 1)]
    api.on("GET", f"{CORE}/pods", {"items": [pod("query"), *pods]})
    api.on("GET", f"{CORE}/secrets", {"items": [secret("thanos-query-tls")]})
    api.on("GET", f"{CORE}/pods/thanos-query-0:10902/proxy/metrics", Answer(body=BUILD.encode()))
    api.on("GET", f"{CORE}/pods/thanos-query-0:10902/proxy/api/v1/stores", Answer(body=stores(receive=[ENDPOINT])))
    for number in (0, 1):
        path = f"{CORE}/pods/haproxy-remote-write-gateway-{number}:8404/proxy/metrics"
        api.on("GET", path, Answer(body=b'haproxy_process_build_info{version="3.0.11"} 1\n'))
    return api


def test_each_pod_is_asked_once_and_query_once_more(observer: ScriptedApi, client: KubernetesClient) -> None:
    found, expected, warnings = observe(client, "ns")
    assert (expected, warnings) == ({"query"}, [])
    gateway, query = deployed(describe(found, NOW))
    assert (query["name"], query["version"], len(query["endpoints"])) == ("thanos-query", "0.42.4", 1)
    assert [item["secret"] for item in query["certificates"]] == ["thanos-query-tls"]
    assert (gateway["component"], gateway["version"]) == ("remote_write_gateway", "3.0.11")
    assert (gateway["certificates"], gateway["state"], query["state"]) == ([], "ok", "ok")
    assert observer.asked("GET") == [
        f"{CORE}/pods",
        f"{CORE}/pods/haproxy-remote-write-gateway-0:8404/proxy/metrics",
        f"{CORE}/pods/haproxy-remote-write-gateway-1:8404/proxy/metrics",
        f"{CORE}/pods/thanos-query-0:10902/proxy/api/v1/stores",
        f"{CORE}/pods/thanos-query-0:10902/proxy/metrics",
        f"{CORE}/secrets",
        f"{CORE}/services",
        f"{APPS}/daemonsets",
        f"{APPS}/deployments",
        f"{APPS}/statefulsets",
    ]
    (listed,) = [request for request in observer.requests if request.path == f"{CORE}/secrets"]
    assert "PartialObjectMetadataList" in listed.headers["accept"], "what is in them is of no interest"


def test_a_pod_that_does_not_answer_is_told_in_the_words_of_the_api_server(
    observer: ScriptedApi, client: KubernetesClient, pauses: list[float]
) -> None:
    refused = failure(503, "ServiceUnavailable", "error trying to reach service: connection refused")
    observer.on("GET", f"{CORE}/pods/haproxy-remote-write-gateway-1:8404/proxy/metrics", refused)
    gateway, query = deployed(describe(observe(client, "ns").facts, NOW))
    assert gateway["error"] == "haproxy-remote-write-gateway-1: error trying to reach service: connection refused"
    assert (gateway["state"], gateway["version"], query["state"]) == ("unknown", "3.0.11", "ok")
    assert pauses == []


def test_a_component_that_is_not_ready_is_diagnosed_and_only_pods_that_run_are_asked(
    observer: ScriptedApi, client: KubernetesClient
) -> None:
    observer.on("GET", f"{APPS}/statefulsets", {"items": [workload("query", ready=0)]})
    observer.on("GET", f"{APPS}/statefulsets/thanos-query", workload("query", ready=0))
    leaving = pod("query", 2)
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    starting = pod("query", 1, container("query", waiting={"reason": "ContainerCreating"}))
    starting["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    observer.on("GET", f"{CORE}/pods", {"items": [starting, leaving]})
    (query,) = deployed(describe(observe(client, "ns").facts, NOW))
    assert (query["state"], query["error"]) == ("unready", None)
    assert "container query: ContainerCreating" in query["diagnosis"]
    assert [path for path in observer.asked("GET") if "proxy" in path] == []


def test_secrets_that_may_not_be_listed_are_a_warning(observer: ScriptedApi, client: KubernetesClient) -> None:
    text = 'secrets is forbidden: User "eve" cannot list resource "secrets" in API group "" in the namespace "ns"'
    observer.on("GET", f"{CORE}/secrets", failure(403, "Forbidden", text))
    found, _expected, warnings = observe(client, "ns")
    assert warnings == [
        'when certificates expire is not known: user "eve" is forbidden: needs verb list on secrets in namespace ns'
    ]
    assert [item["certificates"] for item in deployed(describe(found, NOW))] == [None, None]


def test_workloads_that_may_not_be_listed_are_an_error(observer: ScriptedApi, client: KubernetesClient) -> None:
    observer.on("GET", f"{APPS}/statefulsets", failure(403, "Forbidden", "no"))
    with pytest.raises(ApiError, match=r"statefulsets\.apps"):
        observe(client, "ns")


def test_what_an_operator_runs_is_found_by_its_name(api: ScriptedApi, client: KubernetesClient) -> None:
    """It labels its StatefulSets and pods as managed by itself, and as an instance of the resource's name."""
    own = {
        **{"app.kubernetes.io/managed-by": "prometheus-operator", "app.kubernetes.io/instance": "observer"},
        **{"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/part-of": "scs-observability"},
    }
    running = workload("x")
    running["metadata"].update(name="prometheus-observer", labels=own)
    running["spec"]["selector"] = {"matchLabels": {"app.kubernetes.io/instance": "observer"}}
    of_it = pod("x")
    containers = [{"ports": [{"name": "web", "containerPort": 9090}]}, {"ports": [{"containerPort": 10902}]}]
    of_it["metadata"].update(name="prometheus-observer-0", labels={**own, "app.kubernetes.io/part-of": "other"})
    of_it["spec"] = {"containers": containers}
    certificate = secret("prometheus-tls")
    certificate["metadata"]["labels"]["app.kubernetes.io/instance"] = "prometheus"
    sidecar = service("prometheus-sidecar-headless", labels("sidecar"))
    for path, items in {
        **{f"{APPS}/deployments": [], f"{APPS}/daemonsets": [], f"{APPS}/statefulsets": [running]},
        **{f"{CORE}/services": [service("prometheus", own), sidecar, service("alertmanager", own)]},
        **{f"{CORE}/pods": [of_it], f"{CORE}/secrets": [certificate]},
    }.items():
        api.on("GET", path, {"items": items})
    base = f"{CORE}/pods/prometheus-observer-0"
    api.on("GET", f"{base}:9090/proxy/metrics", Answer(body=PROMETHEUS.encode()))
    api.on("GET", f"{base}:10902/proxy/metrics", Answer(body=asking(3, 0).encode()))
    empty = {"status": "success", "data": {"resultType": "vector", "result": []}}
    api.on("GET", f"{CORE}/services/prometheus:http/proxy/api/v1/query", empty)

    found, expected, _warnings = observe(client, "ns")
    rows = {row["component"]: row for row in describe(found, NOW, expected=expected)}
    assert expected == {"prometheus", "alertmanager"}
    told = rows["prometheus"]
    assert (told["state"], told["version"], told["figures"]) == ("ok", "3.16.0", {"targets_up": 0, "targets_down": 0})
    assert told["last_upload"] == "2026-03-01T11:00:00Z"
    assert [item["secret"] for item in told["certificates"]] == ["prometheus-tls"]
    assert (rows["alertmanager"]["state"], rows["alertmanager"]["healthy"]) == ("absent", False)
