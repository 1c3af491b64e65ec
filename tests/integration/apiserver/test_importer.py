# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real kube-state-metrics makes of registrations in a real API server, with the rights that it has there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    cluster_api_importer,
    iaas_prometheus,
    kaas_cluster,
    kaas_metric_importer,
)
from tests.integration.api_server import ApiServer, have
from tests.integration.importer import Importer, running_importer, user_with
from tests.integration.thanos.pods import wait_for

PATIENCE = 120.0
UID = "00000000-0000-0000-0000-000000000000"
FINGERPRINT = "a" * 64


def registration(name: str, spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": kaas_cluster.API_VERSION,
        "kind": kaas_cluster.KIND,
        "metadata": {"name": name, "labels": {kaas_cluster.OBSERVER_LABEL: "one"}},
        "spec": {"phase": "active", "clusterUID": UID, **spec},
        "status": status,
    }


FULL = registration(
    "full",
    {
        "customer": "acme",
        "sla": "gold",
        "contact": "it@acme.example.org",
        "labels": {"site": "north", "cost_center": "4711"},
        "suspended": True,
        "collection": {"profile": "minimal", "scrapeInterval": "30s", "jobs": ["agent", "kubelet"]},
    },
    {
        "phaseSince": "2026-03-01T12:00:00Z",
        "controlPlane": "kubeadm",
        "certificate": {"fingerprint": FINGERPRINT, "expires": "2026-06-01T00:00:00Z"},
        "failure": {"time": "2026-03-02T12:00:00Z", "link": "gateway", "message": "secret words of the network"},
        "proof": {"time": "2026-03-01T12:00:10Z", "seconds": 12.5, "series": 1872, "missingJobs": ["coredns"]},
    },
)
BARE = registration("bare", {}, {})


@pytest.fixture(scope="module")
def importer(
    api_server: ApiServer, admin: KubernetesClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Importer]:
    kubeconfig = user_with(api_server, "importer", kaas_metric_importer.RULES)
    with running_importer(kubeconfig, tmp_path_factory.mktemp("importer")) as running:
        # It runs before there is a definition.
        registrations = [
            {key: value for key, value in manifest.items() if key != "status"} for manifest in (FULL, BARE)
        ]
        have(admin, kaas_cluster.definition(), *registrations)
        try:
            admin.apply_status({key: value for key, value in FULL.items() if key != "spec"})
            # Those of other tests may be there, too.
            wait_for(
                lambda: all(of(running, "info", name) for name in ("full", "bare")), PATIENCE, "both registrations"
            )
            yield running
        finally:
            for name in ("full", "bare"):
                admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)
            admin.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", kaas_cluster.DEFINITION_NAME)


def of(importer: Importer, name: str, cluster: str) -> dict[str, float]:
    """The series of a cluster, without the labels that all of them have."""
    common = (
        f'cluster="{cluster}"',
        *('observer_namespace="one"', 'customresource_group="observability.scs.community"'),
        *('customresource_kind="KaaSCluster"', 'customresource_version="v1alpha1"'),
    )
    return {
        ",".join(label for label in labels.split(",") if label not in common): value
        for labels, value in importer.series(f"kaas_cluster_{name}").items()
        if common[0] in labels.split(",")
    }


@pytest.mark.parametrize(
    ("name", "full", "bare"),
    [
        (
            "info",
            {
                f'cluster_uid="{UID}",contact="it@acme.example.org",control_plane="kubeadm",customer="acme",'
                'profile="minimal",scrape_interval="30s",sla="gold"': 1,
            },
            {f'cluster_uid="{UID}"': 1},
        ),
        (
            "phase",
            {f'phase="{phase}"': float(phase == "active") for phase in kaas_cluster.PHASES},
            {f'phase="{phase}"': float(phase == "active") for phase in kaas_cluster.PHASES},
        ),
        ("phase_since_timestamp_seconds", {"": 1772366400}, {}),
        ("suspended", {"": 1}, {"": 0}),
        ("labels", {'label_cost_center="4711",label_site="north"': 1}, {}),
        ("expected_job", {'expected_job="agent"': 1, 'expected_job="kubelet"': 1}, {}),
        ("certificate_expiry_timestamp_seconds", {"": 1780272000}, {}),
        ("failure", {'link="gateway"': 1}, {}),
        ("failure_timestamp_seconds", {"": 1772452800}, {}),
        ("proof_timestamp_seconds", {"": 1772366410}, {}),
        ("proof_duration_seconds", {"": 12.5}, {}),
        ("proof_series", {"": 1872}, {}),
        ("proof_missing_job", {'missing_job="coredns"': 1}, {}),
    ],
)
def test_it_tells(name: str, full: dict[str, float], bare: dict[str, float], importer: Importer) -> None:
    assert of(importer, name, "full") == full
    assert of(importer, name, "bare") == bare


