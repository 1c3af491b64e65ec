# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kolla's Prometheus: where it is, by what its container says, and what it says about itself."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError

# Where kolla's images find the command that they are to run.
KOLLA_CONFIGURATION = "/var/lib/kolla/config_files/config.json"
_POLL = 0.5
_TIMEOUT = 15.0
_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True)
class Mount:
    """A place of a container that lasts: a volume by its name, or a folder of the host."""

    source: str
    destination: str
    volume: bool


@dataclass(frozen=True)
class Container:
    """kolla's container, as the engine shows it. ``user`` may be empty, a name, or numbers."""

    name: str
    running: bool
    user: str
    mounts: tuple[Mount, ...]
    command: tuple[str, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any], configuration: str | None) -> Container:
        """Read an inspection, and kolla's config.json where the container has one."""
        command = [document.get("Path") or "", *(document.get("Args") or [])]
        # Of an image that is none of kolla's, what the engine started is what runs.
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            command = shlex.split(json.loads(configuration or "")["command"])
        return cls(
            name=str(document["Name"]).lstrip("/"),
            running=document["State"].get("Status") == "running",
            user=document["Config"].get("User") or "",
            mounts=tuple(
                Mount(
                    item.get("Name") or item["Source"] if item.get("Type") == "volume" else item["Source"],
                    item["Destination"],
                    item.get("Type") == "volume",
                )
                for item in document.get("Mounts") or ()
                if item.get("Type") in ("volume", "bind")
            ),
            command=tuple(command),
        )

    def flag(self, name: str) -> str:
        """Return the value of --name=value or --name value in the command, empty when it is not there."""
        for position, argument in enumerate(self.command):
            found, equals, value = argument.partition("=")
            if found.lstrip("-") == name:
                return value if equals else "".join(self.command[position + 1 : position + 2])
        return ""

    @property
    def url(self) -> str:
        """Where its API is, from the same host."""
        host, _colon, port = (self.flag("web.listen-address") or "0.0.0.0:9090").rpartition(":")
        host = host.strip("[]")
        host = _WILDCARDS.get(host, host)
        prefix = self.flag("web.route-prefix") or urlsplit(self.flag("web.external-url")).path
        return f"http://{host_and_port(host, int(port))}{'/' + prefix.strip('/') if prefix.strip('/') else ''}"

    @property
    def address(self) -> str:
        """The address that it listens on, or the loopback address for all of them."""
        return urlsplit(self.url).hostname or ""

    def mount_of(self, path: str) -> Mount | None:
        """Return the mount that a path is in."""
        inside = [item for item in self.mounts if PurePosixPath(path).is_relative_to(item.destination)]
        return max(inside, key=lambda item: len(item.destination), default=None)


@dataclass(frozen=True)
class Answers:
    """What a Prometheus says about itself."""

    version: str
    flags: Mapping[str, str]
    external_labels: Mapping[str, str]

    @property
    def tsdb_path(self) -> str:
        return self.flags.get("storage.tsdb.path", "")


@dataclass
class Client:
    """The API of a Prometheus; ``seconds`` is how long one that is starting is waited for."""

    url: str
    user: str
    password: str = field(repr=False)
    seconds: float
    sleep: Callable[[float], None] = time.sleep

    def answers(self) -> Answers:
        """Ask for version, flags and configuration. Raises InputError for what does not answer, or refuses."""
        configuration = self._data("config")["yaml"]
        return Answers(
            version=str(self._data("buildinfo")["version"]),
            flags=self._data("flags"),
            external_labels=external_labels(str(configuration)),
        )

    def _data(self, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + self.seconds
        while True:
            status, content = self._get(f"/api/v1/status/{what}")
            # It listens before it serves, and does not listen at once.
            if status not in (0, http.client.SERVICE_UNAVAILABLE) or time.monotonic() >= deadline:
                break
            self.sleep(_POLL)
        if status == http.client.UNAUTHORIZED:
            raise InputError(
                f"Prometheus at {self.url} refuses these credentials"
                if self.user
                else f"Prometheus at {self.url} wants a user and a password",
                parameter="prometheus_password" if self.user else "prometheus_user",
                advice="kolla keeps them in prometheus_basic_auth_users and its passwords.yml",
            )
        try:
            data = json.loads(content)["data"]
        except (ValueError, KeyError, TypeError):
            data = None
        if status != http.client.OK or not isinstance(data, dict):
            reason = f"it answered {status}" if status else content.decode(errors="replace")
            raise InputError(
                f"Prometheus does not answer at {self.url}: {reason}",
                parameter="container",
                advice="See what its container logs; it listens where its command line says",
            )
        return data

    def _get(self, path: str) -> tuple[int, bytes]:
        """Return status and content; 0 and the reason when there is no answer."""
        url = urlsplit(self.url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_TIMEOUT)
        headers = {}
        if self.user:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        try:
            connection.request("GET", url.path + path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, (getattr(error, "strerror", None) or str(error) or type(error).__name__).encode()
        finally:
            connection.close()


def external_labels(configuration: str) -> dict[str, str]:
    """Return the external labels in a configuration of Prometheus.

    It is YAML as Prometheus writes it, always in the same form, and a host need not have a parser of it.
    """
    _before, _title, after = configuration.partition("\n  external_labels:\n")
    values: dict[str, str] = {}
    name = ""
    for line in after.splitlines():
        if not line.startswith("    "):
            break
        found = re.fullmatch(r"    ([^ :][^:]*): ?(.*)", line)
        if found:
            name, value = _scalar(found[1]), found[2]
        else:
            # What is long goes on, further to the right.
            value = f"{values.get(name, '')} {line.strip()}"
        values[name] = value
    return {key: _scalar(value) for key, value in values.items()}


def _scalar(text: str) -> str:
    if text.startswith('"'):
        with contextlib.suppress(ValueError):
            return str(json.loads(text))
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def user_and_group(user: str, passwd: str) -> tuple[int, int] | None:
    """Return the numbers of a container's user, by the passwd file in it; None when it says nothing about it.

    Of a user without a group, the group is the one in passwd, and the superuser's where there is no line about it.
    """
    name, _colon, group = user.partition(":")
    name = name or "0"
    rows = [line.split(":") for line in passwd.splitlines() if re.match(r"[^:]*:[^:]*:\d+:\d+:", line)]
    row = next((row for row in rows if name in (row[0], row[2])), None)
    if row is None and not name.isdigit():
        return None
    number = int(row[2]) if row else int(name)
    if group and not group.isdigit():
        return None
    return number, int(group) if group else int(row[3]) if row else 0


def host_and_port(host: str, port: int) -> str:
    """Return host:port, IPv6 addresses in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
