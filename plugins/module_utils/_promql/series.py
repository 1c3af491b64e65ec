# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which series there are in all the time that an observer holds.

Query itself is asked: the frontend would split the whole time into days, and answers from its cache.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.stores import Client, Stores, query_service

PORT = "http"


def series(
    client: Client,
    namespace: str,
    selector: str,
    *,
    start: float | None = None,
    end: float | None = None,
    limit: int = 0,
    stores: Collection[str] | None = None,
) -> list[dict[str, str]]:
    """Labels of all series that match, of each replica, from ``start`` to ``end`` (seconds since 1970) or ever: those
    that any store has, or one at these addresses.

    Raises QueryError when one of the stores that query sees fails. That there are none is told by ``are_none``.
    """
    query = {"match[]": selector, "dedup": "false", "partial_response": "false"}
    query |= {name: f"{value:.3f}" for name, value in (("start", start), ("end", end)) if value is not None}
    if limit:
        query["limit"] = str(limit)
    if stores is not None:
        query["storeMatch[]"] = "{__address__=~" + json.dumps("|".join(map(re.escape, stores))) + "}"
    return [dict(item) for item in query_data(client, namespace, "/api/v1/series", query) or []]


def are_none(client: Client, namespace: str, selector: str, *, of: Collection[str] = (), patience: float = 0.0) -> bool:
    """Tell whether no store has a series that matches, or had one ever; with ``of``, none of these components.

    Raises QueryError when one of them is away, and not back after ``patience`` seconds: what is not seen is no proof.
    """
    if not of and series(client, namespace, selector, limit=1):
        return False
    stores = Stores.all_there(client, namespace, of, patience=patience)
    found = series(client, namespace, selector, limit=1, stores=stores.asked())
    # One that went meanwhile has not been asked.
    stores.require()
    return not found


def selector_of(labels: Mapping[str, str], *, having: str = "", any_name: bool = True) -> str:
    """A selector of series with these values, and with a label of whatever value."""
    wanted = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()]
    # Stores refuse what matches nothing but their external labels.
    name = ['__name__!=""'] if any_name else []
    return "{" + ",".join([*name, *wanted, *([f'{having}!=""'] if having else [])]) + "}"


def query_data(client: Client, namespace: str, path: str, query: Mapping[str, str]) -> Any:
    """The data of an answer of query itself, not of its frontend. Raises QueryError."""
    service = query_service(client, namespace)["metadata"]["name"]
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
