# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight on a real API server and a real S3 server, with nodes and storage classes that are made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import objstore
from ansible_collections.scs.observability.plugins.module_utils._observer import preflight, thanos
from ansible_collections.scs.observability.plugins.modules import observer_preflight
from tests.integration.api_server import ApiServer, add_node, have, running_api_server, storage_class
from tests.integration.observer.conftest import machine_address, passed_on
from tests.integration.processes import free_port, process, wait_until
from tests.integration.s3_server import S3Server
from tests.integration.thanos.pods import wait_for

# Seconds, on a machine that has much else to do
SOON = 60.0
POD = {"name": "receive", "requests": {"cpu": "500m", "memory": "1Gi"}}
# Any object will do. Names of this group are Kubernetes' own, for which one says who approved of them.
HTTP_ROUTES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "httproutes.gateway.networking.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
    },
    "spec": {
        "group": "gateway.networking.k8s.io",
        "scope": "Namespaced",
        "names": {"plural": "httproutes", "kind": "HTTPRoute"},
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One of its own, as the nodes of one are everybody's."""
    with running_api_server(tmp_path_factory.mktemp("preflight")) as server:
        client = server.client()
        size = {"cpu": "2", "memory": "4Gi", "pods": "110"}
        add_node(server, "n1", **size)
        add_node(server, "n2", taints=[{"key": "gpu", "effect": "NoSchedule"}], **size)
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenant"}})
        renew(client, "n1", 0)
        yield server


def renew(client: KubernetesClient, node: str, ahead: int) -> None:
    renewed = (datetime.now(UTC) + timedelta(seconds=ahead)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata = {"name": node, "namespace": "kube-node-lease"}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
    client.apply({**lease, "spec": {"holderIdentity": node, "renewTime": renewed}}, force=True)


def look(cluster: ApiServer, kubeconfig: Path | None = None, **params: Any) -> dict[str, Any]:
    given = {"kubeconfig": str(kubeconfig or cluster.kubeconfig()), "namespace": "observer", "pods": [POD]}
    return preflight.check({**given, "fail": False, **params}, False)


def test_everything_that_is_wrong_with_a_cluster_is_told_at_once_and_nothing_when_it_is_right(
    cluster: ApiServer,
) -> None:
    client = cluster.client()
    client.create(storage_class("slow", default=False))
    privileged = {"name": "observer", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": privileged})
    metadata = {"name": "big", "namespace": "tenant"}
    resources = {"requests": {"cpu": "1", "memory": "2Gi"}}
    container = {"name": "big", "image": "none", "resources": resources, "ports": [{"containerPort": 1, "hostPort": 9}]}
    spec = {"nodeName": "n1", "containers": [container]}
    client.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    metadata = {"name": "dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
    dns = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4"}
    endpoint = {"addresses": ["10.0.0.9"], "conditions": {"ready": False}}
    client.create({**dns, "endpoints": [endpoint]})
    renew(client, "n1", 600)
    exporter = {"name": "exporter", "every_node": True, "host_access": True, "host_ports": [9]}

    wrong = {"minimum_version": "9.0", "prometheus_operator_state": "external"}
    result = look(cluster, **wrong, pods=[{**POD, "replicas": 3}, exporter])
    words = [
        "Kubernetes v1.",
        "observer enforces the Pod Security level restricted",
        "prometheus_operator_state: is external, and the cluster does not know Alertmanager of",
        "no storage class is the default one",
        "the clock of node n1 is",
        "the cluster's DNS has no ready pod",
        "1.50 of 1.00 CPU, 3.0 of 2.0 GiB of memory",
        "port 9 of nodes is taken by tenant/big on n1",
    ]
    assert len(result["problems"]) == len(words), result["problems"]
    for problem, part in zip(result["problems"], words, strict=True):
        assert part in problem

    client.create(storage_class("fast", default=True))
    renew(client, "n1", 0)
    client.apply({**dns, "endpoints": [{**endpoint, "conditions": {"ready": True}}]}, force=True)
    right = look(cluster, pods=[{**POD, "replicas": 2}])
    assert (right["problems"], right["warnings"]) == ([], [])
    facts = right["facts"]
    assert (facts["nodes"], facts["storage_class"], facts["clock_skew_seconds"]) == (["n1"], "fast", 0)
    assert facts["unusable_nodes"] == {"n2": "has the taint gpu=:NoSchedule"}
    assert (facts["free"], facts["requested"]) == (
        {"cpu": 1.0, "memory": 2 * 2**30},
        {"cpu": 1.0, "memory": 2 * 2**30},
    )
    tolerated = look(cluster, pods=[{**POD, "replicas": 6}], tolerations=[{"key": "gpu", "operator": "Exists"}])
    assert (tolerated["problems"], tolerated["facts"]["nodes"]) == ([], ["n1", "n2"])
    # Pods of the observer itself take no room from it.
    assert look(cluster, namespace="tenant", pods=[{**POD, "replicas": 4}])["problems"] == []


def test_what_services_have_and_kinds_that_there_are_not_are_told(cluster: ApiServer) -> None:
    client = cluster.client()
    taken = {"type": "NodePort", "ports": [{"port": 443, "nodePort": 30443}]}
    metadata = {"name": "web-gateway", "namespace": "tenant"}
    client.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": taken})
    asked = {"web_node_port": 30443, "gateway_node_port": 30444, "web_gateway_api": True, "volumes": False, "pods": []}
    told = look(cluster, **asked)["problems"]
    assert [problem.partition(". ")[0] for problem in told] == [
        "web_node_port: 30443 is a node port of the Service tenant/web-gateway",
        "web_gateway_api: is wanted, and the cluster does not know HTTPRoute of gateway.networking.k8s.io/v1",
    ]
    # As in a second run, in which it is ours, and has an HTTPRoute.
    have(client, HTTP_ROUTES)
    wait_for(lambda: client.serves("gateway.networking.k8s.io/v1", "HTTPRoute"), SOON, "the definition")
    assert look(cluster, **asked, namespace="tenant")["problems"] == []

    limited = look(cluster, cluster.kubeconfig("nobody", ()), **asked)
    assert "delete httproutes.gateway.networking.k8s.io" in limited["problems"][1]
    assert [text for text in limited["warnings"] if text.startswith("services could not be looked at: ")]


def test_a_user_without_rights_is_told_all_that_is_missing_and_what_could_not_be_seen(cluster: ApiServer) -> None:
    result = look(cluster, cluster.kubeconfig("nobody", ()))
    in_cluster, in_namespace = result["problems"]
    assert "create, patch namespaces" in in_cluster
    assert "get, list, create, patch, delete clusterroles.rbac.authorization.k8s.io" in in_cluster
    assert "in namespace observer: get, list, create, patch, delete secrets" in in_namespace
    assert "get pods/log" in in_namespace
    assert len(result["warnings"]) == 7
    assert all('user "nobody" is forbidden' in warning for warning in result["warnings"])
    assert set(result["facts"]) == {"context", "version", "clock_skew_seconds"}


def test_a_user_with_just_the_rights_that_are_needed_is_enough(cluster: ApiServer) -> None:
    client = cluster.client()
    rules = []
    for resource, verbs in (*preflight.RIGHTS_IN_CLUSTER.items(), *preflight.RIGHTS_IN_NAMESPACE.items()):
        name, _dot, group = resource.partition(".")
        rules.append({"apiGroups": [group], "resources": [name], "verbs": list(verbs)})
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "deployer"}, "rules": rules}
    client.create(role)
    binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "deployer"}}
    subject = {"apiGroup": group, "kind": "User", "name": "deployer"}
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": "deployer"}
    client.create({**binding, "subjects": [subject], "roleRef": reference})
    assert look(cluster, cluster.kubeconfig("deployer", ()))["problems"] == []


