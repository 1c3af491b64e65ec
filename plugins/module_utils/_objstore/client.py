# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 client for one bucket: the only place that talks to a store, and the only one that imports botocore.

botocore takes longer to import than the rest of a module run, so that happens when a client is made: wrong parameters
are refused without it.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.scs.observability.plugins.module_utils._core.clocks import clock_skew
from ansible_collections.scs.observability.plugins.module_utils._core.errors import LibraryError, StorageError
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import authority_file
from ansible_collections.scs.observability.plugins.module_utils._objstore import errors
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import (
    DEFAULT_REGION,
    AddressingStyle,
    Endpoint,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
ATTEMPTS = 3
# What S3 takes in one DeleteObjects request.
BATCH = 1000
SINGLE_DELETES_AT_ONCE = 8
# AWS shows a new bucket, and new tags of one, a moment later.
SETTLING_TIMEOUT = 10.0
SETTLING_INTERVAL = 0.2

# How stores refuse a DeleteObjects that they do not have, or not like this, beside saying so.
_NO_BATCH_DELETE = frozenset({"MissingContentMD5", "InvalidDigest", "BadDigest"})
_NO_BATCH_DELETE_400 = frozenset({"InvalidRequest", "InvalidArgument", "MalformedXML", "400"})
_UNSUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "VersioningNotConfigured", "501", "405"})
# One of these is in every listing, and not in the page of a login, which is answered with 200 as well.
_IN_LISTINGS = frozenset({"Name", "IsTruncated", "KeyCount"})
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
_NO_TAGS = frozenset({"NoSuchTagSet", "NoSuchTagSetError"})
# A conditional write came too late: the object is another one than the condition says, gone, or just being written.
_TOO_LATE = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"})
# S3 wants a checksum with these. Newer botocore sends a CRC, which older stores do not know.
_WITH_MD5 = ("DeleteObjects", "PutBucketTagging", "PutBucketVersioning")
# What a bucket remembers about itself: the access keys that it was used with, where Keystone makes them.
CREDENTIALS_RECORD = ".scs-observability/credentials.json"
RECORDS = (CREDENTIALS_RECORD,)

_BUSY = frozenset({"InternalError", "ServiceUnavailable", "SlowDown"})
_WRONG_REGION = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_REDIRECTS = (301, 302, 307)


@dataclass(frozen=True)
class Access:
    """How to reach a bucket. ``ca`` is PEM text; without it the system's authorities are trusted."""

    bucket: str
    endpoint: Endpoint
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    ca: str | None = None
    validate_certs: bool = True
    addressing_style: AddressingStyle = "path"


@dataclass(frozen=True)
class Version:
    """An object, or one version or delete marker of it."""

    key: str
    version: str | None = None


@dataclass(frozen=True)
class Stored:
    """An object as it was read: its content, and its ETag as the condition of a write that replaces just this one."""

    content: bytes
    etag: str
    version: str | None = None


