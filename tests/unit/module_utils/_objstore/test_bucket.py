# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, StorageError
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import create_authority
from ansible_collections.scs.observability.plugins.module_utils._objstore import bucket, preflight
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Access, Stored, Version
from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import Claim, Owner
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Request, refused, unsupported

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SECRET = "secret-of-the-test"
PARAMETERS: dict[str, Any] = {
    "name": "thanos",
    "endpoint": "https://s3.example.com",
    "region": "us-east-1",
    "access_key": "key",
    "secret_key": SECRET,
    "validate_certs": True,
    "addressing_style": "path",
    "state": "present",
    "force": False,
}


class Store:
    """A store in memory, with one bucket or none."""

    def __init__(self, exists: bool = False) -> None:
        self.there = exists
        self.content: dict[str, bytes] = {}
        self.old: list[Version] = []
        self.unfinished: list[tuple[str, str]] = []
        self.skew: int | None = 0
        self.writes: list[str] = []
        self.access: Access | None = None
        self.refuses_to_write = False
        self.current_tags: dict[str, str] = {}
        self.keeps_versions = False
        self.unsupported: set[str] = set()

    @contextmanager
    def _connected(self, access: Access) -> Iterator[Store]:
        self.access = access
        yield self

    def connect(self, access: Access) -> AbstractContextManager[Store]:
        return self._connected(access)

    def request(self, operation: str) -> Request:
        return Request(operation, "thanos", "https://s3.example.com")

    def clock_skew(self) -> int | None:
        return self.skew

    def exists(self) -> bool:
        return self.there

    def bucket_names(self) -> set[str]:
        return {"thanos"} if self.there else set()

    def lists_v1(self) -> bool:
        return False

    def can_read(self, key: str) -> bool | None:
        return True

    def _must_support(self, parameter: str) -> None:
        if parameter in self.unsupported:
            raise unsupported(self.request("PutBucket"), parameter, "NotImplemented", 501)

    def tags(self) -> dict[str, str]:
        self._must_support("tags")
        return dict(self.current_tags)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._must_support("tags")
        self.writes.append("tags")
        self.current_tags = dict(tags)

    def versioning(self) -> bool:
        self._must_support("versioning")
        return self.keeps_versions

    def set_versioning(self, enabled: bool) -> None:
        self._must_support("versioning")
        self.writes.append("versioning")
        self.keeps_versions = enabled

    def is_empty(self) -> bool:
        return not (self.content or self.old or self.unfinished)

    def create(self) -> bool:
        self.writes.append("create")
        self.there = True
        return True

    def records(self) -> Iterator[Version]:
        return iter(())

    def remove(self) -> None:
        self.writes.append("remove")
        assert self.is_empty()
        self.there = False

    def put(self, key: str, content: bytes) -> str | None:
        assert self.there
        self.writes.append("put")
        if self.refuses_to_write:
            raise refused(self.request("PutObject"), "AccessDenied", 403)
        self.content[key] = content
        return None

    def get(self, key: str) -> bytes:
        return self.content[key]

    def keys(self, prefix: str) -> list[str]:
        return [key for key in self.content if key.startswith(prefix)]

    def delete(self, key: str, version: str | None = None) -> None:
        self.writes.append("delete")
        self.content.pop(key, None)

    def find(self, key: str) -> Stored | None:
        return Stored(self.content[key], "e") if key in self.content else None

    def objects(self) -> Iterator[Version]:
        yield from [Version(key) for key in self.content]

    def versions(self) -> Iterator[Version]:
        yield from list(self.old)

    def uploads(self) -> Iterator[tuple[str, str]]:
        yield from list(self.unfinished)

    def delete_all(self, which: Iterable[Version]) -> int:
        items = list(which)
        self.writes.append("delete all")
        for item in items:
            if item.version is None:
                del self.content[item.key]
            else:
                self.old.remove(item)
        return len(items)

    def abort_upload(self, key: str, upload: str) -> None:
        self.writes.append("abort")
        self.unfinished.remove((key, upload))


def ensure(store: Store, check_mode: bool = False, **changed: Any) -> dict[str, Any]:
    return bucket.ensure({**PARAMETERS, **changed}, check_mode, {}, store.connect)


