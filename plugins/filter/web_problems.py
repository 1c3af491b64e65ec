# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._core.errors import LibraryError
from ansible_collections.scs.observability.plugins.module_utils._observer import doors

DOCUMENTATION = r"""
name: web_problems
short_description: What cannot work of the doors that an observer is asked to have
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Looks at variables of the role P(scs.observability.observer#role) that say what is reachable, by whom, and under
    which name or port, and says everything that is wrong with them.
  - What is not given is not looked at. No text holds a secret.
positional: _input
options:
  _input:
    description: The variables by their names, such as C(observer_web_hostnames).
    type: dict
    required: true
  observers:
    description:
      - The same of all observers of the inventory, by host, with what tells where they are (C(observer_kubeconfig),
        C(observer_context), C(observer_namespace), C(observer_bucket_name), C(observer_bucket_endpoint)).
      - When given, what two of them would take away from each other is a problem, too.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Refuse what cannot work, before anything is touched
  ansible.builtin.assert:
    that: problems == []
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: >-
      {{ {'observer_web_enabled': true, 'observer_web_users': ['admin'],
      'observer_web_hostnames': {'grafana': 'grafana.example.org'}} | scs.observability.web_problems }}
"""

RETURN = r"""
_value:
  description: One text per problem, which begins with the name of the variable; none when all is well.
  type: list
  elements: str
"""


def web_problems(asked: Mapping[str, Any], observers: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    """Return what is wrong; AnsibleFilterError when something else than variables is given."""
    if not isinstance(asked, Mapping) or not isinstance(observers or {}, Mapping):
        raise AnsibleFilterError("web_problems takes a dictionary of variables by their names")
    try:
        return [*doors.problems(asked, datetime.now(UTC)), *doors.collisions(observers or {})]
    except LibraryError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"web_problems": web_problems}
