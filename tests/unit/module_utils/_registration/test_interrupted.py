# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that ends after any of its writes: repeated, it comes to what an undisturbed one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    TENANTS,
    authority_secret_name,
    pair_of_authority,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import issue
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration import former, identity
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from ansible_collections.scs.observability.plugins.module_utils._registration.record import timestamp
from tests.unit.module_utils._registration.conftest import CLIENTS, SECRET, WRITES, Cluster, Lab, copied

Run = Callable[[dict[str, Any], bool], dict[str, Any]]

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
    for key, item in copied(cluster.objects).items():
        for name in VOLATILE:
            item["metadata"].pop(name, None)
        if key.kind == "Secret":
            item["data"] = sorted(item["data"])
            item["metadata"].pop("annotations", None)
        if key == CLIENTS:
            item["data"].pop("alpha", None)
        if key.name == kaas_cluster.FORMER_CLUSTERS:
            item["data"] = {name: replace(former.read(text), until="") for name, text in item["data"].items()}
        if key.kind == kaas_cluster.KIND:
            item["status"] = {name: value for name, value in item["status"].items() if name not in OF_THE_MOMENT}
        found[key] = item
    return found


def both(lab: Lab) -> list[dict[Any, Any]]:
    return [state(lab.observer), state(lab.kaas)]


def reset(lab: Lab, objects: list[dict[Any, Any]]) -> None:
    for cluster, found in zip((lab.observer, lab.kaas), copied(objects), strict=True):
        cluster.objects = found
    lab.forget()


def writes(lab: Lab) -> int:
    return sum(len(cluster.written) for cluster in (lab.observer, lab.kaas))


def registered(lab: Lab) -> dict[str, Any] | None:
    records = [item for key, item in lab.observer.objects.items() if key.kind == kaas_cluster.KIND]
    return records[0] if records else None


def has_agent(lab: Lab) -> bool:
    return any(key.kind == "Deployment" and key.name == agent.NAME for key in lab.kaas.objects)


def certificate(lab: Lab) -> str:
    return identity.fingerprint_of(lab.kaas.objects.get(SECRET))


def let_in(lab: Lab) -> list[str]:
    return str(lab.observer.objects[CLIENTS]["data"].get("alpha", "")).split()[1:]


def interrupted(lab: Lab, run: Run, after: int, end: Callable[[Cluster], BaseException]) -> None:
    with ending(lab, after, end), pytest.raises((Killed, ApiError)):
        run(lab.params(), False)


# Counting lines takes as long again, for a dozen that no other test runs.
pytestmark = [pytest.mark.usefixtures("gateway"), pytest.mark.no_cover]


@pytest.mark.parametrize("end", [killed, unreachable])
def test_onboarding_that_is_interrupted_is_repeated(lab: Lab, end: Callable[[Cluster], BaseException]) -> None:
    start = copied([lab.observer.objects, lab.kaas.objects])
    register(lab.params(), False)
    expected, count = both(lab), writes(lab)
    assert count > 10
    for after in range(count):
        reset(lab, start)
        interrupted(lab, register, after, end)
        record = registered(lab)
        # One that writes without registration would be an orphan; one that is active without an agent would page.
        assert record or not has_agent(lab), after
        assert not certificate(lab) or certificate(lab) in let_in(lab), after
        assert not record or record["spec"]["phase"] == "provisioning" or has_agent(lab), after
        register(lab.params(), False)
        assert both(lab) == expected, after
        assert certificate(lab) in let_in(lab), after
        assert register(lab.params(), False)["changes"] == [], after


@pytest.mark.parametrize("hours", [0, 2])
@pytest.mark.parametrize("given", [False, True], ids=["made", "given"])
def test_a_renewal_that_is_interrupted_is_repeated(lab: Lab, given: bool, hours: int) -> None:
    """Then or much later: what the agent has is let in, and so is what it had before, as a kubelet may be late."""
    register(lab.params(), False)
    start = copied([lab.observer.objects, lab.kaas.objects])
    asked: dict[str, Any] = {"renew": True}
    if given:
        tenants = lab.observer.get("v1", "Secret", authority_secret_name(TENANTS), "scs-observability")
        pair = issue(pair_of_authority(tenants or {}), "alpha", datetime.now(UTC), client=True, server=False)
        asked = {"client_certificate": pair.certificate, "client_key": pair.key}
    lab.forget()
    register(lab.params(**asked), False)
    count = writes(lab)
    for after in range(count):
        reset(lab, start)
        with ending(lab, after, killed), pytest.raises(Killed):
            register(lab.params(**asked), False)
        had = certificate(lab)
        assert had in let_in(lab), after
        status = (registered(lab) or {})["status"]
        if "previousCertificate" in status and had != status["certificate"]["fingerprint"]:
            began = datetime.now(UTC) - timedelta(hours=hours)
            status["previousCertificate"]["replaced"] = timestamp(began)
        for again in (asked if given else {}, {}):
            register(lab.params(**again), False)
            assert {had, certificate(lab)} <= set(let_in(lab)), after
        assert register(lab.params(), False)["changes"] == [], after


@pytest.mark.parametrize("end", [killed, unreachable])
def test_offboarding_that_is_interrupted_is_repeated(lab: Lab, end: Callable[[Cluster], BaseException]) -> None:
    register(lab.params(), False)
    start = copied([lab.observer.objects, lab.kaas.objects])
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
        assert not let_in(lab), after
        assert deregister(lab.params(), False)["changes"] == [], after
