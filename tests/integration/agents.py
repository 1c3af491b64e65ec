# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus in agent mode as registered agents run it, and something for it to scrape."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen
from threading import Thread
from typing import Any
from urllib.request import urlopen

import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import parse
from tests.integration.processes import answers, free_port, process, wait_until

COUNTERS = (
    "prometheus_agent_samples_appended_total",
    "prometheus_remote_storage_samples_total",
    "prometheus_remote_storage_samples_retried_total",
    "prometheus_remote_storage_samples_failed_total",
    "prometheus_remote_storage_samples_dropped_total",
)


@contextmanager
def target(metrics: Callable[[], str]) -> Iterator[int]:
    """Something that has metrics on a port of loopback."""

    class Target(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Target)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def moments(series: int) -> Callable[[], str]:
    """Metrics that are the moment, so that no two samples of a series are the same."""

    def metrics() -> str:
        now = time.time()
        return "".join(f'faults_moment{{series="{number}"}} {now}\n' for number in range(series))

    return metrics


def scraping(port: int, job: str = "faults") -> dict[str, Any]:
    """The job of a target on loopback."""
    return {
        "job_name": job,
        "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": "target"}}],
    }


def identity(folder: Path, pair: KeyPair, authority: str) -> dict[str, str]:
    """The files of an agent's identity, as ``tls_config`` names them."""
    content = {"cert_file": pair.certificate, "key_file": pair.key, "ca_file": authority}
    for name, text in content.items():
        (folder / name).write_text(text)
    return {name: str(folder / name) for name in content}


def remote_write(url: str, **tls: str) -> dict[str, Any]:
    """What a registered agent has for a gateway at that URL, with other files."""
    (configured,) = agent.configuration(agent.Agent("any", "any", url))["remote_write"]
    return {**configured, "tls_config": {"min_version": "TLS13", **tls}}


@dataclass
class Agent:
    """A running agent."""

    port: int
    configuration: Path
    content: dict[str, Any]
    log_file: Path
    running: Popen[bytes]
    measured: dict[str, float] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def metrics(self) -> bytes:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics") as response:
            return bytes(response.read())

    def counted(self) -> dict[str, float]:
        """Its counters, by the part of their names that tells them apart."""
        found = parse(self.metrics(), COUNTERS)
        total = {name: sum(metric.value for metric in found.get(name, [])) for name in COUNTERS}
        return {name.removeprefix("prometheus_").removesuffix("_total"): value for name, value in total.items()}

    def retried(self) -> float:
        return self.counted()["remote_storage_samples_retried"]

    def sent(self) -> float | None:
        """How many samples it has sent for good, None as long as some are left."""
        counted = self.counted()
        appended = counted["agent_samples_appended"]
        return (
            appended
            if counted["remote_storage_samples"] - counted["remote_storage_samples_retried"] == appended
            else None
        )

    def scrape(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Have other targets from now on."""
        self.configuration.write_text(yaml.safe_dump({**self.content, "scrape_configs": list(jobs)}))
        self.running.send_signal(signal.SIGHUP)


@contextmanager
def running_agent(
    folder: Path,
    jobs: Sequence[Mapping[str, Any]],
    writes: Sequence[Mapping[str, Any]],
    *,
    interval: str = "1s",
    port: int | None = None,
) -> Iterator[Agent]:
    """A Prometheus in agent mode until the end of the block, from when it is ready."""
    port = port or free_port()
    configuration, log = folder / "prometheus.yml", folder / "log"
    content = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": list(jobs),
        "remote_write": list(writes),
    }
    configuration.write_text(yaml.safe_dump(content))
    arguments = [
        *("--agent", f"--config.file={configuration}", f"--storage.agent.path={folder / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--scrape.discovery-reload-interval=1s"),
        "--storage.remote.flush-deadline=1s",
    ]
    with process("prometheus", arguments, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
        yield Agent(port, configuration, content, log, running)
