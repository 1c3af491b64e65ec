# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which link is named. ``agent_messages.json`` holds what a real agent logged when just that was broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._registration.broken_link import (
    LINKS,
    Seen,
    broken_link,
    remote_write_errors,
    unready_components,
)

MESSAGES = json.loads((Path(__file__).parent / "agent_messages.json").read_text())
NOW = 1_000_000.0


@pytest.mark.parametrize("case", MESSAGES)
def test_what_a_real_agent_says_names_the_link(case: str) -> None:
    link, message = MESSAGES[case]["link"], MESSAGES[case]["message"]
    log = f"time=2026-01-01T00:00:00Z level=INFO msg=started\ntime=2026-01-01T00:00:01Z {message}\n"
    assert remote_write_errors(log) == [message]
    broken = broken_link(Seen(messages=[message]))
    assert broken.link == link
    assert broken.link in LINKS
    assert broken.message
    assert broken.advice


AWAY = MESSAGES["receive is away"]["message"]
REFUSED = MESSAGES["a port that refuses"]["message"]


@pytest.mark.parametrize(
    ("seen", "link", "text"),
    [
        (Seen(query_failure="no endpoints", messages=[REFUSED]), "query", "no endpoints"),
        (Seen(messages=[AWAY, REFUSED]), "tcp", "does not answer"),
        (Seen(messages=[REFUSED, AWAY]), "receive", "does not reach receive"),
        # A door that does not answer because nobody is behind it
        (Seen(messages=[REFUSED], unready={"gateway": "0 of 2 are ready"}), "gateway", "0 of 2"),
        (Seen(messages=[REFUSED], unready={"receive": "0 of 1 are ready"}), "tcp", "does not answer"),
        (Seen(messages=[AWAY], unready={"receive": "0 of 1 are ready"}), "receive", "0 of 1"),
        (Seen(unready={"receive": "gone", "query": "gone, too"}), "receive", "gone"),
        (Seen(now=NOW, agent_time=NOW - 20, accepted=0), "unknown", "nothing to send"),
        (Seen(now=NOW, agent_time=NOW - 20, accepted=500), "query", "500 samples of the agent were taken"),
        # Clocks: what is seen of them counts more than what the agent says of it
        (Seen(now=NOW, agent_time=NOW + 300, accepted=500), "clock", "ahead of the observer's by 300 s"),
        (Seen(now=NOW, ahead=True), "clock", "of the future"),
        (Seen(now=NOW, started=NOW - 120, newest=NOW - 400), "clock", "400 s old: the cluster's clock is behind"),
        (Seen(now=NOW, started=NOW - 120, newest=NOW - 400, agent_time=NOW - 395), "clock", "is behind"),
        (Seen(now=NOW, started=NOW - 120, newest=NOW - 400, agent_time=NOW - 5), "unknown", "still sending"),
        # Nothing new came at all
        (Seen(now=NOW, started=NOW - 120, newest=NOW - 400, newest_before=NOW - 400, messages=[AWAY]), "receive", ""),
    ],
)
def test_what_was_seen_is_weighed(seen: Seen, link: str, text: str) -> None:
    broken = broken_link(seen)
    assert (broken.link, text in broken.message) == (link, True), broken


def workload(component: str, ready: int, replicas: int = 1) -> dict[str, Any]:
    counted = {"replicas": ready, "updatedReplicas": ready, "availableReplicas": ready}
    labels = {"app.kubernetes.io/component": component}
    spec, status = {"replicas": replicas}, counted
    return {"kind": "Deployment", "metadata": {"name": component, "labels": labels}, "spec": spec, "status": status}


def test_components_of_the_observer_that_are_not_ready_are_named() -> None:
    parts = ("remote-write-gateway", "receive", "query", "query-frontend")
    assert unready_components([workload(name, 1) for name in parts]) == {}
    found = unready_components([workload("remote-write-gateway", 0), workload("receive", 0, 0), workload("query", 1)])
    assert set(found) == {"gateway", "receive", "query"}
    assert "it has no replicas" in found["receive"]
    assert found["query"] == "query-frontend in the observer is not ready: it is not deployed"


def test_errors_of_remote_write_are_shown_once_the_last_ones_last() -> None:
    lines = [
        "time=1 level=INFO component=remote remote_name=observer msg=started",
        "time=2 level=ERROR component=scrape msg=target",
        *(f"time={moment} level=WARN component=remote err=a" for moment in range(3, 20)),
        *(f"time=20 level=ERROR component=remote err=b{number}" for number in range(6)),
        "time=30 level=WARN component=remote err=a",
    ]
    assert remote_write_errors("\n".join(lines)) == [
        "level=ERROR component=remote err=b2",
        "level=ERROR component=remote err=b3",
        "level=ERROR component=remote err=b4",
        "level=ERROR component=remote err=b5",
        "level=WARN component=remote err=a",
    ]
