# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    iaas_prometheus,
    kaas_cluster,
    kaas_metric_importer,
)

SCHEMA, IAAS_SCHEMA = (
    kind.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind in (kaas_cluster, iaas_prometheus)
)
RESOURCE, IAAS = kaas_metric_importer.CONFIGURATION["spec"]["resources"]


def paths(metric: dict[str, Any]) -> list[tuple[list[str], bool]]:
    """The paths that a metric is made of, and whether what is there is a list."""
    (each,) = (value for key, value in metric["each"].items() if key != "type")
    base = each.get("path", [])
    labels = each.get("labelsFromPath", {})
    # "label_*" takes a map as it is.
    found = [([*base, *path], not path) for name, path in labels.items() if not name.endswith("*")]
    return found or [(base, False)] if not any(name.endswith("*") for name in labels) else []


@pytest.mark.parametrize(
    ("schema", "path", "is_list"),
    [
        pytest.param(schema, *case, id=f"{resource['groupVersionKind']['kind']}-{case}")
        for resource, schema in ((RESOURCE, SCHEMA), (IAAS, IAAS_SCHEMA))
        for metric in resource["metrics"]
        for case in paths(metric)
    ],
)
def test_every_path_is_a_field_of_registrations(schema: dict[str, Any], path: list[str], is_list: bool) -> None:
    """kube-state-metrics says nothing of a field that is never there."""
    if path[0] == "metadata":
        return
    for name in path:
        schema = schema["properties"][name]
    assert (schema["type"] == "array") is is_list
    assert schema["type"] != "object"


def test_every_field_of_registrations_that_rules_may_want_has_a_metric() -> None:
    used = {tuple(path) for metric in RESOURCE["metrics"] for path, _is_list in paths(metric)}
    fields = {
        (part, *rest)
        for part in ("spec", "status")
        for name, schema in SCHEMA["properties"][part]["properties"].items()
        for rest in ([(name, inner) for inner in schema["properties"]] if schema.get("properties") else [(name,)])
        # What an operator set for one cluster shows in collection.
        if name != "overrides"
    }
    assert fields - used == {
        # Each a label, see below
        ("spec", "labels"),
        # Where its agent is, which certificate it has, and what was said of a failure: for who works on it
        ("spec", "namespace"),
        ("status", "certificate", "fingerprint"),
        ("status", "previousCertificate", "fingerprint"),
        ("status", "previousCertificate", "replaced"),
        ("status", "failure", "message"),
    }


@pytest.mark.parametrize(
    ("series", "kept"),
    [
        ({"__name__": "kaas_cluster_info", "observer_namespace": "observer-a"}, True),
        ({"__name__": "kaas_cluster_info", "observer_namespace": "observer-ab"}, False),
        # Nobody's is everybody's, as at the gateway
        ({"__name__": "kaas_cluster_info"}, True),
        ({"__name__": "kube_lease_renew_time"}, False),
        ({"__name__": "iaas_prometheus_info", "observer_namespace": "observer-a"}, True),
        ({"__name__": "iaas_prometheus_info", "observer_namespace": "other"}, False),
        ({"__name__": "kube_state_metrics_list_total"}, True),
        ({"__name__": "go_goroutines"}, False),
    ],
)
def test_registrations_of_other_observers_are_not_kept(series: dict[str, str], kept: bool) -> None:
    *_renamed, keep, drop = kaas_metric_importer.scrape_job("observer-a")["metric_relabel_configs"]
    assert keep["action"] == "keep"
    joined = ";".join(series.get(label, "") for label in keep["source_labels"])
    assert bool(re.fullmatch(keep["regex"], joined)) is kept
    assert all("observer_namespace" in resource["labelsFromPath"] for resource in (RESOURCE, IAAS))
    assert drop["action"] == "labeldrop"
