# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server itself enforces on registrations, whoever writes them."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import apply_plan, plan_objects
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    Failure,
    PreviousCertificate,
    Proof,
    Registration,
)
from tests.integration.processes import binary

UID = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"
LEGAL = {(old, new) for old, phases in kaas_cluster.TRANSITIONS.items() for new in (old, *phases)}
ALL = [(old, new) for old in kaas_cluster.PHASES for new in kaas_cluster.PHASES]


@pytest.fixture(scope="module")
def client(observer_server: Any) -> KubernetesClient:
    result: KubernetesClient = observer_server.client()
    apply_plan(result, plan_objects(result, [kaas_cluster.definition()]))
    return result


@pytest.fixture
def name(client: KubernetesClient, request: pytest.FixtureRequest) -> Any:
    result = f"validated-{abs(hash(request.node.name)) % 10**9}"
    yield result
    client.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, result)


def registration(name: str, **changes: Any) -> Registration:
    return Registration(
        **{"name": name, "cluster_uid": UID, "phase": "active", "jobs": ("agent",), "sla": "gold", **changes}
    )


def changed(name: str, **fields: Any) -> dict[str, Any]:
    manifest = registration(name).manifest()
    for path, value in fields.items():
        target = manifest
        *parents, last = path.split("__")
        for parent in parents:
            target = target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return manifest


