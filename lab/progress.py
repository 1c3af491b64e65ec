# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work on a terminal: what, which of how many, since when; everything else goes to log files."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

_TAIL_LINES = 15


def elapsed(seconds: float) -> str:
    """0.4 s, 12 s, 3 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def log_name(label: str) -> str:
    """A file name that a person finds again: 'building image quay.io/a/b:v1' -> building-image-quay.io-a-b-v1.log."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", label).strip("-")[:120] + ".log"


def tail(path: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, empty when there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


class Progress:
    """Tells on `stream` what is going on: a line that moves on a terminal, plain lines elsewhere.

    The number of steps is raised by `expect` as soon as somebody knows how many there will be.
    """

    def __init__(self, logs: Path, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.logs = logs
        self._stream = stream or sys.stderr
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._lock = threading.RLock()
        self._expected = 0
        self._started = 0
        self._line = ""  # what stands on the terminal's last line

    def expect(self, count: int) -> None:
        self._expected += count

    def say(self, text: str) -> None:
        with self._lock:
            self._write(text + "\n")

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Path]:
        """Announce the work and tell how long it took; gives the path of the log for its output."""
        self._started += 1
        title = f"[{self._started}/{max(self._expected, self._started)}] {label}"
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / log_name(label)
        log.unlink(missing_ok=True)
        begin = self._clock()
        if not self._terminal:
            self.say(f"{title} …")
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(title, begin, done), daemon=True)
        if self._terminal:
            ticker.start()
        outcome, last_lines = "interrupted after ", ""
        try:
            yield log
            outcome = ""
        except Exception:
            outcome, last_lines = "failed after ", tail(log)
            raise
        finally:
            done.set()
            if self._terminal:
                ticker.join()
            self.say(f"{title}: {outcome}{elapsed(self._clock() - begin)}")
            if last_lines:
                self.say(f"{log} ends with:\n{last_lines}")

    def _tick(self, title: str, begin: float, done: threading.Event) -> None:
        while True:
            with self._lock:
                if done.is_set():
                    return
                self._write(f"{title} … {elapsed(self._clock() - begin)}"[: shutil.get_terminal_size().columns - 1])
            if done.wait(1):
                return

    def _write(self, text: str) -> None:
        # A line without an end is replaced by whatever comes next
        if self._line:
            self._stream.write("\r\033[K")
        self._stream.write(text)
        self._stream.flush()
        self._line = "" if text.endswith("\n") else text
