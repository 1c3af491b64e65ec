# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door for customers' clusters: HAProxy, which makes the tenant of the client certificate.

Only certificates that are registered get in (remote_write_clients), looked up for each request. Nothing of a request
reaches receive before the request is complete, so that slow clients cost only the gateway.
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
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    haproxy_certificates,
    images,
    rbac,
    remote_write_clients,
    workload,
)

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
CLIENTS_FILE = "clients.lua"
# Empty at the start, and filled while it runs
MAP_FILE = "clients.map"

RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"memory": "1Gi"},
}
TIMEOUTS = {"handshake": "5s", "connect": "5s", "headers": "10s", "body": "30s", "response": "30s", "idle": "2m"}

# What of the memory limit connections may fill, what one takes (measured: 55 KiB during its handshake, 31 KiB after
# it), and how many there are at most: each needs two file descriptors.
CONNECTIONS_SHARE = 0.3
CONNECTION_BYTES = 60 * 1024
MOST_CONNECTIONS = 20000
# Which of them may come from one address without having proven yet who they are
UNFINISHED_SHARE = 0.25
# Beside those of agents: for probes and for Prometheus, which ask also when the door is full
OTHER_CONNECTIONS = 100
# Seconds over which the requests of a client are counted: so many may come at once, when it catches up.
RATE_SECONDS = 10
# When one that had too many is told to come again: agents that are not told wait up to 30 s, and use too little.
RETRY_SECONDS = 2
THREADS = 4
# Seconds from the end of a pod's address in the Service to its end.
DRAIN_SECONDS = 5
# What of the memory limit bodies may fill. What connections leave of the rest is for HAProxy itself.
BUFFERS_SHARE = 0.6
FEWEST_BUFFERS = 32
# How long after its begin a certificate that is not known may be one that is still to be read: our own begin five
# minutes before they are issued.
NEW_SECONDS = 5 * 60 + 15
# Which of the buffers may be requests; the others are for answers, probes and the look at the clients.
REQUESTS_SHARE = 0.75
# How many requests a client may have at once while half of that is taken
FAIR_SHARE = 4


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
    ``max_message_bytes`` of the decompressed one. Connections and requests (per second) are those of one client, at
    each pod. ``server_secret`` is a Secret of somebody else with the certificate
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
    # Our agents use up to 10 (shards) when they catch up, and one that is replaced may still have its own.
    max_connections: int = 20
    # What receive may be made to take by one client until it notices rests on this, see docs/sizing.md.
    max_requests_per_second: int = 5
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
        return int(self.memory_bytes * BUFFERS_SHARE / self.buffer_bytes)

    @property
    def connections(self) -> int:
        """How many connections of agents are taken at once; further ones wait until others end."""
        fit = int(self.memory_bytes * CONNECTIONS_SHARE / CONNECTION_BYTES)
        return min(fit or MOST_CONNECTIONS, MOST_CONNECTIONS)

    @property
    def requests(self) -> int:
        """How many requests are let in at once; further ones are told to come again."""
        return int(self.buffers * REQUESTS_SHARE) or self.connections

    @property
    def memory_bytes(self) -> float:
        """How much memory a pod may take; 0 is without a limit."""
        limit = (self.resources.get("limits") or {}).get("memory")
        return quantity_number(limit) if limit else 0.0

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
        CLIENTS_FILE: remote_write_clients.lua(settings.namespace, f"{CONFIGURATION_PATH}/{MAP_FILE}"),
        MAP_FILE: "",
        haproxy_certificates.FILE: haproxy_certificates.lua(f"{SERVER_PATH}/tls.crt"),
    }
    return [
        workload.namespace(settings.namespace),
        workload.service_account(settings.name, settings.namespace, object_labels),
        rbac.role(settings.name, settings.namespace, object_labels, [_READS_CLIENTS]),
        rbac.role_binding(settings.name, settings.namespace, settings.namespace, object_labels),
        workload.config_map(configuration_name(settings), settings.namespace, object_labels, files),
        _door(settings, object_labels),
        # Apart from the door, which may be open to the outside.
        workload.service(
            f"{settings.name}-metrics", settings.namespace, object_labels, ports={"metrics": OBSERVABILITY_PORT}
        ),
        _deployment(settings, object_labels, {**settings.checksums, "configuration": workload.checksum(files)}),
        *workload.disruption_budgets(settings.name, settings.namespace, object_labels, settings.replicas),
    ]


