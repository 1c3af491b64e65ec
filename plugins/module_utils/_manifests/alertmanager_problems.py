# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the inventory's data about notifications: everything at once, before anything is touched.

Data are the variables ``observer_alertmanager_*`` without that prefix; what is not given has its default. A problem
names the variable down to the entry, and shows no value that may be a secret: those of URLs, passwords and tokens.
"""

from __future__ import annotations

import re
import ssl
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core import expressions, names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError

PREFIX = "observer_alertmanager_"
# The receiver of what is to reach nobody, and the interval of observer_alertmanager_working_hours
NOBODY = "nobody"
WORKING_HOURS = "working-hours"

SEVERITIES = ("critical", "warning", "info", "none")
OWNERS = ("csp", "customer")
# What a route can ask of labels by a field of its own; anything else through matchers.
LABELS = ("severity", "sla", "customer", "owner", "cluster", "layer")

# Fields of receivers by type; those in the first tuple are required.
_HTTP = ("token", "username", "password", "ca")
RECEIVERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "email": (("to",), ("from",)),
    "webhook": (("url",), ("max_alerts", *_HTTP)),
    "slack": (("url",), ("channel", *_HTTP)),
    "matrix": (("url",), ("max_alerts", *_HTTP)),
}
ROUTE_TIMES = ("group_wait", "group_interval", "repeat_interval")
ROUTE_INTERVALS = ("active_time_intervals", "mute_time_intervals")
_ROUTE = ("receivers", *LABELS, "matchers", "continue", "group_by", *ROUTE_TIMES, *ROUTE_INTERVALS)
_INTERVAL = ("times", "weekdays", "days_of_month", "months", "years", "location")
_INHIBIT = ("source_matchers", "target_matchers", "equal")
EXTRA = ("global", "route", "receivers", "inhibit_rules", "time_intervals")

DEFAULTS: dict[str, Any] = {
    "receivers": [],
    "page_receivers": [],
    "ticket_receivers": [],
    "heartbeat_receivers": {},
    "heartbeat_interval": "1m",
    "smtp_smarthost": "",
    "smtp_from": "",
    "smtp_hello": "",
    "smtp_username": "",
    "smtp_password": "",
    "smtp_require_tls": True,
    "smtp_ca": "",
    "routes": [],
    "sla_hours": {},
    "working_hours": [
        {"weekdays": ["monday:friday"], "times": [{"start_time": "08:00", "end_time": "18:00"}]},
    ],
    "time_zone": "UTC",
    "time_intervals": [],
    "group_by": ["alertname", "cluster", "observer"],
    "group_wait": "30s",
    "group_interval": "5m",
    "page_repeat_interval": "1h",
    "ticket_repeat_interval": "24h",
    "retention": "120h",
    "inhibit_rules": [],
    "extra_configuration": {},
    "dashboard_url": "",
    "external_url": "",
    "replicas": 1,
    "storage_size": "1Gi",
    # Texts of files: the role's, and those in observer_extra_directory
    "templates": {},
    "extra_templates": {},
}

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,98}[A-Za-z0-9])?")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MATCHER = re.compile(
    r"(?P<label>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?P<is>=~|!~|!=|=)\s*"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s,{}!=~\"\\'`]+)"
)
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+|[^@<>,;]*<[^@\s<>,;]+@[^@\s<>,;]+>")
_SMARTHOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):(?P<port>[0-9]{1,5})")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
# The operator's own notation for how long what was sent is remembered
_RETENTION = re.compile(r"[0-9]+(?:h|m|s|ms)")
# What the program that hands the configuration over takes for an environment variable, and stops at.
_ENVIRONMENT = re.compile(r"\$\([a-zA-Z_0-9]+\)")
_TEMPLATE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.tmpl")
LINKS = "links.tmpl"
OWN_TEMPLATES = ("scs.tmpl", LINKS)

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


def problems(data: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with the data, each line with its variable; nothing when all is well."""
    found = Problems()
    given = with_defaults(data)
    found.known("", data, DEFAULTS)
    receivers = _receivers(found, given)
    intervals = _time_intervals(found, given)
    _choices(found, given, receivers)
    _mail(found, given)
    _routes(found, given, receivers, intervals)
    _sla_hours(found, given, intervals)
    _grouping(found, given)
    _inhibit_rules(found, "inhibit_rules", given["inhibit_rules"])
    _extra(found, given, receivers, intervals)
    _links(found, given)
    _workload(found, given)
    _templates(found, given)
    _environment(found, given)
    return found.lines


