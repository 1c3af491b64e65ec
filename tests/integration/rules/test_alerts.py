# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts that come along, in the programs that evaluate them."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.lookup.observer_files import files
from tests.integration.processes import answers, binary, free_port, process, wait_until

CHECKOUT = Path(__file__).resolve().parents[3]
SHIPPED = CHECKOUT / "roles" / "observer" / "files"
TESTS = sorted((CHECKOUT / "tests" / "rules").rglob("*.yml"))
FILES = sorted(SHIPPED.glob("*rules/*.yml"))


def promtool(*arguments: str) -> str:
    """What is wrong as promtool tells it, empty when nothing is."""
    # A fifth of the time would go into collecting garbage.
    env = {**os.environ, "GOGC": "400"}
    done = subprocess.run([binary("promtool"), *arguments], env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_promtool_finds_nothing(path: Path) -> None:
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", str(path)) == ""


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(CHECKOUT / "tests" / "rules")))
def test_alerts_fire_when_they_have_to_and_are_silent_when_not(path: Path) -> None:
    assert promtool("test", "rules", str(path)) == ""


@contextmanager
def evaluating(
    name: str, arguments: Callable[[int], list[str]], ready: str, folder: Path
) -> Iterator[Callable[[str], Any]]:
    """A program that evaluates rules, as a question to its API that returns ``data``."""
    port, log = free_port(), folder / f"{name}.log"
    url = f"http://127.0.0.1:{port}"

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"{url}{path}") as response:
            return json.load(response)["data"]

    with process(name, arguments(port), log) as running:
        wait_until(lambda: answers(f"{url}{ready}"), running, log)
        # A ruler that has just started does not know its query yet, nor that query the ruler.
        wait_until(lambda: all(rule["health"] == "ok" for rule in rules_in(ask("/api/v1/rules"))), running, log)
        yield ask


def rules_in(data: Any) -> list[dict[str, Any]]:
    return [rule for group in data["groups"] for rule in group["rules"]]


def named(texts: dict[str, Any]) -> list[str]:
    return sorted(
        rule.get("alert") or rule["record"]
        for content in texts.values()
        for group in content["groups"]
        for rule in group["rules"]
    )


def soon(content: dict[str, Any]) -> dict[str, Any]:
    """The same, evaluated each second."""
    return {"groups": [{**group, "interval": "1s"} for group in content["groups"]]}


def test_prometheus_evaluates_what_the_operator_gives_it(tmp_path: Path) -> None:
    found = {item["metadata"]["name"]: soon(item["spec"]) for item in files("", str(SHIPPED), {})["rules"]}
    for name, content in found.items():
        (tmp_path / f"{name}.rules.yml").write_text(yaml.safe_dump(content))
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"rule_files": [f"{tmp_path}/*.rules.yml"]}))

    def arguments(port: int) -> list[str]:
        return [
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    with evaluating("prometheus", arguments, "/-/ready", tmp_path) as ask:
        rules = rules_in(ask("/api/v1/rules"))
        assert sorted(rule["name"] for rule in rules) == named(found)
        assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == ["ObserverWatchdog"]


def test_the_ruler_evaluates_them_over_query(tmp_path: Path) -> None:
    found = files("", str(SHIPPED), {})["ruler_rules"]
    structures = {name: yaml.safe_load(text) for name, text in found.items()}
    rule_files = tmp_path / "rules"
    rule_files.mkdir()
    for name, content in structures.items():
        (rule_files / name).write_text(yaml.safe_dump(soon(content)))
    query, grpc, grpc_of_ruler = free_port(), free_port(), free_port()
    log = tmp_path / "query.log"
    # Each asks the other, as in the observer.
    command = [
        "query",
        f"--http-address=127.0.0.1:{query}",
        f"--grpc-address=127.0.0.1:{grpc}",
        f"--endpoint=127.0.0.1:{grpc_of_ruler}",
    ]

    def arguments(port: int) -> list[str]:
        return [
            "rule",
            f"--data-dir={tmp_path}/data",
            f"--rule-file={rule_files}/*.yml",
            f"--query=http://127.0.0.1:{query}",
            '--label=ruler_replica="0"',
            f"--http-address=127.0.0.1:{port}",
            f"--grpc-address=127.0.0.1:{grpc_of_ruler}",
        ]

    with ExitStack() as stack:
        running = stack.enter_context(process("thanos", command, log))
        wait_until(lambda: answers(f"http://127.0.0.1:{query}/-/ready"), running, log)
        ask = stack.enter_context(evaluating("thanos", arguments, "/-/ready", tmp_path))
        rules = rules_in(ask("/api/v1/rules"))
        assert sorted(rule["name"] for rule in rules) == named(structures)
        states = {rule["name"]: rule["state"] for rule in rules if rule["type"] == "alerting"}
        assert states == {
            **dict.fromkeys(states, "inactive"),
            "ObserverWatchdogThanos": "firing",
            "KaaSRegistrationsUnknown": "pending",
        }


@pytest.mark.parametrize(
    ("queries", "seen"),
    [
        ({"a": "1x30"}, {5: 0, 11: 1, 30: 1}),
        ({"a": "1x12 stale _x1 1x16"}, {12: 1, 13: 0, 23: 0, 25: 1}),
        ({"a": "1x30", "b": "1x30"}, {30: 1}),
        ({"a": "1x30", "b": ""}, {30: 0}),
        ({}, {30: 1}),
    ],
    ids=["begins", "away", "two", "one of two", "no query"],
)
def test_since_when_query_sees_receive(queries: dict[str, str], seen: dict[int, int], tmp_path: Path) -> None:
    series = [
        {"series": f'{name}{{job="thanos-query", namespace="observer", pod="{pod}"{labels}}}', "values": values}
        for pod, connected in queries.items()
        for name, labels, values in (
            ("up", "", "1x30"),
            ("thanos_store_nodes_grpc_connections", ', store_type="receive"', connected or "_x30"),
        )
    ]
    looks = [
        {
            "expr": "min_over_time(observer:receive:seen[10m])",
            "eval_time": f"{minute}m",
            "exp_samples": [{"value": value, "labels": "{}"}],
        }
        for minute, value in seen.items()
    ]
    document = {
        "rule_files": [str(SHIPPED / "rules" / "observer-thanos.yml")],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": looks}],
    }
    (tmp_path / "test.yml").write_text(json.dumps(document))
    assert promtool("test", "rules", str(tmp_path / "test.yml")) == ""
