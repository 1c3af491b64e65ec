# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long until a cluster's first sample is read, and what its agent costs, on the running lab after `make demo`.

Takes kaas-1 off board and on again, each round, then all clusters that the lab has at once (`python -m lab up
--clusters 10`), of which all but kaas-1 are off board afterwards. Nobody can be faster than the floor: the agent's
image starts, a target is first scraped at a moment within the scrape interval that Prometheus chooses, and remote
write collects a batch for up to 5 s. On few cores it is the images that many at once wait for: beside the times stands
how busy the machine was. Memory is read from the kubelet once everything has run for a while; the peer beside it is the
API server of the same node.

    onboarding.py [ROUNDS]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bounds
import playbook
import yaml
from bounds import Bound
from machine import Cpu

CLUSTER = "kaas-1"
TASK = "Bring all clusters to what is wanted, side by side, until that is proven"
BATCH_DEADLINE = 5.0
# node-exporter has one of its own.
NAMESPACES = ("scs-observability", "scs-observability-nodes")
# Two scrapes of everything.
SETTLED = 70.0
MEBIBYTE = 2**20
# Seconds above the floor, median of all rounds; and that of many at once, beside one
MOST_ABOVE_FLOOR = 10.0
MOST_TOGETHER = 3.0


def run(name: str, clusters: Sequence[str], folder: Path) -> playbook.Run:
    """Run a playbook over clusters, of which the inventory has the first only."""
    inventory = folder / "clusters.yml"
    inventory.write_text(yaml.safe_dump({"kaas": {"hosts": dict.fromkeys(clusters)}}))
    return playbook.run(name, f"--inventory={inventory}", f"--limit={','.join(clusters)}")


@dataclass(frozen=True)
class Onboarding:
    """Clusters that came on board in one call: seconds of the call, moments of each cluster in seconds since the start
    of agent_registration, and the share of all cores that anybody used while the playbook ran.
    """

    call: float
    clusters: Mapping[str, Mapping[str, float]]
    busy: float

    def last(self, moment: str) -> float:
        return max(timings[moment] for timings in self.clusters.values())


def onboard(clusters: Sequence[str], folder: Path) -> Onboarding:
    """Take clusters off board and on again."""
    run("scs.observability.offboard", clusters, folder)
    before = Cpu.until_now()
    task = run("scs.observability.onboard", clusters, folder).task(TASK)
    busy = Cpu.until_now().since(before).share()
    results = task.results[clusters[0]]["clusters"]
    for result in results:
        if result["missing_jobs"]:
            sys.exit(f"{result['name']}: jobs are missing: {result['missing_jobs']}")
    # All start together, and the module ends when the last job of all has sent.
    started = task.end - max(result["timings"]["all_jobs"] for result in results)
    return Onboarding(
        task.seconds,
        {result["name"]: with_floor(result["timings"], started, result["name"]) for result in results},
        busy,
    )


def with_floor(told: Mapping[str, float], started: float, cluster: str) -> dict[str, float]:
    """What the module told of a cluster, the parts of the floor, and what is above it."""
    timings = dict(told)
    scraped = max(first_scrape(cluster, started) - started, timings["agent_ready"])
    timings["image"] = timings["agent_ready"] - timings["applied"]
    timings["scrape_offset"] = scraped - timings["agent_ready"]
    timings["delivery"] = timings["first_sample"] - scraped
    timings["batch"] = min(timings["delivery"], BATCH_DEADLINE)
    timings["above_floor"] = timings["applied"] + max(timings["delivery"] - BATCH_DEADLINE, 0.0)
    return timings


def first_scrape(cluster: str, since: float) -> float:
    """The time of a cluster's first sample after a moment, both in seconds since 1970."""
    window = max(int(time.time() - since), 1)
    # Samples of the round before are found for some minutes still.
    expression = f'min(min_over_time((timestamp(up{{cluster="{cluster}"}}) >= {since:.3f})[{window}s:1s]))'
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


def clusters_of_the_lab() -> list[str]:
    numbers = range(1, 101)
    return [f"kaas-{number}" for number in numbers if f"KAAS_{number}_KUBECONFIG" in os.environ]


