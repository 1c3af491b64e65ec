# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which client certificate an agent has, when it gets another one, and how long the one before is let in too. Pure.

A new one is admitted beside the one before, then given to the agent, and the one before goes with a later run:

- Nothing is lost, because the agent writes with either of them all the time.
- OVERLAP is long enough. A kubelet brings a Secret into its pods within two minutes, and Prometheus reads its files for
  each request, without a restart. A kubelet that cannot is not ready, and after five minutes its pods are made anew
  elsewhere, with the new certificate.
- A run directly after finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    EXPIRES_ANNOTATION,
    agent_secret,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, fingerprint
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import (
    Source,
    client_of,
    has_signed,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    PreviousCertificate,
    Registration,
    timestamp,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    CLIENT_CERTIFICATE,
    Settings,
)

Manifest = dict[str, Any]

OVERLAP = timedelta(hours=1)


def secret_of(
    settings: Settings,
    name: str,
    labels: Mapping[str, str],
    live: Mapping[str, Any] | None,
    before: Registration | None,
    *,
    tenants: KeyPair,
    internal_certificate: str,
    now: datetime,
) -> Manifest:
    """Return the Secret with the agent's certificate: the one that is there, one that is given, or a new one.

    ``live`` is what is there. It is kept as long as it is good and the registered one; who removes a registration takes
    its certificate away for good. Raises InputError.
    """
    pair = settings.provided
    if pair is not None and not has_signed(tenants.certificate, pair.certificate):
        raise InputError(
            "was not signed by the observer's authority tenants",
            parameter=CLIENT_CERTIFICATE,
            advice="Have it signed by the authority whose certificate the observer has, by no other one",
        )
    return agent_secret(
        None if settings.renew or not _is_registered(live, before) else live,
        name,
        settings.namespace,
        labels,
        tenants=tenants,
        internal_certificate=internal_certificate,
        cluster=settings.name,
        now=now,
        provided=pair,
    )


def certificate_of(secret: Mapping[str, Any]) -> Certificate:
    """What of it is registered."""
    return Certificate(
        fingerprint(secret_text(secret, "tls.crt") or ""), secret["metadata"]["annotations"][EXPIRES_ANNOTATION]
    )


class Certified(Protocol):
    """What of a registration tells its certificates."""

    @property
    def certificate(self) -> Certificate | None: ...
    @property
    def previous_certificate(self) -> PreviousCertificate | None: ...


def previous_of(
    before: Certified | None, current: Certificate, live: str, now: datetime, overlap: timedelta | None = None
) -> PreviousCertificate | None:
    """Return the certificate that is let in beside the ``current`` one, if any; ``live`` is the agent's fingerprint.

    A run that was interrupted may have registered one that the agent never got: then the one that it has counts, and
    its time begins only now.
    """
    if before is None or before.certificate is None:
        return None
    registered, previous = before.certificate, before.previous_certificate
    if previous is not None and previous.fingerprint == live != current.fingerprint:
        return PreviousCertificate(live, timestamp(now))
    if registered.fingerprint == current.fingerprint:
        is_over = previous is not None and now - datetime.fromisoformat(previous.replaced) >= (overlap or OVERLAP)
        return None if is_over else previous
    if datetime.fromisoformat(registered.expires) <= now:
        return None
    return PreviousCertificate(registered.fingerprint, timestamp(now))


def is_interrupted(before: Registration | None, live: Mapping[str, Any] | None) -> bool:
    """Tell whether a run has registered a certificate and not given it to the agent, yet or any more."""
    if before is None or before.certificate is None or before.previous_certificate is None:
        return False
    found = fingerprint_of(live)
    return found == before.previous_certificate.fingerprint != before.certificate.fingerprint


def was_issued(live: Mapping[str, Any] | None, name: str, tenants: KeyPair, now: datetime) -> bool:
    """Tell whether an agent's Secret has a certificate that was issued for the cluster ``name``, with its key: then it
    was registered under that name.
    """
    certificate, key = (secret_text(live or {}, file) or "" for file in ("tls.crt", "tls.key"))
    try:
        client_of(Source(certificate, key), now, name)
    except InputError:
        return False
    return has_signed(tenants.certificate, certificate)


def _is_registered(live: Mapping[str, Any] | None, before: Registration | None) -> bool:
    """A registration that lost its status, as backups restore it, takes over what is there."""
    if live is None or before is None:
        return False
    return before.certificate is None or before.certificate.fingerprint == fingerprint_of(live)


def fingerprint_of(secret: Mapping[str, Any] | None) -> str:
    """The fingerprint of the certificate in a Secret, empty when there is none."""
    try:
        return fingerprint(secret_text(secret or {}, "tls.crt") or "")
    except InputError:
        return ""
