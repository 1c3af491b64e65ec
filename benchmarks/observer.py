# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole observer on the running lab: fresh by part, and fresh and unchanged runs beside peers on the same objects.

    eval "$(python -m lab env)"; python benchmarks/observer.py [--fresh] [--rounds 3]

The peers get what is in the cluster: the observer's objects without what the API server and controllers add.

--fresh wants the observer absent, and deploys it. Then it is removed and deployed again without waiting until it is
ready, and removed, and each peer makes the same objects where there are none, as peers do not wait either: first the
namespace, then the definitions until the API server has them, then the rest. There is no webhook among them.
Definitions that were there before, as of another observer, stay, and nobody has to make them. All of the observer goes
several times, but the bucket: registered clusters have to be brought on board again.

When nothing is different, `kubectl apply --server-side` is told to rehearse only, as otherwise it would become owner of
every field; kubernetes.core.k8s finds nothing different. The Secrets are in files of this user alone, which are removed
at the end.
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
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
OF_THE_CLUSTER = (
    DEFINITIONS,
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
)
TIMEOUT = 120
# In the order in which they can be made
PHASES = ("namespace", "definitions", "the rest")


def kubectl(*arguments: str) -> str:
    result = attempt(*arguments)
    if result.returncode != 0:
        sys.exit(f"kubectl {' '.join(arguments)} failed:\n{result.stderr[-2000:]}")
    return result.stdout


def attempt(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(os.environ.get("LAB_BIN", "")) / "kubectl"
    command = [str(program) if program.is_file() else shutil.which("kubectl") or "kubectl", *arguments]
    environment = {**os.environ, "KUBECONFIG": os.environ["OBSERVER_KUBECONFIG"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


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


def cluster_wide() -> set[str]:
    """What there is beside namespaces, of the kinds that an observer has there."""
    return set(kubectl("get", ",".join(OF_THE_CLUSTER), "--output=name").split())


def made(before: set[str]) -> dict[str, list[dict[str, Any]]]:
    """What the observer consists of and was not there ``before``, as somebody would make it anew, by phase."""
    new = cluster_wide() - before
    names = {name.rpartition("/")[2] for name in new}
    rest = [item for item in objects() if "namespace" in item["metadata"] or item["metadata"]["name"] in names]
    definitions = [name for name in sorted(new) if name.startswith("customresourcedefinition.")]
    listed = json.loads(kubectl("get", *definitions, "--output=json")) if definitions else {}
    # One is no list.
    items = listed.get("items", [listed] if listed else [])
    namespace = cleaned(json.loads(kubectl("get", "namespace", NAMESPACE, "--output=json")))
    # It belongs to the API server.
    namespace.pop("spec", None)
    found = ([namespace], [cleaned(item) for item in items], [unassigned(item) for item in rest])
    return dict(zip(PHASES, found, strict=True))


def unassigned(item: dict[str, Any]) -> dict[str, Any]:
    """A Service without the addresses that it was given."""
    if item["kind"] != "Service" or item["spec"].get("clusterIP") == "None":
        return item
    return {
        **item,
        "spec": {name: value for name, value in item["spec"].items() if name not in ("clusterIP", "clusterIPs")},
    }


def written(folder: Path, name: str, items: list[dict[str, Any]]) -> Path:
    file = folder / f"{name.replace(' ', '-')}.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return file


def take_away(before: set[str]) -> None:
    """Whatever is left of the observer but its bucket."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    left = sorted(cluster_wide() - before)
    if left:
        kubectl("delete", *left, "--wait")


def remove(before: set[str]) -> None:
    # By the role, so that the compactor gives the bucket free.
    playbook.run("scs.observability.observer", "--extra-vars", "observer_state=absent")
    take_away(before)


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
    """Deploy what is absent, and have the peers do the same; the observer is there in the end."""
    if kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name").strip():
        sys.exit(
            f"namespace {NAMESPACE} is there: remove what is registered, and the observer (make offboard, and "
            "make observer ARGS='-e observer_state=absent -e observer_purge=true')"
        )
    before = cluster_wide()
    run = playbook.run("scs.observability.observer")
    table("Fresh install, by part", {**by_part(run), "the whole command": run.seconds})
    with tempfile.TemporaryDirectory() as name:
        phases = made(before)
        files = {phase: written(Path(name), phase, items) for phase, items in phases.items() if items}
        fresh_peers(phases, files, before)
    playbook.run("scs.observability.observer")


def fresh_peers(phases: Mapping[str, list[dict[str, Any]]], files: Mapping[str, Path], before: set[str]) -> None:
    remove(before)
    run = playbook.run("scs.observability.observer", "--extra-vars", "observer_wait=false")
    table("Fresh install that waits for nothing, by part", by_part(run))
    ours = sum(task.seconds for task in run.tasks)
    remove(before)
    totals = {}
    for what, make in (
        ("kubectl apply --server-side, a call for each phase", made_by_kubectl),
        ("kubernetes.core.k8s, a call for each phase", lambda files: made_by_k8s(files, "call")),
        ("kubernetes.core.k8s, one for each object", lambda files: made_by_k8s(files, "loop")),
    ):
        seconds = make(files)
        table(f"Fresh by {what}", seconds)
        totals[what] = sum(seconds.values())
        take_away(before)
    counted = ", ".join(f"{len(items)} of {phase}" for phase, items in phases.items())
    print(f"\nFresh, nobody waits until anything is ready; objects: {counted}")
    print(f"  {'all tasks of the role':52} {ours:7.2f} s")
    for what, total in totals.items():
        print(f"  {what:52} {total:7.2f} s, / ours {total / ours:5.2f}")


def made_by_kubectl(files: Mapping[str, Path]) -> dict[str, float]:
    """Seconds by phase."""
    seconds = {}
    for phase, file in files.items():
        started = time.monotonic()
        # A definition that is established is not served at once, which only a failure tells.
        while attempt("apply", "--server-side", "--filename", str(file), "--output=name").returncode:
            if time.monotonic() - started > TIMEOUT:
                sys.exit(f"kubectl did not apply {phase} within {TIMEOUT} s")
            time.sleep(0.5)
        if phase == "definitions":
            kubectl("wait", "--for=condition=Established", f"--timeout={TIMEOUT}s", "--filename", str(file))
        seconds[phase] = time.monotonic() - started
    return seconds


def made_by_k8s(files: Mapping[str, Path], how: str) -> dict[str, float]:
    """Seconds by phase, with a ``call`` for each or a ``loop`` over its objects."""
    given = json.dumps({"phases": [{"name": phase, "file": str(file)} for phase, file in files.items()]})
    run = playbook.run(str(playbook.HERE / "observer_peer_fresh.yml"), "--extra-vars", given, f"--tags={how}")
    return {phase: run.task(f"Peer makes {phase} ({how})").seconds for phase in files}


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
        file = written(Path(folder), "objects", listed)
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
    parser.add_argument(
        "--fresh", action="store_true", help="first deploy it, where it is absent, and have peers do that"
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.fresh:
        fresh()
    unchanged(arguments.rounds)


if __name__ == "__main__":
    main()
