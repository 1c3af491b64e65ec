# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One real API server, shown as many clusters.

A proxy in a process of its own (this file is the program, too). Cluster 7 is its URL with /7: namespaces and what is in
no namespace have other names behind it (scs-observability is c7-scs-observability), and so each cluster has a
kube-system with a UID of its own. Everything else is said by the real API server.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from tests.integration.api_server import ApiServer
from tests.integration.processes import answers, free_port, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
# What every cluster has from the start
NAMESPACES = ("kube-system", "default")
_CLUSTER_WIDE = ("namespaces", "clusterroles", "clusterrolebindings")
_CLUSTER_WIDE_KINDS = ("Namespace", "ClusterRole", "ClusterRoleBinding")
_NAMED = re.compile(rf"/({'|'.join(_CLUSTER_WIDE)})/([^/?]+)")
# A list of all namespaces of what is in some; what is in none has one of these names.
_EVERYWHERE = re.compile(r"^(/api/v1|/apis/[^/]+/[^/]+)/([a-z]+)(\?.*)?$")
_IN_NONE = (
    *_CLUSTER_WIDE,
    "nodes",
    "persistentvolumes",
    "storageclasses",
    "ingressclasses",
    "customresourcedefinitions",
)
_SHOWN = re.compile(r"^/(\d+)(/.*)$")


@dataclass(frozen=True)
class ShownClusters:
    """Many clusters that are one."""

    server: ApiServer
    url: str

    def kubeconfig(self, number: int) -> Path:
        return self.server.kubeconfig(server=f"{self.url}/{number}")

    def client(self, number: int) -> KubernetesClient:
        return KubernetesClient.from_parameters({"kubeconfig": str(self.kubeconfig(number))})


@contextmanager
def shown_clusters(server: ApiServer, numbers: Sequence[int]) -> Iterator[ShownClusters]:
    """Clusters with these numbers, as long as the block lasts. They are new, unless the server was shown before."""
    admin = server.client()
    names = [f"c{number}-{name}" for number in numbers for name in NAMESPACES]
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
    admin.parallel([partial(admin.apply, namespace) for namespace in made])
    certificate, key = server.authority.pair("shown", "shown-clusters", server=True)
    user_certificate, user_key = server.authority.pair("shown-user", "shown", ("system:masters",))
    port, log = free_port(), server.folder / "shown-clusters.log"
    files = (certificate, key, server.authority.certificate, user_certificate, user_key)
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.integration.shown_clusters", str(port), server.url]
        running = subprocess.Popen([*command, *map(str, files)], cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT)
    url = f"https://127.0.0.1:{port}"
    context = ssl.create_default_context(cafile=str(server.authority.certificate))
    try:
        wait_until(lambda: answers(f"{url}/0/readyz", context), running, log)
        yield ShownClusters(server, url)
    finally:
        running.terminate()
        running.wait()


# The proxy


def to_server(number: str, path: str) -> str:
    return _NAMED.sub(lambda found: f"/{found[1]}/c{number}-{found[2]}", path)


def renamed(item: Any, rename: Callable[[str], str]) -> Any:
    """A copy of an object, or of a list of some, with other names of what differs between clusters."""
    if not isinstance(item, dict):
        return item
    result = dict(item)
    if "items" in item and isinstance(item["items"], list):
        kind = str(item.get("kind", "")).removesuffix("List")
        result["items"] = [renamed({"kind": kind, **found}, rename) for found in item["items"]]
        return result
    metadata = item.get("metadata")
    if isinstance(metadata, dict):
        changed = dict(metadata)
        if item.get("kind") in _CLUSTER_WIDE_KINDS and "name" in changed:
            changed["name"] = rename(changed["name"])
        if changed.get("namespace"):
            changed["namespace"] = rename(changed["namespace"])
        result["metadata"] = changed
    if isinstance(item.get("subjects"), list):
        result["subjects"] = [
            {**subject, "namespace": rename(subject["namespace"])} if subject.get("namespace") else subject
            for subject in item["subjects"]
        ]
    reference = item.get("roleRef")
    if isinstance(reference, dict) and reference.get("kind") == "ClusterRole":
        result["roleRef"] = {**reference, "name": rename(reference["name"])}
    return result


