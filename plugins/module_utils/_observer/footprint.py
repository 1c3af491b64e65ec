# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods the role observer runs and what each asks for, from a profile and the role's variables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import quantity_number
from ansible_collections.scs.observability.plugins.module_utils._manifests import gateway, node_exporter
from ansible_collections.scs.observability.plugins.module_utils._observer.thanos import COMPONENTS

# Parts of a profile that are containers in the pod of another one; every other part is a pod of its own.
BESIDE: dict[str, tuple[str, ...]] = {
    "prometheus": ("thanos_sidecar", "config_reloader"),
    "alertmanager": ("config_reloader",),
}
ON_EVERY_NODE: dict[str, dict[str, Any]] = {
    "node_exporter": {"every_node": True, "host_access": True, "host_ports": [node_exporter.PORT]},
}
_SIDECARS = {name for beside in BESIDE.values() for name in beside}
# How many there are of it is said by the variable of another part.
_COUNTED_AS = {"web_gateway": "web", "oauth2_proxy": "web"}
# What has resources of its own, where a profile says nothing.
_DEFAULTS = {**{name: component.resources for name, component in COMPONENTS.items()}, "gateway": gateway.RESOURCES}


def pods(profile: Mapping[str, Any], variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pods as observer_preflight takes them.

    ``profile`` maps parts to resources. Of ``variables``, observer_<part>_resources replace it,
    observer_<part>_replicas say how many, and observer_<part>_enabled whether. Resources that cannot be are those of
    the profile here; problems() tells of them.
    """
    parts = {**_DEFAULTS, **profile}
    found = []
    for part in sorted(set(parts) - _SIDECARS):
        if not _is_asked_for(part, variables):
            continue
        requests: dict[str, float] = {}
        for container in (part, *BESIDE.get(part, ())):
            given = _resources(container, variables)[0] or parts.get(container) or {}
            for what, amount in given.get("requests", {}).items():
                requests[what] = requests.get(what, 0.0) + quantity_number(amount)
        replicas = variables.get(f"observer_{_COUNTED_AS.get(part, part)}_replicas")
        found.append(
            {
                "name": part,
                "requests": {
                    what: f"{round(amount * 1000)}m" if what == "cpu" else str(round(amount))
                    for what, amount in requests.items()
                },
                # Not given is one.
                "replicas": 1 if replicas in (None, "") else int(replicas),
                **ON_EVERY_NODE.get(part, {}),
                **_ports(part, variables),
            }
        )
    return found


def problems(profile: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the resources of parts, one text per variable, which it begins with."""
    return [text for part in sorted({**_DEFAULTS, **profile}) if (text := _resources(part, variables)[1])]


def _resources(part: str, variables: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The resources that are given for a part, none when they cannot be; and then what is wrong."""
    parameter = f"observer_{part}_resources"
    try:
        return names.resources(variables.get(parameter) or {}, parameter), ""
    except InputError as error:
        return {}, str(error)


def _ports(part: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    port = variables.get(f"observer_{part}_port") if part in ON_EVERY_NODE else None
    return {"host_ports": [int(port)]} if port else {}


def _is_asked_for(part: str, variables: Mapping[str, Any]) -> bool:
    enabled = variables.get(f"observer_{_COUNTED_AS.get(part, part)}_enabled", part not in _COUNTED_AS)
    if part == "prometheus_operator" and variables.get("observer_prometheus_operator_state") == "external":
        return False
    if part == "oauth2_proxy" and variables.get("observer_web_authentication") != "oidc":
        return False
    return bool(boolean(enabled, strict=False))
