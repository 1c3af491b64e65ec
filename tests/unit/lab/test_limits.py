# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from lab.limits import raise_inotify, restore_inotify


@pytest.fixture
def setting(tmp_path: Path) -> Path:
    path = tmp_path / "max_user_instances"
    path.write_text("128\n")
    return path


def test_a_low_limit_is_raised_said_and_put_back(tmp_path: Path, setting: Path) -> None:
    said: list[str] = []
    raise_inotify(tmp_path, said.append, setting)
    assert setting.read_text() == "512\n"
    assert "from 128 to 512" in said[0]
    raise_inotify(tmp_path, said.append, setting)
    assert len(said) == 1, "the second time there is nothing to do"
    assert restore_inotify(tmp_path, setting)
    assert setting.read_text() == "128\n"
    assert list(tmp_path.iterdir()) == [setting]


@pytest.mark.parametrize("value", ["512\n", "8192\n"])
def test_a_limit_that_suffices_is_left_alone(tmp_path: Path, setting: Path, value: str) -> None:
    setting.write_text(value)
    raise_inotify(tmp_path, pytest.fail, setting)
    assert not restore_inotify(tmp_path, setting)
    assert setting.read_text() == value


def test_a_limit_that_somebody_changed_since_stays(tmp_path: Path, setting: Path) -> None:
    raise_inotify(tmp_path, print, setting)
    setting.write_text("1024\n")
    assert not restore_inotify(tmp_path, setting)
    assert setting.read_text() == "1024\n"


def test_after_a_restart_of_the_machine_it_is_raised_again(tmp_path: Path, setting: Path) -> None:
    raise_inotify(tmp_path, print, setting)
    setting.write_text("100\n")
    raise_inotify(tmp_path, print, setting)
    assert setting.read_text() == "512\n"
    assert restore_inotify(tmp_path, setting)
    assert setting.read_text() == "100\n"


def test_a_kernel_without_the_setting_has_no_limit(tmp_path: Path) -> None:
    raise_inotify(tmp_path, pytest.fail, tmp_path / "absent")
    assert not restore_inotify(tmp_path, tmp_path / "absent")


def test_without_the_right_to_raise_it_there_is_advice(
    tmp_path: Path, setting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, text: str) -> int:
        raise PermissionError("read-only file system")

    said: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", refuse)
        raise_inotify(tmp_path, said.append, setting)
    assert "raise fs.inotify.max_user_instances to 512 with sysctl" in said[0]
    assert not restore_inotify(tmp_path, setting)
    assert setting.read_text() == "128\n"
