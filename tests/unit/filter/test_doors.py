# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters about doors and images make of their input; what it means is tested below them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.default_image import FilterModule as DefaultImage
from ansible_collections.scs.observability.plugins.filter.network_policies import FilterModule as NetworkPolicies
from ansible_collections.scs.observability.plugins.filter.web_problems import FilterModule as WebProblems
from ansible_collections.scs.observability.plugins.module_utils._manifests import images

default_image = DefaultImage().filters()["default_image"]
network_policies = NetworkPolicies().filters()["network_policies"]
web_problems = WebProblems().filters()["web_problems"]


def test_images_are_found_by_the_name_of_the_program() -> None:
    assert default_image("haproxy") == images.HAPROXY
    assert default_image("prometheus_operator") == images.PROMETHEUS_OPERATOR


@pytest.mark.parametrize("program", ["HAPROXY", "annotations", "", None])
def test_a_program_that_is_not_deployed_has_no_image(program: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"is none of the programs, which are .*haproxy"):
        default_image(program)


def ports(policies: list[dict[str, Any]], name: str) -> set[int]:
    (policy,) = [item for item in policies if item["metadata"]["name"] == name]
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", [])}


@pytest.mark.parametrize(
    ("storage", "port"),
    [
        ("https://s3.example.org", 443),
        ("http://s3.example.org", 80),
        ("http://s3.example.org:7070/path", 7070),
        ("https://[2001:db8::1]:9000", 9000),
    ],
)
def test_the_port_of_the_object_storage_is_that_of_its_url(storage: str, port: int) -> None:
    assert ports(network_policies([], egress=True, storage=storage), "thanos-compact") == {53, port}


def test_only_parts_of_the_observer_are_known() -> None:
    with pytest.raises(AnsibleFilterError, match="thanos-qurey is no part"):
        network_policies(["thanos-qurey"])


def test_problems_of_one_and_of_all_observers_are_said_together() -> None:
    asked = {"observer_web_enabled": True, "observer_web_users": []}
    found = web_problems(asked, {"o1": {}, "o2": {"observer_node_exporter_port": 19101}})
    assert [text.partition(":")[0] for text in found] == [
        "observer_web_hostnames",
        "observer_web_users",
        "observer_namespace",
    ]


@pytest.mark.parametrize("given", [None, [], "observer_web_enabled", 1])
def test_something_else_than_variables_is_refused(given: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="takes a dictionary"):
        web_problems(given)
