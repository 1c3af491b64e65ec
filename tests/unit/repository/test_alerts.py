# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts that come along: nobody is woken without something to do, each is tried, and none mixes clusters up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_rule_files
from tests import rendered

CHECKOUT = Path(__file__).resolve().parents[3]
FILES = sorted((CHECKOUT / "roles" / "observer" / "files").glob("*rules/*.yml"))
TESTS = CHECKOUT / "tests" / "rules"
RUNBOOKS = "https://github.com/SovereignCloudStack/scs-observability/blob/main/docs/runbooks.md#"

LABELS = {
    "severity": {"critical", "warning", "info", "none"},
    "layer": {"kaas", "iaas", "endpoints", "observer", "harbor"},
    "owner": {"csp", "customer"},
}
# Of whom an endpoint is, its probe says.
OWNER_OF_A_PROBE = '{{ or $labels.owner "csp" }}'
AGGREGATIONS = (
    *("avg", "bottomk", "count", "count_values", "group", "limitk", "limit_ratio", "max", "min"),
    *("quantile", "stddev", "stdvar", "sum", "topk"),
)


def rules_of(path: Path) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(path.read_text())["groups"]:
        yield from group["rules"]


ALERTS = [
    pytest.param(path, rule, id=f"{path.parent.name}-{rule['alert']}-{rule['labels'].get('severity')}")
    for path in FILES
    for rule in rules_of(path)
    if "alert" in rule
]


@cache
def anchors() -> set[str]:
    headings = re.findall(r"^### (\w+)$", (CHECKOUT / "docs" / "runbooks.md").read_text(), flags=re.MULTILINE)
    return {heading.lower() for heading in headings}


@cache
def tried(path: Path) -> dict[str, list[list[dict[str, str]]]]:
    """By alert what its tests expect to fire: a list of labels per test, empty where it has to be silent."""
    found: dict[str, list[list[dict[str, str]]]] = {}
    for file in TESTS.rglob(path.name):
        for case in (case for test in yaml.safe_load(file.read_text())["tests"] for case in test["promql_expr_test"]):
            match = re.fullmatch(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}', case["expr"])
            assert match, case["expr"]
            firing = [dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"])) for sample in case["exp_samples"]]
            found.setdefault(match[1], []).append(firing)
    return found


def faults(rule: Mapping[str, Any]) -> list[str]:
    """What a rule lacks for somebody who is told by it."""
    labels, annotations = rule.get("labels") or {}, rule.get("annotations") or {}
    found = [
        f"label {name} is {labels.get(name)!r}"
        for name, values in LABELS.items()
        if labels.get(name) not in values and not (name == "owner" and labels.get(name) == OWNER_OF_A_PROBE)
    ]
    needed = {"summary", "description", "runbook_url", *(["action"] if labels.get("severity") != "none" else [])}
    found += [f"no {name}" for name in sorted(needed) if not annotations.get(name)]
    if not labels.get("component"):
        found.append("no component")
    base, _hash, anchor = str(annotations.get("runbook_url")).partition("#")
    if f"{base}#" != RUNBOOKS or anchor not in anchors() or anchor != str(rule["alert"]).lower():
        found.append(f"no such runbook: {annotations.get('runbook_url')}")
    return found


# What counts clusters
OF_MANY = {"KaaSMassLoss", "KaaSRegistrationsLost", "kaas:state:clusters"}
# Receive takes nothing of such a name.
RECORDED = re.compile(r"(?:kaas|iaas):[\w:]+")
_CLAUSE = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
# A name with labels, labels alone, or a name alone that is no function
_SELECTOR = re.compile(
    r"(?<![\w:])(?:(?P<name>[a-zA-Z_:][\w:]*)?\{(?P<labels>[^}]*)\}|(?P<alone>[a-zA-Z_:][\w:]*)\b(?!\s*\())"
)
_WORDS = {"and", "or", "unless", "bool", "offset"}


def nobodys(expression: str) -> list[str]:
    """Selectors that do not say whether they are about a cluster or about the observer."""
    text = re.sub(r"#.*", "", expression)
    text = re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: '""' if found[0] == '""' else '"1"', text)
    return [
        match[0]
        for match in _SELECTOR.finditer(_CLAUSE.sub("", text))
        if match["alone"] not in _WORDS
        and not RECORDED.fullmatch(match["name"] or match["alone"] or "")
        and not re.search(r'\bobserver\s*!?=""', match["labels"] or "")
    ]


