# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query: one PromQL view over receive, store gateways and sidecars, replicas deduplicated."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import shared_server_name
from ansible_collections.scs.observability.plugins.module_utils._manifests.iaas_prometheus import server_suffix
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    CONFIGURATION_PATH,
    REPLICA_LABELS,
    SECRETS_PATH,
    TLS_PATH,
    Component,
    ExternalEndpoint,
    Settings,
    instead,
    reads,
)

ENDPOINTS_FILE = "endpoints.json"

_OWN = {"ca_file": f"{TLS_PATH}/ca.crt", "cert_file": f"{TLS_PATH}/tls.crt", "key_file": f"{TLS_PATH}/tls.key"}
_OWN_CLIENT: dict[str, Any] = {"tls_config": {"enabled": True, "min_version": "1.3", **_OWN}}

_HOST = r"(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\.?|\[[0-9a-fA-F:.]+\])"
_ENDPOINT = re.compile(rf"(?P<lookup>dns\+|dnssrv\+|dnssrvnoa\+)?{_HOST}(?::(?P<port>[0-9]{{1,5}}))?")


def _check(settings: Settings) -> None:
    for endpoint in settings.endpoints:
        if "://" in endpoint:
            raise InputError(
                f"{endpoint!r} has a scheme; a StoreAPI endpoint is host:port",
                parameter="endpoints",
                advice="For example dnssrv+_grpc._tcp.thanos-receive-headless.scs-observability.svc, or host:10901",
            )
        match = _ENDPOINT.fullmatch(endpoint)
        needs_port = not endpoint.startswith("dnssrv")
        if match is None or (not _has_port(match) if needs_port else match["port"]):
            raise InputError(
                f"{endpoint!r} is not a StoreAPI endpoint",
                parameter="endpoints",
                advice="Use host:port, dns+host:port, or dnssrv+name without a port",
            )
    if len(set(settings.endpoints)) != len(settings.endpoints):
        raise InputError("has an endpoint twice", parameter="endpoints")
    for external in settings.external_endpoints:
        _check_external(external, settings)
    if len(set(reads(settings))) != len(reads(settings)):
        raise InputError("has an endpoint twice, or one of endpoints", parameter="external_endpoints")


def _has_port(match: re.Match[str]) -> bool:
    return 1 <= int(match["port"] or 0) <= 65535


def host_and_port(address: str, parameter: str) -> str:
    """Return an address that can be asked with certificates of its own. Raises InputError for all others."""
    match = _ENDPOINT.fullmatch(address)
    if match is None or match["lookup"] or not _has_port(match):
        raise InputError(
            f"{address!r} is not host:port",
            parameter=parameter,
            advice="Thanos looks names up for endpoints with our own certificates only; give one entry for each host",
        )
    return address


def _check_external(endpoint: ExternalEndpoint, settings: Settings) -> None:
    host_and_port(endpoint.address, "external_endpoints")
    if bool(endpoint.certificate) != bool(endpoint.key):
        missing = "key" if endpoint.certificate else "certificate"
        raise InputError(
            f"{endpoint.address}: {missing} is required with the other one of the pair", parameter="external_endpoints"
        )
    if not settings.tls and not endpoint.ca and (endpoint.certificate or endpoint.server_name):
        raise InputError(
            f"{endpoint.address}: without tls there is no authority to know it by",
            parameter="external_endpoints",
            advice="Give its ca",
        )


def _arguments(_settings: Settings) -> list[str]:
    return [
        f"--endpoint.sd-config-file={CONFIGURATION_PATH}/{ENDPOINTS_FILE}",
        "--endpoint.sd-config-reload-interval=10s",
        *(f"--query.replica-label={label}" for label in REPLICA_LABELS),
    ]


def _files(settings: Settings) -> dict[str, str]:
    content: dict[str, Any] = {
        "endpoints": [
            *({"address": endpoint} for endpoint in settings.endpoints),
            *(
                {"address": endpoint.address, "client_config": _external_client(endpoint, settings)}
                for endpoint in settings.external_endpoints
            ),
        ]
    }
    if settings.tls:
        content["default_client_config"] = {
            **_OWN_CLIENT,
            # Endpoints are addresses of pods by then: all components share a name to be verified by.
            "server_name": shared_server_name(settings.namespace),
        }
        # Nowhere would it be let in without a certificate.
        content["endpoints"] += _registered(settings.registered_endpoints)
    return {ENDPOINTS_FILE: _text(content)}


