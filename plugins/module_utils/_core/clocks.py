# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Date header of an answer tells about the sender's clock."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

# The header counts whole seconds, and servers compute it at most once a second.
_DATE_RESOLUTION = 2.0


def clock_skew(date: str | None, started: float, ended: float) -> int | None:
    """Return by how many seconds the sender of a Date header is ahead of us.

    ``started`` and ``ended`` (seconds since the epoch) enclose the request. Zero when the header is in line with them,
    as far as its resolution goes; None without a date.
    """
    try:
        stated = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return None
    if stated > ended:
        return round(stated - ended)
    if stated + _DATE_RESOLUTION < started:
        return -round(started - stated - _DATE_RESOLUTION / 2)
    return 0
