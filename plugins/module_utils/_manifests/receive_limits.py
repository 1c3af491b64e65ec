# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What receive takes of one cluster, so that one that goes wild does not cost the others theirs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

with suppress(ImportError):  # reported where kubeconfigs are read, before anything gets here
    import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_label,
    is_http_url,
    quantity,
    quantity_number,
)

# What an agent sends at once (max_samples_per_send). It drops what is too much for receive (413).
SENT_AT_ONCE = 2000
SMALLEST_REQUEST = 1024**2


@dataclass(frozen=True)
class Limits:
    """Zero is no limit.

    ``series`` are those that a cluster may have at once, ``clusters`` other numbers by name, ``metrics_url`` is a
    Prometheus that knows how many each has. ``request_series``, ``request_samples`` and ``request_bytes``
    (decompressed) are of one request.
    """

    series: int = 0
    clusters: Mapping[str, int] = field(default_factory=dict)
    metrics_url: str = ""
    request_series: int = 0
    request_samples: int = 0
    request_bytes: int = 0

    @property
    def counts_series(self) -> bool:
        return bool(self.series or any(self.clusters.values()))


def limits_of(given: Mapping[str, Any], namespace: str) -> Limits:
    """Read the parameter; InputError lists all that is wrong with it. ``namespace`` is the observer's."""
    problems: list[str] = []

    def number(name: str, value: object, least: int = 1) -> int:
        if value is None or value == 0:
            return 0
        # Ansible hands on what is in a dictionary as it is: a template's number may be a text.
        text = str(value)
        if isinstance(value, bool) or not text.isdecimal():
            problems.append(f"{name}: {value!r} is not a number")
            return 0
        if 0 < int(text) < least:
            problems.append(f"{name}: an agent sends {least} at once, and drops what is refused as too much")
        return int(text)

    clusters = {}
    for name, value in (given.get("clusters") or {}).items():
        try:
            dns_label(name, "clusters")
        except InputError as error:
            problems.append(str(error))
        clusters[str(name)] = number(f"clusters.{name}", value)
    size = 0
    if given.get("request_bytes"):
        try:
            size = int(quantity_number(quantity(given["request_bytes"], "request_bytes")))
        except InputError as error:
            problems.append(str(error))
        else:
            if 0 < size < SMALLEST_REQUEST:
                problems.append("request_bytes: at least 1Mi, or agents could not send what they have")
    limits = Limits(
        series=number("series", given.get("series")),
        clusters=clusters,
        metrics_url=given.get("metrics_url") or f"http://prometheus.{namespace}.svc:9090",
        request_series=number("request_series", given.get("request_series"), SENT_AT_ONCE),
        request_samples=number("request_samples", given.get("request_samples"), SENT_AT_ONCE),
        request_bytes=size,
    )
    if not is_http_url(limits.metrics_url):
        problems.append("metrics_url: is not an http or https URL without credentials")
    if problems:
        raise InputError("; ".join(problems), parameter="limits", advice="For example {series: 200000}")
    return limits


def configuration(limits: Limits) -> str:
    """Receive's file of limits; empty when there are none."""
    request = {
        "series_limit": limits.request_series,
        "samples_limit": limits.request_samples,
        "size_bytes_limit": limits.request_bytes,
    }
    default = {
        "request": {name: value for name, value in request.items() if value},
        "head_series_limit": limits.series,
    }
    write = {
        "global": {"meta_monitoring_url": limits.metrics_url} if limits.counts_series else {},
        "default": {name: value for name, value in default.items() if value},
        "tenants": {name: {"head_series_limit": value} for name, value in sorted(limits.clusters.items())},
    }
    if not write["default"] and not write["tenants"]:
        return ""
    return str(yaml.safe_dump({"write": {name: value for name, value in write.items() if value}}, sort_keys=True))
