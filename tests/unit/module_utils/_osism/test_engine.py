# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container engine, and Prometheus, answer when it is not what was hoped for, and what is said then."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._osism.engine import Engine, EngineError
from ansible_collections.scs.observability.plugins.module_utils._osism.prometheus import Client

Answers = Mapping[str, tuple[int, bytes]]


class _UnixServer(socketserver.UnixStreamServer):
    def get_request(self) -> tuple[Any, Any]:
        request, _address = super().get_request()
        return request, ("local", 0)


@contextmanager
def answering(answers: Answers, path: Path | None = None) -> Iterator[int]:
    """A server, at a socket in the file system or at a port of loopback, that answers by method and path."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answers.get(f"{self.command} {self.path.partition('?')[0]}", (404, b'{"message": "none"}'))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = _UnixServer(str(path), Handler) if path else HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield 0 if path else int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "engine.sock"


@pytest.mark.parametrize("host", ["tcp://192.0.2.1:2376", "ssh://host", "/run/docker.sock", "unix://run"])
def test_only_a_socket_of_this_host_will_do(host: str) -> None:
    with pytest.raises(InputError) as caught:
        Engine(host)
    assert caught.value.parameter == "docker_host"


def test_an_engine_that_is_not_there(socket_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory") as caught:
        Engine(f"unix://{socket_path}").container("any")
    assert caught.value.parameter == "docker_host"


def test_what_the_engine_refuses_is_told_in_its_own_words(socket_path: Path) -> None:
    refused = (500, b'{"message": "no space left"}')
    answers = {
        "GET /containers/x/json": refused,
        "POST /containers/create": (201, b"{}"),
        "POST /containers/x/start": refused,
        "DELETE /containers/x": refused,
    }
    with answering(answers, socket_path):
        engine = Engine(f"unix://{socket_path}")
        for call, what in (
            (lambda: engine.container("x"), "inspect"),
            (lambda: engine.create("x", {}), "start"),
            (lambda: engine.remove("x", 1), "remove"),
        ):
            with pytest.raises(EngineError, match=rf"did not {what} the container x \(500\): no space left"):
                call()
        # One that is gone already
        engine.remove("y", 1)
        assert (engine.container("y"), engine.volume("y"), engine.file("y", "/etc/passwd")) == (None, None, None)
        assert engine.logs("y", 1) == ""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, b'{"message": "manifest unknown"}'), "manifest unknown"),
        ((200, b'{"status": "Pulling"}\n{"error": "unauthorized"}\n'), "unauthorized"),
        ((500, b"bad gateway"), "bad gateway"),
    ],
)
def test_an_image_that_cannot_be_pulled(answer: tuple[int, bytes], reason: str, socket_path: Path) -> None:
    with answering({"POST /images/create": answer}, socket_path):
        engine = Engine(f"unix://{socket_path}")
        with pytest.raises(InputError, match=rf"cannot be pulled: {reason}") as caught:
            engine.pull("quay.io/thanos/thanos")
    assert caught.value.parameter == "image"


def test_logs_come_without_their_frames(socket_path: Path) -> None:
    framed = b"".join(
        bytes([kind, 0, 0, 0, 0, 0, 0, len(text)]) + text for kind, text in ((1, b"one\n"), (2, b"two\n"))
    )
    with answering({"GET /containers/x/logs": (200, framed)}, socket_path):
        assert Engine(f"unix://{socket_path}").logs("x", 2) == "one\ntwo"


CONFIG = "/api/v1/status/config"


@pytest.mark.parametrize(
    ("answer", "user", "parameter", "message"),
    [
        ((401, b""), "thanos", "prometheus_password", "refuses these credentials"),
        ((401, b""), "", "prometheus_user", "wants a user and a password"),
        ((404, b"not found"), "", "container", "it answered 404"),
        ((200, b"<html>"), "", "container", "it answered 200"),
        ((503, b"Service Unavailable"), "", "container", "it answered 503"),
    ],
)
def test_a_prometheus_that_does_not_tell(answer: tuple[int, bytes], user: str, parameter: str, message: str) -> None:
    with answering({f"GET {CONFIG}": answer}) as port, pytest.raises(InputError, match=message) as caught:
        Client(f"http://127.0.0.1:{port}", user, "swordfish" if user else "", 0).answers()
    assert caught.value.parameter == parameter
    assert "swordfish" not in str(caught.value)


def test_a_prometheus_that_is_not_there_is_waited_for() -> None:
    waited: list[float] = []
    with answering({}) as port:
        pass
    with pytest.raises(InputError, match="Connection refused") as caught:
        Client(f"http://127.0.0.1:{port}", "", "", 0.05, waited.append).answers()
    assert caught.value.parameter == "container"
    assert waited


def test_one_that_starts_is_asked_until_it_tells() -> None:
    answers: dict[str, tuple[int, bytes]] = {f"GET {CONFIG}": (503, b"")}

    def ready(_seconds: float) -> None:
        answers[f"GET {CONFIG}"] = (200, b'{"data": {"yaml": "global:\\n  external_labels:\\n    region: a\\n"}}')
        answers["GET /api/v1/status/buildinfo"] = (200, b'{"data": {"version": "3.2.1"}}')
        answers["GET /api/v1/status/flags"] = (200, b'{"data": {"storage.tsdb.path": "/data"}}')

    with answering(answers) as port:
        found = Client(f"http://127.0.0.1:{port}", "", "", 60, ready).answers()
    assert (found.version, found.tsdb_path, found.external_labels) == ("3.2.1", "/data", {"region": "a"})
