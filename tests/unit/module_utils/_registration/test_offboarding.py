# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    ObservabilityError,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._registration import former
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import NOT_DECLARED, register
from tests.unit.module_utils._registration.conftest import RECORD


@pytest.fixture
def registered(lab: Any) -> Any:
    lab.before = set(lab.kaas.objects)
    register(lab.params(), False)
    lab.forget()
    return lab


def test_exactly_what_was_made_goes_in_the_right_order(registered: Any) -> None:
    order: list[tuple[str, str, str]] = []
    registered.observer.written = order
    registered.kaas.written = order
    result = deregister(registered.params(), False)

    assert (result["changed"], result["phase"], result["left"], result["left_reason"]) == (True, "absent", [], "")
    assert set(registered.kaas.objects) == registered.before
    assert RECORD not in registered.observer.objects
    assert registered.observer.phases == ["deleting"]
    assert order[0] == ("apply", "KaaSCluster", "alpha")
    assert order[-1] == ("delete", "KaaSCluster", "alpha")
    assert former.find(registered.observer, "scs-observability", "alpha") is not None
    assert ("delete", "Namespace", "scs-observability") in order[1:-1]


@pytest.mark.parametrize("known", [True, False])
def test_since_when_it_leaves_is_told_where_the_definition_knows_it(registered: Any, known: bool) -> None:
    """It is that of an older release, if no cluster came on board since the update."""
    registered.observer.objects[RECORD]["status"]["phaseSince"] = "2026-01-01T00:00:00Z"
    statuses: list[dict[str, Any]] = []

    def apply_status(manifest: dict[str, Any], **_options: Any) -> Any:
        if not known:
            raise ApiError("https://observer:6443", "patch", "kaasclusters", 500, f"x: {NOT_DECLARED}")
        statuses.append(manifest["status"])
        return registered.observer.objects[RECORD]

    registered.observer.apply_status = apply_status
    deregister(registered.params(), False)
    assert registered.observer.phases == ["deleting"]
    assert [status["phaseSince"] > "2026-01-01" for status in statuses] == [True] * known
    assert all("certificate" in status for status in statuses)


@pytest.mark.parametrize("when", ["before it is announced", "before it goes"])
def test_a_name_that_another_run_freed_and_that_is_registered_anew_is_left(registered: Any, when: str) -> None:
    verb, number = ("apply", 0) if when == "before it is announced" else ("delete", 1)
    write = getattr(registered.observer, verb)
    anew: dict[str, Any] = {}

    def write_late(*arguments: Any, **options: Any) -> Any:
        if not anew:
            anew.update(registered.observer.objects.pop(RECORD), metadata={"name": "alpha"})
            anew["spec"]["phase"] = "active"
            setattr(registered.observer, verb, write)
            registered.observer.apply(anew)
        return write(*arguments, **options)

    setattr(registered.observer, verb, write_late)
    if number:
        deregister(registered.params(), False)
    else:
        with pytest.raises(ObservabilityError, match="registered anew"):
            deregister(registered.params(), False)
        assert registered.kaas.written == []
    assert registered.observer.objects[RECORD]["spec"]["phase"] == "active"


def test_one_that_another_run_has_removed_is_not_made_anew(registered: Any) -> None:
    apply = registered.observer.apply

    def apply_late(*arguments: Any, **options: Any) -> Any:
        registered.observer.objects.pop(RECORD, None)
        return apply(*arguments, **options)

    registered.observer.apply = apply_late
    deregister(registered.params(), False)
    assert RECORD not in registered.observer.objects
    assert set(registered.kaas.objects) == registered.before


def test_what_all_clusters_share_stays(registered: Any) -> None:
    deregister(registered.params(), False)
    assert {"CustomResourceDefinition", "Secret"} <= registered.observer.kinds()


def test_check_mode_tells_the_same_and_does_nothing(registered: Any) -> None:
    planned = deregister(registered.params(), True)
    assert registered.observer.written == registered.kaas.written == []
    done = deregister(registered.params(), False)
    assert planned["changes"] == done["changes"]
    assert planned["diff"] == done["diff"]


def test_a_second_run_changes_nothing(registered: Any) -> None:
    deregister(registered.params(), False)
    registered.forget()
    for check_mode in (True, False):
        assert deregister(registered.params(), check_mode)["changed"] is False
    assert registered.observer.written == registered.kaas.written == []


def test_an_interrupted_removal_is_finished(registered: Any) -> None:
    registered.observer.objects[RECORD]["spec"]["phase"] = "deleting"
    registered.kaas.delete("apps/v1", "Deployment", "scs-observability-agent", "scs-observability")
    registered.forget()
    deregister(registered.params(), False)
    assert registered.observer.phases == []  # it was announced already
    assert set(registered.kaas.objects) == registered.before


