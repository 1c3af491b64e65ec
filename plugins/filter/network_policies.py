# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._manifests import network_policies as policies

DOCUMENTATION = r"""
name: network_policies
short_description: NetworkPolicies that allow just the wiring of an observer
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes a NetworkPolicy that refuses everything, and one per part of the observer that allows what others ask of it.
positional: _input
options:
  _input:
    description: Parts that ask somebody who is not in the tables, such as C(thanos-store) a cache.
    type: list
    elements: str
    required: true
  api_server:
    description: Networks (CIDR) from which the API server asks pods. When empty, pods in C(kube-system) are let in.
    type: list
    elements: str
    default: []
  egress:
    description: Whether what the parts ask of others is limited, too.
    type: bool
    default: false
  storage:
    description: URL of the object storage.
    type: str
    default: https://
"""

EXAMPLES = r"""
- name: See who may ask whom when the store gateway has a cache
  ansible.builtin.debug:
    msg: "{{ ['thanos-store'] | scs.observability.network_policies(egress=true) }}"
"""

RETURN = r"""
_value:
  description: The NetworkPolicies, without a namespace.
  type: list
  elements: dict
"""


def network_policies(
    anywhere: Collection[str],
    api_server: Sequence[str] = (),
    egress: bool = False,
    storage: str = "https://",
) -> list[dict[str, Any]]:
    """Return the NetworkPolicies; AnsibleFilterError for a part that does not exist."""
    unknown = sorted({*anywhere} - set(policies.PARTS))
    if unknown:
        raise AnsibleFilterError(f"network_policies: {', '.join(unknown)} is no part of the observer")
    url = urlsplit(storage)
    return policies.network_policies(
        policies.Wanted(
            api_server=list(api_server),
            egress=bool(egress),
            storage_port=url.port or (80 if url.scheme == "http" else policies.HTTPS_PORT),
            anywhere=list(anywhere),
        )
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"network_policies": network_policies}
