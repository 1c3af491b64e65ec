# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame that all Thanos components share: settings in, Kubernetes objects out.

What is special about one component (arguments, ports, volumes, certificates) is a :class:`Component` in a file of its
own. A new component is such a file, imported in ``_observer/thanos.py`` and listed in its table ``COMPONENTS``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds, is_http_url
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    collection_profile,
    images,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import Series
from ansible_collections.scs.observability.plugins.module_utils._manifests.receive_limits import Limits
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_wiring import service_of

Manifest = dict[str, Any]

USER = 1001
HTTP_PORT = 10902
GRPC_PORT = 10901

OBJSTORE_PATH = "/etc/thanos/objstore"
TLS_PATH = "/etc/thanos/tls"
CONFIGURATION_PATH = "/etc/thanos/configuration"
SECRETS_PATH = "/etc/thanos/secrets"

# How long a start may take: receive replays its write-ahead log before it is ready, and must not be killed meanwhile.
START_SECONDS = 3600

# What one container reads at its start only, and therefore has to be restarted for.
Checksums = Mapping[str, str]

# By these labels replicas are told apart: what differs in nothing else is the same series.
REPLICA_LABELS = ("receive_replica", "ruler_replica", "prometheus_replica", "replica")

# What a component reads from, on its workload: so that circles can be seen.
READS_ANNOTATION = "observability.scs.community/reads"

# What Thanos takes more than once, of what an operator may set: everything else that is there twice ends its start.
REPEATABLE = frozenset(
    {
        "--alert.label-drop",
        "--deduplication.replica-label",
        "--enable-feature",
        "--query-frontend.forward-header",
        "--query-frontend.org-id-header",
        "--query.conn-metric.label",
        "--query.partition-label",
        "--query.replica-label",
        "--query.telemetry.request-duration-seconds-quantiles",
        "--query.telemetry.request-samples-quantiles",
        "--query.telemetry.request-series-seconds-quantiles",
        "--receive.otlp-promote-resource-attributes",
        "--restore-ignored-label",
        "--selector-label",
    }
)

_FLAG = re.compile(r"--([a-z][a-z0-9.-]*)(?:=.*)?", re.DOTALL)


@dataclass(frozen=True)
class ExternalEndpoint:
    """A StoreAPI (host:port) that is not of this observer, with what its TLS needs where that differs from ours.

    ``ca``, ``certificate`` and ``key`` are PEM texts.
    """

    address: str
    server_name: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """A component as it is wanted; empty means the component's default.

    ``objstore`` tells whether there is an object store, ``checksums`` are those of the Secrets that are not made here.
    ``registered_endpoints`` are those of registrations: they come and go without this component being deployed anew.
    ``cache`` and ``bucket_cache`` are configurations in Thanos' format (YAML, may hold passwords), ``rules`` maps names
    of files to their texts, ``placement`` has arguments of workload.pod_template.
    """

    name: str
    namespace: str
    image: str = images.THANOS
    replicas: int = 1
    resources: Mapping[str, Any] | None = None
    storage_size: str = ""
    storage_class: str = ""
    endpoints: tuple[str, ...] = ()
    external_endpoints: tuple[ExternalEndpoint, ...] = ()
    registered_endpoints: tuple[ExternalEndpoint, ...] = ()
    objstore: bool = False
    tls: bool = True
    tenant_header: str = "THANOS-TENANT"
    tenant_label: str = "cluster"
    retention: str = ""
    retention_raw: str = ""
    retention_5m: str = ""
    retention_1h: str = ""
    downsampling: bool = True
    delete_delay: str = ""
    cache: str = field(default="", repr=False)
    bucket_cache: str = field(default="", repr=False)
    rules: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    external_labels: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: tuple[str, ...] = ()
    evaluation_interval: str = ""
    placement: Mapping[str, Any] = field(default_factory=dict)
    service_monitor: bool = False
    extra_args: tuple[str, ...] = ()
    log_level: str = "info"
    service_type: str = "ClusterIP"
    node_port: int | None = None
    checksums: Checksums = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The DNS name of the component's Service."""
        return f"{self.name}.{self.namespace}.svc"


def _nothing(_settings: Settings) -> Mapping[str, str]:
    return {}


def _no_objection(_settings: Settings) -> None:
    pass


def instead(parameter: str) -> str:
    """The advice for a flag that a parameter decides."""
    return f"Use the parameter {parameter}"


