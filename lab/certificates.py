# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers of the lab have for TLS: each an authority of its own and a certificate for its fixed address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=3650)
_RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Served:
    """The authority that clients must know, the server's certificate and its key (all PEM)."""

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

    def files(self, folder: str) -> dict[str, str]:
        """By path in the folder."""
        return {f"{folder}/ca.crt": self.ca, f"{folder}/tls.crt": self.certificate, f"{folder}/tls.key": self.key}


def serve(name: str, address: str, now: datetime) -> Served:
    """An authority whose key is thrown away, and the one certificate that it signed.

    Nobody needs the authority's key again: another address means another network, and with it new clusters.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    start, end = now - timedelta(days=1), now + _LIFETIME
    authority = (
        _builder(authority_name, authority_name, authority_key, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(key_cert_sign=True), critical=True)
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
        .add_extension(key_usage(key_cert_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Served(
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


def key_usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
