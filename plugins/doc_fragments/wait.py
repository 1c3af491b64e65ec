# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in _core/argument_spec.py::WAIT."""

from __future__ import annotations


class ModuleDocFragment:
    """Waiting for workloads to be ready."""

    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until what was deployed is ready. A wait that fails tells which pod is not ready and why, with
        its last log lines.
      - Nothing is waited for in check mode.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait at most. Waiting ends earlier when it is of no use, for example when an image cannot be pulled.
      - Pods that have to end first get their termination grace period on top, which is 15 minutes for receive.
    type: int
    default: 300
"""
