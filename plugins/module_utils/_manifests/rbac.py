# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights of what runs in a KaaS cluster: in the whole of it, and in single namespaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import workload

Manifest = dict[str, Any]

_API_GROUP = "rbac.authorization.k8s.io"


def cluster_role(name: str, labels: Mapping[str, str], rules: Sequence[Manifest]) -> Manifest:
    return {
        "apiVersion": f"{_API_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": workload.metadata(name, "", labels),
        "rules": list(rules),
    }


def cluster_role_binding(
    name: str,
    account_namespace: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    *,
    account: str = "",
) -> Manifest:
    """Binds the ClusterRole to a ServiceAccount, that of the same name unless ``account`` is given."""
    return {
        "apiVersion": f"{_API_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": workload.metadata(name, "", labels, annotations),
        **_bound("ClusterRole", name, account or name, account_namespace),
    }


def role(name: str, namespace: str, labels: Mapping[str, str], rules: Sequence[Manifest]) -> Manifest:
    return {
        "apiVersion": f"{_API_GROUP}/v1",
        "kind": "Role",
        "metadata": workload.metadata(name, namespace, labels),
        "rules": list(rules),
    }


def role_binding(name: str, namespace: str, account_namespace: str, labels: Mapping[str, str]) -> Manifest:
    """Binds the Role in ``namespace`` to the ServiceAccount of the same name in another namespace."""
    return {
        "apiVersion": f"{_API_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": workload.metadata(name, namespace, labels),
        **_bound("Role", name, name, account_namespace),
    }


def _bound(kind: str, name: str, account: str, account_namespace: str) -> Manifest:
    return {
        "roleRef": {"apiGroup": _API_GROUP, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }
