# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of Prometheus rules, checked before a ruler that cannot read them ends with its first log line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader

# A ConfigMap holds 1 MiB.
LARGEST = 1000 * 1024

_FILE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,200}\.ya?ml")
_GROUP = {"name", "interval", "limit", "query_offset", "labels", "rules", "partial_response_strategy"}
_ALERT = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
_RECORD = {"record", "expr", "labels"}


def texts(rules: Mapping[str, Any]) -> dict[str, str]:
    """Return the files' texts by name; ``rules`` has them as text, which is kept as it is, or as structure.

    Raises InputError with everything that a ruler would not load, and that would let it evaluate half of the data.
    Expressions and templates are not parsed.
    """
    try:
        import yaml  # noqa: PLC0415 - only a ruler needs it
    except ImportError:
        raise LibraryError("PyYAML", "to read rules") from None
    result = {}
    wrong: list[InputError] = []
    for name, content in rules.items():
        if isinstance(content, str):
            result[name] = content
        else:
            result[name] = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
        wrong += faults(name, content)
    size = sum(len(str(name)) + len(text.encode()) for name, text in result.items())
    if size > LARGEST:
        wrong.append(
            _refused(f"{size} bytes are more than the {LARGEST} that a ConfigMap holds", "Use a second rule component")
        )
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise _refused("\n".join(["cannot be loaded:", *(told(fault) for fault in wrong)]))
    return result


def faults(name: str, content: Any) -> list[InputError]:
    """Return what would keep a file of rules, as text or as structure, from being loaded; PyYAML must be there."""
    import yaml  # noqa: PLC0415

    if not _FILE_NAME.fullmatch(str(name)):
        return [_refused(f"{name!r} is not the name of a file of rules", "Use a name like kaas.yml, without a path")]
    if isinstance(content, str):
        try:
            content = yaml.load(content, Loader=safe_loader())  # noqa: S506
        except yaml.YAMLError as error:
            return [_refused(f"{name} is not YAML: {where(error)}")]
    return list(_of_file(name, content))


def where(error: Exception) -> str:
    """What is wrong with YAML and where, without a line of it, which may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "it cannot be read")
    return f"line {mark.line + 1}: {problem}" if mark else problem


def told(fault: InputError) -> str:
    """A fault as a line of its own, without the parameter."""
    return f"{fault.message}. {fault.advice}" if fault.advice else fault.message


def expressions(name: str, content: Any) -> list[tuple[str, str]]:
    """Return where each rule of a checked file, as text or as structure, is, and its expression."""
    import yaml  # noqa: PLC0415

    if isinstance(content, str):
        content = yaml.load(content, Loader=safe_loader())  # noqa: S506
    return [
        (_place(f"{name}, group {group['name']}", number, rule), str(rule["expr"]))
        for group in content["groups"]
        for number, rule in enumerate(group.get("rules") or [], 1)
    ]


def _of_file(name: str, content: Any) -> Iterator[InputError]:
    groups = content.get("groups") if isinstance(content, Mapping) and set(content) == {"groups"} else None
    if not isinstance(groups, list):
        yield _refused(f"{name} must have a list of groups, and nothing beside it")
        return
    seen = set()
    for group in groups:
        group_name = group.get("name") if isinstance(group, Mapping) else None
        if not group_name or not isinstance(group_name, str):
            yield _refused(f"{name} has a group without a name")
            continue
        where = f"{name}, group {group_name}"
        if group_name in seen:
            yield _refused(f"{where}: is there twice")
        seen.add(group_name)
        yield from _of_group(where, group)


def _of_group(where: str, group: Mapping[str, Any]) -> Iterator[InputError]:
    yield from _of_keys(where, group, _GROUP)
    if str(group.get("partial_response_strategy") or "abort").lower() != "abort":
        yield _refused(
            f"{where}: partial_response_strategy must be abort",
            "With half of the data missing, an alert about what is missing would be resolved",
        )
    yield from _of_durations(where, group, ("interval", "query_offset"))
    yield from _of_texts(where, group, "labels")
    rules = group.get("rules") or []
    if not isinstance(rules, list):
        yield _refused(f"{where}: rules must be a list")
        return
    for number, rule in enumerate(rules, 1):
        if isinstance(rule, Mapping):
            yield from _of_rule(where, number, rule)
        else:
            yield _refused(f"{where}, rule {number}: must have alert or record, and expr")


def _of_rule(where: str, number: int, rule: Mapping[str, Any]) -> Iterator[InputError]:
    kinds = [kind for kind in ("alert", "record") if rule.get(kind)]
    where = _place(where, number, rule)
    if len(kinds) != 1:
        yield _refused(f"{where}: must have either alert or record")
        return
    yield from _of_keys(where, rule, _ALERT if kinds == ["alert"] else _RECORD)
    if not _is_scalar(rule.get("expr")) or str(rule["expr"]).strip() == "":
        yield _refused(f"{where}: expr is missing")
    if kinds == ["record"] and re.search(r"[{}\s]", str(rule["record"])):
        yield _refused(f"{where}: record is not the name of a metric")
    yield from _of_durations(where, rule, ("for", "keep_firing_for"))
    yield from _of_texts(where, rule, "labels")
    yield from _of_texts(where, rule, "annotations")


def _place(where: str, number: int, rule: Mapping[str, Any]) -> str:
    name = rule.get("alert") or rule.get("record")
    return f"{where}, rule {number}" + (f" ({name})" if name else "")


def _of_keys(where: str, content: Mapping[str, Any], known: set[str]) -> Iterator[InputError]:
    unknown = sorted(str(key) for key in content if key not in known)
    if unknown:
        yield _refused(f"{where}: {', '.join(unknown)} is none of {', '.join(sorted(known))}")


def _of_durations(where: str, content: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[InputError]:
    for key in keys:
        if key in content:
            try:
                duration(content[key], "rules")
            except InputError as error:
                yield _refused(f"{where}: {key}: {error.message}", error.advice)


def _of_texts(where: str, content: Mapping[str, Any], key: str) -> Iterator[InputError]:
    """Labels and annotations: names with texts."""
    values = content.get(key) or {}
    if not isinstance(values, Mapping) or not all(name and _is_scalar(value) for name, value in values.items()):
        yield _refused(f"{where}: {key} must be names with texts")
    elif "__name__" in values:
        yield _refused(f"{where}: __name__ must not be among the {key}")


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _refused(message: str, advice: str | None = None) -> InputError:
    return InputError(message, parameter="rules", advice=advice)
