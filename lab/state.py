# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lab this is, what it remembers, and the lock that lets only one command change it.

The containers are the truth about a lab: addresses, ports and credentials are read from them. The state file only
holds what must outlive a container (the ports that were chosen) and what a reader wants without asking the engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
DEFAULT_PREFIX = "scs-lab"
LABEL = "observability.scs.community/lab"
BUCKET = "scs-observability"
OBSERVER = "observer"
_PREFIX = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class LabError(Exception):
    """The lab cannot do what was asked; the message says what to do about it."""


@dataclass(frozen=True)
class Lab:
    """Names and places of one lab; everything it makes carries its prefix."""

    prefix: str
    directory: Path
    cache: Path

    def __post_init__(self) -> None:
        # 63 characters for a host name, of which "-kaas-99-control-plane" takes 22
        if not _PREFIX.fullmatch(self.prefix) or len(self.prefix) > 40:
            raise LabError(f"LAB_PREFIX: {self.prefix!r} is not a DNS label of at most 40 characters")

    @property
    def network(self) -> str:
        return self.prefix

    @property
    def s3(self) -> str:
        return f"{self.prefix}-s3"

    @property
    def registry(self) -> str:
        return f"{self.prefix}-registry"

    @property
    def openstack(self) -> str:
        return f"{self.prefix}-openstack"

    @property
    def label(self) -> str:
        return f"{LABEL}={self.prefix}"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def state_file(self) -> Path:
        return self.directory / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.cache / "locks" / f"lab-{self.prefix}"

    @property
    def cache_lock_file(self) -> Path:
        """For the engine, the programs and the images, which all labs of a machine share."""
        return self.cache / "locks" / "cache"

    def iaas_lock_file(self, name: str) -> Path:
        """For one IaaS host; kolla-ansible works on several of them at the same time."""
        return self.cache / "locks" / f"lab-{self.prefix}-iaas-{name}"

    def cluster(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def node(self, name: str) -> str:
        return f"{self.prefix}-{name}-control-plane"

    def kubeconfig(self, name: str) -> Path:
        return self.directory / f"{name}.kubeconfig"

    def iaas_host(self, name: str) -> str:
        return f"{self.prefix}-iaas-{name}"

    def iaas_directory(self, name: str) -> Path:
        """One host's kolla: `kolla/` as kolla-ansible wants it, and `environments/` as in OSISM's configuration."""
        return self.directory / "iaas" / name

    def iaas_secrets(self, name: str) -> Path:
        return self.iaas_directory(name) / "environments" / "kolla" / "secrets.yml"

    def iaas_overlays(self, name: str) -> Path:
        return self.iaas_directory(name) / "environments" / "kolla" / "files" / "overlays"

    @property
    def iaas_inventory(self) -> Path:
        return self.directory / "iaas.yml"

    def cluster_of_node(self, container: str) -> str | None:
        """observer or kaas-N when this container is a node of this lab, else None.

        The whole name counts: scs-lab-2-observer belongs to another lab than scs-lab.
        """
        cluster = rf"{re.escape(self.prefix)}-({OBSERVER}|kaas-[1-9][0-9]*)"
        match = re.fullmatch(rf"{cluster}-(control-plane|worker)\d*", container)
        return match[1] if match else None

    def make_directory(self) -> None:
        """The state directory ignores itself in git, so that a lab of any prefix may live in the checkout."""
        self._refuse_foreign_directory()
        self.logs.mkdir(parents=True, exist_ok=True)
        write_atomically(self.directory / ".gitignore", "*\n")

    def remove_directory(self) -> None:
        self._refuse_foreign_directory()
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def _refuse_foreign_directory(self) -> None:
        """`down` removes the whole directory: it must not be somebody's home."""
        if self.directory.exists() and any(self.directory.iterdir()) and not self.logs.is_dir():
            raise LabError(f"LAB_STATE: {self.directory} exists, and it is not a lab's")


def lab_from_environment(environment: Mapping[str, str]) -> Lab:
    """LAB_PREFIX names the lab, LAB_STATE the directory for its kubeconfigs and credentials."""
    prefix = environment.get("LAB_PREFIX") or DEFAULT_PREFIX
    directory = CHECKOUT / (".lab" if prefix == DEFAULT_PREFIX else f".lab-{prefix}")
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scs-observability-lab"
    return Lab(prefix, Path(environment.get("LAB_STATE") or directory).absolute(), cache)


def kaas_names(count: int) -> list[str]:
    return [f"kaas-{number}" for number in range(1, count + 1)]


def by_role_and_number(name: str) -> tuple[int, int]:
    """Sort key: the observer, then kaas-1, kaas-2, … kaas-10."""
    return (0, 0) if name == OBSERVER else (1, int(name.rpartition("-")[2]))


@dataclass
class State:
    """What `up` found or chose; written whole after every step that adds to it."""

    web_port: int | None = None
    gateway_port: int | None = None
    subnet: str | None = None
    s3_endpoint: str | None = None
    gateway_node_address: str | None = None
    binaries: str | None = None
    operator_bundle: str | None = None
    registry: bool = False  # whether the clusters need the mirror
    clusters: list[str] = field(default_factory=list)
    iaas: list[str] = field(default_factory=list)  # releases of kolla

    @classmethod
    def load(cls, path: Path) -> State:
        """An unreadable or older file is no reason to fail: everything in it can be found again."""
        try:
            content: Any = json.loads(path.read_text())
        except (OSError, ValueError):
            return cls()
        if not isinstance(content, dict):
            return cls()
        return cls(**{name: value for name, value in content.items() if name in cls.__dataclass_fields__})

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self), indent=2) + "\n")


def write_atomically(path: Path, content: str, mode: int = 0o644) -> bool:
    """Whether the file had to be written: one that has content and mode already is left alone."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text() == content and path.stat().st_mode & 0o777 == mode:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        Path(fresh).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(fresh).unlink()
        raise
    return True


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[str], None], *, shared: bool = False) -> Iterator[int]:
    """Only one process at a time has the lock, from whichever checkout, or several that share it. Yields its file
    descriptor.

    waiting is told the process id of the holder. The kernel drops the lock with its last holder, so nothing is ever
    stale; a program that inherits the descriptor and outlives a killed command keeps the next one waiting instead of
    working against it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a+") as file:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            waiting(file.read().strip())
            fcntl.flock(file, operation)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
