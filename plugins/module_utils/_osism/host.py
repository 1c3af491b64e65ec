# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host itself: its addresses, and the files of a sidecar."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._osism.sidecar import File

# The kernel's table of routes: a leaf, and below it that it is an address of the host.
_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


def is_own(address: str) -> bool:
    """Tell whether an address is one of this host's now.

    Binding to it tells nothing: hosts that may get a virtual address let anybody bind to what is elsewhere now.
    """
    wanted = ip_address(address)
    if wanted.version == 4:
        return wanted.is_loopback or address in _LOCAL.findall(_text("/proc/net/fib_trie"))
    lines = _text("/proc/net/if_inet6").splitlines()
    return any(IPv6Address(int(line.split()[0], 16)) == wanted for line in lines)


def read_files(folder: Path) -> dict[str, File]:
    """Return all files below a folder by their path there, nothing when it is not there."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() or path.is_symlink():
            state = path.lstat()
            content = "" if path.is_symlink() else path.read_text(encoding="utf-8", errors="replace")
            owner, mode = (state.st_uid, state.st_gid), state.st_mode & 0o7777
            found[str(path.relative_to(folder))] = File(content, owner, mode)
    return found


def write_files(folder: Path, live: Mapping[str, File], wanted: Mapping[str, File], parameter: str) -> None:
    """Bring the files below a folder to what is wanted, each whole or not at all. Raises InputError."""
    try:
        for part in (folder.parent, folder):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, file in wanted.items():
            _folders(folder, Path(path).parent, file.owner)
            before = live.get(path)
            if before is None or (before.content, before.owner, before.mode) != (file.content, file.owner, file.mode):
                _write(folder / path, file)
        for path in set(live) - set(wanted):
            (folder / path).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", parameter=parameter) from None


def remove_folder(folder: Path, live: Mapping[str, File], parameter: str) -> None:
    """Remove the files, and the folders that are empty then, the one above too. Raises InputError."""
    try:
        for path in live:
            (folder / path).unlink(missing_ok=True)
        below = sorted((item for item in folder.rglob("*") if item.is_dir()), reverse=True)
        for empty in (*below, folder, folder.parent):
            with contextlib.suppress(FileNotFoundError):
                empty.rmdir()
    except OSError as error:
        if error.filename != str(folder.parent):
            raise InputError(f"{folder} cannot be removed: {error.strerror}", parameter=parameter) from None


def _folders(top: Path, below: Path, owner: tuple[int, int]) -> None:
    """Have folders that only the owner of what is in them gets into."""
    for part in [below, *below.parents][-2::-1]:
        path = top / part
        path.mkdir(mode=0o700, exist_ok=True)
        state = path.stat()
        if (state.st_uid, state.st_gid) != owner:
            os.chown(path, *owner)
        if state.st_mode & 0o7777 != 0o700:
            path.chmod(0o700)


def _write(path: Path, file: File) -> None:
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchown(descriptor, *file.owner)
            os.fchmod(descriptor, file.mode)
            stream.write(file.content)
        Path(fresh).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(fresh).unlink()
        raise


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8")
    return ""
