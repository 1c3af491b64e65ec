# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_problems import (
    DEFAULTS,
    PREFIX,
    problems,
)
from tests.pki import CA, make

CHECKOUT = Path(__file__).resolve().parents[4]
# It may be in no message, wherever it stands
SECRET = "swordfish"

MAIL = {"smtp_smarthost": "mail.example.com:587", "smtp_from": "observer@example.com"}
ONCALL = {"name": "oncall", "type": "webhook", "url": "https://pager.example.com/hook"}
TICKETS = {"name": "tickets", "type": "email", "to": "tickets@example.com"}
BOTH = {**MAIL, "receivers": [ONCALL, TICKETS]}


def hook(**changes: Any) -> dict[str, Any]:
    return {"receivers": [{**ONCALL, **changes}]}


def mail(**changes: Any) -> dict[str, Any]:
    return {**MAIL, "receivers": [{**TICKETS, **changes}]}


def route(**changes: Any) -> dict[str, Any]:
    return {**BOTH, "routes": [{"receivers": ["oncall"], "sla": "gold", **changes}]}


def hours(**changes: Any) -> dict[str, Any]:
    return {"working_hours": [changes]}


def times(start: Any, end: Any) -> dict[str, Any]:
    return hours(times=[{"start_time": start, "end_time": end}])


def test_without_any_data_all_is_well() -> None:
    assert problems({}) == []


def test_the_roles_defaults_are_those_of_the_data() -> None:
    defaults = yaml.safe_load((CHECKOUT / "roles" / "observer" / "defaults" / "main.yml").read_text())
    made = {"templates", "extra_templates"}
    assert {name: defaults[PREFIX + name] for name in DEFAULTS if name not in made} == {
        name: value for name, value in DEFAULTS.items() if name not in made
    }


