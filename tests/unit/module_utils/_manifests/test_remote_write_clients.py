# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From registrations to who may write. What a gateway makes of it is shown by the integration tests."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._manifests.remote_write_clients import COMPLETE
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    PreviousCertificate,
    Registration,
)

OLD, NEW = "0" * 64, "a" * 64
CERTIFICATE = Certificate(NEW, "2026-12-01T00:00:00Z")
PREVIOUS = PreviousCertificate(OLD, "2026-11-01T00:00:00Z")


def registration(name: str = "shop-prod", phase: str = "active", **changes: Any) -> Registration:
    return Registration(name, "uid", phase, **{"certificate": CERTIFICATE, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, f"active {NEW}"),
        ({"suspended": True}, f"suspended {NEW}"),
        ({"previous_certificate": PREVIOUS}, f"active {NEW} {OLD}"),
        ({"previous_certificate": PREVIOUS, "suspended": True}, f"suspended {NEW} {OLD}"),
        ({"previous_certificate": PreviousCertificate(NEW, "2026-11-01T00:00:00Z")}, f"active {NEW}"),
        ({"certificate": None}, None),
        ({"certificate": None, "previous_certificate": PREVIOUS}, None),
        # What it is expected to send is another matter.
        ({"phase": "provisioning"}, f"active {NEW}"),
        ({"phase": "maintenance"}, f"active {NEW}"),
        ({"phase": "deleting"}, f"active {NEW}"),
    ],
)
def test_what_a_registration_lets_in(changes: dict[str, Any], expected: str | None) -> None:
    assert remote_write_clients.entry(registration(**changes)) == expected


GOOD = {COMPLETE: "true", "shop-prod": f"active {NEW}"}


@pytest.mark.parametrize(
    ("live", "registrations", "expected"),
    [
        (GOOD, [registration()], {}),
        ({}, [registration()], GOOD),
        ({**GOOD, "shop-prod": f"active {OLD}"}, [registration()], {"shop-prod": f"active {NEW}"}),
        (GOOD, [], {"shop-prod": None}),
        (GOOD, [registration(), registration("shop-test")], {"shop-test": f"active {NEW}"}),
        # It writes until it is revoked, which nobody takes back.
        (GOOD, [registration(phase="deleting")], {}),
        ({COMPLETE: "true"}, [registration(phase="deleting")], {}),
        # Registrations that were restored without their status
        (GOOD, [registration(certificate=None)], {}),
    ],
)
def test_what_has_to_change(
    live: dict[str, str], registrations: list[Registration], expected: dict[str, str | None]
) -> None:
    assert remote_write_clients.drift(live, registrations) == expected


def test_no_cluster_can_be_called_as_the_mark_of_completeness() -> None:
    # A name of a cluster is a DNS label, a key of a ConfigMap is of these.
    assert re.fullmatch(r"[-._a-zA-Z0-9]+", COMPLETE)
    assert not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", COMPLETE)


def test_everything_in_the_program_is_filled_in() -> None:
    text = remote_write_clients.lua("observer", "/etc/gateway/clients.map")
    assert "/namespaces/observer/configmaps/remote-write-clients" in text
    assert re.findall(r"\$\w+", text) == []
