# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the components of Thanos would refuse beside what is there, before the first of them is deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    ObservabilityError,
    Problems,
    StorageError,
)
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import endpoints_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.cluster import uid_of
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    images,
    thanos_compact,
    thanos_query,
    thanos_query_frontend,
    thanos_rule,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    Component,
    Settings,
    reads,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore import compactor_claim
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Access
from ansible_collections.scs.observability.plugins.module_utils._observer import rule_expressions, thanos

Manifest = dict[str, Any]

FORBIDDEN = 403
# What the parameters of thanos_component are called here
_QUERY = {"endpoints": "query_endpoints", "external_endpoints": "query_external_endpoints"}
_RULE = {"rules": "ruler_rules", "extra_args": "rule_extra_args"}
_CALLED = {**_QUERY, **_RULE, "image": "thanos_image"}


def problems(client: KubernetesClient, namespace: str, params: Mapping[str, Any]) -> list[ObservabilityError]:
    """Return everything that is refused, by the names of the parameters of observer_preflight."""
    found: dict[str, ObservabilityError] = {}
    try:
        live = thanos.deployed(client, namespace)
        for check in (_query, _rule, _downgrades):
            for error in check(client, namespace, params, live):
                error.parameter = _CALLED.get(str(error.parameter), error.parameter)
                found[str(error)] = error
    except ApiError as error:
        # Rights that are missing are told by themselves.
        if error.status != FORBIDDEN:
            found[str(error)] = error
    return list(found.values())


def see_whose(access: Access, owner: compactor_claim.Owner, *, take_over: bool) -> None:
    """Raise the StorageError of a bucket that is another compactor's."""
    where, now = compactor_claim.Place(access), datetime.now(UTC)
    try:
        compactor_claim.claim(where, owner, now, take_over=take_over, check_mode=True)
    except StorageError as error:
        if error.parameter == "take_over_bucket":
            error.parameter = "compact_take_over_bucket"
        raise


def compactor(client: KubernetesClient, namespace: str) -> compactor_claim.Owner:
    """Return who claims the bucket of the observer in a namespace. Raises ApiError."""
    return compactor_claim.Owner(uid_of(client), namespace, thanos_compact.COMPONENT.default_name, client.host)


def _query(
    client: KubernetesClient, namespace: str, params: Mapping[str, Any], live: Sequence[Manifest]
) -> list[InputError]:
    problems = Problems()
    given = {called: params.get(name) for called, name in _QUERY.items()}
    settings = problems.of(_settings, thanos_query.COMPONENT, namespace, given)
    if settings:
        problems.of(thanos_query.refuse_twice, reads(settings), endpoints_of(client, namespace), "external_endpoints")
        # As the role wires them, also where they are not there yet
        wired = {
            settings.name: reads(settings),
            thanos_query_frontend.COMPONENT.default_name: [_url(settings.name, namespace)],
        }
        problems.of(thanos.refuse_circle, live, wired, namespace)
    return problems.found


def _rule(
    client: KubernetesClient, namespace: str, params: Mapping[str, Any], _live: Sequence[Manifest]
) -> list[InputError]:
    problems = Problems()
    given = {called: params.get(name) for called, name in _RULE.items()}
    asked = [_url(thanos_query.COMPONENT.default_name, namespace)]
    settings = problems.of(_settings, thanos_rule.COMPONENT, namespace, {**given, "endpoints": asked})
    if settings and settings.rules:
        problems.of(thanos.refuse_faults, rule_expressions.faults(client, settings))
    return problems.found


def _downgrades(
    _client: KubernetesClient, _namespace: str, params: Mapping[str, Any], live: Sequence[Manifest]
) -> list[InputError]:
    problems = Problems()
    for item in [] if params.get("thanos_allow_downgrade") else live:
        problems.of(thanos.refuse_downgrade, item, params.get("thanos_image") or images.THANOS)
    return problems.found


def _settings(component: Component, namespace: str, given: Mapping[str, Any]) -> Settings:
    return thanos.settings_of(component, {"namespace": namespace, **given})[0]


def _url(service: str, namespace: str) -> str:
    return f"http://{service}.{namespace}.svc:10902"
