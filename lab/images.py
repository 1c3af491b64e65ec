# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's container images: pulled where a registry answers, otherwise built here under the same references."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import builds, engine
from lab.engine import Docker
from lab.progress import Progress
from lab.state import LabError
from plugins.module_utils._manifests import images as collection

DOCKERFILES = Path(__file__).parent / "dockerfiles"
BASE = "scs-lab/base:trixie"
NODE = "scs-lab/node:v1.36.3"
BUSYBOX = "docker.io/scs-lab/busybox:1"
S3_UPSTREAM = "ghcr.io/versity/versitygw:v1.8.0"
# KinD 0.33's own default, see pkg/apis/config/defaults/image.go there
NODE_UPSTREAM = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
HAPROXY = collection.HAPROXY
BUILD_LABEL = "observability.scs.community/lab-build"
_PROBE = "registry.k8s.io/pause:3.10.2"
_PROBE_SECONDS = 20
_KUBERNETES = "v1.36.3"


@dataclass(frozen=True)
class Image:
    """reference <- the Dockerfile in dockerfiles/<folder>, with programs that lab.builds makes in its context."""

    reference: str
    folder: str
    programs: tuple[tuple[str, str], ...] = ()  # (tool, program)
    bases: tuple[str, ...] = ()  # images that the Dockerfile starts from
    contains: tuple[str, ...] = ()  # images that go into the context as images/*.tar
    arguments: Mapping[str, str] = field(default_factory=dict)


def _control_plane(program: str) -> Image:
    return Image(
        f"registry.k8s.io/{program}:{_KUBERNETES}",
        "control-plane",
        (("kubernetes", program),),
        arguments={"PROGRAM": program},
    )


