# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests of faults with long outages, and note what came of it in docs/soak.md, with the date.

    python dev/soak.py [--scale 30] [--no-note]

The scale multiplies outages; 1 is what `make test` has. A run that fails is noted, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "soak.md"
COLUMNS = (
    "kills",
    "receive_away",
    "gateway_away",
    "bucket_away",
    "failed_requests",
    "uploaded_after",
    "samples",
    "retried",
    "alert_told",
    "alert_ended",
)


def row(results: dict[str, int], scale: float, passed: bool, seconds: float) -> str:
    cells = [f"{datetime.now(UTC):%Y-%m-%d}", f"{scale:g}", f"{seconds / 60:.0f} min"]
    cells += [f"{results[column]:,}" if column in results else "-" for column in COLUMNS]
    return f"| {' | '.join([*cells, 'nothing lost' if passed else 'FAILED'])} |\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Faults with long outages")
    parser.add_argument("--scale", type=float, default=30.0)
    parser.add_argument("--no-note", action="store_true", help="leave docs/soak.md as it is")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        tests = (
            "tests/integration/thanos/test_faults.py",
            "tests/integration/rules/test_bucket_away.py",
            "tests/integration/registration/test_interrupted.py",
        )
        command = [sys.executable, "-m", "pytest", *tests, "-v"]
        environment = {"TEST_DURATION_SCALE": str(arguments.scale), "SOAK_RESULTS": str(results)}
        ended = subprocess.run(command, cwd=CHECKOUT, env={**os.environ, **environment}, check=False)
        measured = json.loads(results.read_text()) if results.exists() else {}
    line = row(measured, arguments.scale, ended.returncode == 0, time.monotonic() - started)
    print(line, end="")
    if not arguments.no_note:
        with PAGE.open("a", encoding="utf-8") as page:
            page.write(line)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
