# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_receive import DEFAULT_TENANT
from ansible_collections.scs.observability.plugins.module_utils._observer import components
from ansible_collections.scs.observability.plugins.module_utils._observer.components import Facts
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    ClusterSamples,
    Freshness,
    JobSamples,
)
from ansible_collections.scs.observability.plugins.module_utils._registration import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from ansible_collections.scs.observability.plugins.module_utils._registration.overview import (
    describe,
    orphans,
    overview,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    Failure,
    Proof,
    Registration,
)

NOW = 10_000.0
JOBS = ("coredns", "kubelet")


def registration(**changes: Any) -> Registration:
    return Registration(
        **{
            "name": "alpha",
            "cluster_uid": "uid",
            "phase": "active",
            "jobs": JOBS,
            "since": "2026-02-01T10:00:00Z",
            **changes,
        }
    )


def samples(**ages: float | tuple[float, float | None]) -> ClusterSamples:
    """Ages in seconds, of the newest sample of a job, or of that and of the newest of a target that was up."""
    jobs = {}
    for job, age in ages.items():
        last, last_up = age if isinstance(age, tuple) else (age, age)
        jobs[job] = JobSamples(NOW - last, None if last_up is None else NOW - last_up)
    return ClusterSamples(jobs, 100)


def row(item: Registration, arriving: ClusterSamples | None, seen: Mapping[str, float] | None = None) -> dict[str, Any]:
    now = Freshness(NOW, {item.name: arriving} if arriving else {})
    (result,) = describe([item], now, seen or {})
    return result


@pytest.mark.parametrize(
    ("changes", "arriving", "state", "healthy"),
    [
        ({}, samples(kubelet=10, coredns=20), "ok", True),
        ({}, samples(kubelet=119, coredns=20), "ok", True),
        ({}, samples(kubelet=10), "incomplete", True),
        ({}, samples(kubelet=10, coredns=(10, None)), "incomplete", True),
        ({}, samples(kubelet=10, coredns=130), "incomplete", True),
        ({}, samples(kubelet=121, coredns=150), "silent", False),
        ({}, None, "silent", False),
        ({}, samples(kubelet=(10, None), coredns=(12, None)), "down", False),
        ({}, samples(kubelet=(10, 200), coredns=(12, None)), "down", False),
        # The agent sees itself also when nothing else answers.
        ({}, samples(agent=10, kubelet=(10, None), coredns=(12, None)), "down", False),
        ({}, samples(agent=10, kubelet=(10, 200)), "down", False),
        ({"scrape_interval": "2m"}, samples(kubelet=200, coredns=200), "ok", True),
        ({"scrape_interval": "2m"}, samples(kubelet=361, coredns=361), "silent", False),
        ({"phase": "provisioning"}, None, "provisioning", True),
        ({"phase": "maintenance"}, samples(kubelet=300), "maintenance", True),
        ({"phase": "deleting"}, None, "deleting", True),
        ({"suspended": True}, None, "suspended", True),
        ({"suspended": True}, samples(kubelet=(10, None)), "suspended", True),
        ({"suspended": True, "phase": "maintenance"}, None, "maintenance", True),
    ],
)
def test_health(changes: dict[str, Any], arriving: ClusterSamples | None, state: str, healthy: bool) -> None:
    result = row(registration(**changes), arriving)
    assert (result["state"], result["healthy"]) == (state, healthy)
    assert result["reason"]


def test_the_reason_names_age_and_limit() -> None:
    assert "150 s old, more than 120 s" in row(registration(), samples(kubelet=150))["reason"]


def test_the_reason_names_missing_jobs() -> None:
    result = row(registration(), samples(kubelet=(10, None), coredns=5))
    assert result["missing_jobs"] == [{"job": "kubelet", "reason": "target down"}]
    assert "kubelet (target down)" in result["reason"]


def test_what_runs_have_left_is_in_the_row() -> None:
    failure = Failure("2026-02-02T10:00:00Z", "tls", "the gateway is not trusted")
    told = row(
        registration(
            labels={"stage": "production"},
            suspended=True,
            control_plane="kubeadm",
            phase_since="2026-02-01T10:00:21Z",
            failure=failure,
        ),
        None,
    )
    assert {name: told[name] for name in ("labels", "suspended", "control_plane", "phase_since", "profile")} == {
        "labels": {"stage": "production"},
        "suspended": True,
        "control_plane": "kubeadm",
        "phase_since": "2026-02-01T10:00:21Z",
        "profile": "minimal",
    }
    assert told["last_failure"] == vars(failure)
    silent = row(registration(), None)
    assert (silent["control_plane"], silent["phase_since"], silent["last_failure"]) == (None, None, None)


def test_a_cluster_that_went_silent_shows_when_it_was_seen_last() -> None:
    result = row(registration(), None, {"alpha": NOW - 3600})
    assert result["last_sample_age_seconds"] == 3600
    assert result["state"] == "silent"
    assert result["series"] == 0


