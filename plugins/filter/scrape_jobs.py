# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    cluster_api_importer,
    kaas_metric_importer,
    node_exporter,
    scrape_jobs,
)

DOCUMENTATION = r"""
name: scrape_jobs
short_description: How Prometheus scrapes the observer's own cluster
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes jobs in Prometheus' own format, for what has no Service in the observer's namespace or must not be found by
    pod. Of their series they keep what the agents of customers' clusters keep.
  - node-exporter is asked over TLS with the certificate in C(/etc/observer/client) (C(tls.crt), C(tls.key), C(ca.crt)).
    Its own is for the name C(node-exporter.NAMESPACE.svc).
positional: _input
options:
  _input:
    description:
      - Names of the jobs, any of V(apiserver), V(cadvisor), V(cluster-api-importer), V(coredns),
        V(kaas-metric-importer), V(kube-state-metrics), V(kubelet) and V(node-exporter).
    type: list
    elements: str
    required: true
  namespace:
    description: Namespace of the observer.
    type: str
    required: true
  kubelet_insecure_skip_verify:
    description: Whether any certificate of a kubelet is accepted.
    type: bool
    default: true
  node_exporter_port:
    description: Port of node-exporter on the nodes.
    type: int
    default: 19100
"""

EXAMPLES = r"""
- name: See how Prometheus reads kubelets
  ansible.builtin.debug:
    msg: "{{ ['kubelet', 'cadvisor'] | scs.observability.scrape_jobs(namespace='scs-observability') }}"
"""

RETURN = r"""
_value:
  description: The jobs.
  type: list
  elements: dict
"""


# Where Prometheus has its own certificate, by which exporters know it
CLIENT_PATH = "/etc/observer/client"


def jobs(
    names: Collection[str],
    namespace: str,
    kubelet_insecure_skip_verify: bool = True,
    node_exporter_port: int = node_exporter.PORT,
) -> list[dict[str, Any]]:
    """Return the named jobs, in the order of their names."""
    known = {
        job["job_name"]: job
        for job in (
            *scrape_jobs.jobs(
                namespace,
                profile="minimal",
                kubelet_insecure_skip_verify=kubelet_insecure_skip_verify,
                exporter="kube-state-metrics",
                discovery=False,
                node_exporter_port=int(node_exporter_port),
                node_exporter_tls={
                    "ca_file": f"{CLIENT_PATH}/ca.crt",
                    "cert_file": f"{CLIENT_PATH}/tls.crt",
                    "key_file": f"{CLIENT_PATH}/tls.key",
                    # Nodes are known by addresses that come and go.
                    "server_name": f"node-exporter.{namespace}.svc",
                    "min_version": "TLS13",
                },
            ),
            kaas_metric_importer.scrape_job(namespace),
            cluster_api_importer.scrape_job(namespace),
        )
    }
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise AnsibleFilterError(f"scrape_jobs: {', '.join(unknown)} is none of {', '.join(sorted(known))}")
    return [known[name] for name in sorted(set(names))]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"scrape_jobs": jobs}
