# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.scs.observability.plugins.filter.unknown_variables import FilterModule

unknown_variables = FilterModule().filters()["unknown_variables"]
KNOWN = ["observer_bucket_name", "observer_namespace", "observer_receive_storage_size", "observer_rule_files"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("observer_bucket_nmae", "observer_bucket_name"),
        ("observer_namspace", "observer_namespace"),
        ("observer_receive_size", "observer_receive_storage_size"),
        ("observer_rules_files", "observer_rule_files"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_meant(name: str, nearest: str) -> None:
    assert unknown_variables([name], KNOWN) == [f"{name}: there is no such variable. Did you mean {nearest}?"]


def test_what_is_like_none_is_somebodys_own() -> None:
    (text,) = unknown_variables(["observer_zzz_qqqqqqq"], ["observer_namespace"])
    assert text.endswith("Give variables of your own another prefix")


def test_all_are_told_and_known_ones_are_not() -> None:
    found = unknown_variables([*KNOWN, "observer_b", "observer_a"], KNOWN)
    assert [text.partition(":")[0] for text in found] == ["observer_a", "observer_b"]
    assert unknown_variables(KNOWN, KNOWN) == unknown_variables([], []) == []
