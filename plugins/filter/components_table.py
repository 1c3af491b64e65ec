# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.plugin_utils._table import reason, state, table

DOCUMENTATION = r"""
name: components_table
short_description: Components of an observer as a text table
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes an aligned table of RV(scs.observability.observer_info#module:components), one row per component.
positional: _input
options:
  _input:
    description: The list RV(scs.observability.observer_info#module:components).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: See which components are deployed and whether they work
  scs.observability.observer_info:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
  register: observer

- name: Show it line by line
  ansible.builtin.debug:
    msg: "{{ (observer.components | scs.observability.components_table).splitlines() }}"
"""

RETURN = r"""
_value:
  description: The table, with a line of headings; without components a line that says so.
  type: str
"""

HEADINGS = (
    "COMPONENT",
    "VERSION",
    "READY",
    "ENDPOINTS",
    "LAST UPLOAD",
    "COMPACTIONS LEFT",
    "FIGURES",
    "CERTIFICATE UNTIL",
    "STATE",
    "REASON",
)


def components_table(components: Iterable[Mapping[str, Any]]) -> str:
    """Return an aligned table of what observer_info returns."""
    return table("components", HEADINGS, components, _row, empty="no component is deployed")


def _row(component: Mapping[str, Any]) -> tuple[str, ...]:
    endpoints = component["endpoints"]
    answering = [endpoint for endpoint in endpoints if not endpoint["error"]]
    left = ((component["compaction"] or {}).get("todo") or {}).get("compactions")
    return (
        f"bucket {component['name']}" if component["component"] == "bucket" else component["name"],
        component["version"] or "-",
        f"{component['replicas']['ready']}/{component['replicas']['wanted']}" if component["image"] else "-",
        f"{len(answering)}/{len(endpoints)}" if endpoints else "-",
        component["last_upload"] or "-",
        "-" if left is None else str(left),
        ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in component["figures"].items()) or "-",
        min((certificate["expires"] for certificate in component["certificates"] or []), default="-"),
        state(component),
        reason(component),
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"components_table": components_table}
