# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's module class, for which an empty text is as good as not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils import basic


class AnsibleModule(basic.AnsibleModule):  # type: ignore[misc]
    """A survey sends an empty text for what was not answered, where Ansible would want a number, a bool or a choice."""

    params: dict[str, Any]
    argument_spec: dict[str, dict[str, Any]]

    def _load_params(self) -> None:
        """Ansible's own place for this: before types, choices and what is required are looked at."""
        super()._load_params()
        self.params = without_empty(self.params, self.argument_spec)


def without_empty(params: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return parameters without those that are an empty text, also among the suboptions of ``spec``.

    What is required stays: that it must not be empty is said by unset_empty, naming the parameter.
    """
    return {
        name: without_empty(value, spec[name]["options"])
        if isinstance(value, dict) and spec.get(name, {}).get("options")
        else value
        for name, value in params.items()
        if value != "" or name.startswith("_ansible_") or spec.get(name, {}).get("required")
    }
