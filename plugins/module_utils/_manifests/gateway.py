# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door for customers' clusters: HAProxy, which makes the tenant of the client certificate.

Nothing of a request reaches receive before the request is complete, so that slow clients cost only the gateway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    duration_seconds,
    is_address,
    quantity_number,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import images, workload

Manifest = dict[str, Any]

USER = 99
HTTPS_PORT = 8443
SERVICE_PORT = 443
OBSERVABILITY_PORT = 8404
PATH = "/api/v1/receive"

CONFIGURATION_PATH = "/etc/gateway/configuration"
SERVER_PATH = "/etc/gateway/server"
CLIENT_PATH = "/etc/gateway/client"
TENANTS_CA_FILE = "tenants.crt"
INTERNAL_CA_FILE = "internal.crt"

RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"memory": "1Gi"},
}
TIMEOUTS = {"handshake": "5s", "connect": "5s", "headers": "10s", "body": "30s", "response": "30s", "idle": "2m"}

# Our agents use up to 10 (shards) when they catch up, and one that is replaced may still have its own.
CONNECTIONS_PER_CLUSTER = 20
CONNECTIONS = 4000
THREADS = 4
# Seconds from the end of a pod's address in the Service to its end.
DRAIN_SECONDS = 5
# What of the memory limit bodies may fill. The rest is for connections (some 40 KiB each) and HAProxy itself.
BUFFERS_SHARE = 0.6
FEWEST_BUFFERS = 32


@dataclass(frozen=True)
class Address:
    """What a load balancer is told by the Service, in Kubernetes' terms; empty is not said."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    load_balancer_class: str = ""
    load_balancer_ip: str = ""
    source_ranges: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """A gateway as it is wanted. ``receive_url`` is the remote-write endpoint of receive (https).

    ``timeouts`` are durations by the names in TIMEOUTS, ``max_body_bytes`` is of the compressed message,
    ``max_message_bytes`` of the decompressed one. ``server_secret`` is a Secret of somebody else with the certificate
    that agents see, ``address`` what the Service says beside its type.
    """

    name: str
    namespace: str
    receive_url: str
    image: str = images.HAPROXY
    replicas: int = 2
    tenant_header: str = "THANOS-TENANT"
    cluster_domain: str = "cluster.local"
    service_type: str = "ClusterIP"
    node_port: int | None = None
    address: Address = field(default_factory=Address)
    server_secret: str = ""
    max_body_bytes: int = 2 * 1024**2
    max_message_bytes: int = 64 * 1024**2
    timeouts: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    placement: Mapping[str, Any] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The DNS name of the gateway's Service."""
        return f"{self.name}.{self.namespace}.svc"

    @property
    def buffer_bytes(self) -> int:
        """What a request takes while it comes in: the whole body and the headers."""
        return self.max_body_bytes + 32 * 1024

    @property
    def buffers(self) -> int:
        """How many requests may be held at once so that memory suffices; 0 is without a limit, as the memory is."""
        limit = (self.resources.get("limits") or {}).get("memory")
        return int(quantity_number(limit) * BUFFERS_SHARE / self.buffer_bytes) if limit else 0

    @property
    def stop_seconds(self) -> int:
        """How long a request that has begun may go on."""
        timeouts = {**TIMEOUTS, **self.timeouts}
        return math.ceil(sum(duration_seconds(timeouts[name], "timeouts") for name in ("body", "response"))) + 5


def labels(settings: Settings) -> dict[str, str]:
    return workload.labels(name="haproxy", instance=settings.name, component="remote-write-gateway")


def server_secret_name(settings: Settings) -> str:
    return settings.server_secret or f"{settings.name}-server"


def client_secret_name(settings: Settings) -> str:
    return f"{settings.name}-client"


def configuration_name(settings: Settings) -> str:
    return f"{settings.name}-configuration"


def endpoints(
    settings: Settings, hostnames: Sequence[str] = (), service: Mapping[str, Any] | None = None
) -> dict[str, str | None]:
    """Where agents write to: ``remote_write`` is for those in the same cluster, ``external`` for all others.

    ``service`` is the live Service, if there is one. ``external`` is None as long as it is not known.
    """
    return {"remote_write": f"https://{settings.host}{PATH}", "external": _external(settings, hostnames, service or {})}


