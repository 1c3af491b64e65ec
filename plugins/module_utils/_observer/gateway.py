# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway in the observer: what is asked for, what is there, what has to change."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_subdomain,
    duration_seconds,
    is_address,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    INTERNAL_GATEWAY,
    TENANTS,
    authority_secret_name,
    leaf_secret,
    observe_or_create,
    provided_secret,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    date_text,
    expiry,
    renewal_date,
    trust_anchors,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import Source, server_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    gateway,
    images,
    remote_write_clients,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.gateway import Address, Settings
from ansible_collections.scs.observability.plugins.module_utils._observer import parameters
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import (
    KINDS,
    Deployment,
    carry_out,
    prepare,
    remove,
)
from ansible_collections.scs.observability.plugins.module_utils._registration import remote_write_clients as clients

Manifest = dict[str, Any]

DEFAULT_NAME = "remote-write-gateway"
TIMEOUTS = tuple(gateway.TIMEOUTS)
# Smallest and largest
LIMITS = {
    "max_body_bytes": (64 * 1024, 16 * 1024**2),
    "max_message_bytes": (2 * 1024**2, 128 * 1024**2),
    "max_connections": (1, 1000),
    "max_requests_per_second": (1, 10000),
}
LONGEST_TIMEOUT = 3600.0

