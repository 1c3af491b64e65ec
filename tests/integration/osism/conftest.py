# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible as OSISM's containers have it: ansible-core 2.18, kolla-ansible, and neither boto3 nor kubernetes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.python_environments import environment
from lab.state import LabError

CHECKOUT = Path(__file__).resolve().parents[3]
LOCK = CHECKOUT / "requirements" / "osism.txt"


@dataclass(frozen=True)
class Osism:
    """Programs of that environment, in a folder that has nothing to do with the checkout."""

    folder: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, program: str, *arguments: str | Path, cwd: Path | None = None, status: int = 0) -> str:
        """What a program printed; a failure of the test with all of it when it exits with another status."""
        variables = {
            "PATH": os.pathsep.join([str(self.folder / "bin"), "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            # Nothing but what keeps bytecode
            "PYTHONPATH": str(CHECKOUT / "tests" / "bytecode"),
            "BYTECODE_CACHE": os.environ["BYTECODE_CACHE"],
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            **self.variables,
        }
        command = [str(self.folder / "bin" / program), *map(str, arguments)]
        result = subprocess.run(
            command,
            cwd=cwd or self.home,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != status:
            pytest.fail(f"{' '.join(command)} exits with {result.returncode}:\n{result.stdout}")
        return result.stdout


@pytest.fixture(scope="session")
def osism_environment() -> Path:
    try:
        return environment(CHECKOUT / ".build" / "osism", LOCK, 11)
    except LabError as error:
        pytest.fail(str(error))


@pytest.fixture
def osism(osism_environment: Path, collections: Path, tmp_path: Path) -> Osism:
    home = tmp_path / "home"
    home.mkdir()
    return Osism(osism_environment, home, {"ANSIBLE_COLLECTIONS_PATH": str(collections)})


@pytest.fixture(scope="session")
def collections() -> Path:
    """A path with this collection alone, as the checkout has it."""
    command = [sys.executable, str(CHECKOUT / "dev" / "collection_tree.py")]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip()).parents[2]
