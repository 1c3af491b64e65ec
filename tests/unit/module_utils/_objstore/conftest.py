# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.botocore_models import models_are_read_once

__all__ = ["models_are_read_once"]


@dataclass(frozen=True)
class Asked:
    """A request that arrived. ``query`` keeps the first value of each parameter."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: str | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def refusal(code: str, status: int, **more: str) -> Answer:
    """An error as S3 words it, with the things that must never be shown."""
    secrets = {"Message": "MESSAGE-OF-THE-STORE", "AWSAccessKeyId": "AKIDSHOWN", "CanonicalRequest": "CANONICAL"}
    content = "".join(f"<{name}>{value}</{name}>" for name, value in {"Code": code, **secrets, **more}.items())
    return Answer(status, f"<?xml version='1.0'?><Error>{content}</Error>")


Script = Callable[[Asked], Answer]


class FakeStore:
    """An HTTP server on loopback that answers as the script says and remembers what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.script: Script = lambda asked: refusal("NoSuchBucket", 404)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeStore]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(
                self.command, parts.path, query, {name.lower(): value for name, value in self.headers.items()}, body
            )
            fake.asked.append(asked)
            answer = fake.script(asked)
            content = answer.body.encode() if isinstance(answer.body, str) else answer.body
            self.send_response_only(answer.status)
            for name, value in {"Date": self.date_time_string(), **answer.headers}.items():
                if value:
                    self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            if "Content-Length" in answer.headers:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has gone away is part of the tests."""

    http = Server(("127.0.0.1", 0), Handler)
    fake = FakeStore(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def store(server: FakeStore) -> FakeStore:
    """The server, without a past."""
    server.asked = []
    server.script = lambda asked: refusal("NoSuchBucket", 404)
    return server
