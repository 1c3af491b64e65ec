# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of the observer have in common: their objects come to be, and go again.

Going is exactly what was made, by its labels; data, authorities and the namespace only when told to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.diagnosis import OPERATED, pod_labels
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    INSTANCE_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    ObjectKey,
    identity,
    is_terminating,
    labels_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import (
    unready_reason,
    wait_gone,
    wait_ready,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import (
    Kind,
    apply_plan,
    never,
    plan_namespace_removal,
    plan_objects,
    plan_removal,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    custom_resource,
    iaas_prometheus,
    kaas_cluster,
)
from ansible_collections.scs.observability.plugins.module_utils._observer import parameters

# What a module of the observer makes and prunes. Volumes come from StatefulSets and are removed by purge alone.
KINDS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("policy/v1", "PodDisruptionBudget"),
)
# What a set may have beside them. Definitions are never pruned: what they define would go with them.
SET_KINDS = (
    ("apps/v1", "DaemonSet"),
    ("cert-manager.io/v1", "Certificate"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("monitoring.coreos.com/v1", "Alertmanager"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "Probe"),
    ("monitoring.coreos.com/v1", "Prometheus"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"),
    ("monitoring.coreos.com/v1alpha1", "ScrapeConfig"),
    ("coordination.k8s.io/v1", "Lease"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)
# Where the cluster has the Prometheus Operator. Elsewhere, whoever has rights in one namespace may not even ask for it.
SERVICE_MONITOR = ("monitoring.coreos.com/v1", "ServiceMonitor")
VOLUMES = ("v1", "PersistentVolumeClaim")
# What has pods, or has them made: one call may wait for all of these, whichever call made them.
_WORKLOADS = (
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("monitoring.coreos.com/v1", "Alertmanager"),
    ("monitoring.coreos.com/v1", "Prometheus"),
)
_WITH_PODS = frozenset(kind for _api_version, kind in _WORKLOADS)
_EXTENSIONS = frozenset({"cert-manager.io", "gateway.networking.k8s.io", "monitoring.coreos.com"})
_OPERATOR = "prometheus-operator"
_AUTHORITY = {"app.kubernetes.io/name": "authority"}
_REGISTRATIONS = (
    (kaas_cluster.API_VERSION, kaas_cluster.KIND),
    (iaas_prometheus.API_VERSION, iaas_prometheus.KIND),
)
# Whose names have data, for as long as there are data
_FORMER_CLUSTERS = {"app.kubernetes.io/name": kaas_cluster.FORMER_CLUSTERS}


@dataclass(frozen=True)
class Deployment:
    """What a deployment changes, and how; ``timeout`` is how many seconds to wait for it, None for not at all.

    ``waits_for_observer`` tells to wait for everything else of ours in the namespace, too.
    """

    plan: Plan
    workloads: tuple[ObjectKey, ...]
    namespace: str
    force: bool
    timeout: float | None
    waits_for_observer: bool


def prepare(
    client: KubernetesClient,
    owner: Mapping[str, str],
    namespace: str,
    wanted: Sequence[Mapping[str, Any]],
    kept: Sequence[Mapping[str, Any]],
    *,
    params: Mapping[str, Any],
    kinds: Sequence[Kind] = KINDS,
) -> Deployment:
    """Find out what has to change for the wanted objects to be there, and with the owner's labels no others.

    ``kept`` are Secrets to create, never to overwrite, ``kinds`` those that are pruned. ``params`` are
    force, wait, wait_timeout and wait_for_observer. Raises ConflictError for fields of other managers without force,
    InputError for an object that another instance has.
    """
    timeout, force = parameters.wait_timeout(params), bool(params.get("force"))
    plan = plan_objects(
        client,
        [*wanted, *kept],
        owner=owner,
        owner_namespace=namespace,
        prune_kinds=kinds,
        force=force,
        create_only=[identity(secret) for secret in kept],
    )
    if not force:
        _refuse_others(plan, owner)
    workloads = tuple(identity(item) for item in wanted if item["kind"] in _WITH_PODS)
    return Deployment(
        plan,
        workloads,
        namespace,
        force,
        timeout=timeout if params.get("wait") is not False else None,
        waits_for_observer=bool(params.get("wait_for_observer")),
    )


def _refuse_others(plan: Plan, owner: Mapping[str, str]) -> None:
    """Two that take the same object from each other would change it in every run, and one would remove the other's."""
    wanted = owner[INSTANCE_LABEL]
    taken = [
        f"{change.title} belongs to {live[INSTANCE_LABEL]}"
        for change in plan.changes
        if change.action == "update"
        and (live := labels_of(change.before or {"metadata": {}})).get(MANAGED_BY_LABEL) == MANAGED_BY
        and live.get(INSTANCE_LABEL, wanted) != wanted
    ]
    if taken:
        raise InputError(
            "; ".join(taken), parameter="name", advice="Give one of the two another name, or have force to take it"
        )


def carry_out(client: KubernetesClient, deployment: Deployment) -> list[str]:
    """Make the changes and wait until the workloads are ready; return what is to be said of those that can be missed.

    Raises NotReadyError when another one does not get there.
    """
    apply_plan(client, deployment.plan, force=deployment.force)
    if deployment.timeout is None:
        return []
    replaced = Plan(tuple(change for change in deployment.plan.changes if change.action == "update"))
    others = _unready(client, deployment) if deployment.waits_for_observer else []
    return wait_ready(
        client,
        [*deployment.workloads, *(identity(item) for item in others)],
        deployment.timeout + max(grace_period(replaced), ending(others)),
    )


def remove(
    client: KubernetesClient,
    owner: Mapping[str, str],
    namespace: str,
    *,
    params: Mapping[str, Any],
    check_mode: bool,
    kinds: Sequence[Kind] = KINDS,
    keep: Callable[[Mapping[str, Any]], bool] = never,
) -> Plan:
    """Remove what carries the owner's labels, except what to keep; return what that changed (would in check mode).

    ``params`` are purge, wait and wait_timeout. With purge volumes too, and once nothing else of the observer is left,
    authorities and namespace. The pods end first: receive uploads what it holds in memory and needs its Secrets for
    it. Raises NotReadyError when something is still there after wait_timeout and the pods' grace period.
    """
    timeout, wait, purge = parameters.wait_timeout(params), params.get("wait") is not False, bool(params.get("purge"))
    kinds = served(client, dict.fromkeys((*kinds, SERVICE_MONITOR)))
    plan = plan_removal(client, owner, namespace, [*kinds, *([VOLUMES] if purge else [])], keep=keep)
    if purge:
        plan += plan_removal(client, _operated_volumes(owner, namespace), namespace, [VOLUMES])
        plan += _plan_last_of_observer(client, namespace, plan)
    if check_mode:
        return plan
    workloads = Plan(tuple(change for change in plan.changes if change.kind in _WITH_PODS))
    rest = Plan(tuple(change for change in plan.changes if change.kind not in _WITH_PODS))
    deadline = time.monotonic() + timeout + grace_period(workloads)
    apply_plan(client, workloads)
    if wait:
        pods = pods_of(client, owner, namespace) + _operated_pods(client, workloads)
        wait_gone(client, [*_keys(workloads), *pods], max(deadline - time.monotonic(), 1.0))
    apply_plan(client, rest)
    if wait:
        wait_gone(client, _keys(rest), max(deadline - time.monotonic(), 1.0))
    return plan


def served(client: KubernetesClient, kinds: Iterable[Kind]) -> list[Kind]:
    """Return those kinds that the cluster has; Kubernetes' own are not asked for."""
    extra = [kind for kind in dict.fromkeys(kinds) if kind[0].partition("/")[0] in _EXTENSIONS]
    answers = client.parallel([partial(client.serves, *kind) for kind in extra])
    missing = {kind for kind, answer in zip(extra, answers, strict=True) if not answer}
    return [kind for kind in kinds if kind not in missing]


def pods_of(client: KubernetesClient, labels: Mapping[str, str], namespace: str) -> list[ObjectKey]:
    """Return the pods with these labels that have not ended."""
    selector = ",".join(f"{label}={value}" for label, value in labels.items())
    return [identity(pod) for pod in client.list("v1", "Pod", namespace, label_selector=selector)]


def _operated_pods(client: KubernetesClient, workloads: Plan) -> list[ObjectKey]:
    """The pods that an operator has made for what is removed; they have its labels, not ours."""
    removed = [change.manifest for change in workloads.changes if change.manifest and change.kind in OPERATED]
    return [pod for item in removed for pod in pods_of(client, pod_labels(item), item["metadata"]["namespace"])]


def _operated_volumes(owner: Mapping[str, str], namespace: str) -> dict[str, str]:
    """Labels of the volumes of what an operator has made for a set; it leaves them only some of ours."""
    return {
        kaas_cluster.OBSERVER_LABEL: namespace,
        MANAGED_BY_LABEL: _OPERATOR,
        "app.kubernetes.io/name": owner[INSTANCE_LABEL],
    }


def _unready(client: KubernetesClient, deployment: Deployment) -> list[Mapping[str, Any]]:
    """The observer's other workloads that are not ready."""
    ours = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    listed = client.parallel(
        [partial(client.list, *kind, deployment.namespace, label_selector=ours) for kind in served(client, _WORKLOADS)]
    )
    return [
        item
        for items in listed
        for item in items
        if identity(item) not in deployment.workloads and unready_reason(item) is not None
    ]


def ending(workloads: Sequence[Mapping[str, Any]]) -> float:
    """Return the seconds that pods of live workloads may take to end, which only those do that were changed."""
    return max((_grace(item) for item in workloads if item["metadata"].get("generation", 0) > 1), default=0)


def grace_period(plan: Plan) -> float:
    """Return the seconds that the pods of the plan's live workloads may take to end: receive uploads what it has."""
    return max((_grace(change.before or {}) for change in plan.changes), default=0)


def _grace(manifest: Mapping[str, Any]) -> float:
    template = (manifest.get("spec") or {}).get("template") or {}
    return float((template.get("spec") or {}).get("terminationGracePeriodSeconds") or 0)


def _plan_last_of_observer(client: KubernetesClient, namespace: str, removal: Plan) -> Plan:
    """Authorities, namespace and the definitions of registrations, unless anything but ``removal`` needs them."""
    removed = set(_keys(removal))
    ours = client.parallel(
        [
            partial(client.list, *kind, namespace=namespace, label_selector=f"{MANAGED_BY_LABEL}={MANAGED_BY}")
            for kind in (*KINDS, VOLUMES)
        ]
    )
    if any(_stays(item, removed) for items in ours for item in items):
        return Plan()
    # As long as a cluster is registered, its certificate is worth something.
    registered_here = f"{kaas_cluster.OBSERVER_LABEL}={namespace}"
    if any(client.list(*kind, label_selector=registered_here) for kind in _REGISTRATIONS):
        return Plan()
    last = plan_removal(client, _AUTHORITY, namespace, [("v1", "Secret")])
    last += plan_removal(client, _FORMER_CLUSTERS, namespace, [("v1", "ConfigMap")])
    emptied = plan_namespace_removal(client, namespace, [*removed, *_keys(last)])
    return last + emptied + _plan_definition_removal(client, namespace)


def _plan_definition_removal(client: KubernetesClient, namespace: str) -> Plan:
    """The definitions of registrations, when this was the only observer in the cluster and nobody is registered.

    With a definition go all objects of its kind, so where we may not look whether there is another, it stays.
    """
    ours = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    try:
        namespaces = {item["metadata"]["name"] for item in client.list("v1", "Namespace", label_selector=ours)}
        if namespaces - {namespace} or any(client.list(*kind) for kind in _REGISTRATIONS):
            return Plan()
        return plan_removal(
            client, custom_resource.LABELS, "", [("apiextensions.k8s.io/v1", "CustomResourceDefinition")]
        )
    except ApiError as error:
        if error.status == 403:
            return Plan()
        raise


def _stays(item: Mapping[str, Any], removed: set[ObjectKey]) -> bool:
    name = labels_of(item).get("app.kubernetes.io/name")
    is_last = name in (_AUTHORITY["app.kubernetes.io/name"], _FORMER_CLUSTERS["app.kubernetes.io/name"])
    return not (is_last or is_terminating(item) or identity(item) in removed)


def _keys(plan: Plan) -> list[ObjectKey]:
    return [ObjectKey(change.api_version, change.kind, change.namespace, change.name) for change in plan.changes]
