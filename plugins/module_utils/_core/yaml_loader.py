# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PyYAML's safe loader."""

from __future__ import annotations

from typing import Any


def safe_loader() -> type[Any]:
    """Return the one in C where it is there, which is several times as fast. PyYAML must be there."""
    import yaml  # noqa: PLC0415 - most modules read no YAML

    loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return loader
