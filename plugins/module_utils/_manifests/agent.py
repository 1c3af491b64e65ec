# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus in agent mode in a KaaS cluster: scrapes it and writes to the gateway of the observer over mutual TLS."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

with suppress(ImportError):  # reported where kubeconfigs are read, before anything gets here
    import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    collected,
    collection_profile,
    images,
    kube_state_metrics,
    node_exporter,
    rbac,
    scrape_jobs,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.collected import Collected

Manifest = dict[str, Any]

# The prefix keeps all of it apart from what the customer runs: cluster roles have no namespace to do that.
NAME = "scs-observability-agent"
IDENTITY_SECRET = "scs-observability-agent-identity"
# On the cluster role binding, which there is once in a cluster: UID of the observer's cluster, "/", its namespace.
OBSERVER_ANNOTATION = "observability.scs.community/observer"
CONTAINER = "prometheus"
PORT = 9090
USER = 65534
BATCH_DEADLINE_SECONDS = 5.0
RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}
FLUSH_SECONDS = 10
# A WAL holds hours of an outage in a few bytes per sample; beyond this the customer's node goes first.
WAL_LIMIT = "2Gi"

# Labels that the observer sets or deduplicates by. A target's own label of that name must not reach it: it would
# make another series of it, or one series of two.
RESERVED_LABELS = ("cluster", "tenant_id", "receive_replica", "ruler_replica", "prometheus_replica", "replica")

_IDENTITY_PATH = "/etc/prometheus/identity"
_CONFIGURATION_PATH = "/etc/prometheus/configuration"
_DATA_PATH = "/prometheus"


@dataclass(frozen=True)
class Agent:
    """An agent as it is wanted: ``instance`` is the cluster's name, ``scrape_interval`` a duration like "30s",
    ``observer`` whom it belongs to (see OBSERVER_ANNOTATION).
    """

    instance: str
    namespace: str
    remote_write_url: str
    scrape_interval: str = "30s"
    profile: str = "minimal"
    kubelet_insecure_skip_verify: bool = True
    node_exporter_port: int = node_exporter.PORT
    image: str = images.PROMETHEUS
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    observer: str = ""
    collected: Collected = field(default_factory=Collected)

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name="prometheus-agent", instance=self.instance, component="agent")


def objects(agent: Agent) -> list[Manifest]:
    """Everything of the agent but its namespace and the Secret with its certificate."""
    return [
        workload.service_account(NAME, agent.namespace, agent.labels),
        rbac.cluster_role(NAME, agent.labels, scrape_jobs.cluster_rules()),
        rbac.cluster_role_binding(
            NAME, agent.namespace, agent.labels, {OBSERVER_ANNOTATION: agent.observer} if agent.observer else None
        ),
        *scrape_jobs.target_roles(NAME, agent.namespace, agent.labels, agent.collected.namespaces),
        _config_map(agent),
        _deployment(agent),
    ]


def configuration(agent: Agent) -> dict[str, Any]:
    """Prometheus' configuration. No label names the cluster: its certificate does."""
    interval = duration_seconds(agent.scrape_interval, "scrape_interval")
    extra = agent.collected.extra_series
    return {
        "global": {
            "scrape_interval": agent.scrape_interval,
            "scrape_timeout": "10s" if interval >= 10 else agent.scrape_interval,
        },
        "scrape_configs": [
            scrape_jobs.kept(_agent_job(), agent.profile, extra.get(collection_profile.AGENT, ())),
            *scrape_jobs.jobs(
                agent.namespace,
                profile=agent.profile,
                kubelet_insecure_skip_verify=agent.kubelet_insecure_skip_verify,
                exporter=kube_state_metrics.NAME,
                node_exporter_port=agent.node_exporter_port,
                extra_series=extra,
            ),
            *collected.jobs(
                agent.collected, agent.namespace, profile=agent.profile, scrape_interval=agent.scrape_interval
            ),
        ],
        "remote_write": [_remote_write(agent)],
    }


