# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container engine says about containers, read once and typed."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from plugins.module_utils._kind.containers import Container

if TYPE_CHECKING:
    from lab.engine import Docker

T = TypeVar("T")
_POLL_SECONDS = 0.25


def find(docker: Docker, *names: str) -> dict[str, Container]:
    """Those of the named containers that exist, by name."""
    if not names:
        return {}
    documents = json.loads(docker.run("container", "inspect", *names, check=False) or "[]")
    return {container.name: container for container in map(Container.from_inspect, documents)}


def names_with_label(docker: Docker, label: str) -> list[str]:
    """Containers, running or not, that carry the label (key or key=value)."""
    return docker.run("ps", "--all", "--filter", f"label={label}", "--format", "{{.Names}}").split()


def image_id(docker: Docker, image: str) -> str:
    """What a container of the image has in its ``image``."""
    return docker.run("image", "inspect", "--format", "{{.Id}}", image).strip()


def read_file(docker: Docker, container: str, path: str) -> str | None:
    """A text file of a container, running or not; None when it has no such file."""
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "file"
        docker.run("cp", f"{container}:{path}", str(target), check=False)
        return target.read_text() if target.is_file() else None


def write_files(docker: Docker, container: str, files: Mapping[str, str], *, mode: int = 0o644) -> None:
    """Text files by absolute path into a container, running or not; missing directories are made."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        for path, content in files.items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
            target.chmod(mode)
        docker.run("cp", f"{root}/.", f"{container}:/")


def wait_for(condition: Callable[[], T | None], seconds: float) -> T | None:
    """The first truthy answer, or None when there was none within the time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_SECONDS)
    return answer
