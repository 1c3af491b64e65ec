# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registration of a KaaS cluster as a custom resource: its definition, and what the API server enforces on it."""

from __future__ import annotations

from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import custom_resource
from ansible_collections.scs.observability.plugins.module_utils._manifests.custom_resource import (
    certificate,
    column,
    moment,
    previous_certificate,
    text,
)

Manifest = dict[str, Any]

GROUP = custom_resource.GROUP
VERSION = custom_resource.VERSION
API_VERSION = custom_resource.API_VERSION
KIND = "KaaSCluster"
OBSERVER_LABEL = custom_resource.OBSERVER_LABEL
PLURAL = "kaasclusters"
DEFINITION_NAME = f"{PLURAL}.{GROUP}"

# The ConfigMap that remembers, in the observer's namespace, whose names were those of clusters that are gone
FORMER_CLUSTERS = "former-clusters"

PHASES = ("provisioning", "active", "maintenance", "deleting")
# From a phase to those it may become; a phase may always stay what it is.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "provisioning": ("active", "deleting"),
    "active": ("maintenance", "deleting"),
    "maintenance": ("active", "deleting"),
    "deleting": (),
}

DNS_LABEL_PATTERN = custom_resource.DNS_LABEL_PATTERN
SLA_PATTERN = "^[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$"
UID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
# Labels that an operator gives a cluster: names as Prometheus has them, "__" is its own.
LABEL_PATTERN = "^(_?[a-zA-Z][a-zA-Z0-9_]*|_[0-9][a-zA-Z0-9_]*|_)$"
MOST_LABELS = 32
# Labels that the observer sets or deduplicates by. A target's own label of that name must not reach it: it would
# make another series of it, or one series of two.
RESERVED_LABELS = (
    *("cluster", "tenant_id", "observer"),
    *("receive_replica", "ruler_replica", "prometheus_replica", "replica"),
)
LONGEST_MESSAGE = 4096
PROFILES = ("minimal", "full")
# Who runs the control plane, as far as the objects in the cluster tell
CONTROL_PLANES = ("kubeadm", "kind", "k3s", "managed", "unknown")
# Prometheus' duration: units from the largest to the smallest, each at most once.
DURATION_PATTERN = "^(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?$"


def phase_rule() -> dict[str, Any]:
    """The CEL rule that admits only legal transitions and otherwise says which there are."""
    legal = [f"oldSelf == '{old}' && self in {list(new)}" for old, new in TRANSITIONS.items() if new]
    named = " : ".join(f"oldSelf == '{old}' ? '{', '.join(new)}'" for old, new in TRANSITIONS.items() if new)
    return {
        "rule": " || ".join(["self == oldSelf", *legal]),
        "messageExpression": f"'phase ' + oldSelf + ' cannot become ' + self + '; legal: ' + ({named} : 'nothing')",
        "reason": "FieldValueForbidden",
    }


def definition() -> Manifest:
    """The CustomResourceDefinition: cluster-scoped, validated by the API server, with a status subresource."""
    return custom_resource.definition(
        KIND,
        PLURAL,
        "kc",
        columns=[
            column("Phase", ".spec.phase", "Where the cluster is in its life"),
            column("Customer", ".spec.customer", "Whose cluster it is"),
            column("SLA", ".spec.sla", "Class of the service level agreement"),
            {
                **column("Suspended", ".spec.suspended", "Whether the gateway turns its agent away"),
                "type": "boolean",
            },
            # Not of type date: that prints an age, and "<invalid>" for a moment to come.
            column("Expires", ".status.certificate.expires", "When the agent's certificate expires"),
            {**column("Proof", ".status.proof.time", "When its metrics were last proven"), "type": "date"},
        ],
        description="A Kubernetes cluster of a customer whose metrics the observer holds. Its name is the tenant: "
        "the common name of the agent's certificate and the value of the label cluster.",
        spec=_spec_schema(),
        status=_status_schema(),
    )


