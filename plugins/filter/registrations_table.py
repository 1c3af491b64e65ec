# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.plugin_utils._table import age, reason, state, table

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
    return table("registrations", HEADINGS, registrations, _row, empty="no cluster is registered")


def _row(registration: Mapping[str, Any]) -> tuple[str, ...]:
    known = registration["state"] != "unknown"
    return (
        registration["name"],
        registration["phase"],
        registration["registered_since"] or "-",
        age(registration["last_sample_age_seconds"]) if known else "-",
        str(registration["series"]) if known else "-",
        ", ".join(job["job"] for job in registration["missing_jobs"]) or "-",
        state(registration),
        reason(registration),
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"registrations_table": registrations_table}
