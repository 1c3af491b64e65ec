# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore import compactor_claim
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Access, Stored
from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import (
    Claim,
    Owner,
    Place,
    claim,
    decide,
    place,
    read,
    release,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import endpoint, objstore
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Finding, Request, refused

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=3)
OURS = Owner("uid-a", "monitoring", "compactor", "observer-a")
THEIRS = Owner("uid-b", "monitoring", "compactor", "observer-b")
SECRET = "secret-of-the-test"
PLACE = Place(Access("thanos", endpoint("https://s3.example.com"), "us-east-1", "key", SECRET))


class TestDecide:
    @pytest.mark.parametrize("take_over", [True, False])
    @pytest.mark.parametrize(
        ("found", "since"),
        [
            (None, NOW),
            (Claim(OURS, EARLIER, EARLIER), EARLIER),
            (Claim(replace(OURS, observer="renamed"), EARLIER, EARLIER), EARLIER),
        ],
        ids=["nobody's", "ours", "ours under another name"],
    )
    def test_it_is_to_be_had(self, found: Claim | None, since: datetime, take_over: bool) -> None:
        assert decide(found, OURS, NOW, take_over) == Claim(OURS, since, NOW)

    @pytest.mark.parametrize(
        "owner",
        [replace(OURS, cluster="uid-b"), replace(OURS, namespace="other"), replace(OURS, name="second")],
        ids=["cluster", "namespace", "name"],
    )
    def test_it_is_somebody_elses(self, owner: Owner) -> None:
        refusal = decide(Claim(owner, EARLIER, EARLIER), OURS, NOW, take_over=False)
        assert isinstance(refusal, Finding)
        assert f"{owner.namespace}/{owner.name} of observer-a (cluster {owner.cluster})" in refusal.found
        assert "3 h ago (2026-11-25T09:00:00+00:00)" in refusal.found
        assert "state: absent" in refusal.advice
        assert "take_over_bucket: true" in refusal.advice
        assert refusal.parameter == "take_over_bucket"

    @pytest.mark.parametrize("found", [Claim(THEIRS, EARLIER, EARLIER), Claim(None, None, None)])
    def test_it_is_taken_over(self, found: Claim) -> None:
        assert decide(found, OURS, NOW, take_over=True) == Claim(OURS, NOW, NOW)

    def test_what_nobody_can_read_is_not_overwritten(self) -> None:
        refusal = decide(Claim(None, None, None), OURS, NOW, take_over=False)
        assert isinstance(refusal, Finding)
        assert "cannot be read" in refusal.found

    @pytest.mark.parametrize(
        ("age", "text"),
        [
            (timedelta(seconds=-5), "0 s ago"),
            (timedelta(seconds=119), "119 s ago"),
            (timedelta(minutes=2), "2 min ago"),
            (timedelta(hours=47), "47 h ago"),
            (timedelta(days=40), "40 d ago"),
        ],
    )
    def test_when_it_was_seen(self, age: timedelta, text: str) -> None:
        refusal = decide(Claim(THEIRS, None, NOW - age), OURS, NOW, take_over=False)
        assert isinstance(refusal, Finding)
        assert text in refusal.found

    def test_nobody_knows_when(self) -> None:
        refusal = decide(Claim(THEIRS, None, None), OURS, NOW, take_over=False)
        assert isinstance(refusal, Finding)
        assert "at an unknown time" in refusal.found

    def test_an_owner_without_a_name_for_people(self) -> None:
        assert str(replace(OURS, observer="")) == "monitoring/compactor of cluster uid-a"


