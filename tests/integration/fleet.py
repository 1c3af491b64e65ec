# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet without clusters: registrations as the module makes them, and what their agents would send.

A real API server holds the registrations and who may write; each cluster has a certificate of ``tenants`` and writes,
over mutual TLS of its own, series that are labelled like those of a node with pods.
"""

from __future__ import annotations

import itertools
import ssl
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import urllib3

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import agent_secret, secret_text
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import JOBS
from ansible_collections.scs.observability.plugins.module_utils._registration import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._registration.identity import certificate_of
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from tests.integration import remote_write

# What Prometheus sends at most in a request
SAMPLES_PER_REQUEST = 2000
ATTEMPTS = 20
RETRY_SECONDS = 0.5
# Writes to the API server at once
AT_ONCE = 8

_METRICS = (
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_network_receive_bytes_total",
    "kube_pod_status_phase",
    "kube_pod_container_resource_requests",
    "kubelet_volume_stats_available_bytes",
    "node_cpu_seconds_total",
    "apiserver_request_total",
)


class Sent(NamedTuple):
    """A request that was answered: its last status, the seconds until then, its samples, and how often it was sent."""

    status: int
    seconds: float
    samples: int
    attempts: int


@dataclass
class Cluster:
    """A registered cluster, and its agent's connection to the gateway."""

    name: str
    secret: dict[str, Any]
    _series: list[bytes] = field(default_factory=list)
    _pool: urllib3.HTTPSConnectionPool | None = None

    def connect(self, port: int, server_name: str) -> None:
        context = ssl.create_default_context(cadata=secret_text(self.secret, "ca.crt"))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{secret_text(self.secret, 'tls.crt')}{secret_text(self.secret, 'tls.key')}")
            file.flush()
            context.load_cert_chain(file.name)
        self._pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            port,
            ssl_context=context,
            server_hostname=server_name,
            assert_hostname=server_name,
            maxsize=1,
            retries=False,
            timeout=60,
        )

    def has(self, series: int) -> None:
        """Have so many series."""
        self._series = [encoded_labels(number, self.name) for number in range(series)]

    def requests(self) -> list[Callable[[], Sent]]:
        """What it sends to write a sample of each of its series: calls for one request each."""
        return [
            partial(self._send, self._series[start : start + SAMPLES_PER_REQUEST])
            for start in range(0, len(self._series), SAMPLES_PER_REQUEST)
        ]

    def _send(self, series: Sequence[bytes]) -> Sent:
        moment = int(time.time() * 1000)
        body = remote_write.snappy(b"".join(with_sample(labels, moment) for labels in series))
        if self._pool is None:
            raise ValueError("it is not connected")
        started = time.perf_counter()
        attempts = 0
        while True:
            attempts += 1
            answer = self._pool.request("POST", "/api/v1/receive", body=body, headers=remote_write.HEADERS)
            # As agents do
            if attempts == ATTEMPTS or (answer.status < 500 and answer.status != 429):
                return Sent(answer.status, time.perf_counter() - started, len(series), attempts)
            time.sleep(RETRY_SECONDS)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()


def encoded_labels(number: int, cluster: str) -> bytes:
    """The labels of a series, as they are in a message; about as long as those of a real agent."""
    pod, metric = divmod(number, len(_METRICS))
    labels = {
        "__name__": _METRICS[metric],
        "container": f"application-{pod % 7}",
        "instance": f"{cluster}-worker-{pod % 5}:10250",
        "job": ("kubelet", "cadvisor", "kube-state-metrics")[pod % 3],
        "namespace": f"customer-{pod % 11}",
        "node": f"{cluster}-worker-{pod % 5}",
        "pod": f"application-{pod % 7}-{pod:08x}-{number % 97:05x}",
        "replica": "0",
    }
    return b"".join(
        remote_write.field(1, remote_write.field(1, name.encode()) + remote_write.field(2, value.encode()))
        for name, value in labels.items()
    )


def with_sample(labels: bytes, moment: int) -> bytes:
    sample = b"\x09" + struct.pack("<d", moment % 100_000) + b"\x10" + remote_write.varint(moment)
    return remote_write.field(1, labels + remote_write.field(2, sample))


def define(observer: KubernetesClient) -> None:
    """Have the API server know registrations."""
    definition = kaas_cluster.definition()
    observer.apply(definition)
    wait_ready(observer, [identity(definition)], 30)


def register(
    observer: KubernetesClient, namespace: str, names: Sequence[str], tenants: KeyPair, internal: KeyPair
) -> list[Cluster]:
    """Register clusters as the module does, without a cluster: certificate, registration, and entry at the gateway."""
    now = datetime.now(UTC)

    def one(name: str, number: int) -> Cluster:
        secret = agent_secret(
            None,
            agent.IDENTITY_SECRET,
            namespace,
            {},
            tenants=tenants,
            internal_certificate=internal.certificate,
            cluster=name,
            now=now,
        )
        registration = Registration(
            name=name,
            cluster_uid=f"00000000-0000-4000-8000-{number:012d}",
            phase="provisioning",
            observer=namespace,
            namespace="scs-observability",
            customer=f"customer-{number % 50}",
            sla=("gold", "silver", "bronze")[number % 3],
            jobs=JOBS,
            certificate=certificate_of(secret),
        ).after(None, now)
        observer.apply(registration.manifest())
        observer.apply_status(registration.status_manifest())
        remote_write_clients.carry_out(observer, remote_write_clients.admission(observer, namespace, registration))
        return Cluster(name, secret)

    with ThreadPoolExecutor(AT_ONCE) as executor:
        return list(executor.map(one, names, itertools.count(1)))


def send_all(clusters: Sequence[Cluster], *, at_once: int, within: float = 0.0) -> list[Sent]:
    """Have every cluster write a sample of each series, evenly spread over some seconds, as agents do."""
    every = [call for calls in itertools.zip_longest(*(cluster.requests() for cluster in clusters)) for call in calls]
    calls = [call for call in every if call is not None]
    started = time.monotonic()

    def one(place: int) -> Sent:
        time.sleep(max(0.0, started + within * place / len(calls) - time.monotonic()))
        return calls[place]()

    with ThreadPoolExecutor(at_once) as executor:
        return list(executor.map(one, range(len(calls))))
