# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real API server: etcd and kube-apiserver, without any controller or kubelet."""

from __future__ import annotations

import datetime
import itertools
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import kubernetes
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import apply_plan, plan_objects
from tests.integration.processes import answers, free_port, process, wait_until

# A fourth of the time that it computes while it starts and is given definitions would go into collecting garbage.
_SELDOM_COLLECTED = {"GOGC": "400"}


class Authority:
    """Signs the API server's certificate and its users'."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate = self._write("ca.crt", self._sign(builder))

    def pair(
        self, file: str, common_name: str, groups: tuple[str, ...] = (), *, server: bool = False
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        name = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = self._builder(name, key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if server:
            names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._write(f"{file}.crt", self._sign(builder)), self.write_key(f"{file}.key", key)

    def write_key(self, file: str, key: ec.EllipticCurvePrivateKey) -> Path:
        # kube-apiserver reads the service accounts' key in this form only.
        form = serialization.PrivateFormat.TraditionalOpenSSL
        return self._write(file, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, file: str, content: bytes) -> Path:
        path = self._folder / file
        path.write_bytes(content)
        path.chmod(0o600)
        return path


@dataclass
class ApiServer:
    """A running API server and a way to make kubeconfigs for it."""

    url: str
    folder: Path
    authority: Authority
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def kubeconfig(self, user: str = "admin", groups: tuple[str, ...] = ("system:masters",), **changes: Any) -> Path:
        """Return a kubeconfig for a user with a client certificate; ``changes`` go into its cluster."""
        name = f"{user}-{next(self._numbers)}"
        certificate, key = self.authority.pair(name, user, groups)
        cluster = {"server": self.url, "certificate-authority": str(self.authority.certificate), **changes}
        return self._write(name, cluster, {"client-certificate": str(certificate), "client-key": str(key)})

    def kubeconfig_of(self, user: dict[str, Any]) -> Path:
        """Return a kubeconfig whose user is given as kubectl has it."""
        cluster = {"server": self.url, "certificate-authority": str(self.authority.certificate)}
        return self._write(f"user-{next(self._numbers)}", cluster, user)

    def client(self, user: str = "admin", groups: tuple[str, ...] = ("system:masters",)) -> KubernetesClient:
        return KubernetesClient.from_parameters({"kubeconfig": str(self.kubeconfig(user, groups))})

    def _write(self, name: str, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
        path = self.folder / f"{name}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
        }
        path.write_text(yaml.safe_dump(config))
        return path


def have(client: KubernetesClient, *manifests: Mapping[str, Any]) -> None:
    """Write objects, those of a kind among them that the API server comes to know by a definition given with them."""
    apply_plan(client, plan_objects(client, manifests))


def add_node(server: ApiServer, name: str, *, taints: Sequence[Mapping[str, str]] = (), **allocatable: str) -> None:
    """A node that counts as ready, as far as the API server knows."""
    with kubernetes.config.new_client_from_config(str(server.kubeconfig())) as client:
        core = kubernetes.client.CoreV1Api(client)
        core.create_node({"metadata": {"name": name}})
        status = {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]}
        core.patch_node_status(name, {"status": status})
        # It was given a taint, which a controller takes away when the node is ready.
        core.patch_node(name, {"spec": {"taints": list(taints)}})


def storage_class(name: str, *, default: bool) -> dict[str, Any]:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true" if default else "false"}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata, "provisioner": "none"}


@contextmanager
def running_api_server(folder: Path) -> Iterator[ApiServer]:
    """An API server of its own, for as long as the block lasts."""
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
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={authority.certificate}",
        f"--cert-dir={folder}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={account_key}",
        f"--service-account-signing-key-file={account_key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        # No controller makes service accounts here; the plugin would refuse pods without one.
        "--disable-admission-plugins=ServiceAccount",
    ]
    url = f"https://127.0.0.1:{port}"
    with ExitStack() as stack:
        log = folder / "etcd.log"
        etcd = stack.enter_context(process("etcd", etcd_arguments, log))
        wait_until(lambda: answers(f"{etcd_url}/health"), etcd, log)
        log = folder / "kube-apiserver.log"
        server = stack.enter_context(process("kube-apiserver", arguments, log, _SELDOM_COLLECTED))
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.load_cert_chain(str(admin_certificate), str(admin_key))
        wait_until(lambda: answers(f"{url}/readyz", context), server, log)
        yield ApiServer(url, folder, authority)


@contextmanager
def running_cluster(folder: Path) -> Iterator[ApiServer]:
    """An API server with what an observer wants to see of a cluster."""
    with running_api_server(folder) as server:
        add_node(server, "node-1", cpu="8", memory="16Gi", pods="110")
        server.client().create(storage_class("standard", default=True))
        yield server
