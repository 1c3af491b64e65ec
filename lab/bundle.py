# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The released bundle of the Prometheus Operator as a file, for clusters and tests that do not reach its URL.

Its Go module has the same file: what a release offers for download is the bundle of the tagged sources.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.request
from pathlib import Path

from lab.builds import MODULES
from lab.progress import Progress
from lab.state import LabError
from plugins.module_utils._manifests.images import PROMETHEUS_OPERATOR
from plugins.module_utils._manifests.prometheus_operator_bundle import CHECKSUM, URL

_MODULE = "github.com/prometheus-operator/prometheus-operator"
_SECONDS = 60


def place(cache: Path) -> Path:
    return cache / f"prometheus-operator-{PROMETHEUS_OPERATOR.rpartition(':')[2]}-bundle.yaml"


def ensure(progress: Progress, cache: Path, *, pull: bool) -> None:
    """The bundle is in its place, and is what the collection expects by default."""
    path = place(cache)
    if path.is_file() and _checksum(path.read_bytes()) == CHECKSUM:
        return
    progress.expect(1)
    with progress.step("bundle of the Prometheus Operator"):
        content = _downloaded() if pull else _of_module()
        if (found := _checksum(content)) != CHECKSUM:
            raise LabError(f"the bundle of the Prometheus Operator has {found}, expected {CHECKSUM}")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(content)
        fresh.replace(path)


def _checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _downloaded() -> bytes:
    try:
        with urllib.request.urlopen(URL, timeout=_SECONDS) as response:
            return bytes(response.read())
    except OSError as error:
        raise LabError(f"{URL} could not be downloaded: {error}") from error


def _of_module() -> bytes:
    command = ["go", "mod", "download", "-json", _MODULE]
    result = subprocess.run(command, cwd=MODULES / "prometheus_operator", capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise LabError(f"the module {_MODULE} is not to be had: {result.stderr.strip()}")
    return (Path(json.loads(result.stdout)["Dir"]) / "bundle.yaml").read_bytes()
