# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.scs.observability.plugins.filter.observer_pods import FilterModule

observer_pods = FilterModule().filters()["observer_pods"]


def test_pods_of_a_profile() -> None:
    pods = observer_pods({"grafana": {"requests": {"cpu": "50m"}}}, {"observer_grafana_replicas": 2})
    assert {"name": "grafana", "requests": {"cpu": "50m"}, "replicas": 2} in pods
