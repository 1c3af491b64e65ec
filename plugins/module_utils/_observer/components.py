# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the parts of an observer are: facts are read from its cluster in parallel, the rest is pure.

Pods are asked through the API server's proxy, each once for its metrics, those of query once more for the endpoints
they see, and Prometheus for what it sees of others. What cannot be read of one of them is told as its error and hides
nothing of the others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    EXPIRES_ANNOTATION,
    RENEW_AFTER_ANNOTATION,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.diagnosis import (
    container_state,
    container_statuses,
    diagnose,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    INSTANCE_LABEL,
    identity,
    is_terminating,
    labels_of,
    status_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import (
    is_optional,
    troubles,
    unready_reason,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import READS_ANNOTATION
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_wiring import services_of
from ansible_collections.scs.observability.plugins.module_utils._manifests.workload import PART_OF
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import Metric, parse
from ansible_collections.scs.observability.plugins.module_utils._promql.client import Answer, QueryApi, QueryError

T = TypeVar("T")

Manifest = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
_NAME_LABEL = "app.kubernetes.io/name"
_COMPONENT_LABEL = "app.kubernetes.io/component"
_PART_OF_LABEL = "app.kubernetes.io/part-of"
# Those that query reaches by gRPC, and what it calls the endpoints.
STORE_APIS = {"receive": "receive", "rule": "rule", "store": "store", "prometheus": "sidecar"}
# Without one of these nothing of a registered cluster can be taken, stored or read.
NEEDED = ("remote_write_gateway", "receive", "query", "query_frontend")
# The parts of an observer as SCS-0403 decides them. Each is told, also when it is not deployed.
RECORD = (
    *("bucket", "query_frontend", "query", "receive", "rule", "compact", "bucket_web", "store"),
    *("prometheus", "alertmanager", "blackbox_exporter", "kaas_metric_importer"),
)
# Those of them that have pods: what an observer shall have that is not said to be made of less. That there is no bucket
# is seen by nobody but them.
EVERY_OBSERVERS = tuple(part for part in RECORD if part != "bucket")

LAST_UPLOAD = "thanos_objstore_bucket_last_successful_upload_time"
STARTED = "process_start_time_seconds"
HALTED = "thanos_compact_halted"
ITERATIONS = "thanos_compact_iterations_total"
RETRIES = "thanos_compact_retries_total"
HEAD_BEGIN = "prometheus_tsdb_head_min_time"  # in milliseconds
HEAD_CUTS = "prometheus_tsdb_head_truncations_total"
REQUESTS = "thanos_objstore_bucket_operations_total"
FAILED_REQUESTS = "thanos_objstore_bucket_operation_failures_total"
ALERTS = "alertmanager_alerts"
MEMBERS = "alertmanager_cluster_members"
CLUSTERS = "kaas_cluster_info"
# 0 when the program goes on with an earlier configuration, because it could not load the one that is there.
LOADED = (
    "prometheus_config_last_reload_successful",
    "alertmanager_config_last_reload_successful",
    "blackbox_exporter_config_last_reload_successful",
)
TODO = {
    "compactions": "thanos_compact_todo_compactions",
    "compaction_blocks": "thanos_compact_todo_compaction_blocks",
    "downsample_blocks": "thanos_compact_todo_downsample_blocks",
    "deletion_blocks": "thanos_compact_todo_deletion_blocks",
}

# Blocks are two hours long, and complete one hour later.
SECONDS_UNTIL_UPLOADED = 6 * 3600.0
# Of a compactor: runs are five minutes apart, and the first may have a large bucket to go through.
RUNS_THAT_MAY_FAIL = 12
SECONDS_UNTIL_COMPACTED = 24 * 3600.0

# Thanos has the ends of time where there are no data.
_LAST_SECOND = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_LONGEST_STATE = 200


class Software(NamedTuple):
    """A program: the metric that has its version, at which ports (names or numbers) it shows metrics, with which query.

    Without ports it is not asked.
    """

    build_info: str = ""
    ports: tuple[str | int, ...] = ()
    query: Mapping[str, str] = {}


# By the label app.kubernetes.io/name; what they are is in the label component.
SOFTWARE = {
    "thanos": Software("thanos_build_info", ("http",)),
    # Only about the process, not every frontend, backend and server.
    "haproxy": Software("haproxy_process_build_info", ("metrics",), {"scope": "global"}),
}
# By the name of the workload. The version of kube-state-metrics is at another port than its thousands of series.
PARTS = {
    "prometheus-observer": ("prometheus", Software("prometheus_build_info", (9090, 10902))),
    "alertmanager-observer": ("alertmanager", Software("alertmanager_build_info", (9093,))),
    "blackbox-exporter": ("blackbox_exporter", Software("blackbox_exporter_build_info", (9115,))),
    "kaas-metric-importer": ("kaas_metric_importer", Software("kube_state_metrics_build_info", (8080, 8081))),
    "kube-state-metrics": ("kube_state_metrics", Software("kube_state_metrics_build_info", (8081,))),
    "node-exporter": ("node_exporter", Software()),
    "grafana": ("grafana", Software()),
    "oauth2-proxy": ("oauth2_proxy", Software()),
    "web-gateway": ("web_gateway", SOFTWARE["haproxy"]),
    "prometheus-operator": ("prometheus_operator", Software("prometheus_operator_build_info", (8080,))),
}
# Services that are not called as the workload behind them.
_SIDECAR = "prometheus-sidecar"
_WORKLOADS_OF_SERVICES = {
    "prometheus": "prometheus-observer",
    f"{_SIDECAR}-headless": "prometheus-observer",
    "alertmanager": "alertmanager-observer",
}

_METRICS = frozenset(
    {
        *(LAST_UPLOAD, STARTED, HALTED, ITERATIONS, RETRIES, HEAD_BEGIN, HEAD_CUTS, *TODO.values()),
        *(REQUESTS, FAILED_REQUESTS, ALERTS, MEMBERS, CLUSTERS, *LOADED),
        *(software.build_info for software in (*SOFTWARE.values(), *(part[1] for part in PARTS.values()))),
    }
)

# What Prometheus is asked for.
TARGETS = "up"
PROBES = "probe_success"
RECENT_REQUESTS = f"sum(increase({REQUESTS}[15m]))"
RECENT_FAILURES = f"sum(increase({FAILED_REQUESTS}[15m]))"
QUERIES = (TARGETS, PROBES, RECENT_REQUESTS, RECENT_FAILURES)
_LONGEST_LIST = 10


@dataclass(frozen=True)
class Health:
    """How something is: ``state`` is one word, ``reason`` says why, ``healthy`` is false when somebody has to act."""

    state: str
    healthy: bool
    reason: str


@dataclass(frozen=True)
class Facts:
    """What was found of one component.

    ``metrics`` and ``stores`` are the answers of its pods by name, ``queried`` those of Prometheus by expression.
    ``secrets`` have metadata only, and are None when they may not be listed. ``diagnosis`` is empty for a workload that
    is ready.
    """

    workload: Manifest
    pods: Sequence[Manifest] = ()
    secrets: Sequence[Manifest] | None = ()
    metrics: Mapping[str, bytes | str] = field(default_factory=dict)
    stores: Mapping[str, bytes | str] = field(default_factory=dict)
    queried: Mapping[str, Answer | str] = field(default_factory=dict)
    diagnosis: str = ""

    @property
    def name(self) -> str:
        return str(self.workload["metadata"]["name"])

    @property
    def component(self) -> str:
        """As the modules call it, like query_frontend."""
        return _component(self.workload) or ""

    @property
    def software(self) -> Software:
        return PARTS[self.name][1] if self.name in PARTS else SOFTWARE[labels_of(self.workload)[_NAME_LABEL]]

    @property
    def service(self) -> str:
        """The Service by which query reads it."""
        return _SIDECAR if self.component == "prometheus" else self.name

    @property
    def reads(self) -> list[str]:
        """The components that it was told to read, as far as they are in its namespace."""
        metadata = self.workload["metadata"]
        endpoints = (metadata.get("annotations") or {}).get(READS_ANNOTATION, "").split()
        return services_of(endpoints, metadata["namespace"])

    @property
    def ready(self) -> int:
        status = status_of(self.workload)
        return int(status.get("numberReady" if self.workload["kind"] == "DaemonSet" else "readyReplicas") or 0)

    @property
    def wanted(self) -> int:
        if self.workload["kind"] == "DaemonSet":
            return int(status_of(self.workload).get("desiredNumberScheduled") or 0)
        replicas = self.workload["spec"].get("replicas")
        return 1 if replicas is None else int(replicas)


class Found(NamedTuple):
    """``expected`` are the components that have a Service in the namespace, so they shall be there."""

    facts: list[Facts]
    expected: set[str]
    warnings: list[str]


# Reading


def observe(client: KubernetesClient, namespace: str) -> Found:
    """Return the facts about every component in the namespace, and warnings about what may not be read.

    Six lists, then a request or two per running pod, one more per pod of query and some to Prometheus. Raises ApiError
    when workloads, Services or pods cannot be listed.
    """
    ours = f"{_PART_OF_LABEL}={PART_OF}"
    # Operators label the pods of what they deploy as they like, and in part the workload too.
    kinds = (*(("apps/v1", kind, ours) for kind in WORKLOADS), ("v1", "Service", ours), ("v1", "Pod", ""))
    *listed, services, pods = client.parallel(
        [partial(client.list, version, kind, namespace, selector) for version, kind, selector in kinds]
    )
    workloads = [item for items in listed for item in items if _component(item)]
    warnings: list[str] = []
    secrets: list[Manifest] | None = None
    try:
        secrets = client.list_metadata("v1", "Secret", "secrets", namespace)
    except ApiError as error:
        warnings.append(f"when certificates expire is not known: {error.reason}")
    found = [
        Facts(
            workload,
            [pod for pod in pods if _selects(workload, pod)],
            None if secrets is None else [item for item in secrets if _belongs(item, workload)],
        )
        for workload in workloads
    ]
    asked = client.parallel([partial(_ask, client, facts) for facts in found])
    expected = {component for service in services if (component := _component(service))}
    return Found(asked, expected, warnings)


def _component(manifest: Manifest) -> str | None:
    """Which component a workload or Service belongs to, None for what is none of the observer's."""
    name, labels = manifest["metadata"]["name"], labels_of(manifest)
    name = _WORKLOADS_OF_SERVICES.get(name, name)
    if name in PARTS:
        return PARTS[name][0]
    if labels.get(_NAME_LABEL) in SOFTWARE:
        return labels[_COMPONENT_LABEL].replace("-", "_")
    return None


def _belongs(secret: Manifest, workload: Manifest) -> bool:
    """Whether a Secret was made together with a workload. An operator calls its workloads by another instance."""
    name = workload["metadata"]["name"]
    return _instance(secret) == (PARTS[name][0] if name in _WORKLOADS_OF_SERVICES.values() else _instance(workload))


def _ask(client: KubernetesClient, facts: Facts) -> Facts:
    """Complete the facts by what the component's pods answer, and by a diagnosis when it is not ready."""
    software, metrics, stores = facts.software, {}, {}
    for pod in facts.pods:
        ports = [port for wanted in software.ports if (port := _port(pod, wanted)) is not None]
        if not ports or not _runs(pod):
            continue
        name = pod["metadata"]["name"]
        get = partial(client.pod_get, pod["metadata"]["namespace"], name)
        answers = [_answer(partial(get, port, "/metrics", software.query)) for port in ports]
        errors = [answer for answer in answers if isinstance(answer, str)]
        metrics[name] = errors[0] if errors else b"\n".join(answer for answer in answers if isinstance(answer, bytes))
        if facts.component == "query":
            stores[name] = _answer(partial(get, ports[0], "/api/v1/stores"))
    queried: Mapping[str, Answer | str] = {}
    if facts.component == "prometheus" and facts.ready:
        api = QueryApi(client, facts.workload["metadata"]["namespace"], "prometheus")
        queried = {expression: _answer(partial(api.query, expression)) for expression in QUERIES}
    diagnosis = diagnose(client, identity(facts.workload)) if unready_reason(facts.workload) else ""
    return replace(facts, metrics=metrics, stores=stores, queried=queried, diagnosis=diagnosis)


def _answer(get: Callable[[], T]) -> T | str:
    try:
        return get()
    except ApiError as error:
        return error.reason
    except QueryError as error:
        return str(error)


def _instance(manifest: Mapping[str, Any]) -> str | None:
    return labels_of(manifest).get(INSTANCE_LABEL)


def _selects(workload: Manifest, pod: Manifest) -> bool:
    selector: Mapping[str, str] = workload["spec"]["selector"]["matchLabels"]
    return selector.items() <= labels_of(pod).items()


def _port(pod: Mapping[str, Any], wanted: str | int) -> int | None:
    """The number of a port of a pod, by its name or number; None when the pod has none such."""
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]
    return next(
        (int(port["containerPort"]) for port in ports if wanted in (port.get("name"), port["containerPort"])), None
    )


def _runs(pod: Mapping[str, Any]) -> bool:
    return not is_terminating(pod) and any("running" in (item.get("state") or {}) for item in container_statuses(pod))


# What it means


def describe(
    found: Sequence[Facts],
    now: datetime,
    *,
    expected: Collection[str] = (),
    wanted: Collection[str] = (),
    registered: Collection[str] = (),
) -> list[dict[str, Any]]:
    """One dictionary per component, by name, and one for each part of the record that is not there.

    ``expected`` are the components that have a Service, ``wanted`` those that shall be there at any rate,
    ``registered`` the names of the registered clusters.
    """
    queried = next((_without_missed(facts.queried, found) for facts in found if facts.component == "prometheus"), {})
    rows = [
        _describe(facts, _store_apis(found, facts.reads) if facts.stores else {}, queried, registered, now)
        for facts in found
    ]
    bucket = _bucket(found, queried)
    rows += [bucket] if bucket else []
    deployed = {row["component"] for row in rows}
    rows += [_absent(part, part in expected, part in wanted) for part in {*RECORD, *expected, *wanted} - deployed]
    return sorted(rows, key=lambda row: row["name"])


def problems(rows: Sequence[Mapping[str, Any]], needed: Sequence[str], namespace: str) -> list[str]:
    """What is wrong with components, diagnosis included, and which of the needed ones are not there."""
    deployed = {row["component"] for row in rows if row["state"] != "absent" or not row["healthy"]}
    return [
        f"component {row['name']}: {row['reason']}\n{row['diagnosis']}".rstrip() for row in rows if not row["healthy"]
    ] + [
        f"component {component}: not deployed in namespace {namespace}, although clusters are registered"
        for component in needed
        if component not in deployed
    ]


def _row(name: str, component: str, health: Health, **more: Any) -> dict[str, Any]:
    """A component, by default one that has no workload."""
    return {
        **{"name": name, "component": component, "version": None, "image": None},
        **{"replicas": {"wanted": 0, "ready": 0}, "endpoints": [], "last_upload": None, "compaction": None},
        **{"figures": {}, "certificates": [], "error": None, "diagnosis": ""},
        **more,
        **{"healthy": health.healthy, "state": health.state, "reason": health.reason},
    }


def _absent(component: str, expected: bool, wanted: bool) -> dict[str, Any]:
    health = Health("absent", True, "not deployed")
    if wanted:
        health = Health("absent", False, "not deployed, and every observer has it: run the observer's role again")
    if expected:
        health = Health("absent", False, "its Service is there, but nothing behind it: run the observer's role again")
    return _row(component.replace("_", "-"), component, health)


def _store_apis(found: Sequence[Facts], names: Collection[str]) -> Counter[str]:
    """How many endpoints of which type the components of these names are."""
    result: Counter[str] = Counter()
    for facts in found:
        if facts.component in STORE_APIS and facts.service in names:
            # Pods of a StatefulSet are endpoints of their own, others one behind their Service.
            result[STORE_APIS[facts.component]] += (
                facts.ready if facts.workload["kind"] == "StatefulSet" else min(facts.ready, 1)
            )
    return result


def _describe(
    facts: Facts,
    store_apis: Mapping[str, int],
    queried: Mapping[str, Answer | str],
    registered: Collection[str],
    now: datetime,
) -> dict[str, Any]:
    build_info = facts.software.build_info
    metrics, errors = _read(facts.metrics, partial(_metrics_with, build_info))
    stores, more_errors = _read(facts.stores, parse_stores)
    errors += [*more_errors, *(answer for answer in facts.queried.values() if isinstance(answer, str))]
    row: dict[str, Any] = {
        "version": ", ".join(sorted({found.labels.get("version", "") for found in _all(metrics, build_info)})) or None,
        "image": facts.workload["spec"]["template"]["spec"]["containers"][0]["image"],
        "replicas": {"wanted": facts.wanted, "ready": facts.ready},
        "endpoints": _seen_by_any(stores),
        "last_upload": _moment(max((found.value for found in _all(metrics, LAST_UPLOAD)), default=0.0)),
        "compaction": _compaction(metrics),
        "figures": _figures(facts, metrics, queried),
        "certificates": None if facts.secrets is None else _certificates(facts.secrets),
        "error": "; ".join(errors) or None,
        "diagnosis": facts.diagnosis,
    }
    unready = _why_unready(facts)
    if _can_be_missed(facts):
        return _row(
            facts.name, facts.component, Health("absent", True, f"its image cannot be pulled: {unready}"), **row
        )
    failing = [
        *_unseen(stores, store_apis),
        *(text for of_pod in metrics for text in _idle(of_pod, now)),
        *_unloaded(metrics),
        *(_alone(facts, metrics) if facts.component == "alertmanager" else ()),
        *(_unknown(facts, metrics, registered) if facts.component == "kaas_metric_importer" and not errors else ()),
    ]
    down = _down(queried) if facts.component == "prometheus" else []
    return _row(facts.name, facts.component, assess(row, unready, failing, now, down), **row)


def _figures(
    facts: Facts, metrics: Sequence[Mapping[str, list[Metric]]], queried: Mapping[str, Answer | str]
) -> dict[str, int]:
    """What a component has to do with, counted."""
    component = facts.component
    if component == "prometheus" and isinstance(targets := queried.get(TARGETS), Answer):
        up = sum(sample.value == 1 for sample in targets.samples)
        return {"targets_up": up, "targets_down": len(targets.samples) - up}
    if component == "blackbox_exporter" and isinstance(probes := queried.get(PROBES), Answer):
        return {"probes": len(probes.samples), "probes_failing": sum(not sample.value for sample in probes.samples)}
    if component == "alertmanager" and metrics:
        # Each pod has all of them.
        active = [
            sum(int(found.value) for found in of_pod.get(ALERTS, []) if found.labels.get("state") == "active")
            for of_pod in metrics
        ]
        members = [int(found.value) for found in _all(metrics, MEMBERS)]
        return {"alerts_active": max(active), "members": max(members, default=1)}
    if component == "kaas_metric_importer" and metrics:
        return {"clusters": len(_imported(facts, metrics))}
    return {}


def _down(queried: Mapping[str, Answer | str]) -> list[str]:
    targets = queried.get(TARGETS)
    if not isinstance(targets, Answer):
        return []
    return sorted(
        f"{sample.labels.get('job', '')} {sample.labels.get('instance', '')}"
        for sample in targets.samples
        if sample.value != 1
    )


def _unloaded(metrics: Sequence[Mapping[str, list[Metric]]]) -> list[str]:
    if all(found.value for name in LOADED for found in _all(metrics, name)):
        return []
    return ["could not load its configuration, and goes on with an earlier one; its log says why"]


def _alone(facts: Facts, metrics: Sequence[Mapping[str, list[Metric]]]) -> list[str]:
    """Whether a pod of several does not see the others, so that people are told everything twice."""
    members = min((int(found.value) for found in _all(metrics, MEMBERS)), default=facts.wanted)
    return [f"sees {members} of {facts.wanted} members"] if members < facts.wanted else []


def _imported(facts: Facts, metrics: Sequence[Mapping[str, list[Metric]]]) -> set[str]:
    """The clusters of this observer that an importer has series of; it has those of others in the cluster, too."""
    namespace = facts.workload["metadata"]["namespace"]
    return {
        found.labels.get("cluster", "")
        for found in _all(metrics, CLUSTERS)
        if found.labels.get("observer_namespace", namespace) == namespace
    }


def _unknown(facts: Facts, metrics: Sequence[Mapping[str, list[Metric]]], registered: Collection[str]) -> list[str]:
    unknown = sorted(set(registered) - _imported(facts, metrics))
    return [f"has no series of {_listed(unknown)}, which are registered"] if unknown else []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LONGEST_LIST} more" if len(names) > _LONGEST_LIST else ""
    return f"{', '.join(names[:_LONGEST_LIST])}{more}"


