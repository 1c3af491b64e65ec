# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
from pathlib import Path

import pytest

from lab import builds, images, programs
from lab.engine import Docker
from lab.progress import Progress
from plugins.module_utils._manifests import images as collection


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    """An engine that has no image at first, pulls every one, and whose Go makes a file of what it was asked."""
    program = tmp_path / "docker"
    program.write_text(f"""#!/bin/sh
echo "$*" >>{tmp_path}/calls
for last; do :; done
case "$1" in
  image) grep -qx "pull $last" {tmp_path}/calls && echo '=[]' || exit 1 ;;
  create) echo "container-of-$2" ;;
  cp) echo "$3" >"$4" ;;
  run) while [ "$1" != -o ]; do shift; done; echo built >"$2" ;;
esac
""")
    program.chmod(0o755)
    return Docker((str(program),), {"PATH": "/usr/bin:/bin"})


def calls(tmp_path: Path, command: str) -> list[str]:
    return [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith(f"{command} ")]


def ensure(docker: Docker, tmp_path: Path) -> Path:
    return programs.ensure(docker, Progress(tmp_path, io.StringIO()), tmp_path / "cache", ["kubectl", "promtool"])


def test_programs_come_out_of_upstreams_images(docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds.Go, "of_host", classmethod(lambda cls: None))
    current = ensure(docker, tmp_path)
    assert (current / "kubectl").read_text() == f"container-of-{images.NODE_UPSTREAM}:/usr/bin/kubectl\n"
    assert (current / "promtool").read_text() == f"container-of-{collection.PROMETHEUS}:/bin/promtool\n"
    assert len(calls(tmp_path, "rm")) == 2


def test_kind_is_built_in_a_container_where_there_is_no_go(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds.Go, "of_host", classmethod(lambda cls: None))
    assert (ensure(docker, tmp_path) / "kind").read_text() == "built\n"
    assert calls(tmp_path, "pull")[0] == f"pull {programs.GO_IMAGE}"
    (run,) = calls(tmp_path, "run")
    assert f"--volume={builds.MODULES / 'kind'}:{builds.MODULES / 'kind'}:ro" in run


def test_a_second_time_nothing_is_done(docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds.Go, "of_host", classmethod(lambda cls: None))
    ensure(docker, tmp_path)
    before = {command: calls(tmp_path, command) for command in ("pull", "create", "run")}
    ensure(docker, tmp_path)
    assert {command: calls(tmp_path, command) for command in before} == before


def test_versions_are_those_that_are_built_elsewhere() -> None:
    built = {image.reference for image in images.ALL}
    assert {image for image, _path in programs.SOURCES.values()} - built == {images.NODE_UPSTREAM}
