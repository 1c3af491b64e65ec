# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KaaS cluster comes on board: registration, certificate, agent, proof."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    ObservabilityError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    EXPIRES_ANNOTATION,
    INTERNAL,
    TENANTS,
    agent_secret,
    observe_or_create,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair, fingerprint
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.cluster import uid_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import apply_plan, plan_objects
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent, kaas_cluster, workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import JOBS
from ansible_collections.scs.observability.plugins.module_utils._promql.client import DEFAULT_SERVICE, QueryApi
from ansible_collections.scs.observability.plugins.module_utils._registration import former, parts, proof
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    Proof,
    Registration,
    next_phase,
    refuse_other_cluster,
    refuse_other_observer,
    timestamp,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    Settings,
    agent_namespace,
    require_kubeconfig,
    seconds,
)

Manifest = dict[str, Any]

DEFAULT_PROOF_TIMEOUT = 120
DEFAULT_WAIT_TIMEOUT = 300
# Of looking again at a registration that others write at the same moment
ROUNDS = 5


@dataclass(frozen=True)
class Observed:
    """Both worlds before anything is done. ``observer`` is whose the agent will be, ``start`` is None when no proof is
    asked for.
    """

    observer: str
    cluster_uid: str
    registration: Registration | None
    authorities: Mapping[str, KeyPair]
    missing_authorities: tuple[Manifest, ...]
    observer_namespace: Manifest | None
    namespace: Manifest | None
    identity_secret: Manifest | None
    start: proof.Start | None


@dataclass(frozen=True)
class Intended:
    """What is to be: the registration in its final phase, the plans of both sides, and what of it is still to come."""

    registration: Registration
    manifests: tuple[Manifest, ...]
    observer: Plan
    status: Plan
    kaas: Plan

    @property
    def plan(self) -> Plan:
        return self.observer + self.status + self.kaas


