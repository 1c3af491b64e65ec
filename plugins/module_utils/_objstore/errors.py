# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an S3 service's refusal, or its silence, means to an operator. Pure.

Only the error code of an answer is used, never its text: stores put access keys and canonical requests into it.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import StorageError


@dataclass(frozen=True)
class Request:
    """What was asked of which bucket, for the wording of errors."""

    operation: str
    bucket: str
    endpoint: str


@dataclass(frozen=True)
class Finding:
    """What was found instead of what was wanted, the parameter it is about, and what to do."""

    found: str
    advice: str
    parameter: str | None = None


# S3's operations as an operator would say them.
WANTED = {
    "ListObjectsV2": "list the objects",
    "ListObjects": "list the objects",
    "ListObjectVersions": "list the versions of objects",
    "ListMultipartUploads": "list the unfinished uploads",
    "CreateBucket": "create the bucket",
    "DeleteBucket": "delete the bucket",
    "PutObject": "write an object",
    "GetObject": "read an object",
    "DeleteObject": "delete an object",
    "DeleteObjects": "delete objects",
    "AbortMultipartUpload": "abort an unfinished upload",
    "GetBucketTagging": "read the bucket's tags",
    "PutBucketTagging": "set the bucket's tags",
    "DeleteBucketTagging": "remove the bucket's tags",
    "GetBucketVersioning": "read whether the bucket keeps versions",
    "PutBucketVersioning": "set whether the bucket keeps versions",
    # Not an operation of S3, but what several of them are for.
    "ClaimCompactor": "claim the bucket for a compactor",
}

_REGION_ADVICE = "Set region to the one that the store has for this bucket"
_ACCESS_DENIED = Finding(
    "access is denied: the credentials are known but may not do this, or the bucket belongs to somebody else",
    "Give these credentials list, read, write and delete on the bucket, or choose another name",
    "access_key",
)
# Some stores list only what a policy shows, so this is as much as is known.
NONE_OF_OURS = Finding(
    "the bucket is none of those that the store lists for these credentials: it belongs to somebody else, or no policy "
    "lets them in",
    "Choose another name, use the credentials of its owner, or give these list, read, write and delete on the bucket",
    "name",
)
OTHERS_OBJECTS = Finding(
    "an object that was there before cannot be read with these credentials",
    "Give them read and delete on what others wrote, too, for example by a policy of the bucket, or use another key of "
    "the user who wrote it",
    "access_key",
)
_MISSING_BUCKET = Finding("there is no such bucket", "Create it with the module bucket", "name")
_SKEWED = Finding(
    "the clocks of this machine and of the store differ too much for a signature to be accepted",
    "Synchronise both clocks (NTP)",
)
_REGION = Finding("the store has the bucket in another region", _REGION_ADVICE, "region")
_LOCATION = Finding(
    "the store does not create buckets in that region",
    "Set region to one that it has, or leave it out to create the bucket where the store does by default",
    "region",
)
_BUSY = Finding("the store asks to slow down or is not available", "Try again later; look at the store's load")
_UNSUPPORTED = Finding(
    "this store does not support the operation", "Check that the endpoint is that of the S3 interface", "endpoint"
)
_INTERNAL = Finding("the store had an internal error", "Look at the store's own log")
NOT_S3 = Finding("the answer is not one of an S3 service", "Check host, port and scheme of the endpoint", "endpoint")
_INVALID_NAME = Finding("the store does not take this bucket name", "Choose another name", "name")
_QUOTA = Finding("a quota of the account is used up", "Raise the quota, or remove what is not needed")
_FULL = Finding("the store is full", "Add space to the store, or remove what is not needed")
_RACE = Finding("something else wrote the same object at that moment", "Try again")
_SIGNATURE = Finding(
    "the signature is wrong: the secret key does not belong to the access key (some stores answer the same for an "
    "unknown access key or another region)",
    "Check access_key, secret_key and region",
    "secret_key",
)
_UNKNOWN_KEY = Finding("the store does not know this access key", "Check access_key and the endpoint", "access_key")
_LOCKED = Finding("a hold or retention protects the object", "Wait until it ends, or have it lifted")

