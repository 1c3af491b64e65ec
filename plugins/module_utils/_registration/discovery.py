# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a KaaS cluster has to be collected, looked for at each run with the operator's rights.

The agent could look for it all the time, by the labels of pods in all namespaces. For that it would have to read every
pod of the customer, the values of their environment included, and to hold them in memory. So it sees those namespaces
alone in which something was found; what comes later is found by the next run, and the playbook "reconcile" runs often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import collected, optional_jobs
from ansible_collections.scs.observability.plugins.module_utils._manifests.optional_jobs import Cluster, Discovered


def look_at_jobs(kaas: KubernetesClient, overrides: Mapping[str, Any]) -> Discovered:
    """Read what there is of optional jobs, and of what overrides speak of. Raises ApiError."""
    system = optional_jobs.SYSTEM_NAMESPACE
    namespaces, services = collected.named_namespaces(overrides), collected.named_services(overrides)
    seen: dict[str, list[dict[str, Any]]] = {}
    live: dict[tuple[str, ...], dict[str, Any] | None] = {}

    def list_(what: str, *arguments: str) -> None:
        seen[what] = kaas.list(*arguments)

    def get(*arguments: str) -> None:
        live[arguments] = kaas.get(*arguments)

    proxy = ("apps/v1", "DaemonSet", optional_jobs.KUBE_PROXY, system)
    configuration = ("v1", "ConfigMap", optional_jobs.KUBE_PROXY, system)
    kaas.parallel(
        [
            partial(list_, "nodes", "v1", "Node", "", optional_jobs.CONTROL_PLANE_LABEL),
            partial(list_, "pods", "v1", "Pod", system, optional_jobs.CONTROL_PLANE_PODS),
            partial(list_, "deployments", "apps/v1", "Deployment", "", optional_jobs.WORKLOAD_SELECTOR),
            partial(list_, "daemon sets", "apps/v1", "DaemonSet", "", optional_jobs.WORKLOAD_SELECTOR),
            partial(get, *proxy),
            partial(get, *configuration),
            *(partial(get, "v1", "Namespace", name) for name in namespaces),
            *(partial(get, "v1", "Service", service, namespace) for namespace, service in services),
        ]
    )
    found = optional_jobs.discover(
        Cluster(
            nodes=seen["nodes"],
            # Only where nothing of a control plane is seen does it matter whether there are other nodes.
            has_nodes=bool(seen["nodes"] or seen["pods"] or kaas.list_metadata("v1", "Node", "nodes", "")),
            control_plane_pods=seen["pods"],
            workloads=[*seen["deployments"], *seen["daemon sets"]],
            kube_proxy=live[proxy],
            kube_proxy_configuration=live[configuration],
        )
    )
    return replace(
        found,
        namespaces=frozenset(name for name in namespaces if live["v1", "Namespace", name]),
        ports={
            (namespace, service): {port["port"]: port.get("name", "") for port in manifest["spec"].get("ports") or []}
            for namespace, service in services
            if (manifest := live["v1", "Service", service, namespace])
        },
    )
