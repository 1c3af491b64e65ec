# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we say of data is what Alertmanager says, and its routes lead where they shall."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.alertmanager.servers import write_files
from tests.integration.processes import binary
from tests.unit.module_utils._manifests.test_alertmanager_problems import GOOD, WRONG


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary("amtool"), *arguments], capture_output=True, check=False, text=True)


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_alertmanager_takes_what_is_taken(data: dict[str, Any], tmp_path: Path) -> None:
    result = amtool("check-config", str(write_files(data, tmp_path)))
    assert result.returncode == 0, result.stdout + result.stderr


# In the other cases we are stricter, or there is nothing to give to Alertmanager.
THEIRS = [
    "a name twice",
    "a name of theirs twice",
    "no URL",
    "no scheme",
    "another scheme",
    "no host",
    "two ways to log in",
    "nobody to write to",
    "no mail server",
    "no port",
    "no sender",
    "an unknown interval",
    "an unknown interval to be silent",
    "a bad matcher",
    "an open quote",
    "a bad expression",
    "an expression that looks ahead",
    "a repeat of nothing",
    "a bad wait",
    "a label twice",
    "everything and more",
    "a bad time",
    "too late a time",
    "a night",
    "a bad weekday",
    "a number of a weekday",
    "a weekend",
    "a week of three ends",
    "a day of no month",
    "a day zero",
    "days backwards",
    "days from the end to the start",
    "years backwards",
    "a bad zone",
    "a bad zone of an interval",
    "an unknown field of an interval",
    "their route to a stranger",
]


@pytest.mark.parametrize("case", THEIRS)
def test_alertmanager_does_not_take_what_is_refused(case: str, tmp_path: Path) -> None:
    assert amtool("check-config", str(write_files(WRONG[case][0], tmp_path))).returncode != 0


TEAM: dict[str, Any] = {
    "smtp_smarthost": "mail.example.com:587",
    "smtp_from": "observer@example.com",
    "receivers": [
        {"name": "beat", "type": "webhook", "url": "https://beat.example.com/1"},
        {"name": "thanos-beat", "type": "webhook", "url": "https://beat.example.com/2"},
        {"name": "oncall", "type": "webhook", "url": "https://pager.example.com"},
        {"name": "chat", "type": "slack", "url": "https://chat.example.com"},
        {"name": "tickets", "type": "email", "to": "tickets@example.com"},
        {"name": "acme", "type": "email", "to": "it@acme.example.com"},
        {"name": "gold", "type": "webhook", "url": "https://gold.example.com"},
    ],
    "page_receivers": ["oncall", "chat"],
    "ticket_receivers": ["tickets"],
    "heartbeat_receivers": {"ObserverWatchdog": "beat", "ObserverWatchdogThanos": "thanos-beat"},
    "sla_hours": {"bronze": "working-hours"},
    "routes": [
        {"customer": "acme", "owner": "customer", "receivers": ["acme"]},
        {"sla": ["gold", "plat+num"], "severity": ["critical", "warning"], "receivers": ["tickets", "oncall"]},
        {"cluster": "kaas-9", "receivers": ["gold"], "continue": True},
        {"layer": "harbor", "receivers": []},
        {"matchers": ['region=~"n.*"'], "receivers": ["gold"]},
    ],
}

ROUTED: list[tuple[str, str]] = [
    # A dead man's switch, and nothing else, to who waits for it
    ("alertname=ObserverWatchdog severity=none", "beat"),
    ("alertname=ObserverWatchdogThanos severity=none", "thanos-beat"),
    ("alertname=ObserverWatchdog severity=warning", "tickets"),
    ("alertname=Other severity=none", "nobody"),
    ("severity=info", "nobody"),
    ("severity=info sla=gold", "nobody"),
    # By severity
    ("severity=critical", "oncall,chat"),
    ("severity=critical owner=csp", "oncall,chat"),
    ("severity=critical sla=silver", "oncall,chat"),
    ("severity=critical sla=bronze", "oncall,chat"),
    ("severity=warning", "tickets"),
    ("severity=warning sla=bronze", "tickets"),
    ("alertname=Theirs", "tickets"),
    ("severity=page", "tickets"),
    # What is the customer's never pages, whatever its SLA
    ("severity=critical owner=customer", "tickets"),
    ("severity=critical owner=customer sla=bronze", "tickets"),
    ("severity=critical owner=customer sla=gold", "tickets"),
    ("severity=critical owner=customer sla=gold customer=acme", "acme"),
    ("severity=warning owner=customer customer=other", "tickets"),
    ("severity=info owner=customer", "nobody"),
    # By SLA: a warning pages, too
    ("severity=warning sla=gold", "oncall,tickets"),
    ("severity=critical sla=plat+num", "oncall,tickets"),
    ("severity=critical sla=platnum", "oncall,chat"),
    # A route that others follow, one to nobody, one with a matcher
    ("severity=warning cluster=kaas-9", "gold,tickets"),
    ("severity=critical layer=harbor", "nobody"),
    ("severity=critical region=north", "gold"),
]


@pytest.mark.parametrize(("labels", "receivers"), ROUTED, ids=[labels for labels, _receivers in ROUTED])
def test_an_alert_goes_to(labels: str, receivers: str, tmp_path: Path) -> None:
    path = write_files(TEAM, tmp_path)
    result = amtool(
        "config", "routes", "test", f"--config.file={path}", f"--verify.receivers={receivers}", *labels.split()
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "labels", ["severity=critical", "severity=warning", "alertname=ObserverWatchdog severity=none"]
)
def test_without_receivers_nobody_is_told(labels: str, tmp_path: Path) -> None:
    path = write_files({}, tmp_path)
    result = amtool("config", "routes", "test", f"--config.file={path}", "--verify.receivers=nobody", *labels.split())
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("labels", ["severity=critical", "severity=warning", "severity=critical owner=customer"])
def test_who_is_alone_is_told_everything(labels: str, tmp_path: Path) -> None:
    """But not who waits for the dead man's switch, although it comes first."""
    path = write_files({**TEAM, "routes": [], "page_receivers": [], "ticket_receivers": []}, tmp_path)
    result = amtool("config", "routes", "test", f"--config.file={path}", "--verify.receivers=oncall", *labels.split())
    assert result.returncode == 0, result.stdout + result.stderr
