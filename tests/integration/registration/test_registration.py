# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering and removing, against real API servers of both sides."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    ConflictError,
    InputError,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    kaas_cluster,
    kube_state_metrics,
    node_exporter,
)
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._registration import parts
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import activate
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from tests.integration.processes import binary, free_port

OTHER_UID = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"
CLUSTER_SCOPED = (
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
)


def kubectl(server: Any, *arguments: str, stdin: str = "", check: bool = True) -> str:
    command = [binary("kubectl"), f"--kubeconfig={server.kubeconfig()}", *arguments]
    result = subprocess.run(command, check=False, input=stdin, capture_output=True, text=True)
    assert not check or result.returncode == 0, result.stderr
    return result.stdout


def ours(client: KubernetesClient, site: Any) -> set[str]:
    """All objects with our label and this name, of the kinds that we make."""
    selector = f"app.kubernetes.io/managed-by=scs.observability,app.kubernetes.io/instance={site.name}"
    return {
        f"{kind} {item['metadata']['name']}"
        for api_version, kind in parts.KINDS
        for item in client.list(api_version, kind, label_selector=selector)
    }


def cluster_wide(client: KubernetesClient) -> set[str]:
    return {item["metadata"]["name"] for kind in CLUSTER_SCOPED for item in client.list(*kind)}


def test_check_mode_on_empty_clusters_says_what_a_run_does(site: Any) -> None:
    planned = site.register(check=True)
    assert planned["changed"] is True
    assert site.kaas.get("v1", "Namespace", site.namespace) is None
    assert site.observer.get("v1", "Namespace", site.observer_namespace) is None
    assert site.record() is None

    done = site.register()
    assert planned["changes"] == done["changes"]
    assert done["phase"] == "provisioning"
    assert f"create v1 Namespace {site.namespace}" in done["changes"]
    assert f"create {kaas_cluster.API_VERSION} {kaas_cluster.KIND} {site.name}" in done["changes"]


def test_a_second_run_finds_nothing_to_do(site: Any) -> None:
    first = site.register(customer="Example Shop", sla="gold")
    for check in (True, False):
        again = site.register(check=check, customer="Example Shop", sla="gold")
        assert again["changes"] == []
        assert again["changed"] is False
        assert again["certificate"] == first["certificate"]


def test_check_mode_on_a_registered_cluster_says_what_a_run_does(site: Any) -> None:
    site.register()
    changes = {"profile": "full", "sla": "gold", "scrape_interval": "15s"}
    planned = site.register(check=True, **changes)
    done = site.register(**changes)
    assert planned["changes"] == done["changes"]
    assert planned["diff"] == done["diff"]
    # The agent reads its new configuration: another one would lose what this one has not sent.
    assert [line.split("/")[-1] for line in done["changes"] if "apps/v1" in line] == [kube_state_metrics.NAME]
    assert f"update v1 ConfigMap {site.namespace}/{agent.NAME}" in done["changes"]
    assert site.register(check=True, **changes)["changed"] is False


def test_the_registration_holds_what_was_asked_for(site: Any) -> None:
    result = site.register(customer="Example Shop", sla="gold", contact="noc@example.org")
    record = site.record()
    assert record["spec"]["clusterUID"] == site.kaas_uid == result["cluster_uid"]
    assert (record["spec"]["customer"], record["spec"]["sla"]) == ("Example Shop", "gold")
    assert record["status"]["certificate"] == result["certificate"]
    assert record["metadata"]["creationTimestamp"]


def test_nothing_of_the_observer_is_in_the_cluster_and_the_other_way_round(site: Any) -> None:
    site.register()
    assert site.kaas.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", kaas_cluster.DEFINITION_NAME) is None
    assert not ours(site.observer, site)
    secrets = site.kaas.list("v1", "Secret", site.namespace)
    assert [item["metadata"]["name"] for item in secrets] == [agent.IDENTITY_SECRET]


def test_another_cluster_under_the_same_name_is_refused_before_anything_is_touched(site: Any) -> None:
    site.register()
    record = site.record()
    site.deregister()
    site.observer.create(
        {
            "apiVersion": kaas_cluster.API_VERSION,
            "kind": kaas_cluster.KIND,
            "metadata": {"name": site.name},
            "spec": {**record["spec"], "clusterUID": OTHER_UID},
        }
    )
    for check in (True, False):
        with pytest.raises(InputError) as raised:
            site.register(check=check)
        assert raised.value.parameter == "name"
        assert OTHER_UID in str(raised.value)
        assert site.kaas_uid in str(raised.value)
    assert not ours(site.kaas, site)
    assert site.record()["spec"]["clusterUID"] == OTHER_UID


