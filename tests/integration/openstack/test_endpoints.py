# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup openstack_endpoints against a real Keystone: its catalog, as what is probed."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from ansible_collections.scs.observability.plugins.lookup.openstack_endpoints import endpoints as look_up
from ansible_collections.scs.observability.plugins.module_utils._core.errors import CloudError, InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes
from tests.integration.openstack_servers import CATALOG_REGION, MEMBER_PASSWORD, OpenStack

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::Warning:openstack")


def endpoints(cloud: OpenStack, **changes: Any) -> list[dict[str, Any]]:
    return look_up({"auth": cloud.auth(), "cacert": str(cloud.ca), **changes})


def status(url: str, cloud: OpenStack) -> int:
    """What it answers to who has no token."""
    try:
        with urlopen(url, timeout=30, context=ssl.create_default_context(cafile=cloud.ca)) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def test_what_a_cloud_says_of_itself_is_probed(openstack_cloud: OpenStack) -> None:
    found = endpoints(openstack_cloud, interval="15s", prefix="lab")
    assert [(entry["name"], entry["url"], entry["criticality"]) for entry in found] == [
        ("lab-regionone-identity", f"{openstack_cloud.keystone}/v3", "critical"),
        ("lab-regionone-object-store", f"{openstack_cloud.swift}/v1", "warning"),
    ]
    assert {entry["region"] for entry in found} == {CATALOG_REGION}
    assert blackbox_probes.read(found, {})[1] == []
    # As the module http_any takes it
    assert [
        status(entry["url"], openstack_cloud) for entry in found if status(entry["url"], openstack_cloud) >= 500
    ] == []


def test_what_is_wanted_of_it(openstack_cloud: OpenStack) -> None:
    (only,) = endpoints(
        openstack_cloud, services=["object-store"], region_name=CATALOG_REGION, critical=["object-store"]
    )
    assert (only["name"], only["criticality"]) == ("regionone-object-store", "critical")
    with pytest.raises(InputError, match="services: 'dns'"):
        endpoints(openstack_cloud, services=["dns"])


def test_a_login_that_is_refused_is_told_without_its_secrets(openstack_cloud: OpenStack) -> None:
    with pytest.raises(CloudError) as caught:
        endpoints(openstack_cloud, auth={**openstack_cloud.auth(), "password": f"{MEMBER_PASSWORD}x"})
    assert openstack_cloud.keystone in str(caught.value)
    assert MEMBER_PASSWORD not in str(caught.value)
