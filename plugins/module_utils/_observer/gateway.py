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
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    INTERNAL_GATEWAY,
    TENANTS,
    authority_secret_name,
    leaf_secret,
    observe_or_create,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import gateway, images, workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.gateway import Settings
from ansible_collections.scs.observability.plugins.module_utils._observer import parameters
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import deploy, remove

Manifest = dict[str, Any]

DEFAULT_NAME = "remote-write-gateway"
TIMEOUTS = tuple(gateway.TIMEOUTS)
SMALLEST_BODY = 64 * 1024
LARGEST_BODY = 16 * 1024**2
LONGEST_TIMEOUT = 3600.0

_HOSTNAME = re.compile(
    r"(\*\.)?[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)


@dataclass(frozen=True)
class Observed:
    """What is there and cannot be made anew: key pairs. ``missing`` are the Secrets of authorities to create."""

    authorities: Mapping[str, KeyPair]
    missing: tuple[Manifest, ...]
    server: Manifest | None
    client: Manifest | None


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the gateway to what the module's parameters say, and return the module's result."""
    if params.get("state") == "absent":
        return _ensure_absent(params, check_mode)
    settings, hostnames = settings_of(params), hostnames_of(params)

    client = KubernetesClient.from_parameters(params)
    now = datetime.now(UTC)
    observed = observe(client, settings, now)
    wanted = objects(settings, hostnames, observed, now)
    plan = deploy(
        client, settings.name, settings.namespace, wanted, observed.missing, params=params, check_mode=check_mode
    )
    # An authority that check mode would make is another one than the one that will be made.
    created = {secret["metadata"]["name"] for secret in observed.missing}
    stored = not check_mode or authority_secret_name(INTERNAL) not in created
    return {
        **plan.result(),
        "name": settings.name,
        "namespace": settings.namespace,
        "endpoints": gateway.endpoints(settings),
        "ca": observed.authorities[INTERNAL].certificate if stored else None,
    }


def _ensure_absent(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    name, namespace = parameters.name(params, DEFAULT_NAME), parameters.namespace(params)
    client = KubernetesClient.from_parameters(params)
    plan = remove(client, name, namespace, params=params, check_mode=check_mode)
    return {**plan.result(), "name": name, "namespace": namespace, "endpoints": {}, "ca": None}


def settings_of(params: Mapping[str, Any]) -> Settings:
    """Read the module's parameters; InputError names the one that cannot work."""
    service_type, node_port = parameters.service(params)
    max_body_bytes = params.get("max_body_bytes") or Settings.max_body_bytes
    if not SMALLEST_BODY <= max_body_bytes <= LARGEST_BODY:
        raise InputError(
            f"{max_body_bytes} is not between {SMALLEST_BODY} and {LARGEST_BODY}",
            parameter="max_body_bytes",
            advice="The gateway holds each request in memory until it is complete",
        )
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
        max_body_bytes=max_body_bytes,
        timeouts=_timeouts(params.get("timeouts") or {}),
        resources=parameters.resources(params) or gateway.RESOURCES,
    )
    if "memory" in (settings.resources.get("limits") or {}) and settings.buffers < gateway.FEWEST_BUFFERS:
        raise InputError(
            f"{settings.buffers} requests of {max_body_bytes} bytes fit in it, at least {gateway.FEWEST_BUFFERS} must",
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


def objects(settings: Settings, hostnames: Sequence[str], observed: Observed, now: datetime) -> list[Manifest]:
    """Everything that is wanted of the gateway. Pure but for new key pairs where they are due."""
    addresses = [value for value in hostnames if _is_address(value)]
    names = [settings.name, settings.host, f"{settings.host}.{settings.cluster_domain}"]
    server = leaf_secret(
        observed.server,
        gateway.server_secret_name(settings),
        settings.namespace,
        gateway.labels(settings),
        observed.authorities[INTERNAL],
        common_name=settings.name,
        now=now,
        dns_names=[*names, *(value for value in hostnames if not _is_address(value))],
        ip_addresses=addresses,
        server=True,
    )
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
    # HAProxy reads certificates at its start only.
    checksums = {"certificates": workload.checksum([server["data"], client["data"]])}
    authorities = {which: observed.authorities[which].certificate for which in (TENANTS, INTERNAL)}
    return [*gateway.objects(replace(settings, checksums=checksums), authorities), server, client]


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
    return value if _is_address(value) else _hostname(value, parameter)


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
