# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dashboards ask, Prometheus understands."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from dev import dashboards
from tests.integration.processes import binary

# In the place of Grafana's variables
VALUES = {"__rate_interval": "2m", "__range": "6h"}


def expressions(text: str) -> dict[str, str]:
    """The queries of a dashboard by panel and letter, as they are sent when everything is chosen."""
    return {
        f"{panel['id']} {panel['title']} {target['refId']}": re.sub(
            r"\$\{?(\w+)\}?", lambda variable: VALUES.get(variable[1], ".*"), target["expr"]
        )
        for panel in json.loads(text)["panels"]
        for target in panel.get("targets", [])
    }


def checked(folder: Path, exprs: list[str]) -> subprocess.CompletedProcess[str]:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = [binary("promtool"), "check", "rules", str(folder / "rules.yml")]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


@pytest.mark.parametrize("name", dashboards.files())
def test_every_query_is_understood(name: str, tmp_path: Path) -> None:
    found = expressions(dashboards.files()[name])
    assert found
    done = checked(tmp_path, list(found.values()))
    assert done.returncode == 0, done.stdout


def test_one_that_is_not_is_noticed(tmp_path: Path) -> None:
    assert checked(tmp_path, ["up", "sum by (job) (rate(up))"]).returncode != 0
