# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster this is."""

from __future__ import annotations

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient


def uid_of(client: KubernetesClient, parameter: str = "kubeconfig") -> str:
    """What tells clusters apart: the UID of kube-system, which lives as long as the cluster. Raises ApiError."""
    system = client.get("v1", "Namespace", "kube-system")
    if system is None:
        raise ApiError(
            client.host,
            "get",
            "namespaces kube-system",
            404,
            "it has no such namespace, so it cannot be told apart from other clusters",
            parameter=parameter,
        )
    return str(system["metadata"]["uid"])