# What is told apart by another label than cluster: regions, and their registrations
BY_REGION = {"observer-iaas.yml", "observer-iaas-state.yml"}


def clusters_mixed(expression: str, kept: Collection[str] = ("cluster",)) -> list[str]:
    """Aggregations and joins that do not keep clusters apart (or what else has to be ``kept``, by one of these labels);
    ``on ()`` is a condition that holds for all of them, ``on (observer)`` one for those of an observer.
    """
    text = re.sub(r"#.*", "", expression)
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    text = re.sub(r"\{[^}]*\}", "", text)
    found = []
    for match in re.finditer(rf"\b({'|'.join(AGGREGATIONS)})\b\s*(by|without)?\s*(\([^)]*\))?", text):
        names = re.findall(r"\w+", match[3] or "") if match[2] else []
        trailing = re.search(r"\)\s*by\s*\(([^)]*)\)", text[match.end() :]) if not match[2] else None
        if trailing:
            names = re.findall(r"\w+", trailing[1])
        if any(label in names for label in kept) is (match[2] == "without"):
            found.append(match[0].strip())
    for match in re.finditer(r"\b(on|ignoring)\s*\(([^)]*)\)", text):
        names = re.findall(r"\w+", match[2])
        has_one = any(label in names for label in kept)
        condition = names in ([], ["observer"])
        if (match[1] == "on" and not condition and not has_one) or (match[1] == "ignoring" and has_one):
            found.append(match[0])
    return found


def test_there_are_rules_for_prometheus_and_for_the_ruler() -> None:
    assert {path.parent.name for path in FILES} == {"rules", "ruler_rules"}
    assert {path.name for path in FILES} == {path.name for path in TESTS.rglob("*.yml")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_our_files_are_what_we_would_take(path: Path) -> None:
    assert thanos_rule_files.faults(path.name, path.read_text()) == []


@pytest.mark.parametrize(("path", "rule"), ALERTS)
def test_who_is_told_knows_what_to_do(path: Path, rule: dict[str, Any]) -> None:
    assert faults(rule) == []


@pytest.mark.parametrize(("path", "rule"), ALERTS)
def test_it_is_tried_firing_and_silent(path: Path, rule: dict[str, Any]) -> None:
    tests, severity = tried(path).get(rule["alert"], []), rule["labels"]["severity"]
    assert any(labels["severity"] == severity for firing in tests for labels in firing)
    # A dead man's switch is never silent.
    assert severity == "none" or [] in tests


@pytest.mark.parametrize(("path", "rule"), ALERTS)
def test_its_texts_name_labels_that_it_has(path: Path, rule: dict[str, Any]) -> None:
    # What is asked for by "with" or "or" may be missing.
    texts = re.sub(r"(with|or) \$labels\.\w+", "", str([*rule["labels"].values(), *rule["annotations"].values()]))
    named = set(re.findall(r"\$labels\.(\w+)", texts))
    fired = [
        labels
        for firing in tried(path)[rule["alert"]]
        for labels in firing
        if labels["severity"] == rule["labels"]["severity"]
    ]
    assert [named - set(labels) for labels in fired if named - set(labels)] == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent.name == "ruler_rules"], ids=lambda path: path.name
)
def test_the_ruler_keeps_clusters_apart(path: Path) -> None:
    # Which of the series are a cluster's is looked at by that label there, too.
    kept = ("region", "iaas", "cluster") if path.name in BY_REGION else ("cluster",)
    mixed = {rule.get("alert") or rule["record"]: clusters_mixed(rule["expr"], kept) for rule in rules_of(path)}
    assert {name: found for name, found in mixed.items() if found and name not in OF_MANY} == {}


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent.name == "ruler_rules"], ids=lambda path: path.name
)
def test_the_ruler_takes_no_cluster_for_the_observer(path: Path) -> None:
    unsaid = {rule.get("alert") or rule["record"]: nobodys(rule["expr"]) for rule in rules_of(path)}
    assert {name: found for name, found in unsaid.items() if found} == {}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, ["http://alertmanager-observer-0.alertmanager-operated.scs-observability.svc:9093"]),
        (
            {"observer_alertmanager_replicas": 2},
            [f"http://alertmanager-observer-{i}.alertmanager-operated.scs-observability.svc:9093" for i in range(2)],
        ),
        ({"observer_rule_alertmanagers": ["http://other:9093"]}, ["http://other:9093"]),
    ],
    ids=["one", "each", "others"],
)
def test_what_the_ruler_finds_is_told(asked: dict[str, Any], told: list[str]) -> None:
    (ruler,) = [call for call in rendered.calls("thanos.yml", **asked) if call.arguments.get("component") == "rule"]
    assert ruler.arguments["alertmanagers"] == told
    assert set(ruler.arguments["rules"]) == {path.name for path in FILES if path.parent.name == "ruler_rules"}


