# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ratios of an unchanged run of the Thanos components to its peers, on the running lab after `make demo`.

Ours: the thanos_component tasks of the observer role. Peers in the same run: as many ansible.builtin.ping tasks, and
kubernetes.core.k8s once for each object that the components consist of.
"""

from __future__ import annotations

import statistics
import sys

import playbook


def one_run() -> dict[str, float]:
    """Seconds by contestant, and the number of objects."""
    run = playbook.run(str(playbook.HERE / "unchanged.yml"))
    if run.changed:
        sys.exit("something was changed: run `make demo` first, and this again")
    ours = [task.seconds for task in run.tasks if task.action == "scs.observability.thanos_component"]
    pings = [task.seconds for task in run.tasks if task.action == "ansible.builtin.ping"]
    if len(ours) != len(pings):
        sys.exit(f"{len(ours)} components beside {len(pings)} pings: make them as many in unchanged.yml")
    peer = run.task("Peer kubernetes.core.k8s")
    return {
        "components": sum(ours),
        "ping": sum(pings),
        "count": len(pings),
        "k8s": peer.seconds,
        "objects": len(next(iter(peer.results.values()))["results"]),
    }


def main(rounds: int) -> None:
    runs = [one_run() for _ in range(rounds)]
    count = f"{runs[0]['count']:.0f}"
    print(f"Nothing is different: {rounds} runs; median (min to max)")
    for name, what in (
        ("components", f"{count} unchanged thanos_component tasks"),
        ("ping", f"{count} ansible.builtin.ping"),
        ("k8s", f"{runs[0]['objects']:.0f} kubernetes.core.k8s, one for each object"),
    ):
        values = [run[name] for run in runs]
        print(f"  {what:48} {statistics.median(values):6.2f} s ({min(values):.2f} to {max(values):.2f})")
    print(f"  components / ping  {statistics.median(run['components'] / run['ping'] for run in runs):5.2f}")
    print(f"  k8s / components   {statistics.median(run['k8s'] / run['components'] for run in runs):5.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
