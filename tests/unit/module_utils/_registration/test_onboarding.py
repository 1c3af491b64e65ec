# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    ConflictError,
    InputError,
    InputErrors,
    NotReadyError,
    ObservabilityError,
    ProofError,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import BACKDATED, KeyPair, issue
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    kaas_cluster,
    node_exporter,
    remote_write_clients,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import gateway as manifests_gateway
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._registration import (
    former,
    identity,
    onboarding,
    record,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from tests import pki
from tests.unit.module_utils._registration.conftest import CLIENTS, RECORD, SECRET

# Of the cluster's name, and signed by nobody whom the observer knows
STRANGER = pki.make("alpha", pki.authority("another"))


def certificate(lab: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate((secret_text(lab.kaas.objects[SECRET], "tls.crt") or "").encode())


def test_all_that_is_wrong_is_told_before_anything_is_touched(lab: Any) -> None:
    params = lab.params(
        name="..", kubeconfig="", observer_kubeconfig="nowhere", profile="maximal", wait_timeout=0, proof_timeout=-1
    )
    for check_mode in (True, False):
        with pytest.raises(InputErrors) as raised:
            register(params, check_mode)
        parameters = [error.parameter for error in raised.value.errors]
        assert parameters == [
            "name",
            "profile",
            "wait_timeout",
            "proof_timeout",
            "observer_kubeconfig",
            "kubeconfig",
        ]
    assert lab.observer.written == lab.kaas.written == []


def test_what_the_clusters_tell_is_told_at_once_too(lab: Any) -> None:
    register(lab.params(), False)
    lab.forget()
    with pytest.raises(InputErrors) as raised:
        register(lab.params(namespace="elsewhere", phase="provisioning"), False)
    assert [error.parameter for error in raised.value.errors] == ["namespace", "phase"]
    assert lab.observer.written == lab.kaas.written == []


def test_a_cluster_comes_on_board(lab: Any) -> None:
    result = register(lab.params(customer="Example Shop", sla="gold", contact="noc@example.org"), False)

    assert (result["changed"], result["phase"], result["name"]) == (True, "active", "alpha")
    assert result["series"] == 700
    assert result["missing_jobs"] == []
    assert 0 <= result["seconds"] < 5
    assert set(result["timings"]) == {"applied", "agent_ready", "all_ready", "first_sample", "all_jobs"}

    record = lab.observer.objects[RECORD]
    assert record["spec"]["phase"] == "active"
    assert (
        record["spec"]["clusterUID"]
        == result["cluster_uid"]
        == lab.kaas.get("v1", "Namespace", "kube-system")["metadata"]["uid"]
    )
    assert (record["spec"]["customer"], record["spec"]["sla"]) == ("Example Shop", "gold")
    assert record["status"]["certificate"] == result["certificate"]
    assert record["status"]["proof"]["series"] == 700
    assert {"Deployment", "DaemonSet", "ClusterRole", "Secret", "ConfigMap", "Service"} <= lab.kaas.kinds()
    assert not {"KaaSCluster", "CustomResourceDefinition"} & lab.kaas.kinds()
    assert not {"Deployment", "DaemonSet"} & lab.observer.kinds()


def test_it_is_active_only_once_it_is_proven(lab: Any) -> None:
    register(lab.params(), False)
    assert lab.observer.phases == ["provisioning", "active"]


def test_the_registration_comes_before_the_agent_and_the_proof_after(lab: Any) -> None:
    order: list[tuple[str, str, str]] = []
    lab.observer.written = order
    lab.kaas.written = order
    register(lab.params(), False)
    names = [f"{verb} {kind}" for verb, kind, _name in order]
    assert names.index("apply KaaSCluster") < names.index("apply Deployment")
    assert names.index("apply_status KaaSCluster") < names.index("apply Deployment")
    assert names[-2:] == ["apply KaaSCluster", "apply_status KaaSCluster"]


def test_the_certificate_says_who_the_cluster_is(lab: Any) -> None:
    result = register(lab.params(), False)
    found = certificate(lab)
    assert [name.value for name in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["alpha"]
    tenants = lab.observer.get("v1", "Secret", "scs-observability-authority-tenants", "scs-observability")
    authority = x509.load_pem_x509_certificate((secret_text(tenants, "tls.crt") or "").encode())
    found.verify_directly_issued_by(authority)
    assert result["certificate"]["expires"].startswith(found.not_valid_after_utc.strftime("%Y-%m-%dT"))


def test_the_agent_trusts_the_authority_of_components_and_not_its_own(lab: Any) -> None:
    register(lab.params(), False)
    internal = lab.observer.get("v1", "Secret", "scs-observability-authority-internal", "scs-observability")
    assert secret_text(lab.kaas.objects[SECRET], "ca.crt") == secret_text(internal, "tls.crt")


def test_or_the_one_that_is_given(lab: Any) -> None:
    register(lab.params(), False)
    pem = secret_text(lab.kaas.objects[SECRET], "tls.crt")
    register(lab.params(remote_write_ca=pem), False)
    assert (secret_text(lab.kaas.objects[SECRET], "ca.crt") or "").strip() == (pem or "").strip()


def test_a_second_run_changes_nothing_and_proves_again(lab: Any) -> None:
    first = register(lab.params(), False)
    before = lab.observer.objects[RECORD]["status"]["proof"]["series"]
    lab.thanos.missing = {"coredns"}
    lab.forget()
    second = register(lab.params(), False)

    assert second["changed"] is False
    assert second["changes"] == []
    assert second["diff"]["before"] == second["diff"]["after"] == ""
    assert lab.kaas.written == []
    assert lab.observer.written == [("apply_status", "KaaSCluster", "alpha")]
    assert second["certificate"] == first["certificate"]
    assert second["missing_jobs"] == [{"job": "coredns", "reason": "no sample"}]
    assert lab.observer.objects[RECORD]["status"]["proof"]["series"] == before - 100
    assert lab.observer.objects[RECORD]["status"]["certificate"] == second["certificate"]


@pytest.mark.parametrize("with_query_path", [True, False])
def test_check_mode_on_empty_clusters_tells_what_a_run_does_and_does_nothing(lab: Any, with_query_path: bool) -> None:
    thanos = lab.observer.thanos
    lab.observer.thanos = thanos if with_query_path else None
    planned = register(lab.params(), True)
    assert lab.observer.written == lab.kaas.written == []
    assert (planned["changed"], planned["phase"], planned["seconds"]) == (True, "active", None)

    lab.observer.thanos = thanos
    done = register(lab.params(), False)
    assert planned["changes"] == done["changes"]
    assert register(lab.params(), True)["changed"] is False


def test_nothing_secret_is_returned(lab: Any) -> None:
    result = str(register(lab.params(), False))
    for cluster in (lab.observer, lab.kaas):
        for key, item in cluster.objects.items():
            if key.kind == "Secret":
                private = secret_text(item, "tls.key") or ""
                assert private.splitlines()[1] not in result
                assert base64.b64encode(private.encode()).decode()[:60] not in result


def test_without_proof_a_cluster_stays_in_provisioning(lab: Any) -> None:
    result = register(lab.params(proof=False), False)
    assert (result["phase"], result["seconds"], result["series"]) == ("provisioning", None, None)
    assert "proof" not in lab.observer.objects[RECORD]["status"]
    assert lab.thanos.asked == []


def test_without_waiting_nothing_is_proven_and_nothing_waited_for(lab: Any) -> None:
    result = register(lab.params(wait=False), False)
    assert result["phase"] == "provisioning"
    assert lab.thanos.asked == []


def test_the_operator_may_declare_it_active_without_proof(lab: Any) -> None:
    assert register(lab.params(proof=False, phase="active"), False)["phase"] == "active"
    assert lab.observer.objects[RECORD]["spec"]["phase"] == "active"


def test_a_failed_proof_leaves_it_in_provisioning_and_the_next_run_goes_on(lab: Any) -> None:
    thanos, lab.observer.thanos = lab.observer.thanos, None
    with pytest.raises(QueryError):
        register(lab.params(), False)
    assert lab.observer.written == lab.kaas.written == []  # without a query path nothing is begun

    register(lab.params(proof=False), False)
    lab.observer.thanos = thanos
    lab.forget()
    result = register(lab.params(), False)
    assert (result["changed"], result["phase"]) == (True, "active")
    assert lab.kaas.written == []
    assert lab.observer.phases[-1] == "active"


def test_maintenance_is_announced_first_and_proves_nothing(lab: Any) -> None:
    register(lab.params(), False)
    lab.forget()
    lab.thanos.asked.clear()
    result = register(lab.params(phase="maintenance"), False)
    assert (result["changed"], result["phase"], result["seconds"]) == (True, "maintenance", None)
    assert lab.observer.phases == ["maintenance"]
    assert lab.thanos.asked == []
    assert lab.observer.objects[RECORD]["status"]["proof"]["series"] == 700

    # Without a phase it stays what it is; back to active only after a proof.
    assert register(lab.params(), False)["changed"] is False
    lab.forget()
    assert register(lab.params(phase="active"), False)["series"] == 700
    assert lab.observer.phases == ["maintenance", "active"]


def test_in_maintenance_nobody_needs_the_query_path(lab: Any) -> None:
    """Nothing is proven, whether the phase is given or registered: the observer may be down for the same work."""
    register(lab.params(), False)
    lab.observer.thanos = None
    for phase in ("maintenance", None):
        assert register(lab.params(phase=phase), False)["phase"] == "maintenance"
    with pytest.raises(QueryError):
        register(lab.params(phase="active"), False)


class Meanwhile:
    """Lets another run do something between the proof's first question and its last."""

    def __init__(self, lab: Any, act: Callable[[dict[str, Any]], None]) -> None:
        self.lab, self.act, self.answer = lab, act, lab.thanos.answer
        lab.thanos.answer = self

    def __call__(self, expression: str) -> bytes:
        if expression != "time()" and ("apply", "Deployment", agent.NAME) in self.lab.kaas.written:
            self.lab.thanos.answer = self.answer
            self.act(self.lab.observer.objects[RECORD])
        return bytes(self.answer(expression))


def test_what_another_run_set_meanwhile_is_not_overwritten(lab: Any) -> None:
    """An operator announces maintenance while the first registration waits for its proof."""

    def announce(record: dict[str, Any]) -> None:
        record["spec"]["phase"] = "maintenance"
        record["spec"]["sla"] = "gold"
        lab.observer.touch(record)

    Meanwhile(lab, announce)
    result = register(lab.params(), False)
    spec = lab.observer.objects[RECORD]["spec"]
    assert (spec["phase"], spec["sla"], result["phase"]) == ("maintenance", "gold", "maintenance")
    assert "active" not in lab.observer.phases


def test_what_else_was_changed_meanwhile_is_kept(lab: Any) -> None:
    def change(record: dict[str, Any]) -> None:
        record["spec"]["contact"] = "noc@example.org"
        lab.observer.touch(record)

    Meanwhile(lab, change)
    assert register(lab.params(), False)["phase"] == "active"
    spec = lab.observer.objects[RECORD]["spec"]
    assert (spec["phase"], spec["contact"]) == ("active", "noc@example.org")


def test_a_change_at_the_very_last_moment_is_seen(lab: Any) -> None:
    """Between the last look and the write: the API server refuses a write that rests on an old look."""
    register(lab.params(proof=False), False)
    apply = lab.observer.apply

    def apply_late(manifest: Any, **options: Any) -> Any:
        if manifest["kind"] == "KaaSCluster" and "active" in manifest["spec"].values() and not options.get("dry_run"):
            lab.observer.apply = apply
            record = lab.observer.objects[RECORD]
            record["spec"]["phase"] = "maintenance"
            lab.observer.touch(record)
        return apply(manifest, **options)

    lab.observer.apply = apply_late
    assert register(lab.params(), False)["phase"] == "maintenance"
    assert lab.observer.objects[RECORD]["spec"]["phase"] == "maintenance"


def test_what_is_written_at_the_start_rests_on_what_was_seen(lab: Any) -> None:
    register(lab.params(), False)
    lab.forget()
    look = lab.observer.list

    def look_early(*kind: Any, **options: Any) -> Any:
        found = look(*kind, **options)
        if kind[1] == "KaaSCluster":
            record = lab.observer.objects[RECORD]
            record["spec"]["phase"] = "maintenance"
            lab.observer.touch(record)
        return found

    lab.observer.list = look_early
    with pytest.raises(ApiError, match="modified"):
        register(lab.params(sla="gold"), False)
    assert lab.observer.objects[RECORD]["spec"]["phase"] == "maintenance"
    assert lab.kaas.written == []


def test_what_another_run_wrote_into_the_status_while_this_one_waited_stays(lab: Any, gateway: Any) -> None:
    """A certificate above all: the agent has it, and is let in with no other one."""
    register(lab.params(), False)
    lab.observer.objects[RECORD]["status"]["proof"]["time"] = "2020-01-01T00:00:00Z"
    renewed: dict[str, Any] = {}
    establish = onboarding.proof.Proof.establish

    def renew_meanwhile(self: Any, ready: Any) -> Any:
        found = establish(self, ready)
        if not renewed:
            renewed.update(phase="under way")
            renewed.update(register(lab.params(renew=True, phase="maintenance"), False))
            status(lab)["controlPlane"] = "k3s"
            lab.observer.touch(lab.observer.objects[RECORD])
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(onboarding.proof.Proof, "establish", renew_meanwhile)
        result = register(lab.params(), False)
    assert result["phase"] == "maintenance"
    found = status(lab)
    assert (found["certificate"], found["controlPlane"]) == (renewed["certificate"], "k3s")
    assert found["previousCertificate"] == renewed["previous_certificate"]
    assert found["proof"]["time"] > "2020"
    assert identity.fingerprint_of(lab.kaas.objects[SECRET]) == renewed["certificate"]["fingerprint"]
    lab.observer.objects[RECORD]["status"]["controlPlane"] = result["control_plane"]
    assert register(lab.params(), False)["changes"] == []


@pytest.mark.parametrize("start", ["new", "active"])
@pytest.mark.parametrize("how", ["deleting", "gone", "another"])
def test_a_registration_that_another_run_removes_does_not_come_back(lab: Any, how: str, start: str) -> None:
    if start == "active":
        register(lab.params(), False)
        lab.observer.objects[RECORD]["status"]["proof"]["time"] = "2020-01-01T00:00:00Z"
        lab.forget()
    establish = onboarding.proof.Proof.establish

    def remove_meanwhile(self: Any, ready: Any) -> Any:
        found = establish(self, ready)
        record = lab.observer.objects[RECORD]
        record["spec"]["phase"] = "deleting"
        lab.observer.touch(record)
        if how != "deleting":
            del lab.observer.objects[RECORD]
        if how == "another":
            lab.observer.create({**record, "metadata": {"name": "alpha"}, "status": {}})
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(onboarding.proof.Proof, "establish", remove_meanwhile)
        with pytest.raises(ObservabilityError, match="removed by another run"):
            register(lab.params(), False)
    assert "active" not in lab.observer.phases
    assert (RECORD in lab.observer.objects) is (how != "gone")
    if how == "another":
        assert status(lab) == {}


def test_a_replaced_agent_has_to_prove_itself(lab: Any) -> None:
    """What the former one sent until it was gone is newer than the start of the run, and proves nothing."""
    register(lab.params(), False)
    asked_before: list[bool] = []
    answer = lab.thanos.answer

    def watch(expression: str) -> bytes:
        if expression == "time()":
            asked_before.append(("apply", "Deployment", agent.NAME) not in lab.kaas.written)
        return bytes(answer(expression))

    lab.thanos.answer = watch
    lab.forget()
    register(lab.params(images={"agent": "registry.example.org/prometheus:v3.17.0"}), False)
    assert asked_before[:2] == [True, False]  # once before anything is done, once more when the new one runs


def test_what_is_not_given_stays_as_registered(lab: Any) -> None:
    register(lab.params(customer="Example Shop", sla="gold", contact="noc"), False)
    register(lab.params(sla="silver"), False)
    spec = lab.observer.objects[RECORD]["spec"]
    assert (spec["customer"], spec["sla"], spec["contact"]) == ("Example Shop", "silver", "noc")


def test_a_name_of_another_cluster_is_refused_before_anything_is_touched(lab: Any) -> None:
    register(lab.params(), False)
    lab.kaas.objects[ObjectKey("v1", "Namespace", "", "kube-system")]["metadata"]["uid"] = "cccccccc-1"
    lab.forget()
    for check_mode in (True, False):
        with pytest.raises(InputError, match="cccccccc-1") as raised:
            register(lab.params(), check_mode)
        assert raised.value.parameter == "name"
    assert lab.observer.written == lab.kaas.written == []


def test_a_cluster_that_has_another_name_is_refused(lab: Any) -> None:
    register(lab.params(), False)
    lab.forget()
    with pytest.raises(InputError, match="already registered as 'alpha'"):
        register(lab.params(name="beta"), False)
    assert lab.observer.written == lab.kaas.written == []


def test_one_that_is_being_deleted_is_refused(lab: Any) -> None:
    register(lab.params(), False)
    lab.observer.objects[RECORD]["spec"]["phase"] = "deleting"
    with pytest.raises(InputError, match="being deleted"):
        register(lab.params(), False)


def test_a_cluster_without_kube_system_cannot_be_told_apart(lab: Any) -> None:
    del lab.kaas.objects[ObjectKey("v1", "Namespace", "", "kube-system")]
    with pytest.raises(ObservabilityError, match="cannot be told apart"):
        register(lab.params(), False)


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"name": ".."}, "name"),
        ({"remote_write_url": ""}, "remote_write_url"),
        ({"wait_timeout": 0}, "wait_timeout"),
        ({"proof_timeout": -1}, "proof_timeout"),
        ({"kubeconfig": "nowhere"}, "kubeconfig"),
        ({"kubeconfig": ""}, "kubeconfig"),
        ({"observer_kubeconfig": "nowhere"}, "observer_kubeconfig"),
        ({"phase": "maintenance"}, "phase"),
        ({"profile": "maximal"}, "profile"),
        ({"sla": "glod", "sla_classes": ["gold"]}, "sla"),
        ({"sla": "gold", "sla_classes": None}, "sla"),
        ({"labels": {"cluster": "beta"}}, "labels.cluster"),
        ({"overrides": {"extra_series": {"kubelet": ["kube_secret_info"]}}}, "overrides.extra_series.kubelet[0]"),
        ({"overrides": {"extra_jobs": [{"name": "agent", "targets": ["a:1"]}]}}, "overrides.extra_jobs[0].name"),
        ({"client_certificate": "text"}, "client_key"),
        ({"client_certificate": STRANGER.pem, "client_key": STRANGER.key_pem}, "client_certificate"),
        ({"kubeconfig": "observer"}, "kubeconfig"),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(lab: Any, changes: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ObservabilityError) as raised:
        register(lab.params(**changes), False)
    assert raised.value.parameter == parameter
    assert lab.observer.written == lab.kaas.written == []


def test_a_damaged_authority_is_named_as_a_matter_of_the_observer(lab: Any) -> None:
    register(lab.params(), False)
    authority = ObjectKey("v1", "Secret", "scs-observability", "scs-observability-authority-tenants")
    del lab.observer.objects[authority]["data"]["tls.key"]
    with pytest.raises(InputError, match="tenants") as raised:
        register(lab.params(), False)
    assert raised.value.parameter == "observer_namespace"


def test_drift_is_repaired(lab: Any) -> None:
    register(lab.params(), False)
    config = ObjectKey("v1", "ConfigMap", "scs-observability", agent.NAME)
    lab.kaas.objects[config]["data"] = {"prometheus.yml": "broken"}
    lab.forget()
    result = register(lab.params(), False)
    assert result["changes"] == ["update v1 ConfigMap scs-observability/scs-observability-agent"]
    assert "prometheus.WriteRequest" in lab.kaas.objects[config]["data"]["prometheus.yml"]


def test_what_is_ours_and_no_longer_wanted_goes(lab: Any) -> None:
    register(lab.params(), False)
    config = ObjectKey("v1", "ConfigMap", "scs-observability", agent.NAME)
    for name, instance in (("former", "alpha"), ("other", "beta")):
        copy = {**lab.kaas.objects[config], "metadata": {**lab.kaas.objects[config]["metadata"], "name": name}}
        copy["metadata"]["labels"] = {**copy["metadata"]["labels"], "app.kubernetes.io/instance": instance}
        lab.kaas.objects[ObjectKey("v1", "ConfigMap", "scs-observability", name)] = copy
    result = register(lab.params(), False)
    assert result["changes"] == ["delete v1 ConfigMap scs-observability/former"]


def test_a_namespace_of_somebody_else_is_used_and_not_claimed(lab: Any) -> None:
    lab.kaas.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "theirs"}})
    lab.forget()
    register(lab.params(namespace="theirs"), False)
    assert ("apply", "Namespace", "theirs") not in lab.kaas.written
    assert "labels" not in lab.kaas.objects[ObjectKey("v1", "Namespace", "", "theirs")]["metadata"]