def test_runbooks_are_of_alerts_that_there_are() -> None:
    assert anchors() == {rule["alert"].lower() for path in FILES for rule in rules_of(path) if "alert" in rule}


GOOD = next(item.values[1] for item in ALERTS if item.values[1]["labels"]["severity"] == "critical")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"labels": {**GOOD["labels"], "severity": "page"}}, ["label severity is 'page'"]),
        ({"labels": {**GOOD["labels"], "component": ""}}, ["no component"]),
        ({"annotations": {**GOOD["annotations"], "action": ""}}, ["no action"]),
        ({"annotations": {**GOOD["annotations"], "runbook_url": f"{RUNBOOKS}no"}}, [f"no such runbook: {RUNBOOKS}no"]),
    ],
    ids=["good", "severity", "component", "action", "runbook"],
)
def test_a_bad_alert_is_refused(changed: dict[str, Any], expected: list[str]) -> None:
    assert faults({**GOOD, **changed}) == expected


@pytest.mark.parametrize(
    ("expression", "mixed"),
    [
        ("sum by (cluster, job) (rate(up[5m]))", []),
        ("sum(rate(up[5m])) by (cluster)", []),
        ('max_over_time(up{job="sum"}[5m]) > 0', []),
        ("a and on () b", []),
        ("a unless on (observer) b", []),
        ("a unless on (observer, job) b", ["on (observer, job)"]),
        ("a * on (cluster, pod) group_left (sla) b", []),
        ("sum(up)", ["sum(up)"]),
        ("count by (job) (up)", ["count by (job)"]),
        ("max without (pod) (up)", []),
        ("max without (cluster) (up)", ["max without (cluster)"]),
        ("topk(3, up)", ["topk(3, up)"]),
        ("a unless on (job) b", ["on (job)"]),
        ("a and ignoring (cluster) b", ["ignoring (cluster)"]),
    ],
)
def test_what_mixes_clusters_is_seen(expression: str, mixed: list[str]) -> None:
    assert clusters_mixed(expression) == mixed


@pytest.mark.parametrize(
    ("expression", "unsaid"),
    [
        ('max by (cluster) (up{observer="", job!="agent"}) == 1', []),
        ('absent(up{job="a", observer!=""} == 1) unless on (cluster) kaas:cluster:state{state="x"}', []),
        ('label_replace(rate(a_total{observer!=""}[5m]), "cluster", "$1", "tenant", "(.+)") > 86400 * 3', []),
        ('{__name__=~"a|b", observer=""} + time() # up', []),
        ("vector(1)", []),
        ("a_total > 0", ["a_total"]),
        ('up{observer=""} and on (cluster) kaas_cluster_info', ["kaas_cluster_info"]),
        ('up{job="a"} == 1', ['up{job="1"}']),
        ('rate({__name__="a"}[5m])', ['{__name__="1"}']),
        ('up{observer=~".*"}', ['up{observer=~"1"}']),
        ('up{observer="one"}', ['up{observer="1"}']),
    ],
)
def test_what_does_not_say_whose_it_is_is_seen(expression: str, unsaid: list[str]) -> None:
    assert nobodys(expression) == unsaid
