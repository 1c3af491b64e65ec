# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registration as the operator wants it: every parameter checked before anything is touched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_label,
    duration_seconds,
    image_reference,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import Source, client_of
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    blackbox_exporter,
    images,
    kaas_cluster,
    kube_state_metrics,
    node_exporter,
)
from ansible_collections.scs.observability.plugins.module_utils._registration import overrides
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration

Resources = Mapping[str, Mapping[str, Any]]

DEFAULT_NAMESPACE = "scs-observability"
PROOF_TIMEOUT = 120
LONGEST_TEXT = 253
CLIENT_CERTIFICATE = "client_certificate"
CLIENT_KEY = "client_key"
# Into "deleting" a cluster comes by state: absent.
REQUESTABLE_PHASES = tuple(phase for phase in kaas_cluster.PHASES if phase != "deleting")

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
    """What state=present is asked for. None, and an empty namespace, mean: what is registered stays.

    ``profile``, ``scrape_interval`` and ``resources`` are those of all clusters, until ``settled``.
    """

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
    node_exporter_port: int
    images: Mapping[str, str]
    resources: Mapping[str, Resources]
    labels: Mapping[str, str] | None = None
    suspended: bool | None = None
    overrides: Mapping[str, Any] | None = None
    renew: bool = False
    provided: KeyPair | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Settings:
        """Read the module's parameters; raises InputError that names the parameter, InputErrors when there are more."""
        problems = Problems()
        given = params.get
        name = problems.of(cluster_name, params)
        result = cls(
            name=name,
            namespace=problems.of(namespace, params, "namespace", ""),
            observer_namespace=problems.of(namespace, params, "observer_namespace"),
            remote_write_url=problems.of(url, given("remote_write_url"), "remote_write_url"),
            phase=problems.of(_phase, given("phase"), "phase"),
            customer=problems.of(_text, params, "customer"),
            sla=problems.of(_sla, given("sla"), given("sla_classes") or ()),
            contact=problems.of(_text, params, "contact"),
            remote_write_ca=problems.of(certificates, given("remote_write_ca"), "remote_write_ca"),
            scrape_interval=problems.of(overrides.interval, given("scrape_interval") or "30s", "scrape_interval"),
            profile=problems.of(overrides.profile, given("profile") or "minimal", "profile"),
            kubelet_insecure_skip_verify=given("kubelet_insecure_skip_verify") is not False,
            node_exporter_port=problems.of(_port, given("node_exporter_port"), "node_exporter_port"),
            images=problems.of(_images, given("images") or {}),
            resources=problems.of(_resources, given("resources") or {}),
            labels=problems.of(_labels, given("labels"), "labels"),
            suspended=given("suspended"),
            overrides=None if given("overrides") is None else problems.of(overrides.read, given("overrides")),
            renew=bool(given("renew")),
            provided=problems.of(_client_certificate, params, name),
        )
        problems.refuse()
        return result

    def settled(self, registered: Registration | None) -> Settings:
        """With what stays as it is registered, and with the overrides of this cluster in force.

        Registered ones are read anew: others than this code may have written them.
        """
        own = self.overrides
        if own is None:
            own = overrides.read(registered.overrides) if registered else {}
        resources = {**self.resources, **own.get("resources", {})}
        return replace(
            self,
            labels=self.labels if self.labels is not None else (registered.labels if registered else {}),
            suspended=self.suspended if self.suspended is not None else bool(registered and registered.suspended),
            overrides=own,
            profile=own.get("profile", self.profile),
            scrape_interval=own.get("scrape_interval", self.scrape_interval),
            resources=resources,
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


def client_of_cluster(params: Mapping[str, Any]) -> KubernetesClient:
    """Return the client for the KaaS cluster, which must be said."""
    require_kubeconfig(params)
    return KubernetesClient.from_parameters(params)


def seconds(params: Mapping[str, Any], parameter: str, default: int) -> float:
    """A timeout in seconds."""
    value = params.get(parameter)
    value = default if value is None else value
    if value < 1:
        raise InputError(f"{value} is not a positive number of seconds", parameter=parameter)
    return float(value)


def url(value: object, parameter: str) -> str:
    """The address of a gateway to write to."""
    text = value if isinstance(value, str) else ""
    if not text:
        raise InputError("is required and must not be empty", parameter=parameter)
    advice = "Give the gateway's address, like https://observer.example.org/api/v1/receive"
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise InputError(f"{text!r} is not a URL: {error}", parameter=parameter, advice=advice) from None
    if "@" in parts.netloc:
        # Not repeated in the message: it may hold a password.
        raise InputError("must not contain credentials: the certificate identifies", parameter=parameter)
    if parts.scheme != "https":
        raise InputError(
            f"{text!r} does not begin with https://: without TLS there is no certificate to tell who writes",
            parameter=parameter,
            advice=advice,
        )
    if not parts.hostname or not port_is_fine or parts.fragment or re.search(r"\s", text):
        raise InputError(f"{text!r} is not a URL to write to", parameter=parameter, advice=advice)
    return text


def _text(params: Mapping[str, Any], parameter: str) -> str | None:
    value = params.get(parameter)
    if value is None:
        return None
    if len(value) > LONGEST_TEXT or not value.isprintable():
        raise InputError(f"must be one line of at most {LONGEST_TEXT} characters", parameter=parameter)
    return str(value)


def _phase(value: str | None, parameter: str) -> str | None:
    if value is not None and value not in REQUESTABLE_PHASES:
        raise InputError(f"{value!r} is not one of {', '.join(REQUESTABLE_PHASES)}", parameter=parameter)
    return value


def _sla(value: object, classes: Sequence[str]) -> str | None:
    """A class by name, one of ``classes``: Alertmanager's routes and hours go by it, so a typo would page at night."""
    problems = Problems()
    for name in classes:
        problems.of(_sla_name, name, "sla_classes")
    if value is not None:
        problems.of(_sla_name, value, "sla")
    problems.refuse()
    if value is not None and not classes:
        raise InputError(
            f"{value!r} cannot be told from a typo, because no classes are given",
            parameter="sla",
            advice="List all that there are in sla_classes, the same for all clusters",
        )
    if value is not None and value not in classes:
        raise InputError(names.not_known(value, classes), parameter="sla", advice="The known ones are sla_classes")
    return None if value is None else str(value)


def _sla_name(value: object, parameter: str) -> None:
    if not re.search(kaas_cluster.SLA_PATTERN, str(value)):
        raise InputError(
            f"{value!r} is not the name of a class",
            parameter=parameter,
            advice="Use 1 to 63 characters of a-z, A-Z, 0-9, '-', '_' and '.', with a letter or digit at both ends",
        )


def _port(value: int | None, parameter: str) -> int:
    port = node_exporter.PORT if value is None else value
    if not 1024 <= port < 2**16:
        raise InputError(
            f"{port} is not between 1024 and 65535", parameter=parameter, advice="Below, only root may listen"
        )
    return port


def _labels(given: object, parameter: str) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InputError("must be a dictionary", parameter=parameter)
    if len(given) > kaas_cluster.MOST_LABELS:
        raise InputError(f"are {len(given)}, more than {kaas_cluster.MOST_LABELS}", parameter=parameter)
    problems = Problems()
    for name, value in given.items():
        problems.of(_label, str(name), value, f"{parameter}.{name}")
    problems.refuse()
    return {str(name): str(value) for name, value in given.items()}


def _label(name: str, value: object, parameter: str) -> None:
    problems = Problems()
    if len(name) > 63 or not re.search(kaas_cluster.LABEL_PATTERN, name):
        problems.found.append(
            InputError(
                "is not the name of a label",
                parameter=parameter,
                advice="Use 1 to 63 of a-z, A-Z, 0-9 and '_', no digit first, no '__' either",
            )
        )
    if name in kaas_cluster.RESERVED_LABELS:
        problems.found.append(InputError("is a label that the observer sets itself", parameter=parameter))
    text = "" if isinstance(value, (Mapping, list)) or value is None else str(value)
    if not text or len(text) > LONGEST_TEXT or not text.isprintable():
        problems.found.append(InputError(f"must be one line of 1 to {LONGEST_TEXT} characters", parameter=parameter))
    problems.refuse()


def _client_certificate(params: Mapping[str, Any], name: str | None) -> KeyPair | None:
    """The certificate that the operator brings; who signed it is looked at where the authority is known."""
    certificate, key = params.get(CLIENT_CERTIFICATE), params.get(CLIENT_KEY)
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing, other = (CLIENT_CERTIFICATE, CLIENT_KEY) if key else (CLIENT_KEY, CLIENT_CERTIFICATE)
        raise InputError(f"is required with {other}", parameter=missing)
    if params.get("renew"):
        raise InputError("is of no use with a certificate that is given", parameter="renew")
    source = Source(certificate, key, certificate_parameter=CLIENT_CERTIFICATE, key_parameter=CLIENT_KEY)
    return client_of(source, datetime.now(UTC), name) if name else None


def certificates(value: object, parameter: str) -> str | None:
    """Certificates (PEM) to trust, None when none are given."""
    return None if value is None else trusted(str(value), datetime.now(UTC), parameter)


def _images(given: Mapping[str, Any]) -> dict[str, str]:
    problems = Problems()
    found = {
        part: problems.of(image_reference, given.get(part) or _DEFAULT_IMAGES[part], f"images.{part}")
        for part in overrides.PARTS
    }
    problems.refuse()
    return found


def _resources(given: Mapping[str, Any]) -> dict[str, Resources]:
    return {**_DEFAULT_RESOURCES, **overrides.resources(given, "resources")}
