# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lab.lifecycle import Part, age, in_parallel, table
from lab.state import CHECKOUT, LabError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(seconds=-3), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(seconds=120), "2m"),
        (timedelta(minutes=119), "119m"),
        (timedelta(hours=2), "2h"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=2, hours=5), "2d"),
    ],
)
def test_ages_read_like_kubectls(duration: timedelta, expected: str) -> None:
    assert age(duration) == expected


def test_the_table_lines_up_and_has_no_holes() -> None:
    parts = [
        Part("network scs-lab", "running", "172.30.0.0/24"),
        Part("scs-lab-kaas-1", "lacks CoreDNS, kube-proxy", "172.30.0.128", NOW - timedelta(minutes=5)),
        Part("scs-lab-kaas-2", "missing"),
    ]
    assert table(parts, NOW).splitlines() == [
        "PART             STATE                      ADDRESS        AGE",
        "network scs-lab  running                    172.30.0.0/24  -",
        "scs-lab-kaas-1   lacks CoreDNS, kube-proxy  172.30.0.128   5m",
        "scs-lab-kaas-2   missing                    -              -",
    ]


@pytest.mark.parametrize(
    ("state", "is_up"),
    [("running", True), ("Ready", True), ("stopped", False), ("missing", False), ("lacks CoreDNS", False)],
)
def test_only_running_and_ready_parts_are_up(state: str, is_up: bool) -> None:
    assert Part("x", state).is_up is is_up


def test_parts_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def meet() -> None:
        meeting.wait()

    in_parallel([meet] * 3)


def test_one_failure_lets_the_others_finish_and_all_failures_are_told() -> None:
    done = []

    def fail(message: str) -> None:
        raise LabError(message)

    with pytest.raises(LabError, match=r"^first\nsecond$"):
        in_parallel([lambda: fail("first"), lambda: fail("second"), *[lambda: done.append(1)] * 4])
    assert len(done) == 4


def test_a_bug_is_not_dressed_up_as_a_failure_of_the_lab() -> None:
    def bug() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_parallel([bug])


INTERRUPTED = """
import os, signal, threading
from lab.lifecycle import in_parallel
started, over = [], threading.Event()
def part():
    started.append(1)
    # print writes the end of a line by itself, which another thread may come before
    os.write(1, b"started\\n")
    over.wait()
def interrupt(*_arguments):
    # Parts that run end some time after the interruption
    threading.Timer(1, over.set).start()
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, interrupt)
try:
    in_parallel([part] * 9)
except KeyboardInterrupt:
    print(len(started), flush=True)
"""


def test_an_interruption_starts_nothing_more() -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    output, _ignored = process.communicate(timeout=30)
    assert int(output.split()[-1]) <= 3


def test_an_interruption_while_parts_are_handed_over_starts_nothing_more() -> None:
    started: list[int] = []
    interrupted = threading.Event()

    def part() -> None:
        started.append(1)
        interrupted.wait(30)

    def parts() -> Iterator[Callable[[], None]]:
        yield from [part] * 9
        # Those that run end only after the others had their time to be cancelled
        threading.Timer(0.5, interrupted.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_parallel(parts())
    assert len(started) <= 3