class TestRead:
    def test_what_was_written(self) -> None:
        written = Claim(OURS, EARLIER, NOW)
        assert read(Stored(written.content(), "e")) == written
        found = read(Stored(written.content(), "e"))
        assert found is not None
        assert found.owner is not None
        assert found.owner.observer == "observer-a"

    def test_nothing(self) -> None:
        assert read(None) is None

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff",
            b"[]",
            b"{}",
            b'"text"',
            json.dumps({**json.loads(Claim(OURS, NOW, NOW).content()), "seen": "yesterday"}).encode(),
            json.dumps({**json.loads(Claim(OURS, NOW, NOW).content()), "name": 1}).encode(),
            json.dumps({**json.loads(Claim(OURS, NOW, NOW).content()), "observer": "\x1b[31mred"}).encode(),
            json.dumps({**json.loads(Claim(OURS, NOW, NOW).content()), "observer": "a" * 1000}).encode(),
        ],
    )
    def test_what_is_no_claim_belongs_to_nobody_that_is_known(self, content: bytes) -> None:
        assert read(Stored(content, "e")) == Claim(None, None, None)


class Bucket:
    """A bucket in memory that can be a store without conditional writes, and have others write at a bad moment."""

    def __init__(self, *, conditional: bool = True, versions: bool = False) -> None:
        self.conditional = conditional
        self.keeps_versions = versions
        self.versions: list[tuple[str, Stored]] = []
        self.writes = 0
        self.between: list[Callable[[], None]] = []
        self.after_write: list[Callable[[], None]] = []
        self.failure: StorageError | None = None
        self.access: Access | None = None

    @contextmanager
    def _connected(self, access: Access) -> Iterator[Bucket]:
        self.access = access
        yield self

    def connect(self, access: Access) -> AbstractContextManager[Bucket]:
        return self._connected(access)

    def request(self, operation: str) -> Request:
        return Request(operation, "thanos", "https://s3.example.com")

    def find(self, key: str) -> Stored | None:
        if self.failure:
            raise self.failure
        return next((stored for name, stored in reversed(self.versions) if name == key), None)

    def write(self, key: str, content: bytes) -> None:
        self.writes += 1
        number = str(self.writes)
        if not self.keeps_versions:
            self.versions = [item for item in self.versions if item[0] != key]
        self.versions.append((key, Stored(content, number, number if self.keeps_versions else None)))

    def put_unless_changed(self, key: str, content: bytes, before: Stored | None) -> bool:
        if self.between:
            self.between.pop(0)()
        if self.conditional and self.find(key) != before:
            return False
        self.write(key, content)
        if self.after_write:
            self.after_write.pop(0)()
        return True

    def delete(self, key: str, version: str | None = None) -> None:
        self.versions = [item for item in self.versions if item[0] != key or item[1].version != version]

    def put(self, found: Claim) -> None:
        self.write(PLACE.key, found.content())

    @property
    def claim(self) -> Claim | None:
        return read(self.find(PLACE.key))


