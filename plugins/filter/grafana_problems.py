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
positional: _input, dashboards
options:
  _input:
    description:
      - Variables of the role P(scs.observability.observer#role) by their names; C(observer_grafana_oidc),
        C(observer_grafana_oidc_client_secret) and C(observer_grafana_url) are looked at.
    type: dict
    required: true
  dashboards:
    description: The operator's own dashboards, texts in JSON by the name of their file.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Look at the provider before anything is deployed
  ansible.builtin.debug:
    msg: "{{ {'observer_grafana_oidc': {'client_id': 'grafana'}} | scs.observability.grafana_problems }}"
"""

RETURN = r"""
_value:
  description: A line for each problem, beginning with the variable or the file; empty when all is well.
  type: list
  elements: str
"""


def grafana_problems(asked: Mapping[str, Any], dashboards: Mapping[str, str] | None = None) -> list[str]:
    """Return everything that is wrong with the public URL, the provider and own dashboards."""
    login = grafana.login_problems(
        asked.get(grafana.OIDC) or {}, asked.get(grafana.SECRET) or "", asked.get(grafana.URL) or "", datetime.now(UTC)
    )
    return [*login, *grafana.dashboard_problems(dashboards or {})]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"grafana_problems": grafana_problems}
