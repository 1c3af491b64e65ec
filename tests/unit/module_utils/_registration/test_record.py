# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    Failure,
    PreviousCertificate,
    Proof,
    Registration,
    next_phase,
    refuse_other_cluster,
    timestamp,
)

UID = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"
OTHER_UID = "11111111-7d5c-4f0e-9b7d-2f6c1c0a4f3e"


def registration(**changes: Any) -> Registration:
    return Registration(**{"name": "alpha", "cluster_uid": UID, "phase": "active", **changes})


FULL = registration(
    observer="monitoring",
    namespace="agents",
    customer="Example Shop",
    sla="gold",
    contact="noc@example.org",
    profile="full",
    scrape_interval="1m",
    jobs=("agent", "kubelet"),
    labels={"team": "web", "_stage": "production, soon"},
    suspended=True,
    overrides={
        "profile": "full",
        "scrape_interval": "1m",
        "extra_jobs": [{"name": "shop", "service": "shop", "namespace": "shop", "port": 8080}],
        "extra_series": {"kubelet": ["kubelet_started_pods_total"]},
        "resources": {"agent": {"limits": {"memory": "1Gi"}}},
        "workloads": {"namespaces": ["shop"]},
        "blackbox": {"targets": [{"name": "shop", "url": "https://shop.example.org"}]},
    },
    certificate=Certificate("ab" * 32, "2026-05-02T10:00:00Z"),
    previous_certificate=PreviousCertificate("cd" * 32, "2026-02-01T10:00:00Z"),
    proof=Proof("2026-02-01T10:00:00Z", 21.5, 2713, ("coredns",)),
    phase_since="2026-01-01T10:00:00Z",
    failure=Failure("2026-02-01T10:00:00Z", "tls", "the gateway is not trusted"),
    control_plane="kubeadm",
)


@pytest.mark.parametrize("original", [FULL, registration()], ids=["full", "least"])
def test_what_is_written_is_read_again(original: Registration) -> None:
    live = {**original.manifest(), "status": original.status()}
    assert Registration.of(live) == original


def test_the_time_of_registration_is_that_of_the_creation() -> None:
    manifest = registration().manifest()
    manifest["metadata"]["creationTimestamp"] = "2026-02-01T10:00:00Z"
    assert Registration.of(manifest).since == "2026-02-01T10:00:00Z"


def test_what_is_not_known_is_left_out() -> None:
    assert set(registration().manifest()["spec"]) == {"phase", "clusterUID", "collection"}
    assert registration().status() == {}


def test_one_of_a_release_that_knew_less_is_read() -> None:
    """What the first release wrote, whole."""
    live = {
        "metadata": {"name": "alpha"},
        "spec": {
            "phase": "active",
            "clusterUID": UID,
            "collection": {"profile": "minimal", "scrapeInterval": "30s", "jobs": ["agent"]},
        },
        "status": {"certificate": {"fingerprint": "ab" * 32, "expires": "2026-05-02T10:00:00Z"}},
    }
    read = Registration.of(live)
    assert read == registration(jobs=("agent",), certificate=Certificate("ab" * 32, "2026-05-02T10:00:00Z"))
    assert (read.manifest()["spec"], read.status()) == (live["spec"], live["status"])


def schema_of(*path: str) -> dict[str, Any]:
    schema: dict[str, Any] = kaas_cluster.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path:
        schema = schema["properties"][name]
    return schema


def test_every_field_is_one_of_the_definition() -> None:
    """A structural schema drops what it does not know, silently."""

    def check(content: dict[str, Any], *path: str) -> None:
        if "properties" not in schema_of(*path):
            return  # names are the operator's
        assert set(content) <= set(schema_of(*path)["properties"])
        assert set(schema_of(*path).get("required", [])) <= set(content)
        for name, value in content.items():
            if isinstance(value, dict):
                check(value, *path, name)

    check(FULL.manifest()["spec"], "spec")
    check(FULL.status(), "status")


def test_a_status_is_applied_whole() -> None:
    """What one manager applies without, the API server removes: a proof must not take the certificate away."""
    assert FULL.status_manifest()["status"] == FULL.status()
    assert set(FULL.status()) == set(schema_of("status")["properties"])


@pytest.mark.parametrize(
    ("observed", "wanted", "proven", "expected"),
    [
        (None, None, True, "active"),
        (None, None, False, "provisioning"),
        (None, "provisioning", True, "provisioning"),
        (None, "active", True, "active"),
        (None, "active", False, "active"),
        ("provisioning", None, True, "active"),
        ("provisioning", None, False, "provisioning"),
        ("active", None, True, "active"),
        ("active", None, False, "active"),
        ("active", "maintenance", False, "maintenance"),
        ("maintenance", None, True, "maintenance"),
        ("maintenance", "active", True, "active"),
        ("active", "active", True, "active"),
    ],
)
def test_the_next_phase(observed: str | None, wanted: str | None, proven: bool, expected: str) -> None:
    assert next_phase(observed, wanted, proven=proven) == expected


@pytest.mark.parametrize(
    ("observed", "wanted", "legal"),
    [
        (None, "maintenance", "Legal now: provisioning, active"),
        ("active", "provisioning", "Legal now: active, maintenance"),
        ("maintenance", "provisioning", "Legal now: maintenance, active"),
    ],
)
def test_an_illegal_phase_is_refused_with_those_that_are_legal(observed: str | None, wanted: str, legal: str) -> None:
    with pytest.raises(InputError) as raised:
        next_phase(observed, wanted, proven=True)
    assert raised.value.parameter == "phase"
    assert raised.value.advice == legal


@pytest.mark.parametrize("wanted", [None, "active", "deleting"])
def test_nothing_leads_back_from_deleting(wanted: str | None) -> None:
    with pytest.raises(InputError, match="being deleted") as raised:
        next_phase("deleting", wanted, proven=True)
    assert "state: absent" in (raised.value.advice or "")


def test_a_new_name_for_a_new_cluster_is_free() -> None:
    assert refuse_other_cluster("alpha", UID, [registration(name="beta", cluster_uid=OTHER_UID)]) is None


def test_the_same_cluster_comes_again() -> None:
    mine = registration()
    assert refuse_other_cluster("alpha", UID, [registration(name="beta", cluster_uid=OTHER_UID), mine]) is mine


def test_a_name_of_another_cluster_is_refused_with_both_uids() -> None:
    with pytest.raises(InputError) as raised:
        refuse_other_cluster("alpha", UID, [registration(cluster_uid=OTHER_UID)])
    assert raised.value.parameter == "name"
    assert UID in str(raised.value)
    assert OTHER_UID in str(raised.value)
    assert "state: absent" in str(raised.value)


def test_a_cluster_with_another_name_is_refused_with_that_name() -> None:
    with pytest.raises(InputError, match="already registered as 'beta'") as raised:
        refuse_other_cluster("alpha", UID, [registration(name="beta")])
    assert raised.value.parameter == "name"


def test_moments_are_written_in_utc() -> None:
    moment = datetime(2026, 2, 1, 12, 0, 0, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == timestamp(moment.astimezone(UTC)) == "2026-02-01T10:00:00Z"
