# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work of the doors that an observer is asked to have: everything at once, by the variable's name.

Pure; the time is given. No message holds a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import dns_subdomain
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import Source, server_of
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted
from ansible_collections.scs.observability.plugins.module_utils._manifests import node_exporter
from ansible_collections.scs.observability.plugins.module_utils._observer.parameters import DEFAULT_NAMESPACE

# A key of a Secret, and a word in haproxy.cfg
_USER = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{0,63}")
_ANYBODY = "*"
_NODE_PORT = re.compile(r"observer_\w+_node_port")
_HOST_PORT = "observer_node_exporter_port"
_NETWORKS = (
    "observer_web_trusted_proxies",
    "observer_web_load_balancer_source_ranges",
    "observer_network_policies_api_server",
)


_KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(
        (
            *_NETWORKS,
            "observer_web_users",
            "observer_web_oidc_allowed_groups",
            "observer_web_oidc_email_domains",
        ),
        (list, "a list"),
    ),
    **dict.fromkeys(
        (
            "observer_web_hostnames",
            "observer_web_service_annotations",
            "observer_web_ingress",
            "observer_web_gateway_api",
        ),
        (dict, "a dictionary"),
    ),
}


def problems(given: Mapping[str, Any], now: datetime) -> list[str]:
    """Return one text per problem of one observer's variables, by their names; what is missing is not looked at."""
    wrong = {name: words for name, (kind, words) in _KINDS.items() if not isinstance(given.get(name) or kind(), kind)}
    asked = {name: value for name, value in given.items() if name not in wrong}
    found = [*_node_ports({"": asked}), *_networks(asked)]
    if _is_on(asked.get("observer_web_enabled")):
        found += [*_hostnames(asked), *_service(asked), *_certificate(asked, now), *_in_front(asked)]
        found += [*_oidc(asked, now)] if asked.get("observer_web_authentication") == "oidc" else [*_users(asked)]
    texts = [f"{name}: is a text, and must be {words}" for name, words in wrong.items()]
    return texts + [text for text in found if text.partition(":")[0] not in wrong]


