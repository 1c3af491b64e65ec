# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import grafana

DOCUMENTATION = r"""
name: grafana_problems
short_description: Everything that is wrong with what Grafana is asked to have
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Looks at dashboards for what Grafana or a ConfigMap would not take, and at the public URL and the OpenID Connect
    provider for what cannot work.
  - No value is repeated that may hold a secret.
positional: _input, oidc, client_secret, url
options:
  _input:
    description: The operator's own dashboards, texts in JSON by the name of their file.
    type: dict
    required: true
  oidc:
    description: The provider, O(scs.observability.observer#role:main:observer_grafana_oidc).
    type: dict
    default: {}
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
- name: Look at the provider before anything is deployed
  ansible.builtin.debug:
    msg: >-
      {{ {} | scs.observability.grafana_problems(
           observer_grafana_oidc, observer_grafana_oidc_client_secret, observer_grafana_url) }}
"""

RETURN = r"""
_value:
  description: A line for each problem, beginning with the variable or the file; empty when all is well.
  type: list
  elements: str
"""


def grafana_problems(own: Mapping[str, str], oidc: Any = None, client_secret: str = "", url: str = "") -> list[str]:
    """Return everything that is wrong with own dashboards, the public URL and the provider."""
    login = grafana.login_problems({} if oidc is None else oidc, client_secret, url, datetime.now(UTC))
    return [*login, *grafana.dashboard_problems(own)]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"grafana_problems": grafana_problems}
