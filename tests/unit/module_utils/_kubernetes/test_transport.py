# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import errno
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.transport import (
    RETRY_DELAYS,
    Transport,
    Unreachable,
    reason_of,
    tls_context,
)

from .conftest import HANG_UP, Answer, ScriptedApi

OK = Answer(body=b"ok")


@pytest.fixture
def transport(api: ScriptedApi, pauses: list[float]) -> Iterator[Transport]:
    made = Transport(Connection(server=f"{api.url}/prefix", token="t"), sleep=pauses.append)
    yield made
    made.close()


class TestRequest:
    def test_an_answer_of_any_status_is_an_answer(self, api: ScriptedApi, transport: Transport) -> None:
        api.on("GET", "/prefix/missing", Answer(404, b"gone", {"X-Why": "because"}))
        response = transport.request("GET", "/missing?a=b", headers=[("Accept", "text/plain")])
        assert (response.status, response.body, response.headers["x-why"]) == (404, b"gone", "because")
        asked = api.requests[0]
        assert asked.query == {"a": "b"}
        assert asked.headers["authorization"] == "Bearer t"
        assert asked.headers["accept"] == "text/plain"

    def test_connections_are_kept(self, api: ScriptedApi, transport: Transport) -> None:
        api.on("GET", "/prefix/a", OK)
        for _ignored in range(3):
            transport.request("GET", "/a")
        assert {request.connection for request in api.requests} == {1}

    def test_what_must_not_be_sent_twice_gets_a_connection_of_its_own(
        self, api: ScriptedApi, transport: Transport
    ) -> None:
        api.on("GET", "/prefix/a", OK)
        api.on("POST", "/prefix/a", OK)
        transport.request("GET", "/a")
        transport.request("POST", "/a", body=b"{}", idempotent=False)
        assert [request.connection for request in api.requests] == [1, 2]

    def test_a_connection_that_the_server_ends_is_not_kept(self, api: ScriptedApi, transport: Transport) -> None:
        api.on("GET", "/prefix/a", Answer(headers={"Connection": "close"}))
        transport.request("GET", "/a")
        transport.request("GET", "/a")
        assert [request.connection for request in api.requests] == [1, 2]

    def test_closing_ends_the_kept_connections(self, api: ScriptedApi, transport: Transport) -> None:
        api.on("GET", "/prefix/a", OK)
        transport.request("GET", "/a")
        transport.close()
        transport.request("GET", "/a")
        assert [request.connection for request in api.requests] == [1, 2]


class TestRetry:
    @pytest.mark.parametrize("trouble", [HANG_UP, Answer(500), Answer(502), Answer(503), Answer(504), Answer(429)])
    def test_trouble_that_passes(
        self, api: ScriptedApi, transport: Transport, pauses: list[float], trouble: Answer
    ) -> None:
        api.on("PATCH", "/prefix/a", trouble, trouble, OK)
        assert transport.request("PATCH", "/a", body=b"{}").body == b"ok"
        assert pauses == list(RETRY_DELAYS[:2])
        assert [request.body for request in api.requests] == [{}, {}, {}]

    def test_trouble_that_stays_is_returned(self, api: ScriptedApi, transport: Transport, pauses: list[float]) -> None:
        api.on("GET", "/prefix/a", Answer(503, b"no"))
        assert transport.request("GET", "/a").status == 503
        assert pauses == list(RETRY_DELAYS)

    def test_a_server_that_keeps_hanging_up_is_unreachable(
        self, api: ScriptedApi, transport: Transport, pauses: list[float]
    ) -> None:
        api.on("GET", "/prefix/a", HANG_UP)
        with pytest.raises(Unreachable, match="the connection was closed"):
            transport.request("GET", "/a")
        assert len(api.requests) == len(RETRY_DELAYS) + 1

    @pytest.mark.parametrize(("answer", "times"), [(HANG_UP, 1), (Answer(500), 1), (Answer(429), 4)])
    def test_what_must_not_be_sent_twice_is_not(
        self, api: ScriptedApi, transport: Transport, answer: Answer, times: int
    ) -> None:
        api.on("POST", "/prefix/a", answer)
        try:
            transport.request("POST", "/a", body=b"{}", idempotent=False)
        except Unreachable:
            assert answer is HANG_UP
        assert len(api.requests) == times

    @pytest.mark.parametrize(("asked", "slept"), [("1", 1.0), ("0", 0.1), ("3600", 10.0), ("tomorrow", 0.1)])
    def test_the_server_says_when(
        self, api: ScriptedApi, transport: Transport, pauses: list[float], asked: str, slept: float
    ) -> None:
        api.on("GET", "/prefix/a", Answer(429, headers={"Retry-After": asked}), OK)
        transport.request("GET", "/a")
        assert pauses == [slept]

    def test_statuses_of_a_proxied_application_are_left_alone(
        self, api: ScriptedApi, transport: Transport, pauses: list[float]
    ) -> None:
        api.on("GET", "/prefix/a", Answer(503))
        assert transport.request("GET", "/a", retry_status=False).status == 503
        assert pauses == []

    def test_a_server_that_comes_back(self, api: ScriptedApi, pauses: list[float]) -> None:
        """Nothing listens at first; then the pause gives it the time to start."""
        with closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))

            def sleep(seconds: float) -> None:
                pauses.append(seconds)
                listener.listen()
                threading.Thread(target=serve_once, args=(listener,), daemon=True).start()

            transport = Transport(Connection(f"http://127.0.0.1:{listener.getsockname()[1]}"), sleep=sleep)
            # Not even a request that must not be sent twice is lost: it was never sent.
            assert transport.request("POST", "/", body=b"{}", idempotent=False).body == b"ok"
            transport.close()
        assert pauses == [RETRY_DELAYS[0]]

    def test_a_server_that_is_not_there(self, pauses: list[float]) -> None:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            transport = Transport(Connection(f"http://127.0.0.1:{taken.getsockname()[1]}"), sleep=pauses.append)
            with pytest.raises(Unreachable, match="connection refused"):
                transport.request("GET", "/")
        assert pauses == list(RETRY_DELAYS)

    def test_a_host_that_nobody_knows_is_not_asked_for_again(self, pauses: list[float]) -> None:
        transport = Transport(Connection("http://host.invalid"), sleep=pauses.append)
        with pytest.raises(Unreachable, match="the name of the host is not known"):
            transport.request("GET", "/")
        assert len(pauses) in (0, len(RETRY_DELAYS))  # the resolver may say "try again"


