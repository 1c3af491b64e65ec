# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected follows what a cluster has, with no right too many, beside what a customer has already."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import kubernetes
import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    blackbox_exporter,
    collected,
    kube_state_metrics,
    node_exporter,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.collected import Collected, ExtraJob
from ansible_collections.scs.observability.plugins.module_utils._registration import parts
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.registration.test_registration import kubectl
from tests.integration.thanos.pods import wait_for
from tests.relabelling import relabelled, series_of

OVERRIDES: dict[str, Any] = {
    "workloads": {"namespaces": ["shop"], "selector": "monitoring=true"},
    "extra_jobs": [{"name": "database", "service": "postgres", "namespace": "data", "port": 9187}],
    "blackbox": {"targets": [{"name": "api", "url": "https://kubernetes.default.svc/readyz"}]},
}
ROLE = "rbac.authorization.k8s.io/v1"


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def workload(kind: str, name: str, place: str, port: dict[str, Any], **spec: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name}
    container = {"name": name, "image": f"example.org/{name}", "ports": [port]}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": place, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], **spec}},
        },
    }


def static_pod(component: str, *command: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{component}-cp-1",
            "namespace": "kube-system",
            "labels": {"component": component, "tier": "control-plane"},
            "annotations": {"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": "192.0.2.4:6443"},
        },
        "spec": {"nodeName": "cp-1", "containers": [{"name": component, "image": "x", "command": list(command)}]},
    }


@contextmanager
def there(server: Any, *objects: dict[str, Any]) -> Iterator[None]:
    """Objects of a customer, for as long as the block lasts. No controller ends a namespace: they stay."""
    kubectl(server, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
    yield
    rest = [item for item in objects if item["kind"] != "Namespace"]
    # Nor does a kubelet end a pod.
    options = ["--ignore-not-found", "--force", "--grace-period=0", "--wait=false"]
    kubectl(server, "delete", *options, "-f", "-", stdin=yaml.safe_dump_all(rest))


def seen_namespaces(site: Any) -> set[str]:
    """Where the agent may look for targets."""
    selector = f"app.kubernetes.io/instance={site.name}"
    return {item["metadata"]["namespace"] for item in site.kaas.list(ROLE, "Role", label_selector=selector)}


def configured(site: Any) -> set[str]:
    config = site.kaas.get("v1", "ConfigMap", agent.NAME, site.namespace)
    return {job["job_name"] for job in yaml.safe_load(config["data"]["prometheus.yml"])["scrape_configs"]}


def reasons(result: dict[str, Any]) -> dict[str, str]:
    return {item["job"]: item["reason"] for item in result["not_collected"]}


def test_what_comes_later_is_collected_from_the_next_run_on(site: Any, kaas_server: Any) -> None:
    # Namespaces that no other test has: none of them ever goes here.
    overrides = json.loads(json.dumps(OVERRIDES).replace('"shop"', '"later-shop"').replace('"data"', '"later-data"'))
    bare = site.register(overrides=overrides)
    assert (bare["control_plane"], seen_namespaces(site)) == ("unknown", {"default", "kube-system"})
    assert reasons(bare)["database"] == "there is no Service postgres in the namespace later-data"
    assert reasons(bare)["workloads"] == "there is no namespace later-shop"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "postgres", "namespace": "later-data"},
        "spec": {"selector": {"app": "postgres"}, "ports": [{"name": "exporter", "port": 9187}]},
    }
    with there(
        kaas_server,
        namespace("later-shop"),
        namespace("later-data"),
        namespace("edge"),
        service,
        static_pod("kube-scheduler", "kube-scheduler", "--bind-address=127.0.0.1"),
        static_pod("etcd", "etcd", "--listen-metrics-urls=http://0.0.0.0:2381"),
        workload("DaemonSet", "traefik", "edge", {"name": "metrics", "containerPort": 9100}),
    ):
        planned, found = site.register(check=True), site.register()
        assert planned["changes"] == found["changes"]
        assert found["control_plane"] == "kubeadm"
        assert reasons(found)["scheduler"] == "listens on 127.0.0.1 alone (--bind-address)"
        jobs = (
            set(found["collection"]["jobs"])
            if "collection" in found
            else set(site.record()["spec"]["collection"]["jobs"])
        )
        assert {"database", "etcd", "traefik", "blackbox"} <= jobs
        assert jobs | {"workloads"} == configured(site)
        assert seen_namespaces(site) == {"default", "kube-system", "later-shop", "later-data", "edge"}
        assert site.record()["status"]["controlPlane"] == "kubeadm"
        assert site.register()["changes"] == []
    gone = site.register(overrides={})
    assert not {"database", "etcd", "traefik", "blackbox", "workloads"} & configured(site)
    assert seen_namespaces(site) == {"default", "kube-system"}
    assert any("delete" in line and blackbox_exporter.NAME in line for line in gone["changes"])


