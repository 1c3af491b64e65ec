# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._manifests import images

DOCUMENTATION = r"""
name: default_image
short_description: An image, or the one that this release was tested with
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Returns the image that is given, or, when that is empty, the one of the collection for the named program.
positional: _input, program
options:
  _input:
    description: Reference to an image, or an empty text.
    type: str
    required: true
  program:
    description: Name of the program, such as V(prometheus), V(thanos) or V(kube_state_metrics).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: See which image of Prometheus is deployed
  ansible.builtin.debug:
    msg: "{{ observer_prometheus_image | scs.observability.default_image('prometheus') }}"
"""

RETURN = r"""
_value:
  description: Reference to an image.
  type: str
"""

_DEFAULTS = {name.lower(): value for name, value in vars(images).items() if name.isupper()}


def default_image(given: Any, program: str) -> str:
    """Return the image that is given, or the collection's own of a program."""
    if program not in _DEFAULTS:
        raise AnsibleFilterError(f"default_image: {program!r} is none of {', '.join(sorted(_DEFAULTS))}")
    return str(given or _DEFAULTS[program])


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"default_image": default_image}
