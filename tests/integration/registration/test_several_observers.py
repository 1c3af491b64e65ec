# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster on board of two observers, against three real API servers; its agent and its gateways are real, too."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    TENANTS,
    authority_secret_name,
    leaf_secret,
    pair_of_authority,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.kubelet import ANNOTATION
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.transport import Response, Transport
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration.clusters import manage_all
from ansible_collections.scs.observability.plugins.module_utils._registration.observers import deregister, register
from tests.argument_specs import argument_spec
from tests.integration.api_server import ApiServer, running_api_server
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.shown_clusters import shown_clusters

# Seconds between two samples. A queue that cannot send what it has holds up all for its flush deadline.
STANDSTILL = 0.8 * agent.FLUSH_SECONDS


@pytest.fixture(scope="module")
def second_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api_server(tmp_path_factory.mktemp("second")) as server:
        yield server


@dataclass
class Second:
    """The other observer."""

    client: KubernetesClient
    kubeconfig: str
    namespace: str
    url: str = "https://second.example.org:30443/api/v1/receive"

    @property
    def given(self) -> dict[str, Any]:
        return {
            "observer_kubeconfig": self.kubeconfig,
            "observer_namespace": self.namespace,
            "remote_write_url": self.url,
        }

    def record(self, name: str) -> dict[str, Any] | None:
        return self.client.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)


@pytest.fixture
def second(second_server: ApiServer, site: Any) -> Iterator[Second]:
    kubeconfig = str(second_server.kubeconfig())
    client = KubernetesClient.from_parameters({"kubeconfig": kubeconfig})
    result = Second(client, kubeconfig, f"{site.observer_namespace}-2")
    yield result
    client.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, site.name)
    site.deregister(force=True)
    site.deregister(**result.given, force=True)


def test_it_comes_on_board_of_two_and_leaves_one(site: Any, second: Second) -> None:
    params = site.params(additional_observers=[second.given], customer="Example Shop")
    planned = register(params, True)
    done = register(params, False)
    assert planned["changes"] == done["changes"]
    for check_mode in (True, False):
        again = register(params, check_mode)
        assert (again["changed"], again["changes"]) == (False, [])
    both = [site.record(), second.record(site.name)]
    assert [(item["spec"]["customer"], item["spec"]["clusterUID"]) for item in both] == [
        ("Example Shop", site.kaas_uid)
    ] * 2

    params = site.params(**second.given)
    planned, done = deregister(params, True), deregister(params, False)
    assert planned["changes"] == done["changes"]
    assert f"delete v1 Secret {site.namespace}/{agent.IDENTITY_SECRETS[1]}" in done["changes"]
    assert second.record(site.name) is None
    for check_mode in (True, False):
        assert register(site.params(), check_mode)["changed"] is False


def test_many_come_on_board_of_two_which_are_looked_at_once(site: Any, second: Second, kaas_server: ApiServer) -> None:
    looks: list[str] = []
    send = Transport.request

    def request(self: Transport, method: str, path: str, **options: Any) -> Response:
        if method == "GET" and f"{kaas_cluster.PLURAL}?" in path:
            looks.append(path)
        return send(self, method, path, **options)

    # No other test has these.
    numbers = range(41, 44)
    with shown_clusters(kaas_server, numbers) as shown:
        clusters = [
            {"name": f"{site.name}-{number}", "kubeconfig": str(shown.kubeconfig(number))} for number in numbers
        ]
        given = {name: value for name, value in site.params().items() if name not in ("name", "kubeconfig")}
        params = {**given, "clusters": clusters, "additional_observers": [second.given], "state": "present"}
        spec = argument_spec("agent_registration")
        planned = manage_all(params, True, spec)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Transport, "request", request)
            done = manage_all(params, False, spec)
        assert len(looks) == 2
        assert planned["changes"] == done["changes"]
        namespaces = [f"create v1 Namespace {place}" for place in (site.observer_namespace, second.namespace)]
        assert [line for line in done["changes"] if line in namespaces] == namespaces
        for cluster in clusters:
            for client in (site.observer, second.client):
                assert client.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, cluster["name"])
        for check_mode in (True, False):
            assert manage_all(params, check_mode, spec)["changes"] == []
        manage_all({**params, "state": "absent"}, False, spec)
    assert not second.client.list(kaas_cluster.API_VERSION, kaas_cluster.KIND)


