# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of the profiles minimal and full in the same cluster and run, by job: minimal has at most a quarter.

A cluster that is on board, kaas-1 of the running lab after `make demo` unless another is given. Each target is asked
once through the API server, and the agent's own rules say what each profile keeps of the answer. What the agent leaves
out already, kube-state-metrics, runs once more beside it with the profile full, in a namespace of its own that is
removed at the end. Needs LAB_BIN (`make lab-env`).

    collection.py [KUBECONFIG] [NAMESPACE OF THE AGENT]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bounds
from bounds import Bound

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tests.conftest  # noqa: F401
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    collection_profile,
    kube_state_metrics,
    node_exporter,
)

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? ")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
WHOLE = re.compile(r"-?[0-9]+")
MOST_OF_FULL = 0.25
# Of the namespace and the cluster role that are there meanwhile
NAME = "scs-observability-benchmark"
READY = "180s"


def series_of(text: str) -> Iterator[dict[str, str]]:
    """The labels of each series, bounds of histograms as Prometheus writes them."""
    for line in text.splitlines():
        sample = None if line.startswith("#") else SAMPLE.match(line)
        if sample:
            labels = {"__name__": sample[1], **dict(LABEL.findall(sample[2] or ""))}
            if WHOLE.fullmatch(labels.get("le", "")):
                labels["le"] += ".0"
            yield labels


def kept(rules: list[dict[str, Any]], labels: dict[str, str]) -> bool:
    """Whether Prometheus keeps a series, by rules that keep and drop."""
    for rule in rules:
        joined = ";".join(labels.get(name, "") for name in rule["source_labels"])
        if bool(re.fullmatch(rule["regex"], joined)) is not (rule["action"] == "keep"):
            return False
    return True


def rules_of(profile: str) -> dict[str, list[dict[str, Any]]]:
    wanted = agent.Agent("measured", "any", "https://gateway.example.org/api/v1/receive", profile=profile)
    return {job["job_name"]: job["metric_relabel_configs"] for job in agent.configuration(wanted)["scrape_configs"]}


class Measured:
    """A cluster, read through its API server."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.kubeconfig, self.namespace = kubeconfig, namespace

    def kubectl(self, *arguments: str, given: str = "") -> str:
        command = [f"{os.environ['LAB_BIN']}/kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        result = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            sys.exit(f"kubectl {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout

    def get(self, path: str) -> str:
        return self.kubectl("get", "--raw", path)

    @contextmanager
    def telling_everything(self) -> Iterator[None]:
        """Have a kube-state-metrics with the profile full in NAME, until the end of the block."""
        wanted = kube_state_metrics.KubeStateMetrics("measured", NAME, cluster_role=NAME, profile="full")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}
        objects = [namespace, *kube_state_metrics.objects(wanted)]
        manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        try:
            self.kubectl("apply", "--server-side", "--filename=-", given=manifests)
            self.kubectl("rollout", "status", f"--namespace={NAME}", f"--timeout={READY}", f"deployment/{wanted.name}")
            yield
        finally:
            self.kubectl("delete", "--ignore-not-found", "--filename=-", given=manifests)

    def pods(self, namespace: str, selector: str) -> list[str]:
        answer = self.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")
        return [item["metadata"]["name"] for item in json.loads(answer)["items"]]

    def targets(self) -> Iterator[tuple[str, str]]:
        """Job and path of each target."""
        yield collection_profile.APISERVER, "/metrics"
        for node in json.loads(self.get("/api/v1/nodes"))["items"]:
            name = node["metadata"]["name"]
            yield collection_profile.KUBELET, f"/api/v1/nodes/{name}/proxy/metrics"
            yield collection_profile.CADVISOR, f"/api/v1/nodes/{name}/proxy/metrics/cadvisor"
            port = node_exporter.PORT
            yield collection_profile.NODE_EXPORTER, f"/api/v1/nodes/http:{name}:{port}/proxy/metrics"
        for job, namespace, selector, port in (
            (collection_profile.COREDNS, "kube-system", "k8s-app=kube-dns", 9153),
            (
                collection_profile.KUBE_STATE_METRICS,
                NAME,
                "app.kubernetes.io/name=kube-state-metrics",
                kube_state_metrics.PORT,
            ),
            (collection_profile.AGENT, self.namespace, "app.kubernetes.io/name=prometheus-agent", agent.PORT),
        ):
            for pod in self.pods(namespace, selector):
                yield job, f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics"


def main(kubeconfig: str, namespace: str) -> None:
    rules = {profile: rules_of(profile) for profile in collection_profile.PROFILES}
    counted: dict[str, dict[str, int]] = {}
    cluster = Measured(kubeconfig, namespace)
    with cluster.telling_everything():
        for job, path in cluster.targets():
            series = list(series_of(cluster.get(path)))
            row = counted.setdefault(job, dict.fromkeys(rules, 0))
            for profile, by_job in rules.items():
                row[profile] += sum(kept(by_job[job], labels) for labels in series)
    counted["all"] = {profile: sum(row[profile] for row in counted.values()) for profile in rules}
    print(f"{'job':20} {'full':>8} {'minimal':>8}  minimal / full")
    for job, row in counted.items():
        print(f"{job:20} {row['full']:8} {row['minimal']:8}  {row['minimal'] / max(row['full'], 1):.3f}")
    every = counted["all"]
    bounds.tell([Bound("minimal / full, all jobs", every["minimal"] / max(every["full"], 1), MOST_OF_FULL)])


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else os.environ["KAAS_1_KUBECONFIG"],
        sys.argv[2] if len(sys.argv) > 2 else "scs-observability",
    )
