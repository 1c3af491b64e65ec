# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from lab import s3
from lab.s3 import Identity, new_identity
from lab.state import Lab

NOW = datetime.now(UTC)
ADDRESS = "172.30.0.10"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return new_identity("scs-lab-s3", ADDRESS, NOW)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab("scs-lab", tmp_path / "lab", tmp_path / "cache")


def handshake(identity: Identity, trusted: str, server_name: str, directory: Path) -> None:
    """A TLS handshake over a socket pair: raises what a client would see."""
    (directory / "tls.crt").write_text(identity.certificate)
    (directory / "tls.key").write_text(identity.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        ssl.create_default_context(cadata=trusted).wrap_socket(ours, server_hostname=server_name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", [ADDRESS, "127.0.0.1", "scs-lab-s3"])
def test_a_client_accepts_the_server_under_each_of_its_names(identity: Identity, name: str, tmp_path: Path) -> None:
    handshake(identity, identity.ca, name, tmp_path)


@pytest.mark.parametrize("name", ["172.30.0.11", "another-s3"])
def test_a_client_refuses_another_name(identity: Identity, name: str, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|doesn't match|valid for"):
        handshake(identity, identity.ca, name, tmp_path)


def test_a_client_of_another_lab_refuses_it(identity: Identity, tmp_path: Path) -> None:
    other = new_identity("scs-lab-s3", ADDRESS, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(identity, other.ca, ADDRESS, tmp_path)


def test_an_identity_fits_its_address_until_shortly_before_its_end(identity: Identity) -> None:
    assert identity.fits(ADDRESS, NOW)
    assert not identity.fits("172.30.0.12", NOW)
    assert not identity.fits(ADDRESS, NOW + timedelta(days=3645))
    assert not Identity("no certificate", "either", "or", "a", "b").fits(ADDRESS, NOW)
    stranger = new_identity("scs-lab-s3", ADDRESS, NOW)
    assert not Identity(stranger.ca, identity.certificate, identity.key, "a", "b").fits(ADDRESS, NOW)


def test_credentials_are_random_and_hidden(identity: Identity) -> None:
    other = new_identity("scs-lab-s3", ADDRESS, NOW)
    assert identity.access_key != other.access_key
    assert identity.secret_key != other.secret_key
    assert len(identity.secret_key) >= 40
    assert identity.secret_key not in repr(identity)
    assert identity.key not in repr(identity)


def test_files_round_trip_and_secrets_are_private(identity: Identity, lab: Lab) -> None:
    assert s3._identity_of_files(lab) is None
    s3._write_files(lab, identity)
    assert s3._identity_of_files(lab) == identity
    credentials = Path(s3.credentials_file(lab))
    assert yaml.safe_load(credentials.read_text()) == {
        "access_key": identity.access_key,
        "secret_key": identity.secret_key,
    }
    assert Path(s3.ca_file(lab)).read_text() == identity.ca
    private = [credentials, lab.directory / "s3" / "tls.key"]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600, 0o600]
    assert (lab.directory / "s3").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", ["", "[]", "access_key: only", "{"])
def test_broken_credentials_are_no_credentials(identity: Identity, lab: Lab, content: str) -> None:
    s3._write_files(lab, identity)
    Path(s3.credentials_file(lab)).write_text(content)
    assert s3._identity_of_files(lab) is None


def test_new_certificates_keep_the_keys_that_clients_know(identity: Identity) -> None:
    fresh = new_identity("scs-lab-s3", "172.30.7.10", NOW)
    renewed = s3._with_known_credentials(fresh, identity)
    assert (renewed.access_key, renewed.secret_key) == (identity.access_key, identity.secret_key)
    assert renewed.fits("172.30.7.10", NOW)
    assert s3._with_known_credentials(fresh, None) == fresh
