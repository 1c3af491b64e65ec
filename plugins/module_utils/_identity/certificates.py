# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorities, certificates and the date on which a certificate is due.

Pure: the time is always given, nothing is read or written. ``cryptography`` is imported where it is used, because it
takes longer to import than everything else a module does when all certificates are still good.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import base64
import functools
import hashlib
import re
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=90)
# A certificate is valid a little before it was made: the clocks of clusters differ.
BACKDATED = timedelta(minutes=5)
RENEWAL_FRACTION = 0.8
# Upper bound of a common name in RFC 5280.
MAX_COMMON_NAME = 64

_PEM_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
# What OpenSSL puts after a certificate that it is to trust: for server and client authentication (DER of OpenSSL's
# CertAux: the identifiers of both extended key usages).
_TRUSTED_FOR_TLS = bytes.fromhex("3016301406082b0601050507030106082b06010505070302")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM. The key is never shown by repr or str.

    ``also_trusted`` are the certificates (PEM) of others that are trusted beside an authority, while it is rotated.
    """

    certificate: str
    key: str = field(repr=False)
    also_trusted: str = ""

    @property
    def trusted(self) -> str:
        """Whom to trust where this authority is trusted."""
        return self.certificate + self.also_trusted


def needs_cryptography(function: Callable[P, T]) -> Callable[P, T]:
    """Tell plainly which package is missing, only when it is needed."""

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            from cryptography import x509

            usable = hasattr(x509.Certificate, "not_valid_after_utc")
        except ImportError:
            usable = False
        if not usable:
            raise LibraryError("cryptography", "(version 42 or newer) to make and check certificates")
        return function(*args, **kwargs)

    return checked


@needs_cryptography
def create_authority(
    common_name: str,
    now: datetime,
    lifetime: timedelta = AUTHORITY_LIFETIME,
    path_length: int = 0,
    issuer: KeyPair | None = None,
) -> KeyPair:
    """Make a certificate authority, self-signed or an intermediate of ``issuer``.

    ``path_length`` is the number of intermediate authorities allowed below it: 0 signs leaves only.
    Raises InputError when ``issuer`` cannot sign (``issuer`` expired, unparsable, or its path length is used up).
    """
    from cryptography import x509

    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage(authority=True), True),
    ]
    return _sign(common_name, now, lifetime, issuer, extensions)


@needs_cryptography
def issue(
    authority: KeyPair,
    common_name: str,
    now: datetime,
    *,
    lifetime: timedelta = LEAF_LIFETIME,
    dns_names: Iterable[str] = (),
    ip_addresses: Iterable[str] = (),
    server: bool,
    client: bool,
) -> KeyPair:
    """Make a key and a certificate for it, good as a TLS server, a TLS client or both, as asked and nothing else.

    The lifetime is cut to what is left of the authority's. Raises InputError for a name or address that cannot be put
    into a certificate, and for an authority that cannot sign.
    """
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usages = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
    if not usages:
        raise ValueError("a certificate is for a server, a client or both")
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(authority=False), True),
        (x509.ExtendedKeyUsage(usages), False),
    ]
    names = _general_names(dns_names, ip_addresses)
    if names:
        extensions.append((x509.SubjectAlternativeName(names), False))
    return _sign(common_name, now, lifetime, authority, extensions)


@needs_cryptography
def renewal_reason(
    pair: KeyPair,
    authority_certificate: str,
    now: datetime,
    *,
    dns_names: Iterable[str] = (),
    ip_addresses: Iterable[str] = (),
    common_name: str = "",
    server: bool | None = None,
    client: bool | None = None,
) -> str | None:
    """Say why a certificate has to be made anew, or None while it is good.

    Reasons: it or its key does not parse or they do not belong together, another authority signed it, its names or
    (when given) its uses are not the wanted ones, its authority has expired, or 80 % of its life is over.
    """
    try:
        verify_pair(pair, "certificate")
        authority = _load_certificate(authority_certificate, "authority")
    except InputError as error:
        return str(error)
    certificate = _load_certificate(pair.certificate, "certificate")
    return (
        _issuer_differs(certificate, authority)
        or _names_differ(certificate, common_name, _general_names(dns_names, ip_addresses))
        or _uses_differ(certificate, server=server, client=client)
        or _is_due(certificate, authority, now)
    )


@needs_cryptography
def renewal_date(certificate_pem: str) -> datetime:
    """The moment (UTC) at which 80 % of the certificate's life is over. Raises InputError when it does not parse."""
    return _renewal_date(_load_certificate(certificate_pem, "certificate"))