def test_everything_goes_from_every_namespace(site: Any, kaas_server: Any) -> None:
    with there(
        kaas_server,
        namespace("shop"),
        namespace("edge"),
        workload("Deployment", "ingress-nginx", "edge", {"name": "metrics", "containerPort": 10254}),
    ):
        site.register(overrides=OVERRIDES)
        assert {"shop", "edge"} <= seen_namespaces(site)
        site.deregister()
        assert seen_namespaces(site) == set()
        selector = f"app.kubernetes.io/instance={site.name}"
        assert not [item for kind in parts.KINDS for item in site.kaas.list(*kind, label_selector=selector)]
        for name in (site.namespace, node_exporter.namespace_of(site.namespace)):
            live = site.kaas.get("v1", "Namespace", name)
            assert live is None or live["metadata"]["deletionTimestamp"]


def test_no_override_lets_anything_of_ours_read_secrets(site: Any, kaas_server: Any) -> None:
    with there(kaas_server, namespace("shop"), namespace("data")):
        extra = {"kube-state-metrics": ["kube_networkpolicy_.*", "kube_limitrange.*"]}
        site.register(profile="full", overrides={**OVERRIDES, "extra_series": extra})
        places = {
            agent.NAME: site.namespace,
            kube_state_metrics.NAME: site.namespace,
            blackbox_exporter.NAME: site.namespace,
            node_exporter.NAME: node_exporter.namespace_of(site.namespace),
        }
        with kubernetes.config.new_client_from_config(str(site.kaas_kubeconfig)) as client:
            reviews = kubernetes.client.AuthorizationV1Api(client)
            for account, place in places.items():
                assert site.kaas.get("v1", "ServiceAccount", account, place)
                user = f"system:serviceaccount:{place}:{account}"
                for where in ("", "shop", "data", "default", "kube-system", place):
                    for verb in ("get", "list", "watch"):
                        asked = {"verb": verb, "resource": "secrets", "namespace": where}
                        review = {"spec": {"user": user, "resourceAttributes": asked}}
                        answer = reviews.create_subject_access_review(review)
                        assert answer.status.allowed is False, (account, where, verb)


# What a cluster with an own monitoring has: names, labels and ports as kube-prometheus uses them.
THEIR_OPERATOR = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "prometheuses.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"plural": "prometheuses", "kind": "Prometheus"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
THEIR_NAMES = ("kube-state-metrics", "node-exporter", "prometheus-k8s", "prometheus-operator", "blackbox-exporter")


def their_monitoring() -> list[dict[str, Any]]:
    place = {"namespace": "monitoring"}
    port = {"name": "metrics", "containerPort": 9100, "hostPort": 9100}
    return [
        namespace("monitoring"),
        THEIR_OPERATOR,
        *({"apiVersion": ROLE, "kind": "ClusterRole", "metadata": {"name": name}, "rules": []} for name in THEIR_NAMES),
        *({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, **place}} for name in THEIR_NAMES),
        workload("DaemonSet", "node-exporter", "monitoring", port, hostNetwork=True, hostPID=True),
        workload("Deployment", "kube-state-metrics", "monitoring", {"name": "http-metrics", "containerPort": 8080}),
        {
            "apiVersion": ROLE,
            "kind": "Role",
            "metadata": {"name": "prometheus-k8s", "namespace": "kube-system"},
            "rules": [],
        },
    ]


