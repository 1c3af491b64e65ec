# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus in agent mode in a KaaS cluster: scrapes it and writes to the gateways of its observers over mutual TLS.

What is not sent yet is lost when it restarts, whatever its volume: a queue of remote write sends what is newer than the
queue. So nothing that can be read anew restarts it: not its configuration, not a certificate, not another observer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from ansible_collections.scs.observability.plugins.module_utils._manifests.kaas_cluster import RESERVED_LABELS

Manifest = dict[str, Any]

# The prefix keeps all of it apart from what the customer runs: cluster roles have no namespace to do that.
NAME = "scs-observability-agent"
IDENTITY_SECRET = "scs-observability-agent-identity"
# One for each observer that is written to, in a place of its own that it keeps: what names another file is another
# queue. Two observers, and a third while the cluster moves from one to another.
IDENTITY_SECRETS = (IDENTITY_SECRET, f"{IDENTITY_SECRET}-2", f"{IDENTITY_SECRET}-3")
# UID of an observer's cluster, "/", its namespace. On the Secret with its certificate, whose that is; on the cluster
# role binding, which there is once in a cluster, all whose the agent is.
OBSERVER_ANNOTATION = "observability.scs.community/observer"
OBSERVER_SEPARATOR = ","
CONTAINER = "prometheus"
PORT = 9090
USER = 65534
BATCH_DEADLINE_SECONDS = 5.0
RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}
FLUSH_SECONDS = 10
RELOAD_SECONDS = 1
# A WAL holds hours of an outage in a few bytes per sample; beyond this the customer's node goes first.
WAL_LIMIT = "2Gi"

_IDENTITY_PATH = "/etc/prometheus/identity"
CONFIGURATION_PATH = "/etc/prometheus/configuration"
CONFIGURATION_FILE = "prometheus.yml"
_DATA_PATH = "/prometheus"


@dataclass(frozen=True)
class Target:
    """An observer that is written to: the place of its Secret in IDENTITY_SECRETS, where it takes writes, who it is
    (see OBSERVER_ANNOTATION), and since when ("2026-02-01T10:00:00Z"; empty for one to come).
    """

    place: int
    url: str
    observer: str = ""
    since: str = ""

    @property
    def secret(self) -> str:
        return IDENTITY_SECRETS[self.place]

    @property
    def name(self) -> str:
        """What its queue is called in the configuration and in the agent's metrics."""
        return f"observer-{self.place + 1}" if self.place else "observer"


@dataclass(frozen=True)
class Agent:
    """An agent as one of its observers wants it: ``instance`` is the cluster's name, ``scrape_interval`` a duration
    like "30s", ``observer`` who that is (see OBSERVER_ANNOTATION), ``place`` and ``since`` those of its Target;
    ``others`` are written to as well.
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
    place: int = 0
    since: str = ""
    others: tuple[Target, ...] = ()

    @property
    def targets(self) -> list[Target]:
        """All observers that are written to, by place."""
        own = Target(self.place, self.remote_write_url, self.observer, self.since)
        return sorted((own, *self.others), key=lambda target: target.place)

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name="prometheus-agent", instance=self.instance, component="agent")


def objects(agent: Agent) -> list[Manifest]:
    """Everything of the agent but its namespace and the Secret with its certificate."""
    return [
        workload.service_account(NAME, agent.namespace, agent.labels),
        rbac.cluster_role(NAME, agent.labels, scrape_jobs.cluster_rules()),
        binding(agent.instance, agent.namespace, [target.observer for target in agent.targets]),
        *scrape_jobs.target_roles(NAME, agent.namespace, agent.labels, agent.collected.namespaces),
        config_map(agent.instance, agent.namespace, configuration(agent)),
        _deployment(agent),
    ]


def binding(instance: str, namespace: str, observers: Sequence[str]) -> Manifest:
    """The cluster role binding of an agent that belongs to ``observers``."""
    known = OBSERVER_SEPARATOR.join(filter(None, observers))
    labels = Agent(instance, namespace, "").labels
    return rbac.cluster_role_binding(NAME, namespace, labels, {OBSERVER_ANNOTATION: known} if known else None)


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
        # The youngest first: as long as its certificate is not there, the configuration is refused, and Prometheus
        # forgets of the queues that run those before it.
        "remote_write": [
            _remote_write(target)
            for target in sorted(agent.targets, key=lambda target: (target.since or "9", target.place), reverse=True)
        ],
    }


def _remote_write(target: Target) -> dict[str, Any]:
    """One queue. It goes on over a reload if, and only if, nothing of this changes."""
    reserved = "|".join(RESERVED_LABELS)
    identity = f"{_IDENTITY_PATH}/{target.place + 1}"
    return {
        "name": target.name,
        "url": target.url,
        # Receive reads a 2.0 message as an empty one and says that all is well.
        "protobuf_message": "prometheus.WriteRequest",
        "remote_timeout": "30s",
        "tls_config": {
            "cert_file": f"{identity}/tls.crt",
            "key_file": f"{identity}/tls.key",
            "ca_file": f"{identity}/ca.crt",
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


def config_map(instance: str, namespace: str, content: Mapping[str, Any]) -> Manifest:
    """The ConfigMap of an agent with this configuration."""
    labels = Agent(instance, namespace, "").labels
    return workload.config_map(NAME, namespace, labels, {CONFIGURATION_FILE: _to_yaml(content)})


def _identities() -> Manifest:
    """All certificates as one volume: an observer comes and goes without another pod."""
    keys = ("tls.crt", "tls.key", "ca.crt")
    sources = [
        {"secret": {"name": name, "optional": True, "items": [{"key": key, "path": f"{number}/{key}"} for key in keys]}}
        for number, name in enumerate(IDENTITY_SECRETS, 1)
    ]
    return {"name": "identity", "projected": {"defaultMode": 0o440, "sources": sources}}


def _deployment(agent: Agent) -> Manifest:
    container = workload.container(
        CONTAINER,
        agent.image,
        args=[
            "--agent",
            f"--config.file={CONFIGURATION_PATH}/{CONFIGURATION_FILE}",
            # Since 3.12 a flag of its own, but this is known to all.
            "--enable-feature=auto-reload-config",
            f"--config.auto-reload-interval={RELOAD_SECONDS}s",
            f"--storage.agent.path={_DATA_PATH}",
            f"--web.listen-address=:{PORT}",
            # Five seconds unless given, which every start would wait before its first scrape.
            "--scrape.discovery-reload-interval=1s",
            # How long a pod that goes tries to send what is left: a broken way must not hold up its successor.
            f"--storage.remote.flush-deadline={FLUSH_SECONDS}s",
        ],
        ports={"http": PORT},
        mounts=[
            workload.mount("configuration", CONFIGURATION_PATH),
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
            _identities(),
            workload.empty_dir("data", size_limit=WAL_LIMIT),
        ],
    )
    # Never two at once: both would write the same series.
    return workload.deployment(NAME, agent.namespace, agent.labels, template=template, strategy={"type": "Recreate"})
