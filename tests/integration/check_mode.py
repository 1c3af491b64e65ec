# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether check mode says what the real run does, and both what happens in a cluster: objects before and after."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import yaml

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    KINDS,
    ObjectKey,
    identity,
    is_terminating,
    mask,
    normalize,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import prometheus_operator

Result = dict[str, Any]
Ensure = Callable[..., Result]
Cluster = dict[ObjectKey, dict[str, Any]]
Look = Callable[[], Cluster]

# Of controllers, kubelets and whoever runs the cluster
_OTHERS = frozenset({"EndpointSlice", "Event", "Node", "Pod", "ReplicaSet", "StorageClass"})
# Key pairs and tokens are made anew until they are stored, and what is told of them differs.
_OF_KEYS = re.compile(
    r"((?:checksum-(?:authorities|certificates|configuration)|certificate-(?:digest|expires|renew-after)): ).*"
    r"|-----BEGIN [A-Z ]*CERTIFICATE-----[^-]*"
)


def look(client: KubernetesClient, namespace: str) -> Cluster:
    """Everything that is not about to go of all kinds that modules make: in a namespace, and outside of any."""
    kinds = [(kind, resource.namespaced) for kind, resource in KINDS.items() if kind[1] not in _OTHERS]
    lists = client.parallel(
        [partial(client.list, *kind, namespace=namespace if namespaced else "") for kind, namespaced in kinds]
    )
    # Another test's namespace may be among them; no controller empties one here.
    there = (item for items in lists for item in items if not is_terminating(item))
    return {identity(item): item for item in there}


def documents(text: str) -> dict[str, Any]:
    """The objects in one side of a diff by their titles."""
    parts = re.split(r"^--- # (.*)\n", text, flags=re.MULTILINE)[1:]
    return {title: yaml.safe_load(content) for title, content in zip(parts[::2], parts[1::2], strict=True)}


def contains(live: Any, wanted: Any) -> bool:
    """Tell whether an object has all that is wanted of it; the API server adds defaults and leaves out what is not."""
    if isinstance(wanted, dict):
        return all(contains(live[key], value) if key in live else not value for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(live) == len(wanted) and all(map(contains, live, wanted))
    return bool(live == wanted)


def differences(before: Cluster, after: Cluster) -> list[str]:
    """What happened, in the words of a result's ``changes``."""
    return sorted(
        [
            *(f"create {key}" for key in after if key not in before),
            *(f"delete {key}" for key in before if key not in after),
            *(f"update {key}" for key in after if key in before and normalize(before[key]) != normalize(after[key])),
        ]
    )


def assert_untouched(before: Cluster, after: Cluster) -> None:
    """Nothing was written, not even what was there already."""
    written = [{key: _written(item) for key, item in cluster.items()} for cluster in (before, after)]
    assert [str(key) for key in {**before, **after} if written[0].get(key) != written[1].get(key)] == []


def _written(item: dict[str, Any]) -> dict[str, Any]:
    """An object with who wrote what and when, but without its status.

    An API server writes that of a definition a moment after somebody has changed it.
    """
    metadata = {name: value for name, value in item["metadata"].items() if name != "resourceVersion"}
    metadata["managedFields"] = [
        entry for entry in metadata.get("managedFields") or [] if entry.get("subresource") != "status"
    ]
    return {**{name: value for name, value in item.items() if name != "status"}, "metadata": metadata}


def assert_honest(result: Result, before: Cluster, after: Cluster) -> None:
    """Changes and diff are the difference between the cluster before and after."""
    # What happens in a bucket has tests of its own.
    assert [change for change in result["changes"] if " S3 " not in change] == differences(before, after)
    assert result["changed"] is bool(result["changes"])
    said = {which: documents(result["diff"][which]) for which in ("before", "after")}
    for key in set(before) | set(after):
        old, new = (normalize(cluster[key]) if key in cluster else None for cluster in (before, after))
        if old == new:
            assert str(key) not in said["before"]
            assert str(key) not in said["after"]
            continue
        assert said["before"].get(str(key)) == (_shown(key, mask(old, new)) if old else None)
        if old and new:
            assert said["after"][str(key)] == _shown(key, mask(new, old))
        elif new:
            assert contains(_shown(key, mask(new)), said["after"][str(key)])


def _shown(key: ObjectKey, manifest: dict[str, Any]) -> Any:
    return prometheus_operator.shown(manifest) if key.name in prometheus_operator.DEFINITIONS else manifest


def apart_from_keys(result: Result) -> Result:
    """The result without what is of key pairs and tokens that it was the first to make."""
    return {**result, "diff": {which: _OF_KEYS.sub(r"\1(of a key)", text) for which, text in result["diff"].items()}}


def run_as_announced(ensure: Ensure, look: Look, *arguments: Any, **params: Any) -> Result:
    """Check mode, which must change nothing, then the real run, which must do just that."""
    before = look()
    announced = ensure(*arguments, check_mode=True, **params)
    assert_untouched(before, look())
    result = ensure(*arguments, **params)
    assert_honest(result, before, look())
    assert apart_from_keys(announced) == apart_from_keys(result)
    return result
