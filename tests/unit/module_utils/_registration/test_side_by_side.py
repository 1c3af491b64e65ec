# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs for the same cluster, one of which stands still before any of its writes while the other one goes on.

Whatever the agent writes with is let in, all the time; nobody else is, in the end; and the next run finds all well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._registration import identity
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from tests.unit.module_utils._registration.conftest import WRITES, Cluster, Lab, copied
from tests.unit.module_utils._registration.test_onboarding import CLIENTS, RECORD, SECRET

Run = Callable[[], Any]

# Counting lines takes as long again, for a dozen that no other test runs.
pytestmark = pytest.mark.no_cover


class Watched:
    """The two clusters, with a look before each write at what must be true then, and a stop before one of them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.stops: dict[int, tuple[int, Callable[[], None]]] = {}
        self.counts: dict[int, int] = {}
        self.had: list[str] = []
        self.wrong: list[str] = []

    @property
    def lets_in(self) -> list[str]:
        entry: str = self.lab.observer.objects[CLIENTS]["data"].get("alpha") or ""
        return entry.split()[1:]

    def look(self, when: str, late: bool = False) -> None:
        """The agent's certificate is let in. A kubelet may be ``late``: then the agent has the one before."""
        found = identity.fingerprint_of(self.lab.kaas.objects.get(SECRET))
        if found and found not in self.had[-1:]:
            self.had.append(found)
        record = self.lab.observer.objects.get(RECORD)
        leaves = record is None or record["spec"]["phase"] == "deleting"
        has = self.had[-2:] if late else self.had[-1:]
        if found and not leaves and not set(has) <= set(self.lets_in):
            self.wrong.append(f"{when}: the agent has {has}, let in are {self.lets_in}")

    def before_write(self, what: str) -> None:
        thread = threading.get_ident()
        self.counts[thread] = number = self.counts.get(thread, 0) + 1
        stop = self.stops.get(thread)
        if stop is not None and stop[0] == number:
            stop[1]()
        # Whom the gateway lets in is looked at again by whoever wrote it, before anything else.
        if not what.startswith("merge ConfigMap"):
            self.look(what)


