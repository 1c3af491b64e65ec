# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster has beside what every cluster has: where it is, whether an agent reaches it, and if not, why.

Told from the workloads there are, not from their pods: an ingress controller all of whose pods are gone is one that is
missing, not one that nobody has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

with suppress(ImportError):  # reported where kubeconfigs are read, before anything gets here
    import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import collection_profile

Manifest = Mapping[str, Any]

SYSTEM_NAMESPACE = "kube-system"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
CONTROL_PLANE_PODS = "tier=control-plane"
KUBE_PROXY = "kube-proxy"

_KUBEADM_ANNOTATION = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"


@dataclass(frozen=True)
class ControlPlaneJob:
    """A component that runs as static pods; ``component`` is the label by which kubeadm calls it."""

    component: str
    port: int
    https: bool = True


CONTROL_PLANE_JOBS = {
    collection_profile.SCHEDULER: ControlPlaneJob("kube-scheduler", 10259),
    collection_profile.CONTROLLER_MANAGER: ControlPlaneJob("kube-controller-manager", 10257),
    collection_profile.ETCD: ControlPlaneJob("etcd", 0, https=False),
}


@dataclass(frozen=True)
class WorkloadJob:
    """A workload known by its label app.kubernetes.io/name; ``ports`` are names that its port for metrics may have."""

    name: str
    ports: tuple[str, ...]
    component: str = ""


# A new one is a line here, and one with its metrics in collection_profile.
WORKLOAD_JOBS = {
    collection_profile.INGRESS_NGINX: WorkloadJob("ingress-nginx", ("metrics",), "controller"),
    collection_profile.TRAEFIK: WorkloadJob("traefik", ("metrics",)),
    collection_profile.CERT_MANAGER: WorkloadJob("cert-manager", ("http-metrics", "tcp-prometheus-servicemonitor")),
    collection_profile.CILIUM: WorkloadJob("cilium-agent", ("prometheus",)),
}
WORKLOAD_SELECTOR = f"app.kubernetes.io/name in ({','.join(sorted(job.name for job in WORKLOAD_JOBS.values()))})"


@dataclass(frozen=True)
class Found:
    """A job that is there and can be reached: pods with the labels ``selector`` in ``namespace``, at the port of that
    number, or (0) at one of the names ``ports``.
    """

    job: str
    namespace: str
    selector: str
    port: int = 0
    ports: tuple[str, ...] = ()
    https: bool = False


@dataclass(frozen=True)
class Cluster:
    """What of a cluster was looked at: all about it that decides which jobs there are.

    ``nodes`` are those with the control plane, ``has_nodes`` whether there are any at all.
    """

    nodes: Sequence[Manifest] = ()
    has_nodes: bool = False
    control_plane_pods: Sequence[Manifest] = ()
    workloads: Sequence[Manifest] = ()
    kube_proxy: Manifest | None = None
    kube_proxy_configuration: Manifest | None = None


@dataclass(frozen=True)
class Discovered:
    """What is there beside what every cluster has; ``not_collected`` says by job why it is not reached.

    ``namespaces`` are those of the ones that overrides speak of that are there, and ``ports`` those of the Services, by
    (namespace, Service), the name of each by its number.
    """

    control_plane: str = "unknown"
    found: tuple[Found, ...] = ()
    not_collected: tuple[tuple[str, str], ...] = ()
    namespaces: frozenset[str] = frozenset()
    ports: Mapping[tuple[str, str], Mapping[int, str]] = field(default_factory=dict)

    @property
    def jobs(self) -> tuple[str, ...]:
        return tuple(sorted({item.job for item in self.found}))


def discover(cluster: Cluster) -> Discovered:
    """Which optional jobs a cluster has."""
    control_plane = control_plane_of(cluster.nodes, cluster.control_plane_pods, has_nodes=cluster.has_nodes)
    found: dict[str, list[Found]] = {}
    reasons: dict[str, str] = {}
    for result in (
        *_control_plane(cluster.control_plane_pods, control_plane),
        *_kube_proxy(cluster),
        *_workloads(cluster.workloads),
    ):
        if isinstance(result, Found):
            found.setdefault(result.job, []).append(result)
        else:
            reasons.setdefault(*result)
    return Discovered(
        control_plane,
        tuple(
            sorted({item for items in found.values() for item in items}, key=lambda item: (item.job, item.namespace))
        ),
        tuple(sorted((job, reason) for job, reason in reasons.items() if job not in found)),
    )


def control_plane_of(nodes: Sequence[Manifest], pods: Sequence[Manifest], *, has_nodes: bool) -> str:
    """Who made a control plane, one of kaas_cluster.CONTROL_PLANES, from the nodes and static pods of it that are seen.

    "managed" is one of which nothing can be seen, though the cluster has nodes.
    """
    if any(_provider(node).startswith("kind://") for node in nodes):
        return "kind"
    if any("+k3s" in _version(node) or _provider(node).startswith("k3s://") for node in nodes):
        return "k3s"
    if any(_KUBEADM_ANNOTATION in (pod["metadata"].get("annotations") or {}) for pod in pods):
        return "kubeadm"
    return "managed" if has_nodes and not nodes and not pods else "unknown"


