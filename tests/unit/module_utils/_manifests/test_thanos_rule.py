# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ruler: what it evaluates, and what of it is refused before it would be refused by Thanos."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    thanos_component,
    thanos_rule,
    thanos_rule_files,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings

SETTINGS = Settings(
    "thanos-rule",
    "observer",
    endpoints=("http://thanos-query.observer.svc:10902",),
    alertmanagers=("http://alertmanager.observer.svc:9093",),
    external_labels={"observer": 'site "1"'},
)
ALERT = {
    "alert": "ClusterSilent",
    "expr": "absent(up)",
    "for": "5m",
    "keep_firing_for": "1m",
    "labels": {"severity": "critical", "level": 1},
    "annotations": {"summary": "{{ $labels.cluster }} sends nothing"},
}
RECORD = {"record": "cluster:up:count", "expr": "count by (cluster) (up)", "labels": {"kind": "own"}}


def file_of(*rules: Any, **group: Any) -> dict[str, Any]:
    return {"groups": [{"name": "own", "rules": list(rules), **group}]}


def test_rulers_are_replicas_that_alertmanager_does_not_see() -> None:
    arguments = thanos_component.arguments(thanos_rule.COMPONENT, SETTINGS)
    assert '--label=ruler_replica="$(POD_NAME)"' in arguments
    assert '--label=observer="site \\"1\\""' in arguments
    assert "--alert.label-drop=ruler_replica" in arguments
    assert "--query=http://thanos-query.observer.svc:10902" in arguments
    assert "--alertmanagers.url=http://alertmanager.observer.svc:9093" in arguments


def test_other_rules_are_another_pod() -> None:
    def template(rules: dict[str, str]) -> Any:
        settings = Settings("r", "observer", endpoints=("http://q",), rules=rules)
        (found,) = [
            item for item in thanos_component.objects(thanos_rule.COMPONENT, settings) if item["kind"] == "StatefulSet"
        ]
        return found["spec"]["template"]

    assert template({"a.yml": "groups: []\n"}) != template({"a.yml": "groups: [{name: a}]\n"})


def test_a_text_stays_as_it_is_and_a_structure_becomes_one() -> None:
    text = "# kept\n" + yaml.safe_dump(file_of(ALERT))
    texts = thanos_rule_files.texts({"a.yml": text, "b.yaml": file_of(ALERT, RECORD, interval="30s", limit=10)})
    assert texts["a.yml"] == text
    assert yaml.safe_load(texts["b.yaml"]) == file_of(ALERT, RECORD, interval="30s", limit=10)


@pytest.mark.parametrize("content", [{"groups": []}, file_of(), file_of(partial_response_strategy="ABORT")])
def test_few_rules_are_enough(content: dict[str, Any]) -> None:
    thanos_rule_files.texts({"a.yml": content})


REFUSED = {
    "path": ("rules/a.yml", file_of()),
    "ending": ("a.txt", file_of()),
    "hidden": (".a.yml", file_of()),
    "not YAML": ("a.yml", "groups: ["),
    "a tag": ("a.yml", "!!python/object:x {}"),
    "empty": ("a.yml", ""),
    "a list": ("a.yml", [file_of()]),
    "no groups": ("a.yml", {"rules": []}),
    "more than groups": ("a.yml", {"groups": [], "rules": []}),
    "groups as dictionary": ("a.yml", {"groups": {"own": []}}),
    "a group without a name": ("a.yml", {"groups": [{"rules": []}]}),
    "a name twice": ("a.yml", {"groups": [{"name": "a"}, {"name": "a"}]}),
    "a misspelt key of a group": ("a.yml", file_of(intervall="30s")),
    "partial response": ("a.yml", file_of(partial_response_strategy="warn")),
    "an interval": ("a.yml", file_of(interval="30")),
    "rules as text": ("a.yml", {"groups": [{"name": "a", "rules": "up"}]}),
    "a rule as text": ("a.yml", file_of("up")),
    "neither": ("a.yml", file_of({"expr": "up"})),
    "both": ("a.yml", file_of({"alert": "A", "record": "b", "expr": "up"})),
    "no expression": ("a.yml", file_of({"alert": "A"})),
    "an empty expression": ("a.yml", file_of({"alert": "A", "expr": " "})),
    "a misspelt key of a rule": ("a.yml", file_of({**ALERT, "anotations": {}})),
    "a recording with for": ("a.yml", file_of({**RECORD, "for": "5m"})),
    "an expression as name": ("a.yml", file_of({"record": "up{a='b'}", "expr": "up"})),
    "a duration": ("a.yml", file_of({**ALERT, "for": "5 minutes"})),
    "labels as list": ("a.yml", file_of({**ALERT, "labels": ["a"]})),
    "a label without a text": ("a.yml", file_of({**ALERT, "labels": {"a": {}}})),
    "the name as label": ("a.yml", file_of({**RECORD, "labels": {"__name__": "b"}})),
    "too much": ("a.yml", "groups: []\n" + "# padding\n" * 110_000),
}


@pytest.mark.parametrize(("name", "content"), REFUSED.values(), ids=REFUSED)
def test_what_a_ruler_would_not_load_is_refused(name: str, content: Any) -> None:
    with pytest.raises(InputError) as caught:
        thanos_rule_files.texts({name: content})
    assert caught.value.parameter == "rules"
    if "a.yml" in name and "padding" not in str(content):
        assert name in str(caught.value)


def test_an_error_says_which_rule_it_is_about() -> None:
    with pytest.raises(InputError, match=r"a\.yml, group own, rule 2 \(ClusterSilent\): for: 'x' is not a duration"):
        thanos_rule_files.texts({"a.yml": file_of(RECORD, {**ALERT, "for": "x"})})