@contextmanager
def watched(lab: Lab, before: Watched | None = None) -> Iterator[Watched]:
    result = Watched(lab)
    result.had = before.had if before else []

    def watching(cluster: Cluster, verb: str) -> Callable[..., Any]:
        write = getattr(cluster, verb)

        def call(*arguments: Any, **options: Any) -> Any:
            if not options.get("dry_run"):
                kind = arguments[0]["kind"] if isinstance(arguments[0], dict) else arguments[1]
                result.before_write(f"{verb} {kind}")
            return write(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patched:
        for cluster in (lab.observer, lab.kaas):
            for verb in WRITES:
                patched.setattr(cluster, verb, watching(cluster, verb))
        yield result
        result.look("at the end", late=True)


def side_by_side(lab: Lab, first: Run, at: int, second: Run, until: int) -> Watched:
    """The first run up to its write ``at``, the second one up to its write ``until``, then each to its end.

    One that finds that the other was faster may end with an error.
    """
    its_turn, resumed, errors = threading.Event(), threading.Event(), []

    def attempt(run: Run) -> None:
        try:
            run()
        except ObservabilityError:
            pass
        except BaseException as error:
            errors.append(error)

    def stand() -> None:
        its_turn.set()
        resumed.wait(60)

    def other() -> None:
        watch.stops[threading.get_ident()] = (until, stand)
        attempt(second)
        its_turn.set()

    def go_on() -> None:
        thread.start()
        its_turn.wait(60)

    thread = threading.Thread(target=other)
    with watched(lab) as watch:
        watch.stops[threading.get_ident()] = (at, go_on)
        attempt(first)
        resumed.set()
        # A proof within the second of the last one is not written, so that a run may have a write less.
        if thread.ident is not None:
            thread.join(60)
    assert not errors
    return watch


def writes(lab: Lab, run: Run) -> int:
    """How many a run does by itself. What it did is taken back."""
    start = copied([lab.observer.objects, lab.kaas.objects])
    with watched(lab) as watch:
        run()
    lab.observer.objects, lab.kaas.objects = start
    return sum(watch.counts.values())


LAST = 1000
RENEWAL = {"renew": True}


@pytest.mark.parametrize(
    ("first", "second", "untils"),
    [
        (RENEWAL, RENEWAL, (1, 2, 3, 4, 5, LAST)),
        ({"sla": "gold"}, RENEWAL, (3, LAST)),
        (RENEWAL, {"suspended": True}, (2, LAST)),
        ({}, RENEWAL, (LAST,)),
    ],
    ids=["renews", "changes", "suspends", "repairs"],
)
def test_what_the_agent_has_is_let_in(
    lab: Lab, gateway: Any, first: dict[str, Any], second: dict[str, Any], untils: tuple[int, ...]
) -> None:
    register(lab.params(), False)
    if not first:
        lab.kaas.objects[SECRET]["metadata"]["labels"] = {}
    one, other = (partial(register, lab.params(**changes), False) for changes in (first, second))
    start = copied([lab.observer.objects, lab.kaas.objects])
    for at in range(1, writes(lab, one) + 1):
        for until in untils:
            lab.observer.objects, lab.kaas.objects = copied(start)
            watch = side_by_side(lab, one, at, other, until)
            assert not watch.wrong, (at, until)
            with watched(lab, watch) as after:
                register(lab.params(), False)
            assert not after.wrong, (at, until)
            assert register(lab.params(), True)["changes"] == [], (at, until)


def test_of_two_that_register_the_same_cluster_one_gives_it_its_certificate(lab: Lab, gateway: Any) -> None:
    run = partial(register, lab.params(), False)
    start = copied([lab.observer.objects, lab.kaas.objects])
    for at in range(1, writes(lab, run) + 1):
        lab.observer.objects, lab.kaas.objects = copied(start)
        watch = side_by_side(lab, run, at, run, LAST)
        assert not watch.wrong, at
        with watched(lab, watch) as after:
            register(lab.params(), False)
        assert not after.wrong, at


@pytest.mark.parametrize("onboarding", [{}, RENEWAL, {"sla": "gold"}], ids=["comes", "renews", "changes"])
@pytest.mark.parametrize("order", ["it leaves meanwhile", "it comes meanwhile"])
def test_a_cluster_that_leaves_is_gone(lab: Lab, gateway: Any, onboarding: dict[str, Any], order: str) -> None:
    """And that it was removed by another run, whoever works on it is told."""
    if onboarding:
        register(lab.params(), False)
    come = partial(register, lab.params(**onboarding), False)
    leave = partial(deregister, lab.params(), False)
    if order == "it leaves meanwhile":
        first, second = come, leave
    else:
        register(lab.params(), False)
        first, second = leave, come
    start = copied([lab.observer.objects, lab.kaas.objects])
    for at in range(1, writes(lab, first) + 1):
        lab.observer.objects, lab.kaas.objects = copied(start)
        watch = side_by_side(lab, first, at, second, LAST)
        assert not watch.wrong, at
        if RECORD not in lab.observer.objects:
            assert gateway() is None, at
        leave()
        assert RECORD not in lab.observer.objects, at
        assert gateway() is None, at


def test_of_two_removals_nothing_is_left(lab: Lab, gateway: Any) -> None:
    register(lab.params(), False)
    run = partial(deregister, lab.params(), False)
    start = copied([lab.observer.objects, lab.kaas.objects])
    for at in range(1, writes(lab, run) + 1):
        lab.observer.objects, lab.kaas.objects = copied(start)
        side_by_side(lab, run, at, run, LAST)
        assert RECORD not in lab.observer.objects, at
        assert gateway() is None, at
        assert SECRET not in lab.kaas.objects, at