def serve_once(listener: socket.socket) -> None:
    connection, _ignored = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


@dataclass
class Pair:
    certificate: str
    key: str


def issue(name: str, *, passphrase: bytes | None = None) -> Pair:
    """Return a certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode(),
    )


@pytest.fixture(scope="module")
def server_pair() -> Pair:
    return issue("kubernetes")


@pytest.fixture(scope="module")
def client_pair() -> Pair:
    return issue("alice")


class TestTls:
    @pytest.fixture
    def secure(self, api: ScriptedApi, server_pair: Pair, client_pair: Pair, tmp_path: Path) -> Connection:
        """Let the scripted server speak TLS and ask for a client certificate; return a connection to it."""
        (tmp_path / "server.pem").write_text(server_pair.certificate + server_pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        context.load_verify_locations(cadata=client_pair.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        api.server.socket = context.wrap_socket(api.server.socket, server_side=True)
        api.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        api.on("GET", "/", OK)
        return Connection(
            server=api.url.replace("http", "https"),
            server_name="kubernetes",
            authority=f"# authority\n{server_pair.certificate}",
            certificate=client_pair.certificate,
            key=client_pair.key,
        )

    def get(self, connection: Connection) -> bytes:
        transport = Transport(connection, sleep=lambda _: None)
        with closing(transport):
            return transport.request("GET", "/").body

    @pytest.mark.parametrize("ended", [ssl.SSLEOFError(8, "EOF occurred"), ssl.SSLZeroReturnError(6, "closed")])
    def test_a_kept_connection_that_the_server_ended_is_replaced(
        self, api: ScriptedApi, secure: Connection, monkeypatch: pytest.MonkeyPatch, ended: ssl.SSLError
    ) -> None:
        send, ends = HTTPConnection.endheaders, iter([ended])

        def end(connection: HTTPConnection, body: bytes | None = None) -> None:
            if connection in used and (error := next(ends, None)):
                raise error
            used.append(connection)
            send(connection, body)

        used: list[HTTPConnection] = []
        monkeypatch.setattr(HTTPConnection, "endheaders", end)
        transport = Transport(secure, sleep=lambda _: None)
        with closing(transport):
            assert [transport.request("GET", "/").body for _number in range(2)] == [b"ok", b"ok"]
        assert len(used) == 2

    def test_of_many_that_the_server_ended_each_is_replaced(
        self, secure: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More than there are attempts: they were kept as long as each other."""
        send = HTTPConnection.endheaders

        def end(connection: HTTPConnection, body: bytes | None = None) -> None:
            if connection in kept:
                raise ssl.SSLEOFError(8, "EOF occurred")
            send(connection, body)

        monkeypatch.setattr(HTTPConnection, "endheaders", end)
        transport = Transport(secure, sleep=lambda _: None)
        kept = [transport._connect() for _number in range(9)]
        for connection in kept:
            transport._idle.put(connection)
        with closing(transport):
            assert transport.request("GET", "/").body == b"ok"

    def test_both_sides_show_a_certificate(self, secure: Connection) -> None:
        assert self.get(secure) == b"ok"

    def test_the_key_is_on_disk_only_while_it_is_read(
        self, secure: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "tmp"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        seen = []
        load = ssl.SSLContext.load_cert_chain

        def watched(context: ssl.SSLContext, file: str, **more: str) -> None:
            seen.append(Path(file).stat().st_mode & 0o777)
            load(context, file, **more)

        monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
        assert self.get(secure) == b"ok"
        assert seen == [0o600]
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"server_name": "elsewhere"}, "certificate is not trusted: Hostname mismatch"),
            ({"authority": ""}, "certificate is not trusted: self-signed certificate"),
            ({"certificate": "", "key": ""}, "TLS failed"),
        ],
    )
    def test_either_side_may_refuse(self, secure: Connection, changes: dict[str, str], reason: str) -> None:
        with pytest.raises(Unreachable, match=reason):
            self.get(replace(secure, **changes))  # type: ignore[arg-type]

    def test_not_looking_is_possible(self, secure: Connection) -> None:
        assert self.get(replace(secure, authority="", server_name="elsewhere", verify=False)) == b"ok"

    @pytest.mark.parametrize("authority", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
    def test_an_authority_that_is_none(self, authority: str) -> None:
        with pytest.raises(InputError, match="not a PEM certificate") as refused:
            tls_context(Connection("https://a", "observer_kubeconfig", authority=authority))
        assert refused.value.parameter == "observer_kubeconfig"

    def test_a_key_that_does_not_belong_to_the_certificate(self, client_pair: Pair, server_pair: Pair) -> None:
        with pytest.raises(InputError, match="not a pair") as refused:
            tls_context(Connection("https://a", certificate=client_pair.certificate, key=server_pair.key))
        assert "PRIVATE KEY" not in str(refused.value)

    def test_a_key_with_a_passphrase(self) -> None:
        pair = issue("alice", passphrase=b"swordfish")
        with pytest.raises(InputError, match="without a passphrase"):
            tls_context(Connection("https://a", certificate=pair.certificate, key=pair.key))

    def test_through_a_proxy(self, secure: Connection) -> None:
        with closing(Proxy()) as proxy:
            assert self.get(replace(secure, proxy=f"http://user:p%40ss@127.0.0.1:{proxy.port}")) == b"ok"
        assert proxy.seen[0].startswith(f"CONNECT {secure.server.removeprefix('https://')} HTTP/1.")
        assert "Proxy-Authorization: Basic dXNlcjpwQHNz" in proxy.seen

    def test_a_proxy_that_refuses(self, secure: Connection) -> None:
        with closing(Proxy(refuse=True)) as proxy, pytest.raises(Unreachable, match="403"):
            self.get(replace(secure, proxy=f"http://127.0.0.1:{proxy.port}"))

    def test_other_kinds_of_proxies(self) -> None:
        with pytest.raises(InputError, match="socks5://proxy is not supported"):
            Transport(Connection("https://a", verify=False, proxy="socks5://user:secret@proxy:1080"))


class Proxy:
    """An HTTP proxy for one connection."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.seen: list[str] = []
        self._refuse = refuse
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        inner, _ignored = self._listener.accept()
        with inner:
            head = b""
            while b"\r\n\r\n" not in head:
                head += inner.recv(1)
            self.seen = head.decode().splitlines()
            if self._refuse:
                inner.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            host, port = self.seen[0].split()[1].rsplit(":", 1)
            with socket.create_connection((host, int(port))) as outer:
                inner.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=copy, args=(outer, inner), daemon=True)
                back.start()
                copy(inner, outer)
                back.join(5)


def copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("timed out"), "no answer in time"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host"),
        (RemoteDisconnected(""), "the connection was closed"),
        (OSError("Tunnel connection failed: 403 Forbidden"), "Tunnel connection failed: 403 Forbidden"),
        (ValueError(), "ValueError"),
    ],
)
def test_reasons_in_few_words(error: Exception, text: str) -> None:
    assert reason_of(error) == text
