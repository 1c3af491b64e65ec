# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builders of hardened Kubernetes workloads: plain arguments in, manifests (dicts) out.

Every container made here passes the "restricted" Pod Security Standard unless a caller says otherwise,
and no pod gets a token of the Kubernetes API unless it asks for one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]

MANAGED_BY = "scs.observability"
PART_OF = "scs-observability"
CHECKSUM_ANNOTATION = "observability.scs.community/checksum-"
# Tells the headless Service from the other one with the same pods: both would be scraped.
HEADLESS_LABEL = "observability.scs.community/headless"


def owner(instance: str) -> dict[str, str]:
    """Labels that select everything one module call owns (within its namespace)."""
    return {"app.kubernetes.io/managed-by": MANAGED_BY, "app.kubernetes.io/instance": instance}


def labels(*, name: str, instance: str, component: str) -> dict[str, str]:
    """Labels of every object: ``name`` is the software, ``instance`` the module's ``name``, ``component`` its role."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": PART_OF,
        **owner(instance),
    }


def selector(all_labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that select pods: a workload's selector is immutable, so only what never changes."""
    return {key: all_labels[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}


def checksum(content: Any) -> str:
    """SHA-256 (hex) of anything JSON can express, independent of key order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def metadata(
    name: str, namespace: str, object_labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
) -> Manifest:
    """Metadata; an empty namespace means a cluster-scoped object."""
    result: Manifest = {"name": name, "labels": dict(object_labels)}
    if namespace:
        result["namespace"] = namespace
    if annotations:
        result["annotations"] = dict(annotations)
    return result


def namespace(name: str, object_labels: Mapping[str, str] | None = None) -> Manifest:
    """A Namespace. Several module calls share one, so it says the same in each of them: ours, and no instance's."""
    shared = {"app.kubernetes.io/managed-by": MANAGED_BY, "app.kubernetes.io/part-of": PART_OF}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(name, "", object_labels or shared)}


def service_account(name: str, namespace: str, object_labels: Mapping[str, str]) -> Manifest:
    """A ServiceAccount whose token is mounted nowhere by itself."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(name, namespace, object_labels),
        "automountServiceAccountToken": False,
    }


def config_map(name: str, namespace: str, object_labels: Mapping[str, str], data: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(name, namespace, object_labels),
        "data": dict(data),
    }


def encoded(text: str) -> str:
    """A value as a Secret's data has it."""
    return base64.b64encode(text.encode()).decode()


def secret(name: str, namespace: str, object_labels: Mapping[str, str], data: Mapping[str, str]) -> Manifest:
    """An opaque Secret of text values."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, namespace, object_labels),
        "type": "Opaque",
        "data": {key: encoded(text) for key, text in data.items()},
    }


def http_probe(
    path: str,
    port: int | str,
    *,
    period_seconds: int,
    failure_threshold: int,
    timeout_seconds: int = 5,
    scheme: str = "HTTP",
) -> Manifest:
    return {
        "httpGet": {"path": path, "port": port, "scheme": scheme},
        "periodSeconds": period_seconds,
        "timeoutSeconds": timeout_seconds,
        "failureThreshold": failure_threshold,
    }


def tcp_probe(port: int | str, *, period_seconds: int, failure_threshold: int, timeout_seconds: int = 5) -> Manifest:
    """Whether something listens, for what answers nobody without a certificate: a kubelet has none."""
    return {
        "tcpSocket": {"port": port},
        "periodSeconds": period_seconds,
        "timeoutSeconds": timeout_seconds,
        "failureThreshold": failure_threshold,
    }


def container(
    name: str,
    image: str,
    *,
    args: Sequence[str] = (),
    command: Sequence[str] = (),
    ports: Mapping[str, int] | None = None,
    env: Sequence[Manifest] = (),
    mounts: Sequence[Manifest] = (),
    liveness: Manifest | None = None,
    readiness: Manifest | None = None,
    startup: Manifest | None = None,
    resources: Mapping[str, Any] | None = None,
    lifecycle: Manifest | None = None,
) -> Manifest:
    """A container without any privilege, its root file system read-only.

    ``ports`` maps port names to numbers, ``mounts`` are volumeMounts as :func:`mount` makes them,
    ``resources`` is ``{"requests": {...}, "limits": {...}}``.
    """
    result: Manifest = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # The last log lines become the termination message, so that a failed wait can show why.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    optional: Manifest = {
        "command": list(command),
        "args": list(args),
        "ports": [
            {"name": port_name, "containerPort": number, "protocol": "TCP"}
            for port_name, number in (ports or {}).items()
        ],
        "env": list(env),
        "volumeMounts": list(mounts),
        "livenessProbe": liveness,
        "readinessProbe": readiness,
        "startupProbe": startup,
        "resources": dict(resources) if resources else None,
        "lifecycle": lifecycle,
    }
    result.update({key: value for key, value in optional.items() if value})
    return result


def mount(volume: str, path: str, *, read_only: bool = True) -> Manifest:
    # As the API server writes it, so that an unchanged object is seen to be the same without asking.
    return {"name": volume, "mountPath": path, **({"readOnly": True} if read_only else {})}


def field(path: str) -> dict[str, str]:
    """A field of the pod for an environment variable, as the API server writes it."""
    return {"apiVersion": "v1", "fieldPath": path}


def empty_dir(name: str, *, size_limit: str = "") -> Manifest:
    return {"name": name, "emptyDir": {"sizeLimit": size_limit} if size_limit else {}}


def secret_volume(name: str, secret: str, *, mode: int = 0o440) -> Manifest:
    """A Secret as a volume, readable by the pod's user and fsGroup only."""
    return {"name": name, "secret": {"secretName": secret, "defaultMode": mode}}


