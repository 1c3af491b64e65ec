# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputErrors
from ansible_collections.scs.observability.plugins.module_utils._openstack import errors, login
from ansible_collections.scs.observability.plugins.module_utils._openstack.login import Login

KEYSTONE = "https://keystone.example.com/v3"
AUTH = {"auth_url": KEYSTONE, "username": "u", "password": "swordfish", "project_name": "p"}


@pytest.mark.parametrize(
    ("params", "environment", "meant"),
    [
        ({}, {}, False),
        ({"cloud": "c"}, {}, True),
        ({"auth": AUTH}, {}, True),
        ({"auth": {}}, {}, False),
        # Nobody answered.
        ({"auth": {"username": "", "password": None}}, {}, False),
        ({}, {"OS_CLOUD": "c"}, True),
        ({}, {"OS_AUTH_URL": KEYSTONE}, True),
        ({}, {"OS_CLOUD": ""}, False),
        # Somebody's environment says nothing about a store that is named.
        ({"endpoint": "https://s3.example.com"}, {"OS_CLOUD": "c"}, False),
        ({"access_key": "a"}, {"OS_CLOUD": "c"}, False),
        ({"endpoint": "https://s3.example.com", "cloud": "c"}, {}, True),
    ],
)
def test_what_asks_for_a_login(params: dict[str, Any], environment: dict[str, str], meant: bool) -> None:
    assert login.is_meant(params, environment) is meant


def test_what_needs_a_login_is_refused_at_once_without() -> None:
    with pytest.raises(InputErrors) as error:
        login.refuse_without({"cacert": "/ca", "rotate_credentials": True, "remove_credentials": False})
    assert [problem.parameter for problem in error.value.errors] == ["cacert", "rotate_credentials"]


def test_parameters(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("certificate")
    read = login.read_parameters(
        {
            "cloud": "c",
            "auth": {"password": "swordfish", "username": ""},
            "region_name": "",
            "interface": "internal",
            "cacert": str(tmp_path / "ca"),
            "validate_certs": False,
        }
    )
    assert read == Login(
        "c", {"password": "swordfish"}, interface="internal", cacert=str(tmp_path / "ca"), validate_certs=False
    )
    assert "swordfish" not in repr(read)


def test_all_that_is_wrong_is_told_and_no_secret() -> None:
    with pytest.raises(InputErrors) as error:
        login.read_parameters({"auth": {"password": ["swordfish"]}, "cacert": "/nonexistent", "ca_content": "none"})
    assert [problem.parameter for problem in error.value.errors] == ["auth", "cacert", "ca_content"]
    assert "swordfish" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "auth_type", "said"),
    [
        ((), "password", ""),
        (("username", "project_name"), "v3password", "username, project_name"),
        (("auth_url", "password"), "password", "auth_url, password"),
        # What another way of logging in needs is its own.
        (("username", "password", "project_name"), "v3applicationcredential", ""),
        (("auth_url",), "v3applicationcredential", "auth_url"),
    ],
)
def test_what_a_login_lacks(missing: tuple[str, ...], auth_type: str, said: str) -> None:
    auth = {name: value for name, value in AUTH.items() if name not in missing}
    assert login.incomplete(auth, auth_type) == said


@pytest.mark.parametrize(
    ("wanted", "status", "text", "parameter", "said"),
    [
        (errors.LOG_IN, 401, "", "auth", "refuses the login"),
        (errors.LOG_IN, 404, "", "auth", "is not Keystone"),
        (errors.LOG_IN, 400, "", "auth", "is not Keystone"),
        (errors.LOG_IN, 503, "", None, "had an error"),
        ("create", 403, "You are not authorized", "auth", "roles such as reader cannot"),
        ("create", 403, "Delegated tokens cannot access credentials directly", "auth", "application credential"),
        ("list", 404, "", "auth", "has no EC2 credentials"),
        ("list", 409, "", None, "Keystone refused"),
    ],
)
def test_answers(wanted: str, status: int, text: str, parameter: str | None, said: str) -> None:
    error = errors.refused(KEYSTONE, wanted, status, text)
    assert error.parameter == parameter
    assert said in str(error)
    assert f"HTTP {status}" in str(error)
    assert error.result()["error"] == "cloud_error"


def test_an_application_credential_is_named_whatever_keystone_says() -> None:
    error = errors.refused(KEYSTONE, "list", 403, "", application_credential=True)
    assert "whether it is restricted or not" in str(error)


def _caused(cause: BaseException) -> BaseException:
    outer = RuntimeError("wrapped")
    outer.__cause__ = cause
    return outer


class _ReadTimeoutError(Exception):
    pass


@pytest.mark.parametrize(
    ("cause", "parameter", "said"),
    [
        (ssl.SSLCertVerificationError("no"), "cacert", "certificate is refused"),
        (ssl.SSLError("wrong version"), "auth", "TLS connection failed"),
        (socket.gaierror("unknown"), "auth", "cannot be resolved"),
        (ConnectionRefusedError(), "auth", "connection is refused"),
        (TimeoutError(), "auth", "no answer in time"),
        (_ReadTimeoutError(), "auth", "no answer in time"),
        (ValueError(), "auth", "connection failed"),
    ],
)
def test_silence(cause: BaseException, parameter: str, said: str) -> None:
    error = errors.unreachable(KEYSTONE, errors.LOG_IN, _caused(cause))
    assert (error.parameter, said in str(error)) == (parameter, True)
