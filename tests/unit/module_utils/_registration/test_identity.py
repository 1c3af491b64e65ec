# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificate an agent has, and which one is let in beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, create_authority
from ansible_collections.scs.observability.plugins.module_utils._registration import identity
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    PreviousCertificate,
    Registration,
    timestamp,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import Settings
from tests import pki

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=73)
ENDED = NOW + timedelta(days=91)
URL = "https://observer.example.org/api/v1/receive"
OLD, NEW, OTHER = ("aa" * 32, "bb" * 32, "cc" * 32)
EXPIRES = timestamp(NOW + timedelta(days=10))


@pytest.fixture(scope="module")
def tenants() -> KeyPair:
    return create_authority("tenants", NOW)


def secret(
    tenants: KeyPair, live: Any = None, before: Registration | None = None, now: datetime = NOW, **changes: Any
) -> dict[str, Any]:
    settings = replace(Settings.of({"name": "alpha", "remote_write_url": URL, **changes}), namespace="agents")
    return identity.secret_of(
        settings, "identity", {}, live, before, tenants=tenants, internal_certificate=tenants.certificate, now=now
    )


def registered(certificate: Certificate | None, previous: PreviousCertificate | None = None) -> Registration:
    return Registration("alpha", "uid", "active", certificate=certificate, previous_certificate=previous)


def test_the_registered_one_stays(tenants: KeyPair) -> None:
    first = secret(tenants)
    before = registered(identity.certificate_of(first))
    assert secret(tenants, first, before) == first
    assert secret(tenants, first, before, now=NOW + timedelta(days=71)) == first


@pytest.mark.parametrize(
    ("changes", "now"), [({"renew": True}, NOW), ({}, LATER), ({}, ENDED)], ids=["on request", "due", "expired"]
)
def test_another_one_is_made(tenants: KeyPair, changes: dict[str, Any], now: datetime) -> None:
    first = secret(tenants)
    before = registered(identity.certificate_of(first))
    assert identity.certificate_of(secret(tenants, first, before, now, **changes)) != before.certificate


def test_one_that_is_not_the_registered_one_is_not_taken_over(tenants: KeyPair) -> None:
    """As that of a registration that was removed, restored by whoever had a copy."""
    old = secret(tenants)
    for before in (None, registered(Certificate(NEW, EXPIRES))):
        assert identity.certificate_of(secret(tenants, old, before)) != identity.certificate_of(old)


def test_a_registration_that_lost_its_status_takes_over_what_is_there(tenants: KeyPair) -> None:
    old = secret(tenants)
    assert secret(tenants, old, registered(None)) == old


def test_one_that_is_given_is_used_and_stays(tenants: KeyPair) -> None:
    authority = pki.authority("elsewhere")
    alone = KeyPair(authority.pem, "")
    made = pki.make("alpha", authority, names=["alpha.example.org"])
    given = {"client_certificate": made.pem, "client_key": made.traditional_key_pem}
    first = secret(alone, **given)
    assert (secret_text(first, "tls.crt"), secret_text(first, "tls.key")) == (made.pem, made.key_pem)
    before = registered(identity.certificate_of(first))
    assert secret(alone, first, before, **given) == first
    assert secret(alone, first, before) == first


def test_without_a_key_here_none_can_be_made(tenants: KeyPair) -> None:
    with pytest.raises(InputError, match="no key to sign") as raised:
        secret(KeyPair(tenants.certificate, ""))
    assert raised.value.parameter == "client_certificate"


def test_one_of_another_authority_is_refused(tenants: KeyPair) -> None:
    made = pki.make("alpha", pki.authority("another"))
    with pytest.raises(InputError, match="not signed by the observer's authority tenants") as raised:
        secret(tenants, client_certificate=made.pem, client_key=made.key_pem)
    assert raised.value.parameter == "client_certificate"
    assert made.key_pem.splitlines()[1] not in str(raised.value.result())


