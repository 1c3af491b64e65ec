# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observer that runs, and Prometheuses of the IaaS layer beside it with Thanos sidecars, as kolla has them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._iaas import registration
from ansible_collections.scs.observability.plugins.module_utils._manifests import iaas_prometheus, workload
from tests.integration.api_server import ApiServer
from tests.integration.observer.conftest import Site, block_duration, deploy, identities, observer, site
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.thanos.conftest import GATEWAY_NAME, NAMESPACE, Identities, component_of
from tests.integration.thanos.pods import Manifest

__all__ = ["block_duration", "identities", "observer", "site"]

QUERY = "thanos-query"
CONFIGURATION = f"{QUERY}-configuration"


@pytest.fixture(scope="module")
def deployed(api_server: ApiServer, identities: Identities) -> str:
    """A kubeconfig, after the observer's objects are there, with the authorities of what runs."""
    client = api_server.client()
    client.apply(workload.namespace(NAMESPACE))
    for name, secret in identities.secrets.stored.items():
        client.delete("v1", "Secret", name, NAMESPACE)
        client.create(secret)
    kubeconfig = str(api_server.kubeconfig())
    deploy(kubeconfig)
    return kubeconfig


class Kubelet:
    """Brings the file of endpoints to the query that runs, as soon as it is another one."""

    def __init__(self, site: Site) -> None:
        self.site = site
        # What the pod has beside it, its certificates above all
        self.others, _ignored = component_of(site.running.identities, component="query", endpoints=["any:1"])
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        seen = None
        while not self._end.wait(0.1):
            live = self.site.admin.get("v1", "ConfigMap", CONFIGURATION, NAMESPACE)
            if live and live["data"] != seen:
                seen = live["data"]
                others = [item for item in self.others if item["kind"] != "ConfigMap"]
                self.site.running.query.deliver([*others, live])

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


@dataclass
class Host:
    """A Prometheus with a region's external labels, and a sidecar beside it. It scrapes itself, or what is at another
    port.
    """

    folder: Path
    labels: Mapping[str, str]
    target: int = 0
    grpc: int = field(default_factory=free_port)
    http: int = field(default_factory=free_port)
    own: int = field(default_factory=free_port)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.grpc}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @contextmanager
    def prometheus(self, remote_write: Mapping[str, str] | None = None, url: str = "") -> Iterator[None]:
        """Runs for as long as the block lasts; writes with what the module returned, if that is given."""
        configuration: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "external_labels": dict(self.labels)},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{self.target or self.own}"]}]}
                for job in ("prometheus", "mysqld")
            ],
        }
        if remote_write:
            files = {name: self.folder / f"remote-write-{name}.pem" for name in ("ca", "certificate", "key")}
            for name, path in files.items():
                path.write_text(remote_write[name])
            tls = {"ca_file": files["ca"], "cert_file": files["certificate"], "key_file": files["key"]}
            configuration["remote_write"] = [
                {
                    "url": url,
                    "tls_config": {**{key: str(path) for key, path in tls.items()}, "server_name": GATEWAY_NAME},
                    "queue_config": {"batch_send_deadline": "1s"},
                }
            ]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        arguments = [
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.data}",
            *("--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"),
            f"--web.listen-address=127.0.0.1:{self.own}",
        ]
        log = self.folder / "prometheus.log"
        with process("prometheus", arguments, log) as running:
            wait_until(lambda: answers(f"http://127.0.0.1:{self.own}/-/ready"), running, log)
            yield

    @contextmanager
    def sidecar(self, tls: Mapping[str, str], objstore: Mapping[str, Any] | None = None) -> Iterator[None]:
        """Runs with what the module returned."""
        files = {name: self.folder / f"{name}.pem" for name in ("certificate", "key", "client_ca")}
        for name, path in files.items():
            path.write_text(tls[name])
        arguments = [
            "sidecar",
            f"--prometheus.url=http://127.0.0.1:{self.own}",
            f"--tsdb.path={self.data}",
            f"--grpc-address={self.address}",
            f"--http-address=127.0.0.1:{self.http}",
            f"--grpc-server-tls-cert={files['certificate']}",
            f"--grpc-server-tls-key={files['key']}",
            f"--grpc-server-tls-client-ca={files['client_ca']}",
            "--grpc-server-tls-min-version=1.3",
            *([f"--objstore.config={json.dumps(objstore)}"] if objstore else []),
        ]
        log = self.folder / "sidecar.log"
        with process("thanos", arguments, log) as running:
            wait_until(lambda: answers(f"http://127.0.0.1:{self.http}/-/ready"), running, log)
            yield


@dataclass
class Iaas:
    """The observer, and how to register with it."""

    site: Site
    kubeconfig: str
    folder: Path
    numbers: Iterator[int]

    def register(self, name: str, *, check: bool = False, **changes: Any) -> dict[str, Any]:
        params = {
            "name": name,
            "region": "north",
            "state": "present",
            "namespace": NAMESPACE,
            "kubeconfig": self.kubeconfig,
            "proof": False,
            "proof_timeout": 60,
            "remote_write_url": self.remote_write_url,
            **changes,
        }
        return registration.ensure(params, check)

    def host(self, replica: str = "control-1", target: int = 0, **labels: str) -> Host:
        folder = self.folder / f"host-{next(self.numbers)}"
        folder.mkdir()
        return Host(folder, {"layer": "iaas", "region": "north", "replica": replica, **labels}, target)

    @property
    def remote_write_url(self) -> str:
        return f"https://127.0.0.1:{self.site.running.gateway.ports['https']}/api/v1/receive"

    def record(self, name: str) -> Manifest | None:
        return self.site.admin.get(iaas_prometheus.API_VERSION, iaas_prometheus.KIND, name)

    def endpoints(self) -> dict[str, str]:
        """Whom query asks with a name of its own, and that name."""
        live = self.site.admin.get("v1", "ConfigMap", CONFIGURATION, NAMESPACE)
        assert live is not None
        found = json.loads(live["data"]["endpoints.json"])["endpoints"]
        return {item["address"]: item["client_config"]["server_name"] for item in found if "client_config" in item}

    def stores(self) -> set[str]:
        """Whom query has reached."""
        with urlopen(f"http://127.0.0.1:{self.site.running.query.ports['http']}/api/v1/stores", timeout=10) as response:
            found = json.load(response)["data"]
        return {item["name"] for items in found.values() for item in items or () if not item["lastError"]}

    def series(self, selector: str) -> list[dict[str, str]]:
        return self.site.running.series(selector)


@pytest.fixture(scope="module")
def iaas(site: Site, deployed: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iaas]:
    kubelet = Kubelet(site)
    with ExitStack() as stack:
        stack.callback(kubelet.stop)
        yield Iaas(site, deployed, tmp_path_factory.mktemp("iaas"), iter(range(1, 100)))
        # Other tests have other observers there.
        own = f"{iaas_prometheus.OBSERVER_LABEL}={NAMESPACE}"
        for record in site.admin.list(iaas_prometheus.API_VERSION, iaas_prometheus.KIND, label_selector=own):
            name = record["metadata"]["name"]
            registration.ensure(
                {"name": name, "state": "absent", "namespace": NAMESPACE, "kubeconfig": deployed}, False
            )
        site.admin.delete("v1", "ConfigMap", "former-clusters", NAMESPACE)
