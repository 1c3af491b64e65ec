# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python environments beside the clone's own: each is exactly what a lock says, and is kept until the lock changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.state import LabError

PYTHONS_END = 20


def environment(folder: Path, lock: Path, oldest: int, content: str = "") -> Path:
    """Have the environment of ``lock`` below ``folder`` and return where it is. Raises LabError.

    ``oldest`` is the x of the oldest Python 3.x that the lock was resolved for, ``content`` what else makes it another.
    """
    python = next(pythons(oldest), None)
    if python is None:
        raise LabError(
            f"{lock.name} needs Python 3.{oldest} or newer, and this machine has none: install the package "
            f"python3.{oldest}, or have pyenv make one"
        )
    key = hashlib.sha256(f"{python} {content} {lock.read_text()}".encode()).hexdigest()[:16]
    wanted = folder / f"{lock.stem}-{key}"
    made = wanted / ".made"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{lock.stem}.lock").open("w") as exclusive:
        fcntl.flock(exclusive, fcntl.LOCK_EX)
        if not made.exists():
            for old in folder.glob(f"{lock.stem}-????????????????"):
                shutil.rmtree(old)
            uv = Path(sys.executable).with_name("uv")
            _run(uv, "venv", "--quiet", "--no-python-downloads", "--python", python, wanted)
            _run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", wanted / "bin" / "python", lock)
            made.touch()
    return wanted


def packages(folder: Path, lock: Path, python: str) -> None:
    """Install what ``lock`` says into a folder, for a Python (3.x) that this machine need not have. Raises LabError."""
    uv = Path(sys.executable).with_name("uv")
    only = ("--require-hashes", "--only-binary", ":all:", "--python-version", python)
    _run(uv, "pip", "install", "--quiet", *only, "--target", folder, "--requirement", lock)


def pythons(oldest: int) -> Iterator[Path]:
    """Interpreters of this machine that start, older ones first; pyenv hides those that are not chosen."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    for minor in range(oldest, PYTHONS_END):
        name = f"python3.{minor}"
        found = shutil.which(name)
        for path in [*([Path(found)] if found else []), *sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"))]:
            if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
                yield path


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(map(str, command))} exits with {done.returncode}:\n{done.stdout}")
