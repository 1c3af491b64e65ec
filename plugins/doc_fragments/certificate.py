# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in _core/argument_spec.py::CERTIFICATE; modules say whose certificate it is."""

from __future__ import annotations


class ModuleDocFragment:
    """A certificate of the operator's own, with its key."""

    DOCUMENTATION = r"""
options:
  certificate:
    description: The certificate in PEM form.
    type: str
  private_key:
    description: The key of the (first) certificate in O(certificate), in PEM form. Required with it.
    type: str
  private_key_passphrase:
    description: The passphrase of an encrypted O(private_key).
    type: str
"""
