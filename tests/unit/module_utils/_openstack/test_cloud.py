# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no server; the rest is tested on a real Keystone, in tests/integration/openstack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._openstack.cloud import Cloud
from ansible_collections.scs.observability.plugins.module_utils._openstack.login import Login

AUTH = {"auth_url": "https://127.0.0.1:1/v3", "username": "u", "password": "swordfish", "project_name": "p"}


@pytest.fixture(autouse=True)
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cloud in two regions, whose password is kept elsewhere."""
    auth = {name: value for name, value in AUTH.items() if name != "password"}
    clouds = {"one": {"auth": auth, "regions": ["a", "b"]}}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    for name in ("OS_CLOUD", "OS_AUTH_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keystoneauth1", None)
    with pytest.raises(LibraryError) as error:
        Cloud(Login(auth=AUTH))
    assert f"{sys.executable} -m pip install openstacksdk" in str(error.value)


@pytest.mark.parametrize(
    ("login", "parameter", "said"),
    [
        ({"cloud": "two"}, "cloud", "'two' is in no clouds.yaml"),
        ({"cloud": "one"}, "cloud", "lacks password"),
        ({"cloud": "one", "region_name": "c", "auth": {"password": "swordfish"}}, "region_name", "'c' is none"),
        ({"auth": {"auth_url": AUTH["auth_url"]}}, "auth", "lacks username, password, project_name"),
        ({"auth": AUTH, "auth_type": "nonsense"}, "auth", "nonsense"),
        ({"auth": {**AUTH, "auth_url": ""}}, "auth", "auth_url"),
    ],
)
def test_what_openstacksdk_cannot_use(login: dict[str, Any], parameter: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        Cloud(Login(**login))
    assert (error.value.parameter, said in str(error.value)) == (parameter, True), str(error.value)
    assert "swordfish" not in str(error.value)
