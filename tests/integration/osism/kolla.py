# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Prometheus in a container as kolla makes it, with its network, user, volume, basic auth and config.json."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import images
from tests.integration.processes import binary, free_port
from tests.integration.thanos.pods import wait_for

UID = 42472
USER = "thanos"
PASSWORD = "swordfish-and-chips"
# What kolla makes of the password, with the least rounds
_BCRYPT = "$2b$04$abcdefghijklmnopqrstuuNMPy5kbeZPJTpq.SLTdHr7cG9fSSH.6"
IMAGE = "scs-observability-tests/kolla-prometheus"
TSDB = "/var/lib/prometheus"
STARTED = 60.0
_DOCKERFILE = f"""\
FROM {images.PROMETHEUS}
COPY passwd /etc/passwd
COPY --chown={UID}:{UID} data {TSDB}
USER prometheus
"""


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        pytest.fail(f"docker {shlex.join(arguments)}: {done.stderr}")
    return done.stdout


def needs_engine() -> None:
    """Skip where there is no container engine, or not root, which owns the sidecar's files."""
    if os.geteuid() or not shutil.which("docker"):
        pytest.skip("needs root and a container engine")
    for image in (images.PROMETHEUS, images.THANOS):
        if not docker("image", "ls", "--quiet", image).strip():
            pytest.fail(f"the image {image} is missing: `make lab` has it")


def build_image(folder: Path) -> None:
    """Have an image in which Prometheus runs as kolla's user."""
    (folder / "data").mkdir()
    (folder / "passwd").write_text(f"root:x:0:0::/:/bin/sh\nprometheus:x:{UID}:{UID}::/:/bin/sh\n")
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    docker("build", "--quiet", "--tag", IMAGE, str(folder))


@dataclass
class KollaPrometheus:
    """One of them, with a name and a port of its own."""

    folder: Path
    name: str
    port: int
    volume: str
    labels: Mapping[str, str]
    flags: Sequence[str] = ("--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h")
    mounted: bool = True
    target: int = 0
    """The port of what it scrapes, itself unless given."""

    @property
    def configuration(self) -> Path:
        return self.folder / "kolla" / self.name

    def write(self) -> None:
        """What kolla has in /etc/kolla/prometheus-server."""
        self.configuration.mkdir(parents=True, exist_ok=True)
        scrape = {
            "job_name": "prometheus",
            "basic_auth": {"username": USER, "password": PASSWORD},
            "static_configs": [{"targets": [f"127.0.0.1:{self.target or self.port}"]}],
        }
        texts = {
            "prometheus.yml": yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "external_labels": dict(self.labels)},
                    "scrape_configs": [scrape],
                }
            ),
            "web.yml": yaml.safe_dump({"basic_auth_users": {USER: _BCRYPT}}),
            "config.json": json.dumps({"command": shlex.join(["/bin/prometheus", *self.arguments])}),
        }
        for name, text in texts.items():
            path = self.configuration / name
            path.write_text(text)
            path.chmod(0o644)

    @property
    def arguments(self) -> list[str]:
        place = "/var/lib/kolla/config_files"
        return [
            f"--config.file={place}/prometheus.yml",
            f"--web.config.file={place}/web.yml",
            "--web.listen-address",
            f"127.0.0.1:{self.port}",
            f"--web.external-url=http://10.0.0.1:{self.port}",
            f"--storage.tsdb.path={TSDB}",
            *self.flags,
        ]

    def deploy(self) -> None:
        """Have the container anew, as kolla does when its configuration changes."""
        self.remove()
        self.write()
        data = [f"--volume={self.volume}:{TSDB}"] if self.mounted else []
        docker(
            *("run", "--detach", f"--name={self.name}", "--network=host", *data),
            *(f"--volume={self.configuration}:/var/lib/kolla/config_files:ro", IMAGE, *self.arguments),
        )
        self.wait()

    def backfill(self) -> None:
        """Have a block that is complete, of samples of some hours ago."""
        hour = 3600
        start = int(time.time()) // (2 * hour) * 2 * hour - 6 * hour
        lines = [f"backfilled {number} {start + number * 60}" for number in range(10)]
        text = self.folder / "samples"
        text.write_text("\n".join(["# TYPE backfilled gauge", *lines, "# EOF", ""]))
        (volume,) = json.loads(docker("volume", "inspect", self.volume))
        blocks = self.folder / "blocks"
        command = [binary("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, blocks]
        subprocess.run(command, check=True, capture_output=True)
        for block in blocks.iterdir():
            place = Path(volume["Mountpoint"], block.name)
            shutil.copytree(block, place)
            for path in (place, *place.rglob("*")):
                os.chown(path, UID, UID)

    def restart(self) -> None:
        docker("restart", "--time=5", self.name)
        self.wait()

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=False)

    def wait(self) -> None:
        wait_for(self._is_ready, STARTED, f"{self.name} is ready")

    def _is_ready(self) -> bool:
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/-/ready", headers={"Authorization": f"Basic {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def snapshot(self) -> dict[str, Any]:
        """What must not change by what a sidecar does."""
        (found,) = json.loads(docker("container", "inspect", self.name))
        found["Mounts"].sort(key=lambda item: str(item["Destination"]))
        return {key: found[key] for key in ("Id", "State", "Config", "HostConfig", "Mounts", "RestartCount")}


@contextmanager
def kolla_prometheus(folder: Path, **settings: Any) -> Iterator[KollaPrometheus]:
    """Run one, which is gone afterwards with its volume."""
    port = free_port()
    name = f"scs-test-{os.getpid()}-{port}-prometheus"
    labels = {"layer": "iaas", "region": "RegionOne", "replica": "control-1"}
    made = KollaPrometheus(folder, name, port, f"{name}-data", **{"labels": labels, **settings})
    try:
        made.deploy()
        yield made
    finally:
        made.remove()
        docker("volume", "rm", "--force", made.volume, check=False)


def sidecar_inventory(
    prometheus: KollaPrometheus,
    folder: Path,
    python: str | Path,
    kubeconfig: str | Path,
    namespace: str,
    *,
    host: str = "control-1",
    **others: Any,
) -> Path:
    """An inventory for osism_sidecar.yml whose one host has this Prometheus; it is not read back from."""
    variables = {
        "become": False,
        "container": prometheus.name,
        "name": sidecar_of(prometheus),
        "directory": str(folder / "etc"),
        "grpc_address": "127.0.0.1",
        "http_port": free_port(),
        "prometheus_user": USER,
        "prometheus_password": PASSWORD,
        "region": "RegionOne",
        "observer_kubeconfig": str(kubeconfig),
        "observer_namespace": namespace,
        # There is no query that it could be read back from.
        "proof": False,
        **others,
    }
    connection = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    named = connection | {f"osism_thanos_sidecar_{name}": value for name, value in variables.items()}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"iaas": {"hosts": {host: named}}}))
    return inventory


def sidecar_of(prometheus: KollaPrometheus) -> str:
    """What its sidecar is called."""
    return f"{prometheus.name}-sidecar"
