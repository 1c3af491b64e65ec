# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policies let through, by an evaluator of them, and that this is what components are told to ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests.network_policies import (
    ANYBODY,
    API_SERVER,
    PARTS,
    WIRING,
    Wanted,
    api_server_networks,
    network_policies,
)
from tests import rendered
from tests.deployed import NAMESPACE, Deployed, in_the_observer, objects
from tests.network_policy import End, allowed

Policies = list[dict[str, Any]]

CONTROL_PLANE = End(address="192.0.2.10")
KONNECTIVITY = End(
    "kube-system", {"app": "konnectivity-agent"}, "10.0.0.3", {"kubernetes.io/metadata.name": "kube-system"}
)
STRANGERS = {
    "a pod of another namespace": End("default", {"app.kubernetes.io/name": "prometheus"}, "10.0.0.9"),
    "a pod of the namespace that is no part": End(NAMESPACE, {"app.kubernetes.io/name": "shell"}),
    "somebody outside": End(address="198.51.100.7"),
}
# What makes pods whose labels are not in a template here
OPERATED = ("Alertmanager", "Prometheus")
# On the node's own network, where policies do not hold
HOST_NETWORK = ("node-exporter",)


def policies(**wanted: Any) -> Policies:
    made = network_policies(Wanted(**wanted))
    for policy in made:
        policy["metadata"]["namespace"] = NAMESPACE
    return made


def pod(name: str) -> End:
    return End(NAMESPACE, {**PARTS[name].selector, "app.kubernetes.io/instance": name})


def clients_of(server: str, port: str) -> set[str]:
    return {client for client, asked, at in WIRING if (asked, at) == (server, port)}


EVERY_PORT = [(name, port) for name, part in PARTS.items() for port in part.ports]


@pytest.mark.parametrize("egress", [False, True])
@pytest.mark.parametrize(("server", "port"), EVERY_PORT)
def test_a_port_is_open_to_the_clients_of_the_table_and_to_nobody_else(server: str, port: str, egress: bool) -> None:
    made = policies(egress=egress, api_server=["192.0.2.10/32"])
    number, clients = PARTS[server].ports[port], clients_of(server, port)
    ends = {**{name: pod(name) for name in PARTS}, API_SERVER: CONTROL_PLANE, **STRANGERS}
    through = {name for name, client in ends.items() if allowed(made, client, pod(server), number)}
    if ANYBODY in clients:
        # That is from outside of the namespace: with egress, whoever is inside has to be told to ask.
        inside = {name for name, end in ends.items() if end.namespace == NAMESPACE}
        assert through - inside == set(ends) - inside
    else:
        assert through == clients


def test_without_the_api_servers_networks_the_system_namespace_is_let_in_and_no_more() -> None:
    made = policies()
    assert allowed(made, KONNECTIVITY, pod("thanos-query"), 10902)
    assert not allowed(made, CONTROL_PLANE, pod("thanos-query"), 10902)
    given = policies(api_server=["192.0.2.0/24"])
    assert allowed(given, CONTROL_PLANE, pod("thanos-query"), 10902)
    assert not allowed(given, KONNECTIVITY, pod("thanos-query"), 10902)


def node(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": {"node-role.kubernetes.io/control-plane": ""} if labels is None else labels,
            "annotations": annotations or {},
        },
        "spec": {"podCIDRs": ["10.244.3.0/24", "fd00:10:244:3::/64"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "192.0.2.10"},
                {"type": "InternalIP", "address": "2001:db8::10"},
                {"type": "ExternalIP", "address": "198.51.100.10"},
                {"type": "Hostname", "address": "cp-1"},
            ]
        },
    }


