# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest

from lab import builds
from lab.builds import MODULES, TOOLS, Tool, key
from lab.progress import Progress
from lab.state import LabError

TOOL = Tool("thing", {"thing": "example.org/thing/cmd/thing"}, tags=("netgo",), variables={"main.version": "1"})


def tool_lines(module: str) -> set[str]:
    """Packages that a module's go.mod declares as tools, which keeps their requirements in it."""
    text = (MODULES / module / "go.mod").read_text()
    block = re.search(r"^tool \(\n(.*?)^\)", text, re.M | re.S)
    return set(block[1].split() if block else re.findall(r"^tool (\S+)$", text, re.M))


def required(module: str) -> dict[str, str]:
    """Direct requirements of a tool's module: path -> version."""
    text = (MODULES / module / "go.mod").read_text()
    lines = [line.removeprefix("require").split() for line in text.splitlines() if "// indirect" not in line]
    return {words[0]: words[1] for words in lines if len(words) == 2 and words[1].startswith("v")}


def test_every_module_is_a_tool_and_every_tool_a_module() -> None:
    assert {path.parent.name for path in MODULES.glob("*/go.mod")} == set(TOOLS)
    assert all(tool.module == name for name, tool in TOOLS.items())
    assert set(builds.HOST_TOOLS) <= set(TOOLS)


def test_no_two_tools_make_one_program() -> None:
    programs = [program for tool in TOOLS.values() for program in tool.packages]
    assert len(programs) == len(set(programs))


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_builds_are_pinned(name: str) -> None:
    text = (MODULES / name / "go.mod").read_text()
    assert (MODULES / name / "go.sum").is_file()
    assert not re.search(r"=>\s*\.", text), "a path on this machine is no version"
    assert "-mod=readonly" in TOOLS[name].arguments()


@pytest.mark.parametrize("name", sorted(set(TOOLS) - {"pause"}))
def test_a_tools_packages_are_in_the_module_that_it_requires(name: str) -> None:
    for package in TOOLS[name].packages.values():
        assert package in tool_lines(name)
        assert any(package == module or package.startswith(f"{module}/") for module in required(name))


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if tool.variables))
def test_the_version_that_a_program_tells_is_the_one_that_is_built(name: str) -> None:
    (version,) = (
        version
        for module, version in required(name).items()
        if any(package.startswith(module) for package in TOOLS[name].packages.values())
    )
    if name == "prometheus":  # as a module, 3.16.0 is v0.316.0
        version = re.sub(r"^v0\.(\d)0*(\d+)\.", r"v\1.\2.", version)
    told = next(value for variable, value in TOOLS[name].variables.items() if variable.lower().endswith("version"))
    assert told.removeprefix("v") == version.removeprefix("v")


def test_arguments_leave_no_path_of_this_machine_in_a_program() -> None:
    assert TOOL.arguments() == ["-trimpath", "-mod=readonly", "-tags", "netgo", "-ldflags", "-s -w -X main.version=1"]


def test_everything_that_changes_a_build_changes_its_key() -> None:
    keys = [
        key(TOOL, b"module", b"sums", "go1.26"),
        key(TOOL, b"module2", b"sums", "go1.26"),
        key(TOOL, b"modules", b"ums", "go1.26"),
        key(TOOL, b"module", b"sums2", "go1.26"),
        key(TOOL, b"module", b"sums", "go1.27"),
        key(Tool("thing", TOOL.packages, (), TOOL.variables), b"module", b"sums", "go1.26"),
        key(Tool("thing", TOOL.packages, TOOL.tags, {"main.version": "2"}), b"module", b"sums", "go1.26"),
        key(
            Tool("thing", {"other": "example.org/thing/cmd/thing"}, TOOL.tags, TOOL.variables),
            b"module",
            b"sums",
            "go1.26",
        ),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == key(TOOL, b"module", b"sums", "go1.26")
    assert re.fullmatch(r"thing-[0-9a-f]{16}", keys[0])


class Compiler:
    """A `go` that notes what it is asked, and writes the name of the package instead of a program."""

    def __init__(self, directory: Path) -> None:
        self.calls = directory / "calls"
        self.broken = directory / "broken"
        program = directory / "go"
        program.write_text(f"""#!/bin/sh
[ "$1" = env ] && echo go1.26.8 && exit 0
[ -e {self.broken} ] && echo 'does not compile' && exit 1
while [ "$#" -gt 1 ]; do [ "$1" = -o ] && output=$2; shift; done
echo "$1" >>{self.calls}
echo "$CGO_ENABLED $1" >"$output"
""")
        program.chmod(0o755)

    def built(self) -> list[str]:
        return self.calls.read_text().split() if self.calls.exists() else []


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    modules, path = tmp_path / "go", tmp_path / "path"
    for name in ("one", "two"):
        (modules / name).mkdir(parents=True)
        (modules / name / "go.mod").write_text(f"module example.org/{name}\n")
        (modules / name / "go.sum").write_text("")
    path.mkdir()
    monkeypatch.setattr(builds, "MODULES", modules)
    tools = {
        "one": Tool("one", {"a": "example.org/a", "b": "example.org/b"}),
        "two": Tool("two", {"c": "example.org/c"}),
    }
    monkeypatch.setattr(builds, "TOOLS", tools)
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
    return Compiler(path)


def ensure(tmp_path: Path, *tools: str) -> Path:
    return builds.ensure(Progress(tmp_path / "logs", io.StringIO()), tmp_path / "cache", tools or None)


def test_nothing_is_built_twice(tmp_path: Path, compiler: Compiler) -> None:
    current = ensure(tmp_path)
    assert compiler.built() == ["example.org/a", "example.org/b", "example.org/c"]
    assert sorted(path.name for path in current.iterdir()) == ["a", "b", "c"]
    assert (current / "b").read_text() == "0 example.org/b\n"
    assert ensure(tmp_path) == current
    assert len(compiler.built()) == 3


def test_a_new_pin_is_built_and_becomes_current(tmp_path: Path, compiler: Compiler) -> None:
    current = ensure(tmp_path)
    before = (current / "c").resolve()
    (tmp_path / "go" / "two" / "go.mod").write_text("module example.org/two\nrequire example.org/c v2\n")
    ensure(tmp_path)
    assert compiler.built()[3:] == ["example.org/c"]
    assert (current / "c").resolve() != before
    assert (current / "a").exists()


def test_our_own_source_counts(tmp_path: Path, compiler: Compiler) -> None:
    ensure(tmp_path)
    (tmp_path / "go" / "two" / "main.go").write_text("package main\n")
    ensure(tmp_path)
    assert compiler.built()[3:] == ["example.org/c"]


def test_only_what_is_asked_for_is_built(tmp_path: Path, compiler: Compiler) -> None:
    current = ensure(tmp_path, "two")
    assert compiler.built() == ["example.org/c"]
    assert [path.name for path in current.iterdir()] == ["c"]


def test_a_failed_build_leaves_nothing_half(tmp_path: Path, compiler: Compiler) -> None:
    compiler.broken.touch()
    with pytest.raises(LabError, match=r"building a failed; see .*\.log"):
        ensure(tmp_path)
    assert list((tmp_path / "cache" / "bin").iterdir()) == []
    compiler.broken.unlink()
    assert (ensure(tmp_path) / "a").exists()


def test_without_go_the_message_says_what_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"needs Go 1\.26"):
        ensure(tmp_path)
