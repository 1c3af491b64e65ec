# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters over the catalogue of endpoints agree on what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.endpoint_modules import endpoint_modules
from ansible_collections.scs.observability.plugins.filter.endpoint_probes import endpoint_probes
from ansible_collections.scs.observability.plugins.filter.endpoint_problems import endpoint_problems

CATALOGUE = [
    {"name": "identity", "url": "https://identity.example.org"},
    {"name": "name-server", "url": "dns://192.0.2.53/example.org"},
]


def test_every_module_that_is_asked_for_is_there() -> None:
    asked = {probe["spec"]["module"] for probe in endpoint_probes(CATALOGUE)}
    assert asked <= set(endpoint_modules(CATALOGUE))
    assert endpoint_problems(CATALOGUE) == []


def test_an_empty_catalogue_is_one() -> None:
    assert (endpoint_probes([]), endpoint_problems([])) == ([], [])


@pytest.mark.parametrize("wrong", ["identity", None, [{"name": "identity"}, {"url": "https://host"}]])
def test_all_problems_are_in_the_failure(wrong: Any) -> None:
    problems = endpoint_problems(wrong)
    assert problems
    for filter_ in (endpoint_probes, endpoint_modules):
        with pytest.raises(AnsibleFilterError) as caught:
            filter_(wrong)
        assert all(problem in str(caught.value) for problem in problems)


def test_own_modules_and_authorities_are_looked_at() -> None:
    problems = endpoint_problems(CATALOGUE, {"own": {"prober": "htp"}}, "nothing")
    assert [problem.partition(":")[0] for problem in problems] == [
        "observer_blackbox_exporter_modules.own",
        "observer_endpoints_ca",
    ]


def test_the_catalogue_of_the_example_is_in_order() -> None:
    inventory = Path(__file__).resolve().parents[3] / "inventories" / "example" / "group_vars" / "observer.yml"
    catalogue = yaml.safe_load(inventory.read_text())["observer_endpoints"]
    assert catalogue
    assert endpoint_problems(catalogue) == []
