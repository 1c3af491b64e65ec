# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we say of Thanos' flags is what Thanos says."""

from __future__ import annotations

import re
import subprocess

from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_component
from ansible_collections.scs.observability.plugins.module_utils._observer.thanos import COMPONENTS
from tests.integration.processes import binary


def test_what_may_be_repeated_is_what_thanos_repeats() -> None:
    found: set[str] = set()
    for component in COMPONENTS.values():
        command = [binary("thanos"), *component.command, "--help"]
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, text=True)
        # A flag, its placeholder or default, and dots behind it
        repeatable = set(re.findall(r"^ +(--[a-z0-9.-]+)=\S* \.\.\.", answer.stdout, flags=re.MULTILINE))
        reserved = {**thanos_component.RESERVED, **component.reserved}
        found |= {flag for flag in repeatable if not any(f"{flag}=".startswith(start) for start in reserved)}
    assert found == thanos_component.REPEATABLE
