# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole observer on loopback: bucket, receive, store gateway, query, query-frontend and gateway.

The programs run with what the modules would send to a cluster; nothing is configured by the tests themselves.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import urllib3

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    AUTHORITIES,
    observe_or_create,
    shared_server_name,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    create_authority,
    fingerprint,
    issue,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_component
from ansible_collections.scs.observability.plugins.module_utils._manifests.kaas_cluster import DNS_LABEL_PATTERN
from ansible_collections.scs.observability.plugins.module_utils._objstore import bucket
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway, thanos
from tests.integration import remote_write
from tests.integration.api_server import ApiServer
from tests.integration.remote_write import Sample
from tests.integration.s3_server import S3Server
from tests.integration.thanos.clients import QUICK, Clients
from tests.integration.thanos.pods import Manifest, Node, Pod, wait_for

T = TypeVar("T")

NAMESPACE = "scs-observability"
RECEIVE_NAME = f"thanos-receive.{NAMESPACE}.svc"
GATEWAY_NAME = f"remote-write-gateway.{NAMESPACE}.svc"
SHARED_NAME = shared_server_name(NAMESPACE)

# The smallest that receive can do; by default a block is complete after two hours.
BLOCK_DURATION = "1m"
# How long a written sample may take to be seen by a query, in seconds.
VISIBLE = 15.0
BODY_SECONDS = 2

_NUMBERS = count(1)


