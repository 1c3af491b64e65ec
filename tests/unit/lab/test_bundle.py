# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import io
import json
import os
import re
from pathlib import Path

import pytest

from lab import bundle
from lab.builds import MODULES
from lab.progress import Progress
from lab.state import LabError
from plugins.module_utils._manifests import images as collection
from plugins.module_utils._manifests import prometheus_operator_bundle

CONTENT = b"kind: CustomResourceDefinition\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `go` that knows where the module lies, and notes that it was asked."""
    source, program = tmp_path / "source", tmp_path / "path" / "go"
    source.mkdir()
    (source / "bundle.yaml").write_bytes(CONTENT)
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/calls\necho '{json.dumps({'Dir': str(source)})}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(bundle, "CHECKSUM", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    return source / "bundle.yaml"


def ensure(tmp_path: Path) -> Path:
    bundle.ensure(Progress(tmp_path / "logs", io.StringIO()), tmp_path / "cache", pull=False)
    return bundle.place(tmp_path / "cache")


def test_the_bundle_is_taken_once(tmp_path: Path, module: Path) -> None:
    assert ensure(tmp_path).read_bytes() == CONTENT
    ensure(tmp_path)
    assert (tmp_path / "calls").read_text() == "asked\n"


def test_a_damaged_file_is_replaced(tmp_path: Path, module: Path) -> None:
    ensure(tmp_path).write_text("half")
    assert ensure(tmp_path).read_bytes() == CONTENT


def test_another_content_is_refused(tmp_path: Path, module: Path) -> None:
    module.write_bytes(b"other")
    found = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(LabError, match=rf"sha256:{found}, expected sha256:"):
        ensure(tmp_path)
    assert not bundle.place(tmp_path / "cache").exists()


def test_operator_definitions_and_lab_are_of_one_release() -> None:
    version = collection.PROMETHEUS_OPERATOR.rpartition(":")[2]
    assert f"/{version}/" in prometheus_operator_bundle.URL
    assert collection.PROMETHEUS_CONFIG_RELOADER.endswith(f":{version}")
    pinned = (MODULES / "prometheus_operator" / "go.mod").read_text()
    assert re.search(
        rf"^require github\.com/prometheus-operator/prometheus-operator {re.escape(version)}$", pinned, re.M
    )