def test_a_second_name_for_the_same_cluster_is_refused(site: Any) -> None:
    site.register()
    with pytest.raises(InputError, match=f"already registered as '{site.name}'"):
        site.register(name=f"{site.name}-again")


def test_the_life_of_a_registration(site: Any) -> None:
    assert site.register()["phase"] == "provisioning"
    assert site.register(phase="active")["phase"] == "active"
    assert site.register(phase="maintenance")["phase"] == "maintenance"
    assert site.register()["phase"] == "maintenance"
    with pytest.raises(InputError, match="cannot become provisioning"):
        site.register(phase="provisioning")
    assert site.record()["spec"]["phase"] == "maintenance"


def test_one_that_is_being_deleted_cannot_come_back(site: Any, observer_server: Any) -> None:
    site.register()
    patch = '{"spec": {"phase": "deleting"}}'
    kubectl(observer_server, "patch", "kaascluster", site.name, "--type=merge", "-p", patch)
    with pytest.raises(InputError, match="being deleted"):
        site.register()
    site.deregister()
    assert site.record() is None


def test_all_goes_and_nothing_else(site: Any) -> None:
    roles, definition = cluster_wide(site.kaas), kaas_cluster.DEFINITION_NAME
    site.register()
    assert cluster_wide(site.kaas) - roles == {agent.NAME, kube_state_metrics.NAME}
    planned = site.deregister(check=True)
    assert ours(site.kaas, site)
    done = site.deregister()
    assert planned["changes"] == done["changes"]
    assert not ours(site.kaas, site)
    assert cluster_wide(site.kaas) == roles
    assert site.record() is None
    # No controller ends a namespace here.
    namespace = site.kaas.get("v1", "Namespace", site.namespace)
    assert namespace is None or namespace["metadata"]["deletionTimestamp"]
    # What all registrations share stays.
    assert site.observer.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition)
    assert site.observer.get("v1", "Secret", "scs-observability-authority-tenants", site.observer_namespace)

    again = site.deregister()
    assert (again["changed"], again["changes"]) == (False, [])


def test_a_namespace_that_somebody_else_made_stays(site: Any) -> None:
    site.kaas.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": site.namespace}})
    site.register()
    site.deregister()
    namespace = site.kaas.get("v1", "Namespace", site.namespace)
    assert "deletionTimestamp" not in namespace["metadata"]
    assert "app.kubernetes.io/managed-by" not in namespace["metadata"]["labels"]
    assert not ours(site.kaas, site)


def test_a_namespace_with_something_of_somebody_else_stays(site: Any) -> None:
    site.register()
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": site.namespace}}
    site.kaas.create(theirs)
    site.deregister()
    assert "deletionTimestamp" not in site.kaas.get("v1", "Namespace", site.namespace)["metadata"]
    assert site.kaas.get("v1", "ConfigMap", "theirs", site.namespace)


def test_a_certificate_that_was_replaced_by_something_else_is_issued_anew(site: Any) -> None:
    first = site.register()
    secret = site.kaas.get("v1", "Secret", agent.IDENTITY_SECRET, site.namespace)
    internal = site.observer.get("v1", "Secret", "scs-observability-authority-internal", site.observer_namespace)
    forged = {**secret["data"], "tls.crt": internal["data"]["tls.crt"], "tls.key": internal["data"]["tls.key"]}
    metadata = {"name": agent.IDENTITY_SECRET, "namespace": site.namespace}
    site.kaas.apply(
        {"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "metadata": metadata, "data": forged}
    )

    second = site.register()
    assert second["certificate"] != first["certificate"]
    assert site.record()["status"]["certificate"] == second["certificate"]
    after = site.kaas.get("v1", "Secret", agent.IDENTITY_SECRET, site.namespace)
    assert secret_text(after, "tls.crt") != secret_text(internal, "tls.crt")
    assert str(secret_text(after, "tls.key")) not in str(second)


def test_a_field_of_another_manager_is_taken_over_only_with_force(site: Any, kaas_server: Any) -> None:
    site.register()
    theirs = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {agent.NAME}, namespace: {site.namespace}}}
