# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One compactor per bucket: an object in the bucket says whose it is.

Two compactors on the same blocks destroy each other's work, and nothing in Thanos keeps a second one away. Thanos takes
only ULIDs for blocks, so it passes over the object.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, StorageError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Action, Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._objstore import configuration
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Access, BucketClient, Stored
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Finding, Request, failure
from ansible_collections.scs.observability.plugins.module_utils._objstore.preflight import OURS

ATTEMPTS = 3
_OBJECT = f"{OURS}/compactor.json"
_MAX_TEXT = 253

# What the parameters of the module bucket are called where Thanos' configuration is given.
_PARAMETERS = {
    "access_key": "objstore_access_key",
    "secret_key": "objstore_secret_key",
    "ca_path": "objstore_ca",
    "take_over_bucket": "take_over_bucket",
}


@dataclass(frozen=True)
class Place:
    """Where blocks are: a bucket, and the prefix within it, below which another Thanos does not look."""

    access: Access
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.access.bucket}/{self.prefix}" if self.prefix else self.access.bucket

    def is_at(self, other: Place) -> bool:
        """Tell whether it is the place that the other one is, perhaps with other keys."""
        return (str(self), self.access.endpoint) == (str(other), other.access.endpoint)

    @property
    def key(self) -> str:
        return "/".join(part for part in (self.prefix, _OBJECT) if part)


@dataclass(frozen=True)
class Owner:
    """A compactor: the UID of its cluster, namespace and name. ``observer`` is what people call the cluster."""

    cluster: str
    namespace: str
    name: str
    observer: str = field(default="", compare=False)

    def __str__(self) -> str:
        cluster = f"cluster {self.cluster}"
        where = f"{self.observer} ({cluster})" if self.observer else cluster
        return f"{self.namespace}/{self.name} of {where}"


@dataclass(frozen=True)
class Claim:
    """Whose the bucket is, since when, and when a run saw it last. All None when nobody can read what is there."""

    owner: Owner | None
    since: datetime | None
    seen: datetime | None

    def content(self) -> bytes:
        """Return the claim as it is kept in the bucket."""
        owner = self.owner
        return json.dumps(
            {
                "purpose": "The one compactor of this bucket; written by the Ansible collection scs.observability",
                "cluster": owner.cluster if owner else "",
                "namespace": owner.namespace if owner else "",
                "name": owner.name if owner else "",
                "observer": owner.observer if owner else "",
                "since": self.since.isoformat() if self.since else "",
                "seen": self.seen.isoformat() if self.seen else "",
            },
            indent=1,
        ).encode()


@dataclass(frozen=True)
class Claimed:
    """The claim that holds now (in check mode: would hold), and the one that was there before."""

    claim: Claim
    before: Claim | None = None

    @property
    def taken_over(self) -> Claim | None:
        """The claim of somebody else that this one took over."""
        return self.before if self.before and self.before.owner != self.claim.owner else None


class Store(Protocol):
    """The S3 client, as far as it is used here."""

    def request(self, operation: str) -> Request: ...

    def find(self, key: str) -> Stored | None: ...

    def put_unless_changed(self, key: str, content: bytes, before: Stored | None) -> bool: ...

    def delete(self, key: str, version: str | None = None) -> None: ...


Connect = Callable[[Access], AbstractContextManager[Store]]


def place(
    objstore: Mapping[str, Any],
    access_key: str | None,
    secret_key: str | None,
    ca: str | None,
    environment: Mapping[str, str] | None = None,
) -> Place | None:
    """Return the place that Thanos' configuration describes; None if it is not S3, so that it cannot be claimed.

    Without keys those of the environment are used, as for pods that get theirs from the platform. Raises InputError.
    """
    if str(objstore.get("type")).upper() != "S3":
        return None
    config = objstore.get("config") or {}
    host = config.get("endpoint")
    if not isinstance(host, str) or "://" in host:
        raise InputError("endpoint must be host or host:port, without a scheme", parameter="objstore")
    where = configuration.endpoint(f"{'http' if config.get('insecure') else 'https'}://{host}", "objstore")
    variables = os.environ if environment is None else environment
    access = Access(
        bucket=configuration.bucket_name(config.get("bucket"), "objstore"),
        endpoint=where,
        region=configuration.region(config.get("region"), "objstore"),
        access_key=configuration.credential("objstore_access_key", access_key, "AWS_ACCESS_KEY_ID", variables),
        secret_key=configuration.credential("objstore_secret_key", secret_key, "AWS_SECRET_ACCESS_KEY", variables),
        ca=ca or None,
        # Thanos overwrites the one within tls_config with this one.
        validate_certs=not (config.get("http_config") or {}).get("insecure_skip_verify"),
        addressing_style="virtual" if config.get("bucket_lookup_type") == "virtual-hosted" else "path",
    )
    return Place(access, str(objstore.get("prefix") or "").strip("/"))


def cannot_be_claimed(objstore: Mapping[str, Any]) -> str:
    """Return the warning for a store for which ``place`` returns None."""
    return (
        f"object storage of type {objstore.get('type')} cannot be claimed, so nothing keeps a second compactor away: "
        "see to it that this is the only one of the bucket"
    )


def is_claim(key: str) -> bool:
    """Tell whether an object of that name is the claim of a compactor, below whatever prefix. Pure."""
    return f"/{key}".endswith(f"/{_OBJECT}")


