# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Thanos component in the observer: what is asked for, what is there, what has to change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_subdomain,
    duration,
    volume_size,
)
from ansible_collections.scs.observability.plugins.module_utils._iaas import endpoints
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import endpoints_of
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    INTERNAL_GATEWAY,
    leaf_secret,
    observe_or_create,
    service_names,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import (
    Source,
    check_client,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import MANAGED_BY, MANAGED_BY_LABEL
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    images,
    thanos_bucket_web,
    thanos_compact,
    thanos_component,
    thanos_query,
    thanos_query_frontend,
    thanos_receive,
    thanos_rule,
    thanos_rule_files,
    thanos_store,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.receive_limits import Limits, limits_of
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    READS_ANNOTATION,
    Component,
    ExternalEndpoint,
    Settings,
    reads,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_wiring import circle, services_of
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import to_yaml
from ansible_collections.scs.observability.plugins.module_utils._objstore.given import ObjectStore, object_store
from ansible_collections.scs.observability.plugins.module_utils._observer import parameters, rule_expressions
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import (
    KINDS,
    SERVICE_MONITOR,
    carry_out,
    prepare,
    remove,
)

if TYPE_CHECKING:
    from ansible_collections.scs.observability.plugins.module_utils._observer.compactor_bucket import Compactor, Outcome

Manifest = dict[str, Any]

COMPONENTS: dict[str, Component] = {
    module.COMPONENT.name: module.COMPONENT
    for module in (
        thanos_bucket_web,
        thanos_compact,
        thanos_query_frontend,
        thanos_query,
        thanos_receive,
        thanos_rule,
        thanos_store,
    )
}

_LOG_LEVELS = ("debug", "info", "warn", "error")
_LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
_DURATIONS = ("retention", "retention_raw", "retention_5m", "retention_1h", "delete_delay", "evaluation_interval")
_VERSION = re.compile(r":v?([0-9]+)\.([0-9]+)\.([0-9]+)(?![0-9])(?:-rc\.?([0-9]+))?")

_SERVICE_MONITORS = ("auto", "always", "expected", "never")

# Types of caches, and what a type cannot do without.
_CACHES = {"IN-MEMORY": "", "MEMCACHED": "addresses", "REDIS": "addr"}


@dataclass(frozen=True)
class Observed:
    """What is there and cannot be made anew: key pairs. ``missing`` are the Secrets of authorities to create.

    ``workloads`` are those of all Thanos components of the namespace, ``has_operator`` tells whether there are
    ServiceMonitors, ``faults`` are what is wrong with expressions in rules, ``registered`` are endpoints of
    registrations.
    """

    authorities: Mapping[str, KeyPair]
    missing: tuple[Manifest, ...]
    certificate: Manifest | None
    workloads: tuple[Manifest, ...] = ()
    has_operator: bool = False
    faults: tuple[str, ...] = ()
    registered: tuple[ExternalEndpoint, ...] = ()


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring a component to what the module's parameters say, and return the module's result."""
    component = component_of(params)
    if params.get("state") == "absent":
        return _ensure_absent(component, params, check_mode)
    settings, store = settings_of(component, params)

    client = KubernetesClient.from_parameters(params)
    now = datetime.now(UTC)
    observed = observe(client, component, settings, now)
    if check_mode and _service_monitor(params) == "expected":
        observed = replace(observed, has_operator=True)
    refuse(component, settings, observed, params)
    name, namespace = settings.name, settings.namespace
    deployment = prepare(
        client,
        workload.owner(name),
        namespace,
        objects(component, settings, store, observed, now),
        observed.missing,
        params=params,
        kinds=[*KINDS, *([SERVICE_MONITOR] if observed.has_operator else [])],
    )
    outcomes: list[Outcome] = []
    compactor = _compactor(component, client, name, namespace, params=params, check_mode=check_mode)
    left = compactor.left() if compactor else None
    if compactor:
        # Before anything is applied: the bucket may be another compactor's.
        outcomes.append(compactor.claim(now))
    if not check_mode:
        carry_out(client, deployment)
        if component is thanos_query.COMPONENT:
            # Who was registered meanwhile is not in what was deployed.
            endpoints.carry_out(client, namespace)
    if compactor:
        outcomes.append(compactor.give_free(left, outcomes[0].claim))
    return {
        **sum((outcome.plan for outcome in outcomes), deployment.plan).result(),
        "name": name,
        "namespace": namespace,
        "endpoints": thanos_component.endpoints(component, settings),
        "warnings": [text for outcome in outcomes for text in outcome.warnings],
    }


def _ensure_absent(component: Component, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    name, namespace = parameters.name(params, component.default_name), parameters.namespace(params)
    client = KubernetesClient.from_parameters(params)
    compactor = _compactor(component, client, name, namespace, params=params, check_mode=check_mode)
    left = compactor.last() if compactor else None
    plan = remove(client, workload.owner(name), namespace, params=params, check_mode=check_mode)
    # Only now: while its pod runs, the bucket is not free.
    freed = compactor.give_free(left) if compactor else None
    return {
        **(plan + freed.plan if freed else plan).result(),
        "name": name,
        "namespace": namespace,
        "endpoints": {},
        "warnings": list(freed.warnings) if freed else [],
    }


def _compactor(
    component: Component,
    client: KubernetesClient,
    name: str,
    namespace: str,
    *,
    params: Mapping[str, Any],
    check_mode: bool,
) -> Compactor | None:
    """What claims the bucket, for the one component that must have it alone."""
    if not component.claims_bucket:
        return None
    # A module is compiled anew in each run; the S3 client is half of it, and nothing to the other components.
    from ansible_collections.scs.observability.plugins.module_utils._observer import compactor_bucket  # noqa: PLC0415

    return compactor_bucket.Compactor(client, name, namespace, params, check_mode)


def component_of(params: Mapping[str, Any]) -> Component:
    name = params.get("component")
    if name not in COMPONENTS:
        raise InputError(f"{name!r} is none of {', '.join(sorted(COMPONENTS))}", parameter="component")
    return COMPONENTS[name]


def settings_of(
    component: Component, params: Mapping[str, Any], now: datetime | None = None
) -> tuple[Settings, ObjectStore | None]:
    """Read the module's parameters; InputError names the one that cannot work. ``now`` is for certificates."""
    now = now or datetime.now(UTC)
    service_type, node_port = parameters.service(params)
    store = object_store(params, now)
    log_level = params.get("log_level") or "info"
    if log_level not in _LOG_LEVELS:
        raise InputError(f"{log_level!r} is none of {', '.join(_LOG_LEVELS)}", parameter="log_level")
    storage_size, storage_class = params.get("storage_size"), params.get("storage_class")
    durations: dict[str, Any] = {name: duration(params[name], name) for name in _DURATIONS if params.get(name)}
    settings = Settings(
        name=parameters.name(params, component.default_name),
        namespace=parameters.namespace(params),
        image=parameters.image(params, images.THANOS),
        replicas=parameters.replicas(params, 1),
        resources=parameters.resources(params),
        storage_size=volume_size(storage_size, "storage_size") if storage_size else "",
        storage_class=dns_subdomain(storage_class, "storage_class") if storage_class else "",
        endpoints=tuple(params.get("endpoints") or ()),
        external_endpoints=tuple(_external_endpoint(item, now) for item in params.get("external_endpoints") or ()),
        objstore=store is not None,
        tls=params.get("tls") is not False,
        tenant_header=parameters.tenant_header(params),
        tenant_label=_label_name(params.get("tenant_label") or "cluster", "tenant_label"),
        downsampling=params.get("downsampling") is not False,
        cache=_cache(params, "cache"),
        bucket_cache=_cache(params, "bucket_cache"),
        rules=thanos_rule_files.texts(params.get("rules") or {}) if params.get("rules") else {},
        limits=limits_of(params["limits"], parameters.namespace(params)) if params.get("limits") else Limits(),
        external_labels=_external_labels(params.get("external_labels") or {}),
        alertmanagers=tuple(params.get("alertmanagers") or ()),
        placement=parameters.placement(params),
        service_monitor=_service_monitor(params) != "never",
        extra_args=tuple(params.get("extra_args") or ()),
        log_level=log_level,
        service_type=service_type,
        node_port=node_port,
        **durations,
    )
    thanos_component.check(component, settings)
    return settings, store


def observe(client: KubernetesClient, component: Component, settings: Settings, now: datetime) -> Observed:
    """Look for the key pairs that the component needs; missing authorities are made, and not yet written."""
    which = [INTERNAL, *([INTERNAL_GATEWAY] if component.trusts_gateway else [])]
    needs_certificate = settings.tls and component.needs_certificate
    authorities, missing = observe_or_create(client, settings.namespace, which, now) if needs_certificate else ({}, [])
    certificate: list[Manifest | None] = []
    workloads: list[Manifest] = []
    has_operator: list[bool] = []
    faults: list[str] = []
    registered: list[ExternalEndpoint] = []
    secret_name, namespace = thanos_component.tls_secret_name(settings), settings.namespace
    client.parallel(
        [
            lambda: certificate.append(client.get("v1", "Secret", secret_name, namespace)),
            lambda: workloads.extend(_deployed("Deployment", client, namespace)),
            lambda: workloads.extend(_deployed("StatefulSet", client, namespace)),
            lambda: has_operator.append(client.serves(*SERVICE_MONITOR)),
            lambda: faults.extend(rule_expressions.faults(client, settings) if settings.rules else ()),
            lambda: registered.extend(endpoints_of(client, namespace) if component is thanos_query.COMPONENT else ()),
        ]
    )
    return Observed(
        authorities,
        tuple(missing),
        certificate[0],
        tuple(workloads),
        has_operator[0],
        tuple(faults),
        tuple(registered),
    )


def deployed(client: KubernetesClient, namespace: str) -> list[Manifest]:
    """Return the Deployments and StatefulSets of all Thanos components of a namespace."""
    kinds = ("Deployment", "StatefulSet")
    return list(chain(*client.parallel([partial(_deployed, kind, client, namespace) for kind in kinds])))


def _deployed(kind: str, client: KubernetesClient, namespace: str) -> list[Manifest]:
    return client.list("apps/v1", kind, namespace, f"{MANAGED_BY_LABEL}={MANAGED_BY},app.kubernetes.io/name=thanos")


def refuse(component: Component, settings: Settings, observed: Observed, params: Mapping[str, Any]) -> None:
    """Refuse what is well in itself, and not beside what is there; InputError names the parameter, InputErrors all."""
    problems = Problems()
    problems.of(_refuse_missing_monitors, params, observed)
    problems.of(refuse_faults, observed.faults)
    problems.of(thanos_query.refuse_twice, reads(settings), observed.registered, "external_endpoints")
    live = {item["metadata"]["name"]: item for item in observed.workloads}
    if settings.name in live and not params.get("allow_downgrade"):
        problems.of(refuse_downgrade, live[settings.name], settings.image)
    if component.passes_on:
        problems.of(refuse_circle, live.values(), {settings.name: reads(settings)}, settings.namespace)
    problems.refuse()


def _refuse_missing_monitors(params: Mapping[str, Any], observed: Observed) -> None:
    if _service_monitor(params) in ("always", "expected") and not observed.has_operator:
        raise InputError(
            "the cluster has no ServiceMonitors",
            parameter="service_monitor",
            advice="Install the Prometheus Operator first, or let it be auto",
        )


def refuse_faults(faults: Sequence[str]) -> None:
    """Refuse rules with these faults."""
    if faults:
        raise InputError(
            "; ".join(faults), parameter="rules", advice="A ruler would not start, and evaluate no rule at all"
        )


def refuse_circle(live: Iterable[Manifest], wanted: Mapping[str, Sequence[str]], namespace: str) -> None:
    """Refuse what ``wanted`` components would read (endpoints by name), if a query came back through ``live`` ones."""
    wiring = {
        item["metadata"]["name"]: (item["metadata"].get("annotations") or {}).get(READS_ANNOTATION, "").split()
        for item in live
    }
    services = {name: services_of(endpoints, namespace) for name, endpoints in {**wiring, **wanted}.items()}
    for name in wanted:
        if way := circle(services, name):
            raise InputError(
                f"components ask one another in a circle: {' -> '.join(way)}",
                parameter="endpoints",
                advice="A query would come back to where it came from: take one of them out",
            )


def _version(image: str) -> tuple[float, ...]:
    """Return what can be compared: a release comes after its candidates. Empty where the tag is no version."""
    match = _VERSION.search(image)
    return tuple(float(part or "inf") for part in match.groups()) if match else ()


def refuse_downgrade(live: Manifest, image: str) -> None:
    """Refuse an image whose version is lower than that of the live component."""
    there = live["spec"]["template"]["spec"]["containers"][0]["image"]
    before, after = _version(there), _version(image)
    if before and after and after < before:
        raise InputError(
            f"{image} is older than {there}, which runs",
            parameter="image",
            advice="What a newer Thanos wrote, an older one may not read; allow_downgrade does it all the same",
        )


def objects(
    component: Component, settings: Settings, store: ObjectStore | None, observed: Observed, now: datetime
) -> list[Manifest]:
    """Everything that is wanted of a component. Pure but for a new key pair where one is due."""
    secrets: list[Manifest] = []
    checksums: dict[str, str] = {}
    if store is not None:
        secret = thanos_component.objstore_secret(component, settings, to_yaml(store.configuration), store.ca)
        secrets.append(secret)
        checksums["objstore"] = workload.checksum(secret["data"])
    if observed.authorities:
        secret = _certificate(component, settings, observed, now)
        secrets.append(secret)
        # Thanos reads its own certificate anew for each connection, but whom it trusts only once.
        trusted = {key: value for key, value in secret["data"].items() if not key.startswith("tls.")}
        checksums["authorities"] = workload.checksum(trusted)
    complete = replace(
        settings,
        checksums=checksums,
        service_monitor=settings.service_monitor and observed.has_operator,
        registered_endpoints=observed.registered,
    )
    return [*thanos_component.objects(component, complete), *secrets]


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


def _external_endpoint(item: Mapping[str, Any], now: datetime) -> ExternalEndpoint:
    endpoint = ExternalEndpoint(
        **{name: item.get(name) or "" for name in ("address", "server_name", "ca", "certificate", "key")}
    )
    try:
        if endpoint.ca:
            trusted(endpoint.ca, now, "ca")
        if endpoint.certificate and endpoint.key:
            check_client(Source(endpoint.certificate, endpoint.key, key_parameter="key"), now)
    except InputError as error:
        raise InputError(
            f"{endpoint.address}: {error.parameter}: {error.message}",
            parameter="external_endpoints",
            advice=error.advice,
        ) from None
    return endpoint


def _external_labels(given: Mapping[str, Any]) -> dict[str, str]:
    for name, value in given.items():
        _label_name(str(name), "external_labels")
        if not isinstance(value, str) or not value:
            raise InputError(f"{name} must have a text", parameter="external_labels")
    return dict(given)


def _service_monitor(params: Mapping[str, Any]) -> str:
    value = params.get("service_monitor") or "auto"
    if value not in _SERVICE_MONITORS:
        raise InputError(f"{value!r} is none of {', '.join(_SERVICE_MONITORS)}", parameter="service_monitor")
    return str(value)


def _cache(params: Mapping[str, Any], parameter: str) -> str:
    """The configuration of a cache as text, with its password."""
    given = params.get(parameter)
    if not given:
        return ""
    kind, config = str(given.get("type")).upper(), given.get("config") or {}
    if kind not in _CACHES or not isinstance(config, Mapping):
        raise InputError(
            f"must have a type, one of {', '.join(_CACHES)}, and a config",
            parameter=parameter,
            advice="As Thanos has it, for example {type: MEMCACHED, config: {addresses: ['dns+memcached:11211']}}",
        )
    if _CACHES[kind] and not config.get(_CACHES[kind]):
        raise InputError(f"{kind} needs {_CACHES[kind]}", parameter=parameter)
    if "password" in config:
        raise InputError(
            "must not contain a password", parameter=parameter, advice="Use cache_password, which no log shows"
        )
    if kind == "REDIS" and params.get("cache_password"):
        config = {**config, "password": params["cache_password"]}
    return to_yaml({**given, "config": dict(config)})


def _label_name(value: str, parameter: str) -> str:
    if not re.fullmatch(_LABEL, value):
        raise InputError(f"{value!r} is not the name of a label", parameter=parameter)
    return value
