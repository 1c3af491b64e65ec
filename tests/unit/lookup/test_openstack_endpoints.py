# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookup asks a cloud for, and what of its options goes where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.scs.observability.plugins.lookup import openstack_endpoints
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._openstack.login import Login

CATALOG = [
    {
        "type": kind,
        "endpoints": [
            {"interface": interface, "region_id": region, "url": f"https://{kind}.{region}.{interface}.example.org"}
            for region in ("north", "south")
            for interface in ("public", "internal")
        ],
    }
    for kind in ("identity", "compute")
]


class Cloud:
    """A login as far as the lookup looks at it."""

    def __init__(self, login: Login) -> None:
        self.interface = login.interface or "public"
        self.region_name = login.region_name

    def catalog(self) -> Sequence[Mapping[str, Any]]:
        return CATALOG


def names(**options: Any) -> list[str]:
    @contextmanager
    def log_in(login: Login) -> Iterator[Cloud]:
        assert login.cloud == "provider"
        yield Cloud(login)

    return [entry["name"] for entry in openstack_endpoints.endpoints({"cloud": "provider", **options}, log_in)]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ["north-compute", "north-identity", "south-compute", "south-identity"]),
        ({"region_name": "south"}, ["south-compute", "south-identity"]),
        # What is said of regions here is meant, whatever the login is for.
        ({"region_name": "south", "regions": ["north"]}, ["north-compute", "north-identity"]),
        ({"services": ["identity"], "prefix": "one"}, ["one-north-identity", "one-south-identity"]),
        ({"exclude": ["compute"], "interface": "internal"}, ["north-identity-internal", "south-identity-internal"]),
    ],
)
def test_options(options: dict[str, Any], found: list[str]) -> None:
    assert names(**options) == found


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="services: 'dns'"):
        names(services=["dns"])


def test_an_error_is_one_of_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_options: Mapping[str, Any]) -> list[dict[str, Any]]:
        raise InputError("is none", parameter="regions")

    lookup = openstack_endpoints.LookupModule()
    monkeypatch.setattr(openstack_endpoints, "endpoints", refused)
    monkeypatch.setattr(lookup, "set_options", lambda **_options: None)
    monkeypatch.setattr(lookup, "get_options", dict)
    with pytest.raises(AnsibleError, match="regions: is none"):
        lookup.run([])
