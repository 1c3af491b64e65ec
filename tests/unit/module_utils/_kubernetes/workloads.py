# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads and their pods as the controllers of Kubernetes 1.36 leave them."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]


def deployment(spec: Manifest | None = None, generation: int = 2, **status: Any) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "query",
            "namespace": "ns",
            "uid": "d-1",
            "generation": generation,
            "annotations": {"deployment.kubernetes.io/revision": "2"},
        },
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "query"}}, **(spec or {})},
        "status": status,
    }


def stateful_set(spec: Manifest | None = None, generation: int = 2, **status: Any) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "receive", "namespace": "ns", "uid": "s-1", "generation": generation},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "receive"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            **(spec or {}),
        },
        "status": status,
    }


def daemon_set(generation: int = 2, **status: Any) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "node-exporter",
            "namespace": "ns",
            "generation": generation,
            "annotations": {"deprecated.daemonset.template.generation": "2"},
        },
        "spec": {"selector": {"matchLabels": {"app": "node-exporter"}}},
        "status": status,
    }


def replica_set(revision: str, template_hash: str, owner: str = "d-1") -> Manifest:
    return {
        "metadata": {
            "name": f"query-{template_hash}",
            "labels": {"app": "query", "pod-template-hash": template_hash},
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"kind": "Deployment", "name": "query", "uid": owner, "controller": True}],
        }
    }


def pod(name: str, *containers: Manifest, phase: str = "Running", conditions: Any = None, **status: Any) -> Manifest:
    ready = {"type": "Ready", "status": "True" if all(item.get("ready") for item in containers) else "False"}
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}"},
        "spec": {"volumes": []},
        "status": {
            "phase": phase,
            "conditions": [ready, *(conditions or [])],
            "containerStatuses": list(containers),
            **status,
        },
    }


def container(
    name: str, *, ready: bool = False, restarts: int = 0, last: Manifest | None = None, **state: Any
) -> Manifest:
    return {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


RUNNING = container("receive", ready=True, running={"startedAt": "2026-01-01T00:00:00Z"})
PULLING = container(
    "receive",
    waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "quay.io/thanos/thanos:v0.0.0"'},
)
MISCONFIGURED = container(
    "receive", waiting={"reason": "CreateContainerConfigError", "message": 'secret "objstore" not found'}
)


def crashing(restarts: int) -> Manifest:
    return container(
        "receive",
        restarts=restarts,
        last={"exitCode": 1, "reason": "Error", "message": "unknown flag --tsdb\n"},
        waiting={"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container=receive"},
    )
