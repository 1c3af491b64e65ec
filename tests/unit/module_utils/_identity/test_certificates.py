# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._identity import certificates
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    BACKDATED,
    LEAF_LIFETIME,
    KeyPair,
    create_authority,
    expiry,
    fingerprint,
    issue,
    renewal_date,
    renewal_reason,
    trust_anchors,
    verify_pair,
)

# Handshakes look at the real clock.
NOW = datetime.now(UTC).replace(microsecond=0)
NAME = "receive.observer.svc"


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return create_authority("internal", NOW, path_length=1)


@pytest.fixture(scope="module")
def stranger() -> KeyPair:
    return create_authority("internal", NOW, path_length=1)


@pytest.fixture(scope="module")
def server(authority: KeyPair) -> KeyPair:
    return issue(authority, "receive", NOW, dns_names=[NAME], ip_addresses=["10.0.0.1"], server=True, client=False)


@pytest.fixture(scope="module")
def client(authority: KeyPair) -> KeyPair:
    return issue(authority, "alpha", NOW, server=False, client=True)


def parsed(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.encode())


class TestHandshake:
    """What a TLS library makes of the certificates."""

    def test_server_and_client_know_each_other(
        self, handshake: Callable[..., None], authority: KeyPair, server: KeyPair, client: KeyPair
    ) -> None:
        handshake(server, client, authority.certificate, authority.certificate, NAME)

    def test_a_server_is_known_by_address(
        self, handshake: Callable[..., None], authority: KeyPair, server: KeyPair, client: KeyPair
    ) -> None:
        handshake(server, client, authority.certificate, authority.certificate, "10.0.0.1")

    def test_another_name_is_refused(
        self, handshake: Callable[..., None], authority: KeyPair, server: KeyPair, client: KeyPair
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            handshake(server, client, authority.certificate, authority.certificate, "query.observer.svc")

    def test_a_server_of_another_authority_of_the_same_name_is_refused(
        self, handshake: Callable[..., None], authority: KeyPair, stranger: KeyPair, server: KeyPair, client: KeyPair
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, client, authority.certificate, stranger.certificate, NAME)

    def test_a_client_of_another_authority_of_the_same_name_is_refused(
        self, handshake: Callable[..., None], authority: KeyPair, stranger: KeyPair, server: KeyPair
    ) -> None:
        foreign = issue(stranger, "alpha", NOW, server=False, client=True)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, foreign, authority.certificate, authority.certificate, NAME)

    def test_no_client_certificate_is_refused(
        self, handshake: Callable[..., None], authority: KeyPair, server: KeyPair
    ) -> None:
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            handshake(server, None, authority.certificate, authority.certificate, NAME)

    def test_a_client_is_no_server(self, handshake: Callable[..., None], authority: KeyPair, client: KeyPair) -> None:
        impostor = issue(authority, "alpha", NOW, dns_names=[NAME], server=False, client=True)
        with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
            handshake(impostor, client, authority.certificate, authority.certificate, NAME)

    def test_a_server_is_no_client(self, handshake: Callable[..., None], authority: KeyPair, server: KeyPair) -> None:
        with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
            handshake(server, server, authority.certificate, authority.certificate, NAME)

    def test_an_expired_certificate_is_refused(
        self, handshake: Callable[..., None], authority: KeyPair, server: KeyPair
    ) -> None:
        expired = issue(
            authority, "alpha", NOW - timedelta(days=2), lifetime=timedelta(days=1), server=False, client=True
        )
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            handshake(server, expired, authority.certificate, authority.certificate, NAME)

    def test_an_intermediate_alone_is_trusted(
        self, handshake: Callable[..., None], authority: KeyPair, server: KeyPair, client: KeyPair
    ) -> None:
        intermediate = create_authority("gateway", NOW, issuer=authority)
        gateway = issue(intermediate, "gateway", NOW, server=False, client=True)
        handshake(server, gateway, intermediate.certificate, authority.certificate, NAME)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, client, intermediate.certificate, authority.certificate, NAME)

    @pytest.mark.parametrize("kind", ["rsa", "ed25519"])
    def test_an_authority_with_another_kind_of_key_signs(
        self, handshake: Callable[..., None], server: KeyPair, authority: KeyPair, kind: str
    ) -> None:
        foreign = own_authority(kind)
        pair = issue(foreign, "alpha", NOW, server=False, client=True)
        handshake(server, pair, foreign.certificate, authority.certificate, NAME)


def own_authority(kind: str, *, identifier: bool = True) -> KeyPair:
    """An authority as an operator might bring it, made without our code."""
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "An operator")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False),
            critical=True,
        )
    )
    if identifier:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    certificate = builder.sign(key, hashes.SHA256() if kind == "rsa" else None)
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


