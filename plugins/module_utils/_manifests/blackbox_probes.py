# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A catalogue of endpoints in; Probe objects and the blackbox exporter's modules out.

A URL says what is probed and how: ``https://host/path``, ``tcp://host:port``, ``tls://host:port``, ``icmp://host`` and
``dns://server/name?type=AAAA`` (as in RFC 4501).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_label,
    duration_seconds,
    is_address,
    not_known,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted

Manifest = dict[str, Any]

PROBER = "blackbox-exporter:9115"
ENDPOINTS = "observer_endpoints"
AUTHORITIES = "observer_endpoints_ca"
OWN_MODULES = "observer_blackbox_exporter_modules"

KEYS = ("name", "url", "module", "criticality", "owner", "region", "interval", "labels")
CHOICES = {"criticality": ("warning", "critical"), "owner": ("csp", "customer")}
DEFAULT_INTERVAL = "30s"
# Seconds. Queries look back for five minutes: a series that comes more rarely has gaps.
SHORTEST_INTERVAL, LONGEST_INTERVAL = 5.0, 240.0
# Seconds that a probe may take, if its interval leaves it that long.
LONGEST_PROBE = 10

# Without a preference the exporter takes IPv6 first.
_IP4 = {"preferred_ip_protocol": "ip4"}
MODULES: dict[str, dict[str, Any]] = {
    # What comes at the end of redirects has to be a success.
    "http_2xx": {"prober": "http", "http": dict(_IP4)},
    # The service answers, if only that it wants a login: everything but its own failures.
    "http_any": {
        "prober": "http",
        "http": {**_IP4, "follow_redirects": False, "valid_status_codes": list(range(200, 500))},
    },
    "tcp_connect": {"prober": "tcp", "tcp": dict(_IP4)},
    "tcp_tls": {"prober": "tcp", "tcp": {**_IP4, "tls": True}},
    # Without any record of the name and type that was asked for, the answer is of no use.
    "dns": {
        "prober": "dns",
        "dns": {
            **_IP4,
            "query_type": "A",
            "valid_rcodes": ["NOERROR"],
            "validate_answer_rrs": {"fail_if_none_matches_regexp": ["."]},
        },
    },
    "icmp": {"prober": "icmp", "icmp": dict(_IP4)},
}
PROBERS = ("http", "tcp", "dns", "icmp", "grpc")
# Of a scheme: the prober that a module for it has, and the module unless one is named.
SCHEMES = {
    "http": ("http", "http_2xx"),
    "https": ("http", "http_2xx"),
    "tcp": ("tcp", "tcp_connect"),
    "tls": ("tcp", "tcp_tls"),
    "dns": ("dns", "dns"),
    "icmp": ("icmp", "icmp"),
}
RECORD_TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")

# Made here or by Prometheus, or what tells customers' clusters and observers apart: with a label "cluster", the probe
# of a cluster whose agent is dead would be taken for a sample of it.
_RESERVED_LABELS = (
    *("instance", "job", "namespace", "probe", "criticality", "owner", "region", "module"),
    *("cluster", "observer", "prometheus_replica"),
)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MODULE = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62}")
_NAME = r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
_HOST = re.compile(rf"{_NAME}(\.{_NAME})*\.?")


@dataclass(frozen=True)
class Endpoint:
    """An entry of the catalogue that can be probed. ``target`` and ``probed_by`` are what the exporter is asked."""

    name: str
    url: str
    target: str
    module: str
    probed_by: str
    interval: str
    labels: Mapping[str, str]
    query: Mapping[str, str]


