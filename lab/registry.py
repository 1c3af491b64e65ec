# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror registry on the lab's network: the clusters pull every image under its upstream name.

Needed only where the images were built here. An image lies under its upstream repository path; containerd in the
nodes finds the mirror through one hosts.toml per upstream registry, which is also how an air-gapped site does it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import containers
from lab.containers import Container
from lab.network import Network
from lab.state import Lab, LabError

if TYPE_CHECKING:
    from lab.engine import Docker

PORT = 5000
CERTS_DIRECTORY = "/etc/containerd/certs.d"
_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
)
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Reference:
    """host/repository:tag, as upstream publishes it."""

    host: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        host, _, path = text.partition("/")
        repository, _, tag = path.rpartition(":")
        if "." not in host or not repository or not tag or "@" in text:
            raise LabError(f"image {text}: expected host/repository:tag")
        return cls(host, repository, tag)


def mirrored_paths(references: Iterable[str]) -> dict[str, str]:
    """repository:tag in the mirror -> upstream reference. Two registries' images of one path cannot share a mirror."""
    paths: dict[str, str] = {}
    for text in references:
        reference = Reference.parse(text)
        path = f"{reference.repository}:{reference.tag}"
        if paths.setdefault(path, text) != text:
            raise LabError(f"images {paths[path]} and {text} would have the same path in the mirror registry")
    return paths


def hosts_toml(host: str, mirror: str) -> str:
    """containerd's configuration for one upstream registry: the mirror, and only it.

    Without `server` containerd would go on to the upstream, and a missing image would show as a long time-out.
    """
    return (
        f"# Images of {host} come from the lab's registry\n"
        f'server = "{mirror}"\n\n[host."{mirror}"]\n  capabilities = ["pull", "resolve"]\n'
    )


def hosts_files(references: Iterable[str], mirror: str) -> dict[str, str]:
    """Path in a node -> content, one hosts.toml per upstream registry."""
    hosts = sorted({Reference.parse(reference).host for reference in references})
    return {f"{CERTS_DIRECTORY}/{host}/hosts.toml": hosts_toml(host, mirror) for host in hosts}


def mirror_url(network: Network) -> str:
    return f"http://{network.registry_address}:{PORT}"


def ensure(docker: Docker, lab: Lab, network: Network, image: str) -> str:
    """The registry runs and answers; gives its address on this host's loopback, where the engine pushes without TLS."""
    container = containers.find(docker, lab.registry).get(lab.registry)
    image_id = containers.image_id(docker, image)
    if container and (container.image != image_id or not _has_address(container, network)):
        docker.run("rm", "--force", lab.registry)
        container = None
    if container is None:
        docker.run(
            *("create", "--name", lab.registry, "--label", lab.label),
            *("--network", network.name, "--ip", network.registry_address, "--publish", f"127.0.0.1::{PORT}"),
            *("--volume", f"{_volume(docker, lab)}:/var/lib/registry", "--env", "OTEL_TRACES_EXPORTER=none", image),
        )
    if container is None or not container.running:
        docker.run("start", lab.registry)
    found = containers.wait_for(lambda: _answering(docker, lab), _START_SECONDS)
    if found is None:
        raise LabError(f"the registry does not answer; see `docker logs {lab.registry}`")
    return found


def _has_address(container: Container, network: Network) -> bool:
    return not container.running or container.addresses.get(network.name) == network.registry_address


def _volume(docker: Docker, lab: Lab) -> str:
    return docker.run("volume", "create", "--label", lab.label, lab.registry).strip()


def _answering(docker: Docker, lab: Lab) -> str | None:
    container = containers.find(docker, lab.registry).get(lab.registry)
    if container is None or PORT not in container.ports:
        return None
    address = f"127.0.0.1:{container.ports[PORT]}"
    try:
        with urllib.request.urlopen(f"http://{address}/v2/", timeout=5):
            return address
    except OSError:
        return None


def push(docker: Docker, address: str, references: Iterable[str]) -> int:
    """Bring the images that the registry lacks, or has in another version, into it; gives their number."""
    paths = mirrored_paths(references)
    missing = [(path, text) for path, text in paths.items() if not _holds(docker, address, path, text)]

    def bring(item: tuple[str, str]) -> None:
        path, text = item
        target = f"{address}/{path}"
        docker.run("tag", text, target)
        try:
            docker.run("push", "--quiet", target)
        finally:
            docker.run("rmi", target)  # only the name: the image keeps its own

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(bring, missing))
    return len(missing)


def _holds(docker: Docker, address: str, path: str, text: str) -> bool:
    """Whether the registry serves exactly the engine's image under this path."""
    image_id = containers.image_id(docker, text)
    repository, _, tag = path.rpartition(":")
    url = f"http://{address}/v2/{repository}/manifests/{tag}"
    request = urllib.request.Request(url, headers={"Accept": _MANIFESTS})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            manifest = json.load(response)
            # an image's id is its configuration's digest, or with containerd's image store its manifest's
            return image_id in (manifest.get("config", {}).get("digest"), response.headers.get("Docker-Content-Digest"))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise LabError(f"the registry answers {error.code} for {path}") from error
