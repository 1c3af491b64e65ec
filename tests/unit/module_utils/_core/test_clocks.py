# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from email.utils import formatdate

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.clocks import clock_skew


@pytest.mark.parametrize(
    ("stated", "started", "ended", "skew"),
    [
        (1000, 1000.0, 1000.2, 0),
        (1000, 1000.9, 1001.1, 0),
        (999, 1000.9, 1001.1, 0),
        (1000, 1000.0, 1030.0, 0),
        (1060, 1000.0, 1000.2, 60),
        (940, 1000.0, 1000.2, -59),
        (4600, 1000.0, 1000.2, 3600),
    ],
)
def test_clock_skew(stated: int, started: float, ended: float, skew: int) -> None:
    assert clock_skew(formatdate(stated, usegmt=True), started, ended) == skew


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_no_date(date: str | None) -> None:
    assert clock_skew(date, 0.0, 1.0) is None
