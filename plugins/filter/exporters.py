# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    cluster_api_importer,
    kaas_metric_importer,
    kube_state_metrics,
    node_exporter,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.cluster_api_importer import (
    ClusterApiImporter,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.kaas_metric_importer import (
    KaasMetricImporter,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.kube_state_metrics import KubeStateMetrics
from ansible_collections.scs.observability.plugins.module_utils._manifests.node_exporter import NodeExporter, Tls

DOCUMENTATION = r"""
name: exporters
short_description: Kubernetes objects of an observer's exporters
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes the objects of kube-state-metrics and node-exporter for the observer's own cluster, and of the importer that
    makes metrics of registrations. They are what agents bring to customers' clusters, under other names.
  - node-exporter answers nobody but who has a certificate for the name C(prometheus.NAMESPACE.svc), of the authority in
    C(ca.crt) of the Secret C(node-exporter-tls), where its own is, too. The Secret is not among the objects.
  - The importer of Cluster API's clusters is one more. With C(elsewhere) it goes by the kubeconfig in the Secret
    C(cluster-api-importer-kubeconfig), which is not among the objects.
positional: _input
options:
  _input:
    description:
      - What is wanted, by the names C(kube_state_metrics), C(node_exporter), C(kaas_metric_importer) and
        C(cluster_api_importer). Each is a dictionary of C(image) and C(resources), C(node_exporter) of C(port), and
        C(cluster_api_importer) of C(elsewhere), too.
    type: dict
    required: true
  namespace:
    description: Namespace of the observer.
    type: str
    required: true
  set_name:
    description: Name of the set that they belong to, see M(scs.observability.apply_set).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Have metrics of registrations
  scs.observability.apply_set:
    name: exporters
    objects: "{{ wanted | scs.observability.exporters(namespace='scs-observability', set_name='exporters') }}"
  vars:
    wanted:
      kaas_metric_importer:
        image: registry.example.org/kube-state-metrics:v2.15.0
        resources: {limits: {memory: 128Mi}}
"""

RETURN = r"""
_value:
  description: The objects.
  type: list
  elements: dict
"""


def exporters(wanted: Mapping[str, Mapping[str, Any]], namespace: str, set_name: str) -> list[dict[str, Any]]:
    """Return the objects of all exporters that are wanted."""
    unknown = sorted(set(wanted) - set(_EXPORTERS))
    if unknown:
        raise AnsibleFilterError(f"exporters: {', '.join(unknown)} is none of {', '.join(sorted(_EXPORTERS))}")
    return [
        manifest
        for name, options in wanted.items()
        for manifest in _EXPORTERS[name](instance=set_name, namespace=namespace, **options)
    ]


def cluster_role(namespace: str, name: str) -> str:
    """Return the name of a cluster role: it has no namespace that keeps observers apart."""
    return f"scs-observability-{namespace}-{name}"


def _kube_state_metrics(namespace: str, **options: Any) -> list[dict[str, Any]]:
    name = "kube-state-metrics"
    role = cluster_role(namespace, name)
    # Where it runs is the set's to say.
    wanted = KubeStateMetrics(namespace=namespace, name=name, cluster_role=role, node_selector={}, **options)
    return kube_state_metrics.objects(wanted)


def _node_exporter(namespace: str, port: int = node_exporter.PORT, **options: Any) -> list[dict[str, Any]]:
    name = "node-exporter"
    tls = Tls(secret=f"{name}-tls", client=f"prometheus.{namespace}.svc")
    return node_exporter.objects(NodeExporter(namespace=namespace, name=name, port=int(port), tls=tls, **options))


def _kaas_metric_importer(namespace: str, **options: Any) -> list[dict[str, Any]]:
    role = cluster_role(namespace, kaas_metric_importer.NAME)
    return kaas_metric_importer.objects(KaasMetricImporter(namespace=namespace, cluster_role=role, **options))


def _cluster_api_importer(namespace: str, elsewhere: Any = False, **options: Any) -> list[dict[str, Any]]:
    role = cluster_role(namespace, cluster_api_importer.NAME)
    wanted = ClusterApiImporter(namespace=namespace, cluster_role=role, elsewhere=boolean(elsewhere), **options)
    return cluster_api_importer.objects(wanted)


_EXPORTERS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "cluster_api_importer": _cluster_api_importer,
    "kaas_metric_importer": _kaas_metric_importer,
    "kube_state_metrics": _kube_state_metrics,
    "node_exporter": _node_exporter,
}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"exporters": exporters}
