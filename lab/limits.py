# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's limit that several KinD clusters run into, and how it was before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab.state import write_atomically

# systemd, kubelet and the control plane of one node hold about 25 inotify instances, Linux allows 128 in all
NAME = "fs.inotify.max_user_instances"
INSTANCES = Path("/proc/sys") / NAME.replace(".", "/")
ENOUGH = 512  # what KinD's documentation advises


def raise_inotify(cache: Path, say: Callable[[str], None], setting: Path = INSTANCES) -> None:
    """Allow enough inotify instances for a few clusters; says so, or what to do where it may not."""
    before = _read(setting)
    if before is None or before >= ENOUGH:
        return
    write_atomically(_memory(cache), f"{before}\n")
    try:
        setting.write_text(f"{ENOUGH}\n")
    except OSError:
        say(f"Linux allows only {before} inotify instances. If a cluster fails, raise {NAME} to {ENOUGH} with sysctl.")
        return
    say(f"{NAME} is raised from {before} to {ENOUGH} until the lab goes down.")


def restore_inotify(cache: Path, setting: Path = INSTANCES) -> bool:
    """Put the limit back that `raise_inotify` found, unless somebody else has changed it since; whether it did."""
    memory = _memory(cache)
    before = _read(memory)
    if before is None:
        return False
    memory.unlink()
    if _read(setting) != ENOUGH:
        return False
    try:
        setting.write_text(f"{before}\n")
    except OSError:
        return False  # only root may, and it does no harm as it is
    return True


def _memory(cache: Path) -> Path:
    return cache / "inotify-instances-before"


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
