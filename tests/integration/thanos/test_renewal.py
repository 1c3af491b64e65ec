# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent gets another certificate while it writes: real Prometheus, gateway and receive, and no sample is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, issue
from ansible_collections.scs.observability.plugins.module_utils._manifests import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import parse
from ansible_collections.scs.observability.plugins.module_utils._registration import identity
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import Settings
from tests.integration import agents
from tests.integration.api_server import ApiServer
from tests.integration.thanos.clients import QUICK, Clients
from tests.integration.thanos.conftest import GATEWAY_NAME, NAMESPACE, Identities, component_of, connection
from tests.integration.thanos.pods import Node, Pod, publish, wait_for

CLUSTER = "renewed"
SERIES = 50
# Seconds, on a machine that has much else to do
SOON = 60.0
FILES = {"cert_file": "tls.crt", "key_file": "tls.key", "ca_file": "ca.crt"}


def give(folder: Path, pair: KeyPair, authority: str) -> None:
    publish(folder, dict(zip(FILES.values(), (pair.certificate, pair.key, authority), strict=True)))


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
        """How many samples receive has of the cluster."""
        name = "prometheus_tsdb_head_samples_appended_total"
        with urlopen(f"http://127.0.0.1:{self.receive.ports['http']}/metrics") as response:
            found = parse(response.read(), (name,)).get(name, [])
        return sum(metric.value for metric in found if metric.labels.get("tenant") == CLUSTER)


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
    identity_folder, agent_folder = tmp_path / "identity", tmp_path / "agent"
    for folder in (identity_folder, agent_folder):
        folder.mkdir()
    give(identity_folder, old, internal)
    files = {name: str(identity_folder / file) for name, file in FILES.items()}
    url = f"https://127.0.0.1:{site.gateway.ports['https']}/api/v1/receive"
    write = agents.remote_write(url, server_name=GATEWAY_NAME, **files)
    write["queue_config"] |= {"batch_send_deadline": "200ms", "max_backoff": "1s"}

    def registered(registration: Registration, at: datetime) -> Registration:
        """As a run finds it, which has the agent's certificate be the new one."""
        has = registration.certificate.fingerprint if registration.certificate else ""
        previous = identity.previous_of(registration, certificates[1], has, at)
        return replace(registration, certificate=certificates[1], previous_certificate=previous)

    site.admit(before)
    wait_for(lambda: site.lets_in(old), SOON, "the first certificate is let in")
    with (
        agents.target(agents.moments(SERIES)) as port,
        agents.running_agent(agent_folder, [agents.scraping(port)], [write], interval="500ms") as running,
    ):

        def wait_for_more() -> None:
            enough = site.stored + 3 * SERIES
            wait_for(lambda: site.stored > enough, SOON, f"more is stored; the agent says {running.log[-2000:]}")

        wait_for_more()
        renewed = registered(before, now)
        site.admit(renewed)
        wait_for(lambda: site.lets_in(new), SOON, "the new certificate is let in")
        assert site.lets_in(old)
        wait_for_more()
        give(identity_folder, new, internal)
        wait_for_more()

        # A run directly after leaves the old one in, one an hour later drops it.
        assert registered(renewed, now + timedelta(minutes=1)) == renewed
        ended = registered(renewed, now + identity.OVERLAP)
        assert ended.previous_certificate is None
        site.admit(ended)
        wait_for(lambda: not site.lets_in(old), SOON, "the old certificate is let in no longer")
        wait_for_more()

        running.scrape([])
        sent = wait_for(running.sent, SOON, "all is sent")
        counted = running.counted()
        assert counted["remote_storage_samples_failed"] == counted["remote_storage_samples_dropped"] == 0
        assert site.stored == sent