FINDINGS: dict[str, Finding] = {
    "AccessDenied": _ACCESS_DENIED,
    "AccountProblem": _ACCESS_DENIED,
    "AllAccessDisabled": _ACCESS_DENIED,
    "MethodNotAllowed": _UNSUPPORTED,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "NoSuchAccessKey": _UNKNOWN_KEY,
    "XAdminUserNotFound": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": _SIGNATURE,
    "RequestTimeTooSkewed": _SKEWED,
    "RequestExpired": _SKEWED,
    "NoSuchBucket": _MISSING_BUCKET,
    "NoSuchKey": Finding("the object is not there", "Something else removed it, or the store is not consistent"),
    "BucketAlreadyExists": Finding(
        "the bucket belongs to somebody else: names are unique among all users of the store",
        "Choose another name, or use the credentials of its owner",
        "name",
    ),
    "BucketNotEmpty": Finding("the bucket is not empty", "Empty it, or delete its content with force: true", "force"),
    "OperationAborted": Finding("another operation on this bucket is going on", "Try again in a few minutes", "name"),
    "InvalidBucketName": _INVALID_NAME,
    "TooManyBuckets": _QUOTA,
    "QuotaExceeded": _QUOTA,
    "XMinioAdminBucketQuotaExceeded": _QUOTA,
    "XMinioStorageFull": _FULL,
    "UserSuspended": Finding("the store has suspended the user of these credentials", "Ask its operator", "access_key"),
    "InvalidObjectState": Finding(
        "the object is archived and cannot be read", "Restore it, and let no lifecycle rule archive Thanos' objects"
    ),
    "PreconditionFailed": _RACE,
    "ConditionalRequestConflict": _RACE,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "IllegalLocationConstraintException": _LOCATION,
    "InvalidLocationConstraint": _LOCATION,
    "InvalidRegionName": _LOCATION,
    "InvalidRegion": _LOCATION,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "RequestTimeout": _BUSY,
    "XMinioServerNotInitialized": _BUSY,
    "InternalError": _INTERNAL,
    "NotImplemented": _UNSUPPORTED,
    "ObjectLocked": _LOCKED,
}

# Answers without a code, such as those of proxies, and codes that are not in the table.
_BY_STATUS: dict[int, Finding] = {
    301: _REGION,
    302: NOT_S3,
    307: _REGION,
    401: _ACCESS_DENIED,
    403: _ACCESS_DENIED,
    404: NOT_S3,
    405: _UNSUPPORTED,
    429: _BUSY,
    # botocore, too, makes this of an answer that is not XML.
    500: Finding(
        "the store had an internal error, or the answer is not one of an S3 service",
        "Check the endpoint; look at the store's own log",
        "endpoint",
    ),
    501: _UNSUPPORTED,
    502: Finding("a proxy before the store got no answer from it", "Look at the proxy and at the store"),
    503: _BUSY,
    504: Finding("a proxy before the store got no answer from it", "Look at the proxy and at the store"),
    507: _FULL,
}
_OTHER = Finding("the store refused", "Look for the code in the store's documentation and log")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,63}")

# OpenSSL's X509_V_ERR_…
_CERTIFICATE_EXPIRED = 10
_AUTHORITY_UNKNOWN = (2, 18, 19, 20, 21)
_NAME_MISMATCH = (62, 63, 64)


def refused(
    request: Request, code: str, status: int, *, region: str | None = None, skew: int | None = None
) -> StorageError:
    """Explain an answer of the store that is an error.

    ``code`` is S3's code, or whatever the answer had in its place, ``region`` the one that the answer names, ``skew``
    the seconds by which the store's clock is ahead (negative: behind).
    """
    known = code if _CODE.fullmatch(code) else ""
    finding = FINDINGS.get(known) or _BY_STATUS.get(status) or _OTHER
    if status == 400 and not known:
        # Such as of a proxy that is spoken to without TLS.
        finding = NOT_S3
    found, advice = finding.found, finding.advice
    if finding in (_REGION, _LOCATION) and region and _CODE.fullmatch(region.replace("-", "")):
        found, advice = f"{found}: {region}", f"Set region to {region}"
    if finding is _SKEWED and skew is not None:
        found = f"{found}: the store's is {_ahead(skew)}"
    return failure(request, known or str(status), Finding(found, advice, finding.parameter), status=status)


def unsupported(request: Request, parameter: str, code: str, status: int | None = None) -> StorageError:
    """Explain that this store has nothing like ``parameter``, which was asked for."""
    return failure(
        request, code, Finding("this store does not support it", f"Leave {parameter} out", parameter), status=status
    )