def test_a_cluster_that_was_never_seen_has_no_age() -> None:
    assert row(registration(), None)["last_sample_age_seconds"] is None


def test_a_clock_that_is_ahead_gives_no_negative_age() -> None:
    assert row(registration(), samples(kubelet=-5, coredns=-5))["last_sample_age_seconds"] == 0


def test_what_is_registered_is_in_the_row() -> None:
    result = row(
        registration(
            customer="Example Shop",
            sla="gold",
            contact="noc",
            certificate=Certificate("ab" * 32, "2026-05-02T10:00:00Z"),
            proof=Proof("2026-02-01T10:00:21Z", 21.0, 100),
        ),
        samples(kubelet=10, coredns=20),
    )
    assert {name: result[name] for name in ("name", "phase", "customer", "sla", "contact", "registered_since")} == {
        "name": "alpha",
        "phase": "active",
        "customer": "Example Shop",
        "sla": "gold",
        "contact": "noc",
        "registered_since": "2026-02-01T10:00:00Z",
    }
    assert (result["series"], result["last_sample_age_seconds"]) == (100, 10)
    assert result["certificate_expires"] == "2026-05-02T10:00:00Z"
    assert result["certificate_fingerprint"] == "ab" * 32
    assert result["last_proof"] == "2026-02-01T10:00:21Z"


def test_rows_come_by_name() -> None:
    rows = describe([registration(name="beta"), registration(name="alpha")], Freshness(NOW, {}), {})
    assert [item["name"] for item in rows] == ["alpha", "beta"]


def test_orphans_write_without_being_registered() -> None:
    now = Freshness(
        NOW,
        {
            "alpha": samples(kubelet=1),
            "gone": samples(kubelet=40),
            DEFAULT_TENANT: samples(kubelet=1),
        },
    )
    assert orphans([registration()], now) == [{"name": "gone", "last_sample_age_seconds": 40.0, "series": 100}]


def look(**changes: Any) -> dict[str, Any]:
    """Of an observer that is made of few parts."""
    return overview({"kubeconfig": "observer", "components": False, "parts": [], **changes}, False)


def deployed(component: str, *, ready: int = 1) -> Facts:
    """A component as it is found, without pods to be asked."""
    labels = {
        "app.kubernetes.io/name": "thanos",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": f"thanos-{component}",
    }
    template = {"spec": {"containers": [{"image": "thanos:v1"}]}}
    return Facts(
        {
            "kind": "StatefulSet",
            "metadata": {"name": f"thanos-{component}", "namespace": "scs-observability", "labels": labels},
            "spec": {"replicas": 1, "template": template},
            "status": {"replicas": 1, "readyReplicas": ready, "availableReplicas": ready},
        },
        diagnosis="" if ready else "  pod thanos-0 (Pending)",
    )


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Facts]:
    """What is deployed in the observer."""
    result = [deployed(component) for component in ("receive", "query", "query-frontend", "remote-write-gateway")]
    answer = components.Found(result, set(), ["a right is missing"])
    monkeypatch.setattr(components, "observe", lambda *_arguments: answer)
    return result


def test_a_whole_observer(lab: Any, found: list[Facts]) -> None:
    register(lab.params(customer="Example Shop"), False)
    lab.thanos.asked.clear()
    result = look(components=True)
    (cluster,) = result["registrations"]
    assert (result["changed"], result["healthy"], result["problems"], result["orphans"]) == (False, True, [], [])
    assert (cluster["name"], cluster["customer"], cluster["state"]) == ("alpha", "Example Shop", "ok")
    assert cluster["series"] == 700
    assert [(row["name"], row["state"]) for row in result["components"] if row["state"] != "absent"] == [
        ("thanos-query", "ok"),
        ("thanos-query-frontend", "ok"),
        ("thanos-receive", "ok"),
        ("thanos-remote-write-gateway", "ok"),
    ]
    assert result["warnings"] == ["a right is missing"]
    assert len(lab.thanos.asked) == 4


@pytest.mark.parametrize(("observer", "told"), [("", ["alpha"]), ("another", [])])
def test_a_registration_that_does_not_say_whose_it_is_is_told_as_it_is_let_in(
    lab: Any, observer: str, told: list[str]
) -> None:
    register(lab.params(), False)
    (record,) = lab.observer.list(kaas_cluster.API_VERSION, kaas_cluster.KIND)
    record["metadata"]["labels"][kaas_cluster.OBSERVER_LABEL] = observer
    lab.observer.objects[identity(record)] = record
    assert [row["name"] for row in look()["registrations"]] == told
    clients = remote_write_clients.registered(lab.observer, "scs-observability")
    assert [client.name for client in clients] == told


