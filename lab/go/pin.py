#!/usr/bin/env python3
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pin a tool of the lab to a version: python -m lab.go.pin TOOL VERSION (such as thanos v0.42.4)

Writes the tool's go.mod and go.sum anew. `go install` refuses modules with replace lines, so these are repeated in a
module of ours; one that points into upstream's own repository becomes the published module of the same release.
The version that the program tells is set in lab/builds.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab.builds import MODULES, TOOLS


def go(*arguments: str, cwd: Path) -> str:
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    return subprocess.run(
        ["go", *arguments], cwd=cwd, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def published(path: str, version: str, cwd: Path) -> str | None:
    """The release of a module that belongs to `version` of its repository: Kubernetes 1.36.3 has k8s.io/api 0.36.3."""
    for candidate in (version, "v0." + version.split(".", 1)[1]):
        command = ["go", "list", "-m", f"{path}@{candidate}"]
        if subprocess.run(command, cwd=cwd, capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def replacements(upstream: dict[str, Any], version: str, cwd: Path) -> list[str]:
    """Upstream's replace lines as arguments of `go mod edit`."""
    found = []
    for line in upstream.get("Replace") or []:
        old, new = line["Old"], line["New"]
        target, release = new["Path"], new.get("Version")
        if target.startswith("."):
            target, release = old["Path"], published(old["Path"], version, cwd)
        if release and old["Path"] != upstream["Module"]["Path"]:  # nobody can import what was never published
            left = "@".join(filter(None, (old["Path"], old.get("Version"))))
            found.append(f"-replace={left}={target}@{release}")
    return found


def pin(name: str, version: str) -> None:
    tool, folder = TOOLS[name], MODULES / name
    before = json.loads(go("mod", "edit", "-json", cwd=folder))
    (module,) = (line["Path"] for line in before["Require"] if not line.get("Indirect"))
    source = json.loads(go("mod", "download", "-json", f"{module}@{version}", cwd=folder))
    upstream = json.loads(go("mod", "edit", "-json", source["GoMod"], cwd=folder))
    packages = sorted(tool.packages.values())
    (folder / "go.sum").unlink(missing_ok=True)
    (folder / "go.mod").write_text(f"module {before['Module']['Path']}\n\ngo {upstream['Go']}\n")
    edits = [f"-require={module}@{version}", *(f"-tool={package}" for package in packages)]
    go("mod", "edit", *edits, *replacements(upstream, version, folder), cwd=folder)
    # Resolves every import and notes its checksum, without compiling
    go("list", "-deps", "-tags", ",".join(tool.tags), *packages, cwd=folder)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in TOOLS or not sys.argv[2].startswith("v"):
        sys.exit(__doc__)
    pin(sys.argv[1], sys.argv[2])