def _provider(node: Manifest) -> str:
    return str((node.get("spec") or {}).get("providerID") or "")


def _version(node: Manifest) -> str:
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")


def _control_plane(pods: Sequence[Manifest], control_plane: str) -> Iterator[Found | tuple[str, str]]:
    for name, job in CONTROL_PLANE_JOBS.items():
        own = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get("component") == job.component]
        if not own:
            yield name, _UNSEEN[control_plane]
            continue
        places = [
            _etcd_place(_flags(pod)) if name == collection_profile.ETCD else _place(_flags(pod), job) for pod in own
        ]
        reasons = [place for place in places if isinstance(place, str)]
        ports = {place for place in places if isinstance(place, int)}
        # One that is reached on some nodes alone would be a target that is down on the others.
        if reasons:
            yield name, reasons[0]
        elif len(ports) > 1:
            yield name, f"listens on different ports: {', '.join(str(port) for port in sorted(ports))}"
        else:
            selector = f"component={job.component},{CONTROL_PLANE_PODS}"
            yield Found(name, SYSTEM_NAMESPACE, selector, port=ports.pop(), https=job.https)


_UNSEEN = {
    "managed": "the control plane is managed: nothing of it is seen in the cluster",
    "k3s": "is part of the process k3s, which has its metrics among those of the API server",
    **dict.fromkeys(("kubeadm", "kind", "unknown"), "no static pod of it is seen in the cluster"),
}


def _place(flags: Mapping[str, str], job: ControlPlaneJob) -> int | str:
    """Its port, or why it cannot be reached."""
    address = flags.get("bind-address", "")
    port = flags.get("secure-port") or str(job.port)
    if _is_loopback(address):
        return f"listens on {address} alone (--bind-address)"
    return int(port) if port.isdigit() and port != "0" else f"serves no HTTPS (--secure-port={port})"


def _etcd_place(flags: Mapping[str, str]) -> int | str:
    urls = [urlsplit(url) for url in flags.get("listen-metrics-urls", "").split(",") if url]
    if not urls:
        return "asks for a client certificate of its own; --listen-metrics-urls opens a port for metrics"
    for url in urls:
        if url.scheme == "http" and url.port and not _is_loopback(url.hostname or ""):
            return url.port
    return f"listens on {urls[0].hostname} alone (--listen-metrics-urls)"


def _kube_proxy(cluster: Cluster) -> Iterator[Found | tuple[str, str]]:
    workload = cluster.kube_proxy
    if workload is None:
        return
    flags = _flags({"spec": workload["spec"]["template"]["spec"]})
    address = flags.get("metrics-bind-address") or _configured(cluster.kube_proxy_configuration) or "127.0.0.1:10249"
    host, _colon, port = address.rpartition(":")
    if _is_loopback(host.strip("[]")):
        yield collection_profile.KUBE_PROXY, f"listens on {host.strip('[]')} alone (metricsBindAddress)"
    else:
        yield Found(
            collection_profile.KUBE_PROXY,
            workload["metadata"]["namespace"],
            _selector(workload),
            port=int(port) if port.isdigit() else 10249,
        )


def _configured(config_map: Manifest | None) -> str:
    """The address in kube-proxy's configuration file, empty when there is none."""
    for text in ((config_map or {}).get("data") or {}).values():
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        if isinstance(content, Mapping) and content.get("kind") == "KubeProxyConfiguration":
            return str(content.get("metricsBindAddress") or "")
    return ""


def _workloads(workloads: Iterable[Manifest]) -> Iterator[Found | tuple[str, str]]:
    for workload in workloads:
        labels = workload["metadata"].get("labels") or {}
        if workload["spec"].get("replicas") == 0:
            continue
        for name, job in WORKLOAD_JOBS.items():
            if labels.get("app.kubernetes.io/name") != job.name:
                continue
            if job.component and labels.get("app.kubernetes.io/component", job.component) != job.component:
                continue
            selector = _selector(workload)
            containers = workload["spec"]["template"]["spec"].get("containers") or []
            declared = {port.get("name") for item in containers for port in item.get("ports") or []}
            if not declared & set(job.ports):
                yield name, f"declares no port named {' or '.join(job.ports)}: its metrics are turned off"
            elif selector:
                yield Found(name, workload["metadata"]["namespace"], selector, ports=job.ports)


def _selector(workload: Manifest) -> str:
    labels = workload["spec"]["selector"].get("matchLabels") or {}
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _flags(pod: Manifest) -> dict[str, str]:
    """The arguments of the first container that are written as --name=value or --name value."""
    container = (pod["spec"].get("containers") or [{}])[0]
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    flags: dict[str, str] = {}
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            following = words[index + 1] if index + 1 < len(words) else ""
            flags[name[2:]] = value if equals else "" if following.startswith("--") else following
    return flags


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
