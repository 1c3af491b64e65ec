# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scs.observability.plugins.doc_fragments import openstack
from ansible_collections.scs.observability.plugins.module_utils._core.errors import StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Request, refused
from ansible_collections.scs.observability.plugins.modules import bucket

SECRET = "secret-of-the-test"
ARGUMENTS = {"name": "thanos", "endpoint": "https://s3.example.com", "access_key": "thanos", "secret_key": SECRET}


def run(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], **internal: bool) -> tuple[int, dict[str, Any]]:
    """Run the module as Ansible does; return its exit status and result."""
    given = {**arguments, **{f"_ansible_{name}": value for name, value in internal.items()}}
    with patch_module_args(given), pytest.raises(SystemExit) as ended:
        bucket.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Instead of talking to a store, remember what was to be done."""
    seen: dict[str, Any] = {}

    def ensure(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        seen.update(params=params, check_mode=check_mode)
        return {"changed": False, "objstore": {"config": {"bucket": params["name"]}}}

    monkeypatch.setattr(bucket, "ensure", ensure)
    return seen


@pytest.mark.parametrize("check_mode", [True, False])
def test_check_mode_is_handed_on(capsys: pytest.CaptureFixture[str], called: dict[str, Any], check_mode: bool) -> None:
    status, _result = run(capsys, ARGUMENTS, check_mode=check_mode)
    assert (status, called["check_mode"]) == (0, check_mode)


def test_defaults(capsys: pytest.CaptureFixture[str], called: dict[str, Any]) -> None:
    run(capsys, {**ARGUMENTS, "region": "", "ca_content": ""})
    defaults = {
        "region": "us-east-1",
        "ca_path": None,
        "ca_content": None,
        "validate_certs": True,
        "addressing_style": "path",
        "tags": None,
        "versioning": None,
        "state": "present",
        "force": False,
        "force_claimed": False,
        **dict.fromkeys(("cloud", "auth", "auth_type", "region_name", "interface", "cacert")),
        "rotate_credentials": False,
        "revoke_credentials": None,
        "remove_credentials": False,
    }
    assert called["params"] == {**ARGUMENTS, **defaults}


def test_a_name_that_contains_the_access_key_is_returned_whole(
    capsys: pytest.CaptureFixture[str], called: dict[str, Any]
) -> None:
    _status, result = run(capsys, {**ARGUMENTS, "name": "my-thanos"})
    assert result["objstore"]["config"]["bucket"] == "my-thanos"


def test_the_secret_is_hidden(
    capsys: pytest.CaptureFixture[str], called: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _status, result = run(capsys, ARGUMENTS)
    assert SECRET not in json.dumps(result)

    def fail(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        raise StorageError(f"with {SECRET}", code="X", operation="Y", bucket="thanos")

    monkeypatch.setattr(bucket, "ensure", fail)
    status, result = run(capsys, ARGUMENTS)
    assert status == 1
    assert SECRET not in json.dumps(result)


def test_a_refusal_of_the_store(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        raise refused(Request("ListObjectsV2", "thanos", "https://s3.example.com"), "SignatureDoesNotMatch", 403)

    monkeypatch.setattr(bucket, "ensure", refuse)
    status, result = run(capsys, ARGUMENTS)
    assert status == 1
    shown = {key: result[key] for key in ("failed", "error", "parameter", "code", "operation", "bucket", "status")}
    assert shown == {
        "failed": True,
        "error": "storage_error",
        "parameter": "secret_key",
        "code": "SignatureDoesNotMatch",
        "operation": "ListObjectsV2",
        "bucket": "thanos",
        "status": 403,
    }
    assert result["msg"].startswith("secret_key: could not list the objects (bucket thanos at https://s3.example.com)")
    assert result["msg"].endswith("Check access_key, secret_key and region")


@pytest.mark.parametrize(
    ("changed", "parameter"),
    [
        ({"name": ""}, "name"),
        ({"name": "Thanos"}, "name"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "s3.example.com"}, "endpoint"),
        ({"endpoint": "https://s3.example.com/thanos"}, "endpoint"),
        ({"access_key": ""}, "access_key"),
        ({"secret_key": ""}, "secret_key"),
        ({"ca_path": "/nonexistent"}, "ca_path"),
        ({"ca_content": "nonsense"}, "ca_content"),
    ],
)
def test_bad_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], parameter: str
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    status, result = run(capsys, {**ARGUMENTS, **changed})
    assert status == 1
    assert (result["error"], result["parameter"]) == ("input_error", parameter)
    assert result["msg"].startswith(f"{parameter}: ")


def test_the_documentation_has_every_parameter(capsys: pytest.CaptureFixture[str], called: dict[str, Any]) -> None:
    documented = [
        name
        for documentation in (bucket.DOCUMENTATION, openstack.ModuleDocFragment.DOCUMENTATION)
        for name in yaml.safe_load(documentation)["options"]
    ]
    run(capsys, ARGUMENTS)
    assert set(documented) == set(called["params"])