def test_what_looks_at_the_host_has_a_namespace_of_its_own(lab: Any) -> None:
    register(lab.params(), False)
    levels = {
        key.name: item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for key, item in lab.kaas.objects.items()
        if key.kind == "Namespace" and "labels" in item["metadata"]
    }
    assert levels == {"scs-observability": "restricted", "scs-observability-nodes": "privileged"}
    there = {key.name: key.namespace for key in lab.kaas.objects if key.kind in ("Deployment", "DaemonSet")}
    assert {name for name, where in there.items() if where == "scs-observability-nodes"} == {node_exporter.NAME}


def test_neither_namespace_of_somebody_else_is_touched(lab: Any) -> None:
    for name in ("scs-observability", "scs-observability-nodes"):
        lab.kaas.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    lab.forget()
    register(lab.params(), False)
    assert not [written for written in lab.kaas.written if written[1] == "Namespace"]


# What holds for this cluster alone


def collected(lab: Any) -> tuple[str, str]:
    collection = lab.observer.objects[RECORD]["spec"]["collection"]
    return collection["profile"], collection["scrapeInterval"]


def test_overrides_survive_what_holds_for_all(lab: Any) -> None:
    result = register(lab.params(overrides={"profile": "full", "resources": {"agent": {"limits": {"cpu": 2}}}}), False)
    assert result["collection"]["profile"] == "full"
    assert collected(lab) == ("full", "30s")
    register(lab.params(profile="minimal", scrape_interval="15s"), False)
    assert collected(lab) == ("full", "15s")
    deployment = lab.kaas.objects[ObjectKey("apps/v1", "Deployment", "scs-observability", agent.NAME)]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "2"}}
    assert register(lab.params(scrape_interval="15s"), False)["changed"] is False

    register(lab.params(scrape_interval="15s", overrides={}), False)
    assert collected(lab) == ("minimal", "15s")
    assert "overrides" not in lab.observer.objects[RECORD]["spec"]


