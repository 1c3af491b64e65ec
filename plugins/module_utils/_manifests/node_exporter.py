# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node-exporter on every node of a cluster, beside one that may be there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import images, workload

Manifest = dict[str, Any]

NAME = "scs-observability-node-exporter"
# On the host's network; not 9100, which the customer's own may have.
PORT = 19100
USER = 65534
RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "10m", "memory": "24Mi"},
    "limits": {"cpu": "250m", "memory": "96Mi"},
}

# Interfaces and mounts that come and go with every pod.
_POD_INTERFACES = "^(veth.*|cali[a-f0-9]*|cilium.*|lxc.*|[a-f0-9]{15})$"
_POD_MOUNTS = "^/(dev|proc|sys|run/k3s/containerd/.+|run/containerd/.+|var/lib/(containerd|docker|kubelet)/.+)($|/)"
# Collectors whose kernel interface the user nobody may not read, or that tell nothing about a virtual machine.
_OFF = ("btrfs", "infiniband", "ipvs", "nfs", "nfsd", "rapl", "selinux", "tapestats", "wifi", "xfs", "zfs")


def namespace_of(agent_namespace: str) -> str:
    """Its namespace, which only it has. What looks at the host is not admitted under the Pod Security Standard
    "restricted", nor under "baseline"; so everything else can be.
    """
    return f"{agent_namespace[:57]}-nodes"


@dataclass(frozen=True)
class NodeExporter:
    """node-exporter as it is wanted: ``instance`` is the cluster's name."""

    instance: str
    namespace: str
    name: str = NAME
    image: str = images.NODE_EXPORTER
    port: int = PORT
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name="node-exporter", instance=self.instance, component="exporter")


def objects(wanted: NodeExporter) -> list[Manifest]:
    """Everything of node-exporter but its namespace. It needs no right in the API and gets no token of it."""
    return [workload.service_account(wanted.name, wanted.namespace, wanted.labels), _daemonset(wanted)]


def _daemonset(wanted: NodeExporter) -> Manifest:
    container = workload.container(
        "node-exporter",
        wanted.image,
        args=[
            # Brackets serve IPv6 and do no harm to IPv4. Only the address the agent uses, not a public one.
            f"--web.listen-address=[$(HOST_IP)]:{wanted.port}",
            "--path.procfs=/host/proc",
            "--path.sysfs=/host/sys",
            "--path.rootfs=/host/root",
            f"--collector.netclass.ignored-devices={_POD_INTERFACES}",
            f"--collector.netdev.device-exclude={_POD_INTERFACES}",
            f"--collector.filesystem.mount-points-exclude={_POD_MOUNTS}",
            *(f"--no-collector.{name}" for name in _OFF),
        ],
        ports={"metrics": wanted.port},
        env=[
            {"name": "HOST_IP", "valueFrom": {"fieldRef": workload.field("status.hostIP")}},
            {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "0"}}},
        ],
        mounts=[
            workload.mount("proc", "/host/proc"),
            workload.mount("sys", "/host/sys"),
            # Mounts that the host makes later are seen too.
            {**workload.mount("root", "/host/root"), "mountPropagation": "HostToContainer"},
        ],
        # The landing page: a probe of /metrics would collect everything once more.
        readiness=workload.http_probe("/", "metrics", period_seconds=10, failure_threshold=3),
        liveness=workload.http_probe("/", "metrics", period_seconds=30, failure_threshold=6),
        resources=wanted.resources,
    )
    template = workload.pod_template(
        wanted.labels,
        [container],
        user=USER,
        service_account_name=wanted.name,
        host_network=True,
        node_selector={"kubernetes.io/os": "linux"},
        tolerations=[{"operator": "Exists"}],
        volumes=[
            workload.host_path("proc", "/proc"),
            workload.host_path("sys", "/sys"),
            workload.host_path("root", "/"),
        ],
    )
    return workload.daemonset(wanted.name, wanted.namespace, wanted.labels, template=template)
