# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the named stages of the test suite, all of them even when one fails, and end with one summary.

    python dev/run_tests.py lint unit integration coverage molecule

The last line reads like pytest's (`== 7 failed, 812 passed in 301.20s ==`): the tests of all pytest stages together,
and each other stage as one. The exit status is 1 when anything failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parent.parent
REPORTS = CHECKOUT / ".build" / "reports"
COVERAGE = CHECKOUT / ".build" / "coverage"
SETTINGS = str(CHECKOUT / "pyproject.toml")
_HEADING = re.compile(r"(PLAY|TASK|RUNNING HANDLER) ")
_FAILED = re.compile(r"(fatal|failed): \[")


@dataclass
class Outcome:
    name: str
    passed: bool
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        details = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()) if count)
        return f"{'PASSED' if self.passed else 'FAILED'} {self.name} ({self.seconds:.1f}s) {details}".rstrip()


def execute(command: Sequence[str], **environment: str) -> bool:
    return subprocess.run(command, cwd=CHECKOUT, env={**os.environ, **environment}, check=False).returncode == 0


def pytest(name: str, folder: str, *options: str) -> tuple[bool, Counter[str]]:
    """Run pytest over one folder. What `coverage` combines goes to a file of its own, if that is asked for, too."""
    # Counting lines takes a third of the time.
    measured = "coverage" in sys.argv
    report = REPORTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    passed = execute(
        [
            *(sys.executable, "-m", "pytest", folder, f"--junit-xml={report}"),
            *(("--cov", f"--cov-config={SETTINGS}", "--cov-fail-under=0", "--cov-report=") if measured else ()),
            *options,
        ],
        COVERAGE_FILE=str(COVERAGE / name),
    )
    counts: Counter[str] = Counter()
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            amount = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
            counts += Counter(
                passed=amount["tests"] - amount["failures"] - amount["errors"] - amount["skipped"],
                failed=amount["failures"],
                errors=amount["errors"],
                skipped=amount["skipped"],
            )
    return passed, counts


def unit() -> tuple[bool, Counter[str]]:
    return pytest("unit", "tests/unit", "--numprocesses=auto", "--durations=5")


def integration() -> tuple[bool, Counter[str]]:
    # The programs that the tests start; built once, then cached.
    if not execute([sys.executable, "-m", "lab", "images"]):
        return False, Counter(errors=1)
    # They wait more than they compute. Files stay together: each process has servers of its own. By itself the plugin
    # would begin with those that have most tests, not with the longest.
    distribution = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
    return pytest("integration", "tests/integration", *distribution, "--durations=20")


def as_one(passed: bool) -> tuple[bool, Counter[str]]:
    """A stage that counts as one test."""
    return passed, Counter(passed=int(passed), failed=int(not passed))


def whole(command: Sequence[str]) -> tuple[bool, Counter[str]]:
    return as_one(execute(command))


def lint() -> tuple[bool, Counter[str]]:
    return whole([str(CHECKOUT / "dev" / "lint")])


def coverage() -> tuple[bool, Counter[str]]:
    """Of module_utils, by unit and integration tests together, against the bound in pyproject.toml."""
    combined = COVERAGE / "combined"
    parts = [str(COVERAGE / name) for name in ("unit", "integration") if (COVERAGE / name).exists()]
    if not parts or not execute(
        [sys.executable, "-m", "coverage", "combine", "--quiet", "--keep", f"--data-file={combined}", *parts]
    ):
        return False, Counter(failed=1)
    return whole([sys.executable, "-m", "coverage", "report", f"--data-file={combined}"])


def molecule() -> tuple[bool, Counter[str]]:
    """Its last lines say which step failed. The tasks that did are shown again after them."""
    command = [str(CHECKOUT / "dev" / "molecule"), "test", "--all"]
    lines = []
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    passed = process.returncode == 0
    if not passed:
        print(f"\n{' failed tasks ':=^100}", *failed_tasks(lines), sep="\n", flush=True)
    return as_one(passed)


def failed_tasks(lines: Iterable[str]) -> list[str]:
    """Return what Ansible printed of each task that failed, one text a task."""
    tasks: list[list[str]] = [[]]
    for line in lines:
        if _HEADING.match(line):
            tasks.append([])
        tasks[-1].append(line)
    texts = ["".join(task) for task in tasks]
    return [text for text in texts if _FAILED.search(text) and "...ignoring" not in text]


STAGES: dict[str, Callable[[], tuple[bool, Counter[str]]]] = {
    "lint": lint,
    "unit": unit,
    "integration": integration,
    "coverage": coverage,
    "molecule": molecule,
}


def run(names: Sequence[str]) -> list[Outcome]:
    outcomes = []
    for name in names:
        print(f"\n{f' {name} ':=^100}", flush=True)
        start = time.monotonic()
        passed, counts = STAGES[name]()
        outcomes.append(Outcome(name, passed, time.monotonic() - start, counts))
    return outcomes


def closing_line(outcomes: Sequence[Outcome]) -> str:
    total = sum((outcome.counts for outcome in outcomes), Counter[str]())
    parts = [f"{total[what]} {what}" for what in ("failed", "passed", "skipped", "errors") if total[what]]
    seconds = sum(outcome.seconds for outcome in outcomes)
    text = ", ".join(parts) or "no tests ran"
    return f"{f' {text} in {seconds:.2f}s ':=^100}"


def main(names: Sequence[str]) -> int:
    if not names or set(names) - set(STAGES):
        print(f"usage: run_tests.py {{{'|'.join(STAGES)}}}...", file=sys.stderr)
        return 2
    for folder in (REPORTS, COVERAGE):
        folder.mkdir(parents=True, exist_ok=True)
    outcomes = run(names)
    print(f"\n{' summary ':=^100}")
    for outcome in outcomes:
        print(outcome.line())
    print(closing_line(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
