# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observer whose objects are in a real API server and whose pods are real programs on loopback.

The modules deploy into the API server; the tests play controllers and kubelet. Its proxy does not connect to loopback,
so the pods have an address of this machine, where requests are passed on.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import kubernetes
import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway, thanos
from ansible_collections.scs.observability.plugins.module_utils._registration.overview import overview
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from tests.integration.api_server import ApiServer
from tests.integration.thanos.conftest import NAMESPACE, Observer, block_duration, identities, observer, write
from tests.integration.thanos.pods import Manifest, Pod

__all__ = ["block_duration", "identities", "observer"]

CLUSTER = "kaas-1"
PARTS = ("receive", "store", "query", "query_frontend")
KINDS = {"Deployment": "deployment", "StatefulSet": "stateful_set"}


def machine_address() -> str:
    """An address of this machine that is not loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            pytest.fail(f"this machine has no address but loopback, which the API server does not connect to: {error}")
        return str(probe.getsockname()[0])


@contextmanager
def passed_on(address: str, port: int) -> Iterator[int]:
    """Pass requests on to a port on loopback, from the port that is yielded; without an answer there, give none."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                with urlopen(f"http://127.0.0.1:{port}{self.path}", timeout=30) as answer:
                    self.answer(answer.status, answer.read())
            except HTTPError as error:
                self.answer(error.code, error.read())
            except OSError:
                self.close_connection = True

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Site:
    """The observer in the API server, and what runs."""

    api_server: ApiServer
    admin: KubernetesClient
    other: kubernetes.client.ApiClient
    running: Observer

    def look(self, user: str = "", **changes: Any) -> dict[str, Any]:
        """What observer_info returns, to an administrator or to a user."""
        kubeconfig = self.api_server.kubeconfig(user, ()) if user else self.api_server.kubeconfig()
        given = {"kubeconfig": str(kubeconfig), "namespace": NAMESPACE, "parts": list(PARTS)}
        return overview({**given, **changes}, False)

    def component(self, name: str) -> dict[str, Any]:
        (found,) = [row for row in self.look()["components"] if row["name"] == name]
        return found

    def workload(self, name: str) -> Manifest:
        for kind in KINDS:
            live = self.admin.get("apps/v1", kind, name, NAMESPACE)
            if live is not None:
                return live
        raise AssertionError(f"{name} is not deployed")

    def count(self, name: str, ready: int) -> None:
        """Have the workload's controller count so many ready pods."""
        live = self.workload(name)
        status = {
            **dict.fromkeys(("readyReplicas", "availableReplicas"), ready),
            **dict.fromkeys(("replicas", "updatedReplicas"), live["spec"]["replicas"]),
            "observedGeneration": live["metadata"]["generation"],
        }
        if live["kind"] == "StatefulSet":
            status |= {"currentRevision": "first", "updateRevision": "first"}
        patch = getattr(kubernetes.client.AppsV1Api(self.other), f"patch_namespaced_{KINDS[live['kind']]}_status")
        patch(name, NAMESPACE, {"status": status})

    def place(self, pod: Pod, port_name: str, address: str, port: int) -> None:
        """Have the workload's pod, which listens there."""
        live = self.workload(pod.name)
        template = live["spec"]["template"]
        (container,) = template["spec"]["containers"]
        core, name = kubernetes.client.CoreV1Api(self.other), f"{pod.name}-0"
        ports = [{"name": port_name, "containerPort": port}]
        spec = {"containers": [{"name": container["name"], "image": container["image"], "ports": ports}]}
        core.create_namespaced_pod(NAMESPACE, {"metadata": {**template["metadata"], "name": name}, "spec": spec})
        state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        fixed = {"image": container["image"], "imageID": "", "ready": True, "restartCount": 0, "state": state}
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "containerStatuses": [{"name": container["name"], **fixed}],
        }
        core.patch_namespaced_pod_status(name, NAMESPACE, {"status": status})
        target = {"kind": "Pod", "name": name, "namespace": NAMESPACE}
        subset = {"addresses": [{"ip": address, "targetRef": target}], "ports": [{"name": port_name, "port": port}]}
        core.create_namespaced_endpoints(NAMESPACE, {"metadata": {"name": pod.name}, "subsets": [subset]})
        self.count(pod.name, live["spec"]["replicas"])

    def take_away(self, pod: Pod) -> None:
        """Leave the API server to the next tests without the pod."""
        core = kubernetes.client.CoreV1Api(self.other)
        core.delete_namespaced_pod(f"{pod.name}-0", NAMESPACE, grace_period_seconds=0)
        core.delete_namespaced_endpoints(pod.name, NAMESPACE)


JOBS = ("agent", "kubelet")


def deploy(kubeconfig: str) -> None:
    """What the role observer does, without waiting: there is no kubelet."""
    common = {"kubeconfig": kubeconfig, "namespace": NAMESPACE, "wait": False}
    bucket = {
        "objstore": {"type": "S3", "config": {"bucket": "metrics", "endpoint": "s3.example.org"}},
        "objstore_access_key": "key",
        "objstore_secret_key": "secret",
    }
    receive = thanos.ensure({**common, "component": "receive", **bucket}, False)["endpoints"]
    store = thanos.ensure({**common, "component": "store", **bucket}, False)["endpoints"]
    seen = [receive["grpc"], store["grpc"]]
    query = thanos.ensure({**common, "component": "query", "endpoints": seen}, False)["endpoints"]
    thanos.ensure({**common, "component": "query_frontend", "endpoints": [query["http"]]}, False)
    gateway.ensure({**common, "receive_url": receive["remote_write"], "replicas": 1}, False)


@pytest.fixture(scope="module")
def deployed(api_server: ApiServer) -> str:
    """A kubeconfig, after the observer's objects are there.

    Before the observer runs: the gateway ends who may write without being registered, as other tests' clusters do.
    """
    kubeconfig = str(api_server.kubeconfig())
    deploy(kubeconfig)
    return kubeconfig


@pytest.fixture(scope="module")
def site(api_server: ApiServer, deployed: str, observer: Observer, no_registrations: None) -> Iterator[Site]:
    with ExitStack() as stack:
        other = stack.enter_context(kubernetes.config.new_client_from_config(deployed))
        result = Site(api_server, api_server.client(), other, observer)
        address = machine_address()
        pods = (observer.receive, observer.store, observer.query, observer.query_frontend, observer.gateway)
        for pod in pods:
            port_name = "metrics" if pod is observer.gateway else "http"
            port = stack.enter_context(passed_on(address, pod.ports[port_name]))
            result.place(pod, port_name, address, port)
            stack.callback(result.take_away, pod)
        definition = kaas_cluster.definition()
        result.admin.apply(definition)
        wait_ready(result.admin, [identity(definition)], 30)
        uid = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"
        result.admin.apply(Registration(CLUSTER, uid, "active", observer=NAMESPACE, jobs=JOBS).manifest())
        # An agent that sees nothing but itself is down.
        for job in JOBS:
            assert write(observer.agent(CLUSTER), "up", job=job).status == 200
        observer.wait_for_series(f'up{{cluster="{CLUSTER}"}}')
        yield result
