# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which link of the way from an agent to a query is broken, by what was seen when no sample came through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import unready_reason

_COMPONENT = "app.kubernetes.io/component"
_COMPONENTS = {"gateway": ("remote-write-gateway",), "receive": ("receive",), "query": ("query", "query-frontend")}

# In the order of the way; "unknown" is what nothing points at.
LINKS = ("dns", "tcp", "tls", "certificate", "gateway", "receive", "query", "clock", "unknown")

# Below this many seconds clocks count as equal: a sample waits for its batch, and a query takes its time.
CLOCK_TOLERANCE = 15.0
SHOWN_LOG_LINES = 5

_OF_INTEREST = re.compile(r"level=(WARN|ERROR)|level=(warn|error)|\berr=", re.IGNORECASE)
_OF_REMOTE_WRITE = re.compile(r"component=remote|remote_name=|remote[ _-]?write", re.IGNORECASE)


@dataclass(frozen=True)
class Seen:
    """What was seen of the way. Times are seconds since 1970.

    ``query_failure`` is why the query was not answered, empty when it was. ``now`` is the observer's clock, ``started``
    that at the start of the run, ``newest`` the newest sample of the cluster and ``newest_before`` that at the start;
    ``ahead`` tells that there are samples of a time that is still to come. ``messages`` are the agent's about remote
    write, the last one last. ``agent_time`` is the time of the newest sample that the agent has taken, by its own
    clock, ``accepted`` how many samples it got rid of; None when that cannot be read. ``unready`` maps components of
    the observer (gateway, receive, query) to why they are not ready.
    """

    query_failure: str = ""
    now: float = 0.0
    started: float = 0.0
    newest: float | None = None
    newest_before: float | None = None
    ahead: bool = False
    messages: Sequence[str] = ()
    agent_time: float | None = None
    accepted: float | None = None
    unready: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """The broken link (one of LINKS), what is wrong with it, and what to do."""

    link: str
    message: str
    advice: str


@dataclass(frozen=True)
class _Sign:
    """What a message of the agent says; ``pattern`` is looked for in its error."""

    pattern: str
    link: str
    message: str
    advice: str


_COMPARE = "Compare remote_write_url with the gateway's hostnames, and remote_write_ca with who signed its certificate"
_REPEAT = "Repeat the run: it issues and registers a certificate where one is missing"
_SYNCHRONISE = "Synchronise the clocks of the cluster's nodes and of the observer's (NTP)"
_LOOK_AT_RECEIVE = "Look at the log of receive in the observer, and at its volume"

