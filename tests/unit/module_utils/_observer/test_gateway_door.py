# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input about the door's certificate and address is refused before an API server is looked for."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests.gateway import Address
from ansible_collections.scs.observability.plugins.module_utils._observer import authority, gateway
from tests import pki

URL = "https://thanos-receive.observer.svc:19291/api/v1/receive"
PAIR = pki.make("metrics", names=["metrics.example.org"])
OWN = {"certificate": PAIR.pem, "private_key": PAIR.key_pem}
LOAD_BALANCER = {"service_type": "LoadBalancer"}


@pytest.fixture(autouse=True)
def unreached(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_arguments: Any, **_named: Any) -> KubernetesClient:
        raise AssertionError("a cluster was looked for")

    monkeypatch.setattr(KubernetesClient, "from_parameters", reached)


@pytest.mark.parametrize(
    ("params", "parameter", "text"),
    [
        ({"certificate": PAIR.pem}, "private_key", "is required with certificate"),
        ({"private_key": PAIR.key_pem}, "certificate", "is required with private_key"),
        ({"private_key_passphrase": "x"}, "private_key_passphrase", "of no use"),
        ({**OWN, "certificate": "x"}, "certificate", "PEM"),
        ({**OWN, "hostnames": ["other.example.org"]}, "certificate", "does not cover other.example.org"),
        ({**OWN, "certificate_secret": "s"}, "certificate_secret", "exclude each other"),
        ({"certificate_secret": "Not_A_Name"}, "certificate_secret", "not a name as Kubernetes"),
        ({"certificate_secret": "remote-write-gateway-server"}, "certificate_secret", "under another name"),
        ({"load_balancer_class": "a/b"}, "load_balancer_class", "needs service_type LoadBalancer"),
        ({"load_balancer_ip": "192.0.2.1", "service_type": "NodePort"}, "load_balancer_ip", "needs service_type"),
        ({"load_balancer_source_ranges": ["10.0.0.0/8"]}, "load_balancer_source_ranges", "needs service_type"),
        ({**LOAD_BALANCER, "load_balancer_ip": "lb.example.org"}, "load_balancer_ip", "not an IP address"),
        ({**LOAD_BALANCER, "load_balancer_source_ranges": ["10.0.0.0"]}, "load_balancer_source_ranges", "10.0.0.0/8"),
        (
            {**LOAD_BALANCER, "load_balancer_source_ranges": ["10.0.0.1/8"]},
            "load_balancer_source_ranges",
            "not a network",
        ),
        ({**LOAD_BALANCER, "load_balancer_source_ranges": ["office"]}, "load_balancer_source_ranges", "not a network"),
        ({"max_body_bytes": 65535}, "max_body_bytes", "65535 is not between 65536 and 16777216"),
        ({"max_message_bytes": 2**28}, "max_message_bytes", "is not between 2097152 and 134217728"),
        ({"max_connections": 0}, "max_connections", "is not between 1 and 1000"),
        ({"max_requests_per_second": 10001}, "max_requests_per_second", "is not between 1 and 10000"),
        ({"service_annotations": {"a/b": True}}, "service_annotations", "the value of a/b is not a text"),
        ({"service_annotations": {"a/b": 1}}, "service_annotations", "quotes"),
    ],
)
def test_refused(params: dict[str, Any], parameter: str, text: str) -> None:
    with pytest.raises(InputError, match=text) as refused:
        gateway.ensure({"receive_url": URL, **params}, False)
    assert refused.value.parameter == parameter


def test_what_is_not_given_is_not_said() -> None:
    settings = gateway.settings_of({"receive_url": URL, "service_annotations": {}, "load_balancer_source_ranges": []})
    assert settings.address == Address()


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({}, "certificate"),
        ({"certificate": PAIR.pem}, "private_key"),
        (OWN, "certificate"),
        ({"namespace": "A", **OWN}, "namespace"),
    ],
)
@pytest.mark.parametrize("name", authority.NAMES)
def test_an_authority_that_is_refused(name: str, params: dict[str, Any], parameter: str) -> None:
    if name == "tenants" and parameter == "private_key":
        # Its key may be elsewhere; what is given is no authority.
        parameter = "certificate"
    with pytest.raises(InputError) as refused:
        authority.ensure({"name": name, **params}, False)
    assert refused.value.parameter == parameter


def test_an_internal_authority_signs_servers_too() -> None:
    made = pki.make("own", extensions=[pki.CA, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])])
    own = {"certificate": made.pem, "private_key": made.key_pem}
    with pytest.raises(InputError, match="may not sign TLS servers"):
        authority.ensure({"name": "internal", **own}, False)
    with pytest.raises(AssertionError, match="a cluster was looked for"):
        authority.ensure({"name": "tenants", **own}, False)
