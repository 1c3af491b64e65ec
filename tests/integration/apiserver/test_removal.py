# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster is as it was found once an observer is gone, and the tool that says so misses nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from ansible_collections.scs.observability.plugins.module_utils._iaas.record import IaasRegistration
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import iaas_prometheus, kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._observer import apply_set
from ansible_collections.scs.observability.plugins.module_utils._registration import former
from ansible_collections.scs.observability.plugins.module_utils._registration.former import Former
from tests import cluster_snapshot
from tests.integration.api_server import ApiServer, have, running_api_server

TOOL = Path(cluster_snapshot.__file__)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One that no other test uses: what it has is compared, and the last observer in it is told by its being alone."""
    with running_api_server(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="module")
def admin(api_server: ApiServer) -> KubernetesClient:
    return api_server.client()


@pytest.fixture
def run(api_server: ApiServer, tmp_path: Path) -> Run:
    """Run the tool as a person would."""
    kubeconfig = str(api_server.kubeconfig())

    def call(action: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(TOOL), action, "--kubeconfig", kubeconfig, *options, str(tmp_path / "before")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return call


def test_what_was_added_removed_and_changed_is_told_and_no_secret(
    run: Run, other: kubernetes.client.ApiClient, namespace: str
) -> None:
    core = kubernetes.client.CoreV1Api(other)
    for name in ("goes", "changes"):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": name}, "data": {"key": "old"}})
    core.create_namespaced_secret(namespace, {"metadata": {"name": "hidden"}, "stringData": {"key": "swordfish"}})
    assert run("save").returncode == 0
    unchanged = run("compare")
    assert (unchanged.returncode, "as it was found" in unchanged.stdout) == (0, True), unchanged.stdout

    core.delete_namespaced_config_map("goes", namespace)
    core.patch_namespaced_config_map("changes", namespace, {"data": {"key": "new"}})
    core.patch_namespaced_secret("hidden", namespace, {"stringData": {"key": "marlin"}})
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "comes"}})
    found = run("compare")
    assert found.returncode == 1
    names = [line for line in found.stdout.splitlines() if not line.startswith(" ")]
    assert names == [
        f"added    serviceaccounts {namespace}/comes",
        f"removed  configmaps {namespace}/goes",
        f"changed  configmaps {namespace}/changes",
        f"changed  secrets {namespace}/hidden",
    ]
    assert '-     "key": "old"' in found.stdout
    assert '+     "key": "new"' in found.stdout
    assert "swordfish" not in found.stdout + found.stderr
    assert "bWFybGlu" not in found.stdout + found.stderr


def test_kinds_that_somebody_adds_are_looked_at(run: Run, other: kubernetes.client.ApiClient) -> None:
    assert run("save").returncode == 0
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]
    definitions = kubernetes.client.ApiextensionsV1Api(other)
    definitions.create_custom_resource_definition(
        {
            "metadata": {"name": "things.example.org"},
            "spec": {
                "group": "example.org",
                "scope": "Cluster",
                "names": {"kind": "Thing", "plural": "things"},
                "versions": versions,
            },
        }
    )
    try:
        found = run("compare")
        assert "added    customresourcedefinitions.apiextensions.k8s.io things.example.org" in found.stdout
    finally:
        definitions.delete_custom_resource_definition("things.example.org")


def lease() -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "reconcile"},
        "spec": {"holderIdentity": "awx", "renewTime": "2026-03-01T12:00:00.000000Z"},
    }


def claim(name: str, **labels: str) -> dict[str, Any]:
    """A volume claim as the StatefulSet of the Prometheus Operator makes it."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def disown_namespaces(admin: KubernetesClient, other: kubernetes.client.ApiClient) -> None:
    """Tests before this one have left theirs: no controller is here that ends a namespace."""
    core = kubernetes.client.CoreV1Api(other)
    for item in admin.list("v1", "Namespace", label_selector="app.kubernetes.io/managed-by=scs.observability"):
        core.patch_namespace(item["metadata"]["name"], {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})


