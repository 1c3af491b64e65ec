# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's certificate and key, checked by a handshake in memory: a host has little more than Python itself."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors
from ansible_collections.scs.observability.plugins.module_utils._core.names import is_address

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----")
# OpenSSL's X509_V_FLAG_NO_CHECK_TIME: the times are told together with what else is wrong.
_ANY_TIME = 0x200000


@dataclass(frozen=True)
class ServerCertificate:
    """What a certificate says: the names and addresses that it is for, and when it ends."""

    names: tuple[str, ...]
    expires: datetime

    def covers(self, name: str) -> bool:
        if is_address(name):
            return any(is_address(item) and ip_address(item) == ip_address(name) for item in self.names)
        parent = "*." + name.partition(".")[2]
        return any(item.lower() in (name.lower(), parent.lower()) for item in self.names)


def check(
    certificate: str, key: str, name: str, now: datetime, *, certificate_parameter: str, key_parameter: str
) -> ServerCertificate:
    """Return what a server's certificate (PEM, its chain after it) says.

    Raises InputError, or InputErrors, naming the parameters: when a TLS client would not take it at ``now``, when it is
    not for ``name`` (unless that is empty), or when the key (PEM) is not its own.
    """
    if "PRIVATE KEY-----" in certificate:
        raise InputError("must hold certificates only, and no key", parameter=certificate_parameter)
    own = _CERTIFICATE.search(certificate)
    if own is None:
        raise InputError("is not a certificate in PEM form", parameter=certificate_parameter)
    if "ENCRYPTED" in key:
        raise InputError("is encrypted", parameter=key_parameter, advice="Give the key without encryption")
    # Its own anchor: by whom it is trusted is decided elsewhere.
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_ANY_TIME)
    try:
        client.load_verify_locations(cadata=own[0])
    except (ssl.SSLError, ValueError):
        raise InputError("is not a certificate in PEM form", parameter=certificate_parameter) from None
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(server, certificate, key, certificate_parameter, key_parameter)
    try:
        said = _handshake(client, server)
    except ssl.SSLCertVerificationError as error:
        raise InputError(f"is not for a TLS server: {error.verify_message}", parameter=certificate_parameter) from None
    except ssl.SSLError as error:
        raise InputError(f"is of no use for TLS: {error.reason}", parameter=certificate_parameter) from None
    found = ServerCertificate(
        tuple(value for kind, value in said.get("subjectAltName", ()) if kind in ("DNS", "IP Address")),
        _time(said, "notAfter"),
    )
    problems = []
    if not _time(said, "notBefore") <= now < found.expires:
        start, end = _time(said, "notBefore"), found.expires
        when = f"is not valid before {start:%Y-%m-%d %H:%M}" if now < start else f"expired on {end:%Y-%m-%d %H:%M}"
        problems.append(
            InputError(
                f"{when} UTC",
                parameter=certificate_parameter,
                advice=f"Here it is {now:%Y-%m-%d %H:%M} UTC: renew it, or set the clock",
            )
        )
    if name and not found.covers(name):
        problems.append(
            InputError(
                f"is for {', '.join(found.names) or 'no name (no subject alternative name)'}, not for {name}",
                parameter=certificate_parameter,
                advice="Who connects by that name would not trust the server",
            )
        )
    if problems:
        raise InputErrors(problems) if len(problems) > 1 else problems[0]
    return found


def _load(context: ssl.SSLContext, certificate: str, key: str, certificate_parameter: str, key_parameter: str) -> None:
    """Have a server use a pair, which is never in a file system."""
    with _in_memory(certificate) as certificate_path, _in_memory(key) as key_path:
        try:
            context.load_cert_chain(certificate_path, key_path)
        except ssl.SSLError as error:
            # No cause: what the parser says may quote the key.
            if error.reason and "MISMATCH" in error.reason:
                raise InputError("does not belong to the (first) certificate", parameter=key_parameter) from None
            if error.reason in ("CA_MD_TOO_WEAK", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL"):
                raise InputError(f"is refused by verifiers: {error.reason}", parameter=certificate_parameter) from None
            raise InputError("is not a private key in PEM form", parameter=key_parameter) from None


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    descriptor = os.memfd_create("pem")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _handshake(client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> Mapping[str, Any]:
    """Return what the client is shown. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.getpeercert() or {}


def _time(said: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(said[name])), UTC)