def test_when_it_was_registered(importer: Importer) -> None:
    ((_labels, created),) = of(importer, "created", "bare").items()
    assert created > 1772366400


def test_a_change_shows_and_what_is_removed_goes(importer: Importer, admin: KubernetesClient) -> None:
    changed = {**BARE, "spec": {**BARE["spec"], "phase": "maintenance", "suspended": True}}
    admin.apply({key: value for key, value in changed.items() if key != "status"})
    wait_for(lambda: of(importer, "suspended", "bare") == {"": 1}, PATIENCE, "the change")
    assert of(importer, "phase", "bare")['phase="maintenance"'] == 1
    admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, "bare")
    wait_for(lambda: of(importer, "info", "bare") == {}, PATIENCE, "the removal")


def test_what_is_registered_of_the_iaas_layer(importer: Importer, admin: KubernetesClient) -> None:
    """Its definition comes while the importer runs, and so do its metrics."""
    registrations: dict[str, dict[str, Any]] = {
        "importer-north": {
            "pull": {"address": "192.0.2.10:10901", "serverName": "importer-north"},
            "remoteWrite": True,
        },
        "importer-south": {"upload": True},
    }
    kind = {"apiVersion": iaas_prometheus.API_VERSION, "kind": iaas_prometheus.KIND}
    manifests = [
        {
            **kind,
            "metadata": {"name": name, "labels": {iaas_prometheus.OBSERVER_LABEL: "one"}},
            "spec": {"region": name.removeprefix("importer-"), **paths},
        }
        for name, paths in registrations.items()
    ]
    have(admin, iaas_prometheus.definition(), *manifests)
    try:
        expires = {"fingerprint": FINGERPRINT, "expires": "2026-06-01T00:00:00Z"}
        status = {"certificates": {"sidecar": expires, "remoteWrite": expires}}
        admin.apply_status({**kind, "metadata": {"name": "importer-north"}, "status": status})

        def found(metric: str) -> dict[tuple[str, ...], float]:
            """By the labels that rules look at. Other tests may have left registrations of theirs."""
            wanted = ("iaas", "observer_namespace", "pull_address", "region", "remote_write", "upload", "cluster")
            return {
                tuple(label for label in labels.split(",") if label.partition("=")[0] in wanted): value
                for labels, value in importer.series(f"iaas_prometheus_{metric}").items()
                if 'iaas="importer-' in labels
            }

        north = ('iaas="importer-north"', 'observer_namespace="one"')
        expiry = {(*north, 'region="north"'): 1780272000.0}
        wait_for(lambda: found("remote_write_certificate_expiry_timestamp_seconds") == expiry, PATIENCE, "its metrics")
        assert found("sidecar_certificate_expiry_timestamp_seconds") == expiry
        assert found("info") == {
            (*north, 'pull_address="192.0.2.10:10901"', 'region="north"', 'remote_write="true"'): 1,
            ('iaas="importer-south"', 'observer_namespace="one"', 'region="south"', 'upload="true"'): 1,
        }
    finally:
        for name in registrations:
            admin.delete(*kind.values(), name)
        admin.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", iaas_prometheus.DEFINITION_NAME)


