# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes

DOCUMENTATION = r"""
name: endpoint_problems
short_description: Everything that is wrong with a catalogue of endpoints
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Looks for bad URLs, credentials in them, unknown modules and keys, names or endpoints that are there twice, and
    intervals that cannot work.
  - Nothing of a URL is repeated, as it may hold a secret.
extends_documentation_fragment:
  - scs.observability.endpoints
positional: _input
options:
  ca:
    description: Certificates (PEM) of authorities to trust, beside the public ones.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look at the catalogue before anything is deployed
  ansible.builtin.assert:
    that: problems == []
    fail_msg: "{{ problems }}"
  vars:
    problems: "{{ observer_endpoints | scs.observability.endpoint_problems }}"
"""

RETURN = r"""
_value:
  description:
    - A line for each problem, beginning with the place, such as C(observer_endpoints[2].url); empty when all is well.
  type: list
  elements: str
"""


def endpoint_problems(endpoints: Any, modules: Any = None, ca: str = "") -> list[str]:
    """Return everything that is wrong with a catalogue, the operator's own modules and authorities to trust."""
    return blackbox_probes.problems(endpoints, {} if modules is None else modules, ca, datetime.now(UTC))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"endpoint_problems": endpoint_problems}
