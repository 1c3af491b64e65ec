# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work of the role's variables for the observer's Prometheus and exporters. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import cluster_api_importer, thanos_component

_IMAGES = ("prometheus", "kube_state_metrics", "node_exporter", "kaas_metric_importer", "cluster_api_importer")
# Without a size there is no volume, without a retention the operator takes a day.
_NEEDED = ("observer_prometheus_storage_size", "observer_prometheus_retention")
# Blocks are two hours long, and are complete and uploaded one hour later.
SHORTEST_RETENTION = 6 * 3600
# What the write-ahead log may need beside the samples that count for the limit
LARGEST_SHARE = 0.9
# As the Prometheus resource takes it. Its units are powers of 1024, with an i or without.
_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[KMGTPE]?)i?B")


def problems(asked: Mapping[str, Any]) -> list[str]:
    """Return one text per problem, which begins with the variable's name; what is not given is not looked at."""
    checks: list[tuple[str, Callable[[Any, str], Any]]] = [
        ("observer_prometheus_replicas", _replicas),
        ("observer_prometheus_storage_size", names.volume_size),
        ("observer_prometheus_retention", _retention),
        ("observer_prometheus_retention_size", _size),
        ("observer_prometheus_external_url", _url),
        *((f"observer_{part}_image", names.image_reference) for part in _IMAGES),
        ("observer_cluster_api_importer_kubeconfig_content", _kubeconfig),
    ]
    found: dict[str, str] = {}
    for name, check in checks:
        value = asked.get(name)
        if value is None or (value == "" and name not in _NEEDED):
            continue
        try:
            check(value, name)
        except InputError as error:
            found[name] = str(error)
    size, storage = "observer_prometheus_retention_size", "observer_prometheus_storage_size"
    if asked.get(size) and asked.get(storage) and not {size, storage} & set(found):
        room = names.quantity_number(asked[storage]) * LARGEST_SHARE
        if _size(asked[size], size) > room:
            found[size] = (
                f"{size}: {asked[size]} is more than 90 % of {storage}, which is {asked[storage]}. "
                "The write-ahead log needs room, too"
            )
    return list(found.values())


def _replicas(value: Any, parameter: str) -> None:
    try:
        wrong = isinstance(value, bool) or int(value) < 1
    except (TypeError, ValueError):
        wrong = True
    if wrong:
        raise InputError(f"{value!r} is not a number of at least 1", parameter=parameter)


def _retention(value: Any, parameter: str) -> None:
    if names.duration_seconds(value, parameter) < SHORTEST_RETENTION:
        raise InputError(
            f"{value} is too short",
            parameter=parameter,
            advice="Blocks are 2h long and are uploaded when they are complete: keep at least 6h",
        )


def _size(value: Any, parameter: str) -> float:
    match = _SIZE.fullmatch(str(value))
    if match is None:
        raise InputError(f"{value!r} is not a size", parameter=parameter, advice="Use for example 8GB")
    return float(match["number"]) * float(1024 ** (" KMGTPE".index(match["unit"]) if match["unit"] else 0))


def _kubeconfig(value: Any, parameter: str) -> None:
    if wrong := cluster_api_importer.problem(value):
        raise InputError(wrong, parameter=parameter)


def _url(value: Any, parameter: str) -> None:
    thanos_component.http_url(str(value), parameter, "Use for example https://prometheus.example.org")
