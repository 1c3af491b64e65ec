# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observer and a KaaS cluster: two real API servers, without kubelets, so nothing becomes ready there."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from tests.integration.apiserver.conftest import ApiServer, Authority, answers, free_port, process, wait_until


@contextmanager
def running_api_server(folder: Path) -> Iterator[ApiServer]:
    authority = Authority(folder)
    certificate, key = authority.pair("server", "kube-apiserver", server=True)
    admin_certificate, admin_key = authority.pair("readiness", "readiness", ("system:masters",))
    account_key = authority.write_key("service-accounts.key", ec.generate_private_key(ec.SECP256R1()))
    etcd_url, peer_url, port = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", free_port()
    etcd_arguments = [
        *("--data-dir", str(folder / "etcd"), "--unsafe-no-fsync", "--log-level=warn"),
        *("--listen-client-urls", etcd_url, "--advertise-client-urls", etcd_url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", f"default={peer_url}"),
    ]
    arguments = [
        *(f"--etcd-servers={etcd_url}", f"--secure-port={port}"),
        *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--cert-dir={folder}"),
        *(f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}"),
        *(f"--client-ca-file={authority.certificate}", "--authorization-mode=RBAC"),
        "--service-account-issuer=https://kubernetes.default.svc",
        *(f"--service-account-key-file={account_key}", f"--service-account-signing-key-file={account_key}"),
        "--service-cluster-ip-range=10.0.0.0/24",
    ]
    url = f"https://127.0.0.1:{port}"
    with ExitStack() as stack:
        log = folder / "etcd.log"
        etcd = stack.enter_context(process("etcd", etcd_arguments, log))
        wait_until(lambda: answers(f"{etcd_url}/health"), etcd, log)
        log = folder / "kube-apiserver.log"
        server = stack.enter_context(process("kube-apiserver", arguments, log))
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.load_cert_chain(str(admin_certificate), str(admin_key))
        wait_until(lambda: answers(f"{url}/readyz", context), server, log)
        yield ApiServer(url, folder, authority)


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
