# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether applying an object again is certain to change nothing, told from the object itself, without a request.

The API server notes in every object which fields a manager applied (managedFields). Where these are exactly the fields
that are wanted, with exactly the values, there is nothing left to rehearse. Anything else, such as a value that the
API server writes in another way, is for a dry run to tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    FIELD_MANAGER,
    is_terminating,
)

# Not in managedFields: they say which object it is.
_IDENTITY = frozenset({"apiVersion", "kind"})
_IDENTITY_METADATA = frozenset({"name", "namespace"})


def is_as_applied(manifest: Mapping[str, Any], live: Mapping[str, Any] | None) -> bool:
    """Tell that a live object is what applying the manifest would make of it; False when that is not certain."""
    if live is None or is_terminating(live):
        return False
    fields = _applied_fields(live, manifest["apiVersion"])
    wanted = {name: value for name, value in manifest.items() if name not in _IDENTITY}
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _IDENTITY_METADATA}
    wanted.pop("metadata")
    if metadata:
        wanted["metadata"] = metadata
    return bool(fields) and _is_same(wanted, live, fields)


def _applied_fields(live: Mapping[str, Any], api_version: str) -> Mapping[str, Any]:
    """What we applied of the object itself (not of its status), as the API server keeps it: "f:spec" -> ..."""
    entries = [
        entry.get("fieldsV1") or {}
        for entry in live["metadata"].get("managedFields") or []
        if entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
        # In another version fields may have other names.
        and entry.get("apiVersion") == api_version
    ]
    return entries[0] if len(entries) == 1 else {}


def _is_same(wanted: Any, live: Any, fields: Mapping[str, Any]) -> bool:
    keys = [key for key in fields if key != "."]
    if not keys:
        # Owned as a whole: a plain value, or a list or map of which nobody owns a part.
        return bool(wanted == live)
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return {f"f:{name}" for name in wanted} == set(keys) and all(
            name in live and _is_same(value, live[name], fields[f"f:{name}"]) for name, value in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live) == len(keys):
        if all(key.startswith("v:") for key in keys):
            return wanted == live and all(json.loads(key[2:]) in wanted for key in keys)
        places = {_place(key, live): fields[key] for key in keys}
        return set(places) == set(range(len(live))) and all(
            _is_same(wanted[place], live[place], below) for place, below in places.items() if place is not None
        )
    return False


def _place(key: str, items: Sequence[Any]) -> int | None:
    """Where in a list the item with these keys is ("k:{"name":"x"}")."""
    if not key.startswith("k:"):
        return None
    keys = json.loads(key[2:]).items()
    for place, item in enumerate(items):
        if isinstance(item, Mapping) and all(item.get(name) == value for name, value in keys):
            return place
    return None
