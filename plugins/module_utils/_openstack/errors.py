# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Keystone's refusal, or its silence, means to an operator. Pure.

The text of an answer is looked at, and never shown.
"""

from __future__ import annotations

import socket
import ssl

from ansible_collections.scs.observability.plugins.module_utils._core.errors import CloudError
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Finding, causes

LOG_IN = "log in"
# Keystone's own words, when the token is one of an application credential, a trust or OAuth.
_DELEGATED = "delegated tokens"

_WRONG_LOGIN = Finding(
    "Keystone refuses the login: the user, the password, the project or a domain is wrong, the user has no role in the "
    "project, or the application credential is no more",
    "Try it with: openstack token issue",
    "auth",
)
_APPLICATION_CREDENTIAL = Finding(
    "an application credential may not manage EC2 credentials in this cloud, whether it is restricted or not",
    "Log in as the user, with the password, or give endpoint, access_key and secret_key of a credential that the user "
    "made: openstack ec2 credentials create",
    "auth",
)
_NO_ROLE = Finding(
    "the user may not do this in the project: roles such as reader cannot",
    "Give the user the role member in the project, or have somebody who may make the credential",
    "auth",
)
_NO_EC2 = Finding(
    "Keystone has no EC2 credentials there, or not this user",
    "Ask the cloud's operator whether OS-EC2 is switched off, and give endpoint, access_key and secret_key instead",
    "auth",
)
_NOT_KEYSTONE = Finding(
    "what answers there is not Keystone", "Check auth_url: host, port, and the path, such as /v3", "auth"
)
_BROKEN = Finding("Keystone, or a proxy before it, had an error", "Look at its log; try again later")
_OTHER = Finding("Keystone refused", "Look at its log")


def refused(
    keystone: str, wanted: str, status: int, text: str = "", *, application_credential: bool = False
) -> CloudError:
    """Explain an answer of Keystone that is an error. ``text`` is the answer's own."""
    if status == 403:
        delegated = application_credential or _DELEGATED in text.lower()
        finding = _APPLICATION_CREDENTIAL if delegated else _NO_ROLE
    elif status == 401:
        finding = _WRONG_LOGIN
    elif status >= 500:
        finding = _BROKEN
    elif wanted == LOG_IN:
        finding = _NOT_KEYSTONE
    else:
        finding = _NO_EC2 if status == 404 else _OTHER
    return failure(keystone, wanted, finding, status=status)


def unreachable(keystone: str, wanted: str, error: BaseException) -> CloudError:
    """Explain why there is no (usable) answer, from the exception of the HTTP client and what caused it."""
    found = list(causes(error))

    def caused_by(kind: type[BaseException]) -> BaseException | None:
        return next((cause for cause in found if isinstance(cause, kind)), None)

    certificate = caused_by(ssl.SSLCertVerificationError)
    if certificate:
        reason = str(getattr(certificate, "verify_message", "") or "certificate verify failed").rstrip(".")
        finding = Finding(
            f"Keystone's certificate is refused ({reason})",
            "Give the certificate (PEM) of the authority that signed it, and a name that is in it in auth_url",
            "cacert",
        )
    elif caused_by(ssl.SSLError):
        finding = Finding("the TLS connection failed", "Check scheme and port of auth_url", "auth")
    elif caused_by(socket.gaierror):
        finding = Finding("the host's name cannot be resolved", "Check auth_url and the DNS", "auth")
    elif caused_by(ConnectionRefusedError):
        finding = Finding("the connection is refused", "Check the port of auth_url, and that Keystone runs", "auth")
    elif caused_by(TimeoutError) or any("Timeout" in type(cause).__name__ for cause in found):
        finding = Finding("there is no answer in time", "Check auth_url, routes, firewalls and proxies", "auth")
    else:
        finding = Finding(
            f"the connection failed ({type(error).__name__})", "Check auth_url, its scheme too, and proxies", "auth"
        )
    return failure(keystone, wanted, finding)


def not_keystone(keystone: str, wanted: str) -> CloudError:
    """Explain an answer that makes no sense."""
    return failure(keystone, wanted, _NOT_KEYSTONE)


def failure(cloud: str, wanted: str, finding: Finding, *, status: int | None = None) -> CloudError:
    """Return the error: what was wanted, what was found instead, what to do."""
    answer = f" (HTTP {status})" if status is not None else ""
    return CloudError(
        f"could not {wanted} at {cloud}: {finding.found}{answer}",
        parameter=finding.parameter,
        advice=finding.advice,
        details={"cloud": cloud, "wanted": wanted, "found": finding.found, "status": status},
    )
