# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of this host, and files that only their owner reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._osism import host
from ansible_collections.scs.observability.plugins.module_utils._osism.sidecar import File

OWN = (os.getuid(), os.getgid())
FILES = {
    "settings.json": File("{}", OWN, 0o600),
    "thanos/tls/tls.key": File("swordfish", OWN, 0o400),
}

# Two interfaces, and the addresses of networks and broadcasts, as the kernel tells them
FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.10
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
"""
IF_INET6 = "20010db8000000000000000000000001 02 40 00 80     eth0\n"


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("192.0.2.10", True),
        ("192.0.2.255", False),
        ("192.0.2.1", False),
        ("127.0.0.1", True),
        ("127.0.0.53", True),
        ("2001:db8::1", True),
        ("2001:db8::2", False),
    ],
)
def test_addresses_of_the_host(address: str, own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"/proc/net/fib_trie": FIB_TRIE, "/proc/net/if_inet6": IF_INET6}
    monkeypatch.setattr(host, "_text", tables.__getitem__)
    assert host.is_own(address) is own


def test_this_host_has_none_that_is_for_documentation_only() -> None:
    assert not host.is_own("192.0.2.1")
    assert not host.is_own("2001:db8::1")


def test_files_come_change_and_go(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "sidecar"
    host.write_files(folder, {}, FILES, "directory")
    found = host.read_files(folder)
    assert {path: (file.content, file.owner, file.mode) for path, file in found.items()} == {
        path: (file.content, file.owner, file.mode) for path, file in FILES.items()
    }
    assert [oct(path.stat().st_mode & 0o077) for path in folder.parent.rglob("*")] == ["0o0"] * 5
    host.write_files(folder, found, {"settings.json": FILES["settings.json"]}, "directory")
    assert list(host.read_files(folder)) == ["settings.json"]
    host.remove_folder(folder, host.read_files(folder), "directory")
    assert list(tmp_path.iterdir()) == []
    host.remove_folder(folder, {}, "directory")


def test_what_else_is_in_the_folder_above_stays(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "sidecar"
    host.write_files(folder, {}, FILES, "directory")
    (tmp_path / "etc" / "other").touch()
    host.remove_folder(folder, host.read_files(folder), "directory")
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["other"]


def test_a_place_that_cannot_be_is_told_by_its_parameter(tmp_path: Path) -> None:
    (tmp_path / "etc").touch()
    with pytest.raises(InputError, match="cannot be written") as caught:
        host.write_files(tmp_path / "etc" / "sidecar", {}, FILES, "directory")
    assert caught.value.parameter == "directory"
