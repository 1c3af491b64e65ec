# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ansible callback that writes what modules returned to the file that TOLD names, a line of JSON for each call."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: told
type: aggregate
short_description: What modules returned
description: [What modules returned, a line of JSON for each call.]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "told"

    def v2_runner_on_ok(self, result: Any) -> None:
        # Those of a loop were written one by one.
        if "results" not in result._result:
            self.v2_runner_item_on_ok(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        line = json.dumps({"task": result._task.get_name(), **result._result}, default=str)
        with Path(os.environ["TOLD"]).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
