# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the components of an observer are: facts are read from its cluster in parallel, the rest is pure.

Pods are asked through the API server's proxy, each once for its metrics, those of query once more for the endpoints
they see. What cannot be read of one of them is told as its error and hides nothing of the others.
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
    MANAGED_BY,
    MANAGED_BY_LABEL,
    identity,
    is_terminating,
    labels_of,
    status_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import unready_reason
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import READS_ANNOTATION
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_wiring import services_of
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import Metric, parse

T = TypeVar("T")

Manifest = dict[str, Any]
# Those that query reaches by gRPC; it calls the endpoints the same.
STORE_APIS = ("receive", "rule", "store")
# Without one of these nothing of a registered cluster can be taken, stored or read.
NEEDED = ("remote_write_gateway", "receive", "query", "query_frontend")

LAST_UPLOAD = "thanos_objstore_bucket_last_successful_upload_time"
STARTED = "process_start_time_seconds"
HALTED = "thanos_compact_halted"
ITERATIONS = "thanos_compact_iterations_total"
RETRIES = "thanos_compact_retries_total"
HEAD_BEGIN = "prometheus_tsdb_head_min_time"  # in milliseconds
HEAD_CUTS = "prometheus_tsdb_head_truncations_total"
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
    """Where a program shows its metrics, with which query, and the one that has its version."""

    port: str
    query: Mapping[str, str]
    build_info: str


SOFTWARE = {
    "thanos": Software("http", {}, "thanos_build_info"),
    # Only about the process, not every frontend, backend and server.
    "haproxy": Software("metrics", {"scope": "global"}, "haproxy_process_build_info"),
}
_METRICS = frozenset(
    {
        *(LAST_UPLOAD, STARTED, HALTED, ITERATIONS, RETRIES, HEAD_BEGIN, HEAD_CUTS, *TODO.values()),
        *(software.build_info for software in SOFTWARE.values()),
    }
)


@dataclass(frozen=True)
class Health:
    """How something is: ``state`` is one word, ``reason`` says why, ``healthy`` is false when somebody has to act."""

    state: str
    healthy: bool
    reason: str


@dataclass(frozen=True)
class Facts:
    """What was found of one component.

    ``metrics`` and ``stores`` are the answers of its pods by name. ``secrets`` have metadata only, and are None when
    they may not be listed. ``diagnosis`` is empty for a workload that is ready.
    """

    workload: Manifest
    pods: Sequence[Manifest] = ()
    secrets: Sequence[Manifest] | None = ()
    metrics: Mapping[str, bytes | str] = field(default_factory=dict)
    stores: Mapping[str, bytes | str] = field(default_factory=dict)
    diagnosis: str = ""

    @property
    def name(self) -> str:
        return str(self.workload["metadata"]["name"])

    @property
    def component(self) -> str:
        """As the modules call it, like query_frontend."""
        return labels_of(self.workload)["app.kubernetes.io/component"].replace("-", "_")

    @property
    def software(self) -> Software:
        return SOFTWARE[labels_of(self.workload)["app.kubernetes.io/name"]]

    @property
    def reads(self) -> list[str]:
        """The components that it was told to read, as far as they are in its namespace."""
        metadata = self.workload["metadata"]
        endpoints = (metadata.get("annotations") or {}).get(READS_ANNOTATION, "").split()
        return services_of(endpoints, metadata["namespace"])

    @property
    def ready(self) -> int:
        return int(status_of(self.workload).get("readyReplicas") or 0)

    @property
    def wanted(self) -> int:
        replicas = self.workload["spec"].get("replicas")
        return 1 if replicas is None else int(replicas)


# Reading


def observe(client: KubernetesClient, namespace: str) -> tuple[list[Facts], list[str]]:
    """Return the facts about every component in the namespace, and warnings about what may not be read.

    Four lists, then a request per running pod and one more per pod of query. Raises ApiError when workloads or pods
    cannot be listed.
    """
    kinds = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("v1", "Pod"))
    ours = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    deployments, stateful_sets, pods = client.parallel([partial(client.list, *kind, namespace, ours) for kind in kinds])
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
            None if secrets is None else [item for item in secrets if _instance(item) == _instance(workload)],
        )
        for workload in [*deployments, *stateful_sets]
        if labels_of(workload).get("app.kubernetes.io/name") in SOFTWARE
    ]
    return client.parallel([partial(_ask, client, facts) for facts in found]), warnings