def _without_missed(queried: Mapping[str, Answer | str], found: Sequence[Facts]) -> Mapping[str, Answer | str]:
    """What Prometheus answers, without the targets of what is told as absent itself."""
    targets = queried.get(TARGETS)
    if not isinstance(targets, Answer):
        return queried
    missed = {pod["metadata"]["name"] for facts in found if _can_be_missed(facts) for pod in facts.pods}
    kept = tuple(sample for sample in targets.samples if sample.labels.get("pod") not in missed)
    return {**queried, TARGETS: replace(targets, samples=kept)}


def _can_be_missed(facts: Facts) -> bool:
    """Whether others can do without it, and it does not run because its image is not to be had."""
    lacks_its_image = any(trouble.cause == "image" for pod in facts.pods for trouble in troubles(pod))
    return lacks_its_image and is_optional(facts.workload) and _why_unready(facts) is not None


def _bucket(found: Sequence[Facts], queried: Mapping[str, Answer | str]) -> dict[str, Any] | None:
    """The bucket as Thanos sees it, None when no component asks for one.

    Counted are the requests of the last minutes where there is a Prometheus, otherwise those since the components'
    starts.
    """
    metrics = [
        of_pod
        for facts in found
        for of_pod in _read(facts.metrics, partial(_metrics_with, facts.software.build_info))[0]
        if REQUESTS in of_pod
    ]
    if not metrics:
        return None
    requests, failed = _total(metrics, REQUESTS), _total(metrics, FAILED_REQUESTS)
    since, bad = "since the components started", 1.0
    recent, recent_failed = _value(queried.get(RECENT_REQUESTS)), _value(queried.get(RECENT_FAILURES))
    if recent is not None:
        # Single ones are tried again.
        requests, failed, since, bad = round(recent), round(recent_failed or 0), "within 15 minutes", 0.5
    health = Health("ok", True, "ready")
    if requests and failed >= bad * requests:
        health = Health("failing", False, f"{failed} of {requests} requests of the components failed {since}")
    uploads = _all(metrics, LAST_UPLOAD)
    return _row(
        next((name for upload in uploads if (name := upload.labels.get("bucket"))), "bucket"),
        "bucket",
        health,
        last_upload=_moment(max((upload.value for upload in uploads), default=0.0)),
        figures={"requests": requests, "requests_failed": failed},
    )


