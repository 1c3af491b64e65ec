# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authorities of an observer and the certificates they sign, as Secrets in its namespace.

``tenants`` signs the agents of KaaS clusters and is trusted by the gateway alone. ``internal`` signs components and is
trusted by components, and as a server by agents. Either can be the operator's own. ``internal-gateway`` is always made
here and signs nothing but the gateway's client certificate: receive trusts it, and only it, so that no other component
can write. Nobody else has to know it, so it needs no issuer, which could not be every operator's ``internal``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import dns_label
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    LEAF_LIFETIME,
    KeyPair,
    create_authority,
    expiry,
    issue,
    renewal_date,
    renewal_reason,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    Manifest,
)

TENANTS = "tenants"
INTERNAL = "internal"
INTERNAL_GATEWAY = "internal-gateway"
AUTHORITIES = (TENANTS, INTERNAL, INTERNAL_GATEWAY)

# Every component's server certificate carries this name beside its own, so that a client needs one setting for all.
SHARED_GRPC_NAME = "thanos-grpc"

EXPIRES_ANNOTATION = "observability.scs.community/certificate-expires"
RENEW_AFTER_ANNOTATION = "observability.scs.community/certificate-renew-after"
# A digest of the pair and of everything that was wanted of it. While it matches, nothing has to be parsed.
DIGEST_ANNOTATION = "observability.scs.community/certificate-digest"


class SecretReader(Protocol):
    """The part of the Kubernetes client that is used here."""

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None: ...


def authority_secret_name(authority: str) -> str:
    """Return the name of the Secret that holds an authority."""
    return f"scs-observability-authority-{authority}"


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """Return the DNS names for the server certificate of a component behind ``service``."""
    return (
        service,
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
        shared_server_name(namespace),
    )


def shared_server_name(namespace: str) -> str:
    """Return the name that every component's server certificate has: what gRPC clients expect of all of them."""
    return f"{SHARED_GRPC_NAME}.{namespace}.svc"


def observe_or_create(
    client: SecretReader, namespace: str, which: Sequence[str], now: datetime
) -> tuple[dict[str, KeyPair], list[Manifest]]:
    """Read authorities from their Secrets; make the missing ones.

    Returns the pairs by authority and the Secrets to create (create_only, see plan_objects). Nothing is written here
    and a Secret that exists is never replaced. The key of ``tenants`` may be kept elsewhere: then it is empty here.
    Raises InputError naming the Secret when an existing one is damaged, ApiError from the client.
    """
    wanted = set(which)
    if unknown := wanted - set(AUTHORITIES):
        raise ValueError(f"unknown authorities: {', '.join(sorted(unknown))}")

    pairs: dict[str, KeyPair] = {}
    missing: list[Manifest] = []
    for authority in (name for name in AUTHORITIES if name in wanted):
        observed = client.get("v1", "Secret", authority_secret_name(authority), namespace)
        if observed is not None:
            pairs[authority] = pair_of_authority(observed)
            continue
        pairs[authority] = create_authority(f"scs-observability {authority} {namespace}"[:64], now)
        missing.append(authority_secret(authority, namespace, pairs[authority]))
    return pairs, missing


def authority_secret(authority: str, namespace: str, pair: KeyPair) -> Manifest:
    """Return the Secret that holds an authority."""
    name = authority_secret_name(authority)
    labels = {
        MANAGED_BY_LABEL: MANAGED_BY,
        "app.kubernetes.io/part-of": "scs-observability",
        "app.kubernetes.io/name": "authority",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": authority,
    }
    return _tls_secret({"name": name, "namespace": namespace, "labels": labels}, pair, pair.trusted)


def pair_of_authority(secret: Mapping[str, Any]) -> KeyPair:
    """Return the authority that a Secret holds. Raises InputError naming the Secret when it is damaged.

    That of ``tenants`` with a key that is there and empty is not: the operator signs elsewhere.
    """
    pair = _pair(secret)
    if pair is None and secret["metadata"]["name"] == authority_secret_name(TENANTS):
        pair = _certificate_alone(secret)
    if pair is None:
        name, namespace = secret["metadata"]["name"], secret["metadata"].get("namespace", "")
        raise InputError(
            f"the Secret {namespace}/{name} of an authority lacks tls.crt or tls.key",
            parameter="namespace",
            advice="Restore it; a new authority would make every certificate of the old one useless",
        )
    trusted = secret_text(secret, "ca.crt") or ""
    # Its own is the first, where there are others: see authority_secret.
    return (
        replace(pair, also_trusted=trusted.removeprefix(pair.certificate))
        if trusted.startswith(pair.certificate)
        else pair
    )


