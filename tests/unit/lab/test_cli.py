# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import cli, lifecycle
from lab.lifecycle import Part
from lab.state import CHECKOUT, Lab, LabError, State

SINCE = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_STATE", str(tmp_path / "lab"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LAB_KAAS", raising=False)
    monkeypatch.delenv("LAB_PREFIX", raising=False)
    monkeypatch.delenv("IAAS", raising=False)


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [({}, [], 2), ({"LAB_KAAS": "1"}, [], 1), ({"LAB_KAAS": ""}, [], 2), ({"LAB_KAAS": "5"}, ["--clusters", "3"], 3)],
)
def test_number_of_clusters(
    environment: dict[str, str], arguments: list[str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cli.parser().parse_args(["up", *arguments]).clusters == expected


@pytest.mark.parametrize("value", ["0", "-1", "21", "two", "1.5", "²"])
def test_a_number_of_clusters_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as failure:
        cli.main(["up", "--clusters", value])
    assert failure.value.code == 2
    assert "from 1 to 20" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "arguments", "expected"), [("", [], False), ("0", [], False), ("1", [], True), ("", ["--iaas"], True)]
)
def test_iaas_hosts_are_there_when_they_are_asked_for(
    value: str, arguments: list[str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IAAS", value)
    assert cli.parser().parse_args(["up", *arguments]).iaas is expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["2024-2", "reconfigure"], ("2024-2", "reconfigure", "2024-2")),
        (["2024-2", "upgrade", "--release", "2025-1"], ("2024-2", "upgrade", "2025-1")),
    ],
)
def test_kolla_runs_in_the_hosts_release_unless_told_otherwise(
    arguments: list[str], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[object, ...]] = []
    monkeypatch.setattr(lifecycle, "kolla", lambda lab, *rest: called.append(rest[:3]))
    assert cli.main(["kolla", *arguments]) == 0
    assert called == [expected]


def test_the_environment_is_checked_as_the_option_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_KAAS", "many")
    with pytest.raises(SystemExit):
        cli.main(["up"])
    assert "'many' is not a number" in capsys.readouterr().err


@pytest.mark.parametrize(("state", "status"), [("Ready", 0), ("lacks CoreDNS", 1)])
def test_status_exits_with_what_it_shows(
    state: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [Part("scs-lab-s3", "running", "172.30.0.10:7070", SINCE), Part("scs-lab-observer", state)]
    monkeypatch.setattr(lifecycle, "status", lambda lab: parts)
    assert cli.main(["status"]) == status
    assert state in capsys.readouterr().out


def test_env_of_no_lab_prints_nothing_to_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "make lab" in captured.err


def test_env_prints_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    State(
        subnet="172.30.0.0/24", s3_endpoint="https://172.30.0.10:7070", binaries="/bin", clusters=["observer", "kaas-1"]
    ).save(tmp_path / "lab" / "state.json")
    assert cli.main(["env"]) == 0
    assert "export S3_ENDPOINT=https://172.30.0.10:7070\n" in capsys.readouterr().out


def test_a_failure_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(lab: Lab) -> list[Part]:
        raise LabError("what to do")

    monkeypatch.setattr(lifecycle, "status", fail)
    assert cli.main(["status"]) == 1
    assert capsys.readouterr().err == "lab: what to do\n"


def test_a_bad_prefix_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LAB_PREFIX", "A_b")
    assert cli.main(["status"]) == 1
    assert "LAB_PREFIX" in capsys.readouterr().err


def test_an_interruption_has_its_own_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(lab: Lab) -> list[Part]:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "status", interrupt)
    assert cli.main(["status"]) == 130
    assert "goes on from here" in capsys.readouterr().err


def test_as_a_program_it_helps_and_needs_a_command() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lab", *arguments]
        return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, env=os.environ)

    helped = run("--help")
    assert helped.returncode == 0
    assert all(command in helped.stdout for command in ("up", "down", "status", "env", "images"))
    assert run().returncode == 2
