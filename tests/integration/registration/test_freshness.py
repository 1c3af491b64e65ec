# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's configuration in a real Prometheus, its samples in a real receive, our queries to a real query."""

from __future__ import annotations

import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from ansible_collections.scs.observability.plugins.module_utils._promql import freshness as freshness_module
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    SERIES_PER_TARGET,
    freshness,
    last_seen,
    missing_jobs,
    newest_sample,
    observer_time,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.broken_link import remote_write_errors
from tests.integration.processes import answers, free_port, process, wait_until

T = TypeVar("T")

# One target that offers what an API server does, and labels that it has no business with.
METRICS = """\
# TYPE apiserver_request_total counter
apiserver_request_total{verb="GET",cluster="beta",replica="1",tenant_id="beta",receive_replica="9"} 1
# TYPE apiserver_request_sli_duration_seconds histogram
apiserver_request_sli_duration_seconds_bucket{le="0.6"} 1
apiserver_request_sli_duration_seconds_bucket{le="1"} 2
apiserver_request_sli_duration_seconds_bucket{le="+Inf"} 3
apiserver_request_sli_duration_seconds_sum 3
apiserver_request_sli_duration_seconds_count 3
# TYPE apiserver_audit_event_total counter
apiserver_audit_event_total 1
"""


class Target(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(METRICS.encode())

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


class Loopback:
    """Stands in for the API server's proxy: the port's name is its number here."""

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query or {})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raise ApiError(url, "get", service, error.code, error.read().decode()) from error

    def parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]


