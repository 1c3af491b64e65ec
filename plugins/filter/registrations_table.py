# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: registrations_table
short_description: Registrations of an observer as a text table
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes an aligned table of RV(scs.observability.observer_info#module:registrations), one row per cluster.
positional: _input
options:
  _input:
    description: The list RV(scs.observability.observer_info#module:registrations).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: See which clusters are registered and what arrives
  scs.observability.observer_info:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
  register: observer

- name: Show it line by line
  ansible.builtin.debug:
    msg: "{{ (observer.registrations | scs.observability.registrations_table).splitlines() }}"
"""

RETURN = r"""
_value:
  description: The table, with a line of headings; without registrations a line that says so.
  type: str
"""

HEADINGS = ("CLUSTER", "PHASE", "REGISTERED", "LAST SAMPLE", "SERIES", "MISSING JOBS", "STATE", "REASON")


def registrations_table(registrations: Iterable[Mapping[str, Any]]) -> str:
    """Return an aligned table of what observer_info returns."""
    if isinstance(registrations, (str, Mapping)) or not isinstance(registrations, Iterable):
        raise AnsibleFilterError(
            "registrations_table takes the list of registrations that scs.observability.observer_info returns"
        )
    rows = [_row(registration) for registration in registrations]
    if not rows:
        return "no cluster is registered"
    table = [HEADINGS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    return "\n".join(line.rstrip() for line in lines)


def _row(registration: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return (
            registration["name"],
            registration["phase"],
            registration["registered_since"] or "-",
            age(registration["last_sample_age_seconds"]),
            str(registration["series"]),
            ", ".join(job["job"] for job in registration["missing_jobs"]) or "-",
            registration["state"] if registration["healthy"] else registration["state"].upper(),
            # When all is well there is nothing to explain.
            "" if registration["state"] == "ok" else registration["reason"],
        )
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"registrations_table: not a registration of scs.observability.observer_info: {error!r}"
        ) from error


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


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"registrations_table": registrations_table}
