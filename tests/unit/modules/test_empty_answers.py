# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys send an empty text for what was not answered, whatever the type of the option: that is as good as nothing."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import unset_empty
from ansible_collections.scs.observability.plugins.module_utils._core.module import without_empty

CHECKOUT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")


class Seen(Exception):
    """Carries what a module's operation would be given."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.params = unset_empty(module.params, module.argument_spec)
        self.spec: dict[str, dict[str, Any]] = module.argument_spec


def given(name: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Seen:
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.modules.{name}")

    def run(made: Any, _operation: Any) -> None:
        raise Seen(made)

    monkeypatch.setattr(module.outcome, "run", run)
    with patch_module_args(arguments), pytest.raises(Seen) as seen:
        module.main()
    return seen.value


def required(name: str) -> dict[str, Any]:
    """What has to be given, from the module's first example."""
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.modules.{name}")
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    action = f"scs.observability.{name}"
    example = next(task[action] for task in yaml.safe_load(module.EXAMPLES) if action in task) or {}
    return {option: example[option] for option, content in options.items() if content.get("required")}


@pytest.mark.parametrize("name", MODULES)
def test_nothing_but_empty_answers_is_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = given(name, required(name), monkeypatch)
    empty: dict[str, Any] = {option: "" for option in nothing.spec if option not in required(name)}
    assert empty
    seen = given(name, {**required(name), **empty}, monkeypatch).params
    # A list that is asked for and empty is one without elements.
    assert {option: None if value == [] else value for option, value in seen.items()} == nothing.params


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in MODULES for option in required(name)])
def test_what_is_required_is_named(name: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.modules.{name}")
    with patch_module_args({**required(name), option: ""}), pytest.raises(SystemExit):
        module.main()
    assert option in json.loads(capsys.readouterr().out)["msg"]


def test_suboptions_too_but_not_what_is_the_operators() -> None:
    spec: dict[str, dict[str, Any]] = {"images": {"options": {"agent": {}}}, "resources": {}}
    params = {"images": {"agent": "", "other": "x"}, "resources": {"limits": ""}, "_ansible_tmpdir": "", "name": ""}
    assert without_empty(params, spec) == {
        "images": {"other": "x"},
        "resources": {"limits": ""},
        "_ansible_tmpdir": "",
    }


def test_zero_and_false_are_answers() -> None:
    assert without_empty({"node_port": 0, "wait": False, "hostnames": []}, {}) == {
        "node_port": 0,
        "wait": False,
        "hostnames": [],
    }
