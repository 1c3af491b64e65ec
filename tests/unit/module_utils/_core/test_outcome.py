# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._core.outcome import Operation, run

SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "scs-observability"},
}


def outcome(capsys: pytest.CaptureFixture[str], args: dict[str, Any], operation: Operation) -> dict[str, Any]:
    with patch_module_args(args), pytest.raises(SystemExit):
        run(AnsibleModule(SPEC, supports_check_mode=True), operation)
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_the_result_of_the_operation_is_that_of_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    def operation(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        return {"changed": True, "seen": [params, check_mode]}

    result = outcome(capsys, {"name": "x", "namespace": ""}, operation)
    assert result["seen"] == [{"name": "x", "namespace": "scs-observability"}, False]
    assert result["changed"] is True

    result = outcome(capsys, {"name": "x", "_ansible_check_mode": True}, operation)
    assert result["seen"][1] is True


def test_warnings_are_shown_as_warnings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def operation(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        return {"changed": False, "warnings": ["the clock of the store is 40 s behind"]}

    # Where a process has a display, Ansible sends a warning there instead of the result
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warned.append(text))
    assert "warnings" not in outcome(capsys, {"name": "x"}, operation)
    assert warned == ["the clock of the store is 40 s behind"]


def test_an_error_fails_the_module_with_all_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    def operation(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        raise InputError("is taken", parameter="name", advice="Take another", details={"holder": "beta"})

    result = outcome(capsys, {"name": "x"}, operation)
    assert result["failed"] is True
    assert result["msg"] == "name: is taken. Take another"
    assert (result["error"], result["parameter"], result["holder"]) == ("input_error", "name", "beta")


def test_an_empty_required_parameter_fails_before_the_operation(capsys: pytest.CaptureFixture[str]) -> None:
    def operation(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        raise AssertionError("called")

    assert outcome(capsys, {"name": ""}, operation)["parameter"] == "name"


def test_a_mistake_of_ours_is_not_dressed_up_as_an_error_of_the_operator() -> None:
    def operation(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        raise KeyError("spec")

    with patch_module_args({"name": "x"}), pytest.raises(KeyError):
        run(AnsibleModule(SPEC), operation)
