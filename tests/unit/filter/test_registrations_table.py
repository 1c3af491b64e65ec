# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.registrations_table import FilterModule
from ansible_collections.scs.observability.plugins.plugin_utils._table import age

table = FilterModule().filters()["registrations_table"]


def registration(**changes: Any) -> dict[str, Any]:
    return {
        "name": "alpha",
        "phase": "active",
        "registered_since": "2026-02-01T10:00:00Z",
        "last_sample_age_seconds": 12.3,
        "series": 2713,
        "missing_jobs": [],
        "healthy": True,
        "state": "ok",
        "reason": "fresh samples of every job",
        **changes,
    }


SILENT = registration(
    name="a-much-longer-name",
    last_sample_age_seconds=None,
    series=0,
    missing_jobs=[{"job": "coredns", "reason": "no sample"}, {"job": "kubelet", "reason": "no sample"}],
    healthy=False,
    state="silent",
    reason="active, but no sample within a day",
)


def test_columns_are_aligned() -> None:
    heading, first, second = table([registration(), SILENT]).splitlines()
    for column in ("PHASE", "REGISTERED", "LAST SAMPLE", "SERIES", "MISSING JOBS", "STATE"):
        start = heading.index(column)
        for line in (first, second):
            assert line[start - 2 : start] == "  "
            assert line[start] != " "


def test_a_row_tells_what_is_wrong_and_is_silent_when_all_is_well() -> None:
    _heading, first, second = table([registration(), SILENT]).splitlines()
    assert first.split() == ["alpha", "active", "2026-02-01T10:00:00Z", "12s", "2713", "-", "ok"]
    assert "coredns, kubelet" in second
    assert "never" in second
    assert "SILENT" in second
    assert second.endswith("active, but no sample within a day")


def test_what_is_not_known_is_a_dash() -> None:
    unknown = registration(series=None, last_sample_age_seconds=None, state="unknown", healthy=False, reason="away")
    _heading, row = table([unknown]).splitlines()
    assert row.split()[3:] == ["-", "-", "-", "UNKNOWN", "away"]


def test_without_registrations_it_says_so() -> None:
    assert table([]) == "no cluster is registered"


@pytest.mark.parametrize("wrong", ["text", {"name": "alpha"}, 5, [{"name": "alpha"}], ["alpha"]])
def test_what_is_no_list_of_registrations_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="observer_info"):
        table(wrong)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never"), (0, "0s"), (59.9, "59s"), (60, "1m00s"), (250, "4m10s"), (3599, "59m59s"), (11100, "3h05m")],
)
def test_ages(seconds: float | None, text: str) -> None:
    assert age(seconds) == text