def _remote_write(agent: Agent) -> dict[str, Any]:
    reserved = "|".join(RESERVED_LABELS)
    return {
        "name": "observer",
        "url": agent.remote_write_url,
        # Receive reads a 2.0 message as an empty one and says that all is well.
        "protobuf_message": "prometheus.WriteRequest",
        "remote_timeout": "30s",
        "tls_config": {
            "cert_file": f"{_IDENTITY_PATH}/tls.crt",
            "key_file": f"{_IDENTITY_PATH}/tls.key",
            "ca_file": f"{_IDENTITY_PATH}/ca.crt",
            "min_version": "TLS13",
        },
        "write_relabel_configs": [
            {"action": "labelmap", "regex": f"({reserved})", "replacement": "exported_$1"},
            {"action": "labeldrop", "regex": reserved},
        ],
        "queue_config": {
            "batch_send_deadline": f"{BATCH_DEADLINE_SECONDS:g}s",
            "max_samples_per_send": 2000,
            "capacity": 10000,
            # A thousand agents that come back after an outage must not open fifty connections each.
            "min_shards": 1,
            "max_shards": 10,
            "max_backoff": "30s",
            # Otherwise a limit would cost data: an agent drops what is answered with any other 4xx.
            "retry_on_http_429": True,
        },
    }


def _agent_job() -> dict[str, Any]:
    # The instance is given: a pod's name would make new series at every restart.
    return {
        "job_name": collection_profile.AGENT,
        "static_configs": [{"targets": [f"localhost:{PORT}"], "labels": {"instance": NAME}}],
    }


def _to_yaml(content: Mapping[str, Any]) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(content, Dumper=dumper, sort_keys=False, width=1000))


def _config_map(agent: Agent) -> Manifest:
    return workload.config_map(NAME, agent.namespace, agent.labels, {"prometheus.yml": _to_yaml(configuration(agent))})


def _deployment(agent: Agent) -> Manifest:
    container = workload.container(
        CONTAINER,
        agent.image,
        args=[
            "--agent",
            f"--config.file={_CONFIGURATION_PATH}/prometheus.yml",
            f"--storage.agent.path={_DATA_PATH}",
            f"--web.listen-address=:{PORT}",
            # Five seconds unless given, which every start would wait before its first scrape.
            "--scrape.discovery-reload-interval=1s",
            # How long a pod that goes tries to send what is left: a broken way must not hold up its successor.
            f"--storage.remote.flush-deadline={FLUSH_SECONDS}s",
        ],
        ports={"http": PORT},
        mounts=[
            workload.mount("configuration", _CONFIGURATION_PATH),
            workload.mount("identity", _IDENTITY_PATH),
            workload.mount("data", _DATA_PATH, read_only=False),
        ],
        startup=workload.http_probe("/-/ready", "http", period_seconds=1, failure_threshold=300),
        readiness=workload.http_probe("/-/ready", "http", period_seconds=10, failure_threshold=3),
        liveness=workload.http_probe("/-/healthy", "http", period_seconds=30, failure_threshold=6),
        resources=agent.resources,
    )
    template = workload.pod_template(
        agent.labels,
        [container],
        user=USER,
        fs_group=USER,
        service_account_name=NAME,
        service_account_token=True,
        termination_grace_period=2 * FLUSH_SECONDS,
        node_selector={"kubernetes.io/os": "linux"},
        volumes=[
            workload.config_map_volume("configuration", NAME),
            workload.secret_volume("identity", IDENTITY_SECRET),
            workload.empty_dir("data", size_limit=WAL_LIMIT),
        ],
        # Not the certificate: Prometheus reads its files anew, and a restart would lose what is not sent yet.
        checksums={"configuration": workload.checksum(configuration(agent))},
    )
    # Never two at once: both would write the same series.
    return workload.deployment(NAME, agent.namespace, agent.labels, template=template, strategy={"type": "Recreate"})
