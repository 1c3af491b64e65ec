# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy the machine is meanwhile: what a figure in seconds is worth depends on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/stat: idle, and waiting for a disk
IDLE = (3, 4)
# user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already
FIELDS = 8


@dataclass(frozen=True)
class Cpu:
    """CPU seconds of all cores, since the machine started or in between: used by anybody, and all that there were."""

    used: float
    all: float

    @classmethod
    def until_now(cls) -> Cpu:
        text = Path("/proc/stat").read_text().splitlines()[0]
        ticks = [int(field) for field in text.split()[1 : FIELDS + 1]]
        idle = sum(ticks[place] for place in IDLE)
        return cls((sum(ticks) - idle) / TICKS, sum(ticks) / TICKS)

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.used - before.used, self.all - before.all)

    def share(self, used: float | None = None) -> float:
        """Of all cores, what was used, or what this many seconds are of it."""
        return max(self.used if used is None else used, 0.0) / self.all if self.all else 0.0