def _ask(client: KubernetesClient, facts: Facts) -> Facts:
    """Complete the facts by what the component's pods answer, and by a diagnosis when it is not ready."""
    software, metrics, stores = facts.software, {}, {}
    for pod in facts.pods:
        port = _port(pod, software.port)
        if port is None or not _runs(pod):
            continue
        name = pod["metadata"]["name"]
        get = partial(client.pod_get, pod["metadata"]["namespace"], name, port)
        metrics[name] = _answer(partial(get, "/metrics", software.query))
        if facts.component == "query":
            stores[name] = _answer(partial(get, "/api/v1/stores"))
    diagnosis = diagnose(client, identity(facts.workload)) if unready_reason(facts.workload) else ""
    return replace(facts, metrics=metrics, stores=stores, diagnosis=diagnosis)


def _answer(get: Callable[[], bytes]) -> bytes | str:
    try:
        return get()
    except ApiError as error:
        return error.reason


def _instance(manifest: Mapping[str, Any]) -> str | None:
    return labels_of(manifest).get(INSTANCE_LABEL)


def _selects(workload: Manifest, pod: Manifest) -> bool:
    selector: Mapping[str, str] = workload["spec"]["selector"]["matchLabels"]
    return selector.items() <= labels_of(pod).items()


def _port(pod: Mapping[str, Any], name: str) -> int | None:
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == name), None)


def _runs(pod: Mapping[str, Any]) -> bool:
    return not is_terminating(pod) and any("running" in (item.get("state") or {}) for item in container_statuses(pod))


# What it means


def describe(found: Sequence[Facts], now: datetime) -> list[dict[str, Any]]:
    """One dictionary per component, by name."""
    return [
        _describe(facts, _store_apis(found, facts.reads) if facts.stores else {}, now)
        for facts in sorted(found, key=lambda facts: facts.name)
    ]


def problems(rows: Sequence[Mapping[str, Any]], needed: Sequence[str], namespace: str) -> list[str]:
    """What is wrong with components, diagnosis included, and which of the needed ones are not there."""
    deployed = {row["component"] for row in rows}
    return [
        f"component {row['name']}: {row['reason']}\n{row['diagnosis']}".rstrip() for row in rows if not row["healthy"]
    ] + [
        f"component {component}: not deployed in namespace {namespace}, although clusters are registered"
        for component in needed
        if component not in deployed
    ]


def _store_apis(found: Sequence[Facts], names: Collection[str]) -> Counter[str]:
    """How many endpoints of which type the components of these names are."""
    result: Counter[str] = Counter()
    for facts in found:
        if facts.component in STORE_APIS and facts.name in names:
            # Pods of a StatefulSet are endpoints of their own, others one behind their Service.
            result[facts.component] += facts.ready if facts.workload["kind"] == "StatefulSet" else min(facts.ready, 1)
    return result


def _describe(facts: Facts, expected: Mapping[str, int], now: datetime) -> dict[str, Any]:
    build_info = facts.software.build_info
    metrics, errors = _read(facts.metrics, partial(_metrics_with, build_info))
    stores, more_errors = _read(facts.stores, parse_stores)
    row: dict[str, Any] = {
        "name": facts.name,
        "component": facts.component,
        "version": ", ".join(sorted({found.labels.get("version", "") for found in _all(metrics, build_info)})) or None,
        "image": facts.workload["spec"]["template"]["spec"]["containers"][0]["image"],
        "replicas": {"wanted": facts.wanted, "ready": facts.ready},
        "endpoints": _seen_by_any(stores),
        "last_upload": _moment(max((found.value for found in _all(metrics, LAST_UPLOAD)), default=0.0)),
        "compaction": _compaction(metrics),
        "certificates": None if facts.secrets is None else _certificates(facts.secrets),
        "error": "; ".join([*errors, *more_errors]) or None,
        "diagnosis": facts.diagnosis,
    }
    failing = [*_unseen(stores, expected), *(text for of_pod in metrics for text in _idle(of_pod, now))]
    health = assess(row, _why_unready(facts), failing, now)
    return {**row, "healthy": health.healthy, "state": health.state, "reason": health.reason}


def assess(row: Mapping[str, Any], unready: str | None, failing: Sequence[str], now: datetime) -> Health:
    """Everything that somebody has to act on, or else what will have to be done, or that there is nothing.

    ``failing`` says what the component does not do although it runs.
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
    if build_info not in metrics:
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
