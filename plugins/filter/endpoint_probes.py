# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes

DOCUMENTATION = r"""
name: endpoint_probes
short_description: Probe objects of a catalogue of endpoints
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes an object of the kind Probe of the Prometheus Operator for each endpoint.
  - Fails with all problems of the catalogue at once, those that P(scs.observability.endpoint_problems#filter) returns.
extends_documentation_fragment:
  - scs.observability.endpoints
positional: _input
"""

EXAMPLES = r"""
- name: See what Prometheus will be asked to probe
  ansible.builtin.debug:
    msg: "{{ observer_endpoints | scs.observability.endpoint_probes }}"
  vars:
    observer_endpoints:
      - name: keystone
        url: https://identity.example.org/v3
        criticality: critical
        region: north
      - name: name-server
        url: dns://192.0.2.53/identity.example.org?type=AAAA
"""

RETURN = r"""
_value:
  description: The objects, one per endpoint, without a namespace.
  type: list
  elements: dict
"""


def endpoint_probes(endpoints: Sequence[Any], modules: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return a Probe per endpoint; AnsibleFilterError with everything that is wrong."""
    try:
        return blackbox_probes.probes(endpoints, modules or {})
    except ObservabilityError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"endpoint_probes": endpoint_probes}
