# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair

# Called with server, client, what the server and what the client trust, and the name that the client expects.
Handshake = Callable[..., None]


@pytest.fixture
def handshake(tmp_path: Path) -> Handshake:
    """A whole TLS 1.3 handshake with client authentication, in memory; ssl.SSLError when one side refuses the other.

    Strict, as RFC 5280 has it. An intermediate authority may be the anchor, as in Go's crypto/tls, unless the trusted
    certificates are in OpenSSL's own form: then as OpenSSL does it by itself.
    """
    numbers = itertools.count()

    def context(purpose: ssl.Purpose, pair: KeyPair | None, trusts: str) -> ssl.SSLContext:
        anchors = tmp_path / f"{next(numbers)}.pem"
        anchors.write_text(trusts)
        result = ssl.create_default_context(purpose, cafile=str(anchors))
        result.minimum_version = ssl.TLSVersion.TLSv1_3
        result.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        if "TRUSTED" in trusts:
            result.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        result.verify_mode = ssl.CERT_REQUIRED
        if pair is not None:
            file = tmp_path / f"{next(numbers)}.pem"
            file.write_text(pair.key + pair.certificate)
            result.load_cert_chain(file)
        return result

    def shake(server: KeyPair, client: KeyPair | None, server_trusts: str, client_trusts: str, name: str) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        sides = [
            context(ssl.Purpose.SERVER_AUTH, client, client_trusts).wrap_bio(
                to_client, to_server, server_hostname=name
            ),
            context(ssl.Purpose.CLIENT_AUTH, server, server_trusts).wrap_bio(to_server, to_client, server_side=True),
        ]
        for _round in range(10):
            waiting = []
            for side in sides:
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    waiting.append(side)
            sides = waiting
            if not sides:
                return
        raise AssertionError("the handshake does not end")

    return shake
