# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that the modules of the observer have in common, checked before anything is touched.

Every function raises InputError naming the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_label,
    dns_subdomain,
    image_reference,
)

DEFAULT_NAMESPACE = "scs-observability"
DEFAULT_WAIT_TIMEOUT = 300

# Suffixes that are put to a name for Services and Secrets; all together must be a DNS label.
LONGEST_SUFFIX = len("-configuration")

_SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_TOLERATION = {"key", "operator", "value", "effect", "tolerationSeconds"}
_AFFINITY = {"nodeAffinity", "podAffinity", "podAntiAffinity"}


def name(params: Mapping[str, Any], default: str) -> str:
    value = dns_label(params.get("name") or default, "name")
    if len(value) > 63 - LONGEST_SUFFIX:
        raise InputError(
            f"{value!r} is longer than {63 - LONGEST_SUFFIX} characters, and names are derived from it",
            parameter="name",
        )
    return value


def namespace(params: Mapping[str, Any]) -> str:
    return dns_label(params.get("namespace") or DEFAULT_NAMESPACE, "namespace")


def image(params: Mapping[str, Any], default: str) -> str:
    return image_reference(params.get("image") or default, "image")


def replicas(params: Mapping[str, Any], default: int) -> int:
    value = params.get("replicas")
    value = default if value is None else value
    if value < 1:
        raise InputError(f"{value} is not a positive number", parameter="replicas")
    return int(value)


def resources(params: Mapping[str, Any]) -> dict[str, dict[str, str]] | None:
    """Requests and limits of a container, None when they are not given."""
    given = params.get("resources")
    return names.resources(given, "resources") if given else None


def placement(params: Mapping[str, Any]) -> dict[str, Any]:
    """Where pods may run, as arguments of workload.pod_template; what is not given is left out."""
    result: dict[str, Any] = {}
    selector, tolerations = params.get("node_selector") or {}, params.get("tolerations") or []
    affinity, priority_class = params.get("affinity") or {}, params.get("priority_class")
    if any(not isinstance(value, str) for value in selector.values()):
        raise InputError("must be labels with texts", parameter="node_selector", advice="Put numbers and yes in quotes")
    for toleration in tolerations:
        _known(toleration, _TOLERATION, "tolerations")
    _known(affinity, _AFFINITY, "affinity")
    for argument, value in (
        ("node_selector", selector),
        ("tolerations", tolerations),
        ("affinity", affinity),
        ("priority_class", dns_subdomain(priority_class, "priority_class") if priority_class else ""),
    ):
        if value:
            result[argument] = value
    return result


def _known(given: Mapping[str, Any], known: set[str], parameter: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise InputError(f"{', '.join(unknown)} is none of {', '.join(sorted(known))}", parameter=parameter)


def service(params: Mapping[str, Any]) -> tuple[str, int | None]:
    """Type of a Service and its node port; a node port of 0 is as good as none."""
    kind = params.get("service_type") or "ClusterIP"
    if kind not in _SERVICE_TYPES:
        raise InputError(f"{kind!r} is none of {', '.join(_SERVICE_TYPES)}", parameter="service_type")
    port = params.get("node_port") or None
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"{port} is not a port", parameter="node_port")
    if port is not None and kind == "ClusterIP":
        raise InputError("needs service_type NodePort or LoadBalancer", parameter="node_port")
    return kind, port


def tenant_header(params: Mapping[str, Any]) -> str:
    value = params.get("tenant_header") or "THANOS-TENANT"
    if not _HEADER.fullmatch(value):
        raise InputError(f"{value!r} is not the name of an HTTP header", parameter="tenant_header")
    return str(value)


def wait_timeout(params: Mapping[str, Any]) -> float:
    value = params.get("wait_timeout")
    value = DEFAULT_WAIT_TIMEOUT if value is None else value
    if value < 1:
        raise InputError(f"{value} is not a positive number of seconds", parameter="wait_timeout")
    return float(value)