class TestClaim:
    def test_first_and_again(self) -> None:
        bucket = Bucket()
        first = claim(PLACE, OURS, EARLIER, connect=bucket.connect)
        assert (first.claim, first.taken_over) == (Claim(OURS, EARLIER, EARLIER), None)
        again = claim(PLACE, OURS, NOW, connect=bucket.connect)
        assert (again.claim, again.taken_over) == (Claim(OURS, EARLIER, NOW), None)
        assert bucket.claim == again.claim

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_the_second_one_is_refused(self, check_mode: bool) -> None:
        bucket = Bucket()
        bucket.put(Claim(THEIRS, EARLIER, EARLIER))
        with pytest.raises(StorageError) as error:
            claim(PLACE, OURS, NOW, check_mode=check_mode, connect=bucket.connect)
        assert (error.value.code, error.value.parameter) == ("BucketClaimed", "take_over_bucket")
        assert str(error.value).startswith(
            "take_over_bucket: could not claim the bucket for a compactor (bucket thanos at https://s3.example.com): "
            "it has a compactor already, monitoring/compactor of observer-b (cluster uid-b)"
        )
        assert bucket.claim == Claim(THEIRS, EARLIER, EARLIER)

    def test_taken_over(self) -> None:
        bucket = Bucket()
        bucket.put(Claim(THEIRS, EARLIER, EARLIER))
        taken = claim(PLACE, OURS, NOW, take_over=True, connect=bucket.connect)
        assert taken.taken_over == Claim(THEIRS, EARLIER, EARLIER)
        assert bucket.claim == Claim(OURS, NOW, NOW)

    @pytest.mark.parametrize("found", [None, Claim(OURS, EARLIER, EARLIER)])
    def test_check_mode_writes_nothing(self, found: Claim | None) -> None:
        bucket = Bucket()
        if found:
            bucket.put(found)
        before = list(bucket.versions)
        assert claim(PLACE, OURS, NOW, check_mode=True, connect=bucket.connect).claim.seen == NOW
        assert bucket.versions == before

    @pytest.mark.parametrize("conditional", [True, False], ids=["conditional", "not conditional"])
    def test_another_one_is_faster(self, conditional: bool) -> None:
        """Between reading and writing; where the store cannot tell, between writing and reading back."""
        bucket = Bucket(conditional=conditional)
        moment = bucket.between if conditional else bucket.after_write
        moment.append(lambda: bucket.put(Claim(THEIRS, NOW, NOW)))
        with pytest.raises(StorageError, match="observer-b") as error:
            claim(PLACE, OURS, NOW, connect=bucket.connect)
        assert error.value.code == "BucketClaimed"
        assert bucket.claim == Claim(THEIRS, NOW, NOW)

    def test_another_run_of_our_own_is_faster(self) -> None:
        bucket = Bucket()
        bucket.between.append(lambda: bucket.put(Claim(OURS, EARLIER, EARLIER)))
        assert claim(PLACE, OURS, NOW, connect=bucket.connect).claim == Claim(OURS, EARLIER, NOW)

    def test_others_are_always_faster(self) -> None:
        bucket = Bucket()
        bucket.between = [lambda: bucket.put(Claim(OURS, EARLIER, EARLIER))] * compactor_claim.ATTEMPTS
        with pytest.raises(StorageError, match="one run at a time"):
            claim(PLACE, OURS, NOW, connect=bucket.connect)

    def test_a_bucket_with_versions_does_not_grow(self) -> None:
        bucket = Bucket(versions=True)
        for seen in (EARLIER, NOW):
            claim(PLACE, OURS, seen, connect=bucket.connect)
        assert len(bucket.versions) == 1
        assert bucket.claim == Claim(OURS, EARLIER, NOW)

    @pytest.mark.parametrize(
        ("code", "status", "parameter", "advice"),
        [
            ("InvalidAccessKeyId", 403, "objstore_access_key", "Check objstore_access_key and the endpoint"),
            ("SignatureDoesNotMatch", 403, "objstore_secret_key", "objstore_access_key, objstore_secret_key and"),
            ("NoSuchBucket", 404, "objstore", "module bucket"),
            ("AuthorizationHeaderMalformed", 400, "objstore", "region"),
            ("SlowDown", 503, "objstore", "load"),
        ],
    )
    def test_failures_name_the_parameters_of_thanos(self, code: str, status: int, parameter: str, advice: str) -> None:
        bucket = Bucket()
        bucket.failure = refused(bucket.request("GetObject"), code, status)
        with pytest.raises(StorageError) as error:
            claim(PLACE, OURS, NOW, connect=bucket.connect)
        assert (error.value.code, error.value.parameter) == (code, parameter)
        assert advice in str(error.value)