_KINDS = (
    *KINDS,
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)
_HOSTNAME = re.compile(
    r"(\*\.)?[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)


@dataclass(frozen=True)
class Observed:
    """What is there and cannot be made anew: key pairs. ``missing`` are the Secrets of authorities to create.

    ``server`` is the Secret with the certificate that agents see, ours or the operator's.
    """

    authorities: Mapping[str, KeyPair]
    missing: tuple[Manifest, ...]
    server: Manifest | None
    client: Manifest | None


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the gateway to what the module's parameters say, and return the module's result."""
    if params.get("state") == "absent":
        return _ensure_absent(params, check_mode)
    settings, hostnames, source = settings_of(params), hostnames_of(params), Source.of(params)
    if source is not None and settings.server_secret:
        raise InputError("and certificate exclude each other", parameter="certificate_secret")
    now = datetime.now(UTC)
    own = server_of(source, now, hostnames) if source is not None else None

    client = KubernetesClient.from_parameters(params)
    observed = observe(client, settings, now)
    if settings.server_secret:
        own = server_of(_source_of_secret(settings, observed.server), now, hostnames)
    wanted = objects(settings, hostnames, observed, now, own)
    drift = clients.drift(client, settings.namespace)
    registered = clients.registered(client, settings.namespace)
    admitted = remote_write_clients.config_map(settings.namespace, gateway.labels(settings), registered)
    deployment = prepare(
        client,
        workload.owner(settings.name),
        settings.namespace,
        wanted,
        [*observed.missing, admitted],
        params=params,
        kinds=_KINDS,
    )
    said = [] if check_mode else _carry_out(client, deployment, drift)
    service = _service(client, settings, params, check_mode)
    endpoints, addresses = gateway.endpoints(settings, hostnames, service), gateway.addresses(service)
    # An authority that check mode would make is another one than the one that will be made.
    created = {secret["metadata"]["name"] for secret in observed.missing}
    stored = not check_mode or authority_secret_name(INTERNAL) not in created
    return {
        **(drift + deployment.plan).result(),
        "name": settings.name,
        "namespace": settings.namespace,
        "endpoints": endpoints,
        "addresses": addresses,
        "ca": observed.authorities[INTERNAL].trusted if stored and own is None else None,
        "warnings": [*said, *_warnings(own, hostnames, addresses, now)],
    }


def _carry_out(client: KubernetesClient, deployment: Deployment, drift: Plan) -> list[str]:
    """Who may write is written before the pods change that look it up, so that none is refused who was let in."""
    clients.carry_out(client, drift)
    said = carry_out(client, deployment)
    if any((change.action, change.name) == ("create", clients.NAME) for change in deployment.plan.changes):
        # Who was registered just before it was there found nothing to write into.
        clients.carry_out(client, clients.drift(client, deployment.namespace))
    return said


def _service(
    client: KubernetesClient, settings: Settings, params: Mapping[str, Any], check_mode: bool
) -> Manifest | None:
    """The live Service that agents reach the gateway by, with an address if it is to be waited for."""
    key = ObjectKey("v1", "Service", settings.namespace, settings.name)
    if settings.service_type == "LoadBalancer" and not check_mode and params.get("wait") is not False:
        wait_ready(client, [key], parameters.wait_timeout(params))
    return client.get(key.api_version, key.kind, key.name, key.namespace)


def _warnings(own: KeyPair | None, hostnames: Sequence[str], addresses: Sequence[str], now: datetime) -> list[str]:
    warnings = []
    if own is not None and now >= renewal_date(own.certificate):
        warnings.append(f"The gateway's certificate expires on {date_text(expiry(own.certificate))}: renew it.")
    if addresses and not hostnames and own is None:
        warnings.append(
            f"The gateway is reached at {', '.join(addresses)}, which its certificate does not cover: "
            "give hostnames, or no agent will trust it."
        )
    return warnings


def _ensure_absent(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    name, namespace = parameters.name(params, DEFAULT_NAME), parameters.namespace(params)
    client = KubernetesClient.from_parameters(params)
    plan = remove(client, workload.owner(name), namespace, params=params, check_mode=check_mode, kinds=_KINDS)
    return {**plan.result(), "name": name, "namespace": namespace, "endpoints": {}, "addresses": [], "ca": None}


def settings_of(params: Mapping[str, Any]) -> Settings:
    """Read the module's parameters; InputError names the one that cannot work."""
    service_type, node_port = parameters.service(params)
    limits: dict[str, Any] = {name: _limit(params, name) for name in LIMITS}
    settings = Settings(
        name=parameters.name(params, DEFAULT_NAME),
        namespace=parameters.namespace(params),
        receive_url=_receive_url(params.get("receive_url")),
        image=parameters.image(params, images.HAPROXY),
        replicas=parameters.replicas(params, Settings.replicas),
        tenant_header=parameters.tenant_header(params),
        cluster_domain=_hostname(params.get("cluster_domain") or Settings.cluster_domain, "cluster_domain"),
        service_type=service_type,
        node_port=node_port,
        address=_address(params, service_type),
        server_secret=_server_secret(params),
        **limits,
        timeouts=_timeouts(params.get("timeouts") or {}),
        resources=parameters.resources(params) or gateway.RESOURCES,
        placement=parameters.placement(params),
    )
    if "memory" in (settings.resources.get("limits") or {}) and settings.buffers < gateway.FEWEST_BUFFERS:
        raise InputError(
            f"{settings.buffers} requests of {settings.max_body_bytes} bytes fit in it, "
            f"at least {gateway.FEWEST_BUFFERS} must",
            parameter="resources.limits.memory",
            advice="The gateway holds each request in memory until it is complete: raise it, or lower max_body_bytes",
        )
    return settings


def hostnames_of(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Names and addresses that agents use."""
    return tuple(_hostname_or_address(value, "hostnames") for value in params.get("hostnames") or ())


def observe(client: KubernetesClient, settings: Settings, now: datetime) -> Observed:
    """Look for the gateway's key pairs and the authorities; missing authorities are made, and not yet written."""
    authorities, missing = observe_or_create(client, settings.namespace, (TENANTS, INTERNAL, INTERNAL_GATEWAY), now)
    server, own = client.parallel(
        [
            lambda: client.get("v1", "Secret", gateway.server_secret_name(settings), settings.namespace),
            lambda: client.get("v1", "Secret", gateway.client_secret_name(settings), settings.namespace),
        ]
    )
    return Observed(authorities, tuple(missing), server, own)


def objects(
    settings: Settings, hostnames: Sequence[str], observed: Observed, now: datetime, own: KeyPair | None = None
) -> list[Manifest]:
    """Everything that is wanted of the gateway. Pure but for new key pairs where they are due.

    ``own`` is the operator's certificate for agents to see; with ``settings.server_secret`` that Secret is left alone.
    """
    if own is None:
        server = _signed_here(settings, hostnames, observed, now)
    else:
        name = gateway.server_secret_name(settings)
        server = provided_secret(name, settings.namespace, gateway.labels(settings), own)
    client = leaf_secret(
        observed.client,
        gateway.client_secret_name(settings),
        settings.namespace,
        gateway.labels(settings),
        observed.authorities[INTERNAL_GATEWAY],
        common_name=settings.name,
        now=now,
        client=True,
    )
    # A run has new pods, and waits for them. What somebody else renews, HAProxy loads by itself.
    secrets = [client] if settings.server_secret else [server, client]
    checksums = {"certificates": workload.checksum([secret["data"] for secret in secrets])}
    authorities = {which: trust_anchors(observed.authorities[which].trusted) for which in (TENANTS, INTERNAL)}
    return [*gateway.objects(replace(settings, checksums=checksums), authorities), *secrets]


def _signed_here(settings: Settings, hostnames: Sequence[str], observed: Observed, now: datetime) -> Manifest:
    addresses = [value for value in hostnames if is_address(value)]
    names = [settings.name, settings.host, f"{settings.host}.{settings.cluster_domain}"]
    return leaf_secret(
        observed.server,
        gateway.server_secret_name(settings),
        settings.namespace,
        gateway.labels(settings),
        observed.authorities[INTERNAL],
        common_name=settings.name,
        now=now,
        dns_names=[*names, *(value for value in hostnames if not is_address(value))],
        ip_addresses=addresses,
        server=True,
    )


def _limit(params: Mapping[str, Any], name: str) -> int:
    value, (smallest, largest) = params.get(name), LIMITS[name]
    if value is None:
        return int(getattr(Settings, name))
    if not smallest <= value <= largest:
        raise InputError(f"{value} is not between {smallest} and {largest}", parameter=name)
    return int(value)


def _server_secret(params: Mapping[str, Any]) -> str:
    value = params.get("certificate_secret") or ""
    if not value:
        return ""
    dns_subdomain(value, "certificate_secret")
    if value == f"{parameters.name(params, DEFAULT_NAME)}-server":
        raise InputError(
            f"{value!r} is what the gateway's own certificate is called",
            parameter="certificate_secret",
            advice="Have yours under another name",
        )
    return str(value)


def _source_of_secret(settings: Settings, secret: Manifest | None) -> Source:
    place = f"Secret {settings.namespace}/{settings.server_secret}"
    if secret is None:
        raise InputError(f"there is no {place}", parameter="certificate_secret")
    certificate, key = secret_text(secret, "tls.crt"), secret_text(secret, "tls.key")
    if not certificate or not key:
        raise InputError(
            f"{place} lacks tls.crt or tls.key",
            parameter="certificate_secret",
            advice="It must be as those of the type kubernetes.io/tls are",
        )
    return Source(certificate, key, certificate_parameter="certificate_secret", key_parameter="certificate_secret")


def _address(params: Mapping[str, Any], service_type: str) -> Address:
    annotations = params.get("service_annotations") or {}
    for name, value in annotations.items():
        if not isinstance(value, str):
            raise InputError(
                f"the value of {name} is not a text", parameter="service_annotations", advice="Put it into quotes"
            )
    said = {
        name: params.get(name) for name in ("load_balancer_class", "load_balancer_ip", "load_balancer_source_ranges")
    }
    for name, value in said.items():
        if value and service_type != "LoadBalancer":
            raise InputError("needs service_type LoadBalancer", parameter=name)
    ip = said["load_balancer_ip"] or ""
    if ip and not is_address(ip):
        raise InputError(f"{ip!r} is not an IP address", parameter="load_balancer_ip")
    ranges = tuple(said["load_balancer_source_ranges"] or ())
    for value in ranges:
        if "/" not in value or not _is_network(value):
            raise InputError(
                f"{value!r} is not a network",
                parameter="load_balancer_source_ranges",
                advice="Use for example 10.0.0.0/8",
            )
    return Address(annotations, said["load_balancer_class"] or "", ip, ranges)


def _receive_url(value: str | None) -> str:
    advice = "Give the remote_write endpoint that thanos_component returned for receive"
    if not value:
        raise InputError("is required and must not be empty", parameter="receive_url", advice=advice)
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise InputError("is not a URL", parameter="receive_url", advice=advice) from None
    if "@" in url.netloc:
        raise InputError("must not contain credentials", parameter="receive_url", advice=advice)
    if url.scheme != "https":
        raise InputError(
            "must be https: receive knows the gateway by its certificate", parameter="receive_url", advice=advice
        )
    if url.path != gateway.PATH or url.query or url.fragment:
        raise InputError(f"must end with {gateway.PATH}", parameter="receive_url", advice=advice)
    if port == 0:
        raise InputError("has no valid port", parameter="receive_url", advice=advice)
    _hostname_or_address(url.hostname or "", "receive_url")
    return value


def _timeouts(given: Mapping[str, Any]) -> dict[str, str]:
    result = {}
    for name, value in given.items():
        if value in (None, ""):
            continue
        seconds = duration_seconds(value, f"timeouts.{name}")
        if not 0.1 <= seconds <= LONGEST_TIMEOUT:
            raise InputError(f"{value!r} is not between 100ms and 1h", parameter=f"timeouts.{name}")
        result[name] = str(value)
    return result


def _hostname(value: str, parameter: str) -> str:
    if len(value) > 253 or not _HOSTNAME.fullmatch(value):
        raise InputError(f"{value!r} is not a host name", parameter=parameter)
    return value


def _hostname_or_address(value: str, parameter: str) -> str:
    return value if is_address(value) else _hostname(value, parameter)


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True
