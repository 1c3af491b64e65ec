# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of an observer, all of it at once, before anything is touched.

Observing is one place, check() and what it calls; what is a problem is decided by pure functions of what was seen.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    InputErrors,
    ObservabilityError,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    KINDS,
    conditions_of,
    is_terminating,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import prometheus_operator, thanos_rule_files
from ansible_collections.scs.observability.plugins.module_utils._manifests.network_policies import api_server_networks
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Access, BucketClient
from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import Owner
from ansible_collections.scs.observability.plugins.module_utils._observer import (
    capacity,
    gateway,
    parameters,
    rule_expressions,
    thanos_preflight,
)
from ansible_collections.scs.observability.plugins.module_utils._observer.capacity import Room, WantedPod
from ansible_collections.scs.observability.plugins.module_utils._openstack import bucket
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError

T = TypeVar("T")
Manifest = Mapping[str, Any]

# The oldest version that this collection promises to work with.
MINIMUM_VERSION = "1.31"
# Two minutes without a sample are silence, and samples have the time of the nodes' clocks.
MAX_CLOCK_SKEW = 60
# A kubelet renews its lease every 10 s, and a node without one for 40 s is not Ready.
_LEASE_AGE = 50
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
# The Service of the observer's own
PROMETHEUS = "prometheus"
_DNS = "k8s-app=kube-dns"
# The Services that may have a port of nodes, by the parameter that says which
_NODE_PORTS = {"gateway_node_port": gateway.DEFAULT_NAME, "web_node_port": "web-gateway"}
_HTTP_ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
_LEVEL = "pod-security.kubernetes.io/enforce"

_CHANGE = ("get", "list", "create", "patch", "delete")
_READ = ("get", "list")
# What the modules ask an API server for: in the whole cluster, and in the observer's namespace.
RIGHTS_IN_CLUSTER: dict[str, tuple[str, ...]] = {
    "namespaces": ("get", "list", "create", "patch"),
    # Whether an operator is there that looks at the namespace.
    "deployments.apps": ("list",),
    "clusterroles.rbac.authorization.k8s.io": _CHANGE,
    "clusterrolebindings.rbac.authorization.k8s.io": _CHANGE,
    "customresourcedefinitions.apiextensions.k8s.io": ("get", "create", "patch"),
    "kaasclusters.observability.scs.community": _READ,
    "iaasprometheuses.observability.scs.community": _READ,
}
RIGHTS_IN_NAMESPACE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("secrets", "configmaps", "services", "serviceaccounts", "persistentvolumeclaims"), _CHANGE),
    **dict.fromkeys(("deployments.apps", "statefulsets.apps", "daemonsets.apps"), _CHANGE),
    **dict.fromkeys(("roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"), _CHANGE),
    "poddisruptionbudgets.policy": _CHANGE,
    # When it was reconciled
    "leases.coordination.k8s.io": _CHANGE,
    **dict.fromkeys(("ingresses.networking.k8s.io", "networkpolicies.networking.k8s.io"), _CHANGE),
    **dict.fromkeys(prometheus_operator.NEEDED, _CHANGE),
    "pods": _READ,
    "pods/log": ("get",),
    "pods/proxy": ("get",),
    "services/proxy": ("get",),
    "events": ("list",),
    "replicasets.apps": ("list",),
}
# In the namespace, too, where people are to come in through the Gateway API.
RIGHTS_FOR_GATEWAY_API: dict[str, tuple[str, ...]] = {"httproutes.gateway.networking.k8s.io": _CHANGE}


# What an observer asks of the Prometheus Operator
_OPERATED = tuple(
    (api_version, kind)
    for (api_version, kind), resource in KINDS.items()
    if f"{resource.plural}.{api_version.partition('/')[0]}" in prometheus_operator.NEEDED
)


class PreflightError(ObservabilityError):
    """Everything that stands in the way."""


