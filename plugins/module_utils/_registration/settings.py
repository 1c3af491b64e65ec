# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registration as the operator wants it: every parameter checked before anything is touched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_label,
    duration_seconds,
    image_reference,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    blackbox_exporter,
    collection_profile,
    images,
    kaas_cluster,
    kube_state_metrics,
    node_exporter,
)

Resources = Mapping[str, Mapping[str, Any]]

DEFAULT_NAMESPACE = "scs-observability"
# A sample stays visible for five minutes: with a longer interval one lost scrape would look like a dead cluster.
SHORTEST_INTERVAL = 5.0
LONGEST_INTERVAL = 120.0
LONGEST_TEXT = 253
# Into "deleting" a cluster comes by state: absent.
REQUESTABLE_PHASES = tuple(phase for phase in kaas_cluster.PHASES if phase != "deleting")

_PARTS = ("agent", "kube_state_metrics", "node_exporter", "blackbox_exporter")
_DEFAULT_IMAGES = {
    "agent": images.PROMETHEUS,
    "kube_state_metrics": images.KUBE_STATE_METRICS,
    "node_exporter": images.NODE_EXPORTER,
    "blackbox_exporter": images.BLACKBOX_EXPORTER,
}
_DEFAULT_RESOURCES: dict[str, Resources] = {
    "agent": agent.RESOURCES,
    "kube_state_metrics": kube_state_metrics.RESOURCES,
    "node_exporter": node_exporter.RESOURCES,
    "blackbox_exporter": blackbox_exporter.RESOURCES,
}


@dataclass(frozen=True)
class Settings:
    """What state=present is asked for. None, and an empty namespace, mean: what is registered stays."""

    name: str
    namespace: str
    observer_namespace: str
    remote_write_url: str
    phase: str | None
    customer: str | None
    sla: str | None
    contact: str | None
    remote_write_ca: str | None
    scrape_interval: str
    profile: str
    kubelet_insecure_skip_verify: bool
    images: Mapping[str, str]
    resources: Mapping[str, Resources]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Settings:
        """Read the module's parameters; raises InputError that names the parameter."""
        return cls(
            name=cluster_name(params),
            namespace=namespace(params, "namespace", ""),
            observer_namespace=namespace(params, "observer_namespace"),
            remote_write_url=_url(params.get("remote_write_url"), "remote_write_url"),
            phase=_one_of(params.get("phase"), REQUESTABLE_PHASES, "phase"),
            customer=_text(params, "customer"),
            sla=_sla(params.get("sla")),
            contact=_text(params, "contact"),
            remote_write_ca=_certificates(params.get("remote_write_ca"), "remote_write_ca"),
            scrape_interval=_interval(params.get("scrape_interval") or "30s", "scrape_interval"),
            profile=_one_of(params.get("profile") or "minimal", collection_profile.PROFILES, "profile") or "",
            kubelet_insecure_skip_verify=params.get("kubelet_insecure_skip_verify") is not False,
            images=_images(params.get("images") or {}),
            resources=_resources(params.get("resources") or {}),
        )

    @property
    def interval_seconds(self) -> float:
        return duration_seconds(self.scrape_interval, "scrape_interval")


def cluster_name(params: Mapping[str, Any]) -> str:
    """The cluster's name: tenant, common name of a certificate and label value at once, so a DNS label."""
    return dns_label(params.get("name"), "name")


def namespace(params: Mapping[str, Any], parameter: str, default: str = DEFAULT_NAMESPACE) -> str:
    """A namespace; the default when none is given."""
    given = params.get(parameter)
    return dns_label(given, parameter) if given else default


def agent_namespace(name: str, given: str, known: Iterable[str]) -> str:
    """Where the agent of a cluster is or is to be: the first of ``known`` that is not empty, else what is given.

    Raises InputError for a given one that is another: the agent there would go on beside a second one.
    """
    found = next(filter(None, known), "")
    if given and found and given != found:
        raise InputError(
            f"the agent of {name!r} is in the namespace {found!r}, not in {given!r}",
            parameter="namespace",
            advice=f"Use {found!r} or leave it out; to move it, take the cluster off board first (state: absent)",
            details={"registered_namespace": found},
        )
    return found or given or DEFAULT_NAMESPACE