def with_defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data, with the default for what is not given; an empty text is as good as not given."""
    given = {name: default if data.get(name) in (None, "") else data[name] for name, default in DEFAULTS.items()}
    # A variable from a command line or a survey is a text.
    switch = str(given["smtp_require_tls"]).lower()
    if switch in ("true", "yes", "false", "no"):
        given["smtp_require_tls"] = switch in ("true", "yes")
    return given


def texts(value: Any) -> list[Any]:
    """A text where a list is as good."""
    return [] if value in (None, "") else list(value) if isinstance(value, (list, tuple)) else [value]


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


class Problems:
    """Lines, each with the variable that it is about."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, path: str, message: str, advice: str = "", *, prefix: str = PREFIX) -> None:
        self.lines.append(str(InputError(message, parameter=f"{prefix}{path}", advice=advice or None)))

    def known(self, path: str, content: Mapping[str, Any], known: Iterable[str]) -> None:
        """Refuse keys that are not known, with the one that may have been meant."""
        for key in content:
            if key not in known:
                where = f"{path}.{key}" if path else str(key)
                self.add(where, "is not known", names.did_you_mean(key, known, f"Known are {', '.join(known)}"))

    def mappings(self, path: str, value: Any) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the entries of a list of dictionaries, each with its path."""
        if not isinstance(value, (list, tuple)):
            self.add(path, "must be a list")
            return []
        for place, item in enumerate(value):
            if not isinstance(item, Mapping):
                self.add(f"{path}[{place}]", "must be a dictionary")
        return [(f"{path}[{place}]", item) for place, item in enumerate(value) if isinstance(item, Mapping)]

    def references(self, path: str, value: Any, known: Iterable[str], what: str) -> None:
        """Refuse names of what is not there."""
        for name in texts(value):
            if name not in known:
                there = f"There are {', '.join(known)}" if known else "There is none"
                self.add(path, f"{name!r} is no {what}", names.did_you_mean(name, known, there))

    def duration(self, path: str, value: Any, *, zero: bool = False) -> None:
        try:
            if names.duration_seconds(value, "") == 0 and not zero:
                self.add(path, "must not be 0")
        except InputError as error:
            self.add(path, error.message, error.advice or "")

    def labels(self, path: str, value: Any) -> None:
        if not isinstance(value, (list, tuple)):
            self.add(path, "must be a list of names of labels")
            return
        for name in value:
            if not (isinstance(name, str) and (_LABEL.fullmatch(name) or (name == "..." and len(value) == 1))):
                self.add(path, f"{name!r} is not the name of a label")
        if len(set(map(str, value))) < len(value):
            self.add(path, "has a label twice")

    def matchers(self, path: str, value: Any) -> None:
        if not isinstance(value, (list, tuple)):
            self.add(path, "must be a list of matchers", "For example ['region=\"north\"']")
            return
        for matcher in value:
            reason = _matcher_fault(matcher)
            if reason:
                self.add(path, f"{matcher!r} {reason}", 'A matcher is like region="north" or instance=~"web-.*"')

    def url(self, path: str, value: Any) -> None:
        """Refuse what is not an http or https URL, without showing it: an address may be all that it takes to write."""
        if not is_text(value):
            self.add(path, "is missing", "Give an http or https URL")
            return
        try:
            url = urlsplit(value)
            complete = bool(url.hostname) and url.port != 0
        except ValueError:
            self.add(path, "is not a URL")
            return
        if url.scheme not in ("http", "https"):
            # A scheme is nothing to hide; what stands before a colon without slashes may be a user.
            shown = f"has the scheme {url.scheme}" if "://" in value else "has no scheme"
            self.add(path, shown, "Give an http or https URL")
        elif "@" in url.netloc:
            self.add(path, "has credentials", "Give them as username and password, or as token")
        elif not complete or any(character.isspace() or character in '{}"`\\' for character in value):
            self.add(path, "is not a URL")

    def authority(self, path: str, value: Any) -> None:
        """Refuse what is not certificates as PEM."""
        if "PRIVATE KEY" in str(value):
            self.add(path, "has a private key", "Give the certificate of the authority alone")
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=str(value))
        except (ssl.SSLError, ValueError):
            self.add(path, "has no certificates that can be read", "Give them as PEM, -----BEGIN CERTIFICATE-----")


def _receivers(found: Problems, data: Mapping[str, Any]) -> list[str]:
    """Check receivers, and return the names of all of them, those of the extra configuration too."""
    known: list[str] = []
    extra = data["extra_configuration"] if isinstance(data["extra_configuration"], Mapping) else {}
    entries = found.mappings("receivers", data["receivers"])
    for path, receiver in entries:
        _name(found, path, receiver.get("name"), known, reserved=NOBODY)
        kind = receiver.get("type")
        if kind not in RECEIVERS:
            found.add(
                f"{path}.type",
                "is missing" if kind in (None, "") else f"{kind!r} is not a type of receivers",
                names.did_you_mean(kind, RECEIVERS, f"Use one of {', '.join(RECEIVERS)}"),
            )
            continue
        required, optional = RECEIVERS[str(kind)]
        found.known(path, receiver, ("name", "type", "send_resolved", *required, *optional))
        _receiver(found, path, str(kind), receiver)
    for path, receiver in found.mappings("extra_configuration.receivers", extra.get("receivers") or []):
        _name(found, path, receiver.get("name"), known, reserved=NOBODY)
    return known


def _receiver(found: Problems, path: str, kind: str, receiver: Mapping[str, Any]) -> None:
    if not isinstance(receiver.get("send_resolved", True), bool):
        found.add(f"{path}.send_resolved", "must be true or false")
    if kind == "email":
        _addresses(found, f"{path}.to", receiver.get("to"))
        if receiver.get("from"):
            _addresses(found, f"{path}.from", receiver["from"], single=True)
        return
    found.url(f"{path}.url", receiver.get("url"))
    if receiver.get("ca"):
        found.authority(f"{path}.ca", receiver["ca"])
    for field in ("token", "username", "password", "channel"):
        if field in receiver and not is_text(receiver[field]):
            found.add(f"{path}.{field}", "is empty or not a text", "Leave it out when there is none")
    if bool(receiver.get("username")) != bool(receiver.get("password")):
        found.add(f"{path}.username", "needs a password beside it, and the other way round")
    if receiver.get("token") and receiver.get("username"):
        found.add(f"{path}.token", "cannot be beside username and password", "The server takes one of them")
    limit = receiver.get("max_alerts", 0)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        found.add(f"{path}.max_alerts", "must be a number of alerts, 0 for all")


def _addresses(found: Problems, path: str, value: Any, *, single: bool = False) -> None:
    addresses = [address for text in texts(value) for address in (text.split(",") if isinstance(text, str) else [text])]
    if not addresses or (single and len(addresses) > 1):
        found.add(path, "is missing" if not addresses else "must be one address", "For example oncall@example.com")
    for address in addresses:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address.strip()):
            found.add(path, f"{address!r} is not an e-mail address", "For example oncall@example.com")


def _name(found: Problems, path: str, name: Any, known: list[str], *, reserved: str) -> None:
    """Check a name and put it to those that are known."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = "is missing" if name in (None, "") else f"{name!r} is not a name"
        found.add(f"{path}.name", message, "Use letters, digits, '.', '_', '-' and spaces")
    elif name in known:
        found.add(f"{path}.name", f"{name!r} is there twice")
    elif name == reserved:
        found.add(f"{path}.name", f"{name!r} is there already", "Use another one")
    else:
        known.append(name)


