# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is going to change: made by pure functions, shown as diff, carried out in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True)
class Change:
    """One object that is created, updated or deleted.

    ``before`` and ``after`` are for people: normalized, secrets masked. ``manifest`` is what is sent (for a deletion:
    the live object); it may hold secrets and is therefore never shown.
    """

    action: Action
    kind: str
    name: str
    namespace: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    manifest: Mapping[str, Any] | None = field(default=None, repr=False)
    api_version: str = ""
    create_only: bool = False
    """Create with POST: fail rather than touch an object that somebody else created in the meantime."""
    after_removal: bool = False
    """The object of that name is being removed; wait until it is gone before creating the new one."""

    @property
    def title(self) -> str:
        """Return for example "apps/v1 StatefulSet monitoring/receive"."""
        kind = f"{self.api_version} {self.kind}" if self.api_version else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


@dataclass(frozen=True)
class Plan:
    """The changes of a run, in no particular order."""

    changes: tuple[Change, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.changes)

    def __add__(self, other: Plan) -> Plan:
        return Plan(self.changes + other.changes)

    def summary(self) -> list[str]:
        """Return one line per change, like "create apps/v1 StatefulSet monitoring/receive", sorted."""
        return sorted(f"{change.action} {change.title}" for change in self.changes)

    def diff(self) -> dict[str, str]:
        """Return a diff for Ansible: YAML texts of all changed objects, as they are and as they will be."""
        changes = sorted(self.changes, key=lambda change: change.title)
        return {
            "before_header": "live",
            "before": "".join(_document(change.title, change.before) for change in changes),
            "after_header": "planned",
            "after": "".join(_document(change.title, change.after) for change in changes),
        }

    def result(self) -> dict[str, Any]:
        """Return the part of a module's result that every plan gives: changed, changes (list of text) and diff."""
        return {"changed": self.changed, "changes": self.summary(), "diff": self.diff()}


def _document(title: str, content: Mapping[str, Any] | None) -> str:
    if content is None:
        return ""
    return f"--- # {title}\n{_to_yaml(content)}"


def _to_yaml(content: Mapping[str, Any]) -> str:
    # Here because most runs change nothing and show nothing.
    try:
        import yaml  # noqa: PLC0415
    except ImportError:
        # On a host, which may have little more than Python
        return json.dumps(content, indent=2, sort_keys=True) + "\n"

    base: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        """Texts of several lines as blocks, so that a diff of a configuration file shows its lines."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return str(
        yaml.dump(content, Dumper=Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True, width=1000)
    )
