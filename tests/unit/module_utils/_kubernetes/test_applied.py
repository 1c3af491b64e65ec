# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When no dry run is needed. Whether a real API server agrees is in tests/integration/apiserver/test_reconcile.py."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.applied import is_as_applied

Manifest = dict[str, Any]

WANTED: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "x", "namespace": "ns", "labels": {"app": "x"}, "finalizers": ["a/b"]},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "x"}},
        "containers": [{"name": "c", "args": ["--a"], "ports": [{"containerPort": 80}]}],
    },
}
FIELDS: Manifest = {
    "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {'v:"a/b"': {}}},
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:containers": {
            'k:{"name":"c"}': {
                ".": {},
                "f:name": {},
                "f:args": {},
                "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
            }
        },
    },
}


def live(**entry: Any) -> Manifest:
    """As the API server has it: with what it adds by itself, and what others noted."""
    found = copy.deepcopy(WANTED)
    found["spec"]["strategy"] = {"type": "RollingUpdate"}
    found["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
    found["status"] = {"replicas": 1}
    found["metadata"]["labels"]["theirs"] = "1"
    ours = {"manager": "scs.observability", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": FIELDS}
    status = {**ours, "subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}}
    theirs = {**ours, "manager": "kubectl", "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}}
    found["metadata"]["managedFields"] = [theirs, status, {**copy.deepcopy(ours), **entry}]
    return found


def ours(found: Manifest) -> Manifest:
    fields: Manifest = found["metadata"]["managedFields"][-1]["fieldsV1"]
    return fields


def test_what_was_applied_and_not_touched_is_the_same() -> None:
    assert is_as_applied(WANTED, live())


def _deleted(found: Manifest) -> None:
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"


def _value(found: Manifest) -> None:
    found["spec"]["replicas"] = 2


def _argument(found: Manifest) -> None:
    found["spec"]["containers"][0]["args"].append("--b")


def _added_to_a_whole(found: Manifest) -> None:
    found["spec"]["selector"]["matchLabels"]["more"] = "1"


def _container(found: Manifest) -> None:
    found["spec"]["containers"].append({"name": "sidecar"})


def _renamed(found: Manifest) -> None:
    found["spec"]["containers"][0]["name"] = "d"


def _removed(found: Manifest) -> None:
    del found["metadata"]["labels"]["app"]


def _finalizer(found: Manifest) -> None:
    found["metadata"]["finalizers"] = ["c/d"]


def _taken_over(found: Manifest) -> None:
    del ours(found)["f:spec"]["f:replicas"]


def _applied_once(found: Manifest) -> None:
    ours(found)["f:spec"]["f:paused"] = {}
    found["spec"]["paused"] = True


def _by_index(found: Manifest) -> None:
    ours(found)["f:metadata"]["f:finalizers"] = {"i:0": {}}


@pytest.mark.parametrize(
    "change",
    [
        _deleted,
        _value,
        _argument,
        _added_to_a_whole,
        _container,
        _renamed,
        _removed,
        _finalizer,
        _taken_over,
        _applied_once,
        _by_index,
    ],
)
def test_every_difference_is_for_a_dry_run(change: Callable[[Manifest], None]) -> None:
    found = live()
    change(found)
    assert not is_as_applied(WANTED, found)


@pytest.mark.parametrize(
    "entry", [{"manager": "kubectl"}, {"operation": "Update"}, {"apiVersion": "apps/v1beta1"}, {"fieldsV1": {}}]
)
def test_what_is_not_ours_tells_nothing(entry: Manifest) -> None:
    assert not is_as_applied(WANTED, live(**entry))


def test_what_is_not_there_is_not_the_same() -> None:
    assert not is_as_applied(WANTED, None)
    assert not is_as_applied(WANTED, {"metadata": {"name": "x"}})


@pytest.mark.parametrize("more", [{"paused": True}, {"replicas": 2}, {"containers": []}])
def test_what_is_wanted_beyond_it_is_not_the_same(more: Manifest) -> None:
    assert not is_as_applied({**WANTED, "spec": {**WANTED["spec"], **more}}, live())
