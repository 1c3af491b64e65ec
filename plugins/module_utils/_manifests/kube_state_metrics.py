# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-state-metrics: the state of a cluster's objects as metrics. Secrets and ConfigMaps stay unread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    collection_profile,
    images,
    rbac,
    workload,
)

Manifest = dict[str, Any]

NAME = "scs-observability-kube-state-metrics"
PORT = 8080
TELEMETRY_PORT = 8081
PORTS = {"http": PORT, "telemetry": TELEMETRY_PORT}
USER = 65534
RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "10m", "memory": "48Mi"},
    "limits": {"cpu": "500m", "memory": "256Mi"},
}

# API group -> what can be watched. The argument --resources and the cluster role both come from here.
RESOURCES_BY_GROUP: dict[str, tuple[str, ...]] = {
    "": (
        "limitranges",
        "namespaces",
        "nodes",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "services",
    ),
    "admissionregistration.k8s.io": ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "certificates.k8s.io": ("certificatesigningrequests",),
    "networking.k8s.io": ("ingresses", "networkpolicies"),
    "policy": ("poddisruptionbudgets",),
    "storage.k8s.io": ("storageclasses", "volumeattachments"),
}


@dataclass(frozen=True)
class KubeStateMetrics:
    """kube-state-metrics as it is wanted: ``instance`` is the cluster's name, ``cluster_role`` the name of its role,
    ``extra_series`` are expressions of names that it tells beside those of the profile.
    """

    instance: str
    namespace: str
    name: str = NAME
    cluster_role: str = NAME
    profile: str = "minimal"
    extra_series: Sequence[str] = ()
    image: str = images.KUBE_STATE_METRICS
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    node_selector: Mapping[str, str] = field(default_factory=lambda: {"kubernetes.io/os": "linux"})

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name="kube-state-metrics", instance=self.instance, component="exporter")


def objects(wanted: KubeStateMetrics) -> list[Manifest]:
    """Everything of kube-state-metrics but its namespace."""
    return [
        workload.service_account(wanted.name, wanted.namespace, wanted.labels),
        cluster_role(wanted),
        rbac.cluster_role_binding(wanted.cluster_role, wanted.namespace, wanted.labels, account=wanted.name),
        workload.service(wanted.name, wanted.namespace, wanted.labels, ports={"http": PORT}),
        deployment(
            wanted.name,
            wanted.namespace,
            wanted.labels,
            image=wanted.image,
            resources=wanted.resources,
            arguments=_arguments(wanted),
            node_selector=wanted.node_selector,
        ),
    ]


def watched(profile: str, extra: Sequence[str] = ()) -> dict[str, list[str]]:
    """By API group, the resources that the metrics of a profile are about, and those that ``extra`` may be about."""
    series = collection_profile.series_of(profile, collection_profile.KUBE_STATE_METRICS)

    beginnings = [_beginning(name) for name in extra]

    def is_wanted(resource: str) -> bool:
        family = f"{_family(resource)}_"
        return (
            series is None
            or any(f"{entry.name}_".startswith(family) for entry in series)
            or any(family.startswith(text) or text.startswith(family) for text in beginnings)
        )

    found = {
        group: [resource for resource in resources if is_wanted(resource)]
        for group, resources in RESOURCES_BY_GROUP.items()
    }
    return {group: resources for group, resources in found.items() if resources}


def _beginning(expression: str) -> str:
    """What all names that it matches begin with, as far as that is certain."""
    literal = re.match(r"[a-z0-9_]*(?![*?{])", expression)
    return literal[0] if literal and "|" not in expression else ""


def _family(resource: str) -> str:
    """What the names of its metrics begin with: kube_ and the singular."""
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if resource.endswith(plural):
            return f"kube_{resource.removesuffix(plural)}{singular}"
    return f"kube_{resource}"


def cluster_role(wanted: KubeStateMetrics) -> Manifest:
    return rbac.cluster_role(
        wanted.cluster_role,
        wanted.labels,
        [
            {"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]}
            for group, resources in watched(wanted.profile, wanted.extra_series).items()
        ],
    )


def _arguments(wanted: KubeStateMetrics) -> list[str]:
    watched_here = watched(wanted.profile, wanted.extra_series)
    resources = sorted(resource for group in watched_here.values() for resource in group)
    arguments = [f"--resources={','.join(resources)}"]
    allowed = collection_profile.metric_allow_list(
        collection_profile.series_of(wanted.profile, collection_profile.KUBE_STATE_METRICS, wanted.extra_series)
    )
    if allowed:
        arguments.append(f"--metric-allowlist={allowed}")
    return arguments


def deployment(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    *,
    image: str,
    resources: Mapping[str, Any],
    arguments: Sequence[str],
    mounts: Sequence[Manifest] = (),
    volumes: Sequence[Manifest] = (),
    node_selector: Mapping[str, str] | None = None,
    service_account_token: bool = True,
) -> Manifest:
    """The program with the ``arguments`` that say what it tells about, as the ServiceAccount of the same name."""
    container = workload.container(
        "kube-state-metrics",
        image,
        args=[
            f"--port={PORT}",
            f"--telemetry-port={TELEMETRY_PORT}",
            # From the API server's memory instead of a quorum read of etcd at every start.
            "--use-apiserver-cache",
            "--auto-gomemlimit",
            *arguments,
        ],
        ports=PORTS,
        mounts=mounts,
        startup=workload.http_probe("/readyz", "telemetry", period_seconds=1, failure_threshold=300),
        readiness=workload.http_probe("/readyz", "telemetry", period_seconds=10, failure_threshold=3),
        liveness=workload.http_probe("/livez", "http", period_seconds=30, failure_threshold=6),
        resources=resources,
    )
    template = workload.pod_template(
        labels,
        [container],
        user=USER,
        service_account_name=name,
        service_account_token=service_account_token,
        node_selector=node_selector,
        volumes=volumes,
    )
    return workload.deployment(name, namespace, labels, template=template)
