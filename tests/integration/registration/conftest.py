# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observer and a KaaS cluster: two real API servers, without kubelets, so nothing becomes ready there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from tests.integration.api_server import ApiServer, running_api_server


@pytest.fixture(scope="session")
def observer_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api_server(tmp_path_factory.mktemp("observer")) as server:
        yield server


@pytest.fixture(scope="session")
def kaas_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api_server(tmp_path_factory.mktemp("kaas")) as server:
        yield server


_NUMBERS = itertools.count(1)


@dataclass
class Site:
    """Both sides, and parameters that lead to them. Each test has namespaces and a name of its own."""

    observer: KubernetesClient
    kaas: KubernetesClient
    observer_kubeconfig: Path
    kaas_kubeconfig: Path
    name: str
    namespace: str
    observer_namespace: str

    def params(self, **changes: Any) -> dict[str, Any]:
        """Without waiting: there is no kubelet that could make anything ready."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "observer_namespace": self.observer_namespace,
            "kubeconfig": str(self.kaas_kubeconfig),
            "observer_kubeconfig": str(self.observer_kubeconfig),
            "remote_write_url": "https://gateway.example.org:30443/api/v1/receive",
            "sla_classes": ["gold", "silver"],
            "wait": False,
            **changes,
        }

    def register(self, *, check: bool = False, **changes: Any) -> dict[str, Any]:
        return register(self.params(**changes), check)

    def deregister(self, *, check: bool = False, **changes: Any) -> dict[str, Any]:
        return deregister(self.params(**changes), check)

    def record(self) -> dict[str, Any] | None:
        return self.observer.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, self.name)

    @property
    def kaas_uid(self) -> str:
        system = self.kaas.get("v1", "Namespace", "kube-system")
        assert system is not None
        return str(system["metadata"]["uid"])


@pytest.fixture
def site(observer_server: ApiServer, kaas_server: ApiServer) -> Iterator[Site]:
    number = next(_NUMBERS)
    observer_kubeconfig, kaas_kubeconfig = observer_server.kubeconfig(), kaas_server.kubeconfig()
    result = Site(
        observer=KubernetesClient.from_parameters({"kubeconfig": str(observer_kubeconfig)}),
        kaas=KubernetesClient.from_parameters({"kubeconfig": str(kaas_kubeconfig)}),
        observer_kubeconfig=observer_kubeconfig,
        kaas_kubeconfig=kaas_kubeconfig,
        name=f"cluster-{number}",
        namespace=f"agents-{number}",
        observer_namespace=f"observer-{number}",
    )
    yield result
    # A cluster has one registration only: the next test must find it free.
    for record in result.observer.list(kaas_cluster.API_VERSION, kaas_cluster.KIND):
        result.observer.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, record["metadata"]["name"])
    result.deregister()