@dataclass(frozen=True)
class Component:
    """What is special about one Thanos component.

    ``arguments`` are what parameters, wiring and security rest on; ``tuning`` are values that an operator may replace
    by an extra argument. ``reserved`` maps beginnings of flags that an extra argument must not have to advice; one that
    ends with "=" is the flag of just that name.
    ``takes`` names the parameters that not every component has. ``files`` and ``secret_files`` are what it reads beside
    its arguments; a change of them restarts it, unless it ``rereads`` them by itself. What ``passes_on`` answers a
    query by asking its endpoints. ``series`` are those of its metrics that are worth keeping; None is all. They are
    read every ``scrape_interval``, as often as others unless given.
    """

    name: str
    command: tuple[str, ...]
    resources: Mapping[str, Any]
    arguments: Callable[[Settings], Sequence[str]]
    takes: tuple[str, ...] = ()
    check: Callable[[Settings], None] = _no_objection
    tuning: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    reserved: Mapping[str, str] = field(default_factory=dict)
    files: Callable[[Settings], Mapping[str, str]] = _nothing
    secret_files: Callable[[Settings], Mapping[str, str]] = _nothing
    rereads: bool = False
    passes_on: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    endpoints: Callable[[Settings], Mapping[str, str]] = _nothing
    grpc: bool = True
    stateful: bool = False
    data_path: str = ""
    storage_size: str = ""
    needs_objstore: bool = False
    client: bool = False
    trusts_gateway: bool = False
    claims_bucket: bool = False
    single: str = ""
    exposable: bool = False
    series: Sequence[Series] | None = None
    scrape_interval: str = ""
    termination_grace_period: int = 120

    @property
    def default_name(self) -> str:
        return f"thanos-{self.name.replace('_', '-')}"

    @property
    def all_ports(self) -> dict[str, int]:
        return {"http": HTTP_PORT, **({"grpc": GRPC_PORT} if self.grpc else {}), **self.ports}

    @property
    def needs_certificate(self) -> bool:
        return self.grpc or self.client


def labels(component: Component, settings: Settings) -> dict[str, str]:
    return workload.labels(name="thanos", instance=settings.name, component=component.name.replace("_", "-"))


def tls_secret_name(settings: Settings) -> str:
    return f"{settings.name}-tls"


def objstore_secret_name(settings: Settings) -> str:
    return f"{settings.name}-objstore"


def secrets_name(settings: Settings) -> str:
    return f"{settings.name}-secrets"


def configuration_name(settings: Settings) -> str:
    return f"{settings.name}-configuration"


def endpoints(component: Component, settings: Settings) -> dict[str, str]:
    """Where others reach the component: by ``http``, as StoreAPI (``grpc``, in Thanos' notation), and what it adds."""
    result = {"http": f"http://{settings.host}:{HTTP_PORT}"}
    if component.grpc:
        # A StatefulSet's pods are endpoints of their own: every one of them has other data.
        headless = f"dnssrv+_grpc._tcp.{_headless_name(settings)}.{settings.namespace}.svc"
        result["grpc"] = headless if component.stateful else f"{settings.host}:{GRPC_PORT}"
    return {**result, **component.endpoints(settings)}


def reads(settings: Settings) -> tuple[str, ...]:
    """All endpoints that the component asks."""
    return (*settings.endpoints, *(endpoint.address for endpoint in settings.external_endpoints))


def http_url(value: str, parameter: str, advice: str) -> None:
    """Refuse what is not an http or https URL, or has credentials, which would be seen in the arguments."""
    if not is_http_url(value):
        raise InputError("is not an http or https URL without credentials", parameter=parameter, advice=advice)


def local_retention(settings: Settings) -> None:
    """Refuse a retention that removes blocks before they are uploaded."""
    if settings.retention and 0 < duration_seconds(settings.retention, "retention") < 6 * 3600:
        raise InputError(
            f"{settings.retention} is too short",
            parameter="retention",
            advice="Blocks are 2h long and are uploaded when they are complete: keep at least 6h",
        )


def quoted(value: str) -> str:
    """The value of a label as an argument has it."""
    return json.dumps(value, ensure_ascii=False)


