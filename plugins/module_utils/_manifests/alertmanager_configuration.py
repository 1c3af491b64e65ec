# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of what, and when: the inventory's data in, Alertmanager's configuration out.

Data are checked before (:mod:`alertmanager_problems`); here they are taken to be right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import LibraryError
from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_problems import (
    LABELS,
    LINKS,
    NOBODY,
    ROUTE_INTERVALS,
    ROUTE_TIMES,
    WORKING_HOURS,
    heartbeats,
    page_and_ticket,
    pages_only,
    texts,
    with_defaults,
)

Manifest = dict[str, Any]

# Alerts that stand for others: one cluster that is down, and many at once.
CLUSTER_DOWN = "KaaSClusterDown"
MASS_LOSS = "KaaSMassLoss"
# Receive that comes and goes, as long as it is not away for good.
FLAPS = "ThanosReceiveFlaps"
# A cluster that is worked on, and one that somebody deletes: whatever happens to it, nobody has to get up.
OUT_OF_SERVICE = "KaaSClusterOutOfService"
WITHDRAWN = "KaaSClusterWithdrawn"
# With these, nothing gets from the clusters into the observer, or to who asks it.
WAYS_IN = (
    ('alertname="ObserverComponentDown"', 'component=~"remote-write-gateway|thanos-receive"'),
    ('alertname="RemoteWriteDown"',),
)
NOT_SEEN = ('alertname="ThanosQueryMissesEndpoint"', 'store_type="receive"')
# Where Alertmanager finds the files of its Secret
DIRECTORY = "/etc/alertmanager/config"

_NOT_THE_CUSTOMERS = 'owner!="customer"'


def files(data: Mapping[str, Any], directory: str = DIRECTORY) -> dict[str, str]:
    """Return the texts of the Secret that Alertmanager reads, by their names there.

    ``directory`` is where the templates among them are, for Alertmanager.
    """
    try:
        import yaml  # noqa: PLC0415 - nothing else here needs it
    except ImportError:
        raise LibraryError("PyYAML", "to write Alertmanager's configuration") from None
    templates = _templates(with_defaults(data))
    content = {**configuration(data), "templates": [f"{directory}/{name}" for name in templates]}
    # By way of JSON, so that a list that is there twice is written twice.
    plain = json.loads(json.dumps(content))
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
    return {"alertmanager.yaml": text, **templates}


def configuration(data: Mapping[str, Any]) -> Manifest:
    """Return the configuration without the paths of its templates.

    Without receivers it is one in which nobody is told anything, which shows what fires all the same.
    """
    data = with_defaults(data)
    extra = data["extra_configuration"]
    page, ticket = page_and_ticket(data)
    return {
        "global": {**_mail(data), **(extra.get("global") or {})},
        "route": {
            "receiver": NOBODY,
            "group_by": list(data["group_by"]),
            "group_wait": data["group_wait"],
            "group_interval": data["group_interval"],
            "repeat_interval": data["ticket_repeat_interval"],
            "routes": [
                *_heartbeat(data),
                *(route for given in data["routes"] for route in _given_route(given, data)),
                *((extra.get("route") or {}).get("routes") or []),
                *_default_routes(data, page, ticket),
            ],
        },
        "inhibit_rules": [*_inhibit_rules(), *data["inhibit_rules"], *(extra.get("inhibit_rules") or [])],
        "receivers": [
            {"name": NOBODY},
            *(_receiver(given, heartbeats(data)) for given in data["receivers"]),
            *(extra.get("receivers") or []),
        ],
        "time_intervals": [
            {"name": name, "time_intervals": [{"location": data["time_zone"], **interval} for interval in intervals]}
            for name, intervals in [
                (WORKING_HOURS, data["working_hours"]),
                *((given["name"], given["time_intervals"]) for given in data["time_intervals"]),
            ]
        ]
        + list(extra.get("time_intervals") or []),
    }


