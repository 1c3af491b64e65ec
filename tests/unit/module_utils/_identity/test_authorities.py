# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity import authorities
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    AUTHORITIES,
    DIGEST_ANNOTATION,
    EXPIRES_ANNOTATION,
    INTERNAL,
    INTERNAL_GATEWAY,
    RENEW_AFTER_ANNOTATION,
    TENANTS,
    agent_secret,
    authority_secret_name,
    leaf_secret,
    observe_or_create,
    secret_text,
    service_names,
    shared_server_name,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, fingerprint
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import Manifest

NOW = datetime.now(UTC).replace(microsecond=0)
NAMESPACE = "observer"
LABELS = {"app.kubernetes.io/name": "receive"}


class Secrets:
    """A namespace's Secrets; reading is all that there is."""

    def __init__(self) -> None:
        self.stored: dict[str, Manifest] = {}

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        assert (api_version, kind, namespace) == ("v1", "Secret", NAMESPACE)
        return copy.deepcopy(self.stored.get(name))

    def create(self, secrets: list[Manifest]) -> None:
        for secret in secrets:
            assert secret["metadata"]["name"] not in self.stored
            self.stored[secret["metadata"]["name"]] = secret


@pytest.fixture(scope="module")
def pairs() -> dict[str, KeyPair]:
    return observe_or_create(Secrets(), NAMESPACE, AUTHORITIES, NOW)[0]


def component(existing: Manifest | None, pairs: dict[str, KeyPair], now: datetime = NOW, **changed: Any) -> Manifest:
    wanted: dict[str, Any] = {
        "common_name": "receive",
        "dns_names": service_names("receive", NAMESPACE),
        "server": True,
        "ca_certificate": pairs[INTERNAL_GATEWAY].certificate,
    }
    wanted.update(changed)
    authority = wanted.pop("authority", pairs[INTERNAL])
    return leaf_secret(existing, "receive-tls", NAMESPACE, LABELS, authority, now=now, **wanted)


def pair_of(secret: Manifest) -> KeyPair:
    return KeyPair(str(secret_text(secret, "tls.crt")), str(secret_text(secret, "tls.key")))


