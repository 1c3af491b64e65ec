# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs for the same cluster against real API servers, which refuse what rests on an old look.

One stands still before one of its writes while the other goes through; more orders are tried in tests/unit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.transport import Response, Transport
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    node_exporter,
    remote_write_clients,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._registration import identity
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import update_status
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Failure,
    Proof,
    Registration,
)

MOST_WRITES = 40


@pytest.fixture
def door(site: Any) -> Callable[[], list[str]]:
    """Whom the gateway lets in as the cluster. The namespaces of the agent stay: no controller ends one here."""
    for name in (site.namespace, node_exporter.namespace_of(site.namespace)):
        site.kaas.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    site.observer.apply(workload.namespace(site.observer_namespace))
    site.observer.apply(remote_write_clients.config_map(site.observer_namespace, {}, []))

    def entry() -> list[str]:
        live = site.observer.get("v1", "ConfigMap", remote_write_clients.NAME, site.observer_namespace)
        return str(live["data"].get(site.name, "")).split()[1:]

    return entry


def agents_certificate(site: Any) -> str:
    return identity.fingerprint_of(site.kaas.get("v1", "Secret", agent.IDENTITY_SECRET, site.namespace))


def meanwhile(run: Callable[[], Any], at: int, other: Callable[[], Any]) -> bool:
    """Have a run stand before its write ``at`` until another one has ended. Tell whether it has as many."""
    send, count = Transport.request, 0

    def request(self: Transport, method: str, path: str, **options: Any) -> Response:
        nonlocal count
        if method != "GET" and "dryRun=" not in path and "selfsubject" not in path:
            count += 1
            if count == at:
                with suppress(ObservabilityError):
                    other()
        return send(self, method, path, **options)

    with pytest.MonkeyPatch.context() as patched, suppress(ObservabilityError):
        patched.setattr(Transport, "request", request)
        run()
    return count >= at


def test_a_renewal_beside_another_one(site: Any, door: Callable[[], list[str]]) -> None:
    site.register()
    assert door() == [agents_certificate(site)]
    renew = partial(site.register, renew=True)
    for at in range(1, MOST_WRITES):
        if not meanwhile(renew, at, renew):
            break
        before = agents_certificate(site)
        assert before in door(), at
        site.register()
        assert {agents_certificate(site), before} <= set(door()), at
        assert site.register(check=True)["changes"] == [], at
    assert at > 3


def test_one_that_leaves_meanwhile_is_not_let_in_anew(site: Any, door: Callable[[], list[str]]) -> None:
    for at in range(1, MOST_WRITES):
        site.register()
        if not meanwhile(partial(site.register, renew=True), at, site.deregister):
            break
        assert site.record() is None, at
        assert door() == [], at
        site.deregister()
    assert at > 3


def test_of_two_removals_nothing_is_left(site: Any, door: Callable[[], list[str]]) -> None:
    for at in (1, 2, 3):
        site.register()
        assert meanwhile(site.deregister, at, site.deregister)
        assert site.record() is None, at
        assert door() == [], at


@pytest.mark.usefixtures("door")
def test_a_status_is_written_over_what_was_seen_and_nothing_else(site: Any) -> None:
    site.register()
    seen = Registration.of(site.record())
    told = Proof("2026-02-01T10:00:00Z", 4.5, 700, ("coredns",))
    update_status(site.observer, seen, lambda live: replace(live, proof=told), force=False)
    failure = Failure("2026-02-01T11:00:00Z", "tls", "no sample")
    left = update_status(site.observer, seen, lambda live: replace(live, failure=failure), force=False)
    assert left is not None
    assert (left.proof, left.failure, left.certificate) == (told, failure, seen.certificate)
    assert left == Registration.of(site.record())

    site.deregister()
    for _meanwhile in ("removed", "registered anew"):
        assert update_status(site.observer, left, lambda live: replace(live, failure=None), force=False) is None
        site.register()
    assert "failure" not in site.record()["status"]
