# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Grafana is computed: its dashboards as ConfigMaps, and its login at an OpenID Connect provider."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import not_known
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted

Manifest = dict[str, Any]

URL, OIDC, SECRET = "observer_grafana_url", "observer_grafana_oidc", "observer_grafana_oidc_client_secret"
DIRECTORY = "observer_extra_directory"
UID_PREFIX = "scs-"
# What a ConfigMap holds, with some room for names and labels
LARGEST = 1000 * 1024
FOLDER_LABEL = "observability.scs.community/folder"
# Where the client secret and the provider's authorities are in the container
CLIENT_SECRET_FILE = "/etc/grafana/oidc/client-secret"

_ENDPOINTS = ("auth_url", "token_url", "api_url")
_REQUIRED = ("client_id", *_ENDPOINTS)
_GROUPS = {"admin_groups": "Admin", "editor_groups": "Editor", "viewer_groups": "Viewer"}
_DEFAULTS = {"name": "OpenID Connect", "scopes": "openid profile email", "groups_claim": "groups"}
_EVERYBODY = "*"
_KEYS = (*_REQUIRED, *_DEFAULTS, *_GROUPS, "ca")
# A path into the token, as JMESPath has it without quotes
_CLAIM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def dashboards(ours: Mapping[str, str], own: Mapping[str, str]) -> list[Manifest]:
    """Return a ConfigMap per dashboard; both are texts in JSON by the name of their file.

    The label FOLDER_LABEL tells those that come along (``scs``) from the operator's (``own``). Raises InputError with
    everything that is wrong with the operator's.
    """
    if wrong := dashboard_problems(own):
        raise InputError("\n".join(["cannot be shown:", *wrong]), parameter=DIRECTORY)
    return [*_config_maps("scs", ours), *_config_maps("own", own)]


def _config_maps(folder: str, files: Mapping[str, str]) -> Iterator[Manifest]:
    for name, text in sorted(files.items()):
        yield {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"grafana-dashboard-{folder}-{_slug(name)}",
                "labels": {"app.kubernetes.io/name": "grafana", FOLDER_LABEL: folder},
            },
            "data": {f"{_slug(name)}.json": text},
        }


def dashboard_problems(own: Mapping[str, str]) -> list[str]:
    """Return everything that is wrong with the operator's dashboards, one line each, beginning with the file."""
    wrong: list[str] = []
    seen: dict[str, str] = {}
    for name, text in sorted(own.items()):
        uid, problems = _dashboard(text)
        place = f"{DIRECTORY}/dashboards/{name}"
        wrong += [f"{place}: {problem}" for problem in problems]
        for what, value in (("uid", uid), ("name without signs and capitals", _slug(name))):
            if value and seen.setdefault(f"{what} {value}", name) != name:
                wrong.append(f"{place}: its {what}, {value}, is that of {seen[f'{what} {value}']}, too")
    return wrong


def _dashboard(text: str) -> tuple[str, list[str]]:
    """The uid of a dashboard, and what is wrong with it."""
    if len(text.encode()) > LARGEST:
        return "", [f"{len(text.encode())} bytes are more than the {LARGEST} that a ConfigMap holds"]
    try:
        content = json.loads(text)
    except ValueError as error:
        return "", [f"is not JSON: {error}"]
    if not isinstance(content, Mapping):
        return "", ["is not a dashboard: there is no object in it"]
    wrong = [
        f"needs a {key}, a text"
        for key in ("title", "uid")
        if not isinstance(content.get(key), str) or not content[key]
    ]
    uid = str(content.get("uid") or "")
    if uid.startswith(UID_PREFIX):
        wrong.append(f"its uid begins with {UID_PREFIX}, as those that come along do")
    if content.get("__inputs"):
        wrong.append("was exported for sharing, and asks for __inputs: export it without")
    return uid, wrong


def _slug(name: str) -> str:
    """A file's name as part of an object's."""
    stem = re.sub(r"\.json$", "", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:150].strip("-") or "dashboard"


