# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators bring: what is kept of it, and a table of what is refused and which parameter is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, issue
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import (
    Source,
    also_trusted,
    authority_of,
    check_apart,
    client_of,
    each,
    has_signed,
    is_same_authority,
    server_of,
)
from lab.certificates import key_usage
from tests.pki import CA, Made, authority, make

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
NAME = "metrics.example.org"


@pytest.fixture(scope="module")
def root() -> Made:
    return authority("Example Root")


@pytest.fixture(scope="module")
def intermediate(root: Made) -> Made:
    return authority("Example Tenants", root)


def given(made: Made, **changed: Any) -> Source:
    source = Source.of({"certificate": made.pem, "private_key": made.key_pem, **changed})
    assert source is not None
    return source


def kept(source: Source, *, signs_servers: bool = True) -> KeyPair:
    return authority_of(source, NOW, signs_servers=signs_servers)


class TestClient:
    """The certificate of an agent that was signed elsewhere."""

    @pytest.fixture
    def made(self, root: Made) -> Made:
        return make("alpha", root, extensions=[x509.ExtendedKeyUsage([CLIENT])])

    def test_the_certificate_alone_is_kept_with_its_key(self, root: Made, made: Made) -> None:
        source = Source(made.pem + root.pem, made.traditional_key_pem, "", "client_certificate", "client_key")
        assert client_of(source, NOW, "alpha") == KeyPair(made.pem, made.key_pem)

    @pytest.mark.parametrize(
        ("change", "parameter", "text"),
        [
            (lambda root: make("beta", root), "client_certificate", "is for beta"),
            (lambda root: make("alpha", root, start=NOW - 9 * DAY, end=NOW - DAY), "client_certificate", "expired"),
            (lambda root: make("alpha", root, start=NOW + DAY, end=NOW + 9 * DAY), "client_certificate", "not valid"),
            (
                lambda root: make("alpha", root, extensions=[x509.ExtendedKeyUsage([SERVER])]),
                "client_certificate",
                "not for a TLS client",
            ),
            (
                lambda root: make("alpha", root, key=rsa.generate_private_key(65537, 1024)),
                "client_certificate",
                "1024 bits",
            ),
        ],
        ids=["name", "expired", "early", "server", "weak"],
    )
    def test_what_the_gateway_would_not_let_in_is_refused(
        self, root: Made, change: Callable[[Made], Made], parameter: str, text: str
    ) -> None:
        made = change(root)
        source = Source(made.pem, made.key_pem, "", "client_certificate", "client_key")
        with pytest.raises(InputError, match=text) as raised:
            client_of(source, NOW, "alpha")
        assert raised.value.parameter == parameter

    @pytest.mark.parametrize(
        ("key", "text"),
        [
            (lambda made: make("alpha").key_pem, "does not belong"),
            (lambda made: made.encrypted_key_pem("hunter2"), "is encrypted"),
            (lambda made: "nonsense", "not a private key"),
        ],
        ids=["other", "encrypted", "none"],
    )
    def test_a_key_that_cannot_be_used_is_named_and_not_shown(
        self, made: Made, key: Callable[[Made], str], text: str
    ) -> None:
        pem = key(made)
        with pytest.raises(InputError, match=text) as raised:
            client_of(Source(made.pem, pem, "", "client_certificate", "client_key"), NOW, "alpha")
        assert raised.value.parameter == "client_key"
        assert pem not in str(raised.value.result())


class TestSource:
    def test_a_key_may_be_elsewhere_where_that_is_of_use(self, root: Made) -> None:
        source = Source.of({"certificate": root.pem, "private_key": ""}, key_elsewhere=True)
        assert source is not None
        assert kept(source) == KeyPair(root.pem, "")
        with pytest.raises(InputError) as raised:
            Source.of({"certificate": root.pem})
        assert raised.value.parameter == "private_key"

    def test_nothing_is_nothing(self) -> None:
        assert Source.of({}) is None
        assert Source.of({"certificate": None, "private_key": "", "private_key_passphrase": None}) is None

    @pytest.mark.parametrize(
        ("params", "parameter"),
        [
            ({"certificate": "c"}, "private_key"),
            ({"private_key": "k"}, "certificate"),
            ({"private_key": "k", "private_key_passphrase": "p"}, "certificate"),
            ({"private_key_passphrase": "p"}, "private_key_passphrase"),
        ],
    )
    def test_half_of_it_is_refused(self, params: dict[str, str], parameter: str) -> None:
        with pytest.raises(InputError) as refused:
            Source.of(params)
        assert refused.value.parameter == parameter