def config_map_volume(name: str, config: str) -> Manifest:
    return {"name": name, "configMap": {"name": config, "defaultMode": 0o444}}


def host_path(name: str, path: str, *, kind: str = "Directory") -> Manifest:
    return {"name": name, "hostPath": {"path": path, "type": kind}}


def pod_template(
    pod_labels: Mapping[str, str],
    containers: Sequence[Manifest],
    *,
    user: int,
    service_account_name: str,
    group: int | None = None,
    fs_group: int | None = None,
    service_account_token: bool = False,
    volumes: Sequence[Manifest] = (),
    checksums: Mapping[str, str] | None = None,
    termination_grace_period: int = 30,
    affinity: Manifest | None = None,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Sequence[Manifest] = (),
    priority_class: str = "",
    host_network: bool = False,
    host_pid: bool = False,
) -> Manifest:
    """A pod template.

    ``checksums`` (what -> checksum) become annotations, so that a change of something that the program reads only
    at its start rolls the pods. ``termination_grace_period`` is in seconds.
    """
    security: Manifest = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user if group is None else group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if fs_group is not None:
        security["fsGroup"] = fs_group
        # A large volume is not walked through at every start.
        security["fsGroupChangePolicy"] = "OnRootMismatch"
    spec: Manifest = {
        "serviceAccountName": service_account_name,
        "automountServiceAccountToken": service_account_token,
        # Without this every Service of the namespace becomes a set of environment variables.
        "enableServiceLinks": False,
        "securityContext": security,
        "terminationGracePeriodSeconds": termination_grace_period,
        "containers": list(containers),
    }
    optional: Manifest = {
        "volumes": list(volumes),
        "affinity": affinity,
        "nodeSelector": dict(node_selector) if node_selector else None,
        "tolerations": list(tolerations),
        "priorityClassName": priority_class,
    }
    spec.update({key: value for key, value in optional.items() if value})
    if host_network:
        spec.update(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet")
    if host_pid:
        spec["hostPID"] = True
    template: Manifest = {"metadata": {"labels": dict(pod_labels)}, "spec": spec}
    if checksums:
        template["metadata"]["annotations"] = {CHECKSUM_ANNOTATION + what: value for what, value in checksums.items()}
    return template


def deployment(
    name: str,
    namespace: str,
    object_labels: Mapping[str, str],
    *,
    template: Manifest,
    replicas: int = 1,
    strategy: Manifest | None = None,
) -> Manifest:
    """A Deployment; by default a new pod is ready before an old one goes."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, namespace, object_labels),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector(object_labels)},
            "strategy": strategy or {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    }


def volume_claim(name: str, object_labels: Mapping[str, str], *, size: str, storage_class: str = "") -> Manifest:
    """A claim template of a StatefulSet. Labelled, so that the volumes it makes can be found and purged."""
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": dict(object_labels)},
        "spec": spec,
    }


def statefulset(
    name: str,
    namespace: str,
    object_labels: Mapping[str, str],
    *,
    service_name: str,
    template: Manifest,
    replicas: int = 1,
    volume_claims: Sequence[Manifest] = (),
) -> Manifest:
    """A StatefulSet; ``service_name`` is its headless Service. Its volumes outlive it (purging is explicit)."""
    spec: Manifest = {
        "serviceName": service_name,
        "replicas": replicas,
        "revisionHistoryLimit": 3,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": selector(object_labels)},
        "template": template,
    }
    if volume_claims:
        spec["volumeClaimTemplates"] = list(volume_claims)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(name, namespace, object_labels),
        "spec": spec,
    }


def daemonset(
    name: str, namespace: str, object_labels: Mapping[str, str], *, template: Manifest, max_unavailable: str = "25%"
) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(name, namespace, object_labels),
        "spec": {
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector(object_labels)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": max_unavailable}},
            "template": template,
        },
    }


def service(
    name: str,
    namespace: str,
    object_labels: Mapping[str, str],
    *,
    ports: Mapping[str, int],
    service_type: str = "ClusterIP",
    node_ports: Mapping[str, int] | None = None,
    headless: bool = False,
) -> Manifest:
    """A Service in front of the workload with the same labels.

    ``ports`` maps a container's port name to the number the Service offers it under.
    ``headless`` gives one DNS record per pod, ready or not, as peers of a StatefulSet need it.
    """
    offered: list[Manifest] = []
    for port_name, number in ports.items():
        port: Manifest = {"name": port_name, "port": number, "targetPort": port_name, "protocol": "TCP"}
        if node_ports and port_name in node_ports:
            port["nodePort"] = node_ports[port_name]
        offered.append(port)
    spec: Manifest = {"selector": selector(object_labels), "ports": offered}
    if headless:
        object_labels = {**object_labels, HEADLESS_LABEL: "true"}
        spec.update(type="ClusterIP", clusterIP="None", publishNotReadyAddresses=True)
    else:
        spec["type"] = service_type
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, namespace, object_labels),
        "spec": spec,
    }


def disruption_budgets(name: str, namespace: str, object_labels: Mapping[str, str], replicas: int) -> list[Manifest]:
    """With several replicas, the PodDisruptionBudget: a node that is drained takes one pod at a time."""
    if replicas < 2:
        return []
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(name, namespace, object_labels),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(object_labels)}},
        }
    ]


def service_monitor(
    name: str,
    namespace: str,
    object_labels: Mapping[str, str],
    *,
    port: str,
    interval: str = "",
    metric_relabelings: Sequence[Mapping[str, Any]] = (),
) -> Manifest:
    """A ServiceMonitor of the Prometheus Operator, for the Service with the same labels.

    ``interval`` is Prometheus' own unless given. ``metric_relabelings`` are rules as Prometheus has them, on which
    series are kept.
    """
    endpoint: Manifest = {"port": port, **({"interval": interval} if interval else {})}
    if metric_relabelings:
        spelt = {"source_labels": "sourceLabels"}
        endpoint["metricRelabelings"] = [
            {spelt.get(key, key): value for key, value in rule.items()} for rule in metric_relabelings
        ]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(name, namespace, object_labels),
        "spec": {
            "selector": {
                "matchLabels": selector(object_labels),
                "matchExpressions": [{"key": HEADLESS_LABEL, "operator": "DoesNotExist"}],
            },
            "endpoints": [endpoint],
        },
    }


def placed(placement: Mapping[str, Any], object_labels: Mapping[str, str], replicas: int) -> dict[str, Any]:
    """Where pods run, as arguments of pod_template; replicas keep apart unless an affinity is given."""
    return {**({"affinity": _apart(object_labels)} if replicas > 1 else {}), **placement}


def _apart(object_labels: Mapping[str, str]) -> Manifest:
    """An affinity: pods of a workload on different nodes, where there are enough."""
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": selector(object_labels)}}
    return {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]
        }
    }