def test_it_moves(site: Any, second: Second) -> None:
    register(site.params(contact="noc@example.org"), False)
    former = {"observer_kubeconfig": str(site.observer_kubeconfig), "observer_namespace": site.observer_namespace}
    # There is no kubelet, so nothing can be proven.
    params = site.params(**second.given, move_from=former, force=True)
    planned, done = register(params, True), register(params, False)
    assert planned["changes"] == done["changes"]
    assert site.record() is None
    moved = second.record(site.name)
    assert moved is not None
    assert moved["spec"]["contact"] == "noc@example.org"
    secrets = [item["metadata"]["name"] for item in site.kaas.list("v1", "Secret", site.namespace)]
    assert secrets == [agent.IDENTITY_SECRETS[1]]
    for params_again in (params, site.params(**second.given)):
        assert register(params_again, False)["changed"] is False


# With the agent


class Target(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"load 1\n")

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


class Gateway:
    """Who takes writes at one observer: a Prometheus that asks for a certificate of ``tenants``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.context = ssl.create_default_context()
        folder.mkdir()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/api/v1/write"

    @contextmanager
    def start(self, client: KubernetesClient, namespace: str, identity: dict[str, Any]) -> Iterator[None]:
        """With the authorities that an observer has; ``identity`` is an agent's Secret, to read what was received."""
        authority = {
            name: pair_of_authority(client.get("v1", "Secret", authority_secret_name(name), namespace) or {})
            for name in (TENANTS, INTERNAL)
        }
        server = leaf_secret(
            None,
            "server",
            namespace,
            {},
            authority[INTERNAL],
            common_name="gateway",
            now=datetime.now(UTC),
            dns_names=["localhost"],
            server=True,
        )
        files = {
            "server.crt": secret_text(server, "tls.crt"),
            "server.key": secret_text(server, "tls.key"),
            "tenants.crt": authority[TENANTS].certificate,
            "client.crt": secret_text(identity, "tls.crt"),
            "client.key": secret_text(identity, "tls.key"),
            "web.yml": yaml.safe_dump(
                {
                    "tls_server_config": {
                        "cert_file": "server.crt",
                        "key_file": "server.key",
                        "client_auth_type": "RequireAndVerifyClientCert",
                        "client_ca_file": "tenants.crt",
                    }
                }
            ),
            "receiver.yml": "{}",
        }
        for name, text in files.items():
            (self.folder / name).write_text(text or "")
        self.context = ssl.create_default_context(cadata=authority[INTERNAL].certificate)
        self.context.load_cert_chain(self.folder / "client.crt", self.folder / "client.key")
        arguments = [
            f"--config.file={self.folder / 'receiver.yml'}",
            f"--web.config.file={self.folder / 'web.yml'}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-remote-write-receiver",
        ]
        log = self.folder / "log"
        with process("prometheus", arguments, log) as running:
            wait_until(lambda: answers(f"https://localhost:{self.port}/-/ready", self.context), running, log)
            yield

    def received(self) -> list[float]:
        """The times of the target's samples."""
        query = urllib.parse.urlencode({"query": "load[1h]"})
        url = f"https://localhost:{self.port}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=10, context=self.context) as response:
            result = json.load(response)["data"]["result"]
        return [float(time) for series in result for time, _value in series["values"]]


