# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Alertmanager makes of it is in tests/integration/alertmanager."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_configuration import (
    configuration,
    files,
)

RECEIVERS = [
    {"name": "oncall", "type": "webhook", "url": "https://pager.example.com"},
    {"name": "tickets", "type": "email", "to": ["a@example.com", "b@example.com"]},
]
TWO = {"receivers": RECEIVERS, "page_receivers": ["oncall"], "ticket_receivers": ["tickets"]}
ONE = {"receivers": RECEIVERS}


def receiver(**given: Any) -> dict[str, Any]:
    (found,) = configuration({"receivers": [{"name": "x", **given}]})["receivers"][1:]
    (settings,) = next(value for key, value in found.items() if key != "name")
    return dict(settings)


def given_routes(data: dict[str, Any], **route: Any) -> list[tuple[str, list[str], bool]]:
    """Receiver, matchers and whether others follow, of what becomes of one route of the inventory."""
    without = configuration(data)["route"]["routes"]
    routes = configuration({**data, "routes": [route]})["route"]["routes"]
    own = routes[: len(routes) - len(without)]
    return [(item["receiver"], item.get("matchers", []), item.get("continue", False)) for item in own]


NOT_THEIRS = 'owner!="customer"'
ROUTES: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, list[str], bool]]]] = [
    (TWO, {"sla": "gold", "receivers": "tickets"}, [("tickets", ['sla="gold"'], False)]),
    (TWO, {"sla": "gold", "receivers": []}, [("nobody", ['sla="gold"'], False)]),
    (TWO, {"sla": "gold", "receivers": ["oncall"]}, [("oncall", ['sla="gold"', NOT_THEIRS], False)]),
    # The last one ends the way of an alert, so it is one that every alert comes to.
    (
        TWO,
        {"sla": "gold", "receivers": ["tickets", "oncall"]},
        [("oncall", ['sla="gold"', NOT_THEIRS], True), ("tickets", ['sla="gold"'], False)],
    ),
    (
        TWO,
        {"owner": "csp", "receivers": ["tickets", "oncall"], "continue": True},
        [("oncall", ['owner="csp"'], True), ("tickets", ['owner="csp"'], True)],
    ),
    # Who gets tickets, too, is told of the customer's.
    (ONE, {"sla": "gold", "receivers": ["oncall"]}, [("oncall", ['sla="gold"'], False)]),
    (TWO, {"sla": ["a.b", "c"], "receivers": ["tickets"]}, [("tickets", ['sla=~"a\\\\.b|c"'], False)]),
    (TWO, {"customer": 'say "x"', "receivers": ["tickets"]}, [("tickets", ['customer="say \\"x\\""'], False)]),
]


@pytest.mark.parametrize(("data", "route", "wanted"), ROUTES)
def test_a_route_of_the_inventory(
    data: dict[str, Any], route: dict[str, Any], wanted: list[tuple[str, list[str], bool]]
) -> None:
    assert given_routes(data, **route) == wanted


def test_the_order_of_routes() -> None:
    data = {
        **TWO,
        "receivers": [*RECEIVERS, {"name": "beat", "type": "webhook", "url": "https://beat.example.com"}],
        "heartbeat_receivers": {"ObserverWatchdog": "beat"},
        "routes": [{"sla": "gold", "receivers": ["tickets"], "group_wait": "5s"}],
        "sla_hours": {"bronze": "working-hours"},
        "extra_configuration": {"route": {"routes": [{"receiver": "oncall", "matchers": ['theirs="x"']}]}},
    }
    routes = configuration(data)["route"]["routes"]
    assert [(route["receiver"], (route.get("matchers") or [""])[-1]) for route in routes] == [
        ("beat", 'severity="none"'),
        ("tickets", 'sla="gold"'),
        ("oncall", 'theirs="x"'),
        ("nobody", 'severity=~"info|none"'),
        ("oncall", 'sla="bronze"'),
        ("oncall", NOT_THEIRS),
        ("tickets", ""),
    ]
    assert [route.get("active_time_intervals") for route in routes[-3:]] == [["working-hours"], None, ["working-hours"]]
    assert routes[1]["group_wait"] == "5s"