# The first that fits counts. Messages of Go's network and TLS, of HAProxy, and of Thanos receive.
_SIGNS = (
    _Sign(
        r"dial tcp: lookup |no such host",
        "dns",
        "pods there cannot resolve the gateway's name",
        "Check the name in remote_write_url, and that DNS in the cluster (CoreDNS) forwards to servers that know it",
    ),
    _Sign(
        r"dial tcp .*(refused|no route|unreachable|timeout)|context deadline exceeded|i/o timeout",
        "tcp",
        "the gateway's address does not answer",
        "Check address and port in remote_write_url, and firewalls, load balancer and network policies on the way",
    ),
    _Sign(
        r"signed by unknown authority",
        "tls",
        "the gateway's certificate is of an authority that the agent does not trust",
        f"{_COMPARE}; something on the way may also have opened the connection",
    ),
    _Sign(
        r"x509: certificate (is valid for|is not valid for)|cannot validate certificate for|not valid for any names",
        "tls",
        "the gateway's certificate is for other names",
        _COMPARE,
    ),
    _Sign(
        r"x509: certificate has expired or is not yet valid",
        "tls",
        "the gateway's certificate is not valid now, by the clock of the agent's node",
        "Renew the gateway's certificate (playbook observer), or set that clock",
    ),
    _Sign(
        r"remote error: tls: (expired certificate|certificate expired)",
        "certificate",
        "the gateway finds the agent's certificate expired",
        f"{_REPEAT}, or set the clock of the gateway's node",
    ),
    _Sign(
        r"remote error: tls: (unknown certificate authority|unknown certificate|bad certificate|certificate required"
        r"|certificate revoked|unsupported certificate)",
        "certificate",
        "the gateway does not accept the agent's certificate",
        "Check that remote_write_url leads to this observer: each trusts its own authority alone. "
        "If that authority was replaced, repeat the run",
    ),
    _Sign(
        r"(open|read|load) .*(tls\.crt|tls\.key|cert_file|key_file)|private key does not match|failed to find any PEM",
        "certificate",
        "the agent cannot read its certificate",
        _REPEAT,
    ),
    _Sign(
        r"server gave HTTP response to HTTPS client|tls: |first record does not look like",
        "tls",
        "there is no TLS connection to the gateway",
        "Check that remote_write_url leads to the gateway itself and that nothing on the way ends TLS",
    ),
    # The alert that says why may be lost: the other side has closed before it is read.
    _Sign(
        r"broken pipe|connection reset by peer|\bEOF\b",
        "certificate",
        "the gateway ended the connection at once, as it does with a certificate that it does not accept",
        "Look at the gateway's log for the reason: another authority, expired, or too many connections of this cluster",
    ),
    _Sign(
        r"HTTP status 503\b.*the certificate has expired",
        "certificate",
        "the gateway finds the agent's certificate expired",
        _REPEAT,
    ),
    _Sign(
        r"HTTP status (401|403)\b|HTTP status 503\b.*not registered",
        "certificate",
        "the gateway does not let this certificate write",
        _REPEAT,
    ),
    _Sign(
        r"HTTP status 503\b.*suspended",
        "gateway",
        "the cluster is suspended: the gateway has its agent wait",
        "End that with suspended: false; the agent has kept its samples",
    ),
    _Sign(
        r"HTTP status 503\b.*No server",
        "receive",
        "the gateway does not reach receive",
        _LOOK_AT_RECEIVE,
    ),
    _Sign(
        r"HTTP status 409\b.*(out of bounds|too old|too far)|HTTP status 422\b.*(out of bounds|too old|too far)",
        "clock",
        "receive takes no samples of that time",
        _SYNCHRONISE,
    ),
    _Sign(
        r"HTTP status 429\b.*series limit",
        "receive",
        "the cluster has more series than it may have",
        "Have it collect less (profile), or raise its limit (observer_receive_limits)",
    ),
    _Sign(
        r"HTTP status 429\b",
        "gateway",
        "the gateway limits the requests of this cluster",
        "Look whether another agent writes under the same name, or raise the gateway's limits",
    ),
    _Sign(
        r"HTTP status 413\b.*(write request too large|too many timeseries|too many samples)",
        "receive",
        "a request is larger than receive takes of one cluster",
        "Raise the limits of requests in receive (observer_receive_limits)",
    ),
    _Sign(
        r"HTTP status 413\b|HTTP status 400\b.*the message announces",
        "gateway",
        "a message is larger than the gateway lets through",
        "Raise the gateway's limits on bodies and messages",
    ),
    _Sign(
        r"HTTP status (400|409|422|500)\b",
        "receive",
        "receive does not take the samples",
        _LOOK_AT_RECEIVE,
    ),
    _Sign(
        r"HTTP status (502|503|504)\b",
        "gateway",
        "the gateway, or a load balancer before it, cannot serve now",
        "Look at the gateway's pods and log in the observer",
    ),
    _Sign(
        r"HTTP status \d+",
        "gateway",
        "what answers there is not the gateway, or not at that path",
        "Check that remote_write_url is the gateway's own, with the path /api/v1/receive",
    ),
)
_READY = "Look at the pods of the observer (module observer_info, playbook verify)"
# What is behind a door that does not answer, or answers that it is not open
_MAY_BE_UNREADY = {"tcp": "gateway", "gateway": "gateway", "receive": "receive"}