def _mail(data: Mapping[str, Any]) -> Manifest:
    if not data["smtp_smarthost"]:
        return {}
    optional = {
        "smtp_from": data["smtp_from"],
        "smtp_hello": data["smtp_hello"],
        "smtp_auth_username": data["smtp_username"],
        "smtp_auth_password": data["smtp_password"],
        "smtp_tls_config": {"ca": data["smtp_ca"]} if data["smtp_ca"] else None,
    }
    return {
        "smtp_smarthost": data["smtp_smarthost"],
        "smtp_require_tls": data["smtp_require_tls"],
        **{name: value for name, value in optional.items() if value},
    }


def _heartbeat(data: Mapping[str, Any]) -> Iterator[Manifest]:
    """The dead man's switches: told again and again, so that their silence tells."""
    for alert, receiver in data["heartbeat_receivers"].items():
        yield {
            "receiver": receiver,
            "matchers": [_matcher("alertname", [alert]), 'severity="none"'],
            "group_wait": "0s",
            "group_interval": data["heartbeat_interval"],
            "repeat_interval": data["heartbeat_interval"],
        }


def _given_route(given: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Manifest]:
    """A route of the inventory. What is the customer's passes by those who are paged, unless it is said of whom."""
    paged = pages_only(data)
    matchers = [_matcher(label, texts(given[label])) for label in LABELS if texts(given.get(label))]
    matchers += given.get("matchers") or []
    settings: Manifest = {name: given[name] for name in ("group_by", *ROUTE_TIMES) if name in given}
    settings.update({name: texts(given[name]) for name in ROUTE_INTERVALS if given.get(name)})
    receivers = texts(given["receivers"])
    # Those first that a customer's alert passes by: the last one ends its way.
    ordered = sorted(receivers, key=lambda name: name not in paged) or [NOBODY]
    protected = [name for name in ordered if name in paged and not texts(given.get("owner"))]
    yield from _routes(
        [(name, [*matchers, *([_NOT_THE_CUSTOMERS] if name in protected else [])]) for name in ordered],
        settings,
        last=not given.get("continue", False),
    )


def _default_routes(data: Mapping[str, Any], page: Sequence[str], ticket: Sequence[str]) -> Iterator[Manifest]:
    """What is critical pages, at once or in the hours of its SLA; all else is a ticket in working hours."""
    yield {"receiver": NOBODY, "matchers": [_matcher("severity", ["info", "none"])]}
    critical = ['severity="critical"', _NOT_THE_CUSTOMERS]
    repeat = {"repeat_interval": data["page_repeat_interval"]}
    for sla, intervals in data["sla_hours"].items():
        matchers = [*critical, _matcher("sla", [str(sla)])]
        hours = {**repeat, "active_time_intervals": texts(intervals)}
        yield from _routes([(name, matchers) for name in page], hours, last=True)
    yield from _routes([(name, critical) for name in page], repeat, last=True)
    # Also what has no severity, or one that is not known: nothing is lost for want of a label.
    yield from _routes([(name, []) for name in ticket], {"active_time_intervals": [WORKING_HOURS]}, last=True)


def _routes(
    receivers: Sequence[tuple[str, list[str]]], settings: Mapping[str, Any], *, last: bool
) -> Iterator[Manifest]:
    """A route for each receiver with its matchers, one after the other; unless ``last`` others follow."""
    for number, (receiver, matchers) in enumerate(receivers, 1):
        route: Manifest = {"receiver": receiver, **({"matchers": matchers} if matchers else {}), **settings}
        if number < len(receivers) or not last:
            route["continue"] = True
        yield route


