# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent, several observers; and from one to another."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    ObservabilityError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration import observers, onboarding
from ansible_collections.scs.observability.plugins.module_utils._registration.observers import deregister, register
from tests.unit.module_utils._registration.conftest import OBSERVER_UID, OTHER_OBSERVER_UID, Lab, copied

RECORD = ObjectKey(kaas_cluster.API_VERSION, kaas_cluster.KIND, "", "alpha")
BINDING = ObjectKey("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", agent.NAME)
CONFIGURATION = ObjectKey("v1", "ConfigMap", "scs-observability", agent.NAME)
FIRST, SECOND = (f"{uid}/scs-observability" for uid in (OBSERVER_UID, OTHER_OBSERVER_UID))
URL, OTHER_URL = (f"https://{name}:30443/api/v1/receive" for name in ("gateway", "other-gateway"))
OTHER = {"observer_kubeconfig": "other observer", "remote_write_url": OTHER_URL}


def both(lab: Any, **changes: Any) -> dict[str, Any]:
    return dict(lab.params(additional_observers=[OTHER], **changes))


def moving(lab: Any, **changes: Any) -> dict[str, Any]:
    """To the other observer."""
    return dict(lab.params(**OTHER, move_from={"observer_kubeconfig": "observer"}, **changes))


def written_to(lab: Any) -> dict[str, str]:
    content = yaml.safe_load(lab.kaas.objects[CONFIGURATION]["data"][agent.CONFIGURATION_FILE])
    return {item["name"]: item["url"] for item in content["remote_write"]}


def belongs_to(lab: Any) -> str:
    return str(lab.kaas.objects[BINDING]["metadata"]["annotations"][agent.OBSERVER_ANNOTATION])


def secrets(lab: Any) -> dict[str, str]:
    return {
        key.name: item["metadata"]["annotations"][agent.OBSERVER_ANNOTATION]
        for key, item in lab.kaas.objects.items()
        if key.kind == "Secret"
    }


def as_first(lab: Any) -> None:
    """At the first observer alone, in no different state than if the other had never been."""
    assert written_to(lab) == {"observer": URL}
    assert belongs_to(lab) == FIRST
    assert secrets(lab) == {agent.IDENTITY_SECRETS[0]: FIRST}


# Two observers


def test_it_comes_on_board_of_two(lab: Any) -> None:
    planned = register(both(lab, customer="Example Shop"), True)
    assert lab.kaas.written == lab.observer.written == lab.other_observer.written == []
    done = register(both(lab, customer="Example Shop"), False)

    assert planned["changes"] == done["changes"]
    assert written_to(lab) == {"observer": URL, "observer-2": OTHER_URL}
    assert belongs_to(lab) == f"{FIRST},{SECOND}"
    assert secrets(lab) == {agent.IDENTITY_SECRETS[0]: FIRST, agent.IDENTITY_SECRETS[1]: SECOND}
    for cluster in (lab.observer, lab.other_observer):
        spec = cluster.objects[RECORD]["spec"]
        assert (spec["phase"], spec["customer"]) == ("active", "Example Shop")
    assert [(each["observer"], each["queue"], each["phase"]) for each in done["observers"]] == [
        (FIRST, "observer", "active"),
        (SECOND, "observer-2", "active"),
    ]
    first, second = (each["certificate"]["fingerprint"] for each in done["observers"])
    assert first == lab.observer.objects[RECORD]["status"]["certificate"]["fingerprint"]
    assert second == lab.other_observer.objects[RECORD]["status"]["certificate"]["fingerprint"]
    assert first != second

    lab.forget()
    again = register(both(lab, customer="Example Shop"), False)
    assert (again["changed"], again["changes"]) == (False, [])
    assert lab.kaas.written == []


def test_which_of_them_is_named_first_makes_no_difference(lab: Any) -> None:
    register(both(lab), False)
    lab.forget()
    first = {"observer_kubeconfig": "observer", "remote_write_url": URL}
    assert register(lab.params(**OTHER, additional_observers=[first]), False)["changed"] is False
    assert lab.kaas.written == []


