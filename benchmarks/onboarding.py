# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long until a cluster's first sample is read, and what its agent costs, on the running lab after `make demo`.

Takes kaas-1 off board and on again, each round. Nobody can be faster than the floor: the agent's image starts, a target
is first scraped at a moment within the scrape interval that Prometheus chooses, and remote write collects a batch for
up to 5 s. Memory is read from the kubelet once everything has run for a while; the peer beside it is the API server of
the same node.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import playbook

CLUSTER = "kaas-1"
TASK = "Bring all clusters to what is wanted, side by side, until that is proven"
BATCH_DEADLINE = 5.0
# Two scrapes of everything.
SETTLED = 70.0
MEBIBYTE = 2**20


def onboard() -> dict[str, float]:
    playbook.run("scs.observability.offboard", f"--limit={CLUSTER}")
    task = playbook.run("scs.observability.onboard", f"--limit={CLUSTER}").task(TASK)
    (result,) = task.results[CLUSTER]["clusters"]
    if result["missing_jobs"]:
        sys.exit(f"jobs are missing: {result['missing_jobs']}")
    timings: dict[str, float] = result["timings"]
    # The module ends when the last job has sent.
    started = task.end - timings["all_jobs"]
    scraped = max(first_scrape(started) - started, timings["agent_ready"])
    timings["image"] = timings["agent_ready"] - timings["applied"]
    timings["scrape_offset"] = scraped - timings["agent_ready"]
    timings["delivery"] = timings["first_sample"] - scraped
    timings["above_floor"] = timings["applied"] + max(timings["delivery"] - BATCH_DEADLINE, 0.0)
    return timings


def first_scrape(since: float) -> float:
    """The time of the cluster's first sample after a moment, both in seconds since 1970."""
    window = max(int(time.time() - since), 1)
    # Samples of the round before are found for some minutes still.
    expression = f'min(min_over_time((timestamp(up{{cluster="{CLUSTER}"}}) >= {since:.3f})[{window}s:1s]))'
    path = (
        "/api/v1/namespaces/scs-observability/services/thanos-query-frontend:http/proxy/api/v1/query?"
        + urllib.parse.urlencode({"query": expression})
    )
    answer = json.loads(kubectl("OBSERVER_KUBECONFIG", "get", f"--raw={path}"))
    return float(answer["data"]["result"][0]["value"][1])


def kubectl(kubeconfig: str, *arguments: str) -> str:
    command = [f"{os.environ['LAB_BIN']}/kubectl", f"--kubeconfig={os.environ[kubeconfig]}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def kubelet_summary() -> dict[str, Any]:
    node = kubectl("KAAS_1_KUBECONFIG", "get", "nodes", "--output=name").strip().removeprefix("node/")
    return json.loads(kubectl("KAAS_1_KUBECONFIG", "get", f"--raw=/api/v1/nodes/{node}/proxy/stats/summary"))


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
        ("image", "floor: start of the agent's image"),
        ("scrape_offset", "floor: until the first scrape"),
        ("delivery", "from that scrape to the query, batch included"),
        ("above_floor", "what is above the floor, at most 10 s"),
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
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
