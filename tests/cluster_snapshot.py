# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every object of every kind in a cluster, before and after: whether something leaves it as it was found.

    python tests/cluster_snapshot.py save --kubeconfig FILE before.json
    python tests/cluster_snapshot.py compare --kubeconfig FILE --wait 120 before.json

What there is comes from the API server's discovery, so a kind that somebody added is looked at as well. What changes
by itself is left out: status, versions, events, endpoints, heartbeats. Of Secrets only a checksum is kept. `compare`
prints what was added, removed and changed, and exits with 1 when there is something.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes

_DISCOVERY = "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2"
_PAGE = 500
_PAUSE = 2.0

# Kinds (group, plural) that live by themselves.
_VOLATILE = frozenset(
    {
        ("", "componentstatuses"),
        ("", "endpoints"),
        ("", "events"),
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("discovery.k8s.io", "endpointslices"),
        ("events.k8s.io", "events"),
        ("metrics.k8s.io", "nodes"),
        ("metrics.k8s.io", "pods"),
    }
)
# Kubernetes' own leases: nodes, API servers, controllers.
_LEASES = ("coordination.k8s.io", "leases")
_OWN_LEASES = frozenset({"kube-node-lease", "kube-system"})
_METADATA = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Objects = dict[str, Any]


class Kind(NamedTuple):
    group: str
    version: str
    plural: str

    @property
    def path(self) -> str:
        return f"{f'/apis/{self.group}' if self.group else '/api'}/{self.version}/{self.plural}"

    @property
    def name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def get(client: kubernetes.client.ApiClient, path: str, accept: str = "application/json", **query: Any) -> Any:
    method, url, headers, body, _post = client.param_serialize(
        "GET",
        path,
        query_params=list(query.items()),
        header_params={"Accept": accept},
        auth_settings=["BearerToken"],
    )
    response = client.call_api(method, url, headers, body)
    content = response.read()
    if response.status != 200:
        raise kubernetes.client.ApiException(status=response.status, reason=f"{path}: {content[:300]!r}")
    return json.loads(content)


def kinds(client: kubernetes.client.ApiClient) -> Iterator[Kind]:
    """Everything that can be listed, each group in the version that the API server prefers."""
    for root in ("/api", "/apis"):
        for group in get(client, root, _DISCOVERY).get("items") or []:
            version = group["versions"][0]
            for resource in version.get("resources") or []:
                kind = Kind(group["metadata"].get("name", ""), version["version"], resource["resource"])
                if "list" in resource["verbs"] and (kind.group, kind.plural) not in _VOLATILE:
                    yield kind


def items(client: kubernetes.client.ApiClient, kind: Kind) -> Iterator[Mapping[str, Any]]:
    more = ""
    while True:
        try:
            page = get(client, kind.path, limit=_PAGE, **({"continue": more} if more else {}))
        except kubernetes.client.ApiException as error:
            # A kind may go while its objects are listed.
            if error.status == 404:
                return
            raise
        yield from page.get("items") or []
        more = page["metadata"].get("continue") or ""
        if not more:
            return


def normalized(kind: Kind, item: Mapping[str, Any]) -> Objects:
    """An object without what changes by itself; a Secret's content as a checksum."""
    metadata = {name: value for name, value in item["metadata"].items() if name not in _METADATA}
    annotations = {**(metadata.pop("annotations", None) or {})}
    annotations.pop(_LAST_APPLIED, None)
    if annotations:
        metadata["annotations"] = annotations
    rest = {name: value for name, value in item.items() if name not in ("apiVersion", "kind", "metadata", "status")}
    if (kind.group, kind.plural) == ("", "secrets"):
        content = json.dumps(rest.pop("data", None), sort_keys=True)
        rest["checksum"] = hashlib.sha256(content.encode()).hexdigest()
    return {"metadata": metadata, **rest}


def take(client: kubernetes.client.ApiClient) -> Objects:
    """Every object by what kubectl calls it."""
    found = {}
    for kind in kinds(client):
        for item in items(client, kind):
            namespace = item["metadata"].get("namespace", "")
            if (kind.group, kind.plural) == _LEASES and namespace in _OWN_LEASES:
                continue
            place = f"{namespace}/{item['metadata']['name']}" if namespace else item["metadata"]["name"]
            found[f"{kind.name} {place}"] = normalized(kind, item)
    return found


def differences(before: Objects, after: Objects) -> list[str]:
    """One text per object: what was added or removed by its name, what was changed with its lines."""
    texts = [f"added    {name}" for name in sorted(after.keys() - before.keys())]
    texts += [f"removed  {name}" for name in sorted(before.keys() - after.keys())]
    for name in sorted(before.keys() & after.keys()):
        old, new = (json.dumps(found[name], indent=2, sort_keys=True).splitlines() for found in (before, after))
        changed = [line for line in difflib.ndiff(old, new) if line.startswith(("+ ", "- "))]
        if changed:
            texts.append("\n".join([f"changed  {name}", *(f"    {line}" for line in changed)]))
    return texts


def compare(client: kubernetes.client.ApiClient, before: Objects, wait: float) -> int:
    """Print the differences that are still there after ``wait`` seconds: volumes go some time after their claims."""
    deadline = time.monotonic() + wait
    while (found := differences(before, take(client))) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    print("\n".join(found) if found else f"the cluster is as it was found ({len(before)} objects)")
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare all objects of a cluster before and after")
    parser.add_argument("action", choices=["save", "compare"])
    parser.add_argument("file", type=Path, help="where the objects from before are")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--context")
    parser.add_argument("--wait", type=float, default=0.0, help="seconds for what goes by itself to be gone")
    arguments = parser.parse_args()
    with kubernetes.config.new_client_from_config(arguments.kubeconfig, context=arguments.context) as client:
        if arguments.action == "compare":
            return compare(client, json.loads(arguments.file.read_text(encoding="utf-8")), arguments.wait)
        found = take(client)
        arguments.file.write_text(json.dumps(found, sort_keys=True), encoding="utf-8")
        print(f"{len(found)} objects")
        return 0


if __name__ == "__main__":
    sys.exit(main())
