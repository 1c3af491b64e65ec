# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the IaaS layer: the hosts', and those that kolla-ansible deploys on them, made by kolla-build."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path

from lab import builds, images
from lab.engine import Docker
from lab.iaas import openstack_servers
from lab.iaas.kolla import Kolla
from lab.images import BASE, BUILD_LABEL, DOCKERFILES, Image
from lab.progress import Progress
from lab.python_environments import packages
from lab.state import CHECKOUT, LabError

HOST = Image("scs-lab/iaas-host:trixie", "iaas/host", bases=(BASE,))
PROGRAMS = Image("scs-lab/iaas-programs:trixie", "iaas/programs", bases=(BASE,))
OPENSTACK = Image("scs-lab/openstack:trixie", "iaas/openstack", bases=(BASE,))
_SERVERS = Path(openstack_servers.__file__)
_OPENSTACK_LOCK = CHECKOUT / "requirements" / "openstack.txt"
_DEBIAN_PYTHON = "3.13"
BASE_FOLDER = DOCKERFILES / "iaas" / "base"
BASE_UPSTREAM = "docker.io/library/debian:trixie-slim"
# Beside the server: image -> its program, built by the lab or from Debian's package
EXPORTERS = {
    "prometheus-node-exporter": "node_exporter",
    "prometheus-blackbox-exporter": "blackbox_exporter",
}
PACKAGED_EXPORTERS = {"prometheus-mysqld-exporter": "mysqld_exporter"}


def ensure_host(docker: Docker, progress: Progress, cache: Path, *, pull: bool) -> str:
    """The hosts' image exists."""
    if pull:
        images.ensure_pulled(docker, progress, [BASE_UPSTREAM])
        # Under the key that the base has where it is built, so that it counts as that
        label = f"{BUILD_LABEL}={images.base_key()}"
        docker.run("build", "--tag", BASE, "--label", label, "-", input=f"FROM {BASE_UPSTREAM}\n")
    images.build(docker, progress, [HOST], cache / "bin" / "current")
    return HOST.reference


def ensure_openstack(docker: Docker, progress: Progress) -> None:
    """The image of Keystone and Swift exists; the base does already. Their packages are resolved on this machine."""
    digest = hashlib.sha256(images.base_key().encode())
    for path in (DOCKERFILES / OPENSTACK.folder / "Dockerfile", _SERVERS, _OPENSTACK_LOCK):
        digest.update(path.read_bytes())
    key = digest.hexdigest()[:16]
    if images.label(docker, OPENSTACK.reference) == key:
        return
    progress.expect(1)
    with (
        progress.step(f"building image {OPENSTACK.reference}") as log,
        tempfile.TemporaryDirectory(prefix="scs-observability-lab-") as directory,
    ):
        context = Path(directory)
        shutil.copytree(DOCKERFILES / OPENSTACK.folder, context, dirs_exist_ok=True)
        shutil.copy2(_SERVERS, context)
        packages(context / "packages", _OPENSTACK_LOCK, _DEBIAN_PYTHON)
        command = ("build", "--force-rm", "--tag", OPENSTACK.reference, "--label", f"{BUILD_LABEL}={key}")
        docker.run(*command, directory, log=log)


def ensure_kolla(docker: Docker, progress: Progress, binaries: Path, kolla: Kolla) -> list[str]:
    """Every image that this release deploys exists in the engine; gives their references."""
    names = [kolla.release.server_image, *EXPORTERS, *PACKAGED_EXPORTERS]
    references = [kolla.release.image(name) for name in names]
    base, middle = (kolla.release.image(name) for name in ("base", "prometheus-base"))
    key = _key(kolla, binaries)
    # What kolla-build makes inherits the base's label
    if all(images.label(docker, reference) == key for reference in references):
        return references
    images.build(docker, progress, [PROGRAMS], binaries)
    progress.expect(1)
    with (
        progress.step(f"building kolla's images of {kolla.release.version}") as log,
        tempfile.TemporaryDirectory(prefix="scs-observability-lab-") as directory,
    ):
        place = Path(directory)
        # It skips what is there already
        docker.run("rmi", "--force", *references, middle, base, check=False)
        context = place / "base"
        shutil.copytree(BASE_FOLDER, context)
        shutil.copytree(kolla.share / "kolla" / "docker" / "base", context / "kolla")
        docker.run("build", "--force-rm", "--tag", base, "--label", f"{BUILD_LABEL}={key}", str(context), log=log)
        settings = place / "kolla-build.conf"
        with settings.open("w") as file:
            _settings(kolla, place, _sources(docker, kolla, binaries, place / "sources")).write(file)
        kolla.run(log, "kolla-build", "--config-file", str(settings), *(f"^{name}$" for name in names))
    if lacking := [reference for reference in references if images.label(docker, reference) != key]:
        raise LabError(f"kolla-build did not make {', '.join(lacking)}; see {log}")
    return references


def _key(kolla: Kolla, binaries: Path) -> str:
    """What the images are made of: kolla itself, the programs, the base and what is added to it."""
    digest = hashlib.sha256(kolla.release.lock.read_bytes() + Path(__file__).read_bytes())
    for folder in (BASE_FOLDER, DOCKERFILES / PROGRAMS.folder):
        for path in sorted(folder.iterdir()):
            digest.update(path.read_bytes())
    for program in ("prometheus", "node_exporter", "blackbox_exporter"):
        digest.update((binaries / program).resolve().parent.name.encode())
    digest.update(images.base_key().encode())
    return digest.hexdigest()[:16]


def _sources(docker: Docker, kolla: Kolla, binaries: Path, place: Path) -> dict[str, Path]:
    """Image -> folder with its programs, laid out as in upstream's archives."""
    container = docker.run("create", PROGRAMS.reference, "none").strip()
    try:
        docker.run("cp", f"{container}:/programs", str(place))
    finally:
        docker.run("rm", container)
    if kolla.release.prometheus != "debian":
        for program in builds.TOOLS["prometheus"].packages:
            shutil.copy2((binaries / program).resolve(), place / "prometheus" / program)
    for program in EXPORTERS.values():
        (place / program).mkdir()
        shutil.copy2((binaries / program).resolve(), place / program / program)
    folders = {name: place / program for name, program in {**EXPORTERS, **PACKAGED_EXPORTERS}.items()}
    return {kolla.release.server_image: place / "prometheus", **folders}


def _settings(kolla: Kolla, place: Path, sources: Mapping[str, Path]) -> ConfigParser:
    """kolla-build's configuration: the names that kolla-ansible asks for, from these folders."""
    registry, namespace, image = kolla.release.image("base").split("/")
    settings = ConfigParser(interpolation=None)
    settings["DEFAULT"] = {
        "base": "debian",
        "registry": registry,
        "namespace": namespace,
        "tag": image.partition(":")[2],
        "skip_existing": "true",
        "pull": "false",
        "work_dir": str(place / "work"),
        "locals_base": str(place),
        "threads": "2",
    }
    (place / "work").mkdir()
    for name, folder in sources.items():
        settings[name] = {"type": "local", "location": str(folder)}
    return settings
