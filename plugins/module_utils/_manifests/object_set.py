# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of objects as somebody writes them, completed with what all objects of the observer have in common."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, workload

Manifest = dict[str, Any]

# Secrets that are made once, and hold what nobody else knows.
GENERATED_LABEL = "observability.scs.community/generated"
_TEMPLATED = ("DaemonSet", "Deployment", "StatefulSet")
# What the Prometheus Operator makes pods of has their settings in its own specification.
_OPERATED = ("Alertmanager", "Prometheus")
_WITH_PODS = (*_TEMPLATED, *_OPERATED)
_PLACEMENT = {
    "node_selector": "nodeSelector",
    "tolerations": "tolerations",
    "affinity": "affinity",
    "priority_class": "priorityClassName",
}
_CHECKSUM = workload.CHECKSUM_ANNOTATION + "configuration"


def owner(name: str, namespace: str) -> dict[str, str]:
    """Labels that select what belongs to the set, of kinds without namespaces too."""
    return {**workload.owner(name), kaas_cluster.OBSERVER_LABEL: namespace}


def labels(name: str, namespace: str) -> dict[str, str]:
    """Labels of every object of the set."""
    return {"app.kubernetes.io/part-of": workload.PART_OF, **owner(name, namespace)}


def complete(
    manifest: Mapping[str, Any], name: str, namespace: str, *, placement: Mapping[str, Any], namespaced: bool
) -> Manifest:
    """Return an object with the set's namespace and labels, its pods where they shall run.

    What the object says of placement itself stays; a DaemonSet is for every node that it wants.
    """
    result: Manifest = copy.deepcopy(dict(manifest))
    metadata = result["metadata"] = {**result["metadata"]}
    if namespaced:
        metadata["namespace"] = namespace
    all_labels = labels(name, namespace)
    _label(metadata, all_labels)
    spec = result.get("spec") or {}
    if result["kind"] in _TEMPLATED:
        _label(spec["template"].setdefault("metadata", {}), all_labels)
    for claim in _claims(result):
        _label(claim.setdefault("metadata", {}), all_labels)
    if result["kind"] in _WITH_PODS and result["kind"] != "DaemonSet":
        pod = _pod(result)
        for argument, field in _PLACEMENT.items():
            if placement.get(argument):
                pod.setdefault(field, placement[argument])
    return result


def _pod(manifest: Manifest) -> Manifest:
    """Where the settings of its pods are."""
    spec: Manifest = manifest["spec"]
    pod: Manifest = spec if manifest["kind"] in _OPERATED else spec["template"]["spec"]
    return pod


def _label(metadata: Manifest, all_labels: Mapping[str, str]) -> None:
    metadata["labels"] = {**(metadata.get("labels") or {}), **all_labels}


def _claims(manifest: Manifest) -> Iterator[Manifest]:
    """The claim templates, whose volumes must be found again when they are to be purged."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "StatefulSet":
        yield from spec.get("volumeClaimTemplates") or []
    elif manifest["kind"] in _OPERATED and "volumeClaimTemplate" in (spec.get("storage") or {}):
        yield spec["storage"]["volumeClaimTemplate"]


def with_checksums(manifests: Sequence[Mapping[str, Any]], secrets: Sequence[Mapping[str, Any]] = ()) -> list[Manifest]:
    """Return the objects, annotated so that pods are replaced when a file or variable of theirs changes.

    What counts are the ConfigMaps and Secrets of the set that a pod refers to, and ``secrets`` beside them.
    """
    contents = {
        (item["kind"], item["metadata"]["name"]): {key: item.get(key) for key in ("data", "stringData", "binaryData")}
        for item in (*manifests, *secrets)
        if item["kind"] in ("ConfigMap", "Secret")
    }
    return [_with_checksum(item, contents) if item["kind"] in _WITH_PODS else dict(item) for item in manifests]


def _with_checksum(manifest: Mapping[str, Any], contents: Mapping[tuple[str, str], Any]) -> Manifest:
    result: Manifest = copy.deepcopy(dict(manifest))
    spec = result["spec"]
    used = sorted(set(references(_pod(result))) & set(contents))
    if used:
        metadata = spec.setdefault("podMetadata", {}) if result["kind"] in _OPERATED else spec["template"]["metadata"]
        checksum = workload.checksum([[*key, contents[key]] for key in used])
        metadata["annotations"] = {**(metadata.get("annotations") or {}), _CHECKSUM: checksum}
    return result


def references(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (kind, name) of the ConfigMaps and Secrets in a pod's volumes and environment."""
    for volume in pod.get("volumes") or []:
        yield from _sources([volume, *((volume.get("projected") or {}).get("sources") or [])])
    for container in [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]:
        for source in container.get("envFrom") or []:
            yield from _named(source, "configMapRef", "secretRef")
        for variable in container.get("env") or []:
            yield from _named(variable.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")


def _sources(volumes: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for volume in volumes:
        yield from _named(volume, "configMap", "secret")


def _named(source: Mapping[str, Any], config_map: str, secret: str) -> Iterator[tuple[str, str]]:
    for field, kind in ((config_map, "ConfigMap"), (secret, "Secret")):
        found = source.get(field) or {}
        name = found.get("name") or found.get("secretName")
        if name:
            yield kind, name
