# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import CloudError, InputError
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import Endpoint
from ansible_collections.scs.observability.plugins.module_utils._openstack import catalog

KEYSTONE = "https://keystone.example.com/v3"


def service(kind: str, *endpoints: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "name": kind,
        "endpoints": [{"interface": who, "region_id": where, "url": url} for who, where, url in endpoints],
    }


SWIFT = service(
    "object-store",
    ("public", "One", "https://swift.example.com:8080/v1/AUTH_1"),
    ("internal", "One", "http://192.0.2.1:8080/v1/AUTH_1"),
)
S3 = service("s3", ("public", "One", "https://s3.example.com"))
ELSEWHERE = service("s3", ("public", "Two", "https://s3.two.example.com"))
COMPUTE = service("compute", ("public", "One", "https://nova.example.com"))


@pytest.mark.parametrize(
    ("services", "asked", "found"),
    [
        ([COMPUTE, SWIFT], {}, ("object-store", "https://swift.example.com:8080/v1/AUTH_1")),
        ([COMPUTE, SWIFT, S3], {}, ("s3", "https://s3.example.com")),
        ([SWIFT], {"interface": "internal"}, ("object-store", "http://192.0.2.1:8080/v1/AUTH_1")),
        ([S3, ELSEWHERE], {"region_name": "Two"}, ("s3", "https://s3.two.example.com")),
        # The same place twice is one place.
        ([S3, S3], {}, ("s3", "https://s3.example.com")),
        # Where there is no S3 of that name, Swift may have it.
        ([ELSEWHERE, SWIFT], {"region_name": "One"}, ("object-store", "https://swift.example.com:8080/v1/AUTH_1")),
    ],
)
def test_where_s3_is(services: list[Any], asked: dict[str, str], found: tuple[str, str]) -> None:
    assert catalog.s3_url(services, KEYSTONE, **asked) == found


def test_several_places_are_not_guessed_between() -> None:
    with pytest.raises(InputError, match=r"One, Two") as error:
        catalog.s3_url([S3, ELSEWHERE], KEYSTONE)
    assert error.value.parameter == "region_name"


@pytest.mark.parametrize(
    ("services", "asked", "said"),
    [
        ([], {}, "it has nothing"),
        ([COMPUTE], {}, "no public endpoint of s3 or object-store; it has compute"),
        ([S3], {"region_name": "Three"}, "in region Three; it has s3"),
        ([S3], {"interface": "admin"}, "no admin endpoint"),
    ],
)
def test_no_s3(services: list[Any], asked: dict[str, str], said: str) -> None:
    with pytest.raises(CloudError) as error:
        catalog.s3_url(services, KEYSTONE, **asked)
    assert said in str(error.value)
    assert error.value.result()["cloud"] == KEYSTONE


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://swift.example.com:8080/v1/AUTH_1", Endpoint("https", "swift.example.com:8080")),
        ("https://rgw.example.com/swift/v1/AUTH_1", Endpoint("https", "rgw.example.com")),
        ("http://[2001:db8::1]:6780/swift/v1", Endpoint("http", "[2001:db8::1]:6780")),
    ],
)
def test_an_endpoint_is_scheme_host_and_port(url: str, endpoint: Endpoint) -> None:
    assert catalog.s3_endpoint(url, KEYSTONE) == endpoint


@pytest.mark.parametrize("url", ["", "swift.example.com", "https://", "https://user:pass@host/", "https://[no"])
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(CloudError) as error:
        catalog.s3_endpoint(url, KEYSTONE)
    assert "pass" not in str(error.value)


TLS, PLAIN = Endpoint("https", "swift.example.com"), Endpoint("http", "swift.example.com")


@pytest.mark.parametrize(
    ("url", "endpoint", "info", "said"),
    [
        ("https://swift.example.com/v1/AUTH_1", TLS, {"swift": {}, "s3api": {}}, None),
        ("https://swift.example.com/v1/AUTH_1", TLS, {"swift": {}}, "does not list s3api"),
        ("http://swift.example.com/v1/AUTH_1", PLAIN, {"swift": {}, "s3api": {}}, "has no TLS"),
        # Nothing is known of others.
        ("http://swift.example.com/v1/AUTH_1", PLAIN, {}, None),
        # Ceph
        ("http://swift.example.com/swift/v1/AUTH_1", PLAIN, {"swift": {}}, None),
    ],
)
def test_swift(url: str, endpoint: Endpoint, info: dict[str, Any], said: str | None) -> None:
    if said is None:
        catalog.refuse_unusable_swift(url, endpoint, info, KEYSTONE)
        return
    with pytest.raises(CloudError, match=said):
        catalog.refuse_unusable_swift(url, endpoint, info, KEYSTONE)
