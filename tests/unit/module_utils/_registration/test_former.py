# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, InputError
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._registration import former
from ansible_collections.scs.observability.plugins.module_utils._registration.former import Former

pytestmark = pytest.mark.usefixtures("_no_patience")
UID, OTHER_UID = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e", "1d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former, "STORES_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("before", "uid", "customer", "allowed"),
    [
        ("Shop", UID, "Shop", True),
        ("Shop", UID, "", True),
        ("Shop", UID, "Other", True),
        ("Shop", OTHER_UID, "Shop", True),
        ("Shop", OTHER_UID, "Other", False),
        ("Shop", OTHER_UID, "shop", False),
        ("Shop", OTHER_UID, "", False),
        # Nobody said whose it was, and nobody says whose this one is: that makes them not the same.
        ("", OTHER_UID, "", False),
        ("", UID, "", True),
    ],
)
def test_who_may_have_the_name(before: str, uid: str, customer: str, allowed: bool) -> None:
    assert (Former(UID, before, "2026-02-01T10:00:00Z").obstacle(uid, customer) is None) is allowed


def test_an_entry_is_read_again() -> None:
    entry = Former(UID, "Müller & Söhne", "2026-02-01T10:00:00Z")
    for found in (entry, entry.after(Former(OTHER_UID, "Shop", "2026-01-01T10:00:00Z"))):
        assert former.read(found.text()) == found


def test_whose_data_are_there_is_kept_of_all_who_had_the_name() -> None:
    """A cluster that is sold leaves what it wrote for its first owner."""
    first, sold = Former(UID, "Shop", "2026-01-01T10:00:00Z"), Former(UID, "Bank", "2026-02-01T10:00:00Z")
    entry = sold.after(first)
    assert entry.obstacle(OTHER_UID, "Bank") == first
    assert entry.obstacle(OTHER_UID, "Shop") == entry
    assert entry.obstacle(UID, "Bank") is None
    again = replace(sold, until="2026-03-01T10:00:00Z")
    assert again.after(entry).before == (first,)
    assert replace(first, until="2026-04-01T10:00:00Z").after(again.after(entry)).before == (again,)
    assert sold.after(None) == sold


class Observer:
    """What is asked of one: its entries, its query, whether that has series that match, and which of its stores do not
    answer.
    """

    def __init__(
        self, entry: Former | None, series: list[dict[str, str]], query: str = "there", away: tuple[str, ...] = ()
    ) -> None:
        self.entries = {} if entry is None else {"alpha": entry.text()}
        self.series, self.query, self.away = series, query, away
        self.asked: list[tuple[str, str | None]] = []
        self.endpoints = json.dumps({"endpoints": [{"address": f"{name}:10901"} for name in STORES]})

    def get(self, _api_version: str, _kind: str, name: str, _namespace: str) -> dict[str, Any]:
        return {"data": {"endpoints.json": self.endpoints} if name == "query-configuration" else self.entries}

    def list(self, _api_version: str, kind: str, *_more: str) -> Sequence[dict[str, Any]]:
        if self.query == "absent":
            return []
        if kind == "Pod":
            status = {"containerStatuses": [{"ready": True}]}
            return [{"metadata": {"name": "query-0"}, "spec": {"containers": []}, "status": status}]
        services = [
            {"metadata": {"name": name, "labels": {"app.kubernetes.io/component": name}}, "spec": {}}
            for name in STORES[:-1]
        ]
        return [] if kind != "Service" else [{"metadata": {"name": "query"}, "spec": {}}, *services]

    def service_get(self, _namespace: str, _service: str, _port: str, _path: str, query: dict[str, str]) -> bytes:
        if self.query == "away":
            raise ApiError("https://observer", "get", "services/proxy", 503, "no endpoints")
        self.asked.append((query["match[]"], query.get("storeMatch[]")))
        assert query["partial_response"] == "false"
        return json.dumps({"status": "success", "data": self.series}).encode()

    def pod_get(self, _namespace: str, _pod: str, _port: int, _path: str) -> bytes:
        stores: dict[str, list[dict[str, Any]]] = {}
        for name in STORES:
            error = "no answer" if name in self.away else None
            stores.setdefault(name.partition(".")[0], []).append({"name": f"{name}:10901", "lastError": error})
        return json.dumps({"status": "success", "data": stores}).encode()

    def parallel(self, calls: Sequence[Callable[[], Any]]) -> Sequence[Any]:
        return [call() for call in calls]