class Kubelet(threading.Thread):
    """Brings the ConfigMap and the Secrets of an agent into a folder, each as a whole, like a kubelet."""

    def __init__(self, site: Any, folder: Path, job: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.site, self.folder, self.job = site, folder, job
        self.ended = threading.Event()
        self.sync()

    def sync(self) -> None:
        for number, name in enumerate(agent.IDENTITY_SECRETS, 1):
            secret = self.site.kaas.get("v1", "Secret", name, self.site.namespace)
            place = self.folder / "identity" / str(number)
            if secret is None:
                shutil.rmtree(place, ignore_errors=True)
                continue
            place.mkdir(parents=True, exist_ok=True)
            for key, value in secret["data"].items():
                self._write(place / key, base64.b64decode(value))
        config_map = self.site.kaas.get("v1", "ConfigMap", agent.NAME, self.site.namespace)
        content = yaml.safe_load(config_map["data"][agent.CONFIGURATION_FILE])
        content["scrape_configs"] = [self.job]
        content["global"] = {"scrape_interval": "200ms", "scrape_timeout": "200ms"}
        for queue in content["remote_write"]:
            queue["queue_config"]["batch_send_deadline"] = "500ms"
            for name in ("cert_file", "key_file", "ca_file"):
                queue["tls_config"][name] = queue["tls_config"][name].replace("/etc/prometheus", str(self.folder))
        self._write(self.folder / agent.CONFIGURATION_FILE, yaml.safe_dump(content).encode())

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        if not path.exists() or path.read_bytes() != content:
            new = path.with_suffix(".new")
            new.write_bytes(content)
            new.rename(path)

    def run(self) -> None:
        while not self.ended.wait(0.2):
            self.sync()


def test_on_its_way_from_one_to_another_no_sample_is_lost(
    site: Any, second: Second, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=target.serve_forever, daemon=True).start()
    old, new = Gateway(tmp_path / "old"), Gateway(tmp_path / "new")
    second.url = new.url
    register(site.params(remote_write_url=old.url), False)
    deployment = site.kaas.get("apps/v1", "Deployment", agent.NAME, site.namespace)
    template = deployment["spec"]["template"]
    pod = {"name": "agent", "namespace": site.namespace, "labels": template["metadata"]["labels"]}
    site.kaas.create({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": template["spec"]})
    job = {"job_name": "any", "static_configs": [{"targets": [f"127.0.0.1:{target.server_port}"]}]}
    kubelet = Kubelet(site, tmp_path, job)
    log = tmp_path / "agent.log"
    monkeypatch.setattr(KubernetesClient, "logs", lambda *_arguments: log.read_text())
    own = {
        "--config.file": tmp_path / agent.CONFIGURATION_FILE,
        "--storage.agent.path": tmp_path / "data",
        "--web.listen-address": f"127.0.0.1:{free_port()}",
    }
    arguments = [
        f"{name}={own[name]}" if (name := item.partition("=")[0]) in own else item
        for item in template["spec"]["containers"][0]["args"]
    ]

    def identity(place: int) -> dict[str, Any]:
        return dict(site.kaas.get("v1", "Secret", agent.IDENTITY_SECRETS[place], site.namespace))

    with ExitStack() as stack:
        stack.callback(target.server_close)
        # Else its thread goes on with whatever socket is given the same number next.
        stack.callback(target.shutdown)
        stack.enter_context(old.start(site.observer, site.observer_namespace, identity(0)))
        running = stack.enter_context(process("prometheus", arguments, log))
        stack.callback(kubelet.ended.set)
        kubelet.start()
        wait_until(lambda: len(old.received()) > 3, running, log)

        register(site.params(remote_write_url=old.url, additional_observers=[second.given]), False)
        stack.enter_context(new.start(second.client, second.namespace, identity(1)))
        wait_until(lambda: len(new.received()) > 3, running, log)

        deregister(site.params(), False)
        until = time.time()
        wait_until(lambda: new.received()[-1] > until + 1, running, log)
        before, after = old.received(), new.received()
    refreshed = site.kaas.get("v1", "Pod", "agent", site.namespace)["metadata"]["annotations"]
    assert ANNOTATION in refreshed
    # Each has all from its first to its last one, and one begins before the other ends.
    assert after[0] < before[-1] < until < after[-1]
    shared = [moment for moment in before if moment >= after[0]]
    assert shared == [moment for moment in after if moment <= before[-1]]
    # In the middle nothing stood still.
    assert max(later - earlier for earlier, later in pairwise(sorted({*before, *after}))) < STANDSTILL
