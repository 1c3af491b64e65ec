# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of a catalogue, probed by the real blackbox exporter, against real servers on loopback."""

from __future__ import annotations

import socketserver
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes
from ansible_collections.scs.observability.plugins.module_utils._observer import metrics
from tests.integration.processes import answers, binary, free_port, process, wait_until
from tests.pki import Made, authority, make

KNOWN_NAME = "known.example.org"
OWN = {
    "says_hello": {"prober": "tcp", "timeout": "3s", "tcp": {"query_response": [{"expect": "^hello"}]}},
    "dns_over_tcp": {"prober": "dns", "dns": {"transport_protocol": "tcp"}},
}


class Website(BaseHTTPRequestHandler):
    """Answers /200 with 200, and so on; /302 leads to /200."""

    def do_GET(self) -> None:
        status = int(self.path.strip("/") or 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """The exporter tells enough."""


class Greeter(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"hello\n")


class NameServer(socketserver.BaseRequestHandler):
    """Knows one name and its address; for other types it has no record, other names do not exist."""

    def handle(self) -> None:
        query, socket = self.request
        question = query[12 : query.index(b"\0", 12) + 5]
        labels, position = [], 0
        while question[position]:
            labels.append(question[position + 1 : position + 1 + question[position]].decode())
            position += 1 + question[position]
        known, is_address = ".".join(labels).lower() == KNOWN_NAME, question[-4:-2] == b"\0\1"
        records = (
            b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + bytes([192, 0, 2, 1]) if known and is_address else b""
        )
        counts = struct.pack(">HHHH", 1, 1 if records else 0, 0, 0)
        socket.sendto(
            query[:2] + struct.pack(">H", 0x8180 + (0 if known else 3)) + counts + question + records,
            self.client_address,
        )


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Servers:
    """Ports on loopback, and the certificate that those with TLS have."""

    http: int
    https: int
    tcp: int
    dns: int
    certificate: Made
    ca: Made


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    ca = authority("provider")
    certificate = make("localhost", ca, names=["localhost", "127.0.0.1"])
    (folder / "server.pem").write_text(certificate.pem + certificate.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    here = ("127.0.0.1", 0)
    https = ThreadingHTTPServer(here, Website)
    https.socket = context.wrap_socket(https.socket, server_side=True)
    with ExitStack() as stack:
        ports = [
            stack.enter_context(running(server))
            for server in (
                ThreadingHTTPServer(here, Website),
                https,
                socketserver.ThreadingTCPServer(here, Greeter),
                socketserver.UDPServer(here, NameServer),
            )
        ]
        yield Servers(*ports, certificate, ca)


class Exporter:
    """The exporter with a catalogue; ``trusted`` is in a folder as a kubelet lays a ConfigMap out."""

    def __init__(self, folder: Path, trusted: Made) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "ca" / "..data").mkdir(parents=True)
        (folder / "ca" / "..data" / "ca.crt").write_text(trusted.pem)
        (folder / "ca" / "ca.crt").symlink_to("..data/ca.crt")

    @contextmanager
    def run(self, catalogue: list[dict[str, Any]]) -> Iterator[None]:
        configuration, log = self.folder / "config.yml", self.folder / "log"
        configuration.write_text(yaml.safe_dump({"modules": blackbox_probes.modules(catalogue, OWN)}))
        arguments = [f"--config.file={configuration}", f"--web.listen-address=127.0.0.1:{self.port}"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_DIR", f"/etc/ssl/certs:{self.folder / 'ca'}")
            with process("blackbox_exporter", arguments, log) as started:
                wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/-/healthy"), started, log)
                yield

    def probe(self, entry: dict[str, Any]) -> dict[str, float]:
        """What Prometheus would get of an entry: values by metric, without those with labels."""
        (probe,) = blackbox_probes.probes([entry], OWN)
        spec = probe["spec"]
        (target,) = spec["targets"]["staticConfig"]["static"]
        question = urlencode({"module": spec["module"], "target": target})
        with urlopen(f"http://127.0.0.1:{self.port}/probe?{question}") as answer:
            body = answer.read()
        names = ("probe_success", "probe_ssl_earliest_cert_expiry", "probe_http_status_code")
        return {name: found[0].value for name, found in metrics.parse(body, names).items()}


def catalogue_of(servers: Servers) -> dict[str, tuple[dict[str, Any], float]]:
    """Entries, and whether a probe of each succeeds."""
    site, secure = f"http://127.0.0.1:{servers.http}", f"https://localhost:{servers.https}"
    closed = free_port()
    dns = f"dns://127.0.0.1:{servers.dns}"
    cases: list[tuple[dict[str, Any], float]] = [
        ({"url": f"{site}/200"}, 1),
        ({"url": f"{site}/302"}, 1),
        ({"url": f"{site}/401"}, 0),
        ({"url": f"{site}/401", "module": "http_any"}, 1),
        ({"url": f"{site}/300", "module": "http_any"}, 1),
        ({"url": f"{site}/503", "module": "http_any"}, 0),
        ({"url": f"{secure}/200"}, 1),
        ({"url": f"https://127.0.0.1:{servers.https}/200"}, 1),
        # Its certificate does not have that name.
        ({"url": f"https://127.0.0.2:{servers.https}/200"}, 0),
        ({"url": f"http://127.0.0.1:{closed}"}, 0),
        ({"url": f"tcp://127.0.0.1:{servers.tcp}"}, 1),
        ({"url": f"tcp://127.0.0.1:{servers.tcp}", "module": "says_hello"}, 1),
        ({"url": f"tcp://127.0.0.1:{servers.http}", "module": "says_hello"}, 0),
        ({"url": f"tcp://127.0.0.1:{closed}"}, 0),
        ({"url": f"tls://localhost:{servers.https}"}, 1),
        # Nobody there speaks TLS.
        ({"url": f"tls://localhost:{servers.tcp}"}, 0),
        ({"url": f"{dns}/{KNOWN_NAME}"}, 1),
        ({"url": f"{dns}/{KNOWN_NAME}?type=A"}, 1),
        ({"url": f"{dns}/{KNOWN_NAME}?type=AAAA"}, 0),
        ({"url": f"{dns}/unknown.example.org"}, 0),
        ({"url": f"{dns}/{KNOWN_NAME}", "module": "dns_over_tcp"}, 0),
    ]
    return {
        f"endpoint-{index}": ({"name": f"endpoint-{index}", **entry}, success)
        for index, (entry, success) in enumerate(cases)
    }


def test_the_exporter_loads_what_is_made_for_it(tmp_path: Path) -> None:
    catalogue = [
        {"name": scheme, "url": f"{scheme}://192.0.2.1:443/" if module.startswith("http") else url}
        for scheme, url, module in [
            ("https", "", "http_2xx"),
            ("tls", "tls://192.0.2.1:443", "tcp_tls"),
            ("icmp", "icmp://192.0.2.1", "icmp"),
            ("dns", "dns://192.0.2.1/example.org?type=MX", "dns"),
        ]
    ]
    (tmp_path / "config.yml").write_text(yaml.safe_dump({"modules": blackbox_probes.modules(catalogue, OWN)}))
    command = [binary("blackbox_exporter"), "--config.check", f"--config.file={tmp_path / 'config.yml'}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_probe_says_whether_the_endpoint_works(servers: Servers, tmp_path: Path) -> None:
    cases = catalogue_of(servers)
    exporter = Exporter(tmp_path, servers.ca)
    with exporter.run([entry for entry, _success in cases.values()]):
        found = {entry["url"]: exporter.probe(entry)["probe_success"] for entry, _success in cases.values()}
    assert found == {entry["url"]: success for entry, success in cases.values()}


def test_the_expiry_of_a_certificate_is_told(servers: Servers, tmp_path: Path) -> None:
    entries = [
        {"name": "site", "url": f"https://localhost:{servers.https}/200"},
        {"name": "port", "url": f"tls://localhost:{servers.https}"},
    ]
    exporter = Exporter(tmp_path, servers.ca)
    with exporter.run(entries):
        found = [exporter.probe(entry)["probe_ssl_earliest_cert_expiry"] for entry in entries]
    assert found == [servers.certificate.certificate.not_valid_after_utc.timestamp()] * 2


def test_a_certificate_of_another_authority_is_a_failure(servers: Servers, tmp_path: Path) -> None:
    entries = [
        {"name": "site", "url": f"https://localhost:{servers.https}/200"},
        {"name": "port", "url": f"tls://localhost:{servers.https}"},
        {"name": "plain", "url": f"http://localhost:{servers.http}/200"},
    ]
    exporter = Exporter(tmp_path, authority("another"))
    with exporter.run(entries):
        assert [exporter.probe(entry)["probe_success"] for entry in entries] == [0, 0, 1]
