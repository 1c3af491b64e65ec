# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator sets for one cluster alone: read, and refused where it would collect secrets or break the rest.

Pure. Every function raises InputError (all problems at once as InputErrors) naming the parameter down to the entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core import expressions, names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._manifests import collected, collection_profile

# A sample stays visible for five minutes: with a longer interval one lost scrape would look like a dead cluster.
SHORTEST_INTERVAL = 5.0
LONGEST_INTERVAL = 120.0
PARTS = ("agent", "kube_state_metrics", "node_exporter", "blackbox_exporter")

_JOB_KEYS = ("name", "targets", "service", "namespace", "port", "path", "scheme", "interval")
_SERVICE_KEYS = ("service", "namespace", "port")
_CREDENTIALS = re.compile(r"auth|token|password|secret|credential|tls|cert|key|header|cookie|param", re.IGNORECASE)
_TARGET = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):(?P<port>[0-9]{1,5})")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_LABEL_NAME = r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_LABEL_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_SELECTOR = re.compile(rf"{_LABEL_NAME}=={{0,1}}{_LABEL_VALUE}(?:,{_LABEL_NAME}=={{0,1}}{_LABEL_VALUE})*")
MOST_NAMESPACES = 50
MOST_JOBS = 50
MOST_TARGETS = 100

# What is said of Secrets in a cluster: their names and labels are nobody's business, and there is no need to try more.
_OF_SECRETS = (
    *(f"kube_secret_{what}" for what in ("info", "type", "owner", "labels", "created", "annotations")),
    *("kube_ingress_tls", "kube_serviceaccount_secret", "kube_serviceaccount_image_pull_secret"),
)
# Whatever matches both matches everything.
_OF_NOBODY = ("x", "no_such_metric")


def read(given: Mapping[str, Any], parameter: str = "overrides") -> dict[str, Any]:
    """Return overrides without what is not set in them; none is left of empty ones."""
    problems = Problems()
    for name in sorted(set(given) - set(_READERS)):
        problems.of(_unknown, name, _READERS, parameter)
    found = {
        name: problems.of(reader, given[name], f"{parameter}.{name}")
        for name, reader in _READERS.items()
        if given.get(name) not in (None, "", {}, [])
    }
    problems.refuse()
    return {name: value for name, value in found.items() if value}


def profile(value: object, parameter: str) -> str:
    """A profile of what is collected."""
    if value not in collection_profile.PROFILES:
        raise InputError(names.not_known(value, collection_profile.PROFILES), parameter=parameter)
    return str(value)


def interval(value: object, parameter: str) -> str:
    """How often something is scraped."""
    given = names.duration_seconds(value, parameter)
    if not SHORTEST_INTERVAL <= given <= LONGEST_INTERVAL:
        raise InputError(
            f"{value!r} is not between {SHORTEST_INTERVAL:g}s and {LONGEST_INTERVAL:g}s",
            parameter=parameter,
            advice="A sample is visible for five minutes, so scrape at least every two",
        )
    return str(value)


def resources(given: object, parameter: str) -> dict[str, dict[str, dict[str, str]]]:
    """Requests and limits by part; parts without any are left out."""
    problems = Problems()
    found = {}
    for part, amounts in _mapping(given, parameter).items():
        if part not in PARTS:
            problems.of(_unknown, part, PARTS, parameter)
        elif amounts:
            place = f"{parameter}.{part}"
            found[part] = problems.of(lambda a, p: names.resources(_mapping(a, p), p), amounts, place)
    problems.refuse()
    return found


def jobs(given: object, parameter: str) -> list[dict[str, Any]]:
    """Jobs beside ours: each has ``targets``, or a Service by ``service``, ``namespace`` and ``port``."""
    problems = Problems()
    entries = _list(given, parameter)
    if len(entries) > MOST_JOBS:
        raise InputError(f"has {len(entries)} entries, more than {MOST_JOBS}", parameter=parameter)
    found = [problems.of(_job, entry, f"{parameter}[{place}]") for place, entry in enumerate(entries)]
    called = [job["name"] for job in found if job]
    for name in sorted({name for name in called if called.count(name) > 1}):
        problems.of(_refuse, f"{name!r} is there more than once", parameter)
    problems.refuse()
    return found