def leaf_secret(
    existing: Mapping[str, Any] | None,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    authority: KeyPair,
    *,
    common_name: str,
    now: datetime,
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    server: bool = False,
    client: bool = False,
    lifetime: timedelta = LEAF_LIFETIME,
    ca_certificate: str | None = None,
    provided: KeyPair | None = None,
) -> Manifest:
    """Return the Secret (kubernetes.io/tls: tls.crt, tls.key, ca.crt) of a component or an agent.

    ``existing`` is the live Secret; its pair is kept while nothing speaks for a new one (renewal_reason).
    ``ca_certificate`` is what its user shall trust, all that is trusted with the authority unless given: an agent's is
    signed by ``tenants`` and trusts ``internal``, receive's is signed by ``internal`` and trusts ``internal-gateway``.
    ``provided`` is a pair that is to be used whatever there is. Raises InputError for an authority that cannot sign.
    """
    trusted = ca_certificate or authority.trusted
    names, addresses = tuple(dict.fromkeys(dns_names)), tuple(dict.fromkeys(ip_addresses))

    def digest(pair: KeyPair) -> str:
        wanted = [common_name, sorted(names), sorted(addresses), server, client, lifetime.total_seconds()]
        text = json.dumps([pair.certificate, pair.key, authority.certificate, *wanted])
        return hashlib.sha256(text.encode()).hexdigest()

    def secret(pair: KeyPair, annotations: Mapping[str, str]) -> Manifest:
        metadata = {"name": name, "namespace": namespace, "labels": dict(labels), "annotations": dict(annotations)}
        return _tls_secret(metadata, pair, trusted)

    pair = provided or (None if existing is None else _pair(existing))
    if pair is not None and provided is None:
        live = (existing or {})["metadata"].get("annotations") or {}
        known = {key: live.get(key, "") for key in (EXPIRES_ANNOTATION, RENEW_AFTER_ANNOTATION, DIGEST_ANNOTATION)}
        if known[DIGEST_ANNOTATION] == digest(pair) and _is_before(now, known[RENEW_AFTER_ANNOTATION]):
            return secret(pair, known)
        reason = renewal_reason(
            pair,
            authority.certificate,
            now,
            dns_names=names,
            ip_addresses=addresses,
            common_name=common_name,
            server=server,
            client=client,
        )
        if reason is not None:
            pair = None
    if pair is None:
        if not authority.key:
            raise InputError(
                "is required: the observer has no key to sign one with, only the certificate of its authority",
                parameter="client_certificate",
                advice="Have one signed where the authority's key is",
            )
        pair = issue(
            authority,
            common_name,
            now,
            lifetime=lifetime,
            dns_names=names,
            ip_addresses=addresses,
            server=server,
            client=client,
        )
    return secret(
        pair,
        {
            EXPIRES_ANNOTATION: _timestamp(expiry(pair.certificate)),
            RENEW_AFTER_ANNOTATION: _timestamp(renewal_date(pair.certificate)),
            DIGEST_ANNOTATION: digest(pair),
        },
    )


def provided_secret(name: str, namespace: str, labels: Mapping[str, str], pair: KeyPair) -> Manifest:
    """Return the Secret (kubernetes.io/tls) of a certificate that the operator brings."""
    annotations = {EXPIRES_ANNOTATION: _timestamp(expiry(pair.certificate))}
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels), "annotations": annotations}
    return _tls_secret(metadata, pair)


def agent_secret(
    existing: Mapping[str, Any] | None,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    *,
    tenants: KeyPair,
    internal_certificate: str,
    cluster: str,
    now: datetime,
    provided: KeyPair | None = None,
) -> Manifest:
    """Return the Secret with which an agent writes as ``cluster``: a client certificate with that common name.

    The name is checked before anything is signed, because the gateway makes it the tenant. ca.crt is ``internal``'s
    certificate, by which the agent knows the gateway. ``provided`` is a pair that the operator brings. Raises
    InputError for a name that is not a DNS label, and when one has to be signed and ``tenants`` has no key here.
    """
    return leaf_secret(
        existing,
        name,
        namespace,
        labels,
        tenants,
        common_name=dns_label(cluster, "name"),
        now=now,
        client=True,
        ca_certificate=internal_certificate,
        provided=provided,
    )


def secret_text(secret: Mapping[str, Any], key: str) -> str | None:
    """Return a decoded value of a Secret, None when it is not there or not text."""
    if key in (secret.get("stringData") or {}):
        return str(secret["stringData"][key])
    try:
        return base64.b64decode((secret.get("data") or {})[key], validate=True).decode()
    except (KeyError, binascii.Error, UnicodeDecodeError):
        return None


def _pair(secret: Mapping[str, Any]) -> KeyPair | None:
    certificate, key = secret_text(secret, "tls.crt"), secret_text(secret, "tls.key")
    return KeyPair(certificate, key) if certificate and key else None


def _certificate_alone(secret: Mapping[str, Any]) -> KeyPair | None:
    certificate = secret_text(secret, "tls.crt")
    return KeyPair(certificate, "") if certificate and secret_text(secret, "tls.key") == "" else None


def _tls_secret(
    metadata: Mapping[str, Any],
    pair: KeyPair,
    ca_certificate: str = "",
) -> Manifest:
    values = {
        "tls.crt": pair.certificate,
        "tls.key": pair.key,
        **({"ca.crt": ca_certificate} if ca_certificate else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": dict(metadata),
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
    }


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_before(now: datetime, timestamp: str) -> bool:
    try:
        return now < datetime.fromisoformat(timestamp)
    except (ValueError, TypeError):
        return False