def _value(answer: Answer | str | None) -> float | None:
    return answer.samples[0].value if isinstance(answer, Answer) and answer.samples else None


def assess(
    row: Mapping[str, Any], unready: str | None, failing: Sequence[str], now: datetime, down: Sequence[str] = ()
) -> Health:
    """Everything that somebody has to act on, or else what will have to be done, or that there is nothing.

    ``failing`` says what the component does not do although it runs, ``down`` which targets it does not reach.
    """
    troubles = [("unready", unready)] if unready else []
    if (row["compaction"] or {}).get("halted"):
        troubles.append(("halted", "compaction has halted on an error that needs a decision; its log has it"))
    certificates = row["certificates"] or []
    troubles += [
        ("expired", f"the certificate in Secret {item['secret']} expired at {item['expires']}")
        for item in certificates
        if _is_past(item["expires"], now)
    ]
    troubles += [
        ("failing", f"endpoint {item['name']} ({item['type']}): {item['error']}")
        for item in row["endpoints"]
        if item["error"]
    ]
    troubles += [("failing", text) for text in failing]
    if row["error"]:
        troubles.append(("unknown", f"cannot be read: {row['error']}"))
    if troubles:
        return Health(troubles[0][0], False, "; ".join(reason for _state, reason in troubles))
    due = [item for item in certificates if _is_past(item["renew_after"], now)]
    if due:
        texts = [f"the certificate in Secret {item['secret']} expires at {item['expires']}" for item in due]
        return Health("due", True, f"{'; '.join(texts)}: the next run of the observer's role renews it")
    if down:
        return Health("incomplete", True, f"targets down: {_listed(down)}")
    return Health("ok", True, "ready")


