# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods may that they should not, and the one table of what they need to.

kubectl get pods --output json | hardening.py

fails when pods of the collection, also those that the Prometheus Operator makes, may more than the table says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

# (workload, container, or "pod" for what concerns the whole pod, what) -> why
EXCEPTIONS: dict[tuple[str, str, str], str] = {
    ("node-exporter", "pod", "host network"): "the metrics of a node's network are those of its own network namespace",
    ("node-exporter", "pod", "host path"): "reads, and cannot write, the node's file systems",
    ("kube-state-metrics", "pod", "API token"): "reads the objects that its metrics are about",
    ("kaas-metric-importer", "pod", "API token"): "reads the registrations",
    ("cluster-api-importer", "pod", "API token"): "reads the Cluster objects of the cluster that it is in",
    ("remote-write-gateway", "pod", "API token"): "reads which certificates are registered",
    ("prometheus", "pod", "API token"): "finds targets, and reads metrics of nodes and of the API server",
    ("prometheus-operator", "pod", "API token"): "makes Prometheus and Alertmanager of custom resources",
    ("agent", "pod", "API token"): "finds targets, and reads metrics of nodes and of the API server",
}


def of_container(container: Mapping[str, Any], shared: Mapping[str, Any], *, patched: bool = False) -> Iterator[str]:
    """What a container may that it should not. A patch of an operator's container may only leave things as they are."""
    own = container.get("securityContext") or {}
    both = {**shared, **own}
    if not patched and (both.get("runAsNonRoot") is not True or not both.get("runAsUser")):
        yield "root"
    if patched and own.get("runAsUser") == 0:
        yield "root"
    if own.get("readOnlyRootFilesystem", patched) is not True:
        yield "writable root file system"
    if own.get("allowPrivilegeEscalation", not patched) is not False or own.get("privileged"):
        yield "privilege escalation"
    capabilities = own.get("capabilities") or ({"drop": ["ALL"]} if patched else {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "capabilities"
    if not patched and (both.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "seccomp"
    if not patched and not ((container.get("resources") or {}).get("limits") or {}).get("memory"):
        yield "no memory limit"


def of_pod(pod: Mapping[str, Any], shared: Mapping[str, Any], *, operated: bool) -> Iterator[str]:
    if operated:
        if shared.get("runAsNonRoot") is not True or not shared.get("runAsUser"):
            yield "root"
        if (shared.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
            yield "seccomp"
    projected = [volume["projected"] for volume in pod.get("volumes") or [] if volume.get("projected")]
    sources = [source for item in projected for source in item.get("sources") or []]
    if pod.get("automountServiceAccountToken") is not False or any("serviceAccountToken" in item for item in sources):
        yield "API token"
    for field, what in (("hostNetwork", "host network"), ("hostPID", "host processes"), ("hostIPC", "host memory")):
        if pod.get(field):
            yield what
    ports = [port for container in pod.get("containers") or [] for port in container.get("ports") or []]
    # On the host's network every port is one; the API server writes that down.
    if not pod.get("hostNetwork") and any(port.get("hostPort") for port in ports):
        yield "host port"
    paths = [volume for volume in pod.get("volumes") or [] if "hostPath" in volume]
    if paths:
        yield "host path"
    mounts = [mount for container in pod.get("containers") or [] for mount in container.get("volumeMounts") or []]
    if any(mount["name"] in {path["name"] for path in paths} and not mount.get("readOnly") for mount in mounts):
        yield "writable host path"


def of_live_pod(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The same of a pod that runs, its workload being known by its labels."""
    spec, shared = pod["spec"], pod["spec"].get("securityContext") or {}
    labels = pod["metadata"]["labels"]
    name = labels["app.kubernetes.io/name"]
    if (name, labels.get("app.kubernetes.io/component")) == ("haproxy", "remote-write-gateway"):
        # Called by its program, as Thanos' components are
        name = labels["app.kubernetes.io/component"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        yield from ((name, container["name"], what) for what in of_container(container, shared))
    yield from ((name, "pod", what) for what in of_pod(spec, shared, operated=False))


def main() -> int:
    pods = [
        pod
        for pod in json.load(sys.stdin)["items"]
        if (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/part-of") == "scs-observability"
    ]
    if not pods:
        print("there are no pods of scs.observability", file=sys.stderr)
        return 2
    found = [fault for pod in pods for fault in of_live_pod(pod) if fault not in EXCEPTIONS]
    for workload, where, what in found:
        print(f"{workload}, {where}: {what}", file=sys.stderr)
    print(f"{len(pods)} pods, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
