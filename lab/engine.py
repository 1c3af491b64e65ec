# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine: one that is there is used and left alone; without one, Docker is installed and started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.progress import Progress
from lab.state import LabError, write_atomically

CONFIGURATION = Path("/etc/docker/daemon.json")
PID_FILES = (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid"))
SHIM = Path("/usr/local/lib/scs-observability-lab/runc-shim")
SHIM_SOURCE = Path(__file__).parent / "runc-shim"
SHIM_RUNTIME = "scs-observability-lab"
CAP_SYS_RESOURCE = 24  # bit in CapBnd, linux/capability.h
_START_SECONDS = 120.0  # a dockerd that was killed first ends the containers that outlived it


@dataclass(frozen=True)
class Docker:
    """Runs the engine's client."""

    command: tuple[str, ...] = ("docker",)
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *arguments: str, input: str | None = None, check: bool = True, log: Path | None = None) -> str:
        """Standard output of `docker ARGUMENTS`; LabError with the client's own message when it fails and check is set.

        With a log, both outputs are appended there as they come and nothing is returned.
        """
        if log is not None:
            with log.open("a") as file:
                result = subprocess.run(
                    [*self.command, *arguments],
                    input=input,
                    text=True,
                    check=False,
                    env=dict(self.env),
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            message = f"see {log}"
        else:
            result = subprocess.run(
                [*self.command, *arguments],
                input=input,
                text=True,
                check=False,
                env=dict(self.env),
                capture_output=True,
            )
            message = (result.stderr or "").strip()
        if check and result.returncode != 0:
            raise LabError(f"docker {' '.join(arguments[:3])}: exit status {result.returncode}: {message}")
        return result.stdout or ""

    def answers(self) -> bool:
        try:
            result = subprocess.run(
                [*self.command, "version", "--format", "{{.Server.Version}}"],
                capture_output=True,
                check=False,
                env=dict(self.env),
                timeout=20,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return result.returncode == 0


def lacks_capability(status: str, bit: int) -> bool:
    """Whether the bounding set in the text of /proc/self/status lacks the capability."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return not int(line.split()[1], 16) & (1 << bit)
    return False


def daemon_configuration(shim_needed: bool) -> dict[str, Any]:
    """daemon.json of an engine that the lab installs.

    live-restore is off: a node container without its engine would be cut off from its network's DNS.
    """
    configuration: dict[str, Any] = {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "2"}}
    if shim_needed:
        configuration |= {
            "runtimes": {SHIM_RUNTIME: {"path": str(SHIM)}},
            "default-runtime": SHIM_RUNTIME,
        }
    return configuration


def client_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The classic builder: BuildKit wants a plugin that an engine of the distribution does not have."""
    return {**base, "DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}


def ensure(progress: Progress, cache: Path) -> Docker:
    """An engine that answers. Installs and starts one only where there is none, and says so."""
    docker = Docker(env=client_environment(os.environ))
    if shutil.which("docker") and docker.answers():
        return docker
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        if value := os.environ.get(name):
            raise LabError(f"{name} is {value}, and no container engine answers there: start it, or unset {name}")
    if os.geteuid() != 0:
        raise LabError("no container engine answers, and only root can start one: start it, or run this as root")
    progress.expect(1)
    if not shutil.which("dockerd"):
        progress.say("There is no container engine on this machine: installing docker.io from the distribution.")
        progress.expect(1)
        _install(progress, "docker.io")
    progress.say(f"No container engine is running: starting dockerd (its log: {_log(cache)}).")
    with progress.step("starting the container engine"):
        _configure(progress)
        _clear_leftovers()
        _start(cache)
        deadline = time.monotonic() + _START_SECONDS
        while not docker.answers():
            if time.monotonic() > deadline:
                raise LabError(f"dockerd does not answer after {_START_SECONDS:.0f} s; see {_log(cache)}")
            time.sleep(0.3)
    return docker


def stop_if_ours(cache: Path) -> bool:
    """End the engine that `ensure` started, if that still runs and has no container; whether it did.

    One that is stopped counts: it could not be started again without the runtime that goes with the engine.
    """
    process = _ours(cache)
    docker = Docker(env=client_environment(os.environ))
    if process is None or (docker.answers() and docker.run("ps", "--all", "--quiet").strip()):
        return False
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while _alive(process):
        if time.monotonic() > deadline:
            raise LabError(f"dockerd (process {process}) does not end; see {_log(cache)}")
        time.sleep(0.2)
    _pid_file(cache).unlink(missing_ok=True)
    if _is_our_configuration():
        CONFIGURATION.unlink()
        shutil.rmtree(SHIM.parent, ignore_errors=True)
    return True


def install_packages(progress: Progress, *packages: str) -> None:
    """Debian packages of the host that a build needs, only those that are missing."""
    missing = [package for package in packages if not _installed(package)]
    if missing:
        if os.geteuid() != 0:
            raise LabError(f"only root can install {' '.join(missing)}: install them, or run this as root")
        progress.expect(1)
        _install(progress, *missing)


def _installed(package: str) -> bool:
    result = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout == "installed"


def _install(progress: Progress, *packages: str) -> None:
    if not shutil.which("apt-get"):
        raise LabError(f"install {' '.join(packages)} with this system's package manager and run this again")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing {' '.join(packages)}") as log, log.open("a") as file:
        for command in (
            ["apt-get", "-q", "update"],
            ["apt-get", "-q", "--yes", "--no-install-recommends", "install", *packages],
        ):
            subprocess.run(command, check=False, env=environment, stdout=file, stderr=subprocess.STDOUT)
        if not all(_installed(package) for package in packages):
            raise LabError(f"apt-get could not install {' '.join(packages)}; see {log}")


def shim_needed() -> bool:
    """Whether this machine withholds what runc wants for a privileged container."""
    return lacks_capability(Path("/proc/self/status").read_text(), CAP_SYS_RESOURCE)


def _configure(progress: Progress) -> None:
    needed = shim_needed()
    if CONFIGURATION.exists():
        if needed and not _is_our_configuration():
            progress.say(f"{CONFIGURATION} is somebody else's and stays as it is; privileged containers may not start.")
        if not _is_our_configuration():
            return
    if needed:
        progress.say("This machine withholds CAP_SYS_RESOURCE: containers start through a shim that does without it.")
        SHIM.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(SHIM, SHIM_SOURCE.read_text(), 0o755)
    write_atomically(CONFIGURATION, json.dumps(daemon_configuration(needed), indent=2) + "\n")


def _is_our_configuration() -> bool:
    try:
        found = json.loads(CONFIGURATION.read_text())
    except (OSError, ValueError):
        return False
    return found in (daemon_configuration(True), daemon_configuration(False))


def _clear_leftovers() -> None:
    """Pid files of an engine that was killed keep the next one from starting."""
    for path in PID_FILES:
        try:
            process = int(path.read_text())
        except (OSError, ValueError):
            continue
        # dockerd leaves its containerd running when it is killed; a new dockerd takes it over or starts its own
        if not _alive(process) or Path(f"/proc/{process}/comm").read_text().strip() not in ("dockerd", "containerd"):
            path.unlink(missing_ok=True)


def _start(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with _log(cache).open("a") as log:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd="/"
        )
    write_atomically(_pid_file(cache), f"{process.pid}\n")


def _ours(cache: Path) -> int | None:
    """The process id of the dockerd that the lab started, if it runs."""
    try:
        process = int(_pid_file(cache).read_text())
        running = Path(f"/proc/{process}/comm").read_text().strip() == "dockerd"
    except (OSError, ValueError):
        return None
    return process if running else None


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _pid_file(cache: Path) -> Path:
    return cache / "dockerd.pid"


def _log(cache: Path) -> Path:
    return cache / "dockerd.log"
