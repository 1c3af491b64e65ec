# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._iaas.names import problems

DOCUMENTATION = r"""
name: iaas_name_problems
short_description: What is wrong with what hosts are called in the observer
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Tells of each name that M(scs.observability.iaas_registration) would refuse, and of each that several hosts would
    have.
positional: _input
options:
  _input:
    description: The names by host, as P(scs.observability.iaas_names#filter) makes them.
    type: dict
    required: true
  variable:
    description: The variable by which a host is given another name.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: See whether two hosts can be told apart in the observer
  ansible.builtin.debug:
    msg: "{{ ['CTL_01', 'ctl-01'] | scs.observability.iaas_names | scs.observability.iaas_name_problems('names') }}"
"""

RETURN = r"""
_value:
  description: What is wrong, one text each; empty when nothing is.
  type: list
  elements: str
  sample: ["names: CTL_01, ctl-01 would all be registered as 'ctl-01': give each another name"]
"""


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"iaas_name_problems": problems}
