# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which component asks which: where a query would come back to where it came from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_PREFIX = re.compile(r"(dns\+|dnssrv\+|dnssrvnoa\+)?(https?://)?(_[a-z0-9-]+\._tcp\.)?")


def host_of(endpoint: str) -> str:
    """Return the host of an endpoint, without how it is looked up and how it is asked."""
    return _PREFIX.sub("", endpoint, count=1).partition("/")[0].partition(":")[0].rstrip(".")


def service_of(endpoint: str, namespace: str) -> str | None:
    """Return the name of the Service of this namespace that an endpoint leads to, None for everything else.

    The headless Service of a component stands for the component.
    """
    name, *domain = host_of(endpoint).split(".")
    # Pods find a Service by its name alone, with its namespace, with svc, or with the cluster's domain.
    elsewhere = (domain and domain[0] != namespace) or domain[1:2] not in ([], ["svc"])
    if elsewhere or name.isdigit() or not re.fullmatch("[a-z0-9-]+", name):
        return None
    return name.removesuffix("-headless")


def services_of(endpoints: Iterable[str], namespace: str) -> list[str]:
    """Return the names of the Services of this namespace that endpoints lead to."""
    found = (service_of(endpoint, namespace) for endpoint in endpoints)
    return [name for name in found if name]


def circle(reads: Mapping[str, Sequence[str]], start: str) -> list[str]:
    """Return the names on a way from ``start`` back to it, empty when there is none."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for name in reads.get(way[-1], ()):
            if name == start:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []
