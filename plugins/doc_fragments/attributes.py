# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of what all modules of the collection support."""

from __future__ import annotations


class ModuleDocFragment:
    """Check mode, diff mode and idempotence."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in check_mode and return what it would change, without changing it.
  diff_mode:
    support: full
    description: Returns what changed, or in check mode would change, when in diff mode. Secrets are hidden.
  idempotent:
    support: full
    description: A second run with the same parameters changes nothing.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Does the same in check_mode, because it changes nothing.
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    description: Returns what changed when in diff mode.
    details:
      - This action does not modify state.
  idempotent:
    support: full
    description: Changes nothing, however often it runs.
    details:
      - This action does not modify state.
"""
