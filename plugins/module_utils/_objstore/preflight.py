# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a bucket can be used the way Thanos uses it, before Thanos fails hours later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import (
    OTHERS_OBJECTS,
    Finding,
    Request,
    failure,
)

# No block begins with a dot, so Thanos passes over everything of ours.
OURS = ".scs-observability"
PREFIX = f"{OURS}-preflight/"
# S3 refuses signatures that are 15 minutes off. Stay well away from that.
MAX_CLOCK_SKEW = 300
# Some stores (Swift) show a new object in listings a moment later.
LISTING_TIMEOUT = 10.0
LISTING_INTERVAL = 0.2


@dataclass(frozen=True)
class Preflight:
    """Which operations were proven (None: not tried, as in check mode) and the clock skew.

    ``read_existing`` is None as well when there was no object to read.
    ``clock_skew_seconds`` is positive when the store's clock is ahead, None when the store does not tell its time.
    """

    write: bool | None = None
    read: bool | None = None
    list: bool | None = None
    delete: bool | None = None
    read_existing: bool | None = None
    clock_skew_seconds: int | None = None

    def result(self) -> dict[str, Any]:
        """Return the values for a module's result; skipped names what was not tried."""
        values = asdict(self)
        steps = ("write", "read", "list", "delete")
        return {**values, "skipped": [step for step in steps if values[step] is None]}


class ObjectStore(Protocol):
    """The part of the S3 client that is used here."""

    def request(self, operation: str) -> Request: ...

    def clock_skew(self) -> int | None: ...

    def put(self, key: str, content: bytes) -> str | None: ...

    def get(self, key: str) -> bytes: ...

    def keys(self, prefix: str) -> list[str]: ...

    def can_read(self, key: str) -> bool | None: ...

    def delete(self, key: str, version: str | None = None) -> None: ...


def run(
    store: ObjectStore,
    key: str,
    content: bytes,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Preflight:
    """Write, read, list and delete one object, which is removed in any case.

    Raises StorageError for what fails, is not what was written, is not listed, for an object of others that cannot be
    read, or for clocks that differ too much.
    """
    try:
        version = store.put(key, content)
    except StorageError as error:
        # Without an answer nobody knows whether the object was written.
        if error.details.get("status") is None:
            _remove_after_failure(store, key, None, error)
        raise
    try:
        check_clocks(store)
        if store.get(key) != content:
            raise failure(
                store.request("GetObject"),
                "ContentDiffers",
                Finding("what is read is not what was written", "Look for a cache or proxy before the store"),
            )
        _wait_until_listed(store, key, clock, pause)
    except StorageError as error:
        _remove_after_failure(store, key, version, error)
        raise
    store.delete(key, version)
    return Preflight(
        write=True,
        read=True,
        list=True,
        delete=True,
        read_existing=_read_existing(store),
        clock_skew_seconds=store.clock_skew(),
    )


def run_read_only(store: ObjectStore) -> Preflight:
    """List, and read what is there, which is what check mode may do. Raises StorageError as run does."""
    existing = _read_existing(store)
    check_clocks(store)
    return Preflight(list=True, read_existing=existing, clock_skew_seconds=store.clock_skew())


def check_clocks(store: ObjectStore) -> None:
    """Raise StorageError when the clocks of the store and of this machine differ by more than MAX_CLOCK_SKEW."""
    skew = store.clock_skew()
    if skew is not None and abs(skew) > MAX_CLOCK_SKEW:
        direction = "ahead of" if skew > 0 else "behind"
        raise failure(
            store.request("PutObject"),
            "ClockSkew",
            Finding(
                f"the store's clock is {abs(skew)} s {direction} this machine's, at most {MAX_CLOCK_SKEW} s are good",
                "Synchronise both clocks (NTP); S3 refuses signatures at 900 s",
            ),
        )


def _read_existing(store: ObjectStore) -> bool | None:
    """Read an object that was there before, if there is one: in some stores an object belongs to who wrote it.

    So new credentials can be good for a bucket, and not for the blocks in it.
    """
    for key in store.keys(""):
        if not key.startswith(OURS):
            readable = store.can_read(key)
            if readable is False:
                raise failure(store.request("GetObject"), "AccessDenied", OTHERS_OBJECTS)
            return readable
    return None


def _wait_until_listed(
    store: ObjectStore, key: str, clock: Callable[[], float], pause: Callable[[float], None]
) -> None:
    deadline = clock() + LISTING_TIMEOUT
    while key not in store.keys(key):
        if clock() >= deadline:
            raise failure(
                store.request("ListObjectsV2"),
                "NotListed",
                Finding(
                    f"an object that was written is not listed after {LISTING_TIMEOUT:.0f} s",
                    "Thanos finds blocks by listing: use a store whose listings follow writes",
                ),
            )
        pause(LISTING_INTERVAL)


def _remove_after_failure(store: ObjectStore, key: str, version: str | None, error: StorageError) -> None:
    """Clean up; should that fail as well, the first failure is the one to report, with what was left behind."""
    try:
        store.delete(key, version)
    except StorageError:
        error.details["left_behind"] = key