def refused(client: KubernetesClient, manifest: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as raised:
        client.apply(manifest)
    assert raised.value.status == 422
    return str(raised.value)


def test_the_definition_is_accepted_whole_and_settles(client: KubernetesClient) -> None:
    """Nothing of it is dropped or rewritten: a second look finds nothing to do."""
    assert plan_objects(client, [kaas_cluster.definition()]) == Plan()
    live = client.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", kaas_cluster.DEFINITION_NAME)
    assert live is not None
    conditions = {item["type"]: item["status"] for item in live["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    # A schema that is not structural is accepted, but says so.
    assert "NonStructuralSchema" not in conditions


@pytest.mark.parametrize(("old", "new"), ALL, ids=[f"{old}-{new}" for old, new in ALL])
def test_only_legal_transitions(client: KubernetesClient, name: str, old: str, new: str) -> None:
    client.create(registration(name, phase=old).manifest())
    manifest = registration(name, phase=new).manifest()
    if (old, new) in LEGAL:
        assert client.apply(manifest, force=True)["spec"]["phase"] == new
        return
    with pytest.raises(ApiError) as raised:
        client.apply(manifest, force=True)
    assert raised.value.status == 422
    legal = ", ".join(kaas_cluster.TRANSITIONS[old]) or "nothing"
    assert f"phase {old} cannot become {new}; legal: {legal}" in str(raised.value)


def test_a_name_belongs_to_one_cluster(client: KubernetesClient, name: str) -> None:
    client.apply(registration(name).manifest())
    text = refused(client, changed(name, spec__clusterUID=UID.replace("0", "1")))
    assert "belongs to one cluster" in text


def test_an_agent_does_not_move(client: KubernetesClient, name: str) -> None:
    client.apply(registration(name).manifest())
    client.apply(registration(name, namespace="agents").manifest())  # of a release that did not record it
    text = refused(client, registration(name, namespace="elsewhere").manifest())
    assert "off board first" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"spec__phase": "sleeping"},
        {"spec__namespace": "Not_ok"},
        {"spec__phase": None},
        {"spec__clusterUID": "not-a-uid"},
        {"spec__clusterUID": None},
        {"spec__sla": "gold plus"},
        {"spec__customer": ""},
        {"spec__customer": "x" * 254},
        {"spec__collection__profile": "everything"},
        {"spec__collection__scrapeInterval": "soon"},
        {"spec__collection__scrapeInterval": ""},
        {"spec__collection__jobs": ["agent", "agent"]},
        {"spec__collection__jobs": "agent"},
        {"spec__suspended": "for a while"},
        {"spec__labels": {"cluster": "beta"}},
        {"spec__labels": {"__name__": "up"}},
        {"spec__labels": {"a-b": "c"}},
        {"spec__labels": {"a" * 64: "c"}},
        {"spec__labels": {"stage": "x" * 254}},
        {"spec__labels": {f"label_{number}": "x" for number in range(33)}},
        {"spec__overrides": {"profile": "everything"}},
        {"spec__overrides": {"scrapeInterval": "soon"}},
        {"spec__overrides": {"extraJobs": [{"path": "/metrics"}]}},
        {"spec__overrides": {"extraJobs": [{"name": "shop", "port": 0}]}},
        {"spec__overrides": {"extraSeries": {"kubelet": "all"}}},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(client: KubernetesClient, name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as raised:
        client.create(changed(name, **fields))
    assert raised.value.status == 422
    assert client.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name) is None


@pytest.mark.parametrize("bad_name", ["a.b", "a" * 64])
def test_names_that_kubernetes_allows_and_tenants_do_not(client: KubernetesClient, bad_name: str) -> None:
    text = refused(client, registration(bad_name).manifest())
    assert "DNS label" in text


def test_a_whole_registration_is_kept_as_it_is(client: KubernetesClient, name: str) -> None:
    wanted = registration(
        name,
        namespace="agents",
        customer="Example Shop",
        contact="noc@example.org",
        profile="full",
        scrape_interval="1m30s",
        jobs=("agent", "kubelet"),
        labels={"team": "web", "_stage": ""},
        suspended=True,
        overrides={
            "profile": "full",
            "scrape_interval": "1m30s",
            "extra_jobs": [{"name": "shop", "targets": ["shop:80"], "path": "/m", "scheme": "http", "interval": "1m"}],
            "extra_series": {"kubelet": ["kubelet_started_pods_total"]},
            "resources": {"agent": {"limits": {"memory": "1Gi"}}},
            "workloads": {"namespaces": ["shop"], "selector": {"monitoring": "true"}},
            "blackbox": {"targets": [{"name": "shop", "url": "https://shop.example.org"}]},
        },
        certificate=Certificate("ab" * 32, "2026-05-02T10:00:00Z"),
        previous_certificate=PreviousCertificate("cd" * 32, "2026-02-01T10:00:00Z"),
        proof=Proof("2026-02-01T10:00:00Z", 21.5, 2713, ("coredns",)),
        phase_since="2026-01-01T10:00:00Z",
        failure=Failure("2026-02-01T10:00:00Z", "tls", "the gateway is not trusted"),
        control_plane="kubeadm",
    )
    client.apply(wanted.manifest())
    client.apply_status(wanted.status_manifest())
    live = client.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)
    assert live is not None
    read = Registration.of(live)
    assert read.since
    assert Registration(**{**vars(read), "since": "", "uid": "", "version": ""}) == wanted


def test_status_is_written_apart(client: KubernetesClient, name: str) -> None:
    """So a proof is never a change of the registration: its generation stays."""
    before = client.apply(registration(name).manifest())
    proven = registration(name, proof=Proof("2026-02-01T10:00:00Z", 1.0, 1))
    after = client.apply_status(proven.status_manifest())
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert client.apply({**registration(name).manifest(), "status": {"proof": None}})["status"] == after["status"]


@pytest.mark.parametrize(
    "status",
    [
        {"certificate": {"fingerprint": "AB", "expires": "2026-05-02T10:00:00Z"}},
        {"certificate": {"fingerprint": "ab" * 32, "expires": "next year"}},
        {"proof": {"time": "2026-05-02T10:00:00Z", "series": -1}},
        {"previousCertificate": {"fingerprint": "ab" * 32}},
        {"phaseSince": "a while ago"},
        {"failure": {"time": "2026-05-02T10:00:00Z", "message": "of what?"}},
        {"controlPlane": "mainframe"},
    ],
    ids=str,
)
def test_a_status_that_cannot_be_is_refused(client: KubernetesClient, name: str, status: dict[str, Any]) -> None:
    client.apply(registration(name).manifest())
    with pytest.raises(ApiError) as raised:
        client.apply_status({**registration(name).status_manifest(), "status": status})
    assert raised.value.status == 422


def test_kubectl_shows_the_fleet(observer_server: Any, client: KubernetesClient, name: str) -> None:
    certificate = Certificate("ab" * 32, "2099-05-02T10:00:00Z")
    wanted = registration(name, customer="Example Shop", suspended=True, certificate=certificate)
    client.apply(wanted.manifest())
    client.apply_status(wanted.status_manifest())
    heading, row = kubectl(observer_server, "get", "kaasclusters", name).splitlines()
    assert heading.split() == ["NAME", "PHASE", "CUSTOMER", "SLA", "SUSPENDED", "EXPIRES", "PROOF", "AGE"]
    assert row.split()[:7] == [name, "active", "Example", "Shop", "gold", "true", "2099-05-02T10:00:00Z"]
    assert kubectl(observer_server, "get", "kc", "-o", "name").split() == [f"kaascluster.{kaas_cluster.GROUP}/{name}"]


def kubectl(server: Any, *arguments: str) -> str:
    command = [binary("kubectl"), f"--kubeconfig={server.kubeconfig()}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
