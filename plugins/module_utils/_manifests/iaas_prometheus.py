# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registration of a Prometheus of the IaaS layer as a custom resource, and the names that follow from it."""

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
from ansible_collections.scs.observability.plugins.module_utils._manifests.kaas_cluster import SLA_PATTERN

Manifest = dict[str, Any]

API_VERSION = custom_resource.API_VERSION
GROUP = custom_resource.GROUP
KIND = "IaaSPrometheus"
PLURAL = "iaasprometheuses"
OBSERVER_LABEL = custom_resource.OBSERVER_LABEL
DEFINITION_NAME = f"{PLURAL}.{GROUP}"

# External labels by which the layer's series are known, on whichever path they come
LAYER = "iaas"
REGION_PATTERN = SLA_PATTERN
# Its objects have a few characters more.
LONGEST_NAME = 50
LONGEST_MESSAGE = 1024
# Paths by which metrics come, and the resource's fields for them
PATHS = {"pull": "pull", "upload": "upload", "remote_write": "remoteWrite"}
STATES = ("proven", "pending")


def server_name(name: str, namespace: str) -> str:
    """The name that a sidecar's certificate has: no other one of the observer's authority is good for it."""
    return f"{name}{server_suffix(namespace)}"


def server_suffix(namespace: str) -> str:
    """What names of all sidecars of an observer end with."""
    return f".{LAYER}.{namespace}.svc"


def instance(name: str) -> str:
    """What the objects of a registration are called and labelled by; no part of an observer is called so."""
    return f"{LAYER}-{name}"


def definition() -> Manifest:
    """The CustomResourceDefinition: cluster-scoped, validated by the API server, with a status subresource."""
    return custom_resource.definition(
        KIND,
        PLURAL,
        "ip",
        columns=[
            column("Region", ".spec.region", "The region whose metrics it has"),
            column("Pull", ".spec.pull.address", "Where query asks its sidecar"),
            _flag("Upload", ".spec.upload", "Whether its sidecar uploads blocks"),
            _flag("RemoteWrite", ".spec.remoteWrite", "Whether it writes to the gateway"),
            # Not of type date: that prints an age, and "<invalid>" for a moment to come.
            column("Expires", ".status.certificates.sidecar.expires", "When the sidecar's certificate expires"),
            {**column("Proof", ".status.proof.time", "When its metrics were last proven"), "type": "date"},
        ],
        description="A Prometheus of the IaaS layer whose metrics the observer shows. Its name is the tenant of what "
        "it writes: the common name of its client certificate and the value of the label cluster.",
        spec=_spec_schema(),
        status=_status_schema(),
    )


def _flag(name: str, json_path: str, description: str) -> Manifest:
    return {**column(name, json_path, description), "type": "boolean"}


def _spec_schema() -> Manifest:
    return {
        "type": "object",
        "required": ["region"],
        "x-kubernetes-validations": [
            {
                "rule": "has(self.pull) || (has(self.upload) && self.upload) "
                "|| (has(self.remoteWrite) && self.remoteWrite)",
                "message": "there must be a path by which its metrics come: pull, upload or remoteWrite",
                "reason": "FieldValueInvalid",
            }
        ],
        "properties": {
            "region": text("Value of the label region of its series.", limit=63, pattern=REGION_PATTERN),
            "pull": {
                "type": "object",
                "description": "The StoreAPI of its sidecar, which query asks.",
                "required": ["address", "serverName"],
                "properties": {
                    "address": text("As host:port.", limit=261),
                    "serverName": text("What its certificate is known by.", limit=253),
                },
            },
            "upload": {"type": "boolean", "description": "Whether its sidecar uploads blocks to the bucket."},
            "remoteWrite": {"type": "boolean", "description": "Whether it writes to the gateway."},
        },
    }


def _status_schema() -> Manifest:
    path = {
        "type": "object",
        "required": ["state"],
        "properties": {
            "state": {"type": "string", "enum": list(STATES), "description": "What was found."},
            "message": text("What is to be said of it.", limit=LONGEST_MESSAGE),
        },
    }
    return {
        "type": "object",
        "properties": {
            "certificates": {
                "type": "object",
                "properties": {
                    "sidecar": certificate("The server certificate of its sidecar."),
                    "remoteWrite": certificate("Its client certificate."),
                    "previousRemoteWrite": previous_certificate(
                        "The client certificate before, which gets in until it expires, or is replaced once more."
                    ),
                },
            },
            "proof": {
                "type": "object",
                "description": "The last time its samples were read back from the observer.",
                "required": ["time"],
                "properties": {"time": moment("When."), **dict.fromkeys(PATHS.values(), path)},
            },
        },
    }
