# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container with Keystone and Swift, which kolla's blackbox exporter probes. They are empty at each start."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from lab import certificates, containers
from lab.certificates import Served
from lab.iaas.openstack_servers import KEYSTONE_PORT, START_SECONDS, SWIFT_PORT, answers
from lab.network import Network
from lab.state import Lab, LabError

if TYPE_CHECKING:
    from lab.engine import Docker

FOLDER = "/etc/scs-observability-lab"


def ensure(docker: Docker, lab: Lab, network: Network, image: str) -> None:
    """The container runs, with an authority that hosts can be told; its servers may take a while to answer."""
    container = containers.find(docker, lab.openstack).get(lab.openstack)
    address, now = network.openstack_address, datetime.now(UTC)
    served = _served(docker, lab) if container else None
    if served and not served.fits(address, now):
        served = None
    image_id = containers.image_id(docker, image)
    if container and not (
        served
        and container.image == image_id
        and (not container.running or container.addresses.get(network.name) == address)
    ):
        docker.run("rm", "--force", lab.openstack)
        container = None
    if container is None:
        docker.run(
            *("create", "--name", lab.openstack, "--label", lab.label),
            *("--network", network.name, "--ip", address, image, address, FOLDER),
        )
        # Hosts go on with the authority that they know
        served = served or certificates.serve(lab.openstack, address, now)
        containers.write_files(docker, lab.openstack, served.files(FOLDER))
    if container is None or not container.running:
        docker.run("start", lab.openstack)


def wait(docker: Docker, lab: Lab, network: Network) -> None:
    """Both answer over TLS."""
    trust = ssl.create_default_context(cadata=authority(docker, lab))
    base = f"https://{network.openstack_address}"
    for url in (f"{base}:{KEYSTONE_PORT}/v3", f"{base}:{SWIFT_PORT}/healthcheck"):
        if not containers.wait_for(partial(answers, url, trust), START_SECONDS):
            raise LabError(f"nothing answers at {url}; see `docker logs {lab.openstack}`")


def authority(docker: Docker, lab: Lab) -> str:
    """The certificate (PEM) of the authority that signed theirs."""
    ca = containers.read_file(docker, lab.openstack, f"{FOLDER}/ca.crt")
    if ca is None:
        raise LabError(f"there is no {lab.openstack}; `make lab IAAS=1` makes it")
    return ca


def _served(docker: Docker, lab: Lab) -> Served | None:
    names = ("ca.crt", "tls.crt", "tls.key")
    ca, certificate, key = (containers.read_file(docker, lab.openstack, f"{FOLDER}/{name}") for name in names)
    # None: created, but interrupted before it had its files
    return Served(ca, certificate, key) if ca and certificate and key else None