def series(given: object, parameter: str) -> dict[str, list[str]]:
    """By job, expressions for whole names of metrics that are kept beside those of the profile."""
    problems = Problems()
    found: dict[str, list[str]] = {}
    for job, patterns in _mapping(given, parameter).items():
        place = f"{parameter}.{job}"
        if job not in collection_profile.MINIMAL:
            advice = "Of extra jobs everything is kept"
            problems.of(_refuse, names.not_known(job, collection_profile.MINIMAL), parameter, advice)
            continue
        listed = problems.of(_list, patterns, place)
        for number, pattern in enumerate(listed or ()):
            problems.of(_pattern, pattern, f"{place}[{number}]")
        found[job] = [str(pattern) for pattern in listed or ()]
    problems.refuse()
    return {job: patterns for job, patterns in found.items() if patterns}


def workloads(given: object, parameter: str) -> dict[str, Any]:
    """Pods of the customer that are scraped: those with the labels ``selector`` in ``namespaces``."""
    problems = Problems()
    found = _only(_mapping(given, parameter), ("namespaces", "selector"), parameter, problems)
    namespaces = problems.of(_list, found.get("namespaces") or [], f"{parameter}.namespaces") or []
    if "namespaces" not in found:
        problems.of(_refuse, "is required: an agent looks at no pods of other namespaces", f"{parameter}.namespaces")
    if len(namespaces) > MOST_NAMESPACES:
        problems.of(_refuse, f"has {len(namespaces)} entries, more than {MOST_NAMESPACES}", f"{parameter}.namespaces")
    for number, name in enumerate(namespaces):
        problems.of(names.dns_label, name, f"{parameter}.namespaces[{number}]")
    selector = str(found.get("selector") or "")
    if not _SELECTOR.fullmatch(selector):
        problems.of(
            _refuse,
            f"{selector!r} is not a selector of labels" if selector else "is required: not every pod is meant",
            f"{parameter}.selector",
            "Use name=value, several with a comma between them",
        )
    problems.refuse()
    return {"namespaces": sorted(set(namespaces)), "selector": selector}


def blackbox(given: object, parameter: str) -> dict[str, Any]:
    """What is asked from inside of the cluster: ``targets`` with ``name``, ``url`` and ``module``."""
    problems = Problems()
    found = _only(_mapping(given, parameter), ("targets",), parameter, problems)
    place = f"{parameter}.targets"
    entries = [
        _only(_mapping(entry, f"{place}[{number}]"), ("name", "url", "module"), f"{place}[{number}]", problems)
        for number, entry in enumerate(_list(found.get("targets") or [], place))
    ]
    if len(entries) > MOST_TARGETS:
        problems.of(_refuse, f"has {len(entries)} entries, more than {MOST_TARGETS}", place)
    problems.found += [
        InputError(text, parameter=name)
        for name, _colon, text in (line.partition(": ") for line in collected.endpoints_of(entries, place)[1])
    ]
    problems.refuse()
    return {"targets": entries} if entries else {}


def _only(given: Mapping[str, Any], known: tuple[str, ...], parameter: str, problems: Problems) -> dict[str, Any]:
    """What is set of it; problems of keys that are not known are added."""
    for key in sorted(set(given) - set(known)):
        problems.of(_unknown, key, known, parameter)
    return {key: given[key] for key in known if given.get(key) not in (None, "", [])}


def _job(given: object, parameter: str) -> dict[str, Any]:
    job = {key: value for key, value in _mapping(given, parameter).items() if value not in (None, "", [])}
    problems = Problems()
    for key in sorted(set(job) - set(_JOB_KEYS)):
        if _CREDENTIALS.search(key):
            problems.of(_refuse, f"{key} is none: an agent has no credentials for what it scrapes", parameter)
        else:
            problems.of(_unknown, key, _JOB_KEYS, parameter)
    problems.of(_job_name, job.get("name"), f"{parameter}.name")
    if "targets" in job:
        others = [key for key in _SERVICE_KEYS if key in job]
        if others:
            problems.of(_refuse, f"excludes {', '.join(others)}", f"{parameter}.targets")
        targets = problems.of(_list, job["targets"], f"{parameter}.targets") or []
        if len(targets) > MOST_TARGETS:
            problems.of(_refuse, f"has {len(targets)} entries, more than {MOST_TARGETS}", f"{parameter}.targets")
        for number, target in enumerate(targets):
            problems.of(_target, target, f"{parameter}.targets[{number}]")
    else:
        problems.of(_service, job, parameter)
    if "path" in job and not _PATH.fullmatch(str(job["path"])):
        problems.of(_refuse, f"{job['path']!r} is not a path like /metrics, without a query", f"{parameter}.path")
    if job.get("scheme", "http") not in ("http", "https"):
        problems.of(_refuse, f"{job['scheme']!r} is neither http nor https", f"{parameter}.scheme")
    if "interval" in job:
        problems.of(interval, job["interval"], f"{parameter}.interval")
    problems.refuse()
    return {key: int(job[key]) if key == "port" else job[key] for key in _JOB_KEYS if key in job}


