# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's argument specification, as the module itself gives it."""

from __future__ import annotations

import importlib
from typing import Any
from unittest.mock import patch

from ansible.module_utils.testing import patch_module_args


class _Made(Exception):
    pass


def argument_spec(name: str) -> dict[str, dict[str, Any]]:
    """What a module whose options are all optional makes its AnsibleModule of."""
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.modules.{name}")
    found: dict[str, dict[str, Any]] = {}

    def run(made: Any, _operation: Any) -> None:
        found.update(made.argument_spec)
        raise _Made

    with patch_module_args({}), patch.object(module.outcome, "run", run):
        try:
            module.main()
        except _Made:
            return found
    raise AssertionError(f"{name} has not run")
