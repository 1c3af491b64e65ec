# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registration puts into the KaaS cluster, as one list: to make it, to wait for it, to remove it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    INSTANCE_LABEL,
    ObjectKey,
    identity,
    is_ours,
    labels_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import plan_removal
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    blackbox_exporter,
    collection_profile,
    kube_state_metrics,
    node_exporter,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.agent import Agent
from ansible_collections.scs.observability.plugins.module_utils._manifests.blackbox_exporter import BlackboxExporter
from ansible_collections.scs.observability.plugins.module_utils._manifests.collected import Collected
from ansible_collections.scs.observability.plugins.module_utils._manifests.kube_state_metrics import KubeStateMetrics
from ansible_collections.scs.observability.plugins.module_utils._manifests.node_exporter import NodeExporter
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import Settings

Manifest = dict[str, Any]

# What is in other namespaces, too: wherever something is scraped
ROLE_KINDS: tuple[tuple[str, str], ...] = (
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)
# Every kind of the objects below but the Namespace, which others may use too.
KINDS: tuple[tuple[str, str], ...] = (
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    *ROLE_KINDS,
)

# In a cluster may be objects of a component of an observer that has the cluster's name.
_OF_AGENT = {"app.kubernetes.io/component": "agent"}
BINDING = ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", agent.NAME)

# Kinds of what is in the namespace of node-exporter
NODE_KINDS: tuple[tuple[str, str], ...] = (("v1", "ServiceAccount"), ("apps/v1", "DaemonSet"))

_POD_SECURITY = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True)
class Installed:
    """The agent that a KaaS cluster has: its registration's name, its namespace and whose it is."""

    name: str
    namespace: str
    observer: str = ""

    def other_observer(self, owner: str) -> InputError | None:
        """What speaks against touching it: it says that another observer than ``owner`` has it."""
        if self.observer in ("", owner):
            return None
        return InputError(
            f"the cluster has the agent of another observer: {self.name!r} of {self.observer}, in the namespace "
            f"{self.namespace!r}; this observer is {owner}",
            parameter="kubeconfig",
            advice="Take the cluster off board there (state: absent)",
            details={"found_observer": self.observer, "observer": owner},
        )


def installed(binding: Mapping[str, Any] | None) -> Installed | None:
    """Read it from the agent's cluster role binding, of which a cluster has one, whatever else differs."""
    if binding is None or not is_ours(binding):
        return None
    annotations = binding["metadata"].get("annotations") or {}
    subjects = binding.get("subjects") or [{}]
    return Installed(
        name=labels_of(binding).get(INSTANCE_LABEL, ""),
        namespace=subjects[0].get("namespace", ""),
        observer=annotations.get(agent.OBSERVER_ANNOTATION, ""),
    )


def agent_of(settings: Settings, observer: str = "", collected: Collected | None = None) -> Agent:
    return Agent(
        instance=settings.name,
        namespace=settings.namespace,
        remote_write_url=settings.remote_write_url,
        scrape_interval=settings.scrape_interval,
        profile=settings.profile,
        kubelet_insecure_skip_verify=settings.kubelet_insecure_skip_verify,
        node_exporter_port=settings.node_exporter_port,
        image=settings.images["agent"],
        resources=settings.resources["agent"],
        observer=observer,
        collected=collected or Collected(),
    )


def identity_labels(settings: Settings) -> dict[str, str]:
    """Labels of the Secret with the agent's certificate."""
    return agent_of(settings).labels


def objects(
    settings: Settings,
    live_namespace: Mapping[str, Any] | None,
    observer: str,
    collected: Collected | None = None,
    live_node_namespace: Mapping[str, Any] | None = None,
) -> list[Manifest]:
    """Everything in the KaaS cluster but the Secret with the certificate.

    A namespace that somebody else made is used as it is: with our label on it, it would be removed some day.
    """
    result: list[Manifest] = []
    collected = collected or Collected()
    node_namespace = node_exporter.namespace_of(settings.namespace)
    for name, live, level in (
        (settings.namespace, live_namespace, "restricted"),
        (node_namespace, live_node_namespace, "privileged"),
    ):
        if live is None or is_ours(live):
            namespace = workload.namespace(name)
            # Said, because a cluster may enforce another level where nothing is said.
            namespace["metadata"]["labels"][_POD_SECURITY] = level
            result.append(namespace)
    return [
        *result,
        *agent.objects(agent_of(settings, observer, collected)),
        *kube_state_metrics.objects(
            KubeStateMetrics(
                instance=settings.name,
                namespace=settings.namespace,
                profile=settings.profile,
                extra_series=collected.extra_series.get(collection_profile.KUBE_STATE_METRICS, ()),
                image=settings.images["kube_state_metrics"],
                resources=settings.resources["kube_state_metrics"],
            )
        ),
        *node_exporter.objects(
            NodeExporter(
                instance=settings.name,
                namespace=node_namespace,
                port=settings.node_exporter_port,
                image=settings.images["node_exporter"],
                resources=settings.resources["node_exporter"],
            )
        ),
        *blackbox_exporter.objects(
            BlackboxExporter(
                instance=settings.name,
                namespace=settings.namespace,
                endpoints=collected.endpoints,
                image=settings.images["blackbox_exporter"],
                resources=settings.resources["blackbox_exporter"],
            )
        ),
    ]


def roles_elsewhere(
    client: KubernetesClient, name: str, namespace: str, wanted: Sequence[Mapping[str, Any]] = ()
) -> Plan:
    """The removal of what agents may in other namespaces than ``namespace``, where it is not ``wanted`` any more."""
    keys = {identity(item) for item in wanted}

    def stays(item: Mapping[str, Any]) -> bool:
        return identity(item) in keys or item["metadata"].get("namespace") == namespace

    return plan_removal(client, {**workload.owner(name), **_OF_AGENT}, "", ROLE_KINDS, keep=stays)


def workloads(manifests: Sequence[Mapping[str, Any]]) -> tuple[list[ObjectKey], list[ObjectKey]]:
    """What to wait for: the agent, and what it scrapes."""
    keys = [identity(item) for item in manifests if item["kind"] in ("Deployment", "DaemonSet")]
    return [key for key in keys if key.name == agent.NAME], [key for key in keys if key.name != agent.NAME]


def names(name: str, namespace: str) -> list[str]:
    """All of it by title, for when the cluster cannot be looked at: "v1 Secret scs-observability/…"."""
    agent_, node_namespace = Agent(name, namespace, ""), node_exporter.namespace_of(namespace)
    manifests = [
        workload.namespace(namespace),
        workload.namespace(node_namespace),
        *agent.objects(agent_),
        *kube_state_metrics.objects(KubeStateMetrics(name, namespace)),
        *node_exporter.objects(NodeExporter(name, node_namespace)),
    ]
    secret = ObjectKey("v1", "Secret", namespace, agent.IDENTITY_SECRET)
    return sorted(str(key) for key in (*(identity(item) for item in manifests), secret))
