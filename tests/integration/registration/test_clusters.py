# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clusters in one call, against real API servers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration.clusters import ClustersError, manage_all
from tests.argument_specs import argument_spec
from tests.integration.api_server import ApiServer
from tests.integration.processes import free_port
from tests.integration.shown_clusters import ShownClusters, shown_clusters

SPEC = argument_spec("agent_registration")
NAMES = ("shop", "bank", "mill")
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def shown(kaas_server: ApiServer) -> Iterator[ShownClusters]:
    with shown_clusters(kaas_server, range(1, 31)) as found:
        yield found


@dataclass
class Fleet:
    """Three clusters that no test has seen, and an observer with a namespace of its own."""

    shown: ShownClusters
    observer: KubernetesClient
    common: dict[str, Any]
    clusters: list[dict[str, Any]]
    numbers: list[int]

    def call(self, *, check: bool = False, clusters: list[dict[str, Any]] | None = None, **all_: Any) -> dict[str, Any]:
        given = self.clusters if clusters is None else clusters
        return manage_all({**self.common, **all_, "clusters": given}, check, SPEC)

    def fail(self, **given: Any) -> ClustersError:
        with pytest.raises(ClustersError) as raised:
            self.call(**given)
        return raised.value

    def with_changes(self, place: int, **changes: Any) -> list[dict[str, Any]]:
        return [{**given, **(changes if number == place else {})} for number, given in enumerate(self.clusters)]

    def registered(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.observer.list(kaas_cluster.API_VERSION, kaas_cluster.KIND)}

    def has_agent(self, place: int) -> bool:
        client = self.shown.client(self.numbers[place])
        return client.get("apps/v1", "Deployment", agent.NAME, "scs-observability") is not None


@pytest.fixture
def fleet(observer_server: ApiServer, shown: ShownClusters) -> Iterator[Fleet]:
    observer = observer_server.client()
    numbers = [next(_NUMBERS) for _name in NAMES]
    common = {
        "observer_kubeconfig": str(observer_server.kubeconfig()),
        "observer_namespace": f"observer-many-{numbers[0]}",
        "remote_write_url": "https://gateway.example.org/api/v1/receive",
        "sla_classes": ["gold", "silver"],
        "wait": False,
        "state": "present",
    }
    clusters = [
        {"name": name, "kubeconfig": str(shown.kubeconfig(number))} for name, number in zip(NAMES, numbers, strict=True)
    ]
    yield Fleet(shown, observer, common, clusters, numbers)
    for name in NAMES:
        observer.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)


def test_all_come_on_board_at_once_and_a_second_run_changes_nothing(fleet: Fleet) -> None:
    planned = fleet.call(check=True, sla="gold")
    assert fleet.registered() == set()
    assert fleet.observer.get("v1", "Namespace", fleet.common["observer_namespace"]) is None

    done = fleet.call(sla="gold", clusters=fleet.with_changes(1, sla="silver"))
    assert planned["changed"] is done["changed"] is True
    assert planned["changes"] == done["changes"]
    # What all need is made once.
    assert len([line for line in done["changes"] if line.startswith("create v1 Namespace observer-many")]) == 1
    assert [found["name"] for found in done["clusters"]] == list(NAMES)
    assert done["summary"].items() >= {"clusters": 3, "changed": 3, "failed": 0}.items()
    assert "shop, live" in {diff["before_header"] for diff in done["diff"]}
    for place, name in enumerate(NAMES):
        record = fleet.observer.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)
        assert record
        assert record["spec"]["sla"] == ("silver" if place == 1 else "gold")
        assert fleet.has_agent(place)
    assert len({found["cluster_uid"] for found in done["clusters"]}) == 3

    for check in (True, False):
        again = fleet.call(check=check)
        assert (again["changed"], again["changes"], again["diff"]) == (False, [], [])
        assert again["summary"].items() >= {"clusters": 3, "changed": 0, "failed": 0}.items()


