# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters for Grafana agree on what is wrong."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.grafana_dashboards import grafana_dashboards
from ansible_collections.scs.observability.plugins.filter.grafana_environment import grafana_environment
from ansible_collections.scs.observability.plugins.filter.grafana_problems import grafana_problems

OWN = {"billing.json": "{}", "other.json": "{"}
OIDC = {"client_id": "grafana", "scope": "openid"}


def test_nothing_is_wrong_with_nothing() -> None:
    assert (grafana_problems({}), grafana_environment({}), grafana_dashboards({})) == ([], {}, [])


def test_all_problems_are_in_the_failures() -> None:
    problems = grafana_problems({"observer_grafana_oidc": OIDC, "observer_grafana_url": "grafana.example.org"}, OWN)
    with pytest.raises(AnsibleFilterError) as dashboards:
        grafana_dashboards({}, OWN)
    with pytest.raises(AnsibleFilterError) as login:
        grafana_environment(OIDC, "", "grafana.example.org")
    said = f"{dashboards.value}\n{login.value}"
    assert len(problems) > 5
    assert all(problem in said for problem in problems)
