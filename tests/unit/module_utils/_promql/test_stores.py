# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._promql.stores import (
    Endpoint,
    away,
    behind,
    is_ready,
    read,
)

RECEIVE = Endpoint("dnssrv+_grpc._tcp.thanos-receive-headless.observer.svc", "receive", 2)
STORE = Endpoint("dnssrv+_grpc._tcp.thanos-store-headless.observer.svc", "store")
CLOUD = Endpoint("prometheus.example.org:10901")
OTHERS = Endpoint("dns+thanos.example.org:10901")

A, B, C, D = "10.0.0.1:10901", "10.0.0.2:10901", "10.0.0.3:10901", "10.0.0.4:10901"


def told(away: Sequence[str] = (), **components: Sequence[str]) -> Mapping[str, Any]:
    return {
        component: [{"name": name, "lastError": "no answer" if name in away else None} for name in names]
        for component, names in components.items()
    }


@pytest.mark.parametrize(
    ("endpoints", "stores", "of", "missing"),
    [
        ([RECEIVE, STORE], told(receive=[A, B], store=[C]), (), ""),
        # The least that there is: nothing
        ([RECEIVE, STORE], {}, (), "thanos-receive-headless.observer.svc (0 of 2)"),
        ([STORE], told(store=[]), (), "thanos-store-headless.observer.svc (0 of 1)"),
        ([RECEIVE, STORE], told(receive=[A], store=[C]), (), "(1 of 2)"),
        # One that query knew once
        ([RECEIVE, STORE], told([B], receive=[A, B], store=[C]), (), f"receive {B}: no answer"),
        # Another of the same kind is not it.
        ([RECEIVE, CLOUD], told(receive=[A, CLOUD.address]), (), "(1 of 2)"),
        ([STORE, CLOUD], told(sidecar=[CLOUD.address], store=[C]), (), ""),
        ([STORE, CLOUD], told(store=[C]), (), CLOUD.address),
        ([STORE, CLOUD], told([CLOUD.address], sidecar=[CLOUD.address], store=[C]), (), CLOUD.address),
        ([STORE, OTHERS], told(store=[C], query=[D]), (), ""),
        ([STORE, OTHERS], told(store=[C]), (), "1 of 2 behind"),
        # What does not matter may be away.
        ([RECEIVE, STORE, CLOUD], told(receive=[A, B], store=[C]), ("receive", "store"), ""),
        ([STORE, CLOUD], told([CLOUD.address], store=[C, CLOUD.address]), ("store",), ""),
        ([STORE, CLOUD, OTHERS], told(store=[CLOUD.address]), ("store",), "(0 of 1)"),
        ([RECEIVE, STORE], told([A], receive=[A, B], store=[C]), ("store",), ""),
        ([RECEIVE, STORE], told([A], receive=[A, B], store=[C]), ("receive", "store"), A),
        # As old ones tell errors
        ([STORE], {"store": [{"name": C, "lastError": {}}]}, (), "it has an error"),
    ],
)
def test_what_query_does_not_see(
    endpoints: Sequence[Endpoint], stores: Mapping[str, Any], of: Sequence[str], missing: str
) -> None:
    found = "; ".join(away(endpoints, stores, of))
    assert missing in found
    assert bool(missing) is bool(found)


def service(name: str, component: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app.kubernetes.io/component": component}}}


def governed(name: str, replicas: int) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"serviceName": f"{name}-headless", "replicas": replicas}}


@pytest.mark.parametrize(
    ("address", "component", "stores"),
    [
        (RECEIVE.address, "receive", 2),
        # Its volumes are there still.
        (STORE.address, "store", 1),
        (CLOUD.address, "", 1),
        ("dnssrv+_grpc._tcp.thanos-receive-headless.elsewhere.svc", "", 1),
        ("thanos-query-2.observer.svc:10901", "", 1),
        ("dnssrv+_grpc._tcp.not-there.observer.svc", "", 1),
    ],
)
def test_how_many_stores_are_behind_an_endpoint(address: str, component: str, stores: int) -> None:
    services = [service("thanos-receive-headless", "receive"), service("thanos-store-headless", "store")]
    services.append(service("thanos-query-2", "query"))
    workloads = [governed("thanos-receive", 2), governed("thanos-store", 0)]
    assert behind(Endpoint(address), "observer", services, workloads) == Endpoint(address, component, stores)


@pytest.mark.parametrize("file", ["", "no JSON", "[]", '{"endpoints": null}', '{"endpoints": [{}]}'])
def test_a_file_that_cannot_be_read_has_no_endpoints(file: str) -> None:
    assert read(file) == []


@pytest.mark.parametrize(
    ("pod", "ready"),
    [
        ({"metadata": {}, "status": {"containerStatuses": [{"ready": True}]}}, True),
        ({"metadata": {}, "status": {"containerStatuses": [{"ready": False}]}}, False),
        ({"metadata": {}}, False),
        ({"metadata": {"deletionTimestamp": "now"}, "status": {"containerStatuses": [{"ready": True}]}}, False),
    ],
)
def test_which_pods_are_asked(pod: dict[str, Any], ready: bool) -> None:
    assert is_ready(pod) is ready