def shown(number: str, body: bytes) -> bytes:
    """What the server says, as that cluster says it: of lists, what is its own."""
    prefix = f"c{number}-"
    document = json.loads(body)
    if isinstance(document.get("items"), list):
        wide = str(document.get("kind")).removesuffix("List") in _CLUSTER_WIDE_KINDS

        def is_its_own(item: Mapping[str, Any]) -> bool:
            metadata = item.get("metadata") or {}
            place = metadata.get("namespace") or (metadata["name"] if wide else prefix)
            return str(place).startswith(prefix)

        document["items"] = [item for item in document["items"] if is_its_own(item)]
    found = renamed(document, lambda name: name.removeprefix(prefix))
    if found.get("kind") == "Status":
        return json.dumps(found).replace(prefix, "").encode()
    return json.dumps(found).encode()


Message = tuple[str, dict[str, str], bytes]


async def read(stream: asyncio.StreamReader) -> Message | None:
    """The next request or answer: first line, headers, body. None at the end."""
    try:
        head = (await stream.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int((await stream.readline()).strip(), 16):
            body += await stream.readexactly(size)
            await stream.readline()
        await stream.readline()
    else:
        body = await stream.readexactly(int(headers.get("content-length", "0")))
    return first, headers, body


def written(first: str, headers: Mapping[str, str], body: bytes) -> bytes:
    kept = {name: value for name, value in headers.items() if name not in ("transfer-encoding", "content-length")}
    lines = [first, *(f"{name}: {value}" for name, value in kept.items()), f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Proxy:
    def __init__(self, server: str, context: ssl.SSLContext) -> None:
        url = urlsplit(server)
        self._server = (url.hostname, url.port)
        self._context = context
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        # Those that somebody has asked for, by cluster
        self._namespaces: dict[str, set[str]] = {}

    async def _ask(self, message: bytes) -> Message:
        # One that was kept may have been closed by the server: then the next.
        while True:
            kept = bool(self._idle)
            reader, writer = (
                self._idle.pop() if kept else await asyncio.open_connection(*self._server, ssl=self._context)
            )
            writer.write(message)
            answer = await read(reader)
            if answer is not None:
                self._idle.append((reader, writer))
                return answer
            writer.close()
            if not kept:
                raise ConnectionError("the API server closed the connection")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while (request := await read(reader)) is not None:
                writer.write(await self._answer(request))
                await writer.drain()
        writer.close()

    async def _answer(self, request: Message) -> bytes:
        first, headers, body = request
        method, path, version = first.split(" ")
        found = _SHOWN.match(path)
        if found is None:
            return written("HTTP/1.1 404 Not Found", {}, b"")
        number, path = found[1], found[2]
        known = self._namespaces.setdefault(number, set(NAMESPACES))
        known.update(name for what, name in _NAMED.findall(path) if what == "namespaces")
        if body:
            content = renamed(json.loads(body), lambda name: f"c{number}-{name}")
            body = json.dumps(content).encode()
        everywhere = _EVERYWHERE.match(path) if method == "GET" else None
        paths = [path]
        if everywhere and everywhere[2] not in _IN_NONE:
            # The server has those of all clusters, a hundred times as many.
            base, plural, query = everywhere[1], everywhere[2], everywhere[3] or ""
            paths = [f"{base}/namespaces/{name}/{plural}{query}" for name in sorted(known)]
        items: list[Any] = []
        for place in paths:
            request_line = f"{method} {to_server(number, place)} {version}"
            status, answered, answer = await self._ask(written(request_line, headers, body))
            if "json" in answered.get("content-type", ""):
                answer = shown(number, answer)
            if len(paths) > 1:
                document = json.loads(answer)
                if "items" not in document:
                    break
                items += document["items"]
                answer = json.dumps({**document, "items": items}).encode()
        return written(status, answered, answer)


async def main(port: str, server: str, *files: str) -> None:
    certificate, key, authority, user_certificate, user_key = files
    towards_server = ssl.create_default_context(cafile=authority)
    towards_server.load_cert_chain(user_certificate, user_key)
    towards_clients = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    towards_clients.load_cert_chain(certificate, key)
    proxy = Proxy(server, towards_server)
    # As long as the largest list
    limit = 2**26
    serving = await asyncio.start_server(
        proxy.serve, "127.0.0.1", int(port), ssl=towards_clients, limit=limit, backlog=512
    )
    await serving.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
