# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when a part of the observer ends: nothing that was accepted is lost. The tests build on one another."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from typing import Any
from urllib.request import urlopen

import pytest

from tests.integration import remote_write
from tests.integration.remote_write import Sample
from tests.integration.s3_server import S3Server
from tests.integration.thanos.conftest import GATEWAY_NAME, Observer, write
from tests.integration.thanos.pods import wait_for


@pytest.fixture(scope="module")
def block_duration() -> str:
    """Receive's own. With blocks of a minute it would prune every second minute, and not start in that (see pods)."""
    return "2h"


def blocks(s3: S3Server, bucket: str) -> list[dict[str, Any]]:
    """The descriptions of the complete blocks in a bucket."""
    listed = s3.witness.list_objects_v2(Bucket=bucket).get("Contents", [])
    keys = [item["Key"] for item in listed if item["Key"].endswith("/meta.json")]
    return [json.load(s3.witness.get_object(Bucket=bucket, Key=key)["Body"]) for key in keys]


def blocks_of(cluster: str, s3: S3Server, bucket: str) -> list[dict[str, Any]]:
    return [block for block in blocks(s3, bucket) if block["thanos"]["labels"]["cluster"] == cluster]


def samples_of_minutes(name: str) -> bytes:
    """The body of a request with a series of the last five minutes."""
    now = time.time()
    return remote_write.body(
        Sample({"__name__": name, "job": "node"}, float(age), int((now - age) * 1000)) for age in range(300, 0, -15)
    )


def test_what_is_in_memory_reaches_the_bucket_when_receive_ends(observer: Observer) -> None:
    before = {block["ulid"] for block in blocks(observer.s3, observer.bucket)}
    early = observer.agent("kaas-1").request(
        "POST", "/api/v1/receive", body=samples_of_minutes("early"), headers=remote_write.HEADERS
    )
    assert early.status == 200
    pool = observer.agent("kaas-2")
    for _ignored in range(2):
        assert write(pool, "late", job="node").status == 200
    assert observer.receive.stop(signal.SIGTERM) == 0
    added = [block for block in blocks_of("kaas-2", observer.s3, observer.bucket) if block["ulid"] not in before]
    assert sum(block["stats"]["numSeries"] for block in added) == 1


def test_the_store_gateway_serves_what_receive_took_along(observer: Observer) -> None:
    assert observer.receive.process.poll() is not None
    # Query-frontend rounds times down to the step.
    start, end = time.time() - 900, time.time() + 60
    # It keeps ranges, also those in which nothing was found.
    wait_for(lambda: observer.series("early") and observer.series("late"), 30, "both series from blocks")
    served = observer.range("early", start, end)
    assert [series["metric"] for series in served] == [{"__name__": "early", "cluster": "kaas-1", "job": "node"}]
    assert len(served[0]["values"]) > 10
    late = observer.range("late", start, end)
    assert [series["metric"]["cluster"] for series in late] == ["kaas-2"]


def test_without_receive_the_gateway_asks_to_come_again(observer: Observer) -> None:
    assert observer.receive.process.poll() is not None
    # 5xx: an agent keeps its samples and tries again.
    assert write(observer.agent("kaas-1"), "meanwhile").status == 503
    with urlopen(f"http://127.0.0.1:{observer.gateway.ports['metrics']}/healthz") as response:
        assert response.status == 200, "the gateway itself is well"


def test_the_gateway_finds_receive_again(observer: Observer) -> None:
    observer.receive.start()
    pool = observer.agent("kaas-1")
    wait_for(lambda: write(pool, "again").status == 200, 90, "a write that passes")
    observer.wait_for_series("again")


def test_a_gateway_that_ends_finishes_what_it_has_begun(observer: Observer) -> None:
    body = remote_write.body([Sample({"__name__": "last_words"}, 1.0, int(time.time() * 1000))])
    context = observer.identities.client("tenants", "kaas-1")
    port = observer.gateway.ports["https"]
    head = f"POST /api/v1/receive HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=GATEWAY_NAME) as client,
    ):
        client.sendall(head + body[:10])
        stopping = threading.Thread(target=observer.gateway.stop, args=(signal.SIGUSR1,))
        stopping.start()
        wait_for(lambda: refuses(port), 10, "the gateway takes no new connections")
        client.sendall(body[10:])
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    stopping.join()
    assert observer.gateway.process.returncode == 0
    observer.wait_for_series("last_words")


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
