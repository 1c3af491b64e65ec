# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook on the lab and read what each task took and returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
INVENTORY = HERE.parent / "inventories" / "lab"


@dataclass(frozen=True)
class Task:
    """A task of a role or play: its own name, seconds over all hosts, the result of each host, its file's name, and its
    end in seconds since 1970.
    """

    name: str
    seconds: float
    results: dict[str, Any]
    file: str
    end: float

    @property
    def action(self) -> str:
        """The module's name as the playbook has it."""
        return next((str(result.get("action", "")) for result in self.results.values()), "")


@dataclass(frozen=True)
class Run:
    """``seconds`` is the whole command, Ansible's start included."""

    seconds: float
    changed: int
    tasks: list[Task]

    def task(self, name: str) -> Task:
        (found,) = [task for task in self.tasks if task.name == name]
        return found


def run(playbook: str, *options: str, inventory: Path = INVENTORY) -> Run:
    """Run a playbook by path or FQCN; a failure ends the benchmark with what Ansible said."""
    started = time.monotonic()
    result = subprocess.run(
        ["ansible-playbook", "--inventory", str(inventory), playbook, *options],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True,
        text=True,
        check=False,
    )
    elapsed = time.monotonic() - started
    if result.returncode != 0:
        sys.exit(f"{playbook} failed:\n{result.stdout[-3000:]}\n{result.stderr[-2000:]}")
    document = json.loads(result.stdout[result.stdout.index("{") :])
    return Run(
        elapsed,
        sum(host["changed"] for host in document["stats"].values()),
        [_task(task) for play in document["plays"] for task in play["tasks"]],
    )


def _task(document: dict[str, Any]) -> Task:
    duration = document["task"]["duration"]
    start, end = (datetime.fromisoformat(duration[name]) for name in ("start", "end"))
    file = Path(document["task"]["path"].rpartition(":")[0]).stem
    name = document["task"]["name"].split(" : ")[-1]
    return Task(name, (end - start).total_seconds(), document["hosts"], file, end.timestamp())
