# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks in a bucket: whose they are, when they expire, and how those of one cluster go.

A block is whose its external labels say. It goes in Thanos' order: marked, and no longer looked at by anybody; then its
description, so that nobody takes what is left for a block; the mark at last. The mark also says whose the block was, so
that what an interruption left is found again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Stored, Version

DESCRIPTION = "meta.json"
MARK = "deletion-mark.json"
# The label that receive gives to the blocks of a tenant
CLUSTER_LABEL = "cluster"

READS_AT_ONCE = 8

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_OURS = "erased: cluster "
# By the label that tells replicas of a component apart
OWNERS = {"receive_replica": "receive", "ruler_replica": "rule", "prometheus_replica": "prometheus"}


class Store(Protocol):
    """The S3 client, as far as it is used here."""

    def find(self, key: str) -> Stored | None: ...

    def objects(self, prefix: str = "") -> Iterator[Version]: ...

    def versions(self, prefix: str = "") -> Iterator[Version]: ...

    def delete_all(self, which: Iterable[Version]) -> int: ...

    def put(self, key: str, content: bytes) -> str | None: ...


@dataclass(frozen=True)
class Block:
    """What the description of a block says: times in milliseconds since 1970, resolution in milliseconds.

    ``sources`` are the blocks that its samples were first in, ``rewrites`` the clusters whose series were taken out of
    it, each with the sources of the block that still had them. One that is ``empty`` has no series left.
    """

    ulid: str
    labels: Mapping[str, str]
    min_time: int
    max_time: int
    resolution: int = 0
    sources: frozenset[str] = frozenset()
    rewrites: frozenset[tuple[str, frozenset[str]]] = frozenset()
    empty: bool = False

    @property
    def cluster(self) -> str:
        """Whose it is; empty for what the observer itself wrote."""
        return self.labels.get(CLUSTER_LABEL, "")

    @property
    def owner(self) -> str:
        """Which component wrote it, as ``owner_of`` says."""
        return owner_of(self.labels)

    def is_without(self, cluster: str) -> bool:
        """Tell whether the series of a cluster were taken out of it."""
        return any(name == cluster for name, _sources in self.rewrites)

    def replaces(self, other: Block, cluster: str) -> bool:
        """Tell whether it is what another was before a cluster's series were taken out of it."""
        same = all(
            getattr(self, name) == getattr(other, name) for name in ("labels", "min_time", "max_time", "resolution")
        )
        return same and bool(other.sources) and (cluster, other.sources) in self.rewrites

    def expires(self, retention: Mapping[int, float], delay: float) -> float | None:
        """When it is gone, in seconds since 1970: by the retention of its resolution (in seconds, 0 is for ever), and
        what passes from its mark to its end. None for never.
        """
        kept = retention.get(self.resolution, 0.0)
        return self.max_time / 1000 + kept + delay if kept else None


@dataclass(frozen=True)
class Survey:
    """What is in a bucket: ``blocks`` that are described, ``keys`` of all of them, those that are ``half`` gone after
    an erasure that was interrupted (with the cluster that they were of), and those that cannot be ``read``.
    """

    blocks: Mapping[str, Block] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    half: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()

    @property
    def live(self) -> tuple[Block, ...]:
        """The blocks that are there to stay: no other one has taken their place, and they have not expired."""
        return tuple(
            block
            for ulid, block in self.blocks.items()
            if not any(key.endswith(f"{ulid}/{MARK}") for key in self.keys[ulid])
        )

    def of(self, cluster: str) -> tuple[str, ...]:
        """The ULIDs of all blocks of a cluster, whole or not."""
        whole = [ulid for ulid, block in self.blocks.items() if block.cluster == cluster]
        return tuple(sorted({*whole, *(ulid for ulid, whose in self.half.items() if whose == cluster)}))


def owner_of(labels: Mapping[str, str]) -> str:
    """Which component wrote what has these labels: receive, rule, prometheus, or observer for the latter two, whose
    blocks the compactor makes one.
    """
    return next((owner for label, owner in OWNERS.items() if label in labels), "observer")


