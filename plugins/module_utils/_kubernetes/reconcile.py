# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From wanted and live objects to a plan, and from a plan to the cluster.

The plan rests on a dry run of server-side apply, so the API server itself tells what would change. Where it cannot,
because a namespace or a kind does not exist yet, there is nothing to compare with either and the object is created.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    ConflictError,
    FieldConflict,
    NotReadyError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.applied import is_as_applied
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    Manifest,
    ObjectKey,
    identity,
    is_ours,
    is_terminating,
    labels_of,
    mask,
    normalize,
    resource_of,
    with_encoded_data,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_gone, wait_ready

Kind = tuple[str, str]

# What has to be there before what; everything else comes last. Deletions go the other way.
_ORDER: tuple[frozenset[str], ...] = (
    frozenset({"Namespace"}),
    frozenset({"CustomResourceDefinition"}),
    frozenset({"ServiceAccount", "ClusterRole", "Role"}),
    frozenset({"ClusterRoleBinding", "RoleBinding"}),
    frozenset({"ConfigMap", "Secret", "PersistentVolumeClaim"}),
    frozenset({"Service", "NetworkPolicy", "PodDisruptionBudget"}),
)

# Rounds of looking again at an object that others write at the same moment.
# The namespace that every cluster has.
_REHEARSAL = "default"
_ROUNDS = 5
# Seconds for the API server to serve a definition, and for an object of the same name to be gone.
_ESTABLISHED_TIMEOUT = 30.0
_GONE_TIMEOUT = 120.0

_OUR_LABELS = (MANAGED_BY_LABEL, "app.kubernetes.io/part-of")

# Every namespace gets these; they go with it.
_NAMESPACE_DEFAULTS = frozenset(
    {
        ("ServiceAccount", "default"),
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "openshift-service-ca.crt"),
        ("ServiceAccount", "builder"),
        ("ServiceAccount", "deployer"),
    }
)
# Kept by controllers for other objects, or gone by themselves.
_DERIVED_KINDS = frozenset({"Event", "Endpoints", "EndpointSlice", "PodMetrics"})


def never(_manifest: Mapping[str, Any]) -> bool:
    """Say no to every object."""
    return False


def plan_objects(
    client: KubernetesClient,
    wanted: Sequence[Mapping[str, Any]],
    *,
    owner: Mapping[str, str] | None = None,
    owner_namespace: str = "",
    prune_kinds: Sequence[Kind] = (),
    keep: Callable[[Mapping[str, Any]], bool] = never,
    force: bool = False,
    create_only: Collection[ObjectKey] = (),
) -> Plan:
    """Return what has to change for the wanted objects to be there.

    Objects in ``create_only`` are created when missing and otherwise left as they are. Live objects of ``prune_kinds``
    with all labels of ``owner`` (in ``owner_namespace``) that are not wanted are deleted, except those that ``keep``
    tells to keep. Raises ConflictError, naming all fields, when another manager owns fields that differ, unless
    ``force``.
    """
    manifests = _by_key(wanted)
    selector = _selector(owner) if prune_kinds else ""
    listed: dict[Kind, list[Manifest]] = {}
    live: dict[ObjectKey, Manifest | None] = {}
    dry: dict[ObjectKey, Manifest | None] = {}
    conflicts: dict[ObjectKey, tuple[FieldConflict, ...]] = {}

    def list_kind(kind: Kind) -> None:
        namespace = owner_namespace if resource_of(*kind).namespaced else ""
        listed[kind] = client.list(*kind, namespace=namespace, label_selector=selector)

    def observe(key: ObjectKey) -> None:
        live[key] = _get(client, key)

    def rehearse(key: ObjectKey) -> None:
        try:
            dry[key] = _rehearse(client, manifests[key], force)
        except ConflictError as error:
            conflicts[key] = error.conflicts

    def is_listed(key: ObjectKey) -> bool:
        return key[:2] in prune_kinds and key.namespace in ("", owner_namespace)

    # One round trip in the usual case: the lists for pruning also show the wanted objects that are there, and what is
    # as it was applied needs no rehearsal.
    client.parallel(
        [partial(list_kind, kind) for kind in prune_kinds]
        + [partial(observe, key) for key in manifests if not is_listed(key)]
    )
    found = {identity(item): item for items in listed.values() for item in items}
    live.update({key: found[key] for key in manifests if key in found})
    client.parallel([partial(observe, key) for key in manifests if key not in live])
    for key in manifests:
        if key.kind == "Namespace":
            manifests[key] = _not_adopting(manifests[key], live[key])
    to_rehearse = [key for key in manifests if key not in create_only and not is_as_applied(manifests[key], live[key])]
    client.parallel([partial(rehearse, key) for key in to_rehearse])
    if conflicts:
        raise ConflictError([conflict for key in manifests for conflict in conflicts.get(key, ())])

    changes = []
    for key, manifest in manifests.items():
        change = None
        if key in create_only:
            change = _creation(manifest, live[key], create_only=True)
        elif key in dry:
            change = _change(client, manifest, live[key], dry[key], force)
        if change is not None:
            changes.append(change)
    changes += [_deletion(item) for key, item in found.items() if key not in manifests and _removable(item, keep)]
    return Plan(tuple(changes))


