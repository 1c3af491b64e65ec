# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud's service catalog as a catalogue of endpoints that are probed. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._core.names import not_known
from ansible_collections.scs.observability.plugins.module_utils._manifests.blackbox_probes import CHOICES

# Of a name in the catalogue
LONGEST_NAME = 50
# APIs answer who has no token by a refusal, or by the list of their versions.
MODULE = "http_any"
# By them everybody logs in.
CRITICAL = ("identity",)
# Where a URL goes on with a project: its id, or a placeholder for it.
_OF_A_PROJECT = re.compile(
    r"(?:AUTH_.*|.*%\(.*\)s.*|.*\$\(.*\)s.*|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)


@dataclass(frozen=True)
class Wanted:
    """What of a catalog is wanted, and what its entries are given. Empty is everything, or nothing said."""

    interface: str = "public"
    regions: Collection[str] = ()
    services: Collection[str] = ()
    exclude: Collection[str] = ()
    critical: Collection[str] = CRITICAL
    owner: str = "csp"
    interval: str = ""
    prefix: str = ""


def entries(catalog: Sequence[Mapping[str, Any]], wanted: Wanted) -> list[dict[str, Any]]:
    """Return entries for observer_endpoints, by name. ``catalog`` is as Keystone has it.

    What two services have the same URL for is probed once. Raises InputError for what is wanted and not there.
    """
    _check(catalog, wanted)
    result: dict[str, dict[str, Any]] = {}
    urls: set[str] = set()
    for kind, region, url in sorted(_endpoints(catalog, wanted)):
        if url in urls:
            continue
        urls.add(url)
        name = _name(
            [wanted.prefix, region, kind, *([] if wanted.interface == "public" else [wanted.interface])], result
        )
        result[name] = {
            "name": name,
            "url": url,
            "module": MODULE,
            "criticality": "critical" if kind in wanted.critical else "warning",
            "owner": wanted.owner,
            "labels": {"service": kind},
            **({"region": region} if region else {}),
            **({"interval": wanted.interval} if wanted.interval else {}),
        }
    return [result[name] for name in sorted(result)]


def without_project(url: str) -> str:
    """The URL as it is the same for every project: what is probed belongs to none."""
    parts = urlsplit(url)
    kept: list[str] = []
    for segment in parts.path.split("/"):
        if _OF_A_PROJECT.fullmatch(segment):
            break
        kept.append(segment)
    return urlunsplit((parts.scheme, parts.netloc, "/".join(kept).rstrip("/"), "", ""))


def _endpoints(catalog: Sequence[Mapping[str, Any]], wanted: Wanted) -> Iterator[tuple[str, str, str]]:
    """Type of the service, region and URL of each that is wanted."""
    for service in catalog:
        kind = str(service.get("type"))
        if (wanted.services and kind not in wanted.services) or kind in wanted.exclude:
            continue
        for endpoint in service.get("endpoints") or ():
            region = _region(endpoint)
            is_wanted = not wanted.regions or region in wanted.regions
            # A service that is not reached by http is none to be probed by it.
            if endpoint.get("interface") == wanted.interface and is_wanted and _is_http(endpoint.get("url")):
                yield kind, region, without_project(str(endpoint["url"]))


def _check(catalog: Sequence[Mapping[str, Any]], wanted: Wanted) -> None:
    problems = Problems()
    kinds = {str(service.get("type")) for service in catalog}
    regions = {_region(endpoint) for service in catalog for endpoint in service.get("endpoints") or ()}
    # What is left out need not be there in each cloud.
    for parameter, given, known in (("services", wanted.services, kinds), ("regions", wanted.regions, regions)):
        for value in given:
            if value not in known:
                problems.found.append(
                    InputError(f"{not_known(value, sorted(known))}, as the catalog has them", parameter=parameter)
                )
    if wanted.owner not in CHOICES["owner"]:
        problems.found.append(InputError(not_known(wanted.owner, CHOICES["owner"]), parameter="owner"))
    problems.refuse()


def _region(endpoint: Mapping[str, Any]) -> str:
    return str(endpoint.get("region_id") or endpoint.get("region") or "")


def _is_http(url: Any) -> bool:
    try:
        parts = urlsplit(str(url or ""))
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _name(parts: Sequence[str], taken: Collection[str]) -> str:
    """A DNS label of the parts that no other entry has: several URLs of a service are counted."""
    text = re.sub(r"[^a-z0-9]+", "-", "-".join(part.lower() for part in parts if part)).strip("-")
    number, suffix = 1, ""
    while (name := text[: LONGEST_NAME - len(suffix)].rstrip("-") + suffix) in taken:
        number += 1
        suffix = f"-{number}"
    return name
