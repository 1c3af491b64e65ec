# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's S3 server: versitygw with its own authority, on a fixed address that host and pods share.

Credentials and certificates belong to the server and lie in its container; the files in the state directory are
copies of them. So a checkout that finds a running server takes over what the server has.
"""

from __future__ import annotations

import http.client
import secrets
import ssl
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import yaml

from lab import certificates, containers
from lab.certificates import Served
from lab.containers import Container
from lab.network import Network
from lab.state import Lab, LabError, write_atomically

if TYPE_CHECKING:
    from lab.engine import Docker

PORT = 7070
DIRECTORY = "/etc/versitygw"
DATA = "/data"
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Identity(Served):
    """What clients must know (access_key, secret_key, ca: PEM) and the server's own certificate and key (PEM)."""

    access_key: str
    secret_key: str = field(repr=False)


def new_identity(name: str, address: str, now: datetime) -> Identity:
    """Random credentials, and what certificates.serve makes."""
    served = certificates.serve(name, address, now)
    return Identity(served.ca, served.certificate, served.key, secrets.token_hex(10).upper(), secrets.token_urlsafe(30))


def endpoint(network: Network) -> str:
    return f"https://{network.s3_address}:{PORT}"


def ensure(docker: Docker, lab: Lab, network: Network, image: str) -> str:
    """The server runs and answers over TLS; gives its URL. The state directory has its authority and credentials."""
    container = containers.find(docker, lab.s3).get(lab.s3)
    identity = _identity_of_container(docker, container) if container else None
    image_id = containers.image_id(docker, image)
    if container and not (identity and container.image == image_id and _fits(container, identity, network)):
        docker.run("rm", "--force", lab.s3)  # its objects stay: they are in the volume
        container = None
    if container is None:
        identity = identity or _identity_of_files(lab)
        if identity is None or not identity.fits(network.s3_address, datetime.now(UTC)):
            identity = _with_known_credentials(new_identity(lab.s3, network.s3_address, datetime.now(UTC)), identity)
        # Files first: should we be interrupted, the next run makes the same server again
        _write_files(lab, identity)
        _create(docker, lab, network, image, identity)
    assert identity is not None
    if container is None or not container.running:
        docker.run("start", lab.s3)
    _write_files(lab, identity)
    trust = ssl.create_default_context(cadata=identity.ca)
    if not containers.wait_for(lambda: _answers(network.s3_address, trust), _START_SECONDS):
        raise LabError(f"the S3 server does not answer at {endpoint(network)}; see `docker logs {lab.s3}`")
    return endpoint(network)


def _fits(container: Container, identity: Identity, network: Network) -> bool:
    here = not container.running or container.addresses.get(network.name) == network.s3_address
    return here and identity.fits(network.s3_address, datetime.now(UTC))


def _with_known_credentials(fresh: Identity, known: Identity | None) -> Identity:
    """Objects and clients outlive a certificate: the keys that they know stay."""
    if known is None:
        return fresh
    return replace(fresh, access_key=known.access_key, secret_key=known.secret_key)


def _create(docker: Docker, lab: Lab, network: Network, image: str, identity: Identity) -> None:
    docker.run("volume", "create", "--label", lab.label, lab.s3)
    lab.make_directory()
    # Through a file, so that the secret shows in no process list
    variables = lab.directory / "s3" / "environment"
    write_atomically(
        variables, f"ROOT_ACCESS_KEY_ID={identity.access_key}\nROOT_SECRET_ACCESS_KEY={identity.secret_key}\n", 0o600
    )
    try:
        docker.run(
            *("create", "--name", lab.s3, "--label", lab.label, "--env-file", str(variables)),
            *("--network", network.name, "--ip", network.s3_address, "--volume", f"{lab.s3}:{DATA}"),
            *(image, "--port", f":{PORT}", "--cert", f"{DIRECTORY}/tls.crt", "--key", f"{DIRECTORY}/tls.key"),
            *("--keep-alive", "posix", DATA),
        )
    finally:
        variables.unlink()
    containers.write_files(docker, lab.s3, identity.files(DIRECTORY))


def _identity_of_container(docker: Docker, container: Container) -> Identity | None:
    access, secret = (container.environment.get(name) for name in ("ROOT_ACCESS_KEY_ID", "ROOT_SECRET_ACCESS_KEY"))
    ca, certificate, key = (
        containers.read_file(docker, container.name, f"{DIRECTORY}/{name}") for name in ("ca.crt", "tls.crt", "tls.key")
    )
    if access and secret and ca and certificate and key:
        return Identity(ca, certificate, key, access, secret)
    return None  # created, but interrupted before it had its files


def credentials_file(lab: Lab) -> str:
    return str(lab.directory / "s3" / "credentials.yml")


def ca_file(lab: Lab) -> str:
    return str(lab.directory / "s3" / "ca.crt")


def _write_files(lab: Lab, identity: Identity) -> None:
    lab.make_directory()
    directory = lab.directory / "s3"
    directory.mkdir(mode=0o700, exist_ok=True)
    credentials = {"access_key": identity.access_key, "secret_key": identity.secret_key}
    write_atomically(directory / "credentials.yml", "---\n" + yaml.safe_dump(credentials), 0o600)
    write_atomically(directory / "ca.crt", identity.ca)
    write_atomically(directory / "tls.crt", identity.certificate)
    write_atomically(directory / "tls.key", identity.key, 0o600)


def _identity_of_files(lab: Lab) -> Identity | None:
    directory = lab.directory / "s3"
    try:
        credentials = yaml.safe_load((directory / "credentials.yml").read_text())
        ca, certificate, key = ((directory / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key"))
        return Identity(ca, certificate, key, credentials["access_key"], credentials["secret_key"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None


def _answers(address: str, trust: ssl.SSLContext) -> bool:
    """Any HTTP answer over verified TLS; without credentials it is a refusal."""
    connection = http.client.HTTPSConnection(address, PORT, timeout=5, context=trust)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status in (200, 403)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
