# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a figure may be at most. A benchmark that finds a bound broken tells all of its figures, and fails."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """A figure with what it may be at most."""

    what: str
    found: float
    most: float

    @property
    def is_broken(self) -> bool:
        # What is no number is none below it either.
        return not self.found <= self.most

    def __str__(self) -> str:
        return f"{self.what}: {self.found:.3g}, at most {self.most:g}{': broken' if self.is_broken else ''}"


def tell(bounds: Iterable[Bound]) -> None:
    """Print all of them, and end with failure if any is broken: the last thing that a benchmark does."""
    found = list(bounds)
    print("Bounds")
    for bound in found:
        print(f"  {bound}")
    if broken := [bound.what for bound in found if bound.is_broken]:
        sys.exit(f"broken: {'; '.join(broken)}")
