# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's certificate is refused for what a client would refuse, with the standard library alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors
from ansible_collections.scs.observability.plugins.module_utils._identity import server
from ansible_collections.scs.observability.plugins.module_utils._identity.server import ServerCertificate
from tests import pki

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = ["control-1.example.org", "*.iaas.example.org", "192.0.2.10"]
AUTHORITY = pki.authority("internal")
GOOD = pki.make("any", AUTHORITY, names=NAMES)
DAY = timedelta(days=1)


def check(certificate: str = GOOD.pem, key: str = GOOD.key_pem, name: str = "") -> ServerCertificate:
    return server.check(certificate, key, name, NOW, certificate_parameter="certificate", key_parameter="key")


@pytest.mark.parametrize(
    "name", ["", "control-1.example.org", "CONTROL-1.example.org", "a.iaas.example.org", "192.0.2.10"]
)
def test_a_good_one_tells_whom_it_is_for_and_how_long(name: str) -> None:
    found = check(name=name)
    assert sorted(found.names) == sorted(NAMES)
    assert found.expires == GOOD.certificate.not_valid_after_utc


def test_its_chain_may_follow_and_any_form_of_key_will_do() -> None:
    below = pki.authority("below", AUTHORITY)
    leaf = pki.make("any", below, names=NAMES)
    assert check(leaf.pem + below.pem, leaf.key_pem, NAMES[0]).covers(NAMES[0])
    assert check(GOOD.pem, GOOD.traditional_key_pem).covers(NAMES[0])


def test_one_that_signed_itself_will_do() -> None:
    own = pki.make("any", names=NAMES)
    assert check(own.pem, own.key_pem, NAMES[0]).covers(NAMES[0])


@pytest.mark.parametrize("name", ["control-2.example.org", "a.b.iaas.example.org", "iaas.example.org", "192.0.2.11"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"not for {name}") as caught:
        check(name=name)
    assert caught.value.parameter == "certificate"


OLD = pki.make("any", AUTHORITY, names=NAMES, start=NOW - 2 * DAY, end=NOW - DAY)
YOUNG = pki.make("any", AUTHORITY, names=NAMES, start=NOW + DAY, end=NOW + 2 * DAY)
NAMELESS = pki.make("control-1.example.org", AUTHORITY)
CLIENT = pki.make("any", AUTHORITY, names=NAMES, extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])])
OTHER = pki.make("any", AUTHORITY, names=NAMES)


@pytest.mark.parametrize(
    ("certificate", "key", "parameter", "message"),
    [
        (OLD.pem, OLD.key_pem, "certificate", "expired on"),
        (YOUNG.pem, YOUNG.key_pem, "certificate", "is not valid before"),
        (NAMELESS.pem, NAMELESS.key_pem, "certificate", "no subject alternative name"),
        (CLIENT.pem, CLIENT.key_pem, "certificate", "not for a TLS server"),
        (GOOD.pem, OTHER.key_pem, "key", "does not belong"),
        (GOOD.pem, GOOD.encrypted_key_pem("swordfish"), "key", "is encrypted"),
        (GOOD.pem, GOOD.encrypted_key_pem("swordfish", traditional=True), "key", "is encrypted"),
        (GOOD.pem, "swordfish", "key", "is not a private key"),
        (GOOD.pem, GOOD.pem, "key", "is not a private key"),
        (GOOD.pem + GOOD.key_pem, GOOD.key_pem, "certificate", "and no key"),
        ("swordfish", GOOD.key_pem, "certificate", "is not a certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nc3dvcmRmaXNo\n-----END CERTIFICATE-----\n",
            GOOD.key_pem,
            "certificate",
            "is not a certificate",
        ),
    ],
)
def test_what_a_client_would_refuse_is_refused(certificate: str, key: str, parameter: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check(certificate, key, "control-1.example.org")
    assert caught.value.parameter == parameter
    assert "swordfish" not in str(caught.value)
    assert key.splitlines()[-2:-1] == [] or key.splitlines()[-2] not in str(caught.value)


def test_all_is_told_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        check(OLD.pem, OLD.key_pem, "control-2.example.org")
    assert ["expired on" in error.message for error in caught.value.errors] == [True, False]
