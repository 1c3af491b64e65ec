# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which series there are in all the time that an observer holds.

Query itself is asked: the frontend would split the whole time into days, and answers from its cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError

PORT = "http"


class Client(Protocol):
    """The part of the Kubernetes client that is needed here."""

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes: ...

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[dict[str, Any]]: ...


def query_service(client: Client, namespace: str) -> str:
    """The Service of the observer's query. Raises QueryError when there is none."""
    selector = "app.kubernetes.io/managed-by=scs.observability,app.kubernetes.io/component=query"
    for service in client.list("v1", "Service", namespace, selector):
        if service["spec"].get("clusterIP") != "None":
            return str(service["metadata"]["name"])
    raise QueryError(
        f"the namespace {namespace} of the observer has no query", advice="Deploy it with the playbook observer"
    )


def series(
    client: Client,
    namespace: str,
    selector: str,
    *,
    start: float | None = None,
    end: float | None = None,
    limit: int = 0,
    partial: bool = False,
) -> list[dict[str, str]]:
    """Labels of all series that match, of each replica, from ``start`` to ``end`` (seconds since 1970) or ever.

    Raises QueryError when only one of the stores does not answer: what is not seen is no proof. With ``partial`` those
    that answer are enough.
    """
    query = {"match[]": selector, "dedup": "false", "partial_response": "true" if partial else "false"}
    query |= {name: f"{value:.3f}" for name, value in (("start", start), ("end", end)) if value is not None}
    if limit:
        query["limit"] = str(limit)
    return [dict(item) for item in query_data(client, namespace, "/api/v1/series", query) or []]


def selector_of(labels: Mapping[str, str], *, having: str = "", any_name: bool = True) -> str:
    """A selector of series with these values, and with a label of whatever value."""
    wanted = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()]
    # Stores refuse what matches nothing but their external labels.
    name = ['__name__!=""'] if any_name else []
    return "{" + ",".join([*name, *wanted, *([f'{having}!=""'] if having else [])]) + "}"


def query_data(client: Client, namespace: str, path: str, query: Mapping[str, str]) -> Any:
    """The data of an answer of query itself, not of its frontend. Raises QueryError."""
    service = query_service(client, namespace)
    try:
        document = json.loads(client.service_get(namespace, service, PORT, path, query))
        if document["status"] == "success":
            return document.get("data")
        reason = str(document.get("error"))
    except ApiError as error:
        reason = error.reason
    except (ValueError, KeyError, TypeError):
        reason = "the answer is not one of Prometheus' query API"
    raise QueryError(
        f"the query of the observer, service {namespace}/{service}, did not answer {path}: {reason}",
        advice="See whether query and all stores behind it are ready",
    )