def test_a_second_one_gets_what_is_registered_at_the_first(lab: Any) -> None:
    register(lab.params(customer="Example Shop", sla="gold", labels={"region": "north"}), False)
    pod = ObjectKey("apps/v1", "Deployment", "scs-observability", agent.NAME)
    before = lab.kaas.objects[pod]
    # Its class has been compared there.
    planned = register({**both(lab), "sla_classes": None}, True)
    done = register({**both(lab), "sla_classes": None}, False)
    assert (planned["changes"], planned["diff"].keys()) == (done["changes"], done["diff"].keys())
    assert {line for line in done["changes"] if " at " not in line} == {
        f"update {CONFIGURATION}",
        f"update {BINDING}",
        f"create v1 Secret scs-observability/{agent.IDENTITY_SECRETS[1]}",
    }
    spec = lab.other_observer.objects[RECORD]["spec"]
    assert (spec["customer"], spec["sla"], spec["labels"]) == ("Example Shop", "gold", {"region": "north"})
    # Its queue to the first goes on, and so does its pod.
    assert lab.kaas.objects[pod] is before


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_observer_that_is_not_named_is_not_dropped(lab: Any, check_mode: bool) -> None:
    register(both(lab), False)
    lab.forget()
    for alone in (lab.params(), lab.params(**OTHER)):
        with pytest.raises(InputError, match="writes to an observer that is not named") as raised:
            register(alone, check_mode)
        assert raised.value.parameter == "additional_observers"
        assert "force: true" in str(raised.value.advice)
    assert lab.kaas.written == lab.observer.written == lab.other_observer.written == []


def test_with_force_it_is(lab: Any) -> None:
    register(both(lab), False)
    register(lab.params(force=True), False)
    as_first(lab)
    # That one knows the cluster on, and misses it.
    assert RECORD in lab.other_observer.objects


def test_it_leaves_one_of_two_and_stays_with_the_other(lab: Any) -> None:
    register(both(lab), False)
    lab.forget()
    planned = deregister(lab.params(**OTHER), True)
    assert lab.kaas.written == lab.other_observer.written == []
    done = deregister(lab.params(**OTHER), False)
    assert planned["changes"] == done["changes"]
    as_first(lab)
    assert lab.observer.written == []
    assert RECORD not in lab.other_observer.objects
    assert lab.other_observer.phases == ["deleting"]
    assert register(lab.params(), False)["changed"] is False


def test_it_leaves_the_first_and_the_second_keeps_its_place(lab: Any) -> None:
    register(both(lab), False)
    deregister(lab.params(), False)
    assert written_to(lab) == {"observer-2": OTHER_URL}
    assert secrets(lab) == {agent.IDENTITY_SECRETS[1]: SECOND}
    lab.forget()
    assert register(lab.params(**OTHER), False)["changed"] is False
    assert lab.kaas.written == []


def test_it_leaves_all(lab: Any) -> None:
    before = set(lab.kaas.objects)
    register(both(lab), False)
    planned = deregister(both(lab), True)
    done = deregister(both(lab), False)
    assert planned["changes"] == done["changes"]
    assert set(lab.kaas.objects) == before
    assert RECORD not in lab.observer.objects
    assert RECORD not in lab.other_observer.objects
    assert deregister(both(lab), False)["changed"] is False


# From one to another


def test_it_moves(lab: Any) -> None:
    register(lab.params(customer="Example Shop"), False)
    planned = register(moving(lab), True)
    lab.forget()
    done = register(moving(lab), False)
    assert planned["changes"] == done["changes"]
    assert planned["diff"]["after"].count("remote_write:") == done["diff"]["after"].count("remote_write:") == 1
    assert written_to(lab) == {"observer-2": OTHER_URL}
    assert belongs_to(lab) == SECOND
    assert secrets(lab) == {agent.IDENTITY_SECRETS[1]: SECOND}
    assert lab.observer.phases == ["deleting"]
    assert RECORD not in lab.observer.objects
    assert lab.other_observer.objects[RECORD]["spec"]["customer"] == "Example Shop"
    assert (done["phase"], lab.other_observer.objects[RECORD]["spec"]["phase"]) == ("active", "active")

    lab.forget()
    again = register(moving(lab), False)
    assert (again["changed"], again["changes"], again["warnings"]) == (False, [], [])
    assert register(lab.params(**OTHER), False)["changed"] is False