class TestPresent:
    def test_it_is_created_and_proven(self) -> None:
        store = Store()
        result = ensure(store)
        assert result["changed"] is True
        assert result["changes"] == ["create S3 Bucket thanos"]
        assert result["diff"]["before"] == ""
        assert "name: thanos" in result["diff"]["after"]
        assert result["preflight"]["skipped"] == []
        assert store.writes == ["create", "put", "delete"]
        assert store.content == {}

    def test_again_it_is_only_proven(self) -> None:
        store = Store(exists=True)
        result = ensure(store)
        assert (result["changed"], result["changes"]) == (False, [])
        assert result["diff"]["before"] == result["diff"]["after"] == ""
        assert store.writes == ["put", "delete"]

    def test_check_mode_says_the_same_and_writes_nothing(self) -> None:
        store, real = Store(), Store()
        checked, done = ensure(store, check_mode=True), ensure(real)
        assert store.writes == []
        for key in ("changed", "changes", "diff", "objstore", "name"):
            assert checked[key] == done[key]
        assert checked["preflight"]["skipped"] == ["write", "read", "list", "delete"]

    def test_check_mode_lists_what_is_there(self) -> None:
        store = Store(exists=True)
        result = ensure(store, check_mode=True)
        assert store.writes == []
        assert result["changed"] is False
        assert result["preflight"]["skipped"] == ["write", "read", "delete"]

    def test_credentials_are_not_returned(self) -> None:
        text = json.dumps(ensure(Store()))
        assert SECRET not in text
        assert "access_key" not in text

    def test_the_keys_of_the_preflight_differ(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store = Store(exists=True)
        written: list[str] = []
        put = store.put

        def remembering(key: str, content: bytes) -> str | None:
            written.append(key)
            return put(key, content)

        monkeypatch.setattr(store, "put", remembering)
        ensure(store)
        ensure(store)
        assert len(set(written)) == 2
        assert all(key.startswith(preflight.PREFIX) for key in written)

    @pytest.mark.parametrize(("exists", "changed"), [(False, True), (True, None)])
    def test_a_failed_preflight_tells_whether_there_is_a_bucket_now(self, exists: bool, changed: bool | None) -> None:
        store = Store(exists)
        store.refuses_to_write = True
        with pytest.raises(StorageError, match="could not write an object") as error:
            ensure(store)
        assert error.value.result().get("changed") is changed

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_with_wrong_clocks_nothing_is_created(self, check_mode: bool) -> None:
        store = Store()
        store.skew = 1000
        with pytest.raises(StorageError, match="1000 s ahead of"):
            ensure(store, check_mode)
        assert store.writes == []


class TestAbsent:
    def test_it_is_gone_already(self) -> None:
        store = Store()
        result = ensure(store, state="absent")
        assert result["changed"] is False
        assert "deleted" not in result
        assert "objstore" not in result
        assert store.writes == []

    def test_an_empty_one_goes(self) -> None:
        store = Store(exists=True)
        result = ensure(store, state="absent")
        assert result["changes"] == ["delete S3 Bucket thanos"]
        assert "content: none" in result["diff"]["before"]
        assert result["diff"]["after"] == ""
        assert result["deleted"] == {"objects": 0, "uploads": 0}
        assert store.writes == ["remove"]

    @pytest.mark.parametrize("check_mode", [True, False])
    @pytest.mark.parametrize("what", ["object", "version", "upload"])
    def test_one_that_holds_anything_is_refused(self, what: str, check_mode: bool) -> None:
        store = filled(what)
        with pytest.raises(StorageError, match="force: true") as error:
            ensure(store, check_mode, state="absent")
        assert (error.value.parameter, error.value.code) == ("force", "BucketNotEmpty")
        assert store.writes == []

    def test_force_deletes_everything_and_counts(self) -> None:
        store = filled("object", "version", "upload")
        result = ensure(store, state="absent", force=True)
        assert result["deleted"] == {"objects": 2, "uploads": 1}
        assert store.there is False

    def test_force_in_check_mode_deletes_nothing(self) -> None:
        store = filled("object")
        result = ensure(store, check_mode=True, state="absent", force=True)
        assert result["changes"] == ["delete S3 Bucket thanos"]
        assert "objects" in result["diff"]["before"]
        assert "deleted" not in result
        assert store.writes == []

    @pytest.mark.parametrize("check_mode", [True, False])
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (
                Claim(Owner("uid-b", "monitoring", "compactor"), NOW, NOW).content(),
                "monitoring/compactor of cluster uid-b",
            ),
            (b"of a newer version", "cannot be read"),
        ],
    )
    @pytest.mark.parametrize("prefix", ["", "site-b/"])
    def test_force_is_not_enough_for_a_bucket_that_a_compactor_works_on(
        self, check_mode: bool, content: bytes, told: str, prefix: str
    ) -> None:
        store = filled("object")
        store.content[f"{prefix}.scs-observability/compactor.json"] = content
        with pytest.raises(StorageError, match=told) as error:
            ensure(store, check_mode, state="absent", force=True)
        assert (error.value.parameter, error.value.code) == ("force_claimed", "BucketClaimed")
        assert "state: absent" in str(error.value)
        assert store.writes == []
        assert ensure(store, check_mode, state="absent", force=True, force_claimed=True)["changed"]
        assert store.there is check_mode

    def test_force_claimed_alone_deletes_nothing(self) -> None:
        with pytest.raises(StorageError) as error:
            ensure(filled("object"), state="absent", force_claimed=True)
        assert error.value.code == "BucketNotEmpty"

    def test_force_harms_nothing_that_shall_be_present(self) -> None:
        store = filled("object")
        assert ensure(store, force=True)["changed"] is False
        assert store.content == {"a": b""}


