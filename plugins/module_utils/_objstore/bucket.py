# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket exists, or does not: observe, plan, apply."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems, StorageError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import authority_from
from ansible_collections.scs.observability.plugins.module_utils._objstore import (
    compactor_claim,
    configuration,
    preflight,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import (
    Access,
    BucketClient,
    Stored,
    Version,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Finding, failure

# S3's limits, and the beginning of the tags that AWS puts on buckets itself.
_MAX_TAGS, _MAX_TAG_NAME, _MAX_TAG_VALUE = 50, 128, 256
_SYSTEM_TAGS = "aws:"


@dataclass(frozen=True)
class Wanted:
    """What the parameters say, checked. ``tags`` and ``versioning`` are None where they are left alone."""

    access: Access
    present: bool
    force: bool
    force_claimed: bool = False
    tags: Mapping[str, str] | None = None
    versioning: bool | None = None


@dataclass(frozen=True)
class Observed:
    """What there is; None for what nobody asked. A bucket that is not there has no tags and keeps no versions."""

    exists: bool
    empty: bool | None = None
    claims: tuple[compactor_claim.Claim, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    versioning: bool = False


class Store(preflight.ObjectStore, Protocol):
    """The S3 client, as far as it is used here."""

    def exists(self) -> bool: ...

    def is_empty(self) -> bool: ...

    def create(self) -> bool: ...

    def remove(self) -> None: ...

    def records(self) -> Iterator[Version]: ...

    def lists_v1(self) -> bool: ...

    def bucket_names(self) -> set[str]: ...

    def tags(self) -> dict[str, str]: ...

    def set_tags(self, tags: Mapping[str, str]) -> None: ...

    def versioning(self) -> bool: ...

    def set_versioning(self, enabled: bool) -> None: ...

    def find(self, key: str) -> Stored | None: ...

    def objects(self) -> Iterator[Version]: ...

    def versions(self) -> Iterator[Version]: ...

    def uploads(self) -> Iterator[tuple[str, str]]: ...

    def delete_all(self, which: Iterator[Version]) -> int: ...

    def abort_upload(self, key: str, upload: str) -> None: ...


def ensure(
    params: Mapping[str, Any],
    check_mode: bool,
    environment: Mapping[str, str] | None = None,
    connect: Callable[[Access], AbstractContextManager[Store]] = BucketClient,
    beside: Plan | None = None,
) -> dict[str, Any]:
    """Do what the module bucket documents and return its result. Raises InputError, StorageError, LibraryError.

    ``beside`` is what else the run changes, for its result.
    """
    wanted = read_parameters(params, os.environ if environment is None else environment)
    with connect(wanted.access) as store:
        observed = observe(store, wanted)
        changes = plan(wanted, observed, store)
        result: dict[str, Any] = {"name": wanted.access.bucket, "endpoint": wanted.access.endpoint.url}
        result.update((changes + beside if beside else changes).result())
        if not check_mode:
            result.update(apply(store, changes, wanted, observed))
        if wanted.present:
            result.update(_usable(store, wanted, observed, changes, check_mode))
        return result


def read_parameters(params: Mapping[str, Any], environment: Mapping[str, str]) -> Wanted:
    """Check everything that can be checked without the store. Raises InputError naming the parameter."""
    problems = Problems()
    where = problems.of(configuration.endpoint, params.get("endpoint"))
    ca = problems.of(authority_from, params.get("ca_path"), params.get("ca_content"))
    if ca and where and not where.secure:
        problems.found.append(
            InputError(
                "an authority is of no use with an endpoint without TLS",
                parameter="ca_path" if params.get("ca_path") else "ca_content",
                advice="Use https:// in endpoint, or leave the authority out",
            )
        )
    name = problems.of(configuration.bucket_name, params.get("name"))
    region = problems.of(configuration.region, params.get("region"))
    access_key, secret_key = (
        problems.of(configuration.credential, parameter, params.get(parameter), f"AWS_{variable}", environment)
        for parameter, variable in (("access_key", "ACCESS_KEY_ID"), ("secret_key", "SECRET_ACCESS_KEY"))
    )
    tags = problems.of(_tags, params.get("tags"))
    problems.refuse()
    return Wanted(
        access=Access(
            bucket=name,
            endpoint=where,
            region=region,
            access_key=access_key,
            secret_key=secret_key,
            ca=ca,
            validate_certs=params.get("validate_certs") is not False,
            addressing_style="virtual" if params.get("addressing_style") == "virtual" else "path",
        ),
        present=params.get("state") != "absent",
        force=bool(params.get("force")),
        force_claimed=bool(params.get("force_claimed")),
        tags=tags,
        versioning=params.get("versioning"),
    )


def observe(store: Store, wanted: Wanted) -> Observed:
    """Look whether the bucket is there, if it has to go also what keeps it, else at what is asked for."""
    exists = store.exists()
    preflight.check_clocks(store)
    if not exists:
        return Observed(False)
    if not wanted.present:
        empty = store.is_empty()
        in_the_way = not empty and wanted.force and not wanted.force_claimed
        return Observed(True, empty=empty, claims=_claims(store) if in_the_way else ())
    return Observed(
        True,
        tags=store.tags() if wanted.tags is not None else {},
        versioning=store.versioning() if wanted.versioning is not None else False,
    )


def _claims(store: Store) -> tuple[compactor_claim.Claim, ...]:
    """Those of all compactors, also below prefixes. The whole listing is little beside deleting what is in it."""
    found = (
        compactor_claim.read(store.find(item.key)) for item in store.objects() if compactor_claim.is_claim(item.key)
    )
    return tuple(claim for claim in found if claim is not None)


def plan(wanted: Wanted, observed: Observed, store: Store) -> Plan:
    """Decide. Raises StorageError when the bucket has to go, and holds something (force) or is a compactor's."""
    access = wanted.access
    state = {"name": access.bucket, "endpoint": access.endpoint.url, "region": access.region}
    if wanted.present:
        before, after = settings(wanted, observed)
        if not observed.exists:
            return Plan((Change("create", "Bucket", access.bucket, after={**state, **after}, api_version="S3"),))
        if before == after:
            return Plan()
        name = {"name": access.bucket}
        return Plan(
            (Change("update", "Bucket", access.bucket, before=name | before, after=name | after, api_version="S3"),)
        )
    if not observed.exists:
        return Plan()
    if not observed.empty and not wanted.force:
        raise failure(
            store.request("DeleteBucket"),
            "BucketNotEmpty",
            Finding(
                "it holds objects, versions of objects or unfinished uploads",
                "Set force: true to delete them all with the bucket, for good",
                "force",
            ),
        )
    if observed.claims:
        raise failure(
            store.request("DeleteBucket"),
            "BucketClaimed",
            Finding(
                "; ".join(compactor_claim.holder(claim, datetime.now(UTC)) for claim in observed.claims),
                "Remove that compactor first, with state: absent, which gives the bucket free; if it is gone for good, "
                "force_claimed: true deletes the bucket all the same",
                "force_claimed",
            ),
        )
    content = "none" if observed.empty else "objects, versions or unfinished uploads"
    return Plan((Change("delete", "Bucket", access.bucket, before={**state, "content": content}, api_version="S3"),))


def settings(wanted: Wanted, observed: Observed) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is asked for of the bucket's settings, as it is and as it has to be. Pure."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if wanted.tags is not None:
        # The store's own tags can be neither removed nor left out.
        own = {key: value for key, value in observed.tags.items() if key.startswith(_SYSTEM_TAGS)}
        before["tags"], after["tags"] = dict(observed.tags), {**wanted.tags, **own}
    if wanted.versioning is not None:
        before["versioning"], after["versioning"] = observed.versioning, wanted.versioning
    return before, after


def apply(store: Store, changes: Plan, wanted: Wanted, observed: Observed) -> dict[str, Any]:
    """Carry the plan out. Returns, for a deletion, what went with the bucket."""
    result: dict[str, Any] = {}
    for change in changes.changes:
        if change.action != "delete":
            if change.action == "create":
                store.create()
            _apply_settings(store, wanted, observed)
            continue
        deleted = {"objects": 0, "uploads": 0}
        if observed.empty:
            for item in store.records():
                store.delete(item.key, item.version)
        else:
            # Versions first. Where a store has none, or lists them under another name, the objects are left to delete.
            deleted["objects"] = store.delete_all(store.versions()) + store.delete_all(store.objects())
            for key, upload in store.uploads():
                store.abort_upload(key, upload)
                deleted["uploads"] += 1
        store.remove()
        result["deleted"] = deleted
    return result


def _apply_settings(store: Store, wanted: Wanted, observed: Observed) -> None:
    before, after = settings(wanted, observed)
    changed = not observed.exists
    try:
        if before.get("tags") != after.get("tags"):
            store.set_tags(after["tags"])
            changed = True
        if before.get("versioning") != after.get("versioning"):
            store.set_versioning(after["versioning"])
    except StorageError as error:
        if changed:
            error.details["changed"] = True
        raise


def _usable(store: Store, wanted: Wanted, observed: Observed, changes: Plan, check_mode: bool) -> dict[str, Any]:
    access = wanted.access
    try:
        if not check_mode:
            proof = preflight.run(store, f"{preflight.PREFIX}{uuid.uuid4()}", uuid.uuid4().bytes * 4)
        elif observed.exists:
            proof = preflight.run_read_only(store)
        else:
            proof = preflight.Preflight(clock_skew_seconds=store.clock_skew())
    except StorageError as error:
        if changes.changed and not check_mode:
            error.details["changed"] = True
        raise
    return described(access, proof, lists_v1=store.lists_v1())


def described(access: Access, proof: preflight.Preflight, *, lists_v1: bool = False) -> dict[str, Any]:
    """Return what a result says of a bucket that is to be used: how, and what was proven."""
    return {
        "objstore": configuration.objstore(
            access.bucket,
            access.endpoint.url,
            access.region,
            ca=access.ca is not None,
            addressing_style=access.addressing_style,
            validate_certs=access.validate_certs,
            lists_v1=lists_v1,
        ),
        "objstore_ca": access.ca or "",
        "preflight": proof.result(),
    }


def _tags(given: Mapping[Any, Any] | None) -> dict[str, str] | None:
    """Return tags as S3 takes them. Raises InputError."""
    if given is None:
        return None
    if len(given) > _MAX_TAGS:
        raise InputError(f"has {len(given)} tags, S3 takes {_MAX_TAGS}", parameter="tags")
    tags: dict[str, str] = {}
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise InputError(f"the value of {key} is not text", parameter="tags", advice="Put it into quotes")
        name, text = str(key), str(value)
        if name.startswith(_SYSTEM_TAGS):
            raise InputError(f"{name}: names that begin with {_SYSTEM_TAGS} are the store's own", parameter="tags")
        if not 1 <= len(name) <= _MAX_TAG_NAME or len(text) > _MAX_TAG_VALUE:
            raise InputError(
                f"{name!r}: a name has 1 to {_MAX_TAG_NAME} characters, a value at most {_MAX_TAG_VALUE}",
                parameter="tags",
            )
        tags[name] = text
    return tags
