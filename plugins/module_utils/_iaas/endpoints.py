# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query asks the sidecars that are registered, and no others any more, while it runs.

Query looks at its file of endpoints every ten seconds; its pods are touched, for a kubelet to bring the file there.
Where there is no query (yet), nothing is written: it comes with one that has all registrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import endpoints_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.kubelet import touch
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    is_terminating,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_query
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    GRPC_PORT,
    ExternalEndpoint,
)

Manifest = dict[str, Any]

SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY},app.kubernetes.io/name=thanos,app.kubernetes.io/component=query"
# Of looking again at a file that others write at the same moment
ROUNDS = 5


def drift(client: KubernetesClient, namespace: str, registered: Sequence[ExternalEndpoint]) -> Plan:
    """What has to change for query to ask the ``registered`` endpoints. Raises ApiError, InputError."""
    return _plan(_files(client, namespace), namespace, registered)


def _files(client: KubernetesClient, namespace: str) -> list[Manifest]:
    return client.list("v1", "ConfigMap", namespace, SELECTOR)


def _plan(files: Sequence[Manifest], namespace: str, registered: Sequence[ExternalEndpoint]) -> Plan:
    changes = []
    for live in files:
        file = (live.get("data") or {}).get(thanos_query.ENDPOINTS_FILE)
        if file is None:
            continue
        wanted = thanos_query.with_registered(file, registered, namespace)
        if wanted != file:
            changes.append(_change(live, file, wanted))
    return Plan(tuple(changes))


def carry_out(client: KubernetesClient, namespace: str) -> None:
    """Have query ask within seconds what is registered by now. Raises ApiError, InputError.

    Each file is written only as it was read, so that nobody's change to it is lost.
    """
    for rounds_left in reversed(range(ROUNDS)):
        # In this order: who is in a file is registered, and who is registered later writes the file himself.
        files = _files(client, namespace)
        plan = _plan(files, namespace, endpoints_of(client, namespace))
        if not plan.changed:
            return
        try:
            client.parallel([partial(client.apply, change.manifest or {}) for change in plan.changes])
        except ApiError as error:
            if error.status != 409 or not rounds_left:
                raise
            continue
        pods = client.list("v1", "Pod", namespace, SELECTOR)
        client.parallel([partial(touch, client, pod) for pod in pods if not is_terminating(pod)])
        return


def closed_port(client: KubernetesClient, namespace: str, address: str) -> str:
    """Return what is to be said of an endpoint that the observer's NetworkPolicies do not let query reach, if so."""
    port = int(address.rpartition(":")[2])
    policy = (
        None if port == GRPC_PORT else client.get("networking.k8s.io/v1", "NetworkPolicy", "thanos-query", namespace)
    )
    spec = (policy or {}).get("spec") or {}
    if "Egress" not in spec.get("policyTypes", ()) or {} in spec.get("egress", ()):
        return ""
    return (
        f"The NetworkPolicy thanos-query lets query ask others at port {GRPC_PORT} only, not at {port}: have the "
        "sidecar listen there, or add a policy of your own."
    )


def _change(live: Manifest, file: str, wanted: str) -> Change:
    metadata = live["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    # All that the component applies, or the rest of it would be taken for no longer wanted.
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(metadata.get("labels") or {}),
            "resourceVersion": metadata["resourceVersion"],
        },
        "data": {**live["data"], thanos_query.ENDPOINTS_FILE: wanted},
    }
    return Change(
        action="update",
        api_version="v1",
        kind="ConfigMap",
        name=name,
        namespace=namespace,
        before={"data": {thanos_query.ENDPOINTS_FILE: file}},
        after={"data": {thanos_query.ENDPOINTS_FILE: wanted}},
        manifest=manifest,
    )
