# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server on loopback that answers what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import Connection


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    connection: int


@dataclass
class Answer:
    """What it answers: a status and an object or bytes; or nothing at all, then it closes the connection."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False


HANG_UP = Answer(close=True)


def failure(code: int, reason: str, message: str, *causes: dict[str, str]) -> Answer:
    """Return a failure as the API server words it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return Answer(code, {**body, "details": {"causes": list(causes)}, "code": code})


NOT_FOUND = failure(404, "NotFound", 'configmaps "x" not found')


class ScriptedApi:
    """Answers per method and path, in order, the last one again and again; 404 for anything else."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._lock = threading.Lock()
        self._connections = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                with api._lock:
                    api._connections += 1
                    self.number = api._connections
                super().setup()

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                content = self.rfile.read(length)
                url = urlsplit(self.path)
                request = Request(
                    self.command,
                    url.path,
                    {name: values[0] for name, values in parse_qs(url.query).items()},
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(content) if content else None,
                    self.number,
                )
                answer = api.next_answer(request)
                if answer.close:
                    self.close_connection = True
                    return
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *args: Any) -> None:
                """Keep the tests' output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def next_answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            answers = self._answers.get((request.method, request.path)) or [NOT_FOUND]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def on(self, method: str, path: str, *answers: Answer | dict[str, Any]) -> None:
        self._answers[(method, path)] = [
            answer if isinstance(answer, Answer) else Answer(body=answer) for answer in answers
        ]

    def asked(self, method: str) -> list[str]:
        """Return the paths that were asked with a method, sorted."""
        return sorted(request.path for request in self.requests if request.method == method)


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    scripted = ScriptedApi()
    thread = threading.Thread(target=scripted.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    scripted.server.shutdown()
    scripted.server.server_close()
    thread.join()


@pytest.fixture
def pauses() -> list[float]:
    """Return the seconds that were slept, without sleeping."""
    return []


@pytest.fixture
def client(api: ScriptedApi, pauses: list[float]) -> Iterator[KubernetesClient]:
    connected = KubernetesClient(Connection(server=api.url, context="test"), sleep=pauses.append)
    yield connected
    connected.close()


@dataclass
class Time:
    """A clock that goes on when somebody sleeps, and then lets something happen."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    events: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        due = [event for at, event in self.events if at <= self.now]
        self.events = [(at, event) for at, event in self.events if at > self.now]
        for event in due:
            event()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self.events.append((self.now + seconds, event))


@pytest.fixture
def time() -> Time:
    return Time()
