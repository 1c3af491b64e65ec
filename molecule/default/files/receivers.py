# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Those whom an observer tells: a webhook and a mail server, each of which wants the secret in RECEIVERS_SECRET.

    receivers.py ADDRESS WEB_PORT MAIL_PORT FOLDER SECONDS

The webhook takes POST at /SECRET with the secret as token; each body becomes a line of FOLDER/notifications.jsonl, with
``received`` in seconds since 1970. Each mail becomes a line of FOLDER/mails.jsonl. The authority of the mail server is
FOLDER/mail-ca.crt. DELETE at any path ends both, and so do SECONDS.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from lab.certificates import serve
from tests.mail_server import Received, running_mail_server

USER = "observer"


def main(arguments: Sequence[str], secret: str) -> None:
    address, (web_port, mail_port) = arguments[0], map(int, arguments[1:3])
    folder, seconds = Path(arguments[3]), float(arguments[4])

    def keep(name: str, entry: Mapping[str, Any]) -> None:
        with (folder / name).open("a") as lines:
            lines.write(json.dumps({"received": time.time(), **entry}) + "\n")

    def take_mail(mail: Received) -> None:
        keep("mails.jsonl", {"to": mail.recipients, "subject": mail.message["Subject"], "text": mail.text})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            given = (self.path.removeprefix("/"), self.headers.get("Authorization", "").removeprefix("Bearer "))
            welcome = all(compare_digest(text, secret) for text in given)
            if welcome:
                keep("notifications.jsonl", json.loads(body))
            self.answer(200 if welcome else 401)

        def do_DELETE(self) -> None:
            """End."""
            self.answer(200)
            threading.Thread(target=server.shutdown).start()

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    served = serve("mail", address, datetime.now(UTC))
    certificate = folder / "mail.pem"
    certificate.touch(mode=0o600)
    certificate.write_text(served.certificate + served.key)
    server = ThreadingHTTPServer((address, web_port), Handler)
    # Nothing is left behind, whatever becomes of the one who started it.
    end = threading.Timer(seconds, server.shutdown)
    end.daemon = True
    end.start()
    with running_mail_server(address, mail_port, certificate, (USER, secret), take_mail):
        # When it is there, they take what comes.
        (folder / "mail-ca.crt").write_text(served.ca)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:], os.environ["RECEIVERS_SECRET"])
