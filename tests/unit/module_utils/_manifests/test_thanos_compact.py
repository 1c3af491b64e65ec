# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compact: what it keeps, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    thanos_compact,
    thanos_component,
    thanos_query,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings

SETTINGS = Settings("thanos-compact", "observer", objstore=True)
QUERY = Settings("thanos-query", "observer")


def values(arguments: list[str], flag: str) -> list[str]:
    return [argument.partition("=")[2] for argument in arguments if argument.partition("=")[0] == flag]


def test_nothing_is_deleted_that_nobody_asked_to_delete() -> None:
    arguments = thanos_component.arguments(thanos_compact.COMPONENT, SETTINGS)
    for resolution in ("raw", "5m", "1h"):
        assert values(arguments, f"--retention.resolution-{resolution}") == ["0d"]
    assert values(arguments, "--delete-delay") == ["48h"]
    assert "--wait" in arguments
    assert "--downsampling.disable" not in arguments


@pytest.mark.parametrize(
    ("raw", "five_minutes", "hour", "downsampling"),
    [
        ("40h", "10d", "10d", True),
        ("30d", "0", "0", True),
        ("30d", "180d", "", True),
        ("0", "0", "0", True),
        ("1h", "1h", "1h", False),
        ("2w", "2w", "2y", True),
    ],
)
def test_retentions_that_make_sense_are_taken(raw: str, five_minutes: str, hour: str, downsampling: bool) -> None:
    settings = replace(
        SETTINGS, retention_raw=raw, retention_5m=five_minutes, retention_1h=hour, downsampling=downsampling
    )
    thanos_component.check(thanos_compact.COMPONENT, settings)
    arguments = thanos_component.arguments(thanos_compact.COMPONENT, settings)
    assert values(arguments, "--retention.resolution-raw") == [raw]
    assert ("--downsampling.disable" in arguments) is not downsampling


def test_a_refusal_says_what_is_longer() -> None:
    with pytest.raises(InputError, match=r"retention_5m: 20d is shorter than retention_raw, which is for ever"):
        thanos_component.check(thanos_compact.COMPONENT, replace(SETTINGS, retention_5m="20d"))
    with pytest.raises(InputError, match=r"retention_raw: 39h is too short for downsampling. Keep at least 40h"):
        thanos_component.check(thanos_compact.COMPONENT, replace(SETTINGS, retention_raw="39h"))


def test_compact_joins_the_replicas_that_query_takes_for_one() -> None:
    compact = thanos_component.arguments(thanos_compact.COMPONENT, SETTINGS)
    query = thanos_component.arguments(thanos_query.COMPONENT, QUERY)
    assert values(compact, "--deduplication.replica-label") == values(query, "--query.replica-label")