def test_a_cluster_that_fails_stops_no_other_and_is_told_at_the_end(fleet: Fleet) -> None:
    gone = f"https://127.0.0.1:{free_port()}"
    broken = str(fleet.shown.server.kubeconfig(server=gone))
    error = fleet.fail(clusters=fleet.with_changes(1, kubeconfig=broken))
    assert fleet.registered() == {"shop", "mill"}
    result = error.result()
    assert [found["failed"] for found in result["clusters"]] == [False, True, False]
    assert gone in result["clusters"][1]["msg"]
    assert result["msg"].startswith("1 of 3 clusters failed:\nbank: ")
    assert result["changed"] is True
    assert result["summary"].items() >= {"clusters": 3, "changed": 2, "failed": 1}.items()
    # The next run finishes it.
    assert [found["changed"] for found in fleet.call()["clusters"]] == [False, True, False]

    fleet.fail(clusters=fleet.with_changes(1, kubeconfig=broken))
    record = fleet.observer.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, "bank")
    assert record
    assert record["status"]["failure"]["link"] == "cluster"
    assert gone in record["status"]["failure"]["message"]


def test_bad_input_of_one_cluster_is_its_own_failure(fleet: Fleet) -> None:
    error = fleet.fail(clusters=fleet.with_changes(0, sla="-"))
    assert fleet.registered() == {"bank", "mill"}
    found = error.result()["clusters"][0]
    assert (found["parameter"], found["failed"], found["changed"]) == ("sla", True, False)


def test_an_observer_that_does_not_answer_is_told_once_for_all(fleet: Fleet, observer_server: ApiServer) -> None:
    gone = str(observer_server.kubeconfig(server=f"https://127.0.0.1:{free_port()}"))
    message = fleet.fail(observer_kubeconfig=gone).result()["msg"]
    assert message.splitlines()[1].startswith("shop, bank, mill: observer_kubeconfig: ")
    assert len(message.splitlines()) == 2
    assert not any(fleet.has_agent(place) for place in range(3))


def test_what_two_claim_neither_gets(fleet: Fleet) -> None:
    error = fleet.fail(clusters=fleet.with_changes(1, kubeconfig=fleet.clusters[0]["kubeconfig"]))
    assert fleet.registered() == {"mill"}
    assert "bank, shop lead to the same cluster" in error.result()["msg"]
    error = fleet.fail(clusters=fleet.with_changes(1, name="shop"))
    assert fleet.registered() == {"mill"}
    assert "given more than once" in error.result()["msg"]


def test_no_cluster_is_taken_for_another_that_is_registered(fleet: Fleet) -> None:
    fleet.call(clusters=fleet.clusters[:1])
    error = fleet.fail(clusters=[{**fleet.clusters[0], "name": "other"}, fleet.clusters[1]])
    assert "already registered as 'shop'" in error.result()["msg"]
    assert fleet.registered() == {"shop", "bank"}


def test_what_is_no_list_of_clusters_is_refused_with_all_that_is_wrong(fleet: Fleet) -> None:
    wrong = [{"name": "shop", "kubconfig": "x"}, {"name": "bank", "wait_timeout": "soon"}, *fleet.clusters]
    with pytest.raises(InputError) as raised:
        fleet.call(clusters=wrong)
    text = str(raised.value)
    assert "clusters[0] (shop): kubconfig is no option of a cluster, kubeconfig is" in text
    assert "clusters[1] (bank): " in text
    assert "wait_timeout" in text
    assert fleet.registered() == set()
    with pytest.raises(InputError) as raised:
        fleet.call(name="shop")
    assert raised.value.parameter == "name"


def test_all_leave_at_once_also_those_that_are_gone(fleet: Fleet) -> None:
    fleet.call()
    broken = str(fleet.shown.server.kubeconfig(server=f"https://127.0.0.1:{free_port()}"))
    changed = fleet.with_changes(2, kubeconfig=broken)
    assert fleet.call(check=True, state="absent")["changed"] is True
    assert fleet.registered() == set(NAMES)

    fleet.fail(clusters=changed, state="absent")
    assert fleet.registered() == {"mill"}
    assert not fleet.has_agent(0)
    result = fleet.call(clusters=changed, state="absent", force=True)
    assert fleet.registered() == set()
    assert [bool(found["left"]) for found in result["clusters"]] == [False, False, True]
    assert fleet.call(state="absent", clusters=fleet.clusters[:2])["changes"] == []


def test_each_may_be_told_its_own_state(fleet: Fleet) -> None:
    fleet.call(clusters=fleet.clusters[:1])
    fleet.call(clusters=fleet.with_changes(0, state="absent"))
    assert fleet.registered() == {"bank", "mill"}
