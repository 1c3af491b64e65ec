# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kube-state-metrics is told to make of custom resources, in its own format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import kube_state_metrics, scrape_jobs

# By definitions it knows when one comes and which versions there are, and cannot be told which one to watch.
DEFINITIONS_RULE: dict[str, Any] = {
    "apiGroups": ["apiextensions.k8s.io"],
    "resources": ["customresourcedefinitions"],
    "verbs": ["list", "watch"],
}


def targets(name: str, namespace: str) -> list[dict[str, Any]]:
    """Of the importer ``name``: what it tells of objects, then what it tells of itself."""
    return [
        scrape_jobs.through_service(name, namespace, kube_state_metrics.PORT),
        scrape_jobs.through_service(name, namespace, kube_state_metrics.TELEMETRY_PORT, instance=f"{name}-telemetry"),
    ]


def gauge(name: str, text: str, *path: str, absent_is_zero: bool = False) -> dict[str, Any]:
    found = {"path": list(path), **({"nilIsZero": True} if absent_is_zero else {})}
    return {"name": name, "help": text, "each": {"type": "Gauge", "gauge": found}}


def info(name: str, text: str, labels: Mapping[str, list[str]], *path: str) -> dict[str, Any]:
    found = {"labelsFromPath": dict(labels), **({"path": list(path)} if path else {})}
    return {"name": name, "help": text, "each": {"type": "Info", "info": found}}


def phase(phases: Sequence[str], *path: str) -> dict[str, Any]:
    found = {"labelName": "phase", "path": list(path), "list": list(phases)}
    return {
        "name": "phase",
        "help": "Where the cluster is in its life: 1 for the phase that it is in.",
        "each": {"type": "StateSet", "stateSet": found},
    }


def resource(
    group: str,
    version: str,
    kind: str,
    *,
    prefix: str,
    labels: Mapping[str, list[str]],
    metrics: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """What is made of one kind, of whose objects each series has the ``labels``."""
    return {
        "groupVersionKind": {"group": group, "version": version, "kind": kind},
        "metricNamePrefix": prefix,
        "labelsFromPath": dict(labels),
        # What an object does not have is no error.
        "errorLogV": 5,
        "metrics": list(metrics),
    }


def configuration(*resources: dict[str, Any]) -> dict[str, Any]:
    """The file."""
    return {"kind": "CustomResourceStateMetrics", "spec": {"resources": list(resources)}}
