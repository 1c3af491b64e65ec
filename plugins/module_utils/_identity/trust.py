# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates by which a server is to be known, checked with the standard library: many runs check nothing else."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----")


def trusted(text: str, now: datetime, parameter: str) -> str:
    """Return the certificates (PEM) in a text, without the comments that bundles come with.

    Beside an authority that is valid now, others may be about to come, or gone. Raises InputError naming the parameter
    when there is none that can be read, none is valid, or a key is among them.
    """
    if "PRIVATE KEY-----" in text:
        raise InputError("must hold certificates only, and no key", parameter=parameter)
    certificates = "".join(f"{block}\n" for block in _CERTIFICATE.findall(text))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError):
        raise InputError(
            "holds no PEM certificate that can be read",
            parameter=parameter,
            advice="Give it from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, line breaks included",
        ) from None
    # A server's own certificate may stand for itself; the library tells the times of authorities only.
    times = [tuple(_time(str(item[name])) for name in ("notBefore", "notAfter")) for item in context.get_ca_certs()]
    if times and not any(start <= now < end for start, end in times):
        start, end = max(times, key=lambda pair: pair[1])
        found = f"is not valid before {start:%Y-%m-%d %H:%M}" if now < start else f"expired on {end:%Y-%m-%d %H:%M}"
        raise InputError(
            f"{found} UTC",
            parameter=parameter,
            advice=f"Here it is {now:%Y-%m-%d %H:%M} UTC: renew it, or set the clock",
        )
    return certificates


def authority_from(path: str | None, content: str | None) -> str | None:
    """Return the certificates (PEM) that one of the parameters ca_path and ca_content gives. Raises InputError."""
    if path and content:
        raise InputError("excludes ca_content", parameter="ca_path", advice="Give one of the two")
    if not path and not content:
        return None
    parameter, text = "ca_content", content or ""
    if path:
        parameter = "ca_path"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}", parameter=parameter) from error
    return trusted(text, datetime.now(UTC), parameter)


@contextmanager
def authority_file(certificates: str) -> Iterator[str]:
    """A file with certificates (PEM), for libraries that take nothing else; it is there until the end of the block."""
    descriptor, path = tempfile.mkstemp(prefix="scs-observability-", suffix=".crt")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(certificates)
        yield path
    finally:
        os.unlink(path)


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
