# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.scs.observability.plugins.module_utils._registration import former
from ansible_collections.scs.observability.plugins.module_utils._registration.former import Former

UID, OTHER_UID = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e", "1d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"


@pytest.mark.parametrize(
    ("before", "uid", "customer", "allowed"),
    [
        ("Shop", UID, "Shop", True),
        ("Shop", UID, "", True),
        ("Shop", UID, "Other", True),
        ("Shop", OTHER_UID, "Shop", True),
        ("Shop", OTHER_UID, "Other", False),
        ("Shop", OTHER_UID, "shop", False),
        ("Shop", OTHER_UID, "", False),
        # Nobody said whose it was, and nobody says whose this one is: that makes them not the same.
        ("", OTHER_UID, "", False),
        ("", UID, "", True),
    ],
)
def test_who_may_have_the_name(before: str, uid: str, customer: str, allowed: bool) -> None:
    assert Former(UID, before, "2026-02-01T10:00:00Z").may_become(uid, customer) is allowed


def test_an_entry_is_read_again() -> None:
    entry = Former(UID, "Müller & Söhne", "2026-02-01T10:00:00Z")
    assert former.read(entry.text()) == entry


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "null", "3", '{"clusterUID": null}'])
def test_what_cannot_be_read_is_given_to_nobody(text: str) -> None:
    assert former.read(text) == Former("", "", "")
    assert not former.read(text).may_become(OTHER_UID, "Shop")
