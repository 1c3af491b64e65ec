# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the answers of query: proven, still to come, or which link of the way is broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, ProofError
from ansible_collections.scs.observability.plugins.module_utils._iaas.proof import Finding, Proof, link_of
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import IaasRegistration
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi

ADDRESS = "192.0.2.10:10901"
NORTH = {"layer": "iaas", "region": "north", "replica": "control-1"}
FLOOR = 1000.0


class Query:
    """Answers as query does: its stores, and the newest sample by a part of the expression or of the stores."""

    def __init__(self, stores: Any = None, newest: Mapping[str, float] | None = None) -> None:
        self.stores, self.newest = stores or {}, newest or {}
        self.asked: list[Mapping[str, str]] = []
        self.fails = False
        self.log: str | None = ""

    def list(self, _api_version: str, kind: str, *_where: str) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "thanos-query" if kind == "Service" else "thanos-query-0"}, "spec": {}}]

    def logs(self, pod: str, _namespace: str, container: str = "", *_more: Any) -> str:
        assert (pod, container) == ("thanos-query-0", "thanos")
        if self.log is None:
            raise ApiError("observer", "get", "pods/log", 403, "forbidden")
        return self.log

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        assert (namespace, service) == ("observer", "thanos-query")
        if self.fails:
            raise ApiError("observer", "get", service, 503, "no endpoints available")
        if path == "/api/v1/stores":
            return json.dumps({"status": "success", "data": self.stores}).encode()
        self.asked.append(query or {})
        text = json.dumps(query)
        found = [value for part, value in self.newest.items() if part in text]
        result = [{"metric": {}, "value": [0, str(value)]} for value in found[:1]]
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()

    def parallel(self, calls: Any) -> Any:
        return [call() for call in calls]


def sidecar(**changes: Any) -> dict[str, Any]:
    return {"sidecar": [{"name": ADDRESS, "labelSets": [NORTH], "lastError": None, **changes}]}


def proof(query: Query, **changes: Any) -> Proof:
    registration = IaasRegistration("north-1", "north", "observer", **(changes or {"pull_address": ADDRESS}))
    times = iter(range(1000))
    return Proof(
        query,
        QueryApi(query, "observer"),
        registration,
        {"pull": FLOOR, "remote_write": FLOOR},
        timeout=3,
        clock=lambda: float(next(times)),
        sleep=lambda _seconds: None,
        started=0.0,
    )


@pytest.mark.parametrize(
    ("stores", "newest", "state", "link"),
    [
        ({}, {}, "missing", "unknown"),
        ({"store": [{"name": "10.0.0.1:10901", "labelSets": []}]}, {}, "missing", "unknown"),
        (sidecar(lastError="dial tcp 192.0.2.10:10901: connect: connection refused"), {}, "missing", "tcp"),
        (sidecar(lastError={"message": "x"}), {}, "missing", "tcp"),
        (sidecar(labelSets=[]), {}, "missing", "labels"),
        (sidecar(labelSets=[{**NORTH, "region": "south"}]), {}, "missing", "labels"),
        (sidecar(), {}, "missing", "prometheus"),
        (sidecar(), {"192": FLOOR - 1}, "missing", "prometheus"),
        (sidecar(), {"192": FLOOR + 1}, "proven", ""),
    ],
)
def test_pull(stores: Any, newest: Mapping[str, float], state: str, link: str) -> None:
    query = Query(stores, newest)
    found = proof(query).look("pull")
    assert (found.state, found.link) == (state, link)
    # Only that endpoint is asked, and for each replica.
    for asked in query.asked:
        assert asked["storeMatch[]"] == '{__address__=~"192\\\\.0\\\\.2\\\\.10:10901"}'
        assert asked["dedup"] == "false"


@pytest.mark.parametrize(
    ("newest", "state", "link"),
    [
        ({}, "missing", "remote_write"),
        ({'cluster=\\"north-1\\"}': FLOOR + 1}, "missing", "labels"),
        ({"layer": FLOOR - 1}, "missing", "remote_write"),
        ({"layer": FLOOR + 1}, "proven", ""),
    ],
)
def test_remote_write(newest: Mapping[str, float], state: str, link: str) -> None:
    found = proof(Query(newest=newest), remote_write=True).look("remote_write")
    assert (found.state, found.link) == (state, link)


