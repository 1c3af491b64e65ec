# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the documentation of modules are tasks that the modules accept."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

CHECKOUT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
FILTERS = sorted(path.stem for path in (CHECKOUT / "plugins" / "filter").glob("*.py") if path.stem != "__init__")


class Specified(Exception):
    """Carries what a module gives to AnsibleModule, and ends it there."""

    def __init__(self, **specification: Any) -> None:
        super().__init__()
        self.specification = specification


def specification(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.modules.{name}")

    def raising(**arguments: Any) -> None:
        raise Specified(**arguments)

    monkeypatch.setattr(module, "AnsibleModule", raising)
    with pytest.raises(Specified) as caught:
        module.main()
    return caught.value.specification


def examples(kind: str, name: str) -> list[dict[str, Any]]:
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.{kind}.{name}")
    found: list[dict[str, Any]] = yaml.safe_load(module.EXAMPLES)
    return found


def calls() -> Iterator[Any]:
    for kind, names in (("modules", MODULES), ("filter", FILTERS)):
        for name in names:
            for number, task in enumerate(examples(kind, name)):
                for action, arguments in task.items():
                    if action.startswith("scs.observability."):
                        yield pytest.param(action.rpartition(".")[2], arguments, id=f"{name}-{number}")


def literal(value: Any) -> bool:
    """A template has no type before it is run."""
    return "{{" not in yaml.safe_dump(value)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_examples_of_itself(name: str) -> None:
    tasks = examples("modules", name)
    assert any(f"scs.observability.{name}" in task for task in tasks)
    assert all(task.get("name") for task in tasks)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_supports_check_mode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert specification(name, monkeypatch)["supports_check_mode"] is True


@pytest.mark.parametrize(("name", "arguments"), list(calls()))
def test_the_module_accepts_the_example(name: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given = specification(name, monkeypatch)
    options = given["argument_spec"]
    assert set(arguments) <= set(options)
    validator = ArgumentSpecValidator(
        {key: option for key, option in options.items() if key not in arguments or literal(arguments[key])},
        mutually_exclusive=given.get("mutually_exclusive"),
    )
    result = validator.validate({key: value for key, value in arguments.items() if literal(value)})
    assert result.error_messages == []
