# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults and attacks names tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
PAGE = (CHECKOUT / "docs" / "faults-and-attacks.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]
# What has to be in it, by a word of its row
REQUIRED = (
    "no certificate",
    "another authority",
    "expires",
    "revoked",
    "registered anew",
    "forged labels",
    "the door is full",
    "registrations are gone",
    "THANOS-TENANT",
    "THANOS-REPLICA",
    "other paths and methods",
    "HTTP/2",
    "chunked",
    "1 GiB",
    "slow bodies",
    "at every port",
    "10,000 new label values",
    "from the future",
    "an agent is killed",
    "all of its targets are down",
    "lost at once",
    "the gateway is away",
    "the importer is killed",
    "deletion while the observer is away",
    "between scrapes and evaluations",
    "in maintenance",
    "onboarding ends after any",
)


@cache
def names(file: str) -> frozenset[str]:
    """The tests in a file."""
    path = CHECKOUT / file
    if path.suffix == ".yml":
        return frozenset(test["name"] for test in yaml.safe_load(path.read_text())["tests"])
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return frozenset(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_each_row_is_complete_and_its_test_is_there(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row)
    match = re.fullmatch(r"`(tests/[^:`]+)::([^`]+)`", row[3])
    assert match is not None, row[3]
    assert match[2] in names(match[1])


def test_nothing_is_left_out() -> None:
    tried = "\n".join(row[0] for row in ROWS)
    assert [what for what in REQUIRED if what not in tried] == []
