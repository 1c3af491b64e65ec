# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module bucket against a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scs.observability.plugins.module_utils._objstore import client as client_module
from ansible_collections.scs.observability.plugins.modules import bucket
from tests.integration.s3_server import S3Server

Module = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def name(_numbers: Iterator[int]) -> str:
    """A name that no bucket has yet."""
    return f"bucket-{next(_numbers)}"


@pytest.fixture
def parameters(s3: S3Server, name: str) -> dict[str, Any]:
    """What the module needs."""
    return {
        "name": name,
        "endpoint": s3.url,
        "ca_path": str(s3.ca),
        "access_key": s3.owner.access_key,
        "secret_key": s3.owner.secret_key,
    }


@pytest.fixture
def module(s3: S3Server, capsys: pytest.CaptureFixture[str]) -> Module:
    """Run the module in this process; return its result, in which no secret may be."""

    def run(parameters: dict[str, Any], *, check: bool = False, fails: bool = False, **changed: Any) -> dict[str, Any]:
        given = {**parameters, **changed, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit):
            bucket.main()
        output = capsys.readouterr()
        for user in (s3.owner, s3.stranger):
            assert user.secret_key not in output.out + output.err
        assert "AWS4-HMAC-SHA256" not in output.out + output.err
        result: dict[str, Any] = json.loads(output.out)
        assert bool(result.get("failed")) is fails, result
        return result

    return run


@pytest.fixture
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ATTEMPTS", 1)
