# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node-exporter on every node of a cluster, beside one that may be there already."""

from __future__ import annotations

import json
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


TLS_PATH = "/etc/node-exporter/tls"
WEB_PATH = "/etc/node-exporter/web"
_WEB_FILE = "web.yml"


def namespace_of(agent_namespace: str) -> str:
    """Its namespace, which only it has. What looks at the host is not admitted under the Pod Security Standard
    "restricted", nor under "baseline"; so everything else can be.
    """
    return f"{agent_namespace[:57]}-nodes"


@dataclass(frozen=True)
class Tls:
    """Who is answered: those with a certificate for the name ``client`` of the authority in ``secret`` (ca.crt), where
    node-exporter's own (tls.crt, tls.key) is, too.
    """

    secret: str
    client: str


@dataclass(frozen=True)
class NodeExporter:
    """node-exporter as it is wanted: ``instance`` is the cluster's name. Without ``tls`` everybody is answered."""

    instance: str
    namespace: str
    name: str = NAME
    image: str = images.NODE_EXPORTER
    port: int = PORT
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    tls: Tls | None = None

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name="node-exporter", instance=self.instance, component="exporter")


def objects(wanted: NodeExporter) -> list[Manifest]:
    """Everything of node-exporter but its namespace. It needs no right in the API and gets no token of it."""
    account = workload.service_account(wanted.name, wanted.namespace, wanted.labels)
    if wanted.tls is None:
        return [account, _daemonset(wanted)]
    files = {_WEB_FILE: json.dumps(web_configuration(wanted.tls), indent=2)}
    return [
        account,
        workload.config_map(_web_name(wanted), wanted.namespace, wanted.labels, files),
        _daemonset(wanted),
    ]


def web_configuration(tls: Tls) -> dict[str, Any]:
    """What it is told of connections. It reads the files for each, so that a renewed certificate needs no restart."""
    return {
        "tls_server_config": {
            "cert_file": f"{TLS_PATH}/tls.crt",
            "key_file": f"{TLS_PATH}/tls.key",
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": f"{TLS_PATH}/ca.crt",
            # Others have certificates of the authority, too.
            "client_allowed_sans": [tls.client],
            "min_version": "TLS13",
        }
    }


def _web_name(wanted: NodeExporter) -> str:
    return f"{wanted.name}-web"


def _probes(wanted: NodeExporter) -> dict[str, Any]:
    if wanted.tls is None:
        return {
            # The landing page: a probe of /metrics would collect everything once more.
            "readiness": workload.http_probe("/", "metrics", period_seconds=10, failure_threshold=3),
            "liveness": workload.http_probe("/", "metrics", period_seconds=30, failure_threshold=6),
        }
    # Seldom, because each connection without a certificate is a line in its log.
    return {
        "startup": workload.tcp_probe("metrics", period_seconds=2, failure_threshold=30),
        "readiness": workload.tcp_probe("metrics", period_seconds=60, failure_threshold=2),
        "liveness": workload.tcp_probe("metrics", period_seconds=60, failure_threshold=3),
    }


def _daemonset(wanted: NodeExporter) -> Manifest:
    mounts, volumes, arguments = [], [], []
    if wanted.tls is not None:
        mounts = [workload.mount("tls", TLS_PATH), workload.mount("web", WEB_PATH)]
        volumes = [
            workload.secret_volume("tls", wanted.tls.secret),
            workload.config_map_volume("web", _web_name(wanted)),
        ]
        arguments = [f"--web.config.file={WEB_PATH}/{_WEB_FILE}"]
    container = workload.container(
        "node-exporter",
        wanted.image,
        args=[
            # Brackets serve IPv6 and do no harm to IPv4. Only the address the agent uses, not a public one.
            f"--web.listen-address=[$(HOST_IP)]:{wanted.port}",
            *arguments,
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
            *mounts,
        ],
        resources=wanted.resources,
        **_probes(wanted),
    )
    template = workload.pod_template(
        wanted.labels,
        [container],
        user=USER,
        fs_group=USER if wanted.tls else None,
        service_account_name=wanted.name,
        host_network=True,
        node_selector={"kubernetes.io/os": "linux"},
        tolerations=[{"operator": "Exists"}],
        volumes=[
            workload.host_path("proc", "/proc"),
            workload.host_path("sys", "/sys"),
            workload.host_path("root", "/"),
            *volumes,
        ],
    )
    return workload.daemonset(wanted.name, wanted.namespace, wanted.labels, template=template)
