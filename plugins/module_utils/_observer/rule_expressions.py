# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions in rules that cannot be parsed, as told by what runs already and can parse them.

One of them ends a ruler's start. Of Prometheus, the operator leaves out the whole file that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_component, thanos_rule_files
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_wiring import service_of
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError

T = TypeVar("T")

# With these a ruler takes more than the query that it asks.
_LANGUAGE = ("--enable-feature", "--query.enable-x-functions")


class Client(Protocol):
    """The part of the Kubernetes client that is needed here."""

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None: ...

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes: ...

    def parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]: ...


def faults(client: Client, settings: Settings) -> tuple[str, ...]:
    """Return what is wrong in files of rules that are not deployed yet, with the place of each rule.

    Empty also when no query can be asked: none of the endpoints is a Service of the namespace, it does not run yet, or
    the operator may not reach it.
    """
    live = client.get("v1", "ConfigMap", thanos_component.configuration_name(settings), settings.namespace) or {}
    deployed = live.get("data") or {}
    rules = [
        rule
        for name, text in settings.rules.items()
        if deployed.get(name) != text
        for rule in thanos_rule_files.expressions(name, text)
    ]
    if any(argument.startswith(_LANGUAGE) for argument in settings.extra_args):
        return ()
    for endpoint in settings.endpoints:
        service, url = service_of(endpoint, settings.namespace), urlsplit(endpoint)
        if service and url.scheme == "http":
            query = QueryApi(client, settings.namespace, service, str(url.port or 80))
            try:
                return _tried(query, rules)
            except QueryError:
                continue
    return ()


def faults_of(query: QueryApi, files: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is wrong in files of rules that are well otherwise, with the place of each rule.

    ``files`` are texts or structures by what they are called. Raises QueryError when nothing answers.
    """
    return _tried(
        query, [rule for name, content in files.items() for rule in thanos_rule_files.expressions(name, content)]
    )


def _tried(query: QueryApi, rules: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    told = query.client.parallel([partial(query.fault, expression) for _place, expression in rules])
    return tuple(f"{place}: {fault}" for (place, _expression), fault in zip(rules, told, strict=True) if fault)