def _choices(found: Problems, data: Mapping[str, Any], receivers: Sequence[str]) -> None:
    """Who is paged, who gets tickets, who hears the dead man's switch."""
    for variable in ("page_receivers", "ticket_receivers"):
        found.references(variable, data[variable], receivers, "receiver")
    found.duration("heartbeat_interval", data["heartbeat_interval"])
    if not isinstance(data["heartbeat_receivers"], Mapping):
        found.add("heartbeat_receivers", "must be a dictionary of receivers", "For example ObserverWatchdog: heartbeat")
        return
    taken = [*texts(data["page_receivers"]), *texts(data["ticket_receivers"])]
    for alert, receiver in data["heartbeat_receivers"].items():
        where = f"heartbeat_receivers.{alert}"
        if not is_text(receiver):
            found.add(where, "must be the name of a receiver")
            continue
        found.references(where, receiver, receivers, "receiver")
        if receiver in taken:
            found.add(
                where,
                f"{receiver!r} gets something else, too",
                "What waits for this alert would take it for it: use a receiver of its own",
            )
        taken.append(receiver)


def _mail(found: Problems, data: Mapping[str, Any]) -> None:
    used = any(isinstance(item, Mapping) and item.get("type") == "email" for item in texts(data["receivers"]))
    if data["smtp_smarthost"]:
        match = _SMARTHOST.fullmatch(str(data["smtp_smarthost"]))
        if not match or not 0 < int(match["port"]) < 65536:
            shown = "what has an @" if "@" in str(data["smtp_smarthost"]) else repr(data["smtp_smarthost"])
            found.add("smtp_smarthost", f"{shown} is not host:port", "For example mail.example.com:587")
    elif used:
        found.add("smtp_smarthost", "is missing, and there are receivers of e-mail", "For example mail.example.com:587")
    if data["smtp_from"]:
        _addresses(found, "smtp_from", data["smtp_from"], single=True)
    elif used and any(
        isinstance(item, Mapping) and item.get("type") == "email" and not item.get("from")
        for item in texts(data["receivers"])
    ):
        found.add("smtp_from", "is missing, and there are receivers of e-mail", "For example observer@example.com")
    if bool(data["smtp_username"]) != bool(data["smtp_password"]):
        found.add("smtp_username", "needs observer_alertmanager_smtp_password beside it, and the other way round")
    if not isinstance(data["smtp_require_tls"], bool):
        found.add("smtp_require_tls", "must be true or false")
    elif data["smtp_password"] and not data["smtp_require_tls"]:
        found.add(
            "smtp_require_tls",
            "must be true where a password is sent",
            "Without, anybody on the way can read it; give observer_alertmanager_smtp_ca for an authority of your own",
        )
    if data["smtp_ca"]:
        found.authority("smtp_ca", data["smtp_ca"])


