# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may write, in a real API server, where gateways on loopback look it up with the rights that they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import kubernetes

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    haproxy_certificates,
    remote_write_clients,
    workload,
)
from tests.integration.api_server import ApiServer

Manifest = dict[str, Any]

# What a pod needs there to look who may write
_ACCOUNT_KINDS = ("Namespace", "ServiceAccount", "Role", "RoleBinding")
# What looks again and again does so more often here: gateways who may write, query whom to ask.
QUICK = {
    f"core.sleep({remote_write_clients.INTERVAL})": "core.msleep(100)",
    f"core.sleep({haproxy_certificates.INTERVAL})": "core.msleep(100)",
    "--endpoint.sd-config-reload-interval=10s": "--endpoint.sd-config-reload-interval=1s",
}


class Clients:
    """The ConfigMap of the clients in one namespace, and what gateways are given to read it."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.api: KubernetesClient = server.client()
        self.entries: dict[str, str] = {}
        self.api.apply(workload.namespace(namespace))
        # Without those of former tests
        self.api.delete("v1", "ConfigMap", remote_write_clients.NAME, namespace)
        self.api.create(remote_write_clients.config_map(namespace, {}, []))

    def write(self, name: str, entry: str | None) -> None:
        """Write a cluster's entry, as the registration does; None removes it."""
        if entry is None:
            self.entries.pop(name, None)
        else:
            self.entries[name] = entry
        metadata = {"name": remote_write_clients.NAME, "namespace": self.namespace}
        self.api.merge({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {name: entry}})

    def account(self, manifests: Sequence[Manifest]) -> dict[str, str]:
        """Make the account of a pod, with its rights; return the files that a kubelet gives to the pod."""
        for kind in _ACCOUNT_KINDS:
            for item in manifests:
                if item["kind"] == kind:
                    self.api.apply(item, force=True)
        (name,) = [item["metadata"]["name"] for item in manifests if item["kind"] == "ServiceAccount"]
        with kubernetes.config.new_client_from_config(str(self.server.kubeconfig())) as client:
            core = kubernetes.client.CoreV1Api(client)
            answer = core.create_namespaced_service_account_token(name, self.namespace, {"spec": {}})
        return {"token": answer.status.token, "ca.crt": self.server.authority.certificate.read_text()}

    @property
    def environment(self) -> Mapping[str, str]:
        """What stands for the variables that a kubelet sets, and for the API server's name in a cluster."""
        url = urlsplit(self.server.url)
        return {
            'os.getenv("KUBERNETES_SERVICE_HOST")': f'"{url.hostname}"',
            'os.getenv("KUBERNETES_SERVICE_PORT")': f'"{url.port}"',
            "https://kubernetes.default.svc/": "https://localhost/",
        }
