# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's own authorities: put into a real observer, and what it takes to replace them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from kubernetes.client import CoreV1Api
from kubernetes.config import new_client_from_config

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    authority_secret_name,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from ansible_collections.scs.observability.plugins.module_utils._observer import authority, gateway, thanos
from tests import pki
from tests.integration.check_mode import Look, Result, look, run_as_announced
from tests.pki import Made


def put(site: Any, name: str, made: Made | None, *, check: bool = False, **changes: Any) -> Result:
    own = {"certificate": made.pem, "private_key": made.key_pem} if made else {"state": "absent"}
    params = {"name": name, "namespace": site.observer_namespace, "kubeconfig": str(site.observer_kubeconfig)}
    return authority.ensure({**params, **own, **changes}, check)


def put_as_announced(site: Any, name: str, made: Made | None, **changes: Any) -> Result:
    def call(*, check_mode: bool = False) -> Result:
        return put(site, name, made, check=check_mode, **changes)

    return run_as_announced(call, looking_at(site))


def looking_at(site: Any) -> Look:
    return partial(look, site.observer, site.observer_namespace)


def secret(site: Any, name: str) -> Any:
    return site.observer.get("v1", "Secret", authority_secret_name(name), site.observer_namespace)


def deploy(site: Any) -> Result:
    """Deploy receive and the gateway; there is no kubelet that could make them ready."""
    params = {"namespace": site.observer_namespace, "kubeconfig": str(site.observer_kubeconfig), "wait": False}
    receive = thanos.ensure({"component": "receive", **params}, False)
    return gateway.ensure({"receive_url": receive["endpoints"]["remote_write"], **params}, False)


def certificate_of(site: Any, namespace: str, name: str, *, kaas: bool = False) -> x509.Certificate:
    client = site.kaas if kaas else site.observer
    return x509.load_pem_x509_certificate(
        (secret_text(client.get("v1", "Secret", name, namespace), "tls.crt") or "").encode()
    )


def test_both_are_there_before_anything_else_and_sign_everything(site: Any) -> None:
    root = pki.authority("Example Root")
    tenants, internal = pki.authority("Example Tenants", root), pki.authority("Example Internal", root)
    done = put_as_announced(site, "tenants", tenants)
    assert done["changes"] == [
        f"create v1 Namespace {site.observer_namespace}",
        f"create v1 Secret {site.observer_namespace}/scs-observability-authority-tenants",
    ]
    assert put_as_announced(site, "internal", internal)["changed"]

    assert deploy(site)["ca"] == internal.pem
    site.register()
    namespace = site.observer_namespace
    identity = site.kaas.get("v1", "Secret", agent.IDENTITY_SECRET, site.namespace)
    assert secret_text(identity, "ca.crt") == internal.pem
    certificate_of(site, site.namespace, agent.IDENTITY_SECRET, kaas=True).verify_directly_issued_by(
        tenants.certificate
    )
    for name in ("thanos-receive-tls", "remote-write-gateway-server"):
        certificate_of(site, namespace, name).verify_directly_issued_by(internal.certificate)
    # Receive knows the gateway by an authority that nobody brings.
    client = certificate_of(site, namespace, "remote-write-gateway-client")
    assert client.issuer not in (tenants.certificate.subject, internal.certificate.subject)

    for name, made in (("tenants", tenants), ("internal", internal)):
        assert put_as_announced(site, name, made)["changes"] == []
    assert deploy(site)["changes"] == []
    assert site.register()["changes"] == []


def test_no_key_is_shown(site: Any) -> None:
    first, second = pki.authority("First"), pki.authority("Second")
    shown = json.dumps([put(site, "tenants", first), put(site, "tenants", second, force=True)])
    assert "hidden, changed" in shown
    for made in (first, second):
        assert made.key_pem[40:80] not in shown
    assert "BEGIN" not in shown


@pytest.mark.parametrize("name", ["tenants", "internal"])
def test_one_that_signed_nothing_gives_way(site: Any, name: str) -> None:
    made = pki.authority("Example")
    put(site, name, pki.authority("Before"))
    assert put_as_announced(site, name, made)["changes"] == [
        f"update v1 Secret {site.observer_namespace}/{authority_secret_name(name)}"
    ]
    assert secret_text(secret(site, name), "tls.crt") == made.pem
    assert put(site, name, made)["changes"] == []
    # What somebody changed, and took away
    changed = secret(site, name)
    changed["metadata"]["labels"].pop("app.kubernetes.io/part-of")
    changed["data"]["ca.crt"] = changed["data"]["tls.key"]
    with new_client_from_config(str(site.observer_kubeconfig)) as other:
        CoreV1Api(other).replace_namespaced_secret(authority_secret_name(name), site.observer_namespace, changed)
    assert put_as_announced(site, name, made)["changed"]
    site.observer.delete("v1", "Secret", authority_secret_name(name), site.observer_namespace)
    assert put_as_announced(site, name, made)["changed"]
    assert secret_text(secret(site, name), "ca.crt") == made.pem


