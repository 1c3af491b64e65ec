# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, kaas_metric_importer

SCHEMA = kaas_cluster.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
(RESOURCE,) = kaas_metric_importer.CONFIGURATION["spec"]["resources"]


def paths(metric: dict[str, Any]) -> list[tuple[list[str], bool]]:
    """The paths that a metric is made of, and whether what is there is a list."""
    (each,) = (value for key, value in metric["each"].items() if key != "type")
    base = each.get("path", [])
    labels = each.get("labelsFromPath", {})
    return [([*base, *path], not path) for path in labels.values()] or [(base, False)]


@pytest.mark.parametrize(
    ("path", "is_list"), [case for metric in RESOURCE["metrics"] for case in paths(metric)], ids=str
)
def test_every_path_is_a_field_of_registrations(path: list[str], is_list: bool) -> None:
    """kube-state-metrics says nothing of a field that is never there."""
    if path[0] == "metadata":
        return
    schema = SCHEMA
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
        for rest in ([(name, inner) for inner in schema["properties"]] if schema["type"] == "object" else [(name,)])
    }
    # Where its agent is, and which certificate it has: for who works on it.
    assert fields - used == {("spec", "namespace"), ("status", "certificate", "fingerprint")}


def test_just_the_registrations_of_one_observer_are_kept() -> None:
    keep, drop = kaas_metric_importer.scrape_job("observer-a")["metric_relabel_configs"]
    assert keep == {"source_labels": ["observer_namespace"], "regex": "observer-a", "action": "keep"}
    assert "observer_namespace" in RESOURCE["labelsFromPath"]
    assert drop["action"] == "labeldrop"
