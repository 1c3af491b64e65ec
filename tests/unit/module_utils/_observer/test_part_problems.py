# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._observer.part_problems import called_by_role, problems

ROLE = Path(__file__).resolve().parents[4] / "roles" / "observer"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
OPTIONS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
SMALL = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["_observer_profiles"]["small"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def variables(**given: Any) -> list[str]:
    """The variables that something is said of."""
    found = problems(SMALL, {**DEFAULTS, **{f"observer_{name}": value for name, value in given.items()}}, NOW)
    return [text.partition(": ")[0].removeprefix("observer_") for text in found]


def test_defaults_are_well() -> None:
    assert variables() == []


def test_everything_is_said_of_all_parts_and_of_several_variables_of_one() -> None:
    assert sorted(
        variables(
            receive_storage_size="10 Gigs",
            receive_retention="1h",
            compact_retention_raw="1h",
            compact_delete_delay="soon",
            rule_replicas=0,
            rule_alertmanagers=["alertmanager:9093"],
            query_endpoints=["http://there:1"],
            query_frontend_cache={"type": "DISK"},
            store_extra_args=["--data-dir=/elsewhere"],
            gateway_hostnames=["a b"],
            gateway_timeouts={"client": "2h"},
            gateway_load_balancer_ip="192.0.2.1",
            cluster_domain="cluster.local.",
            grafana_storage_size="much",
            grafana_image="a b",
            grafana_resources={"request": {}},
        )
    ) == [
        "cluster_domain",
        "compact_delete_delay",
        "compact_retention_raw",
        "gateway_hostnames",
        "gateway_load_balancer_ip",
        "gateway_timeouts.client",
        "grafana_image",
        "grafana_resources",
        "grafana_storage_size",
        "query_endpoints",
        "query_frontend_cache",
        "receive_retention",
        "receive_storage_size",
        "rule_alertmanagers",
        "rule_replicas",
        "store_extra_args",
    ]


def test_what_parts_have_in_common_is_said_once() -> None:
    assert sorted(variables(thanos_image="a b", storage_class="A", node_selector={"a": 1}, bucket_ca="x")) == [
        "bucket_ca",
        "node_selector",
        "storage_class",
        "thanos_image",
    ]


def test_one_resolution_that_is_too_short_says_nothing_of_the_others() -> None:
    assert variables(compact_retention_raw="1h", compact_retention_5m="30d", compact_retention_1h="30d") == [
        "compact_retention_raw"
    ]


@pytest.mark.parametrize(
    ("there", "variable", "wanted", "told"),
    [
        ({"thanos-receive": "10Gi"}, "receive", "10Gi", False),
        ({"thanos-receive": "10Gi"}, "receive", "10240Mi", False),
        ({"thanos-receive": "10Gi"}, "receive", "", False),
        ({}, "receive", "20Gi", False),
        ({"thanos-receive": "10Gi"}, "receive", "20Gi", True),
        ({"thanos-store": "1Gi"}, "store", "", True),
        ({"thanos-store": ""}, "store", "1Gi", True),
        ({"thanos-store": ""}, "store", "", False),
    ],
)
def test_volumes_that_are_there_keep_their_size(there: dict[str, str], variable: str, wanted: str, told: bool) -> None:
    name = f"observer_{variable}_storage_size"
    found = problems(SMALL, {name: wanted}, NOW, there)
    assert [text.partition(":")[0] for text in found] == [name] * told


@pytest.mark.parametrize("given", ["", None])
def test_what_is_empty_is_not_given(given: Any) -> None:
    # Names of Services have the namespace in them.
    assert variables(**{name.removeprefix("observer_"): given for name in DEFAULTS}) == ["namespace"]


def test_texts_of_a_survey_are_what_they_stand_for() -> None:
    assert variables(rule_replicas="2", compact_downsampling="false", gateway_hostnames="a.example,b.example") == []
    assert variables(gateway_hostnames="a.example,b c", rule_replicas="0") == ["rule_replicas", "gateway_hostnames"]


def test_a_class_is_no_matter_of_parts_without_a_volume() -> None:
    assert variables(storage_class="fast", store_storage_size="") == []


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("gateway", "hostnames: 'a b' is not one", "observer_gateway_hostnames: 'a b' is not one"),
        ("gateway", "resources.limits.memory: too small", "observer_gateway_resources.limits.memory: too small"),
        ("gateway", "namespace: no", "observer_namespace: no"),
        ("prometheus_operator", "bundle: no", "observer_prometheus_operator_bundle: no"),
        ("prometheus_operator", "config_reloader_image: no", "observer_config_reloader_image: no"),
        ("", "bucket.name: no", "observer_bucket_name: no"),
        ("", "bucket.ca_content: no", "observer_bucket_ca: no"),
        ("", "kubeconfig: this user may not: a: b", "observer_kubeconfig: this user may not: a: b"),
        ("", "the cluster has Kubernetes 1.20: upgrade", "the cluster has Kubernetes 1.20: upgrade"),
        ("", "pods[query]: no", "pods[query]: no"),
    ],
)
def test_problems_of_modules_begin_with_the_variable(part: str, text: str, told: str) -> None:
    assert called_by_role([text], part, OPTIONS) == [told]