def modules(endpoints: Sequence[Any], own: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the exporter's modules by name: ours, the operator's own, and one per question of DNS.

    The exporter takes what it asks a DNS server from the module alone, and loads none without a question.
    """
    return modules_of(_checked(endpoints, own), own)


def modules_of(checked: Sequence[Endpoint], own: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The same for endpoints that were read."""
    known = {**MODULES, **own}
    result = {name: module for name, module in known.items() if module["prober"] != "dns" or _question_of(module)}
    for endpoint in checked:
        if endpoint.query:
            base = known[endpoint.module]
            result[endpoint.probed_by] = {**base, "dns": {**(base.get("dns") or {}), **endpoint.query}}
    return result


def probes(endpoints: Sequence[Any], own: Mapping[str, Any]) -> list[Manifest]:
    """Return a Probe per endpoint. Raises InputError with all problems of the catalogue at once."""
    return [_probe(endpoint) for endpoint in _checked(endpoints, own)]


def problems(endpoints: Any, own: Any, ca: str, now: datetime) -> list[str]:
    """Return everything that is wrong with the catalogue, the operator's own modules and authorities, one line each."""
    wrong = read(endpoints, own)[1]
    if ca:
        try:
            trusted(ca, now, AUTHORITIES)
        except InputError as error:
            wrong.append(str(error))
    return wrong


def _checked(endpoints: Any, own: Any) -> list[Endpoint]:
    found, wrong = read(endpoints, own)
    if wrong:
        raise InputError("\n".join(["cannot be probed:", *wrong]), parameter=ENDPOINTS)
    return found


def _probe(endpoint: Endpoint) -> Manifest:
    static: Manifest = {"static": [endpoint.target], "labels": dict(endpoint.labels)}
    if endpoint.target != endpoint.url:
        # In a replacement, $ would begin a reference to a group.
        static["relabelingConfigs"] = [{"targetLabel": "instance", "replacement": endpoint.url.replace("$", "$$")}]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Probe",
        "metadata": {
            "name": f"endpoint-{endpoint.name}",
            "labels": {"app.kubernetes.io/name": "blackbox-exporter", "app.kubernetes.io/component": "probe"},
        },
        "spec": {
            "jobName": "probe",
            "prober": {"url": PROBER},
            "module": endpoint.probed_by,
            "interval": endpoint.interval,
            "scrapeTimeout": f"{min(LONGEST_PROBE, int(duration_seconds(endpoint.interval, 'interval')))}s",
            "targets": {"staticConfig": static},
        },
    }


def read(endpoints: Any, own: Any, parameter: str = ENDPOINTS) -> tuple[list[Endpoint], list[str]]:
    """Return the endpoints that are in order, and what is wrong with the others, by the name of the ``parameter``."""
    if not isinstance(own, Mapping):
        return [], [f"{OWN_MODULES}: must be a dictionary, modules by name"]
    wrong = [f"{OWN_MODULES}.{name}: {text}" for name, module in own.items() for text in _module_problems(name, module)]
    if isinstance(endpoints, (str, Mapping)) or not isinstance(endpoints, Sequence):
        return [], [*wrong, f"{parameter}: must be a list of endpoints"]
    known = {**MODULES, **{str(name): module for name, module in own.items() if isinstance(module, Mapping)}}
    found: list[Endpoint] = []
    seen: dict[tuple[str, ...], int] = {}
    for index, given in enumerate(endpoints):
        entry = _Entry(f"{parameter}[{index}]", known)
        endpoint = entry.read(given)
        wrong += entry.wrong
        for what, key in entry.unique(given):
            first = seen.setdefault((what, *key), index)
            if first != index:
                wrong.append(f"{parameter}[{index}].{what}: is that of {parameter}[{first}], too")
        if endpoint is not None:
            found.append(endpoint)
    return found, wrong


def _module_problems(name: object, module: Any) -> Iterator[str]:
    if not isinstance(name, str) or not _MODULE.fullmatch(name):
        yield "the name must be of letters, digits, '_' and '-', at most 63"
    if not isinstance(module, Mapping):
        yield "must be a dictionary as blackbox exporter has them, with prober"
        return
    for key in module:
        if key not in ("prober", "timeout", *PROBERS):
            yield not_known(key, ("prober", "timeout", *PROBERS))
    if module.get("prober") not in PROBERS:
        yield f"prober: {not_known(module.get('prober'), PROBERS)}"
    for key in PROBERS:
        if key in module and not isinstance(module[key], Mapping):
            yield f"{key}: must be a dictionary"
    if "timeout" in module:
        try:
            duration_seconds(module["timeout"], "timeout")
        except InputError as error:
            yield str(error)


