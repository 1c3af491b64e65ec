# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether query sees every store that it is configured with.

A store that did not answer the last look of query is left out of its answers, without error or warning, also when these
must not be partial. What nobody has is therefore no proof unless all are there: that is what its file of endpoints
says, and the StatefulSets that these lead to.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    container_port,
    is_terminating,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import HTTP_PORT
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_query import ENDPOINTS_FILE
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_wiring import host_of, service_of
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError

Manifest = dict[str, Any]

# As Thanos calls what is behind an endpoint, and the label of its Service
COMPONENTS = ("receive", "rule", "sidecar", "store")
_COMPONENT_LABEL = "app.kubernetes.io/component"
_POLL_SECONDS = 1.0
_SELECTOR = "app.kubernetes.io/managed-by=scs.observability,app.kubernetes.io/component=query"


class _UnseenError(QueryError):
    """Query does not see what it is to see, which may be over in some seconds."""


class Client(Protocol):
    """The part of the Kubernetes client that is needed here."""

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes: ...

    def pod_get(
        self, namespace: str, pod: str, port: int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes: ...

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None: ...

    def parallel(self, calls: Sequence[Callable[[], Any]]) -> Sequence[Any]: ...

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[Manifest]: ...


@dataclass(frozen=True)
class Endpoint:
    """What query is configured with: an address, how many stores are behind it at least, and what they are of the
    observer (empty for what is not its own).
    """

    address: str
    component: str = ""
    stores: int = 1

    @property
    def keeps_its_name(self) -> bool:
        """Tell whether query calls the store as it is configured, not by what a look-up gave."""
        return not self.address.startswith("dns")


@dataclass(frozen=True)
class Stores:
    """What the pods of a query have to see; ``of`` are the observer's components that matter, empty for everything."""

    client: Client
    namespace: str
    pods: tuple[Manifest, ...]
    endpoints: tuple[Endpoint, ...]
    of: Collection[str] = ()

    @classmethod
    def wanted(cls, client: Client, namespace: str, of: Collection[str] = ()) -> Stores:
        """Look at what query is to see. Raises QueryError, ApiError."""
        service = query_service(client, namespace)
        name = str(service["metadata"]["name"])
        selector = ",".join(f"{label}={value}" for label, value in (service["spec"].get("selector") or {}).items())
        file, pods, services, workloads = client.parallel(
            [
                partial(client.get, "v1", "ConfigMap", f"{name}-configuration", namespace),
                partial(client.list, "v1", "Pod", namespace, selector),
                partial(client.list, "v1", "Service", namespace),
                partial(client.list, "apps/v1", "StatefulSet", namespace),
            ]
        )
        configured = read(((file or {}).get("data") or {}).get(ENDPOINTS_FILE) or "")
        ready = tuple(pod for pod in pods if is_ready(pod))
        if not (configured and ready):
            raise _unseen(namespace, "it has no pod that is ready" if configured else "its endpoints cannot be read")
        endpoints = tuple(behind(endpoint, namespace, services, workloads) for endpoint in configured)
        return cls(client, namespace, ready, endpoints, of)

    def require(self) -> None:
        """Raise QueryError unless each pod of query sees them all."""
        for told in self.client.parallel([partial(self._told_by, pod) for pod in self.pods]):
            found = away(self.endpoints, told, self.of)
            if found:
                raise _unseen(self.namespace, "; ".join(found))

    @classmethod
    def all_there(cls, client: Client, namespace: str, of: Collection[str] = (), *, patience: float = 0.0) -> Stores:
        """The same when each pod of query sees them all, which is waited for: query looks for them every few seconds.

        Raises QueryError when it does not after ``patience`` seconds, at once when there is no query; ApiError.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                stores = cls.wanted(client, namespace, of)
                stores.require()
                return stores
            except _UnseenError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_POLL_SECONDS)

    def asked(self) -> list[str] | None:
        """The addresses of those that matter, None for all. Raises QueryError."""
        if not self.of:
            return None
        foreign = {item.address for item in self.endpoints if item.keeps_its_name and item.component not in self.of}
        addresses = self.addresses()
        return [name for component in self.of for name in addresses.get(component, []) if name not in foreign]

    def addresses(self) -> dict[str, list[str]]:
        """Where query finds its stores, by component. Raises QueryError."""
        told = self._told_by(self.pods[0])
        return {component: [str(store.get("name")) for store in stores] for component, stores in told.items()}

    def _told_by(self, pod: Manifest) -> Mapping[str, Any]:
        name = str(pod["metadata"]["name"])
        try:
            port = container_port(pod, "http", HTTP_PORT)
            document = json.loads(self.client.pod_get(self.namespace, name, port, "/api/v1/stores"))
            return dict(document["data"])
        except ApiError as error:
            raise _unseen(self.namespace, f"pod {name} did not tell: {error.reason}") from error
        except (ValueError, KeyError, TypeError):
            raise _unseen(self.namespace, f"what pod {name} tells is no list of stores") from None


def query_service(client: Client, namespace: str) -> Manifest:
    """The Service of the observer's query. Raises QueryError when there is none."""
    for service in client.list("v1", "Service", namespace, _SELECTOR):
        if service["spec"].get("clusterIP") != "None":
            return service
    raise QueryError(
        f"the namespace {namespace} of the observer has no query", advice="Deploy it with the playbook observer"
    )


def _unseen(namespace: str, what: str) -> _UnseenError:
    return _UnseenError(
        f"the query of the observer, in namespace {namespace}, does not see all of its stores: {what}",
        advice="Have these answer, or take out of the endpoints of query what is gone for good, and run this again",
    )


def is_ready(pod: Manifest) -> bool:
    """Tell whether a pod is asked by those who ask its Service. Pure."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return bool(statuses) and all(status.get("ready") for status in statuses) and not is_terminating(pod)


def read(file: str) -> list[Endpoint]:
    """The endpoints in query's file of them, none when it cannot be read. Pure."""
    try:
        return [Endpoint(str(item["address"])) for item in json.loads(file)["endpoints"]]
    except (ValueError, KeyError, TypeError):
        return []


def behind(endpoint: Endpoint, namespace: str, services: Sequence[Manifest], workloads: Sequence[Manifest]) -> Endpoint:
    """The same with what this namespace has behind it. Pure."""
    if service_of(endpoint.address, namespace) is None:
        return endpoint
    host = host_of(endpoint.address).partition(".")[0]
    labels = [item["metadata"].get("labels") or {} for item in services if item["metadata"]["name"] == host]
    component = labels[0].get(_COMPONENT_LABEL, "") if labels else ""
    governed = [item["spec"].get("replicas", 1) for item in workloads if item["spec"].get("serviceName") == host]
    # One that was scaled to nothing still has its volumes.
    return replace(endpoint, component=component if component in COMPONENTS else "", stores=max(sum(governed), 1))


def away(endpoints: Sequence[Endpoint], told: Mapping[str, Any], of: Collection[str] = ()) -> list[str]:
    """What of the endpoints is not among the stores that query answers from, in words. Pure.

    ``told`` are the stores by component, as /api/v1/stores has them. A pod has another address than its endpoint, so
    those that are looked up are counted.
    """
    named = {endpoint.address: endpoint for endpoint in endpoints if endpoint.keeps_its_name}
    failed: list[str] = []
    answering: set[str] = set()
    counted: Counter[str] = Counter()
    for component, stores in told.items():
        for store in stores:
            name, error = str(store.get("name")), store.get("lastError")
            if error in (None, ""):
                answering.add(name)
                counted[component] += name not in named
            elif not of or (component in of and (name not in named or named[name].component in of)):
                # Old ones have a structure that only says that there is one.
                failed.append(f"{component} {name}: {error or 'it has an error'}")
    if failed:
        return failed
    wanted = [endpoint for endpoint in endpoints if not of or endpoint.component in of]
    missing = [address for address, item in named.items() if item in wanted and address not in answering]
    looked_up = [endpoint for endpoint in wanted if not endpoint.keeps_its_name]
    for endpoint in looked_up:
        if endpoint.component:
            there = counted[endpoint.component]
            missing += [f"{endpoint.address} ({there} of {endpoint.stores})"] if there < endpoint.stores else []
    total = sum(endpoint.stores for endpoint in looked_up)
    if not (missing or of) and counted.total() < total:
        missing.append(f"{counted.total()} of {total} behind {', '.join(endpoint.address for endpoint in looked_up)}")
    return [f"missing is {what}" for what in missing]
