# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.state import (
    CHECKOUT,
    Lab,
    LabError,
    State,
    by_role_and_number,
    kaas_names,
    lab_from_environment,
    locked,
    write_atomically,
)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab("scs-lab", tmp_path / "lab", tmp_path / "cache")


def test_the_default_lab_lives_in_the_checkout() -> None:
    lab = lab_from_environment({"XDG_CACHE_HOME": "/cache"})
    assert lab == Lab("scs-lab", CHECKOUT / ".lab", Path("/cache/scs-observability-lab"))


def test_another_prefix_is_another_lab_with_another_directory_and_lock() -> None:
    default, other = lab_from_environment({}), lab_from_environment({"LAB_PREFIX": "mine"})
    assert other.directory == CHECKOUT / ".lab-mine"
    assert other.lock_file != default.lock_file
    assert other.cache_lock_file == default.cache_lock_file
    assert other.cache == default.cache
    assert (other.network, other.s3, other.cluster("kaas-1")) == ("mine", "mine-s3", "mine-kaas-1")


def test_the_directory_can_be_chosen(tmp_path: Path) -> None:
    assert lab_from_environment({"LAB_STATE": str(tmp_path)}).directory == tmp_path


def test_a_directory_with_other_things_in_it_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    lab = Lab("scs-lab", tmp_path, tmp_path / "cache")
    for action in (lab.make_directory, lab.remove_directory):
        with pytest.raises(LabError, match="LAB_STATE"):
            action()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_a_directory_that_the_lab_made_is_removed_whole(lab: Lab) -> None:
    lab.make_directory()
    State().save(lab.state_file)
    lab.make_directory()
    lab.remove_directory()
    assert not lab.directory.exists()
    lab.remove_directory()


@pytest.mark.parametrize("prefix", ["..", "A_b", "-a", "a-", "a--b", "1a", "x" * 41, "a b"])
def test_a_prefix_that_cannot_be_a_host_name_is_refused(prefix: str) -> None:
    with pytest.raises(LabError, match="LAB_PREFIX"):
        lab_from_environment({"LAB_PREFIX": prefix})


@pytest.mark.parametrize(
    ("container", "cluster"),
    [
        ("scs-lab-observer-control-plane", "observer"),
        ("scs-lab-kaas-2-control-plane", "kaas-2"),
        ("scs-lab-kaas-12-worker3", "kaas-12"),
        ("scs-lab-2-observer-control-plane", None),
        ("scs-lab-observer", None),
        ("scs-lab-kaas-x-control-plane", None),
        ("my-scs-lab-kaas-1-control-plane", None),
        ("kind-control-plane", None),
    ],
)
def test_only_nodes_of_this_lab_are_its_own(lab: Lab, container: str, cluster: str | None) -> None:
    assert lab.cluster_of_node(container) == cluster


def test_clusters_are_listed_observer_first_and_by_number() -> None:
    assert kaas_names(2) == ["kaas-1", "kaas-2"]
    assert sorted(["kaas-10", "kaas-9", "observer"], key=by_role_and_number) == ["observer", "kaas-9", "kaas-10"]


def test_state_survives_a_round_trip(lab: Lab) -> None:
    state = State(web_port=30905, subnet="172.30.0.0/24", clusters=["observer", "kaas-1"])
    state.save(lab.state_file)
    assert State.load(lab.state_file) == state


@pytest.mark.parametrize("content", [None, "", "{", "[]", '"text"', "\udcff"])
def test_a_missing_or_broken_state_file_is_an_empty_state(lab: Lab, content: str | None) -> None:
    if content is not None:
        lab.state_file.parent.mkdir(parents=True)
        lab.state_file.write_bytes(content.encode(errors="surrogateescape"))
    assert State.load(lab.state_file) == State()


def test_what_another_version_wrote_is_left_out(lab: Lab) -> None:
    lab.state_file.parent.mkdir(parents=True)
    lab.state_file.write_text(json.dumps({"gateway_port": 30444, "moon": "full"}))
    assert State.load(lab.state_file) == State(gateway_port=30444)


def test_writing_is_atomic_and_only_when_needed(tmp_path: Path) -> None:
    path = tmp_path / "directory" / "file"
    assert write_atomically(path, "one", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    inode = path.stat().st_ino
    assert not write_atomically(path, "one", 0o600)
    assert path.stat().st_ino == inode
    assert write_atomically(path, "two", 0o600)
    assert path.read_text() == "two"
    path.chmod(0o644)
    assert write_atomically(path, "two", 0o600), "a secret that anybody can read is written again"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_state_directory_is_invisible_to_git(lab: Lab) -> None:
    lab.make_directory()
    assert (lab.directory / ".gitignore").read_text() == "*\n"
    assert lab.logs.is_dir()


HOLD = """
import sys
from pathlib import Path
from lab.state import locked
with locked(Path(sys.argv[1]), print, shared=sys.argv[2:] == ["shared"]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(lab: Lab, *how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lab.lock_file), *how],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_command_waits_and_says_for_whom(lab: Lab) -> None:
    holder = hold(lab)
    told: list[str] = []

    def waiting(owner: str) -> None:
        told.append(owner)
        holder.communicate("")  # let it end: only then may the lock be ours

    with locked(lab.lock_file, waiting):
        assert holder.poll() is not None
    assert told == [str(holder.pid)]


def test_those_that_share_a_lock_do_not_wait_for_each_other_and_others_do(lab: Lab) -> None:
    holder = hold(lab, "shared")
    with locked(lab.lock_file, lambda owner: pytest.fail(f"waited for {owner}"), shared=True):
        pass
    told: list[str] = []

    def waiting(owner: str) -> None:
        told.append(owner)
        holder.communicate("")

    with locked(lab.lock_file, waiting):
        assert holder.poll() is not None
    assert len(told) == 1


def test_a_killed_holder_leaves_no_lock(lab: Lab) -> None:
    holder = hold(lab)
    holder.kill()
    holder.communicate()
    with locked(lab.lock_file, lambda owner: pytest.fail(f"waited for {owner}")):
        assert lab.lock_file.read_text() == f"{os.getpid()}\n"


def test_a_program_that_inherited_the_lock_holds_it(lab: Lab) -> None:
    with locked(lab.lock_file, print) as descriptor:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    waited = []

    def waiting(owner: str) -> None:
        waited.append(owner)
        child.communicate(b"")

    with locked(lab.lock_file, waiting):
        assert waited
