# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole observer on the running lab: fresh by part, and an unchanged run beside peers on the same objects.

    eval "$(python -m lab env)"; python benchmarks/observer.py [--fresh] [--rounds 3]

--fresh wants the observer absent, and deploys it. The peers get what is then in the cluster: its objects without what
the API server and controllers add. `kubectl apply --server-side` is told to rehearse only, as otherwise it would become
owner of every field; kubernetes.core.k8s finds nothing different. The Secrets are in a file of this user alone, which
is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import playbook

OURS = "app.kubernetes.io/part-of=scs-observability"
NAMESPACE = "scs-observability"
KINDS = (
    *("serviceaccounts", "configmaps", "secrets", "services", "deployments.apps", "statefulsets.apps"),
    *("daemonsets.apps", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"),
    *("networkpolicies.networking.k8s.io", "prometheuses.monitoring.coreos.com", "probes.monitoring.coreos.com"),
    *("alertmanagers.monitoring.coreos.com", "servicemonitors.monitoring.coreos.com"),
    *("podmonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com"),
    *("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io"),
)
METADATA = ("name", "namespace", "labels", "annotations")
CONTROLLED = "ownerReferences"


def kubectl(*arguments: str) -> str:
    program = Path(os.environ.get("LAB_BIN", "")) / "kubectl"
    command = [str(program) if program.is_file() else shutil.which("kubectl") or "kubectl", *arguments]
    environment = {**os.environ, "KUBECONFIG": os.environ["OBSERVER_KUBECONFIG"]}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return result.stdout


def cleaned(item: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody would have written: no status, and no metadata that others keep."""
    metadata = {name: value for name, value in item["metadata"].items() if name in METADATA}
    rest = {name: value for name, value in item.items() if name not in ("metadata", "status")}
    return {**rest, "metadata": metadata}


def objects() -> list[dict[str, Any]]:
    """Everything that the observer consists of, but what controllers make of it."""
    found: list[dict[str, Any]] = []
    served = set(kubectl("api-resources", "--output=name").split())
    for kind in KINDS:
        if kind in served:
            place = ["--namespace", NAMESPACE, "--selector", OURS]
            items = json.loads(kubectl("get", kind, *place, "--output=json"))["items"]
            found += [cleaned(item) for item in items if CONTROLLED not in item["metadata"]]
    return found


def by_part(run: playbook.Run) -> dict[str, float]:
    """Seconds by the file of tasks, in the order of the first task of each."""
    parts: dict[str, float] = {}
    for task in run.tasks:
        parts[task.file] = parts.get(task.file, 0.0) + task.seconds
    return parts


def table(title: str, rows: Mapping[str, float]) -> None:
    print(f"\n{title}")
    for name, seconds in rows.items():
        print(f"  {name:48} {seconds:7.2f} s")


def fresh() -> None:
    if kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name").strip():
        sys.exit(
            f"namespace {NAMESPACE} is there: remove the observer first (make observer ARGS='-e observer_state=absent')"
        )
    run = playbook.run("scs.observability.observer")
    table("Fresh install, by part", {**by_part(run), "the whole command": run.seconds})


def peers(file: Path, *, loop: bool) -> dict[str, float]:
    """Seconds of each peer for all objects; a call for each of them takes minutes, and is only made with ``loop``."""
    started = time.monotonic()
    kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", str(file), "--output=name")
    applied = time.monotonic() - started
    tasks = [] if loop else ["--skip-tags=loop"]
    run = playbook.run(str(playbook.HERE / "observer_peer.yml"), "--extra-vars", f"objects_file={file}", *tasks)
    found = {"kubectl": applied, "k8s": run.task("Peer kubernetes.core.k8s, one call").seconds}
    return {**found, "k8s loop": run.task("Peer kubernetes.core.k8s, one for each object").seconds} if loop else found


def unchanged(rounds: int) -> None:
    listed = objects()
    if not listed:
        sys.exit("there is no observer: run this with --fresh, or `make observer` first")
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "objects.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": listed}))
        for number in range(rounds):
            run = playbook.run("scs.observability.observer")
            if run.changed:
                sys.exit(f"{run.changed} tasks changed something: run `make observer` first, and this again")
            if not number:
                table("Nothing is different, by part", by_part(run))
            ours = sum(task.seconds for task in run.tasks)
            runs.append({"ours": ours, "whole": run.seconds, **peers(file, loop=not number)})
    print(f"\n{len(listed)} objects, {rounds} rounds; median (min to max)")
    for name, what in (
        ("ours", "all tasks of the role"),
        ("whole", "the same with the start of ansible-playbook"),
        ("kubectl", "kubectl apply --server-side, one call"),
        ("k8s", "kubernetes.core.k8s, one call for all"),
        ("k8s loop", "kubernetes.core.k8s, one for each object (once)"),
    ):
        values = [run[name] for run in runs if name in run]
        print(f"  {what:48} {statistics.median(values):7.2f} s ({min(values):.2f} to {max(values):.2f})")
    for name in ("kubectl", "k8s", "k8s loop"):
        print(f"  {name} / ours {statistics.median(run[name] / run['ours'] for run in runs if name in run):6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The whole observer beside peers")
    parser.add_argument("--fresh", action="store_true", help="deploy it first, where it is absent")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.fresh:
        fresh()
    unchanged(arguments.rounds)


if __name__ == "__main__":
    main()
