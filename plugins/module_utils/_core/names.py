# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that end up in names, manifests and command lines: checked before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError

SMALLEST_VOLUME = 2**20

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
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
# A container's resources: those that Kubernetes knows, of which some are given as a whole, and others with a domain.
_RESOURCE = re.compile(
    rf"cpu|memory|ephemeral-storage|(?P<whole>hugepages-[0-9]+[KMG]i|{_DNS_SUBDOMAIN.pattern}/[A-Za-z0-9][A-Za-z0-9_.-]{{0,62}})"
)
# Thanos and Prometheus count nanoseconds with 64 bits.
_LONGEST = (2**63 - 1) / 1e9
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


def dns_subdomain(value: object, parameter: str) -> str:
    """Return DNS labels with dots between them, as most of Kubernetes' names are; at most 253 characters."""
    if not isinstance(value, str) or not _DNS_SUBDOMAIN.fullmatch(value) or len(value) > 253:
        raise InputError(
            f"{value!r} is not a name as Kubernetes has them",
            parameter=parameter,
            advice="Use at most 253 characters of a-z, 0-9, '-' and '.', with a letter or digit at both ends",
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
    digits = text.rstrip("numkKMGTPEi") if not re.search(r"[eE][+-]?[0-9]", text) else text
    return float(digits) * _UNITS[text[len(digits) :]]


def volume_size(value: object, parameter: str) -> str:
    """Return the size of a volume, a quantity of bytes."""
    text = quantity(value, parameter)
    if quantity_number(text) < SMALLEST_VOLUME:
        raise InputError(f"{text} is too small for a volume", parameter=parameter, advice="Use for example 10Gi")
    return text


def resources(given: Mapping[str, Any], parameter: str) -> dict[str, dict[str, str]]:
    """Return the requests and limits of a container, refusing what Kubernetes would refuse."""
    unknown = sorted(map(str, set(given) - {"requests", "limits"}))
    if unknown:
        raise InputError(f"{', '.join(unknown)} is neither requests nor limits", parameter=parameter)
    result: dict[str, dict[str, str]] = {}
    for what, amounts in given.items():
        if not isinstance(amounts, Mapping):
            raise InputError("must be a dictionary of quantities", parameter=f"{parameter}.{what}")
        for name in amounts:
            if not _RESOURCE.fullmatch(str(name)):
                raise InputError(
                    f"{name!r} is not a resource of containers",
                    parameter=f"{parameter}.{what}",
                    advice="They are cpu, memory, ephemeral-storage, hugepages-2Mi, and others with a domain",
                )
        result[what] = {name: quantity(value, f"{parameter}.{what}.{name}") for name, value in amounts.items()}
    limits = result.get("limits", {})
    for name, request in result.get("requests", {}).items():
        match = _RESOURCE.fullmatch(name)
        if match and match["whole"] and name not in limits:
            raise InputError("needs a limit of the same amount", parameter=f"{parameter}.requests.{name}")
        if name in limits and quantity_number(request) > quantity_number(limits[name]):
            raise InputError(
                f"{request} is more than the limit, which is {limits[name]}", parameter=f"{parameter}.requests.{name}"
            )
    return result


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
    seconds = sum(int(count) * _SECONDS[unit] for unit, count in match.groupdict().items() if count)
    if seconds > _LONGEST:
        raise InputError(f"{value!r} is too long", parameter=parameter, advice="At most 292 years can be told")
    return seconds


def is_http_url(value: str) -> bool:
    """Tell whether a text is an http or https URL without credentials, which would be seen where it is used."""
    try:
        url = urlsplit(value)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:
        return False
    return valid and not any(character.isspace() for character in value)


def is_address(value: str) -> bool:
    """Tell whether a text is an IP address, of either version."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def nearest(value: object, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, empty when none is near."""
    return next(iter(get_close_matches(str(value), list(known), n=1)), "")


def did_you_mean(value: object, known: Iterable[str], otherwise: str) -> str:
    """Ask whether the known name that is nearest was meant; say what is to be said otherwise when none is near."""
    near = nearest(value, known)
    return f"Did you mean {near}?" if near else otherwise


def not_known(value: object, known: Iterable[str]) -> str:
    """Say that a name is none of the known ones, and which of them was probably meant."""
    names = sorted(known)
    near = nearest(value, names)
    return f"{value!r} is not known; " + (f"did you mean {near}?" if near else f"known are {', '.join(names)}")