def with_registered(file: str, endpoints: Sequence[ExternalEndpoint], namespace: str) -> str:
    """Return the file of endpoints with just these registered ones in it; all others stay. The same as deploying would
    write.

    Raises InputError for a query without certificates, for a file that is not ours, and for an address that is in it
    as well without being registered.
    """
    try:
        content = json.loads(file)
        others = [item for item in content["endpoints"] if not _is_registered(item, namespace)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "the file of endpoints of query cannot be read", parameter="namespace", advice="Deploy query anew"
        ) from None
    if endpoints and "default_client_config" not in content:
        raise InputError(
            "query was deployed without tls, so no sidecar would let it in",
            parameter="pull_address",
            advice="Deploy it with tls, or take another path than pull",
        )
    refuse_twice([item["address"] for item in others], endpoints, "pull_address")
    return _text({**content, "endpoints": [*others, *_registered(endpoints)]})


def refuse_twice(addresses: Sequence[str], registered: Sequence[ExternalEndpoint], parameter: str) -> None:
    """Refuse addresses that query is given otherwise, too: one of the two would be asked with wrong certificates."""
    twice = sorted({endpoint.address for endpoint in registered} & set(addresses))
    if twice:
        raise InputError(
            f"{', '.join(twice)} is registered, and given to query as one of its other endpoints, too",
            parameter=parameter,
            advice="Take it out of endpoints and external_endpoints of query",
        )


def _registered(endpoints: Sequence[ExternalEndpoint]) -> list[dict[str, Any]]:
    """Known by a name of their own each; with our certificates."""
    return [
        {"address": endpoint.address, "client_config": {**_OWN_CLIENT, "server_name": endpoint.server_name}}
        for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.address)
    ]


def _is_registered(item: dict[str, Any], namespace: str) -> bool:
    return str((item.get("client_config") or {}).get("server_name", "")).endswith(server_suffix(namespace))


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _external_client(endpoint: ExternalEndpoint, settings: Settings) -> dict[str, Any]:
    """How query speaks to an endpoint that is not ours: what is not given is as with ours, but for the name."""
    if not settings.tls and not endpoint.ca:
        return {"tls_config": {"enabled": False}}
    # Others may not have 1.3 yet.
    tls = {"enabled": True, "min_version": "1.2", **(_OWN if settings.tls else {})}
    files = f"{SECRETS_PATH}/{_file_name(endpoint)}"
    if endpoint.ca:
        tls["ca_file"] = f"{files}.ca.crt"
    if endpoint.certificate:
        tls |= {"cert_file": f"{files}.crt", "key_file": f"{files}.key"}
    return {"tls_config": tls, **({"server_name": endpoint.server_name} if endpoint.server_name else {})}


def _secret_files(settings: Settings) -> dict[str, str]:
    return {
        f"{_file_name(endpoint)}.{suffix}": text
        for endpoint in settings.external_endpoints
        for suffix, text in (("ca.crt", endpoint.ca), ("crt", endpoint.certificate), ("key", endpoint.key))
        if text
    }


def _file_name(endpoint: ExternalEndpoint) -> str:
    return re.sub(r"[^a-zA-Z0-9.-]", "_", endpoint.address)


COMPONENT = Component(
    name="query",
    command=("query",),
    resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
    takes=("endpoints", "external_endpoints"),
    check=_check,
    arguments=_arguments,
    tuning=(
        "--query.auto-downsampling",
        # A pod that was moved is found within seconds.
        "--store.sd-dns-interval=10s",
    ),
    reserved={"--endpoint": instead("endpoints"), "--store.sd-files": instead("endpoints")},
    files=_files,
    secret_files=_secret_files,
    rereads=True,
    passes_on=True,
    client=True,
    exposable=True,
)
