# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Thanos component in the observer: what is asked for, what is there, what has to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration, quantity
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    INTERNAL_GATEWAY,
    leaf_secret,
    observe_or_create,
    service_names,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    images,
    thanos_component,
    thanos_query,
    thanos_query_frontend,
    thanos_receive,
    thanos_store,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Component, Settings
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import to_yaml, with_credentials
from ansible_collections.scs.observability.plugins.module_utils._observer import parameters
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import deploy, remove

Manifest = dict[str, Any]

COMPONENTS: dict[str, Component] = {
    module.COMPONENT.name: module.COMPONENT
    for module in (thanos_query_frontend, thanos_query, thanos_receive, thanos_store)
}

_LOG_LEVELS = ("debug", "info", "warn", "error")
_LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"


@dataclass(frozen=True)
class ObjectStore:
    """The content of a component's objstore Secret."""

    configuration: str = field(repr=False)
    ca: str


@dataclass(frozen=True)
class Observed:
    """What is there and cannot be made anew: key pairs. ``missing`` are the Secrets of authorities to create."""

    authorities: Mapping[str, KeyPair]
    missing: tuple[Manifest, ...]
    certificate: Manifest | None


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring a component to what the module's parameters say, and return the module's result."""
    component = component_of(params)
    if params.get("state") == "absent":
        return _ensure_absent(component, params, check_mode)
    settings, store = settings_of(component, params)

    client = KubernetesClient.from_parameters(params)
    now = datetime.now(UTC)
    observed = observe(client, component, settings, now)
    wanted = objects(component, settings, store, observed, now)
    plan = deploy(
        client, settings.name, settings.namespace, wanted, observed.missing, params=params, check_mode=check_mode
    )
    return {
        **plan.result(),
        "name": settings.name,
        "namespace": settings.namespace,
        "endpoints": thanos_component.endpoints(component, settings),
    }


def _ensure_absent(component: Component, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    name, namespace = parameters.name(params, component.default_name), parameters.namespace(params)
    client = KubernetesClient.from_parameters(params)
    plan = remove(client, name, namespace, params=params, check_mode=check_mode)
    return {**plan.result(), "name": name, "namespace": namespace, "endpoints": {}}


def component_of(params: Mapping[str, Any]) -> Component:
    name = params.get("component")
    if name not in COMPONENTS:
        raise InputError(f"{name!r} is none of {', '.join(sorted(COMPONENTS))}", parameter="component")
    return COMPONENTS[name]


def settings_of(component: Component, params: Mapping[str, Any]) -> tuple[Settings, ObjectStore | None]:
    """Read the module's parameters; InputError names the one that cannot work."""
    service_type, node_port = parameters.service(params)
    store = _object_store(params)
    log_level = params.get("log_level") or "info"
    if log_level not in _LOG_LEVELS:
        raise InputError(f"{log_level!r} is none of {', '.join(_LOG_LEVELS)}", parameter="log_level")
    storage_size, retention = params.get("storage_size"), params.get("retention")
    settings = Settings(
        name=parameters.name(params, component.default_name),
        namespace=parameters.namespace(params),
        image=parameters.image(params, images.THANOS),
        replicas=parameters.replicas(params, 1),
        resources=parameters.resources(params),
        storage_size=quantity(storage_size, "storage_size") if storage_size else "",
        storage_class=params.get("storage_class") or "",
        endpoints=tuple(params.get("endpoints") or ()),
        objstore=store is not None,
        tls=params.get("tls") is not False,
        tenant_header=parameters.tenant_header(params),
        tenant_label=_label_name(params.get("tenant_label") or "cluster", "tenant_label"),
        retention=duration(retention, "retention") if retention else "",
        extra_args=tuple(params.get("extra_args") or ()),
        log_level=log_level,
        service_type=service_type,
        node_port=node_port,
    )
    thanos_component.check(component, settings)
    return settings, store


def observe(client: KubernetesClient, component: Component, settings: Settings, now: datetime) -> Observed:
    """Look for the key pairs that the component needs; missing authorities are made, and not yet written."""
    if not settings.tls or not component.needs_certificate:
        return Observed({}, (), None)
    which = [INTERNAL, *([INTERNAL_GATEWAY] if component.trusts_gateway else [])]
    authorities, missing = observe_or_create(client, settings.namespace, which, now)
    certificate = client.get("v1", "Secret", thanos_component.tls_secret_name(settings), settings.namespace)
    return Observed(authorities, tuple(missing), certificate)


