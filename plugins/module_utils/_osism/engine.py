# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine of the host: Docker's API over its socket, with nothing but the standard library."""

from __future__ import annotations

import http.client
import io
import json
import socket
import tarfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, ObservabilityError

DEFAULT_HOST = "unix:///var/run/docker.sock"
# Seconds; an image is pulled, and a container stopped, while the engine is silent.
_TIMEOUT = 60.0
_PULL_TIMEOUT = 900.0


class EngineError(ObservabilityError):
    """The container engine did not do what it was asked for."""


class _Connection(http.client.HTTPConnection):
    """HTTP through a socket in the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """Docker's API at ``host``, which is unix:// and a path. Raises InputError (docker_host) where nothing answers."""

    def __init__(self, host: str = DEFAULT_HOST) -> None:
        if not host.startswith("unix:///"):
            raise InputError(
                f"{host!r} is not a socket of this host",
                parameter="docker_host",
                advice=f"Use for example {DEFAULT_HOST}; the module runs on the host of the container engine",
            )
        self._host = host

    def container(self, name: str) -> dict[str, Any] | None:
        """Return what the engine says about a container, None when it is not there."""
        return self._get(f"/containers/{quote(name)}/json", f"inspect the container {name}")

    def volume(self, name: str) -> dict[str, Any] | None:
        return self._get(f"/volumes/{quote(name)}", f"inspect the volume {name}")

    def image(self, reference: str) -> dict[str, Any] | None:
        return self._get(f"/images/{quote(reference)}/json", f"inspect the image {reference}")

    def file(self, container: str, path: str) -> str | None:
        """Return the text of a file in a container, None when it is not there."""
        status, content = self._request("GET", f"/containers/{quote(container)}/archive?{urlencode({'path': path})}")
        if status == http.client.NOT_FOUND:
            return None
        _expect(status, content, f"read {path} in the container {container}")
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = next((item for item in archive if item.isfile()), None)
            found = archive.extractfile(member) if member else None
            return found.read().decode(errors="replace") if found else None

    def logs(self, name: str, lines: int) -> str:
        """Return the last lines that a container said."""
        query = urlencode({"stdout": 1, "stderr": 1, "tail": lines})
        status, content = self._request("GET", f"/containers/{quote(name)}/logs?{query}")
        return _unframed(content).strip() if status == http.client.OK else ""

    def offered(self, reference: str) -> None:
        """Ask the registry for an image, without having it. Raises InputError (image) when it cannot be had."""
        status, content = self._request("GET", f"/distribution/{quote(reference)}/json", timeout=_PULL_TIMEOUT)
        if status != http.client.OK:
            raise _no_image(reference, _message(content))

    def pull(self, reference: str) -> None:
        """Have an image. Raises InputError (image) when it cannot be had."""
        name = reference.rpartition("/")[2]
        query = {"fromImage": reference} if ":" in name else {"fromImage": reference, "tag": "latest"}
        status, content = self._request("POST", f"/images/create?{urlencode(query)}", timeout=_PULL_TIMEOUT)
        reason = "" if status == http.client.OK else _message(content)
        for line in content.splitlines() if not reason else ():
            reason = reason or str(_parsed(line).get("error") or "")
        if reason:
            raise _no_image(reference, reason)

    def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Make a container and start it."""
        status, content = self._request("POST", f"/containers/create?{urlencode({'name': name})}", body)
        _expect(status, content, f"create the container {name}")
        status, content = self._request("POST", f"/containers/{quote(name)}/start")
        _expect(status, content, f"start the container {name}")

    def remove(self, name: str, grace: int) -> None:
        """Stop a container, which has ``grace`` seconds for it, and remove it. One that is gone is fine."""
        self._request("POST", f"/containers/{quote(name)}/stop?t={grace}", timeout=grace + _TIMEOUT)
        status, content = self._request("DELETE", f"/containers/{quote(name)}?force=true")
        if status != http.client.NOT_FOUND:
            _expect(status, content, f"remove the container {name}")

    def _get(self, path: str, wanted: str) -> dict[str, Any] | None:
        status, content = self._request("GET", path)
        if status == http.client.NOT_FOUND:
            return None
        _expect(status, content, wanted)
        return _parsed(content)

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = _TIMEOUT
    ) -> tuple[int, bytes]:
        connection = _Connection(self._host.removeprefix("unix://"), timeout)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise InputError(
                f"the container engine does not answer at {self._host}: {reason}",
                parameter="docker_host",
                advice="Start it, become root (become: true), or give the socket where it listens",
            ) from None
        finally:
            connection.close()


def _expect(status: int, content: bytes, wanted: str) -> None:
    if status >= http.client.BAD_REQUEST:
        raise EngineError(f"the container engine did not {wanted} ({status}): {_message(content)}")


def _no_image(reference: str, reason: str) -> InputError:
    return InputError(
        f"{reference} is not on this host and cannot be pulled: {reason}",
        parameter="image",
        advice="Give an image that this host can pull, or load it there before",
    )


def _message(content: bytes) -> str:
    return str(_parsed(content).get("message") or content.decode(errors="replace").strip())


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _unframed(content: bytes) -> str:
    """Without the eight bytes, of which the last four are a length, before each piece of a container's output."""
    pieces = []
    while len(content) >= 8 and content[0] <= 2:
        end = 8 + int.from_bytes(content[4:8], "big")
        pieces.append(content[8:end])
        content = content[end:]
    return b"".join([*pieces, content]).decode(errors="replace")