def unreachable(request: Request, error: BaseException) -> StorageError:
    """Explain why there is no (usable) answer, from the exception of the HTTP client and what caused it."""
    found = list(causes(error))
    for kind, explain in _TRANSPORT:
        for cause in found:
            if isinstance(cause, kind):
                code, finding = explain(cause)
                return failure(request, code, finding)
    names = {type(cause).__name__: cause for cause in found}
    if "CertificateError" in names:
        # urllib3 compares names itself
        return failure(request, *_other_name(str(names["CertificateError"])))
    if "ResponseParserError" in names:
        return failure(request, "NotS3", NOT_S3)
    if names.keys() & {"ConnectTimeoutError", "ReadTimeoutError"}:
        return failure(request, "Timeout", _TIMEOUT)
    text = f"the connection failed ({type(error).__name__})"
    return failure(
        request,
        "ConnectionFailed",
        Finding(text, "Check the endpoint, and proxies in the environment", "endpoint"),
    )


def failure(request: Request, code: str, finding: Finding, *, status: int | None = None) -> StorageError:
    """Return the error: what was wanted, what was found instead, what to do."""
    wanted = WANTED.get(request.operation, request.operation)
    answer = f"{code}, HTTP {status}" if status is not None and code != str(status) else code
    if code == str(status):
        answer = f"HTTP {status}"
    return StorageError(
        f"could not {wanted} (bucket {request.bucket} at {request.endpoint}): {finding.found} ({answer})",
        code=code,
        operation=request.operation,
        bucket=request.bucket,
        parameter=finding.parameter,
        advice=finding.advice,
        details={"wanted": wanted, "found": finding.found, "endpoint": request.endpoint, "status": status},
    )


def _certificate_refused(error: Any) -> tuple[str, Finding]:
    reason = (error.verify_message or "certificate verify failed").rstrip(".")
    if error.verify_code in _NAME_MISMATCH:
        return _other_name(reason)
    if error.verify_code in _AUTHORITY_UNKNOWN:
        return "TlsAuthority", Finding(
            f"the authority of the store's certificate is not trusted ({reason})",
            "Give the certificate (PEM) of the store's authority",
            "ca_path",
        )
    if error.verify_code == _CERTIFICATE_EXPIRED:
        return "TlsExpired", Finding(
            "the store's certificate, or its authority's, has expired", "Renew it; check the clock of this machine"
        )
    return "TlsCertificate", Finding(
        f"the store's certificate is refused ({reason})", "Look at it with: openssl s_client -connect", "endpoint"
    )


def _other_name(reason: str) -> tuple[str, Finding]:
    return "TlsName", Finding(
        f"the store's certificate is for another name ({reason})",
        "Use a name or address that is in the certificate, or have this one added to it",
        "endpoint",
    )


def _tls_failed(error: Any) -> tuple[str, Finding]:
    return "TlsFailed", Finding(
        f"the TLS connection failed ({getattr(error, 'reason', None) or 'no reason given'})",
        "Check that the endpoint's port speaks TLS; without TLS its scheme is http",
        "endpoint",
    )


_TIMEOUT = Finding(
    "there is no answer in time",
    "Check the endpoint's address, routes, firewalls and proxies, and the store's load",
    "endpoint",
)
_NO_NAME = Finding("the host's name cannot be resolved", "Check the endpoint's host and the DNS", "endpoint")
_REFUSED = Finding("the connection is refused", "Check the endpoint's port and that the store runs", "endpoint")

# The most telling cause first: a refused certificate is a failed TLS connection, too.
_TRANSPORT: tuple[tuple[type[BaseException], Callable[[Any], tuple[str, Finding]]], ...] = (
    (ssl.SSLCertVerificationError, _certificate_refused),
    (ssl.SSLError, _tls_failed),
    (socket.gaierror, lambda _error: ("NameResolution", _NO_NAME)),
    (ConnectionRefusedError, lambda _error: ("ConnectionRefused", _REFUSED)),
    (TimeoutError, lambda _error: ("Timeout", _TIMEOUT)),
)


def _ahead(seconds: int) -> str:
    return f"{abs(seconds)} s {'ahead' if seconds > 0 else 'behind'}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps: HTTP clients nest them as cause, context, reason, argument or keyword."""
    pending, seen = [error], set()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        nested = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        keywords = getattr(current, "kwargs", None)
        if isinstance(keywords, dict):
            nested.extend(keywords.values())
        pending.extend(item for item in nested if isinstance(item, BaseException))