GOOD: dict[str, dict[str, Any]] = {
    "every type": {
        **MAIL,
        "receivers": [
            {**ONCALL, "token": SECRET, "max_alerts": 5, "send_resolved": False},
            {**TICKETS, "to": ["a@example.com", "Team B <b@example.com>", "c@example.com, d@example.com"]},
            {"name": "chat", "type": "slack", "url": "https://chat.example.com/hooks/x", "channel": "#alerts"},
            {"name": "room", "type": "matrix", "url": "http://bridge.matrix.svc:3000/alerts?secret=x"},
        ],
    },
    "basic authentication": hook(username="observer", password=SECRET),
    "a sender of its own is enough": {
        "smtp_smarthost": "[2001:db8::1]:25",
        "receivers": [{**TICKETS, "from": "a@example.com"}],
    },
    "a text for a list": {**BOTH, "page_receivers": "oncall", "routes": [{"receivers": "oncall", "owner": "csp"}]},
    "a text for a switch": {"smtp_require_tls": "false"},
    "nobody": route(receivers=[]),
    "everything of a route": route(
        severity=["critical", "warning"],
        customer="acme",
        cluster=["kaas-1", "kaas-2"],
        layer="kaas",
        matchers=['region=~"north|south"', "instance!=a", "job!~'x".replace("'", "")],
        group_by=["..."],
        group_wait="0s",
        repeat_interval="1d",
        active_time_intervals=["working-hours"],
        **{"continue": True},
    ),
    "a week with a night": {
        "time_zone": "Europe/Berlin",
        "time_intervals": [
            {
                "name": "night",
                "time_intervals": [
                    {
                        "times": [
                            {"start_time": "18:00", "end_time": "24:00"},
                            {"start_time": "00:00", "end_time": "08:00"},
                        ]
                    },
                    {
                        "weekdays": ["saturday", "Sunday"],
                        "days_of_month": ["1:7", "-3:-1", "20:-1", 31],
                        "months": ["december", "1:2"],
                        "years": [2026, "2027:2028"],
                        "location": "UTC",
                    },
                ],
            }
        ],
        "sla_hours": {"bronze": ["working-hours", "night"]},
    },
    "Alertmanager's own notation": {
        "extra_configuration": {
            "global": {"resolve_timeout": "10m"},
            "receivers": [{"name": "pager", "pagerduty_configs": [{"routing_key": SECRET}]}],
            "route": {"routes": [{"receiver": "pager", "routes": [{"matchers": ['a="b"']}]}]},
            "time_intervals": [{"name": "never", "time_intervals": [{"years": ["2000"]}]}],
            "inhibit_rules": [{"source_matchers": ['a="b"'], "target_matchers": ['a!="b"'], "equal": ["cluster"]}],
        },
        "page_receivers": ["pager"],
        "sla_hours": {"iron": "never"},
    },
    "links": {"dashboard_url": "https://grafana.example.com/d/x?var-cluster={cluster}", "external_url": "http://a"},
    "a switch that is heard": {
        "receivers": [ONCALL, {**ONCALL, "name": "beat"}],
        "heartbeat_receivers": {"ObserverWatchdog": "beat"},
    },
    "a regular expression of RE2": route(matchers=[r'region=~"\\p{Lu}[[:alpha:]]+\\z"']),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_what_is_right_is_taken(data: dict[str, Any]) -> None:
    assert problems(data) == []


# The data, and the one line that is said of it
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no list": ({"receivers": {"name": "x"}}, "receivers: must be a list"),
    "no receiver": ({"receivers": [SECRET]}, "receivers[0]: must be a dictionary"),
    "an unknown variable": ({"recievers": []}, "recievers: is not known. Did you mean receivers?"),
    "no name": (hook(name=""), "receivers[0].name: is missing. Use letters, digits, '.', '_', '-' and spaces"),
    "a bad name": (hook(name="on/call"), "receivers[0].name: 'on/call' is not a name"),
    "our name": (hook(name="nobody"), "receivers[0].name: 'nobody' is there already"),
    "a name twice": ({"receivers": [ONCALL, ONCALL]}, "receivers[1].name: 'oncall' is there twice"),
    "a name of theirs twice": (
        {"receivers": [ONCALL], "extra_configuration": {"receivers": [{"name": "oncall"}]}},
        "extra_configuration.receivers[0].name: 'oncall' is there twice",
    ),
    "no type": (hook(type=None), "receivers[0].type: is missing. Use one of email, webhook, slack, matrix"),
    "an unknown type": (
        hook(type="webhok"),
        "receivers[0].type: 'webhok' is not a type of receivers. Did you mean webhook?",
    ),
    "no URL": (hook(url=""), "receivers[0].url: is missing. Give an http or https URL"),
    "no scheme": (
        hook(url=f"pager.example.com/{SECRET}"),
        "receivers[0].url: has no scheme. Give an http or https URL",
    ),
    "a port and no scheme": (hook(url=f"pager.example.com:443/{SECRET}"), "receivers[0].url: has no scheme"),
    "another scheme": (hook(url=f"ftp://a.example.com/{SECRET}"), "receivers[0].url: has the scheme ftp. Give an"),
    "credentials in a URL": (
        hook(url=f"https://user:{SECRET}@pager.example.com"),
        "receivers[0].url: has credentials. Give them as username and password, or as token",
    ),
    "no host": (hook(url=f"https:///{SECRET}"), "receivers[0].url: is not a URL"),
    "a bad port": (hook(url=f"https://a:{SECRET}/"), "receivers[0].url: is not a URL"),
    "a space": (hook(url=f"https://a/{SECRET} b"), "receivers[0].url: is not a URL"),
    "an unknown field": (hook(urll=SECRET), "receivers[0].urll: is not known. Did you mean url?"),
    "a field of another type": (hook(to="a@example.com"), "receivers[0].to: is not known."),
    "a switch that is none": (hook(send_resolved="no"), "receivers[0].send_resolved: must be true or false"),
    "a user without password": (hook(username="x"), "receivers[0].username: needs a password beside it"),
    "a password without user": (hook(password=SECRET), "receivers[0].username: needs a password beside it"),
    "two ways to log in": (
        hook(token=SECRET, username="x", password=SECRET),
        "receivers[0].token: cannot be beside username and password",
    ),
    "an authority that is none": (hook(ca=SECRET), "receivers[0].ca: has no certificates that can be read"),
    "a key": (hook(ca=f"-----BEGIN PRIVATE KEY-----{SECRET}"), "receivers[0].ca: has a private key"),
    "a number that is none": (hook(max_alerts=-1), "receivers[0].max_alerts: must be a number of alerts"),
    "nobody to write to": (mail(to=[]), "receivers[0].to: is missing. For example oncall@example.com"),
    "a bad address": (mail(to=["a@example.com", "b"]), "receivers[0].to: 'b' is not an e-mail address"),
    "two senders": (mail(**{"from": ["a@b", "c@d"]}), "receivers[0].from: must be one address"),
    "no mail server": (
        {"receivers": [{**TICKETS, "from": "a@example.com"}]},
        "smtp_smarthost: is missing, and there are receivers of e-mail. For example mail.example.com:587",
    ),
    "no port": ({"smtp_smarthost": "mail.example.com"}, "smtp_smarthost: 'mail.example.com' is not host:port"),
    "a mail server with credentials": (
        {"smtp_smarthost": f"user:{SECRET}@mail.example.com:25"},
        "smtp_smarthost: what has an @ is not host:port",
    ),
    "no sender": (
        {"smtp_smarthost": "a:25", "receivers": [TICKETS]},
        "smtp_from: is missing, and there are receivers of e-mail",
    ),
    "a mail user alone": ({**MAIL, "smtp_username": "x"}, "smtp_username: needs observer_alertmanager_smtp_password"),
    "a password for everybody": (
        {**MAIL, "smtp_username": "x", "smtp_password": SECRET, "smtp_require_tls": False},
        "smtp_require_tls: must be true where a password is sent",
    ),
    "a mail authority": ({"smtp_ca": "x"}, "smtp_ca: has no certificates that can be read"),
    "somebody else is paged": (
        {**BOTH, "page_receivers": ["oncal"]},
        "page_receivers: 'oncal' is no receiver. Did you mean oncall?",
    ),
    "nobody is there": ({"ticket_receivers": ["x"]}, "ticket_receivers: 'x' is no receiver. There is none"),
    "who hears the switch hears more": (
        {**BOTH, "page_receivers": ["oncall"], "heartbeat_receivers": {"ObserverWatchdog": "oncall"}},
        "heartbeat_receivers.ObserverWatchdog: 'oncall' gets something else, too. What waits for this alert",
    ),
    "who hears two switches does not notice when one stops": (
        {**BOTH, "heartbeat_receivers": {"ObserverWatchdog": "oncall", "ObserverWatchdogThanos": "oncall"}},
        "heartbeat_receivers.ObserverWatchdogThanos: 'oncall' gets something else, too",
    ),
    "a switch for a stranger": (
        {**BOTH, "heartbeat_receivers": {"ObserverWatchdog": "oncal"}},
        "heartbeat_receivers.ObserverWatchdog: 'oncal' is no receiver. Did you mean oncall?",
    ),
    "a switch for many": (
        {**BOTH, "heartbeat_receivers": {"ObserverWatchdog": ["oncall"]}},
        "heartbeat_receivers.ObserverWatchdog: must be the name of a receiver",
    ),
    "no switch": ({"heartbeat_receivers": "oncall"}, "heartbeat_receivers: must be a dictionary of receivers"),
    "a switch never": ({"heartbeat_interval": "0s"}, "heartbeat_interval: must not be 0"),
    "a route to a stranger": (
        route(receivers=["x"]),
        "routes[0].receivers: 'x' is no receiver. There are oncall, tickets",
    ),
    "a route to whom": ({"routes": [{"sla": "gold"}]}, "routes[0].receivers: is missing"),
    "a route of everything": (route(sla=None), "routes[0]: is for every alert"),
    "an unknown field of a route": (route(mathcers=[]), "routes[0].mathcers: is not known. Did you mean matchers?"),
    "a severity": (route(severity="criticl"), "routes[0].severity: 'criticl' is no severity. Did you mean critical?"),
    "an owner": (route(owner=["csp", "me"]), "routes[0].owner: 'me' is no owner. Use one of csp, customer"),
    "a value that is no text": (route(customer=5), "routes[0].customer: 5 is not a text"),
    "an unknown interval": (
        route(active_time_intervals=["working_hours"]),
        "routes[0].active_time_intervals: 'working_hours' is no time interval. Did you mean working-hours?",
    ),
    "an unknown interval to be silent": (
        route(mute_time_intervals="x"),
        "routes[0].mute_time_intervals: 'x' is no time",
    ),
    "no matchers": (route(matchers="a=b"), "routes[0].matchers: must be a list of matchers"),
    "a bad matcher": (route(matchers=["region:north"]), "routes[0].matchers: 'region:north' is not a matcher"),
    "an open quote": (route(matchers=['a="b']), "routes[0].matchers: 'a=\"b' is not a matcher"),
    "two in one": (route(matchers=["a=b, c=d"]), "routes[0].matchers: 'a=b, c=d' is not a matcher"),
    "a bad expression": (route(matchers=['a=~"("']), "routes[0].matchers: 'a=~\"(\"' is not a regular expression"),
    "an expression that looks ahead": (route(matchers=['a=~"(?!b).*"']), "routes[0].matchers: 'a=~\"(?!b).*\"' looks"),
    "a repeat of nothing": (route(repeat_interval="0s"), "routes[0].repeat_interval: must not be 0"),
    "a bad wait": (route(group_wait="soon"), "routes[0].group_wait: 'soon' is not a duration. Use for example"),
    "a bad label": (route(group_by=["a-b"]), "routes[0].group_by: 'a-b' is not the name of a label"),
    "a label twice": ({"group_by": ["a", "a"]}, "group_by: has a label twice"),
    "everything and more": ({"group_by": ["a", "..."]}, "group_by: '...' is not the name of a label"),
    "continue": (route(**{"continue": "yes"}), "routes[0].continue: must be true or false"),
    "the customer's pages": (
        {**route(owner="customer"), "page_receivers": ["oncall"], "ticket_receivers": ["tickets"]},
        "routes[0].receivers: 'oncall' is paged, and what is the customer's never pages",
    ),
    "hours of nothing": ({"sla_hours": ["gold"]}, "sla_hours: must be a dictionary of time intervals"),
    "hours that are not there": ({"sla_hours": {"gold": "x"}}, "sla_hours.gold: 'x' is no time interval"),
    "hours that are empty": ({"sla_hours": {"gold": []}}, "sla_hours.gold: is empty"),
    "no intervals": ({"working_hours": []}, "working_hours: must be a list with at least one interval"),
    "an unknown field of an interval": (hours(day="x"), "working_hours[0].day: is not known."),
    "a time without quotes": (
        times(1080, "20:00"),
        'working_hours[0].times[0].start_time: 1080 is not a time of the day. Quote it: "18:00"',
    ),
    "a bad time": (times("8:00", "18:00"), "working_hours[0].times[0].start_time: '8:00' is not a time of the day"),
    "no end": (hours(times=[{"start_time": "08:00"}]), "working_hours[0].times[0].end_time: is missing"),
    "too late a time": (
        times("08:00", "24:01"),
        "working_hours[0].times[0].end_time: '24:01' is not a time of the day",
    ),
    "a night": (
        times("18:00", "08:00"),
        "working_hours[0].times[0].end_time: 08:00 is not after 18:00. For a night use two",
    ),
    "a bad weekday": (
        hours(weekdays=["mondy"]),
        "working_hours[0].weekdays: 'mondy' is not one of the weekdays. Did you mean monday?",
    ),
    "a number of a weekday": (hours(weekdays=["1:5"]), "working_hours[0].weekdays: '1:5' is not one of the weekdays"),
    "a weekend": (
        hours(weekdays=["saturday:sunday"]),
        "working_hours[0].weekdays: 'saturday:sunday' ends before it starts. Weeks begin with sunday",
    ),
    "a week of three ends": (
        hours(weekdays=["monday:friday:sunday"]),
        "working_hours[0].weekdays: 'monday:friday:sunday' is not a range of weekdays",
    ),
    "a day of no month": (
        hours(days_of_month=["32"]),
        "working_hours[0].days_of_month: '32' is not a range of days_of_month",
    ),
    "a day zero": (hours(days_of_month=["0:3"]), "working_hours[0].days_of_month: '0:3' is not a range"),
    "days backwards": (hours(days_of_month=["-1:-3"]), "working_hours[0].days_of_month: '-1:-3' ends before it starts"),
    "days from the end to the start": (
        hours(days_of_month=["-3:3"]),
        "working_hours[0].days_of_month: '-3:3' ends before",
    ),
    "a month": (
        hours(months=["13"]),
        "working_hours[0].months: '13' is not a range of months. For example february:april",
    ),
    "years backwards": (hours(years=["2027:2026"]), "working_hours[0].years: '2027:2026' ends before it starts"),
    "a bad zone": (
        {"time_zone": "Europe/Berln"},
        "time_zone: 'Europe/Berln' is not a time zone. Did you mean Europe/Berlin?",
    ),
    "a bad zone of an interval": (hours(location="CET/X"), "working_hours[0].location: 'CET/X' is not a time zone"),
    "our interval": (
        {"time_intervals": [{"name": "working-hours", "time_intervals": [{"years": ["2026"]}]}]},
        "time_intervals[0].name: 'working-hours' is there already. It is observer_alertmanager_working_hours",
    ),
    "an interval of nothing": ({"time_intervals": [{"name": "x"}]}, "time_intervals[0].time_intervals: must be a list"),
    "a retention in days": (
        {"retention": "5d"},
        "retention: '5d' is not a duration in one of h, m, s. For example 120h",
    ),
    "a repeat after all is forgotten": (
        {"ticket_repeat_interval": "2w"},
        "ticket_repeat_interval: 2w is longer than what was sent is remembered, observer_alertmanager_retention 120h",
    ),
    "an inhibition of everything": (
        {"inhibit_rules": [{"source_matchers": ["a=b"]}]},
        "inhibit_rules[0].target_matchers: is missing. Without, every alert is meant",
    ),
    "an inhibition of old": (
        {"inhibit_rules": [{"source_matchers": ["a=b"], "target_matchers": ["a=b"], "source_match": {}}]},
        "inhibit_rules[0].source_match: is not known. Did you mean source_matchers?",
    ),
    "an unknown part": (
        {"extra_configuration": {"recievers": []}},
        "extra_configuration.recievers: is not known. Did you",
    ),
    "a root of their own": (
        {"extra_configuration": {"route": {"receiver": "x"}}},
        "extra_configuration.route.receiver: is",
    ),
    "their route to a stranger": (
        {"extra_configuration": {"route": {"routes": [{"routes": [{"receiver": "x"}]}]}}},
        "extra_configuration.route.routes[0].routes[0].receiver: 'x' is no receiver",
    ),
    "a dashboard of what": ({"dashboard_url": "https://a/d/x"}, "dashboard_url: has no {cluster}. Put it where"),
    "a dashboard that is a template": ({"dashboard_url": "https://a/{{cluster}}"}, "dashboard_url: is not a URL"),
    "an outside that is none": ({"external_url": "alerts.example.com"}, "external_url: has no scheme"),
    "no pods": ({"replicas": 0}, "replicas: 0 is not a number of pods. At least 1"),
    "a volume of what": ({"storage_size": "one"}, "storage_size: 'one' is not a quantity"),
    "an environment variable": (
        {**MAIL, "smtp_username": "x", "smtp_password": f"{SECRET}$(X)"},
        "smtp_password: has $(…), which is taken for an environment variable",
    ),
}


