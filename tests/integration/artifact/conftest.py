# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Galaxy artifact, and environments that have nothing but ansible-core and the collection's requirements.

The environments are made from the locks in requirements/ and kept in .build until a lock changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.python_environments import environment
from lab.state import LabError

CHECKOUT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = CHECKOUT / ".build" / "ansible-core"
# What `make lock` resolves for: the oldest Python 3.x that each can have
PYTHONS = {"2.18": 11, "newest": 12}


def run(*command: str | Path, cwd: Path = CHECKOUT, environment: dict[str, str] | None = None, status: int = 0) -> str:
    """What a program printed; a failure of the test with all of it when it exits with another status."""
    result = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode != status:
        pytest.fail(f"{' '.join(map(str, command))} exits with {result.returncode}:\n{result.stdout}")
    return result.stdout


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
            # Nothing but what keeps bytecode
            "PYTHONPATH": str(CHECKOUT / "tests" / "bytecode"),
            "BYTECODE_CACHE": os.environ["BYTECODE_CACHE"],
        }
        return run(folder / program, *arguments, cwd=home, environment=environment, status=status)


@pytest.fixture(scope="module", params=list(PYTHONS))
def core(request: pytest.FixtureRequest) -> Core:
    name: str = request.param
    lock = CHECKOUT / "requirements" / f"ansible-core-{name}.txt"
    try:
        return Core(name, environment(ENVIRONMENTS, lock, PYTHONS[name], str(CHECKOUT)))
    except LabError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make build` makes."""
    folder = tmp_path_factory.mktemp("artifact")
    tree = run(sys.executable, CHECKOUT / "dev" / "collection_tree.py").strip()
    run(Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", folder, tree)
    (built,) = folder.glob("scs-observability-*.tar.gz")
    return built
