# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the pods of our own manifests as processes on loopback, so that tests meet the real flags and files.

What a kubelet and a cluster network would do is done here: volumes become folders, ports become free ones, names of
Services become addresses on loopback, and the readiness probe is asked.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    haproxy_certificates,
    images,
    remote_write_clients,
)
from tests.integration.processes import binary, free_port
from tests.integration.thanos.clients import Clients

Manifest = dict[str, Any]
T = TypeVar("T")

# Longer than the minute that _PRUNING_CRASH may last
READY_SECONDS = 90.0
STOP_SECONDS = 60.0
STOP_ROUNDS = 4

# As /proc/net/tcp has them
_LISTENING = "0A"
_LOOPBACK = "0100007F"

# Receive up to 0.42.4 crashes when it starts in the minute of its pruning (every 4 hours, here every second minute):
# thanos-io/thanos pull request 8990. A kubelet starts it again.
_PRUNING_CRASH = "shouldBeMarkedInactive"


def wait_for(condition: Callable[[], T], seconds: float, what: str, *, every: float = 0.2) -> T:
    """Return the first true value of ``condition()``; fail the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return value


def program(name: str, folder: Path) -> list[str]:
    """The command of a program: of the lab, for HAProxy in the image that the collection deploys."""
    if name != "haproxy":
        return [binary(name)]
    if found := os.environ.get("HAPROXY"):
        return [found]
    docker = shutil.which("docker")
    if docker and _has_image(docker):
        options = ["--rm", "--network=host", f"--volume={folder}:{folder}:ro", f"--user={os.getuid()}"]
        return [docker, "run", *options, "--entrypoint=haproxy", images.HAPROXY]
    pytest.fail(
        f"the image {images.HAPROXY} is missing: `make lab` has it, or let HAPROXY name a program of version 3.0"
    )


def _has_image(docker: str) -> bool:
    inspection = subprocess.run([docker, "image", "inspect", images.HAPROXY], capture_output=True, check=False)
    return inspection.returncode == 0


def publish(volume: Path, files: Mapping[str, str]) -> None:
    """Exchange what is in a volume all at once, as a kubelet does it."""
    data = volume / "..data"
    before = data.resolve()
    version = volume / f"..{time.time_ns()}"
    version.mkdir(parents=True)
    for name, text in files.items():
        (version / name).write_text(text)
        (version / name).chmod(0o600)
    link = volume / "..data_tmp"
    link.symlink_to(version.name)
    link.rename(data)
    for name in files:
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(Path("..data") / name)
    if before != data:
        shutil.rmtree(before)


@dataclass
class Pod:
    """One container of a workload."""

    name: str
    ports: Mapping[str, int]
    command: list[str]
    folder: Path
    probe: str
    deliver: Callable[[Sequence[Manifest]], None]
    """Write what changed ConfigMaps and Secrets hold, as a kubelet does to a running pod."""
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def open_ports(self) -> list[int]:
        """The ports that it offers to others than this machine: none, as everything is translated to loopback."""
        links = [path.readlink() for path in Path(f"/proc/{self.process.pid}/fd").iterdir() if path.is_symlink()]
        sockets = {match[1] for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", str(link)))}
        found = []
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.process.pid}/net/{table}").read_text().splitlines()[1:]:
                _number, local, _remote, state, *_queues, inode = line.split()[:10]
                address, _colon, port = local.partition(":")
                if state == _LISTENING and inode in sockets and address != _LOOPBACK:
                    found.append(int(port, 16))
        return found

    def start(self) -> None:
        """Start it, as often as a kubelet would for a reason that is known, and wait until it is ready."""
        self._start()
        wait_for(self._is_ready, READY_SECONDS, f"{self.name} is ready ({' '.join(self.command)})")

    def _start(self) -> None:
        with (self.folder / "log").open("ab") as output:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(
                self.command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder
            )

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            if _PRUNING_CRASH not in self.log:
                pytest.fail(f"{self.name} ended with {self.process.returncode}:\n{self.log[-3000:]}")
            self._start()
        try:
            with urllib.request.urlopen(self.probe, timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it as a kubelet does and return its exit status."""
        for attempt in range(STOP_ROUNDS):
            # A container engine that is busy starting it loses what it is to hand on.
            if self.process.poll() is None and (attempt == 0 or "--entrypoint=haproxy" in self.command):
                self.process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(STOP_SECONDS / STOP_ROUNDS)
        self.process.kill()
        self.process.wait()
        pytest.fail(f"{self.name} did not end within {STOP_SECONDS:.0f} s:\n{self.log[-3000:]}")


