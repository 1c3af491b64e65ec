# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import prometheus_problems
from ansible_collections.scs.observability.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: prometheus_problems
short_description: What cannot work of the Prometheus that an observer is asked to have
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Looks at the variables of the role P(scs.observability.observer#role) for Prometheus and the exporters, and says
    everything that is wrong with them. What is not given is not looked at.
positional: _input
options:
  _input:
    description: The variables by their names, such as C(observer_prometheus_retention).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot work, before anything is touched
  ansible.builtin.assert:
    that: problems == []
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: "{{ {'observer_prometheus_retention': '12h'} | scs.observability.prometheus_problems }}"
"""

RETURN = r"""
_value:
  description: One text per problem, which begins with the name of the variable; none when all is well.
  type: list
  elements: str
"""


def problems(asked: Mapping[str, Any]) -> list[str]:
    """Return what is wrong; AnsibleFilterError when something else than variables is given."""
    return prometheus_problems.problems(plain("prometheus_problems", asked))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"prometheus_problems": problems}