def test_the_former_observer_is_left_after_the_new_one_has_proven_itself(lab: Any) -> None:
    register(lab.params(), False)
    lab.forget()
    lab.other_observer.thanos.missing = set()
    answers = lab.other_observer.service_get

    def watching(*arguments: Any, **options: Any) -> bytes:
        """Until the new one has active what it was asked for, the agent writes to both."""
        if lab.other_observer.objects[RECORD]["spec"]["phase"] == "provisioning":
            assert URL in str(lab.kaas.objects[CONFIGURATION])
            assert lab.observer.phases == []
        return bytes(answers(*arguments, **options))

    def asked(*arguments: Any, **options: Any) -> bytes:
        return watching(*arguments, **options) if RECORD in lab.other_observer.objects else answers(*arguments)

    lab.other_observer.service_get = asked
    register(moving(lab), False)
    assert lab.observer.phases == ["deleting"]


def interrupted(lab: Any, after: int) -> bool:
    """Move, and fail at the write after so many; tell whether it came to that."""
    count = [0]

    class Interrupted(ObservabilityError):
        """As if the run had been killed."""

    def cutting(write: Any) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if not options.get("dry_run"):
                if count[0] >= after:
                    raise Interrupted("killed")
                count[0] += 1
            return write(*arguments, **options)

        return wrapped

    clusters = (lab.kaas, lab.observer, lab.other_observer)
    for cluster in clusters:
        for verb in ("apply", "apply_status", "create", "delete"):
            setattr(cluster, verb, cutting(getattr(cluster, verb)))
    try:
        register(moving(lab), False)
    except Interrupted:
        return True
    finally:
        for cluster in clusters:
            for verb in ("apply", "apply_status", "create", "delete"):
                delattr(cluster, verb)
    return False


@pytest.mark.no_cover  # Counting lines takes as long again, for a dozen that no other test runs.
def test_interrupted_anywhere_and_repeated_it_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onboarding, "ADMITTED_SECONDS", 0.0)
    start = Lab()
    monkeypatch.setattr(observers.KubernetesClient, "from_parameters", start.client)
    register(start.params(customer="Example Shop"), False)
    after = 0
    while True:
        lab = copied(start)
        monkeypatch.setattr(observers.KubernetesClient, "from_parameters", lab.client)
        was_cut = interrupted(lab, after)
        # At no moment it writes to nobody.
        assert written_to(lab)
        register(moving(lab), False)
        assert written_to(lab) == {"observer-2": OTHER_URL}
        assert belongs_to(lab) == SECOND
        assert secrets(lab) == {agent.IDENTITY_SECRETS[1]: SECOND}
        assert RECORD not in lab.observer.objects
        assert lab.other_observer.objects[RECORD]["spec"]["customer"] == "Example Shop"
        if not was_cut:
            break
        after += 1
    assert after > 10
    assert register(moving(lab), False)["changed"] is False


def test_a_former_observer_that_is_lost_is_left_with_force(lab: Any) -> None:
    register(lab.params(), False)
    lab.observer.failure = None
    lab.forget()
    for check_mode in (True, False):
        with pytest.raises(ApiError, match="force: true"):
            register(moving(lab), check_mode)
    assert lab.kaas.written == lab.other_observer.written == []

    done = register(moving(lab, force=True), False)
    assert written_to(lab) == {"observer-2": OTHER_URL}
    assert belongs_to(lab) == SECOND
    assert "its registration is left" in done["warnings"][0]
    # Once moved, it does not matter any more.
    again = register(moving(lab), False)
    assert (again["changed"], len(again["warnings"])) == (False, 1)


# What is refused


