# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys that the operator brings: refused here, by name of the parameter, or good for every verifier.

Verifiers are HAProxy (OpenSSL) and Thanos and Prometheus (Go). Pure, like certificates.py; the time is always given.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    date_text,
    needs_cryptography,
)

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    Extension = TypeVar("Extension", bound=x509.ExtensionType)

CERTIFICATE = "certificate"
PRIVATE_KEY = "private_key"
PASSPHRASE = "private_key_passphrase"
ALSO_TRUSTED = "also_trusted"

SMALLEST_RSA = 2048


@dataclass(frozen=True)
class Source:
    """A certificate with its key as given, and the parameters that errors about them name."""

    certificate: str
    key: str
    passphrase: str = ""
    certificate_parameter: str = CERTIFICATE
    key_parameter: str = PRIVATE_KEY

    @classmethod
    def of(cls, params: Mapping[str, Any], *, key_elsewhere: bool = False) -> Source | None:
        """Read certificate, private_key and private_key_passphrase; None when neither of the first two is given.

        With ``key_elsewhere`` there may be a certificate without a key: what it signs is signed elsewhere.
        """
        certificate, key = params.get(CERTIFICATE), params.get(PRIVATE_KEY)
        passphrase = params.get(PASSPHRASE)
        if not certificate and not key:
            if passphrase:
                raise InputError("is of no use without private_key", parameter=PASSPHRASE)
            return None
        if certificate and not key and not passphrase and key_elsewhere:
            return cls(certificate, "")
        if not certificate or not key:
            missing, other = (CERTIFICATE, PRIVATE_KEY) if key else (PRIVATE_KEY, CERTIFICATE)
            raise InputError(f"is required with {other}", parameter=missing)
        return cls(certificate, key, passphrase or "")


@needs_cryptography
def authority_of(source: Source, now: datetime, *, signs_servers: bool) -> KeyPair:
    """Return the authority of ``source`` as it is kept: its own certificate alone, and its key (if it is given)
    without a passphrase.

    What follows the first certificate is its chain up to a root. It is left out: who trusts the root trusts everything
    that the root ever signed. ``signs_servers`` is whether it signs servers too, beside clients.
    Raises InputError naming the parameter.
    """
    parameter = source.certificate_parameter
    certificate = _certificates(source)[0]
    _check_time(certificate, now, parameter)
    _check_public_key(certificate, parameter)
    _check_authority(certificate, parameter, signs_servers=signs_servers)
    return KeyPair(_pem(certificate), _key(source, certificate) if source.key else "")


@needs_cryptography
def also_trusted(text: str, certificate: str, others: Sequence[str]) -> str:
    """Return the authorities (PEM) in a text that are to be trusted beside one with ``certificate``, each once.

    One that expired, or is about to come, may be among them: it is trusted for nothing then. ``others`` are those of
    the observer's other authority, as for check_apart. Raises InputError.
    """
    found = [certificate]
    given = _certificates(Source(text, "", certificate_parameter=ALSO_TRUSTED)) if text else []
    if any(_has_signed(item, below) for item in given for below in given if item is not below and item != below):
        raise InputError(
            "has an authority in it that signed another one of them",
            parameter=ALSO_TRUSTED,
            advice="Give no chain: who trusts a root trusts everything that it ever signed",
        )
    for item in given:
        _check_public_key(item, ALSO_TRUSTED)
        _check_authority(item, ALSO_TRUSTED, signs_servers=True)
        for other in others:
            check_apart(Source(_pem(item), "", certificate_parameter=ALSO_TRUSTED), other)
        if _pem(item) not in found:
            found.append(_pem(item))
    return "".join(found[1:])


@needs_cryptography
def each(certificates: str) -> list[str]:
    """Return each certificate of a text (PEM) by itself; a text that has none has none."""
    try:
        return [_pem(item) for item in _parse(certificates, CERTIFICATE)]
    except InputError:
        return []


@needs_cryptography
def check_apart(source: Source, other: str) -> None:
    """Refuse an authority that is the observer's other one (PEM), above it or below it.

    What the one signs must not be taken by those who trust the other. Raises InputError naming the parameter.
    """
    parameter = source.certificate_parameter
    certificate, *chain = _certificates(source)
    others = _parse(other, parameter)[0]
    advice = "tenants and internal must be two authorities: an agent must not pass for a component of the observer"
    if certificate.public_key() == others.public_key():
        raise InputError("is the observer's other authority", parameter=parameter, advice=advice)
    if any(item.public_key() == others.public_key() for item in chain) or _has_signed(others, certificate):
        raise InputError("was signed by the observer's other authority", parameter=parameter, advice=advice)
    if _has_signed(certificate, others):
        raise InputError("has signed the observer's other authority", parameter=parameter, advice=advice)


