# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's variables as Python has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def plain(what: str, data: Any) -> dict[str, Any]:
    """Return the dictionary that the filter ``what`` was given, in plain types.

    Ansible's own are more than texts: one that came out of a vault would be written as the vault has it.
    """
    if not isinstance(data, Mapping):
        raise AnsibleFilterError(f"{what} takes a dictionary")
    return {str(name): _plain(value) for name, value in data.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {_plain(name): _plain(content) for name, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