def test_agents_in_use_keep_tenants_until_told_otherwise(site: Any) -> None:
    site.register()
    before = secret(site, "tenants")
    own = pki.authority("Example")
    for made, parameter in ((own, "certificate"), (None, "state")):
        for check in (True, False):
            with pytest.raises(InputError, match=f"of {site.name}.*would not be let in any more") as refused:
                put(site, "tenants", made, check=check)
            assert refused.value.parameter == parameter
            assert refused.value.details == {"signed": [site.name]}
    assert secret(site, "tenants") == before

    assert put(site, "tenants", own, force=True)["changed"]
    site.register()
    certificate_of(site, site.namespace, agent.IDENTITY_SECRET, kaas=True).verify_directly_issued_by(own.certificate)
    # A new certificate of the same authority makes nobody's useless.
    renewed = pki.authority("Example", key=own.key)
    assert put(site, "tenants", renewed)["changed"]
    before = certificate_of(site, site.namespace, agent.IDENTITY_SECRET, kaas=True)
    site.register()
    assert certificate_of(site, site.namespace, agent.IDENTITY_SECRET, kaas=True) == before


def test_components_in_use_keep_internal_until_told_otherwise(site: Any) -> None:
    deploy(site)
    own = pki.authority("Example")
    with pytest.raises(InputError, match="would not be known to the others any more") as refused:
        put(site, "internal", own)
    assert refused.value.details == {"signed": ["remote-write-gateway-server", "thanos-receive-tls"]}
    assert put(site, "internal", own, force=True)["changed"]
    deploy(site)
    certificate_of(site, site.observer_namespace, "thanos-receive-tls").verify_directly_issued_by(own.certificate)
    assert deploy(site)["changes"] == []


def test_internal_is_rotated_without_force_for_who_goes_through_every_step(site: Any) -> None:
    deploy(site)
    site.register()
    old, new = secret_text(secret(site, "internal"), "tls.crt"), pki.authority("Example")
    keep = {"certificate": None, "private_key": None, "also_trusted": new.pem}
    assert put_as_announced(site, "internal", new, **keep)["changed"]
    with pytest.raises(InputError, match="is the observer's other authority"):
        put(site, "tenants", new, force=True)
    # Until all know it, it must not sign.
    with pytest.raises(InputError, match="does not trust the other one yet") as refused:
        put(site, "internal", new, also_trusted=old)
    assert refused.value.details == {"signed": ["remote-write-gateway-server", "thanos-receive-tls"]}
    for step, both in ((keep, old + new.pem), ({"also_trusted": old}, new.pem + old)):
        put(site, "internal", new, **step)
        assert deploy(site)["ca"] == both
        site.register()
        identity = site.kaas.get("v1", "Secret", agent.IDENTITY_SECRET, site.namespace)
        assert secret_text(identity, "ca.crt") == both
        assert deploy(site)["changes"] == []
    assert put(site, "internal", new)["changed"]
    assert deploy(site)["ca"] == new.pem


def test_what_cannot_be_trusted_beside_an_authority_is_refused(site: Any) -> None:
    own, tenants = pki.authority("Example"), pki.authority("Example Tenants")
    keep = {"certificate": None, "private_key": None}
    with pytest.raises(InputError, match="there is no authority internal yet"):
        put(site, "internal", own, **keep, also_trusted=own.pem)
    with pytest.raises(InputError, match="is for internal alone"):
        put(site, "tenants", tenants, also_trusted=own.pem)
    put(site, "tenants", tenants)
    with pytest.raises(InputError, match="is the observer's other authority") as refused:
        put(site, "internal", own, also_trusted=tenants.pem)
    assert refused.value.parameter == "also_trusted"
    assert secret(site, "internal") is None


def test_two_authorities_never_one(site: Any) -> None:
    own = pki.authority("Example")
    put(site, "tenants", own)
    with pytest.raises(InputError, match="is the observer's other authority") as refused:
        put(site, "internal", own)
    assert refused.value.parameter == "certificate"
    assert secret(site, "internal") is None


def test_one_that_is_removed_is_made_anew_by_whoever_needs_it(site: Any) -> None:
    own = pki.authority("Example")
    put(site, "internal", own)
    assert put_as_announced(site, "internal", None)["changes"] == [
        f"delete v1 Secret {site.observer_namespace}/scs-observability-authority-internal"
    ]
    assert put(site, "internal", None)["changes"] == []
    assert deploy(site)["ca"] not in (None, own.pem)


def test_what_is_refused_leaves_no_trace(site: Any) -> None:
    own = pki.authority("Example")
    for changed in ({"certificate": "none"}, {"private_key": pki.authority("Other").key_pem}, {"private_key": "none"}):
        with pytest.raises(InputError):
            put(site, "tenants", own, **changed)
    assert site.observer.get("v1", "Namespace", site.observer_namespace) is None


def test_the_end_of_an_authority_is_announced(site: Any) -> None:
    soon = pki.authority("Example", end=datetime.now(UTC) + timedelta(days=30))
    assert "The authority tenants expires on" in put(site, "tenants", soon)["warnings"][0]
