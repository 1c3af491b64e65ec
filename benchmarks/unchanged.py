# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ratios of an unchanged run of the Thanos components to its peers, on the running lab after `make demo`.

    make benchmark

Ours: the four thanos_component tasks of the observer role. Peers in the same run: as many ansible.builtin.ping
executions, and kubernetes.core.k8s once for each object that the components consist of.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPONENTS = ("Receive", "Store gateway", "Query joins", "Query frontend")


def seconds(task: dict) -> float:
    duration = task["task"]["duration"]
    start, end = (datetime.fromisoformat(duration[name]) for name in ("start", "end"))
    return (end - start).total_seconds()


def one_run() -> dict[str, float]:
    """Seconds by contestant, and the number of objects."""
    result = subprocess.run(
        ["ansible-playbook", "--inventory", str(HERE.parent / "inventories" / "lab"), str(HERE / "unchanged.yml")],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        sys.exit(f"the playbook failed:\n{result.stdout[-3000:]}\n{result.stderr[-2000:]}")
    document = json.loads(result.stdout[result.stdout.index("{") :])
    if any(host["changed"] for host in document["stats"].values()):
        sys.exit("something was changed: run `make demo` first, and this again")
    tasks = {task["task"]["name"].split(" : ")[-1]: task for play in document["plays"] for task in play["tasks"]}
    ours = [seconds(task) for name, task in tasks.items() if name.startswith(COMPONENTS)]
    if len(ours) != len(COMPONENTS):
        sys.exit(f"expected {len(COMPONENTS)} component tasks, found {len(ours)}")
    return {
        "components": sum(ours),
        "ping": seconds(tasks["Peer ping"]),
        "k8s": seconds(tasks["Peer kubernetes.core.k8s"]),
        "objects": len(next(iter(tasks["Peer kubernetes.core.k8s"]["hosts"].values()))["results"]),
    }


def main(rounds: int) -> None:
    runs = [one_run() for _ in range(rounds)]
    print(f"{rounds} runs; median (min to max)")
    for name, what in (
        ("components", "4 unchanged thanos_component tasks"),
        ("ping", "4 ansible.builtin.ping"),
        ("k8s", f"{runs[0]['objects']:.0f} kubernetes.core.k8s, one for each object"),
    ):
        values = [run[name] for run in runs]
        print(f"  {what:48} {statistics.median(values):6.2f} s ({min(values):.2f} to {max(values):.2f})")
    print(f"  components / ping  {statistics.median(run['components'] / run['ping'] for run in runs):5.2f}")
    print(f"  k8s / components   {statistics.median(run['k8s'] / run['components'] for run in runs):5.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