def broken_link(seen: Seen) -> Broken:
    """Name the broken link. What is certain comes before what is probable."""
    if seen.query_failure:
        return Broken("query", seen.query_failure, _READY)
    return _by_clock(seen) or _by_messages(seen) or _by_components(seen) or _by_silence(seen)


def _by_clock(seen: Seen) -> Broken | None:
    skew = seen.agent_time - seen.now if seen.agent_time is not None else None
    if seen.ahead or (skew is not None and skew > CLOCK_TOLERANCE):
        by = f" by {skew:.0f} s" if skew is not None else ""
        return Broken(
            "clock", f"the cluster's clock is ahead of the observer's{by}: its samples are of the future", _SYNCHRONISE
        )
    arrived = seen.newest is not None and seen.newest > (seen.newest_before or 0.0)
    if not arrived or seen.newest is None or seen.newest > seen.started:
        return None
    late = f"samples do come, but they are {seen.now - seen.newest:.0f} s old"
    if seen.agent_time is None or seen.agent_time < seen.started:
        return Broken("clock", f"{late}: the cluster's clock is behind the observer's", _SYNCHRONISE)
    return Broken(
        "unknown",
        f"{late}: the agent is still sending what it had kept",
        "Wait until it has caught up and run again",
    )


def _by_messages(seen: Seen) -> Broken | None:
    for message in reversed(seen.messages):
        for sign in _SIGNS:
            if re.search(sign.pattern, message):
                unready = seen.unready.get(_MAY_BE_UNREADY.get(sign.link, ""))
                if not unready:
                    return Broken(sign.link, sign.message, sign.advice)
                return Broken(_MAY_BE_UNREADY[sign.link], f"{sign.message}: {unready}", _READY)
    return None


def _by_components(seen: Seen) -> Broken | None:
    for link in ("gateway", "receive", "query"):
        if link in seen.unready:
            return Broken(link, seen.unready[link], _READY)
    return None


def _by_silence(seen: Seen) -> Broken:
    if seen.accepted:
        return Broken(
            "query",
            f"{seen.accepted:.0f} samples of the agent were taken, but none can be read",
            "Check that query reads from receive (module observer_info), and that remote_write_url is of this observer",
        )
    return Broken(
        "unknown",
        "the agent has nothing to send yet, or does not say what hinders it",
        "Look at the agent's own log and targets",
    )


def remote_write_errors(log: str, url: str = "") -> list[str]:
    """Of an agent's log, the warnings and errors of remote write, each once, the last one last.

    With ``url`` those of other addresses are left out: an agent may write to two observers.
    """
    found: dict[str, None] = {}
    for line in log.splitlines():
        if _OF_INTEREST.search(line) and _OF_REMOTE_WRITE.search(line) and _is_of(line, url):
            # The same but for its time is the same.
            text = re.sub(r"^(ts|time)=\S+\s+", "", line).strip()
            found.pop(text, None)
            found[text] = None
    return list(found)[-SHOWN_LOG_LINES:]


def _is_of(line: str, url: str) -> bool:
    written_to = re.search(r"\burl=\"?([^\s\"]+)", line)
    return not url or written_to is None or written_to[1] == url


def unready_components(workloads: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of an observer's workloads, which of gateway, receive and query is not ready or not there, and why."""
    found = {str((item["metadata"].get("labels") or {}).get(_COMPONENT)): item for item in workloads}
    reasons: dict[str, str] = {}
    for link, components in _COMPONENTS.items():
        for component in components:
            item = found.get(component)
            reason = unready_reason(item) if item else "it is not deployed"
            if item and item["spec"].get("replicas") == 0:
                reason = "it has no replicas"
            if reason:
                reasons.setdefault(link, f"{component} in the observer is not ready: {reason}")
    return reasons