class TestChanges:
    @pytest.mark.parametrize(
        ("before", "after", "told", "sides"),
        [
            (None, Claim(OURS, NOW, NOW), ["create S3 CompactorClaim thanos"], ("", "observer-a")),
            (Claim(OURS, EARLIER, EARLIER), Claim(OURS, EARLIER, NOW), [], ("", "")),
            (Claim(THEIRS, NOW, NOW), Claim(OURS, NOW, NOW), ["update S3 CompactorClaim thanos"], ("observer-b", "-a")),
            (Claim(None, None, None), Claim(OURS, NOW, NOW), ["update S3 CompactorClaim thanos"], ("read", "-a")),
            (Claim(OURS, NOW, NOW), None, ["delete S3 CompactorClaim thanos"], ("observer-a", "")),
            (None, None, [], ("", "")),
        ],
        ids=["first", "seen again", "taken over", "of nobody that is known", "given free", "not ours"],
    )
    def test_whose_it_is_changes(
        self, before: Claim | None, after: Claim | None, told: list[str], sides: tuple[str, str]
    ) -> None:
        plan = compactor_claim.changes(PLACE, before, after)
        assert plan.summary() == told
        for side, text in zip(("before", "after"), sides, strict=True):
            assert text in plan.diff()[side]
            assert bool(text) is bool(plan.diff()[side])

    def test_the_prefix_is_named(self) -> None:
        plan = compactor_claim.changes(replace(PLACE, prefix="site-b"), None, Claim(OURS, NOW, NOW))
        assert plan.summary() == ["create S3 CompactorClaim thanos/site-b"]

    @pytest.mark.parametrize(
        ("changed", "same"),
        [
            ({"access": replace(PLACE.access, access_key="another", secret_key="another")}, True),
            ({"access": replace(PLACE.access, bucket="another")}, False),
            ({"access": replace(PLACE.access, endpoint=endpoint("https://s3.example.org"))}, False),
            ({"prefix": "site-b"}, False),
        ],
        ids=["keys", "bucket", "store", "prefix"],
    )
    def test_other_keys_lead_to_the_same_place(self, changed: dict[str, Any], same: bool) -> None:
        assert replace(PLACE, **changed).is_at(PLACE) is same


