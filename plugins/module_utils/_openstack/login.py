# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to log in to an OpenStack cloud, from parameters as openstacksdk calls them. Pure, but for a look at files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import authority_from

# With one of them openstacksdk finds the rest in the environment.
_IN_ENVIRONMENT = ("OS_CLOUD", "OS_AUTH_URL")
_OF_A_LOGIN = ("auth_type", "region_name", "interface", "cacert")
# What openstacksdk calls it, and the options one of which names the project; system scope has no buckets.
_PASSWORD = ("password", "v3password")
_PROJECT = ("project_name", "project_id", "tenant_name", "tenant_id")
_OF_CREDENTIALS = ("rotate_credentials", "revoke_credentials", "remove_credentials")


@dataclass(frozen=True)
class Login:
    """How to log in, as openstacksdk takes it. Without ``cloud`` and ``auth`` the environment says it (OS_…).

    ``ca`` is PEM text, for Keystone where neither ``cacert`` nor the cloud's configuration names a file.
    """

    cloud: str | None = None
    auth: Mapping[str, Any] = field(default_factory=dict, repr=False)
    auth_type: str | None = None
    region_name: str | None = None
    interface: str | None = None
    cacert: str | None = None
    ca: str | None = None
    validate_certs: bool = True


def is_meant(params: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Tell whether parameters, or without any of a store's own the environment, ask for a login."""
    if params.get("cloud") or _given(params.get("auth")):
        return True
    if any(params.get(name) for name in ("endpoint", "access_key", "secret_key")):
        return False
    return any(environment.get(name) for name in _IN_ENVIRONMENT)


def refuse_without(params: Mapping[str, Any]) -> None:
    """Refuse what needs a login where none is meant. Raises InputError for all of it."""
    problems = Problems()
    for name in (*_OF_A_LOGIN, *_OF_CREDENTIALS):
        if params.get(name):
            problems.found.append(
                InputError("needs a login at an OpenStack cloud", parameter=name, advice="Give cloud or auth")
            )
    problems.refuse()


def read_parameters(params: Mapping[str, Any]) -> Login:
    """Check what can be checked without the cloud. Raises InputError naming the parameter."""
    problems = Problems()
    auth = _given(params.get("auth"))
    for name, value in auth.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            # The value may be a secret.
            problems.found.append(InputError(f"{name} is not text", parameter="auth"))
    cacert = params.get("cacert") or None
    if cacert and not os.access(cacert, os.R_OK):
        problems.found.append(InputError(f"{cacert} cannot be read", parameter="cacert"))
    ca = problems.of(authority_from, params.get("ca_path"), params.get("ca_content"))
    problems.refuse()
    return Login(
        cloud=params.get("cloud") or None,
        auth=auth,
        auth_type=params.get("auth_type") or None,
        region_name=params.get("region_name") or None,
        interface=params.get("interface") or None,
        cacert=cacert,
        ca=ca,
        validate_certs=params.get("validate_certs") is not False,
    )


def incomplete(auth: Mapping[str, Any], auth_type: str) -> str:
    """Say what is missing of a login with a password, or of any; empty if nothing is.

    openstacksdk finds that only on the way, and then by an exception without a type.
    """
    missing = [] if auth.get("auth_url") else ["auth_url"]
    if auth_type in _PASSWORD:
        missing += [] if auth.get("username") or auth.get("user_id") else ["username"]
        missing += [] if auth.get("password") else ["password"]
        missing += [] if any(auth.get(name) for name in _PROJECT) else ["project_name"]
    return ", ".join(missing)


def _given(auth: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a survey did not ask for, or nobody answered, is not given."""
    return {str(name): value for name, value in (auth or {}).items() if value not in (None, "")}
