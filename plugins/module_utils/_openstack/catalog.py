# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cloud's S3 is, by its catalog. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import CloudError, InputError
from ansible_collections.scs.observability.plugins.module_utils._objstore import configuration
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import Endpoint
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Finding
from ansible_collections.scs.observability.plugins.module_utils._openstack import errors

# In this order: a store may have an entry of its own for S3.
S3, OBJECT_STORE = "s3", "object-store"
_WANTED = "find the cloud's S3"


def s3_url(
    catalog: Sequence[Mapping[str, Any]], keystone: str, interface: str = "public", region_name: str | None = None
) -> tuple[str, str]:
    """Return the type of the service and its URL. CloudError if there is none, InputError if there are several."""
    for kind in (S3, OBJECT_STORE):
        found = list(_urls(catalog, kind, interface, region_name))
        if len({url for _region, url in found}) > 1:
            regions = ", ".join(sorted({region for region, _url in found}))
            raise InputError(
                f"the catalog has S3 in several places ({regions})", parameter="region_name", advice="Say which"
            )
        if found:
            return kind, found[0][1]
    types = ", ".join(sorted({str(service.get("type")) for service in catalog})) or "nothing"
    where = f" in region {region_name}" if region_name else ""
    raise errors.failure(
        keystone,
        _WANTED,
        Finding(
            f"its catalog has no {interface} endpoint of {S3} or {OBJECT_STORE}{where}; it has {types}",
            "Check region_name and interface, ask whether the project has an object store, or give endpoint",
            "endpoint",
        ),
    )


def s3_endpoint(url: str, keystone: str) -> Endpoint:
    """Return scheme, host and port of a URL in the catalog. Raises CloudError."""
    try:
        parts = urlsplit(url)
        return configuration.endpoint(f"{parts.scheme}://{parts.netloc}")
    except (InputError, ValueError):
        raise errors.failure(
            keystone, _WANTED, Finding("the URL in its catalog is none of an S3 service", "Give endpoint", "endpoint")
        ) from None


def refuse_unusable_swift(url: str, endpoint: Endpoint, info: Mapping[str, Any], keystone: str) -> None:
    """Refuse a Swift that Thanos cannot use. ``info`` is what it tells of itself. Raises CloudError.

    Ceph tells much the same; its Swift is below a path of that name.
    """
    if "swift" not in info or "/swift/" in url:
        return
    if "s3api" not in info:
        finding = Finding(
            "the Swift there has no S3 interface (its /info does not list s3api)",
            "Have the cloud's operator add s3api and s3token to the proxy's pipeline, or use another store",
            "endpoint",
        )
    elif not endpoint.secure:
        finding = Finding(
            "the Swift there has no TLS, and without it uploads of Thanos fail",
            "Use an endpoint with https: another interface, or endpoint",
            "interface",
        )
    else:
        return
    raise _unusable(keystone, endpoint, finding)


def _unusable(keystone: str, endpoint: Endpoint, finding: Finding) -> CloudError:
    return errors.failure(keystone, f"use the cloud's S3 ({endpoint})", finding)


def _urls(
    catalog: Sequence[Mapping[str, Any]], kind: str, interface: str, region_name: str | None
) -> Iterator[tuple[str, str]]:
    for service in catalog:
        if service.get("type") != kind:
            continue
        for endpoint in service.get("endpoints", ()):
            region = str(endpoint.get("region_id") or endpoint.get("region") or "")
            if endpoint.get("interface") == interface and region_name in (None, "", region):
                yield region, str(endpoint.get("url", ""))
