# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.modules import observer_info


def run(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        observer_info.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_it_reads_in_check_mode_too_and_never_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def look(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
        seen.append(params)
        return {"changed": False, "registrations": [], "warnings": ["a store is down"]}

    monkeypatch.setattr(observer_info, "overview", look)
    # Ansible itself sends a warning to its display instead of the result where a process has one
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warned.append(text))
    for check_mode in (True, False):
        status, result = run(capsys, {"namespace": "", "_ansible_check_mode": check_mode})
        assert (status, result["changed"], result["registrations"]) == (0, False, [])
        assert warned.pop() == "a store is down"
    assert [(params["namespace"], params["components"]) for params in seen] == [("scs-observability", True)] * 2


def test_an_api_server_that_refuses_is_an_error_that_says_what_it_did_not_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
        raise ApiError("https://observer:6443", "list", "pods in namespace monitoring", 403, "forbidden")

    monkeypatch.setattr(observer_info, "overview", fail)
    status, result = run(capsys, {})
    assert (status, result["error"], result["resource"]) == (1, "api_error", "pods in namespace monitoring")


def test_a_kubeconfig_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, result = run(capsys, {"kubeconfig": "/does/not/exist"})
    assert (status, result["parameter"]) == (1, "kubeconfig")
