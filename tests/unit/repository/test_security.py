# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No container has more than it needs, unless the one table says which, what and why; docs/security.md shows it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployed import Deployed, in_kaas_clusters, in_the_observer
from tests.hardening import EXCEPTIONS, of_container, of_live_pod, of_pod

SECURITY = Path(__file__).resolve().parents[3] / "docs" / "security.md"

TEMPLATED = ("DaemonSet", "Deployment", "StatefulSet")
# The Prometheus Operator makes the pods of these; its containers have a read-only root file system, drop all
# capabilities and escalate nothing. Who they run as is in the resource.
OPERATED = ("Alertmanager", "Prometheus")


def workloads() -> list[Deployed]:
    everything = [*in_the_observer(), *in_kaas_clusters()]
    return [item for item in everything if item.kind in (*TEMPLATED, *OPERATED)]


def short(name: str, kind: str = "") -> str:
    """The name in the table: the same in the observer as in a customer's cluster."""
    return kind.lower() if kind in OPERATED else name.removeprefix("scs-observability-")


def faults(item: Deployed) -> Iterator[tuple[str, str, str]]:
    spec = item.manifest["spec"]
    pod = spec if item.kind in OPERATED else spec["template"]["spec"]
    name = short(item.name, item.kind)
    shared = pod.get("securityContext") or {}
    for container in [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]:
        patched = item.kind in OPERATED
        yield from ((name, container["name"], what) for what in of_container(container, shared, patched=patched))
    yield from ((name, "pod", what) for what in of_pod(pod, shared, operated=item.kind in OPERATED))


def test_nobody_may_more_than_the_table_says() -> None:
    found = {
        f"{item.maker}, {item.name}": [fault for fault in faults(item) if fault not in EXCEPTIONS]
        for item in workloads()
    }
    assert {where: more for where, more in found.items() if more} == {}


def test_nothing_is_in_the_table_that_is_not_needed() -> None:
    needed = {fault for item in workloads() for fault in faults(item)}
    deployed = {short(item.name, item.kind) for item in workloads()}
    assert {exception for exception in EXCEPTIONS if exception[0] in deployed} - needed == set()


def test_all_workloads_of_the_collection_are_looked_at() -> None:
    names = {short(item.name) for item in workloads()}
    assert {"agent", "node-exporter", "remote-write-gateway", "thanos-receive", "web-gateway"} <= names


def test_every_object_is_made_in_one_place() -> None:
    """Two that make the same one would undo each other's work at every run."""
    makers: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for item in in_the_observer():
        if item.kind != "Namespace":
            makers[(item.manifest["apiVersion"], item.kind, item.name)].add(item.maker)
    assert {what: who for what, who in makers.items() if len(who) > 1} == {}


HARDENED = {
    "name": "c",
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "resources": {"limits": {"memory": "1Mi"}},
}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"runAsUser": 0}, "root"),
        ({"runAsUser": None}, "root"),
        ({"runAsNonRoot": False}, "root"),
        ({"readOnlyRootFilesystem": False}, "writable root file system"),
        ({"readOnlyRootFilesystem": None}, "writable root file system"),
        ({"allowPrivilegeEscalation": None}, "privilege escalation"),
        ({"privileged": True}, "privilege escalation"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "capabilities"),
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}, "capabilities"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccomp"),
    ],
)
def test_the_linter_sees_it(changes: dict[str, Any], fault: str | None) -> None:
    context: dict[str, Any] = {**HARDENED["securityContext"], **changes}  # type: ignore[dict-item]
    container = {**HARDENED, "securityContext": {name: value for name, value in context.items() if value is not None}}
    assert list(of_container(container, {})) == ([fault] if fault else [])


def test_a_patch_of_an_operators_container_may_not_take_its_hardening_away() -> None:
    assert list(of_container({"name": "prometheus"}, {}, patched=True)) == []
    for context in (
        {"runAsUser": 0},
        {"readOnlyRootFilesystem": False},
        {"allowPrivilegeEscalation": True},
        {"capabilities": {"add": ["NET_RAW"]}},
    ):
        assert len(list(of_container({"name": "prometheus", "securityContext": context}, {}, patched=True))) == 1


def test_a_pod_that_runs_is_looked_at_with_all_its_containers() -> None:
    spec: dict[str, Any] = {"containers": [HARDENED], "automountServiceAccountToken": False}
    pod = {"metadata": {"labels": {"app.kubernetes.io/name": "prometheus"}}, "spec": spec}
    assert list(of_live_pod(pod)) == []
    spec["initContainers"] = [{**HARDENED, "name": "init", "securityContext": {}}]
    spec["hostNetwork"] = True
    found = list(of_live_pod(pod))
    assert ("prometheus", "init", "root") in found
    assert ("prometheus", "pod", "host network") in found


def test_the_page_about_security_has_the_table() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", SECURITY.read_text(), flags=re.MULTILINE)
    assert {(workload, where, what): why for workload, where, what, why in rows} == EXCEPTIONS