def test_a_component_that_does_not_work_is_a_problem_with_its_diagnosis(lab: Any, found: list[Facts]) -> None:
    register(lab.params(), False)
    found.append(deployed("store", ready=0))
    result = look(components=True)
    assert result["healthy"] is False
    assert result["problems"] == ["component thanos-store: 0 of 1 replicas are ready\n  pod thanos-0 (Pending)"]


def test_an_observer_without_one_of_the_parts_that_every_one_has_is_not_healthy(lab: Any, found: list[Facts]) -> None:
    missing = {
        "alertmanager",
        "blackbox-exporter",
        "bucket-web",
        "compact",
        "kaas-metric-importer",
        "prometheus",
        "rule",
    }
    result = look(components=True, parts=None)
    assert result["healthy"] is False
    assert {text.partition(":")[0] for text in result["problems"]} == {
        f"component {name}" for name in {*missing, "store"}
    }
    # That there is no bucket is seen by nobody but them.
    assert [row["healthy"] for row in result["components"] if row["component"] == "bucket"] == [True]

    found += [deployed(name) for name in missing]
    (problem,) = look(components=True, parts=None)["problems"]
    assert problem == "component store: not deployed, and every observer has it: run the observer's role again"
    assert look(components=True, parts=["rule"])["healthy"] is True
    assert look(parts=None)["healthy"] is True, "components are not looked at"


def test_who_asks_another_service_does_without_a_query_frontend(found: list[Facts], lab: Any) -> None:
    found[:] = [deployed("query")]
    result = look(components=True, parts=["query", "query_frontend"], query_frontend="thanos-query")
    assert [text for text in result["problems"] if text.startswith("component")] == []


def test_registered_clusters_need_components(lab: Any, found: list[Facts]) -> None:
    found[:] = [deployed("query")]
    assert look(components=True)["healthy"] is True, "nobody is registered"
    register(lab.params(), False)
    assert [text.partition(":")[0] for text in look(components=True)["problems"]] == [
        "component remote_write_gateway",
        "component receive",
        "component query_frontend",
    ]
    assert look()["healthy"] is True, "nobody looked"


def test_who_asks_query_itself_needs_no_query_frontend(lab: Any, found: list[Facts]) -> None:
    register(lab.params(), False)
    found[:] = [deployed("query"), deployed("receive"), deployed("remote-write-gateway")]
    assert look(components=True, query_frontend="thanos-query")["problems"] == []


def test_a_silent_cluster_is_looked_for_in_the_past_with_one_more_query(lab: Any) -> None:
    register(lab.params(), False)
    lab.kaas.delete("apps/v1", "Deployment", "scs-observability-agent", "scs-observability")
    lab.thanos.asked.clear()
    result = look()
    (cluster,) = result["registrations"]
    assert (result["healthy"], cluster["state"]) == (False, "silent")
    assert result["problems"] == [f"cluster alpha: {cluster['reason']}"]
    assert 3599 < cluster["last_sample_age_seconds"] < 3610
    assert len(lab.thanos.asked) == 5


def test_without_query_path_components_and_registrations_are_told_all_the_same(lab: Any, found: list[Facts]) -> None:
    register(lab.params(), False)
    register(lab.params(phase="maintenance"), False)
    lab.observer.thanos = None
    found[1] = deployed("query", ready=0)
    result = look(components=True)
    assert result["healthy"] is False
    query, api = result["problems"]
    assert query.startswith("component thanos-query: 0 of 1")
    assert "scs-observability/thanos-query-frontend" in api
    (cluster,) = result["registrations"]
    assert (cluster["state"], cluster["healthy"]) == ("maintenance", True)


def test_without_query_path_nothing_is_known_of_an_active_cluster(lab: Any) -> None:
    register(lab.params(), False)
    lab.observer.thanos = None
    result = look()
    (cluster,) = result["registrations"]
    assert (cluster["state"], cluster["healthy"], cluster["series"]) == ("unknown", False, None)
    assert (cluster["last_sample_age_seconds"], cluster["missing_jobs"]) == (None, [])
    assert len(result["problems"]) == 1, "not again for each cluster"


def test_an_observer_without_registrations_shows_who_writes_all_the_same(lab: Any) -> None:
    register(lab.params(), False)
    lab.observer.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, "alpha")
    result = look()
    assert (result["registrations"], result["healthy"]) == ([], True)
    assert [item["name"] for item in result["orphans"]] == ["alpha"]


def test_registrations_of_another_observer_in_the_same_cluster_are_not_ours(lab: Any) -> None:
    register(lab.params(observer_namespace="other-observer"), False)
    result = look()
    assert result["registrations"] == []
    assert [item["name"] for item in result["orphans"]] == ["alpha"]
    (theirs,) = look(namespace="other-observer")["registrations"]
    assert theirs["state"] == "ok"
