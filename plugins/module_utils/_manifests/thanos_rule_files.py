# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of Prometheus rules, checked before a ruler that cannot read them ends with its first log line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration

# A ConfigMap holds 1 MiB.
LARGEST = 1000 * 1024

_FILE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,200}\.ya?ml")
_GROUP = {"name", "interval", "limit", "query_offset", "labels", "rules", "partial_response_strategy"}
_ALERT = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
_RECORD = {"record", "expr", "labels"}


def texts(rules: Mapping[str, Any]) -> dict[str, str]:
    """Return the files' texts by name; ``rules`` has them as text, which is kept as it is, or as structure.

    Raises InputError for what a ruler would not load, and for what would let it evaluate half of the data. Expressions
    and templates are not parsed.
    """
    try:
        import yaml  # noqa: PLC0415 - only a ruler needs it
    except ImportError:
        raise LibraryError("PyYAML", "to read rules") from None
    result = {}
    for name, content in rules.items():
        if not _FILE_NAME.fullmatch(str(name)):
            raise _refused(f"{name!r} is not the name of a file of rules", "Use a name like kaas.yml, without a path")
        if isinstance(content, str):
            try:
                parsed = yaml.safe_load(content)
            except yaml.YAMLError as error:
                raise _refused(f"{name} is not YAML: {' '.join(str(error).split())}") from None
            result[name] = content
        else:
            parsed = content
            result[name] = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
        _check_file(name, parsed)
    size = sum(len(name) + len(text.encode()) for name, text in result.items())
    if size > LARGEST:
        raise _refused(
            f"{size} bytes are more than the {LARGEST} that a ConfigMap holds", "Use a second rule component"
        )
    return result


def expressions(name: str, text: str) -> list[tuple[str, str]]:
    """Return where each rule of a checked file is, and its expression."""
    import yaml  # noqa: PLC0415

    return [
        (_place(f"{name}, group {group['name']}", number, rule), str(rule["expr"]))
        for group in yaml.safe_load(text)["groups"]
        for number, rule in enumerate(group.get("rules") or [], 1)
    ]


def _check_file(name: str, content: Any) -> None:
    groups = content.get("groups") if isinstance(content, Mapping) and set(content) == {"groups"} else None
    if not isinstance(groups, list):
        raise _refused(f"{name} must have a list of groups, and nothing beside it")
    seen = set()
    for group in groups:
        group_name = group.get("name") if isinstance(group, Mapping) else None
        if not group_name or not isinstance(group_name, str):
            raise _refused(f"{name} has a group without a name")
        where = f"{name}, group {group_name}"
        if group_name in seen:
            raise _refused(f"{where}: is there twice")
        seen.add(group_name)
        _check_group(where, group)


def _check_group(where: str, group: Mapping[str, Any]) -> None:
    _check_keys(where, group, _GROUP)
    if str(group.get("partial_response_strategy") or "abort").lower() != "abort":
        raise _refused(
            f"{where}: partial_response_strategy must be abort",
            "With half of the data missing, an alert about what is missing would be resolved",
        )
    _check_durations(where, group, ("interval", "query_offset"))
    _check_texts(where, group, "labels")
    rules = group.get("rules") or []
    if not isinstance(rules, list):
        raise _refused(f"{where}: rules must be a list")
    for number, rule in enumerate(rules, 1):
        if not isinstance(rule, Mapping):
            raise _refused(f"{where}, rule {number}: must have alert or record, and expr")
        _check_rule(where, number, rule)


def _check_rule(where: str, number: int, rule: Mapping[str, Any]) -> None:
    kinds = [kind for kind in ("alert", "record") if rule.get(kind)]
    where = _place(where, number, rule)
    if len(kinds) != 1:
        raise _refused(f"{where}: must have either alert or record")
    _check_keys(where, rule, _ALERT if kinds == ["alert"] else _RECORD)
    if not _is_scalar(rule.get("expr")) or str(rule["expr"]).strip() == "":
        raise _refused(f"{where}: expr is missing")
    if kinds == ["record"] and re.search(r"[{}\s]", str(rule["record"])):
        raise _refused(f"{where}: record is not the name of a metric")
    _check_durations(where, rule, ("for", "keep_firing_for"))
    _check_texts(where, rule, "labels")
    _check_texts(where, rule, "annotations")


def _place(where: str, number: int, rule: Mapping[str, Any]) -> str:
    name = rule.get("alert") or rule.get("record")
    return f"{where}, rule {number}" + (f" ({name})" if name else "")


def _check_keys(where: str, content: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(str(key) for key in content if key not in known)
    if unknown:
        raise _refused(f"{where}: {', '.join(unknown)} is none of {', '.join(sorted(known))}")


def _check_durations(where: str, content: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key in content:
            try:
                duration(content[key], "rules")
            except InputError as error:
                raise _refused(f"{where}: {key}: {error.message}", error.advice) from None


def _check_texts(where: str, content: Mapping[str, Any], key: str) -> None:
    """Labels and annotations: names with texts."""
    values = content.get(key) or {}
    if not isinstance(values, Mapping) or not all(name and _is_scalar(value) for name, value in values.items()):
        raise _refused(f"{where}: {key} must be names with texts")
    if "__name__" in values:
        raise _refused(f"{where}: __name__ must not be among the {key}")


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _refused(message: str, advice: str | None = None) -> InputError:
    return InputError(message, parameter="rules", advice=advice)
