# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The released bundle of the Prometheus Operator, from a file or by HTTPS, and nothing but what it must be."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import prometheus_operator

# Bundles have four million bytes.
LARGEST = 32 * 1024**2
# Seconds for the whole download, and without a byte.
LONGEST = 120.0
SILENCE = 20
_CHUNK = 2**16
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")


def checksum(value: str, parameter: str) -> str:
    """Return a checksum that a bundle can be held to."""
    if not _CHECKSUM.fullmatch(value):
        raise InputError(
            f"{value!r} is not a checksum", parameter=parameter, advice="Use sha256: and 64 hexadecimal digits"
        )
    return value


def location(value: str, parameter: str) -> str:
    """Return a path or an https URL; what is not encrypted, or no such thing, is refused."""
    if "://" in value and not value.startswith("https://"):
        raise InputError(f"{value!r} is neither a path nor an https URL", parameter=parameter)
    return value


def verified(place: str, wanted: str) -> bytes:
    """Return the content of a bundle, never read before its checksum is right. Raises InputError."""
    content = b"".join(_limited(_downloaded(place) if place.startswith("https://") else _read(place)))
    found = prometheus_operator.checksum_of(content)
    if found != wanted:
        raise InputError(
            f"wanted is {wanted}, and {place} has {found}",
            parameter="bundle_checksum",
            advice="Nothing was touched. Give the bundle of the release that is meant, and that release's checksum",
            details={"wanted": wanted, "found": found},
        )
    return content


def _limited(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size, deadline = 0, time.monotonic() + LONGEST
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST:
            raise InputError(f"has more than {LARGEST} bytes, which no bundle has", parameter="bundle")
        if time.monotonic() > deadline:
            raise InputError(f"is not there after {LONGEST:.0f} s", parameter="bundle", advice="Use a place nearby")
        yield chunk


def _read(path: str) -> Iterator[bytes]:
    try:
        with Path(path).expanduser().open("rb") as file:
            yield from iter(lambda: file.read(_CHUNK), b"")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", parameter="bundle", advice="It is read where the module runs"
        ) from error


def _downloaded(url: str) -> Iterator[bytes]:
    # Here because it is needed once in a cluster's life, and takes long.
    from http.client import HTTPException  # noqa: PLC0415

    from ansible.module_utils import urls  # noqa: PLC0415

    try:
        response: Any = urls.open_url(url, timeout=SILENCE, follow_redirects="safe", http_agent="scs.observability")
        with response:
            if not response.geturl().startswith("https://"):
                raise InputError(f"{url} leads to a place without TLS", parameter="bundle")
            yield from iter(lambda: response.read(_CHUNK), b"")
    except (OSError, HTTPException, urls.ConnectionError) as error:
        raise InputError(
            f"{url} cannot be had: {error}",
            parameter="bundle",
            advice="Give the path of a copy, or the URL of a mirror, where there is no way to it",
        ) from error
