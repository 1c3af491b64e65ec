# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes of an agent that runs costs no sample: a real Prometheus as the agent, others as those it writes to."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import create_authority
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from tests.integration.processes import answers, free_port, process, wait_until

SERIES = 50
FLOAT = 'type="float"'


class Target(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("".join(f'load{{number="{number}"}} 1\n' for number in range(SERIES)).encode())

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    # Else its thread goes on with whatever socket is given the same number next.
    server.shutdown()
    server.server_close()


def metric(port: int, name: str, *labels: str) -> float:
    """The sum of a metric's series that have all of these labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    found = [line for line in lines if line.partition("{")[0].partition(" ")[0] == name]
    return sum(float(line.rpartition(" ")[2]) for line in found if all(label in line for label in labels))


@dataclass
class Running:
    """An agent with the configuration that the module gives it, but for its targets and its gateways' TLS."""

    folder: Path
    target: str
    port: int = field(default_factory=free_port)
    program: subprocess.Popen[bytes] | None = None

    def configure(self, wanted: agent.Agent, jobs: int, **changes: dict[str, Any]) -> None:
        """Write its configuration in one step, as a kubelet does; ``changes`` are of the queues of that name."""
        content = agent.configuration(wanted)
        content["scrape_configs"] = [
            {"job_name": f"job-{number}", "static_configs": [{"targets": [self.target]}]} for number in range(jobs)
        ]
        for item in content["remote_write"]:
            item.pop("tls_config")
            item.update(changes.get(item["name"].replace("-", "_"), {}))
            # As quick as everything else here
            item["queue_config"].update({"max_backoff": "1s", "batch_send_deadline": "1s"})
        new = self.folder / "new.yml"
        new.write_text(yaml.safe_dump(content))
        new.rename(self.folder / "prometheus.yml")

    @contextmanager
    def start(self) -> Iterator[None]:
        (deployment,) = (
            item for item in agent.objects(agent.Agent("alpha", "any", "")) if item["kind"] == "Deployment"
        )
        arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        own = {
            "--config.file": self.folder / "prometheus.yml",
            "--storage.agent.path": self.folder / "data",
            "--web.listen-address": f"127.0.0.1:{self.port}",
        }
        log = self.folder / "agent.log"
        given = [f"{name}={own[name]}" if (name := item.partition("=")[0]) in own else item for item in arguments]
        with process("prometheus", given, log) as self.program:
            wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready"), self.program, log)
            yield

    def until(self, condition: Callable[[], bool]) -> None:
        if self.program is None:
            pytest.fail("the agent was not started")
        wait_until(condition, self.program, self.folder / "agent.log")

    @property
    def appended(self) -> float:
        return metric(self.port, "prometheus_agent_samples_appended_total", FLOAT)

    def reloaded(self, change: Callable[[], object]) -> None:
        """Make a change and wait until it is loaded."""
        before = self.logged("Completed loading of configuration file")
        change()
        self.until(lambda: self.logged("Completed loading of configuration file") > before)

    def logged(self, text: str) -> int:
        """How often its log has a text."""
        return (self.folder / "agent.log").read_text().count(text)


@dataclass
class Receiver:
    """Somebody who is written to; it counts what comes."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    @property
    def received(self) -> float:
        return metric(self.port, "prometheus_tsdb_head_samples_appended_total", FLOAT)

    @contextmanager
    def start(self) -> Iterator[None]:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "receiver.yml").write_text("{}")
        arguments = [
            f"--config.file={self.folder / 'receiver.yml'}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-remote-write-receiver",
        ]
        log = self.folder / "receiver.log"
        with process("prometheus", arguments, log) as running:
            wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready"), running, log)
            yield


def lost(running: Running) -> float:
    names = ("samples_failed_total", "samples_dropped_total")
    return sum(metric(running.port, f"prometheus_remote_storage_{name}") for name in names)


def test_no_change_loses_a_sample_and_no_observer_holds_up_another(tmp_path: Path, target: str) -> None:
    first, second, third = (Receiver(tmp_path / name) for name in ("first", "second", "third"))
    running = Running(tmp_path, target)
    both = agent.Agent(
        "alpha", "any", first.url, scrape_interval="200ms", since="2026-01-01", others=(agent.Target(1, second.url),)
    )
    # Full within a second: as after hours of an outage, nothing more is read from the log for this one.
    full = {"queue_config": {"max_shards": 1, "capacity": SERIES, "max_samples_per_send": SERIES // 2}}
    running.configure(both, 1, observer_2=full)
    with ExitStack() as stack:
        stack.enter_context(first.start())
        stack.enter_context(running.start())
        running.until(lambda: running.appended > 5 * SERIES)
        running.until(lambda: first.received > 4 * SERIES)
        running.until(lambda: metric(running.port, "prometheus_remote_storage_samples_retried_total") > 0)

        # Another job, and another observer, which does not answer either.
        all_three = replace(both, others=(*both.others, agent.Target(2, third.url)))
        running.reloaded(lambda: running.configure(all_three, 2, observer_2=full))
        before = running.appended
        running.until(lambda: running.appended > before + 4 * SERIES)

        stack.enter_context(second.start())
        stack.enter_context(third.start())
        running.reloaded(lambda: running.configure(all_three, 0, observer_2=full))
        running.until(lambda: first.received == running.appended)
        running.until(lambda: second.received == running.appended)
        running.until(lambda: third.received > 2 * SERIES)
        assert running.appended > 8 * SERIES
        assert lost(running) == 0

        # One goes: the others' queues go on.
        running.reloaded(lambda: running.configure(replace(both, others=()), 1))
        before = running.appended
        running.until(lambda: running.appended > before + 2 * SERIES)
        running.reloaded(lambda: running.configure(replace(both, others=()), 0))
        running.until(lambda: first.received == running.appended)
        assert second.received < first.received
        assert lost(running) == 0


def test_a_certificate_that_comes_later_than_its_name_costs_nothing(tmp_path: Path, target: str) -> None:
    first, second = (Receiver(tmp_path / name) for name in ("first", "second"))
    running = Running(tmp_path, target)
    alone = agent.Agent("alpha", "any", first.url, scrape_interval="200ms", since="2026-01-01")
    authority = tmp_path / "ca.crt"
    running.configure(alone, 1)
    with ExitStack() as stack:
        stack.enter_context(first.start())
        stack.enter_context(second.start())
        stack.enter_context(running.start())
        running.until(lambda: first.received > SERIES)
        beside = replace(alone, others=(agent.Target(1, second.url),))
        tls = {"tls_config": {"ca_file": str(authority)}}
        running.configure(beside, 1, observer_2=tls)
        running.until(lambda: running.logged("Failed to apply configuration") > 1)

        pem = create_authority("any", datetime.now(UTC)).certificate
        running.reloaded(lambda: authority.write_text(pem))
        running.until(lambda: second.received > SERIES)
        running.reloaded(lambda: running.configure(beside, 0, observer_2=tls))
        running.until(lambda: first.received == running.appended)
        assert lost(running) == 0
