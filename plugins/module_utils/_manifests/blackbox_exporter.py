# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""blackbox exporter in a KaaS cluster: whether what its users reach is reached from inside of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes, images, workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.blackbox_probes import Endpoint

Manifest = dict[str, Any]

NAME = "scs-observability-blackbox-exporter"
PORT = 9115
USER = 65534
RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "10m", "memory": "24Mi"},
    "limits": {"cpu": "250m", "memory": "96Mi"},
}
_CONFIGURATION_PATH = "/etc/blackbox_exporter/configuration"
# Every namespace has it: the authority of the cluster, by which its API server is known
_AUTHORITY = "kube-root-ca.crt"
_AUTHORITY_PATH = "/etc/blackbox_exporter/ca"


@dataclass(frozen=True)
class BlackboxExporter:
    """blackbox exporter as it is wanted: ``instance`` is the cluster's name, ``endpoints`` what it is asked for."""

    instance: str
    namespace: str
    endpoints: Sequence[Endpoint] = ()
    name: str = NAME
    image: str = images.BLACKBOX_EXPORTER
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)

    @property
    def labels(self) -> dict[str, str]:
        return workload.labels(name="blackbox-exporter", instance=self.instance, component="exporter")


def objects(wanted: BlackboxExporter) -> list[Manifest]:
    """Everything of the exporter but its namespace; nothing when it would be asked for nothing."""
    if not wanted.endpoints:
        return []
    return [
        workload.service_account(wanted.name, wanted.namespace, wanted.labels),
        workload.config_map(wanted.name, wanted.namespace, wanted.labels, {"config.yml": _configuration(wanted)}),
        workload.service(wanted.name, wanted.namespace, wanted.labels, ports={"http": PORT}),
        _deployment(wanted),
    ]


def _configuration(wanted: BlackboxExporter) -> str:
    """The modules that are asked for. JSON is YAML, too."""
    known = blackbox_probes.modules_of(wanted.endpoints, {})
    used = sorted({endpoint.probed_by for endpoint in wanted.endpoints})
    return json.dumps({"modules": {name: known[name] for name in used}}, indent=2) + "\n"


def _deployment(wanted: BlackboxExporter) -> Manifest:
    container = workload.container(
        "blackbox-exporter",
        wanted.image,
        args=[f"--config.file={_CONFIGURATION_PATH}/config.yml", f"--web.listen-address=:{PORT}"],
        # Beside the public authorities, not in their place
        env=[{"name": "SSL_CERT_DIR", "value": f"/etc/ssl/certs:{_AUTHORITY_PATH}"}],
        ports={"http": PORT},
        mounts=[workload.mount("configuration", _CONFIGURATION_PATH), workload.mount("authority", _AUTHORITY_PATH)],
        startup=workload.http_probe("/-/healthy", "http", period_seconds=1, failure_threshold=300),
        readiness=workload.http_probe("/-/healthy", "http", period_seconds=10, failure_threshold=3),
        liveness=workload.http_probe("/-/healthy", "http", period_seconds=30, failure_threshold=6),
        resources=wanted.resources,
    )
    authority = workload.config_map_volume("authority", _AUTHORITY)
    authority["configMap"]["optional"] = True
    template = workload.pod_template(
        wanted.labels,
        [container],
        user=USER,
        service_account_name=wanted.name,
        node_selector={"kubernetes.io/os": "linux"},
        volumes=[workload.config_map_volume("configuration", wanted.name), authority],
        checksums={"configuration": workload.checksum(_configuration(wanted))},
    )
    return workload.deployment(wanted.name, wanted.namespace, wanted.labels, template=template)
