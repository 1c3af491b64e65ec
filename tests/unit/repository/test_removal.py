# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role observer makes, it removes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
TASKS = CHECKOUT / "roles" / "observer" / "tasks"
MODULE = "scs.observability.apply_set"


def tasks(content: Any) -> Iterator[dict[str, Any]]:
    """Every task in a file of tasks or a playbook, blocks included."""
    for item in content or []:
        if isinstance(item, dict):
            yield item
            for part in ("tasks", "block", "rescue", "always"):
                yield from tasks(item.get(part))


def in_file(path: Path) -> list[dict[str, Any]]:
    return list(tasks(yaml.safe_load(path.read_text(encoding="utf-8"))))


def test_every_set_of_objects_is_removed_and_none_that_is_not_made() -> None:
    made = {
        task[MODULE]["name"]
        for path in [*TASKS.glob("*.yml"), *(CHECKOUT / "playbooks").glob("*.yml")]
        for task in in_file(path)
        if MODULE in task and path.name != "absent.yml"
    }
    (removed,) = [task["loop"] for task in in_file(TASKS / "absent.yml") if MODULE in task]
    assert sorted(made) == sorted(removed)


def test_the_operator_outlives_what_it_runs() -> None:
    order = [next((name for name in task if name.startswith("scs.")), "") for task in in_file(TASKS / "absent.yml")]
    modules = [name.rpartition(".")[2] for name in order if name]
    assert modules == ["remote_write_gateway", "apply_set", "thanos_component", "prometheus_operator", "bucket"]
