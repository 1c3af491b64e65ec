# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a cloud's service catalog is probed, and that the catalogue of endpoints takes it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors
from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes
from ansible_collections.scs.observability.plugins.module_utils._openstack.endpoints import (
    Wanted,
    entries,
    without_project,
)

PROJECT = "0b2f9c1d3e4f4a5b8c7d6e5f4a3b2c1d"


def service(kind: str, url: str, *regions: str) -> dict[str, Any]:
    return {
        "type": kind,
        "name": kind,
        "endpoints": [
            {"interface": interface, "region": region, "region_id": region, "url": url.format(host=host, region=region)}
            for region in regions or ("RegionOne",)
            for interface, host in (("public", "api"), ("internal", "internal"), ("admin", "internal"))
        ],
    }


CATALOG = [
    service("identity", "https://{host}.{region}.example.org:5000", "RegionOne", "RegionTwo"),
    service("compute", "https://{host}.example.org:8774/v2.1"),
    service("volumev3", "https://{host}.example.org:8776/v3/" + PROJECT),
    service("block-storage", "https://{host}.example.org:8776/v3/" + PROJECT),
    service("object-store", "https://{host}.example.org:8080/swift/v1/AUTH_" + PROJECT),
    service("image", "https://{host}.example.org:9292/"),
    {"type": "messaging-websocket", "endpoints": [{"interface": "public", "url": "ws://api.example.org:9000"}]},
    {"type": "empty"},
]


def urls(wanted: Wanted) -> dict[str, str]:
    return {entry["name"]: entry["url"] for entry in entries(CATALOG, wanted)}


def test_each_service_of_a_region_is_probed_once_where_everybody_gets() -> None:
    assert urls(Wanted()) == {
        "regionone-block-storage": "https://api.example.org:8776/v3",
        "regionone-compute": "https://api.example.org:8774/v2.1",
        "regionone-identity": "https://api.RegionOne.example.org:5000",
        "regiontwo-identity": "https://api.RegionTwo.example.org:5000",
        "regionone-image": "https://api.example.org:9292",
        "regionone-object-store": "https://api.example.org:8080/swift/v1",
    }


def test_an_entry_says_where_it_is_from() -> None:
    (entry,) = entries(CATALOG, Wanted(services=["identity"], regions=["RegionTwo"], interval="15s", prefix="one"))
    assert entry == {
        "name": "one-regiontwo-identity",
        "url": "https://api.RegionTwo.example.org:5000",
        "module": "http_any",
        "criticality": "critical",
        "owner": "csp",
        "region": "RegionTwo",
        "interval": "15s",
        "labels": {"service": "identity"},
    }


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(services=["compute", "image"]), ["regionone-compute", "regionone-image"]),
        (Wanted(regions=["RegionTwo"]), ["regiontwo-identity"]),
        (Wanted(services=["image"], interface="internal"), ["regionone-image-internal"]),
        (
            Wanted(exclude=["identity", "object-store", "not-there"]),
            ["regionone-block-storage", "regionone-compute", "regionone-image"],
        ),
    ],
)
def test_what_is_wanted(wanted: Wanted, names: list[str]) -> None:
    assert list(urls(wanted)) == names


@pytest.mark.parametrize("interface", ["public", "internal", "admin"])
def test_the_catalogue_takes_all_of_it(interface: str) -> None:
    found = [*entries(CATALOG, Wanted(interface=interface)), *entries(CATALOG, Wanted(interface="public", prefix="b"))]
    found = [
        entry for number, entry in enumerate(found) if entry["url"] not in {item["url"] for item in found[:number]}
    ]
    assert blackbox_probes.read(found, {})[1] == []


def test_several_addresses_of_a_service_are_counted_and_long_names_are_cut() -> None:
    long = "r" * 60
    catalog = [
        {
            "type": "compute",
            "endpoints": [
                {"interface": "public", "region": long, "url": f"https://{host}.example.org"}
                for host in ("a", "b", "c")
            ],
        }
    ]
    found = entries(catalog, Wanted())
    assert {entry["name"]: entry["url"] for entry in found} == {
        "r" * 50: "https://a.example.org",
        "r" * 48 + "-2": "https://b.example.org",
        "r" * 48 + "-3": "https://c.example.org",
    }
    assert blackbox_probes.read(found, {})[1] == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a/v3", "https://a/v3"),
        ("https://a:8776/v3/%(tenant_id)s", "https://a:8776/v3"),
        ("https://a/v1/$(project_id)s/x", "https://a/v1"),
        ("https://a/v1/AUTH_%(project_id)s", "https://a/v1"),
        (f"https://a/v1/{PROJECT}", "https://a/v1"),
        ("https://a/v2/7d9b1c3e-0f4a-4b6c-8d2e-1f3a5b7c9d0e/", "https://a/v2"),
        ("https://a/share/v2/", "https://a/share/v2"),
        ("https://a?x=1#y", "https://a"),
    ],
)
def test_what_is_probed_belongs_to_no_project(url: str, expected: str) -> None:
    assert without_project(url) == expected


def test_what_is_wanted_and_not_there_is_told() -> None:
    with pytest.raises(InputErrors) as caught:
        entries(CATALOG, Wanted(services=["imagee"], regions=["RegionThree"], owner="me"))
    assert [error.parameter for error in caught.value.errors] == ["services", "regions", "owner"]
    with pytest.raises(InputError, match="image"):
        entries(CATALOG, Wanted(services=["imagee"]))
