# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The importer of registrations as a process: kube-state-metrics with what its pod is given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.request import urlopen

import kubernetes

from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_metric_importer, rbac
from tests.integration.api_server import ApiServer
from tests.integration.processes import answers, free_port, process, wait_until


@dataclass
class Importer:
    """A running importer with its ports, in the order of the targets of its scrape job."""

    ports: tuple[int, int]
    process: Popen[bytes]

    def series(self, name: str, *, of_itself: bool = False) -> dict[str, float]:
        """The values of a metric by their labels; of objects, or of the program itself."""
        with urlopen(f"http://127.0.0.1:{self.ports[of_itself]}/metrics") as response:
            text = response.read().decode()
        found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, flags=re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def through_these(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The scrape job with the ports of this process in the place of its Service."""
        configs = [
            {**config, "targets": [f"127.0.0.1:{port}"]}
            for config, port in zip(job["static_configs"], self.ports, strict=True)
        ]
        return {**job, "static_configs": configs}


def user_with(api_server: ApiServer, name: str, rules: Sequence[dict[str, Any]]) -> Path:
    """A kubeconfig whose user may what the rules say, and nothing else."""
    with kubernetes.config.new_client_from_config(str(api_server.kubeconfig())) as client:
        api = kubernetes.client.RbacAuthorizationV1Api(client)
        api.create_cluster_role(rbac.cluster_role(name, {}, rules))
        binding = rbac.cluster_role_binding(name, "default", {})
        subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        api.create_cluster_role_binding({**binding, "subjects": [subject]})
    return api_server.kubeconfig(name, ())


@contextmanager
def running_importer(
    kubeconfig: Path,
    folder: Path,
    *,
    arguments: Sequence[str] = kaas_metric_importer.ARGUMENTS,
    configuration: Mapping[str, Any] | None = None,
    ports: tuple[int, int] | None = None,
) -> Iterator[Importer]:
    """The importer as its pod runs it; ``ports`` are those of one that was there before.

    Without ``configuration`` it is that of registrations.
    """
    folder.mkdir(exist_ok=True)
    ports = ports or (free_port(), free_port())
    file, log = folder / kaas_metric_importer.CONFIGURATION_FILE, folder / "importer.log"
    file.write_text(json.dumps(configuration or kaas_metric_importer.CONFIGURATION))
    options = [
        f"--kubeconfig={kubeconfig}",
        *("--host=127.0.0.1", f"--port={ports[0]}", "--telemetry-host=127.0.0.1", f"--telemetry-port={ports[1]}"),
        *(re.sub(r"(--custom-resource-state-config-file)=.*", rf"\1={file}", argument) for argument in arguments),
    ]
    with process("kube-state-metrics", options, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{ports[0]}/metrics"), running, log)
        yield Importer(ports, running)