def plan_removal(
    client: KubernetesClient,
    owner: Mapping[str, str],
    namespace: str,
    kinds: Sequence[Kind],
    *,
    keep: Callable[[Mapping[str, Any]], bool] = never,
) -> Plan:
    """Return the deletion of all objects of ``kinds`` with the labels of ``owner``, except those to keep.

    Kinds with namespaces are looked for in ``namespace``, the others in the cluster.
    """
    selector = _selector(owner)
    lists = client.parallel(
        [
            partial(
                client.list,
                *kind,
                namespace=namespace if resource_of(*kind).namespaced else "",
                label_selector=selector,
            )
            for kind in kinds
        ]
    )
    return Plan(tuple(_deletion(item) for items in lists for item in items if _removable(item, keep)))


def plan_namespace_removal(
    client: KubernetesClient,
    namespace: str,
    removed: Iterable[ObjectKey],
    *,
    disposable: Callable[[Mapping[str, Any]], bool] = never,
) -> Plan:
    """Return the deletion of a namespace that we made and that is empty once the ``removed`` objects are gone.

    Whatever every namespace has, what controllers derive from other objects, and what ``disposable`` says yes to (it is
    given apiVersion, kind and metadata) may go with it. Where somebody's object is left, or we are not allowed to look,
    the plan is empty.
    """
    live = client.get("v1", "Namespace", namespace)
    if live is None or is_terminating(live) or not is_ours(live):
        return Plan()
    gone = {(key.kind, key.name) for key in removed if key.namespace == namespace}
    try:
        kinds = [kind for kind in client.namespaced_kinds() if kind[1] not in _DERIVED_KINDS]
        lists = client.parallel([partial(client.list_metadata, *kind, namespace) for kind in kinds])
    except ApiError as error:
        if error.status == 403:
            return Plan()
        raise
    namespaced = {(api_version, kind) for api_version, kind, _plural in kinds}
    for item in (item for items in lists for item in items):
        leaves = (
            (item["kind"], item["metadata"]["name"]) in gone
            or is_terminating(item)
            or _comes_with_namespace(item)
            or _has_controller(item, namespaced)
            or disposable(item)
        )
        if not leaves:
            return Plan()
    return Plan((_deletion(live),))


def apply_plan(client: KubernetesClient, plan: Plan, *, force: bool = False) -> None:
    """Carry a plan out: creations and updates in the order of their dependencies, then deletions the other way.

    Independent objects in parallel. The first failure ends it; what was done by then stays, a further run goes on.
    """
    waiting = [change for change in plan.changes if change.after_removal]
    if waiting:
        _wait_for_removal(client, waiting)
    new_definitions = False
    for changes in _ranks(change for change in plan.changes if change.action != "delete"):
        client.parallel([partial(_write, client, change, force, new_definitions) for change in changes])
        definitions = [_key(change) for change in changes if change.kind == "CustomResourceDefinition"]
        if definitions:
            new_definitions = True
            wait_ready(client, definitions, _ESTABLISHED_TIMEOUT)
    for changes in reversed(_ranks(change for change in plan.changes if change.action == "delete")):
        client.parallel([partial(_delete, client, change) for change in changes])


# Planning


def _by_key(wanted: Sequence[Mapping[str, Any]]) -> dict[ObjectKey, Manifest]:
    manifests: dict[ObjectKey, Manifest] = {}
    for manifest in wanted:
        key = identity(manifest)
        if key in manifests:
            raise ValueError(f"{key} is wanted twice")
        if resource_of(key.api_version, key.kind).namespaced and not key.namespace:
            raise ValueError(f"{key} needs a namespace")
        manifests[key] = with_encoded_data(manifest)
    return manifests