def parse_stores(body: bytes) -> list[dict[str, Any]]:
    """Read the answer of query's /api/v1/stores, by type and name; ValueError with the reason if it is none."""
    try:
        document = json.loads(body)
        return [
            {
                "name": str(endpoint["name"]),
                "type": str(kind),
                "label_sets": [dict(labels) for labels in endpoint.get("labelSets") or []],
                "min_time": _moment(endpoint["minTime"] / 1000),
                "max_time": _moment(endpoint["maxTime"] / 1000),
                "last_check": str(endpoint["lastCheck"]),
                "error": str(endpoint["lastError"]) if endpoint.get("lastError") else None,
            }
            for kind, endpoints in sorted(document["data"].items())
            for endpoint in endpoints
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = body[:80].decode(errors="replace")
        raise ValueError(f"its answer is no list of endpoints ({error!r}): {text!r}") from error


def _metrics_with(build_info: str, body: bytes) -> dict[str, list[Metric]]:
    metrics = parse(body, _METRICS)
    if build_info and build_info not in metrics:
        raise ValueError(f"{build_info} is not among its metrics")
    return metrics


def _read(answers: Mapping[str, bytes | str], parsed: Callable[[bytes], T]) -> tuple[list[T], list[str]]:
    """What the pods told, and errors of those that told nothing (that can be understood)."""
    found, errors = [], []
    for pod, answer in answers.items():
        try:
            if isinstance(answer, str):
                raise ValueError(answer)
            found.append(parsed(answer))
        except ValueError as error:
            errors.append(f"{pod}: {error}")
    return found, errors


def _all(metrics: Sequence[Mapping[str, list[Metric]]], name: str) -> list[Metric]:
    return [found for of_pod in metrics for found in of_pod.get(name, [])]


def _total(metrics: Sequence[Mapping[str, list[Metric]]], name: str) -> int:
    return int(sum(found.value for found in _all(metrics, name)))


def _compaction(metrics: Sequence[Mapping[str, list[Metric]]]) -> dict[str, Any] | None:
    halted = _all(metrics, HALTED)
    if not halted:
        return None
    return {
        "since": _moment(min((found.value for found in _all(metrics, STARTED)), default=0.0)),
        "halted": any(found.value for found in halted),
        "iterations": _total(metrics, ITERATIONS),
        "retries": _total(metrics, RETRIES),
        # Shown only once it was counted, which is done now and then.
        "todo": {what: _total(metrics, name) for what, name in TODO.items() if _all(metrics, name)},
    }


def _seen_by_any(stores: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The endpoints by type and name; of one that several pods of query see, the view of one that has an error."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for endpoint in (endpoint for of_pod in stores for endpoint in of_pod):
        key = (endpoint["type"], endpoint["name"])
        if key not in merged or endpoint["error"]:
            merged[key] = endpoint
    return [merged[key] for key in sorted(merged)]


def _unseen(stores: Sequence[Sequence[Mapping[str, Any]]], expected: Mapping[str, int]) -> list[str]:
    """Of which type a pod of query sees fewer endpoints than there are: one that never answered is in no list."""
    texts = []
    for kind, count in expected.items():
        seen = min((sum(endpoint["type"] == kind for endpoint in of_pod) for of_pod in stores), default=count)
        if seen < count:
            texts.append(f"sees {seen} of {count} endpoints of type {kind}")
    return texts


def _idle(of_pod: Mapping[str, list[Metric]], now: datetime) -> list[str]:
    """What a pod should have done for long: uploaded its blocks, or run over the bucket."""
    started, uploaded = (
        max((found.value for found in of_pod.get(name, [])), default=0.0) for name in (STARTED, LAST_UPLOAD)
    )
    if not started:
        return []
    texts = []
    silent = now.timestamp() - max(started, uploaded)
    if silent > SECONDS_UNTIL_UPLOADED and LAST_UPLOAD in of_pod and _is_cut_after(of_pod, uploaded, now):
        since = _moment(max(started, uploaded))
        texts.append(f"has blocks that are complete, and uploads none since {since}; its log says why")
    iterations, retries = _total([of_pod], ITERATIONS), _total([of_pod], RETRIES)
    if ITERATIONS in of_pod and not any(found.value for found in of_pod.get(HALTED, [])):
        since = _moment(started)
        if retries > max(iterations, RUNS_THAT_MAY_FAIL - 1):
            texts.append(
                f"more of its runs failed ({retries}) than succeeded ({iterations}) since {since}; its log says why"
            )
        elif not iterations and silent > SECONDS_UNTIL_COMPACTED:
            texts.append(f"none of its runs succeeded since {since}, and it uploads nothing; its log says why")
    return texts


def _is_cut_after(of_pod: Mapping[str, list[Metric]], uploaded: float, now: datetime) -> bool:
    """Whether a block is complete that the last upload cannot have had: the samples in memory begin where it ends."""
    cut = {found.labels.get("tenant") for found in of_pod.get(HEAD_CUTS, []) if found.value}
    # Where nothing is in memory it begins at the end of time.
    return any(
        found.labels.get("tenant") in cut and uploaded < found.value / 1000 < now.timestamp()
        for found in of_pod.get(HEAD_BEGIN, [])
    )


def _certificates(secrets: Sequence[Manifest]) -> list[dict[str, Any]]:
    noted = {item["metadata"]["name"]: item["metadata"].get("annotations") or {} for item in secrets}
    return [
        {
            "secret": name,
            "expires": annotations[EXPIRES_ANNOTATION],
            "renew_after": annotations.get(RENEW_AFTER_ANNOTATION),
        }
        for name, annotations in sorted(noted.items())
        if annotations.get(EXPIRES_ANNOTATION)
    ]


def _why_unready(facts: Facts) -> str | None:
    """Return in one line why a workload is not ready, with the state of the first container that is not."""
    reason = unready_reason(facts.workload)
    if reason is None:
        return None if facts.wanted else "scaled to 0 replicas"
    states = (
        f"{pod['metadata']['name']}: {' '.join(container_state(status).split())[:_LONGEST_STATE]}"
        for pod in facts.pods
        for status in container_statuses(pod)
        if container_state(status)
    )
    state = next(states, None)
    return f"{reason} ({state})" if state else reason


def _moment(seconds: float) -> str | None:
    """A time like 2026-02-01T10:00:00Z; None for 0, which is "never", and for the ends of time."""
    if not 0 < seconds < _LAST_SECOND:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_past(moment: str | None, now: datetime) -> bool:
    try:
        return moment is not None and datetime.fromisoformat(moment) <= now
    except (ValueError, TypeError):
        return False