spec: {{replicas: 0}}
"""
    kubectl(
        kaas_server, "apply", "--server-side", "--force-conflicts", "--field-manager=gitops", "-f", "-", stdin=theirs
    )
    for check in (True, False):
        with pytest.raises(ConflictError, match="gitops"):
            site.register(check=check)
    result = site.register(force=True)
    assert result["changes"] == [f"update apps/v1 Deployment {site.namespace}/{agent.NAME}"]
    assert site.kaas.get("apps/v1", "Deployment", agent.NAME, site.namespace)["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("account", "right", "where", "allowed"),
    [
        (agent.NAME, "get nodes --subresource=metrics", "", True),
        (agent.NAME, "list nodes", "", True),
        (agent.NAME, "get /metrics", "", True),
        (agent.NAME, "watch endpointslices.discovery.k8s.io", "default", True),
        (agent.NAME, "list pods", "kube-system", True),
        (agent.NAME, "list services", "kube-system", True),
        (agent.NAME, "list pods", "own", False),
        (agent.NAME, "list services", "own", False),
        (agent.NAME, "list pods", "all", False),
        (agent.NAME, "watch endpointslices.discovery.k8s.io", "all", False),
        (agent.NAME, "get nodes --subresource=proxy", "", False),
        (agent.NAME, "create pods --subresource=exec", "kube-system", False),
        (agent.NAME, "get secrets", "own", False),
        (agent.NAME, "get secrets", "kube-system", False),
        (agent.NAME, "list configmaps", "default", False),
        (kube_state_metrics.NAME, "list pods", "all", True),
        (kube_state_metrics.NAME, "watch deployments.apps", "all", True),
        (kube_state_metrics.NAME, "list networkpolicies.networking.k8s.io", "own", False),
        (kube_state_metrics.NAME, "list secrets", "own", False),
        (kube_state_metrics.NAME, "get secrets", "own", False),
        (kube_state_metrics.NAME, "list configmaps", "own", False),
        (kube_state_metrics.NAME, "delete pods", "own", False),
        (node_exporter.NAME, "list nodes", "", False),
        (node_exporter.NAME, "list secrets", "own", False),
    ],
)
def test_what_the_api_server_lets_them_do(site: Any, account: str, right: str, where: str, allowed: bool) -> None:
    site.register()
    place = {"": [], "all": ["--all-namespaces"], "own": [f"--namespace={site.namespace}"]}
    user = f"--as=system:serviceaccount:{site.namespace}:{account}"
    options = [f"--kubeconfig={site.kaas_kubeconfig}", user, *place.get(where, [f"--namespace={where}"])]
    command = [binary("kubectl"), "auth", "can-i", *right.split(), *options]
    answer = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    assert answer.strip() == ("yes" if allowed else "no")


def test_a_cluster_that_does_not_answer_is_named_and_nothing_is_touched(site: Any, kaas_server: Any) -> None:
    gone = f"https://127.0.0.1:{free_port()}"
    broken = kaas_server.kubeconfig(server=gone)
    with pytest.raises(ApiError) as raised:
        site.register(kubeconfig=str(broken))
    assert gone in str(raised.value)
    assert raised.value.parameter == "kubeconfig"
    assert site.record() is None


def test_an_observer_that_does_not_answer_is_named_and_nothing_is_touched(site: Any, observer_server: Any) -> None:
    gone = f"https://127.0.0.1:{free_port()}"
    with pytest.raises(ApiError) as raised:
        site.register(observer_kubeconfig=str(observer_server.kubeconfig(server=gone)))
    assert gone in str(raised.value)
    assert raised.value.parameter == "observer_kubeconfig"
    assert not ours(site.kaas, site)


@pytest.mark.parametrize("side", ["observer", "kaas"])
def test_a_user_without_rights_is_told_verb_and_resource(
    site: Any, observer_server: Any, kaas_server: Any, side: str
) -> None:
    server, parameter = (observer_server, "observer_kubeconfig") if side == "observer" else (kaas_server, "kubeconfig")
    with pytest.raises(ApiError) as raised:
        site.register(**{parameter: str(server.kubeconfig("nobody", ()))})
    assert raised.value.status == 403
    assert raised.value.parameter == parameter
    assert "nobody" in str(raised.value)
    assert "needs verb" in str(raised.value)
    assert not ours(site.kaas, site)
    assert site.record() is None


def test_without_a_query_path_nothing_is_begun(site: Any) -> None:
    with pytest.raises(QueryError) as raised:
        site.register(wait=True)
    assert f"{site.observer_namespace}/thanos-query-frontend" in str(raised.value)
    assert site.record() is None
    assert not ours(site.kaas, site)
    # Check mode does not ask: the observer may not be deployed yet.
    assert site.register(check=True, wait=True)["phase"] == "active"


def test_a_cluster_that_is_gone_is_forgotten_with_force_and_what_is_left_is_told(site: Any, kaas_server: Any) -> None:
    site.register()
    broken = str(kaas_server.kubeconfig(server=f"https://127.0.0.1:{free_port()}"))
    with pytest.raises(ApiError, match="force: true"):
        site.deregister(kubeconfig=broken)
    assert site.record()["spec"]["phase"] == "provisioning"

    result = site.deregister(kubeconfig=broken, force=True)
    assert site.record() is None
    left = {re.sub(r"^\S+ (\w+) (?:.*/)?", r"\1 ", line) for line in result["left"]}
    namespaces = {f"Namespace {name}" for name in (site.namespace, node_exporter.namespace_of(site.namespace))}
    assert left == ours(site.kaas, site) | namespaces


def test_a_definition_of_another_release_is_brought_up_to_date(site: Any) -> None:
    site.register()
    other = kaas_cluster.definition()
    other["spec"]["versions"][0]["additionalPrinterColumns"].pop()
    site.observer.apply(other)
    result = site.register()
    definition = f"apiextensions.k8s.io/v1 CustomResourceDefinition {kaas_cluster.DEFINITION_NAME}"
    assert result["changes"] == [f"update {definition}"]
    assert site.register()["changed"] is False


def test_what_holds_for_one_cluster_stays_until_it_is_taken_back(site: Any) -> None:
    own = {
        "labels": {"stage": "production"},
        "suspended": True,
        "overrides": {
            "profile": "full",
            "scrape_interval": "1m",
            "extra_jobs": [{"name": "shop", "service": "shop", "namespace": "shop", "port": 8080, "path": "/m"}],
            "extra_series": {"kubelet": ["kubelet_started_pods_total"]},
            "resources": {"agent": {"limits": {"memory": "1Gi"}}},
        },
    }
    planned = site.register(check=True, **own)
    done = site.register(**own)
    assert planned["changes"] == done["changes"]
    spec = site.record()["spec"]
    assert (spec["labels"], spec["suspended"]) == (own["labels"], True)
    assert spec["collection"]["profile"] == "full"
    for changes in ({}, own, {"profile": "minimal", "scrape_interval": "15s"}):
        assert site.register(**changes)["changes"] == []

    # What is taken away from a list or a dictionary goes, and nothing of it stays behind.
    fewer = {"overrides": {"resources": {"node_exporter": {"limits": {"memory": "64Mi"}}}}}
    site.register(**fewer)
    assert site.record()["spec"]["overrides"] == fewer["overrides"]
    site.register(labels={}, suspended=False, overrides={})
    assert not {"labels", "suspended", "overrides"} & set(site.record()["spec"])
    assert site.record()["spec"]["collection"]["profile"] == "minimal"


def test_a_certificate_is_renewed_on_request(site: Any) -> None:
    first = site.register()["certificate"]
    renewed = site.register(renew=True)
    assert renewed["certificate"] != first
    status = site.record()["status"]
    assert status["certificate"] == renewed["certificate"]
    assert status["previousCertificate"] == renewed["previous_certificate"]
    assert status["previousCertificate"]["fingerprint"] == first["fingerprint"]
    assert [line.split()[2] for line in renewed["changes"]] == ["KaaSCluster/status", "Secret"]
    assert site.register()["changes"] == []


def test_a_run_that_fails_is_told_of_until_one_goes_well(site: Any, kaas_server: Any) -> None:
    site.register()
    since = site.record()["status"]["phaseSince"]
    with pytest.raises(ApiError):
        site.register(kubeconfig=str(kaas_server.kubeconfig(server=f"https://127.0.0.1:{free_port()}")))
    failure = site.record()["status"]["failure"]
    assert (failure["link"], "127.0.0.1" in failure["message"]) == ("cluster", True)
    assert site.register()["changes"] == []
    assert "failure" not in site.record()["status"]
    assert site.record()["status"]["phaseSince"] == since


def test_a_registration_of_an_older_release_is_gone_on_with(site: Any) -> None:
    """Its definition knew less, and so does its object."""
    site.register()
    record = site.record()
    older = kaas_cluster.definition()
    properties = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for part, names in (("spec", ("labels", "suspended", "overrides")), ("status", ("previousCertificate", "failure"))):
        for name in names:
            del properties[part]["properties"][name]
    for name in ("phaseSince", "controlPlane"):
        del properties["status"]["properties"][name]
    site.observer.apply(older)
    kept = {name: record["status"][name] for name in ("certificate",)}
    bare = Registration.of({**record, "status": kept})
    site.observer.apply_status(bare.status_manifest(), force=True)

    result = site.register(labels={"stage": "production"}, suspended=True)
    assert result["certificate"] == kept["certificate"]
    assert site.record()["spec"]["suspended"] is True
    assert site.record()["status"]["phaseSince"] == record["metadata"]["creationTimestamp"]
    assert site.register()["changes"] == []


def test_the_agent_is_found_where_it_was_registered(site: Any) -> None:
    site.register()
    for operation in (site.register, site.deregister):
        with pytest.raises(InputError, match=site.namespace) as raised:
            operation(namespace=f"{site.namespace}-elsewhere")
        assert raised.value.parameter == "namespace"
    assert site.register(namespace=None)["changed"] is False
    site.deregister(namespace=None)
    assert not ours(site.kaas, site)


def test_a_cluster_belongs_to_one_observer(site: Any) -> None:
    """The second observer is in another namespace of the same cluster, and the first has lost its registration."""
    site.register()
    site.observer.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, site.name)
    other = {"observer_namespace": f"{site.observer_namespace}-second"}
    with pytest.raises(InputError, match="another observer") as raised:
        site.register(**other)
    assert raised.value.parameter == "kubeconfig"
    assert site.observer.get("v1", "Namespace", other["observer_namespace"]) is None

    assert site.register(**other, force=True)["changed"] is True
    assert site.register(**other)["changed"] is False
    with pytest.raises(InputError, match="is registered with the observer in the namespace"):
        site.deregister()
    site.deregister(**other)
    assert not ours(site.kaas, site)


def test_an_observer_has_no_agent_in_its_own_cluster(site: Any) -> None:
    before = cluster_wide(site.observer)
    with pytest.raises(InputError, match="its own Prometheus observes") as raised:
        site.register(kubeconfig=str(site.observer_kubeconfig))
    assert raised.value.parameter == "kubeconfig"
    assert cluster_wide(site.observer) == before
    assert site.observer.get("v1", "Namespace", site.namespace) is None


def test_what_others_wrote_meanwhile_is_never_overwritten(site: Any, observer_server: Any) -> None:
    """Whoever writes rests on what was seen last: the API server refuses everything else, also what is gone."""
    site.register()
    seen = Registration.of(site.record())
    kubectl(observer_server, "patch", "kaascluster", site.name, "--type=merge", "-p", '{"spec": {"contact": "noc"}}')
    for _meanwhile in ("written", "deleted"):
        with pytest.raises(ApiError) as raised:
            site.observer.apply(seen.in_phase("active").conditional_manifest())
        assert raised.value.status == 409
        site.observer.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, site.name)


def test_a_proof_makes_active_what_is_still_in_provisioning(site: Any, observer_server: Any) -> None:
    site.register()
    left = Registration.of(site.record())
    kubectl(observer_server, "patch", "kaascluster", site.name, "--type=merge", "-p", '{"spec": {"contact": "noc"}}')
    assert activate(site.observer, left, force=False).phase == "active"
    assert (site.record()["spec"]["phase"], site.record()["spec"]["contact"]) == ("active", "noc")
    site.register(phase="maintenance", force=True)
    assert activate(site.observer, left, force=False).phase == "maintenance"
    assert site.record()["spec"]["phase"] == "maintenance"