GATEWAY = {"store": [{"name": "10.0.0.1:10901", "labelSets": [{"cluster": "kaas-1"}, NORTH]}]}


@pytest.mark.parametrize(
    ("stores", "newest", "state"),
    [
        ({}, {}, "missing"),
        ({"store": [{"name": "10.0.0.1:10901", "labelSets": [{"cluster": "kaas-1"}]}]}, {}, "pending"),
        # The sidecar's own labels are not those of a block.
        ({"store": [{"name": "10.0.0.1:10901", "labelSets": []}], **sidecar()}, {}, "pending"),
        (GATEWAY, {}, "pending"),
        (GATEWAY, {"10": FLOOR}, "proven"),
    ],
)
def test_upload(stores: Any, newest: Mapping[str, float], state: str) -> None:
    assert proof(Query(stores, newest), upload=True).look("upload").state == state


@pytest.mark.parametrize(
    ("error", "link"),
    [
        ("rpc error: desc = connection error: dial tcp: lookup nowhere on 10.96.0.10:53: no such host", "dns"),
        ("authentication handshake failed: tls: failed to verify certificate: x509: certificate is valid for a", "tls"),
        ("authentication handshake failed: remote error: tls: bad certificate", "tls"),
        ("dial tcp 192.0.2.10:10901: connect: no route to host", "tcp"),
        ("context deadline exceeded", "tcp"),
        ("something new", "tcp"),
    ],
)
def test_links(error: str, link: str) -> None:
    assert link_of(error) == link


def test_what_is_proven_ends_the_waiting_and_what_is_pending_is_no_failure() -> None:
    query = Query({**sidecar(), "store": []}, {"192": FLOOR + 1})
    with pytest.raises(ProofError):
        proof(query, pull_address=ADDRESS, upload=True).establish()
    query = Query({**sidecar(), "store": [{"name": "10.0.0.1:10901"}]}, {"192": FLOOR + 1})
    found = proof(query, pull_address=ADDRESS, upload=True).establish()
    assert {path: item["state"] for path, item in found.items()} == {"pull": "proven", "upload": "pending"}
    assert found["pull"]["newest"] == "1970-01-01T00:16:41Z"


def test_a_failure_says_of_each_path_what_is_broken() -> None:
    query = Query(sidecar(lastError="connection refused"))
    with pytest.raises(ProofError) as caught:
        proof(query, pull_address=ADDRESS, remote_write=True).establish()
    text = str(caught.value)
    assert "pull: broken link: tcp, 192.0.2.10:10901 was not reached: connection refused" in text
    assert "remote_write: broken link: remote_write, it has written no sample" in text
    assert caught.value.link == "tcp"
    assert caught.value.details["proof"]["remote_write"]["link"] == "remote_write"


LINE = (
    'caller=endpointset.go:469 level=warn component=endpointset msg="update of endpoint failed" '
    'err="getting metadata: rpc error: code = DeadlineExceeded desc = latest balancer error: {}" address={}'
)
REFUSED = r"connection error: desc = \"transport: Error while dialing: dial tcp 192.0.2.10:10901: connect: refused\""
UNTRUSTED = r"connection error: desc = \"transport: authentication handshake failed: tls: failed to verify\""


@pytest.mark.parametrize(
    ("log", "link", "said"),
    [
        ("", "configuration", "does not try"),
        (LINE.format(REFUSED, "192.0.2.11:10901"), "configuration", "does not try"),
        (LINE.format(REFUSED, ADDRESS), "tcp", "dial tcp"),
        (LINE.format("name resolver error: produced zero addresses", ADDRESS), "dns", "zero addresses"),
        (
            "\n".join([LINE.format(REFUSED, ADDRESS), LINE.format(UNTRUSTED, ADDRESS), "more"]),
            "tls",
            'desc = "transport',
        ),
        (None, "unknown", "has not reached"),
    ],
)
def test_of_a_store_that_was_never_reached_the_log_says_why(log: str | None, link: str, said: str) -> None:
    query = Query()
    query.log = log
    with pytest.raises(ProofError, match=said) as caught:
        proof(query).establish()
    assert caught.value.link == link


def test_a_query_that_does_not_answer_is_waited_for_and_named() -> None:
    query = Query()
    query.fails = True
    assert proof(query).look("pull") == Finding(
        "missing",
        "the query of the observer, service observer/thanos-query, did not answer /api/v1/stores: "
        "no endpoints available",
        "query",
    )
