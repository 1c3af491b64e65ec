# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Four weeks of metrics from two replicas: deduplicated, split and cached, compacted, downsampled; and a ruler.

The tests build on one another.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import shared_server_name
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import issue
from tests.integration import remote_write
from tests.integration.remote_write import Sample
from tests.integration.s3_server import S3Server
from tests.integration.thanos.conftest import NAMESPACE, Identities, component_of, connection, new_bucket
from tests.integration.thanos.pods import Node, Pod, wait_for

HOUR, DAY = 3600, 86400
# Every hour is full, so that what downsampling makes of it can be told.
END = int(time.time()) // DAY * DAY - 2 * DAY
START = END - 28 * DAY
STEP = 300
REPLICAS = ("thanos-receive-a", "thanos-receive-b")
BLOCK = "336h"

RULES = {
    "own.yml": """
groups:
  - name: own
    rules:
      - record: cluster:sent:sum
        expr: sum by (cluster) (sent)
      - alert: Sent
        expr: sent > 0
        labels: {severity: info}
        annotations:
          summary: "{{ $labels.cluster }} sent {{ $value }}"
"""
}


@dataclass
class Alertmanager:
    """Takes what a ruler posts to an Alertmanager, and keeps it."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/api/v2/alerts":
                    alerts.extend(json.loads(content))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@dataclass
class Site:
    """What runs, and what is needed to run more."""

    identities: Identities
    peer: Identities
    objstore: dict[str, Any]
    node: Node
    stack: ExitStack
    alertmanager: Alertmanager
    pods: dict[str, Pod] = field(default_factory=dict)
    endpoints: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, component: str, **params: Any) -> Pod:
        manifests, endpoints = component_of(self.identities, component=component, **params)
        pod = self.stack.enter_context(self.node.run(manifests))
        self.pods[pod.name], self.endpoints[pod.name] = pod, endpoints
        return pod

    def write(self, receive: Pod, cluster: str, samples: list[Sample]) -> None:
        """Write past the gateway, with its certificate."""
        context = self.identities.client("internal-gateway", "gateway")
        pool = connection(receive.ports["remote-write"], context, f"{receive.name}.{NAMESPACE}.svc")
        headers = {**remote_write.HEADERS, "THANOS-TENANT": cluster}
        response = pool.request("POST", "/api/v1/receive", body=remote_write.body(samples), headers=headers)
        assert response.status == 200, response.data

    def get(self, name: str, path: str, **parameters: Any) -> Any:
        url = f"http://127.0.0.1:{self.pods[name].ports['http']}{path}?{urlencode(parameters)}"
        with urlopen(url) as response:
            return json.load(response)["data"]

    def metric(self, name: str, metric: str) -> float:
        """The sum over all labels of a metric of a component."""
        with urlopen(f"http://127.0.0.1:{self.pods[name].ports['http']}/metrics") as response:
            text = response.read().decode()
        return sum(float(value) for value in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    def series(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.get("thanos-query", "/api/v1/query", query=query, **parameters)["result"]
        return result

    def blocks(self) -> list[dict[str, Any]]:
        """The blocks that bucket web shows."""
        result: list[dict[str, Any]] = self.get("thanos-bucket-web", "/api/v1/blocks")["blocks"] or []
        return result


def wave(moment: float) -> float:
    return 100 + math.sin(moment / DAY)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, identities: Identities, s3: S3Server) -> Iterator[Site]:
    """A site whose bucket has four weeks of a cluster, by two replicas of receive."""
    peer = Identities(tmp_path_factory.mktemp("peer"), identities.now)
    with ExitStack() as stack:
        node = Node(tmp_path_factory.mktemp("site"))
        found = Site(identities, peer, new_bucket(s3, "long-time"), node, stack, Alertmanager())
        stack.callback(found.alertmanager.server.shutdown)
        samples = [
            Sample({"__name__": name, "job": "node"}, wave(moment), moment * 1000)
            for name in ("wave", "other")
            for moment in range(START, END, STEP)
        ]
        for name in REPLICAS:
            receive = found.run(
                "receive",
                name=name,
                retention="90d",
                extra_args=[f"--tsdb.min-block-duration={BLOCK}", f"--tsdb.max-block-duration={BLOCK}"],
                **found.objstore,
            )
            found.write(receive, "kaas-1", samples)
            # At its end it uploads what it has.
            receive.stop()
        found.run(
            "store",
            cache={"type": "IN-MEMORY", "config": {"max_size": "50MB", "max_item_size": "5MB"}, "ttl": "1h"},
            bucket_cache={
                "type": "IN-MEMORY",
                "config": {"max_size": "50MB", "max_item_size": "5MB"},
                # Or it would not hear of new blocks for as long as they are cached.
                **dict.fromkeys(("blocks_iter_ttl", "metafile_exists_ttl", "metafile_doesnt_exist_ttl"), "1s"),
            },
            extra_args=["--sync-block-duration=1s"],
            **found.objstore,
        )
        found.run("bucket_web", extra_args=["--refresh=1s", "--timeout=1m"], **found.objstore)
        found.run("query", endpoints=[found.endpoints["thanos-store"]["grpc"]])
        found.run(
            "query_frontend",
            endpoints=[found.endpoints["thanos-query"]["http"]],
            cache={"type": "in-memory", "config": {"max_size": "50MB", "validity": "1h"}},
        )
        yield found


def test_two_replicas_are_one_series(site: Site) -> None:
    raw = wait_for(lambda: site.series("wave", time=END - HOUR, dedup="false"), 30, "the series of the bucket")
    assert sorted(item["metric"]["receive_replica"] for item in raw) == [f"{name}-0" for name in REPLICAS]
    (series,) = site.series("wave", time=END - HOUR, dedup="true")
    assert series["metric"] == {"__name__": "wave", "cluster": "kaas-1", "job": "node"}


def test_a_long_query_is_split_and_cached(site: Site) -> None:
    frontend = "thanos-query-frontend"

    def ask() -> Any:
        parameters = {"query": "wave", "start": START, "end": START + 3 * DAY, "step": STEP}
        (series,) = site.get(frontend, "/api/v1/query_range", **parameters)["result"]
        return series["values"]

    answer = ask()
    assert len(answer) == 3 * DAY / STEP + 1
    assert float(answer[0][1]) == pytest.approx(wave(START))
    # Half days
    assert site.metric(frontend, "thanos_frontend_split_queries_total") >= 6
    asked, hits = site.metric("thanos-query", "http_requests_total"), site.metric(frontend, "cortex_cache_hits_total")
    assert ask() == answer
    assert site.metric(frontend, "cortex_cache_hits_total") > hits
    assert site.metric("thanos-query", "http_requests_total") == asked


def test_compact_makes_one_block_of_two_and_coarser_ones_of_it(site: Site) -> None:
    blocks = wait_for(site.blocks, 30, "blocks in bucket web")
    assert {block["thanos"]["labels"].get("receive_replica") for block in blocks} == {f"{name}-0" for name in REPLICAS}
    assert {block["thanos"]["downsample"]["resolution"] for block in blocks} == {0}
    site.run(
        "compact",
        delete_delay="0s",
        extra_args=["--consistency-delay=0s", "--wait-interval=2s", "--compact.cleanup-interval=2s"],
        **site.objstore,
    )

    def compacted() -> list[dict[str, Any]]:
        found = site.blocks()
        done = all("receive_replica" not in block["thanos"]["labels"] for block in found)
        resolutions = {block["thanos"]["downsample"]["resolution"] for block in found}
        return found if done and resolutions == {0, 300_000, 3_600_000} else []

    blocks = wait_for(compacted, 60, "one block of each resolution", every=0.5)
    assert {block["thanos"]["source"] for block in blocks} == {"compactor"}
    assert all(block["thanos"]["labels"] == {"cluster": "kaas-1"} for block in blocks)
    long = [block for block in blocks if block["maxTime"] - block["minTime"] > 10 * DAY * 1000]
    assert sorted(block["thanos"]["downsample"]["resolution"] for block in long) == [0, 300_000, 3_600_000]
    assert site.metric("thanos-compact", "thanos_compact_halted") == 0


def test_the_store_gateway_answers_at_the_resolution_that_is_enough(site: Site) -> None:
    def samples(resolution: str) -> list[tuple[float, str]]:
        parameters = {"time": START + 2 * DAY, "max_source_resolution": resolution, "dedup": "true"}
        found = site.series("wave[1d]", **parameters)
        values: list[tuple[float, str]] = found[0]["values"] if len(found) == 1 else []
        return values

    hours = wait_for(lambda: len(samples("1h")) == 24 and samples("1h"), 30, "samples of one hour")
    assert len(samples("0s")) == DAY / STEP
    assert site.metric("thanos-store", "thanos_store_index_cache_hits_total") > 0
    assert site.metric("thanos-store", "thanos_store_bucket_cache_operation_hits_total") > 0
    (moment, value) = hours[0]
    assert float(value) == pytest.approx(wave(float(moment) - HOUR / 2), abs=0.01)


def test_query_finds_new_endpoints_without_a_restart(site: Site) -> None:
    """Rule, a receive, and a peer that has another authority."""
    for name in REPLICAS[:1]:
        site.pods[name].start()
    site.run(
        "rule",
        endpoints=[site.endpoints["thanos-query"]["http"]],
        alertmanagers=[site.alertmanager.url],
        external_labels={"observer": "site-1"},
        evaluation_interval="1s",
        rules=RULES,
        **site.objstore,
    )
    manifests, _ignored = component_of(
        site.peer, component="store", name="peer-store", namespace="peer", **site.objstore
    )
    site.stack.enter_context(site.node.run(manifests))
    pair = issue(site.peer.authorities["internal"], "site-1", site.peer.now, client=True, server=False)
    external = {
        "address": "peer-store.peer.svc:10901",
        "server_name": shared_server_name("peer"),
        "ca": site.peer.authorities["internal"].certificate,
        "certificate": pair.certificate,
        "key": pair.key,
    }
    stores = [site.endpoints[name]["grpc"] for name in ("thanos-store", "thanos-rule", REPLICAS[0])]
    changed, _ignored = component_of(
        site.identities, component="query", endpoints=stores, external_endpoints=[external]
    )
    query = site.pods["thanos-query"]
    process = query.process.pid
    query.deliver(changed)

    def kinds() -> dict[str, int]:
        found: dict[str, list[dict[str, Any]]] = site.get("thanos-query", "/api/v1/stores")
        healthy = {kind: [item for item in items if item["lastError"] is None] for kind, items in found.items()}
        return {kind: len(items) for kind, items in healthy.items()}

    wait_for(lambda: kinds() == {"receive": 1, "rule": 1, "store": 2}, 40, "four endpoints")
    assert query.process.pid == process
    assert query.process.poll() is None


def test_rule_records_and_alerts(site: Site) -> None:
    write = partial(site.write, site.pods[REPLICAS[0]], "kaas-2")

    def recorded() -> list[dict[str, Any]]:
        write([Sample({"__name__": "sent"}, 7.0, int(time.time() * 1000))])
        return site.series("cluster:sent:sum")

    (series,) = wait_for(recorded, 30, "what the rule records", every=1.0)
    assert series["metric"] == {"__name__": "cluster:sent:sum", "cluster": "kaas-2", "observer": "site-1"}
    assert float(series["value"][1]) == 7.0
    alerts = wait_for(lambda: list(site.alertmanager.alerts), 30, "an alert")
    labels = {"alertname": "Sent", "cluster": "kaas-2", "observer": "site-1", "severity": "info"}
    assert alerts[0]["labels"] == labels
    assert alerts[0]["annotations"] == {"summary": "kaas-2 sent 7"}
    groups = site.get("thanos-query", "/api/v1/rules")["groups"]
    assert {rule["name"]: rule["health"] for rule in groups[0]["rules"]} == {"cluster:sent:sum": "ok", "Sent": "ok"}


def test_nothing_is_open_but_what_the_services_lead_to(site: Site) -> None:
    running = {name: pod for name, pod in site.pods.items() if pod.process.poll() is None}
    assert REPLICAS[0] in running
    assert {name: pod.open_ports for name, pod in running.items()} == {name: [] for name in running}
