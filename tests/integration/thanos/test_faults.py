# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive is killed, gateway and bucket go away while a real agent writes: nothing is lost, nothing is there twice.

The tests build on one another.
TEST_DURATION_SCALE makes outages longer and more of them (`make soak`); what was measured is written to SOAK_RESULTS.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import issue
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import parse
from tests.integration import agents, remote_write
from tests.integration.agents import Agent
from tests.integration.s3_server import S3Server, running_s3_server
from tests.integration.thanos.conftest import (
    BLOCK_DURATION,
    GATEWAY_NAME,
    RECEIVE_NAME,
    Identities,
    Observer,
    component_of,
    connection,
    new_bucket,
)
from tests.integration.thanos.pods import Node, Pod, wait_for
from tests.integration.thanos.test_receive_goes import blocks_of, samples_of_minutes

SCALE = float(os.environ.get("TEST_DURATION_SCALE") or "1")
KILLS = max(2, round(SCALE / 4))
RECEIVE_AWAY = GATEWAY_AWAY = 5.0 * min(SCALE, 36.0)
BUCKET_AWAY = 10.0 * SCALE
# An agent that was refused for long comes back within its longest pause.
COMES_BACK = 90.0

# Blocks of a minute: the head is written out when its oldest sample is one and a half old, seen once a minute, and
# blocks are looked for every half.
UPLOADED = 150.0

CLUSTER = "faults"
SERIES = 50
# What Prometheus tells of each scrape
REPORTED = (
    *("up", "scrape_duration_seconds", "scrape_samples_scraped"),
    *("scrape_samples_post_metric_relabeling", "scrape_series_added"),
)
SELECTED = f'{{cluster="{CLUSTER}"}}'
FAILED = "thanos_objstore_bucket_operation_failures_total"


@pytest.fixture(scope="module")
def block_duration() -> str:
    """Receive's own. With blocks of a minute it would prune every second minute, and not start in that (see pods)."""
    return "2h"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that no other test uses."""
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def beside(identities: Identities, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A receive with a bucket of its own and blocks of a minute, which takes a minute and a half to have one there.

    Nothing happens to it but that the bucket is away. It has samples of five minutes from the start.
    """
    bounds = [f"--tsdb.{bound}-block-duration={BLOCK_DURATION}" for bound in ("min", "max")]
    manifests, _endpoints = component_of(identities, component="receive", extra_args=bounds, **new_bucket(s3, "beside"))
    with Node(tmp_path_factory.mktemp("beside")).run(manifests) as receive:
        pool = connection(receive.ports["remote-write"], identities.client("internal-gateway", "gateway"), RECEIVE_NAME)
        headers = {**remote_write.HEADERS, "THANOS-TENANT": "kaas-1"}
        answer = pool.request("POST", "/api/v1/receive", body=samples_of_minutes("early"), headers=headers)
        assert answer.status == 200, answer.data
        yield receive


