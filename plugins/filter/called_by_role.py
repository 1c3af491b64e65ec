# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.scs.observability.plugins.module_utils._observer import part_problems

DOCUMENTATION = r"""
name: called_by_role
short_description: Problems that modules tell of their parameters, by the variables of the role observer
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Puts the variable in the place of the parameter that a problem begins with. What begins with none stays as it is.
positional: _input
options:
  _input:
    description: The problems, a text each.
    type: list
    elements: str
    required: true
  part:
    description: The part of the observer that the module deploys, such as V(gateway), whose variables come first.
    type: str
    default: ""
  known:
    description: The names of the variables that there are.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: See by what a host name is given
  ansible.builtin.debug:
    msg: >-
      {{ ["hostnames: 'a b' is not a host name"]
         | scs.observability.called_by_role(part='gateway', known=['observer_gateway_hostnames']) }}
"""

RETURN = r"""
_value:
  description: The problems, in the same order.
  type: list
  elements: str
  sample: ["observer_gateway_hostnames: 'a b' is not a host name"]
"""


def called_by_role(problems: Iterable[str], known: Iterable[str], part: str = "") -> list[str]:
    """Return the problems, beginning with the role's variables."""
    return part_problems.called_by_role(problems, part, known)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"called_by_role": called_by_role}