# What a node holds from the start, under the names that `kubeadm config images list` prints
NODE_CONTENT = (
    *(_control_plane(name) for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")),
    Image(f"registry.k8s.io/kube-proxy:{_KUBERNETES}", "kube-proxy", (("kubernetes", "kube-proxy"),), (BASE,)),
    Image("registry.k8s.io/coredns/coredns:v1.14.2", "coredns", (("coredns", "coredns"),), (BASE,)),
    Image("registry.k8s.io/etcd:3.6.8-0", "etcd", (("etcd", "etcd"),)),
    Image("registry.k8s.io/pause:3.10.2", "pause", (("pause", "pause"),)),
    Image(
        "docker.io/scs-lab/local-path-provisioner:v0.0.30",
        "local-path-provisioner",
        (("local_path_provisioner", "local-path-provisioner"),),
    ),
    Image(BUSYBOX, "busybox", bases=(BASE,)),
)
NODE_IMAGE = Image(
    NODE,
    "node",
    (
        *(("kubernetes", name) for name in ("kubeadm", "kubelet", "kubectl")),
        *(("containerd", name) for name in ("containerd", "containerd-shim-runc-v2", "ctr")),
    ),
    (BASE,),
    tuple(image.reference for image in NODE_CONTENT),
)
# What the collection deploys
CLUSTER_IMAGES = (
    Image(collection.THANOS, "thanos", (("thanos", "thanos"),), (BASE, BUSYBOX)),
    Image(collection.PROMETHEUS, "prometheus", (("prometheus", "prometheus"), ("prometheus", "promtool")), (BASE,)),
    Image(collection.KUBE_STATE_METRICS, "kube-state-metrics", (("kube_state_metrics", "kube-state-metrics"),)),
    Image(collection.NODE_EXPORTER, "node-exporter", (("node_exporter", "node_exporter"),)),
    Image(HAPROXY, "haproxy", bases=(BASE,)),
    Image(
        collection.PROMETHEUS_OPERATOR,
        "prometheus-operator",
        (("prometheus_operator", "prometheus-operator"),),
        (BASE,),
    ),
    Image(
        collection.PROMETHEUS_CONFIG_RELOADER,
        "prometheus-config-reloader",
        (("prometheus_operator", "prometheus-config-reloader"),),
        (BASE,),
    ),
    Image(
        collection.ALERTMANAGER,
        "alertmanager",
        (("alertmanager", "alertmanager"), ("alertmanager", "amtool")),
        (BASE,),
    ),
    Image(
        collection.BLACKBOX_EXPORTER,
        "blackbox-exporter",
        (("blackbox_exporter", "blackbox_exporter"),),
        (BASE,),
    ),
    Image(collection.OAUTH2_PROXY, "oauth2-proxy", (("oauth2_proxy", "oauth2-proxy"),), (BASE,)),
)
# Can only be pulled: neither a Go module nor a Debian package has what is in it
PULLED_ONLY = (collection.GRAFANA,)
S3 = Image(S3_UPSTREAM, "versitygw", (("versitygw", "versitygw"),), (BASE,))
REGISTRY = Image("scs-lab/registry:3.1.2", "registry", (("registry", "registry"),))
# In the order of building: an image comes after what it contains
ALL = (*NODE_CONTENT, NODE_IMAGE, *CLUSTER_IMAGES, S3, REGISTRY)


@dataclass(frozen=True)
class Images:
    node: str
    s3: str
    registry: str
    cluster: tuple[str, ...]
    mirrored: bool  # built here: clusters need a mirror registry to pull them from

    def kind_config(self) -> dict[str, Any]:
        """What the node image asks of KinD."""
        return kind_config() if self.mirrored else {}


def kind_config() -> dict[str, Any]:
    """KinD configuration that the built node image needs; {} fits upstream's."""
    config: dict[str, Any] = yaml.safe_load((DOCKERFILES / "node" / "kind.yaml").read_text())
    return config


def ensure(docker: Docker, progress: Progress, cache: Path, *, pull: bool) -> Images:
    """Every image that this machine starts exists in the engine; what the clusters run, they pull themselves."""
    cluster = tuple(image.reference for image in CLUSTER_IMAGES)
    if pull:
        ensure_pulled(docker, progress, [NODE_UPSTREAM, S3_UPSTREAM])
        return Images(NODE_UPSTREAM, S3_UPSTREAM, "", cluster, mirrored=False)
    build(docker, progress, ALL, builds.ensure(progress, cache))
    return Images(NODE, S3.reference, REGISTRY.reference, cluster, mirrored=True)


def ensure_pulled(docker: Docker, progress: Progress, references: Iterable[str]) -> None:
    missing = [reference for reference in references if label(docker, reference) is None]
    progress.expect(len(missing))
    for reference in missing:
        with progress.step(f"pulling {reference}") as log:
            docker.run("pull", reference, log=log)


def are_pulled(docker: Docker, progress: Progress) -> bool:
    """Whether upstream's images are used. LAB_IMAGES=pull or build decides; otherwise what was done before on this
    machine, and the first time whether a registry answers."""
    choice = os.environ.get("LAB_IMAGES", "")
    if choice not in ("", "pull", "build"):
        raise LabError(f"LAB_IMAGES: {choice!r} is neither pull nor build")
    if choice:
        return choice == "pull"
    if label(docker, NODE) is not None:
        return False
    if label(docker, NODE_UPSTREAM) is not None:
        return True
    try:
        result = subprocess.run(
            [*docker.command, "pull", "--quiet", _PROBE],
            env=dict(docker.env),
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
        answers = result.returncode == 0
    except subprocess.TimeoutExpired:
        answers = False
    progress.say(
        "A container registry answers: pulling upstream images."
        if answers
        else "No container registry answers: building every image here (about half an hour the first time)."
    )
    return answers


def build(docker: Docker, progress: Progress, wanted: Sequence[Image], binaries: Path) -> None:
    """Those of the images, in the order of building, that are not there as they would be built now."""
    keys = {BASE: base_key()}
    for image in wanted:
        keys[image.reference] = _key(image, binaries, keys)
    missing = [image for image in wanted if label(docker, image.reference) != keys[image.reference]]
    base_needed = any(BASE in image.bases for image in missing) and label(docker, BASE) != keys[BASE]
    if base_needed:
        engine.install_packages(progress, "debootstrap")
    progress.expect(len(missing) + base_needed)
    if base_needed:
        _build_base(docker, progress, keys[BASE])
    for image in missing:
        _build(docker, progress, image, binaries, keys[image.reference])


def base_key() -> str:
    return hashlib.sha256(repr(BASE_OPTIONS).encode()).hexdigest()[:16]


BASE_OPTIONS = ("--variant=minbase", "--include=ca-certificates", "trixie")


def _key(image: Image, binaries: Path, keys: Mapping[str, str]) -> str:
    """What an image is made of: its folder, the builds of its programs, the images below and in it."""
    digest = hashlib.sha256(repr((image.reference, sorted(image.arguments.items()))).encode())
    for path in sorted((DOCKERFILES / image.folder).rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    for _tool, program in image.programs:
        digest.update((binaries / program).resolve().parent.name.encode())
    for other in (*image.bases, *image.contains):
        digest.update(keys[other].encode())
    return digest.hexdigest()[:16]


def label(docker: Docker, reference: str) -> str | None:
    """The key that an image was built with, "" for one that was pulled, None when there is no such image."""
    answer = docker.run(
        "image", "inspect", "--format", f'=[{{{{index .Config.Labels "{BUILD_LABEL}"}}}}]', reference, check=False
    ).strip()
    return answer[2:-1] if answer.startswith("=[") else None


def _build(docker: Docker, progress: Progress, image: Image, binaries: Path, key: str) -> None:
    with (
        progress.step(f"building image {image.reference}") as log,
        tempfile.TemporaryDirectory(prefix="scs-observability-lab-") as directory,
    ):
        context = Path(directory)
        shutil.copytree(DOCKERFILES / image.folder, context, dirs_exist_ok=True)
        for _tool, program in image.programs:
            shutil.copy2((binaries / program).resolve(), context / program)
        if image.contains:
            (context / "images").mkdir()
            # One archive: layers that images share are in it once
            docker.run("save", "--output", str(context / "images" / "node.tar"), *image.contains)
        arguments = [f"--build-arg={name}={value}" for name, value in image.arguments.items()]
        log.unlink(missing_ok=True)
        docker.run(
            *(
                "build",
                "--force-rm",
                "--tag",
                image.reference,
                "--label",
                f"{BUILD_LABEL}={key}",
                *arguments,
                str(context),
            ),
            log=log,
        )


def _build_base(docker: Docker, progress: Progress, key: str) -> None:
    mirror = debian_mirror(_apt_sources())
    with (
        progress.step(f"building image {BASE}") as log,
        tempfile.TemporaryDirectory(prefix="scs-observability-lab-") as directory,
        log.open("w") as file,
    ):
        root = Path(directory) / "root"
        result = subprocess.run(
            ["debootstrap", *BASE_OPTIONS, str(root), mirror], stdout=file, stderr=subprocess.STDOUT, check=False
        )
        if result.returncode != 0:
            raise LabError(f"debootstrap failed; see {log}")
        for path in (
            "var/cache/apt/archives",
            "var/lib/apt/lists",
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
        ):
            shutil.rmtree(root / path, ignore_errors=True)
            (root / path).mkdir(parents=True)
        (root / "var/cache/apt/archives/partial").mkdir()
        file.flush()
        tar = subprocess.Popen(["tar", "--numeric-owner", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        imported = subprocess.run(
            [*docker.command, "import", "--change", f"LABEL {BUILD_LABEL}={key}", "-", BASE],
            stdin=tar.stdout,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(docker.env),
            check=False,
        )
        if tar.wait() != 0 or imported.returncode != 0:
            raise LabError(f"the base image could not be imported; see {log}")


def _apt_sources() -> Iterator[str]:
    folder = Path("/etc/apt")
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))):
        if path.is_file():
            yield path.read_text()


def debian_mirror(sources: Iterable[str]) -> str:
    """The first Debian archive that the host's own package manager uses, from one-line and deb822 sources."""
    for text in sources:
        for line in text.splitlines():
            match = re.match(r"(?:deb\s+(?:\[.*?\]\s+)?|URIs:\s*)(https?://\S+)", line.strip())
            if match and match[1].rstrip("/").endswith("/debian"):
                return match[1]
    raise LabError(
        "no Debian mirror in this host's apt sources: images can only be built on Debian; use LAB_IMAGES=pull"
    )
