# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import socket
import ssl
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import (
    FINDINGS,
    WANTED,
    Request,
    refused,
    unreachable,
)

REQUEST = Request("ListObjectsV2", "thanos", "https://s3.example.com")


@pytest.mark.parametrize(
    ("code", "status", "parameter", "found"),
    [
        ("AccessDenied", 403, "access_key", "may not do this"),
        ("InvalidAccessKeyId", 403, "access_key", "does not know this access key"),
        ("XAdminUserNotFound", 404, "access_key", "does not know this access key"),
        ("SignatureDoesNotMatch", 403, "secret_key", "the signature is wrong"),
        ("NoSuchBucket", 404, "name", "no such bucket"),
        ("BucketAlreadyExists", 409, "name", "belongs to somebody else"),
        ("BucketNotEmpty", 409, "force", "not empty"),
        ("OperationAborted", 409, "name", "another operation"),
        ("InvalidBucketName", 400, "name", "does not take this bucket name"),
        ("InvalidLocationConstraint", 400, "region", "does not create buckets in that region"),
        ("AuthorizationHeaderMalformed", 400, "region", "in another region"),
        ("PermanentRedirect", 301, "region", "in another region"),
        ("NotImplemented", 501, "endpoint", "does not support"),
        ("SlowDown", 503, None, "slow down"),
        ("InternalError", 500, None, "internal error"),
        ("TooManyBuckets", 400, None, "quota"),
        ("RequestTimeTooSkewed", 403, None, "clocks"),
        # Answers without one of S3's codes: botocore puts the status there.
        ("403", 403, "access_key", "may not do this"),
        ("404", 404, "endpoint", "not one of an S3 service"),
        ("502", 502, None, "proxy"),
        ("503", 503, None, "slow down"),
        ("418", 418, None, "the store refused"),
        ("", 500, "endpoint", "not one of an S3 service"),
        ("400", 400, "endpoint", "not one of an S3 service"),
        ("InvalidRequest", 400, None, "the store refused"),
        ("507", 507, None, "the store is full"),
        ("XMinioStorageFull", 507, None, "the store is full"),
        ("UserSuspended", 403, "access_key", "suspended"),
        ("InvalidRegion", 400, "region", "does not create buckets in that region"),
        ("InvalidObjectState", 403, None, "archived"),
        # Codes of a store of its own are explained by the status.
        ("XSomethingElse", 403, "access_key", "may not do this"),
    ],
)
def test_refusals(code: str, status: int, parameter: str | None, found: str) -> None:
    error = refused(REQUEST, code, status)
    assert error.parameter == parameter
    assert found in str(error.details["found"])
    assert found in str(error)
    assert error.advice
    assert (error.operation, error.bucket) == ("ListObjectsV2", "thanos")
    assert error.details["wanted"] == "list the objects"
    assert error.details["status"] == status
    assert "could not list the objects (bucket thanos at https://s3.example.com)" in str(error)


def test_code_and_status_are_told_once() -> None:
    assert "(AccessDenied, HTTP 403)" in str(refused(REQUEST, "AccessDenied", 403))
    assert "(HTTP 403)" in str(refused(REQUEST, "403", 403))
    assert refused(REQUEST, "403", 403).code == "403"


@pytest.mark.parametrize("code", ["<script>", "AKIA SECRET", "a" * 65, "Zugriff\u00fc", "x\ny"])
def test_what_is_no_code_is_not_repeated(code: str) -> None:
    error = refused(REQUEST, code, 403)
    assert code not in str(error.result())
    assert error.code == "403"


def test_the_region_that_the_store_names() -> None:
    error = refused(REQUEST, "PermanentRedirect", 301, region="eu-central-1")
    assert "another region: eu-central-1" in str(error)
    assert error.advice == "Set region to eu-central-1"


@pytest.mark.parametrize("region", ["", None, "a b", "x" * 100])
def test_a_region_that_is_none_is_not_repeated(region: str | None) -> None:
    assert "Set region to the one" in str(refused(REQUEST, "PermanentRedirect", 301, region=region))


@pytest.mark.parametrize(("skew", "text"), [(1200, "1200 s ahead"), (-1200, "1200 s behind")])
def test_the_clocks(skew: int, text: str) -> None:
    assert text in str(refused(REQUEST, "RequestTimeTooSkewed", 403, skew=skew))


def test_every_finding_advises() -> None:
    for code in FINDINGS:
        assert refused(REQUEST, code, 400).code == code
        assert FINDINGS[code].advice


def test_operations_without_words_are_named() -> None:
    assert "could not HeadBucket" in str(refused(Request("HeadBucket", "b", "e"), "AccessDenied", 403))
    assert all(words for words in WANTED.values())


def certificate_error(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def wrapped(cause: BaseException, how: str) -> BaseException:
    """An exception that holds another one in the ways of botocore and urllib3."""
    outer: Any = RuntimeError("outer")
    if how == "cause":
        outer.__cause__ = cause
    elif how == "context":
        outer.__context__ = cause
    elif how == "keyword":
        outer.kwargs = {"error": RuntimeError(cause), "endpoint_url": "https://s3.example.com"}
    elif how == "reason":
        outer.reason = cause
    return outer  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["cause", "context", "keyword", "reason"])
@pytest.mark.parametrize(
    ("cause", "code", "parameter"),
    [
        (certificate_error(62, "Hostname mismatch, certificate is not valid for 's3'."), "TlsName", "endpoint"),
        (certificate_error(64, "IP address mismatch"), "TlsName", "endpoint"),
        (certificate_error(18, "self-signed certificate"), "TlsAuthority", "ca_path"),
        (certificate_error(19, "self-signed certificate in certificate chain"), "TlsAuthority", "ca_path"),
        (certificate_error(20, "unable to get local issuer certificate"), "TlsAuthority", "ca_path"),
        (certificate_error(10, "certificate has expired"), "TlsExpired", None),
        (certificate_error(26, "unsuitable certificate purpose"), "TlsCertificate", "endpoint"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TlsFailed", "endpoint"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "NameResolution", "endpoint"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "ConnectionRefused", "endpoint"),
        (TimeoutError("timed out"), "Timeout", "endpoint"),
        (type("CertificateError", (ValueError,), {})("hostname 'a' doesn't match 'b'"), "TlsName", "endpoint"),
        (type("ConnectTimeoutError", (Exception,), {})(), "Timeout", "endpoint"),
        (type("ReadTimeoutError", (Exception,), {})(), "Timeout", "endpoint"),
        (type("ResponseParserError", (Exception,), {})("<html>SECRET"), "NotS3", "endpoint"),
        (OSError("something"), "ConnectionFailed", "endpoint"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_silence(cause: BaseException, code: str, parameter: str | None, how: str) -> None:
    error = unreachable(REQUEST, wrapped(cause, how))
    assert isinstance(error, StorageError)
    assert (error.code, error.parameter, error.details["status"]) == (code, parameter, None)
    assert error.advice
    assert "SECRET" not in str(error.result())


def test_exceptions_in_a_circle() -> None:
    first, second = RuntimeError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first
    assert unreachable(REQUEST, first).code == "ConnectionFailed"