def _spec_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["phase", "clusterUID"],
        "properties": {
            "phase": {
                "type": "string",
                "description": "active: no samples is a failure; in every other phase it is not.",
                "enum": list(PHASES),
                "x-kubernetes-validations": [phase_rule()],
            },
            "clusterUID": {
                **text(
                    "UID of the cluster's namespace kube-system: which cluster this name belongs to.",
                    limit=36,
                    pattern=UID_PATTERN,
                ),
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": "a name belongs to one cluster; remove the registration before using it for another",
                        "reason": "FieldValueForbidden",
                    }
                ],
            },
            "namespace": {
                **text("Where in the cluster its agent is.", limit=63, pattern=DNS_LABEL_PATTERN),
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": "an agent does not move, there would be two; take the cluster off board first",
                        "reason": "FieldValueForbidden",
                    }
                ],
            },
            "customer": text("Whose cluster it is.", limit=253),
            "sla": text("Class of the service level agreement.", limit=63, pattern=SLA_PATTERN),
            "contact": text("Whom to reach about it.", limit=253),
            "labels": {
                "type": "object",
                "description": "What else the operator wants to tell it by.",
                "maxProperties": MOST_LABELS,
                "additionalProperties": {"type": "string", "maxLength": 253},
                "x-kubernetes-validations": [
                    {
                        "rule": f"self.all(name, name.size() <= 63 && name.matches('{LABEL_PATTERN}') "
                        f"&& !(name in {list(RESERVED_LABELS)}))",
                        "message": "labels have names as Prometheus has them, at most 63 characters, and none of "
                        f"{', '.join(RESERVED_LABELS)}",
                        "reason": "FieldValueInvalid",
                    }
                ],
            },
            "suspended": {
                "type": "boolean",
                "description": "Whether the gateway turns its agent away for a while; the agent keeps its samples.",
            },
            "overrides": _overrides_schema(),
            "collection": {
                "type": "object",
                "description": "What its agent collects, overrides included.",
                "required": ["scrapeInterval", "jobs"],
                "properties": {
                    "profile": _profile(),
                    "scrapeInterval": _scrape_interval(),
                    "jobs": {
                        "type": "array",
                        "description": "The jobs whose samples are expected.",
                        "x-kubernetes-list-type": "set",
                        "maxItems": 100,
                        "items": {"type": "string", "minLength": 1, "maxLength": 63},
                    },
                },
            },
        },
    }


def _profile() -> dict[str, Any]:
    return {"type": "string", "enum": list(PROFILES), "description": "minimal: what rules and dashboards need."}


def _scrape_interval() -> dict[str, Any]:
    return text("How often it scrapes.", limit=20, pattern=DURATION_PATTERN)


def _overrides_schema() -> dict[str, Any]:
    """What is checked deeper is checked by the module, which knows what of it an agent may do."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    name = {"type": "string", "minLength": 1, "maxLength": 253}
    return {
        "type": "object",
        "description": "What the operator set for this cluster alone, in the place of what holds for all.",
        "properties": {
            "profile": _profile(),
            "scrapeInterval": _scrape_interval(),
            "extraJobs": {
                "type": "array",
                "description": "Jobs beside those that every agent has.",
                "maxItems": 50,
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {**name, "maxLength": 63},
                        "targets": {"type": "array", "maxItems": 100, "items": name},
                        "service": name,
                        "namespace": name,
                        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                        "path": {**name, "maxLength": 1000},
                        "scheme": {"type": "string", "enum": ["http", "https"]},
                        "interval": _scrape_interval(),
                    },
                },
            },
            "extraSeries": {
                "type": "object",
                "description": "By job, expressions for names of metrics that are kept beside those of the profile.",
                "maxProperties": 100,
                "additionalProperties": {
                    "type": "array",
                    "maxItems": 200,
                    "items": {"type": "string", "minLength": 1, "maxLength": 1000},
                },
            },
            "resources": {
                "type": "object",
                "description": "By part of the agent, requests and limits.",
                "maxProperties": 10,
                "additionalProperties": free,
            },
            "workloads": {**free, "description": "Which of the customer's own workloads are scraped."},
            "blackbox": {**free, "description": "What is asked over HTTP from inside of the cluster."},
        },
    }


def _status_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "certificate": certificate("The agent's client certificate."),
            "previousCertificate": previous_certificate(
                "The one before, which gets in until a run has seen the agent use the new one."
            ),
            "phaseSince": moment("When the phase changed last."),
            "controlPlane": {
                "type": "string",
                "enum": list(CONTROL_PLANES),
                "description": "Who runs the control plane, as far as the cluster tells.",
            },
            "failure": {
                "type": "object",
                "description": "The last run, when it failed.",
                "required": ["time", "link", "message"],
                "properties": {
                    "time": moment("When."),
                    "link": text("What of the way from the agent to the query failed.", limit=63),
                    "message": text("What was said of it.", limit=LONGEST_MESSAGE),
                },
            },
            "proof": {
                "type": "object",
                "description": "The last time samples of this cluster were read back from the observer.",
                "required": ["time"],
                "properties": {
                    "time": moment("When."),
                    "seconds": {
                        "type": "number",
                        "minimum": 0,
                        "description": "From the start of the registration to the first new sample read.",
                    },
                    "series": {"type": "integer", "minimum": 0, "description": "Series the cluster sent then."},
                    "missingJobs": {
                        "type": "array",
                        "description": "Expected jobs without a sample of a target that is up.",
                        "x-kubernetes-list-type": "set",
                        "maxItems": 100,
                        "items": {"type": "string", "minLength": 1, "maxLength": 63},
                    },
                },
            },
        },
    }