def test_a_namespace_in_which_somebody_else_has_something_stays(registered: Any) -> None:
    registered.kaas.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "scs-observability"}}
    )
    deregister(registered.params(), False)
    left = set(registered.kaas.objects) - registered.before
    assert {(key.kind, key.name) for key in left} == {("Namespace", "scs-observability"), ("ConfigMap", "theirs")}


def test_objects_of_another_registration_stay(registered: Any) -> None:
    role = ObjectKey("rbac.authorization.k8s.io/v1", "ClusterRole", "", "of-beta")
    registered.kaas.objects[role] = {
        "apiVersion": role.api_version,
        "kind": role.kind,
        "metadata": {
            "name": role.name,
            "labels": {
                "app.kubernetes.io/managed-by": "scs.observability",
                "app.kubernetes.io/instance": "beta",
            },
        },
    }
    deregister(registered.params(), False)
    assert role in registered.kaas.objects


@pytest.mark.parametrize("status", [None, 503])
def test_a_cluster_that_is_gone_needs_force(registered: Any, status: int | None) -> None:
    """Nobody answers, or only the load balancer that was in front of it."""
    registered.kaas.failure = status
    params = registered.params()
    with pytest.raises(ApiError) as raised:
        deregister(params, False)
    assert raised.value.parameter == "kubeconfig"
    assert "force: true" in (raised.value.advice or "")
    assert registered.observer.written == []

    result = deregister({**params, "force": True}, False)
    assert RECORD not in registered.observer.objects
    assert result["left_reason"]
    registered.kaas.failure = "none"
    there = {str(key) for key in set(registered.kaas.objects) - registered.before if key.kind != "Pod"}
    assert set(result["left"]) == there


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_cluster_that_answers_is_there_and_force_does_not_pass_over_it(registered: Any, status: int) -> None:
    registered.kaas.failure = status
    with pytest.raises(ApiError) as raised:
        deregister(registered.params(force=True), False)
    assert raised.value.status == status
    assert "force" not in (raised.value.advice or "")
    assert registered.observer.written == []


@pytest.mark.parametrize("kubeconfig", ["nowhere", "", None])
@pytest.mark.parametrize("force", [True, False])
def test_a_kubeconfig_that_leads_nowhere_is_a_mistake_and_no_cluster_that_is_gone(
    registered: Any, kubeconfig: str | None, force: bool
) -> None:
    with pytest.raises(InputError) as raised:
        deregister(registered.params(kubeconfig=kubeconfig, force=force), False)
    assert raised.value.parameter == "kubeconfig"
    assert "force" not in (raised.value.advice or "")
    assert registered.observer.written == registered.kaas.written == []


def test_another_cluster_is_not_touched(registered: Any) -> None:
    registered.kaas.objects[ObjectKey("v1", "Namespace", "", "kube-system")]["metadata"]["uid"] = "cccccccc-1"
    with pytest.raises(InputError, match="cccccccc-1") as raised:
        deregister(registered.params(), False)
    assert raised.value.parameter == "kubeconfig"
    assert registered.observer.written == registered.kaas.written == []

    result = deregister(registered.params(force=True), False)
    assert registered.kaas.written == []
    assert "cccccccc-1" in result["left_reason"]
    assert RECORD not in registered.observer.objects


def test_a_cluster_whose_registration_is_gone_is_cleaned_up(registered: Any) -> None:
    del registered.observer.objects[RECORD]
    result = deregister(registered.params(), False)
    assert result["changed"] is True
    assert set(registered.kaas.objects) == registered.before
    assert registered.observer.phases == []


@pytest.mark.parametrize("name", ["..", "A_b", "a" * 64, ""])
def test_bad_names_are_refused(lab: Any, name: str) -> None:
    with pytest.raises(InputError) as raised:
        deregister(lab.params(name=name), False)
    assert raised.value.parameter == "name"


def test_it_can_come_back(registered: Any) -> None:
    deregister(registered.params(), False)
    assert register(registered.params(), False)["phase"] == "active"


def test_without_waiting_nothing_is_waited_for(registered: Any) -> None:
    registered.kaas.objects[ObjectKey("v1", "Pod", "scs-observability", "stuck")] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "stuck",
            "namespace": "scs-observability",
            "labels": {"app.kubernetes.io/managed-by": "scs.observability", "app.kubernetes.io/instance": "alpha"},
        },
    }
    assert deregister(registered.params(wait=False), False)["changed"] is True