class TestContent:
    def test_an_authority(self, authority: KeyPair) -> None:
        certificate = parsed(authority)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=1)
        assert usage.critical
        assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, False)
        assert certificate.not_valid_before_utc == NOW - BACKDATED
        assert certificate.not_valid_after_utc == NOW + timedelta(days=3650)
        assert certificate.issuer == certificate.subject

    @pytest.mark.parametrize(
        ("as_server", "as_client", "uses"),
        [
            (True, False, [ExtendedKeyUsageOID.SERVER_AUTH]),
            (False, True, [ExtendedKeyUsageOID.CLIENT_AUTH]),
            (True, True, [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        ],
    )
    def test_a_leaf_is_good_for_what_was_asked(
        self, authority: KeyPair, as_server: bool, as_client: bool, uses: list[x509.ObjectIdentifier]
    ) -> None:
        certificate = parsed(issue(authority, "alpha", NOW, server=as_server, client=as_client))
        extensions = certificate.extensions
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == uses
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == LEAF_LIFETIME + BACKDATED

    def test_a_leaf_for_nothing_is_a_mistake_of_ours(self, authority: KeyPair) -> None:
        with pytest.raises(ValueError, match="a server, a client or both"):
            issue(authority, "alpha", NOW, server=False, client=False)

    def test_the_leaf_names_the_key_that_signed_it(self, authority: KeyPair, server: KeyPair) -> None:
        theirs = parsed(authority).extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        ours = parsed(server).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert ours == theirs

    def test_an_authority_without_identifier_is_identified_by_its_key(self) -> None:
        foreign = own_authority("ed25519", identifier=False)
        leaf = parsed(issue(foreign, "alpha", NOW, server=False, client=True))
        wanted = x509.SubjectKeyIdentifier.from_public_key(parsed(foreign).public_key()).digest
        assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == wanted

    def test_keys_are_of_the_curve_p_256_and_serials_random(self, authority: KeyPair) -> None:
        pairs = [issue(authority, "alpha", NOW, server=False, client=True) for _ignored in range(2)]
        assert len({parsed(pair).serial_number for pair in pairs}) == 2
        assert len({pair.key for pair in pairs}) == 2
        key = parsed(pairs[0]).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"

    def test_a_leaf_does_not_outlive_its_authority(self) -> None:
        short = create_authority("short", NOW, lifetime=timedelta(days=10))
        assert expiry(issue(short, "alpha", NOW, server=False, client=True).certificate) == NOW + timedelta(days=10)

    def test_times_of_another_zone_are_understood(self, authority: KeyPair) -> None:
        there = NOW.astimezone(timezone(timedelta(hours=9)))
        pair = issue(authority, "alpha", there, server=False, client=True)
        assert expiry(pair.certificate) == NOW + LEAF_LIFETIME

    def test_names_are_there_once_and_in_order(self, authority: KeyPair) -> None:
        pair = issue(
            authority,
            "receive",
            NOW,
            dns_names=["b", "a", "b"],
            ip_addresses=["::1", "10.0.0.1", "::1"],
            server=True,
            client=False,
        )
        names = parsed(pair).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in names] == ["b", "a", "::1", "10.0.0.1"]


class TestRefusals:
    @pytest.mark.parametrize("common_name", ["", "a" * 65])
    def test_common_names_of_a_wrong_length(self, authority: KeyPair, common_name: str) -> None:
        with pytest.raises(InputError, match="1 to 64 characters") as refusal:
            issue(authority, common_name, NOW, server=False, client=True)
        assert refusal.value.parameter == "common_name"

    @pytest.mark.parametrize(
        ("parameter", "value"), [("dns_names", "größe.example"), ("ip_addresses", "10.0.0"), ("ip_addresses", "")]
    )
    def test_names_that_do_not_fit_into_a_certificate(self, authority: KeyPair, parameter: str, value: str) -> None:
        names = {parameter: [value]}
        with pytest.raises(InputError) as refusal:
            issue(authority, "alpha", NOW, server=True, client=False, **names)  # type: ignore[arg-type]
        assert refusal.value.parameter == parameter

    def test_a_leaf_signs_nothing(self, server: KeyPair) -> None:
        with pytest.raises(InputError, match="not the certificate of an authority"):
            issue(server, "alpha", NOW, server=False, client=True)

    def test_a_certificate_without_constraints_signs_nothing(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        pair = KeyPair(
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        )
        with pytest.raises(InputError, match="not the certificate of an authority"):
            issue(pair, "alpha", NOW, server=False, client=True)
        assert renewal_reason(pair, pair.certificate, NOW, common_name="alpha") is not None

    def test_path_length_zero_signs_no_authority(self) -> None:
        with pytest.raises(InputError, match="path length 0"):
            create_authority("below", NOW, issuer=create_authority("tenants", NOW))

    def test_an_expired_authority_signs_nothing(self) -> None:
        old = create_authority("old", NOW - timedelta(days=2), lifetime=timedelta(days=1))
        with pytest.raises(InputError, match="expired"):
            issue(old, "alpha", NOW, server=False, client=True)

    def test_the_authority_must_be_a_pair(self, authority: KeyPair, stranger: KeyPair) -> None:
        mixed = KeyPair(authority.certificate, stranger.key)
        with pytest.raises(InputError, match="does not belong to the certificate") as refusal:
            issue(mixed, "alpha", NOW, server=False, client=True)
        assert refusal.value.parameter == "authority"


class TestVerifyPair:
    def test_a_good_pair(self, server: KeyPair) -> None:
        verify_pair(server, "certificate")

    @pytest.mark.parametrize(
        "certificate", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"]
    )
    def test_a_certificate_that_is_none(self, server: KeyPair, certificate: str) -> None:
        with pytest.raises(InputError, match="not a PEM certificate") as refusal:
            verify_pair(replace(server, certificate=certificate), "gateway_certificate")
        assert refusal.value.parameter == "gateway_certificate"

    def test_a_key_that_is_none_is_not_quoted(self, server: KeyPair) -> None:
        with pytest.raises(InputError) as refusal:
            verify_pair(replace(server, key="very secret"), "tls_key")
        assert "secret" not in str(refusal.value)
        assert refusal.value.__cause__ is None

    def test_an_encrypted_key(self, server: KeyPair) -> None:
        key = serialization.load_pem_private_key(server.key.encode(), password=None)
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        ).decode()
        with pytest.raises(InputError, match="unencrypted PEM"):
            verify_pair(replace(server, key=text), "tls_key")

    def test_a_key_that_cannot_sign(self, server: KeyPair) -> None:
        text = x25519.X25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with pytest.raises(InputError, match="cannot sign"):
            verify_pair(replace(server, key=text.decode()), "tls_key")


WANTED = {"dns_names": [NAME], "ip_addresses": ["10.0.0.1"], "common_name": "receive", "server": True, "client": False}


class TestRenewal:
    def test_a_good_certificate_stays(self, server: KeyPair, authority: KeyPair) -> None:
        assert renewal_reason(server, authority.certificate, NOW, **WANTED) is None  # type: ignore[arg-type]

    def test_names_in_another_order_are_the_same(self, authority: KeyPair) -> None:
        pair = issue(authority, "a", NOW, dns_names=["a", "b"], server=True, client=False)
        assert renewal_reason(pair, authority.certificate, NOW, dns_names=["b", "a"], common_name="a") is None

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"common_name": "query"}, "its common name is receive, wanted is query"),
            ({"dns_names": [NAME, "more"]}, "names differ from the wanted ones: more"),
            ({"dns_names": []}, f"names differ from the wanted ones: {NAME}"),
            ({"ip_addresses": ["10.0.0.2"]}, "10.0.0.1, 10.0.0.2"),
            ({"server": False, "client": None}, "it is for a TLS server"),
            ({"client": True}, "it is not for a TLS client"),
        ],
    )
    def test_other_wishes(self, server: KeyPair, authority: KeyPair, changed: dict[str, object], reason: str) -> None:
        assert reason in str(renewal_reason(server, authority.certificate, NOW, **{**WANTED, **changed}))  # type: ignore[arg-type]

    def test_another_authority_of_the_same_name(self, server: KeyPair, stranger: KeyPair) -> None:
        reason = renewal_reason(server, stranger.certificate, NOW, **WANTED)  # type: ignore[arg-type]
        assert reason == "another authority signed it"

    @pytest.mark.parametrize("days", [0, 71, 72, 90, 400])
    def test_at_four_fifths_of_its_life(self, server: KeyPair, authority: KeyPair, days: int) -> None:
        reason = renewal_reason(server, authority.certificate, NOW + timedelta(days=days), **WANTED)  # type: ignore[arg-type]
        assert (reason is not None) == (days >= 72)

    def test_the_very_moment(self, server: KeyPair, authority: KeyPair) -> None:
        due = renewal_date(server.certificate)
        assert due == NOW - BACKDATED + (LEAF_LIFETIME + BACKDATED) * 0.8
        before, at = (
            renewal_reason(server, authority.certificate, moment, **WANTED)  # type: ignore[arg-type]
            for moment in (due - timedelta(seconds=1), due)
        )
        assert before is None
        assert "due for renewal" in str(at)

    def test_with_the_end_of_its_authority(self) -> None:
        short = create_authority("short", NOW, lifetime=timedelta(days=1))
        pair = issue(short, "a", NOW, server=True, client=False)
        reason = renewal_reason(pair, short.certificate, NOW + timedelta(days=1), common_name="a")
        assert "its authority expired" in str(reason)

    @pytest.mark.parametrize("part", ["certificate", "key", "authority"])
    def test_what_does_not_parse(self, server: KeyPair, authority: KeyPair, part: str) -> None:
        broken = server if part == "authority" else replace(server, **{part: "nonsense"})
        trusted = "nonsense" if part == "authority" else authority.certificate
        assert "PEM" in str(renewal_reason(broken, trusted, NOW, **WANTED))  # type: ignore[arg-type]

    def test_without_any_use(self, authority: KeyPair) -> None:
        # An authority's certificate has no extended key usage; taken as a leaf it is for nothing.
        reason = renewal_reason(authority, authority.certificate, NOW, common_name="internal", server=True)
        assert reason == "it is not for a TLS server"


