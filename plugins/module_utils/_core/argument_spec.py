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

OPENSTACK: ArgumentSpec = {
    "cloud": {"type": "str"},
    # What is secret in it is hidden by module.py. All of it hidden, names of users and projects would be blotted out.
    "auth": {"type": "dict"},
    "auth_type": {"type": "str"},
    "region_name": {"type": "str"},
    "interface": {"type": "str", "choices": ["public", "internal", "admin"]},
    "cacert": {"type": "path"},
}

EXTERNAL_ENDPOINTS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "address": {"type": "str", "required": True},
        "server_name": {"type": "str"},
        "ca": {"type": "str"},
        "certificate": {"type": "str"},
        "key": {"type": "str", "no_log": True},
    },
}

PLACEMENT: ArgumentSpec = {
    "node_selector": {"type": "dict"},
    "tolerations": {"type": "list", "elements": "dict"},
    "affinity": {"type": "dict"},
    "priority_class": {"type": "str"},
}

WAIT: ArgumentSpec = {
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
}


def unset_empty(params: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return parameters without the empty texts in lists. A required one that is empty is an InputError.

    Other empty texts do not come here: module.py has dropped them before Ansible looked at types.
    """
    for name, value in params.items():
        if value == "" and spec.get(name, {}).get("required"):
            raise InputError("is required and must not be empty", parameter=name)
    return {
        name: [item for item in value if item != ""] if isinstance(value, list) else value
        for name, value in params.items()
    }
