# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IaaS hosts: containers with systemd and an engine of their own, on which kolla-ansible deploys its monitoring."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from lab import builds, containers, engine
from lab.containers import Container
from lab.iaas import openstack
from lab.iaas.configuration import PROMETHEUS_PORT, configuration_of, globals_of, inventory, kolla_inventory, region_of
from lab.iaas.kolla import RELEASES, TAG, Kolla, Release
from lab.network import Network
from lab.state import Lab, LabError, write_atomically
from plugins.module_utils._manifests.images import THANOS

if TYPE_CHECKING:
    from lab.engine import Docker

# What a host is of, as soon as kolla-ansible has begun on it
MARKER = "/etc/scs-observability-lab.json"
# Beside `environments/`, where an operator has encrypted something there
VAULT_PASSWORD = "vault-password"
_ENGINE_SECONDS = 120.0
_READY_SECONDS = 120.0
_RETURN_SECONDS = 60.0


@dataclass(frozen=True)
class Marker:
    """What a host was made with; kolla's passwords outlive the checkout that made it."""

    release: str
    secrets: str

    @classmethod
    def parse(cls, text: str | None) -> Marker | None:
        try:
            content = json.loads(text or "")
            return cls(RELEASES[content["release"]].name, str(content["secrets"]))
        except (ValueError, KeyError, TypeError):
            return None


def rebuild_reason(name: str, container: Container, marker: Marker | None, network: Network, image_id: str) -> str:
    """Why a host must be made anew; empty when it can stay."""
    if marker and marker.release != name:
        return f"it was upgraded to {RELEASES[marker.release].version}"
    if container.running and container.addresses.get(network.name) != address_of(name, network):
        return "its address changed"
    if container.image != image_id:
        return "its image changed"
    return ""


def address_of(name: str, network: Network) -> str:
    return str(network.subnet[RELEASES[name].host_number])


def find(docker: Docker, lab: Lab) -> list[str]:
    """Releases whose hosts exist, half-made ones included."""
    there = set(containers.names_with_label(docker, lab.label))
    return [name for name in RELEASES if lab.iaas_host(name) in there]