def filled(*what: str) -> Store:
    store = Store(exists=True)
    if "object" in what:
        store.content["a"] = b""
    if "version" in what:
        store.old.append(Version("a", "1"))
    if "upload" in what:
        store.unfinished.append(("a", "u"))
    return store


class TestSettings:
    def test_unset_they_are_neither_looked_at_nor_touched(self) -> None:
        store = Store(exists=True)
        store.current_tags, store.keeps_versions = {"team": "a"}, True
        store.unsupported = {"tags", "versioning"}
        assert ensure(store)["changed"] is False
        assert (store.current_tags, store.keeps_versions) == ({"team": "a"}, True)

    @pytest.mark.parametrize("exists", [True, False])
    def test_asked_for(self, exists: bool) -> None:
        checked, done = (
            ensure(store, check_mode, tags={"team": "a", "cost": 7}, versioning=True)
            for store, check_mode in ((Store(exists), True), (Store(exists), False))
        )
        assert checked["diff"] == done["diff"]
        assert checked["changes"] == done["changes"] == [f"{'update' if exists else 'create'} S3 Bucket thanos"]
        assert "team: a" in done["diff"]["after"]
        assert "versioning: true" in done["diff"]["after"]

    def test_once_they_are_so_nothing_changes(self) -> None:
        store = Store()
        wanted: dict[str, Any] = {"tags": {"team": "a", "cost": 7}, "versioning": True}
        ensure(store, **wanted)
        assert (store.current_tags, store.keeps_versions) == ({"team": "a", "cost": "7"}, True)
        store.writes.clear()
        assert ensure(store, **wanted)["changed"] is False
        assert store.writes == ["put", "delete"]

    @pytest.mark.parametrize(
        ("before", "wanted", "after"),
        [
            ({"old": "1"}, {"new": "2"}, {"new": "2"}),
            ({"old": "1"}, {}, {}),
            # The store's own are not ours to remove, and it refuses to lose them.
            ({"old": "1", "aws:stack": "x"}, {"new": "2"}, {"new": "2", "aws:stack": "x"}),
        ],
    )
    def test_tags_are_exactly_these(
        self, before: dict[str, str], wanted: dict[str, str], after: dict[str, str]
    ) -> None:
        store = Store(exists=True)
        store.current_tags = before
        result = ensure(store, tags=wanted)
        assert store.current_tags == after
        assert "old: '1'" in result["diff"]["before"]
        assert "old" not in result["diff"]["after"]

    def test_no_tags_and_no_versions_need_no_support_of_a_new_bucket(self) -> None:
        store = Store()
        store.unsupported = {"tags", "versioning"}
        assert ensure(store, tags={}, versioning=False)["changed"] is True

    def test_versions_are_no_longer_kept(self) -> None:
        store = Store(exists=True)
        store.keeps_versions = True
        assert ensure(store, versioning=False)["changes"] == ["update S3 Bucket thanos"]
        assert store.keeps_versions is False

    @pytest.mark.parametrize("check_mode", [True, False])
    @pytest.mark.parametrize(("parameter", "value"), [("tags", {"a": "b"}), ("versioning", True)])
    def test_not_supported(self, parameter: str, value: object, check_mode: bool) -> None:
        store = Store(exists=True)
        store.unsupported = {parameter}
        with pytest.raises(StorageError, match=f"Leave {parameter} out") as error:
            ensure(store, check_mode, **{parameter: value})
        assert error.value.parameter == parameter
        assert "changed" not in error.value.details
        assert store.writes == []

    def test_not_supported_by_a_store_that_does_not_say_so_before(self) -> None:
        store = Store()
        store.unsupported = {"versioning"}
        with pytest.raises(StorageError, match="Leave versioning out") as error:
            ensure(store, versioning=True)
        assert error.value.details["changed"] is True


