# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions of Prometheus and its relatives (RE2), as far as Python's own can judge them."""

from __future__ import annotations

import re

# What Python's regular expressions know and those of RE2 do not, and the other way round
_NOT_RE2 = re.compile(r"\(\?(?:[=!>#]|<[=!]|P[=>]|\()|\\[1-9ZuUN]|(?<!\\)[*+?}]\+")
_ONLY_RE2 = re.compile(r"\\[pP](?:\{\^?\w+\}|\w)|\[:\^?\w+:\]|\\[zQEC]")
_REPEATED = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}")
_MOST_REPEATED = 1000


def fault(pattern: str) -> str:
    """Return what is wrong with an expression, or nothing."""
    if _NOT_RE2.search(pattern):
        return "looks around or back, or repeats possessively, which regular expressions cannot do here (RE2)"
    if any(int(number) > _MOST_REPEATED for found in _REPEATED.findall(pattern) for number in found if number):
        return f"repeats something more than {_MOST_REPEATED} times, which regular expressions cannot do here (RE2)"
    try:
        re.compile(_ONLY_RE2.sub("x", pattern))
    except re.error:
        return "is not a regular expression"
    return ""


def only_re2(pattern: str) -> bool:
    """Tell whether it has something that Python does not know, so that nothing can be tried with it."""
    return bool(_ONLY_RE2.search(pattern))