@dataclass(frozen=True)
class Hosts:
    """Works on the IaaS hosts of one lab."""

    docker: Docker
    lab: Lab
    network: Network
    say: Callable[[str], None]

    def ensure(self, kolla: Kolla, image: str, images: Sequence[str], log: Path) -> None:
        """The host of this release runs, and kolla's Prometheus on it is ready."""
        name = kolla.release.name
        host = self.lab.iaas_host(name)
        container = containers.find(self.docker, host).get(host)
        marker = Marker.parse(containers.read_file(self.docker, host, MARKER)) if container else None
        image_id = containers.image_id(self.docker, image)
        if container and (reason := rebuild_reason(name, container, marker, self.network, image_id)):
            self.say(f"{host} is made anew: {reason}")
            self.remove(name)
            container = None
            marker = None
        if container is None:
            self._create(name, image)
        if container is None or not container.running:
            self._start(host)
        self._wait_for_engine(host)
        changed = self._write_configuration(kolla, marker.secrets if marker else None, log)
        if marker and not changed and self._is_ready(name, _RETURN_SECONDS):
            return
        self._load(host, images, log)
        self._make_exporters_user(name)
        self._mark(kolla.release, name)
        self._run(kolla, "deploy", name, log)

    def remove(self, name: str) -> None:
        host = self.lab.iaas_host(name)
        self.docker.run("rm", "--force", "--volumes", host)
        self.docker.run("volume", "rm", "--force", host)
        self.lab.iaas_secrets(name).unlink(missing_ok=True)

    def run_kolla(self, kolla: Kolla, action: str, name: str, images: Sequence[str], log: Path) -> None:
        """An action of kolla-ansible's on one host, and its Prometheus is ready after it.

        kolla: may be of another release than the host, which is made anew by the next `ensure` then
        """
        self._load(self.lab.iaas_host(name), images, log)
        make_passwords(kolla, self.lab.iaas_secrets(name), log)
        self._write_globals(kolla, name)
        # Before it: one that fails half-way leaves a host of neither release
        self._mark(kolla.release, name)
        self._run(kolla, action, name, log)

    def _run(self, kolla: Kolla, action: str, name: str, log: Path) -> None:
        kolla_ansible(kolla, self.lab, action, name, log)
        # It says that all is well also when its Prometheus does not even start
        if not self._is_ready(name, _READY_SECONDS):
            host = self.lab.iaas_host(name)
            raise LabError(
                f"kolla's Prometheus on {host} is not ready after {_READY_SECONDS:.0f} s; "
                f"see `docker exec {host} docker logs prometheus_server`"
            )

    def _is_ready(self, name: str, seconds: float) -> bool:
        address = address_of(name, self.network)
        return bool(containers.wait_for(lambda: ready(self.lab, name, address), seconds))

    def _mark(self, release: Release, name: str) -> None:
        marker = Marker(release.name, self.lab.iaas_secrets(name).read_text())
        text = json.dumps(asdict(marker)) + "\n"
        containers.write_files(self.docker, self.lab.iaas_host(name), {MARKER: text}, mode=0o600)

    def _create(self, name: str, image: str) -> None:
        host = self.lab.iaas_host(name)
        self.docker.run("volume", "create", "--label", self.lab.label, host)
        self.docker.run(
            *("create", "--name", host, "--hostname", host, "--label", self.lab.label),
            *("--network", self.network.name, "--ip", address_of(name, self.network)),
            *("--privileged", "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/tmp"),
            *("--volume", f"{host}:/var/lib/docker", image),
        )

    def _start(self, host: str) -> None:
        shim = engine.shim_needed()
        configuration = json.dumps(engine.daemon_configuration(shim), indent=2) + "\n"
        containers.write_files(self.docker, host, {str(engine.CONFIGURATION): configuration})
        if shim:
            content = engine.SHIM_SOURCE.read_text()
            containers.write_files(self.docker, host, {str(engine.SHIM): content}, mode=0o755)
        self.docker.run("start", host)

    def _wait_for_engine(self, host: str) -> None:
        command = ("exec", host, "docker", "info", "--format", "{{.ServerVersion}}")
        if not containers.wait_for(lambda: self.docker.run(*command, check=False).strip(), _ENGINE_SECONDS):
            raise LabError(f"the engine of {host} does not answer; see `docker exec {host} journalctl -u docker`")

    def _load(self, host: str, images: Sequence[str], log: Path) -> None:
        """The images are in the host's engine; what it has already is left out."""
        listed = self.docker.run("exec", host, "docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        missing = [image for image in images if image not in listed]
        if not missing:
            return
        with (
            log.open("a") as file,
            subprocess.Popen(
                [*self.docker.command, "save", *missing], stdout=subprocess.PIPE, stderr=file, env=dict(self.docker.env)
            ) as saving,
        ):
            loaded = subprocess.run(
                [*self.docker.command, "exec", "-i", host, "docker", "load"],
                stdin=saving.stdout,
                stdout=file,
                stderr=file,
                env=dict(self.docker.env),
                check=False,
            )
        if saving.returncode != 0 or loaded.returncode != 0:
            raise LabError(f"{host} did not get its images; see {log}")

    def _make_exporters_user(self, name: str) -> None:
        """MariaDB's, which kolla makes where it has deployed the database itself."""
        host = self.lab.iaas_host(name)
        secrets = yaml.safe_load(self.lab.iaas_secrets(name).read_text())
        password = secrets["prometheus_mysql_exporter_database_password"]
        self.docker.run("exec", host, "systemctl", "start", "mariadb.service")
        statements = (
            f"CREATE OR REPLACE USER 'prometheus'@'%' IDENTIFIED BY '{password}';\n"
            "GRANT PROCESS, SLAVE MONITOR, SELECT ON *.* TO 'prometheus'@'%';\n"
        )
        self.docker.run("exec", "--interactive", host, "mariadb", input=statements)

    def _write_configuration(self, kolla: Kolla, secrets: str | None, log: Path) -> bool:
        """What kolla-ansible reads, and whether it is another than before; the operator's files stay as they are."""
        name = kolla.release.name
        place = self.lab.iaas_secrets(name)
        self.lab.iaas_overlays(name).mkdir(parents=True, exist_ok=True)
        configuration = place.with_name("configuration.yml")
        if not configuration.exists():
            write_atomically(configuration, _yaml(configuration_of(region_of(kolla.release))))
        if secrets is not None:
            write_atomically(place, secrets, 0o600)
        make_passwords(kolla, place, log)
        return self._write_globals(kolla, name)

    def _write_globals(self, kolla: Kolla, name: str) -> bool:
        host = self.lab.iaas_host(name)
        limit = self.docker.run("exec", host, "sh", "-c", "ulimit -Hn").strip()
        open_files = int(limit) if limit.isdecimal() else 2**31
        overlays = str(self.lab.iaas_overlays(name))
        values = globals_of(address_of(name, self.network), self.network.openstack_address, overlays, open_files)
        place = self.lab.iaas_directory(name) / "kolla"
        ca = openstack.authority(self.docker, self.lab)
        written = [
            write_atomically(place / "globals.yml", _yaml(values)),
            write_atomically(place / "certificates" / "ca" / "openstack.crt", ca),
        ]
        # It reads them from there whatever it is told
        builds.link(place / "passwords.yml", self.lab.iaas_secrets(name))
        all_in_one = kolla.share / "kolla-ansible" / "ansible" / "inventory" / "all-in-one"
        write_atomically(place / "inventory", kolla_inventory(all_in_one.read_text(), host))
        return any(written)


def make_passwords(kolla: Kolla, place: Path, log: Path) -> None:
    """Every password that this release wants is in the file; those that are there stay."""
    names = (kolla.share / "kolla-ansible" / "etc_examples" / "kolla" / "passwords.yml").read_text()
    known = yaml.safe_load(place.read_text()) if place.exists() else {}
    if set(yaml.safe_load(names)) <= set(known):
        return
    fresh = place.with_name(".passwords.yml")
    write_atomically(fresh, names, 0o600)
    kolla.run(log, "kolla-genpwd", "--passwords", str(fresh))
    if known:
        kolla.run(log, "kolla-mergepwd", "--old", str(place), "--new", str(fresh), "--final", str(fresh))
    fresh.chmod(0o600)
    fresh.replace(place)


def kolla_ansible(kolla: Kolla, lab: Lab, action: str, name: str, log: Path) -> None:
    """One run of it, with the variables that OSISM would give it, and the password of its vault if there is one."""
    repository = lab.iaas_directory(name)
    place = repository / "kolla"
    variables = [
        path
        for folder in ("environments", "environments/kolla")
        for path in (repository / folder / "configuration.yml", repository / folder / "secrets.yml")
        if path.exists()
    ]
    vault = repository / VAULT_PASSWORD
    kolla.run(
        log,
        "kolla-ansible",
        action,
        *("--inventory", str(place / "inventory"), "--configdir", str(place)),
        *("--tags", TAG, *(f"--extra-vars=@{path}" for path in variables)),
        *(["--vault-password-file", str(vault)] if vault.exists() else []),
    )


def ready(lab: Lab, name: str, address: str) -> bool:
    """Whether kolla's Prometheus on the host answers that it is ready."""
    try:
        password = yaml.safe_load(lab.iaas_secrets(name).read_text())["prometheus_password"]
    except (OSError, KeyError, TypeError):
        return False
    credentials = base64.b64encode(f"admin:{password}".encode()).decode()
    request = urllib.request.Request(
        f"http://{address}:{PROMETHEUS_PORT}/-/ready", headers={"Authorization": f"Basic {credentials}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except OSError:
        return False


def write_inventory(lab: Lab, network: Network, names: Iterable[str]) -> None:
    """`.lab/iaas.yml`, readable by its owner only: kolla's password is in it."""
    known = list(names)
    hosts = [(RELEASES[name], lab.iaas_host(name), address_of(name, network)) for name in known]
    secrets = {lab.iaas_host(name): yaml.safe_load(lab.iaas_secrets(name).read_text()) for name in known}
    write_atomically(lab.iaas_inventory, _yaml(inventory(hosts, secrets)), 0o600)


def images_for_hosts(images: Sequence[str]) -> list[str]:
    """kolla's, and the sidecar's."""
    return [*images, THANOS]


def _yaml(content: object) -> str:
    return "---\n" + yaml.safe_dump(content, sort_keys=False)
