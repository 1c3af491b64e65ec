# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._iaas.names import names

DOCUMENTATION = r"""
name: iaas_names
short_description: What hosts are called in the observer
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - The name of a registration of M(scs.observability.iaas_registration) is a DNS label, and that of a host in an
    inventory need be none. This makes the one of the other, always the same.
  - The result is in lower case, with a dash for whatever else is not a letter or a digit, and without one at its ends.
positional: _input
options:
  _input:
    description: Names of hosts.
    type: list
    elements: str
    required: true
  given:
    description: By host the names that are to be taken instead; an empty one is as good as none.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: See what two hosts are called in the observer
  ansible.builtin.debug:
    msg: "{{ ['testbed-node-0.osism.local', 'CTL_01'] | scs.observability.iaas_names }}"
"""

RETURN = r"""
_value:
  description: The names, by host.
  type: dict
  sample: {testbed-node-0.osism.local: testbed-node-0-osism-local, CTL_01: ctl-01}
"""


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"iaas_names": names}
