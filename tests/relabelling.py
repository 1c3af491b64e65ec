# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus makes of the series of a target, by metric_relabel_configs that keep, drop and take off labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? ")


def series_of(text: str) -> Iterator[dict[str, str]]:
    """The labels of each series in an answer."""
    for sample in filter(None, map(_SAMPLE.match, text.splitlines())):
        yield {"__name__": sample[1], **dict(re.findall(r'(\w+)="([^"]*)"', sample[2] or ""))}


def relabelled(rules: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> dict[str, str] | None:
    """The labels that are left of a series, None when it is dropped."""
    result = dict(labels)
    for rule in rules:
        if rule["action"] == "labeldrop":
            result = {name: value for name, value in result.items() if not re.fullmatch(rule["regex"], name)}
            continue
        joined = ";".join(result.get(name, "") for name in rule["source_labels"])
        if bool(re.fullmatch(rule["regex"], joined)) is not (rule["action"] == "keep"):
            return None
    return result