class BucketClient:
    """One bucket. A context manager; every method raises StorageError. LibraryError when botocore is missing."""

    def __init__(self, access: Access, now: Callable[[], float] = time.time) -> None:
        self._access = access
        self._now = now
        self._skew: int | None = None
        self._files = ExitStack()
        self._lists_v1 = False
        try:
            self._s3 = self._connect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> BucketClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file that the authority's certificate was written to."""
        self._files.close()

    def request(self, operation: str) -> errors.Request:
        """Return what to name in an error about ``operation``."""
        return errors.Request(operation, self._access.bucket, self._access.endpoint.url)

    def clock_skew(self) -> int | None:
        """Seconds by which the store's clock was ahead in its last answer; None if it does not tell its time."""
        return self._skew

    def lists_v1(self) -> bool:
        """Tell whether the store was found to know only the first version of S3's listing."""
        return self._lists_v1

    def exists(self) -> bool:
        """Tell whether the bucket is there. StorageError naming ``name`` when it is somebody else's.

        By listing, not by HEAD: the answer to HEAD has no body, so it cannot tell a wrong key from a foreign bucket.
        """
        try:
            self._list(MaxKeys=1)
        except StorageError as error:
            if error.code == "NoSuchBucket":
                return False
            if error.code in _DENIED and self._is_not_listed():
                status = cast(int, error.details["status"])
                raise errors.failure(
                    self.request(error.operation), error.code, errors.NONE_OF_OURS, status=status
                ) from None
            raise
        return True

    def _is_not_listed(self) -> bool:
        """Tell whether the store's list of this user's buckets lacks it; False where there is no such list."""
        try:
            return self._access.bucket not in self.bucket_names()
        except StorageError:
            return False

    def bucket_names(self) -> set[str]:
        """The names of all buckets of this user, or in an OpenStack cloud of the project."""
        with self._explained("ListBuckets"):
            return {str(bucket["Name"]) for bucket in self._s3.list_buckets().get("Buckets", ())}

    def is_empty(self) -> bool:
        """Tell whether there is nothing but our records: no object, no old version, no unfinished upload."""
        content = (item for items in (self.objects(), self.versions()) for item in items if item.key not in RECORDS)
        return next(content, None) is None and not any(self.uploads())

    def records(self) -> Iterator[Version]:
        """Our records in the bucket, all versions of them; they go with it."""
        for record in RECORDS:
            for items in (self.versions(record), self.objects(record)):
                yield from (item for item in items if item.key == record)

    def create(self) -> bool:
        """Create the bucket and wait until it can be used; False when it was ours already."""
        arguments: dict[str, Any] = {}
        # S3 refuses the name of its first region here, and every store takes its own default without a name.
        if self._access.region != DEFAULT_REGION:
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self._access.region}
        try:
            self._call("CreateBucket", self._s3.create_bucket, **arguments)
        except StorageError as error:
            if error.code != "BucketAlreadyOwnedByYou":
                raise
            return False
        if not _settled(self.exists):
            raise errors.refused(self.request("ListObjectsV2"), "NoSuchBucket", 404)
        return True

    def remove(self) -> None:
        """Delete the bucket, which must be empty. It is no error when it is gone already."""
        try:
            self._call("DeleteBucket", self._s3.delete_bucket)
        except StorageError as error:
            if error.code != "NoSuchBucket":
                raise

    def put(self, key: str, content: bytes) -> str | None:
        """Write an object; return its version where the bucket keeps versions."""
        version = self._call("PutObject", self._s3.put_object, Key=key, Body=content).get("VersionId")
        return str(version) if version else None

    def put_unless_changed(self, key: str, content: bytes, before: Stored | None) -> bool:
        """Write an object if it is still the one that was read ``before`` (None: if there is none).

        False when it is not. A store without conditional writes, or one that ignores them, writes in any case.
        """
        condition = {"IfMatch": before.etag} if before else {"IfNoneMatch": "*"}
        try:
            self._call("PutObject", self._s3.put_object, Key=key, Body=content, **condition)
        except StorageError as error:
            if error.code in _TOO_LATE:
                return False
            if error.code not in _UNSUPPORTED:
                raise
            self.put(key, content)
        return True

    def get(self, key: str) -> bytes:
        """Read an object."""
        return self._read(key).content

    def find(self, key: str) -> Stored | None:
        """Read an object that need not be there."""
        try:
            return self._read(key)
        except StorageError as error:
            if error.code == "NoSuchKey":
                return None
            raise

    def _read(self, key: str) -> Stored:
        answer = self._call("GetObject", self._s3.get_object, Key=key)
        body = answer["Body"]
        with self._explained("GetObject"), body:
            return Stored(bytes(body.read()), str(answer.get("ETag", "")), answer.get("VersionId"))

    def can_read(self, key: str) -> bool | None:
        """Tell whether these credentials may read an object, by its first byte; None if the store does not say."""
        try:
            with self._call("GetObject", self._s3.get_object, Key=key, Range="bytes=0-0")["Body"]:
                return True
        except StorageError as error:
            if error.code in _DENIED:
                return False
            status = error.details["status"]
            if status == 416:
                return True  # It is empty.
            if status in (400, 404):
                return None  # It is encrypted with a key of the client, or gone.
            raise

    def keys(self, prefix: str) -> list[str]:
        """List the keys that begin with ``prefix``: at most one page of them."""
        return [str(item["Key"]) for item in self._list(Prefix=prefix).get("Contents", ())]

    def delete(self, key: str, version: str | None = None) -> None:
        """Delete an object, or one version of it for good."""
        which = {"VersionId": version} if version else {}
        self._call("DeleteObject", self._s3.delete_object, Key=key, **which)

    def objects(self, prefix: str = "") -> Iterator[Version]:
        """All objects, or those whose keys begin with ``prefix``."""
        within = {"Prefix": prefix} if prefix else {}
        position: dict[str, Any] = {}
        while True:
            page = self._list(**within, **position)
            keys = [str(item["Key"]) for item in page.get("Contents", ())]
            yield from map(Version, keys)
            token = page.get("NextContinuationToken")
            following = {"ContinuationToken": token} if token else {"Marker": keys[-1]} if keys else {}
            if not page.get("IsTruncated") or following in ({}, position):
                return
            position = following

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """All versions and delete markers, or those below ``prefix``; none where the store has no versions."""
        following = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        for page in self._pages(
            "ListObjectVersions", self._s3.list_object_versions, following, tolerated=_UNSUPPORTED, prefix=prefix
        ):
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                yield Version(str(item["Key"]), item.get("VersionId"))

    def uploads(self) -> Iterator[tuple[str, str]]:
        """Key and id of all unfinished uploads; none where the store has no such thing."""
        following = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        for page in self._pages(
            "ListMultipartUploads", self._s3.list_multipart_uploads, following, tolerated=_UNSUPPORTED
        ):
            for item in page.get("Uploads", ()):
                yield str(item["Key"]), str(item["UploadId"])

    def delete_all(self, which: Iterable[Version]) -> int:
        """Delete objects or versions, many at once where the store can; return how many."""
        deleted, remaining, one_by_one = 0, iter(which), False
        while batch := list(islice(remaining, BATCH)):
            if not one_by_one:
                one_by_one = not self._delete_batch(batch)
            if one_by_one:
                with ThreadPoolExecutor(SINGLE_DELETES_AT_ONCE) as pool:
                    list(pool.map(lambda item: self.delete(item.key, item.version), batch))
            deleted += len(batch)
        return deleted

    def abort_upload(self, key: str, upload: str) -> None:
        """Abort an unfinished upload. It is no error when it is gone already."""
        try:
            self._call("AbortMultipartUpload", self._s3.abort_multipart_upload, Key=key, UploadId=upload)
        except StorageError as error:
            if error.code != "NoSuchUpload":
                raise

    def tags(self) -> dict[str, str]:
        """The bucket's tags. StorageError naming ``tags`` where the store has none."""
        try:
            answer = self._optional("tags", "GetBucketTagging", self._s3.get_bucket_tagging)
        except StorageError as error:
            if error.code in _NO_TAGS:
                return {}
            raise
        return {str(tag["Key"]): str(tag["Value"]) for tag in answer.get("TagSet", ())}

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Make these the bucket's only tags. StorageError naming ``tags`` where the store has none."""
        if tags:
            tag_set = {"TagSet": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}
            self._optional("tags", "PutBucketTagging", self._s3.put_bucket_tagging, Tagging=tag_set)
        else:
            self._optional("tags", "DeleteBucketTagging", self._s3.delete_bucket_tagging)
        # A store that does not know the request may take it for another one.
        if not _settled(lambda: self.tags() == tags):
            raise errors.unsupported(self.request("PutBucketTagging"), "tags", "NotKept")

    def versioning(self) -> bool:
        """Whether the bucket keeps versions. StorageError naming ``versioning`` where the store cannot."""
        answer = self._optional("versioning", "GetBucketVersioning", self._s3.get_bucket_versioning)
        return answer.get("Status") == "Enabled"

    def set_versioning(self, enabled: bool) -> None:
        """Let the bucket keep versions, or no more new ones. StorageError naming ``versioning`` as above."""
        status = {"Status": "Enabled" if enabled else "Suspended"}
        self._optional(
            "versioning", "PutBucketVersioning", self._s3.put_bucket_versioning, VersioningConfiguration=status
        )
        if not _settled(lambda: self.versioning() is enabled):
            raise errors.unsupported(self.request("PutBucketVersioning"), "versioning", "NotKept")

    def _optional(
        self, parameter: str, operation: str, method: Callable[..., Mapping[str, Any]], **arguments: Any
    ) -> Mapping[str, Any]:
        """Call what not every store has."""
        try:
            return self._call(operation, method, **arguments)
        except StorageError as error:
            if error.code not in _UNSUPPORTED:
                raise
            status = cast(int, error.details["status"])
            raise errors.unsupported(self.request(operation), parameter, error.code, status) from None

    def _list(self, **arguments: Any) -> Mapping[str, Any]:
        """One page of objects, in the second version of S3's listing unless the store has only the first."""
        if not self._lists_v1:
            try:
                page = self._call("ListObjectsV2", self._s3.list_objects_v2, **arguments)
            except StorageError as error:
                if error.code not in _UNSUPPORTED:
                    raise
            else:
                if not page.keys() & _IN_LISTINGS:
                    raise errors.failure(self.request("ListObjectsV2"), "NotS3", errors.NOT_S3)
                # A store without it may ignore the version that is asked for: it counts nothing and gives no token.
                ends_early = "KeyCount" not in page or page.get("IsTruncated")
                self._lists_v1 = bool(ends_early and not page.get("NextContinuationToken"))
                return page
            self._lists_v1 = True
        return self._call("ListObjects", self._s3.list_objects, **arguments)

    def _delete_batch(self, batch: Iterable[Version]) -> bool:
        """Delete with one request; False when this store has no such request."""
        items = [{"Key": item.key, **({"VersionId": item.version} if item.version else {})} for item in batch]
        try:
            answer = self._call("DeleteObjects", self._s3.delete_objects, Delete={"Objects": items, "Quiet": True})
        except StorageError as error:
            refused = error.details["status"] == 400 and error.code in _NO_BATCH_DELETE_400
            if refused or error.code in _NO_BATCH_DELETE | _UNSUPPORTED:
                return False
            raise
        for failed in answer.get("Errors", ()):
            code = failed.get("Code")
            if code in _BUSY:
                # The request as a whole went well, so nobody has tried this one again.
                self.delete(str(failed["Key"]), failed.get("VersionId"))
            elif code not in ("NoSuchKey", "NoSuchVersion"):
                raise errors.refused(self.request("DeleteObjects"), str(code), 200)
        return True

    def _pages(
        self,
        operation: str,
        method: Callable[..., Mapping[str, Any]],
        following: Mapping[str, str],
        *,
        tolerated: frozenset[str] = frozenset(),
        prefix: str = "",
    ) -> Iterator[Mapping[str, Any]]:
        """All pages of a listing. ``following``: parameter of the next request by field of the answer before."""
        within = {"Prefix": prefix} if prefix else {}
        position: dict[str, Any] = {}
        while True:
            try:
                page = self._call(operation, method, **within, **position)
            except StorageError as error:
                if error.code in tolerated:
                    return
                raise
            yield page
            following_position = {name: page[answer] for name, answer in following.items() if page.get(answer)}
            if not page.get("IsTruncated") or following_position in ({}, position):
                return
            position = following_position

    def _call(self, operation: str, method: Callable[..., Mapping[str, Any]], **arguments: Any) -> Mapping[str, Any]:
        started = self._now()
        with self._explained(operation, started):
            answer = method(Bucket=self._access.bucket, **arguments)
        self._note_time(answer, started)
        return answer

    def _explained(self, operation: str, started: float | None = None) -> _Explained:
        return _Explained(self, operation, started)

    def _note_time(self, answer: Mapping[str, Any], started: float) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        self._skew = clock_skew(date, started, self._now())

    def _connect(self) -> S3Client:
        try:
            from botocore.config import Config
            from botocore.session import Session
        except ImportError:
            raise LibraryError("botocore", "to talk to S3") from None

        access = self._access
        verify: bool | str | None = None if access.validate_certs else False
        if access.ca and access.validate_certs:
            verify = self._files.enter_context(authority_file(access.ca))
        options: dict[str, Any] = {
            "signature_version": "s3v4",
            "s3": {"addressing_style": access.addressing_style},
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        }
        # Newer botocore adds checksums that other stores than AWS do not know; older has no such options.
        for option in ("request_checksum_calculation", "response_checksum_validation"):
            if option in Config.OPTION_DEFAULTS:
                options[option] = "when_required"
        # The result depends on the parameters, not on somebody's AWS profile.
        nothing = (None, None, os.devnull, None)
        session = Session(
            session_vars=cast(
                Any,
                {"profile": (None, None, None, None), "config_file": nothing, "credentials_file": nothing},
            )
        )
        client = session.create_client(
            "s3",
            region_name=access.region,
            endpoint_url=access.endpoint.url,
            aws_access_key_id=access.access_key,
            aws_secret_access_key=access.secret_key,
            verify=cast(Any, verify),
            config=Config(**options),
        )
        client.meta.events.register_first("needs-retry.s3", _stay_here)
        for operation in _WITH_MD5:
            client.meta.events.register(f"before-call.s3.{operation}", _add_md5)
        return cast("S3Client", client)