def test_the_end_of_an_alert_is_told_but_to_who_waits_for_the_switch() -> None:
    data = {"receivers": RECEIVERS, "heartbeat_receivers": {"ObserverWatchdog": "oncall"}}
    _nobody, oncall, tickets = configuration(data)["receivers"]
    assert oncall["webhook_configs"][0]["send_resolved"] is False
    assert tickets["email_configs"][0]["send_resolved"] is True
    assert receiver(type="email", to="a@example.com", send_resolved=False)["send_resolved"] is False


def test_how_a_receiver_is_reached() -> None:
    url = "https://bridge.example.com/alerts?secret=x"
    assert receiver(type="matrix", url=url, token="t", ca="CA", max_alerts=5) == {
        "send_resolved": True,
        "url": url,
        "max_alerts": 5,
        "http_config": {"authorization": {"credentials": "t"}, "tls_config": {"ca": "CA"}},
    }
    basic = receiver(type="slack", url=url, channel="#a", username="u", password="p")
    assert (basic["api_url"], basic["channel"]) == (url, "#a")
    assert basic["http_config"] == {"basic_auth": {"username": "u", "password": "p"}}
    assert receiver(type="email", to=["a@b", "c@d"], **{"from": "e@f"})["to"] == "a@b, c@d"


def test_intervals_have_the_time_zone_unless_they_have_one() -> None:
    data = {
        "time_zone": "Europe/Berlin",
        "time_intervals": [{"name": "x", "time_intervals": [{"years": ["2026"], "location": "UTC"}]}],
    }
    hours, given = configuration(data)["time_intervals"]
    assert [item["location"] for item in hours["time_intervals"]] == ["Europe/Berlin"]
    assert given == {"name": "x", "time_intervals": [{"years": ["2026"], "location": "UTC"}]}


def test_mail_is_there_when_there_is_a_server() -> None:
    assert configuration({"smtp_from": "a@b"})["global"] == {}
    data = {"smtp_smarthost": "a:25", "smtp_ca": "CA", "extra_configuration": {"global": {"resolve_timeout": "1m"}}}
    assert configuration(data)["global"] == {
        "smtp_smarthost": "a:25",
        "smtp_require_tls": True,
        "smtp_tls_config": {"ca": "CA"},
        "resolve_timeout": "1m",
    }


def test_files_are_read_in_an_order_in_which_the_operators_win() -> None:
    data = {
        "templates": {"scs.tmpl": "ours"},
        "extra_templates": {"b.tmpl": "b", "a.tmpl": "a"},
        "dashboard_url": "https://grafana.example.com/d/x?var-cluster={cluster}&kiosk",
    }
    found = files(data, "/etc/x")
    content = yaml.safe_load(found.pop("alertmanager.yaml"))
    assert content["templates"] == [f"/etc/x/{name}.tmpl" for name in ("scs", "links", "a", "b")]
    links = found.pop("links.tmpl")
    assert "https://grafana.example.com/d/x?var-cluster={{ . | urlquery }}&kiosk" in links
    assert found == {"scs.tmpl": "ours", "a.tmpl": "a", "b.tmpl": "b"}


def test_the_text_is_the_configuration_without_shorthands() -> None:
    text = files({**TWO, "page_receivers": ["oncall", "tickets"], "sla_hours": {"a": "working-hours"}})[
        "alertmanager.yaml"
    ]
    loaded = yaml.safe_load(text)
    assert loaded.pop("templates") == []
    assert loaded == configuration(
        {**TWO, "page_receivers": ["oncall", "tickets"], "sla_hours": {"a": "working-hours"}}
    )
    assert "&id" not in text
