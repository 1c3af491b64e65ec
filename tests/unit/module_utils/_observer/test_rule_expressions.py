# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which expressions are tried, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._observer.rule_expressions import faults, faults_of
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError

T = TypeVar("T")

RULES = {
    "a.yml": "groups: [{name: a, rules: [{record: x, expr: up}, {alert: Down, expr: 'up =='}]}]",
    "b.yml": "groups: [{name: b, rules: [{record: y, expr: 1}]}, {name: nothing}]",
}
QUERY = "http://thanos-query.observer.svc:10902"


class Cluster:
    """What is deployed, and a Service that takes what does not end in an operator."""

    def __init__(
        self, deployed: Mapping[str, str] | None = None, status: int = 0, service: str = "thanos-query"
    ) -> None:
        self.deployed, self.status, self.service = deployed, status, service
        self.asked: list[str] = []

    def get(self, _api_version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        assert (kind, name, namespace) == ("ConfigMap", "thanos-rule-configuration", "observer")
        return None if self.deployed is None else {"data": dict(self.deployed)}

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        assert (namespace, str(port), path, query and query["time"]) == ("observer", "10902", "/api/v1/query", "0")
        self.asked.append((query or {})["query"])
        if service != self.service or self.status:
            raise ApiError("host", "get", service, self.status or 404, "no")
        if self.asked[-1].endswith("=="):
            raise ApiError("host", "get", service, 400, "1:6: parse error: unexpected end of input")
        return b"{}"

    def parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]


def settings(*endpoints: str, **more: Any) -> Settings:
    return Settings("thanos-rule", "observer", rules=RULES, endpoints=endpoints or (QUERY,), **more)


def test_every_rule_of_a_new_file_is_tried() -> None:
    cluster = Cluster()
    assert faults(cluster, settings()) == ("a.yml, group a, rule 2 (Down): 1:6: parse error: unexpected end of input",)
    assert cluster.asked == ["up", "up ==", "1"]


def test_what_is_deployed_already_is_not_tried_again() -> None:
    cluster = Cluster({**RULES, "b.yml": "groups: []"})
    assert faults(cluster, settings()) == ()
    assert cluster.asked == ["1"]


@pytest.mark.parametrize("status", [403, 404, 422, 502, 503])
def test_what_cannot_be_asked_is_not_refused(status: int) -> None:
    assert faults(Cluster(status=status), settings()) == ()


def test_another_400_is_not_about_the_expression() -> None:
    cluster = Cluster(status=400)
    assert faults(cluster, settings()) == ()
    assert cluster.asked == ["up"]


def test_the_next_query_is_asked_when_one_does_not_answer() -> None:
    assert faults(Cluster(service="other"), settings(QUERY, "http://other.observer:10902"))


@pytest.mark.parametrize(
    "endpoint",
    ["http://query.example.org:10902", "http://thanos-query.elsewhere.svc:10902", "https://thanos-query:10902"],
)
def test_what_is_not_a_service_of_the_namespace_is_not_asked(endpoint: str) -> None:
    cluster = Cluster()
    assert faults(cluster, settings(endpoint)) == ()
    assert cluster.asked == []


def test_a_ruler_that_takes_more_than_query_is_left_alone() -> None:
    cluster = Cluster()
    assert faults(cluster, settings(extra_args=("--enable-feature=promql-experimental-functions",))) == ()
    assert cluster.asked == []


def test_all_that_is_wrong_in_several_files_is_told_with_its_place() -> None:
    files = {**RULES, "own/c.yml": {"groups": [{"name": "c", "rules": [{"record": "z", "expr": "1 =="}]}]}}
    assert faults_of(QueryApi(Cluster(), "observer", "thanos-query", "10902"), files) == (
        "a.yml, group a, rule 2 (Down): 1:6: parse error: unexpected end of input",
        "own/c.yml, group c, rule 1 (z): 1:6: parse error: unexpected end of input",
    )


def test_who_wants_files_to_be_tried_is_told_that_nothing_answers() -> None:
    with pytest.raises(QueryError):
        faults_of(QueryApi(Cluster(status=503), "observer", "thanos-query", "10902"), RULES)
