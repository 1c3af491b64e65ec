# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kaas-metric-importer: registrations as metrics, so that rules tell failure from intention.

It is kube-state-metrics with a configuration for the custom resource. It needs no definition of that to start: the
first registration brings it along, and its metrics appear within seconds. It tells when the observer was last
reconciled, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    custom_resource_state,
    iaas_prometheus,
    images,
    kaas_cluster,
    kube_state_metrics,
    rbac,
    reconcile_record,
    workload,
)

Manifest = dict[str, Any]

NAME = "kaas-metric-importer"
CONFIGURATION_PATH = "/etc/kaas-metric-importer"
CONFIGURATION_FILE = "registrations.json"
PREFIX = "kaas_cluster"
IAAS_PREFIX = "iaas_prometheus"
# Of every series, until it is scraped: a cluster may host several observers.
OBSERVER = "observer_namespace"


@dataclass(frozen=True)
class KaasMetricImporter:
    """The importer as it is wanted: ``instance`` is the set that it is of, ``cluster_role`` the name of its role."""

    instance: str
    namespace: str
    cluster_role: str
    image: str = images.KUBE_STATE_METRICS
    resources: Mapping[str, Any] = field(default_factory=lambda: kube_state_metrics.RESOURCES)

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name=NAME, instance=self.instance, component="exporter")


def objects(wanted: KaasMetricImporter) -> list[Manifest]:
    """Everything of it but its namespace."""
    return [
        workload.service_account(NAME, wanted.namespace, wanted.labels),
        rbac.cluster_role(wanted.cluster_role, wanted.labels, RULES),
        rbac.cluster_role_binding(wanted.cluster_role, wanted.namespace, wanted.labels, account=NAME),
        workload.config_map(
            NAME, wanted.namespace, wanted.labels, {CONFIGURATION_FILE: json.dumps(CONFIGURATION, indent=2) + "\n"}
        ),
        workload.service(NAME, wanted.namespace, wanted.labels, ports=kube_state_metrics.PORTS),
        kube_state_metrics.deployment(
            NAME,
            wanted.namespace,
            wanted.labels,
            image=wanted.image,
            resources=wanted.resources,
            arguments=ARGUMENTS,
            mounts=[workload.mount("configuration", CONFIGURATION_PATH)],
            volumes=[workload.config_map_volume("configuration", NAME)],
        ),
    ]


ARGUMENTS = (
    f"--resources={reconcile_record.RESOURCES}",
    f"--metric-allowlist={reconcile_record.ALLOWED},^(?:{PREFIX}|{IAAS_PREFIX})_.+$",
    f"--custom-resource-state-config-file={CONFIGURATION_PATH}/{CONFIGURATION_FILE}",
)
RULES = [
    {
        "apiGroups": [kaas_cluster.GROUP],
        "resources": [kaas_cluster.PLURAL, iaas_prometheus.PLURAL],
        "verbs": ["list", "watch"],
    },
    custom_resource_state.DEFINITIONS_RULE,
    reconcile_record.RULE,
]


def scrape_job(namespace: str) -> dict[str, Any]:
    """How Prometheus reads it, in Prometheus' format: just the registrations of the observer in ``namespace``.

    One that does not say whose it is counts as this one's, as at the gateway. Of the importer itself, whether it can
    list and watch them.
    """
    return {
        "job_name": NAME,
        "honor_labels": True,
        # Not by pod: joins with these series must never see two of them.
        "static_configs": custom_resource_state.targets(NAME, namespace),
        "metric_relabel_configs": [
            *reconcile_record.relabelings(namespace, OBSERVER),
            {
                "source_labels": ["__name__", OBSERVER],
                "regex": f"[^;]*;{namespace}|(?:{PREFIX}|kube_state_metrics|process)_[^;]*;",
                "action": "keep",
            },
            {"regex": f"{OBSERVER}|customresource_(?:group|kind|version)", "action": "labeldrop"},
        ],
    }


