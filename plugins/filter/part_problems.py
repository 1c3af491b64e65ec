# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._core.errors import LibraryError
from ansible_collections.scs.observability.plugins.module_utils._observer import part_problems
from ansible_collections.scs.observability.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: part_problems
short_description: What cannot work of what the parts of an observer are given
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Looks at the resources of all parts, and at the variables of the role P(scs.observability.observer#role) for the
    Thanos components and the gateway, and says everything that is wrong with them, before the first module is.
  - What is not given is not looked at. No text holds a secret.
positional: _input, profile, volume_sizes
options:
  _input:
    description: The variables by their names, such as C(observer_compact_retention_raw).
    type: dict
    required: true
  profile:
    description: Resources (C(requests) and C(limits)) by part, one of the role's profiles. It says which there are.
    type: dict
    default: {}
  volume_sizes:
    description: Sizes of the volumes that are there already, as M(scs.observability.observer_preflight) returns them.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Refuse what cannot work, before anything is touched
  ansible.builtin.assert:
    that: problems == []
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: "{{ {'observer_rule_replicas': 0} | scs.observability.part_problems }}"
"""

RETURN = r"""
_value:
  description: One text per problem, which begins with the name of the variable; none when all is well.
  type: list
  elements: str
  sample: ["observer_rule_replicas: 0 is not a positive number"]
"""


def problems(
    asked: Mapping[str, Any],
    profile: Mapping[str, Any] | None = None,
    volume_sizes: Mapping[str, str] | None = None,
) -> list[str]:
    """Return what is wrong with the variables."""
    try:
        return part_problems.problems(profile or {}, plain("part_problems", asked), datetime.now(UTC), volume_sizes)
    except LibraryError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"part_problems": problems}
