# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes objects as plain dicts: what they are called, what of them is ours to compare, what must not be shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

Manifest = dict[str, Any]

FIELD_MANAGER = "scs.observability"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "scs.observability"
INSTANCE_LABEL = "app.kubernetes.io/instance"

HIDDEN = "(hidden)"
HIDDEN_CHANGED = "(hidden, changed)"


class Resource(NamedTuple):
    """Where the API serves a kind."""

    plural: str
    namespaced: bool


class ObjectKey(NamedTuple):
    """What identifies an object; ``namespace`` is empty for kinds without namespaces."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.api_version} {self.kind} {place}"


KINDS: dict[tuple[str, str], Resource] = {
    ("v1", "Namespace"): Resource("namespaces", False),
    ("v1", "Secret"): Resource("secrets", True),
    ("v1", "ConfigMap"): Resource("configmaps", True),
    ("v1", "Service"): Resource("services", True),
    ("v1", "ServiceAccount"): Resource("serviceaccounts", True),
    ("v1", "PersistentVolumeClaim"): Resource("persistentvolumeclaims", True),
    ("v1", "Pod"): Resource("pods", True),
    ("v1", "Event"): Resource("events", True),
    ("v1", "Node"): Resource("nodes", False),
    ("apps/v1", "Deployment"): Resource("deployments", True),
    ("apps/v1", "StatefulSet"): Resource("statefulsets", True),
    ("apps/v1", "DaemonSet"): Resource("daemonsets", True),
    ("apps/v1", "ReplicaSet"): Resource("replicasets", True),
    ("batch/v1", "Job"): Resource("jobs", True),
    ("coordination.k8s.io/v1", "Lease"): Resource("leases", True),
    ("discovery.k8s.io/v1", "EndpointSlice"): Resource("endpointslices", True),
    ("storage.k8s.io/v1", "StorageClass"): Resource("storageclasses", False),
    ("policy/v1", "PodDisruptionBudget"): Resource("poddisruptionbudgets", True),
    ("networking.k8s.io/v1", "NetworkPolicy"): Resource("networkpolicies", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): Resource("clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): Resource("clusterrolebindings", False),
    ("rbac.authorization.k8s.io/v1", "Role"): Resource("roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): Resource("rolebindings", True),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): Resource("customresourcedefinitions", False),
    ("networking.k8s.io/v1", "Ingress"): Resource("ingresses", True),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): Resource("httproutes", True),
    ("cert-manager.io/v1", "Certificate"): Resource("certificates", True),
    ("monitoring.coreos.com/v1", "Alertmanager"): Resource("alertmanagers", True),
    ("monitoring.coreos.com/v1", "PodMonitor"): Resource("podmonitors", True),
    ("monitoring.coreos.com/v1", "Probe"): Resource("probes", True),
    ("monitoring.coreos.com/v1", "Prometheus"): Resource("prometheuses", True),
    ("monitoring.coreos.com/v1", "PrometheusRule"): Resource("prometheusrules", True),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): Resource("servicemonitors", True),
    ("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"): Resource("alertmanagerconfigs", True),
    ("monitoring.coreos.com/v1alpha1", "ScrapeConfig"): Resource("scrapeconfigs", True),
    ("observability.scs.community/v1alpha1", "KaaSCluster"): Resource("kaasclusters", False),
    ("observability.scs.community/v1alpha1", "IaaSPrometheus"): Resource("iaasprometheuses", False),
}

# Kept by the API server or by controllers; never part of what somebody wants.
_SERVER_METADATA = (
    "managedFields",
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)
# A copy of the whole object, for a Secret with its data.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def resource_of(api_version: str, kind: str) -> Resource:
    """Return where a kind is served; ValueError for a kind that KINDS does not have."""
    try:
        return KINDS[(api_version, kind)]
    except KeyError:
        raise ValueError(f"{api_version} {kind} is missing in the table of kinds") from None


def identity(manifest: Mapping[str, Any]) -> ObjectKey:
    """Return the key of an object; the namespace is empty for a kind without namespaces."""
    api_version, kind = manifest["apiVersion"], manifest["kind"]
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace", "") if resource_of(api_version, kind).namespaced else ""
    return ObjectKey(api_version, kind, namespace, metadata["name"])


def labels_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an object, empty if it has none."""
    return dict(manifest["metadata"].get("labels") or {})


def is_ours(manifest: Mapping[str, Any]) -> bool:
    """Tell whether this collection has made the object, whichever module and observer."""
    return labels_of(manifest).get(MANAGED_BY_LABEL) == MANAGED_BY


def container_port(pod: Mapping[str, Any], name: str, default: int) -> int:
    """Return the number of a port of a pod, as its containers call it."""
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == name), default)


def is_terminating(manifest: Mapping[str, Any]) -> bool:
    """Tell whether the object is being deleted (waiting for finalizers or its grace period)."""
    return bool(manifest["metadata"].get("deletionTimestamp"))


def status_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of an object, empty if it has none."""
    return manifest.get("status") or {}


def conditions_of(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions of an object by type."""
    return {condition["type"]: condition for condition in status_of(manifest).get("conditions") or []}


def normalize(manifest: Mapping[str, Any]) -> Manifest:
    """Return a copy without status and server-side metadata: the part that can be wanted, comparable with ==."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _SERVER_METADATA}
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != _LAST_APPLIED}
    for name, value in (("annotations", annotations), ("labels", metadata.get("labels"))):
        if value:
            metadata[name] = value
        else:
            metadata.pop(name, None)
    result = {name: value for name, value in manifest.items() if name not in ("metadata", "status")}
    result["metadata"] = metadata
    return result


def with_encoded_data(manifest: Mapping[str, Any]) -> Manifest:
    """Return a Secret with its stringData moved to data: the API server keeps no stringData to compare with."""
    if not _is_secret(manifest) or "stringData" not in manifest:
        return dict(manifest)
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in manifest["stringData"].items()}
    result = {name: value for name, value in manifest.items() if name != "stringData"}
    result["data"] = {**(manifest.get("data") or {}), **encoded}
    return result


def mask(manifest: Mapping[str, Any], other: Mapping[str, Any] | None = None) -> Manifest:
    """Return a copy that can be shown: the values of a Secret hidden.

    Values that differ from those of ``other`` (the object as it was before) get another marker, so that a diff shows
    which keys change and nothing else.
    """
    if not _is_secret(manifest):
        return dict(manifest)
    result = dict(manifest)
    for part in ("data", "stringData"):
        values = manifest.get(part)
        if values:
            known = values if other is None else (other.get(part) or {})
            result[part] = {
                name: HIDDEN if name not in known or known[name] == value else HIDDEN_CHANGED
                for name, value in values.items()
            }
    annotations = manifest["metadata"].get("annotations") or {}
    if _LAST_APPLIED in annotations:
        shown = {name: value for name, value in annotations.items() if name != _LAST_APPLIED}
        result["metadata"] = {**manifest["metadata"], "annotations": shown}
    return result


def _is_secret(manifest: Mapping[str, Any]) -> bool:
    return manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1"
