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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import containers
from lab.containers import Container
from lab.network import Network
from lab.state import Lab, LabError, write_atomically

if TYPE_CHECKING:
    from lab.engine import Docker

PORT = 7070
DIRECTORY = "/etc/versitygw"
DATA = "/data"
_LIFETIME = timedelta(days=3650)
_RENEW_BEFORE = timedelta(days=30)
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Identity:
    """What clients must know (access_key, secret_key, ca: PEM) and the server's own certificate and key (PEM)."""

    access_key: str
    secret_key: str = field(repr=False)
    ca: str
    certificate: str
    key: str = field(repr=False)

    def fits(self, address: str, now: datetime) -> bool:
        """Whether a client that knows the authority will accept the server at this address for a while."""
        try:
            authority = x509.load_pem_x509_certificate(self.ca.encode())
            certificate = x509.load_pem_x509_certificate(self.certificate.encode())
            certificate.verify_directly_issued_by(authority)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except Exception:  # whatever is wrong with it, a new one is right
            return False
        soon = now + _RENEW_BEFORE
        lasts = min(authority.not_valid_after_utc, certificate.not_valid_after_utc) > soon
        return lasts and ip_address(address) in names.get_values_for_type(x509.IPAddress)


def new_identity(name: str, address: str, now: datetime) -> Identity:
    """Random credentials; an authority whose key is thrown away, and the one certificate that it signed.

    Nobody needs the authority's key again: another address means another network, and with it new clusters.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    start, end = now - timedelta(days=1), now + _LIFETIME
    authority = (
        _builder(authority_name, authority_name, authority_key, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternatives = [
        x509.DNSName(name),
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address(address)),
        x509.IPAddress(ip_address("127.0.0.1")),
    ]
    certificate = (
        _builder(authority_name, server_name, server_key, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Identity(
        access_key=secrets.token_hex(10).upper(),
        secret_key=secrets.token_urlsafe(30),
        ca=authority.public_bytes(serialization.Encoding.PEM).decode(),
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key=server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), start, end)


def _key_usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def endpoint(network: Network) -> str:
    return f"https://{network.s3_address}:{PORT}"


def ensure(docker: Docker, lab: Lab, network: Network, image: str) -> str:
    """The server runs and answers over TLS; gives its URL. The state directory has its authority and credentials."""
    container = containers.find(docker, lab.s3).get(lab.s3)
    identity = _identity_of_container(docker, container) if container else None
    image_id = docker.run("image", "inspect", "--format", "{{.Id}}", image).strip()
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
    return Identity(known.access_key, known.secret_key, fresh.ca, fresh.certificate, fresh.key)


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
    files = {"ca.crt": identity.ca, "tls.crt": identity.certificate, "tls.key": identity.key}
    containers.write_files(docker, lab.s3, {f"{DIRECTORY}/{name}": content for name, content in files.items()})


def _identity_of_container(docker: Docker, container: Container) -> Identity | None:
    access, secret = (container.environment.get(name) for name in ("ROOT_ACCESS_KEY_ID", "ROOT_SECRET_ACCESS_KEY"))
    ca, certificate, key = (
        containers.read_file(docker, container.name, f"{DIRECTORY}/{name}") for name in ("ca.crt", "tls.crt", "tls.key")
    )
    if access and secret and ca and certificate and key:
        return Identity(access, secret, ca, certificate, key)
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
        return Identity(credentials["access_key"], credentials["secret_key"], ca, certificate, key)
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