def check(component: Component, settings: Settings) -> None:
    """Refuse settings that cannot work; InputError names the parameter."""
    if settings.replicas != 1 and component.single:
        raise InputError(
            f"{component.name} must have exactly 1, not {settings.replicas}",
            parameter="replicas",
            advice=component.single,
        )
    without = Settings(settings.name, settings.namespace)
    for parameter in _NOT_FOR_ALL:
        if getattr(settings, parameter) != getattr(without, parameter) and parameter not in component.takes:
            raise InputError(f"{component.name} has no use for it", parameter=parameter)
    if component.needs_objstore and not settings.objstore:
        raise InputError(
            f"{component.name} needs one", parameter="objstore", advice="Give what the module bucket returns"
        )
    if settings.storage_class and not (settings.storage_size or component.storage_size):
        raise InputError("needs a storage_size", parameter="storage_class")
    if settings.service_type != "ClusterIP" and not component.exposable:
        raise InputError(
            f"{component.name} is not to be reached from outside of the cluster",
            parameter="service_type",
            advice="Clusters write through the gateway, people read through query_frontend",
        )
    if settings.node_port is not None and settings.service_type == "ClusterIP":
        raise InputError("needs service_type NodePort or LoadBalancer", parameter="node_port")
    for endpoint in settings.endpoints:
        if service_of(endpoint, settings.namespace) == settings.name:
            raise InputError(
                f"{endpoint!r} is this very component",
                parameter="endpoints",
                advice="Give what another component returned as its endpoints",
            )
    component.check(settings)
    arguments(component, settings)


def arguments(component: Component, settings: Settings) -> list[str]:
    """The command line after ``thanos``, extra arguments merged in.

    Raises InputError when an extra argument contradicts what parameters, wiring or security rest on, or another one.
    """
    fixed = [*_common_arguments(component, settings), *component.arguments(settings)]
    reserved = {**RESERVED, **component.reserved}
    decided = {_flag(argument): argument for argument in fixed}
    extra: list[str] = []
    for argument in settings.extra_args:
        flag = _flag(argument)
        if argument in fixed:
            continue
        advice = next((text for start, text in reserved.items() if f"{flag}=".startswith(start)), None)
        if advice or (flag in decided and flag not in REPEATABLE):
            raise InputError(
                f"{argument!r} contradicts {decided[flag]!r}" if flag in decided else f"{argument!r} is refused",
                parameter="extra_args",
                advice=advice or "It is how this component is wired",
            )
        if flag not in REPEATABLE and flag in map(_flag, extra):
            raise InputError(f"{flag} is there twice, which Thanos does not take", parameter="extra_args")
        extra.append(argument)
    replaced = {_flag(argument) for argument in extra}
    tuning = [argument for argument in [*_TUNING, *component.tuning] if _flag(argument) not in replaced]
    return [*component.command, *fixed, *tuning, *extra]


def objects(component: Component, settings: Settings) -> list[Manifest]:
    """All objects of a component but the Secrets that hold what is not in the settings: certificate and objstore."""
    object_labels = labels(component, settings)
    result = [
        workload.namespace(settings.namespace),
        workload.service_account(settings.name, settings.namespace, object_labels),
        workload.service(
            settings.name,
            settings.namespace,
            object_labels,
            ports=component.all_ports,
            service_type=settings.service_type,
            node_ports={"http": settings.node_port} if settings.node_port else None,
        ),
    ]
    if component.stateful:
        result.append(
            workload.service(
                _headless_name(settings), settings.namespace, object_labels, ports=component.all_ports, headless=True
            )
        )
    result += workload.disruption_budgets(settings.name, settings.namespace, object_labels, settings.replicas)
    if settings.service_monitor:
        kept = collection_profile.relabel_rules(component.series)
        result.append(
            workload.service_monitor(
                settings.name,
                settings.namespace,
                object_labels,
                port="http",
                interval=component.scrape_interval,
                metric_relabelings=kept,
            )
        )
    # What is read again has its volumes from the start, or the first file in it would be a restart.
    files, secret_files = component.files(settings), component.secret_files(settings)
    if files or component.rereads:
        result.append(workload.config_map(configuration_name(settings), settings.namespace, object_labels, files))
    if secret_files or component.rereads:
        result.append(workload.secret(secrets_name(settings), settings.namespace, object_labels, secret_files))
    return [*result, _workload(component, settings, object_labels)]


def objstore_secret(component: Component, settings: Settings, configuration: str, ca: str) -> Manifest:
    """The Secret with Thanos' object store configuration (YAML with credentials) and, if any, the store's authority."""
    return workload.secret(
        objstore_secret_name(settings),
        settings.namespace,
        labels(component, settings),
        {"objstore.yml": configuration, **({"ca.crt": ca} if ca else {})},
    )


def _headless_name(settings: Settings) -> str:
    return f"{settings.name}-headless"


# Parameters that a component has to take; what they are without being given is said in Settings.
_NOT_FOR_ALL = (
    "endpoints",
    "external_endpoints",
    "objstore",
    "storage_size",
    "storage_class",
    "retention",
    "limits",
    "retention_raw",
    "retention_5m",
    "retention_1h",
    "downsampling",
    "delete_delay",
    "cache",
    "bucket_cache",
    "rules",
    "external_labels",
    "alertmanagers",
    "evaluation_interval",
)