@pytest.mark.parametrize(("data", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_variable(data: dict[str, Any], line: str) -> None:
    (found,) = problems(data)
    assert found.startswith(PREFIX + line)
    assert SECRET not in found


TEMPLATES = {
    "scs.tmpl": ("", "has the name of a file of this collection"),
    "our file.tmpl": ("", "is not a name for a file of templates, such as ours.tmpl"),
    "ours.tmpl": ('{{ define "x" }}{{ end }', "has not as many {{ as }}"),
}


@pytest.mark.parametrize(("name", "text", "reason"), [(name, *rest) for name, rest in TEMPLATES.items()], ids=TEMPLATES)
def test_the_operators_own_templates(name: str, text: str, reason: str) -> None:
    (found,) = problems({"extra_templates": {name: text}})
    assert found == f"observer_extra_directory: alertmanager_templates/{name} {reason}"


def test_an_authority_that_can_be_read_is_taken() -> None:
    assert problems({"smtp_ca": make("mail", extensions=[CA]).pem}) == []


def test_everything_is_said_at_once() -> None:
    found = problems(
        {
            "receivers": [{"name": "a", "type": "webhook"}, {"type": "pager"}, {"name": "c", "type": "email"}],
            "routes": [{"receivers": ["b"], "active_time_intervals": ["never"]}],
            "time_zone": "Moon",
        }
    )
    assert [line.partition(":")[0].removeprefix(PREFIX) for line in found] == [
        "receivers[0].url",
        "receivers[1].name",
        "receivers[1].type",
        "receivers[2].to",
        "time_zone",
        "smtp_smarthost",
        "smtp_from",
        "routes[0].receivers",
        "routes[0]",
        "routes[0].active_time_intervals",
    ]
