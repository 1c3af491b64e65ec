# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work of the role's variables for its parts, and problems of modules by what the role calls them. Pure.

Modules refuse the same, but one after the other, and when those before them are deployed already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from ansible.module_utils.common.validation import check_type_bool, check_type_dict, check_type_int, check_type_list

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Component
from ansible_collections.scs.observability.plugins.module_utils._observer import footprint, gateway, thanos

Read = Callable[[Mapping[str, Any]], Any]

_RESOLUTIONS = ("retention_raw", "retention_5m", "retention_1h")
# Parameters that a variable of the role gives, as modules have them: answers of a survey are texts.
_TYPES: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("replicas", "node_port", "max_body_bytes"), check_type_int),
    **dict.fromkeys(("downsampling",), check_type_bool),
    **dict.fromkeys(("endpoints", "external_endpoints", "alertmanagers", "extra_args", "hostnames"), check_type_list),
    **dict.fromkeys(("tolerations", "load_balancer_source_ranges"), check_type_list),
    **dict.fromkeys(
        ("cache", "bucket_cache", "limits", "external_labels", "timeouts", "service_annotations"), check_type_dict
    ),
    **dict.fromkeys(("node_selector", "affinity", "resources"), check_type_dict),
    **dict.fromkeys(("image", "log_level", "storage_size", "storage_class", "service_type", "priority_class"), str),
    **dict.fromkeys(("retention", *_RESOLUTIONS, "delete_delay", "evaluation_interval"), str),
    **dict.fromkeys(("objstore_ca", "certificate_secret"), str),
    **dict.fromkeys(("load_balancer_class", "load_balancer_ip", "cluster_domain"), str),
}
# Variables that are not called by their part and the parameter
_OF_ALL = {name: name for name in ("node_selector", "tolerations", "affinity", "priority_class")}
_OF_GATEWAY = {**_OF_ALL, "cluster_domain": "cluster_domain"}
_OF_THANOS = {
    **_OF_ALL,
    "image": "thanos_image",
    "log_level": "log_level",
    "storage_class": "storage_class",
    "objstore_ca": "bucket_ca",
}
# Images of what templates deploy
_IMAGES = ("alertmanager", "blackbox_exporter", "grafana", "oauth2_proxy", "web_gateway")

_PROBLEM = re.compile(r"(?P<parameter>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)(?P<rest>[^:\s]*): ")


def problems(
    profile: Mapping[str, Any],
    variables: Mapping[str, Any],
    now: datetime,
    volume_sizes: Mapping[str, str] | None = None,
) -> list[str]:
    """Return one text per problem, which begins with the variable's name; what is not given is not looked at.

    ``volume_sizes`` are those that StatefulSets have, by name.
    """
    found = [*footprint.problems(profile, variables), *_checked(variables), *_resized(variables, volume_sizes or {})]
    for name, component in thanos.COMPONENTS.items():
        found += _refused(partial(_thanos, component, now), name, variables, _OF_THANOS)
    found += _refused(_gateway, "gateway", variables, _OF_GATEWAY)
    return list(dict.fromkeys(found))


def called_by_role(texts: Iterable[str], part: str, known: Iterable[str]) -> list[str]:
    """Return a module's problems, with the variable of the role in the place of the parameter that they begin with.

    It is one of the part (``part`` gateway, hostnames: observer_gateway_hostnames), or else of all.
    """
    there = set(known)

    def variable(match: re.Match[str]) -> str:
        first, *path = match["parameter"].split(".")
        if match["parameter"] == "bucket.ca_content":
            first, path = "bucket_ca", []
        for name, rest in ((f"{part}_{first}", path), (first, path), ("_".join([first, *path[:1]]), path[1:])):
            if f"observer_{name}" in there:
                return ".".join([f"observer_{name}", *rest]) + match["rest"] + ": "
        return match[0]

    return [_PROBLEM.sub(variable, text, count=1) if _PROBLEM.match(text) else text for text in texts]


def _checked(variables: Mapping[str, Any]) -> Iterator[str]:
    checks: dict[str, Callable[[Any, str], Any]] = {
        **{f"observer_{part}_image": names.image_reference for part in _IMAGES},
        "observer_grafana_storage_size": names.volume_size,
    }
    # Names of Services have it in them.
    required = {"observer_namespace": names.dns_label}
    for name, check in {**checks, **required}.items():
        try:
            if variables.get(name) or (name in required and name in variables):
                check(variables[name], name)
        except InputError as error:
            yield str(error)


def _resized(variables: Mapping[str, Any], volume_sizes: Mapping[str, str]) -> Iterator[str]:
    """Sizes of volumes that are there and would have to become others, which Kubernetes refuses."""
    for name, component in thanos.COMPONENTS.items():
        there, variable = volume_sizes.get(component.default_name), f"observer_{name}_storage_size"
        wanted = variables.get(variable) or component.storage_size
        try:
            names.volume_size(wanted or "1Gi", variable)
        except InputError:
            # Said with all else that is refused.
            continue
        if there is None or (there and wanted and names.quantity_number(there) == names.quantity_number(wanted)):
            continue
        if there or wanted:
            yield (
                f"{variable}: {component.default_name} has {there or 'no volume'}, which cannot become "
                f"{wanted or 'none'} in place. Enlarge its claims (kubectl edit pvc), delete its StatefulSet with "
                "--cascade=orphan, and run again; or keep the size"
            )


def _refused(read: Read, part: str, variables: Mapping[str, Any], called: Mapping[str, str]) -> list[str]:
    """Everything that is refused: what was is left out, and the others are tried again."""
    of = {name: f"observer_{called.get(name) or f'{part}_{name}'}" for name in _TYPES}
    given = {name: _typed(name, variables.get(variable)) for name, variable in of.items()}
    given = {name: value for name, value in given.items() if value is not None}
    found: list[str] = []
    while True:
        try:
            read(given)
        except InputError as error:
            name = str(error.parameter).partition(".")[0]
            if name in of:
                found.append(str(error).replace(name, of[name], 1))
            if name not in given:
                return found
            # Which of them is longest is asked of all of them.
            gone = _RESOLUTIONS if name in _RESOLUTIONS else (name,)
            given = {other: value for other, value in given.items() if other not in gone}
        else:
            return found


def _typed(name: str, value: Any) -> Any:
    """A value as its module gets it; nothing where there is none, or not one of the type, which Ansible refuses."""
    if value in (None, ""):
        return None
    try:
        return _TYPES[name](value)
    except (TypeError, ValueError):
        return None


def _thanos(component: Component, now: datetime, given: Mapping[str, Any]) -> None:
    # The bucket's own variables are looked at with the bucket.
    store = {"type": "S3", "config": {"bucket": "metrics", "endpoint": "s3.example.org"}}
    wired: dict[str, Any] = {"objstore": store} if component.needs_objstore else {}
    if component.name in ("rule", "query_frontend"):
        wired["endpoints"] = ["http://thanos-query:10902"]
    # Without a volume there is nothing to have a class, and not every component has one.
    left_out = () if component.storage_size else ("storage_class",)
    thanos.settings_of(component, {**wired, **{k: v for k, v in given.items() if k not in left_out}}, now)


def _gateway(given: Mapping[str, Any]) -> None:
    gateway.settings_of({"receive_url": "https://thanos-receive:19291/api/v1/receive", **given})
    gateway.hostnames_of(given)
