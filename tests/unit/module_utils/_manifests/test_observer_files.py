# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and scrape configs of the role and of the operator: what is deployed of them, and what is said of bad ones."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import observer_files

OURS = "groups:\n  - {name: ours, rules: [{alert: A, expr: vector(1)}]}\n"
OWN = "groups:\n  - {name: own, rules: [{record: 'a:b', expr: 1, labels: {level: 1, paged: true}}]}\n"
SPEC = "staticConfigs:\n  - targets: [one.example.org:9100]\n"


def scrape_config(name: str = "one", **changed: Any) -> str:
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": {"name": name},
        "spec": yaml.safe_load(SPEC),
    }
    return yaml.safe_dump({**manifest, **changed})


def problems(own: dict[str, str], rule_files: dict[str, Any] | None = None) -> list[str]:
    shipped = {"rules/ours.yml": OURS, "ruler_rules/ours.yml": OURS}
    found: list[str] = observer_files.combine(shipped, own, rule_files or {})["problems"]
    return found


def test_ours_and_those_of_the_operator_are_deployed() -> None:
    shipped = {"rules/ours.yml": OURS, "ruler_rules/ours.yml": OURS, "dashboards/ours.json": "{}"}
    own = {
        "rules/My_Own.yaml": OWN,
        "ruler_rules/own.yml": OWN,
        "scrape_configs/Two.yml": SPEC,
        "scrape_configs/more.yml": f"{scrape_config('one')}\n---\n{scrape_config('three')}",
        "dashboards/own.json": "",
        "alertmanager_templates/own.tmpl": "",
    }
    found = observer_files.combine(shipped, own, {"site.yml": yaml.safe_load(OWN)})
    assert found["problems"] == []
    assert [(item["kind"], item["metadata"]["name"]) for item in found["rules"]] == [
        ("PrometheusRule", "my-own"),
        ("PrometheusRule", "ours"),
    ]
    assert found["ruler_rules"] == {"ours.yml": OURS, "own.yml": OWN, "site.yml": yaml.safe_load(OWN)}
    assert [item["metadata"]["name"] for item in found["scrape_configs"]] == ["one", "three", "two"]
    assert {str(item["spec"]) for item in found["scrape_configs"]} == {str(yaml.safe_load(SPEC))}


def test_only_the_operators_own_files_for_prometheus_are_to_be_tried() -> None:
    shipped = {"rules/ours.yml": OURS}
    own = {"rules/own.yml": OWN, "rules/bad.yml": "groups: 1", "ruler_rules/own.yml": OWN}
    found = observer_files.combine(shipped, own, {"site.yml": OWN})
    assert found["own_rules"] == {"observer_extra_directory/rules/own.yml": OWN}


def test_an_object_has_texts_where_the_custom_resource_wants_them() -> None:
    (found,) = observer_files.combine({}, {"rules/a.yml": OWN}, {})["rules"]
    (rule,) = found["spec"]["groups"][0]["rules"]
    assert rule == {"record": "a:b", "expr": "1", "labels": {"level": "1", "paged": "true"}}


def test_what_only_thanos_knows_is_left_out_for_prometheus() -> None:
    own = "groups: [{name: own, partial_response_strategy: abort, interval: 1m}]"
    (found,) = observer_files.combine({}, {"rules/a.yml": own}, {})["rules"]
    assert found["spec"]["groups"] == [{"name": "own", "interval": "1m", "rules": []}]


MISPLACED = {
    "outside of folders": ("a.yml", "observer_extra_directory/a.yml: files belong into one of its folders"),
    "a folder that is not known": ("rule/a.yml", "observer_extra_directory/rule/a.yml: folder 'rule' is not known"),
    "too deep": ("rules/kaas/a.yml", "observer_extra_directory/rules/kaas/a.yml: folders inside of rules are not read"),
    "another type": ("rules/a.txt", "observer_extra_directory/rules/a.txt: is not of rules"),
    "a dashboard as YAML": ("dashboards/a.yml", "observer_extra_directory/dashboards/a.yml: is not of dashboards"),
}


@pytest.mark.parametrize(("path", "expected"), MISPLACED.values(), ids=MISPLACED)
def test_files_that_nobody_would_read_are_refused(path: str, expected: str) -> None:
    (problem,) = problems({path: OWN})
    assert problem.startswith(expected)


