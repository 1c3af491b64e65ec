# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values change in YAML that people wrote; all the rest stays byte for byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.scs.observability.plugins.module_utils._osism.yaml_text import (
    COMMENT,
    Tagged,
    YamlError,
    YamlText,
)
from tests.osism_repository import KOLLA

Edit = Callable[[YamlText], YamlText]
USER = {"username": "reader", "password": "{{ secret }}", "enabled": True}

CASES: list[tuple[str, str, Edit, str]] = [
    ("new variable", "a: 1\n", lambda y: y.with_value("b", "x"), f"a: 1\n{COMMENT}\nb: x\n"),
    ("no newline at the end", "a: 1", lambda y: y.with_value("b", "x"), f"a: 1\n{COMMENT}\nb: x\n"),
    ("nothing there", "---\n", lambda y: y.with_value("b", {"c": 1}), f"---\n{COMMENT}\nb:\n  c: 1\n"),
    ("scalar, comment stays", "a: 1  # one\nb: 2\n", lambda y: y.with_value("a", "z"), "a: z  # one\nb: 2\n"),
    ("quoted when templated", "a: 1\n", lambda y: y.with_value("a", "{{ b }}"), 'a: "{{ b }}"\n'),
    ("no value yet", "a:\nb: 2\n", lambda y: y.with_value("a", "z"), "a: z\nb: 2\n"),
    (
        "dictionary",
        "a:\n  # why\n  b: 1\n\nc: 2\n",
        lambda y: y.with_item("a", "d", "e"),
        "a:\n  # why\n  b: 1\n  d: e\n\nc: 2\n",
    ),
    ("its indentation", "a:\n    b: 1\n", lambda y: y.with_item("a", "d", "e"), "a:\n    b: 1\n    d: e\n"),
    ("in braces", "a: {b: 1}  # one\n", lambda y: y.with_item("a", "d", "{{ e }}"), 'a: {b: 1, d: "{{ e }}"}  # one\n'),
    ("empty braces", "a: {}  # none\n", lambda y: y.with_item("a", "d", "e"), "a: {d: e}  # none\n"),
    ("another item", "a:\n  b: 1 # x\n", lambda y: y.with_item("a", "b", 2), "a:\n  b: 2 # x\n"),
    ("item of many lines", "a:\n  b:\n    - 1\n  c: 2\n", lambda y: y.with_item("a", "b", 3), "a:\n  b: 3\n  c: 2\n"),
    (
        "last item is a block",
        "a:\n  b: |\n    x\n\n# end\n",
        lambda y: y.with_item("a", "d", 1),
        "a:\n  b: |\n    x\n  d: 1\n\n# end\n",
    ),
    (
        "list",
        "a:\n- b: 1\n\nc: 2\n",
        lambda y: y.with_element("a", {"d": 1, "e": 2}),
        "a:\n- b: 1\n- d: 1\n  e: 2\n\nc: 2\n",
    ),
    (
        "list moved in",
        "a:\n  - b: 1\n",
        lambda y: y.with_element("a", {"d": 1, "e": 2}),
        "a:\n  - b: 1\n  - d: 1\n    e: 2\n",
    ),
    ("in brackets", "a: [{b: 1}]\n", lambda y: y.with_element("a", {"d": 1}), "a: [{b: 1}, {d: 1}]\n"),
    (
        "another element",
        "a:\n  # mine\n  - b: 1  # one\n  - c: 2\n    d: 3\n  # last\n  - e: |\n      x\n\nf: 1\n",
        lambda y: y.with_element("a", {"c": 2, "d": 4}, 1),
        "a:\n  # mine\n  - b: 1  # one\n  - c: 2\n    d: 4\n  # last\n  - e: |\n      x\n\nf: 1\n",
    ),
    ("another word", "a:\n- b # mine\n- c\n", lambda y: y.with_element("a", {"c": 1}, 1), "a:\n- b # mine\n- c: 1\n"),
    (
        "another in brackets",
        "a: [{b: 1}, {c: 2}] # x\n",
        lambda y: y.with_element("a", {"b": 3}, 0),
        "a: [{b: 3}, {c: 2}] # x\n",
    ),
    ("without", "a: 1\n# of b\nb:\n  c: 1\n# of d\nd: 2\n", lambda y: y.without("b"), "a: 1\n# of b\n# of d\nd: 2\n"),
    ("without item", "a:\n  b: 1\n  c: 2\n", lambda y: y.without_item("a", "b"), "a:\n  c: 2\n"),
    ("without first in braces", "a: {b: 1, c: 2}\n", lambda y: y.without_item("a", "b"), "a: {c: 2}\n"),
    ("without last in braces", "a: {b: 1, c: 2}\n", lambda y: y.without_item("a", "c"), "a: {b: 1}\n"),
    ("without element", "a:\n- b: 1\n  x: 1\n- c: 2\n", lambda y: y.without_element("a", 0), "a:\n- c: 2\n"),
    ("windows", "a: 1\r\nb: {c: 1}\r\n", lambda y: y.with_item("b", "d", 1), "a: 1\r\nb: {c: 1, d: 1}\r\n"),
]


@pytest.mark.parametrize(("before", "edit", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_only_what_is_meant_changes(before: str, edit: Edit, after: str) -> None:
    assert edit(YamlText("a.yml", before)).text == after


def test_what_was_added_to_real_configuration_can_be_taken_away_without_a_trace() -> None:
    before = YamlText("configuration.yml", KOLLA)
    added = before.with_item("prometheus_external_labels", "layer", "iaas")
    added = added.with_element("prometheus_basic_auth_users_extra", USER).with_value("new", [USER])
    old, new = KOLLA.splitlines(), added.text.splitlines()
    assert [line for line in old if line not in new] == []
    assert added.data["prometheus_basic_auth_users_extra"][1] == USER
    assert added.data["smtp_password"] == before.data["smtp_password"]
    assert isinstance(added.data["smtp_password"], Tagged)
    away = added.without("new").without_element("prometheus_basic_auth_users_extra", 1)
    assert away.without_item("prometheus_external_labels", "layer").text == KOLLA


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [\n", "f.yml, line 3: it is no YAML"),
        ("a: 1\n\tb: 2\n", "f.yml, line 2: it is no YAML"),
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "f.yml, line 2: it is no YAML"),
        ("a: 1\n---\nb: 2\n", "f.yml, line 2: it is no YAML"),
        ("- a\n", "f.yml, line 1: it is no dictionary"),
        ("a: 1\nb: 2\na: 3\n", "f.yml, line 3: a is there twice, first in line 1"),
        ("$ANSIBLE_VAULT;1.1;AES256\n3961\n", "f.yml is encrypted as a whole"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(YamlError) as caught:
        YamlText("f.yml", text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("x: &x {b: 1}\na: *x\n", lambda y: y.with_item("a", "c", 1)),
        ("{a: {b: 1}, c: 2}\n", lambda y: y.without("a")),
    ],
)
def test_what_is_written_too_cleverly_is_left_to_people(text: str, edit: Edit) -> None:
    with pytest.raises(YamlError, match="cannot be changed without writing other parts anew"):
        edit(YamlText("f.yml", text))


def test_an_error_does_not_show_the_line_which_may_hold_a_secret() -> None:
    with pytest.raises(YamlError) as caught:
        YamlText("f.yml", "password: [swordfish\nb: 1\n")
    assert "swordfish" not in str(caught.value)
