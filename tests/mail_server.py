# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server (aiosmtpd) that takes mail from one user, whom it lets log in under TLS only."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True)
class Received:
    """A mail, the user who sent it, and whether under TLS."""

    recipients: list[str]
    user: str | None
    secure: bool
    message: EmailMessage

    @property
    def text(self) -> str:
        """What a reader sees who takes plain text."""
        body = self.message.get_body(preferencelist=("plain",))
        return body.get_content() if body else ""


@contextmanager
def running_mail_server(
    address: str, port: int, certificate: Path, login: tuple[str, str], take: Callable[[Received], None]
) -> Iterator[None]:
    """Serve until the end of the block. The certificate is a file with its key, the login a user and a password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword
    ) -> AuthResult:
        known = (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=known, auth_data=given.login.decode() if known else None)

    class Handler:
        async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
            content = envelope.content if isinstance(envelope.content, bytes) else b""
            message = message_from_bytes(content, policy=default)
            take(Received(envelope.rcpt_tos, session.auth_data, session.ssl is not None, message))
            return "250 taken"

    controller = Controller(
        Handler(),
        hostname=address,
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
        # Its challenges are others than those of common mail servers, and Alertmanager knows only these.
        auth_exclude_mechanism=["LOGIN"],
    )
    controller.start()
    try:
        yield
    finally:
        controller.stop()