def test_a_prometheus_that_runs_parses_rules_and_all_bad_ones_are_told(cluster: ApiServer, tmp_path: Path) -> None:
    bad = ["up ==", "rate(up)", "double_exponential_smoothing(up[5m], 0.1, 0.2)"]
    rules = [{"alert": f"A{number}", "expr": expression} for number, expression in enumerate(["up", *bad])]
    files = {
        "own/a.yml": yaml.safe_dump({"groups": [{"name": "own", "rules": rules}]}),
        "own/b.yml": {"groups": [{"name": "b", "rules": [{"record": "b", "expr": "sum by ("}]}]},
        "own/c.yml": "groups: [{name: c, rules: [{record: c, expr: 1}]}]",
    }
    fine = {"own/c.yml": files["own/c.yml"]}
    where: dict[str, Any] = {"namespace": "rules", "pods": [], "volumes": False}
    cluster.client().create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rules"}})
    early = look(cluster, **where, prometheus_rules={**fine, "own/d.yml": "groups: 1"})
    assert early["problems"] == ["own/d.yml: d.yml must have a list of groups, and nothing beside it"]
    assert early["facts"]["rules_tried"] is False
    assert "could not be tried" in early["warnings"][-1]

    web, address, log = free_port(), machine_address(), tmp_path / "log"
    (tmp_path / "prometheus.yml").write_text("{}")
    options = [f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{web}"]
    with (
        process("prometheus", [f"--config.file={tmp_path}/prometheus.yml", *options], log) as running,
        passed_on(address, web) as port,
    ):
        serve(cluster, "rules", "prometheus", address, port)
        wait_until(lambda: look(cluster, **where, prometheus_rules=fine)["facts"]["rules_tried"], running, log)
        assert look(cluster, **where, prometheus_rules=fine)["problems"] == []
        result = look(cluster, **where, prometheus_rules=files)
    assert (result["warnings"], result["facts"]["rules_tried"]) == ([], True)
    places = [f"own/a.yml, group own, rule {number + 1} (A{number})" for number in (1, 2, 3)]
    places.append("own/b.yml, group b, rule 1 (b)")
    assert [problem.partition(": ")[0] for problem in result["problems"]] == places
    assert all("parse error" in problem for problem in result["problems"])


def serve(cluster: ApiServer, namespace: str, name: str, address: str, port: int) -> None:
    """A Service and its pod, which listens there."""
    metadata = {"name": name, "namespace": namespace}
    ports = [{"name": "http", "port": 9090}]
    with kubernetes.config.new_client_from_config(str(cluster.kubeconfig())) as official:
        core = kubernetes.client.CoreV1Api(official)
        core.create_namespaced_service(namespace, {"metadata": metadata, "spec": {"ports": ports}})
        core.create_namespaced_pod(
            namespace, {"metadata": metadata, "spec": {"containers": [{"name": name, "image": "none"}]}}
        )
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        core.patch_namespaced_pod_status(name, namespace, {"status": status})
        target = {"kind": "Pod", **metadata}
        subset = {"addresses": [{"ip": address, "targetRef": target}], "ports": [{"name": "http", "port": port}]}
        core.create_namespaced_endpoints(namespace, {"metadata": metadata, "subsets": [subset]})


def test_what_thanos_would_refuse_beside_what_runs_is_told_at_once(
    cluster: ApiServer, s3: S3Server, new_namespace: str
) -> None:
    s3.witness.create_bucket(Bucket=new_namespace)
    store = {
        "objstore": objstore(new_namespace, s3.url, ca=True),
        "objstore_access_key": s3.owner.access_key,
        "objstore_secret_key": s3.owner.secret_key,
        "objstore_ca": s3.ca.read_text(),
    }
    where = {"kubeconfig": str(cluster.kubeconfig()), "wait": False}
    runs = {**where, "namespace": f"{new_namespace}-runs", "image": "quay.io/thanos/thanos:v9.9.9"}
    for given in ({"component": "compact", **store}, {"component": "query", "endpoints": ["store:10901"]}):
        thanos.ensure({**runs, **given}, False)
    bucket = {
        "name": new_namespace,
        "endpoint": s3.url,
        "ca_content": s3.ca.read_text(),
        "access_key": s3.owner.access_key,
        "secret_key": s3.owner.secret_key,
    }

    def problems(namespace: str, **params: Any) -> list[str]:
        found: list[str] = look(cluster, namespace=namespace, pods=[], bucket=bucket, **params)["problems"]
        return found

    circle = {"query_endpoints": [f"dns+thanos-query-frontend.{runs['namespace']}.svc:10901"]}
    way = "thanos-query -> thanos-query-frontend -> thanos-query"
    words = [
        f"query_endpoints: components ask one another in a circle: {way}",
        "thanos_image: quay.io/thanos/thanos:v0.42.4 is older than quay.io/thanos/thanos:v9.9.9, which runs",
    ]
    told = problems(runs["namespace"], **circle, thanos_image="quay.io/thanos/thanos:v0.42.4")
    assert [problem.partition(". ")[0] for problem in told if "storage class" not in problem] == words
    other = problems("another", ruler_rules={"a.yml": {"groups": [{"name": "a", "rules": [{"record": "a"}]}]}})
    assert [problem.partition(": ")[0] for problem in other] == ["ruler_rules", "compact_take_over_bucket"]
    assert f"{runs['namespace']}/thanos-compact" in other[1]
    allowed = {"thanos_allow_downgrade": True, "thanos_image": "quay.io/thanos/thanos:v0.42.4"}
    assert problems(runs["namespace"], **allowed) == problems("another", compact_take_over_bucket=True) == []


def test_the_bucket_is_tried_and_not_made(
    cluster: ApiServer, s3: S3Server, new_namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = {
        "name": new_namespace,
        "endpoint": s3.url,
        "ca_content": s3.ca.read_text(),
        "access_key": s3.owner.access_key,
        "secret_key": s3.owner.secret_key,
    }
    fine = look(cluster, pods=[], bucket=bucket)
    assert fine["problems"] == []
    assert fine["facts"]["bucket"]["clock_skew_seconds"] == 0
    assert new_namespace not in s3.buckets()

    wrong = "a-secret-that-is-wrong"
    arguments = {"kubeconfig": "/does/not/exist", "bucket": {**bucket, "secret_key": wrong}}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        observer_preflight.main()
    text = capsys.readouterr().out
    told = json.loads(text)
    assert [problem.partition(":")[0] for problem in told["problems"]] == ["kubeconfig", "bucket.secret_key"]
    assert told["failed"]
    assert wrong not in text
