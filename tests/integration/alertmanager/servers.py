# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alertmanager with our configuration, and those whom it tells: an HTTP server and a mail server, all on loopback."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import alertmanager_configuration
from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_problems import problems
from tests.integration.processes import answers, free_port, process, wait_until
from tests.mail_server import Received, running_mail_server

CHECKOUT = Path(__file__).resolve().parents[3]
TEMPLATES = {path.name: path.read_text() for path in (CHECKOUT / "roles/observer/files/alertmanager").glob("*.tmpl")}
EXTERNAL_URL = "https://alerts.example.com"
USER, PASSWORD = "observer", "swordfish"
PATIENCE = 30.0

T = TypeVar("T")


def write_files(data: dict[str, Any], folder: Path) -> Path:
    """Write what the role gives to Alertmanager, and return the path of the configuration."""
    folder.mkdir(exist_ok=True)
    for name, text in alertmanager_configuration.files({"templates": TEMPLATES, **data}, str(folder)).items():
        (folder / name).write_text(text)
    return folder / "alertmanager.yaml"


@dataclass
class Web:
    """What came in over HTTP: path, headers and JSON."""

    port: int
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, path: str) -> list[Any]:
        return [body for found, _headers, body in list(self.requests) if found == path]


@dataclass
class Mail:
    """What came in by mail."""

    port: int
    messages: list[Received] = field(default_factory=list)


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running_web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            web.requests.append((self.path, dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web = Web(server.server_port)
    with served(server):
        yield web


@contextmanager
def running_mail(certificate: Path) -> Iterator[Mail]:
    """A mail server that takes mail from those who log in, which it lets them do under TLS only."""
    mail = Mail(free_port())
    with running_mail_server("127.0.0.1", mail.port, certificate, (USER, PASSWORD), mail.messages.append):
        yield mail


@dataclass
class Alertmanager:
    """A running Alertmanager."""

    port: int

    def call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
        return json.loads(text) if text else None

    def fire(self, *alerts: dict[str, str], annotations: dict[str, str] | None = None, ended: bool = False) -> None:
        """Tell it of alerts, by their labels; or of their end."""
        now = datetime.now(UTC)
        # An alert that has begun long ago is told without waiting for its group.
        times = {"startsAt": now, "endsAt": now if ended else now + timedelta(hours=1)}
        common = {
            "annotations": annotations or {},
            "generatorURL": "http://thanos-query.test/graph?g0.expr=up",
            **{name: value.isoformat() for name, value in times.items()},
        }
        self.call("/api/v2/alerts", [{"labels": labels, **common} for labels in alerts])

    def status(self, **labels: str) -> dict[str, Any]:
        """What it says of the alert: state, inhibitedBy, silencedBy, mutedBy."""
        for group in self.call("/api/v2/alerts/groups"):
            for alert in group["alerts"]:
                if alert["labels"] == labels:
                    found: dict[str, Any] = alert["status"]
                    return found
        return {"state": "unknown"}

    def silence(self, **labels: str) -> None:
        now = datetime.now(UTC)
        matchers = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()]
        body = {
            "matchers": matchers,
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "test",
            "comment": "known",
        }
        self.call("/api/v2/silences", body)


@contextmanager
def running_alertmanager(data: dict[str, Any], folder: Path) -> Iterator[Alertmanager]:
    """Alertmanager with the data; twice with the same folder, it finds what it kept."""
    assert problems(data) == []
    configuration, port, log = write_files(data, folder), free_port(), folder / "log"
    arguments = [
        f"--config.file={configuration}",
        f"--storage.path={folder / 'storage'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url={EXTERNAL_URL}",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
    ]
    with process("alertmanager", arguments, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
        yield Alertmanager(port)


def wait_for(condition: Callable[[], T], what: str) -> T:
    """Return the first answer that is one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.05)