def addresses(service: Mapping[str, Any] | None) -> list[str]:
    """What load balancers have given the live Service: addresses, or names."""
    given = (((service or {}).get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [item.get("ip") or item.get("hostname") for item in given if item.get("ip") or item.get("hostname")]


def _external(settings: Settings, hostnames: Sequence[str], service: Mapping[str, Any]) -> str | None:
    host = next((name for name in hostnames if not name.startswith("*")), None)
    port: int | None = None
    if settings.service_type == "LoadBalancer":
        host, port = host or next(iter(addresses(service)), None), SERVICE_PORT
    elif settings.service_type == "NodePort":
        live = (item.get("nodePort") for item in (service.get("spec") or {}).get("ports") or [])
        port = settings.node_port or next(live, None)
    if not host or not port:
        return None
    host = f"[{host}]" if ":" in host else host
    return f"https://{host}{'' if port == SERVICE_PORT else f':{port}'}{PATH}"


def objects(settings: Settings, authorities: Mapping[str, str]) -> list[Manifest]:
    """All objects but the Secrets. ``authorities`` are the certificates (PEM) of ``tenants`` and ``internal``."""
    object_labels = labels(settings)
    files = {
        "haproxy.cfg": haproxy_configuration(settings),
        TENANTS_CA_FILE: authorities["tenants"],
        INTERNAL_CA_FILE: authorities["internal"],
    }
    return [
        workload.namespace(settings.namespace),
        workload.service_account(settings.name, settings.namespace, object_labels),
        workload.config_map(configuration_name(settings), settings.namespace, object_labels, files),
        _door(settings, object_labels),
        # Apart from the door, which may be open to the outside.
        workload.service(
            f"{settings.name}-metrics", settings.namespace, object_labels, ports={"metrics": OBSERVABILITY_PORT}
        ),
        _deployment(settings, object_labels, {**settings.checksums, "configuration": workload.checksum(files)}),
        *workload.disruption_budgets(settings.name, settings.namespace, object_labels, settings.replicas),
    ]


def _door(settings: Settings, object_labels: Mapping[str, str]) -> Manifest:
    service = workload.service(
        settings.name,
        settings.namespace,
        object_labels,
        ports={"https": SERVICE_PORT},
        service_type=settings.service_type,
        node_ports={"https": settings.node_port} if settings.node_port else None,
    )
    address = settings.address
    if address.annotations:
        service["metadata"]["annotations"] = dict(address.annotations)
    said: Manifest = {
        "loadBalancerClass": address.load_balancer_class,
        "loadBalancerIP": address.load_balancer_ip,
        "loadBalancerSourceRanges": list(address.source_ranges),
    }
    service["spec"].update({name: value for name, value in said.items() if value})
    return service


def _deployment(settings: Settings, object_labels: Mapping[str, str], checksums: Mapping[str, str]) -> Manifest:
    container = workload.container(
        "haproxy",
        settings.image,
        command=["haproxy", "-W", "-db", "-f", f"{CONFIGURATION_PATH}/haproxy.cfg"],
        ports={"https": HTTPS_PORT, "metrics": OBSERVABILITY_PORT},
        mounts=[
            workload.mount("configuration", CONFIGURATION_PATH),
            workload.mount("server", SERVER_PATH),
            workload.mount("client", CLIENT_PATH),
        ],
        # About HAProxy alone: with receive away, the gateway must answer 503, by which agents keep their samples.
        startup=workload.http_probe("/healthz", "metrics", period_seconds=1, failure_threshold=60),
        readiness=workload.http_probe("/healthz", "metrics", period_seconds=5, failure_threshold=2),
        liveness=workload.http_probe("/healthz", "metrics", period_seconds=20, failure_threshold=3),
        resources=settings.resources,
        # New connections stop coming before the listener closes. Then SIGUSR1, the image's stop signal, lets
        # requests come to their end.
        lifecycle={"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    )
    template = workload.pod_template(
        object_labels,
        [container],
        user=USER,
        fs_group=USER,
        service_account_name=settings.name,
        volumes=[
            workload.config_map_volume("configuration", configuration_name(settings)),
            workload.secret_volume("server", server_secret_name(settings)),
            workload.secret_volume("client", client_secret_name(settings)),
        ],
        checksums=checksums,
        termination_grace_period=DRAIN_SECONDS + settings.stop_seconds + 5,
        **workload.placed(settings.placement, object_labels, settings.replicas),
    )
    return workload.deployment(
        settings.name, settings.namespace, object_labels, template=template, replicas=settings.replicas
    )


def haproxy_configuration(settings: Settings) -> str:
    """haproxy.cfg. Refusals are final for an agent (4xx), what may pass is not (429, 5xx: it keeps its samples)."""
    timeouts = {name: _milliseconds(value) for name, value in {**TIMEOUTS, **settings.timeouts}.items()}
    return _CONFIGURATION.format(
        threads=THREADS,
        connections=CONNECTIONS,
        connections_per_cluster=CONNECTIONS_PER_CLUSTER,
        stop_seconds=settings.stop_seconds,
        buffer=settings.buffer_bytes,
        buffers=settings.buffers,
        max_body_bytes=settings.max_body_bytes,
        max_message_units=_snappy_units(settings.max_message_bytes),
        https_port=HTTPS_PORT,
        observability_port=OBSERVABILITY_PORT,
        path=PATH,
        tenant_header=settings.tenant_header,
        configuration_path=CONFIGURATION_PATH,
        server_path=SERVER_PATH,
        client_path=CLIENT_PATH,
        tenants_ca=TENANTS_CA_FILE,
        internal_ca=INTERNAL_CA_FILE,
        receive=_receive(settings),
        **timeouts,
    )


def _milliseconds(duration: str) -> str:
    return f"{round(duration_seconds(duration, 'timeouts') * 1000)}ms"


def _snappy_units(size: int) -> int:
    """The fourth byte of the length that a snappy message begins with counts 2 MiB each."""
    return max(1, min(127, size // (2 * 1024**2)))


def _receive(settings: Settings) -> str:
    """Address and name of receive: resolved while running, so that it may come (back) after the gateway."""
    url = urlsplit(settings.receive_url)
    host, port = url.hostname or "", url.port or 443
    if is_address(host):
        return f"{host}:{port} verifyhost {host}"
    # HAProxy's resolver does not go through search domains.
    address = f"{host}.{settings.cluster_domain}" if host.endswith(".svc") else host
    return f"{address}:{port} verifyhost {host} sni str({host}) resolvers cluster init-addr libc,none"


_CONFIGURATION = """\
global
    log stdout format raw local0 info
    nbthread {threads}
    maxconn {connections}
    hard-stop-after {stop_seconds}s
    # A request is passed on when it is complete, so it has to fit.
    tune.bufsize {buffer}
    # Further requests wait until one is through, instead of taking all memory.
    tune.buffers.limit {buffers}
    # tls.crt with tls.key beside it, as Kubernetes keeps them
    ssl-load-extra-del-ext
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-server-options ssl-min-ver TLSv1.3
    # No resumption: each connection proves anew who it is.
    tune.ssl.cachesize 0

defaults
    mode http
    log global
    option dontlognull
    timeout connect {connect}
    # Who has no certificate must not keep a connection that others need.
    timeout client-hs {handshake}
    timeout client {response}
    timeout server {response}
    timeout http-request {headers}
    timeout http-keep-alive {idle}
    timeout queue {response}

resolvers cluster
    parse-resolv-conf
    hold valid 10s

frontend remote_write
    bind :{https_port} ssl crt {server_path}/tls.crt ca-file {configuration_path}/{tenants_ca} verify required alpn http/1.1
    # Neither headers nor bodies are logged, and what went well is counted, not logged.
    log-format "%ci:%cp tenant=%[var(txn.tenant)] %HM %HPO status=%ST state=%tsc received=%U ms=%Ta"
    error-log-format "%ci:%cp connection refused: %[fc_err_str] %[ssl_fc_err_str] subject=%[ssl_c_s_dn(cn)]"
    http-response set-log-level silent if {{ status lt 300 }}

    stick-table type string len 64 size 100k expire 10m store conn_cur
    tcp-request session track-sc0 ssl_c_s_dn(cn)
    tcp-request session reject if {{ sc_conn_cur(0) gt {connections_per_cluster} }}

    http-request set-var(txn.tenant) ssl_c_s_dn(cn)
    http-request return status 403 content-type text/plain string "the certificate's common name is not the name of a cluster" unless {{ var(txn.tenant) -m reg ^[a-z0-9]([-a-z0-9]{{0,61}}[a-z0-9])?$ }}
    http-request return status 404 content-type text/plain string "only remote write is served" unless {{ method POST }} {{ path -m str {path} }}
    http-request return status 411 content-type text/plain string "Content-Length is required" unless {{ req.hdr(content-length) -m found }}
    http-request return status 413 content-type text/plain string "the message is too large" if {{ req.hdr_val(content-length) gt {max_body_bytes} }}
    http-request wait-for-body time {body}
    # Snappy begins with the length of what it holds, seven bits per byte; receive would allocate whatever it says.
    http-request return status 413 content-type text/plain string "the decompressed message is too large" if {{ req.body,bytes(0,3),hex -m reg ^[89A-F].[89A-F].[89A-F].$ }} {{ req.body,bytes(3,1),hex,hex2i ge {max_message_units} }}

    http-request del-header thanos- -m beg
    http-request del-header x-scope- -m beg
    http-request del-header {tenant_header}
    http-request set-header {tenant_header} %[var(txn.tenant)]
    default_backend receive

backend receive
    # Without health checks: there is one server, and a failing connection tells as much, as 503.
    http-reuse always
    retries 2
    server receive {receive} ssl verify required ca-file {configuration_path}/{internal_ca} crt {client_path}/tls.crt pool-purge-delay 60s

frontend observability
    bind :{observability_port}
    no log
    monitor-uri /healthz
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request return status 404
"""  # noqa: E501
