# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that end up in names, manifests and command lines: checked before anything is touched."""

from __future__ import annotations

import re

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?")
_UNITS = {
    "": 1.0,
    **{unit: 1000.0**power for power, unit in enumerate("num", -3)},
    **{unit: 1000.0**power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)},
}
# Prometheus' and Thanos' notation: units at most once each, from the largest to the smallest.
_DURATION = re.compile(
    r"((?P<y>[0-9]+)y)?((?P<w>[0-9]+)w)?((?P<d>[0-9]+)d)?((?P<h>[0-9]+)h)?((?P<m>[0-9]+)m)?((?P<s>[0-9]+)s)?((?P<ms>[0-9]+)ms)?"
)
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_SECONDS = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def dns_label(value: object, parameter: str) -> str:
    """Return a label as RFC 1123 has it: 1 to 63 of a-z, 0-9 and '-', not '-' at either end."""
    if value is None or value == "":
        raise InputError("is required and must not be empty", parameter=parameter)
    if not isinstance(value, str) or not _DNS_LABEL.fullmatch(value):
        raise InputError(
            f"{value!r} is not a DNS label",
            parameter=parameter,
            advice="Use 1 to 63 characters of a-z, 0-9 and '-', with a letter or digit at both ends",
        )
    return value


def quantity(value: object, parameter: str) -> str:
    """Return a quantity in Kubernetes' notation, such as 500m, 2, 10Gi or 1e3; not negative."""
    text = "" if value is None or isinstance(value, bool) else str(value)
    if not _QUANTITY.fullmatch(text):
        raise InputError(
            f"{value!r} is not a quantity", parameter=parameter, advice="Use for example 500m, 2, 512Mi or 10Gi"
        )
    return text


def quantity_number(value: object) -> float:
    """Return what a quantity that has been checked amounts to, for example 500m -> 0.5, 1Ki -> 1024."""
    text = str(value)
    digits = text.rstrip("numkMGTPEi") if not re.search(r"[eE][+-]?[0-9]", text) else text
    return float(digits) * _UNITS[text[len(digits) :]]


def image_reference(value: object, parameter: str) -> str:
    """Return a reference to a container image, with or without registry, tag and digest."""
    if not isinstance(value, str) or not _IMAGE.fullmatch(value):
        raise InputError(
            f"{value!r} is not an image reference",
            parameter=parameter,
            advice="Use for example quay.io/prometheus/prometheus:v3.5.0",
        )
    return value


def duration(value: object, parameter: str) -> str:
    """Return a duration in Prometheus' notation, such as 30s, 1h30m or 15d; "0" is one too."""
    duration_seconds(value, parameter)
    return str(value)


def duration_seconds(value: object, parameter: str) -> float:
    """Return the seconds of a duration in Prometheus' notation."""
    text = "" if value is None or isinstance(value, bool) else str(value)
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise InputError(
            f"{value!r} is not a duration", parameter=parameter, advice="Use for example 30s, 5m, 1h30m or 15d"
        )
    return sum(int(count) * _SECONDS[unit] for unit, count in match.groupdict().items() if count)
