# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
from pathlib import Path

import pytest

from lab.containers import wait_for
from lab.progress import Progress, elapsed, log_name, tail
from lab.state import LabError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def work(progress: Progress, output: str, end: BaseException) -> None:
    with progress.step("building") as log:
        log.write_text(output)
        raise end


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.4, "9.4 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3661, "61 min 01 s"),
    ],
)
def test_elapsed_time_is_short(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("building image quay.io/thanos/thanos:v0.42.4", "building-image-quay.io-thanos-thanos-v0.42.4.log"),
        ("../../etc/passwd", "..-..-etc-passwd.log"),
        ("x" * 300, "x" * 120 + ".log"),
    ],
)
def test_a_log_is_named_after_its_step_and_stays_in_its_directory(label: str, name: str) -> None:
    assert log_name(label) == name
    assert Path(log_name(label)).name == name


def test_tail_gives_the_end_of_a_log_and_nothing_without_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(40)))
    assert tail(log, 2) == "line 38 \ufffd\nline 39 \ufffd"
    assert tail(tmp_path / "none") == ""


def test_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(tmp_path / "logs", stream, clock)
    progress.expect(2)
    with progress.step("pulling a") as log:
        log.write_text("output\n")
        clock.now += 12
    with progress.step("pulling b"):
        progress.say("a remark")
    assert stream.getvalue().splitlines() == [
        "[1/2] pulling a …",
        "[1/2] pulling a: 12 s",
        "[2/2] pulling b …",
        "a remark",
        "[2/2] pulling b: 0.0 s",
    ]
    assert (tmp_path / "logs" / "pulling-a.log").read_text() == "output\n"


def test_more_steps_than_expected_are_counted_honestly(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = Progress(tmp_path, stream)
    with progress.step("a"):
        progress.expect(3)
    with progress.step("b"):
        pass
    assert "[1/1] a …" in stream.getvalue()
    assert "[2/3] b …" in stream.getvalue()


def test_a_failed_step_says_so_with_the_end_of_its_log(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = Progress(tmp_path, stream)
    with pytest.raises(LabError, match="it broke"):
        work(progress, "first\nthe reason\n", LabError("it broke"))
    assert "[1/1] building: failed after " in stream.getvalue()
    assert stream.getvalue().endswith(f"{tmp_path / 'building.log'} ends with:\nfirst\nthe reason\n")


def test_an_interruption_is_no_failure(tmp_path: Path) -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        work(Progress(tmp_path, stream), "noise\n", KeyboardInterrupt())
    assert "building: interrupted after " in stream.getvalue()
    assert "noise" not in stream.getvalue()


def test_the_log_of_an_earlier_run_is_gone(tmp_path: Path) -> None:
    (tmp_path / "building.log").write_text("old\n")
    with Progress(tmp_path, io.StringIO()).step("building") as log:
        assert not log.exists()


def test_a_terminal_has_one_moving_line_that_remarks_do_not_break(tmp_path: Path) -> None:
    stream = Terminal()
    progress = Progress(tmp_path, stream)
    with progress.step("building"):
        assert wait_for(lambda: "building … " in stream.getvalue(), 5)  # a thread writes it
        progress.say("a remark")
    lines = stream.getvalue().split("\n")
    assert lines[0].startswith("[1/1] building … ")
    assert lines[0].endswith("\r\033[Ka remark")
    assert lines[-2].rpartition("\033[K")[2].startswith("[1/1] building: ")
