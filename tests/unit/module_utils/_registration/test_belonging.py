# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent is in one namespace and belongs to one observer; neither changes unnoticed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster, workload
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register

RECORD = ObjectKey(kaas_cluster.API_VERSION, kaas_cluster.KIND, "", "alpha")
BINDING = ObjectKey("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", agent.NAME)
DEPLOYMENT = ObjectKey("apps/v1", "Deployment", "agents", agent.NAME)
OBSERVER = "aaaaaaaa-0000-4000-8000-000000000000/scs-observability"


@pytest.fixture
def registered(lab: Any) -> Any:
    lab.before = set(lab.kaas.objects)
    register(lab.params(namespace="agents"), False)
    lab.forget()
    return lab


def untouched(lab: Any) -> bool:
    return lab.observer.written == lab.other_observer.written == lab.kaas.written == []


# Where it is


def test_what_is_registered_says_where_the_agent_is(registered: Any) -> None:
    assert registered.observer.objects[RECORD]["spec"]["namespace"] == "agents"
    assert register(registered.params(), False)["changed"] is False
    deregister(registered.params(), False)
    assert set(registered.kaas.objects) == registered.before


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("operation", [register, deregister])
@pytest.mark.parametrize("how", ["recorded", "not recorded", "no registration"])
def test_another_namespace_is_refused(registered: Any, operation: Any, check_mode: bool, how: str) -> None:
    """A second agent would write as the same tenant, and one that nobody looks for would go on for ever."""
    if how == "not recorded":
        del registered.observer.objects[RECORD]["spec"]["namespace"]
    elif how == "no registration":
        del registered.observer.objects[RECORD]
    with pytest.raises(InputError, match="'agents'") as raised:
        operation(registered.params(namespace="elsewhere", force=True), check_mode)
    assert raised.value.parameter == "namespace"
    assert untouched(registered)


def test_an_agent_whose_registration_is_gone_is_found_where_it_is(registered: Any) -> None:
    del registered.observer.objects[RECORD]
    deregister(registered.params(), False)
    assert set(registered.kaas.objects) == registered.before


def test_an_agent_under_another_name_is_not_mixed_with_a_new_one(registered: Any) -> None:
    del registered.observer.objects[RECORD]
    for force in (True, False):
        with pytest.raises(InputError, match="'alpha'") as raised:
            register(registered.params(name="beta", force=force), False)
        assert raised.value.parameter == "name"
    assert untouched(registered)
    assert deregister(registered.params(name="beta"), False)["changed"] is False
    assert DEPLOYMENT in registered.kaas.objects


# Whose it is


def test_the_agent_says_whose_it_is(registered: Any) -> None:
    annotations = registered.kaas.objects[BINDING]["metadata"]["annotations"]
    assert annotations == {agent.OBSERVER_ANNOTATION: OBSERVER}


def test_a_cluster_of_another_observer_is_refused_and_taken_over_with_force(registered: Any) -> None:
    other = registered.params(observer_kubeconfig="other observer")
    for check_mode in (True, False):
        with pytest.raises(InputError, match=OBSERVER) as raised:
            register(other, check_mode)
        assert raised.value.parameter == "kubeconfig"
        assert "force: true" in (raised.value.advice or "")
    assert untouched(registered)

    assert register({**other, "force": True}, False)["phase"] == "active"
    assert OBSERVER not in str(registered.kaas.objects[BINDING])
    assert register(other, False)["changed"] is False
    assert DEPLOYMENT in registered.kaas.objects


def test_what_another_observer_took_over_is_never_removed(registered: Any) -> None:
    other = registered.params(observer_kubeconfig="other observer")
    register({**other, "force": True}, False)
    registered.forget()
    with pytest.raises(InputError, match="another observer") as raised:
        deregister(registered.params(), False)
    assert "force: true" in (raised.value.advice or "")
    assert untouched(registered)

    result = deregister(registered.params(force=True), False)
    assert "another observer" in result["left_reason"]
    assert registered.kaas.written == []
    assert RECORD not in registered.observer.objects

    # Once it is not registered here, there is nothing to do: told, but no failure.
    again = deregister(registered.params(), False)
    assert (again["changed"], again["left"]) == (False, [])
    assert "another observer" in again["warnings"][0]
    assert registered.kaas.written == []
    assert deregister(other, False)["changed"] is True
    assert set(registered.kaas.objects) == registered.before


def test_an_agent_that_does_not_say_whose_it_is_is_ours(registered: Any) -> None:
    del registered.kaas.objects[BINDING]["metadata"]["annotations"]
    result = register(registered.params(), False)
    assert result["changes"] == [f"update {BINDING}"]
    del registered.kaas.objects[BINDING]["metadata"]["annotations"]
    deregister(registered.params(), False)
    assert set(registered.kaas.objects) == registered.before


@pytest.mark.parametrize("operation", [register, deregister])
@pytest.mark.parametrize("force", [True, False])
def test_observers_that_share_a_cluster_do_not_share_registrations(
    registered: Any, operation: Any, force: bool
) -> None:
    with pytest.raises(InputError, match="'scs-observability'") as raised:
        operation(registered.params(observer_namespace="second", force=force), False)
    assert raised.value.parameter == "observer_namespace"
    assert untouched(registered)


# The observer's own cluster


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("namespace", [None, "scs-observability", "agents"])
def test_an_observer_has_no_agent_in_its_own_cluster(lab: Any, namespace: str | None, check_mode: bool) -> None:
    with pytest.raises(InputError, match="its own Prometheus observes") as raised:
        register(lab.params(kubeconfig="observer", namespace=namespace), check_mode)
    assert raised.value.parameter == "kubeconfig"
    assert untouched(lab)


def test_what_bears_the_name_of_a_component_does_not_take_it_away(lab: Any) -> None:
    lab.observer.create(workload.namespace("scs-observability"))
    lab.observer.create(workload.config_map("mine", "scs-observability", workload.owner("thanos-query"), {}))
    lab.forget()
    assert deregister(lab.params(name="thanos-query", kubeconfig="observer"), False)["changed"] is False
    assert untouched(lab)
