# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._observer import footprint
from ansible_collections.scs.observability.plugins.module_utils._observer.capacity import WantedPod
from ansible_collections.scs.observability.plugins.module_utils._observer.thanos import COMPONENTS

ROLE = Path(__file__).resolve().parents[4] / "roles" / "observer"
PROFILES = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["_observer_profiles"]


def by_name(profile: dict[str, Any], variables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {pod["name"]: pod for pod in footprint.pods(profile, variables)}


def test_containers_of_one_pod_are_added() -> None:
    profile = {
        "prometheus": {"requests": {"cpu": "100m", "memory": "384Mi"}},
        "thanos_sidecar": {"requests": {"cpu": "20m", "memory": "48Mi"}},
        "config_reloader": {"requests": {"cpu": 1}},
    }
    found = by_name(profile, {})
    assert found["prometheus"]["requests"] == {"cpu": "1120m", "memory": str(432 * 2**20)}
    assert not {"thanos_sidecar", "config_reloader"} & set(found)


def test_variables_replace_what_a_profile_says() -> None:
    profile = {"alertmanager": {"requests": {"cpu": "20m"}}, "grafana": {"requests": {"cpu": "50m"}}}
    variables = {
        "observer_alertmanager_resources": {"requests": {"memory": "1Gi"}},
        "observer_grafana_resources": {},
        "observer_grafana_replicas": "2",
        "observer_query_replicas": 0,
        "observer_namespace": "observer",
    }
    found = by_name(profile, variables)
    assert found["alertmanager"]["requests"] == {"memory": str(2**30)}
    assert (found["grafana"]["requests"], found["grafana"]["replicas"]) == ({"cpu": "50m"}, 2)
    assert found["query"]["replicas"] == 0


WEB = {"web_gateway": {"requests": {"cpu": "20m"}}, "oauth2_proxy": {"requests": {"cpu": "10m"}}}


@pytest.mark.parametrize(
    ("variables", "there"),
    [
        ({}, {}),
        ({"observer_web_enabled": False}, {}),
        ({"observer_web_enabled": "no"}, {}),
        ({"observer_web_enabled": True, "observer_web_authentication": "basic"}, {"web_gateway": 1}),
        (
            {"observer_web_enabled": True, "observer_web_authentication": "oidc", "observer_web_replicas": 2},
            {"web_gateway": 2, "oauth2_proxy": 2},
        ),
    ],
)
def test_what_was_not_asked_for_takes_nothing(variables: dict[str, Any], there: dict[str, int]) -> None:
    found = by_name(WEB, variables)
    assert {name: found[name]["replicas"] for name in WEB if name in found} == there


def test_a_part_can_be_left_out() -> None:
    assert "grafana" not in by_name({"grafana": {}}, {"observer_grafana_enabled": False})
    # With it goes the port of nodes that the preflight looks at.
    assert "node_exporter" not in by_name({"node_exporter": {}}, {"observer_node_exporter_enabled": "false"})
    operator = {"prometheus_operator": {}}
    assert "prometheus_operator" in by_name(operator, {"observer_prometheus_operator_state": "present"})
    assert "prometheus_operator" not in by_name(operator, {"observer_prometheus_operator_state": "external"})


def test_thanos_and_the_gateway_have_defaults_of_their_own() -> None:
    found = by_name({}, {})
    assert set(found) == {*COMPONENTS, "gateway"}
    assert found["receive"]["requests"] == {"cpu": "200m", "memory": str(512 * 2**20)}


def test_resources_that_cannot_be_are_named_as_the_role_calls_them() -> None:
    variables = {
        "observer_grafana_resources": {"request": {}},
        "observer_store_resources": {"requests": {"cpu": "lots"}},
        "observer_query_resources": {"requests": {"cpu": "1"}},
    }
    assert [text.partition(": ")[0] for text in footprint.problems(PROFILES["small"], variables)] == [
        "observer_grafana_resources",
        "observer_store_resources.requests.cpu",
    ]


def test_pods_are_told_beside_resources_that_cannot_be() -> None:
    """So that what else stands in the way is told, too."""
    found = by_name({}, {"observer_store_resources": {"requests": {"cpu": "lots"}}})
    assert found["store"] == by_name({}, {})["store"]


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_are_pods_that_the_preflight_takes(profile: str) -> None:
    pods = [WantedPod.of(pod) for pod in footprint.pods(PROFILES[profile], {})]
    (exporter,) = [pod for pod in pods if pod.every_node]
    assert (exporter.name, exporter.host_access, exporter.host_ports) == ("node_exporter", True, (19100,))


def test_the_small_profile_fits_on_the_node_that_it_is_made_for() -> None:
    """4 cores and 16 GiB, of which Kubernetes itself takes about one core and 2 GiB."""
    pods = [WantedPod.of(pod) for pod in footprint.pods(PROFILES["small"], {})]
    assert sum(pod.request.cpu * pod.replicas for pod in pods) < 3
    assert sum(pod.request.memory * pod.replicas for pod in pods) < 14 * 2**30
