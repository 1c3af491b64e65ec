# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the lab and the tests start on this machine, taken out of upstream's images where those are pulled."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lab import builds
from lab.engine import Docker
from lab.images import NODE_UPSTREAM, S3_UPSTREAM, ensure_pulled
from lab.progress import Progress
from plugins.module_utils._manifests import images as collection

# Program -> image that has it, and where
SOURCES = {
    "kubectl": (NODE_UPSTREAM, "/usr/bin/kubectl"),
    "kube-apiserver": ("registry.k8s.io/kube-apiserver:v1.36.3", "/usr/local/bin/kube-apiserver"),
    "etcd": ("registry.k8s.io/etcd:3.6.8-0", "/usr/local/bin/etcd"),
    "thanos": (collection.THANOS, "/bin/thanos"),
    "prometheus": (collection.PROMETHEUS, "/bin/prometheus"),
    "promtool": (collection.PROMETHEUS, "/bin/promtool"),
    "alertmanager": (collection.ALERTMANAGER, "/bin/alertmanager"),
    "amtool": (collection.ALERTMANAGER, "/bin/amtool"),
    "blackbox_exporter": (collection.BLACKBOX_EXPORTER, "/bin/blackbox_exporter"),
    "oauth2-proxy": (collection.OAUTH2_PROXY, "/bin/oauth2-proxy"),
    "versitygw": (S3_UPSTREAM, "/usr/local/bin/versitygw"),
}
# What the clusters need; the rest is for the integration tests
FOR_CLUSTERS = ("kubectl",)
# KinD has no image, so it is built, in a container where this machine has no Go
GO_IMAGE = "docker.io/library/golang:1.26.8"


def ensure(docker: Docker, progress: Progress, cache: Path, names: Iterable[str]) -> Path:
    """KinD and the named programs exist; gives the one directory that holds them."""
    go = builds.Go.of_host()
    if go is None:
        ensure_pulled(docker, progress, [GO_IMAGE])
        go = _go_in_container(docker)
    current = builds.ensure(progress, cache, ["kind"], go)
    for name in names:
        image, path = SOURCES[name]
        place = cache / "bin" / f"{name}-{hashlib.sha256(f'{image} {path}'.encode()).hexdigest()[:16]}" / name
        if not place.exists():
            ensure_pulled(docker, progress, [image])
            progress.expect(1)
            with progress.step(f"taking {name} from {image}"):
                _take(docker, image, path, place)
        builds.link(current / name, place)
    return current


def _go_in_container(docker: Docker) -> builds.Go:
    def command(folder: Path, output: Path) -> list[str]:
        caches = [f"--env={name}=/tmp/{name.lower()}" for name in ("HOME", "GOCACHE", "GOPATH")]
        volumes = [f"--volume={folder}:{folder}:ro", f"--volume={output}:{output}", f"--workdir={folder}"]
        user = f"--user={os.getuid()}:{os.getgid()}"
        environment = [f"--env={name}={value}" for name, value in builds.ENVIRONMENT.items()]
        return [*docker.command, "run", "--rm", user, *volumes, *caches, *environment, GO_IMAGE, "go"]

    return builds.Go("go" + GO_IMAGE.rpartition(":")[2], command)


def _take(docker: Docker, image: str, path: str, place: Path) -> None:
    """Through a folder beside it, then renamed: an interruption leaves nothing half."""
    place.parent.parent.mkdir(parents=True, exist_ok=True)
    container = docker.run("create", image, "none").strip()
    try:
        with tempfile.TemporaryDirectory(dir=place.parent.parent, prefix=".taking-") as directory:
            fresh = Path(directory) / "bin"
            fresh.mkdir()
            # The path may be a link in the image
            docker.run("cp", "--follow-link", f"{container}:{path}", str(fresh / place.name))
            fresh.rename(place.parent)
    finally:
        docker.run("rm", container)
