# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.plugin_utils._table import age, reason, state, table

DOCUMENTATION = r"""
name: iaas_table
short_description: The registered IaaS Prometheuses as a table to read
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes a table of what M(scs.observability.observer_info) tells of registered Prometheuses of the IaaS layer. States
    in capitals want somebody to act.
positional: _input
options:
  _input:
    description: The list RV(scs.observability.observer_info#module:iaas).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: See what is registered and what arrives
  scs.observability.observer_info:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
  register: observer

- name: Show the IaaS layer line by line
  ansible.builtin.debug:
    msg: "{{ (observer.iaas | scs.observability.iaas_table).splitlines() }}"
"""

RETURN = r"""
_value:
  description: The table, with a line of headings; without registrations a line that says so.
  type: str
"""

HEADINGS = ("IAAS", "REGION", "PATHS", "LAST SAMPLE", "CERTIFICATE UNTIL", "STATE", "REASON")


def iaas_table(registrations: Iterable[Mapping[str, Any]]) -> str:
    """Return an aligned table of what observer_info returns."""
    return table("iaas", HEADINGS, registrations, _row, empty="no Prometheus of the IaaS layer is registered")


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    known = item["state"] != "unknown"
    return (
        item["name"],
        item["region"],
        ", ".join(path["path"] for path in item["paths"]),
        age(item["last_sample_age_seconds"]) if known else "-",
        item["certificate_expires"] or "-",
        state(item),
        reason(item),
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"iaas_table": iaas_table}
