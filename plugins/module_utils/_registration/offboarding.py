# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KaaS cluster leaves on purpose: announced first, so that its silence is no failure, and forgotten last.

Each step can be the last one of a run that is interrupted: the next run goes on from there, and until the record is
gone its phase says that all of this is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.cluster import uid_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    ObjectKey,
    identity,
    mask,
    normalize,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_gone
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import (
    apply_plan,
    plan_namespace_removal,
    plan_objects,
    plan_removal,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    kaas_cluster,
    node_exporter,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._registration import (
    former,
    parts,
    remote_write_clients,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import (
    DEFAULT_WAIT_TIMEOUT,
    announce_leaving,
    look_at_agent,
    refuse_iaas_name,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Registration,
    refuse_other_observer,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.reload import apply_and_reload
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    agent_namespace,
    cluster_name,
    namespace,
    require_kubeconfig,
    seconds,
)

Manifest = dict[str, Any]

ADVICE = "If that cluster is lost for good, force: true removes its registration alone and tells what is left"


@dataclass(frozen=True)
class Leaving:
    """What of the KaaS cluster is to be removed; ``left`` is what cannot be looked at, ``reason`` why."""

    client: KubernetesClient | None = None
    namespace: str = ""
    plan: Plan = field(default_factory=Plan)
    pods: tuple[ObjectKey, ...] = ()
    left: tuple[str, ...] = ()
    reason: str = ""
    warnings: tuple[str, ...] = ()


def deregister(
    params: Mapping[str, Any],
    check_mode: bool,
    company: parts.Company | None = None,
    *,
    observer: KubernetesClient | None = None,
    kaas: KubernetesClient | None = None,
) -> dict[str, Any]:
    """Take a cluster off one observer as the module's parameters say, and return the module's result.

    ``company`` are other observers that its agent belongs to (observers.deregister goes through all of them). Clients
    of both sides may be given, which several clusters share.
    """
    company = company or parts.Company()
    name = cluster_name(params)
    given, observer_namespace = namespace(params, "namespace", ""), namespace(params, "observer_namespace")
    timeout = seconds(params, "wait_timeout", DEFAULT_WAIT_TIMEOUT)
    wait, force, erase = params.get("wait") is not False, bool(params.get("force")), bool(params.get("erase"))

    if not erase:
        require_kubeconfig(params)
    observer = observer or KubernetesClient.from_parameters(params, "observer_")
    record = observer.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)
    registration = Registration.of(record) if record else None
    refuse_other_observer(registration, observer_namespace)
    if registration is None:
        refuse_iaas_name(observer, name)
    if erase and registration is None:
        leaving = Leaving()
    else:
        require_kubeconfig(params)
        client = kaas or KubernetesClient.from_parameters(params)
        owner = f"{uid_of(observer, 'observer_kubeconfig')}/{observer_namespace}"
        leaving = look_at_cluster(client, name, given, registration, owner, company=company, force=force)
    record_plan = removal_of_record(record)
    revocation = remote_write_clients.revocation(observer, observer_namespace, name)
    plan = leaving.plan + revocation + record_plan
    company.runs.append(parts.Run(revocation + record_plan, leaving.plan))
    result: dict[str, Any] = {
        "name": name,
        "phase": "absent",
        "left": list(leaving.left),
        "left_reason": leaving.reason,
        "warnings": list(leaving.warnings),
    }
    if erase:
        # A module is compiled anew in each run; erasing needs the S3 client and half of the observer.
        from ansible_collections.scs.observability.plugins.module_utils._registration import erasure  # noqa: PLC0415

        holdings = erasure.look(observer, observer_namespace, name)
        if check_mode:
            erased, result["erasure"] = erasure.would_be(observer, observer_namespace, holdings)
            plan += erased
    if not check_mode:
        offboard(
            observer,
            name,
            registration,
            leaving,
            observer_namespace=observer_namespace,
            timeout=timeout if wait else None,
            force=force,
        )
        remote_write_clients.settle(observer, observer_namespace, name)
        remove_record(observer, record_plan)
        if erase:
            erased, result["erasure"] = erasure.erase(
                observer, observer_namespace, holdings, wait=wait, timeout=timeout
            )
            plan += erased
    return {**plan.result(), **result}


def offboard(
    observer: KubernetesClient,
    name: str,
    registration: Registration | None,
    leaving: Leaving,
    *,
    observer_namespace: str,
    timeout: float | None,
    force: bool,
) -> None:
    """The agent goes, in the order in which nobody is alerted; without ``timeout`` that is not waited for."""
    if registration is not None:
        there = registration.phase == "deleting" or announce_leaving(observer, registration)
        # Before its record goes, or nobody would know any more whose the data are.
        if there:
            former.remember(observer, observer_namespace, name, former.Former.of(registration, datetime.now(UTC)))
    if leaving.client is not None:
        apply_and_reload(leaving.client, leaving.plan, name, leaving.namespace, force=force, wait=timeout is not None)
        if timeout is not None and leaving.plan.changed:
            # An agent that still writes would make a cluster without registration of a forgotten one.
            gone = [
                ObjectKey(c.api_version, c.kind, c.namespace, c.name)
                for c in leaving.plan.changes
                if c.action == "delete"
            ]
            wait_gone(leaving.client, [*gone, *leaving.pods], timeout)


def look_at_cluster(
    client: KubernetesClient,
    name: str,
    given: str,
    registration: Registration | None,
    owner: str,
    *,
    company: parts.Company,
    force: bool,
) -> Leaving:
    """Plan the removal in the KaaS cluster: of everything, or of what this observer has of an agent that stays.

    With ``force`` one that does not answer, that is another one, or whose agent is another observer's, is let be. A
    kubeconfig that leads nowhere and a cluster that does not let us stay errors: the agent may write on.
    """
    registered = registration.namespace if registration else ""
    kaas_namespace = agent_namespace(name, given, [registered])
    obstacle: ApiError | InputError | None
    try:
        uid, installed = look_at_agent(client)
        obstacle = other_cluster(registration, uid)
        if obstacle is None and installed is not None and installed.is_of(company.observers):
            return Leaving()
        obstacle = obstacle or (installed.other_observer(owner) if installed else None)
        if obstacle is None:
            if installed is not None and installed.name == name and installed.without(owner, company):
                return leaving_of_observer(client, installed, owner, force=force)
            if installed is not None and installed.name == name:
                kaas_namespace = agent_namespace(name, given, [registered, installed.namespace])
            elif f"{uid}/{kaas_namespace}" == owner:
                # Where no agent is, a component of the observer may bear the same name.
                return Leaving()
            return removal_in_cluster(client, name, kaas_namespace)
    except ApiError as error:
        if error.status is not None and error.status < 500:
            raise
        obstacle = error
    if registration is None and isinstance(obstacle, InputError):
        return Leaving(warnings=(f"nothing of {name!r} is registered here, and {obstacle.message}: it is left there",))
    if not force:
        obstacle.advice = f"{obstacle.advice}. {ADVICE}" if obstacle.advice else ADVICE
        raise obstacle
    return Leaving(left=tuple(parts.names(name, kaas_namespace)), reason=str(obstacle))


def other_cluster(registration: Registration | None, cluster_uid: str) -> InputError | None:
    """What speaks against removing anything there: it is not the cluster that was registered."""
    if registration is None or registration.cluster_uid == cluster_uid:
        return None
    return InputError(
        f"{registration.name!r} is registered for the cluster with UID {registration.cluster_uid}, "
        f"but the kubeconfig leads to the cluster with UID {cluster_uid}",
        parameter="kubeconfig",
        advice="Check the kubeconfig and its context",
        details={"registered_uid": registration.cluster_uid, "cluster_uid": cluster_uid},
    )


def removal_in_cluster(client: KubernetesClient, name: str, kaas_namespace: str) -> Leaving:
    """Exactly what carries our labels and this name; namespaces too, if they are ours and nothing else is in them."""
    owner = workload.owner(name)
    selector = ",".join(f"{label}={value}" for label, value in owner.items())
    plan = plan_removal(client, owner, kaas_namespace, parts.KINDS)
    plan += parts.roles_elsewhere(client, name, kaas_namespace)
    node_namespace = node_exporter.namespace_of(kaas_namespace)
    plan += plan_removal(client, owner, node_namespace, parts.NODE_KINDS)
    places = (kaas_namespace, node_namespace)
    pod_keys = tuple(identity(pod) for place in places for pod in client.list("v1", "Pod", place, selector))
    removed = [ObjectKey(c.api_version, c.kind, c.namespace, c.name) for c in plan.changes]
    for place in places:
        plan += plan_namespace_removal(client, place, [*removed, *pod_keys])
    return Leaving(client, kaas_namespace, plan, pod_keys)


def leave(client: KubernetesClient, owner: str, *, wait: bool, force: bool) -> Plan:
    """Have the agent write to one of its observers no more, without asking that one. Return what was done."""
    _uid, found = look_at_agent(client)
    if found is None or not found.without(owner, parts.Company()):
        return Plan()
    leaving = leaving_of_observer(client, found, owner, force=force)
    apply_and_reload(client, leaving.plan, found.name, found.namespace, force=force, wait=wait)
    return leaving.plan


def leaving_of_observer(client: KubernetesClient, found: parts.Installed, owner: str, *, force: bool) -> Leaving:
    """What one of several observers has of an agent: its part of the configuration, and the certificate."""
    config_map, *secrets = client.parallel(
        [
            partial(client.get, "v1", "ConfigMap", agent.NAME, found.namespace),
            *(partial(client.get, "v1", "Secret", name, found.namespace) for name in agent.IDENTITY_SECRETS),
        ]
    )
    targets = parts.written_to(found, secrets, config_map)
    stay = [target for target in targets if target.observer != owner]
    plan = plan_objects(client, parts.objects_without(found, owner, stay, config_map), force=force)
    plan += plan_removal(
        client, workload.owner(found.name), found.namespace, [("v1", "Secret")], keep=partial(parts.is_secret_of, stay)
    )
    return Leaving(client, found.namespace, plan)


def remove_record(observer: KubernetesClient, plan: Plan) -> None:
    """Carry out what removal_of_record plans. Raises ApiError."""
    try:
        apply_plan(observer, plan)
    except ApiError as error:
        # Another run removed it, and the name is registered anew.
        if error.status != 409:
            raise


def removal_of_record(record: Manifest | None) -> Plan:
    if record is None:
        return Plan()
    key = identity(record)
    return Plan(
        (
            Change(
                action="delete",
                api_version=key.api_version,
                kind=key.kind,
                name=key.name,
                before=mask(normalize(record)),
                manifest=record,
            ),
        )
    )
