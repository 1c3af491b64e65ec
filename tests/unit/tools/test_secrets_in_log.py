# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests import secrets_in_log as program

KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg
abcdefghijklmnop
-----END PRIVATE KEY-----
"""
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUabcdef\n-----END CERTIFICATE-----\n"
CONFIGURATION = "type: S3\nconfig: {bucket: molecule-metrics, secret_key: swordfish-and-chips}\n"


def secrets(**data: str) -> dict[str, Any]:
    encoded = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"items": [{"metadata": {"namespace": "observer", "name": "s"}, "data": encoded}]}


@pytest.mark.parametrize(
    ("value", "log", "leaked"),
    [
        ("swordfish-and-chips", "password: swordfish-and-chips", True),
        ("swordfish-and-chips", base64.b64encode(b"swordfish-and-chips").decode(), True),
        ("swordfish-and-chips", "password: VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", False),
        ('quoted "swordfish"', json.dumps({"password": 'quoted "swordfish"'}), True),
        ('quoted "swordfish"', json.dumps(json.dumps({"password": 'quoted "swordfish"'})), True),
        ("short", "a short text", False),
        (KEY, "…MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg…", True),
        (KEY, json.dumps(KEY), True),
        (KEY, "-----BEGIN PRIVATE KEY-----", False),
        (CERTIFICATE, CERTIFICATE, False),
        (CONFIGURATION, "secret_key=swordfish-and-chips", True),
        (CONFIGURATION, "bucket molecule-metrics", False),
        ("webhook_configs: [{url: 'http://pager/hook-1234'}]\n", "tells http://pager/hook-1234", True),
        ("remote_write: [{url: 'http://gateway/receive'}]\n", "writes to http://gateway/receive", False),
        ("authorization: {credentials_file: /run/token}\n", "reads /run/token", False),
    ],
)
def test_what_is_secret_is_found_in_every_form(value: str, log: str, leaked: bool) -> None:
    assert program.leaks(log, secrets(some_key=value)) == (["observer/s some.key"] if leaked else [])


def test_what_is_no_text_is_looked_for_in_base64() -> None:
    encoded = base64.b64encode(bytes(range(200, 230))).decode()
    found = {"items": [{"metadata": {"namespace": "observer", "name": "s"}, "data": {"k": encoded}}]}
    assert program.leaks(f"data: {encoded}", found) == ["observer/s k"]
    assert program.leaks("data: nothing", found) == []
