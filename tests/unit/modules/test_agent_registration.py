# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ProofError
from ansible_collections.scs.observability.plugins.modules import agent_registration

URL = "https://gateway.example.org/api/v1/receive"


def run(
    capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], *, check_mode: bool = False
) -> tuple[int, dict[str, Any]]:
    """Run the module as Ansible does; return its exit status and result."""
    with patch_module_args({**arguments, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit) as ended:
        agent_registration.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Instead of doing something, remember what was to be done."""
    seen: dict[str, Any] = {}

    def operation(name: str) -> Any:
        def call(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
            seen.update(operation=name, params=params, check_mode=check_mode)
            return {"changed": False}

        return call

    monkeypatch.setattr(agent_registration, "register", operation("register"))
    monkeypatch.setattr(agent_registration, "deregister", operation("deregister"))
    return seen


@pytest.mark.parametrize(
    ("state", "operation"), [(None, "register"), ("present", "register"), ("absent", "deregister")]
)
def test_the_state_decides(
    capsys: pytest.CaptureFixture[str], called: dict[str, Any], state: str | None, operation: str
) -> None:
    status, _result = run(capsys, {"name": "alpha", **({"state": state} if state else {})})
    assert (status, called["operation"]) == (0, operation)


@pytest.mark.parametrize("check_mode", [True, False])
def test_check_mode_is_handed_on(capsys: pytest.CaptureFixture[str], called: dict[str, Any], check_mode: bool) -> None:
    run(capsys, {"name": "alpha"}, check_mode=check_mode)
    assert called["check_mode"] is check_mode


def test_empty_texts_are_as_good_as_not_given(capsys: pytest.CaptureFixture[str], called: dict[str, Any]) -> None:
    empty = ["phase", "customer", "sla", "contact", "namespace", "scrape_interval", "profile", "remote_write_ca"]
    run(capsys, {"name": "alpha", **dict.fromkeys(empty, "")})
    params = called["params"]
    for name in ("phase", "customer", "namespace", "remote_write_ca"):
        assert params[name] is None
    assert (params["scrape_interval"], params["profile"]) == ("30s", "minimal")


@pytest.mark.parametrize("name", ["", "..", "A_b", "a" * 64])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_bad_name_fails_and_names_the_parameter(capsys: pytest.CaptureFixture[str], name: str, state: str) -> None:
    status, result = run(capsys, {"name": name, "state": state, "remote_write_url": URL})
    assert (status, result["failed"], result["parameter"]) == (1, True, "name")


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        ({"remote_write_url": ""}, "remote_write_url"),
        ({"kubeconfig": ""}, "kubeconfig"),
        ({"observer_kubeconfig_content": "{}"}, "observer_context"),
        ({"observer_kubeconfig": "/does/not/exist"}, "observer_kubeconfig"),
    ],
)
def test_what_leads_nowhere_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], parameter: str
) -> None:
    for name in ("K8S_AUTH_KUBECONFIG", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    given = {"name": "alpha", "remote_write_url": URL, "kubeconfig": "/etc/kubernetes/alpha"}
    status, result = run(capsys, {**given, **arguments})
    assert status == 1
    assert any(text.startswith(f"{parameter}: ") for text in result.get("problems", [result["msg"]]))
    assert result["error"] == "input_error"


def test_the_contents_of_kubeconfigs_are_not_logged(capsys: pytest.CaptureFixture[str], called: dict[str, Any]) -> None:
    secret = "token: very-secret-token"
    _status, result = run(
        capsys, {"name": "alpha", "kubeconfig_content": secret, "observer_kubeconfig_content": secret}
    )
    assert "very-secret-token" not in json.dumps(result)
    assert called["params"]["kubeconfig_content"] == secret


def test_an_error_ends_the_module_with_what_was_seen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
        raise ProofError("no sample came", details={"seen": ["nothing"]})

    monkeypatch.setattr(agent_registration, "register", fail)
    status, result = run(capsys, {"name": "alpha"})
    assert (status, result["error"], result["seen"]) == (1, "proof_error", ["nothing"])


def test_the_examples_use_options_that_exist() -> None:
    options = yaml.safe_load(agent_registration.DOCUMENTATION)["options"]
    fragments = {f"{prefix}{name}" for prefix in ("", "observer_") for name in ("kubeconfig", "context")}
    for task in yaml.safe_load(agent_registration.EXAMPLES):
        arguments = task.get("scs.observability.agent_registration", {})
        assert set(arguments) <= set(options) | fragments | {"wait", "wait_timeout"}
