# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._manifests import grafana

DOCUMENTATION = r"""
name: grafana_environment
short_description: Settings of Grafana for a login at an OpenID Connect provider
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes variables of Grafana's environment. The client secret is not among them; Grafana reads it from a file.
  - Fails with all problems at once, those that P(scs.observability.grafana_problems#filter) returns.
positional: _input, client_secret, url
options:
  _input:
    description: The provider, O(scs.observability.observer#role:main:observer_grafana_oidc).
    type: dict
    required: true
  client_secret:
    description: The client secret, O(scs.observability.observer#role:main:observer_grafana_oidc_client_secret).
    type: str
    default: ""
  url:
    description: The public URL, O(scs.observability.observer#role:main:observer_grafana_url).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what Grafana is told of the provider
  ansible.builtin.debug:
    msg: >-
      {{ observer_grafana_oidc
         | scs.observability.grafana_environment(observer_grafana_oidc_client_secret, observer_grafana_url) }}
"""

RETURN = r"""
_value:
  description: Texts by the name of their variable, such as C(GF_SERVER_ROOT_URL).
  type: dict
"""


def grafana_environment(oidc: Mapping[str, Any], client_secret: str = "", url: str = "") -> dict[str, str]:
    """Return variables of Grafana's environment; AnsibleFilterError with everything that is wrong."""
    try:
        return grafana.environment(oidc, client_secret, url, datetime.now(UTC))
    except ObservabilityError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        return {"grafana_environment": grafana_environment}
