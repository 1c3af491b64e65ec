# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's Prometheus finds its targets with the rights that a registration gives it, and with no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.registration.test_registration import kubectl

NODE = "worker-1"
POD = "coredns-0"


def put(server: Any, *objects: dict[str, Any]) -> None:
    """Node, Service, Pod and EndpointSlice as controllers and kubelets would make them."""
    for part in ([], ["--subresource=status"]):
        given = [item for item in objects if not part or "status" in item]
        kubectl(server, "apply", "--server-side", *part, "-f", "-", stdin=yaml.safe_dump_all(given))


def cluster_with_coredns(server: Any) -> None:
    place = {"namespace": "kube-system"}
    labels = {"k8s-app": "kube-dns"}
    put(
        server,
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "192.0.2.9"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            },
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", **place}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD, "labels": labels, **place},
            "spec": {"nodeName": NODE, "containers": [{"name": "coredns", "image": "coredns"}]},
            "status": {"phase": "Running", "podIP": "192.0.2.10", "podIPs": [{"ip": "192.0.2.10"}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "labels": labels, **place},
            "spec": {"selector": labels, "ports": [{"name": "metrics", "port": 9153}]},
        },
        endpoints("kube-system", "kube-dns", labels, "metrics", {"kind": "Pod", "name": POD, **place}),
        # A server on a loopback address does not publish itself.
        endpoints("default", "kubernetes", {}, "https"),
    )


def endpoints(
    namespace: str, service: str, labels: dict[str, str], port: str, target: dict[str, str] | None = None
) -> dict[str, Any]:
    endpoint: dict[str, Any] = {"addresses": ["192.0.2.10"], "conditions": {"ready": True}}
    if target:
        endpoint["targetRef"] = target
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-1",
            "namespace": namespace,
            "labels": {**labels, "kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": port, "port": 9153, "protocol": "TCP"}],
        "endpoints": [endpoint],
    }


def pod(name: str, namespace: str, labels: dict[str, str], port: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "namespace": namespace},
        "spec": {"nodeName": NODE, "containers": [{"name": "only", "image": "only", "ports": [port]}]},
        "status": {"phase": "Running", "podIP": "192.0.2.11", "podIPs": [{"ip": "192.0.2.11"}]},
    }


def what_a_customer_has(server: Any) -> None:
    """An ingress controller, a control plane that can be reached, pods that are to be scraped, and one that is not."""
    labels = {"app.kubernetes.io/name": "traefik"}
    metrics = {"name": "metrics", "containerPort": 9100}
    put(
        server,
        *(
            {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **place}}
            for namespace in ("edge", "shop")
            for kind, name, place in (
                ("Namespace", namespace, {}),
                ("ServiceAccount", "default", {"namespace": namespace}),
            )
        ),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "traefik", "namespace": "edge", "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "traefik", "image": "traefik", "ports": [metrics]}]},
                },
            },
        },
        pod("traefik-0", "edge", labels, metrics),
        pod(
            "kube-scheduler-1",
            "kube-system",
            {"component": "kube-scheduler", "tier": "control-plane"},
            {"name": "probe-port", "containerPort": 10259},
        ),
        pod("cart-0", "shop", {"monitoring": "true"}, metrics),
        pod("till-0", "shop", {"monitoring": "false"}, metrics),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "stock", "namespace": "shop"},
            "spec": {"ports": [{"name": "exporter", "port": 9153}]},
        },
        endpoints("shop", "stock", {}, "exporter"),
    )


OVERRIDES = {
    "workloads": {"namespaces": ["shop"], "selector": "monitoring=true"},
    "extra_jobs": [{"name": "stock", "service": "stock", "namespace": "shop", "port": 9153}],
}


def configuration(site: Any, server: Any, token: Path) -> dict[str, Any]:
    """The agent's own, as a process outside of the cluster needs it: with the server's address, and nothing to send."""
    config_map = site.kaas.get("v1", "ConfigMap", agent.NAME, site.namespace)
    content = yaml.safe_load(config_map["data"]["prometheus.yml"])
    access = {
        "authorization": {"credentials_file": str(token)},
        "tls_config": {"ca_file": str(server.authority.certificate)},
    }
    jobs = [job for job in content["scrape_configs"] if "kubernetes_sd_configs" in job]
    for job in jobs:
        if "tls_config" in job:
            job.update(access)
        for discovery in job["kubernetes_sd_configs"]:
            discovery.update(access, api_server=server.url)
    return {"global": content["global"], "scrape_configs": jobs}


def test_every_target_is_found(site: Any, kaas_server: Any, tmp_path: Path) -> None:
    cluster_with_coredns(kaas_server)
    what_a_customer_has(kaas_server)
    site.register(overrides=OVERRIDES)
    token = tmp_path / "token"
    token.write_text(kubectl(kaas_server, "create", "token", agent.NAME, f"--namespace={site.namespace}").strip())
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration(site, kaas_server, token)))
    address, log = f"127.0.0.1:{free_port()}", tmp_path / "prometheus.log"
    arguments = [
        *("--agent", f"--config.file={file}", f"--storage.agent.path={tmp_path / 'data'}"),
        *(f"--web.listen-address={address}", "--scrape.discovery-reload-interval=1s"),
    ]

    def found() -> dict[str, list[dict[str, str]]]:
        with urlopen(f"http://{address}/api/v1/targets?state=active", timeout=5) as response:
            targets = json.load(response)["data"]["activeTargets"]
        return {
            job: [target["labels"] for target in targets if target["labels"]["job"] == job]
            for job in {target["labels"]["job"] for target in targets}
        }

    with process("prometheus", arguments, log) as running:
        wait_until(lambda: answers(f"http://{address}/-/ready"), running, log)
        everywhere = {"apiserver", "cadvisor", "coredns", "kubelet", "node-exporter"}
        expected = everywhere | {"scheduler", "stock", "traefik", "workloads"}
        wait_until(lambda: expected <= set(found()), running, log)
        targets = found()
    assert [labels["pod"] for labels in targets["coredns"]] == [POD]
    for job in ("cadvisor", "kubelet", "node-exporter"):
        assert [labels["node"] for labels in targets[job]] == [NODE]
    assert [labels["node"] for labels in targets["scheduler"]] == [NODE]
    assert [labels["pod"] for labels in targets["traefik"]] == ["traefik-0"]
    assert [labels["pod"] for labels in targets["workloads"]] == ["cart-0"]
    assert [labels["instance"] for labels in targets["stock"]] == ["192.0.2.10:9153"]
    assert "forbidden" not in log.read_text()
    remove(site.kaas)


def remove(kaas: KubernetesClient) -> None:
    for api_version, kind in (("v1", "Pod"), ("v1", "Service"), ("apps/v1", "Deployment")):
        for namespace in ("kube-system", "edge", "shop"):
            for item in kaas.list(api_version, kind, namespace):
                kaas.delete(api_version, kind, item["metadata"]["name"], namespace)
    kaas.delete("v1", "Node", NODE)