def test_all_that_is_wrong_with_rules_is_told_at_once() -> None:
    own = {
        "rules/a.yml": "groups: [",
        "ruler_rules/b.yml": "groups: [{name: own, intervall: 1m, rules: [{alert: A}, {alert: B, expr: up, for: x}]}]",
    }
    told = problems(own, {"site": OWN, "c.yml": "rules: []"})
    expected = [
        "observer_extra_directory/rules/a.yml: is not YAML: ",
        "observer_extra_directory/ruler_rules/b.yml: group own: intervall is none of ",
        "observer_extra_directory/ruler_rules/b.yml: group own, rule 1 (A): expr is missing",
        "observer_extra_directory/ruler_rules/b.yml: group own, rule 2 (B): for: 'x' is not a duration",
        "observer_rule_files['site']: 'site' is not the name of a file of rules",
        "observer_rule_files['c.yml']: must have a list of groups",
    ]
    assert [text for text, start in zip(told, expected, strict=True) if not text.startswith(start)] == []


TAKEN = {
    "one of ours": ({"rules/ours.yml": OWN}, {}, "rules/ours.yml: is named as the role's rules/ours.yml is"),
    "one of ours, as objects are named": ({"rules/OURS.yaml": OWN}, {}, "rules/OURS.yaml: is named as the role's"),
    "one of ours of the ruler": ({"ruler_rules/ours.yml": OWN}, {}, "ruler_rules/ours.yml: is named as the role's"),
    "its own": ({"rules/a-b.yml": OWN, "rules/a_b.yml": OWN}, {}, "rules/a_b.yml: is named as observer_extra_dir"),
    "a file and a variable": ({"ruler_rules/a.yml": OWN}, {"a.yml": OWN}, "['a.yml']: is named as observer_extra_dir"),
}


@pytest.mark.parametrize(("own", "rule_files", "expected"), TAKEN.values(), ids=TAKEN)
def test_a_name_that_is_taken_is_refused(own: dict[str, str], rule_files: dict[str, Any], expected: str) -> None:
    (problem,) = problems(own, rule_files)
    assert expected in problem


SCRAPE_CONFIGS = {
    "empty": ("", "is empty"),
    "no YAML": ("a: 'secret", "is not YAML: line 1: "),
    "a list": ("- targets: []", "needs the spec of a ScrapeConfig, or the whole object"),
    "another kind": (scrape_config(kind="ServiceMonitor"), "ServiceMonitor of monitoring.coreos.com/v1alpha1 is not a"),
    "no spec": (scrape_config(spec=None), "needs the spec"),
    "more than there is": (scrape_config(data={}), "data is none of apiVersion, kind, metadata, spec"),
    "a namespace": (
        scrape_config(metadata={"name": "a", "namespace": "b"}),
        "metadata: namespace is none of annotations, labels, name",
    ),
    "no name": (scrape_config(metadata={}), "metadata.name: None is not a name"),
    "no metadata": (scrape_config(metadata=None), "needs metadata with a name"),
    "Prometheus' own notation": ("static_configs: []", "static_configs is in Prometheus' own notation"),
}


@pytest.mark.parametrize(("text", "expected"), SCRAPE_CONFIGS.values(), ids=SCRAPE_CONFIGS)
def test_what_is_no_scrape_config_is_refused(text: str, expected: str) -> None:
    (problem,) = problems({"scrape_configs/a.yml": text})
    assert problem.startswith(f"observer_extra_directory/scrape_configs/a.yml: {expected}")
    assert "secret" not in problem


FIELDS = ["scheme", "staticConfigs"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"scheme": "HTTPS", "staticConfigs": []}, []),
        ({"staticConfig": [], "scheme": "HTTPS"}, ["'staticConfig' is not known; did you mean staticConfigs?"]),
        ({"x": 1, "y": 2}, [f"{name!r} is not known; known are scheme, staticConfigs" for name in ("x", "y")]),
    ],
)
def test_fields_that_a_scrape_config_has_not_are_told_where_known(spec: dict[str, Any], told: list[str]) -> None:
    place = "observer_extra_directory/scrape_configs/a.yml"
    for text in (yaml.safe_dump(spec, sort_keys=False), scrape_config(spec=spec)):
        own = {"scrape_configs/a.yml": text}
        found = observer_files.combine({}, own, {}, scrape_config_fields=FIELDS)
        assert found["problems"] == [f"{place}: {fault}" for fault in told]
        assert bool(found["scrape_configs"]) is not bool(told)


def test_a_scrape_config_twice_is_refused() -> None:
    (problem,) = problems({"scrape_configs/a.yml": scrape_config("b"), "scrape_configs/b.yml": SPEC})
    assert problem == (
        "observer_extra_directory/scrape_configs/b.yml: is named b, as is observer_extra_directory/scrape_configs/a.yml"
    )
