# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._promql.client import (
    Answer,
    QueryApi,
    QueryError,
    Sample,
    parse,
)

T = TypeVar("T")


class Proxy:
    """Answers with one body, or fails; remembers what it was asked."""

    def __init__(self, body: bytes | ApiError) -> None:
        self.body = body
        self.asked: list[tuple[str, str, str | int, str, dict[str, str]]] = []

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        self.asked.append((namespace, service, port, path, dict(query or {})))
        if isinstance(self.body, ApiError):
            raise self.body
        return self.body

    def parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]


def vector(*elements: tuple[dict[str, str], str], **more: Any) -> bytes:
    result = [{"metric": labels, "value": [1700000000.5, value]} for labels, value in elements]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}, **more}).encode()


def test_a_query_goes_to_the_query_api_of_the_service() -> None:
    proxy = Proxy(vector())
    QueryApi(proxy, "monitoring", "thanos-query-frontend").query('up{cluster="a"}')
    ((namespace, service, port, path, query),) = proxy.asked
    assert (namespace, service, port, path) == ("monitoring", "thanos-query-frontend", "http", "/api/v1/query")
    assert query["query"] == 'up{cluster="a"}'


def test_samples_have_labels_value_and_the_time_of_the_evaluation() -> None:
    body = vector(({"cluster": "a"}, "42.5"), ({}, "NaN"), warnings=["a store is down"])
    answer = parse(body)
    assert answer.samples[0] == Sample({"cluster": "a"}, 42.5, 1700000000.5)
    assert answer.samples[1].value != answer.samples[1].value
    assert answer.warnings == ("a store is down",)


def test_a_scalar_is_one_sample_without_labels() -> None:
    body = b'{"status":"success","data":{"resultType":"scalar","result":[1700000001,"1700000001.25"]}}'
    assert parse(body) == Answer((Sample({}, 1700000001.25, 1700000001.0),))


def test_native_histograms_are_no_samples() -> None:
    body = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}'
    assert parse(body).samples == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>no</html>", "not JSON"),
        (b"[]", "not one of Prometheus' query API"),
        (b'{"status":"error","errorType":"execution","error":"query timed out"}', "query timed out"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[]}}', "is a matrix"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(QueryError, match=reason) as raised:
        QueryApi(Proxy(body), "monitoring").query("up")
    assert raised.value.details["expression"] == "up"
    assert "monitoring/thanos-query-frontend" in str(raised.value)


def api_error(status: int | None, reason: str) -> ApiError:
    return ApiError("https://observer:6443", "get", "services/proxy monitoring/x:http", status, reason)


@pytest.mark.parametrize("status", [None, 404, 502, 503, 504])
def test_a_service_without_pods_leads_the_operator_to_them(status: int | None) -> None:
    with pytest.raises(QueryError) as raised:
        QueryApi(Proxy(api_error(status, "no endpoints available")), "monitoring").query("up")
    assert "no endpoints available" in str(raised.value)
    assert "pods" in (raised.value.advice or "")


def test_a_refused_query_gives_thanos_reason_and_no_false_lead() -> None:
    with pytest.raises(QueryError) as raised:
        QueryApi(Proxy(api_error(422, "unknown function")), "monitoring").query("nope(up)")
    assert "(422): unknown function" in str(raised.value)
    assert raised.value.advice is None


def test_answers_come_in_the_order_of_the_questions() -> None:
    class Echo(Proxy):
        def service_get(
            self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
        ) -> bytes:
            return vector(({}, (query or {})["query"]))

    answers = QueryApi(Echo(b""), "monitoring").query_all(["1", "2", "3"])
    assert [answer.samples[0].value for answer in answers] == [1, 2, 3]
