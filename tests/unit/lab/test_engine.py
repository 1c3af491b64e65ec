# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import os
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import engine
from lab.containers import wait_for
from lab.engine import CAP_SYS_RESOURCE, Docker, client_environment, daemon_configuration, lacks_capability
from lab.progress import Progress
from lab.state import LabError


def client(path: Path, script: str) -> Docker:
    """A client whose behaviour the test writes."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Docker((str(path),), {"PATH": os.environ["PATH"], "COLOUR": "blue"})


@pytest.mark.parametrize(
    ("status", "lacks"),
    [
        ("Name:\tpython\nCapBnd:\t000001ffffffffff\n", False),
        ("CapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n", True),
        ("CapBnd:\t0000000001000000\n", False),
        ("Name:\tpython\n", False),  # a kernel that does not say withholds nothing that we know of
    ],
)
def test_the_missing_capability_is_read_from_the_bounding_set(status: str, lacks: bool) -> None:
    assert lacks_capability(status, CAP_SYS_RESOURCE) is lacks


def test_the_shim_is_the_default_runtime_only_where_it_is_needed() -> None:
    assert "default-runtime" not in daemon_configuration(False)
    assert "runtimes" not in daemon_configuration(False)
    configuration = daemon_configuration(True)
    assert configuration["runtimes"][configuration["default-runtime"]] == {"path": str(engine.SHIM)}


def test_an_engine_never_keeps_more_logs_than_fit() -> None:
    for needed in (True, False):
        assert daemon_configuration(needed)["log-opts"] == {"max-size": "10m", "max-file": "2"}


def test_the_clients_environment_adds_to_what_is_there() -> None:
    environment = client_environment({"DOCKER_HOST": "tcp://engine.example.org:2376", "DOCKER_BUILDKIT": "1"})
    assert environment["DOCKER_HOST"] == "tcp://engine.example.org:2376"
    assert environment["DOCKER_BUILDKIT"] == "0"


def test_a_command_gets_arguments_input_and_environment(tmp_path: Path) -> None:
    docker = client(tmp_path / "docker", 'echo "$COLOUR: $*"; cat')
    assert docker.run("ps", "--all", input="typed") == "blue: ps --all\ntyped"


def test_a_failed_command_raises_with_the_engines_own_words(tmp_path: Path) -> None:
    docker = client(tmp_path / "docker", "echo out; echo 'No such image: a' >&2; exit 3")
    with pytest.raises(LabError, match="docker image inspect a: exit status 3: No such image: a"):
        docker.run("image", "inspect", "a")
    assert docker.run("image", "inspect", "a", check=False) == "out\n"


def test_output_can_go_to_a_log(tmp_path: Path) -> None:
    docker = client(tmp_path / "docker", "echo out; echo err >&2; exit $2")
    log = tmp_path / "log"
    log.write_text("before\n")
    assert docker.run("build", "0", log=log) == ""
    with pytest.raises(LabError, match=f"see {log}"):
        docker.run("build", "1", log=log)
    assert log.read_text() == "before\nout\nerr\nout\nerr\n"


def test_an_engine_answers_or_not(tmp_path: Path) -> None:
    assert client(tmp_path / "up", "echo 28.0").answers()
    assert not client(tmp_path / "down", "echo 'Cannot connect' >&2; exit 1").answers()
    assert not Docker((str(tmp_path / "absent"),), {}).answers()


def test_an_engine_that_answers_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*arguments: object) -> None:
        raise AssertionError(f"not our engine: {arguments}")

    client(tmp_path / "docker", 'echo "$*" >>"$0.calls"; echo 28.0')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in ("_install", "_configure", "_clear_leftovers", "_start"):
        monkeypatch.setattr(engine, name, touched)
    stream = io.StringIO()
    docker = engine.ensure(Progress(tmp_path, stream), tmp_path / "cache")
    assert docker.answers()
    assert stream.getvalue() == ""
    assert {line.split()[0] for line in (tmp_path / "docker.calls").read_text().splitlines()} == {"version"}
    assert not (tmp_path / "cache").exists()


def test_without_an_engine_only_root_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(tmp_path / "docker", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="only root can start one"):
        engine.ensure(Progress(tmp_path, io.StringIO()), tmp_path / "cache")


@pytest.mark.parametrize("name", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_an_engine_elsewhere_is_not_replaced_by_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client(tmp_path / "docker", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setattr(engine, "_start", lambda cache: pytest.fail("started an engine"))
    with pytest.raises(LabError, match=f"{name} is elsewhere, and no container engine answers there"):
        engine.ensure(Progress(tmp_path, io.StringIO()), tmp_path / "cache")


@pytest.mark.parametrize(
    ("content", "stays"),
    [
        ("engine", True),
        ("other", False),  # the number of an engine that is gone, given to another process since
        ("999999999", False),
        ("", True),  # nothing that we understand
    ],
)
def test_pid_files_of_an_engine_that_is_gone_are_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, stays: bool
) -> None:
    sleeper = tmp_path / "dockerd"  # a process of that name
    shutil.copy("/bin/sleep", sleeper)
    with subprocess.Popen([sleeper, "60"]) as running, subprocess.Popen(["/bin/sleep", "60"]) as other:
        try:
            pid_file = tmp_path / "pid"
            pid_file.write_text({"engine": str(running.pid), "other": str(other.pid)}.get(content, content))
            assert wait_for(lambda: Path(f"/proc/{running.pid}/comm").read_text() == "dockerd\n", 5)
            monkeypatch.setattr(engine, "PID_FILES", (pid_file, tmp_path / "none"))
            engine._clear_leftovers()
            assert pid_file.exists() is stays
        finally:
            running.kill()
            other.kill()


class Executed(Exception):
    pass


def run_shim(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """Run the shim; gives the command line that it becomes."""

    def execute(program: str, command: list[str]) -> None:
        raise Executed(program, *command)

    monkeypatch.setattr(os, "execv", execute)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/sbin/{name}")
    monkeypatch.setattr("sys.argv", ["runc-shim", *arguments])
    with pytest.raises(Executed) as caught:
        runpy.run_path(str(engine.SHIM_SOURCE))
    return list(caught.value.args)


def process(**changes: Any) -> dict[str, Any]:
    capabilities = {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": None, "permitted": ["CAP_SYS_RESOURCE"]}
    return {"args": ["sh"], "oomScoreAdj": -500, "capabilities": capabilities} | changes


RELAXED = {
    "args": ["sh"],
    "oomScoreAdj": 0,
    "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": [], "permitted": []},
}


def test_the_shim_relaxes_a_bundle_and_becomes_runc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "config.json"
    configuration.write_text(json.dumps({"ociVersion": "1.0", "process": process()}))
    command = ("--root", "/run/x", "create", "--bundle", str(tmp_path), "name")
    assert run_shim(monkeypatch, *command) == ["/usr/sbin/runc", "/usr/sbin/runc", *command]
    assert json.loads(configuration.read_text()) == {"ociVersion": "1.0", "process": RELAXED}


def test_the_shim_relaxes_an_execs_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "process.json"
    document.write_text(json.dumps(process()))
    run_shim(monkeypatch, "exec", "-d", "--process", str(document), "name")
    assert json.loads(document.read_text()) == RELAXED


def test_the_shim_leaves_alone_what_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = process(oomScoreAdj=100, capabilities={"bounding": ["CAP_CHOWN"]})
    document = tmp_path / "process.json"
    document.write_text(json.dumps(harmless))
    run_shim(monkeypatch, "exec", "-p", str(document), "name")
    assert json.loads(document.read_text()) == harmless
    assert run_shim(monkeypatch, "kill", "name", "9")[2:] == ["kill", "name", "9"]
    # runc itself tells what is wrong with a bundle
    assert run_shim(monkeypatch, "create", "-b", str(tmp_path / "none"), "name")[-1] == "name"
