# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of kolla that the lab's IaaS hosts run, each in a virtual environment of its own, from a hashed lock."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.progress import Progress
from lab.python_environments import environment
from lab.state import CHECKOUT, LabError

TAG = "prometheus"  # of kolla's role: only its monitoring is deployed
_OLDEST_PYTHON = 11  # the locks are for 3.11 and newer
ACTIONS = ("deploy", "reconfigure", "upgrade")


@dataclass(frozen=True)
class Release:
    """What differs between kolla's releases, as far as its Prometheus is concerned."""

    name: str  # as in names of hosts
    version: str  # OpenStack's
    server_image: str
    volume: str
    prometheus: str  # Debian's package or the collection's pinned one
    host_number: int  # in the lab's subnet

    @property
    def lock(self) -> Path:
        return CHECKOUT / "requirements" / f"kolla-{self.version}.txt"

    def image(self, name: str) -> str:
        """The reference under which kolla-ansible looks for it, unless it is told otherwise."""
        return f"quay.io/openstack.kolla/{name}:{self.version}-debian-bookworm"


RELEASES = {
    release.name: release
    for release in (
        Release("2024-2", "2024.2", "prometheus-v2-server", "prometheus_v2", "debian", 20),
        Release("2025-1", "2025.1", "prometheus-server", "prometheus_server", "collection", 21),
    )
}


@dataclass(frozen=True)
class Kolla:
    """kolla-ansible and kolla-build of one release."""

    release: Release
    environment: Path

    @property
    def share(self) -> Path:
        return self.environment / "share"

    def run(self, log: Path, program: str, *arguments: str) -> None:
        """One of its commands, with the output in the log."""
        folder = self.environment / "bin"
        environment = {
            # What is set for another Ansible is not meant for this one
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]),
            "ANSIBLE_HOME": str(self.environment / "home"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "DOCKER_BUILDKIT": "0",
        }
        with log.open("a") as file:
            # It shows passwords
            log.chmod(0o600)
            file.write(f"$ {program} {' '.join(arguments)}\n")
            file.flush()
            result = subprocess.run(
                [str(folder / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                check=False,
            )
        if result.returncode != 0:
            raise LabError(f"{program} {arguments[0]}: exit status {result.returncode}; see {log}")


def ensure(progress: Progress, cache: Path, release: Release) -> Kolla:
    """The release's virtual environment is there; shared by all labs of the machine."""
    progress.expect(1)
    with progress.step(f"kolla {release.version}"):
        return Kolla(release, environment(cache / "kolla", release.lock, _OLDEST_PYTHON))