_READS_CLIENTS: Manifest = {
    "apiGroups": [""],
    "resources": ["configmaps"],
    "resourceNames": [remote_write_clients.NAME],
    "verbs": ["get"],
}


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
        # And it knows who may write. That lasts while the API server is away.
        readiness=workload.http_probe("/readyz", "metrics", period_seconds=2, failure_threshold=3),
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
        service_account_token=True,
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
    """haproxy.cfg. Refusals are final for an agent (4xx), what may pass is not (429, 5xx: it keeps its samples).

    Each rule of the limits is per client, that is per certificate: of two with the same name, only one is registered.
    """
    timeouts = {name: _milliseconds(value) for name, value in {**TIMEOUTS, **settings.timeouts}.items()}
    return _CONFIGURATION.format(
        threads=THREADS,
        connections=settings.connections,
        all_connections=settings.connections + OTHER_CONNECTIONS,
        unfinished=max(1, int(settings.connections * UNFINISHED_SHARE)),
        connections_per_client=settings.max_connections,
        rate_seconds=RATE_SECONDS,
        retry_seconds=RETRY_SECONDS,
        requests_in_rate_seconds=settings.max_requests_per_second * RATE_SECONDS,
        new_seconds=NEW_SECONDS,
        requests=settings.requests,
        half=settings.requests // 2,
        fair_share=FAIR_SHARE,
        stop_seconds=settings.stop_seconds,
        buffer=settings.buffer_bytes,
        buffers=settings.buffers,
        max_body_bytes=settings.max_body_bytes,
        max_message_bytes=settings.max_message_bytes,
        https_port=HTTPS_PORT,
        observability_port=OBSERVABILITY_PORT,
        path=PATH,
        tenant_header=settings.tenant_header,
        configuration_path=CONFIGURATION_PATH,
        server_path=SERVER_PATH,
        client_path=CLIENT_PATH,
        tenants_ca=TENANTS_CA_FILE,
        internal_ca=INTERNAL_CA_FILE,
        clients=f"{CONFIGURATION_PATH}/{CLIENTS_FILE}",
        certificates=f"{CONFIGURATION_PATH}/{haproxy_certificates.FILE}",
        certificates_socket=haproxy_certificates.SOCKET,
        map=f"{CONFIGURATION_PATH}/{MAP_FILE}",
        read=remote_write_clients.READ,
        account_path=remote_write_clients.ACCOUNT_PATH,
        receive=_receive(settings),
        **timeouts,
    )


def _milliseconds(duration: str) -> str:
    return f"{round(duration_seconds(duration, 'timeouts') * 1000)}ms"


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
    # Neither what goes well nor each look at the clients
    log stdout format raw local0 notice
    nbthread {threads}
    maxconn {all_connections}
    hard-stop-after {stop_seconds}s
    # A request is passed on when it is complete, so it has to fit.
    tune.bufsize {buffer}
    tune.stick-counters 5
    # Never all memory; there are less requests than that.
    tune.buffers.limit {buffers}
    # tls.crt with tls.key beside it, as Kubernetes keeps them
    ssl-load-extra-del-ext
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-server-options ssl-min-ver TLSv1.3
    # No resumption: each connection proves anew who it is.
    tune.ssl.cachesize 0
    lua-load {clients}
    # Loads the certificate that agents see anew, whoever renews it
    stats socket {certificates_socket} level admin
    lua-load {certificates}
    # How it asks the API server, whose address each pod is given
    httpclient.resolvers.disabled on
    httpclient.retries 0
    httpclient.timeout.connect 2s
    httpclient.ssl.verify required
    httpclient.ssl.ca-file {account_path}/ca.crt

