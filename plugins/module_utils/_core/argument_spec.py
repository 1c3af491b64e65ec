# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of argument specifications that several modules share. Their documentation is in plugins/doc_fragments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError

ArgumentSpec = dict[str, dict[str, Any]]

# That kubeconfig excludes kubeconfig_content is checked where they are read: Ansible's own check would also refuse an
# empty string beside the other, which is what a survey sends for "not given".
KUBERNETES: ArgumentSpec = {
    "kubeconfig": {"type": "path"},
    "kubeconfig_content": {"type": "str", "no_log": True},
    "context": {"type": "str"},
}

OBSERVER: ArgumentSpec = {
    "observer_kubeconfig": {"type": "path"},
    "observer_kubeconfig_content": {"type": "str", "no_log": True},
    "observer_context": {"type": "str"},
}

# That they need each other is checked where they are read, for the same reason.
CERTIFICATE: ArgumentSpec = {
    "certificate": {"type": "str"},
    "private_key": {"type": "str", "no_log": True},
    "private_key_passphrase": {"type": "str", "no_log": True},
}

WAIT: ArgumentSpec = {
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
}


def unset_empty(params: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return parameters in which an empty string is as good as not given: the default of ``spec``, or None.

    Empty strings in lists are left out. A required parameter that is empty is an InputError.
    """
    result: dict[str, Any] = {}
    for name, given in params.items():
        option = (spec or {}).get(name, {})
        value = option.get("default") if given == "" else given
        if isinstance(value, list):
            value = [item for item in value if item != ""]
        if value is None and option.get("required"):
            raise InputError("is required and must not be empty", parameter=name)
        result[name] = value
    return result
