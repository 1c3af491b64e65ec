# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that makes thousands of series: receive stops it, and the others do not notice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import urllib3
import yaml

from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import parse
from tests.integration import remote_write
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.remote_write import Sample
from tests.integration.thanos.conftest import RECEIVE_NAME, Identities, component_of, connection
from tests.integration.thanos.pods import Node, Pod, wait_for

LIMIT = 5000
# Receive asks every 15 seconds how many series there are, and Prometheus has to have seen them.
NOTICED = 45.0
SERIES = "prometheus_tsdb_head_series"
APPENDED = "prometheus_tsdb_head_samples_appended_total"


@dataclass
class Receive:
    """A receive with limits."""

    identities: Identities
    pod: Pod

    def write(self, cluster: str, names: int, start: int = 0) -> urllib3.BaseHTTPResponse:
        """Write a sample each of so many series, as the gateway would."""
        now = int(time.time() * 1000)
        samples = [
            Sample({"__name__": "wild", "path": f"/{number}"}, 1.0, now) for number in range(start, start + names)
        ]
        context = self.identities.client("internal-gateway", "remote-write-gateway")
        pool = connection(self.pod.ports["remote-write"], context, RECEIVE_NAME)
        headers = {**remote_write.HEADERS, "THANOS-TENANT": cluster}
        return pool.request("POST", "/api/v1/receive", body=remote_write.body(samples), headers=headers)

    def counted(self, metric: str) -> dict[str, float]:
        """A metric by tenant."""
        with urlopen(f"http://127.0.0.1:{self.pod.ports['http']}/metrics") as response:
            found = parse(response.read(), (metric,)).get(metric, [])
        total: dict[str, float] = {}
        for item in found:
            tenant = item.labels.get("tenant", "")
            total[tenant] = total.get(tenant, 0.0) + item.value
        return total


@contextmanager
def prometheus(folder: Path, port: int, scraped: int) -> Iterator[None]:
    """The observer's own Prometheus, as far as receive needs it."""
    configuration = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "receive", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    arguments = [
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "prometheus.log"
    with process("prometheus", arguments, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
        yield


@pytest.fixture
def receive(identities: Identities, tmp_path: Path) -> Iterator[Receive]:
    port = free_port()
    limits: dict[str, Any] = {
        "series": LIMIT,
        "clusters": {"large": 10 * LIMIT},
        "metrics_url": f"http://127.0.0.1:{port}",
        "request_series": 2500,
    }
    manifests, _endpoints = component_of(identities, component="receive", limits=limits)
    with Node(tmp_path).run(manifests) as pod, prometheus(tmp_path, port, pod.ports["http"]):
        yield Receive(identities, pod)


def test_ten_thousand_new_series_of_one_cluster(receive: Receive) -> None:
    for cluster in ("neighbour", "large"):
        assert receive.write(cluster, 10).status == 200
    before = receive.counted(SERIES)["neighbour"]
    # More than an agent sends at once: refused whole, and for good.
    assert receive.write("wild", 2501).status == 413
    for start in range(0, 10000, 2000):
        assert receive.write("large", 2000, start).status == 200
        receive.write("wild", 2000, start)

    def stopped() -> bool:
        return receive.write("wild", 1).status == 429

    wait_for(stopped, NOTICED, "the cluster is stopped", every=1.0)
    appended = receive.counted(APPENDED)
    answer = receive.write("wild", 2000, 20000)
    # An agent keeps what is answered so, and tries again.
    assert (answer.status, answer.data.decode().strip()) == (429, "tenant is above active series limit")
    assert receive.write("neighbour", 10).status == 200
    assert receive.write("large", 10).status == 200
    after = receive.counted(APPENDED)
    assert after["wild"] == appended["wild"]
    assert after["neighbour"] == appended["neighbour"] + 10
    assert receive.counted(SERIES)["neighbour"] == before
    assert receive.counted("thanos_receive_head_series_limited_requests_total")["wild"] >= 2