def configuration(own_port: int, target_port: int, dead_port: int, receive_url: str) -> dict[str, Any]:
    """The agent's own configuration, but for where its targets are and who is asked for certificates."""
    result = agent.configuration(agent.Agent("alpha", "any", receive_url, scrape_interval="1s"))
    addresses = {"agent": own_port, "apiserver": target_port, "coredns": dead_port}
    kept = {"job_name", "static_configs", "metric_relabel_configs"}
    jobs = []
    for job in result["scrape_configs"]:
        if job["job_name"] in addresses:
            static = [{"targets": [f"127.0.0.1:{addresses[job['job_name']]}"]}]
            jobs.append({**{key: job[key] for key in kept & set(job)}, "static_configs": static})
    (remote,) = result["remote_write"]
    plain = {key: value for key, value in remote.items() if key != "tls_config"}
    # What the gateway makes of the certificate.
    return {**result, "scrape_configs": jobs, "remote_write": [{**plain, "headers": {"THANOS-TENANT": "alpha"}}]}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryApi]:
    folder: Path = tmp_path_factory.mktemp("freshness")
    grpc, receive_http, remote_write, capnproto, query_http, query_grpc, own, dead = (
        free_port() for _ignored in range(8)
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    Thread(target=server.serve_forever, daemon=True).start()
    config = configuration(own, server.server_port, dead, f"http://127.0.0.1:{remote_write}/api/v1/receive")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    commands = {
        "thanos": [
            "receive",
            f"--tsdb.path={folder / 'receive'}",
            f"--grpc-address=127.0.0.1:{grpc}",
            f"--http-address=127.0.0.1:{receive_http}",
            f"--remote-write.address=127.0.0.1:{remote_write}",
            f"--receive.capnproto-address=127.0.0.1:{capnproto}",
            '--label=receive_replica="0"',
            "--receive.tenant-label-name=cluster",
        ],
        "query": [
            "query",
            f"--http-address=127.0.0.1:{query_http}",
            f"--grpc-address=127.0.0.1:{query_grpc}",
            f"--endpoint=127.0.0.1:{grpc}",
            "--query.replica-label=receive_replica",
        ],
        "prometheus": [
            "--agent",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.agent.path={folder / 'agent'}",
            f"--web.listen-address=127.0.0.1:{own}",
            "--scrape.discovery-reload-interval=1s",
        ],
    }
    ready = {
        "thanos": f"http://127.0.0.1:{receive_http}/-/ready",
        "query": f"http://127.0.0.1:{query_http}/-/ready",
        "prometheus": f"http://127.0.0.1:{own}/-/ready",
    }
    with ExitStack() as stack:
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        for name, arguments in commands.items():
            log = folder / f"{name}.log"
            program = "thanos" if name == "query" else name
            running = stack.enter_context(process(program, arguments, log))
            wait_until(lambda name=name: answers(ready[name]), running, log)  # type: ignore[misc]
        yield QueryApi(Loopback(), "any", "query", str(query_http))


@pytest.fixture(scope="module")
def arrived(api: QueryApi) -> QueryApi:
    """Once the samples of all three targets are there."""
    deadline = time.monotonic() + 60
    while len(freshness(api).clusters.get("alpha", NOTHING).jobs) < 3:
        assert time.monotonic() < deadline, "no samples arrived"
        time.sleep(0.2)
    return api


class Nothing:
    jobs: Mapping[str, object] = {}


NOTHING: Any = Nothing()


def labels(api: QueryApi, expression: str) -> list[Mapping[str, str]]:
    return [sample.labels for sample in api.query(expression).samples]


def test_what_arrives_is_seen_and_fresh(arrived: QueryApi) -> None:
    found = freshness(arrived)
    samples = found.clusters["alpha"]
    assert set(found.clusters) == {"alpha"}
    assert set(samples.jobs) == {"agent", "apiserver", "coredns"}
    assert abs(found.time - time.time()) < 5
    # The moment of the scrape, not that of the query.
    for job in ("agent", "apiserver"):
        assert 0 < found.time - samples.jobs[job].last < 15
        assert samples.jobs[job].last_up == samples.jobs[job].last
    assert found.warnings == ()


def test_a_target_that_is_down_sends_but_is_missing(arrived: QueryApi) -> None:
    samples = freshness(arrived, "alpha").clusters["alpha"]
    assert samples.jobs["coredns"].last_up is None
    since = observer_time(arrived) - 30
    assert missing_jobs(samples.jobs, ["agent", "apiserver", "coredns", "kubelet"], since) == {
        "coredns": "target down",
        "kubelet": "no sample",
    }


def test_the_number_of_series_is_what_is_stored(arrived: QueryApi) -> None:
    counted = arrived.query('count({cluster="alpha",__name__=~".+"})').samples[0].value
    assert freshness(arrived).clusters["alpha"].series == counted
    per_target = arrived.query('count({cluster="alpha",job="coredns"})').samples[0].value
    assert per_target == SERIES_PER_TARGET


def test_the_newest_sample_moves_on(arrived: QueryApi) -> None:
    first = newest_sample(arrived, "alpha")
    assert first is not None
    deadline = time.monotonic() + 30
    while (newest_sample(arrived, "alpha") or 0) <= first:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert newest_sample(arrived, "beta") is None


def test_a_cluster_can_be_found_in_the_past(arrived: QueryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    # A silent cluster is at least five minutes old, so that any step up to that finds it; this one is not.
    monkeypatch.setattr(freshness_module, "HISTORY_STEP", "1s")
    assert abs(last_seen(arrived)["alpha"] - time.time()) < 15


def test_labels_that_the_observer_sets_reach_it_under_another_name(arrived: QueryApi) -> None:
    (found,) = labels(arrived, "apiserver_request_total")
    assert found["cluster"] == "alpha"
    assert {name: value for name, value in found.items() if name.startswith("exported_")} == {
        "exported_cluster": "beta",
        "exported_replica": "1",
        "exported_tenant_id": "beta",
        "exported_receive_replica": "9",
    }
    assert not {"replica", "receive_replica"} & set(found)


def test_minimal_keeps_what_is_listed_however_bounds_are_written(arrived: QueryApi) -> None:
    bounds = {found["le"] for found in labels(arrived, "apiserver_request_sli_duration_seconds_bucket")}
    assert bounds == {"1.0", "+Inf"}
    assert labels(arrived, "apiserver_audit_event_total") == []
    assert labels(arrived, "apiserver_request_sli_duration_seconds_count") == []
    assert labels(arrived, "prometheus_agent_active_series{cluster='alpha'}")
    assert labels(arrived, "prometheus_http_requests_total{cluster='alpha'}") == []


def test_an_expression_that_is_none_is_refused_with_thanos_words(arrived: QueryApi) -> None:
    with pytest.raises(QueryError, match="parse error"):
        arrived.query("up{")


def test_an_agent_whose_way_is_broken_says_so_in_words_that_are_found(tmp_path: Path) -> None:
    own, dead = free_port(), free_port()
    config = configuration(own, own, dead, f"http://127.0.0.1:{dead}/api/v1/receive")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    arguments = [
        "--agent",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.agent.path={tmp_path / 'agent'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--storage.remote.flush-deadline=1s",
    ]
    log = tmp_path / "prometheus.log"
    with process("prometheus", arguments, log) as running:
        wait_until(lambda: bool(remote_write_errors(log.read_text())), running, log)
        errors = remote_write_errors(log.read_text())
    assert "connection refused" in errors[-1]
    assert f"127.0.0.1:{dead}" in errors[-1]
