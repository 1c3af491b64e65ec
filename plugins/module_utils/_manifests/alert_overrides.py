# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator wants to be different of alerts that come along: files of rules and overrides in, files out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration, not_known
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader

PARAMETER = "observer_alert_overrides"
SEVERITIES = ("critical", "warning", "info")
# In an expression, the number that an operator may replace is the one before this comment.
_THRESHOLD = re.compile(r"[0-9.]+(?=\s*# threshold\b)")


def apply(files: Mapping[str, str], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the files with the overrides, and what is wrong with these, a line each; that is left out.

    ``files`` are texts by path. One in which nothing is overridden stays the text that it is, another becomes a
    structure. ``overrides`` are by name of an alert, or NAME/SEVERITY for one of several rules of that name.
    """
    if not overrides:
        return dict(files), []
    import yaml  # noqa: PLC0415 - as elsewhere, so that it can be missing when a module is looked at

    parsed = {path: yaml.load(text, Loader=safe_loader()) for path, text in files.items()}  # noqa: S506
    alerts = [rule for content in parsed.values() for group in content["groups"] for rule in group["rules"]]
    alerts = [rule for rule in alerts if "alert" in rule]
    known = {key for rule in alerts for key in _keys(rule)}
    # The more exact ones win.
    checked, problems = {}, []
    for key in sorted(map(str, overrides), key=lambda key: "/" in key):
        if key not in known:
            problems.append(f"{PARAMETER}: alert {_unknown(key, known)}")
            continue
        meant = [rule for rule in alerts if key in _keys(rule)]
        checked[key], wrong = _checked(overrides[key], meant, alerts)
        problems += [f"{PARAMETER}[{key!r}]{text}" for text in wrong]
    changed = {path: _overridden(content, checked) for path, content in parsed.items()}
    return {path: files[path] if changed[path] == parsed[path] else changed[path] for path in files}, problems


def _keys(rule: Mapping[str, Any]) -> tuple[str, str]:
    return rule["alert"], f"{rule['alert']}/{rule['labels']['severity']}"


def _unknown(key: str, known: set[str]) -> str:
    name, slash, _severity = key.partition("/")
    if slash and name in known:
        return not_known(key, {other for other in known if other.startswith(f"{name}/")})
    return not_known(key, {other for other in known if "/" not in other})


def _checked(given: Any, meant: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """The values that are right, and what is wrong, as text that goes on after the alert's name."""
    if not isinstance(given, Mapping):
        return {}, [f": must be a dictionary of {', '.join(_OPTIONS)}"]
    result, problems = {}, []
    for option, value in given.items():
        if option not in _OPTIONS:
            problems.append(f": {not_known(option, _OPTIONS)}")
            continue
        try:
            result[option] = _OPTIONS[option](value)
        except InputError as error:
            problems.append(f".{option}: {error.message}" + (f". {error.advice}" if error.advice else ""))
    if "threshold" in result and not all(_THRESHOLD.search(str(rule["expr"])) for rule in meant):
        having = sorted({rule["alert"] for rule in alerts if _THRESHOLD.search(str(rule["expr"]))})
        problems.append(f".threshold: the alert has none that can be set. Those that have one: {', '.join(having)}")
    return result, problems


def _overridden(content: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The content of a file with the overrides, without the alerts that are not wanted."""
    return {
        **content,
        "groups": [
            {**group, "rules": [kept for rule in group["rules"] if (kept := _rule(rule, overrides))]}
            for group in content["groups"]
        ],
    }


def _rule(rule: dict[str, Any], overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The rule with what is overridden of it, empty when it is not wanted."""
    wanted: dict[str, Any] = {}
    for key in _keys(rule) if "alert" in rule else ():
        wanted.update(overrides.get(key, {}))
    if not wanted.get("enabled", True):
        return {}
    result = dict(rule)
    for name in ("for", "keep_firing_for"):
        if name in wanted:
            result[name] = wanted[name]
    if "severity" in wanted:
        result["labels"] = {**rule["labels"], "severity": wanted["severity"]}
    if "threshold" in wanted:
        result["expr"] = _THRESHOLD.sub(wanted["threshold"], str(rule["expr"]))
    return result


def _enabled(value: Any) -> bool:
    try:
        return bool(boolean(value))
    except TypeError:
        raise InputError(f"{value!r} is neither true nor false", parameter="enabled") from None


def _severity(value: Any) -> str:
    if value not in SEVERITIES:
        raise InputError(not_known(value, SEVERITIES), parameter="severity")
    return str(value)


def _threshold(value: Any) -> str:
    """The number as PromQL has it."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise InputError(f"{value!r} is not a number from 0 on", parameter="threshold")
    return repr(int(number)) if number.is_integer() else repr(number)


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "enabled": _enabled,
    "for": lambda value: duration(value, "for"),
    "keep_firing_for": lambda value: duration(value, "keep_firing_for"),
    "severity": _severity,
    "threshold": _threshold,
}
