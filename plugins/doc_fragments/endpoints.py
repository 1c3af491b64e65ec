# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of what the filters about the catalogue of endpoints take."""

from __future__ import annotations


class ModuleDocFragment:
    """A catalogue of endpoints, and the modules that they are probed with."""

    DOCUMENTATION = r"""
options:
  _input:
    description: The catalogue, as O(scs.observability.observer#role:main:observer_endpoints) has it.
    type: list
    elements: dict
    required: true
  modules:
    description: The operator's own modules of the exporter, by name.
    type: dict
    default: {}
"""