class Secrets:
    """The part of a Kubernetes client that looking for what is there needs, over Secrets in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, Manifest] = {}

    def get(self, _api_version: str, _kind: str, name: str, _namespace: str = "") -> Manifest | None:
        return self.stored.get(name)

    def list(self, *_what: str) -> Sequence[Manifest]:
        return []

    def serves(self, _api_version: str, _kind: str) -> bool:
        return False

    def service_get(self, _namespace: str, service: str, *_request: object) -> bytes:
        raise ApiError("loopback", "get", service, 404, "there is no API server whose proxy could be asked")

    def parallel(self, calls: Sequence[Callable[[], T]]) -> Sequence[T]:
        return [call() for call in calls]


@dataclass
class Identities:
    """Authorities of an observer, another tenants authority, and certificates of all of them as files."""

    folder: Path
    now: datetime
    secrets: Any = field(default_factory=Secrets)
    authorities: dict[str, KeyPair] = field(default_factory=dict)
    issued: dict[tuple[str, str], KeyPair] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    registered: Callable[[str, str], None] | None = None
    """What is done with a cluster that is registered: its name, and its entry among the clients."""

    def __post_init__(self) -> None:
        self.authorities, missing = observe_or_create(self.secrets, NAMESPACE, AUTHORITIES, self.now)
        self.secrets.stored = {secret["metadata"]["name"]: secret for secret in missing}
        self.authorities["another"] = create_authority("tenants", self.now, path_length=0)
        (self.folder / "internal.crt").write_text(self.authorities["internal"].certificate)

    def client(self, authority: str, common_name: str) -> ssl.SSLContext:
        """A client that trusts ``internal`` and shows a certificate of the authority."""
        context = self.anonymous()
        who = (authority, common_name)
        if who not in self.issued:
            self.issued[who] = issue(self.authorities[authority], common_name, self.now, client=True, server=False)
            if authority == "tenants" and re.fullmatch(DNS_LABEL_PATTERN, common_name):
                self.register(common_name, self.issued[who])
        pair = self.issued[who]
        # A file of its own: several threads may be the same cluster at once.
        path = self.folder / f"{authority}-{common_name}-{next(_NUMBERS)}.pem"
        path.write_text(pair.certificate + pair.key)
        context.load_cert_chain(path)
        return context

    def register(self, cluster: str, *certificates: KeyPair) -> None:
        """Have gateways let in who has one of these certificates."""
        self.entries[cluster] = " ".join(["active", *(fingerprint(pair.certificate) for pair in certificates)])
        if self.registered is not None:
            self.registered(cluster, self.entries[cluster])

    def anonymous(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "internal.crt"))


@dataclass
class Observer:
    """Everything that runs, and how to write to it and read from it."""

    identities: Identities
    s3: S3Server
    bucket: str
    node: Node
    receive: Pod
    store: Pod
    query: Pod
    query_frontend: Pod
    gateway: Pod

    def agent(self, cluster: str, *, authority: str = "tenants") -> urllib3.HTTPSConnectionPool:
        """Where an agent with such a certificate writes."""
        return self.door(self.identities.client(authority, cluster))

    def door(self, context: ssl.SSLContext) -> urllib3.HTTPSConnectionPool:
        return connection(self.gateway.ports["https"], context, GATEWAY_NAME)

    def series(self, selector: str) -> list[dict[str, str]]:
        """Labels of the series with a sample in the last minutes, read through query-frontend."""
        parameters = urlencode({"query": selector, "time": time.time()})
        with urlopen(f"http://127.0.0.1:{self.query_frontend.ports['http']}/api/v1/query?{parameters}") as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return [item["metric"] for item in answer["data"]["result"]]

    def range(self, selector: str, start: float, end: float, step: int = 15) -> list[dict[str, Any]]:
        parameters = urlencode({"query": selector, "start": start, "end": end, "step": step})
        url = f"http://127.0.0.1:{self.query_frontend.ports['http']}/api/v1/query_range?{parameters}"
        with urlopen(url) as response:
            result: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return result

    def wait_for_series(self, selector: str) -> list[dict[str, str]]:
        return wait_for(lambda: self.series(selector), VISIBLE, f"a series {selector}")


def known_clients(pod: Pod) -> int:
    """How many clusters a gateway knows."""
    with urlopen(f"http://127.0.0.1:{pod.ports['metrics']}/metrics/clients") as response:
        text = response.read().decode()
    return sum(int(number) for number in re.findall(r"^remote_write_gateway_clients\{.*\} (\d+)$", text, re.M))


def limited(pod: Pod) -> dict[tuple[str, str], int]:
    """How many requests were refused, by cluster and limit."""
    with urlopen(f"http://127.0.0.1:{pod.ports['metrics']}/metrics/clients", timeout=5) as response:
        text = response.read().decode()
    found = re.findall(r'^remote_write_gateway_limited_total\{tenant="(.+)",limit="(.+)"\} (\d+)$', text, re.M)
    return {(tenant, limit): int(number) for tenant, limit, number in found}


def connection(port: int, context: ssl.SSLContext, server_name: str) -> urllib3.HTTPSConnectionPool:
    """A connection to a port on loopback whose server proves to be ``server_name``."""
    return urllib3.HTTPSConnectionPool(
        "127.0.0.1",
        port,
        ssl_context=context,
        server_hostname=server_name,
        assert_hostname=server_name,
        maxsize=1,
        retries=False,
        timeout=30,
    )


def write(
    pool: urllib3.HTTPSConnectionPool, name: str, headers: Mapping[str, str] | None = None, **labels: str
) -> urllib3.BaseHTTPResponse:
    """Write one sample of now and return the answer."""
    sample = Sample({"__name__": name, **labels}, 1.0, int(time.time() * 1000))
    return pool.request(
        "POST", "/api/v1/receive", body=remote_write.body([sample]), headers={**remote_write.HEADERS, **(headers or {})}
    )


def component_of(identities: Identities, **params: Any) -> tuple[list[Manifest], dict[str, str]]:
    """What the module thanos_component would send, and the endpoints it would return."""
    kind = thanos.component_of(params)
    settings, store = thanos.settings_of(kind, params)
    observed = thanos.observe(identities.secrets, kind, settings, identities.now)
    manifests = thanos.objects(kind, settings, store, observed, identities.now)
    return manifests, thanos_component.endpoints(kind, settings)


def new_bucket(s3: S3Server, name: str) -> dict[str, Any]:
    """Have a bucket and return the parameters that say where it is."""
    credentials = {"access_key": s3.owner.access_key, "secret_key": s3.owner.secret_key}
    ca = s3.ca.read_text()
    made = bucket.ensure({"name": name, "endpoint": s3.url, "ca_content": ca, "state": "present", **credentials}, False)
    return {
        "objstore": made["objstore"],
        "objstore_access_key": s3.owner.access_key,
        "objstore_secret_key": s3.owner.secret_key,
        "objstore_ca": ca,
    }


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    return Identities(tmp_path_factory.mktemp("identities"), datetime.now(UTC))


@pytest.fixture(scope="module")
def block_duration() -> str:
    """How much receive puts into a block."""
    return BLOCK_DURATION


@pytest.fixture(scope="module")
def observer(
    tmp_path_factory: pytest.TempPathFactory,
    identities: Identities,
    s3: S3Server,
    block_duration: str,
    api_server: ApiServer,
) -> Iterator[Observer]:
    name = f"thanos-{next(_NUMBERS)}"
    clients = Clients(api_server, NAMESPACE)
    node = Node(tmp_path_factory.mktemp("observer"), dict(QUICK), clients)
    for cluster, entry in identities.entries.items():
        clients.write(cluster, entry)
    objstore = new_bucket(s3, name)
    component = partial(component_of, identities)

    with ExitStack() as stack:

        def run(manifests: list[Manifest]) -> Pod:
            return stack.enter_context(node.run(manifests))

        manifests, receive_endpoints = component(
            component="receive",
            extra_args=[f"--tsdb.min-block-duration={block_duration}", f"--tsdb.max-block-duration={block_duration}"],
            **objstore,
        )
        receive = run(manifests)
        manifests, store_endpoints = component(
            component="store", extra_args=["--sync-block-duration=2s", "--block-sync-concurrency=2"], **objstore
        )
        store = run(manifests)
        manifests, query_endpoints = component(
            component="query",
            endpoints=[receive_endpoints["grpc"], store_endpoints["grpc"]],
            extra_args=["--store.sd-dns-interval=1s"],
        )
        query = run(manifests)
        manifests, _ignored = component(component="query_frontend", endpoints=[query_endpoints["http"]])
        query_frontend = run(manifests)
        settings = gateway.settings_of(
            {
                "receive_url": receive_endpoints["remote_write"],
                "timeouts": dict.fromkeys(("handshake", "headers", "body"), f"{BODY_SECONDS}s"),
            }
        )
        observed = gateway.observe(identities.secrets, settings, identities.now)
        door = run(gateway.objects(settings, gateway.hostnames_of({}), observed, identities.now))

        def registered(cluster: str, entry: str) -> None:
            clients.write(cluster, entry)
            wait_for(
                lambda: known_clients(door) == len(clients.entries), 30, f"the gateway knows {cluster}", every=0.05
            )

        identities.registered = registered
        yield Observer(identities, s3, name, node, receive, store, query, query_frontend, door)
        identities.registered = None
