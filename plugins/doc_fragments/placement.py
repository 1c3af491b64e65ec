# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in _core/argument_spec.py::PLACEMENT."""

from __future__ import annotations


class ModuleDocFragment:
    """On which nodes pods run."""

    DOCUMENTATION = r"""
options:
  node_selector:
    description: Labels of the nodes that pods may run on.
    type: dict
  tolerations:
    description: Taints of nodes that pods put up with, as Kubernetes has them.
    type: list
    elements: dict
  affinity:
    description:
      - Affinity of the pods as Kubernetes has it. It replaces the default, which keeps replicas on different nodes
        where it can.
    type: dict
  priority_class:
    description: Priority class of the pods.
    type: str
"""
