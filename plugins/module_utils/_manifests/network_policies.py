# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who in the observer talks to whom, and the NetworkPolicies that allow just that.

Two tables: PARTS, pods and where they listen, and WIRING, who asks whom. Whatever else reaches a pod of the namespace
is refused, where the cluster's network enforces policies at all. Policies add up: an operator's own open more.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]

DNS_PORT = 53
HTTPS_PORT = 443
API_SERVER_PORTS = (443, 6443)
SYSTEM_NAMESPACE = "kube-system"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
# Where networks between nodes write down which address of a node its pods see on other nodes
_TUNNEL_ADDRESSES = (
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "network.cilium.io/ipv4-cilium-host",
    "network.cilium.io/ipv6-cilium-host",
)

# Clients that are no part of the observer
ANYBODY = "anybody"
API_SERVER = "api_server"


@dataclass(frozen=True)
class Part:
    """Pods by their labels (of app.kubernetes.io), their ports by what is spoken there, and whom they ask elsewhere.

    ``outside`` are ports of anybody outside of the namespace; with ``anywhere`` it cannot be said which.
    """

    labels: Mapping[str, str]
    ports: Mapping[str, int]
    outside: tuple[int, ...] = ()
    storage: bool = False
    anywhere: bool = False
    udp: tuple[str, ...] = ()

    @property
    def selector(self) -> dict[str, str]:
        return {f"app.kubernetes.io/{name}": value for name, value in self.labels.items()}


def _thanos(component: str, **more: Any) -> Part:
    labels = {"name": "thanos", "component": component}
    return Part(labels, {"http": 10902, "grpc": 10901, **more.pop("ports", {})}, **more)


def _exporter(name: str, port: int = 8080, **more: Any) -> Part:
    return Part({"name": name}, {"http": port}, **more)


def _kube_state_metrics(name: str) -> Part:
    return Part({"name": name}, {"http": 8080, "metrics": 8081}, outside=API_SERVER_PORTS)


PARTS: dict[str, Part] = {
    "remote-write-gateway": Part(
        {"name": "haproxy", "component": "remote-write-gateway"},
        {"https": 8443, "metrics": 8404},
        # Who may write
        outside=API_SERVER_PORTS,
    ),
    "web-gateway": Part({"name": "web-gateway"}, {"https": 8443, "metrics": 8404}, outside=(HTTPS_PORT,)),
    "thanos-receive": _thanos("receive", ports={"remote-write": 19291}, storage=True),
    "thanos-store": _thanos("store", storage=True),
    "thanos-compact": _thanos("compact", storage=True),
    "thanos-bucket-web": _thanos("bucket-web", storage=True),
    # Sidecars of the IaaS layer, at the port that Thanos has for it
    "thanos-query": _thanos("query", outside=(10901,)),
    "thanos-query-frontend": _thanos("query-frontend"),
    # Alertmanagers may be anywhere.
    "thanos-rule": _thanos("rule", storage=True, anywhere=True),
    # What it scrapes may be anywhere: nodes, and what the operator adds.
    "prometheus": Part(
        {"name": "prometheus"}, {"http": 9090, "sidecar": 10902, "grpc": 10901, "reloader": 8080}, anywhere=True
    ),
    # So may those whom it tells.
    "alertmanager": Part(
        {"name": "alertmanager"}, {"http": 9093, "mesh": 9094, "reloader": 8080}, anywhere=True, udp=("mesh",)
    ),
    "blackbox-exporter": _exporter("blackbox-exporter", 9115, anywhere=True),
    "prometheus-operator": _exporter("prometheus-operator", outside=API_SERVER_PORTS),
    "kube-state-metrics": _kube_state_metrics("kube-state-metrics"),
    "kaas-metric-importer": _kube_state_metrics("kaas-metric-importer"),
    # A management cluster may be anywhere.
    "cluster-api-importer": Part({"name": "cluster-api-importer"}, {"http": 8080, "metrics": 8081}, anywhere=True),
    # Logins at an issuer
    "grafana": _exporter("grafana", 3000, outside=(HTTPS_PORT,)),
}

# Who asks whom, and what
WIRING: tuple[tuple[str, str, str], ...] = (
    (ANYBODY, "remote-write-gateway", "https"),
    (ANYBODY, "web-gateway", "https"),
    ("remote-write-gateway", "thanos-receive", "remote-write"),
    # How many series each cluster has
    ("thanos-receive", "prometheus", "http"),
    ("thanos-query-frontend", "thanos-query", "http"),
    ("thanos-query", "thanos-receive", "grpc"),
    ("thanos-query", "thanos-store", "grpc"),
    ("thanos-query", "thanos-rule", "grpc"),
    ("thanos-query", "prometheus", "grpc"),
    ("thanos-rule", "thanos-query", "http"),
    ("thanos-rule", "alertmanager", "http"),
    ("prometheus", "alertmanager", "http"),
    ("alertmanager", "alertmanager", "mesh"),
    ("grafana", "thanos-query-frontend", "http"),
    ("grafana", "prometheus", "http"),
    ("grafana", "alertmanager", "http"),
    ("web-gateway", "grafana", "http"),
    ("web-gateway", "prometheus", "http"),
    ("web-gateway", "alertmanager", "http"),
    ("web-gateway", "thanos-query-frontend", "http"),
    ("web-gateway", "thanos-bucket-web", "http"),
    # Metrics of all, and the modules of this collection, which ask through the API server
    *(
        (client, server, port)
        for client in ("prometheus", API_SERVER)
        for server, part in PARTS.items()
        for port in ("http", "metrics", "sidecar", "reloader")
        if port in part.ports
    ),
)


