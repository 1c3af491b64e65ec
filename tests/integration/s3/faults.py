# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy with TLS before the real S3 server that does what stores, and the way to them, do wrong.

Requests go on as they are, the name of the host included, so their signatures stay good.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.integration.s3_server import S3Server

_HOP_BY_HOP = ("connection", "expect", "transfer-encoding", "content-length")


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def is_object(self) -> bool:
        return self.path.count("/") > 1


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class CutError(Exception):
    """The connection ends without an answer."""


def refusal(code: str, status: int, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode(), named)


def _pass_on(asked: Asked) -> Reply | None:
    return None


def _as_it_is(asked: Asked, reply: Reply) -> Reply:
    return reply


class FaultyStore:
    """``before`` may answer in place of the store, ``after`` may change its answer; both may raise CutError."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.before: Callable[[Asked], Reply | None] = _pass_on
        self.after: Callable[[Asked, Reply], Reply] = _as_it_is

    def counted(self, method: str, *, objects: bool) -> int:
        return sum(asked.method == method and asked.is_object is objects for asked in self.asked)


@contextmanager
def faulty(s3: S3Server) -> Iterator[FaultyStore]:
    folder = s3.ca.parent
    trust = ssl.create_default_context(cafile=str(s3.ca))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, parse_qs(parts.query, keep_blank_values=True), headers, body)
            store.asked.append(asked)
            try:
                reply = store.before(asked) or store.after(asked, self._upstream(body))
            except CutError:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            if "date" not in reply.headers:
                self.send_header("Date", self.date_time_string())
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "content-length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            if int(reply.headers.get("content-length", len(reply.body))) > len(reply.body):
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

        def _upstream(self, body: bytes) -> Reply:
            connection = http.client.HTTPSConnection("127.0.0.1", s3.port, context=trust, timeout=10)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                answer = connection.getresponse()
                headers = {name.lower(): value for name, value in answer.getheaders()}
                kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
                if self.command == "HEAD":
                    kept["content-length"] = headers.get("content-length", "0")
                return Reply(answer.status, answer.read(), kept)
            finally:
                connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has gone away is part of the tests."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with Server(("127.0.0.1", 0), Handler) as server:
        # The handshake is for the thread of the connection.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        store = FaultyStore(f"https://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