def test_labels_and_suspension_stay_until_they_are_taken_back(lab: Any) -> None:
    register(lab.params(labels={"stage": "production"}), False)
    lab.thanos.asked.clear()
    result = register(lab.params(suspended=True), False)
    assert (result["suspended"], result["seconds"], result["phase"]) == (True, None, "active")
    # No sample can come, so none is waited for; that one is there all the same proves nothing.
    assert lab.thanos.asked == []
    assert register(lab.params(), False)["changed"] is False
    spec = lab.observer.objects[RECORD]["spec"]
    assert (spec["labels"], spec["suspended"]) == ({"stage": "production"}, True)

    result = register(lab.params(suspended=False, labels={}), False)
    assert result["seconds"] is not None
    assert not {"labels", "suspended"} & set(lab.observer.objects[RECORD]["spec"])


def test_a_new_one_that_is_suspended_is_not_proven(lab: Any) -> None:
    assert register(lab.params(suspended=True), False)["phase"] == "provisioning"
    assert register(lab.params(suspended=False), False)["phase"] == "active"


# Certificates


def status(lab: Any) -> dict[str, Any]:
    found: dict[str, Any] = lab.observer.objects[RECORD]["status"]
    return found


def test_a_renewal_lets_both_in_before_the_agent_gets_the_new_one(lab: Any, gateway: Any) -> None:
    first = register(lab.params(), False)["certificate"]
    assert "previousCertificate" not in status(lab)
    assert gateway() == f"active {first['fingerprint']}"
    order: list[Any] = []
    lab.observer.written = lab.kaas.written = order
    planned = register(lab.params(renew=True), True)
    renewed = register(lab.params(renew=True), False)
    assert renewed["certificate"] != first
    assert renewed["previous_certificate"]["fingerprint"] == first["fingerprint"]
    assert status(lab)["certificate"] == renewed["certificate"]
    assert status(lab)["previousCertificate"] == renewed["previous_certificate"]
    assert gateway() == f"active {renewed['certificate']['fingerprint']} {first['fingerprint']}"
    # Nothing restarts: the pod is told to look. What comes last is the proof, unless it is that of the same second.
    written = [(verb, kind) for verb, kind, _name in order]
    assert written[:3] == [("apply_status", "KaaSCluster"), ("merge", "ConfigMap"), ("apply", "Secret")]
    # The pod is annotated, so that its kubelet brings the Secret at once.
    assert set(written[3:]) <= {("apply_status", "KaaSCluster"), ("apply", "Pod")}
    assert planned["changes"] == renewed["changes"]
    assert renewed["changes"] == [
        f"update {kaas_cluster.API_VERSION} KaaSCluster/status alpha",
        f"update v1 ConfigMap scs-observability/{remote_write_clients.NAME}",
        f"update v1 Secret scs-observability/{agent.IDENTITY_SECRET}",
    ]


