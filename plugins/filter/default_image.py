# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._manifests import images

DOCUMENTATION = r"""
name: default_image
short_description: The image that this release was tested with
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Returns the reference of the image of a program that the collection deploys.
positional: _input
options:
  _input:
    description: The program, such as C(haproxy) or C(prometheus_operator).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show which Prometheus is deployed unless another is asked for
  ansible.builtin.debug:
    msg: "{{ 'prometheus' | scs.observability.default_image }}"
"""

RETURN = r"""
_value:
  description: The reference, with registry and tag.
  type: str
"""


def default_image(program: str) -> str:
    """Return the reference; AnsibleFilterError when the collection deploys no such program."""
    references = {name.lower(): value for name, value in vars(images).items() if name.isupper()}
    try:
        return str(references[program])
    except (KeyError, TypeError):
        raise AnsibleFilterError(
            f"default_image: {program!r} is none of the programs, which are {', '.join(sorted(references))}"
        ) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"default_image": default_image}
