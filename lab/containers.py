# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container engine says about containers, read once and typed."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from lab.engine import Docker

T = TypeVar("T")
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Container:
    name: str
    running: bool
    created: datetime
    started: datetime | None  # None: was never started
    image: str  # id, sha256:…
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    addresses: Mapping[str, str]  # network name -> IPv4 address, only those that are attached now
    ports: Mapping[int, int]  # container port -> port on the host; one that the engine chooses only while it runs

    @classmethod
    def from_inspect(cls, document: Mapping[str, Any]) -> Container:
        networks = document["NetworkSettings"].get("Networks") or {}
        started = moment(document["State"]["StartedAt"])
        return cls(
            name=document["Name"].lstrip("/"),
            running=bool(document["State"]["Running"]),
            created=moment(document["Created"]),
            started=started if started.year > 1 else None,
            image=document["Image"],
            labels=document["Config"].get("Labels") or {},
            environment=dict(entry.partition("=")[::2] for entry in document["Config"].get("Env") or []),
            addresses={name: net["IPAddress"] for name, net in networks.items() if net and net.get("IPAddress")},
            ports=_ports(document["HostConfig"].get("PortBindings")) | _ports(document["NetworkSettings"].get("Ports")),
        )


def _ports(bindings: Mapping[str, Any] | None) -> dict[int, int]:
    return {
        int(port.partition("/")[0]): int(hosts[0]["HostPort"])
        for port, hosts in (bindings or {}).items()
        if hosts and hosts[0].get("HostPort", "0") not in ("", "0")
    }


def moment(text: str) -> datetime:
    """A time as Docker and Kubernetes write it, which is up to nanoseconds; timezone-aware."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))


def find(docker: Docker, *names: str) -> dict[str, Container]:
    """Those of the named containers that exist, by name."""
    if not names:
        return {}
    documents = json.loads(docker.run("container", "inspect", *names, check=False) or "[]")
    return {container.name: container for container in map(Container.from_inspect, documents)}


def names_with_label(docker: Docker, label: str) -> list[str]:
    """Containers, running or not, that carry the label (key or key=value)."""
    return docker.run("ps", "--all", "--filter", f"label={label}", "--format", "{{.Names}}").split()


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