def environment(oidc: Mapping[str, Any], client_secret: str, url: str, now: datetime) -> dict[str, str]:
    """Return Grafana's settings that come of the public URL and the provider, as variables of its environment.

    The client secret is not among them. Raises InputError with everything that is wrong.
    """
    if wrong := login_problems(oidc, client_secret, url, now):
        raise InputError("\n".join(["cannot work:", *wrong]), parameter="observer_grafana")
    result: dict[str, str] = {}
    if url:
        result["GF_SERVER_ROOT_URL"] = url
        result["GF_SECURITY_COOKIE_SECURE"] = str(url.startswith("https:")).lower()
    if not oidc:
        return result
    settings = {**_DEFAULTS, **{key: value for key, value in oidc.items() if value}}
    login = {
        "enabled": "true",
        "name": settings["name"],
        "client_id": settings["client_id"],
        # Grafana reads the file itself.
        "client_secret": f"$__file{{{CLIENT_SECRET_FILE}}}",
        "scopes": settings["scopes"],
        **{key: settings[key] for key in _ENDPOINTS},
        # Who logs in for the first time gets an account; nobody can make one without the provider.
        "allow_sign_up": "true",
        "use_pkce": "true",
        "role_attribute_path": role_path(settings),
        # Whoever gets no role stays outside.
        "role_attribute_strict": str(not _open(settings)).lower(),
    }
    return {**result, **{f"GF_AUTH_GENERIC_OAUTH_{key.upper()}": str(value) for key, value in login.items()}}


def role_path(oidc: Mapping[str, Any]) -> str:
    """The JMESPath expression that makes a role of the groups that the provider tells."""
    claim = oidc.get("groups_claim") or _DEFAULTS["groups_claim"]
    parts = [
        f"contains(not_null({claim}, `[]`), '{group}') && '{role}'"
        for key, role in _GROUPS.items()
        for group in oidc.get(key) or []
        if group != _EVERYBODY
    ]
    return " || ".join([*parts, "'Viewer'"] if _open(oidc) else parts)


def _open(oidc: Mapping[str, Any]) -> bool:
    """Whether everybody whom the provider knows may look."""
    return _EVERYBODY in (oidc.get("viewer_groups") or [])


def login_problems(oidc: Any, client_secret: str, url: str, now: datetime) -> list[str]:
    """Return everything that is wrong with the public URL and the provider, one line each. No value is repeated."""
    wrong = [f"{URL}: {text}" for text in (_url_problems(url, ("https", "http")) if url else ())]
    if not isinstance(oidc, Mapping):
        return [*wrong, f"{OIDC}: must be a dictionary"]
    if not oidc:
        return [*wrong, *([f"{SECRET}: is of no use without {OIDC}"] if client_secret else [])]
    if not url:
        wrong.append(f"{URL}: is needed with {OIDC}, as the provider sends people back to it")
    if not client_secret:
        wrong.append(f"{SECRET}: is required with {OIDC}")
    return wrong + [f"{OIDC}.{key}: {text}" for key, text in _oidc_problems(oidc, now)]


def _oidc_problems(oidc: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    for key in oidc:
        if key not in _KEYS:
            yield str(key), not_known(key, _KEYS)
    for key in _REQUIRED:
        if not oidc.get(key) or not isinstance(oidc[key], str):
            yield key, "is required and must be a text"
        elif key in _ENDPOINTS:
            for text in _url_problems(oidc[key], ("https",)):
                yield key, text
    for key in (*_DEFAULTS, "ca"):
        if oidc.get(key) and not isinstance(oidc[key], str):
            yield key, "must be a text"
    yield from _group_problems(oidc)
    if oidc.get("ca") and isinstance(oidc["ca"], str):
        try:
            trusted(oidc["ca"], now, "ca")
        except InputError as error:
            yield "ca", f"{error.message}. {error.advice}" if error.advice else error.message


def _group_problems(oidc: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    claim = oidc.get("groups_claim")
    if claim and isinstance(claim, str) and not _CLAIM.fullmatch(claim):
        yield "groups_claim", "must be a name, or names with dots between them, such as realm_access.roles"
    if not any(oidc.get(key) for key in _GROUPS):
        yield (
            "viewer_groups",
            "and the others are empty. Name groups, or '*' for everybody whom the provider knows",
        )
    for key in _GROUPS:
        groups = oidc.get(key) or []
        if isinstance(groups, str) or not all(isinstance(group, str) and group for group in groups):
            yield key, "must be a list of texts"
        elif any(re.search(r"['\\]", group) for group in groups):
            yield key, "must not contain quotes or backslashes"
        elif key != "viewer_groups" and _EVERYBODY in groups:
            yield key, "must not be everybody. Name groups"


def _url_problems(value: Any, schemes: tuple[str, ...]) -> list[str]:
    try:
        url = urlsplit(value)
        named = bool(url.hostname) and url.port != 0
    except (ValueError, AttributeError, TypeError):
        return ["is not a URL"]
    if not named or re.search(r"[\s\x00-\x1f\x7f]", str(value)):
        return ["is not a URL"]
    wrong = []
    if url.scheme not in schemes:
        wrong.append(f"must begin with {' or '.join(schemes)}://")
    if "@" in url.netloc:
        wrong.append("must not contain credentials")
    return wrong
