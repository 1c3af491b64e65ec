# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the client certificate is let in that a Prometheus has until kolla is reconfigured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.scs.observability.plugins.module_utils._iaas.record import IaasRegistration
from ansible_collections.scs.observability.plugins.module_utils._iaas.registration import OVERLAP
from ansible_collections.scs.observability.plugins.module_utils._registration import identity
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    PreviousCertificate,
    timestamp,
)

ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("renewed", "looked", "let_in"),
    [
        # Due after 72 days. Runs on a schedule leave it as long as it is valid, which is 90.
        (72, 73, True),
        (72, 80, True),
        (72, 89, True),
        # Renewed because it was asked for
        (1, 89, True),
        # Past its end it is let in by nobody, and need not be remembered.
        (72, 162, False),
    ],
)
def test_the_former_one_is_let_in_for_as_long_as_it_is_valid(renewed: int, looked: int, let_in: bool) -> None:
    at = {day: ISSUED + timedelta(days=day) for day in (90, renewed, looked, renewed + 90)}
    first = IaasRegistration("north-1", "north", remote_write=True, certificate=Certificate(OLD, timestamp(at[90])))
    current = Certificate(NEW, timestamp(at[renewed + 90]))
    former = identity.previous_of(first, current, OLD, at[renewed], OVERLAP)
    assert former == PreviousCertificate(OLD, timestamp(at[renewed]))
    second = IaasRegistration("north-1", "north", remote_write=True, certificate=current, previous_certificate=former)
    found = identity.previous_of(second, current, NEW, at[looked], OVERLAP)
    assert found == (former if let_in else None)