def test_a_customers_own_monitoring_is_left_alone(site: Any, kaas_server: Any) -> None:
    theirs = their_monitoring()
    with there(kaas_server, *theirs):

        def versions() -> list[str]:
            live = [
                site.kaas.get(
                    item["apiVersion"], item["kind"], item["metadata"]["name"], item["metadata"].get("namespace", "")
                )
                for item in theirs
            ]
            return [item["metadata"]["uid"] + item["metadata"]["resourceVersion"] for item in live if item]

        before = versions()
        assert len(before) == len(theirs)
        site.register(overrides={"blackbox": OVERRIDES["blackbox"]})
        ports = {
            port["containerPort"]
            for item in site.kaas.list("apps/v1", "DaemonSet")
            if item["metadata"]["namespace"] != "monitoring"
            for container in item["spec"]["template"]["spec"]["containers"]
            for port in container["ports"]
        }
        assert 9100 not in ports
        assert versions() == before
        site.deregister()
        assert versions() == before


def test_another_port_for_node_exporter(site: Any) -> None:
    site.register(node_exporter_port=19200)
    place = node_exporter.namespace_of(site.namespace)
    container = site.kaas.get("apps/v1", "DaemonSet", node_exporter.NAME, place)["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert container["args"][0].endswith(":19200")
    config = site.kaas.get("v1", "ConfigMap", agent.NAME, site.namespace)["data"]["prometheus.yml"]
    assert "19200" in config
    assert "19100" not in config


@pytest.mark.parametrize("level", ["restricted", "baseline"])
def test_pod_security_admits_all_but_node_exporter(site: Any, level: str) -> None:
    """Each pod, as its controller would make it, in a namespace that enforces the level."""
    site.register(overrides={"blackbox": OVERRIDES["blackbox"]})
    place = f"{site.namespace}-{level}"
    labels = {"pod-security.kubernetes.io/enforce": level}
    site.kaas.create({**namespace(place), "metadata": {"name": place, "labels": labels}})
    workloads = [
        item
        for kind in ("Deployment", "DaemonSet")
        for item in site.kaas.list("apps/v1", kind, label_selector=f"app.kubernetes.io/instance={site.name}")
    ]

    def is_admitted(pod: dict[str, Any]) -> bool:
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": place}, "spec": pod}
        try:
            site.kaas.create(manifest, dry_run=True)
        except ApiError as error:
            if "violates PodSecurity" not in error.reason:
                raise
            return False
        return True

    admitted = {item["metadata"]["name"]: is_admitted(item["spec"]["template"]["spec"]) for item in workloads}
    assert admitted == {
        agent.NAME: True,
        kube_state_metrics.NAME: True,
        blackbox_exporter.NAME: True,
        node_exporter.NAME: False,
    }


def test_the_namespaces_say_so(site: Any) -> None:
    site.register()
    for name, level in ((site.namespace, "restricted"), (node_exporter.namespace_of(site.namespace), "privileged")):
        live = site.kaas.get("v1", "Namespace", name)
        assert live["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == level


def rules_of(profile: str, name: str) -> list[dict[str, Any]]:
    content = agent.configuration(agent.Agent("any", "any", "https://gateway", profile=profile))
    (job,) = [item for item in content["scrape_configs"] if item["job_name"] == name]
    return list(job["metric_relabel_configs"])


def test_minimal_is_a_fraction_of_full(site: Any, kaas_server: Any) -> None:
    """Of an API server, which has three quarters of all series; figures of whole clusters are in docs/collection.md."""
    site.register()
    answer = kubectl(kaas_server, "get", "--raw", "/metrics")
    counted = {
        profile: sum(relabelled(rules_of(profile, "apiserver"), series) is not None for series in series_of(answer))
        for profile in ("minimal", "full")
    }
    assert counted["full"] > 1000
    assert 0 < counted["minimal"] <= counted["full"] / 4


# How often API servers were asked for them is no secret, and error budgets need it; nor is what they are able to do.
NO_SECRET = re.compile("apiserver_request_.*|kubernetes_feature_enabled")


@pytest.mark.parametrize("profile", ["minimal", "full"])
def test_nothing_that_an_api_server_tells_of_secrets_is_collected(site: Any, kaas_server: Any, profile: str) -> None:
    site.register()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "till", "namespace": "default"}}
    with there(kaas_server, secret):
        assert site.kaas.list("v1", "Secret")

        def told() -> list[dict[str, str]]:
            answer = kubectl(kaas_server, "get", "--raw", "/metrics")
            found = [series for series in series_of(answer) if "secret" in json.dumps(series).lower()]
            return found if any(series["__name__"] == "apiserver_storage_objects" for series in found) else []

        # An API server counts what it stores once a minute.
        about = wait_for(told, 90, "the API server tells how many Secrets there are", every=1.0)
    left = [relabelled(rules_of(profile, "apiserver"), series) for series in about]
    assert {series["__name__"] for series in left if series and not NO_SECRET.fullmatch(series["__name__"])} == set()