_CLUSTERS = custom_resource_state.resource(
    kaas_cluster.GROUP,
    kaas_cluster.VERSION,
    kaas_cluster.KIND,
    prefix=PREFIX,
    labels={"cluster": ["metadata", "name"], OBSERVER: ["metadata", "labels", kaas_cluster.OBSERVER_LABEL]},
    metrics=[
        custom_resource_state.info(
            "info",
            "A registered cluster: whose it is, and what its agent collects.",
            {
                "customer": ["spec", "customer"],
                "sla": ["spec", "sla"],
                "contact": ["spec", "contact"],
                "profile": ["spec", "collection", "profile"],
                "scrape_interval": ["spec", "collection", "scrapeInterval"],
                "cluster_uid": ["spec", "clusterUID"],
                "control_plane": ["status", "controlPlane"],
            },
        ),
        custom_resource_state.phase(kaas_cluster.PHASES, "spec", "phase"),
        custom_resource_state.gauge(
            "phase_since_timestamp_seconds", "When the phase changed last.", "status", "phaseSince"
        ),
        custom_resource_state.gauge(
            "suspended",
            "Whether the gateway turns its agent away for a while.",
            "spec",
            "suspended",
            absent_is_zero=True,
        ),
        # A metric of its own: a label of info would give each join with that another series.
        custom_resource_state.info("labels", "What else the operator tells it by.", {"label_*": ["spec", "labels"]}),
        custom_resource_state.info(
            "expected_job",
            "A job whose samples are expected of the cluster.",
            {"expected_job": []},
            "spec",
            "collection",
            "jobs",
        ),
        custom_resource_state.gauge("created", "When the cluster was registered.", "metadata", "creationTimestamp"),
        custom_resource_state.gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate of its agent expires.",
            "status",
            "certificate",
            "expires",
        ),
        custom_resource_state.gauge(
            "proof_timestamp_seconds",
            "When samples of the cluster were last read back from the observer by a registration.",
            "status",
            "proof",
            "time",
        ),
        custom_resource_state.gauge(
            "proof_duration_seconds",
            "From the start of that registration to the first new sample.",
            "status",
            "proof",
            "seconds",
        ),
        custom_resource_state.gauge("proof_series", "Series that the cluster sent then.", "status", "proof", "series"),
        custom_resource_state.info(
            "proof_missing_job",
            "An expected job of which there was no sample then.",
            {"missing_job": []},
            "status",
            "proof",
            "missingJobs",
        ),
        custom_resource_state.info(
            "failure",
            "The last registration failed, and what of the way from the agent to the query was broken.",
            {"link": ["link"]},
            "status",
            "failure",
        ),
        custom_resource_state.gauge("failure_timestamp_seconds", "When that was.", "status", "failure", "time"),
    ],
)
_IAAS = custom_resource_state.resource(
    iaas_prometheus.GROUP,
    kaas_cluster.VERSION,
    iaas_prometheus.KIND,
    prefix=IAAS_PREFIX,
    # No label cluster: none of this is about one.
    labels={
        "iaas": ["metadata", "name"],
        "region": ["spec", "region"],
        OBSERVER: ["metadata", "labels", iaas_prometheus.OBSERVER_LABEL],
    },
    metrics=[
        custom_resource_state.info(
            "info",
            "A registered Prometheus of the IaaS layer, and by which paths its metrics come.",
            {
                "pull_address": ["spec", "pull", "address"],
                "upload": ["spec", "upload"],
                "remote_write": ["spec", "remoteWrite"],
            },
        ),
        *(
            custom_resource_state.gauge(
                f"{name}_certificate_expiry_timestamp_seconds", text, "status", "certificates", field, "expires"
            )
            for name, text, field in (
                ("sidecar", "When the certificate of its sidecar expires.", "sidecar"),
                ("remote_write", "When the certificate that it writes with expires.", "remoteWrite"),
            )
        ),
        custom_resource_state.gauge(
            "proof_timestamp_seconds",
            "When its samples were last read back from the observer by a registration.",
            "status",
            "proof",
            "time",
        ),
    ],
)
CONFIGURATION = custom_resource_state.configuration(_CLUSTERS, _IAAS)
