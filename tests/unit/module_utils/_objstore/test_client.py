# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from ansible_collections.scs.observability.plugins.module_utils._core.errors import LibraryError, StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore import client as client_module
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import (
    Access,
    BucketClient,
    Stored,
    Version,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import endpoint

from .conftest import Answer, Asked, FakeStore, refusal

SECRET = "secret-of-the-test"
EMPTY = Answer(200, "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")


@pytest.fixture(autouse=True, scope="module")
def _impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "ATTEMPTS", 1)
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            patch.delenv(variable, raising=False)
        yield


def access(url: str, **changed: Any) -> Access:
    values: dict[str, Any] = {"region": "us-east-1", "access_key": "AKIDSHOWN", "secret_key": SECRET, **changed}
    return Access(bucket="thanos", endpoint=endpoint(url), **values)


@pytest.fixture(scope="module")
def bucket(server: FakeStore) -> Iterator[BucketClient]:
    with BucketClient(access(server.url)) as client:
        yield client


def answers(*given: Answer) -> Callable[[Asked], Answer]:
    """One after the other."""
    remaining = list(given)
    return lambda asked: remaining.pop(0)


class TestBucket:
    @pytest.mark.parametrize(
        ("answer", "exists"), [(EMPTY, True), (refusal("NoSuchBucket", 404), False)], ids=["there", "missing"]
    )
    def test_exists(self, store: FakeStore, bucket: BucketClient, answer: Answer, exists: bool) -> None:
        store.script = answers(answer)
        assert bucket.exists() is exists
        assert (store.asked[0].method, store.asked[0].path) == ("GET", "/thanos")
        assert store.asked[0].query["max-keys"] == "1"

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (refusal("AccessDenied", 403), "AccessDenied"),
            (refusal("SignatureDoesNotMatch", 403), "SignatureDoesNotMatch"),
            (Answer(404, "<html>Not Found</html>"), "404"),
            # botocore takes an answer that is no XML for an internal error
            (Answer(200, "<html>hello"), "500"),
            (Answer(200, "<html>a login</html>"), "NotS3"),
            (Answer(302, "", {"Location": "/login"}), "302"),
            (Answer(307, "", {"Location": "/login"}), "307"),
            (Answer(500, ""), "500"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_neither(self, store: FakeStore, bucket: BucketClient, answer: Answer, code: str) -> None:
        store.script = lambda asked: answer
        with pytest.raises(StorageError) as error:
            bucket.exists()
        assert (error.value.code, error.value.operation) == (code, "ListObjectsV2")
        shown = f"{error.value.result()} {error.value!r} {error.value.__cause__!r}"
        for secret in (SECRET, "AKIDSHOWN", "CANONICAL", "MESSAGE-OF-THE-STORE"):
            assert secret not in shown

    @pytest.mark.parametrize(("region", "constraint"), [("us-east-1", None), ("eu-central-1", "eu-central-1")])
    def test_create(self, store: FakeStore, region: str, constraint: str | None) -> None:
        store.script = answers(Answer(), EMPTY)
        with BucketClient(access(store.url, region=region)) as bucket:
            assert bucket.create() is True
        asked = store.asked[0]
        assert (asked.method, asked.path) == ("PUT", "/thanos")
        assert f"/{region}/s3/aws4_request" in asked.headers["authorization"]
        found = ElementTree.fromstring(asked.body)[0].text if asked.body else None
        assert found == constraint

    @pytest.mark.parametrize(
        ("buckets", "parameter"),
        [
            (Answer(200, "<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"), "name"),
            (
                Answer(
                    200,
                    "<ListAllMyBucketsResult><Buckets><Bucket><Name>thanos</Name></Bucket></Buckets>"
                    "</ListAllMyBucketsResult>",
                ),
                "access_key",
            ),
            # Whose it is cannot be known: the message says both.
            (refusal("AccessDenied", 403), "access_key"),
        ],
        ids=["foreign", "ours", "not known"],
    )
    def test_access_is_denied(self, store: FakeStore, bucket: BucketClient, buckets: Answer, parameter: str) -> None:
        store.script = answers(refusal("AccessDenied", 403), buckets)
        with pytest.raises(
            StorageError, match="belongs to somebody else" if parameter == "name" else "may not"
        ) as error:
            bucket.exists()
        assert (error.value.code, error.value.parameter, error.value.details["status"]) == (
            "AccessDenied",
            parameter,
            403,
        )

    def test_created_twice_at_once(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("BucketAlreadyOwnedByYou", 409))
        assert bucket.create() is False

    def test_a_foreign_one_is_not_created(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("BucketAlreadyExists", 409))
        with pytest.raises(StorageError, match="belongs to somebody else") as error:
            bucket.create()
        assert error.value.parameter == "name"

    def test_creation_waits_until_it_can_be_used(
        self, store: FakeStore, bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "SETTLING_INTERVAL", 0)
        store.script = answers(Answer(), refusal("NoSuchBucket", 404), refusal("NoSuchBucket", 404), EMPTY)
        assert bucket.create() is True
        assert len(store.asked) == 4

    def test_creation_that_is_never_seen(
        self, store: FakeStore, bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "SETTLING_TIMEOUT", 0)
        store.script = answers(Answer(), refusal("NoSuchBucket", 404))
        with pytest.raises(StorageError, match="no such bucket"):
            bucket.create()

    @pytest.mark.parametrize("answer", [Answer(204), refusal("NoSuchBucket", 404)], ids=["there", "gone"])
    def test_remove(self, store: FakeStore, bucket: BucketClient, answer: Answer) -> None:
        store.script = answers(answer)
        bucket.remove()
        assert (store.asked[0].method, store.asked[0].path) == ("DELETE", "/thanos")

    def test_remove_what_is_not_empty(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("BucketNotEmpty", 409))
        with pytest.raises(StorageError, match="not empty"):
            bucket.remove()


class TestObjects:
    def test_put(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(Answer(200, "", {"x-amz-version-id": "v1"}))
        assert bucket.put("a/b", b"content") == "v1"
        asked = store.asked[0]
        assert (asked.method, asked.path, asked.body) == ("PUT", "/thanos/a/b", b"content")
        # Stores other than AWS choke on these.
        assert not [name for name in asked.headers if "checksum" in name or name == "x-amz-trailer"]

    def test_put_without_versions(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(Answer())
        assert bucket.put("a", b"") is None

    def test_get(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(Answer(200, b"content"))
        assert bucket.get("a") == b"content"

    def test_get_of_half_an_object(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(Answer(200, b"half", {"Content-Length": "100"}))
        with pytest.raises(StorageError, match="the connection failed") as error:
            bucket.get("a")
        assert error.value.operation == "GetObject"

    def test_keys(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(listing(["a/1", "a/2"]))
        assert bucket.keys("a/") == ["a/1", "a/2"]
        assert store.asked[0].query["prefix"] == "a/"

    @pytest.mark.parametrize(("version", "query"), [(None, {}), ("v1", {"versionId": "v1"})])
    def test_delete(self, store: FakeStore, bucket: BucketClient, version: str | None, query: dict[str, str]) -> None:
        store.script = answers(Answer(204))
        bucket.delete("a", version)
        assert (store.asked[0].method, store.asked[0].path, store.asked[0].query) == ("DELETE", "/thanos/a", query)


class TestConditionalWrite:
    @pytest.mark.parametrize(
        ("before", "header", "value"), [(None, "if-none-match", "*"), (Stored(b"", '"e1"'), "if-match", '"e1"')]
    )
    def test_condition(
        self, store: FakeStore, bucket: BucketClient, before: Stored | None, header: str, value: str
    ) -> None:
        store.script = answers(Answer())
        assert bucket.put_unless_changed("a", b"new", before) is True
        assert store.asked[0].headers[header] == value

    @pytest.mark.parametrize(
        "answer",
        [
            refusal("PreconditionFailed", 412),
            Answer(412),
            refusal("ConditionalRequestConflict", 409),
            refusal("NoSuchKey", 404),
        ],
        ids=["failed", "without code", "conflict", "gone"],
    )
    def test_too_late(self, store: FakeStore, bucket: BucketClient, answer: Answer) -> None:
        store.script = answers(answer)
        assert bucket.put_unless_changed("a", b"new", None) is False

    def test_a_store_without_it_writes_anyway(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("NotImplemented", 501), Answer())
        assert bucket.put_unless_changed("a", b"new", None) is True
        assert "if-none-match" not in store.asked[1].headers

    def test_other_refusals(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("AccessDenied", 403))
        with pytest.raises(StorageError, match="could not write an object"):
            bucket.put_unless_changed("a", b"new", None)


class TestFind:
    def test_there(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(Answer(200, b"content", {"ETag": '"e1"', "x-amz-version-id": "v1"}))
        assert bucket.find("a") == Stored(b"content", '"e1"', "v1")

    def test_not_there(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("NoSuchKey", 404))
        assert bucket.find("a") is None

    def test_not_to_be_read(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("AccessDenied", 403))
        with pytest.raises(StorageError, match="could not read an object"):
            bucket.find("a")

    @pytest.mark.parametrize(
        ("answer", "readable"),
        [
            (Answer(206, b"c"), True),
            (refusal("InvalidRange", 416), True),
            (refusal("AccessDenied", 403), False),
            (refusal("NoSuchKey", 404), None),
            (refusal("InvalidRequest", 400), None),
        ],
        ids=["read", "empty", "denied", "gone", "encrypted by the client"],
    )
    def test_can_read(self, store: FakeStore, bucket: BucketClient, answer: Answer, readable: bool | None) -> None:
        store.script = answers(answer)
        assert bucket.can_read("a") is readable
        assert store.asked[0].headers["range"] == "bytes=0-0"

    def test_can_read_is_not_guessed(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("SlowDown", 503))
        with pytest.raises(StorageError, match="slow down"):
            bucket.can_read("a")


class TestListing:
    """Stores that know only the first version of S3's listing."""

    @pytest.fixture
    def fresh(self, store: FakeStore) -> Iterator[BucketClient]:
        with BucketClient(access(store.url)) as client:
            yield client

    @pytest.mark.parametrize("answer", [refusal("NotImplemented", 501), Answer(405)], ids=["501", "405"])
    def test_a_store_that_says_so(self, store: FakeStore, fresh: BucketClient, answer: Answer) -> None:
        store.script = lambda asked: answer if "list-type" in asked.query else refusal("NoSuchBucket", 404)
        assert fresh.exists() is False
        assert fresh.exists() is False
        assert fresh.lists_v1() is True
        assert ["list-type" in asked.query for asked in store.asked] == [True, False, False]

    def test_a_store_that_ignores_it_loses_nothing(self, store: FakeStore, fresh: BucketClient) -> None:
        pages = {"": ("a", "b"), "b": ("c",)}

        def first_version(asked: Asked) -> Answer:
            keys = pages[asked.query.get("marker", "")]
            content = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
            more = str("c" not in keys).lower()
            return Answer(200, f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{content}</ListBucketResult>")

        store.script = first_version
        assert [item.key for item in fresh.objects()] == ["a", "b", "c"]
        assert fresh.lists_v1() is True

    def test_the_usual_store(self, store: FakeStore, fresh: BucketClient) -> None:
        store.script = answers(listing(["a"], "next"), listing(["b"]))
        assert [item.key for item in fresh.objects()] == ["a", "b"]
        assert fresh.lists_v1() is False

    def test_other_refusals_are_not_taken_for_that(self, store: FakeStore, fresh: BucketClient) -> None:
        store.script = answers(refusal("SlowDown", 503))
        with pytest.raises(StorageError, match="slow down"):
            fresh.exists()
        assert fresh.lists_v1() is False


TAGS = "<Tagging><TagSet><Tag><Key>team</Key><Value>a</Value></Tag></TagSet></Tagging>"
VERSIONING = "<VersioningConfiguration><Status>{}</Status></VersioningConfiguration>"


class TestSettings:
    @pytest.fixture(autouse=True)
    def _no_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "SETTLING_TIMEOUT", 0)
        monkeypatch.setattr(client_module, "SETTLING_INTERVAL", 0)

    @pytest.mark.parametrize(
        ("answer", "tags"),
        [(Answer(200, TAGS), {"team": "a"}), (refusal("NoSuchTagSet", 404), {}), (Answer(200, "<Tagging/>"), {})],
        ids=["some", "none", "empty"],
    )
    def test_tags(self, store: FakeStore, bucket: BucketClient, answer: Answer, tags: dict[str, str]) -> None:
        store.script = answers(answer)
        assert bucket.tags() == tags

    def test_set_tags(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(Answer(), Answer(200, TAGS))
        bucket.set_tags({"team": "a"})
        asked = store.asked[0]
        assert (asked.method, "tagging" in asked.query) == ("PUT", True)
        assert b"<Key>team</Key><Value>a</Value>" in asked.body

    def test_remove_tags(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(Answer(204), refusal("NoSuchTagSet", 404))
        bucket.set_tags({})
        assert store.asked[0].method == "DELETE"

    def test_tags_show_a_moment_later(
        self, store: FakeStore, bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "SETTLING_TIMEOUT", 10)
        store.script = answers(Answer(), refusal("NoSuchTagSet", 404), Answer(200, TAGS))
        bucket.set_tags({"team": "a"})
        assert len(store.asked) == 3

    @pytest.mark.parametrize(
        ("status", "enabled"), [("Enabled", True), ("Suspended", False), ("", False)], ids=["on", "off", "never"]
    )
    def test_versioning(self, store: FakeStore, bucket: BucketClient, status: str, enabled: bool) -> None:
        store.script = answers(Answer(200, VERSIONING.format(status)))
        assert bucket.versioning() is enabled

    @pytest.mark.parametrize(("enabled", "status"), [(True, "Enabled"), (False, "Suspended")])
    def test_set_versioning(self, store: FakeStore, bucket: BucketClient, enabled: bool, status: str) -> None:
        store.script = answers(Answer(), Answer(200, VERSIONING.format(status)))
        bucket.set_versioning(enabled)
        assert f"<Status>{status}</Status>".encode() in store.asked[0].body

    def test_a_checksum_that_every_store_knows(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(
            Answer(), Answer(200, TAGS), Answer(), Answer(200, VERSIONING.format("Enabled")), Answer(200, "<D/>")
        )
        bucket.set_tags({"team": "a"})
        bucket.set_versioning(True)
        bucket.delete_all([Version("a")])
        for asked in (asked for asked in store.asked if asked.method != "GET"):
            digest = base64.b64encode(hashlib.md5(asked.body).digest()).decode()
            assert asked.headers["content-md5"] == digest
            assert not [name for name in asked.headers if "checksum" in name]

    @pytest.mark.parametrize(
        "answer",
        [refusal("NotImplemented", 501), Answer(405), refusal("VersioningNotConfigured", 501)],
        ids=["not implemented", "not allowed", "not configured"],
    )
    def test_a_store_without_them(self, store: FakeStore, bucket: BucketClient, answer: Answer) -> None:
        store.script = lambda asked: answer
        requests: dict[str, Callable[[], object]] = {
            "tags": bucket.tags,
            "versioning": bucket.versioning,
        }
        for parameter, request in requests.items():
            with pytest.raises(StorageError, match="this store does not support it") as error:
                request()
            assert (error.value.parameter, error.value.advice) == (parameter, f"Leave {parameter} out")

    def test_a_store_that_takes_them_for_another_request(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: Answer(200, "<D/>" if asked.method == "GET" else "")
        for parameter, request in (
            ("tags", lambda: bucket.set_tags({"team": "a"})),
            ("versioning", lambda: bucket.set_versioning(True)),
        ):
            with pytest.raises(StorageError, match="does not support it") as error:
                request()
            assert error.value.parameter == parameter

    def test_other_refusals(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: refusal("AccessDenied", 403)
        with pytest.raises(StorageError, match="could not read the bucket's tags") as error:
            bucket.tags()
        assert error.value.parameter == "access_key"


def listing(keys: list[str], following: str = "") -> Answer:
    content = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    more = f"<NextContinuationToken>{following}</NextContinuationToken>" if following else ""
    truncated = str(bool(following)).lower()
    return Answer(
        200,
        f"<ListBucketResult><KeyCount>{len(keys)}</KeyCount><IsTruncated>{truncated}</IsTruncated>{more}{content}"
        "</ListBucketResult>",
    )


def version_listing(content: str, following: tuple[str, str] | None = None) -> Answer:
    more = (
        f"<NextKeyMarker>{following[0]}</NextKeyMarker><NextVersionIdMarker>{following[1]}</NextVersionIdMarker>"
        if following
        else ""
    )
    truncated = str(following is not None).lower()
    return Answer(
        200, f"<ListVersionsResult><IsTruncated>{truncated}</IsTruncated>{more}{content}</ListVersionsResult>"
    )


UPLOAD = "<Upload><Key>big</Key><UploadId>u1</UploadId></Upload>"
UPLOADS = Answer(200, f"<ListMultipartUploadsResult>{UPLOAD}</ListMultipartUploadsResult>")
NO_UPLOADS = Answer(200, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")


class TestContent:
    def test_all_pages_of_objects(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(listing(["a", "b"], "next"), listing(["c"]))
        assert [item.key for item in bucket.objects()] == ["a", "b", "c"]
        assert store.asked[1].query["continuation-token"] == "next"

    def test_pages_that_lead_nowhere_end(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(listing(["a"], "same"), listing(["b"], "same"))
        assert [item.key for item in bucket.objects()] == ["a", "b"]

    def test_all_versions_and_delete_markers(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(
            version_listing("<Version><Key>a</Key><VersionId>2</VersionId></Version>", ("a", "2")),
            version_listing("<DeleteMarker><Key>a</Key><VersionId>1</VersionId></DeleteMarker>"),
        )
        assert list(bucket.versions()) == [Version("a", "2"), Version("a", "1")]
        assert (store.asked[1].query["key-marker"], store.asked[1].query["version-id-marker"]) == ("a", "2")

    @pytest.mark.parametrize("answer", [refusal("NotImplemented", 501), Answer(405, "")], ids=["501", "405"])
    def test_a_store_without_versions_and_uploads(self, store: FakeStore, bucket: BucketClient, answer: Answer) -> None:
        store.script = lambda asked: answer
        assert list(bucket.versions()) == []
        assert list(bucket.uploads()) == []

    def test_other_refusals_are_not_taken_for_that(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: refusal("AccessDenied", 403)
        with pytest.raises(StorageError, match="could not list the versions"):
            list(bucket.versions())

    def test_a_plain_listing_in_place_of_versions_has_none(self, store: FakeStore, bucket: BucketClient) -> None:
        # Swift answers subresources that it does not know with the objects.
        store.script = lambda asked: listing(["a"])
        assert list(bucket.versions()) == []

    def test_uploads(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(UPLOADS, Answer(204))
        assert list(bucket.uploads()) == [("big", "u1")]
        bucket.abort_upload("big", "u1")
        assert store.asked[1].query["uploadId"] == "u1"

    def test_an_upload_that_is_gone(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = answers(refusal("NoSuchUpload", 404), refusal("AccessDenied", 403))
        bucket.abort_upload("big", "u1")
        with pytest.raises(StorageError, match="could not abort an unfinished upload"):
            bucket.abort_upload("big", "u1")

    @pytest.mark.parametrize(
        ("listings", "empty"),
        [
            ((EMPTY, version_listing(""), NO_UPLOADS), True),
            ((listing(["a"]), version_listing(""), NO_UPLOADS), False),
            ((EMPTY, version_listing("<DeleteMarker><Key>a</Key></DeleteMarker>"), NO_UPLOADS), False),
            ((EMPTY, version_listing(""), UPLOADS), False),
        ],
        ids=["nothing", "object", "delete marker", "upload"],
    )
    def test_is_empty(
        self, store: FakeStore, bucket: BucketClient, listings: tuple[Answer, Answer, Answer], empty: bool
    ) -> None:
        objects, versions, uploads = listings
        store.script = lambda asked: (
            uploads if "uploads" in asked.query else versions if "versions" in asked.query else objects
        )
        assert bucket.is_empty() is empty


class TestDeleteAll:
    @pytest.fixture(autouse=True)
    def _small_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "BATCH", 10)

    def test_many_at_once(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: Answer(200, "<DeleteResult></DeleteResult>")
        assert bucket.delete_all(Version(str(number), "v") for number in range(11)) == 11
        counts = [asked.body.count(b"<Key>") for asked in store.asked]
        assert counts == [10, 1]
        assert all("delete" in asked.query for asked in store.asked)

    def test_nothing(self, store: FakeStore, bucket: BucketClient) -> None:
        assert bucket.delete_all([]) == 0
        assert store.asked == []

    @pytest.mark.parametrize(
        "answer",
        [
            refusal("MissingContentMD5", 400),
            refusal("InvalidRequest", 400),
            refusal("NotImplemented", 501),
            Answer(405),
        ],
        ids=["md5", "invalid", "not implemented", "not allowed"],
    )
    def test_one_by_one_where_the_store_cannot(self, store: FakeStore, bucket: BucketClient, answer: Answer) -> None:
        store.script = lambda asked: answer if asked.method == "POST" else Answer(204)
        assert bucket.delete_all(Version(str(number), "v") for number in range(11)) == 11
        methods = [asked.method for asked in store.asked]
        assert methods.count("POST") == 1
        assert sorted(asked.path for asked in store.asked if asked.method == "DELETE") == sorted(
            f"/thanos/{number}" for number in range(11)
        )

    def test_one_that_cannot_be_deleted(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: Answer(
            200, "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>"
        )
        with pytest.raises(StorageError, match="could not delete objects") as error:
            bucket.delete_all([Version("a"), Version("b")])
        assert error.value.code == "AccessDenied"

    @pytest.mark.parametrize("code", ["InternalError", "SlowDown", "ServiceUnavailable"])
    def test_one_for_which_the_store_had_no_time_is_tried_again(
        self, store: FakeStore, bucket: BucketClient, code: str
    ) -> None:
        """Swift answers the whole with 200 when one of its servers was late for one object."""
        store.script = answers(
            Answer(
                200,
                f"<DeleteResult><Error><Key>a</Key><VersionId>v</VersionId><Code>{code}</Code></Error></DeleteResult>",
            ),
            Answer(204),
        )
        assert bucket.delete_all([Version("a", "v"), Version("b")]) == 2
        assert [(asked.method, asked.path) for asked in store.asked] == [("POST", "/thanos"), ("DELETE", "/thanos/a")]
        assert store.asked[1].query == {"versionId": "v"}

    def test_one_that_is_gone_already(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: Answer(
            200, "<DeleteResult><Error><Key>a</Key><Code>NoSuchKey</Code></Error></DeleteResult>"
        )
        assert bucket.delete_all([Version("a")]) == 1

    def test_one_by_one_a_refusal_counts_too(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: refusal(
            *(("NotImplemented", 501) if asked.method == "POST" else ("AccessDenied", 403))
        )
        with pytest.raises(StorageError, match="could not delete an object"):
            bucket.delete_all([Version("a"), Version("b")])

    def test_other_refusals(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: refusal("AccessDenied", 403)
        with pytest.raises(StorageError, match="could not delete objects"):
            bucket.delete_all([Version("a")])
        assert len(store.asked) == 1


class TestRegion:
    @pytest.mark.parametrize(
        "answer",
        [
            refusal("AuthorizationHeaderMalformed", 400, Region="eu-central-1"),
            Answer(301, refusal("PermanentRedirect", 301).body, {"x-amz-bucket-region": "eu-central-1"}),
            Answer(301, "", {"x-amz-bucket-region": "eu-central-1"}),
        ],
        ids=["malformed", "redirect", "redirect without body"],
    )
    def test_a_wrong_one_is_told_not_followed(self, store: FakeStore, bucket: BucketClient, answer: Answer) -> None:
        store.script = lambda asked: answer
        with pytest.raises(StorageError, match="another region: eu-central-1") as error:
            bucket.exists()
        assert error.value.parameter == "region"
        assert len(store.asked) == 1


class TestClock:
    def test_it_is_compared(self, store: FakeStore) -> None:
        store.script = lambda asked: Answer(200, EMPTY.body, {"Date": formatdate(5000, usegmt=True)})
        with BucketClient(access(store.url), now=lambda: 1000.0) as bucket:
            assert bucket.clock_skew() is None
            bucket.exists()
            assert bucket.clock_skew() == 4000

    def test_a_refusal_tells_it_too(self, store: FakeStore) -> None:
        refused = Answer(403, refusal("RequestTimeTooSkewed", 403).body, {"Date": formatdate(1000, usegmt=True)})
        store.script = lambda asked: refused
        with (
            BucketClient(access(store.url), now=lambda: 5001.0) as bucket,
            pytest.raises(StorageError, match="the store's is 4000 s behind"),
        ):
            bucket.exists()

    def test_a_store_that_does_not_tell(self, store: FakeStore, bucket: BucketClient) -> None:
        store.script = lambda asked: Answer(200, EMPTY.body, {"Date": ""})
        bucket.exists()
        assert bucket.clock_skew() is None


class TestConnection:
    def test_the_port_is_closed(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            with (
                BucketClient(access(f"http://127.0.0.1:{closed.getsockname()[1]}")) as bucket,
                pytest.raises(StorageError) as error,
            ):
                bucket.exists()
        assert (error.value.code, error.value.parameter) == ("ConnectionRefused", "endpoint")

    def test_no_answer(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.05)
        done = threading.Event()

        def silent(asked: Asked) -> Answer:
            done.wait(10)
            return EMPTY

        store.script = silent
        with BucketClient(access(store.url)) as bucket, pytest.raises(StorageError) as error:
            bucket.exists()
        done.set()
        assert (error.value.code, error.value.parameter) == ("Timeout", "endpoint")

    def test_a_server_without_tls(self, store: FakeStore) -> None:
        with (
            BucketClient(access(store.url.replace("http:", "https:"))) as bucket,
            pytest.raises(StorageError, match="its scheme is http") as error,
        ):
            bucket.exists()
        assert error.value.code == "TlsFailed"

    def test_failures_that_pass_are_tried_again(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "ATTEMPTS", 2)
        store.script = answers(refusal("SlowDown", 503), EMPTY)
        with BucketClient(access(store.url)) as bucket:
            assert bucket.exists()

    def test_profiles_and_settings_of_the_user_do_not_matter(
        self, store: FakeStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        settings = tmp_path / "config"
        settings.write_text(
            "[profile other]\nregion = mars\nca_bundle = /nowhere\ns3 =\n  addressing_style = virtual\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
        monkeypatch.setenv("AWS_PROFILE", "other")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-another-session")
        store.script = answers(EMPTY)
        with BucketClient(access(store.url)) as bucket:
            assert bucket.exists()
        asked = store.asked[0]
        assert asked.path == "/thanos"
        assert "AKIDSHOWN" in asked.headers["authorization"]
        assert "/us-east-1/" in asked.headers["authorization"]
        assert "x-amz-security-token" not in asked.headers

    def test_the_bucket_in_the_name_of_the_host(self) -> None:
        with BucketClient(access("http://s3.example.com", addressing_style="virtual")) as bucket:
            seen = []
            bucket._s3.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.url))
            bucket._s3.meta.events.register("before-send.s3", _no_network)
            with pytest.raises(StorageError):
                bucket.exists()
        assert seen[0].startswith("http://thanos.s3.example.com/")


def _no_network(request: Any, **_context: Any) -> None:
    raise EndpointConnectionError(endpoint_url=request.url)


class TestAuthority:
    def test_its_file_is_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with BucketClient(access("https://127.0.0.1", ca="certificate")):
            (file,) = tmp_path.iterdir()
            assert file.read_text() == "certificate"
        assert list(tmp_path.iterdir()) == []

    def test_its_file_is_removed_when_there_is_no_client(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        monkeypatch.setattr("botocore.session.Session.create_client", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            BucketClient(access("https://127.0.0.1", ca="certificate"))
        assert list(tmp_path.iterdir()) == []


class TestLibrary:
    def test_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "botocore.session", None)
        with pytest.raises(LibraryError, match="botocore"):
            BucketClient(access("https://127.0.0.1"))

    def test_it_is_not_imported_before_it_is_needed(self) -> None:
        program = f"import sys, {client_module.__name__}; sys.exit('botocore' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

    def test_an_old_one_has_no_settings_for_checksums(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        class OldConfig(Config):
            request_checksum_calculation = response_checksum_validation = None

        known = OrderedDict((key, value) for key, value in Config.OPTION_DEFAULTS.items() if "checksum" not in key)
        monkeypatch.setattr(OldConfig, "OPTION_DEFAULTS", known)
        monkeypatch.setattr("botocore.config.Config", OldConfig)
        store.script = answers(EMPTY)
        with BucketClient(access(store.url)) as bucket:
            assert bucket.exists()


def test_credentials_are_not_shown() -> None:
    shown = repr(access("https://127.0.0.1"))
    assert SECRET not in shown
    assert "AKIDSHOWN" not in shown