def objects(
    component: Component, settings: Settings, store: ObjectStore | None, observed: Observed, now: datetime
) -> list[Manifest]:
    """Everything that is wanted of a component. Pure but for a new key pair where one is due."""
    secrets: list[Manifest] = []
    checksums: dict[str, str] = {}
    if store is not None:
        secret = thanos_component.objstore_secret(component, settings, store.configuration, store.ca)
        secrets.append(secret)
        checksums["objstore"] = workload.checksum(secret["data"])
    if observed.authorities:
        secret = _certificate(component, settings, observed, now)
        secrets.append(secret)
        # Thanos reads its own certificate anew for each connection, but whom it trusts only once.
        trusted = {key: value for key, value in secret["data"].items() if not key.startswith("tls.")}
        checksums["authorities"] = workload.checksum(trusted)
    return [*thanos_component.objects(component, replace(settings, checksums=checksums)), *secrets]


def _certificate(component: Component, settings: Settings, observed: Observed, now: datetime) -> Manifest:
    secret = leaf_secret(
        observed.certificate,
        thanos_component.tls_secret_name(settings),
        settings.namespace,
        thanos_component.labels(component, settings),
        observed.authorities[INTERNAL],
        common_name=settings.name,
        now=now,
        dns_names=service_names(settings.name, settings.namespace),
        server=component.grpc,
        client=component.client,
    )
    if component.trusts_gateway:
        gateway = workload.encoded(observed.authorities[INTERNAL_GATEWAY].certificate)
        secret["data"][thanos_receive.GATEWAY_CA_FILE] = gateway
    return secret


def _object_store(params: Mapping[str, Any]) -> ObjectStore | None:
    configuration = params.get("objstore")
    access_key, secret_key = params.get("objstore_access_key"), params.get("objstore_secret_key")
    ca = params.get("objstore_ca") or ""
    if not configuration:
        for parameter, value in (("objstore_access_key", access_key), ("objstore_secret_key", secret_key)):
            if value:
                raise InputError("is of no use without objstore", parameter=parameter)
        return None
    config = configuration.get("config")
    if not configuration.get("type") or not isinstance(config, Mapping):
        raise InputError(
            "must have type and config", parameter="objstore", advice="Give what the module bucket returns as objstore"
        )
    if "access_key" in config or "secret_key" in config:
        raise InputError(
            "must not contain credentials",
            parameter="objstore",
            advice="Use objstore_access_key and objstore_secret_key, which no log shows",
        )
    if bool(access_key) != bool(secret_key):
        missing = "objstore_secret_key" if access_key else "objstore_access_key"
        raise InputError("is required with the other one of the pair", parameter=missing)
    if ca and "-----BEGIN CERTIFICATE-----" not in ca:
        raise InputError("must be certificates in PEM form", parameter="objstore_ca")
    if "PRIVATE KEY-----" in ca:
        raise InputError("must hold certificates only, and no key", parameter="objstore_ca")
    ca_file = ((config.get("http_config") or {}).get("tls_config") or {}).get("ca_file")
    if ca_file == thanos_component.OBJSTORE_CA_FILE and not ca:
        raise InputError("is required: objstore refers to it", parameter="objstore_ca")
    if ca:
        configuration = _trusting(configuration)
    if access_key and secret_key:
        configuration = with_credentials(configuration, access_key, secret_key)
    return ObjectStore(to_yaml(configuration), ca)


def _trusting(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the mounted authority as the one to trust."""
    config = configuration["config"]
    http = config.get("http_config") or {}
    tls = {**(http.get("tls_config") or {}), "ca_file": thanos_component.OBJSTORE_CA_FILE}
    return {**configuration, "config": {**config, "http_config": {**http, "tls_config": tls}}}


def _label_name(value: str, parameter: str) -> str:
    if not re.fullmatch(_LABEL, value):
        raise InputError(f"{value!r} is not the name of a label", parameter=parameter)
    return value
