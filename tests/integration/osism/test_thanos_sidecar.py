# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidecar as the module runs it beside a Prometheus as kolla runs it, read by a real query over mutual TLS."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    create_authority,
    issue,
)
from ansible_collections.scs.observability.plugins.module_utils._osism.operation import ensure
from tests.integration.osism.kolla import (
    PASSWORD,
    USER,
    KollaPrometheus,
    build_image,
    docker,
    kolla_prometheus,
    needs_engine,
)
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.thanos.pods import wait_for

SERVER_NAME = "control-1.iaas.scs-observability"
SOON = 60.0


@dataclass
class Sidecar:
    """One sidecar, as the module has it."""

    prometheus: KollaPrometheus
    folder: Path
    authority: KeyPair
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)

    @property
    def name(self) -> str:
        return f"{self.prometheus.name}-sidecar"

    def parameters(self, **others: Any) -> dict[str, Any]:
        """What the module is given at least."""
        return {
            "state": "present",
            "container": self.prometheus.name,
            "name": self.name,
            "directory": str(self.folder / "etc"),
            "wait_timeout": 30,
            **others,
        }

    def certificate(self, authority: KeyPair | None = None, name: str = SERVER_NAME) -> dict[str, Any]:
        authority = authority or self.authority
        pair = issue(authority, name, datetime.now(UTC), dns_names=[name], server=True, client=False)
        return {
            "tls_certificate": pair.certificate,
            "tls_key": pair.key,
            "tls_client_ca": authority.certificate,
            "server_name": SERVER_NAME,
        }

    def settings(self) -> dict[str, Any]:
        return {
            "grpc_address": "127.0.0.1",
            "grpc_port": self.port,
            "http_port": self.http_port,
            "prometheus_user": USER,
            "prometheus_password": PASSWORD,
            **self.certificate(),
        }

    def run(self, *, check: bool = False, **params: Any) -> dict[str, Any]:
        return ensure(self.parameters(**params), check)

    def inspect(self) -> dict[str, Any] | None:
        found = json.loads(docker("container", "inspect", self.name, check=False) or "[]")
        return found[0] if found else None

    @property
    def log(self) -> str:
        return docker("logs", self.name, check=False)


@contextmanager
def query(folder: Path, endpoints: Sequence[int], authority: KeyPair, ca: KeyPair) -> Iterator[int]:
    """A real query with a certificate of ``authority`` that trusts what ``ca`` signed; its port is yielded."""
    folder.mkdir()
    pair = issue(authority, "thanos-query", datetime.now(UTC), server=False, client=True)
    for name, text in {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": ca.certificate}.items():
        (folder / name).write_text(text)
    port = free_port()
    arguments = [
        "query",
        f"--http-address=127.0.0.1:{port}",
        f"--grpc-address=127.0.0.1:{free_port()}",
        "--grpc-client-tls-secure",
        f"--grpc-client-tls-cert={folder / 'tls.crt'}",
        f"--grpc-client-tls-key={folder / 'tls.key'}",
        f"--grpc-client-tls-ca={folder / 'ca.crt'}",
        f"--grpc-client-server-name={SERVER_NAME}",
        "--query.replica-label=replica",
        "--store.sd-dns-interval=1s",
        *(f"--endpoint=127.0.0.1:{item}" for item in endpoints),
    ]
    log = folder / "log"
    with process("thanos", arguments, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
        yield port


def series(port: int, selector: str, **parameters: str) -> list[dict[str, str]]:
    asked = urlencode({"query": selector, **parameters})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{asked}", timeout=30) as response:
        return [item["metric"] for item in json.load(response)["data"]["result"]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    needs_engine()
    build_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return create_authority("internal", datetime.now(UTC))


@pytest.fixture(scope="module")
def prometheus(image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KollaPrometheus]:
    with kolla_prometheus(tmp_path_factory.mktemp("prometheus")) as made:
        yield made


@pytest.fixture
def sidecar(prometheus: KollaPrometheus, authority: KeyPair, tmp_path: Path) -> Iterator[Sidecar]:
    made = Sidecar(prometheus, tmp_path, authority)
    yield made
    docker("rm", "--force", made.name, check=False)


def test_a_sidecar_comes_stays_and_goes(sidecar: Sidecar, authority: KeyPair, tmp_path: Path) -> None:
    kollas = sidecar.prometheus.snapshot()
    settings = sidecar.settings()
    foreseen = sidecar.run(check=True, **settings)
    assert sidecar.inspect() is None
    made = sidecar.run(**settings)
    assert made["changes"] == foreseen["changes"]
    with query(tmp_path / "query", [sidecar.port], authority, authority) as port:
        found = wait_for(lambda: series(port, 'up{layer="iaas"}'), SOON, "what is up")
        print(found)
    again = sidecar.run(**settings)
    assert not again["changed"], again
    print(made)
    print(sidecar.log)
    gone = sidecar.run(state="absent")
    print(gone)
    assert sidecar.prometheus.snapshot() == kollas
