#!/usr/bin/env python3
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a real collection tree beside the checkout: .build/collections/ansible_collections/scs/observability.

Ansible, ansible-test, ansible-lint and molecule want a folder of that name and shape, and ansible-test accepts no
symbolic link. The tree holds what git tracks or would track (new files that are not ignored); only what differs is
copied, so it costs some ten milliseconds when nothing changed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
COLLECTIONS = CHECKOUT / ".build" / "collections"
TREE = COLLECTIONS / "ansible_collections" / "scs" / "observability"
# For the checkout's own tooling; nothing in the collection uses it.
NOT_IN_TREE = ("lab/", "benchmarks/", "dev/", "requirements/", ".ci/", "ansible.cfg", "Makefile")
# Written into the tree by those who run in it.
KEPT_IN_TREE = ("tests/output/", ".ansible/")


def listed_files() -> list[str]:
    """Paths, relative to the checkout, of the files that git tracks or would track and that exist."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True).stdout.decode()
    paths = {path for path in found.split("\0") if path and not path.startswith(NOT_IN_TREE)}
    return sorted(path for path in paths if os.path.lexists(CHECKOUT / path))


def tree_files() -> Iterator[str]:
    for folder, folders, files in os.walk(TREE):
        folders[:] = [name for name in folders if name not in ("__pycache__", ".git")]
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), TREE)


def same(source: Path, target: Path) -> bool:
    """Size and time of last change decide, as rsync does it."""
    if source.is_symlink() or target.is_symlink():
        return source.is_symlink() and target.is_symlink() and os.readlink(source) == os.readlink(target)
    if not target.exists():
        return False
    left, right = source.stat(), target.stat()
    return (left.st_size, left.st_mtime_ns, left.st_mode) == (right.st_size, right.st_mtime_ns, right.st_mode)


def copy(source: Path, target: Path) -> None:
    """Put the copy in place at once, so that somebody who runs in the tree never sees half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copy2(source, partial, follow_symlinks=False)
    partial.replace(target)


def synchronise() -> Path:
    """Make the tree equal to the checkout and return its path."""
    COLLECTIONS.mkdir(parents=True, exist_ok=True)
    with (COLLECTIONS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if TREE.is_symlink():
            TREE.unlink()
        TREE.mkdir(parents=True, exist_ok=True)
        if not (TREE / ".git").exists():
            # ansible-test asks git for the files, and would find the checkout's repository, which ignores .build.
            subprocess.run(["git", "init", "--quiet", TREE], check=True)
        wanted = listed_files()
        for path in set(tree_files()) - set(wanted):
            if not path.startswith(KEPT_IN_TREE):
                (TREE / path).unlink(missing_ok=True)
        for path in wanted:
            if not same(CHECKOUT / path, TREE / path):
                copy(CHECKOUT / path, TREE / path)
        for folder, _, _ in os.walk(TREE, topdown=False):
            if not os.listdir(folder) and ".git" not in Path(folder).parts:
                os.rmdir(folder)
    return TREE


if __name__ == "__main__":
    try:
        print(synchronise())
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: cannot make the collection tree: {error}")
