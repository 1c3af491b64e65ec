# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore import preflight
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Request, refused, unreachable

KEY, CONTENT = f"{preflight.PREFIX}1", b"content"


class Store:
    """A bucket in memory whose operations can be made to fail."""

    def __init__(self, **failing: StorageError) -> None:
        self.failing = failing
        self.content: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.skew: int | None = 0
        self.version: str | None = None
        self.deleted: list[tuple[str, str | None]] = []
        self.listed_after = 0
        self.readable: bool | None = True
        self.read: list[str] = []

    def _call(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.failing:
            raise self.failing[operation]

    def request(self, operation: str) -> Request:
        return Request(operation, "thanos", "https://s3.example.com")

    def clock_skew(self) -> int | None:
        return self.skew

    def put(self, key: str, content: bytes) -> str | None:
        self._call("put")
        self.content[key] = content
        return self.version

    def get(self, key: str) -> bytes:
        self._call("get")
        return self.content[key]

    def keys(self, prefix: str) -> list[str]:
        self._call("keys")
        self.listed_after -= 1
        return [key for key in self.content if key.startswith(prefix)] if self.listed_after < 0 else []

    def can_read(self, key: str) -> bool | None:
        self._call("can_read")
        self.read.append(key)
        return self.readable

    def delete(self, key: str, version: str | None = None) -> None:
        self._call("delete")
        self.deleted.append((key, version))
        self.content.pop(key, None)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def denied(operation: str) -> StorageError:
    return refused(Request(operation, "thanos", "https://s3.example.com"), "AccessDenied", 403)


def test_everything_is_proven_and_nothing_left() -> None:
    store = Store()
    store.version, store.skew = "v1", -2
    proof = preflight.run(store, KEY, CONTENT)
    assert proof.result() == {
        "write": True,
        "read": True,
        "list": True,
        "delete": True,
        "read_existing": None,
        "clock_skew_seconds": -2,
        "skipped": [],
    }
    assert store.calls == ["put", "get", "keys", "delete", "keys"]
    assert store.deleted == [(KEY, "v1")]


def test_check_mode_only_lists_and_reads() -> None:
    store = Store()
    store.content = {"01BLOCK/meta.json": b""}
    assert preflight.run_read_only(store).result() == {
        "write": None,
        "read": None,
        "list": True,
        "delete": None,
        "read_existing": True,
        "clock_skew_seconds": 0,
        "skipped": ["write", "read", "delete"],
    }
    assert store.calls == ["keys", "can_read"]


class TestWhatWasThereBefore:
    """In some stores an object belongs to who wrote it, so new credentials may not read the old blocks."""

    @pytest.mark.parametrize("readable", [True, None])
    def test_it_is_read(self, readable: bool | None) -> None:
        store = Store()
        store.content, store.readable = {f"{preflight.PREFIX}old": b"", "01BLOCK/meta.json": b""}, readable
        assert preflight.run(store, KEY, CONTENT).read_existing is readable
        assert store.read == ["01BLOCK/meta.json"]

    def test_what_is_ours_proves_nothing(self) -> None:
        store = Store()
        store.content = {f"{preflight.PREFIX}old": b"", f"{preflight.OURS}/something": b""}
        assert preflight.run(store, KEY, CONTENT).read_existing is None
        assert store.read == []

    def test_it_belongs_to_somebody_else(self) -> None:
        store = Store()
        store.content, store.readable = {"01BLOCK/meta.json": b""}, False
        for run in (lambda: preflight.run(store, KEY, CONTENT), lambda: preflight.run_read_only(store)):
            with pytest.raises(StorageError, match="was there before cannot be read") as error:
                run()
            assert (error.value.code, error.value.parameter) == ("AccessDenied", "access_key")
        assert list(store.content) == ["01BLOCK/meta.json"]


def test_a_listing_may_follow_a_moment_later() -> None:
    store, clock = Store(), Clock()
    store.listed_after = 5
    preflight.run(store, KEY, CONTENT, clock=clock, pause=clock.pause)
    # And once more, for an object that was there before.
    assert store.calls.count("keys") == 6 + 1
    assert store.content == {}


def test_a_listing_that_never_follows() -> None:
    store, clock = Store(), Clock()
    store.listed_after = 10**6
    with pytest.raises(StorageError, match="not listed after 10 s") as error:
        preflight.run(store, KEY, CONTENT, clock=clock, pause=clock.pause)
    assert error.value.code == "NotListed"
    assert store.content == {}


def test_what_is_read_must_be_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    monkeypatch.setattr(store, "get", lambda key: b"cached")
    with pytest.raises(StorageError, match="not what was written") as error:
        preflight.run(store, KEY, CONTENT)
    assert (error.value.code, error.value.operation) == ("ContentDiffers", "GetObject")
    assert store.content == {}


@pytest.mark.parametrize("operation", ["get", "keys"])
def test_the_object_is_removed_after_a_failure(operation: str) -> None:
    store = Store(**{operation: denied(operation)})
    with pytest.raises(StorageError) as error:
        preflight.run(store, KEY, CONTENT)
    assert error.value is store.failing[operation]
    assert store.content == {}
    assert "left_behind" not in error.value.details


def test_the_first_failure_is_told_with_what_is_left() -> None:
    store = Store(get=denied("GetObject"), delete=denied("DeleteObject"))
    with pytest.raises(StorageError) as error:
        preflight.run(store, KEY, CONTENT)
    assert error.value.operation == "GetObject"
    assert error.value.details["left_behind"] == KEY


def test_a_refused_write_leaves_nothing_to_remove() -> None:
    store = Store(put=denied("PutObject"))
    with pytest.raises(StorageError):
        preflight.run(store, KEY, CONTENT)
    assert store.calls == ["put"]


def test_a_write_without_an_answer_may_have_happened() -> None:
    store = Store(put=unreachable(Request("PutObject", "thanos", "https://s3.example.com"), TimeoutError()))
    with pytest.raises(StorageError, match="no answer in time"):
        preflight.run(store, KEY, CONTENT)
    assert store.calls == ["put", "delete"]


def test_a_refused_deletion_is_a_failure() -> None:
    store = Store(delete=denied("DeleteObject"))
    with pytest.raises(StorageError) as error:
        preflight.run(store, KEY, CONTENT)
    assert error.value.operation == "DeleteObject"


@pytest.mark.parametrize(("skew", "text"), [(301, "301 s ahead of"), (-301, "301 s behind")])
def test_clocks_that_differ_too_much(skew: int, text: str) -> None:
    store = Store()
    store.skew = skew
    with pytest.raises(StorageError, match=text) as error:
        preflight.run(store, KEY, CONTENT)
    assert error.value.code == "ClockSkew"
    assert "NTP" in str(error.value)
    assert store.content == {}
    with pytest.raises(StorageError, match=text):
        preflight.run_read_only(store)


@pytest.mark.parametrize("skew", [None, 0, 300, -300])
def test_clocks_that_differ_little(skew: int | None) -> None:
    store = Store()
    store.skew = skew
    assert preflight.run(store, KEY, CONTENT).clock_skew_seconds == skew
