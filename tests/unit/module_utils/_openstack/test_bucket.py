# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.lookup.ec2_credential import secrets
from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    CloudError,
    InputError,
    InputErrors,
    StorageError,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import (
    CREDENTIALS_RECORD,
    Access,
    Stored,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Request, refused
from ansible_collections.scs.observability.plugins.module_utils._openstack import bucket, credentials
from ansible_collections.scs.observability.plugins.module_utils._openstack.credentials import Credential, Record
from ansible_collections.scs.observability.plugins.module_utils._openstack.errors import refused as refused_by_keystone
from ansible_collections.scs.observability.plugins.module_utils._openstack.login import Login

from .._objstore import test_bucket

KEYSTONE = "https://keystone.example.com/v3"
SECRET = "swordfish"


class Store(test_bucket.Store):
    """One that looks at who asks."""

    def __init__(self, exists: bool = False) -> None:
        super().__init__(exists)
        self.strangers: set[str] = set()
        # Of other buckets; a number is the status with which the store refuses to tell.
        self.other_records: dict[str, bytes | int] = {}

    def bucket_names(self) -> set[str]:
        return {"thanos", *self.other_records}

    def exists(self) -> bool:
        if self.access and self.access.access_key in self.strangers:
            raise refused(Request("ListObjectsV2", "thanos", KEYSTONE), "AccessDenied", 403)
        return super().exists()

    def find(self, key: str) -> Stored | None:
        assert self.access is not None
        if self.access.bucket == "thanos":
            return super().find(key)
        content = self.other_records[self.access.bucket]
        if isinstance(content, int):
            raise refused(Request("GetObject", self.access.bucket, KEYSTONE), str(content), content)
        return Stored(content, "") if content else None


class Cloud:
    """A Keystone in memory."""

    project, keystone, interface, region_name = "p", KEYSTONE, "public", None

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.made = 0
        self.refuses_to_delete = False

    @contextmanager
    def log_in(self, login: Login) -> Iterator[Cloud]:
        yield self

    def catalog(self) -> Sequence[Mapping[str, Any]]:
        return [{"type": "s3", "endpoints": [{"interface": "public", "region": "r", "url": "https://s3.example.com"}]}]

    def credentials(self) -> list[Credential]:
        return [Credential(key, f"{SECRET}-{key}") for key in sorted(self.keys)]

    def create_credential(self) -> Credential:
        self.made += 1
        self.keys.append(f"made-{self.made}")
        return Credential(self.keys[-1], f"{SECRET}-{self.keys[-1]}")

    def delete_credential(self, access_key: str) -> None:
        if self.refuses_to_delete:
            raise refused_by_keystone(KEYSTONE, "delete", 503)
        self.keys.remove(access_key)

    def swift_info(self, url: str) -> Mapping[str, Any]:
        raise AssertionError("an entry of type s3 is no Swift")


def ensure(store: Store, cloud: Cloud, check_mode: bool = False, **params: Any) -> dict[str, Any]:
    given = {"name": "thanos", "region": "us-east-1", "cloud": "c", "state": "present", **params}
    result = bucket.ensure(given, check_mode, {}, store.connect, cloud.log_in)
    assert SECRET not in repr(result)
    return result


def test_what_is_made_is_used_and_remembered() -> None:
    store, cloud = Store(), Cloud()
    result = ensure(store, cloud)
    assert result["changes"] == ["create Keystone EC2Credential p", "create S3 Bucket thanos"]
    assert (result["access_key"], result["previous_access_keys"]) == ("made-1", [])
    assert credentials.remembered(store.content[CREDENTIALS_RECORD]) == Record(("made-1",), frozenset({"made-1"}))
    assert store.access == Access("thanos", store.access.endpoint, "us-east-1", "made-1", f"{SECRET}-made-1")
    # Another one that comes is not mistaken for it.
    cloud.keys.append("a-foreign-one")
    assert (ensure(store, cloud)["access_key"], ensure(store, cloud)["changed"]) == ("made-1", False)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_check_mode_without_a_credential_says_that_it_saw_nothing(state: str) -> None:
    store, cloud = Store(), Cloud()
    result = ensure(store, cloud, True, state=state)
    assert result["changed"] is (state == "present")
    assert "nobody could look at the bucket" in result["warnings"][0]
    assert (cloud.made, store.writes, store.access) == (0, [], None)


def test_one_that_the_store_refuses_is_passed_over() -> None:
    store, cloud = Store(exists=True), Cloud("a", "b")
    store.strangers = {"a"}
    assert ensure(store, cloud)["access_key"] == "b"
    store.strangers = {"a", "b"}
    with pytest.raises(StorageError, match="the store accepts none") as error:
        ensure(store, cloud)
    assert error.value.parameter == "auth"


def test_rotation() -> None:
    store, cloud = Store(), Cloud("a")
    ensure(store, cloud)
    checked = ensure(store, cloud, True, rotate_credentials=True)
    assert (checked["changes"], checked["access_key"]) == (["create Keystone EC2Credential p"], "a")
    rotated = ensure(store, cloud, rotate_credentials=True)
    assert (rotated["changes"], rotated["access_key"]) == (checked["changes"], "made-1")
    assert rotated["previous_access_keys"] == ["a"]
    again = ensure(store, cloud, rotate_credentials=True)
    assert (again["changed"], again["access_key"], again["previous_access_keys"]) == (False, "made-1", ["a"])
    revoked = ensure(store, cloud, revoke_credentials=["a"])
    assert (revoked["changes"], cloud.keys) == (["delete Keystone EC2Credential a"], ["made-1"])
    assert ensure(store, cloud)["previous_access_keys"] == []


def test_a_rotation_where_there_is_none_makes_one() -> None:
    store, cloud = Store(), Cloud()
    checked = ensure(store, cloud, True, rotate_credentials=True)
    rotated = ensure(store, cloud, rotate_credentials=True)
    assert checked["changes"] == rotated["changes"]
    assert (cloud.keys, rotated["previous_access_keys"]) == (["made-1"], [])


def test_what_a_failed_run_made_goes_again() -> None:
    store, cloud = Store(), Cloud()
    store.refuses_to_write = True
    with pytest.raises(StorageError):
        ensure(store, cloud)
    assert cloud.keys == []
    cloud.refuses_to_delete = True
    with pytest.raises(StorageError) as error:
        ensure(store, cloud)
    assert error.value.result()["left_behind"] == ["made-2"]


def test_one_that_could_not_be_revoked_is_told() -> None:
    store, cloud = Store(exists=True), Cloud("a", "b", "c")
    cloud.refuses_to_delete = True
    with pytest.raises(CloudError) as error:
        ensure(store, cloud, access_key="a", revoke_credentials=["b", "c"])
    assert error.value.result()["left_behind"] == ["b", "c"]
    assert error.value.result()["changed"] is True


def test_removal_takes_what_was_made_for_the_bucket_and_no_other() -> None:
    store, cloud = Store(), Cloud()
    ensure(store, cloud)
    ensure(store, cloud, rotate_credentials=True)
    cloud.keys.append("a-foreign-one")
    checked = ensure(store, cloud, True, state="absent", remove_credentials=True, force=True)
    removed = ensure(store, cloud, state="absent", remove_credentials=True, force=True)
    deleted = [f"delete Keystone EC2Credential made-{number}" for number in (1, 2)]
    assert checked["changes"] == removed["changes"] == [*deleted, "delete S3 Bucket thanos"]
    assert (cloud.keys, store.there) == (["a-foreign-one"], False)
    assert "warnings" not in removed
    # The bucket is gone, so nothing says that another one is its.
    assert ensure(store, cloud, state="absent", remove_credentials=True)["changed"] is False
    assert cloud.keys == ["a-foreign-one"]


def test_removal_looks_with_the_one_that_the_bucket_was_used_with_last() -> None:
    store, cloud = Store(), Cloud("b")
    ensure(store, cloud)
    cloud.keys.append("a-foreign-one")
    ensure(store, cloud, state="absent", force=True)
    assert store.access is not None
    assert store.access.access_key == "b"


@pytest.mark.parametrize("others", [{}, {"made-1"}])
def test_removal_leaves_what_was_there_before_the_bucket(others: set[str]) -> None:
    store, cloud = Store(), Cloud("b")
    ensure(store, cloud)
    ensure(store, cloud, rotate_credentials=True)
    if others:
        # Another bucket of the project has taken the one that was made for this one.
        store.other_records = {"other": credentials.record(Record(("made-1",)))}
    checked = ensure(store, cloud, True, state="absent", remove_credentials=True, force=True)
    removed = ensure(store, cloud, state="absent", remove_credentials=True, force=True)
    assert (checked["changes"], checked["warnings"]) == (removed["changes"], removed["warnings"])
    assert set(cloud.keys) == {"b", *others}
    assert f"EC2 credentials that stay in Keystone: {', '.join(sorted(cloud.keys))}" in removed["warnings"][0]


def test_removal_asks_no_bucket_that_cannot_be_one_of_the_module() -> None:
    store, cloud = Store(), Cloud()
    ensure(store, cloud)
    store.other_records = {"Not a name of S3+segments": 500, "foreign": 403, "gone": 404, "without": b"not JSON"}
    ensure(store, cloud, state="absent", remove_credentials=True, force=True)
    assert cloud.keys == []


def test_removal_is_refused_while_a_bucket_does_not_tell_what_it_uses() -> None:
    store, cloud = Store(), Cloud()
    ensure(store, cloud)
    store.other_records = {"other": 503}
    with pytest.raises(StorageError):
        ensure(store, cloud, state="absent", remove_credentials=True, force=True)
    assert (cloud.keys, store.there) == (["made-1"], True)


def test_removal_without_a_credential_leaves_none() -> None:
    store, cloud = Store(exists=True), Cloud()
    removed = ensure(store, cloud, state="absent", remove_credentials=True)
    assert removed["changes"] == ["delete S3 Bucket thanos"]
    assert (cloud.made, cloud.keys, store.there) == (1, [], False)


def test_all_that_is_wrong_is_told_before_anybody_logs_in() -> None:
    cloud = Cloud()
    with pytest.raises(InputErrors) as error:
        ensure(
            Store(),
            cloud,
            name="X",
            cacert="/nonexistent",
            secret_key=SECRET,
            rotate_credentials=True,
            revoke_credentials=["a"],
        )
    assert [problem.parameter for problem in error.value.errors] == [
        "cacert",
        "name",
        "secret_key",
        "rotate_credentials",
    ]
    assert SECRET not in str(error.value)


def test_a_name_that_is_none_of_the_credentials() -> None:
    with pytest.raises(InputError, match="there are a, b") as error:
        ensure(Store(), Cloud("b", "a"), access_key="c")
    assert error.value.parameter == "access_key"


def test_without_a_login_it_is_the_bucket_alone() -> None:
    store = test_bucket.Store()
    keys = {"endpoint": "https://s3.example.com", "access_key": "a", "secret_key": SECRET}
    given = {"name": "thanos", "state": "present", **keys}
    result = bucket.ensure(given, False, {"OS_CLOUD": "c"}, store.connect, Cloud().log_in)
    assert result["changes"] == ["create S3 Bucket thanos"]
    assert "access_key" not in result
    with pytest.raises(InputErrors) as error:
        bucket.ensure({**given, "rotate_credentials": True, "cacert": "/ca"}, False, {}, store.connect, Cloud().log_in)
    assert [problem.parameter for problem in error.value.errors] == ["cacert", "rotate_credentials"]


class TestLookup:
    def test_secrets_by_access_keys(self) -> None:
        assert secrets(["b", "a"], {"cloud": "c"}, Cloud("a", "b").log_in) == [f"{SECRET}-b", f"{SECRET}-a"]

    def test_none_is_needed_for_none(self) -> None:
        assert secrets([""], {"cloud": "c"}, lambda _login: pytest.fail("nobody needs a login")) == [""]

    def test_an_unknown_one(self) -> None:
        with pytest.raises(InputError, match="b: no EC2 credential of the user for the project"):
            secrets(["b", "a"], {"cloud": "c"}, Cloud("a").log_in)
