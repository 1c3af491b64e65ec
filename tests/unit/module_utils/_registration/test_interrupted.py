# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that ends after any of its writes: repeated, it comes to what an undisturbed one does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration import former
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from tests.unit.module_utils._registration.conftest import Cluster, Lab

Run = Callable[[dict[str, Any], bool], dict[str, Any]]

WRITES = ("apply", "apply_status", "create", "merge", "delete")
# What is another with every run
VOLATILE = ("uid", "resourceVersion", "creationTimestamp")
# Given with the certificate, or at the time
OF_THE_MOMENT = ("certificate", "previousCertificate", "proof", "phaseSince")


class Killed(BaseException):
    """The process ends; nothing gets hold of this."""


@contextmanager
def ending(lab: Lab, after: int, end: Callable[[Cluster], BaseException]) -> Iterator[None]:
    """Have the write of that number be the last: it is carried out, but its answer and all others do not arrive."""
    written = 0
    patched = pytest.MonkeyPatch()

    def limited(cluster: Cluster, name: str) -> Callable[..., Any]:
        write = getattr(cluster, name)

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal written
            if options.get("dry_run"):
                return write(*arguments, **options)
            written += 1
            if written <= after:
                result = write(*arguments, **options)
                if written < after:
                    return result
            raise end(cluster)

        return call

    for cluster in (lab.observer, lab.kaas):
        for name in WRITES:
            patched.setattr(cluster, name, limited(cluster, name))
    try:
        yield
    finally:
        patched.undo()


def killed(_cluster: Cluster) -> BaseException:
    return Killed()


def unreachable(cluster: Cluster) -> BaseException:
    return ApiError(cluster.host, "patch", "any", None, "connection reset by peer")


def state(cluster: Cluster) -> dict[Any, Any]:
    """All objects without what differs between two runs."""
    found: dict[Any, Any] = {}
    for key, item in copy.deepcopy(cluster.objects).items():
        for name in VOLATILE:
            item["metadata"].pop(name, None)
        if key.kind == "Secret":
            item["data"] = sorted(item["data"])
            item["metadata"].pop("annotations", None)
        if key.name == kaas_cluster.FORMER_CLUSTERS:
            item["data"] = {name: replace(former.read(text), until="") for name, text in item["data"].items()}
        if key.kind == kaas_cluster.KIND:
            item["status"] = {name: value for name, value in item["status"].items() if name not in OF_THE_MOMENT}
        found[key] = item
    return found


def both(lab: Lab) -> list[dict[Any, Any]]:
    return [state(lab.observer), state(lab.kaas)]


def reset(lab: Lab, objects: list[dict[Any, Any]]) -> None:
    for cluster, found in zip((lab.observer, lab.kaas), copy.deepcopy(objects), strict=True):
        cluster.objects = found
    lab.forget()


def writes(lab: Lab) -> int:
    return sum(len(cluster.written) for cluster in (lab.observer, lab.kaas))


def registered(lab: Lab) -> dict[str, Any] | None:
    records = [item for key, item in lab.observer.objects.items() if key.kind == kaas_cluster.KIND]
    return records[0] if records else None


def has_agent(lab: Lab) -> bool:
    return any(key.kind == "Deployment" and key.name == agent.NAME for key in lab.kaas.objects)


def interrupted(lab: Lab, run: Run, after: int, end: Callable[[Cluster], BaseException]) -> None:
    with ending(lab, after, end), pytest.raises((Killed, ApiError)):
        run(lab.params(), False)


@pytest.mark.parametrize("end", [killed, unreachable])
def test_onboarding_that_is_interrupted_is_repeated(lab: Lab, end: Callable[[Cluster], BaseException]) -> None:
    start = copy.deepcopy([lab.observer.objects, lab.kaas.objects])
    register(lab.params(), False)
    expected, count = both(lab), writes(lab)
    assert count > 10
    for after in range(count):
        reset(lab, start)
        interrupted(lab, register, after, end)
        record = registered(lab)
        # One that writes without registration would be an orphan; one that is active without an agent would page.
        assert record or not has_agent(lab), after
        assert not record or record["spec"]["phase"] == "provisioning" or has_agent(lab), after
        register(lab.params(), False)
        assert both(lab) == expected, after
        assert register(lab.params(), False)["changes"] == [], after


@pytest.mark.parametrize("end", [killed, unreachable])
def test_offboarding_that_is_interrupted_is_repeated(lab: Lab, end: Callable[[Cluster], BaseException]) -> None:
    register(lab.params(), False)
    start = copy.deepcopy([lab.observer.objects, lab.kaas.objects])
    lab.forget()
    deregister(lab.params(), False)
    expected, count = both(lab), writes(lab)
    assert count > 10
    for after in range(count):
        reset(lab, start)
        interrupted(lab, deregister, after, end)
        record = registered(lab)
        # Its silence is announced before it is silent, and it is forgotten when it is.
        assert has_agent(lab) or not record or record["spec"]["phase"] == "deleting", after
        assert record or not has_agent(lab), after
        deregister(lab.params(), False)
        assert both(lab) == expected, after
        assert deregister(lab.params(), False)["changes"] == [], after