def collisions(observers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what observers of one inventory, by host, would take from each other: namespace, bucket, ports of nodes.

    Whether two are in one cluster is told by kubeconfig and context: two ways to the same cluster are not seen.
    """
    clusters: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for host, asked in observers.items():
        way = ("observer_kubeconfig", "observer_kubeconfig_content", "observer_context")
        clusters[tuple(asked.get(name) or "" for name in way)][host] = asked
    found: list[str] = []
    for neighbours in clusters.values():
        found += [
            f"observer_namespace: {', '.join(hosts)} are all in {namespace} of one cluster. Give each its own"
            for namespace, hosts in _shared(
                neighbours, lambda asked: asked.get("observer_namespace") or DEFAULT_NAMESPACE
            )
        ]
        found += [
            f"observer_node_exporter_port: {', '.join(hosts)} all have {port} on nodes of a cluster. Give each its own"
            for port, hosts in _shared(neighbours, _host_port)
        ]
        found += _node_ports(neighbours) if len(neighbours) > 1 else []
    return found + [
        f"observer_bucket_name: {', '.join(hosts)} all work on the bucket {bucket[0]}. Give each its own"
        for bucket, hosts in _shared(observers, _bucket)
    ]


def _host_port(asked: Mapping[str, Any]) -> int | None:
    if not _is_on(asked.get("observer_node_exporter_enabled", True)):
        return None
    return _number(asked.get(_HOST_PORT)) or node_exporter.PORT


def _is_on(switch: Any) -> bool:
    # Extra variables (-e) are texts.
    return str(switch).lower() in ("true", "yes", "on", "1")


def _bucket(asked: Mapping[str, Any]) -> tuple[str, str] | None:
    name = asked.get("observer_bucket_name")
    return (name, asked.get("observer_bucket_endpoint") or "") if name else None


def _shared(
    observers: Mapping[str, Mapping[str, Any]], what: Callable[[Mapping[str, Any]], Any]
) -> Iterator[tuple[Any, list[str]]]:
    """Yield what several of them have, and their hosts."""
    hosts: dict[Any, list[str]] = defaultdict(list)
    for host, asked in observers.items():
        hosts[what(asked)].append(host)
    yield from ((value, names) for value, names in hosts.items() if value and len(names) > 1)


def _node_ports(observers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Problems of all variables observer_*_node_port, of which those count whose service_type opens them."""
    users: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for host, asked in observers.items():
        # By name: whatever else there is may not have a value yet.
        for name in sorted(name for name in asked if _NODE_PORT.fullmatch(name)):
            value = asked[name]
            if not value:
                continue
            port = _number(value)
            if port is None or not 1 <= port <= 65535:
                yield f"{_of(host, name)}: {value!r} is not a port. Use one of the cluster's range, such as 30443"
            elif asked.get(name.replace("_node_port", "_service_type"), "NodePort") != "ClusterIP":
                users[port].append((host, name))
    for port, names in users.items():
        # Of several observers, what is wrong within one of them is said of that one.
        if len(names) > 1 and (len(observers) == 1 or len({host for host, _name in names}) > 1):
            yield f"{' and '.join(_of(*name) for name in names)}: all are {port}. Give each a node port of its own"


def _of(host: str, name: str) -> str:
    return f"{name} of {host}" if host else name


def _number(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None


def _networks(asked: Mapping[str, Any]) -> Iterator[str]:
    for name in _NETWORKS:
        for value in _list(asked, name):
            try:
                ipaddress.ip_network(value)
            except (TypeError, ValueError):
                yield f"{name}: {value!r} is not a network. Write it as 192.0.2.0/24, the bits of hosts being 0"


def _hostnames(asked: Mapping[str, Any]) -> Iterator[str]:
    name = "observer_web_hostnames"
    given = asked.get(name) or {}
    if not given:
        yield f"{name}: is empty, so nothing would be served. Name at least one of the web pages, such as grafana"
    services: dict[str, list[str]] = defaultdict(list)
    for service, hostname in sorted(given.items()):
        try:
            services[dns_subdomain(str(hostname or "").lower(), f"{name}.{service}")].append(service)
        except InputError:
            yield f"{name}.{service}: {hostname!r} is not a host name. Leave out what is not to be served"
    for hostname, names in services.items():
        if len(names) > 1:
            yield f"{name}: {hostname} is the name of {' and '.join(names)}. Each needs a name of its own"
    if asked.get("observer_gateway_service_type") == "LoadBalancer" and _at_port_443(asked):
        agents = {str(hostname).lower() for hostname in _list(asked, "observer_gateway_hostnames")}
        for hostname in sorted(agents & set(services)):
            yield (
                f"{name}.{services[hostname][0]}: {hostname} is one of observer_gateway_hostnames, too, both at port "
                "443. A name leads to one of the two"
            )


def _at_port_443(asked: Mapping[str, Any]) -> bool:
    in_front = asked.get("observer_web_ingress") or asked.get("observer_web_gateway_api")
    return bool(in_front) or asked.get("observer_web_service_type") == "LoadBalancer"


def _service(asked: Mapping[str, Any]) -> Iterator[str]:
    service_type = asked.get("observer_web_service_type") or "ClusterIP"
    if asked.get("observer_web_node_port") and service_type == "ClusterIP":
        yield "observer_web_node_port: needs observer_web_service_type NodePort or LoadBalancer"
    if _list(asked, "observer_web_load_balancer_source_ranges") and service_type != "LoadBalancer":
        yield "observer_web_load_balancer_source_ranges: needs observer_web_service_type LoadBalancer"
    replicas = _number(asked.get("observer_web_replicas", 1))
    if replicas is None or replicas < 1:
        yield "observer_web_replicas: must be at least 1. Close the gateway with observer_web_enabled: false"
    yield from _not_texts(asked, "observer_web_service_annotations")


def _not_texts(values: Mapping[str, Any], name: str, path: str = "") -> Iterator[str]:
    for key, value in (values.get(name) or {}).items():
        if not isinstance(value, str):
            yield f"{path or name}.{key}: is not a text, as annotations are. Put it in quotes"


def _certificate(asked: Mapping[str, Any], now: datetime) -> Iterator[str]:
    name, key = "observer_web_certificate", "observer_web_private_key"
    given = [item for item in (name, key) if asked.get(item)]
    if given and asked.get("observer_web_certificate_secret"):
        yield f"observer_web_certificate_secret: and {given[0]} exclude each other"
    elif len(given) == 1:
        (missing,) = {name, key} - set(given)
        yield f"{missing}: is required with {given[0]}"
    elif given:
        source = Source(asked[name], asked[key], certificate_parameter=name, key_parameter=key)
        hostnames = [str(item).lower() for item in (asked.get("observer_web_hostnames") or {}).values() if item]
        yield from _said_by(lambda: server_of(source, now, hostnames))


def _in_front(asked: Mapping[str, Any]) -> Iterator[str]:
    ingress = asked.get("observer_web_ingress") or {}
    yield from _not_texts(ingress, "annotations", "observer_web_ingress.annotations")
    route = asked.get("observer_web_gateway_api") or {}
    parents = route.get("parent_refs") or []
    if route and not parents:
        yield "observer_web_gateway_api.parent_refs: is required. Name the Gateway that the web pages are behind"
    if not all(isinstance(parent, Mapping) and parent.get("name") for parent in parents):
        yield "observer_web_gateway_api.parent_refs: each needs the name of a Gateway"


def _users(asked: Mapping[str, Any]) -> Iterator[str]:
    name = "observer_web_users"
    users = _list(asked, name)
    if not users:
        yield f"{name}: is empty, so nobody could log in. Name at least one user"
    for user in users:
        if not _USER.fullmatch(str(user)):
            yield f"{name}: {user!r} is not a user name. Use letters, digits, '.', '_' and '-', at most 64"
    for user in sorted({str(user) for user in users if users.count(user) > 1}):
        yield f"{name}: {user} is there twice"


def _oidc(asked: Mapping[str, Any], now: datetime) -> Iterator[str]:
    for name in ("observer_web_oidc_issuer", "observer_web_oidc_client_id", "observer_web_oidc_client_secret"):
        if not asked.get(name):
            yield f"{name}: is required with observer_web_authentication: oidc"
    issuer = str(asked.get("observer_web_oidc_issuer") or "")
    if issuer and not _https(issuer):
        yield "observer_web_oidc_issuer: is not an https URL without credentials"
    groups, domains = _list(asked, "observer_web_oidc_allowed_groups"), _list(asked, "observer_web_oidc_email_domains")
    if not groups and not domains:
        yield (
            "observer_web_oidc_allowed_groups: and observer_web_oidc_email_domains are empty, so everybody whom the "
            "issuer knows could read everything. Name groups or domains; if everybody is meant, the domain '*'"
        )
    for group in groups:
        if not str(group).strip() or "," in str(group):
            yield f"observer_web_oidc_allowed_groups: {group!r} is not the name of a group"
    for domain in domains:
        if domain != _ANYBODY:
            yield from _said_by(partial(dns_subdomain, str(domain).lower(), "observer_web_oidc_email_domains"))
    authority = asked.get("observer_web_oidc_ca")
    if authority:
        yield from _said_by(lambda: trusted(str(authority), now, "observer_web_oidc_ca"))


def _https(value: str) -> bool:
    try:
        url = urlsplit(value)
        return url.scheme == "https" and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:
        return False


def _said_by(check: Callable[[], Any]) -> Iterable[str]:
    try:
        check()
    except InputError as error:
        return [str(error)]
    return []


def _list(asked: Mapping[str, Any], name: str) -> list[Any]:
    return list(asked.get(name) or [])