class _Entry:
    """Reads one entry of the catalogue and collects what is wrong with it. Nothing of a URL is repeated: it may hold a
    password.
    """

    def __init__(self, place: str, known: Mapping[str, Mapping[str, Any]]) -> None:
        self.place, self.known = place, known
        self.wrong: list[str] = []

    def refuse(self, field: str, text: str) -> None:
        self.wrong.append(f"{self.place}.{field}: {text}" if field else f"{self.place}: {text}")

    def unique(self, given: Any) -> list[tuple[str, tuple[str, ...]]]:
        """What no other entry may have."""
        if not isinstance(given, Mapping):
            return []
        result: list[tuple[str, tuple[str, ...]]] = [("name", (str(given["name"]),))] if given.get("name") else []
        if given.get("url"):
            default = SCHEMES.get(str(given["url"]).partition(":")[0], ("", ""))[1]
            result.append(("url", (str(given["url"]), str(given.get("module") or default))))
        return result

    def read(self, given: Any) -> Endpoint | None:
        if not isinstance(given, Mapping):
            self.refuse("", "must be a dictionary, with name and url")
            return None
        for key in given:
            if key not in KEYS:
                self.refuse(str(key), not_known(key, KEYS))
        name = self._name(given.get("name"))
        interval = self._interval(given.get("interval") or DEFAULT_INTERVAL)
        labels = self._labels(given, name)
        url = self._url(given.get("url"))
        scheme = url.scheme if url else ""
        module = self._module(given.get("module"), scheme)
        target, query = self._target(url, module) if url else ("", {})
        if self.wrong:
            return None
        probed_by = ":".join([module, *query.values()])
        return Endpoint(
            name, str(given["url"]), target, module, probed_by, interval, {**labels, "module": module}, query
        )

    def _name(self, value: Any) -> str:
        try:
            name = dns_label(value, "name")
        except InputError as error:
            self.refuse("name", f"{error.message}. {error.advice}" if error.advice else error.message)
            return ""
        # It becomes the name of an object, with something before it, and of a job.
        if len(name) > 50:
            self.refuse("name", f"{name!r} is longer than 50 characters")
        return name

    def _interval(self, value: Any) -> str:
        try:
            seconds = duration_seconds(value, "interval")
        except InputError as error:
            self.refuse("interval", f"{error.message}. {error.advice}" if error.advice else error.message)
        else:
            if not SHORTEST_INTERVAL <= seconds <= LONGEST_INTERVAL:
                self.refuse("interval", f"{value!r} is not between 5s and 4m; queries look back for five minutes")
        return str(value)

    def _labels(self, given: Mapping[str, Any], name: str) -> dict[str, str]:
        labels = {"probe": name}
        for field, choices in CHOICES.items():
            labels[field] = str(given.get(field) or choices[0])
            if labels[field] not in choices:
                self.refuse(field, not_known(given[field], choices))
        if given.get("region"):
            labels["region"] = str(given["region"])
            if not isinstance(given["region"], str):
                self.refuse("region", "must be a text")
        own = given.get("labels") or {}
        if not isinstance(own, Mapping):
            self.refuse("labels", "must be a dictionary, texts by name")
            return labels
        for label, value in own.items():
            if not isinstance(label, str) or not _LABEL.fullmatch(label) or label.startswith("__"):
                self.refuse("labels", f"{label!r} is not the name of a label")
            elif label in _RESERVED_LABELS:
                self.refuse(f"labels.{label}", "means something else in an observer; use another name")
            elif not isinstance(value, str):
                self.refuse(f"labels.{label}", "must be a text; put it into quotes")
        return {**{str(label): str(value) for label, value in own.items()}, **labels}

    def _url(self, value: Any) -> SplitResult | None:
        if not value or not isinstance(value, str):
            self.refuse("url", "is required and must be a text")
            return None
        if re.search(r"[\s\x00-\x1f\x7f]", value):
            self.refuse("url", "must not contain blanks or control characters")
            return None
        try:
            url = urlsplit(value)
            port = url.port
        except ValueError:
            self.refuse("url", "is not a URL: its host or port cannot be read")
            return None
        if not url.netloc:
            self.refuse("url", "is not a URL, such as https://host/path, tcp://host:port or icmp://host")
            return None
        if url.scheme not in SCHEMES:
            self.refuse("url", f"scheme {not_known(url.scheme, SCHEMES)}")
            return None
        before = len(self.wrong)
        if "@" in url.netloc:
            self.refuse("url", "must not contain credentials: they would be seen in metrics; use a module of your own")
        elif not _is_host(url.hostname or ""):
            self.refuse("url", "has no host that a name server or a network would know")
        elif port == 0:
            self.refuse("url", "0 is not a port")
        if url.scheme in ("tcp", "tls") and port is None:
            self.refuse("url", f"needs a port, as in {url.scheme}://host:443")
        if url.scheme in ("tcp", "tls", "icmp") and (url.path.strip("/") or url.query or url.fragment):
            self.refuse("url", f"must end after the {'host' if url.scheme == 'icmp' else 'port'}")
        if url.scheme == "icmp" and port is not None:
            self.refuse("url", "must have no port: ICMP knows none")
        return url if len(self.wrong) == before else None

    def _module(self, value: Any, scheme: str) -> str:
        prober, default = SCHEMES.get(scheme, ("", ""))
        if not value:
            return default
        module = self.known.get(value) if isinstance(value, str) else None
        if module is None:
            self.refuse("module", not_known(value, self.known))
        elif prober and module.get("prober") != prober:
            fitting = sorted(name for name, other in self.known.items() if other.get("prober") == prober)
            self.refuse("module", f"{value} does not probe {scheme}://; those that do are {', '.join(fitting)}")
        return str(value)

    def _target(self, url: SplitResult, module: str) -> tuple[str, dict[str, str]]:
        """What the exporter is to probe, and what it asks for there."""
        if url.scheme in ("http", "https"):
            return url.geturl(), {}
        if url.scheme == "icmp":
            return str(url.hostname), {}
        if url.scheme == "dns":
            return url.netloc, self._query(url, module)
        return url.netloc, {}

    def _query(self, url: SplitResult, module: str) -> dict[str, str]:
        name = url.path.strip("/")
        query: dict[str, str] = {}
        if name:
            query["query_name"] = name
            if not _HOST.fullmatch(name) or len(name) > 253:
                self.refuse("url", "asks for what is not a name; use dns://server/name")
        elif not _question_of(self.known.get(module, {})):
            self.refuse("url", "needs the name to ask for, as in dns://server/name")
        for key, value in parse_qsl(url.query, keep_blank_values=True):
            if key != "type" or not name:
                self.refuse("url", "may only have ?type= after the name, as in dns://server/name?type=AAAA")
            elif value.upper() not in RECORD_TYPES:
                self.refuse("url", f"type {not_known(value.upper(), RECORD_TYPES)}")
            else:
                query["query_type"] = value.upper()
        if url.fragment:
            self.refuse("url", "must have nothing after '#'")
        return query


def _question_of(module: Mapping[str, Any]) -> str:
    """The name that a module of DNS asks for by itself."""
    settings = module.get("dns")
    return str(settings.get("query_name") or "") if isinstance(settings, Mapping) else ""


def _is_host(host: str) -> bool:
    if re.fullmatch(r"[0-9.]+|.*:.*", host):
        return is_address(host)
    return len(host) <= 253 and _HOST.fullmatch(host) is not None