@pytest.mark.parametrize(
    ("changes", "parameter", "said"),
    [
        pytest.param(
            {"additional_observers": [{"observer_kubeconfig": "observer", "remote_write_url": URL}]},
            "additional_observers[0].observer_kubeconfig",
            "named before",
            id="twice",
        ),
        pytest.param(
            {"move_from": {"observer_kubeconfig": "observer"}},
            "move_from.observer_kubeconfig",
            "to be on board of",
            id="to where it is",
        ),
        pytest.param(
            {**OTHER, "move_from": {"observer_kubeconfig": "observer"}, "proof": False},
            "move_from",
            "nobody knows that the new observer receives",
            id="without proof",
        ),
        pytest.param(
            {"additional_observers": [{"observer_kubeconfig": "nowhere", "remote_write_url": URL}]},
            "additional_observers[0].observer_kubeconfig",
            "does not exist",
            id="a kubeconfig that is not there",
        ),
        pytest.param(
            {"additional_observers": [{"observer_kubeconfig": "other observer"}]},
            "additional_observers[0].remote_write_url",
            "required",
            id="nowhere to write to",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_place(lab: Any, changes: dict[str, Any], parameter: str, said: str) -> None:
    for check_mode in (True, False):
        with pytest.raises(InputError, match=said) as raised:
            register(lab.params(**changes), check_mode)
        assert raised.value.parameter == parameter
    assert lab.kaas.written == lab.observer.written == lab.other_observer.written == []


def test_all_that_is_wrong_is_told_at_once(lab: Any) -> None:
    wrong = {"observer_kubeconfig": "other observer", "remote_write_url": "http://plain", "observer_namespace": "_"}
    with pytest.raises(InputError) as raised:
        register(lab.params(profile="most", remote_write_url="", additional_observers=[wrong]), False)
    lines = str(raised.value).splitlines()
    parameters = [line.partition(":")[0] for line in lines]
    assert sorted(parameters) == [
        "additional_observers[0].observer_namespace",
        "additional_observers[0].remote_write_url",
        "profile",
        "remote_write_url",
    ]


@pytest.mark.parametrize(("name", "value"), [("phase", "maintenance"), ("suspended", True)])
def test_a_cluster_that_may_not_send_gets_no_further_observer(lab: Any, name: str, value: Any) -> None:
    register(lab.params(), False)
    register(lab.params(**{name: value}), False)
    lab.forget()
    for params in (both(lab), moving(lab)):
        with pytest.raises(InputError, match="further observer") as raised:
            register(params, False)
        assert raised.value.parameter == name
    assert lab.kaas.written == lab.other_observer.written == []


def test_a_further_observer_that_refuses_it_is_heard_before_anything_is_touched(lab: Any) -> None:
    register(lab.params(**OTHER), False)
    lab.other_observer.objects[RECORD]["spec"]["clusterUID"] = "cccccccc-0000-4000-8000-000000000000"
    lab.forget()
    with pytest.raises(InputError, match="is registered for the cluster with UID"):
        register(both(lab, force=True), False)
    assert lab.kaas.written == lab.observer.written == lab.other_observer.written == []


# What is told of several runs


def change(action: Any, before: Any, after: Any) -> Change:
    return Change(action=action, kind="ConfigMap", name="x", before=before, after=after)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("create", None, 1), ("update", 1, 2)], ("create", None, 2)),
        ([("create", None, 1), ("create", None, 2)], ("create", None, 2)),
        ([("update", 1, 2), ("update", 2, 3)], ("update", 1, 3)),
        ([("update", 1, 2), ("update", 2, 1)], None),
        ([("update", 1, 2), ("delete", 2, None)], ("delete", 1, None)),
        ([("create", None, 1), ("delete", 1, None)], None),
        ([("delete", 1, None), ("create", None, 2)], ("update", 1, 2)),
    ],
)
def test_what_comes_of_changes_one_after_the_other(changes: list[Any], expected: Any) -> None:
    plans = [
        Plan((change(action, before and {"data": before}, after and {"data": after}),))
        for action, before, after in changes
    ]
    told = [(item.action, item.before, item.after) for item in observers.folded(plans).changes]
    assert told == (
        [(expected[0], *({"data": side} if side is not None else None for side in expected[1:]))] if expected else []
    )