class TestRelease:
    @pytest.mark.parametrize("versions", [True, False])
    def test_ours(self, versions: bool) -> None:
        bucket = Bucket(versions=versions)
        # An old version of it, too, must not come to light.
        for seen in (EARLIER, NOW):
            bucket.put(Claim(OURS, EARLIER, seen))
        assert release(PLACE, OURS, connect=bucket.connect) == Claim(OURS, EARLIER, NOW)
        assert bucket.versions == []
        assert release(PLACE, OURS, connect=bucket.connect) is None

    @pytest.mark.parametrize("found", [Claim(THEIRS, EARLIER, EARLIER), Claim(None, None, None), None])
    def test_not_ours(self, found: Claim | None) -> None:
        bucket = Bucket()
        if found:
            bucket.put(found)
        before = list(bucket.versions)
        assert release(PLACE, OURS, connect=bucket.connect) is None
        assert bucket.versions == before

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_the_same_bucket_under_another_address(self, check_mode: bool) -> None:
        bucket = Bucket()
        claim(PLACE, OURS, EARLIER, connect=bucket.connect)
        here = claim(PLACE, OURS, NOW, check_mode=check_mode, connect=bucket.connect).claim
        assert release(PLACE, OURS, other=here, check_mode=check_mode, connect=bucket.connect) is None
        assert bucket.claim is not None

    def test_check_mode(self) -> None:
        bucket = Bucket()
        bucket.put(Claim(OURS, EARLIER, EARLIER))
        assert release(PLACE, OURS, check_mode=True, connect=bucket.connect) == Claim(OURS, EARLIER, EARLIER)
        assert bucket.claim is not None

    def test_the_bucket_is_gone(self) -> None:
        bucket = Bucket()
        bucket.failure = refused(bucket.request("GetObject"), "NoSuchBucket", 404)
        assert release(PLACE, OURS, connect=bucket.connect) is None

    def test_failures(self) -> None:
        bucket = Bucket()
        bucket.failure = refused(bucket.request("GetObject"), "AccessDenied", 403)
        with pytest.raises(StorageError) as error:
            release(PLACE, OURS, connect=bucket.connect)
        assert error.value.parameter == "objstore_access_key"

    def test_a_store_that_does_not_delete(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bucket = Bucket()
        bucket.put(Claim(OURS, EARLIER, EARLIER))
        monkeypatch.setattr(bucket, "delete", lambda key, version=None: None)
        assert release(PLACE, OURS, connect=bucket.connect) is not None


def config(**changed: Any) -> dict[str, Any]:
    return {"type": "S3", "config": {"bucket": "thanos", "endpoint": "s3.example.com:7480", **changed}}


class TestPlace:
    def test_what_the_module_bucket_returns(self) -> None:
        given = objstore("thanos", "https://s3.example.com", "eu-central-1", ca=True)
        found = place(given, "key", SECRET, "certificate", {})
        assert found == Place(
            Access("thanos", endpoint("https://s3.example.com"), "eu-central-1", "key", SECRET, ca="certificate")
        )
        assert found.key == ".scs-observability/compactor.json"

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ({}, {"endpoint": endpoint("https://s3.example.com:7480"), "validate_certs": True, "region": "us-east-1"}),
            ({"insecure": True}, {"endpoint": endpoint("http://s3.example.com:7480")}),
            ({"http_config": {"insecure_skip_verify": True}}, {"validate_certs": False}),
            # Thanos overwrites this one, so it verifies.
            ({"http_config": {"tls_config": {"insecure_skip_verify": True}}}, {"validate_certs": True}),
            ({"bucket_lookup_type": "virtual-hosted"}, {"addressing_style": "virtual"}),
            ({"bucket_lookup_type": "auto"}, {"addressing_style": "path"}),
            ({"http_config": None}, {"validate_certs": True}),
        ],
    )
    def test_what_thanos_can_say(self, changed: dict[str, Any], expected: dict[str, Any]) -> None:
        found = place(config(**changed), "key", SECRET, "", {})
        assert found is not None
        assert {name: getattr(found.access, name) for name in expected} == expected
        assert found.access.ca is None

    def test_each_prefix_has_its_own(self) -> None:
        found = place({**config(), "prefix": "/site-a/"}, "key", SECRET, None, {})
        assert found is not None
        assert found.key == "site-a/.scs-observability/compactor.json"

    def test_credentials_of_the_environment(self) -> None:
        environment = {"AWS_ACCESS_KEY_ID": "theirs", "AWS_SECRET_ACCESS_KEY": SECRET}
        found = place(config(aws_sdk_auth=True), None, "", None, environment)
        assert found is not None
        assert (found.access.access_key, found.access.secret_key) == ("theirs", SECRET)

    @pytest.mark.parametrize(
        ("given", "keys", "parameter"),
        [
            (config(bucket=""), ("key", SECRET), "objstore"),
            (config(endpoint="https://s3.example.com"), ("key", SECRET), "objstore"),
            (config(endpoint=None), ("key", SECRET), "objstore"),
            (config(endpoint="s3.example.com/path"), ("key", SECRET), "objstore"),
            (config(region="a b"), ("key", SECRET), "objstore"),
            (config(), ("", SECRET), "objstore_access_key"),
            (config(), ("key", None), "objstore_secret_key"),
        ],
    )
    def test_refused(self, given: dict[str, Any], keys: tuple[str | None, str | None], parameter: str) -> None:
        with pytest.raises(InputError) as error:
            place(given, *keys, None, {})
        assert error.value.parameter == parameter
        assert SECRET not in str(error.value)

    def test_other_stores(self) -> None:
        given = {"type": "FILESYSTEM", "config": {"directory": "/blocks"}}
        assert place(given, None, None, None, {}) is None
        assert "FILESYSTEM cannot be claimed" in compactor_claim.cannot_be_claimed(given)