@pytest.mark.parametrize("profile", ["minimal", "full"])
def test_nothing_that_kube_state_metrics_tells_of_secrets_is_collected(
    site: Any, kaas_server: Any, tmp_path: Path, profile: str
) -> None:
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "tls": [{"hosts": ["shop.example.org"], "secretName": "till"}],
            "defaultBackend": {"service": {"name": "shop", "port": {"number": 80}}},
        },
    }
    (arguments,) = [
        item["spec"]["template"]["spec"]["containers"][0]["args"]
        for item in kube_state_metrics.objects(kube_state_metrics.KubeStateMetrics("any", "any", profile="full"))
        if item["kind"] == "Deployment"
    ]
    port, log = free_port(), tmp_path / "log"
    given = [
        *arguments,
        *(f"--kubeconfig={kaas_server.kubeconfig()}", "--host=127.0.0.1", f"--port={port}"),
        *("--telemetry-host=127.0.0.1", f"--telemetry-port={free_port()}"),
    ]
    with there(kaas_server, ingress), process("kube-state-metrics", given, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), running, log)

        def told() -> list[dict[str, str]]:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
                found = list(series_of(response.read().decode()))
            return found if any("till" in series.values() for series in found) else []

        everything = wait_for(told, 30, "the Secret of the Ingress is told")
    assert {series["__name__"] for series in everything if "till" in series.values()} == {"kube_ingress_tls"}
    left = [
        series
        for series in (relabelled(rules_of(profile, "kube-state-metrics"), item) for item in everything)
        if series
    ]
    assert any(series["__name__"] == "kube_ingress_info" for series in left)
    assert [series for series in left if "till" in series.values() or "secret" in series["__name__"]] == []


# A target of a customer that runs amok


@contextmanager
def exporter(series: int) -> Iterator[str]:
    """Serves a metric with as many values of a label."""
    body = "".join(f'requests_total{{user="{number}"}} 1\n' for number in range(series)).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing of it is of interest."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_ten_thousand_new_label_values_hurt_the_one_target_that_has_them(tmp_path: Path) -> None:
    with exporter(10_000) as amok, exporter(10) as well:
        job = collected.jobs(
            Collected(extra_jobs=(ExtraJob("shop", targets=(amok, well), interval="1s"),)),
            "any",
            profile="minimal",
            scrape_interval="30s",
        )
        file = tmp_path / "prometheus.yml"
        file.write_text(yaml.safe_dump({"scrape_configs": job}))
        address, log = f"127.0.0.1:{free_port()}", tmp_path / "prometheus.log"
        arguments = [
            *("--agent", f"--config.file={file}", f"--storage.agent.path={tmp_path / 'data'}"),
            *(f"--web.listen-address={address}", "--scrape.discovery-reload-interval=1s"),
        ]

        def targets() -> dict[str, tuple[str, str]]:
            with urlopen(f"http://{address}/api/v1/targets?state=active", timeout=5) as response:
                active = json.load(response)["data"]["activeTargets"]
            return {item["labels"]["instance"]: (item["health"], item["lastError"]) for item in active}

        def metric(name: str) -> float:
            with urlopen(f"http://{address}/metrics", timeout=5) as response:
                found = re.search(rf"^{name} (\S+)$", response.read().decode(), re.MULTILINE)
            return float(found[1]) if found else -1.0

        with process("prometheus", arguments, log) as running:
            wait_until(lambda: answers(f"http://{address}/-/ready"), running, log)
            wait_until(lambda: {health for health, _error in targets().values()} == {"up", "down"}, running, log)
            assert targets() == {amok: ("down", "sample limit exceeded"), well: ("up", "")}
            # What "minimal" keeps of the agent shows it.
            assert metric("prometheus_target_scrapes_exceeded_sample_limit_total") >= 1
            # It remembers those that it began with; ten of the other, and what it adds for each: up and four more
            assert metric("prometheus_agent_active_series") <= job[0]["sample_limit"] + 10 + 2 * 10