@needs_cryptography
def expiry(certificate_pem: str) -> datetime:
    """The end (UTC) of a certificate's life. Raises InputError when it does not parse."""
    return _load_certificate(certificate_pem, "certificate").not_valid_after_utc


def fingerprint(certificate_pem: str) -> str:
    """SHA-256 of the (first) certificate's DER, 64 lower-case hexadecimal digits, as HAProxy's ssl_c_der,sha2(256),hex.

    Raises InputError for a text that is not PEM.
    """
    found = _PEM_CERTIFICATE.search(certificate_pem)
    if found is None:
        raise InputError("is not a PEM certificate", parameter="certificate")
    return hashlib.sha256(_der(found[0])).hexdigest()


def trust_anchors(certificates_pem: str) -> str:
    """Return certificates as OpenSSL's "trusted" ones: anchors by themselves, for TLS clients and servers.

    As plain ones OpenSSL trusts an intermediate authority only together with its root, and then everything else that
    the root signed as well. Go takes plain ones as anchors, and does not know these.
    Raises InputError for a text that is not PEM.
    """
    result = []
    for pem in _PEM_CERTIFICATE.findall(certificates_pem):
        encoded = base64.b64encode(_der(pem) + _TRUSTED_FOR_TLS).decode()
        lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
        result.append(
            "\n".join(["-----BEGIN TRUSTED CERTIFICATE-----", *lines, "-----END TRUSTED CERTIFICATE-----", ""])
        )
    if not result:
        raise InputError("is not a PEM certificate", parameter="certificate")
    return "".join(result)


@needs_cryptography
def verify_pair(pair: KeyPair, parameter: str) -> None:
    """Check that certificate and key parse and belong together. Raises InputError naming ``parameter``."""
    certificate = _load_certificate(pair.certificate, parameter)
    if certificate.public_key() != _load_key(pair.key, parameter).public_key():
        raise InputError("the private key does not belong to the certificate", parameter=parameter)


def _der(pem: str) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(pem)
    except ValueError as error:
        raise InputError("is not a PEM certificate", parameter="certificate") from error


def _issuer_differs(certificate: x509.Certificate, authority: x509.Certificate) -> str | None:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return "another authority signed it"
    return None


