# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of the test suite: all of them run, one beside the others, and what each prints comes in its place."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "dev" / "run_tests.py"
PATIENCE = 60.0


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, with its reports in a folder of this test."""
    specification = importlib.util.spec_from_file_location("run_tests", SOURCE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "run_tests", module)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(module, "COVERAGE", tmp_path / "coverage")
    return module


def test_molecule_runs_beside_the_others_and_is_shown_last(
    stages: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    begun, ended = tmp_path / "begun", threading.Event()
    wait_for = f"until [ -e {begun} ]; do sleep 0.05; done"

    def unit() -> tuple[bool, Counter[str]]:
        print("unit tests", flush=True)
        begun.touch()
        assert ended.wait(PATIENCE), "molecule did not run meanwhile"
        return False, Counter(passed=7, failed=2)

    def molecule(log: Path | None = None) -> tuple[bool, Counter[str]]:
        result: tuple[bool, Counter[str]] = stages.whole(
            ["bash", "-c", f"{wait_for}; echo plays; echo of it >&2"], log=log
        )
        ended.set()
        return result

    monkeypatch.setitem(stages.STAGES, "unit", unit)
    monkeypatch.setitem(stages.BESIDE, "molecule", molecule)
    assert stages.main(["unit", "molecule"]) == 1
    shown = capfd.readouterr().out
    order = [" unit =", "unit tests", " molecule =", "plays\nof it\n", " summary =", "FAILED unit", "PASSED molecule"]
    places = [shown.index(text) for text in order]
    assert places == sorted(places)
    assert "= 2 failed, 8 passed in " in shown.splitlines()[-1]


def test_alone_it_is_shown_at_once(stages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    logs: list[Path | None] = []

    def molecule(log: Path | None = None) -> tuple[bool, Counter[str]]:
        logs.append(log)
        return True, Counter(passed=1)

    monkeypatch.setitem(stages.STAGES, "molecule", molecule)
    assert stages.main(["molecule"]) == 0
    assert logs == [None]
