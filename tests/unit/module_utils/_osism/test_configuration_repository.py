# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkout: what is in git, what is not, and what is never touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration import KOLLA, SECRETS, VENDORED
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration_repository import ensure
from tests.osism_repository import contents, git, make, save


def params(root: Path, **others: Any) -> dict[str, Any]:
    return {"path": str(root), "region": "RegionOne", "pull_addresses": {"manager": "192.0.2.5:10901"}, **others}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "configuration")


def test_check_mode_says_the_same_and_writes_nothing(root: Path) -> None:
    before = contents(root)
    said = ensure(params(root, upload=True), True)
    assert contents(root) == before
    done = ensure(params(root, upload=True), False)
    assert {key: said[key] for key in ("changed", "changes", "diff", "commands", "files")} == {
        key: done[key] for key in ("changed", "changes", "diff", "commands", "files")
    }
    again = ensure(params(root, upload=True), False)
    assert (again["changed"], again["changes"], again["diff"]) == (False, [], [])


def test_absent_removes_exactly_what_was_made(root: Path) -> None:
    before = contents(root)
    folders = sorted(path for path in root.rglob("*") if path.is_dir() and ".git" not in path.parts)
    ensure(params(root, upload=True, read_user="reader"), False)
    assert git(root, "status", "--porcelain")
    assert ensure(params(root, state="absent"), False)["changed"]
    assert contents(root) == before
    assert sorted(path for path in root.rglob("*") if path.is_dir() and ".git" not in path.parts) == folders
    assert git(root, "status", "--porcelain") == ""
    assert ensure(params(root, state="absent"), False)["changed"] is False


def test_local_changes_of_others_are_refused_before_anything_is_written(root: Path) -> None:
    path = root / KOLLA
    path.write_text(path.read_text() + "enable_heat: 'no'\n")
    before = contents(root)
    with pytest.raises(InputError, match=rf"{KOLLA} has local changes that are in no commit"):
        ensure(params(root), False)
    assert contents(root) == before
    assert ensure(params(root, force=True), False)["changed"]


def test_local_changes_elsewhere_and_our_own_are_none_of_that(root: Path) -> None:
    (root / "environments/kolla/images.yml").write_text("---\nx: 1\n")
    ensure(params(root), False)
    # Nothing was committed in between.
    assert ensure(params(root, region="RegionTwo"), False)["changed"]
    save(root)
    path = root / KOLLA
    path.write_text(path.read_text() + "enable_heat: 'no'\n")
    with pytest.raises(InputError, match="has local changes"):
        ensure(params(root, region="RegionOne"), False)
    # What changes nothing may look at them.
    assert ensure(params(root, region="RegionTwo"), False)["changed"] is False


def test_a_checkout_inside_of_another_repository(tmp_path: Path) -> None:
    make(tmp_path / "site" / "osism", commit=False)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    save(tmp_path)
    root = tmp_path / "site" / "osism"
    path = root / KOLLA
    path.write_text(path.read_text() + "enable_heat: 'no'\n")
    with pytest.raises(InputError, match="has local changes"):
        ensure(params(root), False)


def test_without_git_a_warning_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "plain", commit=False)
    assert "no git repository" in "".join(ensure(params(root), True)["warnings"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in "".join(ensure(params(root), True)["warnings"])


def test_what_is_no_such_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkout of an OSISM configuration repository"):
        ensure(params(tmp_path), False)


def test_a_link_that_leads_out_of_the_repository_is_refused(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yml"
    outside.write_text("---\n")
    (root / "environments/custom/configuration.yml").unlink()
    (root / "environments/custom/configuration.yml").symlink_to(outside)
    with pytest.raises(InputError, match="leads out of the repository"):
        ensure(params(root), False)


def test_modes_stay(root: Path) -> None:
    (root / KOLLA).chmod(0o600)
    ensure(params(root), False)
    assert (root / KOLLA).stat().st_mode & 0o777 == 0o600


def test_secrets_that_are_missing_are_told_and_those_in_an_encrypted_file_are_not_looked_for(root: Path) -> None:
    wanted = params(root, read_user="reader")
    (warning,) = ensure(wanted, True)["warnings"]
    assert warning.startswith(f"{SECRETS}: scs_observability_prometheus_password is not there yet")
    (root / SECRETS).write_text("---\nscs_observability_prometheus_password: swordfish\n")
    assert ensure(wanted, True)["warnings"] == []
    (root / SECRETS).write_text("$ANSIBLE_VAULT;1.1;AES256\n3633\n")
    assert ensure(wanted, True)["warnings"] == []


def test_a_collection_that_is_there_needs_no_installation(root: Path) -> None:
    assert ensure(params(root), True)["commands"][0].startswith("ansible-galaxy collection install")
    (root / VENDORED).mkdir(parents=True)
    assert ensure(params(root), True)["commands"][0] == "osism apply configuration"