def read(ulid: str, content: bytes) -> Block | None:
    """Read a description; None when it is none."""
    try:
        found = json.loads(content)
        thanos = found["thanos"]
        labels = {str(name): str(value) for name, value in (thanos.get("labels") or {}).items()}
        resolution = int((thanos.get("downsample") or {}).get("resolution") or 0)
        return Block(
            ulid,
            labels,
            int(found["minTime"]),
            int(found["maxTime"]),
            resolution,
            sources=_sources(found.get("compaction") or {}),
            rewrites=frozenset(_rewrites(thanos.get("rewrites") or ())),
            empty="stats" in found and not found["stats"].get("numSeries"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _sources(found: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(map(str, found.get("sources") or ()))


def _rewrites(found: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, frozenset[str]]]:
    """Of which clusters series were removed, by what Thanos notes of a rewrite."""
    for rewrite in found:
        for deletion in rewrite.get("deletions_applied") or ():
            match deletion.get("matchers"), deletion.get("intervals"):
                # Of all times, and with a matcher of equality
                case [{"Type": 0, "Name": str(label), "Value": str(cluster)}], None | [] if label == CLUSTER_LABEL:
                    yield cluster, _sources(rewrite)


def mark(ulid: str, cluster: str, moment: float) -> bytes:
    """A deletion mark as Thanos has it, as if it had been made at ``moment`` (seconds since 1970)."""
    return json.dumps(
        {"id": ulid, "version": 1, "details": f"{_OURS}{cluster}", "deletion_time": int(moment)}, indent=1
    ).encode()


def kept_from_compactor(ulid: str, cluster: str, moment: float) -> dict[str, bytes]:
    """Marks, by name, by which the compactor makes no other block of one."""
    why = {"id": ulid, "version": 1, "details": f"to be rewritten without cluster {cluster}", "reason": "manual"}
    times = {"no-compact-mark.json": "no_compact_time", "no-downsample-mark.json": "no_downsample_time"}
    return {name: json.dumps({**why, time: int(moment)}, indent=1).encode() for name, time in times.items()}


def read_mark(content: bytes) -> tuple[float, str]:
    """When a block was marked for deletion, and the cluster that it was of when that is known."""
    try:
        found = json.loads(content)
        details = str(found.get("details") or "")
        return float(found["deletion_time"]), details.removeprefix(_OURS) if details.startswith(_OURS) else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return float("inf"), ""


def grouped(keys: Iterable[str], prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Keys by the block that they are of, others left out."""
    found: dict[str, list[str]] = {}
    for key in keys:
        ulid, slash, _rest = key.removeprefix(prefix).partition("/")
        if slash and key.startswith(prefix) and _ULID.fullmatch(ulid):
            found.setdefault(ulid, []).append(key)
    return {ulid: tuple(of_block) for ulid, of_block in found.items()}


def in_order(keys: Mapping[str, Collection[str]], prefix: str = "") -> list[list[str]]:
    """What goes after what: descriptions, all the rest, marks."""
    described: list[str] = []
    rest: list[str] = []
    marks: list[str] = []
    for ulid, of_block in keys.items():
        for key in of_block:
            name = key.removeprefix(f"{prefix}{ulid}/")
            if name != MARK:
                (described if name == DESCRIPTION else rest).append(key)
        # It may be younger than the listing.
        marks.append(f"{prefix}{ulid}/{MARK}")
    return [described, rest, marks]


# What talks to the store


def survey(store: Store, prefix: str = "") -> Survey:
    """Look at all blocks. Raises StorageError."""
    keys = grouped((item.key for item in store.objects(prefix)), prefix)
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        described = dict(zip(keys, pool.map(_reading(store, prefix, DESCRIPTION), keys), strict=True))
        broken = [ulid for ulid, content in described.items() if content is None]
        marks = dict(zip(broken, pool.map(_reading(store, prefix, MARK), broken), strict=True))
    blocks = {ulid: read(ulid, content) for ulid, content in described.items() if content is not None}
    return Survey(
        blocks={ulid: block for ulid, block in blocks.items() if block is not None},
        keys=keys,
        half={ulid: whose for ulid, content in marks.items() if content and (whose := read_mark(content)[1])},
        unreadable=tuple(sorted(ulid for ulid, block in blocks.items() if block is None)),
    )


def mark_all(store: Store, which: Iterable[str], cluster: str, moment: float, prefix: str = "") -> None:
    """Mark blocks as if that had been at ``moment``; a mark that is as old stays. Raises StorageError."""

    def mark_one(ulid: str) -> None:
        key = f"{prefix}{ulid}/{MARK}"
        found = store.find(key)
        since, whose = read_mark(found.content) if found else (float("inf"), "")
        if since > moment or whose != cluster:
            store.put(key, mark(ulid, cluster, min(since, moment)))

    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        list(pool.map(mark_one, which))


def keep_from_compactor(store: Store, which: Iterable[str], cluster: str, moment: float, prefix: str = "") -> None:
    """Mark blocks as ``kept_from_compactor`` says. Raises StorageError."""
    for ulid in which:
        for name, content in kept_from_compactor(ulid, cluster, moment).items():
            if store.find(f"{prefix}{ulid}/{name}") is None:
                store.put(f"{prefix}{ulid}/{name}", content)


def remove(store: Store, keys: Mapping[str, Collection[str]], prefix: str = "") -> None:
    """Delete blocks with all their objects, and with all versions of them where the store has versions.

    ``keys`` are those of the blocks by ULID. Raises StorageError.
    """
    for step in in_order(keys, prefix):
        store.delete_all(map(Version, step))
    for ulid in keys:
        store.delete_all(store.versions(f"{prefix}{ulid}/"))


def _reading(store: Store, prefix: str, name: str) -> Callable[[str], bytes | None]:
    def content(ulid: str) -> bytes | None:
        found = store.find(f"{prefix}{ulid}/{name}")
        return found.content if found else None

    return content


def summary(block: Block) -> dict[str, Any]:
    """A block, as a diff shows it."""
    return {"labels": dict(block.labels), "min_time": block.min_time, "max_time": block.max_time}