def test_api_servers_ask_from_the_addresses_of_control_plane_nodes() -> None:
    calico = {"projectcalico.org/IPv4IPIPTunnelAddr": "10.244.99.1", "projectcalico.org/IPv4Address": "192.0.2.10/24"}
    assert api_server_networks([node(annotations=calico), node(labels={})]) == [
        "10.244.3.0/31",
        "10.244.99.1/32",
        "192.0.2.10/32",
        "2001:db8::10/128",
        "fd00:10:244:3::/127",
    ]
    assert api_server_networks([node(labels={"kubernetes.io/os": "linux"})]) == []
    assert api_server_networks([{"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}]) == []


def test_what_is_asked_through_the_api_server_is_never_grpc_or_remote_write() -> None:
    made = policies(api_server=["192.0.2.0/24"])
    for name, port in (("thanos-receive", "grpc"), ("thanos-receive", "remote-write"), ("prometheus", "grpc")):
        assert not allowed(made, CONTROL_PLANE, pod(name), PARTS[name].ports[port])


def test_a_pod_that_is_no_part_is_closed_and_with_egress_silent() -> None:
    shell, outside = STRANGERS["a pod of the namespace that is no part"], STRANGERS["somebody outside"]
    assert not allowed(policies(), outside, shell, 80)
    assert allowed(policies(), shell, outside, 443)
    assert not allowed(policies(egress=True), shell, outside, 443)


STORAGE = End(address="203.0.113.5")


@pytest.mark.parametrize(
    ("part", "port", "protocol", "through"),
    [
        ("thanos-receive", 7070, "TCP", True),
        ("thanos-compact", 7070, "TCP", True),
        ("thanos-receive", 443, "TCP", False),
        ("thanos-query", 7070, "TCP", False),
        ("thanos-query", 53, "UDP", True),
        ("thanos-query", 53, "TCP", True),
        ("kube-state-metrics", 6443, "TCP", True),
        ("kube-state-metrics", 7070, "TCP", False),
        ("grafana", 443, "TCP", True),
        ("web-gateway", 443, "TCP", True),
        ("web-gateway", 22, "TCP", False),
        ("alertmanager", 587, "TCP", True),
        ("blackbox-exporter", 8443, "TCP", True),
        ("remote-write-gateway", 6443, "TCP", True),
        ("remote-write-gateway", 7070, "TCP", False),
    ],
)
def test_with_egress_parts_reach_outside_what_they_need(part: str, port: int, protocol: str, through: bool) -> None:
    assert allowed(policies(egress=True, storage_port=7070), pod(part), STORAGE, port, protocol) is through
    assert allowed(policies(storage_port=7070), pod(part), STORAGE, port, protocol)


def test_who_asks_a_cache_is_not_limited() -> None:
    made = policies(egress=True, anywhere=["thanos-store"])
    assert allowed(made, pod("thanos-store"), STORAGE, 11211)
    assert not allowed(policies(egress=True), pod("thanos-store"), STORAGE, 11211)


# The same against what is deployed


@cache
def deployed() -> tuple[Deployed, ...]:
    return tuple(item for item in in_the_observer() if item.kind != "NetworkPolicy")


def part_of(labels: dict[str, str]) -> str | None:
    found = [name for name, part in PARTS.items() if part.selector.items() <= labels.items()]
    return found[0] if len(found) == 1 else None


def pods() -> Iterator[tuple[Deployed, dict[str, str], dict[str, Any]]]:
    """Workloads with the labels and the specification of their pods, as far as they are in a template."""
    for item in deployed():
        template = (item.manifest.get("spec") or {}).get("template")
        if item.kind in ("DaemonSet", "Deployment", "StatefulSet") and not template["spec"].get("hostNetwork"):
            yield item, template["metadata"]["labels"], template["spec"]


def test_the_pods_of_every_workload_are_those_of_one_part() -> None:
    assert {item.name: labels for item, labels, _spec in pods() if part_of(labels) is None} == {}


def test_a_part_listens_where_its_containers_do() -> None:
    for item, labels, spec in pods():
        listening = {port["containerPort"] for container in spec["containers"] for port in container.get("ports") or []}
        part = PARTS[part_of(labels) or ""]
        assert listening <= set(part.ports.values()), item.name


def test_every_service_leads_to_a_part() -> None:
    for item in deployed():
        if item.kind == "Service" and item.name not in HOST_NETWORK:
            selector = item.manifest["spec"]["selector"]
            selected = [labels for _item, labels, _spec in pods() if selector.items() <= labels.items()]
            operated = any(selector.get("app.kubernetes.io/name") == kind.lower() for kind in OPERATED)
            assert operated or [part_of(labels) for labels in selected] != [], item.name


# What texts call another part of the observer, with the port: host:port, or the gRPC of a Service by SRV
_ADDRESS = re.compile(r"(?<![-.\w])([a-z][a-z0-9-]*)(?:\.scs-observability\.svc[.\w]*)?:(\d{2,5})(?!\d)")
_SRV = re.compile(r"dnssrv\+_(\w+)\._tcp\.([a-z][a-z0-9-]*?)(?:-headless)?\.scs-observability\.svc")
SERVICES = {
    **{name: name for name in PARTS},
    "prometheus-sidecar": "prometheus",
    "alertmanager-operated": "alertmanager",
}


def asked_by(texts: Iterator[str]) -> Iterator[tuple[str, int]]:
    for text in texts:
        for service, port in _ADDRESS.findall(text):
            if service in SERVICES:
                yield SERVICES[service], int(port)
        for port_name, service in _SRV.findall(text):
            if service in SERVICES:
                yield SERVICES[service], PARTS[SERVICES[service]].ports[port_name]


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def makers() -> dict[str, str]:
    """Which part is made by which task."""
    return {item.maker: name for item, labels, _spec in pods() if (name := part_of(labels))}


def test_components_get_to_whatever_they_are_told_to_ask() -> None:
    made, seen = policies(egress=True), set()
    for item in deployed():
        client = makers().get(item.maker)
        if client is None or item.kind in ("Service", "ServiceMonitor"):
            continue
        for server, port in asked_by(texts_in(item.manifest)):
            if server != client:
                seen.add((client, server))
                assert allowed(made, pod(client), pod(server), port), f"{client} is told to ask {server}:{port}"
    assert {
        ("thanos-query", "thanos-receive"),
        ("thanos-query-frontend", "thanos-query"),
        ("thanos-rule", "thanos-query"),
        ("remote-write-gateway", "thanos-receive"),
        ("web-gateway", "grafana"),
    } <= seen


def test_prometheus_gets_to_whatever_it_is_told_to_scrape() -> None:
    made, monitored = policies(egress=True), set()
    by_labels = [item for item in deployed() if item.kind == "Service"]
    for monitor in (item.manifest for item in deployed() if item.kind == "ServiceMonitor"):
        wanted = monitor["spec"]["selector"].get("matchLabels") or {}
        for service in by_labels:
            if wanted.items() <= service.manifest["metadata"]["labels"].items() and service.name not in HOST_NETWORK:
                selector = service.manifest["spec"]["selector"]
                for endpoint in monitor["spec"]["endpoints"]:
                    for server, port in _listening(selector, service.manifest, endpoint):
                        monitored.add(server)
                        assert allowed(made, pod("prometheus"), pod(server), port), f"{server}:{port}"
    assert {"thanos-receive", "web-gateway"} <= monitored


def _listening(
    selector: dict[str, str], service: dict[str, Any], endpoint: dict[str, Any]
) -> Iterator[tuple[str, int]]:
    named = [port for port in service["spec"]["ports"] if port.get("name") == endpoint.get("port")]
    for _item, labels, spec in pods():
        if selector.items() <= labels.items():
            ports = {
                port["name"]: port["containerPort"]
                for container in spec["containers"]
                for port in container.get("ports") or []
            }
            for port in named:
                target = port.get("targetPort", port["port"])
                yield part_of(labels) or "", target if isinstance(target, int) else ports[target]


def test_addresses_are_found_in_texts() -> None:
    texts = iter(
        ["url: http://grafana:3000/x", "dnssrv+_grpc._tcp.thanos-rule-headless.scs-observability.svc", "a:9090"]
    )
    assert list(asked_by(texts)) == [("grafana", 3000), ("thanos-rule", 10901)]


@pytest.mark.parametrize(
    ("variables", "part", "port", "through"),
    [
        ({}, "web-gateway", 8443, False),
        ({"observer_web_oidc_issuer": "https://sso.example.org"}, "web-gateway", 8443, False),
        ({"observer_web_oidc_issuer": "https://sso.example.org:8443"}, "web-gateway", 8443, True),
        ({"observer_query_frontend_cache": {"type": "MEMCACHED"}}, "thanos-query-frontend", 11211, True),
        ({"observer_query_endpoints": ["other.example.org:10902"]}, "thanos-query", 10902, True),
        ({}, "thanos-query", 10902, False),
        # Sidecars that are registered
        ({}, "thanos-query", 10901, True),
        ({"observer_bucket_endpoint": "http://s3.example.org:7070"}, "thanos-compact", 7070, True),
    ],
)
def test_the_role_says_who_asks_elsewhere(variables: dict[str, Any], part: str, port: int, through: bool) -> None:
    (call,) = rendered.calls("network_policies.yml", observer_network_policies_egress=True, **variables)
    assert allowed(objects(call), pod(part), STORAGE, port) is through
    # The API server is where the preflight has found it.
    assert allowed(objects(call), CONTROL_PLANE, pod(part), PARTS[part].ports.get("http", 8404))
