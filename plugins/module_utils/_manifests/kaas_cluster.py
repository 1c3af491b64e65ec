# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registration of a KaaS cluster as a custom resource: its definition, and what the API server enforces on it."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

GROUP = "observability.scs.community"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "KaaSCluster"
# Observers may share a cluster, but not registrations: the namespace of the one that a cluster writes to
OBSERVER_LABEL = "observability.scs.community/observer-namespace"
PLURAL = "kaasclusters"
DEFINITION_NAME = f"{PLURAL}.{GROUP}"

PHASES = ("provisioning", "active", "maintenance", "deleting")
# From a phase to those it may become; a phase may always stay what it is.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "provisioning": ("active", "deleting"),
    "active": ("maintenance", "deleting"),
    "maintenance": ("active", "deleting"),
    "deleting": (),
}

DNS_LABEL_PATTERN = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
SLA_PATTERN = "^[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$"
UID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
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
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": DEFINITION_NAME,
            # No instance label: every registration shares the definition, so none may prune it.
            "labels": {
                "app.kubernetes.io/managed-by": "scs.observability",
                "app.kubernetes.io/part-of": "scs-observability",
                "app.kubernetes.io/component": "registration",
            },
        },
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "kaascluster",
                "shortNames": ["kc"],
                "categories": ["observability"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        _column("Phase", ".spec.phase", "Where the cluster is in its life"),
                        _column("Customer", ".spec.customer", "Whose cluster it is"),
                        _column("SLA", ".spec.sla", "Class of the service level agreement"),
                        # Not of type date: that prints an age, and "<invalid>" for a moment to come.
                        _column("Expires", ".status.certificate.expires", "When the agent's certificate expires"),
                        {**_column("Proof", ".status.proof.time", "When its metrics were last proven"), "type": "date"},
                        {
                            **_column("Age", ".metadata.creationTimestamp", "Since when it is registered"),
                            "type": "date",
                        },
                    ],
                    "schema": {"openAPIV3Schema": _schema()},
                }
            ],
        },
    }


def _column(name: str, json_path: str, description: str) -> dict[str, Any]:
    return {"name": name, "type": "string", "jsonPath": json_path, "description": description}


def _text(description: str, *, limit: int, pattern: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {"type": "string", "description": description, "minLength": 1, "maxLength": limit}
    if pattern:
        result["pattern"] = pattern
    return result


def _schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A Kubernetes cluster of a customer whose metrics the observer holds. Its name is the tenant: "
        "the common name of the agent's certificate and the value of the label cluster.",
        "required": ["spec"],
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.matches('{DNS_LABEL_PATTERN}')",
                "message": "the name must be a DNS label: 1 to 63 characters of a-z, 0-9 and '-'",
                "reason": "FieldValueInvalid",
            }
        ],
        "properties": {"spec": _spec_schema(), "status": _status_schema()},
    }


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
                **_text(
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
                **_text("Where in the cluster its agent is.", limit=63, pattern=DNS_LABEL_PATTERN),
                "x-kubernetes-validations": [
                    {
                        "rule": "self == oldSelf",
                        "message": "an agent does not move, there would be two; take the cluster off board first",
                        "reason": "FieldValueForbidden",
                    }
                ],
            },
            "customer": _text("Whose cluster it is.", limit=253),
            "sla": _text("Class of the service level agreement.", limit=63, pattern=SLA_PATTERN),
            "contact": _text("Whom to reach about it.", limit=253),
            "collection": {
                "type": "object",
                "description": "What its agent collects.",
                "required": ["scrapeInterval", "jobs"],
                "properties": {
                    "profile": {
                        "type": "string",
                        "enum": ["minimal", "full"],
                        "description": "minimal: what rules and dashboards need.",
                    },
                    "scrapeInterval": _text("How often it scrapes.", limit=20, pattern=DURATION_PATTERN),
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


def _status_schema() -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "properties": {
            "certificate": {
                "type": "object",
                "description": "The agent's client certificate.",
                "required": ["fingerprint", "expires"],
                "properties": {
                    "fingerprint": {
                        **_text("SHA-256 of its DER form, in hexadecimal.", limit=64, pattern="^[0-9a-f]{64}$")
                    },
                    "expires": {**moment, "description": "When it expires."},
                },
            },
            "proof": {
                "type": "object",
                "description": "The last time samples of this cluster were read back from the observer.",
                "required": ["time"],
                "properties": {
                    "time": {**moment, "description": "When."},
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
