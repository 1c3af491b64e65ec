# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few metrics out of what a program exposes in Prometheus' text format (0.0.4)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(?:\{(?P<labels>.*)\})?[ \t]+"
    r"(?P<value>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?Inf|NaN)(?:[ \t]+-?[0-9]+)?[ \t]*"
)
_LABEL = re.compile(
    r'[ \t]*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"(?P<value>(?:[^"\\]|\\[\\"n])*)"[ \t]*(?:,|$)'
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class Metric(NamedTuple):
    """One series and its value."""

    labels: Mapping[str, str]
    value: float


def parse(body: bytes, names: Collection[str]) -> dict[str, list[Metric]]:
    """Return the series of the named metrics by name, in their order; what is not there has no entry.

    Of other metrics, of which a receive with many clusters has tens of thousands, only the name is looked at. Raises
    ValueError for a line that is not of the format.
    """
    found: dict[str, list[Metric]] = {}
    # Not splitlines: a label's value may hold other separators.
    for number, line in enumerate(body.decode().split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name = _NAME.match(line)
        if name is None:
            raise _malformed(number, line)
        if name[0] not in names:
            continue
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            raise _malformed(number, line)
        labels = _labels(sample["labels"] or "")
        if labels is None:
            raise _malformed(number, line)
        found.setdefault(name[0], []).append(Metric(labels, float(sample["value"])))
    return found


def _labels(text: str) -> dict[str, str] | None:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        label = _LABEL.match(text, position)
        if label is None:
            return None
        labels[label["name"]] = re.sub(r"\\.", lambda escape: _ESCAPED[escape[0]], label["value"])
        position = label.end()
    return labels


def _malformed(number: int, line: str) -> ValueError:
    return ValueError(f"line {number} is not in Prometheus' text format: {line[:80]!r}")
