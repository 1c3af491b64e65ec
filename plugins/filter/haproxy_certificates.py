# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable

from ansible_collections.scs.observability.plugins.module_utils._manifests import haproxy_certificates

DOCUMENTATION = r"""
name: haproxy_certificates
short_description: A program by which HAProxy shows a certificate that was renewed
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Returns a program in Lua, for C(lua-load) in HAProxy's configuration. It looks for another certificate every few
    seconds and loads it, for connections that come then; those that are there go on.
  - The configuration needs C(stats socket abns@certificates level admin), too.
positional: _input
options:
  _input:
    description: The file of the certificate as the configuration has it, C(NAME.crt). C(NAME.key) beside it is its key.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write the program beside HAProxy's configuration
  ansible.builtin.copy:
    content: "{{ '/etc/haproxy/tls.crt' | scs.observability.haproxy_certificates }}"
    dest: /etc/haproxy/certificates.lua
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The program.
  type: str
"""


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"haproxy_certificates": haproxy_certificates.lua}