def register(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring a cluster on board as the module's parameters say, and return the module's result."""
    started = time.monotonic()
    if params.get("erase"):
        raise InputError("is for a cluster that leaves", parameter="erase", advice="Give it with state: absent")
    settings = Settings.of(params)
    wait, force = params.get("wait") is not False, bool(params.get("force"))
    wait_timeout = seconds(params, "wait_timeout", DEFAULT_WAIT_TIMEOUT)
    proof_timeout = seconds(params, "proof_timeout", DEFAULT_PROOF_TIMEOUT)
    prove = params.get("proof") is not False and wait

    require_kubeconfig(params)
    observer = KubernetesClient.from_parameters(params, "observer_")
    kaas = KubernetesClient.from_parameters(params)
    api = QueryApi(observer, settings.observer_namespace, params.get("query_frontend") or DEFAULT_SERVICE)
    now = datetime.now(UTC)

    settings, observed = observe(observer, kaas, settings, api if prove and not check_mode else None, now, force=force)
    intended = intend(observer, kaas, settings, observed, now, proven=prove, force=force)
    registration = intended.registration
    result: dict[str, Any] = {
        **intended.plan.result(),
        "name": settings.name,
        "phase": registration.phase,
        "cluster_uid": registration.cluster_uid,
        "certificate": _certificate_result(registration.certificate),
        "seconds": None,
        "series": None,
        "missing_jobs": [],
        "timings": {},
    }
    if check_mode:
        return result

    carry_out(observer, kaas, intended, observed.registration, force=force)
    agent_keys, other_keys = parts.workloads(intended.manifests)
    deadline = time.monotonic() + wait_timeout

    def wait_for(keys: list[Any]) -> None:
        wait_ready(kaas, keys, max(deadline - time.monotonic(), 1.0))

    ready = [partial(wait_for, agent_keys), partial(wait_for, other_keys)]
    start = observed.start
    if start is not None:
        applied = round(time.monotonic() - started, 1)
        if intended.kaas.changed and start.newest is not None:
            # What the former agent sent while it was being replaced proves nothing of this one.
            wait_for(agent_keys)
            start = proof.observe_start(api, settings.name)
        evidence = proof.Proof(
            api=api,
            kaas=kaas,
            wanted=parts.agent_of(settings),
            jobs=registration.jobs,
            interval=settings.interval_seconds,
            start=start,
            started=started,
            # One that has proven nothing yet is as good as new, whichever run deployed it.
            renewed=intended.kaas.changed or registration.proof is None,
            timeout=proof_timeout,
        ).establish(ready)
        registration = replace(
            registration,
            proof=Proof(timestamp(datetime.now(UTC)), evidence.seconds, evidence.series, tuple(evidence.missing)),
        )
        result.update(
            seconds=evidence.seconds,
            series=evidence.series,
            missing_jobs=[{"job": job, "reason": reason} for job, reason in evidence.missing.items()],
            timings={"applied": applied, **evidence.timings},
        )
    elif wait:
        for wait_for_it in ready:
            wait_for_it()
    result["phase"] = conclude(observer, registration, observed.registration, force=force)
    return result


def observe(
    observer: KubernetesClient,
    kaas: KubernetesClient,
    settings: Settings,
    api: QueryApi | None,
    now: datetime,
    *,
    force: bool,
) -> tuple[Settings, Observed]:
    """Look at both sides and refuse what cannot be. Nothing is written. Raises InputError, ApiError, QueryError.

    The settings come back with the namespace that the agent has or gets.
    """
    cluster_uid, installed = look_at_agent(kaas)
    observer_uid = uid_of(observer, "observer_kubeconfig")
    owner = f"{observer_uid}/{settings.observer_namespace}"
    registered = [Registration.of(item) for item in observer.list(kaas_cluster.API_VERSION, kaas_cluster.KIND)]
    registration = refuse_other_cluster(settings.name, cluster_uid, registered)
    refuse_other_observer(registration, settings.observer_namespace)
    former.refuse(
        observer,
        settings.observer_namespace,
        settings.name,
        cluster_uid=cluster_uid,
        customer=settings.customer or "",
        registered=registration is not None,
    )
    refuse_other_agent(installed, settings.name, owner, force=force)
    settings = replace(
        settings,
        namespace=agent_namespace(
            settings.name,
            settings.namespace,
            [registration.namespace if registration else "", installed.namespace if installed else ""],
        ),
    )
    refuse_place_of_observer(cluster_uid, settings.namespace, owner)
    try:
        authorities, missing = observe_or_create(observer, settings.observer_namespace, [TENANTS, INTERNAL], now)
    except InputError as error:
        error.parameter = "observer_namespace"
        raise
    namespace, secret = kaas.parallel(
        [
            partial(kaas.get, "v1", "Namespace", settings.namespace),
            partial(kaas.get, "v1", "Secret", agent.IDENTITY_SECRET, settings.namespace),
        ]
    )
    # In maintenance a cluster may be silent: that is what it is for.
    phase = settings.phase or (registration.phase if registration else "")
    return settings, Observed(
        observer=owner,
        cluster_uid=cluster_uid,
        registration=registration,
        authorities=authorities,
        missing_authorities=tuple(missing),
        observer_namespace=observer.get("v1", "Namespace", settings.observer_namespace),
        namespace=namespace,
        identity_secret=secret,
        start=proof.observe_start(api, settings.name) if api is not None and phase != "maintenance" else None,
    )


def look_at_agent(kaas: KubernetesClient) -> tuple[str, parts.Installed | None]:
    """Which cluster this is, and the agent that it has."""
    return uid_of(kaas), parts.installed(kaas.get(*parts.BINDING))


def refuse_other_agent(installed: parts.Installed | None, name: str, owner: str, *, force: bool) -> None:
    """A cluster has one agent. One of another observer is taken over with ``force`` alone, one of another name never:
    its selectors cannot be changed.
    """
    if installed is None:
        return
    error = installed.other_observer(owner)
    if error is not None and not force:
        error.advice = f"{error.advice}, or take it over with force: true: the other one then hears nothing more of it"
        raise error
    if installed.name != name:
        raise InputError(
            f"the cluster has an agent under the name {installed.name!r}, in the namespace {installed.namespace!r}",
            parameter="name",
            advice=f"Use that name, or remove that agent first (state: absent with name: {installed.name})",
            details={"installed_as": installed.name},
        )


def refuse_place_of_observer(cluster_uid: str, namespace: str, owner: str) -> None:
    """The observer may observe its own cluster, but not from its own namespace: objects of both would be mixed up."""
    if f"{cluster_uid}/{namespace}" == owner:
        raise InputError(
            f"{namespace!r} is the namespace of the observer itself, in the same cluster",
            parameter="namespace",
            advice="Use another namespace for the agent",
        )


def intend(
    observer: KubernetesClient,
    kaas: KubernetesClient,
    settings: Settings,
    observed: Observed,
    now: datetime,
    *,
    proven: bool,
    force: bool,
) -> Intended:
    """Compare what is wanted with what is there, by dry runs. Raises InputError and ConflictError."""
    before = observed.registration
    secret = agent_secret(
        observed.identity_secret,
        agent.IDENTITY_SECRET,
        settings.namespace,
        parts.identity_labels(settings),
        tenants=observed.authorities[TENANTS],
        internal_certificate=settings.remote_write_ca or observed.authorities[INTERNAL].certificate,
        cluster=settings.name,
        now=now,
    )
    registration = wanted_registration(settings, observed.cluster_uid, before, secret, proven=proven)
    manifests = (*parts.objects(settings, observed.namespace, observed.observer), secret)

    created_only: list[Manifest] = list(observed.missing_authorities)
    if observed.observer_namespace is None:
        created_only.append(workload.namespace(settings.observer_namespace))
    observer_plan = plan_objects(
        observer,
        [kaas_cluster.definition(), registration.manifest(), *created_only],
        force=force,
        create_only=[identity(item) for item in created_only],
    )
    kaas_plan = plan_objects(
        kaas,
        manifests,
        owner=workload.owner(settings.name),
        owner_namespace=settings.namespace,
        prune_kinds=parts.KINDS,
        force=force,
    )
    return Intended(registration, manifests, observer_plan, status_plan(before, registration), kaas_plan)


def wanted_registration(
    settings: Settings, cluster_uid: str, before: Registration | None, secret: Mapping[str, Any], *, proven: bool
) -> Registration:
    """The registration as it will be when all has gone well; what is not given stays as it is registered."""

    def given(value: str | None, registered: str) -> str:
        return registered if value is None else value

    return Registration(
        name=settings.name,
        cluster_uid=cluster_uid,
        phase=next_phase(before.phase if before else None, settings.phase, proven=proven),
        observer=settings.observer_namespace,
        namespace=settings.namespace,
        customer=given(settings.customer, before.customer if before else ""),
        sla=given(settings.sla, before.sla if before else ""),
        contact=given(settings.contact, before.contact if before else ""),
        profile=settings.profile,
        scrape_interval=settings.scrape_interval,
        jobs=JOBS,
        certificate=Certificate(
            fingerprint(secret_text(secret, "tls.crt") or ""), secret["metadata"]["annotations"][EXPIRES_ANNOTATION]
        ),
        proof=before.proof if before else None,
        uid=before.uid if before else "",
        version=before.version if before else "",
    )


def status_plan(before: Registration | None, after: Registration) -> Plan:
    """A recorded certificate that is not the one in use is a change; when a proof was made is not.

    Proofs are what each run observes: counted as changes, no run would ever find nothing to do.
    """
    if before is None or before.certificate == after.certificate:
        return Plan()
    return Plan(
        (
            Change(
                action="update",
                api_version=kaas_cluster.API_VERSION,
                kind=f"{kaas_cluster.KIND}/status",
                name=after.name,
                before={"status": before.status()},
                after={"status": after.status()},
                manifest=after.status_manifest(),
            ),
        )
    )


def carry_out(
    observer: KubernetesClient,
    kaas: KubernetesClient,
    intended: Intended,
    before: Registration | None,
    *,
    force: bool,
) -> None:
    """Registration first, then the agent. A cluster does not become active here: it has proven nothing yet."""
    registration = intended.registration
    preliminary = registration
    if registration.phase == "active":
        preliminary = registration.in_phase(before.phase if before else "provisioning")
    changes = tuple(
        replace(change, manifest=preliminary.conditional_manifest()) if change.kind == kaas_cluster.KIND else change
        for change in intended.observer.changes
    )
    apply_plan(observer, Plan(changes), force=force)
    if before is None or intended.status.changed:
        observer.apply_status(registration.status_manifest(), force=force)
    apply_plan(kaas, intended.kaas, force=force)


def conclude(
    observer: KubernetesClient, registration: Registration, before: Registration | None, *, force: bool
) -> str:
    """What holds only once all has gone well: the phase, and when it was proven. Return the phase it is in then."""
    phase = registration.phase
    start = before.phase if before else "provisioning"
    if phase == "active" and start != "active":
        phase = activate(observer, registration.name, start, force=force)
    if registration.proof is not None and (before is None or registration.proof != before.proof):
        phase = observer.apply_status(registration.status_manifest(), force=force)["spec"]["phase"]
    return phase


def activate(observer: KubernetesClient, name: str, start: str, *, force: bool) -> str:
    """Bring a registration from the phase ``start`` to active and return the phase it is in then.

    The proof took its time, in which others may have written: what they wrote stays, a phase above all. Raises
    ObservabilityError when the registration is removed meanwhile.
    """
    for rounds_left in reversed(range(ROUNDS)):
        record = observer.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name)
        live = Registration.of(record) if record else None
        if live is None or live.phase == "deleting":
            raise ObservabilityError(
                f"the registration {name!r} was removed by another run while this one waited",
                advice="If the cluster is to be on board, run again when the removal has ended",
            )
        if live.phase != start:
            return live.phase
        try:
            observer.apply(live.in_phase("active").conditional_manifest(), force=force)
        except ApiError as error:
            if error.status != 409 or not rounds_left:
                raise
        else:
            break
    return "active"


def _certificate_result(certificate: Certificate | None) -> dict[str, str]:
    return {"fingerprint": certificate.fingerprint, "expires": certificate.expires} if certificate else {}