def test_a_set_that_is_purged_leaves_the_cluster_as_it_was_found(
    run: Run, api_server: ApiServer, admin: KubernetesClient, other: kubernetes.client.ApiClient, namespace: str
) -> None:
    disown_namespaces(admin, other)
    core = kubernetes.client.CoreV1Api(other)
    operated = {"app.kubernetes.io/managed-by": "prometheus-operator", "app.kubernetes.io/name": "prometheus"}
    core.create_namespaced_persistent_volume_claim(namespace, claim("somebody-elses", **operated))
    assert run("save").returncode == 0

    params = {"kubeconfig": str(api_server.kubeconfig()), "namespace": namespace, "name": "prometheus", "wait": False}
    have(admin, kaas_cluster.definition(), iaas_prometheus.definition())
    apply_set.ensure({**params, "objects": [lease()], "generated_secrets": {"token": ["key"]}}, False)
    ours = {**operated, kaas_cluster.OBSERVER_LABEL: namespace}
    core.create_namespaced_persistent_volume_claim(namespace, claim("prometheus-db-prometheus-observer-0", **ours))
    former.remember(admin, namespace, "shop-prod", Former("", "", ""))
    added = run("compare").stdout
    assert f"leases.coordination.k8s.io {namespace}/reconcile" in added
    assert f"persistentvolumeclaims {namespace}/prometheus-db-prometheus-observer-0" in added

    kept = apply_set.ensure({**params, "state": "absent"}, False)["changes"]
    assert kept == [f"delete coordination.k8s.io/v1 Lease {namespace}/reconcile"]
    apply_set.ensure({**params, "state": "absent", "purge": True}, False)
    # There is no controller here that lets a claim go.
    left = core.read_namespaced_persistent_volume_claim("prometheus-db-prometheus-observer-0", namespace)
    assert left.metadata.deletion_timestamp
    core.patch_namespaced_persistent_volume_claim(left.metadata.name, namespace, {"metadata": {"finalizers": None}})
    found = run("compare", "--wait", "20")
    assert found.returncode == 0, found.stdout


def test_the_definition_of_registrations_stays_while_one_is_registered(
    api_server: ApiServer, admin: KubernetesClient, other: kubernetes.client.ApiClient, namespace: str
) -> None:
    params = {"kubeconfig": str(api_server.kubeconfig()), "namespace": namespace, "name": "last", "wait": False}
    purge = {**params, "state": "absent", "purge": True}
    title = f"delete apiextensions.k8s.io/v1 CustomResourceDefinition {kaas_cluster.DEFINITION_NAME}"
    elsewhere = {
        "apiVersion": kaas_cluster.API_VERSION,
        "kind": kaas_cluster.KIND,
        "metadata": {"name": "alpha", "labels": {kaas_cluster.OBSERVER_LABEL: "another"}},
        "spec": {"phase": "active", "clusterUID": "00000000-0000-0000-0000-000000000000"},
    }
    have(admin, kaas_cluster.definition(), elsewhere)
    assert title not in apply_set.ensure(purge, True)["changes"]
    admin.delete(elsewhere["apiVersion"], elsewhere["kind"], "alpha")
    iaas = IaasRegistration("north", "north", "another", upload=True).manifest()
    have(admin, iaas_prometheus.definition(), iaas)
    assert title not in apply_set.ensure(purge, True)["changes"]
    admin.delete(iaas["apiVersion"], iaas["kind"], "north")
    core = kubernetes.client.CoreV1Api(other)
    core.patch_namespace(namespace, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "scs.observability"}}})
    assert title not in apply_set.ensure({**purge, "namespace": "default"}, True)["changes"], "another observer"
    disown_namespaces(admin, other)
    assert title in apply_set.ensure({**purge, "wait": True}, False)["changes"]
    assert admin.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", kaas_cluster.DEFINITION_NAME) is None