class TestParameters:
    def test_credentials_of_the_environment(self) -> None:
        environment = {"AWS_ACCESS_KEY_ID": "theirs", "AWS_SECRET_ACCESS_KEY": SECRET}
        for unset in (None, ""):
            wanted = bucket.read_parameters({**PARAMETERS, "access_key": unset, "secret_key": unset}, environment)
            assert (wanted.access.access_key, wanted.access.secret_key) == ("theirs", SECRET)

    def test_parameters_beat_the_environment(self) -> None:
        environment = {"AWS_ACCESS_KEY_ID": "theirs", "AWS_SECRET_ACCESS_KEY": "theirs"}
        wanted = bucket.read_parameters(PARAMETERS, environment)
        assert (wanted.access.access_key, wanted.access.secret_key) == ("key", SECRET)

    @pytest.mark.parametrize(
        ("changed", "parameter"),
        [
            ({"name": "Thanos_"}, "name"),
            ({"endpoint": "s3.example.com"}, "endpoint"),
            ({"region": "a b"}, "region"),
            ({"access_key": ""}, "access_key"),
            ({"secret_key": None}, "secret_key"),
            ({"secret_key": "with newline\n"}, "secret_key"),
            ({"access_key": " key"}, "access_key"),
            ({"secret_key": "gehe\x00im"}, "secret_key"),
            ({"ca_path": "/nonexistent/ca.crt"}, "ca_path"),
            ({"ca_path": "/"}, "ca_path"),
            ({"ca_content": "nonsense"}, "ca_content"),
            ({"ca_content": "gr\u00fcn"}, "ca_content"),
            ({"ca_path": "/a", "ca_content": "b"}, "ca_path"),
            ({"tags": {"a": True}}, "tags"),
            ({"tags": {"a": None}}, "tags"),
            ({"tags": {"a": ["b"]}}, "tags"),
            ({"tags": {"": "b"}}, "tags"),
            ({"tags": {"aws:x": "b"}}, "tags"),
            ({"tags": {"a" * 129: "b"}}, "tags"),
            ({"tags": {"a": "b" * 257}}, "tags"),
            ({"tags": {str(number): "b" for number in range(51)}}, "tags"),
        ],
    )
    def test_refused_before_anything_is_touched(self, changed: dict[str, Any], parameter: str) -> None:
        store = Store()
        with pytest.raises(InputError) as refusal:
            ensure(store, **changed)
        assert refusal.value.parameter == parameter
        assert store.access is None
        assert SECRET not in str(refusal.value)
        assert "gehe" not in str(refusal.value)

    def test_an_authority(self, tmp_path: Path) -> None:
        authority = create_authority("s3", datetime.now(UTC)).certificate
        path = tmp_path / "ca.crt"
        path.write_bytes(f"# Zertifizierungsstelle f\u00fcr S3\n{authority}".encode("latin-1"))
        variants: list[dict[str, Any]] = [{"ca_path": str(path)}, {"ca_content": authority, "ca_path": ""}]
        for given in variants:
            store = Store()
            result = ensure(store, **given)
            assert store.access is not None
            assert store.access.ca == authority
            assert result["objstore_ca"] == authority
            assert result["objstore"]["config"]["http_config"]["tls_config"]["ca_file"]

    def test_an_authority_without_tls(self, tmp_path: Path) -> None:
        authority = create_authority("s3", datetime.now(UTC)).certificate
        (tmp_path / "ca.crt").write_text(authority)
        variants: list[dict[str, Any]] = [{"ca_path": str(tmp_path / "ca.crt")}, {"ca_content": authority}]
        for given in variants:
            with pytest.raises(InputError, match="without TLS") as refusal:
                ensure(Store(), endpoint="http://s3.example.com", **given)
            assert refusal.value.parameter in given

    def test_an_authority_that_is_over_is_refused_unless_its_follower_is_there_too(self, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        over = create_authority("old", now - timedelta(days=9), timedelta(days=1)).certificate
        (tmp_path / "ca.crt").write_text(over)
        variants: list[dict[str, Any]] = [{"ca_path": str(tmp_path / "ca.crt")}, {"ca_content": over}]
        for given in variants:
            with pytest.raises(InputError, match="expired on 20") as refusal:
                ensure(Store(), **given)
            assert refusal.value.parameter in given
        assert ensure(Store(), ca_content=over + create_authority("new", now).certificate)["objstore_ca"]

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "ca.der").write_bytes(b"\x30\x82\xff")
        with pytest.raises(InputError, match="no PEM certificate"):
            ensure(Store(), ca_path=str(tmp_path / "ca.der"))

    def test_the_way_to_the_bucket(self) -> None:
        wanted = bucket.read_parameters(
            {**PARAMETERS, "addressing_style": "virtual", "validate_certs": False, "region": ""}, {}
        )
        assert wanted.access.addressing_style == "virtual"
        assert wanted.access.validate_certs is False
        assert wanted.access.region == "us-east-1"
