# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.scs.observability.plugins.module_utils._core.names import did_you_mean

DOCUMENTATION = r"""
name: unknown_variables
short_description: Names of variables that nothing reads, and what they were probably meant to be
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - A variable with a slip of the pen in its name is of no effect, and nobody is told. This tells of each name that is
    not known, with the known one that is nearest.
positional: _input
options:
  _input:
    description: The names of variables that are set.
    type: list
    elements: str
    required: true
  known:
    description: The names of variables that exist.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: See whether the inventory sets variables of the observer that there are not
  ansible.builtin.debug:
    msg: >-
      {{ query('ansible.builtin.varnames', '^observer_')
         | scs.observability.unknown_variables(known=['observer_namespace', 'observer_bucket_name']) }}
"""

RETURN = r"""
_value:
  description: One text for each name that is not known, in the order of the names; empty when all are known.
  type: list
  elements: str
  sample: ["observer_bucket_nmae: there is no such variable. Did you mean observer_bucket_name?"]
"""


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return what to say of the names that are not known."""
    there = set(known)
    otherwise = "Give variables of your own another prefix"
    return [
        f"{name}: there is no such variable. {did_you_mean(name, there, otherwise)}"
        for name in sorted(set(names) - there)
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"unknown_variables": unknown_variables}