def test_what_was_issued_for_a_name_shows_that_it_was_the_clusters(tenants: KeyPair) -> None:
    mine = secret(tenants)
    assert identity.was_issued(mine, "alpha", tenants, NOW)
    assert not identity.was_issued(mine, "beta", tenants, NOW)
    assert not identity.was_issued(mine, "alpha", create_authority("tenants", NOW), NOW)
    assert not identity.was_issued(mine, "alpha", tenants, ENDED)
    assert not identity.was_issued(None, "alpha", tenants, NOW)
    # Whoever has seen a certificate does not have its key.
    copied = {**mine, "data": {**mine["data"], "tls.key": secret(tenants)["data"]["tls.key"]}}
    assert not identity.was_issued(copied, "alpha", tenants, NOW)


def previous(before: Registration | None, current: str, live: str = "", now: datetime = NOW) -> str | None:
    found = identity.previous_of(before, Certificate(current, EXPIRES), live, now)
    return found.fingerprint if found else None


@pytest.mark.parametrize(
    ("registered_as", "before_that", "live", "current", "expected"),
    [
        ("", "", "", NEW, None),
        (NEW, "", NEW, NEW, None),
        (OLD, "", OLD, NEW, OLD),
        # The Secret is lost, or has something else: the registered one is let in until all is well.
        (OLD, "", "", NEW, OLD),
        (OLD, "", OTHER, NEW, OLD),
        # One that stays is let in beside the one that it replaced.
        (NEW, OLD, NEW, NEW, OLD),
        # A renewal was interrupted before the agent had the new one: what it has is let in on.
        (OTHER, OLD, OLD, NEW, OLD),
        # Another renewal, at once: the one before the last goes.
        (OTHER, OLD, OTHER, NEW, OTHER),
        # One that is given was registered, and the agent has not got it.
        (NEW, OLD, OLD, NEW, OLD),
        # And instead of that one the agent is given the one that it has.
        (NEW, OLD, OLD, OLD, NEW),
    ],
)
def test_the_one_before_is_let_in_too(
    registered_as: str, before_that: str, live: str, current: str, expected: str | None
) -> None:
    before = registered(
        Certificate(registered_as, EXPIRES) if registered_as else None,
        PreviousCertificate(before_that, timestamp(NOW)) if before_that else None,
    )
    assert previous(before, current, live) == expected


def test_of_a_new_registration_there_is_none_before() -> None:
    assert previous(None, NEW) is None


def test_one_that_has_expired_is_not_let_in() -> None:
    assert previous(registered(Certificate(OLD, timestamp(NOW - timedelta(seconds=1)))), NEW, OLD) is None


@pytest.mark.parametrize("registered_as", [OTHER, NEW], ids=["made", "given"])
def test_its_time_begins_when_the_agent_gets_the_new_one(registered_as: str) -> None:
    """Which a run that was interrupted hours ago did not bring about."""
    before = registered(Certificate(registered_as, EXPIRES), PreviousCertificate(OLD, timestamp(NOW)))
    later = NOW + timedelta(hours=4)
    found = identity.previous_of(before, Certificate(NEW, EXPIRES), OLD, later)
    assert found == PreviousCertificate(OLD, timestamp(later))
    after = registered(Certificate(NEW, EXPIRES), found)
    assert previous(after, NEW, NEW, later + timedelta(seconds=10)) == OLD


@pytest.mark.parametrize(
    ("registered_as", "before_that", "expected"), [(NEW, OLD, True), (OLD, OTHER, False), (NEW, OTHER, False)]
)
def test_that_a_renewal_did_not_come_to_its_end_is_seen(
    tenants: KeyPair, registered_as: str, before_that: str, expected: bool
) -> None:
    live = secret(tenants)
    names = {OLD: identity.fingerprint_of(live)}
    before = registered(
        Certificate(names.get(registered_as, registered_as), EXPIRES),
        PreviousCertificate(names.get(before_that, before_that), timestamp(NOW)),
    )
    assert identity.is_interrupted(before, live) is expected
    assert not identity.is_interrupted(None, live)
    assert not identity.is_interrupted(before, None)


@pytest.mark.parametrize(("minutes", "expected"), [(0, OLD), (59, OLD), (61, None)])
def test_it_goes_when_the_new_one_was_in_use_for_a_while(minutes: int, expected: str | None) -> None:
    replaced = PreviousCertificate(OLD, timestamp(NOW))
    before = registered(Certificate(NEW, EXPIRES), replaced)
    assert previous(before, NEW, NEW, NOW + timedelta(minutes=minutes)) == expected
