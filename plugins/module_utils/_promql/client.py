# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instant queries to Thanos, through the API server of the observer: nothing has to be exposed for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, ObservabilityError

T = TypeVar("T")

DEFAULT_SERVICE = "thanos-query-frontend"
DEFAULT_PORT = "http"


class ServiceProxy(Protocol):
    """The part of the Kubernetes client that is needed here."""

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes: ...

    def parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]: ...


class QueryError(ObservabilityError):
    """A query that was not answered: its expression is in ``details``, and the API server's or Thanos' reason."""


@dataclass(frozen=True)
class Sample:
    """One element of an instant vector; ``time`` is the moment of the evaluation in seconds since 1970."""

    labels: Mapping[str, str]
    value: float
    time: float


@dataclass(frozen=True)
class Answer:
    """Samples of one query; ``warnings`` tell what of the data could not be reached."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueryApi:
    """Where to ask: a Service with Prometheus' query API in the observer."""

    client: ServiceProxy
    namespace: str
    service: str = DEFAULT_SERVICE
    port: str = DEFAULT_PORT

    def query(self, expression: str) -> Answer:
        """Evaluate an expression now. Raises QueryError; a scalar comes back as one sample without labels."""
        try:
            body = self.client.service_get(
                self.namespace, self.service, self.port, "/api/v1/query", {"query": expression, "dedup": "true"}
            )
        except ApiError as error:
            raise self._error(expression, error.reason, error.status) from error
        try:
            return parse(body)
        except ValueError as error:
            raise self._error(expression, str(error), None) from error

    def fault(self, expression: str) -> str:
        """Return why an expression cannot be parsed, empty when it can. Raises QueryError when that cannot be asked.

        It is evaluated in 1970, where nobody has samples to read.
        """
        try:
            self.client.service_get(
                self.namespace, self.service, self.port, "/api/v1/query", {"query": expression, "time": "0"}
            )
        except ApiError as error:
            if error.status == 400 and "parse error" in error.reason:
                return error.reason
            # It was parsed, and could not be evaluated.
            if error.status != 422:
                raise self._error(expression, error.reason, error.status) from error
        return ""

    def query_all(self, expressions: Sequence[str]) -> list[Answer]:
        """Evaluate several at once; the answers are in the order of the expressions."""

        def asking(expression: str) -> Callable[[], Answer]:
            return lambda: self.query(expression)

        return self.client.parallel([asking(expression) for expression in expressions])

    def _error(self, expression: str, reason: str, status: int | None) -> QueryError:
        code = f" ({status})" if status is not None else ""
        return QueryError(
            f"the query API of the observer, service {self.namespace}/{self.service} port {self.port}, "
            f"did not answer a query{code}: {reason}",
            advice="See whether its pods and those of the Thanos query behind it are ready"
            if status in (None, 404, 502, 503, 504)
            else None,
            details={"expression": expression, "status": status},
        )


def parse(body: bytes) -> Answer:
    """Read the answer of /api/v1/query; ValueError with the reason if it is none, or an error."""
    try:
        document = json.loads(body)
    except ValueError:
        raise ValueError(f"the answer is not JSON: {body[:80].decode(errors='replace')!r}") from None
    if not isinstance(document, dict) or document.get("status") != "success":
        reason = document.get("error") if isinstance(document, dict) else None
        raise ValueError(str(reason or "the answer is not one of Prometheus' query API"))
    data = document.get("data") or {}
    return Answer(tuple(_samples(data)), tuple(str(text) for text in document.get("warnings") or ()))


def _samples(data: Mapping[str, Any]) -> list[Sample]:
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar" and isinstance(result, list):
        return [Sample({}, float(result[1]), float(result[0]))]
    if kind == "vector" and isinstance(result, list):
        # An element without "value" is a native histogram.
        return [
            Sample(element.get("metric") or {}, float(element["value"][1]), float(element["value"][0]))
            for element in result
            if "value" in element
        ]
    raise ValueError(f"the answer is a {kind}, not an instant vector")
