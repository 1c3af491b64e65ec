# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    ClusterSamples,
    Freshness,
    JobSamples,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from ansible_collections.scs.observability.plugins.module_utils._registration.overview import (
    describe,
    orphans,
    registrations,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
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
        ({"scrape_interval": "2m"}, samples(kubelet=200, coredns=200), "ok", True),
        ({"scrape_interval": "2m"}, samples(kubelet=361, coredns=361), "silent", False),
        ({"phase": "provisioning"}, None, "provisioning", True),
        ({"phase": "maintenance"}, samples(kubelet=300), "maintenance", True),
        ({"phase": "deleting"}, None, "deleting", True),
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
            "default-tenant": samples(kubelet=1),
        },
    )
    assert orphans([registration()], now) == [{"name": "gone", "last_sample_age_seconds": 40.0, "series": 100}]


def test_a_whole_observer(lab: Any) -> None:
    register(lab.params(customer="Example Shop"), False)
    lab.thanos.asked.clear()
    result = registrations({"kubeconfig": "observer"}, False)
    (found,) = result["registrations"]
    assert (result["changed"], result["healthy"], result["orphans"]) == (False, True, [])
    assert (found["name"], found["customer"], found["state"], found["series"]) == ("alpha", "Example Shop", "ok", 700)
    assert len(lab.thanos.asked) == 4


def test_a_silent_cluster_is_looked_for_in_the_past_with_one_more_query(lab: Any) -> None:
    register(lab.params(), False)
    lab.kaas.delete("apps/v1", "Deployment", "scs-observability-agent", "scs-observability")
    lab.thanos.asked.clear()
    result = registrations({"kubeconfig": "observer"}, True)
    (found,) = result["registrations"]
    assert (result["healthy"], found["state"]) == (False, "silent")
    assert 3599 < found["last_sample_age_seconds"] < 3610
    assert len(lab.thanos.asked) == 5


def test_an_observer_without_query_path_is_an_error(lab: Any) -> None:
    lab.observer.thanos = None
    with pytest.raises(QueryError, match="thanos-query-frontend"):
        registrations({"kubeconfig": "observer"}, False)


def test_an_observer_without_registrations_shows_who_writes_all_the_same(lab: Any) -> None:
    register(lab.params(), False)
    lab.observer.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, "alpha")
    result = registrations({"kubeconfig": "observer"}, False)
    assert (result["registrations"], result["healthy"]) == ([], True)
    assert [item["name"] for item in result["orphans"]] == ["alpha"]


def test_registrations_of_another_observer_in_the_same_cluster_are_not_ours(lab: Any) -> None:
    register(lab.params(observer_namespace="other-observer"), False)
    result = registrations({"kubeconfig": "observer"}, False)
    assert result["registrations"] == []
    assert [item["name"] for item in result["orphans"]] == ["alpha"]
    (theirs,) = registrations({"kubeconfig": "observer", "namespace": "other-observer"}, False)["registrations"]
    assert theirs["state"] == "ok"