@needs_cryptography
def server_of(source: Source, now: datetime, hostnames: Sequence[str]) -> KeyPair:
    """Return a server's certificate with its chain, and its key without a passphrase.

    Raises InputError naming the parameter, also when one of ``hostnames`` (names and addresses) is not in it.
    """
    from cryptography.x509.oid import ExtendedKeyUsageOID

    parameter = source.certificate_parameter
    certificate, *chain = _certificates(source)
    _check_time(certificate, now, parameter)
    _check_public_key(certificate, parameter)
    _check_purpose(certificate, ExtendedKeyUsageOID.SERVER_AUTH, "server", parameter)
    below = certificate
    for above in chain:
        if not _has_signed(above, below):
            raise InputError(
                f"the chain is not in order: {_name(above)} did not sign {_name(below)}",
                parameter=parameter,
                advice="Give the server's own certificate first, then the one that signed it, and so on",
            )
        _check_time(above, now, parameter)
        below = above
    missing = [value for value in hostnames if not _covers(certificate, value, parameter)]
    if missing:
        raise InputError(
            f"does not cover {', '.join(missing)}: it is for {', '.join(_names(certificate, parameter))}",
            parameter=parameter,
            advice="Whoever uses such a name would not trust the server",
        )
    return KeyPair("".join(_pem(item) for item in (certificate, *chain)), _key(source, certificate))


@needs_cryptography
def check_client(source: Source, now: datetime) -> None:
    """Refuse a client's certificate and key that no server would let in. Raises InputError naming the parameter."""
    from cryptography.x509.oid import ExtendedKeyUsageOID

    certificate = _certificates(source)[0]
    _check_time(certificate, now, source.certificate_parameter)
    _check_purpose(certificate, ExtendedKeyUsageOID.CLIENT_AUTH, "client", source.certificate_parameter)
    _key(source, certificate)