@pytest.fixture(scope="module")
def writer(observer: Observer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    folder = tmp_path_factory.mktemp("agent")
    pair = issue(
        observer.identities.authorities["tenants"], CLUSTER, observer.identities.now, client=True, server=False
    )
    observer.identities.register(CLUSTER, pair)
    internal = observer.identities.authorities["internal"].certificate
    url = f"https://127.0.0.1:{observer.gateway.ports['https']}/api/v1/receive"
    write = agents.remote_write(url, **agents.identity(folder, pair, internal), server_name=GATEWAY_NAME)
    with (
        agents.target(agents.moments(SERIES)) as port,
        agents.running_agent(folder, [agents.scraping(port)], [write]) as agent,
    ):
        yield agent


def lasting(seconds: float, condition: Callable[[], bool]) -> Callable[[], bool]:
    """The condition, but not before the seconds have passed."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until and condition()


def value(observer: Observer, expression: str) -> float:
    """The value of an expression, 0 when there is none."""
    parameters = urlencode({"query": expression, "time": time.time(), "dedup": "true"})
    with urlopen(f"http://127.0.0.1:{observer.query.ports['http']}/api/v1/query?{parameters}") as response:
        result = json.load(response)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def stored(observer: Observer) -> float:
    """How many samples of the agent can be read; markers that a series ended are none."""
    names = ("faults_moment", *REPORTED)
    return value(observer, " + ".join(f"sum(count_over_time({name}{SELECTED}[3h]))" for name in names))


def wait_for_all(observer: Observer, wanted: float) -> None:
    """Wait until exactly that many samples can be read."""
    deadline = time.monotonic() + 60
    while (found := stored(observer)) != wanted:
        if time.monotonic() > deadline:
            pytest.fail(f"{found} samples can be read, {wanted} were sent")
        time.sleep(1)


def newest(observer: Observer) -> float:
    return value(observer, f"max(faults_moment{SELECTED})")


def failed_requests(observer: Observer) -> float:
    """Requests to the bucket that receive could not make."""
    with urlopen(f"http://127.0.0.1:{observer.receive.ports['http']}/metrics") as response:
        return sum(metric.value for metric in parse(response.read(), (FAILED,)).get(FAILED, []))


def test_a_receive_that_is_killed_is_found_again(observer: Observer, writer: Agent) -> None:
    for _ignored in range(KILLS):
        wait_for(lambda: time.time() - newest(observer) < 10, COMES_BACK, "samples of now")
        before = writer.retried()
        observer.receive.process.kill()
        observer.receive.process.wait()
        noticed = lasting(RECEIVE_AWAY, lambda before=before: writer.retried() > before)
        wait_for(noticed, RECEIVE_AWAY + COMES_BACK, "the agent tries again")
        observer.receive.start()
    wait_for(lambda: time.time() - newest(observer) < 10, COMES_BACK, "samples of now")
    writer.measured.update(kills=KILLS, receive_away=RECEIVE_AWAY)


def test_a_gateway_that_is_away_is_found_again(observer: Observer, writer: Agent) -> None:
    before = writer.retried()
    observer.gateway.stop(signal.SIGUSR1)
    noticed = lasting(GATEWAY_AWAY, lambda: writer.retried() > before)
    wait_for(noticed, GATEWAY_AWAY + COMES_BACK, "the agent tries again")
    observer.gateway.start()
    wait_for(lambda: time.time() - newest(observer) < 10, COMES_BACK, "samples of now")
    writer.measured["gateway_away"] = GATEWAY_AWAY


def test_a_bucket_that_is_away_costs_nothing_and_is_told(observer: Observer, writer: Agent, s3: S3Server) -> None:
    known = {block["ulid"] for block in blocks_of(CLUSTER, s3, observer.bucket)}
    began = time.time()
    s3.stop()
    wait_for(lambda: newest(observer) > began, COMES_BACK, "a sample without a bucket")
    # What it has in memory becomes a block, which must wait on the volume: it is rolled at the worst of times.
    observer.receive.stop(signal.SIGTERM)
    observer.receive.start()
    away = lasting(BUCKET_AWAY, lambda: failed_requests(observer) > 0 and time.time() - newest(observer) < 10)
    wait_for(away, BUCKET_AWAY + COMES_BACK, "receive counts what it cannot upload, and takes what agents write")
    returned = time.time()
    s3.start()

    def of_the_outage() -> list[dict[str, Any]]:
        new = [block for block in blocks_of(CLUSTER, s3, observer.bucket) if block["ulid"] not in known]
        return [block for block in new if block["minTime"] < returned * 1000 and block["maxTime"] > began * 1000]

    wait_for(of_the_outage, UPLOADED, "a block of that time in the bucket", every=1.0)
    writer.measured.update(
        bucket_away=returned - began,
        failed_requests=failed_requests(observer),
        uploaded_after=time.time() - returned,
    )


def test_agent_and_store_agree(observer: Observer, writer: Agent) -> None:
    writer.scrape([])
    # A target that does not answer once ends its series with markers, which are sent and are no samples.
    markers = value(observer, f"resets(up{SELECTED}[3h])") * SERIES

    def sent_and_quiet() -> float | None:
        sent = writer.sent()
        return sent if sent is not None and time.time() - newest_written(observer) > 5 else None

    sent = wait_for(sent_and_quiet, COMES_BACK, "the agent has sent everything", every=2.0)
    counted = writer.counted()
    assert counted["remote_storage_samples_failed"] == 0
    assert counted["remote_storage_samples_dropped"] == 0
    wait_for_all(observer, sent - markers)
    writer.measured.update(samples=sent - markers, retried=counted["remote_storage_samples_retried"])


def newest_written(observer: Observer) -> float:
    return value(observer, f"max(max_over_time(faults_moment{SELECTED}[3h]))")


def test_and_so_does_the_bucket_alone(observer: Observer, writer: Agent) -> None:
    wanted = writer.measured["samples"]
    assert observer.receive.stop(signal.SIGTERM) == 0
    # What has the newest time of all is not in the last block; it stays in the log on the volume.
    wait_for_all(observer, wanted - SERIES - len(REPORTED))
    observer.receive.start()
    wait_for_all(observer, wanted)
    if path := os.environ.get("SOAK_RESULTS"):
        Path(path).write_text(json.dumps({name: round(number) for name, number in writer.measured.items()}))


def test_a_block_reaches_the_bucket_while_receive_runs(beside: Pod, s3: S3Server) -> None:
    found = wait_for(lambda: blocks_of("kaas-1", s3, "beside"), UPLOADED, "a block of kaas-1 in the bucket", every=1.0)
    assert found[0]["thanos"]["labels"] == {"cluster": "kaas-1", "receive_replica": "thanos-receive-0"}
    assert found[0]["thanos"]["source"] == "receive"
    assert beside.process.poll() is None