@dataclass(frozen=True)
class Wanted:
    """What depends on how the observer is deployed.

    ``api_server`` are networks (CIDR) from which the API server asks; ``anywhere`` parts that ask others than those in
    the tables, such as a cache.
    """

    api_server: Sequence[str] = ()
    egress: bool = False
    storage_port: int = HTTPS_PORT
    anywhere: Collection[str] = field(default_factory=tuple)


def api_server_networks(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the networks (CIDR) from which API servers on these nodes (Node objects) ask pods; none if on no node.

    Those are the nodes' own addresses, and those that pods on other nodes see: of tunnels, or the first of a node's
    pod range.
    """
    found: set[str] = set()
    for node in nodes:
        metadata = node["metadata"]
        if _CONTROL_PLANE in (metadata.get("labels") or {}):
            annotations, spec = metadata.get("annotations") or {}, node.get("spec") or {}
            addresses = (node.get("status") or {}).get("addresses") or []
            own = [item["address"] for item in addresses if item["type"] == "InternalIP"]
            own += [annotations[name] for name in _TUNNEL_ADDRESSES if annotations.get(name)]
            found |= {*_networks(own), *_first_two(spec.get("podCIDRs") or [])}
    return sorted(found)


def _networks(addresses: Iterable[str]) -> Iterator[str]:
    for address in addresses:
        yield str(ipaddress.ip_interface(address.partition("/")[0]).network)


def _first_two(ranges: Iterable[str]) -> Iterator[str]:
    for text in ranges:
        network = ipaddress.ip_network(text)
        yield f"{network.network_address}/{network.max_prefixlen - 1}"


def network_policies(wanted: Wanted) -> list[Manifest]:
    """The policy that refuses everything, and one per part that allows what is in the tables."""
    types = ["Ingress", "Egress"] if wanted.egress else ["Ingress"]
    refuse = _policy("default-deny", {"podSelector": {}, "policyTypes": types})
    return [refuse, *(_policy(name, _spec(name, part, wanted, types)) for name, part in PARTS.items())]


def _policy(name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def _spec(name: str, part: Part, wanted: Wanted, types: list[str]) -> Manifest:
    spec: Manifest = {"podSelector": {"matchLabels": part.selector}, "policyTypes": types}
    spec["ingress"] = [
        # Without "from", everybody
        {"ports": _ports(part, [port]), **({"from": clients} if clients else {})}
        for port in part.ports
        if (clients := _clients(name, port, wanted)) is not None
    ]
    if wanted.egress:
        spec["egress"] = _egress(name, part, wanted)
    return spec


def _clients(server: str, port: str, wanted: Wanted) -> list[Manifest] | None:
    """Who may ask at a port, as peers of a policy; an empty list is everybody, None is nobody."""
    names = [client for client, asked, at in WIRING if (asked, at) == (server, port)]
    if ANYBODY in names:
        return []
    peers = [_peer(name) for name in names if name in PARTS]
    if API_SERVER in names:
        peers += [{"ipBlock": {"cidr": network}} for network in wanted.api_server] or [_system()]
    return peers or None


def _egress(client: str, part: Part, wanted: Wanted) -> list[Manifest]:
    if part.anywhere or client in wanted.anywhere:
        return [{}]
    servers = {server: [at for asks, asked, at in WIRING if (asks, asked) == (client, server)] for server in PARTS}
    rules: list[Manifest] = [
        {"to": [_peer(server)], "ports": _ports(PARTS[server], ports)} for server, ports in servers.items() if ports
    ]
    # Nobody knows where names are looked up: in pods, or at an address of each node.
    rules.append({"ports": _numbers([DNS_PORT], ("UDP", "TCP"))})
    outside = [*part.outside, *([wanted.storage_port] if part.storage else [])]
    return [*rules, {"ports": _numbers(outside)}] if outside else rules


def _peer(name: str) -> Manifest:
    return {"podSelector": {"matchLabels": PARTS[name].selector}}


def _system() -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SYSTEM_NAMESPACE}}}


def _ports(part: Part, names: Iterable[str]) -> list[Manifest]:
    return [
        {"protocol": protocol, "port": part.ports[name]}
        for name in names
        for protocol in (("TCP", "UDP") if name in part.udp else ("TCP",))
    ]


def _numbers(ports: Iterable[int], protocols: Iterable[str] = ("TCP",)) -> list[Manifest]:
    return [{"protocol": protocol, "port": port} for port in ports for protocol in protocols]
