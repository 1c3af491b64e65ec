# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the links in notifications lead, and who says what the reloaders of the Prometheus Operator ask for."""

from __future__ import annotations

from typing import Any

import pytest

from tests import rendered

HOSTNAMES = {name: f"{name}.example.org" for name in ("alertmanager", "prometheus", "thanos")}
WITHIN = {
    "Alertmanager": "http://alertmanager.scs-observability.svc:9093",
    "Prometheus": "http://prometheus.scs-observability.svc:9090",
    "rule": "http://thanos-query-frontend.scs-observability.svc:10902",
}
OUTSIDE = {
    "Alertmanager": "https://alertmanager.example.org",
    "Prometheus": "https://prometheus.example.org",
    "rule": "https://thanos.example.org",
}


def resources(**variables: Any) -> dict[str, dict[str, Any]]:
    """The resources of the Prometheus Operator by kind."""
    calls = rendered.calls("alertmanager.yml", "prometheus.yml", **variables)
    objects = [item for call in calls for item in call.arguments["objects"]]
    return {item["kind"]: item["spec"] for item in objects if item["kind"] in {"Alertmanager", "Prometheus"}}


def flags_of_rule(**variables: Any) -> list[str]:
    (given,) = [
        call.arguments for call in rendered.calls("thanos.yml", **variables) if call.arguments["component"] == "rule"
    ]
    return [str(flag) for flag in given["extra_args"]]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, WITHIN),
        ({"observer_web_enabled": True, "observer_web_hostnames": HOSTNAMES}, OUTSIDE),
        ({"observer_web_enabled": False, "observer_web_hostnames": HOSTNAMES}, WITHIN),
        ({"observer_web_enabled": True, "observer_web_hostnames": {"grafana": "grafana.example.org"}}, WITHIN),
        ({"observer_web_hostnames": None}, WITHIN),
    ],
    ids=["no web gateway", "a web gateway", "no longer a web gateway", "only to Grafana", "an empty answer"],
)
def test_links_lead_to_where_people_get(asked: dict[str, Any], expected: dict[str, str]) -> None:
    found = {kind: spec.get("externalUrl") for kind, spec in resources(**asked).items()}
    assert {**found, "rule": flags_of_rule(**asked)} == {**expected, "rule": [f"--alert.query-url={expected['rule']}"]}


def test_links_lead_to_where_the_operator_says() -> None:
    urls = {"Alertmanager": "https://a.example.org", "Prometheus": "https://p.example.org"}
    asked = {f"observer_{kind.lower()}_external_url": url for kind, url in urls.items()}
    assert {kind: spec["externalUrl"] for kind, spec in resources(**asked).items()} == urls
    flag = "--alert.query-url=https://q.example.org"
    assert flags_of_rule(observer_rule_extra_args=[flag]) == [flag]


def test_what_reloaders_ask_for_is_said_to_the_operator_alone() -> None:
    """In these resources it would hold against what observer_config_reloader_resources says."""
    for spec in resources().values():
        for container in spec.get("containers", []) + spec.get("initContainers", []):
            assert "config-reloader" not in container["name"]
