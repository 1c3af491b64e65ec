# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes told apart, and which optional jobs a cluster has, from objects as clusters have them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    collection_profile,
    kaas_cluster,
    optional_jobs,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.optional_jobs import (
    Cluster,
    Discovered,
    Found,
    control_plane_of,
    discover,
)

LOOPBACK = "listens on 127.0.0.1 alone"


def node(provider: str = "", version: str = "v1.34.1") -> dict[str, Any]:
    return {
        "metadata": {"name": "cp-1", "labels": {optional_jobs.CONTROL_PLANE_LABEL: ""}},
        "spec": {"providerID": provider} if provider else {},
        "status": {"nodeInfo": {"kubeletVersion": version}},
    }


def static_pod(component: str, *command: str, kubeadm: bool = True) -> dict[str, Any]:
    annotations = {"kubernetes.io/config.source": "file"}
    if kubeadm and component == "kube-apiserver":
        annotations["kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"] = "10.0.0.4:6443"
    return {
        "metadata": {
            "name": f"{component}-cp-1",
            "namespace": "kube-system",
            "labels": {"component": component, "tier": "control-plane"},
            "annotations": annotations,
        },
        "spec": {"containers": [{"command": [component, *command]}]},
    }


API_SERVER = static_pod("kube-apiserver", "--secure-port=6443")


@pytest.mark.parametrize(
    ("nodes", "pods", "has_nodes", "expected"),
    [
        pytest.param([node("openstack:///4e1c")], [API_SERVER], True, "kubeadm", id="kubeadm on OpenStack"),
        pytest.param([node()], [API_SERVER], True, "kubeadm", id="kubeadm on bare metal"),
        pytest.param([], [API_SERVER], True, "kubeadm", id="nodes without the label"),
        pytest.param([node("kind://docker/shop/cp-1")], [API_SERVER], True, "kind", id="KinD, which uses kubeadm"),
        pytest.param([node("k3s://cp-1", "v1.34.1+k3s1")], [], True, "k3s", id="k3s"),
        pytest.param([node("openstack:///4e1c", "v1.34.1+k3s1")], [], True, "k3s", id="k3s with a cloud provider"),
        pytest.param([], [], True, "managed", id="only workers are seen"),
        pytest.param([], [], False, "unknown", id="no node yet"),
        pytest.param(
            [node("rke2://cp-1", "v1.34.1+rke2r1")],
            [static_pod("kube-apiserver", kubeadm=False)],
            True,
            "unknown",
            id="static pods of others",
        ),
        pytest.param([node(version="v1.34.1+k0s.0")], [], True, "unknown", id="k0s with a worker on its controller"),
    ],
)
def test_control_planes_are_told_apart(
    nodes: list[dict[str, Any]], pods: list[dict[str, Any]], has_nodes: bool, expected: str
) -> None:
    assert control_plane_of(nodes, pods, has_nodes=has_nodes) == expected
    assert expected in kaas_cluster.CONTROL_PLANES


def of_pods(*pods: dict[str, Any]) -> Discovered:
    return discover(Cluster([node()], True, [API_SERVER, *pods]))


def reason(found: Discovered, job: str) -> str:
    return dict(found.not_collected).get(job, "")


@pytest.mark.parametrize(
    ("job", "component", "command", "expected"),
    [
        ("scheduler", "kube-scheduler", ["--bind-address=127.0.0.1"], f"{LOOPBACK} (--bind-address)"),
        ("scheduler", "kube-scheduler", ["--bind-address", "::1"], "listens on ::1 alone (--bind-address)"),
        ("scheduler", "kube-scheduler", ["--bind-address=0.0.0.0"], 10259),
        ("scheduler", "kube-scheduler", ["--bind-address=::"], 10259),
        ("scheduler", "kube-scheduler", [], 10259),
        ("scheduler", "kube-scheduler", ["--secure-port=0"], "serves no HTTPS (--secure-port=0)"),
        ("controller-manager", "kube-controller-manager", ["--bind-address=127.0.0.1"], f"{LOOPBACK} (--bind-address)"),
        ("controller-manager", "kube-controller-manager", ["--bind-address=10.0.0.4", "--secure-port=10300"], 10300),
        ("etcd", "etcd", ["--listen-metrics-urls=http://127.0.0.1:2381"], f"{LOOPBACK} (--listen-metrics-urls)"),
        ("etcd", "etcd", ["--listen-metrics-urls=http://127.0.0.1:2381,http://10.0.0.4:2381"], 2381),
        ("etcd", "etcd", ["--listen-metrics-urls=http://[fd00::4]:2391"], 2391),
        ("etcd", "etcd", ["--listen-client-urls=https://10.0.0.4:2379"], "asks for a client certificate"),
    ],
)
def test_what_listens_on_loopback_is_told_and_is_no_target(
    job: str, component: str, command: list[str], expected: int | str
) -> None:
    found = of_pods(static_pod(component, *command))
    if isinstance(expected, str):
        assert expected in reason(found, job)
        assert job not in found.jobs
    else:
        selector = f"component={component},tier=control-plane"
        assert found.found == (Found(job, "kube-system", selector, port=expected, https=job != "etcd"),)
        assert not reason(found, job)