@needs_cryptography
def client_of(source: Source, now: datetime, common_name: str) -> KeyPair:
    """Return a client's certificate, without what may follow it, and its key without a passphrase.

    Raises InputError naming the parameter, also when its common name is another one than ``common_name``.
    """
    from cryptography.x509.oid import NameOID

    check_client(source, now)
    certificate, parameter = _certificates(source)[0], source.certificate_parameter
    _check_public_key(certificate, parameter)
    names = [str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [common_name]:
        raise InputError(
            f"is for {', '.join(names) or 'nobody'} (common name), not for {common_name}",
            parameter=parameter,
            advice="The gateway takes the common name for the cluster",
        )
    return KeyPair(_pem(certificate), _key(source, certificate))


@needs_cryptography
def is_same_authority(one: str, other: str) -> bool:
    """Tell whether two certificates (PEM) are of one authority, by name and key: each stands for what either signed."""
    try:
        first, second = _parse(one, CERTIFICATE)[0], _parse(other, CERTIFICATE)[0]
    except InputError:
        return False
    return first.subject == second.subject and first.public_key() == second.public_key()


@needs_cryptography
def has_signed(authority: str, certificate: str) -> bool:
    """Tell whether an authority signed a certificate (PEM both); a text that is none was signed by nobody."""
    try:
        return _has_signed(_parse(authority, CERTIFICATE)[0], _parse(certificate, CERTIFICATE)[0])
    except InputError:
        return False


def _certificates(source: Source) -> list[x509.Certificate]:
    if "PRIVATE KEY-----" in source.certificate:
        raise InputError("must hold certificates only, and no key", parameter=source.certificate_parameter)
    return _parse(source.certificate, source.certificate_parameter)


def _parse(pem: str, parameter: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise InputError("is not a certificate in PEM form", parameter=parameter) from None


def _key(source: Source, certificate: x509.Certificate) -> str:
    """The key as unencrypted PKCS #8, by which a second run knows it again."""
    from cryptography.hazmat.primitives import serialization

    key = _load_key(source)
    if key.public_key() != certificate.public_key():
        raise InputError(
            f"does not belong to the (first) certificate, {_name(certificate)}", parameter=source.key_parameter
        )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _load_key(source: Source) -> PrivateKeyTypes:
    """No cause in errors: what the parser says may quote the key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = source.key.encode()
    encrypted = "ENCRYPTED" in source.key
    if encrypted and not source.passphrase:
        passphrase = f"{PASSPHRASE}, or " if source.key_parameter == PRIVATE_KEY else ""
        raise InputError(
            "is encrypted", parameter=source.key_parameter, advice=f"Give {passphrase}the key without encryption"
        )
    try:
        return load_pem_private_key(pem, password=source.passphrase.encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            raise InputError("does not open private_key, or that is damaged", parameter=PASSPHRASE) from None
        raise InputError("is not a private key in PEM form", parameter=source.key_parameter) from None


def _check_time(certificate: x509.Certificate, now: datetime, parameter: str) -> None:
    if now < certificate.not_valid_before_utc:
        raise InputError(
            f"{_name(certificate)} is not valid before {date_text(certificate.not_valid_before_utc)}",
            parameter=parameter,
            advice=f"Here it is {date_text(now)}",
        )
    if now >= certificate.not_valid_after_utc:
        raise InputError(
            f"{_name(certificate)} expired on {date_text(certificate.not_valid_after_utc)}",
            parameter=parameter,
            advice=f"Here it is {date_text(now)}",
        )


def _check_purpose(certificate: x509.Certificate, purpose: x509.ObjectIdentifier, who: str, parameter: str) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = _extension(certificate, x509.ExtendedKeyUsage, parameter)
    if usage is not None and not {purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage):
        raise InputError(f"is not for a TLS {who} (extended key usage)", parameter=parameter)


def _check_public_key(certificate: x509.Certificate, parameter: str) -> None:
    """Only what OpenSSL with its usual security level and Go both take."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    curves = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA:
        raise InputError(f"has an RSA key of {key.key_size} bits, which verifiers refuse", parameter=parameter)
    if not (
        isinstance(key, (rsa.RSAPublicKey, ed25519.Ed25519PublicKey))
        or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, curves))
    ):
        raise InputError(
            "has a kind of key that not every verifier takes",
            parameter=parameter,
            advice=f"Use RSA with at least {SMALLEST_RSA} bits, ECDSA with P-256, P-384 or P-521, or Ed25519",
        )


def _check_authority(certificate: x509.Certificate, parameter: str, *, signs_servers: bool) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    constraints = _extension(certificate, x509.BasicConstraints, parameter)
    if constraints is None or not constraints.ca:
        raise InputError(
            f"{_name(certificate)} is not the certificate of an authority (basic constraints without CA)",
            parameter=parameter,
        )
    usage = _extension(certificate, x509.KeyUsage, parameter)
    if usage is not None and not usage.key_cert_sign:
        raise InputError("may not sign certificates (key usage without certificate signing)", parameter=parameter)
    purposes = _extension(certificate, x509.ExtendedKeyUsage, parameter)
    needed = {"clients": ExtendedKeyUsageOID.CLIENT_AUTH}
    if signs_servers:
        needed["servers"] = ExtendedKeyUsageOID.SERVER_AUTH
    for who, purpose in needed.items():
        if purposes is not None and not {purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(purposes):
            raise InputError(f"may not sign TLS {who} (extended key usage)", parameter=parameter)
    if _extension(certificate, x509.NameConstraints, parameter) is not None:
        raise InputError(
            "may sign certain names only (name constraints)",
            parameter=parameter,
            advice="It would have to sign the names of clusters and of Services, which are in no domain of yours",
        )


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[Extension], parameter: str) -> Extension | None:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except ValueError:
        raise InputError("has extensions that cannot be read", parameter=parameter) from None


def _names(certificate: x509.Certificate, parameter: str) -> list[str]:
    from cryptography import x509

    found = _extension(certificate, x509.SubjectAlternativeName, parameter)
    if found is None:
        return ["no name (no subject alternative name)"]
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _covers(certificate: x509.Certificate, value: str, parameter: str) -> bool:
    """As verifiers look: at alternative names only, and a wildcard stands for one label."""
    names = _names(certificate, parameter)
    try:
        return str(ipaddress.ip_address(value)) in names
    except ValueError:
        wanted = value.lower()
        return any(name.lower() in (wanted, f"*.{wanted.partition('.')[2]}") for name in names)


def _name(certificate: x509.Certificate) -> str:
    return f'"{certificate.subject.rfc4514_string()}"'


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM).decode()