class TestFingerprint:
    def test_it_is_that_of_the_der(self, server: KeyPair) -> None:
        der = parsed(server).public_bytes(serialization.Encoding.DER)
        assert fingerprint(server.certificate) == hashlib.sha256(der).hexdigest()

    def test_of_the_first_in_a_chain(self, server: KeyPair, authority: KeyPair) -> None:
        assert fingerprint(f"comment\n{server.certificate}{authority.certificate}") == fingerprint(server.certificate)

    @pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\n"])
    def test_of_nothing(self, text: str) -> None:
        with pytest.raises(InputError, match="PEM"):
            fingerprint(text)

    def test_expiry_of_nothing(self) -> None:
        with pytest.raises(InputError, match="PEM"):
            expiry("nonsense")


class TestTrustAnchors:
    """OpenSSL takes an authority as an anchor whatever is above it, and nothing that is above it."""

    @pytest.fixture
    def root(self) -> KeyPair:
        return create_authority("root", NOW, path_length=1)

    @pytest.fixture
    def intermediate(self, root: KeyPair) -> KeyPair:
        return create_authority("intermediate", NOW, issuer=root)

    def leaf(self, authority: KeyPair, *chain: KeyPair, server: bool = False) -> KeyPair:
        made = issue(authority, "leaf", NOW, dns_names=[NAME], server=server, client=not server)
        return replace(made, certificate="".join(item.certificate for item in (made, *chain)))

    @pytest.mark.parametrize("of", ["root", "intermediate"])
    def test_what_it_signed_is_trusted(
        self, handshake: Callable[..., None], root: KeyPair, intermediate: KeyPair, of: str
    ) -> None:
        authority = root if of == "root" else intermediate
        anchors = trust_anchors(authority.certificate)
        handshake(self.leaf(authority, server=True), self.leaf(authority), anchors, anchors, NAME)

    def test_what_others_signed_is_not(
        self, handshake: Callable[..., None], root: KeyPair, intermediate: KeyPair
    ) -> None:
        sibling = create_authority("sibling", NOW, issuer=root)
        anchors = trust_anchors(intermediate.certificate)
        good = self.leaf(intermediate), self.leaf(intermediate, server=True)
        for bad in (self.leaf(sibling, sibling, root), self.leaf(root), self.leaf(root, root)):
            with pytest.raises(ssl.SSLCertVerificationError):
                handshake(good[1], bad, anchors, anchors, NAME)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(self.leaf(sibling, sibling, root, server=True), good[0], anchors, anchors, NAME)

    def test_all_of_them(self, handshake: Callable[..., None], root: KeyPair, stranger: KeyPair) -> None:
        anchors = trust_anchors(f"comment\n{root.certificate}\n{stranger.certificate}")
        handshake(self.leaf(root, server=True), self.leaf(stranger), anchors, anchors, NAME)

    @pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\n"])
    def test_of_nothing(self, text: str) -> None:
        with pytest.raises(InputError, match="PEM"):
            trust_anchors(text)


def test_the_key_is_never_shown(server: KeyPair) -> None:
    secret = server.key.splitlines()[1]
    assert secret not in repr(server)
    assert secret not in str(server)
    assert secret not in f"{[server]}"


class TestLibrary:
    def test_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cryptography", None)
        with pytest.raises(LibraryError, match=r"cryptography .*42"):
            create_authority("tenants", NOW)

    def test_it_is_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cryptography.x509.Certificate", object)
        with pytest.raises(LibraryError, match=r"cryptography .*42"):
            expiry("")

    def test_it_is_not_imported_before_it_is_needed(self) -> None:
        program = f"import sys, {certificates.__name__}; sys.exit('cryptography' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
