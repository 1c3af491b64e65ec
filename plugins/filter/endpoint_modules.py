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
name: endpoint_modules
short_description: Modules of the blackbox exporter for a catalogue of endpoints
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Returns the modules that come with this collection, the operator's own in their place or beside them, and one for
    each question to a DNS server, which the exporter takes from its configuration alone.
  - Fails with all problems of the catalogue at once, those that P(scs.observability.endpoint_problems#filter) returns.
extends_documentation_fragment:
  - scs.observability.endpoints
positional: _input
"""

EXAMPLES = r"""
- name: Write a configuration for blackbox exporter
  ansible.builtin.copy:
    content: "{{ {'modules': observer_endpoints | scs.observability.endpoint_modules} | to_nice_yaml }}"
    dest: /etc/prometheus/blackbox.yml
    mode: "0640"
"""

RETURN = r"""
_value:
  description: The modules by name, as C(modules) in the exporter's configuration.
  type: dict
"""


def endpoint_modules(endpoints: Sequence[Any], modules: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return the exporter's modules by name; AnsibleFilterError with everything that is wrong."""
    try:
        return blackbox_probes.modules(endpoints, modules or {})
    except ObservabilityError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., dict[str, dict[str, Any]]]]:
        return {"endpoint_modules": endpoint_modules}