KEYS: dict[str, Callable[[], Any]] = {
    "RSA 2048": lambda: rsa.generate_private_key(65537, 2048),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


class TestAuthority:
    @pytest.mark.parametrize("kind", KEYS)
    def test_it_signs_what_others_trust_by_it(self, kind: str, handshake: Callable[..., None]) -> None:
        own = kept(given(authority("own", key=KEYS[kind]())))
        server = issue(own, "server", NOW, dns_names=[NAME], server=True, client=False)
        client = issue(own, "kaas-1", NOW, server=False, client=True)
        handshake(server, client, own.certificate, own.certificate, NAME)

    def test_of_a_chain_only_the_authority_itself_is_kept(self, root: Made, intermediate: Made) -> None:
        pair = kept(given(intermediate, certificate=intermediate.pem + root.pem))
        assert pair.certificate == intermediate.pem

    def test_text_around_it_makes_no_difference(self, root: Made) -> None:
        certificate = f"Subject: Example\n{root.pem.replace(chr(10), chr(13) + chr(10))}\n\n"
        assert kept(given(root, certificate=certificate)) == kept(given(root))

    def test_every_form_of_a_key_is_kept_as_one(self, root: Made) -> None:
        plain = kept(given(root))
        assert plain.key == root.key_pem
        for key in (
            root.traditional_key_pem,
            root.encrypted_key_pem("swordfish"),
            root.encrypted_key_pem("swordfish", traditional=True),
        ):
            passphrase = "swordfish" if "ENCRYPTED" in key else None
            assert kept(given(root, private_key=key, private_key_passphrase=passphrase)) == plain

    def test_a_passphrase_of_a_key_without_one_is_passed_over(self, root: Made) -> None:
        assert kept(given(root, private_key_passphrase="swordfish")) == kept(given(root))

    @pytest.mark.parametrize(
        ("extensions", "signs_servers"),
        [
            ([CA], True),
            ([CA, x509.ExtendedKeyUsage([CLIENT])], False),
            ([CA, x509.ExtendedKeyUsage([CLIENT, SERVER])], True),
            ([CA, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])], True),
            ([x509.BasicConstraints(ca=True, path_length=0), key_usage(key_cert_sign=True)], True),
        ],
        ids=["no key usage", "clients only", "both", "any", "path length 0"],
    )
    def test_what_may_sign_is_taken(self, extensions: list[x509.ExtensionType], signs_servers: bool) -> None:
        made = make("own", extensions=extensions)
        assert kept(given(made), signs_servers=signs_servers).certificate == made.pem

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"extensions": []}, "not the certificate of an authority"),
            (
                {"extensions": [x509.BasicConstraints(ca=False, path_length=None)]},
                "not the certificate of an authority",
            ),
            ({"extensions": [CA, key_usage(key_cert_sign=False)]}, "key usage without certificate signing"),
            ({"extensions": [CA, x509.ExtendedKeyUsage([SERVER])]}, "may not sign TLS clients"),
            ({"extensions": [CA, x509.ExtendedKeyUsage([CLIENT])]}, "may not sign TLS servers"),
            (
                {"extensions": [CA, x509.NameConstraints([x509.DNSName("example.org")], None)]},
                "name constraints",
            ),
            ({"extensions": [CA], "end": NOW - DAY, "start": NOW - 2 * DAY}, r'"CN=own" expired on \d{4}-'),
            ({"extensions": [CA], "start": NOW + DAY}, r'"CN=own" is not valid before \d{4}-.* Here it is'),
            ({"extensions": [CA], "key": rsa.generate_private_key(65537, 1024)}, "RSA key of 1024 bits"),
            ({"extensions": [CA], "key": ed448.Ed448PrivateKey.generate()}, "kind of key"),
            ({"extensions": [CA], "key": ec.generate_private_key(ec.BrainpoolP256R1())}, "kind of key"),
            ({"extensions": [CA], "key": dsa.generate_private_key(2048)}, "kind of key"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_no_verifier_would_take_is_refused(self, options: dict[str, Any], text: str) -> None:
        with pytest.raises(InputError, match=text) as refused:
            kept(given(make("own", **options)))
        assert refused.value.parameter == "certificate"

    @pytest.mark.parametrize(
        ("changed", "parameter", "text"),
        [
            ({"certificate": "no PEM"}, "certificate", "not a certificate in PEM form"),
            ({"certificate": "/etc/pki/ca.crt"}, "certificate", "not a certificate in PEM form"),
            (
                {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
                "certificate",
                "not a certificate in PEM form",
            ),
            ({"private_key": "no PEM"}, "private_key", "not a private key in PEM form"),
            (
                {"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
                "private_key",
                "not a private key in PEM form",
            ),
            ({"private_key": authority("own").key_pem}, "private_key", r'does not belong to .*"CN=own"'),
            ({"private_key": authority("own").encrypted_key_pem("swordfish")}, "private_key", "is encrypted"),
            (
                {"private_key": authority("own").encrypted_key_pem("swordfish"), "private_key_passphrase": "wrong"},
                "private_key_passphrase",
                "does not open private_key",
            ),
        ],
    )
    def test_what_cannot_be_read_is_refused_without_a_word_of_it(
        self, changed: dict[str, str], parameter: str, text: str
    ) -> None:
        with pytest.raises(InputError, match=text) as refused:
            kept(given(authority("own"), **changed))
        assert refused.value.parameter == parameter
        assert "BEGIN" not in str(refused.value)
        assert "wrong" not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_a_key_among_the_certificates_is_refused(self, root: Made) -> None:
        with pytest.raises(InputError, match="no key") as refused:
            kept(given(root, certificate=root.pem + root.key_pem))
        assert refused.value.parameter == "certificate"

    def test_a_chain_that_begins_with_the_root_is_refused(self, root: Made, intermediate: Made) -> None:
        with pytest.raises(InputError, match=r'does not belong to the \(first\) certificate, "CN=Example Root"'):
            kept(given(intermediate, certificate=root.pem + intermediate.pem))


class TestApart:
    def test_siblings_are_apart(self, root: Made, intermediate: Made) -> None:
        check_apart(given(authority("Example Internal", root)), intermediate.pem)

    def test_a_sibling_with_its_chain_is_apart(self, root: Made, intermediate: Made) -> None:
        sibling = authority("Example Internal", root)
        check_apart(given(sibling, certificate=sibling.pem + root.pem), intermediate.pem)

    def test_one_is_not_two(self, root: Made) -> None:
        renewed = authority("Example Root", key=root.key)
        for made in (root, renewed):
            with pytest.raises(InputError, match=r"is the observer's other authority\..*two authorities") as refused:
                check_apart(given(made), root.pem)
            assert refused.value.parameter == "certificate"

    def test_neither_is_above_the_other(self, root: Made, intermediate: Made) -> None:
        below = authority("Example Below", intermediate)
        with pytest.raises(InputError, match="was signed by the observer's other"):
            check_apart(given(intermediate), root.pem)
        with pytest.raises(InputError, match="was signed by the observer's other"):
            check_apart(given(below, certificate=below.pem + intermediate.pem + root.pem), root.pem)
        with pytest.raises(InputError, match="has signed the observer's other"):
            check_apart(given(root), intermediate.pem)


class TestAlsoTrusted:
    def test_each_once_and_without_what_is_there_anyway(self, root: Made) -> None:
        own, gone = authority("Example Internal"), authority("Before", start=NOW - 2 * DAY, end=NOW - DAY)
        text = f"# the next one\n{root.pem}{own.pem}{gone.pem}{root.pem}"
        assert also_trusted(text, own.pem, []) == root.pem + gone.pem
        assert also_trusted(own.pem, own.pem, []) == also_trusted("", own.pem, []) == ""
        assert each(root.pem + own.pem) == [root.pem, own.pem]
        assert each("none") == each("") == []

    def test_what_would_let_in_too_much_or_nobody_is_refused(self, root: Made, intermediate: Made) -> None:
        own = authority("Example Internal").pem
        for text, reason in (
            ("none", "not a certificate in PEM form"),
            (root.pem + root.key_pem, "no key"),
            (make("leaf", root).pem, "not the certificate of an authority"),
            (own + intermediate.pem, "observer's other authority"),
            (own + root.pem, "has signed the observer's other authority"),
            (authority("Next", root).pem + root.pem, "signed another one of them"),
        ):
            with pytest.raises(InputError, match=reason) as refused:
                also_trusted(text, own, [intermediate.pem])
            assert refused.value.parameter == "also_trusted"


class TestSame:
    def test_name_and_key_make_an_authority(self, root: Made, intermediate: Made) -> None:
        assert is_same_authority(root.pem, authority("Example Root", key=root.key).pem)
        assert not is_same_authority(root.pem, authority("Example Root").pem)
        assert not is_same_authority(root.pem, authority("Another Root", key=root.key).pem)
        assert not is_same_authority(root.pem, "damaged")

    def test_who_signed(self, root: Made, intermediate: Made) -> None:
        assert has_signed(root.pem, intermediate.pem)
        assert not has_signed(intermediate.pem, root.pem)
        assert not has_signed(root.pem, "")


def server(issuer: Made | None = None, names: tuple[str, ...] = (NAME,), **options: Any) -> Made:
    options.setdefault("extensions", [x509.ExtendedKeyUsage([SERVER])])
    return make(names[0] if names else "nobody", issuer, names=names, **options)


class TestServer:
    def test_the_chain_is_kept(self, root: Made, intermediate: Made) -> None:
        made = server(intermediate)
        pair = server_of(given(made, certificate=made.pem + intermediate.pem), NOW, [NAME])
        assert pair == KeyPair(made.pem + intermediate.pem, made.key_pem)

    @pytest.mark.parametrize(
        ("names", "hostnames"),
        [
            ((NAME,), []),
            ((NAME,), [NAME]),
            ((NAME,), ["Metrics.Example.ORG"]),
            (("*.example.org",), [NAME, "*.example.org"]),
            ((NAME, "192.0.2.1"), ["192.0.2.1", NAME]),
        ],
    )
    def test_names_that_are_covered(self, names: tuple[str, ...], hostnames: list[str]) -> None:
        server_of(given(server(names=names)), NOW, hostnames)

    @pytest.mark.parametrize(
        ("names", "hostname", "text"),
        [
            ((NAME,), "other.example.org", f"it is for {NAME}"),
            (("*.example.org",), "a.metrics.example.org", r"it is for \*\.example\.org"),
            (("*.example.org",), "example.org", "does not cover example.org"),
            ((NAME,), "192.0.2.1", "does not cover 192.0.2.1"),
            ((), "nobody", "it is for no name"),
        ],
    )
    def test_names_that_are_not(self, names: tuple[str, ...], hostname: str, text: str) -> None:
        with pytest.raises(InputError, match=text) as refused:
            server_of(given(server(names=names)), NOW, [hostname])
        assert refused.value.parameter == "certificate"

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"extensions": [x509.ExtendedKeyUsage([CLIENT])]}, "not for a TLS server"),
            ({"start": NOW - 2 * DAY, "end": NOW - DAY}, "expired on"),
            ({"start": NOW + DAY}, "is not valid before"),
            ({"key": rsa.generate_private_key(65537, 1024)}, "1024 bits"),
        ],
    )
    def test_what_no_agent_would_take_is_refused(self, options: dict[str, Any], text: str) -> None:
        with pytest.raises(InputError, match=text) as refused:
            server_of(given(server(**options)), NOW, [NAME])
        assert refused.value.parameter == "certificate"

    def test_a_chain_in_another_order_is_refused(self, root: Made, intermediate: Made) -> None:
        made = server(intermediate)
        with pytest.raises(InputError, match="did not sign"):
            server_of(given(made, certificate=made.pem + root.pem + intermediate.pem), NOW, [NAME])

    def test_an_expired_chain_is_refused(self, root: Made) -> None:
        expired = authority("Old", root, start=NOW - 2 * DAY, end=NOW - DAY)
        made = server(expired)
        with pytest.raises(InputError, match='"CN=Old" expired'):
            server_of(given(made, certificate=made.pem + expired.pem), NOW, [NAME])

    def test_errors_name_the_secret_when_it_comes_from_one(self) -> None:
        made, other = server(), server()
        source = Source(made.pem, other.key_pem, "", "certificate_secret", "certificate_secret")
        with pytest.raises(InputError, match="does not belong") as refused:
            server_of(source, NOW, [NAME])
        assert refused.value.parameter == "certificate_secret"
