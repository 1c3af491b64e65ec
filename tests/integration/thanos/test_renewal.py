# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent gets another certificate while it writes: real Prometheus, gateway and receive, and no sample is lost."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, issue
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway
from ansible_collections.scs.observability.plugins.module_utils._registration import identity
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import Settings
from tests.integration.api_server import ApiServer
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.thanos.clients import QUICK, Clients
from tests.integration.thanos.conftest import GATEWAY_NAME, NAMESPACE, Identities, component_of, connection
from tests.integration.thanos.pods import Node, Pod, wait_for

CLUSTER = "renewed"
SOON = 20.0


@dataclass
class Running:
    """An agent that scrapes itself; its identity is a folder that is exchanged as a whole, as a kubelet does it."""

    folder: Path
    url: str
    port: int = field(default_factory=free_port)
    program: Popen[bytes] | None = None

    def give(self, pair: KeyPair, authority: str) -> None:
        version = self.folder / f"version-{len(list(self.folder.iterdir()))}"
        version.mkdir()
        for name, text in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("ca.crt", authority)):
            (version / name).write_text(text)
        link = self.folder / "next"
        link.symlink_to(version.name)
        link.rename(self.folder / "identity")

    def scrape(self, *targets: str) -> None:
        content = agent.configuration(agent.Agent(CLUSTER, "any", self.url))
        content["global"] = {"scrape_interval": "200ms", "scrape_timeout": "200ms"}
        content["scrape_configs"] = [{"job_name": "agent", "static_configs": [{"targets": list(targets)}]}]
        (write_to,) = content["remote_write"]
        write_to["queue_config"] |= {"batch_send_deadline": "200ms", "max_backoff": "1s"}
        own = str(self.folder / "identity")
        write_to["tls_config"]["server_name"] = GATEWAY_NAME
        text = yaml.safe_dump(content).replace("/etc/prometheus/identity", own)
        (self.folder / "prometheus.yml").write_text(text)
        if self.program is not None:
            self.program.send_signal(signal.SIGHUP)

    @contextmanager
    def start(self) -> Iterator[None]:
        self.scrape(f"127.0.0.1:{self.port}")
        log = self.folder / "log"
        arguments = [
            "--agent",
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.agent.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--scrape.discovery-reload-interval=1s",
        ]
        with process("prometheus", arguments, log) as self.program:
            wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready"), self.program, log)
            yield

    def metric(self, name: str) -> float:
        return metric(self.port, name)

    @property
    def sent(self) -> float:
        """Samples that receive has taken."""
        tried, again = (self.metric(f"prometheus_remote_storage_samples{what}_total") for what in ("", "_retried"))
        return tried - again - self.lost

    @property
    def lost(self) -> float:
        return sum(self.metric(f"prometheus_remote_storage_samples_{what}_total") for what in ("failed", "dropped"))

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_for(condition, SOON, f"{what}; the agent's log ends with {(self.folder / 'log').read_text()[-2000:]}")

    def wait_for_more(self) -> None:
        before = self.sent
        self.wait(lambda: self.sent > before + 500, "the agent sends more")


def metric(port: int, name: str, *labels: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    found = [line for line in lines if line.partition("{")[0].partition(" ")[0] == name]
    return sum(float(line.rpartition(" ")[2]) for line in found if all(label in line for label in labels))


@dataclass
class Site:
    identities: Identities
    clients: Clients
    receive: Pod
    gateway: Pod
    folder: Path

    def issue(self) -> KeyPair:
        """A certificate that is too old for the gateway to have patience with."""
        before = datetime.now(UTC) - timedelta(minutes=10)
        return issue(self.identities.authorities["tenants"], CLUSTER, before, client=True, server=False)

    def admit(self, registration: Registration) -> None:
        self.clients.write(CLUSTER, remote_write_clients.entry(registration))

    def lets_in(self, pair: KeyPair) -> bool:
        """Whether the gateway knows who has this certificate, and says then that he wants what is not served."""
        context = self.identities.anonymous()
        path = self.folder / f"{identity.certificate_of(secret(self, pair)).fingerprint}.pem"
        path.write_text(pair.certificate + pair.key)
        context.load_cert_chain(path)
        with connection(self.gateway.ports["https"], context, GATEWAY_NAME) as pool:
            return int(pool.request("GET", "/").status) == 404

    @property
    def stored(self) -> float:
        labels = (f'tenant="{CLUSTER}"', 'type="float"')
        return metric(self.receive.ports["http"], "prometheus_tsdb_head_samples_appended_total", *labels)


def secret(site: Site, pair: KeyPair) -> dict[str, object]:
    """The Secret of an agent with a certificate that was signed elsewhere."""
    params = {"client_certificate": pair.certificate, "client_key": pair.key}
    settings = Settings.of({"name": CLUSTER, "remote_write_url": "https://any/api/v1/receive", **params})
    authorities = site.identities.authorities
    return identity.secret_of(
        replace(settings, namespace="any"),
        "identity",
        {},
        None,
        None,
        tenants=authorities["tenants"],
        internal_certificate=authorities["internal"].certificate,
        now=datetime.now(UTC),
    )


@pytest.fixture
def site(identities: Identities, api_server: ApiServer, tmp_path: Path) -> Iterator[Site]:
    clients = Clients(api_server, NAMESPACE)
    node = Node(tmp_path / "node", dict(QUICK), clients)
    with ExitStack() as stack:
        manifests, endpoints = component_of(identities, component="receive")
        receive = stack.enter_context(node.run(manifests))
        settings = gateway.settings_of({"receive_url": endpoints["remote_write"]})
        observed = gateway.observe(identities.secrets, settings, identities.now)
        door = stack.enter_context(node.run(gateway.objects(settings, (), observed, identities.now)))
        yield Site(identities, clients, receive, door, tmp_path)
        clients.write(CLUSTER, None)


def test_no_sample_is_lost_while_a_certificate_is_renewed(site: Site, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    internal = site.identities.authorities["internal"].certificate
    old, new = site.issue(), site.issue()
    certificates = [identity.certificate_of(secret(site, pair)) for pair in (old, new)]
    before = Registration(CLUSTER, "uid", "active", certificate=certificates[0])
    folder = tmp_path / "agent"
    folder.mkdir()
    running = Running(folder, f"https://127.0.0.1:{site.gateway.ports['https']}/api/v1/receive")
    running.give(old, internal)

    def registered(registration: Registration, at: datetime) -> Registration:
        """As a run finds it, which has the agent's certificate be the new one."""
        previous = identity.previous_of(registration, certificates[1], certificates[0].fingerprint, at)
        return replace(registration, certificate=certificates[1], previous_certificate=previous)

    site.admit(before)
    wait_for(lambda: site.lets_in(old), SOON, "the first certificate is let in")
    with running.start():
        running.wait_for_more()
        renewed = registered(before, now)
        site.admit(renewed)
        wait_for(lambda: site.lets_in(new), SOON, "the new certificate is let in")
        assert site.lets_in(old)
        running.wait_for_more()
        running.give(new, internal)
        running.wait_for_more()

        # A run directly after leaves the old one in, one an hour later drops it.
        assert registered(renewed, now + timedelta(minutes=1)) == renewed
        ended = registered(renewed, now + identity.OVERLAP)
        assert ended.previous_certificate is None
        site.admit(ended)
        wait_for(lambda: not site.lets_in(old), SOON, "the old certificate is let in no longer")
        running.wait_for_more()

        running.scrape()
        running.wait(lambda: running.sent == running.metric("prometheus_agent_samples_appended_total"), "all is sent")
        assert running.lost == 0
        assert site.stored == running.sent
