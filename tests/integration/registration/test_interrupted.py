# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that end after some of their writes, and deletions without an observer, against real API servers.

That any write may be the last is tried in tests/unit; here it is some, and all with TEST_DURATION_SCALE (`make soak`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.transport import Response, Transport
from tests.integration.processes import free_port
from tests.integration.registration.test_registration import ours

STEP = 1 if float(os.environ.get("TEST_DURATION_SCALE") or "1") > 1 else 7


class Killed(BaseException):
    """The process ends; nothing gets hold of this."""


class Writes:
    """Counts what is written to any API server, and ends the process when it was told to."""

    def __init__(self, last: int | None) -> None:
        self.count = 0
        self.last = last
        self.lock = threading.Lock()

    def happens(self) -> bool:
        with self.lock:
            self.count += 1
            return self.last is None or self.count <= self.last


@contextmanager
def counted(last: int | None = None) -> Iterator[Writes]:
    """Count writes; after the last one all requests end the process."""
    writes = Writes(last)
    send = Transport.request

    def request(self: Transport, method: str, path: str, **options: Any) -> Response:
        if method != "GET" and "dryRun=" not in path and "selfsubject" not in path and not writes.happens():
            raise Killed
        return send(self, method, path, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Transport, "request", request)
        yield writes


def test_a_run_that_is_killed_is_repeated(site: Any) -> None:
    # What all registrations share is there from the second one on, so that it writes less.
    for place in ("first", "whole"):
        with counted() as registering:
            site.register(namespace=f"{site.namespace}-{place}")
        expected = ours(site.kaas, site)
        with counted() as deregistering:
            site.deregister(namespace=f"{site.namespace}-{place}")
    writes = min(registering.count, deregistering.count)
    assert writes > 10
    for last in range(0, writes, STEP):
        # No controller ends a namespace here, so each round has its own.
        place = {"namespace": f"{site.namespace}-{last}"}
        with counted(last), pytest.raises(Killed):
            site.register(**place)
        site.register(**place)
        names = {name.replace(f"-{last}", "-whole") for name in ours(site.kaas, site)}
        assert names == expected, last
        assert site.register(check=True, **place)["changes"] == [], last

        with counted(last), pytest.raises(Killed):
            site.deregister(**place)
        record = site.record()
        assert record is not None, last
        assert record["spec"]["phase"] == "deleting" or ours(site.kaas, site) == expected or last == 0, last
        site.deregister(**place)
        assert not ours(site.kaas, site), last
        assert site.record() is None, last
        assert site.deregister(**place)["changes"] == [], last


def test_a_deletion_while_the_observer_is_away_is_refused_and_repeated(site: Any, observer_server: Any) -> None:
    site.register()
    before = ours(site.kaas, site)
    away = str(observer_server.kubeconfig(server=f"https://127.0.0.1:{free_port()}"))
    for force in (False, True):
        with pytest.raises(ApiError) as raised:
            site.deregister(observer_kubeconfig=away, force=force)
        assert raised.value.parameter == "observer_kubeconfig"
        # An agent that is gone while its registration is active would be a lost cluster to everybody.
        assert ours(site.kaas, site) == before
    assert site.record()["spec"]["phase"] == "provisioning"
    site.deregister()
    assert not ours(site.kaas, site)
    assert site.record() is None