def _selector(owner: Mapping[str, str] | None) -> str:
    """Return the label selector for what an owner made; it always has more than the label that all have in common."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, **(owner or {})}
    if len(labels) < 2 or not all(labels.values()):
        raise ValueError("an owner needs labels of its own")
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _get(client: KubernetesClient, key: ObjectKey) -> Manifest | None:
    return client.get(key.api_version, key.kind, key.name, key.namespace)


def _not_adopting(manifest: Manifest, live: Manifest | None) -> Manifest:
    """Return a Namespace without the labels that call it ours when somebody else made it: it stays when we go."""
    if live is None or is_terminating(live) or is_ours(live):
        return manifest
    labels = {name: value for name, value in labels_of(manifest).items() if name not in _OUR_LABELS}
    return {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}


def _rehearse(client: KubernetesClient, manifest: Manifest, force: bool) -> Manifest | None:
    """Return what an apply would make of the object; None when namespace or kind are not there (any more)."""
    try:
        return client.apply(manifest, dry_run=True, force=force)
    except ApiError as error:
        if error.status == 404 or "NamespaceTerminating" in error.causes:
            _validate_elsewhere(client, manifest)
            return None
        raise


def _validate_elsewhere(client: KubernetesClient, manifest: Manifest) -> None:
    """Without its namespace an object cannot be rehearsed, but what is wrong with it shows in another as well.

    Raises ApiError for what the API server calls invalid. What else it says is about the other namespace.
    """
    key = identity(manifest)
    if not key.namespace:
        return
    try:
        client.create({**manifest, "metadata": {**manifest["metadata"], "namespace": _REHEARSAL}}, dry_run=True)
    except ApiError as error:
        if error.status in (400, 422):
            resource = error.resource.replace(f" {_REHEARSAL}/", f" {key.namespace}/")
            raise ApiError(error.host, error.verb, resource, error.status, error.reason, causes=error.causes) from error


def _change(
    client: KubernetesClient, manifest: Manifest, live: Manifest | None, dry: Manifest | None, force: bool
) -> Change | None:
    key = identity(manifest)
    for _round in range(_ROUNDS):
        if live is None or is_terminating(live) or dry is None:
            return _creation(manifest, live)
        before, after = normalize(live), normalize(dry)
        if before == after:
            return None
        if live["metadata"].get("resourceVersion") == dry["metadata"].get("resourceVersion"):
            break
        # Somebody, a controller mostly, wrote it between our two looks: this difference need not be ours.
        live, dry = _get(client, key), _rehearse(client, manifest, force)
    return Change(
        action="update",
        **_names(key),
        before=mask(before, after),
        after=mask(after, before),
        manifest=manifest,
    )


def _creation(manifest: Manifest, live: Manifest | None, *, create_only: bool = False) -> Change | None:
    if create_only and live is not None and not is_terminating(live):
        return None
    return Change(
        action="create",
        **_names(identity(manifest)),
        after=mask(normalize(manifest)),
        manifest=manifest,
        create_only=create_only,
        after_removal=live is not None,
    )


def _deletion(live: Manifest) -> Change:
    return Change(action="delete", **_names(identity(live)), before=mask(normalize(live)), manifest=live)


class _Names(TypedDict):
    api_version: str
    kind: str
    name: str
    namespace: str


def _names(key: ObjectKey) -> _Names:
    return {"api_version": key.api_version, "kind": key.kind, "name": key.name, "namespace": key.namespace}


def _removable(live: Manifest, keep: Callable[[Mapping[str, Any]], bool]) -> bool:
    return not is_terminating(live) and not keep(live)


def _comes_with_namespace(item: Manifest) -> bool:
    if (item["kind"], item["metadata"]["name"]) in _NAMESPACE_DEFAULTS:
        return True
    # Older clusters keep the service accounts' tokens as Secrets.
    annotations = item["metadata"].get("annotations") or {}
    account = annotations.get("kubernetes.io/service-account.name")
    return item["kind"] == "Secret" and ("ServiceAccount", account) in _NAMESPACE_DEFAULTS


def _has_controller(item: Manifest, namespaced: Collection[Kind]) -> bool:
    """Tell whether another object of the namespace stands for this one: that one decides."""
    return any(
        owner.get("controller") and (owner.get("apiVersion"), owner.get("kind")) in namespaced
        for owner in item["metadata"].get("ownerReferences") or []
    )


# Applying


def _ranks(changes: Iterable[Change]) -> list[list[Change]]:
    ranks: list[list[Change]] = [[] for _ignored in range(len(_ORDER) + 1)]
    for change in changes:
        rank = next((rank for rank, kinds in enumerate(_ORDER) if change.kind in kinds), len(_ORDER))
        ranks[rank].append(change)
    return [rank for rank in ranks if rank]


def _key(change: Change) -> ObjectKey:
    return ObjectKey(change.api_version, change.kind, change.namespace, change.name)


def _write(client: KubernetesClient, change: Change, force: bool, new_definitions: bool) -> None:
    manifest = change.manifest or {}
    write = partial(client.create, manifest) if change.create_only else partial(client.apply, manifest, force=force)
    deadline = time.monotonic() + (_ESTABLISHED_TIMEOUT if new_definitions else 0.0)
    while True:
        try:
            write()
            return
        except ApiError as error:
            # A definition is established a moment before the API server routes requests for it.
            if error.status != 404 or time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def _delete(client: KubernetesClient, change: Change) -> None:
    uid = (change.manifest or {}).get("metadata", {}).get("uid")
    client.delete(change.api_version, change.kind, change.name, change.namespace, uid=uid)


def _wait_for_removal(client: KubernetesClient, changes: Sequence[Change]) -> None:
    try:
        wait_gone(client, [_key(change) for change in changes], _GONE_TIMEOUT)
    except NotReadyError as error:
        error.advice = "It is being deleted; see its finalizers, and run again when it is gone"
        raise