def _matcher(label: str, values: Sequence[Any]) -> str:
    if len(values) == 1:
        return f"{label}={_quoted(str(values[0]))}"
    return f"{label}=~{_quoted('|'.join(re.escape(str(value)) for value in values))}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _inhibit_rules() -> list[Manifest]:
    """What is not told while something says it already. An alert of another cluster is never silenced."""
    of_a_cluster = 'cluster=~".+"'
    critical, less = ['severity="critical"'], ['severity=~"warning|info"']
    # What is wrong with its registration is not a consequence of what happens in a cluster.
    within = [f'alertname!="{CLUSTER_DOWN}"', 'component!="registration"', of_a_cluster]
    return [
        {"source_matchers": [f'alertname="{name}"', of_a_cluster], "target_matchers": within, "equal": ["cluster"]}
        for name in (CLUSTER_DOWN, OUT_OF_SERVICE)
    ] + [
        {
            "source_matchers": [f'alertname="{WITHDRAWN}"', of_a_cluster],
            "target_matchers": [f'alertname="{CLUSTER_DOWN}"', of_a_cluster],
            "equal": ["cluster"],
        },
        *(
            {"source_matchers": list(source), "target_matchers": [target], "equal": ["observer"]}
            for source, target in (
                ((f'alertname="{MASS_LOSS}"',), f'alertname="{CLUSTER_DOWN}"'),
                *((way, f'alertname=~"{CLUSTER_DOWN}|{MASS_LOSS}|{FLAPS}"') for way in (*WAYS_IN, NOT_SEEN)),
                *((way, 'alertname=~"RemoteWriteGatewayErrors|ThanosReceiveErrors"') for way in WAYS_IN),
                (
                    ('alertname="ObserverComponentDown"', 'component="kaas-metric-importer"'),
                    'alertname="KaaSRegistrationsUnknown"',
                ),
            )
        ),
        {
            "source_matchers": [*critical, of_a_cluster],
            "target_matchers": [*less, of_a_cluster],
            "equal": ["alertname", "cluster"],
        },
        # Without a cluster, two of a name are about the same only if they are about the same target.
        {
            "source_matchers": [*critical, 'cluster=""'],
            "target_matchers": [*less, 'cluster=""'],
            "equal": ["alertname", "observer", "region", "namespace", "instance", "iaas"],
        },
    ]


def _receiver(given: Mapping[str, Any], waiting: Sequence[str]) -> Manifest:
    # To what waits for the dead man's switch, its end would be one more beat.
    common = {"send_resolved": given.get("send_resolved", given["name"] not in waiting)}
    if given["type"] == "email":
        settings = {
            **common,
            "to": ", ".join(texts(given["to"])),
            **({"from": given["from"]} if given.get("from") else {}),
            "headers": {"Subject": '{{ template "scs.subject" . }}'},
            "text": '{{ template "scs.text" . }}',
            "html": "",
        }
        return {"name": given["name"], "email_configs": [settings]}
    http = {"http_config": _http(given)} if _http(given) else {}
    if given["type"] == "slack":
        settings = {
            **common,
            "api_url": given["url"],
            **({"channel": given["channel"]} if given.get("channel") else {}),
            "title": '{{ template "scs.subject" . }}',
            "title_link": "{{ .ExternalURL }}",
            "fallback": '{{ template "scs.subject" . }}',
            "text": '{{ template "scs.text" . }}',
            **http,
        }
        return {"name": given["name"], "slack_configs": [settings]}
    limit = {"max_alerts": given["max_alerts"]} if given.get("max_alerts") else {}
    return {"name": given["name"], "webhook_configs": [{**common, "url": given["url"], **limit, **http}]}


def _http(given: Mapping[str, Any]) -> Manifest:
    result: Manifest = {}
    if given.get("token"):
        result["authorization"] = {"credentials": given["token"]}
    if given.get("username"):
        result["basic_auth"] = {"username": given["username"], "password": given["password"]}
    if given.get("ca"):
        result["tls_config"] = {"ca": given["ca"]}
    return result


def _templates(data: Mapping[str, Any]) -> dict[str, str]:
    """Files of templates in the order in which they are read: ours, then links, then those that may replace both."""
    result = dict(data["templates"])
    if data["dashboard_url"]:
        url = data["dashboard_url"].replace("{cluster}", "{{ . | urlquery }}")
        # Defined anew: without an address, an alert has a line less.
        result[LINKS] = (
            '{{ define "scs.dashboard" }}{{ with .Labels.cluster }}\n' + f"Dashboard: {url}" + "{{ end }}{{ end }}\n"
        )
    return {**result, **{name: data["extra_templates"][name] for name in sorted(data["extra_templates"])}}
