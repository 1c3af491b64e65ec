# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._manifests import grafana

DOCUMENTATION = r"""
name: grafana_dashboards
short_description: Dashboards of Grafana as ConfigMaps
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes a ConfigMap for each dashboard, with a label that tells the folder.
  - Fails with all problems of the operator's own dashboards at once, those that
    P(scs.observability.grafana_problems#filter) returns.
positional: _input, own
options:
  _input:
    description: The dashboards that come along, texts in JSON by the name of their file.
    type: dict
    required: true
  own:
    description: The operator's own, in the same form.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the ConfigMaps of own dashboards
  ansible.builtin.debug:
    msg: "{{ {} | scs.observability.grafana_dashboards({'billing.json': text}) }}"
  vars:
    text: "{{ lookup('ansible.builtin.file', 'billing.json') }}"
"""

RETURN = r"""
_value:
  description: The ConfigMaps, without a namespace.
  type: list
  elements: dict
"""


def grafana_dashboards(ours: Mapping[str, str], own: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return a ConfigMap per dashboard; AnsibleFilterError with everything that is wrong."""
    try:
        return grafana.dashboards(ours, own or {})
    except ObservabilityError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"grafana_dashboards": grafana_dashboards}
