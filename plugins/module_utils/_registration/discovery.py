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
    """Read what there is, in one round of requests. Raises ApiError."""
    system, named = optional_jobs.SYSTEM_NAMESPACE, collected.named_namespaces(overrides)
    lists = kaas.parallel(
        [
            partial(kaas.list, "v1", "Node", label_selector=optional_jobs.CONTROL_PLANE_LABEL),
            partial(kaas.list, "v1", "Pod", system, optional_jobs.CONTROL_PLANE_PODS),
            *(partial(kaas.list, "apps/v1", kind, "", optional_jobs.WORKLOAD_SELECTOR) for kind in _WORKLOAD_KINDS),
        ]
    )
    proxy, configuration, *namespaces = kaas.parallel(
        [
            partial(kaas.get, "apps/v1", "DaemonSet", optional_jobs.KUBE_PROXY, system),
            partial(kaas.get, "v1", "ConfigMap", optional_jobs.KUBE_PROXY, system),
            *(partial(kaas.get, "v1", "Namespace", name) for name in named),
        ]
    )
    nodes, pods, *workloads = lists
    # Only where nothing of a control plane is seen does it matter whether there are other nodes.
    has_nodes = bool(nodes or pods or kaas.list_metadata("v1", "Node", "nodes", ""))
    found = optional_jobs.discover(
        Cluster(
            nodes=nodes,
            has_nodes=has_nodes,
            control_plane_pods=pods,
            workloads=[item for items in workloads for item in items],
            kube_proxy=proxy,
            kube_proxy_configuration=configuration,
        )
    )
    missing = tuple(name for name, live in zip(named, namespaces, strict=True) if live is None)
    return replace(found, missing_namespaces=missing)


_WORKLOAD_KINDS = ("Deployment", "DaemonSet")