def show_together(together: Onboarding, runs: Sequence[Onboarding]) -> None:
    """What many at once took, each and the last of them, beside the median of one."""
    print(f"{len(together.clusters)} clusters at once, seconds; beside the median of one")
    columns = ("applied", "image", "scrape_offset", "batch", "first_sample", "all_jobs", "above_floor")
    print("  " + " ".join(f"{name:>13}" for name in ("cluster", *columns, "first / one")))
    one = statistics.median(run.last("first_sample") for run in runs)
    for cluster, timings in together.clusters.items():
        values = [*(f"{timings[name]:.1f}" for name in columns), f"{timings['first_sample'] / one:.1f}"]
        print("  " + " ".join(f"{text:>13}" for text in (cluster, *values)))
    for name, what in (
        ("applied", "everything applied to the last"),
        ("image", "floor: the slowest start of an image"),
        ("scrape_offset", "floor: the longest wait for a scrape"),
        ("batch", "floor: the longest time in a batch"),
        ("above_floor", "what is most above the floor"),
        ("first_sample", "first sample of the last read"),
        ("all_jobs", "every job of all has sent"),
        ("call", "the module's call"),
    ):
        last, median = (
            (together.call, statistics.median(run.call for run in runs))
            if name == "call"
            else (together.last(name), statistics.median(run.last(name) for run in runs))
        )
        ratio = f"ratio {last / median:.1f}" if median else "no ratio to 0"
        print(f"  {what:48} {last:6.1f} s, {ratio}")
    print(f"  {f'cores that were busy, of {os.cpu_count()}':48} {together.busy:6.0%}")


def main(rounds: int) -> None:
    clusters = clusters_of_the_lab()
    # Hosts of another inventory do not find the lab's folder beside it.
    os.environ["LAB_STATE"] = str(Path(os.environ["OBSERVER_KUBECONFIG"]).parent)
    with tempfile.TemporaryDirectory() as folder:
        runs = [onboard([CLUSTER], Path(folder)) for _ in range(rounds)]
        together = onboard(clusters, Path(folder))
        if clusters != [CLUSTER]:
            run("scs.observability.offboard", clusters[1:], Path(folder))
    print(f"A cluster comes on board: {rounds} runs; median (min to max), seconds from the start of agent_registration")
    for name, what in (
        ("applied", "everything applied"),
        ("agent_ready", "agent ready, start of its image included"),
        ("first_sample", "first sample read through query-frontend"),
        ("all_jobs", "every job has sent"),
        ("image", "floor: start of the agent's image"),
        ("scrape_offset", "floor: until the first scrape"),
        ("batch", f"floor: in a batch, {BATCH_DEADLINE:g} s at most"),
        ("delivery", "from that scrape to the query, batch included"),
        ("above_floor", f"what is above the floor, at most {MOST_ABOVE_FLOOR:g} s"),
    ):
        values = [one.last(name) for one in runs]
        print(f"  {what:48} {statistics.median(values):6.1f} s ({min(values):.1f} to {max(values):.1f})")
    print(f"  {'cores that were busy':48} {statistics.median(one.busy for one in runs):6.0%}")
    show_together(together, runs)

    time.sleep(SETTLED)
    found = list(containers(kubelet_summary()))
    ours = [(name, rss, used) for namespace, name, rss, used in found if namespace in NAMESPACES]
    (peer,) = [(name, rss, used) for _namespace, name, rss, used in found if name == "kube-apiserver"]
    total = ("all three", sum(rss for _name, rss, _used in ours), sum(used for _name, _rss, used in ours))
    print("What it costs in the cluster: MiB resident (working set)")
    for name, rss, used in [*sorted(ours), total, peer]:
        print(f"  {name:48} {rss / MEBIBYTE:6.0f} ({used / MEBIBYTE:.0f})")
    print(f"  all three / kube-apiserver {total[1] / peer[1]:5.2f}")
    one = statistics.median(run.last("above_floor") for run in runs)
    ten = statistics.median(timings["above_floor"] for timings in together.clusters.values())
    bounds.tell(
        [
            Bound("seconds above the floor, median", one, MOST_ABOVE_FLOOR),
            Bound(f"above the floor, median of {len(clusters)} at once / of one", ten / one, MOST_TOGETHER),
        ]
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