defaults
    mode http
    log stdout format raw local0 info
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
    # Less than there may be in all: who fills the door must not keep probes out, or its pod would be restarted.
    maxconn {connections}
    # A connection has one request at a time.
    option disable-h2-upgrade
    # Neither headers nor bodies are logged, and what went well is counted, not logged.
    log-format "%ci:%cp tenant=%[var(txn.tenant)] certificate=%[var(sess.certificate)] subject=%[ssl_c_s_dn(cn)] %HM %HPO status=%ST state=%tsc received=%U ms=%Ta"
    error-log-format "%ci:%cp connection refused: %[fc_err_str] %[ssl_fc_err_str] subject=%[ssl_c_s_dn(cn)]"
    http-response set-log-level silent if {{ status lt 300 }}

    # Who has not proven yet who they are: nobody fills the door from one address without a certificate.
    tcp-request connection track-sc3 src table connections
    tcp-request connection set-var(sess.proven) src,table_conn_cur(proven_connections)
    tcp-request connection reject if {{ sc_conn_cur(3),sub(sess.proven) gt {unfinished} }}
    tcp-request session track-sc4 src table proven_connections

    tcp-request session set-var(sess.certificate) ssl_c_der,sha2(256),hex,lower
    tcp-request session set-var(sess.begins) ssl_c_notbefore,bytes(0,12)
    tcp-request session set-var(sess.expires) ssl_c_notafter,bytes(0,12)
    stick-table type string len 64 size 100k expire 10m store conn_cur,gpc0,gpc0_rate({rate_seconds}s)
    tcp-request session track-sc0 var(sess.certificate)
    tcp-request session reject if {{ sc_conn_cur(0) gt {connections_per_client} }}

    # Who it is. Looked up in each request, so that a change holds for connections that are there.
    http-request return status 503 content-type text/plain string "who may write is not known yet" unless {{ str({read}),map_str({map}) -m found }}
    http-request set-var(txn.client) var(sess.certificate),map_str({map})
    http-request set-var(txn.tenant) var(txn.client),field(2,/)
    # It may be so new that its registration is still to be read.
    http-request return status 503 content-type text/plain string "the certificate is not registered yet" if !{{ var(txn.client) -m found }} {{ date(-{new_seconds}),utime(%y%m%d%H%M%S),sub(sess.begins) lt 0 }}
    http-request return status 403 content-type text/plain string "the certificate is not registered" unless {{ ssl_c_s_dn(cn),strcmp(txn.tenant) eq 0 }}
    http-request return status 404 content-type text/plain string "only remote write is served" unless {{ method POST }} {{ path -m str {path} }}
    http-request return status 503 content-type text/plain string "the cluster is suspended" unless {{ var(txn.client) -m beg active/ }}
    # As it would be told by a new connection
    http-request return status 503 content-type text/plain string "the certificate has expired" hdr Connection close if {{ date,utime(%y%m%d%H%M%S),sub(sess.expires) gt 0 }}

    # How much of it. What is refused is counted by cluster.
    http-after-response lua.limited if {{ res.hdr(x-limit) -m found }}
    # Counted are those that are let in: who tries again too often loses nothing by it.
    http-request return status 429 content-type text/plain string "too many requests" hdr x-limit requests hdr retry-after {retry_seconds} if {{ sc_gpc0_rate(0) ge {requests_in_rate_seconds} }}
    http-request sc-inc-gpc0(0)
    http-request return status 411 content-type text/plain string "Content-Length is required" unless {{ req.hdr(content-length) -m found }}
    http-request return status 413 content-type text/plain string "the message is too large" hdr x-limit body if {{ req.hdr_val(content-length) gt {max_body_bytes} }}
    http-request track-sc1 int(1) table all_requests
    http-request track-sc2 var(sess.certificate) table requests_of_client
    http-request return status 503 content-type text/plain string "too many requests at once" hdr x-limit requests_at_once if {{ sc_conn_cur(1) gt {requests} }}
    http-request return status 503 content-type text/plain string "too many requests at once" hdr x-limit requests_at_once if {{ sc_conn_cur(1) gt {half} }} {{ sc_conn_cur(2) gt {fair_share} }}
    http-request wait-for-body time {body}
    # Snappy begins with the length of what it holds, seven bits per byte, the lowest first; receive would allocate
    # whatever it says. From 2 MiB it has four bytes, and none is longer that may pass.
    acl is_large req.body,bytes(0,3),hex -m reg ^[89A-F].[89A-F].[89A-F].$
    http-request set-var(txn.byte0) req.body,bytes(0,1),hex,hex2i,and(127) if is_large
    http-request set-var(txn.byte1) req.body,bytes(1,1),hex,hex2i,and(127),mul(128) if is_large
    http-request set-var(txn.byte2) req.body,bytes(2,1),hex,hex2i,and(127),mul(16384) if is_large
    http-request set-var(txn.announced) req.body,bytes(3,1),hex,hex2i,mul(2097152),add(txn.byte2),add(txn.byte1),add(txn.byte0) if is_large
    http-request return status 413 content-type text/plain string "the decompressed message is too large" hdr x-limit message if {{ var(txn.announced) -m int gt {max_message_bytes} }}
    # Nothing takes less of it than a copy of 64 bytes, which takes 3.
    http-request return status 400 content-type text/plain string "the message announces more than it can hold" if is_large {{ req.body_len,mul(64),div(3),sub(txn.announced) lt 0 }}

    http-request del-header thanos- -m beg
    http-request del-header x-scope- -m beg
    http-request del-header {tenant_header}
    http-request set-header {tenant_header} %[var(txn.tenant)]
    default_backend receive

backend connections
    stick-table type ipv6 size 100k expire 1m store conn_cur

backend proven_connections
    stick-table type ipv6 size 100k expire 1m store conn_cur

backend all_requests
    stick-table type integer size 1 store conn_cur

backend requests_of_client
    stick-table type string len 64 size 100k expire 1m store conn_cur

backend receive
    # Without health checks: there is one server, and a failing connection tells as much, as 503.
    http-reuse always
    retries 2
    server receive {receive} ssl verify required ca-file {configuration_path}/{internal_ca} crt {client_path}/tls.crt pool-purge-delay 60s

frontend observability
    bind :{observability_port}
    no log
    monitor-uri /readyz
    monitor fail unless {{ str({read}),map_str({map}) -m found }}
    http-request return status 200 if {{ path /healthz }}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request use-service lua.clients if {{ path /metrics/clients }}
    http-request return status 404
"""  # noqa: E501