def _time_intervals(found: Problems, data: Mapping[str, Any]) -> list[str]:
    """Check intervals, and return the names of all of them."""
    known = [WORKING_HOURS]
    _interval_list(found, "working_hours", data["working_hours"])
    _location(found, "time_zone", data["time_zone"])
    extra = data["extra_configuration"] if isinstance(data["extra_configuration"], Mapping) else {}
    for variable, value in (
        ("time_intervals", data["time_intervals"]),
        ("extra_configuration.time_intervals", extra.get("time_intervals") or []),
    ):
        for path, interval in found.mappings(variable, value):
            found.known(path, interval, ("name", "time_intervals"))
            if interval.get("name") == WORKING_HOURS:
                found.add(f"{path}.name", f"{WORKING_HOURS!r} is there already", f"It is {PREFIX}working_hours")
            else:
                _name(found, path, interval.get("name"), known, reserved=WORKING_HOURS)
            _interval_list(found, f"{path}.time_intervals", interval.get("time_intervals"))
    return known


def _interval_list(found: Problems, path: str, value: Any) -> None:
    if not value:
        found.add(path, "must be a list with at least one interval")
        return
    for where, interval in found.mappings(path, value):
        found.known(where, interval, _INTERVAL)
        for place, times in found.mappings(f"{where}.times", interval.get("times") or []):
            _times(found, place, times)
        for field, named, low, high in (
            ("weekdays", _WEEKDAYS, 0, 6),
            ("days_of_month", (), 1, 31),
            ("months", _MONTHS, 1, 12),
            ("years", (), 1, 9999),
        ):
            for text in texts(interval.get(field)):
                reason = _range_fault(text, field, named, low, high)
                if reason:
                    found.add(f"{where}.{field}", f"{text!r} {reason[0]}", reason[1])
        if "location" in interval:
            _location(found, f"{where}.location", interval["location"])


