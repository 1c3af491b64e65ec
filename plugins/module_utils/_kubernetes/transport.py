# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP to one API server: connections that are kept, TLS, bounded retries.

Built on the standard library's http.client: importing urllib3 would cost every module call four times as much.
"""

from __future__ import annotations

import http.client
import queue
import re
import socket
import ssl
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import Connection

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
# Seconds before the second, third and fourth attempt.
RETRY_DELAYS = (0.1, 0.4, 1.5)
# What a server asks for with Retry-After is honoured up to this.
LONGEST_RETRY_AFTER = 10.0

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Response(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreachable(Exception):
    """There is no answer; the text says why, the cause is the error of the operating system or of TLS."""


class Transport:
    """A pool of kept connections; may be used by several threads."""

    def __init__(self, connection: Connection, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connection = connection
        self._sleep = sleep
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        url = urlsplit(connection.server)
        self._secure = url.scheme == "https"
        self._host = url.hostname or ""
        self._port = url.port or (443 if self._secure else 80)
        self._prefix = url.path
        self._context = tls_context(connection) if self._secure else None
        self._headers = [("User-Agent", "scs.observability"), *connection.impersonate]
        if connection.token:
            self._headers.append(("Authorization", f"Bearer {connection.token}"))
        proxy = urlsplit(connection.proxy)
        if connection.proxy and (proxy.scheme != "http" or not proxy.hostname):
            raise InputError(
                f"the proxy {proxy.scheme}://{proxy.hostname} is not supported",
                parameter=connection.parameter,
                advice="Use an http:// proxy",
            )
        self._proxy = proxy if connection.proxy else None

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        idempotent: bool = True,
        retry_status: bool = True,
    ) -> Response:
        """Send a request; ``path`` is quoted and has its query.

        Sent again, a few times within seconds: on 429, and if ``idempotent`` on lost connections and on 500, 502, 503,
        504. ``retry_status`` False leaves statuses alone (they may be those of a proxied application). Raises
        Unreachable when there is no answer.
        """
        delays = list(RETRY_DELAYS)
        while True:
            try:
                response = self._attempt(method, path, headers, body, fresh=not idempotent)
            except _NeverSent as error:
                if not delays or not error.may_pass:
                    raise Unreachable(str(error)) from error.__cause__
                retry_after = None
            except (OSError, http.client.HTTPException) as error:
                # A server ends connections that are not used for a while, a kept one just before it is used again.
                lost = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
                final = isinstance(error, TimeoutError | ssl.SSLError) and not lost
                if not delays or not idempotent or final:
                    raise Unreachable(reason_of(error)) from error
                # The others were kept as long.
                self.close()
                retry_after = None
            else:
                again = response.status == 429 or (idempotent and response.status in (500, 502, 503, 504))
                if not (again and retry_status and delays):
                    return response
                retry_after = _seconds(response.headers.get("retry-after"))
            delay = delays.pop(0)
            self._sleep(delay if retry_after is None else min(max(retry_after, delay), LONGEST_RETRY_AFTER))

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _attempt(
        self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes | None, *, fresh: bool
    ) -> Response:
        # A kept connection may just be closed by the other end: not for what must not be sent twice.
        connection = self._connect() if fresh else self._kept_or_new()
        try:
            connection.putrequest(method, self._prefix + path)
            for name, value in (*self._headers, *headers):
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            response = Response(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._idle.put(connection)
        return response

    def _kept_or_new(self) -> http.client.HTTPConnection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        connection = self._new_connection()
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            may_pass = isinstance(error, ConnectionError) or (
                isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            )
            raise _NeverSent(reason_of(error), may_pass) from error
        if connection.sock is not None:
            connection.sock.settimeout(READ_TIMEOUT)
        return connection

    def _new_connection(self) -> http.client.HTTPConnection:
        host, port = self._host, self._port
        if self._proxy is not None:
            host, port = self._proxy.hostname or "", self._proxy.port or 80
        connection: http.client.HTTPConnection
        if self._context is not None:
            name = self._connection.server_name or self._host
            connection = _TlsConnection(host, port, timeout=CONNECT_TIMEOUT, context=self._context, server_name=name)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
        if self._proxy is not None:
            credentials = {}
            if self._proxy.username:
                pair = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
                credentials["Proxy-Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
            connection.set_tunnel(self._host, self._port, headers=credentials)
        return connection


class _NeverSent(Exception):
    """The connection could not be made, so the server has seen nothing."""

    def __init__(self, reason: str, may_pass: bool) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


class _TlsConnection(http.client.HTTPSConnection):
    """A connection that checks the server's certificate against a name of its own (tls-server-name)."""

    def __init__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext, server_name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context
        self._server_name = server_name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name)


def tls_context(connection: Connection) -> ssl.SSLContext:
    """Return a context that trusts the kubeconfig's authority (without one: the system's) and shows its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not connection.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.authority:
        try:
            context.load_verify_locations(cadata="\n".join(_CERTIFICATE.findall(connection.authority)))
        except (ssl.SSLError, ValueError):
            raise InputError(
                "the certificate authority is not a PEM certificate", parameter=connection.parameter
            ) from None
    else:
        context.load_default_certs()
    if connection.certificate:
        _load_key_pair(context, connection)
    return context


def _load_key_pair(context: ssl.SSLContext, connection: Connection) -> None:
    # OpenSSL reads a key pair from a file only: a private one that is gone as soon as it has been read.
    with tempfile.NamedTemporaryFile(mode="w", encoding="utf-8", prefix="scs-observability-", suffix=".pem") as file:
        file.write(f"{connection.certificate.rstrip()}\n{connection.key.rstrip()}\n")
        file.flush()
        try:
            # An encrypted key must fail, not ask at a terminal.
            context.load_cert_chain(file.name, password="")
        except (ssl.SSLError, ValueError):
            raise InputError(
                "client certificate and key are not a pair of PEM texts (without a passphrase)",
                parameter=connection.parameter,
            ) from None


def reason_of(error: Exception) -> str:
    """Return in few words why a connection failed."""
    match error:
        case ssl.SSLCertVerificationError():
            reason = f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            reason = f"TLS failed: {error.reason or error}"
        case TimeoutError():
            reason = "no answer in time"
        case socket.gaierror():
            reason = "the name of the host is not known"
        case OSError() if error.strerror:
            reason = error.strerror.lower()
        case ConnectionError():
            reason = "the connection was closed"
        case _:
            reason = str(error) or type(error).__name__
    return reason


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.strip().isdigit() else None
