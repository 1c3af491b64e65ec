# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters of Cluster API as metrics, so that rules see which of them are not registered, and which are deleted.

It is kube-state-metrics with a configuration for ``Cluster`` objects, of the observer's own cluster or of a management
cluster elsewhere, and may read nothing but these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    custom_resource_state,
    images,
    kube_state_metrics,
    rbac,
    workload,
)

Manifest = dict[str, Any]

NAME = "cluster-api-importer"
# With its key "kubeconfig", when the clusters are not those of the observer's own cluster
KUBECONFIG_SECRET = f"{NAME}-kubeconfig"
CONFIGURATION_PATH = "/etc/cluster-api-importer"
CONFIGURATION_FILE = "clusters.json"
GROUP = "cluster.x-k8s.io"
PREFIX = "kaas_capi_cluster"
# On a Cluster object: the name under which it is registered, where that is not its own
REGISTERED_AS = "observability.scs.community/cluster"

_KUBECONFIG_PATH = "/etc/kubeconfig"
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_PROGRAMS = ("exec", "auth-provider")


@dataclass(frozen=True)
class ClusterApiImporter:
    """The importer as it is wanted: ``instance`` is the set that it is of, ``cluster_role`` the name of its role.

    With ``elsewhere``, it goes by the kubeconfig in its Secret and has no rights in the observer's cluster.
    """

    instance: str
    namespace: str
    cluster_role: str
    elsewhere: bool = False
    image: str = images.KUBE_STATE_METRICS
    resources: Mapping[str, Any] = field(default_factory=lambda: kube_state_metrics.RESOURCES)

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name=NAME, instance=self.instance, component="exporter")


def objects(wanted: ClusterApiImporter) -> list[Manifest]:
    """Everything of it but its namespace and its Secret."""
    rights = [
        rbac.cluster_role(wanted.cluster_role, wanted.labels, RULES),
        rbac.cluster_role_binding(wanted.cluster_role, wanted.namespace, wanted.labels, account=NAME),
    ]
    mounts = [workload.mount("configuration", CONFIGURATION_PATH)]
    volumes = [workload.config_map_volume("configuration", NAME)]
    if wanted.elsewhere:
        mounts.append(workload.mount("kubeconfig", _KUBECONFIG_PATH))
        volumes.append(workload.secret_volume("kubeconfig", KUBECONFIG_SECRET, mode=0o444))
    return [
        workload.service_account(NAME, wanted.namespace, wanted.labels),
        *([] if wanted.elsewhere else rights),
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
            arguments=[*ARGUMENTS, *([f"--kubeconfig={_KUBECONFIG_PATH}/kubeconfig"] if wanted.elsewhere else [])],
            mounts=mounts,
            volumes=volumes,
            service_account_token=not wanted.elsewhere,
        ),
    ]


ARGUMENTS = (
    "--custom-resource-state-only",
    f"--custom-resource-state-config-file={CONFIGURATION_PATH}/{CONFIGURATION_FILE}",
)
# What a kubeconfig's user needs in a management cluster, too
RULES = [
    {"apiGroups": [GROUP], "resources": ["clusters"], "verbs": ["list", "watch"]},
    custom_resource_state.DEFINITIONS_RULE,
]


def scrape_job(namespace: str) -> dict[str, Any]:
    """How Prometheus reads it, in Prometheus' format. The label cluster is the name under which it is registered."""
    return {
        "job_name": NAME,
        "honor_labels": True,
        "static_configs": custom_resource_state.targets(NAME, namespace),
        "metric_relabel_configs": [
            {
                "source_labels": ["__name__"],
                "regex": f"{PREFIX}_.+|(?:kube_state_metrics|process)_.+",
                "action": "keep",
            },
            {"source_labels": ["registered_as"], "regex": "(.+)", "target_label": "cluster"},
            # Not the version: where two are served, each has its series.
            {"regex": "registered_as|customresource_(?:group|kind)", "action": "labeldrop"},
        ],
    }


def problem(kubeconfig: object) -> str:
    """What keeps a kubeconfig from being used in a pod, without a word of it; empty when nothing does."""
    try:
        import yaml  # noqa: PLC0415 - as elsewhere, so that it can be missing when a module is looked at
    except ImportError:
        raise LibraryError("PyYAML", "to read a kubeconfig") from None
    try:
        config = yaml.load(str(kubeconfig), Loader=safe_loader())  # noqa: S506
    except yaml.YAMLError:
        return "is not valid YAML"
    try:
        context = _named(config, "context", config["current-context"])
        cluster, user = _named(config, "cluster", context["cluster"]), _named(config, "user", context["user"])
    except (InputError, KeyError, TypeError):
        return "is not a kubeconfig with a current context, its cluster and its user"
    if not str(cluster.get("server")).startswith("https://"):
        return "has no server at https://"
    unusable = sorted(key for key in (*_FILES, *_PROGRAMS) if cluster.get(key) or user.get(key))
    if unusable:
        return f"has {', '.join(unusable)}, which a pod cannot use. Put data and a token into it"
    return ""


def _named(config: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    for item in config[f"{kind}s"]:
        if item["name"] == name and isinstance(item[kind], Mapping):
            found: Mapping[str, Any] = item[kind]
            return found
    raise InputError("is missing", parameter=kind)


CONFIGURATION = custom_resource_state.configuration(
    custom_resource_state.resource(
        GROUP,
        # v1beta1, v1beta2, or whichever are served
        "*",
        "Cluster",
        prefix=PREFIX,
        labels={
            "cluster": ["metadata", "name"],
            "namespace": ["metadata", "namespace"],
            "registered_as": ["metadata", "labels", REGISTERED_AS],
        },
        metrics=[
            # Without a label of its own that is always there, there would be no series.
            custom_resource_state.info("info", "A cluster of Cluster API.", {"uid": ["metadata", "uid"]}),
            custom_resource_state.phase(
                ("Pending", "Provisioning", "Provisioned", "Deleting", "Failed", "Unknown"), "status", "phase"
            ),
            custom_resource_state.gauge("created", "When it was made.", "metadata", "creationTimestamp"),
            custom_resource_state.gauge(
                "deletion_timestamp_seconds", "When its deletion was asked for.", "metadata", "deletionTimestamp"
            ),
        ],
    )
)