# Common to all: where it listens, how it is probed, whom it trusts. Extra arguments must leave these alone.
RESERVED = {
    "--log.level": instead("log_level"),
    "--http-address": "Probes and the other components rely on this port",
    "--http.config": "Probes and the other components rely on plain HTTP",
    "--grpc-address": "The Service and the other components rely on this port",
    "--grpc-server-tls": instead("tls"),
    "--grpc-client": instead("tls"),
    "--objstore": instead("objstore"),
}
_TUNING = ("--enable-auto-gomemlimit",)


def _common_arguments(component: Component, settings: Settings) -> list[str]:
    result = [f"--log.level={settings.log_level}", f"--http-address=0.0.0.0:{HTTP_PORT}"]
    if component.grpc:
        result.append(f"--grpc-address=0.0.0.0:{GRPC_PORT}")
        if settings.tls:
            result += [
                f"--grpc-server-tls-cert={TLS_PATH}/tls.crt",
                f"--grpc-server-tls-key={TLS_PATH}/tls.key",
                f"--grpc-server-tls-client-ca={TLS_PATH}/ca.crt",
                "--grpc-server-tls-min-version=1.3",
            ]
    if settings.objstore:
        result.append(f"--objstore.config-file={OBJSTORE_PATH}/objstore.yml")
    return result


def _flag(argument: str) -> str:
    """The flag of an argument, the negated form of a switch as the switch itself."""
    match = _FLAG.fullmatch(argument)
    if match is None:
        raise InputError(f"{argument!r} is not of the form --flag=value", parameter="extra_args")
    return "--" + match.group(1).removeprefix("no-")


def _workload(component: Component, settings: Settings, object_labels: Mapping[str, str]) -> Manifest:
    size = settings.storage_size or component.storage_size
    volumes: list[Manifest] = []
    mounts: list[Manifest] = []
    if component.data_path:
        mounts.append(workload.mount("data", component.data_path, read_only=False))
        if not size:
            volumes.append(workload.empty_dir("data"))
    if settings.tls and component.needs_certificate:
        mounts.append(workload.mount("tls", TLS_PATH))
        volumes.append(workload.secret_volume("tls", tls_secret_name(settings)))
    if settings.objstore:
        mounts.append(workload.mount("objstore", OBJSTORE_PATH))
        volumes.append(workload.secret_volume("objstore", objstore_secret_name(settings)))
    checksums = dict(settings.checksums)
    files, secret_files = component.files(settings), component.secret_files(settings)
    if files or component.rereads:
        mounts.append(workload.mount("configuration", CONFIGURATION_PATH))
        volumes.append(workload.config_map_volume("configuration", configuration_name(settings)))
    if secret_files or component.rereads:
        mounts.append(workload.mount("secrets", SECRETS_PATH))
        volumes.append(workload.secret_volume("secrets", secrets_name(settings)))
    for what, content in (("configuration", files), ("secrets", secret_files)):
        if content and not component.rereads:
            checksums[what] = workload.checksum(dict(content))
    template = workload.pod_template(
        object_labels,
        [
            workload.container(
                "thanos",
                settings.image,
                args=arguments(component, settings),
                ports=component.all_ports,
                env=[
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": workload.field("metadata.name")}},
                    *({"name": name, "value": value} for name, value in component.environment.items()),
                ],
                mounts=mounts,
                startup=workload.http_probe("/-/ready", "http", period_seconds=1, failure_threshold=START_SECONDS),
                readiness=workload.http_probe("/-/ready", "http", period_seconds=5, failure_threshold=3),
                liveness=workload.http_probe("/-/healthy", "http", period_seconds=30, failure_threshold=4),
                resources=settings.resources or component.resources,
            )
        ],
        user=USER,
        fs_group=USER,
        service_account_name=settings.name,
        volumes=volumes,
        checksums=checksums,
        termination_grace_period=component.termination_grace_period,
        **workload.placed(settings.placement, object_labels, settings.replicas),
    )
    if component.stateful:
        claims = [workload.volume_claim("data", object_labels, size=size, storage_class=settings.storage_class)]
        result = workload.statefulset(
            settings.name,
            settings.namespace,
            object_labels,
            service_name=_headless_name(settings),
            template=template,
            replicas=settings.replicas,
            volume_claims=claims if size else [],
        )
    else:
        result = workload.deployment(
            settings.name, settings.namespace, object_labels, template=template, replicas=settings.replicas
        )
    if component.passes_on:
        result["metadata"]["annotations"] = {READS_ANNOTATION: " ".join(reads(settings))}
    return result
