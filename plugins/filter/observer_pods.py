# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._observer import footprint

DOCUMENTATION = r"""
name: observer_pods
short_description: The pods of the role observer and what they ask for
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes the list that M(scs.observability.observer_preflight) takes as
    O(scs.observability.observer_preflight#module:pods).
  - Resources that cannot be are those of the profile; P(scs.observability.part_problems#filter) tells of them.
positional: _input
options:
  _input:
    description: Resources (C(requests) and C(limits)) by part, one of the role's profiles.
    type: dict
    required: true
  variables:
    description:
      - The role's variables by name, of which C(observer_<part>_resources) replace the profile's,
        C(observer_<part>_replicas) say how many there are, and C(observer_<part>_enabled) whether. Few others are
        looked at.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: See what an observer asks for
  ansible.builtin.debug:
    msg: >-
      {{ {'prometheus': {'requests': {'cpu': '100m', 'memory': '384Mi'}}}
         | scs.observability.observer_pods(variables={'observer_query_replicas': 2}) }}
"""

RETURN = r"""
_value:
  description: The pods, by name.
  type: list
  elements: dict
  sample:
    - name: query
      requests: {cpu: 100m, memory: "268435456"}
      replicas: 2
"""


def observer_pods(profile: Mapping[str, Any], variables: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the pods of an observer."""
    return footprint.pods(profile, variables or {})


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"observer_pods": observer_pods}