def require_kubeconfig(params: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
    """Refuse to guess which cluster is meant: ~/.kube/config leads to whatever somebody looked at last."""
    env = os.environ if environment is None else environment
    if not any(params.get(name) for name in ("kubeconfig", "kubeconfig_content")) and not any(
        env.get(name) for name in ("K8S_AUTH_KUBECONFIG", "KUBECONFIG")
    ):
        raise InputError(
            "which KaaS cluster is meant must be said: neither kubeconfig nor kubeconfig_content is given, "
            "and neither K8S_AUTH_KUBECONFIG nor KUBECONFIG is set",
            parameter="kubeconfig",
        )


def seconds(params: Mapping[str, Any], parameter: str, default: int) -> float:
    """A timeout in seconds."""
    value = params.get(parameter)
    value = default if value is None else value
    if value < 1:
        raise InputError(f"{value} is not a positive number of seconds", parameter=parameter)
    return float(value)


def _url(value: object, parameter: str) -> str:
    text = value if isinstance(value, str) else ""
    if not text:
        raise InputError("is required and must not be empty", parameter=parameter)
    advice = "Give the gateway's address, like https://observer.example.org/api/v1/receive"
    try:
        url = urlsplit(text)
        port_is_fine = url.port is None or url.port > 0
    except ValueError as error:
        raise InputError(f"{text!r} is not a URL: {error}", parameter=parameter, advice=advice) from None
    if "@" in url.netloc:
        # Not repeated in the message: it may hold a password.
        raise InputError("must not contain credentials: the certificate identifies", parameter=parameter)
    if url.scheme != "https":
        raise InputError(
            f"{text!r} does not begin with https://: without TLS there is no certificate to tell who writes",
            parameter=parameter,
            advice=advice,
        )
    if not url.hostname or not port_is_fine or url.fragment or re.search(r"\s", text):
        raise InputError(f"{text!r} is not a URL to write to", parameter=parameter, advice=advice)
    return text


def _interval(value: str, parameter: str) -> str:
    given = duration_seconds(value, parameter)
    if not SHORTEST_INTERVAL <= given <= LONGEST_INTERVAL:
        raise InputError(
            f"{value!r} is not between {SHORTEST_INTERVAL:g}s and {LONGEST_INTERVAL:g}s",
            parameter=parameter,
            advice="A sample is visible for five minutes, so scrape at least every two",
        )
    return value


def _text(params: Mapping[str, Any], parameter: str) -> str | None:
    value = params.get(parameter)
    if value is None:
        return None
    if len(value) > LONGEST_TEXT or not value.isprintable():
        raise InputError(f"must be one line of at most {LONGEST_TEXT} characters", parameter=parameter)
    return str(value)


def _one_of(value: str | None, known: Sequence[str], parameter: str) -> str | None:
    if value is not None and value not in known:
        raise InputError(f"{value!r} is not one of {', '.join(known)}", parameter=parameter)
    return value


def _sla(value: object) -> str | None:
    if value is None:
        return None
    if not re.search(kaas_cluster.SLA_PATTERN, str(value)):
        raise InputError(
            f"{value!r} is not the name of a class",
            parameter="sla",
            advice="Use 1 to 63 characters of a-z, A-Z, 0-9, '-', '_' and '.', with a letter or digit at both ends",
        )
    return str(value)


def _certificates(value: object, parameter: str) -> str | None:
    return None if value is None else trusted(str(value), datetime.now(UTC), parameter)


def _images(given: Mapping[str, Any]) -> dict[str, str]:
    return {part: image_reference(given.get(part) or _DEFAULT_IMAGES[part], f"images.{part}") for part in _PARTS}


def _resources(given: Mapping[str, Any]) -> dict[str, Resources]:
    return {
        part: names.resources(given[part], f"resources.{part}") if given.get(part) else _DEFAULT_RESOURCES[part]
        for part in _PARTS
    }
