# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_problems import problems
from ansible_collections.scs.observability.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: alertmanager_problems
short_description: What is wrong with the data about notifications
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Returns everything that is wrong, before anything is touched, each with the variable of the role
    P(scs.observability.observer#role) and what to do about it.
  - Nothing that may be a secret is in it, neither a URL nor a password or token.
positional: _input
options:
  _input:
    description:
      - The variables C(observer_alertmanager_*) of the role P(scs.observability.observer#role) that are about
        notifications, without that prefix. Those that are missing have their default.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what is wrong with the receivers
  ansible.builtin.debug:
    msg: "{{ {'receivers': [{'name': 'oncall', 'type': 'webhok'}]} | scs.observability.alertmanager_problems }}"
"""

RETURN = r"""
_value:
  description: A line per problem; none when all is well.
  type: list
  elements: str
  sample:
    - "observer_alertmanager_receivers[0].type: 'webhok' is not a type of receivers. Did you mean webhook?"
"""


def alertmanager_problems(data: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with the data."""
    return problems(plain("alertmanager_problems", data))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"alertmanager_problems": alertmanager_problems}