def _names_differ(
    certificate: x509.Certificate, common_name: str, alternative_names: Iterable[x509.GeneralName]
) -> str | None:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = [str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if subject != [common_name]:
        return f"its common name is {', '.join(subject) or 'missing'}, wanted is {common_name}"
    try:
        found = set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        found = set()
    differing = sorted(str(name.value) for name in found ^ set(alternative_names))
    if differing:
        return f"its alternative names differ from the wanted ones: {', '.join(differing)}"
    return None


def _uses_differ(certificate: x509.Certificate, *, server: bool | None, client: bool | None) -> str | None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        uses = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        uses = set()
    for name, wanted, use in (
        ("server", server, ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", client, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        if wanted is not None and wanted != (use in uses):
            return f"it is {'not ' if wanted else ''}for a TLS {name}"
    return None


def _is_due(certificate: x509.Certificate, authority: x509.Certificate, now: datetime) -> str | None:
    if now >= authority.not_valid_after_utc:
        return f"its authority expired on {date_text(authority.not_valid_after_utc)}"
    due = _renewal_date(certificate)
    if now >= due:
        return f"it was due for renewal on {date_text(due)} and expires on {date_text(certificate.not_valid_after_utc)}"
    return None


def _sign(
    common_name: str,
    now: datetime,
    lifetime: timedelta,
    issuer: KeyPair | None,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> KeyPair:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    if not 0 < len(common_name) <= MAX_COMMON_NAME:
        raise InputError(
            f"a certificate's common name has 1 to {MAX_COMMON_NAME} characters, not {len(common_name)}",
            parameter="common_name",
        )
    extensions = list(extensions)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start, end = now.astimezone(UTC) - BACKDATED, now.astimezone(UTC) + lifetime

    signing_key: CertificateIssuerPrivateKeyTypes = key
    signer = subject
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    if issuer is not None:
        verify_pair(issuer, "authority")
        certificate = _load_certificate(issuer.certificate, "authority")
        _check_can_sign(certificate, now, authority=_is_authority(extensions))
        signing_key = _load_key(issuer.key, "authority")
        signer = certificate.subject
        identifier = _authority_identifier(certificate)
        end = min(end, certificate.not_valid_after_utc)

    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signed = builder.sign(signing_key, _hash_for(signing_key))
    return KeyPair(
        certificate=signed.public_bytes(serialization.Encoding.PEM).decode(),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _is_authority(extensions: Iterable[tuple[x509.ExtensionType, bool]]) -> bool:
    from cryptography import x509

    return any(isinstance(item, x509.BasicConstraints) and item.ca for item, _critical in extensions)


def _check_can_sign(certificate: x509.Certificate, now: datetime, *, authority: bool) -> None:
    """Refuse to sign what no verifier would accept."""
    from cryptography import x509

    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    if not constraints.ca:
        raise InputError("is not the certificate of an authority", parameter="authority")
    if authority and constraints.path_length == 0:
        raise InputError("this authority may not sign other authorities (path length 0)", parameter="authority")
    if now >= certificate.not_valid_after_utc:
        raise InputError(
            f"the authority expired on {date_text(certificate.not_valid_after_utc)}", parameter="authority"
        )


def _authority_identifier(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    from cryptography import x509

    try:
        subject_identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier(
            x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest, None, None
        )
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_identifier)


def _hash_for(key: CertificateIssuerPrivateKeyTypes) -> hashes.SHA256 | None:
    """The hash to sign with; Edwards curves, which an operator's own authority may use, bring their own."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

    return None if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()


def _general_names(dns_names: Iterable[str], ip_addresses: Iterable[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    names: list[x509.GeneralName] = []
    for name in dict.fromkeys(dns_names):
        try:
            names.append(x509.DNSName(name))
        except ValueError as error:
            raise InputError(f"{name!r} is not a DNS name", parameter="dns_names") from error
    for address in dict.fromkeys(ip_addresses):
        try:
            names.append(x509.IPAddress(ip_address(address)))
        except ValueError as error:
            raise InputError(f"{address!r} is not an IP address", parameter="ip_addresses") from error
    return names


def _load_certificate(pem: str, parameter: str) -> x509.Certificate:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise InputError("is not a PEM certificate", parameter=parameter) from error


def _load_key(pem: str, parameter: str) -> CertificateIssuerPrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # No cause: what the parser says may quote the key.
        raise InputError("the private key is not readable, unencrypted PEM", parameter=parameter) from None
    if not isinstance(
        key,
        (
            ec.EllipticCurvePrivateKey,
            rsa.RSAPrivateKey,
            ed25519.Ed25519PrivateKey,
            ed448.Ed448PrivateKey,
            dsa.DSAPrivateKey,
        ),
    ):
        raise InputError("this kind of private key cannot sign certificates", parameter=parameter)
    return key


def _renewal_date(certificate: x509.Certificate) -> datetime:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start + (end - start) * RENEWAL_FRACTION


def date_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