def definition_of_cluster_api() -> dict[str, Any]:
    """The kind Cluster as far as the importer is concerned, in both versions."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"clusters.{cluster_api_importer.GROUP}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": cluster_api_importer.GROUP,
            "scope": "Namespaced",
            "names": {"kind": "Cluster", "listKind": "ClusterList", "plural": "clusters", "singular": "cluster"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == "v1beta2",
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": anything},
                }
                for version in ("v1beta1", "v1beta2")
            ],
        },
    }


def test_clusters_of_cluster_api_are_told_too(
    api_server: ApiServer,
    admin: KubernetesClient,
    other: kubernetes.client.ApiClient,
    namespace: str,
    tmp_path: Path,
) -> None:
    kubeconfig = user_with(api_server, "cluster-api-importer", cluster_api_importer.RULES)
    clusters = kubernetes.client.CustomObjectsApi(other)
    place = {"group": cluster_api_importer.GROUP, "version": "v1beta1", "namespace": namespace, "plural": "clusters"}

    def create(name: str, **metadata: Any) -> None:
        body = {
            "apiVersion": f"{cluster_api_importer.GROUP}/v1beta1",
            "kind": "Cluster",
            "metadata": {"name": name, **metadata},
        }
        clusters.create_namespaced_custom_object(**place, body=body)

    def is_served() -> bool:
        with suppress(kubernetes.client.ApiException):
            return bool(clusters.list_namespaced_custom_object(**place))
        return False

    with running_importer(
        kubeconfig,
        tmp_path,
        arguments=cluster_api_importer.ARGUMENTS,
        configuration=cluster_api_importer.CONFIGURATION,
    ) as importer:

        def found(name: str) -> dict[str, float]:
            """By the labels that are left after a scrape, in the version that is older."""
            dropped = ("customresource_", "namespace=", "uid=")
            return {
                ",".join(label for label in labels.split(",") if not label.startswith(dropped)): value
                for labels, value in importer.series(f"kaas_capi_cluster_{name}").items()
                if 'customresource_version="v1beta1"' in labels
            }

        admin.apply(definition_of_cluster_api())
        wait_for(is_served, PATIENCE, "the definition")
        try:
            create("shop", finalizers=["cluster.cluster.x-k8s.io"])
            create("other", labels={cluster_api_importer.REGISTERED_AS: "other-prod"})
            status = {"status": {"phase": "Provisioned"}}
            clusters.patch_namespaced_custom_object_status(**place, name="shop", body=status)
            wait_for(lambda: len(found("info")) == 2, PATIENCE, "both clusters")
            assert found("info") == {'cluster="shop"': 1, 'cluster="other",registered_as="other-prod"': 1}
            wait_for(lambda: found("phase").get('cluster="shop",phase="Provisioned"') == 1, PATIENCE, "the phase")
            assert min(found("created").values()) > 1772366400
            assert found("deletion_timestamp_seconds") == {}
            listed = importer.series("kube_state_metrics_list_total", of_itself=True)
            assert any('result="success"' in labels and value > 0 for labels, value in listed.items())

            # Deleted, and kept by its controllers until all of it is gone
            clusters.delete_namespaced_custom_object(**place, name="shop")
            wait_for(lambda: list(found("deletion_timestamp_seconds")) == ['cluster="shop"'], PATIENCE, "the deletion")
            clusters.patch_namespaced_custom_object(**place, name="shop", body={"metadata": {"finalizers": None}})
            wait_for(lambda: list(found("info")) == ['cluster="other",registered_as="other-prod"'], PATIENCE, "its end")
        finally:
            kubernetes.client.ApiextensionsV1Api(other).delete_custom_resource_definition(
                f"clusters.{cluster_api_importer.GROUP}"
            )


def test_without_rights_nothing_counts_as_listed(api_server: ApiServer, tmp_path: Path) -> None:
    """By which the rules know that a cluster is gone, and not unseen."""
    kubeconfig = user_with(api_server, "stranger", [])
    with running_importer(
        kubeconfig,
        tmp_path,
        arguments=cluster_api_importer.ARGUMENTS,
        configuration=cluster_api_importer.CONFIGURATION,
    ) as importer:
        listed = importer.series("kube_state_metrics_list_total", of_itself=True)
        assert [labels for labels, value in listed.items() if 'result="success"' in labels and value > 0] == []
