# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core import expressions


@pytest.mark.parametrize(
    "pattern",
    ["", "kubelet_.+", "a|b", "(?i)a", "(?:a|b){2,1000}", r"\pL+", "[[:alpha:]]+", r"\*+", "(?P<name>a)", r"a\.b\z"],
)
def test_what_re2_takes_is_fine(pattern: str) -> None:
    assert expressions.fault(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    ["(", "a)|(b", "*", "a**", "(?=a)", "(?<!a)b", r"(a)\1", "a++", "a{2}+", "(?>a)", r"a\Z", "a{1001}", "a{2,1001}"],
)
def test_what_re2_does_not_take_is_told(pattern: str) -> None:
    """As promtool has it, which knows RE2; only "a)|(b" passes there, because of the parentheses around it."""
    assert expressions.fault(pattern)


def test_what_python_cannot_try_is_known() -> None:
    assert expressions.only_re2(r"\p{Greek}")
    assert expressions.only_re2("[[:digit:]]")
    assert not expressions.only_re2(r"kubelet_\w+")
