# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the named stages of the test suite, all of them even when one fails, and end with one summary.

    python dev/run_tests.py lint unit lab integration+molecule coverage

Stages with a plus between them run side by side: both wait more than they compute. What all but the first print is kept
in a file, and shown when they are through.

The last line reads like pytest's (`== 7 failed, 812 passed in 301.20s ==`): the tests of all pytest stages together,
and each other stage as one. The exit status is 1 when anything failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parent.parent
REPORTS = CHECKOUT / ".build" / "reports"
COVERAGE = CHECKOUT / ".build" / "coverage"
SETTINGS = str(CHECKOUT / "pyproject.toml")

Result = tuple[bool, Counter[str]]
# Where a stage prints; None is where this program does.
Output = IO[str] | None


@dataclass
class Outcome:
    name: str
    passed: bool
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        details = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()) if count)
        return f"{'PASSED' if self.passed else 'FAILED'} {self.name} ({self.seconds:.1f}s) {details}".rstrip()


def execute(command: Sequence[str], output: Output, **environment: str) -> bool:
    return (
        subprocess.run(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            check=False,
        ).returncode
        == 0
    )


def pytest(name: str, folder: str, *options: str, output: Output) -> Result:
    """Run pytest over one folder. What `coverage` combines goes to a file of its own, if that is asked for, too."""
    # Counting lines takes a third of the time.
    measured = "coverage" in sys.argv[1:]
    report = REPORTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    passed = execute(
        [
            *(sys.executable, "-m", "pytest", folder, f"--junit-xml={report}"),
            *(("--cov", f"--cov-config={SETTINGS}", "--cov-fail-under=0", "--cov-report=") if measured else ()),
            *options,
        ],
        output,
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


def unit(output: Output) -> Result:
    return pytest("unit", "tests/unit", "--numprocesses=auto", "--durations=5", output=output)


def integration(output: Output) -> Result:
    # The programs that the tests start; built once, then cached.
    if not execute([sys.executable, "-m", "lab", "images"], output):
        return False, Counter(errors=1)
    # They wait more than they compute. Files stay together: each process has servers of its own.
    options = ("--numprocesses=2", "--dist=loadfile", "--durations=10")
    return pytest("integration", "tests/integration", *options, output=output)


def whole(command: Sequence[str], output: Output) -> Result:
    """A stage that counts as one test."""
    passed = execute(command, output)
    return passed, Counter(passed=int(passed), failed=int(not passed))


def lint(output: Output) -> Result:
    return whole([str(CHECKOUT / "dev" / "lint")], output)


def coverage(output: Output) -> Result:
    """Of module_utils, by unit and integration tests together, against the bound in pyproject.toml."""
    combined = COVERAGE / "combined"
    parts = [str(COVERAGE / name) for name in ("unit", "integration") if (COVERAGE / name).exists()]
    if not parts or not execute(
        [sys.executable, "-m", "coverage", "combine", "--quiet", "--keep", f"--data-file={combined}", *parts], output
    ):
        return False, Counter(failed=1)
    return whole([sys.executable, "-m", "coverage", "report", f"--data-file={combined}"], output)


def lab(output: Output) -> Result:
    """Before anything else keeps the machine busy: KinD has no patience with nodes that boot slowly."""
    return whole([sys.executable, "-m", "lab", "up", "--clusters", "4"], output)


def molecule(output: Output) -> Result:
    return whole([str(CHECKOUT / "dev" / "molecule"), "test", "--all"], output)


STAGES: dict[str, Callable[[Output], Result]] = {
    "lint": lint,
    "unit": unit,
    "integration": integration,
    "coverage": coverage,
    "lab": lab,
    "molecule": molecule,
}


def run(group: Sequence[str]) -> list[Outcome]:
    """The stages of a group side by side; all are through when this returns."""
    print(f"\n{' ' + ' beside '.join(group) + ' ':=^100}", flush=True)
    with ThreadPoolExecutor(len(group)) as pool:
        others = [pool.submit(into_file, name) for name in group[1:]]
        return [timed(group[0], None), *(other.result() for other in others)]


def into_file(name: str) -> Outcome:
    with (REPORTS / f"{name}.log").open("w") as output:
        return timed(name, output)


def timed(name: str, output: Output) -> Outcome:
    start = time.monotonic()
    passed, counts = STAGES[name](output)
    return Outcome(name, passed, time.monotonic() - start, counts)


def closing_line(outcomes: Sequence[Outcome], seconds: float) -> str:
    total = sum((outcome.counts for outcome in outcomes), Counter[str]())
    parts = [f"{total[what]} {what}" for what in ("failed", "passed", "skipped", "errors") if total[what]]
    text = ", ".join(parts) or "no tests ran"
    return f"{f' {text} in {seconds:.2f}s ':=^100}"


def main(arguments: Sequence[str]) -> int:
    groups = [argument.split("+") for argument in arguments]
    if not groups or {name for group in groups for name in group} - set(STAGES):
        print(f"usage: run_tests.py {{{'|'.join(STAGES)}}}[+...]...", file=sys.stderr)
        return 2
    for folder in (REPORTS, COVERAGE):
        folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    outcomes = []
    for group in groups:
        outcomes += run(group)
        for name in group[1:]:
            print(f"\n{f' {name} ':=^100}\n{(REPORTS / f'{name}.log').read_text()}", flush=True)
    print(f"\n{' summary ':=^100}")
    for outcome in outcomes:
        print(outcome.line())
    print(closing_line(outcomes, time.monotonic() - start))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