def test_a_component_that_is_reached_on_some_nodes_alone_is_no_target() -> None:
    found = of_pods(static_pod("kube-scheduler"), static_pod("kube-scheduler", "--bind-address=127.0.0.1"))
    assert LOOPBACK in reason(found, "scheduler")
    assert found.jobs == ()
    found = of_pods(static_pod("kube-scheduler"), static_pod("kube-scheduler", "--secure-port=10300"))
    assert "10259, 10300" in reason(found, "scheduler")


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (Cluster(has_nodes=True), "the control plane is managed"),
        (Cluster([node("k3s://cp-1", "v1.34.1+k3s1")], True), "part of the process k3s"),
        (Cluster([node()], True, [API_SERVER]), "no static pod of it"),
    ],
)
def test_what_is_not_seen_is_told_with_the_reason(cluster: Cluster, expected: str) -> None:
    for job in ("scheduler", "controller-manager", "etcd"):
        assert expected in reason(discover(cluster), job)


def daemon_set(*command: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "kube-proxy", "namespace": "kube-system", "labels": {"k8s-app": "kube-proxy"}},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "kube-proxy"}},
            "template": {"spec": {"containers": [{"command": ["/usr/local/bin/kube-proxy", *command]}]}},
        },
    }


def configuration(address: str) -> dict[str, Any]:
    content = (
        f'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmetricsBindAddress: "{address}"\n'
    )
    return {"data": {"config.conf": content, "kubeconfig.conf": "apiVersion: v1\nkind: Config\n"}}


@pytest.mark.parametrize(
    ("address", "command", "expected"),
    [
        ("", [], LOOPBACK),
        ("127.0.0.1:10249", [], LOOPBACK),
        ("0.0.0.0:10249", [], 10249),
        ("[::]:10300", [], 10300),
        (":10249", [], 10249),
        ("", ["--metrics-bind-address=0.0.0.0:10249"], 10249),
        ("0.0.0.0:10249", ["--metrics-bind-address=127.0.0.1:10249"], LOOPBACK),
        (None, [], LOOPBACK),
    ],
)
def test_where_kube_proxy_listens(address: str | None, command: list[str], expected: int | str) -> None:
    config_map = None if address is None else configuration(address)
    found = discover(Cluster(kube_proxy=daemon_set(*command), kube_proxy_configuration=config_map))
    if isinstance(expected, str):
        assert expected in reason(found, "kube-proxy")
        assert found.jobs == ()
    else:
        assert found.found == (Found("kube-proxy", "kube-system", "k8s-app=kube-proxy", port=expected),)


def test_a_cluster_without_kube_proxy_misses_nothing() -> None:
    assert not reason(discover(Cluster()), "kube-proxy")


def workload(name: str, namespace: str, port: str = "metrics", replicas: int = 1, **labels: str) -> dict[str, Any]:
    own = {"app.kubernetes.io/name": name, **{f"app.kubernetes.io/{key}": value for key, value in labels.items()}}
    ports = [{"name": "http", "containerPort": 80}, {"name": port, "containerPort": 10254}]
    return {
        "metadata": {"name": f"{name}-x", "namespace": namespace, "labels": own},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": own},
            "template": {"metadata": {"labels": own}, "spec": {"containers": [{"name": name, "ports": ports}]}},
        },
    }


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (workload("ingress-nginx", "ingress", component="controller"), "ingress-nginx"),
        (workload("ingress-nginx", "ingress", component="default-backend"), ""),
        (workload("traefik", "kube-system"), "traefik"),
        (workload("cert-manager", "cert-manager", "http-metrics", component="controller"), "cert-manager"),
        (workload("cilium-agent", "kube-system", "prometheus"), "cilium"),
        (workload("traefik", "kube-system", replicas=0), ""),
        (workload("shop", "shop"), ""),
    ],
)
def test_a_workload_that_is_known_is_found_wherever_it_is(item: dict[str, Any], expected: str) -> None:
    found = discover(Cluster(workloads=[item]))
    assert found.jobs == ((expected,) if expected else ())
    for place in found.found:
        assert place.namespace == item["metadata"]["namespace"]
        assert (
            place.selector.split(",")[-1]
            == f"app.kubernetes.io/name={item['metadata']['labels']['app.kubernetes.io/name']}"
        )


def test_a_workload_whose_metrics_are_off_is_told() -> None:
    found = discover(Cluster(workloads=[workload("traefik", "kube-system", "web")]))
    assert found.jobs == ()
    assert reason(found, "traefik") == "declares no port named metrics: its metrics are turned off"


def test_several_of_one_kind_are_one_job() -> None:
    found = discover(
        Cluster(workloads=[workload("traefik", "b"), workload("traefik", "a"), workload("traefik", "c", "web")])
    )
    assert found.jobs == ("traefik",)
    assert [item.namespace for item in found.found] == ["a", "b"]
    assert not reason(found, "traefik")


def test_every_optional_job_can_be_found() -> None:
    known = {*optional_jobs.CONTROL_PLANE_JOBS, *optional_jobs.WORKLOAD_JOBS, collection_profile.KUBE_PROXY}
    assert known == set(collection_profile.OPTIONAL_JOBS)