@dataclass
class Node:
    """Where pods run. ``addresses`` are what Services (name:port) are known as on loopback."""

    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)
    clients: Clients | None = None

    def translated(self, text: str, replacements: Mapping[str, str]) -> str:
        # Longer ones first: a name may be the beginning of another.
        every = {**self.addresses, **replacements}
        for original in sorted(every, key=len, reverse=True):
            text = text.replace(original, every[original])
        return text

    def mounted(
        self, folder: Path, manifests: Sequence[Manifest], template: Manifest
    ) -> tuple[dict[str, str], dict[Path, str]]:
        """Return mount paths with the folders that stand for them, and the files that belong there."""
        content = {
            (item["kind"], item["metadata"]["name"]): item
            for item in manifests
            if item["kind"] in ("Secret", "ConfigMap")
        }
        sources: dict[str, dict[str, str]] = {}
        for volume in template["spec"].get("volumes", []):
            if "secret" in volume:
                data = content[("Secret", volume["secret"]["secretName"])]["data"]
                sources[volume["name"]] = {key: base64.b64decode(value).decode() for key, value in data.items()}
            elif "configMap" in volume:
                sources[volume["name"]] = content[("ConfigMap", volume["configMap"]["name"])]["data"]
        paths = {}
        for mount in template["spec"]["containers"][0].get("volumeMounts", []):
            target = folder / mount["name"]
            target.mkdir(parents=True, exist_ok=True)
            paths[mount["mountPath"]] = str(target)
        files = {folder / volume / name: text for volume, data in sources.items() for name, text in data.items()}
        return paths, files

    def write(self, files: Mapping[Path, str], replacements: Mapping[str, str]) -> None:
        """Exchange what is in volumes."""
        for volume in {path.parent for path in files}:
            texts = {path.name: text for path, text in files.items() if path.parent == volume}
            publish(volume, {name: self.translated(text, replacements) for name, text in texts.items()})

    def account(self, folder: Path, manifests: Sequence[Manifest]) -> dict[str, str]:
        """Write what a pod proves itself to the API server with, and return what stands for it and for its address."""
        if self.clients is None:
            pytest.fail("a pod wants to ask the API server, and there is none")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.clients.account(manifests).items():
            (folder / name).write_text(text)
        return {remote_write_clients.ACCOUNT_PATH: str(folder), **self.clients.environment}

    @contextmanager
    def run(
        self,
        manifests: Sequence[Manifest],
        *,
        ports: Mapping[str, int] | None = None,
    ) -> Iterator[Pod]:
        """Run the workload among the manifests until the end of the block, from when it is ready."""
        [workload] = [item for item in manifests if item["apiVersion"] == "apps/v1"]
        template = workload["spec"]["template"]
        container = template["spec"]["containers"][0]
        name, namespace = workload["metadata"]["name"], workload["metadata"]["namespace"]
        folder = self.folder / name
        paths, _files = self.mounted(folder, manifests, template)
        given = {port["name"]: port["containerPort"] for port in container["ports"]}
        ports = {port: (ports or {}).get(port) or free_port() for port in given}
        replacements = dict(paths)
        for port, number in given.items():
            replacements[f"0.0.0.0:{number}"] = f"127.0.0.1:{ports[port]}"
            replacements[f"bind :{number}"] = f"bind 127.0.0.1:{ports[port]}"
            self.addresses[f"{name}.{namespace}.svc:{number}"] = f"127.0.0.1:{ports[port]}"
            self.addresses[f"{name}.{namespace}.svc.cluster.local:{number}"] = f"127.0.0.1:{ports[port]}"
            self.addresses[f"dnssrv+_{port}._tcp.{name}-headless.{namespace}.svc"] = f"127.0.0.1:{ports[port]}"
        replacements["$(POD_NAME)"] = f"{name}-0"
        # Pods on loopback see each other's.
        replacements[haproxy_certificates.SOCKET] = f"{haproxy_certificates.SOCKET}-{min(ports.values())}"
        if template["spec"]["automountServiceAccountToken"]:
            replacements.update(self.account(folder / "account", manifests))

        def deliver(changed: Sequence[Manifest]) -> None:
            _ignored, files = self.mounted(folder, changed, template)
            self.write(files, replacements)

        deliver(manifests)
        arguments = [self.translated(argument, replacements) for argument in container.get("args", [])]
        command = [self.translated(argument, replacements) for argument in container.get("command", [])] or ["thanos"]
        probe = container["readinessProbe"]["httpGet"]
        url = f"http://127.0.0.1:{ports[probe['port']]}{probe['path']}"
        environment = {item["name"]: item["value"] for item in container.get("env", []) if "value" in item}
        pod = Pod(
            name, ports, [*program(command[0], folder), *command[1:], *arguments], folder, url, deliver, environment
        )
        try:
            pod.start()
            yield pod
        finally:
            pod.stop()