def _times(found: Problems, path: str, times: Mapping[str, Any]) -> None:
    found.known(path, times, ("start_time", "end_time"))
    valid = True
    for field in ("start_time", "end_time"):
        value = times.get(field)
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            valid = False
            # YAML reads 18:00 without quotes as a number to the base of 60.
            minutes = value if isinstance(value, int) and 0 <= value <= 1440 else None
            advice = 'For example "08:00"' if minutes is None else f'Quote it: "{minutes // 60:02}:{minutes % 60:02}"'
            found.add(
                f"{path}.{field}", "is missing" if value is None else f"{value!r} is not a time of the day", advice
            )
    if valid and times["start_time"] >= times["end_time"]:
        found.add(
            f"{path}.end_time",
            f"{times['end_time']} is not after {times['start_time']}",
            'For a night use two, one until "24:00" and one from "00:00"',
        )


def _range_fault(value: Any, field: str, named: tuple[str, ...], low: int, high: int) -> tuple[str, str] | None:
    """Return what is wrong with a range such as monday:friday or -3:-1, and what to do about it."""
    example = f"For example {named[1]}:{named[3]}" if named else "For example 1:7"
    ends = []
    for part in str(value).lower().split(":"):
        if part in named:
            ends.append(named.index(part) + low)
        elif re.fullmatch(r"-?[0-9]+", part) and field != "weekdays":
            ends.append(int(part))
        else:
            return f"is not one of the {field}", names.did_you_mean(part, named, example)
    # Days of a month are also counted from its end.
    if len(ends) > 2 or any(
        not (low <= end <= high or (field == "days_of_month" and -high <= end <= -low)) for end in ends
    ):
        return f"is not a range of {field}", example
    start, end = ends[0], ends[-1]
    if (start < 0 < end) or (28 + start if start < 0 else start) > (28 + end if end < 0 else end):
        advice = "Weeks begin with sunday: use two" if field == "weekdays" else "Put the smaller one first, or use two"
        return "ends before it starts", advice
    return None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Names of time zones, of which there are hundreds of files; none where the controller has none."""
    return frozenset(zoneinfo.available_timezones())


def _location(found: Problems, path: str, value: Any) -> None:
    zones = _zones()
    # A controller without time zones cannot tell.
    if not is_text(value) or (zones and value not in zones):
        found.add(path, f"{value!r} is not a time zone", names.did_you_mean(value, zones, "For example Europe/Berlin"))


def _routes(found: Problems, data: Mapping[str, Any], receivers: Sequence[str], intervals: Sequence[str]) -> None:
    only_pages = pages_only(data)
    for path, route in found.mappings("routes", data["routes"]):
        found.known(path, route, _ROUTE)
        if "receivers" not in route:
            found.add(f"{path}.receivers", "is missing", "Give names of receivers; an empty list reaches nobody")
        found.references(f"{path}.receivers", route.get("receivers"), receivers, "receiver")
        conditions = [label for label in LABELS if texts(route.get(label))]
        if not conditions and not route.get("matchers"):
            found.add(path, "is for every alert", f"Give one of {', '.join(LABELS)} or matchers")
        for label in conditions:
            for value in texts(route[label]):
                _label_value(found, f"{path}.{label}", label, value)
        if "matchers" in route:
            found.matchers(f"{path}.matchers", route["matchers"])
        if "customer" in texts(route.get("owner")):
            for name in [name for name in texts(route.get("receivers")) if name in only_pages]:
                found.add(
                    f"{path}.receivers",
                    f"{name!r} is paged, and what is the customer's never pages",
                    "Use a receiver of tickets, or one of the customer's own",
                )
        _route_settings(found, path, route, intervals)


def _label_value(found: Problems, path: str, label: str, value: Any) -> None:
    choices = {"severity": SEVERITIES, "owner": OWNERS}.get(label)
    if not is_text(value):
        found.add(path, f"{value!r} is not a text")
    elif choices and value not in choices:
        advice = names.did_you_mean(value, choices, f"Use one of {', '.join(choices)}")
        found.add(path, f"{value!r} is no {label}", advice)


def _route_settings(found: Problems, path: str, route: Mapping[str, Any], intervals: Sequence[str]) -> None:
    """What our routes and those of Alertmanager's own notation have in common."""
    for field in ROUTE_INTERVALS:
        found.references(f"{path}.{field}", route.get(field), intervals, "time interval")
    for field in ROUTE_TIMES:
        if field in route:
            found.duration(f"{path}.{field}", route[field], zero=field == "group_wait")
    if "group_by" in route:
        found.labels(f"{path}.group_by", route["group_by"])
    if not isinstance(route.get("continue", False), bool):
        found.add(f"{path}.continue", "must be true or false")


