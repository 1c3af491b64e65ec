# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters are let in by the gateway, and no longer, while it runs.

Only what differs is written, key by key. Where the gateway's ConfigMap is not there (yet), nothing is: the gateway
comes with one that holds all registrations, and looks at them once more when it has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import registered_with
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration

NAME = remote_write_clients.NAME
# Of looking again at what others write at the same moment
ROUNDS = 5


def admission(observer: KubernetesClient, namespace: str, registration: remote_write_clients.Registered) -> Plan:
    """What has to change for a cluster to be let in, or suspended, as its registration says. Raises ApiError."""
    live = _live(observer, namespace)
    text = remote_write_clients.entry(registration)
    if live is None or text is None or live.get(registration.name) == text:
        return Plan()
    return _plan(namespace, live, {registration.name: text})


def revocation(observer: KubernetesClient, namespace: str, name: str) -> Plan:
    """What has to change for a cluster to be let in no longer. Raises ApiError."""
    live = _live(observer, namespace)
    return _plan(namespace, live, {name: None}) if live and name in live else Plan()


def drift(observer: KubernetesClient, namespace: str) -> Plan:
    """What has to change for all clusters to be let in as they are registered. Raises ApiError."""
    # In this order: who is registered meanwhile is in the second list if in the first.
    live = _live(observer, namespace)
    if live is None:
        return Plan()
    return _plan(namespace, live, remote_write_clients.drift(live, registered(observer, namespace)))


def registered(observer: KubernetesClient, namespace: str) -> list[remote_write_clients.Registered]:
    """The registrations of an observer that may write. Raises ApiError."""
    return [
        *clusters(observer, namespace),
        *(registration for registration in registered_with(observer, namespace) if registration.remote_write),
    ]


def clusters(observer: KubernetesClient, namespace: str) -> list[Registration]:
    """The registered clusters of an observer, and those that do not say whose they are. Raises ApiError."""
    every = [Registration.of(item) for item in observer.list(kaas_cluster.API_VERSION, kaas_cluster.KIND)]
    return [registration for registration in every if _is_of(registration, namespace)]


def carry_out(observer: KubernetesClient, plan: Plan) -> None:
    """Write what a plan of this module says. Raises ApiError."""
    for change in plan.changes:
        observer.merge(change.manifest or {})


def settle(observer: KubernetesClient, namespace: str, name: str) -> Registration | None:
    """Let a cluster in, suspend it or let it in no longer, as its registration says, and return that.

    Looked at again after each write: whoever writes it meanwhile may have looked here before. One that leaves is not
    let in anew. Raises ApiError, and ObservabilityError when others write without end.
    """
    for _round in range(ROUNDS):
        registration = find(observer, name)
        if registration is None or registration.phase == "deleting" or not _is_of(registration, namespace):
            plan = revocation(observer, namespace, name)
        else:
            plan = admission(observer, namespace, registration)
        if not plan.changed:
            return registration
        carry_out(observer, plan)
    raise ObservabilityError(
        f"whether the gateway lets {name!r} in is written by others all the time",
        advice="Run again when other runs for this cluster have ended",
    )


def find(observer: KubernetesClient, name: str) -> Registration | None:
    """The registration as it is now. Raises ApiError."""
    record = observer.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)
    return Registration.of(record) if record else None


def _is_of(registration: Registration, namespace: str) -> bool:
    return registration.observer in ("", namespace)


def _live(observer: KubernetesClient, namespace: str) -> dict[str, str] | None:
    live = observer.get("v1", "ConfigMap", NAME, namespace)
    return None if live is None else dict(live.get("data") or {})


def _plan(namespace: str, live: Mapping[str, str], changes: Mapping[str, str | None]) -> Plan:
    if not changes:
        return Plan()
    return Plan(
        (
            Change(
                action="update",
                api_version="v1",
                kind="ConfigMap",
                name=NAME,
                namespace=namespace,
                before={"data": {name: live[name] for name in changes if name in live}},
                after={"data": {name: text for name, text in changes.items() if text is not None}},
                manifest={
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": NAME, "namespace": namespace},
                    "data": dict(changes),
                },
            ),
        )
    )
