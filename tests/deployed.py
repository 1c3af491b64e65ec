# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every object that the collection deploys, by what makes it: modules with default settings, templates of the role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import resource_of
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    blackbox_exporter,
    blackbox_probes,
    gateway,
    images,
    kube_state_metrics,
    node_exporter,
    object_set,
    prometheus_operator,
    thanos_component,
)
from ansible_collections.scs.observability.plugins.module_utils._observer import thanos
from tests import rendered

Manifest = dict[str, Any]

NAMESPACE = "scs-observability"
# What the role hands on of the profile
_LIMITED = {"limits": {"memory": "256Mi"}}
# With everything that has a template: without the second, the first would not be looked at.
EVERYTHING: tuple[dict[str, Any], ...] = (
    {
        "observer_web_enabled": True,
        "observer_web_hostnames": {
            name: f"{name}.example.org" for name in ("grafana", "prometheus", "alertmanager", "thanos", "bucket")
        },
    },
    {
        "observer_web_enabled": True,
        "observer_web_hostnames": {"grafana": "grafana.example.org", "thanos": "thanos.example.org"},
        "observer_web_authentication": "oidc",
        "observer_web_oidc_issuer": "https://issuer.example.org",
        "observer_web_oidc_client_id": "observer",
        "observer_web_oidc_allowed_groups": ["operators"],
    },
)


@dataclass(frozen=True)
class Deployed:
    """An object and what makes it."""

    maker: str
    manifest: Manifest

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])


@cache
def in_the_observer() -> tuple[Deployed, ...]:
    """What the role `observer` deploys but for Secrets."""
    settings = gateway.Settings("remote-write-gateway", NAMESPACE, "https://thanos-receive:19291/api/v1/receive")
    operator = prometheus_operator.Settings(
        NAMESPACE, images.PROMETHEUS_OPERATOR, images.PROMETHEUS_CONFIG_RELOADER, _LIMITED, None, {}
    )
    made = [Deployed("prometheus_operator", item) for item in prometheus_operator.objects(operator)]
    made += [
        Deployed("remote_write_gateway", item) for item in gateway.objects(settings, {"tenants": "", "internal": ""})
    ]
    for variables in EVERYTHING:
        for call in rendered.calls(**variables):
            made += [Deployed(f"{call.file}: {call.task}", item) for item in objects(call)]
    return tuple(made)


@cache
def in_kaas_clusters() -> tuple[Deployed, ...]:
    """What agent_registration deploys in a customer's cluster but for Secrets."""
    wanted = agent.Agent("alpha", NAMESPACE, "https://observer.example.org/api/v1/receive")
    made = [*agent.objects(wanted)]
    made += kube_state_metrics.objects(kube_state_metrics.KubeStateMetrics("alpha", NAMESPACE))
    made += node_exporter.objects(node_exporter.NodeExporter("alpha", NAMESPACE))
    endpoints = blackbox_probes.read([{"name": "api", "url": "https://kubernetes.default.svc"}], {})[0]
    made += blackbox_exporter.objects(blackbox_exporter.BlackboxExporter("alpha", NAMESPACE, endpoints))
    return tuple(Deployed("agent_registration", item) for item in made)


def objects(call: rendered.Call) -> Iterator[Manifest]:
    """What a call makes, complete as its module would apply it."""
    arguments = dict(call.arguments)
    if call.module == "thanos_component":
        component = thanos.component_of(arguments)
        settings, _store = thanos.settings_of(component, {**arguments, "namespace": NAMESPACE})
        yield from thanos_component.objects(component, settings)
        return
    for item in arguments.get("objects") or []:
        namespaced = resource_of(item["apiVersion"], item["kind"]).namespaced
        yield object_set.complete(item, arguments["name"], NAMESPACE, placement={}, namespaced=namespaced)
