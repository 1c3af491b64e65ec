# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards that come along are what is generated, and Grafana can tell their parts apart."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import grafana
from dev import dashboards
from tests.unit.repository.test_alerts import nobodys

FILES = dashboards.files()
# Those that Grafana itself replaces
BUILT_IN = {"__rate_interval", "__range", "datasource"}


def of(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILES[name])
    return content


def test_they_are_those_that_are_generated() -> None:
    committed = {path.name: path.read_text() for path in dashboards.FOLDER.glob("*")}
    assert committed == FILES, "run dev/dashboards.py"


def test_each_has_a_name_of_its_own_that_none_of_an_operators_can_have() -> None:
    found = [of(name) for name in FILES]
    assert len({item["uid"] for item in found}) == len({item["title"] for item in found}) == len(found)
    assert all(item["uid"].startswith(grafana.UID_PREFIX) for item in found)


def test_no_cluster_is_taken_for_the_observer() -> None:
    """Of those that ask Thanos; what Prometheus answers it has scraped itself."""
    sources = {name: of(name)["templating"]["list"][0]["current"]["value"] for name in FILES}
    assert [name for name, source in sources.items() if source != "prometheus"] == ["kaas-clusters.json"]
    dashboard = of("kaas-clusters.json")
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [variable["query"]["query"] for variable in dashboard["templating"]["list"][1:]]
    chosen = [re.sub(r", (?:customer|sla)\)$", ")", expr) for expr in asked]
    assert [found for expr in chosen for found in nobodys(expr)] == []


@pytest.mark.parametrize("name", FILES)
class TestDashboard:
    def test_it_is_made_to_be_provisioned(self, name: str) -> None:
        # The database gives the number; with one of our own it would take another dashboard's.
        assert "id" not in of(name)
        assert len(FILES[name].encode()) < grafana.LARGEST

    def test_panels_have_numbers_and_places_of_their_own(self, name: str) -> None:
        panels = of(name)["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= dashboards.WIDTH
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            taken |= cells

    def test_every_question_goes_to_the_chosen_source_under_a_letter_of_its_own(self, name: str) -> None:
        for panel in of(name)["panels"]:
            if panel["type"] != "row":
                letters = [target["refId"] for target in panel["targets"]]
                assert letters
                assert len(set(letters)) == len(letters)
                assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}

    def test_variables_are_those_of_the_dashboard(self, name: str) -> None:
        variables = of(name)["templating"]["list"]
        used = set(re.findall(r"\$\{?(\w+)", json.dumps([of(name)["panels"], variables])))
        assert used - BUILT_IN - {"__all"} <= {variable["name"] for variable in variables}

    def test_all_is_an_expression_and_no_list_of_thousands(self, name: str) -> None:
        for variable in of(name)["templating"]["list"]:
            if variable["type"] == "query":
                assert (variable["allValue"], variable["multi"]) == (".*", False)
        # What is chosen is an expression, so it must be compared as one.
        for expr in re.findall(r'"expr": "(.*)"', FILES[name]):
            assert re.findall(r'[^~]\\"\$', expr) == []
