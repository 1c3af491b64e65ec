# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators want to be different of the alerts that come along, and what is said of what cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.lookup.observer_files import files
from ansible_collections.scs.observability.plugins.module_utils._manifests import alert_overrides

SHIPPED = Path(__file__).resolve().parents[4] / "roles" / "observer" / "files"
LAG = """\
groups:
  - name: a
    rules:
      - alert: Lag
        expr: |
          max by (cluster) (lag_seconds)
          > 120 # threshold
          and on (cluster) rate(b[5m]) > 0
        for: 15m
        labels: {severity: warning}
      - record: a:b
        expr: 1
"""
TWICE = """\
groups:
  - name: b
    rules:
      - {alert: Ends, expr: a < 3, for: 1h, labels: {severity: critical}}
      - {alert: Ends, expr: a < 14, for: 1h, labels: {severity: warning}}
"""
FILES = {"rules/lag.yml": LAG, "ruler_rules/twice.yml": TWICE}


def rules(overrides: dict[str, Any]) -> list[dict[str, Any]]:
    """All alerts with the overrides, in which nothing must be wrong."""
    found, problems = alert_overrides.apply(FILES, overrides)
    assert problems == []
    contents = [yaml.safe_load(content) if isinstance(content, str) else content for content in found.values()]
    return [rule for content in contents for group in content["groups"] for rule in group["rules"] if "alert" in rule]


def test_what_is_not_overridden_stays_the_text_that_it_is() -> None:
    assert alert_overrides.apply(FILES, {}) == (FILES, [])
    found, _problems = alert_overrides.apply(FILES, {"Lag": {"for": "1m"}})
    assert found["ruler_rules/twice.yml"] == TWICE
    assert found["rules/lag.yml"]["groups"][0]["rules"][1] == {"record": "a:b", "expr": 1}


def test_times_severity_and_threshold() -> None:
    wanted = {"for": "30m", "keep_firing_for": "5m", "severity": "critical", "threshold": "300"}
    lag = rules({"Lag": wanted})[0]
    assert (lag["for"], lag["keep_firing_for"], lag["labels"]) == ("30m", "5m", {"severity": "critical"})
    assert lag["expr"].splitlines()[1] == "> 300 # threshold"
    assert "[5m]) > 0" in lag["expr"]


@pytest.mark.parametrize(("given", "written"), [(0, "0"), (2.5, "2.5"), ("0.05", "0.05"), (1e6, "1000000")])
def test_a_threshold_is_written_as_a_number(given: Any, written: str) -> None:
    assert f"> {written} # threshold" in rules({"Lag": {"threshold": given}})[0]["expr"]


@pytest.mark.parametrize("off", [False, "no", "false"])
def test_one_that_is_not_wanted_is_not_there(off: Any) -> None:
    assert [rule["alert"] for rule in rules({"Lag": {"enabled": off}})] == ["Ends", "Ends"]


def test_one_name_means_all_its_rules_and_with_a_severity_one_of_them() -> None:
    assert [rule["for"] for rule in rules({"Ends": {"for": "2h"}})[1:]] == ["2h", "2h"]
    both = {"Ends/warning": {"for": "3h"}, "Ends": {"for": "2h"}}
    assert [(rule["labels"]["severity"], rule["for"]) for rule in rules(both)[1:]] == [
        ("critical", "2h"),
        ("warning", "3h"),
    ]


WRONG: dict[str, tuple[Any, str]] = {
    "an unknown alert": ({"Lags": {}}, "observer_alert_overrides: alert 'Lags' is not known; did you mean Lag?"),
    "an unknown severity of one": (
        {"Ends/info": {}},
        "observer_alert_overrides: alert 'Ends/info' is not known; did you mean Ends/warning?",
    ),
    "no dictionary": (
        {"Lag": "off"},
        "observer_alert_overrides['Lag']: must be a dictionary of enabled, for, keep_firing_for, severity, threshold",
    ),
    "an unknown option": (
        {"Lag": {"fro": "1m"}},
        "observer_alert_overrides['Lag']: 'fro' is not known; did you mean for?",
    ),
    "a bad duration": (
        {"Lag": {"for": "a minute"}},
        "observer_alert_overrides['Lag'].for: 'a minute' is not a duration. Use for example 30s, 5m, 1h30m or 15d",
    ),
    "a severity that nobody is told of": (
        {"Lag": {"severity": "page"}},
        "observer_alert_overrides['Lag'].severity: 'page' is not known; known are critical, info, warning",
    ),
    "neither on nor off": (
        {"Lag": {"enabled": "maybe"}},
        "observer_alert_overrides['Lag'].enabled: 'maybe' is neither true nor false",
    ),
    "no number": (
        {"Lag": {"threshold": "2m"}},
        "observer_alert_overrides['Lag'].threshold: '2m' is not a number from 0 on",
    ),
    "a switch as a number": (
        {"Lag": {"threshold": True}},
        "observer_alert_overrides['Lag'].threshold: True is not a number from 0 on",
    ),
    "no threshold": (
        {"Ends": {"threshold": 1}},
        "observer_alert_overrides['Ends'].threshold: the alert has none that can be set. Those that have one: Lag",
    ),
}


@pytest.mark.parametrize(("overrides", "problem"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told(overrides: Any, problem: str) -> None:
    assert alert_overrides.apply(FILES, overrides)[1] == [problem]


def test_all_of_it_is_told_at_once() -> None:
    assert len(alert_overrides.apply(FILES, {"Lags": {}, "Lag": {"for": "x", "severity": "y"}})[1]) == 3


def test_ours_are_deployed_with_them() -> None:
    overrides = {
        "KaaSClusterDown": {"for": "10m"},
        "KaaSRemoteWriteBehind": {"threshold": 600},
        "KaaSClusterCertificateExpires/warning": {"threshold": 5},
        "RemoteWriteGatewayRefuses": {"enabled": False},
        "ThanosReceiveErrors": {"severity": "warning"},
    }
    found = files("", str(SHIPPED), {}, overrides)
    assert found["problems"] == []
    deployed = [group for item in found["rules"] for group in item["spec"]["groups"]] + [
        group
        for content in found["ruler_rules"].values()
        for group in (yaml.safe_load(content) if isinstance(content, str) else content)["groups"]
    ]
    alerts = [rule for group in deployed for rule in group["rules"] if "alert" in rule]
    by_name = {rule["alert"]: rule for rule in alerts}
    assert by_name["KaaSClusterDown"]["for"] == "10m"
    assert re.search(r"> 600\b", by_name["KaaSRemoteWriteBehind"]["expr"])
    assert "RemoteWriteGatewayRefuses" not in by_name
    assert by_name["ThanosReceiveErrors"]["labels"]["severity"] == "warning"
    days = {
        rule["labels"]["severity"]: rule["expr"] for rule in alerts if rule["alert"] == "KaaSClusterCertificateExpires"
    }
    assert "86400 * 5 #" in days["warning"]
    assert "86400 * 3 #" in days["critical"]


def test_the_operators_own_are_not_meant(tmp_path: Path) -> None:
    (tmp_path / "ruler_rules").mkdir()
    (tmp_path / "ruler_rules" / "own.yml").write_text(TWICE)
    (problem,) = files(str(tmp_path), str(SHIPPED), {}, {"Ends": {"for": "1m"}})["problems"]
    assert problem.startswith("observer_alert_overrides: alert 'Ends' is not known")
