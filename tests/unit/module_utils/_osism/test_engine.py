# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container engine, and Prometheus, answer when it is not what was hoped for, and what is said then."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping, MutableSequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors
from ansible_collections.scs.observability.plugins.module_utils._osism import operation
from ansible_collections.scs.observability.plugins.module_utils._osism.engine import Engine, EngineError
from ansible_collections.scs.observability.plugins.module_utils._osism.prometheus import Client
from tests import pki

Answers = Mapping[str, tuple[int, bytes]]


class _UnixServer(socketserver.UnixStreamServer):
    def get_request(self) -> tuple[Any, Any]:
        request, _address = super().get_request()
        return request, ("local", 0)


@contextmanager
def answering(answers: Answers, path: Path | None = None, asked: MutableSequence[str] | None = None) -> Iterator[int]:
    """A server, at a socket in the file system or at a port of loopback, that answers by method and path. What it was
    ``asked`` for is added there.
    """

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = f"{self.command} {self.path.partition('?')[0]}"
            if asked is not None:
                asked.append(request)
            status, body = answers.get(request, (404, b'{"message": "none"}'))
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


def test_an_image_that_the_registry_does_not_have(socket_path: Path) -> None:
    answers = {
        "GET /distribution/quay.io/thanos/thanos%3Av1/json": (200, b"{}"),
        "GET /distribution/quay.io/thanos/thanos%3Av2/json": (404, b'{"message": "manifest unknown"}'),
    }
    with answering(answers, socket_path):
        engine = Engine(f"unix://{socket_path}")
        engine.offered("quay.io/thanos/thanos:v1")
        with pytest.raises(InputError, match=r"thanos:v2 .*cannot be pulled: manifest unknown") as caught:
            engine.offered("quay.io/thanos/thanos:v2")
    assert caught.value.parameter == "image"


IMAGE = "registry.example.org/thanos"
PROMETHEUS = {
    "/api/v1/status/config": {"yaml": "global:\n  external_labels:\n    region: a\n"},
    "/api/v1/status/buildinfo": {"version": "3.2.1"},
    "/api/v1/status/flags": {"storage.tsdb.path": "/data"},
}
DENIED = (403, b'{"message": "denied: requested access to the resource is denied"}')


@pytest.fixture
def params(socket_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the module is given for a sidecar whose image is not on the host."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    authority = pki.authority("internal")
    pair = pki.make("control-1", authority, names=["control-1.example.org"])
    return {
        **{"state": "present", "name": "sidecar", "container": "prometheus_server", "wait_timeout": 0},
        **{"directory": str(tmp_path / "etc"), "docker_host": f"unix://{socket_path}", "image": IMAGE},
        **{"tls_certificate": pair.pem, "tls_key": pair.key_pem, "tls_client_ca": authority.pem},
        "grpc_address": "127.0.0.1",
    }


def ensured(params: Mapping[str, Any], offer: tuple[int, bytes], *, check_mode: bool) -> tuple[list[str], list[str]]:
    """Call the module where the registry makes an offer: what it would change or the parameters that it refuses, and
    what the engine was asked for.
    """
    asked: list[str] = []
    told = {f"GET {path}": (200, json.dumps({"data": data}).encode()) for path, data in PROMETHEUS.items()}
    with answering(told) as port:
        prometheus = {
            "Name": "/prometheus_server",
            "Path": "prometheus",
            "Args": [f"--web.listen-address=127.0.0.1:{port}"],
            "State": {"Status": "running"},
            "Config": {"User": "42472:42472"},
        }
        answers = {
            "GET /containers/prometheus_server/json": (200, json.dumps(prometheus).encode()),
            f"GET /distribution/{IMAGE}/json": offer,
        }
        with answering(answers, Path(params["docker_host"].removeprefix("unix://")), asked):
            try:
                return operation.ensure(params, check_mode)["changes"], asked
            except InputErrors as error:
                return [str(item.parameter) for item in error.errors], asked
            except InputError as error:
                return [str(error.parameter)], asked


@pytest.mark.parametrize(
    ("offer", "check_mode", "more", "expected"),
    [
        ((200, b"{}"), True, {}, f"create image {IMAGE}"),
        (DENIED, True, {}, "image"),
        # Nothing is pulled for a run that does not take place.
        ((200, b"{}"), False, {"http_address": "192.0.2.1"}, "http_address"),
        (DENIED, False, {"http_address": "192.0.2.1"}, "image"),
    ],
)
def test_whether_an_image_can_be_had_is_asked_before_anything_is_pulled(
    params: dict[str, Any], offer: tuple[int, bytes], check_mode: bool, more: dict[str, Any], expected: str
) -> None:
    found, asked = ensured({**params, **more}, offer, check_mode=check_mode)
    assert expected in found
    assert ("image" in found) is (offer == DENIED)
    assert f"GET /distribution/{IMAGE}/json" in asked
    assert [request for request in asked if not request.startswith("GET ")] == []
    assert not Path(params["directory"]).exists()


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