class TestAuthorities:
    def test_missing_ones_are_made_and_observed_ever_after(self) -> None:
        secrets = Secrets()
        made, missing = observe_or_create(secrets, NAMESPACE, (TENANTS, INTERNAL), NOW)
        assert [secret["metadata"]["name"] for secret in missing] == [
            "scs-observability-authority-tenants",
            "scs-observability-authority-internal",
        ]
        secrets.create(missing)
        observed, missing = observe_or_create(secrets, NAMESPACE, (INTERNAL, TENANTS), NOW + timedelta(days=1))
        assert (observed, missing) == (made, [])

    def test_none_of_them_signed_another(self) -> None:
        made, missing = observe_or_create(Secrets(), NAMESPACE, AUTHORITIES, NOW)
        assert [secret["metadata"]["name"] for secret in missing] == [
            authority_secret_name(name) for name in AUTHORITIES
        ]
        certificates = [x509.load_pem_x509_certificate(made[name].certificate.encode()) for name in AUTHORITIES]
        for certificate in certificates:
            assert certificate.issuer == certificate.subject
            assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0

    def test_the_gateways_authority_needs_none_of_the_others(self) -> None:
        made, missing = observe_or_create(Secrets(), NAMESPACE, (INTERNAL_GATEWAY,), NOW)
        assert list(made) == [INTERNAL_GATEWAY]
        assert len(missing) == 1

    def test_the_secrets_are_of_kubernetes_own_type(self) -> None:
        made, missing = observe_or_create(Secrets(), NAMESPACE, (TENANTS,), NOW)
        secret = missing[0]
        assert secret["type"] == "kubernetes.io/tls"
        assert {key: secret_text(secret, key) for key in secret["data"]} == {
            "tls.crt": made[TENANTS].certificate,
            "tls.key": made[TENANTS].key,
            "ca.crt": made[TENANTS].certificate,
        }
        assert secret["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "scs.observability"

    def test_a_long_namespace_fits_into_the_common_name(self) -> None:
        class Nothing:
            def get(self, *_arguments: str) -> None:
                return None

        made, _missing = observe_or_create(Nothing(), "n" * 63, (TENANTS, INTERNAL, INTERNAL_GATEWAY), NOW)
        assert len(made) == 3

    @pytest.mark.parametrize("data", [{}, {"tls.crt": "", "tls.key": ""}, {"tls.crt": "!", "tls.key": "!"}])
    def test_a_damaged_one_is_not_replaced(self, data: dict[str, str]) -> None:
        secrets = Secrets()
        name = authority_secret_name(TENANTS)
        secrets.stored[name] = {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data}
        with pytest.raises(InputError, match=f"{NAMESPACE}/{name}"):
            observe_or_create(secrets, NAMESPACE, (TENANTS,), NOW)

    def test_an_unknown_one_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(ValueError, match="customers"):
            observe_or_create(Secrets(), NAMESPACE, ("customers",), NOW)


class TestLeafSecret:
    def test_it_holds_pair_and_trust(self, pairs: dict[str, KeyPair]) -> None:
        secret = component(None, pairs)
        assert secret["type"] == "kubernetes.io/tls"
        assert secret["metadata"]["labels"] == LABELS
        assert secret_text(secret, "ca.crt") == pairs[INTERNAL_GATEWAY].certificate
        certificate = x509.load_pem_x509_certificate(pair_of(secret).certificate.encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [
            "receive",
            "receive.observer.svc",
            "receive.observer.svc.cluster.local",
            "thanos-grpc.observer.svc",
        ]

    def test_it_trusts_its_authority_unless_told_otherwise(self, pairs: dict[str, KeyPair]) -> None:
        assert secret_text(component(None, pairs, ca_certificate=None), "ca.crt") == pairs[INTERNAL].certificate

    def test_its_dates_are_shown(self, pairs: dict[str, KeyPair]) -> None:
        annotations = component(None, pairs)["metadata"]["annotations"]
        assert annotations[EXPIRES_ANNOTATION] == (NOW + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
        due = datetime.fromisoformat(annotations[RENEW_AFTER_ANNOTATION])
        assert timedelta(days=71) < due - NOW < timedelta(days=73)

    def test_it_stays(self, pairs: dict[str, KeyPair]) -> None:
        secret = component(None, pairs)
        assert component(copy.deepcopy(secret), pairs, NOW + timedelta(days=71)) == secret

    def test_names_in_another_order_are_the_same(self, pairs: dict[str, KeyPair]) -> None:
        secret = component(None, pairs)
        names = tuple(reversed(service_names("receive", NAMESPACE)))
        assert component(secret, pairs, dns_names=names) == secret

    @pytest.mark.parametrize(
        "changed",
        [
            {"common_name": "query"},
            {"dns_names": ("other",)},
            {"ip_addresses": ("10.0.0.1",)},
            {"client": True},
            {"now": NOW + timedelta(days=73)},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_it_is_made_anew(self, pairs: dict[str, KeyPair], changed: dict[str, Any]) -> None:
        secret = component(None, pairs)
        anew = component(secret, pairs, **changed)
        assert pair_of(anew).certificate != pair_of(secret).certificate
        assert pair_of(anew).key != pair_of(secret).key
        assert anew["metadata"]["annotations"] != secret["metadata"]["annotations"]
        assert component(anew, pairs, **changed) == anew

    def test_another_authority_signs_anew(self, pairs: dict[str, KeyPair]) -> None:
        secret = component(None, pairs)
        anew = component(secret, pairs, authority=pairs[TENANTS])
        assert pair_of(anew) != pair_of(secret)

    def test_new_trust_keeps_the_pair(self, pairs: dict[str, KeyPair]) -> None:
        secret = component(None, pairs)
        anew = component(secret, pairs, ca_certificate=pairs[TENANTS].certificate)
        assert pair_of(anew) == pair_of(secret)
        assert secret_text(anew, "ca.crt") == pairs[TENANTS].certificate

    @pytest.mark.parametrize(
        "lost",
        [
            lambda annotations: annotations.clear(),
            lambda annotations: annotations.update({DIGEST_ANNOTATION: "0" * 64}),
            lambda annotations: annotations.update({RENEW_AFTER_ANNOTATION: "soon"}),
            lambda annotations: annotations.update({RENEW_AFTER_ANNOTATION: "2020-01-01T00:00:00"}),
        ],
        ids=["all", "digest", "no date", "date without zone"],
    )
    def test_lost_annotations_come_back_without_a_new_pair(
        self, pairs: dict[str, KeyPair], lost: Callable[[dict[str, str]], None]
    ) -> None:
        secret = component(None, pairs)
        live = copy.deepcopy(secret)
        lost(live["metadata"]["annotations"])
        assert component(live, pairs) == secret

    @pytest.mark.parametrize("key", ["tls.crt", "tls.key"])
    def test_half_a_pair_is_made_anew(self, pairs: dict[str, KeyPair], key: str) -> None:
        secret, other = component(None, pairs), component(None, pairs)
        live = copy.deepcopy(secret)
        live["data"][key] = other["data"][key]
        anew = component(live, pairs)
        assert pair_of(anew) not in (pair_of(secret), pair_of(live))
        del live["data"][key]
        assert pair_of(component(live, pairs)) != pair_of(secret)

    def test_a_forged_date_does_not_keep_an_expired_certificate_of_other_content(
        self, pairs: dict[str, KeyPair]
    ) -> None:
        secret, other = component(None, pairs), component(None, pairs, common_name="query")
        live = copy.deepcopy(other)
        live["metadata"]["annotations"] = secret["metadata"]["annotations"]
        assert pair_of(component(live, pairs)) not in (pair_of(secret), pair_of(other))

    def test_a_good_one_costs_no_cryptography(self, pairs: dict[str, KeyPair]) -> None:
        secret = component(None, pairs)
        program = f"""
import json, sys
from datetime import datetime
from {authorities.__name__} import leaf_secret, service_names
from {KeyPair.__module__} import KeyPair
secret, certificate, key, trust = json.load(sys.stdin)
kept = leaf_secret(secret, "receive-tls", "{NAMESPACE}", {LABELS!r}, KeyPair(certificate, key), common_name="receive",
    now=datetime.fromisoformat("{NOW.isoformat()}"), dns_names=service_names("receive", "{NAMESPACE}"), server=True,
    ca_certificate=trust)
assert kept == secret
assert "cryptography" not in sys.modules
"""
        given = [secret, pairs[INTERNAL].certificate, pairs[INTERNAL].key, pairs[INTERNAL_GATEWAY].certificate]
        subprocess.run([sys.executable, "-c", program], input=json.dumps(given), text=True, check=True)


class TestAgentSecret:
    def agent(self, pairs: dict[str, KeyPair], cluster: str, existing: Manifest | None = None) -> Manifest:
        return agent_secret(
            existing,
            "agent-tls",
            "monitoring",
            {},
            tenants=pairs[TENANTS],
            internal_certificate=pairs[INTERNAL].certificate,
            cluster=cluster,
            now=NOW,
        )

    def test_its_common_name_is_the_cluster(self, pairs: dict[str, KeyPair]) -> None:
        secret = self.agent(pairs, "alpha")
        certificate = x509.load_pem_x509_certificate(pair_of(secret).certificate.encode())
        assert certificate.subject.rfc4514_string() == "CN=alpha"
        assert secret_text(secret, "ca.crt") == pairs[INTERNAL].certificate
        assert self.agent(pairs, "alpha", secret) == secret
        assert fingerprint(pair_of(self.agent(pairs, "beta", secret)).certificate) != fingerprint(
            pair_of(secret).certificate
        )

    @pytest.mark.parametrize("cluster", ["", "..", "A_b", "a" * 64, "a.b", "-a", "a\n", "CN=b,a", "gr\u00fcn"])
    def test_no_other_name_is_signed(self, pairs: dict[str, KeyPair], cluster: str) -> None:
        with pytest.raises(InputError) as refusal:
            self.agent(pairs, cluster)
        assert refusal.value.parameter == "name"


class TestWhoOpensWhat:
    """The authorities as components, the gateway and agents use them, in real handshakes."""

    @pytest.fixture
    def agent(self, pairs: dict[str, KeyPair]) -> KeyPair:
        return pair_of(TestAgentSecret().agent(pairs, "alpha"))

    @pytest.fixture
    def receive(self, pairs: dict[str, KeyPair]) -> KeyPair:
        return pair_of(component(None, pairs))

    @pytest.fixture
    def query(self, pairs: dict[str, KeyPair]) -> KeyPair:
        return pair_of(component(None, pairs, common_name="query", client=True))

    @pytest.fixture
    def gateway(self, pairs: dict[str, KeyPair]) -> KeyPair:
        return pair_of(
            component(
                None,
                pairs,
                authority=pairs[INTERNAL_GATEWAY],
                common_name="gateway",
                dns_names=(),
                server=False,
                client=True,
            )
        )

    @pytest.fixture
    def door(self, pairs: dict[str, KeyPair]) -> KeyPair:
        return pair_of(component(None, pairs, common_name="gateway", dns_names=("gateway.example",)))

    def test_an_agent_opens_the_gateway(
        self, handshake: Callable[..., None], pairs: dict[str, KeyPair], agent: KeyPair, door: KeyPair
    ) -> None:
        handshake(door, agent, pairs[TENANTS].certificate, pairs[INTERNAL].certificate, "gateway.example")

    def test_the_gateway_opens_receive(
        self, handshake: Callable[..., None], pairs: dict[str, KeyPair], gateway: KeyPair, receive: KeyPair
    ) -> None:
        trust = pairs[INTERNAL_GATEWAY].certificate
        handshake(receive, gateway, trust, pairs[INTERNAL].certificate, "receive.observer.svc")

    def test_query_opens_a_component_by_the_shared_name(
        self, handshake: Callable[..., None], pairs: dict[str, KeyPair], query: KeyPair, receive: KeyPair
    ) -> None:
        trust = pairs[INTERNAL].certificate
        handshake(receive, query, trust, trust, shared_server_name(NAMESPACE))

    @pytest.mark.parametrize("who", ["agent", "query", "receive"])
    def test_nobody_else_opens_receives_door_for_samples(
        self,
        handshake: Callable[..., None],
        request: pytest.FixtureRequest,
        pairs: dict[str, KeyPair],
        receive: KeyPair,
        who: str,
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(
                receive,
                request.getfixturevalue(who),
                pairs[INTERNAL_GATEWAY].certificate,
                pairs[INTERNAL].certificate,
                "receive",
            )

    def test_an_agent_opens_no_component(
        self, handshake: Callable[..., None], pairs: dict[str, KeyPair], agent: KeyPair, receive: KeyPair
    ) -> None:
        trust = pairs[INTERNAL].certificate
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(receive, agent, trust, trust, "receive")

    @pytest.mark.parametrize("who", ["query", "gateway"])
    def test_a_component_does_not_open_the_gateway(
        self,
        handshake: Callable[..., None],
        request: pytest.FixtureRequest,
        pairs: dict[str, KeyPair],
        door: KeyPair,
        who: str,
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(
                door,
                request.getfixturevalue(who),
                pairs[TENANTS].certificate,
                pairs[INTERNAL].certificate,
                "gateway.example",
            )

    def test_an_agent_does_not_pose_as_the_gateway(
        self, handshake: Callable[..., None], pairs: dict[str, KeyPair], agent: KeyPair
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(agent, agent, pairs[TENANTS].certificate, pairs[INTERNAL].certificate, "alpha")


def test_text_of_a_secret_that_is_still_to_be_sent() -> None:
    assert secret_text({"stringData": {"ca.crt": "text"}, "data": {"ca.crt": "b2xk"}}, "ca.crt") == "text"
    assert secret_text({"data": {"ca.crt": "b2xk"}}, "ca.crt") == "old"
    assert secret_text({"data": {"ca.crt": "/w=="}}, "ca.crt") is None
    assert secret_text({}, "ca.crt") is None