def _job_name(value: object, parameter: str) -> str:
    name = names.dns_label(value, parameter)
    if name in collection_profile.RESERVED_JOBS:
        raise InputError(f"{name!r} is a job that agents have", parameter=parameter, advice="Choose another name")
    return name


def _service(job: Mapping[str, Any], parameter: str) -> None:
    problems = Problems()
    missing = [key for key in _SERVICE_KEYS if key not in job]
    if missing:
        text = f"has no {', '.join(missing)}" if len(missing) < len(_SERVICE_KEYS) else "has nothing to scrape"
        problems.of(_refuse, text, parameter, "Give targets, or service, namespace and port")
    for key in ("service", "namespace"):
        if key in job:
            problems.of(names.dns_label, job[key], f"{parameter}.{key}")
    if "port" in job:
        problems.of(_port, job["port"], f"{parameter}.port")
    problems.refuse()


def _port(value: object, parameter: str) -> None:
    if isinstance(value, bool) or not str(value).isdecimal() or not 0 < int(str(value)) < 2**16:
        raise InputError(f"{value!r} is not a port", parameter=parameter)


def _target(value: object, parameter: str) -> None:
    match = _TARGET.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < int(match["port"]) < 2**16:
        # Not repeated where it may hold a password.
        shown = "it" if "@" in str(value) else repr(value)
        raise InputError(
            f"{shown} is not an address", parameter=parameter, advice="Use host:port; path and scheme are keys beside"
        )


def _pattern(value: object, parameter: str) -> None:
    """Refuse what is no expression for names, or stands for everything, or for what is told of Secrets."""
    pattern = str(value) if isinstance(value, str) else ""
    if not pattern or len(pattern) > 1000:
        raise InputError("is not an expression for the names of metrics", parameter=parameter)
    wrong = expressions.fault(pattern)
    if not wrong and expressions.only_re2(pattern):
        wrong = "has classes of characters that cannot be tried here"
    if not wrong and "," in pattern:
        wrong = "has a comma, where kube-state-metrics would begin another one"
    if wrong:
        raise InputError(f"{pattern!r} {wrong}", parameter=parameter)
    if all(re.fullmatch(pattern, name) for name in _OF_NOBODY):
        raise InputError(
            f"{pattern!r} matches everything",
            parameter=parameter,
            advice="Use the profile full, which keeps everything",
        )
    of_secrets = [name for name in _OF_SECRETS if re.fullmatch(pattern, name)]
    if of_secrets or "kube_secret" in pattern:
        raise InputError(
            f"{pattern!r} matches what is told of Secrets, which is never collected",
            parameter=parameter,
            advice=f"Write an expression that does not match {', '.join(of_secrets[:3]) or 'kube_secret_…'}",
        )


def _mapping(value: object, parameter: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError("must be a dictionary", parameter=parameter)
    return {str(name): content for name, content in value.items()}


def _list(value: object, parameter: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise InputError("must be a list", parameter=parameter)
    return list(value)


def _refuse(text: str, parameter: str, advice: str | None = None) -> None:
    raise InputError(text, parameter=parameter, advice=advice)


def _unknown(name: str, known: Iterable[str], parameter: str) -> None:
    raise InputError(names.not_known(name, known), parameter=parameter)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "profile": profile,
    "scrape_interval": interval,
    "extra_jobs": jobs,
    "extra_series": series,
    "resources": resources,
    "workloads": workloads,
    "blackbox": blackbox,
}