def pages_only(data: Mapping[str, Any]) -> list[str]:
    """Names of the receivers that are paged and get no tickets."""
    page, ticket = page_and_ticket(data)
    return [name for name in page if name not in ticket]


def heartbeats(data: Mapping[str, Any]) -> list[Any]:
    """Names of who waits for a dead man's switch."""
    given = data["heartbeat_receivers"]
    return list(given.values()) if isinstance(given, Mapping) else []


def page_and_ticket(data: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of who is paged and of who gets tickets: the first receiver, where nobody is named.

    Not all of them: one may be a customer's, who must not read of others.
    """
    names_of = [str(item.get("name")) for item in texts(data["receivers"]) if isinstance(item, Mapping)]
    first = [name for name in names_of if name not in heartbeats(data)][:1]
    page, ticket = texts(data["page_receivers"]), texts(data["ticket_receivers"])
    return page or first, ticket or first


def _sla_hours(found: Problems, data: Mapping[str, Any], intervals: Sequence[str]) -> None:
    hours = data["sla_hours"]
    if not isinstance(hours, Mapping):
        found.add(
            "sla_hours", "must be a dictionary of time intervals by class of SLA", "For example bronze: working-hours"
        )
        return
    for sla, interval in hours.items():
        if not texts(interval):
            found.add(f"sla_hours.{sla}", "is empty", "Leave a class out that is paged at any time")
        found.references(f"sla_hours.{sla}", interval, intervals, "time interval")


def _grouping(found: Problems, data: Mapping[str, Any]) -> None:
    found.labels("group_by", data["group_by"])
    found.duration("group_wait", data["group_wait"], zero=True)
    for variable in ("group_interval", "page_repeat_interval", "ticket_repeat_interval"):
        found.duration(variable, data[variable])
    if not isinstance(data["retention"], str) or not _RETENTION.fullmatch(data["retention"]):
        found.add("retention", f"{data['retention']!r} is not a duration in one of h, m, s", "For example 120h")
        return
    for variable in ("page_repeat_interval", "ticket_repeat_interval"):
        try:
            late = names.duration_seconds(data[variable], "") > names.duration_seconds(data["retention"], "")
        except InputError:
            continue
        if late:
            found.add(
                variable,
                f"{data[variable]} is longer than what was sent is remembered, {PREFIX}retention {data['retention']}",
                "It would be sent again when that is over",
            )


def _inhibit_rules(found: Problems, variable: str, value: Any) -> None:
    for path, rule in found.mappings(variable, value):
        found.known(path, rule, _INHIBIT)
        for field in ("source_matchers", "target_matchers"):
            if not rule.get(field):
                found.add(f"{path}.{field}", "is missing", "Without, every alert is meant")
            else:
                found.matchers(f"{path}.{field}", rule[field])
        found.labels(f"{path}.equal", rule.get("equal", []))


def _extra(found: Problems, data: Mapping[str, Any], receivers: Sequence[str], intervals: Sequence[str]) -> None:
    """Alertmanager's own notation: what it refers to is there; what else is in it, Alertmanager says itself."""
    extra = data["extra_configuration"]
    if not isinstance(extra, Mapping):
        found.add("extra_configuration", "must be a dictionary as Alertmanager's configuration has it")
        return
    found.known("extra_configuration", extra, EXTRA)
    if not isinstance(extra.get("global") or {}, Mapping):
        found.add("extra_configuration.global", "must be a dictionary")
    _inhibit_rules(found, "extra_configuration.inhibit_rules", extra.get("inhibit_rules") or [])
    route = extra.get("route") or {}
    if not isinstance(route, Mapping):
        found.add("extra_configuration.route", "must be a dictionary with a list of routes")
        return
    found.known("extra_configuration.route", route, ("routes",))
    _extra_routes(found, "extra_configuration.route.routes", route.get("routes") or [], receivers, intervals)


def _extra_routes(
    found: Problems, variable: str, routes: Any, receivers: Sequence[str], intervals: Sequence[str]
) -> None:
    for path, route in found.mappings(variable, routes):
        found.references(f"{path}.receiver", route.get("receiver"), receivers, "receiver")
        if "matchers" in route:
            found.matchers(f"{path}.matchers", route["matchers"])
        _route_settings(found, path, route, intervals)
        _extra_routes(found, f"{path}.routes", route.get("routes") or [], receivers, intervals)


def _links(found: Problems, data: Mapping[str, Any]) -> None:
    for variable in ("dashboard_url", "external_url"):
        if data[variable]:
            text = data[variable]
            found.url(variable, text.replace("{cluster}", "x") if isinstance(text, str) else text)
    if data["dashboard_url"] and "{cluster}" not in str(data["dashboard_url"]):
        found.add("dashboard_url", "has no {cluster}", "Put it where the name of the cluster belongs")


def _workload(found: Problems, data: Mapping[str, Any]) -> None:
    if not re.fullmatch(r"[1-9][0-9]?", str(data["replicas"])):
        found.add("replicas", f"{data['replicas']!r} is not a number of pods", "At least 1")
    try:
        names.volume_size(data["storage_size"], "")
    except InputError as error:
        found.add("storage_size", error.message, error.advice or "")


def _templates(found: Problems, data: Mapping[str, Any]) -> None:
    """The operator's own files of templates: Alertmanager reads none, ours neither, when it cannot read one."""
    for name, text in data["extra_templates"].items():
        reason = ""
        if name in OWN_TEMPLATES:
            reason = "has the name of a file of this collection"
        elif not _TEMPLATE_FILE.fullmatch(str(name)):
            reason = "is not a name for a file of templates, such as ours.tmpl"
        elif text.count("{{") != text.count("}}"):
            reason = "has not as many {{ as }}"
        if reason:
            found.add("observer_extra_directory", f"alertmanager_templates/{name} {reason}", prefix="")


def _environment(found: Problems, data: Mapping[str, Any]) -> None:
    """Refuse what would be taken for an environment variable, anywhere but in templates."""
    for variable, value in data.items():
        if variable not in ("templates", "extra_templates"):
            for path in _places(variable, value):
                found.add(path, "has $(…), which is taken for an environment variable", "Use another text")


def _places(path: str, value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, content in value.items():
            yield from _places(f"{path}.{key}", content)
    elif isinstance(value, (list, tuple)):
        for place, content in enumerate(value):
            yield from _places(f"{path}[{place}]", content)
    elif isinstance(value, str) and _ENVIRONMENT.search(value):
        yield path


def _matcher_fault(matcher: Any) -> str:
    """Return what is wrong with a matcher, or nothing."""
    match = _MATCHER.fullmatch(matcher.strip()) if isinstance(matcher, str) else None
    if not match:
        return "is not a matcher"
    if match["is"] not in ("=~", "!~"):
        return ""
    value = match["value"]
    return expressions.fault(re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value)
