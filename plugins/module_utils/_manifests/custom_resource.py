# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the definitions of registrations have in common: cluster-scoped, validated by the API server, with a status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Manifest = dict[str, Any]

GROUP = "observability.scs.community"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
# Observers may share a cluster, but not registrations: the namespace of the one that is written to
OBSERVER_LABEL = "observability.scs.community/observer-namespace"
# No instance label: every registration shares the definition, so none may prune it.
LABELS = {
    "app.kubernetes.io/managed-by": "scs.observability",
    "app.kubernetes.io/part-of": "scs-observability",
    "app.kubernetes.io/component": "registration",
}
DNS_LABEL_PATTERN = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


def definition(
    kind: str,
    plural: str,
    short_name: str,
    *,
    columns: Sequence[Manifest],
    description: str,
    spec: Manifest,
    status: Manifest,
) -> Manifest:
    """The CustomResourceDefinition of a kind whose objects have DNS labels as names."""
    schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.matches('{DNS_LABEL_PATTERN}')",
                "message": "the name must be a DNS label: 1 to 63 characters of a-z, 0-9 and '-'",
                "reason": "FieldValueInvalid",
            }
        ],
        "properties": {"spec": spec, "status": status},
    }
    age = {**column("Age", ".metadata.creationTimestamp", "Since when it is registered"), "type": "date"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": dict(LABELS)},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["observability"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [*columns, age],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def column(name: str, json_path: str, description: str) -> Manifest:
    """A column of what kubectl prints."""
    return {"name": name, "type": "string", "jsonPath": json_path, "description": description}


def text(description: str, *, limit: int, pattern: str = "") -> Manifest:
    """A text of 1 to ``limit`` characters."""
    result: Manifest = {"type": "string", "description": description, "minLength": 1, "maxLength": limit}
    if pattern:
        result["pattern"] = pattern
    return result


def moment(description: str = "") -> Manifest:
    """A time as Kubernetes has it."""
    return {"type": "string", "format": "date-time", **({"description": description} if description else {})}


def digest() -> Manifest:
    """A certificate by its fingerprint."""
    return text("SHA-256 of its DER form, in hexadecimal.", limit=64, pattern="^[0-9a-f]{64}$")


def certificate(description: str) -> Manifest:
    """A certificate that is in use."""
    return {
        "type": "object",
        "description": description,
        "required": ["fingerprint", "expires"],
        "properties": {"fingerprint": digest(), "expires": moment("When it expires.")},
    }


def previous_certificate(description: str) -> Manifest:
    """The certificate before, and when it was replaced."""
    return {
        "type": "object",
        "description": description,
        "required": ["fingerprint", "replaced"],
        "properties": {"fingerprint": digest(), "replaced": moment("When it was replaced.")},
    }