# The last one is not the observer's own.
STORES = ("receive", "store", "sidecar", "store.example.org")
LEFT = [{"__name__": "up"}]
SHOP = Former(UID, "Shop", "2026-02-01T10:00:00Z")


@pytest.mark.parametrize(
    ("entry", "series", "query", "known", "refused"),
    [
        (None, [], "there", False, ""),
        (None, LEFT, "there", False, "of which nothing else is known"),
        # The cluster has what only one that was registered under the name can have, or the operator says so.
        (None, LEFT, "there", True, ""),
        (None, LEFT, "away", True, ""),
        # An observer that is being built up
        (None, LEFT, "absent", False, ""),
        (SHOP, [], "there", False, ""),
        (SHOP, LEFT, "there", False, "customer Shop"),
        # Whose the data are is known better.
        (SHOP, LEFT, "there", True, "customer Shop"),
        *((SHOP, LEFT, query, False, "cannot be seen") for query in ("away", "absent")),
        (replace(SHOP, customer="Bank").after(SHOP), LEFT, "there", False, "customer Shop"),
    ],
)
def test_a_name_with_data_is_not_given_away(
    entry: Former | None, series: list[dict[str, str]], query: str, known: bool, refused: str
) -> None:
    observer: Any = Observer(entry, series, query)

    def take() -> None:
        former.refuse(observer, "observer", "alpha", cluster_uid=OTHER_UID, customer="Bank", known=known)

    if not refused:
        take()
        return
    with pytest.raises(InputError, match=refused) as raised:
        take()
    assert raised.value.parameter == "name"
    assert "erase: true" in str(raised.value)


def test_without_an_answer_nobody_knows() -> None:
    observer: Any = Observer(None, LEFT, "away")
    with pytest.raises(QueryError, match="no endpoints"):
        former.refuse(observer, "observer", "alpha", cluster_uid=UID, customer="")


@pytest.mark.parametrize("known", [False, None])
def test_who_cannot_have_had_the_name_is_not_told_to_insist(known: bool | None) -> None:
    observer: Any = Observer(None, LEFT)
    with pytest.raises(InputError) as raised:
        former.refuse(observer, "observer", "alpha", cluster_uid=UID, customer="", known=known)
    assert ("force: true" in str(raised.value)) is (known is False)


def test_what_the_observer_says_of_a_cluster_that_is_to_come_is_none_of_its_data() -> None:
    """The importer of Cluster API knows it before it is registered."""
    observer: Any = Observer(None, [])
    former.refuse(observer, "observer", "alpha", cluster_uid=UID, customer="")
    # One of the others may go at this very moment.
    stores = r'{__address__=~"receive:10901|store:10901"}'
    assert observer.asked == [('{__name__!="",cluster="alpha",job="agent"}', stores)]


@pytest.mark.parametrize("away", ["receive", "store"])
def test_a_name_is_not_taken_for_new_while_a_store_of_agents_is_away(away: str) -> None:
    """Query answers without it, and says nothing."""
    observer: Any = Observer(None, [], away=(away,))
    with pytest.raises(QueryError, match=f"{away} {away}:10901: no answer"):
        former.refuse(observer, "observer", "alpha", cluster_uid=UID, customer="")


@pytest.mark.parametrize("away", ["sidecar", "store.example.org"])
def test_what_has_nothing_of_agents_keeps_no_new_cluster_out(away: str) -> None:
    observer: Any = Observer(None, [], away=(away,))
    former.refuse(observer, "observer", "alpha", cluster_uid=UID, customer="")


@pytest.mark.parametrize("away", STORES)
def test_the_name_of_another_is_not_given_away_while_any_store_is_away(away: str) -> None:
    observer: Any = Observer(SHOP, [], away=(away,))
    with pytest.raises(InputError, match=f"cannot be seen.*{away}:10901: no answer"):
        former.refuse(observer, "observer", "alpha", cluster_uid=OTHER_UID, customer="Bank")


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "null", "3", '{"clusterUID": null}'])
def test_what_cannot_be_read_is_given_to_nobody(text: str) -> None:
    assert former.read(text) == Former("", "", "")
    assert former.read(text).obstacle(OTHER_UID, "Shop") is not None
