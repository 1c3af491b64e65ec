# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Galaxy artifact, and environments that have nothing but ansible-core and the collection's requirements.

The environments are made from the locks in requirements/ and kept in .build until a lock changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = CHECKOUT / ".build" / "ansible-core"
# What `make lock` resolves for: the oldest Python 3.x that each can have
PYTHONS = {"2.18": 11, "newest": 12}
PYTHONS_END = 20


def run(*command: str | Path, cwd: Path = CHECKOUT, environment: dict[str, str] | None = None, status: int = 0) -> str:
    """What a program printed; a failure of the test with all of it when it exits with another status."""
    result = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode != status:
        pytest.fail(f"{' '.join(map(str, command))} exits with {result.returncode}:\n{result.stdout}")
    return result.stdout


def pythons(oldest: int) -> Iterator[Path]:
    """Interpreters of this machine that start, older ones first; pyenv hides those that are not chosen."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    for minor in range(oldest, PYTHONS_END):
        name = f"python3.{minor}"
        found = shutil.which(name)
        for path in [*([Path(found)] if found else []), *sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"))]:
            if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
                yield path


@dataclass(frozen=True)
class Core:
    """An ansible-core in an environment of its own."""

    name: str
    environment: Path

    @property
    def version(self) -> str:
        """The version in the lock."""
        lines = (CHECKOUT / "requirements" / f"ansible-core-{self.name}.txt").read_text().splitlines()
        return next(line.split("==")[1].split()[0] for line in lines if line.startswith("ansible-core=="))

    def run(self, program: str, *arguments: str | Path, home: Path, status: int = 0) -> str:
        """One of its programs, in a folder that has nothing to do with the checkout or with the user's Ansible."""
        folder = self.environment / "bin"
        environment = {
            "PATH": os.pathsep.join([str(folder), "/usr/bin", "/bin"]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(home / "collections"),
        }
        return run(folder / program, *arguments, cwd=home, environment=environment, status=status)


@pytest.fixture(scope="module", params=list(PYTHONS))
def core(request: pytest.FixtureRequest) -> Core:
    name: str = request.param
    lock = CHECKOUT / "requirements" / f"ansible-core-{name}.txt"
    python = next(pythons(PYTHONS[name]), None)
    if python is None:
        pytest.skip(f"{lock.name} needs Python 3.{PYTHONS[name]} or newer, and this machine has none")
    key = hashlib.sha256(f"{python} {CHECKOUT} {lock.read_text()}".encode()).hexdigest()[:16]
    environment = ENVIRONMENTS / f"{name}-{key}"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    made = environment / ".made"
    with (ENVIRONMENTS / f"{name}.lock").open("w") as exclusive:
        fcntl.flock(exclusive, fcntl.LOCK_EX)
        if not made.exists():
            for old in ENVIRONMENTS.glob(f"{name}-*"):
                shutil.rmtree(old)
            uv = Path(sys.executable).with_name("uv")
            run(uv, "venv", "--quiet", "--no-python-downloads", "--python", python, environment)
            run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", environment / "bin" / "python", lock)
            made.touch()
    return Core(name, environment)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make build` makes."""
    folder = tmp_path_factory.mktemp("artifact")
    tree = run(sys.executable, CHECKOUT / "dev" / "collection_tree.py").strip()
    run(Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", folder, tree)
    (built,) = folder.glob("scs-observability-*.tar.gz")
    return built
