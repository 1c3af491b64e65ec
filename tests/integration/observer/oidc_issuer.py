# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small OpenID Connect issuer on loopback: it takes whoever comes for the person that the test names."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests import pki

HOST = "localhost"


@dataclass
class Issuer:
    """The claims of the person who logs in, and what clients did."""

    url: str
    ca: str
    client_id: str = "observer"
    client_secret: str = field(default_factory=secrets.token_urlsafe)
    person: dict[str, Any] = field(default_factory=dict)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes with its code."""
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return asked["redirect_uri"] + "?" + urlencode({"code": code, "state": asked["state"]})

    def token(self, asked: dict[str, str]) -> dict[str, Any]:
        """Exchange a code, once, by who has the client's secret and the verifier (PKCE)."""
        given = self.codes.pop(asked["code"])
        challenge = _base64(hashlib.sha256(asked["code_verifier"].encode()).digest())
        if (asked["client_secret"], given["code_challenge"], given["redirect_uri"]) != (
            self.client_secret,
            challenge,
            asked["redirect_uri"],
        ):
            raise PermissionError("not the client that asked")
        now = int(time.time())
        claims = {"iss": self.url, "aud": self.client_id, "iat": now, "exp": now + 600, "nonce": given["nonce"]}
        token = self.signed({**claims, **self.person})
        return {"access_token": "unused", "token_type": "Bearer", "expires_in": 600, "id_token": token}

    def signed(self, claims: dict[str, Any]) -> str:
        head = {"alg": "RS256", "kid": "1", "typ": "JWT"}
        text = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        return f"{text}.{_base64(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    @property
    def keys(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        modulus, exponent = (
            _base64(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e)
        )
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": modulus, "e": exponent}]}

    @property
    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def issuer(folder: Path) -> Iterator[Issuer]:
    """Serve it over TLS on loopback."""
    authority = pki.authority("issuer's authority")
    made = pki.make(HOST, authority, names=[HOST])
    (folder / "issuer.pem").write_text(made.key_pem + made.pem)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/authorize":
                self.answer(
                    302, None, served.authorize({name: value[0] for name, value in parse_qs(url.query).items()})
                )
            elif url.path == "/keys":
                self.answer(200, served.keys)
            else:
                self.answer(200 if "openid-configuration" in url.path else 404, served.discovery)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            asked = {name: value[0] for name, value in parse_qs(body).items()}
            if "authorization" in self.headers:
                pair = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()
                asked["client_secret"] = pair.partition(":")[2]
            try:
                self.answer(200, served.token(asked))
            except (KeyError, PermissionError):
                self.answer(400, {"error": "invalid_grant"})

        def answer(self, status: int, content: Any, location: str = "") -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "issuer.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    served = Issuer(f"https://{HOST}:{server.server_address[1]}", authority.pem)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
