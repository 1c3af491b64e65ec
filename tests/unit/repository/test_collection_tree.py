# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection tree follows the checkout."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "dev" / "collection_tree.py"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, for a checkout of its own with one tracked, one new and one ignored file."""
    specification = importlib.util.spec_from_file_location("collection_tree", SOURCE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    checkout = tmp_path / "checkout"
    (checkout / "roles").mkdir(parents=True)
    (checkout / "lab").mkdir()
    for path, text in {
        ".gitignore": "/.build/\n*.secret\n",
        "galaxy.yml": "tracked",
        "roles/new.yml": "new",
        "roles/kube.secret": "ignored",
        "lab/cli.py": "not part of the collection",
    }.items():
        (checkout / path).write_text(text)
    subprocess.run(["git", "init", "--quiet", checkout], check=True)
    subprocess.run(["git", "-C", checkout, "add", "galaxy.yml"], check=True)
    monkeypatch.setattr(module, "CHECKOUT", checkout)
    monkeypatch.setattr(module, "COLLECTIONS", checkout / ".build" / "collections")
    monkeypatch.setattr(
        module, "TREE", checkout / ".build" / "collections" / "ansible_collections" / "scs" / "observability"
    )
    return module


def files(tree: ModuleType) -> dict[str, str]:
    found = [path for path in tree.TREE.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {str(path.relative_to(tree.TREE)): path.read_text() for path in found}


def test_it_holds_what_git_tracks_or_would_track(tree: ModuleType) -> None:
    tree.synchronise()
    assert files(tree) == {
        ".gitignore": "/.build/\n*.secret\n",
        "galaxy.yml": "tracked",
        "roles/new.yml": "new",
    }


def test_ansible_test_finds_the_files_through_git(tree: ModuleType) -> None:
    tree.synchronise()
    command = ["git", "ls-files", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=tree.TREE, capture_output=True, check=True, text=True).stdout
    assert listed.split() == [".gitignore", "galaxy.yml", "roles/new.yml"]


def test_changes_removals_and_empty_folders_follow(tree: ModuleType) -> None:
    tree.synchronise()
    (tree.CHECKOUT / "galaxy.yml").write_text("changed")
    (tree.CHECKOUT / "roles" / "new.yml").unlink()
    tree.synchronise()
    assert files(tree) == {".gitignore": "/.build/\n*.secret\n", "galaxy.yml": "changed"}
    assert not (tree.TREE / "roles").exists()


def test_what_did_not_change_is_not_copied_again(tree: ModuleType) -> None:
    tree.synchronise()
    before = (tree.TREE / "galaxy.yml").stat()
    tree.synchronise()
    assert (tree.TREE / "galaxy.yml").stat().st_ino == before.st_ino


def test_results_of_ansible_test_stay(tree: ModuleType) -> None:
    tree.synchronise()
    report = tree.TREE / "tests" / "output" / "junit" / "sanity.xml"
    report.parent.mkdir(parents=True)
    report.write_text("results")
    tree.synchronise()
    assert report.read_text() == "results"


def test_a_link_in_its_place_gives_way_to_a_tree(tree: ModuleType) -> None:
    tree.TREE.parent.mkdir(parents=True)
    os.symlink(tree.CHECKOUT, tree.TREE)
    tree.synchronise()
    assert not tree.TREE.is_symlink()
    assert (tree.CHECKOUT / "galaxy.yml").read_text() == "tracked"
    assert "galaxy.yml" in files(tree)