def test_for_a_certificate_that_is_given_the_gateway_has_to_know_it_first(
    lab: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be old, and what is old and unknown is refused for good."""
    register(lab.params(), False)
    tenants = lab.observer.get("v1", "Secret", "scs-observability-authority-tenants", "scs-observability")
    pair = KeyPair(secret_text(tenants, "tls.crt") or "", secret_text(tenants, "tls.key") or "")
    given = issue(pair, "alpha", datetime.now(UTC), client=True, server=False)
    order: list[Any] = []
    lab.observer.written = lab.kaas.written = order
    monkeypatch.setattr(onboarding.time, "sleep", order.append)
    monkeypatch.setattr(onboarding, "ADMITTED_SECONDS", 5.0)
    params = lab.params(client_certificate=given.certificate, client_key=given.key)
    result = register(params, False)
    assert certificate(lab).serial_number == x509.load_pem_x509_certificate(given.certificate.encode()).serial_number
    assert order.index(("merge", "ConfigMap", CLIENTS.name)) < order.index(5.0)
    assert order.index(5.0) < order.index(("apply", "Secret", agent.IDENTITY_SECRET))
    assert given.key.splitlines()[1] not in str(result)

    order.clear()
    for again in (params, lab.params()):
        assert register(again, False)["changed"] is False
    assert 5.0 not in order


def test_a_certificate_that_was_made_long_before_it_is_given_is_to_be_known_first(
    lab: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a hundred are made at once. The gateway's patience is counted from when one is made."""
    grace = timedelta(seconds=manifests_gateway.NEW_SECONDS) - BACKDATED
    assert timedelta(seconds=onboarding.ADMITTED_SECONDS) + onboarding.PATIENCE <= grace
    register(lab.params(), False)
    order: list[Any] = []
    lab.observer.written = lab.kaas.written = order
    monkeypatch.setattr(onboarding.time, "sleep", order.append)
    monkeypatch.setattr(onboarding, "ADMITTED_SECONDS", 5.0)
    for patience, waits in ((onboarding.PATIENCE, False), (timedelta(0), True)):
        order.clear()
        monkeypatch.setattr(onboarding, "PATIENCE", patience)
        register(lab.params(renew=True), False)
        assert (5.0 in order) is waits
    assert order.index(("merge", "ConfigMap", CLIENTS.name)) < order.index(5.0)
    assert order.index(5.0) < order.index(("apply", "Secret", agent.IDENTITY_SECRET))


@pytest.mark.parametrize("drift", [None, "active " + "00" * 32, "suspended"])
def test_whom_the_gateway_lets_in_is_put_right_and_the_diff_shows_it(lab: Any, gateway: Any, drift: str | None) -> None:
    register(lab.params(), False)
    entry, data = gateway(), lab.observer.objects[CLIENTS]["data"]
    data.pop("alpha")
    if drift:
        data["alpha"] = drift
    for check_mode in (True, False):
        result = register(lab.params(), check_mode)
        assert result["changes"] == [f"update v1 ConfigMap scs-observability/{CLIENTS.name}"]
        assert entry in result["diff"]["after"]
        assert (drift or "") in result["diff"]["before"]
    assert gateway() == entry


def test_who_is_suspended_is_let_in_again_later(lab: Any, gateway: Any) -> None:
    register(lab.params(), False)
    entry = gateway()
    register(lab.params(suspended=True), False)
    assert gateway() == entry.replace("active", "suspended")
    register(lab.params(suspended=False), False)
    assert gateway() == entry


def test_the_one_before_goes_with_a_run_an_hour_later(lab: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(lab.params(), False)
    register(lab.params(renew=True), False)
    for check_mode in (True, False):
        assert register(lab.params(), check_mode)["changed"] is False
    monkeypatch.setattr(identity, "OVERLAP", identity.OVERLAP * 0)
    lab.forget()
    result = register(lab.params(), False)
    assert result["changes"] == [
        f"update {kaas_cluster.API_VERSION} KaaSCluster/status alpha",
        f"update v1 ConfigMap scs-observability/{CLIENTS.name}",
    ]
    assert gateway() == f"active {result['certificate']['fingerprint']}"
    assert "previousCertificate" in result["diff"]["before"]
    assert "previousCertificate" not in result["diff"]["after"]
    assert "previousCertificate" not in status(lab)
    assert lab.kaas.written == []
    assert register(lab.params(), False)["changed"] is False


def test_a_certificate_that_was_lost_is_made_anew_and_the_diff_shows_it(lab: Any) -> None:
    first = register(lab.params(), False)["certificate"]
    del lab.kaas.objects[SECRET]
    repaired = register(lab.params(), False)
    assert repaired["changes"] == [
        f"create v1 Secret scs-observability/{agent.IDENTITY_SECRET}",
        f"update {kaas_cluster.API_VERSION} KaaSCluster/status alpha",
    ]
    assert first["fingerprint"] in repaired["diff"]["before"]
    assert repaired["certificate"]["fingerprint"] in repaired["diff"]["after"]


def test_a_registration_that_lost_its_status_gets_it_again(lab: Any) -> None:
    """As it is restored from a backup: nobody loses a sample."""
    first = register(lab.params(), False)["certificate"]
    lab.observer.objects[RECORD]["status"] = {}
    assert register(lab.params(), False)["certificate"] == first
    assert status(lab)["certificate"] == first


def test_a_key_of_a_registration_that_was_removed_is_of_no_use(lab: Any) -> None:
    first = register(lab.params(), False)["certificate"]
    del lab.observer.objects[RECORD]
    second = register(lab.params(), False)
    assert second["certificate"] != first
    assert second["previous_certificate"] == {}


def test_a_name_under_which_there_are_data_of_nobody_knows_whom_is_not_given_away(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registration was removed by hand: this cluster had it, which its certificate shows, and no other one."""
    register(lab.params(), False)
    del lab.observer.objects[RECORD]
    monkeypatch.setattr(former, "query_service", lambda *_arguments: "query")
    monkeypatch.setattr(former, "are_none", lambda *_arguments, **_options: False)
    assert register(lab.params(), False)["phase"] == "active"

    del lab.observer.objects[RECORD], lab.kaas.objects[SECRET]
    lab.forget()
    for check_mode in (True, False):
        with pytest.raises(InputError, match="of which nothing else is known") as raised:
            register(lab.params(), check_mode)
        assert raised.value.parameter == "name"
    assert lab.observer.written == lab.kaas.written == []
    # That they are its own is for the operator to say.
    assert register(lab.params(force=True), False)["phase"] == "active"


# What a registration tells of runs


def test_since_when_it_is_in_its_phase(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(lab.params(proof=False), False)
    provisioning = status(lab)["phaseSince"]
    moments = iter(f"2030-01-01T00:00:{number:02}Z" for number in range(60))
    monkeypatch.setattr(onboarding, "timestamp", lambda _moment: "2030-02-01T00:00:00Z")
    monkeypatch.setattr(record, "timestamp", lambda _moment: next(moments))
    register(lab.params(proof=False), False)
    assert status(lab)["phaseSince"] == provisioning
    register(lab.params(), False)
    active = status(lab)["phaseSince"]
    assert active.startswith("2030-01-01")
    register(lab.params(), False)
    assert status(lab)["phaseSince"] == active
    register(lab.params(phase="maintenance"), False)
    assert status(lab)["phaseSince"] > active


def test_of_one_that_an_older_release_made_it_is_told_as_far_as_it_is_known(lab: Any) -> None:
    register(lab.params(proof=False), False)
    del status(lab)["phaseSince"]
    register(lab.params(proof=False), False)
    assert status(lab)["phaseSince"] == lab.observer.objects[RECORD]["metadata"]["creationTimestamp"]


def test_a_run_that_fails_is_remembered_until_one_goes_well(lab: Any) -> None:
    register(lab.params(), False)
    proven = status(lab)["proof"]
    lab.kaas.failure = 503
    with pytest.raises(ApiError):
        register(lab.params(), True)
    assert "failure" not in status(lab)
    with pytest.raises(ApiError):
        register(lab.params(), False)
    failure = status(lab)["failure"]
    assert (failure["link"], "it does not work" in failure["message"]) == ("cluster", True)
    assert status(lab)["proof"] == proven

    lab.kaas.failure = "none"
    assert register(lab.params(), False)["changed"] is False
    assert "failure" not in status(lab)


def test_a_proof_that_fails_says_which_link_is_broken(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Any, _ready: Any) -> None:
        raise ProofError("no sample of 'alpha'", details={"link": "tls"})

    with monkeypatch.context() as context:
        context.setattr(onboarding.proof.Proof, "establish", fail)
        with pytest.raises(ProofError):
            register(lab.params(), False)
    assert status(lab)["failure"] == {
        "time": status(lab)["failure"]["time"],
        "link": "tls",
        "message": "no sample of 'alpha'",
    }
    assert lab.observer.objects[RECORD]["spec"]["phase"] == "provisioning"
    register(lab.params(), False)
    assert "failure" not in status(lab)


@pytest.mark.parametrize(
    ("error", "link"),
    [
        (ProofError("no sample", details={"link": "clock"}), "clock"),
        (ProofError("no sample"), "unknown"),
        (QueryError("no answer"), "query"),
        (NotReadyError("no image"), "agent"),
        (ApiError("https://kaas:6443", "get", "nodes", None, "no route", parameter="kubeconfig"), "cluster"),
        (ConflictError([]), "unknown"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_failed_is_told_by_a_word(lab: Any, error: ObservabilityError, link: str) -> None:
    register(lab.params(), False)
    onboarding.remember_failure(lab.observer, "alpha", "scs-observability", error)
    assert status(lab)["failure"]["link"] == link


def test_of_another_observers_registration_nothing_is_told(lab: Any) -> None:
    register(lab.params(), False)
    onboarding.remember_failure(lab.observer, "alpha", "another", ProofError("no sample"))
    onboarding.remember_failure(lab.observer, "beta", "scs-observability", ProofError("no sample"))
    assert "failure" not in status(lab)


def test_what_is_refused_is_no_failure_of_the_cluster(lab: Any) -> None:
    register(lab.params(), False)
    with pytest.raises(InputError):
        register(lab.params(phase="provisioning"), False)
    assert "failure" not in status(lab)


def test_a_failure_that_cannot_be_remembered_hides_nothing(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(lab.params(), False)

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise ApiError("https://observer:6443", "patch", "kaasclusters", 403, "forbidden")

    monkeypatch.setattr(lab.observer, "apply_status", refuse)
    lab.kaas.failure = None
    with pytest.raises(ApiError, match="it does not work"):
        register(lab.params(), False)


def test_a_registration_that_somebody_changed_is_put_right_and_the_diff_shows_it(lab: Any) -> None:
    register(lab.params(customer="Example Shop"), False)
    spec = lab.observer.objects[RECORD]["spec"]
    spec["customer"], spec["collection"]["jobs"] = "Somebody", ["agent"]
    result = register(lab.params(customer="Example Shop"), False)
    assert result["changes"] == [f"update {kaas_cluster.API_VERSION} KaaSCluster alpha"]
    assert "Somebody" in result["diff"]["before"]
    assert "Example Shop" in result["diff"]["after"]
    assert register(lab.params(), False)["changed"] is False
