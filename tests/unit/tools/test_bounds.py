# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from benchmarks import bounds
from benchmarks.bounds import Bound


def test_a_benchmark_fails_when_a_bound_is_broken_and_after_it_has_told_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bounds.tell([Bound("ratio", 4.49, 3), Bound("seconds", 1.0, 10), Bound("nothing", float("nan"), 1)])
    assert ended.value.code == "broken: ratio; nothing"
    told = capsys.readouterr().out
    assert "ratio: 4.49, at most 3: broken" in told
    assert "seconds: 1, at most 10\n" in told


def test_a_bound_that_is_just_reached_holds() -> None:
    bounds.tell([Bound("ratio", 3.0, 3)])