@dataclass(frozen=True)
class Wanted:
    """What the parameters say, checked."""

    namespace: str
    minimum_version: tuple[int, int]
    volumes: bool
    storage_class: str
    pods: tuple[WantedPod, ...]
    node_selector: Mapping[str, str]
    tolerations: Sequence[Manifest]
    # Whether the Prometheus Operator is somebody else's business
    external_operator: bool = False
    # Files of rules by what they are called
    prometheus_rules: Mapping[str, Any] = field(default_factory=dict)
    # Ports of nodes by parameter
    node_ports: Mapping[str, int] = field(default_factory=dict)
    web_gateway_api: bool = False


@dataclass
class Report:
    """What was found. A warning is about what could not be looked at, or need not be wrong."""

    problems: list[ObservabilityError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def attempt(self, call: Callable[[], T]) -> T | None:
        """Return what the call returns; what it is refused for is a problem, and the result None."""
        try:
            return call()
        except InputErrors as error:
            self.problems += error.errors
        except ObservabilityError as error:
            self.problems.append(error)
        return None

    def result(self) -> dict[str, Any]:
        return {"problems": [str(problem) for problem in self.problems], "facts": self.facts}


def check(params: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Return the result of observer_preflight. Raises PreflightError with every problem, unless ``fail`` is False."""
    report = Report()
    wanted = read_parameters(params, report)
    connection = report.attempt(partial(Connection.from_parameters, params))
    client = report.attempt(partial(KubernetesClient, connection)) if connection else None
    if connection and client:
        report.facts["context"] = connection.context
        look_at_cluster(client, wanted, report)
    answering = client if "version" in report.facts else None
    if answering:
        report.problems += thanos_preflight.problems(answering, wanted.namespace, params)
    if params.get("bucket"):
        look_at_bucket(params, _compactor(answering, wanted.namespace), report)
    report.warnings += unknown_hosts(params.get("hostnames") or ())
    if report.problems and params.get("fail") is not False:
        raise PreflightError(
            "\n".join(str(problem) for problem in report.problems),
            details={**report.result(), "warnings": report.warnings},
        )
    return {"changed": False, **report.result(), "warnings": report.warnings}


def read_parameters(params: Mapping[str, Any], report: Report) -> Wanted:
    """Read what describes the observer. What is wrong with it is a problem like any other, and left out."""

    def placement() -> dict[str, Any]:
        return parameters.placement({name: params.get(name) for name in ("node_selector", "tolerations")})

    placed = report.attempt(placement) or {}
    pods = [report.attempt(partial(WantedPod.of, given)) for given in params.get("pods") or ()]
    return Wanted(
        namespace=report.attempt(partial(parameters.namespace, params)) or parameters.DEFAULT_NAMESPACE,
        minimum_version=report.attempt(partial(version_of, params.get("minimum_version") or MINIMUM_VERSION))
        or version_of(MINIMUM_VERSION),
        volumes=params.get("volumes") is not False,
        storage_class=params.get("storage_class") or "",
        pods=tuple(pod for pod in pods if pod is not None),
        node_selector=placed.get("node_selector", {}),
        tolerations=placed.get("tolerations", ()),
        external_operator=params.get("prometheus_operator_state") == "external",
        prometheus_rules=_readable(params.get("prometheus_rules") or {}, report),
        node_ports={name: params[name] for name in _NODE_PORTS if params.get(name)},
        web_gateway_api=bool(params.get("web_gateway_api")),
    )


def _readable(files: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """The files of rules that can be read."""
    good = {}
    for name, content in files.items():
        wrong = thanos_rule_files.faults(PurePosixPath(name).name, content)
        report.problems += [InputError(fault.message, parameter=name, advice=fault.advice) for fault in wrong]
        if not wrong:
            good[name] = content
    return good


# What is asked


def look_at_cluster(client: KubernetesClient, wanted: Wanted, report: Report) -> None:
    """Ask the API server everything, in parallel. When it does not answer at all, that is the one problem with it."""
    server = report.attempt(client.version)
    if server is None:
        return
    report.facts |= {"version": server.version, "clock_skew_seconds": server.clock_skew_seconds}
    namespace, seen = wanted.namespace, _answers(client, _reads(client, wanted), report)

    def known(*needed: str) -> bool:
        return all(what in seen for what in needed)

    problems = report.problems
    problems += version_problems(server.version, wanted.minimum_version)
    problems += clock_problems(client.host, server.clock_skew_seconds)
    if known("rights"):
        problems += rights_problems(seen["rights"], namespace)
    if known("the namespace"):
        problems += namespace_problems(seen["the namespace"], wanted.pods)
    if known("what an operator defines"):
        problems += operator_problems(seen["what an operator defines"])
    problems += node_port_problems(seen.get("services", ()), namespace, wanted.node_ports)
    problems += gateway_api_problems(seen.get("the Gateway API", True))
    if known("volumes"):
        report.facts["volume_sizes"] = volume_sizes(seen["volumes"])
    if known("storage classes") and wanted.volumes:
        report.facts["storage_class"] = wanted.storage_class or default_class(seen["storage classes"])
        problems += storage_problems(seen["storage classes"], wanted.storage_class)
    if known("nodes", "the clocks of nodes") and server.clock_skew_seconds is not None:
        now = datetime.now(UTC) + timedelta(seconds=server.clock_skew_seconds)
        problems += node_clock_problems(seen["nodes"], seen["the clocks of nodes"], now)
    if known("the cluster's DNS"):
        slices = seen["the cluster's DNS"]
        problems += dns_problems(slices)
        if not slices:
            report.warnings.append(f"no DNS service with the label {_DNS} was found, so it was not looked at")
    if wanted.prometheus_rules:
        _try_rules(client, wanted, report)
    if known("nodes", "pods"):
        there = capacity.room(seen["nodes"], seen["pods"], namespace, wanted.node_selector, wanted.tolerations)
        problems += capacity.problems(there, wanted.pods)
        problems += capacity.port_problems(seen["pods"], namespace, wanted.pods, there.free)
        report.facts |= _room_facts(there, wanted.pods)
        report.facts["api_server_networks"] = api_server_networks(seen["nodes"])
        report.facts["other_observers"] = other_observers(seen["pods"], namespace)


def _reads(client: KubernetesClient, wanted: Wanted) -> dict[str, Callable[[], Any]]:
    """What is asked, by what it is called."""
    namespace = wanted.namespace
    reads: dict[str, Callable[[], Any]] = {
        "nodes": partial(client.list, "v1", "Node"),
        "pods": partial(client.list, "v1", "Pod", field_selector="status.phase!=Succeeded,status.phase!=Failed"),
        "storage classes": partial(client.list, "storage.k8s.io/v1", "StorageClass"),
        "the namespace": partial(client.get, "v1", "Namespace", namespace),
        "volumes": partial(client.list, "apps/v1", "StatefulSet", namespace),
        "the clocks of nodes": partial(client.list, "coordination.k8s.io/v1", "Lease", "kube-node-lease"),
        "the cluster's DNS": partial(client.list, "discovery.k8s.io/v1", "EndpointSlice", label_selector=_DNS),
        "rights": partial(missing_rights, client, namespace, RIGHTS_FOR_GATEWAY_API if wanted.web_gateway_api else {}),
    }
    if wanted.node_ports:
        reads["services"] = partial(client.list, "v1", "Service")
    if wanted.web_gateway_api:
        reads["the Gateway API"] = partial(client.serves, *_HTTP_ROUTE)
    if wanted.external_operator:
        reads["what an operator defines"] = partial(_missing_kinds, client)
    return reads


def _answers(client: KubernetesClient, reads: Mapping[str, Callable[[], Any]], report: Report) -> dict[str, Any]:
    """Ask, and return what was answered."""
    answers = client.parallel([partial(_refused_or, call) for call in reads.values()])
    seen = dict(zip(reads, answers, strict=True))
    for what, answer in seen.items():
        if not isinstance(answer, ApiError):
            continue
        if answer.status == 403:
            # A right that deploying does not need.
            report.warnings.append(f"{what} could not be looked at: {answer.reason}")
        else:
            report.problems.append(answer)
    return {what: answer for what, answer in seen.items() if not isinstance(answer, ApiError)}


def _try_rules(client: KubernetesClient, wanted: Wanted, report: Report) -> None:
    """Have the observer's Prometheus parse rules, if it runs already."""
    try:
        told = rule_expressions.faults_of(QueryApi(client, wanted.namespace, PROMETHEUS), wanted.prometheus_rules)
    except QueryError as error:
        report.warnings.append(f"prometheus_rules: their expressions could not be tried: {error.message}")
        report.facts["rules_tried"] = False
        return
    report.facts["rules_tried"] = True
    report.problems += [ObservabilityError(fault) for fault in told]


def _refused_or(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ApiError as error:
        return error


def _missing_kinds(client: KubernetesClient) -> list[str]:
    return [f"{kind} of {version}" for version, kind in _OPERATED if not client.serves(version, kind)]


def missing_rights(
    client: KubernetesClient, namespace: str, more: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], list[str]]:
    """Return the verbs that this user lacks, by resource and namespace (empty for the whole cluster).

    ``more`` are rights in the namespace beside those that every observer needs.
    """
    if client.may("*", "*.*"):
        return {}
    needed = [
        (resource, place, verb)
        for place, rights in (("", RIGHTS_IN_CLUSTER), (namespace, {**RIGHTS_IN_NAMESPACE, **more}))
        for resource, verbs in rights.items()
        for verb in verbs
    ]
    answers = client.parallel([partial(client.may, verb, resource, place) for resource, place, verb in needed])
    missing: dict[tuple[str, str], list[str]] = {}
    for (resource, place, verb), allowed in zip(needed, answers, strict=True):
        if not allowed:
            missing.setdefault((resource, place), []).append(verb)
    return missing


def _compactor(client: KubernetesClient | None, namespace: str) -> Owner | None:
    """Who would claim the bucket; None where the cluster does not tell, which is a problem of its own."""
    try:
        return thanos_preflight.compactor(client, namespace) if client else None
    except ApiError:
        return None


def look_at_bucket(params: Mapping[str, Any], whose: Owner | None, report: Report) -> None:
    """Do what the module bucket does in check mode, and see that it is not another compactor's than ``whose``.

    Parameters of bucket are called here as they are in ``bucket``.
    """
    used: list[Access] = []

    def connect(access: Access) -> BucketClient:
        used.append(access)
        return BucketClient(access)

    def look() -> dict[str, Any]:
        try:
            found: dict[str, Any] = bucket.ensure(params["bucket"], True, connect=connect)["preflight"]
            # Nothing is connected to where Keystone has no credential yet.
            if whose and used:
                take_over = bool(params.get("compact_take_over_bucket"))
                thanos_preflight.see_whose(used[-1], whose, take_over=take_over)
        except ObservabilityError as error:
            for told in error.errors if isinstance(error, InputErrors) else (error,):
                if told.parameter != "compact_take_over_bucket":
                    told.parameter = f"bucket.{told.parameter}" if told.parameter else "bucket"
            raise
        return found

    report.facts["bucket"] = report.attempt(look)


def unknown_hosts(hostnames: Iterable[str]) -> list[str]:
    """Return what to say of names that this machine does not know: their records may follow the load balancer."""
    found = []
    for name in hostnames:
        try:
            socket.getaddrinfo(name, None)
        except (OSError, UnicodeError):
            found.append(f"hostnames: {name} is not known here. Agents need it: make a DNS record for it")
    return found


# What is a problem. Pure


def version_of(text: str) -> tuple[int, int]:
    """Return the two numbers that count of a version such as "1.31" or "v1.36.3+k3s1". Raises InputError."""
    match = _VERSION.match(str(text))
    if match is None:
        raise InputError(f"{text!r} is not a version", parameter="minimum_version", advice="Use for example 1.31")
    return int(match[1]), int(match[2])


def version_problems(version: str, minimum: tuple[int, int]) -> list[ObservabilityError]:
    if _VERSION.match(version) and version_of(version) < minimum:
        wanted = ".".join(map(str, minimum))
        return [ObservabilityError(f"the cluster has Kubernetes {version}, {wanted} or newer is needed: upgrade it")]
    return []


def clock_problems(host: str, skew: int | None) -> list[ObservabilityError]:
    if skew is None or abs(skew) <= MAX_CLOCK_SKEW:
        return []
    return [
        ObservabilityError(
            f"the clock of {host} is {_apart(skew)} this machine's, at most {MAX_CLOCK_SKEW} s are good",
            advice="Synchronise both (NTP): certificates that are signed here would not be valid there",
        )
    ]


def node_clock_problems(
    nodes: Iterable[Manifest], leases: Iterable[Manifest], now: datetime
) -> list[ObservabilityError]:
    """Compare the leases that the nodes renew, with the time of their own clocks, to the API server's ``now``."""
    ready = {node["metadata"]["name"] for node in nodes if conditions_of(node).get("Ready", {}).get("status") == "True"}
    found = []
    for lease in leases:
        name, renewed = lease["metadata"]["name"], (lease.get("spec") or {}).get("renewTime")
        if name not in ready or not renewed:
            continue
        ahead = (datetime.fromisoformat(renewed) - now).total_seconds()
        skew = ahead if ahead > 0 else min(ahead + _LEASE_AGE, 0)
        if abs(skew) > MAX_CLOCK_SKEW:
            found.append(
                ObservabilityError(
                    f"the clock of node {name} is {_apart(round(skew))} the API server's, at most {MAX_CLOCK_SKEW} s "
                    "are good",
                    advice="Synchronise the nodes' clocks (NTP): samples get their time",
                )
            )
    return found


def _apart(skew: int) -> str:
    return f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'}"


def rights_problems(missing: Mapping[tuple[str, str], Sequence[str]], namespace: str) -> list[ObservabilityError]:
    """Everything that is missing, one problem per place."""
    found = []
    for place, words in (("", "in the whole cluster"), (namespace, f"in namespace {namespace}")):
        lacking = [f"{', '.join(verbs)} {resource}" for (resource, where), verbs in missing.items() if where == place]
        if lacking:
            found.append(
                ObservabilityError(
                    f"this user may not, {words}: {'; '.join(lacking)}",
                    parameter="kubeconfig",
                    advice="Give a kubeconfig of a user that may, or have these rights granted",
                )
            )
    return found


def namespace_problems(namespace: Manifest | None, pods: Iterable[WantedPod]) -> list[ObservabilityError]:
    if namespace is None:
        return []
    name = namespace["metadata"]["name"]
    if is_terminating(namespace):
        return [
            ObservabilityError(
                f"{name} is being deleted", parameter="namespace", advice="Wait until it is gone, or take another one"
            )
        ]
    level = (namespace["metadata"].get("labels") or {}).get(_LEVEL, "privileged")
    need = sorted(pod.name for pod in pods if pod.host_access)
    if level == "privileged" or not need:
        return []
    return [
        ObservabilityError(
            f"{name} enforces the Pod Security level {level}, and {', '.join(need)} needs access to nodes",
            parameter="namespace",
            advice=f"Label it {_LEVEL}=privileged, or take another one",
        )
    ]


def operator_problems(missing: Sequence[str]) -> list[ObservabilityError]:
    if not missing:
        return []
    return [
        ObservabilityError(
            f"is external, and the cluster does not know {', '.join(missing)}",
            parameter="prometheus_operator_state",
            advice="Install the Prometheus Operator first, or let it be present",
        )
    ]


def node_port_problems(
    services: Iterable[Manifest], namespace: str, wanted: Mapping[str, int]
) -> list[ObservabilityError]:
    """Return which ports of nodes are another Service's already. What ours has from a run before is its own."""
    holders: dict[int, list[tuple[str, str]]] = {}
    for service in services:
        spec, metadata = service.get("spec") or {}, service["metadata"]
        # Where a load balancer looks whether the node has a pod is of the same range.
        ports = {item.get("nodePort", 0) for item in spec.get("ports") or []} | {spec.get("healthCheckNodePort", 0)}
        for port in ports:
            holders.setdefault(port, []).append((metadata["namespace"], metadata["name"]))
    return [
        ObservabilityError(
            f"{port} is a node port of the Service {' and '.join(map('/'.join, sorted(others)))}",
            parameter=parameter,
            advice="Give another one of the cluster's range, or none, and the cluster chooses",
        )
        for parameter, port in wanted.items()
        if (others := set(holders.get(port, [])) - {(namespace, _NODE_PORTS[parameter])})
    ]


def gateway_api_problems(served: bool) -> list[ObservabilityError]:
    if served:
        return []
    version, kind = _HTTP_ROUTE
    return [
        ObservabilityError(
            f"is wanted, and the cluster does not know {kind} of {version}",
            parameter="web_gateway_api",
            advice="Install the Gateway API, with what serves it, or have an Ingress",
        )
    ]


def volume_sizes(stateful_sets: Iterable[Manifest]) -> dict[str, str]:
    """Return the size of the volumes that each StatefulSet asks for, empty where it has none."""
    found = {}
    for item in stateful_sets:
        claims = item["spec"].get("volumeClaimTemplates") or [{}]
        found[item["metadata"]["name"]] = (
            claims[0].get("spec", {}).get("resources", {}).get("requests", {}).get("storage", "")
        )
    return found


def default_class(classes: Iterable[Manifest]) -> str | None:
    """Return the default storage class, of several the newest, as Kubernetes does."""
    defaults = [
        item
        for item in classes
        if any((item["metadata"].get("annotations") or {}).get(name) == "true" for name in _DEFAULT_CLASS)
    ]
    newest = max(defaults, key=lambda item: str(item["metadata"].get("creationTimestamp")), default=None)
    return None if newest is None else str(newest["metadata"]["name"])


def storage_problems(classes: Sequence[Manifest], wanted: str) -> list[ObservabilityError]:
    names = sorted(item["metadata"]["name"] for item in classes)
    there = f"There are: {', '.join(names)}" if names else "There is none: install a provisioner"
    if wanted and wanted not in names:
        return [ObservabilityError(f"there is no storage class {wanted}", parameter="storage_class", advice=there)]
    if not wanted and default_class(classes) is None:
        return [
            ObservabilityError(
                "no storage class is the default one, and none is given", parameter="storage_class", advice=there
            )
        ]
    return []


def dns_problems(slices: Sequence[Manifest]) -> list[ObservabilityError]:
    ready = [
        endpoint
        for item in slices
        for endpoint in item.get("endpoints") or []
        # Not said is ready.
        if (endpoint.get("conditions") or {}).get("ready") is not False
    ]
    if not slices or ready:
        return []
    return [
        ObservabilityError(
            "the cluster's DNS has no ready pod, and components find each other by name",
            advice=f"Look at: kubectl get pods --all-namespaces --selector {_DNS}",
        )
    ]


def other_observers(pods: Iterable[Manifest], namespace: str) -> list[str]:
    """Return the namespaces of other observers in the cluster: what has a receive."""
    labels = {"app.kubernetes.io/component": "receive", "app.kubernetes.io/part-of": "scs-observability"}
    found = {
        pod["metadata"]["namespace"] for pod in pods if labels.items() <= (pod["metadata"].get("labels") or {}).items()
    }
    return sorted(found - {namespace})


def _room_facts(there: Room, pods: Iterable[WantedPod]) -> dict[str, Any]:
    asked = capacity.total_of(pods, len(there.free))
    return {
        "nodes": sorted(there.free),
        "unusable_nodes": dict(there.unusable),
        "free": {"cpu": round(there.total.cpu, 3), "memory": round(there.total.memory)},
        "requested": {"cpu": round(asked.cpu, 3), "memory": round(asked.memory)},
    }