def holder(found: Claim, now: datetime) -> str:
    """Return whose the bucket is, as it is told to somebody else. Pure."""
    if found.owner is None:
        return "something that is there in the place of a compactor's claim cannot be read, perhaps of a newer version"
    return f"it has a compactor already, {found.owner}, which a run saw {_ago(found.seen, now)}"


def changes(where: Place, before: Claim | None, after: Claim | None) -> Plan:
    """Return whose the bucket was and is, as a change. That a run saw a claim again is none. Pure."""
    if (before and after and before.owner == after.owner) or before is after:
        return Plan()
    action: Action = "create" if before is None else "delete" if after is None else "update"
    was, is_now = ({"owner": str(claim.owner or "cannot be read")} if claim else None for claim in (before, after))
    return Plan((Change(action, "CompactorClaim", str(where), before=was, after=is_now, api_version="S3"),))


def decide(found: Claim | None, owner: Owner, now: datetime, take_over: bool) -> Claim | Finding:
    """Return the claim to write, or why the bucket is not to be had. Pure."""
    if found is not None and found.owner != owner and not take_over:
        return Finding(
            f"{holder(found, now)}; two of them destroy blocks",
            "Remove that one with state: absent, which gives the bucket free; if it is gone for good, take the bucket "
            "over with take_over_bucket: true",
            "take_over_bucket",
        )
    ours = found is not None and found.owner == owner
    return Claim(owner, since=(found.since if ours and found else None) or now, seen=now)


def claim(
    where: Place,
    owner: Owner,
    now: datetime,
    *,
    take_over: bool = False,
    check_mode: bool = False,
    connect: Connect = BucketClient,
) -> Claimed:
    """Claim the bucket, or note in the claim that it was seen. Raises StorageError naming who has it, or the store's.

    In check mode it is only looked at, and a bucket that is not there yet is free.
    """
    with _connected(where, connect) as store:
        for _attempt in range(ATTEMPTS):
            try:
                before = store.find(where.key)
            except StorageError as error:
                if check_mode and error.code == "NoSuchBucket":
                    return Claimed(Claim(owner, since=now, seen=now))
                raise
            found = read(before)
            wanted = decide(found, owner, now, take_over)
            if isinstance(wanted, Finding):
                raise failure(store.request("ClaimCompactor"), "BucketClaimed", wanted)
            if check_mode:
                return Claimed(wanted, found)
            # What is there afterwards decides: not every store writes on a condition.
            if not store.put_unless_changed(where.key, wanted.content(), before):
                continue
            after = store.find(where.key)
            written = read(after)
            if written is not None and written.owner == owner:
                _forget(store, where.key, before, after)
                return Claimed(wanted, found)
        raise failure(
            store.request("ClaimCompactor"),
            "BucketClaimed",
            Finding("others write the claim all the time", "Let one run at a time deploy a compactor", "objstore"),
        )


def release(
    where: Place,
    owner: Owner,
    *,
    other: Claim | None = None,
    check_mode: bool = False,
    connect: Connect = BucketClient,
) -> Claim | None:
    """Give the bucket free and return the claim that was (in check mode: would be) removed; None if it is not ours.

    ``other`` is what the owner has claimed besides: where that is found, it is the same bucket under another address.
    Raises StorageError.
    """
    released: Claim | None = None
    gone: set[str | None] = set()
    with _connected(where, connect) as store:
        try:
            # In a bucket with versions, an older one may come to light.
            while (stored := store.find(where.key)) and stored.version not in gone:
                found = read(stored)
                if found is None or found.owner != owner or (other and found.since == other.since):
                    break
                released = released or found
                if check_mode:
                    break
                store.delete(where.key, stored.version)
                gone.add(stored.version)
        except StorageError as error:
            if error.code != "NoSuchBucket":
                raise
    return released


def read(stored: Stored | None) -> Claim | None:
    """Return the claim that an object holds. Pure."""
    if stored is None:
        return None
    try:
        content = json.loads(stored.content)
        cluster, namespace, name, observer = (
            _text(content[key]) for key in ("cluster", "namespace", "name", "observer")
        )
        since, seen = (datetime.fromisoformat(content[key]).astimezone(UTC) for key in ("since", "seen"))
    except (ValueError, KeyError, TypeError, OverflowError):
        return Claim(None, None, None)
    return Claim(Owner(cluster, namespace, name, observer), since, seen)


def _text(value: object) -> str:
    """It is shown, and who may write into the bucket can put anything there."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise ValueError
    return value


def _forget(store: Store, key: str, before: Stored | None, after: Stored | None) -> None:
    """Remove the version before, or a bucket that keeps versions gets another one with every run."""
    if before and after and before.version not in (None, "null", after.version):
        # Nothing depends on it.
        with suppress(StorageError):
            store.delete(key, before.version)


@contextmanager
def _connected(where: Place, connect: Connect) -> Iterator[Store]:
    """The store, with errors that name the parameters of a module that takes Thanos' configuration."""
    try:
        with connect(where.access) as store:
            yield store
    except StorageError as error:
        error.parameter = _PARAMETERS.get(error.parameter or "", "objstore")
        error.advice = re.sub(r"\b(access_key|secret_key)\b", r"objstore_\1", error.advice or "") or None
        raise


def _ago(seen: datetime | None, now: datetime) -> str:
    if seen is None:
        return "at an unknown time"
    seconds = max(0, int((now - seen).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago ({seen.isoformat(timespec='seconds')})"
    return f"{seconds} s ago ({seen.isoformat(timespec='seconds')})"
