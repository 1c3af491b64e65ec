# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long until a cluster's first sample is read, and what its agent costs, on the running lab after `make demo`.

Takes kaas-1 off board and on again, each round. Memory is read from the kubelet once everything has run for a while;
the peer beside it is the API server of the same node.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import playbook

CLUSTER = "kaas-1"
TASK = "Register the cluster and have its agent write to the observer, until that is proven"
# Two scrapes of everything.
SETTLED = 70.0
MEBIBYTE = 2**20


def onboard() -> dict[str, float]:
    playbook.run("scs.observability.offboard", f"--limit={CLUSTER}")
    result: dict[str, Any] = playbook.run("scs.observability.onboard", f"--limit={CLUSTER}").task(TASK).results[CLUSTER]
    if result["missing_jobs"]:
        sys.exit(f"jobs are missing: {result['missing_jobs']}")
    return result["timings"]


def kubelet_summary() -> dict[str, Any]:
    kubectl = [f"{os.environ['LAB_BIN']}/kubectl", f"--kubeconfig={os.environ['KAAS_1_KUBECONFIG']}", "get"]
    node = subprocess.run([*kubectl, "nodes", "--output=name"], capture_output=True, text=True, check=True)
    path = f"/api/v1/nodes/{node.stdout.strip().removeprefix('node/')}/proxy/stats/summary"
    return json.loads(subprocess.run([*kubectl, f"--raw={path}"], capture_output=True, check=True).stdout)


def containers(summary: dict[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    """Namespace, container, resident (anonymous) bytes and working set (with the page cache that is in use)."""
    for pod in summary["pods"]:
        for container in pod.get("containers", []):
            memory = container["memory"]
            yield pod["podRef"]["namespace"], container["name"], memory["rssBytes"], memory["workingSetBytes"]


def main(rounds: int) -> None:
    runs = [onboard() for _ in range(rounds)]
    print(f"A cluster comes on board: {rounds} runs; median (min to max), seconds from the start of agent_registration")
    for name, what in (
        ("applied", "everything applied"),
        ("agent_ready", "agent ready, start of its image included"),
        ("first_sample", "first sample read through query-frontend"),
        ("all_jobs", "every job has sent"),
    ):
        values = [run[name] for run in runs]
        print(f"  {what:48} {statistics.median(values):6.1f} s ({min(values):.1f} to {max(values):.1f})")

    time.sleep(SETTLED)
    found = list(containers(kubelet_summary()))
    ours = [(name, rss, used) for namespace, name, rss, used in found if namespace == "scs-observability"]
    (peer,) = [(name, rss, used) for _namespace, name, rss, used in found if name == "kube-apiserver"]
    total = ("all three", sum(rss for _name, rss, _used in ours), sum(used for _name, _rss, used in ours))
    print("What it costs in the cluster: MiB resident (working set)")
    for name, rss, used in [*sorted(ours), total, peer]:
        print(f"  {name:48} {rss / MEBIBYTE:6.0f} ({used / MEBIBYTE:.0f})")
    print(f"  all three / kube-apiserver {total[1] / peer[1]:5.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