class _Explained:
    """Turn what botocore raises inside into StorageError."""

    def __init__(self, client: BucketClient, operation: str, started: float | None) -> None:
        self._client = client
        self._operation = operation
        self._started = started

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        request = self._client.request(self._operation)
        # No cause is kept: it holds the store's text.
        if isinstance(error, ClientError):
            answer = cast(Mapping[str, Any], error.response)
            if self._started is not None:
                self._client._note_time(answer, self._started)
            details, metadata = answer.get("Error", {}), answer.get("ResponseMetadata", {})
            raise errors.refused(
                request,
                str(details.get("Code", "")),
                int(metadata.get("HTTPStatusCode", 0)),
                region=details.get("Region") or metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region"),
                skew=self._client.clock_skew(),
            ) from None
        if isinstance(error, (BotoCoreError, ResponseParserError)):
            raise errors.unreachable(request, error) from None


def _settled(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SETTLING_TIMEOUT
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(SETTLING_INTERVAL)
    return True


def _add_md5(params: dict[str, Any], **_context: Any) -> None:
    """Send the checksum that every store knows in place of a newer one."""
    params["context"].get("checksum", {}).pop("request_algorithm", None)
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def _stay_here(response: Any, operation: Any, **_context: Any) -> None:
    """Report a wrong region, or any redirect, instead of following it: Thanos has to be told the right place.

    botocore would also ask for the region again and again where a server redirects everything, say to a login.
    """
    from botocore.exceptions import ClientError

    if response is None:
        return
    http, parsed = response
    if http.status_code in _REDIRECTS or parsed.get("Error", {}).get("Code") in _WRONG_REGION:
        raise ClientError(parsed, operation.name)
