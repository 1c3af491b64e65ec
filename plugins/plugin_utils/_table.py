# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Aligned text tables of what modules return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError


def table(
    what: str,
    headings: Sequence[str],
    items: Iterable[Mapping[str, Any]],
    row: Callable[[Mapping[str, Any]], Sequence[str]],
    *,
    empty: str,
) -> str:
    """Return a table with a line of headings and one per item, or ``empty`` without items.

    ``what`` of observer_info's result the items are; AnsibleFilterError when they are something else.
    """
    if isinstance(items, (str, Mapping)) or not isinstance(items, Iterable):
        raise AnsibleFilterError(f"{what}_table takes the list of {what} that scs.observability.observer_info returns")
    try:
        rows = [tuple(row(item)) for item in items]
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"{what}_table: not one of the {what} of scs.observability.observer_info: {error!r}"
        ) from error
    if not rows:
        return empty
    lines = [tuple(headings), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def state(item: Mapping[str, Any]) -> str:
    """The state of an item, in capitals when somebody has to act."""
    return str(item["state"]) if item["healthy"] else str(item["state"]).upper()


def reason(item: Mapping[str, Any]) -> str:
    """The reason of a state: when all is well there is nothing to explain."""
    return "" if item["state"] == "ok" else str(item["reason"])


def age(seconds: float | None) -> str:
    """An age in the largest unit that says enough: 12s, 4m10s, 3h05m."""
    if seconds is None:
        return "never"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
