# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web gateway as it is rendered, with the real HAProxy and oauth2-proxy: who gets in, and what is passed on."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from http.client import HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import workload
from tests import pki, rendered
from tests.deployed import objects
from tests.integration.observer.oidc_issuer import Issuer, issuer
from tests.integration.processes import free_port, process
from tests.integration.thanos.clients import QUICK
from tests.integration.thanos.pods import Manifest, Node, wait_for

DOMAIN = "observer.example.org"
SERVERS = {
    "grafana": "grafana:3000",
    "prometheus": "prometheus:9090",
    "alertmanager": "alertmanager:9093",
    "thanos": "thanos-query-frontend:10902",
    "bucket": "thanos-bucket-web:10902",
}
HOSTNAMES = {service: f"{service}.{DOMAIN}" for service in SERVERS if service != "bucket"}
PASSWORD = "swordfish-and-chips"
LOOPBACK = "127.0.0.1"
# Seconds, on a machine that has much else to do
SOON = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str
    cookies: dict[str, str]

    @property
    def seen(self) -> dict[str, str]:
        """The headers of the request, and ``service`` and ``path``, as what is behind the gateway saw them."""
        result: dict[str, str] = json.loads(self.body)
        return result


@dataclass
class Web:
    """A gateway that runs."""

    port: int
    authority: pki.Made
    folder: Path
    renew: Callable[[str, str], None]
    """Give its pod another certificate and key (PEM), as a kubelet does it."""

    @property
    def log(self) -> str:
        return (self.folder / "web-gateway" / "log").read_text()

    def connection(self) -> _Connection:
        context = ssl.create_default_context(cadata=self.authority.pem)
        return _Connection(LOOPBACK, self.port, context=context, timeout=20)

    @property
    def certificate(self) -> bytes:
        """What a new connection is shown (DER)."""
        connection = self.connection()
        connection.connect()
        shown = connection.certificate
        connection.close()
        return shown

    def ask(
        self,
        service: str,
        path: str = "/",
        *,
        method: str = "GET",
        user: str = "",
        password: str = PASSWORD,
        host: str = "",
        **headers: str,
    ) -> Answer:
        """Send a request; ``headers`` have _ for -. ``user`` gives a password with it."""
        sent = {"Host": host or f"{service}.{DOMAIN}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        if user:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        connection = self.connection()
        try:
            connection.request(method, path, headers=sent)
            return _answer(connection.getresponse())
        finally:
            connection.close()


class _Connection(HTTPSConnection):
    """To loopback, whatever the name."""

    def connect(self) -> None:
        super(HTTPSConnection, self).connect()
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(self.sock, server_hostname=HOSTNAMES["grafana"])

    @property
    def certificate(self) -> bytes:
        return self.sock.getpeercert(binary_form=True) or b""


def _answer(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    set_cookies = [value.partition(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie"]
    cookies = {name: value for name, _equals, value in (item.partition("=") for item in set_cookies)}
    return Answer(response.status, headers, response.read().decode(), cookies)


@contextmanager
def behind(service: str) -> Iterator[str]:
    """Something behind the gateway that answers with what it was sent; its address is yielded."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen = {name.lower(): value for name, value in self.headers.items()}
            body = json.dumps({**seen, "service": service, "path": self.path}).encode()
            self.send_response(200)
            self.send_header("Server", "secretive/1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def manifests(**variables: Any) -> list[Manifest]:
    asked = {"observer_web_enabled": True, "observer_web_hostnames": HOSTNAMES, **variables}
    (call,) = rendered.calls("web_gateway.yml", **asked)
    return list(objects(call))


@contextmanager
def running(folder: Path, made: list[Manifest], addresses: dict[str, str]) -> Iterator[Web]:
    """Run HAProxy with what was rendered, until the end of the block."""
    authority = pki.authority("authority")
    own = pki.make("web", authority, names=list(HOSTNAMES.values()))

    def given(certificate: str, key: str) -> list[Manifest]:
        files = {"tls.crt": certificate, "tls.key": key}
        return [*made, workload.secret("web-gateway-tls", "scs-observability", {}, files)]

    with ExitStack() as stack:
        node = Node(folder, {"${WEB_PASSWORD_1}": PASSWORD, "${WEB_PASSWORD_2}": "another", **QUICK, **addresses})
        for service, server in SERVERS.items():
            name, _colon, port = server.partition(":")
            node.addresses[f"{name}.scs-observability.svc.cluster.local:{port}"] = stack.enter_context(behind(service))
        pod = stack.enter_context(node.run(given(own.pem, own.key_pem)))
        yield Web(pod.ports["https"], authority, folder, lambda *files: pod.deliver(given(*files)))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """With passwords, and this machine as what is in front: tests come from whatever address they say."""
    made = manifests(observer_web_users=["admin", "ops"], observer_web_trusted_proxies=["127.0.0.0/8"])
    with running(tmp_path_factory.mktemp("web"), made, {}) as gateway:
        yield gateway


def test_nobody_gets_in_without_a_password(web: Web) -> None:
    for service in set(HOSTNAMES) - {"grafana"}:
        answer = web.ask(service)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="observer"')


def test_everybody_who_has_one_gets_to_what_has_the_name(web: Web) -> None:
    for service in HOSTNAMES:
        assert web.ask(service, "/a?b=c", user="admin").seen["service"] == service
    assert web.ask("prometheus", user="ops", password="another").seen["service"] == "prometheus"
    assert web.ask("prometheus", user="ops", X_Forwarded_For="192.0.2.1").status == 401
    # As browsers say it when the port is not 443, and as people type it
    assert web.ask("", user="admin", host=f"Thanos.{DOMAIN.upper()}:30843").seen["service"] == "thanos"


@pytest.mark.parametrize(
    "host", [f"bucket.{DOMAIN}", f"nobody.{DOMAIN}", DOMAIN, LOOPBACK, "thanos", f"x.thanos.{DOMAIN}"]
)
def test_what_was_not_asked_for_is_not_served(web: Web, host: str) -> None:
    assert web.ask("", user="admin", host=host).status == 421


def test_grafana_asks_for_itself(web: Web) -> None:
    seen = web.ask("grafana", Authorization="Bearer token").seen
    assert (seen["service"], seen["authorization"]) == ("grafana", "Bearer token")


def test_the_password_and_claims_of_identity_end_at_the_door(web: Web) -> None:
    claims = {
        "THANOS-TENANT": "kaas-1",
        "X-Scope-OrgID": "kaas-1",
        "X-WEBAUTH-USER": "admin",
        "X-Forwarded-User": "admin",
        "X-Auth-Request-Email": "a@b",
        "X-Remote-User": "admin",
        "X-Forwarded-Host": "elsewhere.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "for=192.0.2.2",
    }
    for service in ("thanos", "grafana"):
        seen = web.ask(service, user="admin", **{name.replace("-", "_"): value for name, value in claims.items()}).seen
        forwarded = {name: value for name, value in seen.items() if name.startswith(("x-", "thanos-", "forwarded"))}
        assert forwarded == {
            "x-forwarded-for": LOOPBACK,
            "x-forwarded-proto": "https",
            "x-forwarded-host": f"{service}.{DOMAIN}",
        }
        assert ("authorization" in seen) is (service == "grafana")


@pytest.mark.parametrize(
    "path",
    [
        "/-/quit",
        "/-/reload",
        "//-/quit",
        "/./-/quit",
        "/%2d/quit",
        "/-%2fquit",
        "/%2D%2Fquit",
        "/-",
        "/debug/pprof/heap",
        "/metrics",
        "/%6detrics",
        "/api/v1/admin/tsdb/delete_series?match[]=up",
        "/api/v1/write",
        "/api/v1/otlp/v1/metrics",
        "/api/v1/blocks/mark?id=x&action=DELETION",
    ],
)
def test_administration_and_metrics_are_not_for_the_web(web: Web, path: str) -> None:
    for service in HOSTNAMES:
        assert web.ask(service, path, method="POST", user="admin").status == 403


@pytest.mark.parametrize("path", ["/", "/api/v1/query?query=up-/-/1", "/api/v2/silences", "/graph/-/x", "/debugging"])
def test_work_is(web: Web, path: str) -> None:
    assert web.ask("prometheus", path, method="POST", user="admin").seen["path"] == path


@pytest.mark.parametrize(
    ("method", "site", "status"),
    [("POST", "cross-site", 403), ("POST", "same-site", 403), ("POST", "same-origin", 200), ("GET", "cross-site", 200)],
)
def test_pages_of_others_change_nothing(web: Web, method: str, site: str, status: int) -> None:
    answer = web.ask("alertmanager", "/api/v2/silences", method=method, user="admin", Sec_Fetch_Site=site)
    assert answer.status == status


def test_browsers_are_told_to_be_careful_whatever_the_answer(web: Web) -> None:
    answers = [
        web.ask("thanos"),
        web.ask("thanos", user="admin"),
        web.ask("nobody"),
        web.ask("thanos", "/-/", user="admin"),
    ]
    assert [answer.status for answer in answers] == [401, 200, 421, 403]
    for answer in answers:
        assert int(answer.headers["strict-transport-security"].removeprefix("max-age=")) >= 180 * 86400
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers


def test_who_guesses_has_to_wait_and_others_do_not(web: Web) -> None:
    def guess(address: str, password: str) -> int:
        return web.ask("thanos", user="admin", password=password, X_Forwarded_For=f"10.9.9.9, {address}").status

    assert [guess("192.0.2.66", f"guess-{number}") for number in range(12)] == [401] * 10 + [429] * 2
    # Whatever it sends: a right password would tell the guesser that it was right.
    assert guess("192.0.2.66", PASSWORD) == 429
    assert web.ask("grafana", X_Forwarded_For="192.0.2.66").status == 200
    assert guess("192.0.2.67", PASSWORD) == 200
    # A browser's first request has no password, and a page makes many.
    assert {web.ask("thanos", X_Forwarded_For="192.0.2.68").status for _number in range(30)} == {401}
    assert guess("192.0.2.68", PASSWORD) == 200


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_is_1_2_or_newer(web: Web, version: ssl.TLSVersion, accepted: bool) -> None:
    context = ssl.create_default_context(cadata=web.authority.pem)
    # Or this machine's library would refuse the old version by itself.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, version
    connection = _Connection(LOOPBACK, web.port, context=context, timeout=20)
    with nullcontext() if accepted else pytest.raises(ssl.SSLError):
        connection.connect()
    connection.close()


def test_a_renewed_certificate_is_shown_and_what_is_connected_stays(web: Web) -> None:
    renewed = pki.make("web", web.authority, names=list(HOSTNAMES.values()))
    before = web.certificate
    connection = web.connection()

    def goes_on() -> bool:
        connection.request("GET", "/", headers={"Host": HOSTNAMES["grafana"]})
        return _answer(connection.getresponse()).status == 200 and connection.certificate == before

    assert goes_on()
    # What does not work is told, and not used.
    web.renew(renewed.pem, pki.make("another").key_pem)
    wait_for(lambda: "the renewed certificate is not used: " in web.log, SOON, "it is told")
    assert web.certificate == before
    # With empty lines, as files have them that were put together
    web.renew(f"\n{renewed.pem}\n\n", renewed.key_pem.replace("\n", "\r\n"))
    wait_for(lambda: web.certificate == ssl.PEM_cert_to_DER_cert(renewed.pem), SOON, "the new one is shown")
    assert goes_on()
    connection.close()
    assert renewed.key_pem.splitlines()[1] not in web.log


def test_neither_passwords_nor_what_follows_the_question_mark_are_logged(web: Web) -> None:
    web.ask("thanos", "/logged?token=hunter2", user="admin", password="wrong-but-close", X_Forwarded_For="192.0.2.77")
    web.ask("alertmanager", "/logged-too?token=hunter2", method="POST", user="admin")
    wait_for(lambda: "/logged-too" in web.log, 10, "the request is in the log")
    assert "user=admin service=alertmanager POST /logged-too status=200" in web.log
    assert "192.0.2.77" in web.log
    for secret in (PASSWORD, "wrong-but-close", "hunter2", base64.b64encode(f"admin:{PASSWORD}".encode()).decode()):
        assert secret not in web.log


def test_nobody_is_believed_who_is_not_said_to_be_in_front(tmp_path: Path) -> None:
    with running(tmp_path, manifests(observer_web_users=["admin"]), {}) as gateway:
        seen = gateway.ask("thanos", user="admin", X_Forwarded_For="192.0.2.1").seen
        assert seen["x-forwarded-for"] == LOOPBACK


# OpenID Connect


@dataclass
class Login:
    web: Web
    issuer: Issuer

    def begin(self, service: str, path: str = "/graph?a=b") -> tuple[str, dict[str, str]]:
        """Ask as somebody who is not logged in; return where the issuer sends the browser, and its cookies."""
        answer = self.web.ask(service, path)
        assert answer.status == 302
        location = answer.headers["location"]
        assert location.startswith(f"{self.issuer.url}/authorize?")
        return self.issuer.authorize(_query(location)), answer.cookies

    def finish(self, location: str, cookies: dict[str, str]) -> Answer:
        url = urlsplit(location)
        return self.web.ask("", f"{url.path}?{url.query}", host=url.netloc, Cookie=_cookies(cookies))


def _query(location: str) -> dict[str, str]:

    return {name: value[0] for name, value in parse_qs(urlsplit(location).query).items()}


def _cookies(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    folder = tmp_path_factory.mktemp("oidc")
    with ExitStack() as stack:
        served = stack.enter_context(issuer(folder))
        made = manifests(
            observer_web_authentication="oidc",
            observer_web_oidc_issuer=served.url,
            observer_web_oidc_client_id=served.client_id,
            observer_web_oidc_allowed_groups=["operators"],
            observer_web_oidc_ca=served.ca,
        )
        addresses = {f"{LOOPBACK}:{port}": f"{LOOPBACK}:{free_port()}" for port in (4180, 8081)}
        (deployment,) = [item for item in made if item["kind"] == "Deployment"]
        (proxy,) = [
            item for item in deployment["spec"]["template"]["spec"]["containers"] if item["name"] == "oauth2-proxy"
        ]
        (folder / "issuer-ca.crt").write_text(served.ca)
        files = {"/etc/web-gateway/configuration": str(folder)}
        node = Node(folder, addresses)
        arguments = [node.translated(argument, files) for argument in proxy["args"]]
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        for variable in proxy["env"]:
            secret = variable["valueFrom"]["secretKeyRef"]["name"]
            values = {
                "web-gateway-oidc": served.client_secret,
                "web-gateway-cookie": "0123456789abcdef0123456789abcdef",
            }
            patched.setenv(variable["name"], values[secret])
        stack.enter_context(process("oauth2-proxy", arguments, folder / "proxy.log"))
        # HAProxy says that it is ready when oauth2-proxy answers.
        gateway = stack.enter_context(running(folder, made, addresses))
        yield Login(gateway, served)


def test_a_person_of_the_group_logs_in_and_gets_to_where_it_wanted(login: Login) -> None:
    login.issuer.person = {"sub": "1", "email": "ann@example.org", "email_verified": True, "groups": ["operators"]}
    location, cookies = login.begin("prometheus")
    assert location.startswith(f"https://prometheus.{DOMAIN}/oauth2/callback?")
    answer = login.finish(location, cookies)
    assert (answer.status, urlsplit(answer.headers["location"]).path) == (302, "/graph")
    seen = login.web.ask("prometheus", "/graph?a=b", Cookie=_cookies(answer.cookies), THANOS_TENANT="kaas-1").seen
    assert (seen["service"], seen["path"]) == ("prometheus", "/graph?a=b")
    assert "thanos-tenant" not in seen
    assert "x-forwarded-user" not in seen
    # Each name has a login of its own: the cookie that another page gets is worth nothing here.
    (name,) = [name for name in answer.cookies if not name.endswith("csrf")][:1]
    assert name.startswith("__Host-")
    # Who leaves a group stays in for a day's work, not for a week.
    assert "max-age=43200;" in f"{answer.headers['set-cookie'].lower()};"


def test_a_person_of_another_group_stays_out(login: Login) -> None:
    login.issuer.person = {"sub": "2", "email": "bob@example.org", "email_verified": True, "groups": ["guests"]}
    answer = login.finish(*login.begin("prometheus"))
    assert answer.status == 403
    assert login.web.ask("prometheus", Cookie=_cookies(answer.cookies)).status in (302, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_User": "ann"},
        {"X_Forwarded_Email": "ann@example.org", "X_Forwarded_Groups": "operators"},
        {"Cookie": "__Host-observer=forged"},
        {"Authorization": "Basic YW5uOmFubg=="},
    ],
)
def test_nobody_gets_in_by_what_it_says(login: Login, headers: dict[str, str]) -> None:
    assert login.web.ask("thanos", **headers).status == 302


def test_names_that_are_not_served_lead_nowhere_with_oidc_too(login: Login) -> None:
    assert login.web.ask("bucket").status == 421
    assert login.web.ask("grafana").seen["service"] == "grafana"
    assert login.web.ask("prometheus", "/-/quit", method="POST").status == 403
