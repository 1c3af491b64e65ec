# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator's certificates: any kind of them, good and bad, made without the code that is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import NameOID

from lab.certificates import key_usage

CA = x509.BasicConstraints(ca=True, path_length=None)


@dataclass(frozen=True)
class Made:
    """A certificate, its key, and the forms in which an operator gives them."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self._key(serialization.PrivateFormat.PKCS8)

    @property
    def traditional_key_pem(self) -> str:
        return self._key(serialization.PrivateFormat.TraditionalOpenSSL)

    def encrypted_key_pem(self, passphrase: str, *, traditional: bool = False) -> str:
        form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
        return self._key(form, serialization.BestAvailableEncryption(passphrase.encode()))

    def _key(self, form: serialization.PrivateFormat, encryption: Any = None) -> str:
        encryption = encryption or serialization.NoEncryption()
        text: bytes = self.key.private_bytes(serialization.Encoding.PEM, form, encryption)
        return text.decode()


def make(
    common_name: str,
    issuer: Made | None = None,
    *,
    key: Any = None,
    extensions: Sequence[x509.ExtensionType] = (),
    names: Sequence[str] = (),
    start: datetime | None = None,
    end: datetime | None = None,
) -> Made:
    """Sign a certificate with the issuer, or with its own key. The extensions are critical."""
    now = datetime.now(UTC)
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start or now - timedelta(hours=1))
        .not_valid_after(end or now + timedelta(days=365))
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    if names:
        found = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=False)
    signing_key = issuer.key if issuer else key
    edwards = isinstance(signing_key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return Made(builder.sign(signing_key, None if edwards else hashes.SHA256()), key)


def authority(common_name: str, issuer: Made | None = None, **options: Any) -> Made:
    """Make an authority as operators have it, a root or with an issuer an intermediate."""
    return make(common_name, issuer, extensions=[CA, key_usage(key_cert_sign=True)], **options)
