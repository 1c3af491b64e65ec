# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KaaS cluster comes on board: registration, certificate, agent, proof."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    NotReadyError,
    ObservabilityError,
    Problems,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    TENANTS,
    observe_or_create,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.cluster import uid_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity as key_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import apply_plan, plan_objects
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    iaas_prometheus,
    kaas_cluster,
    node_exporter,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.collected import Collected, not_there
from ansible_collections.scs.observability.plugins.module_utils._manifests.optional_jobs import Discovered
from ansible_collections.scs.observability.plugins.module_utils._promql.client import (
    DEFAULT_SERVICE,
    QueryApi,
    QueryError,
)
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import SharedWatch, Watch
from ansible_collections.scs.observability.plugins.module_utils._registration import (
    discovery,
    former,
    identity,
    parts,
    proof,
    remote_write_clients,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Failure,
    Proof,
    Registration,
    next_phase,
    refuse_other_cluster,
    refuse_other_observer,
    refuse_own_cluster,
    timestamp,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.reload import apply_and_reload
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    PROOF_TIMEOUT,
    Settings,
    agent_namespace,
    client_of_cluster,
    cluster_name,
    namespace,
    seconds,
)

Manifest = dict[str, Any]

DEFAULT_WAIT_TIMEOUT = 300
# Of looking again at a registration that others write at the same moment
ROUNDS = 5
# In these every replica of the gateway has read who is let in. It has patience with a certificate that was just made,
# but one that is given may be old, and what an agent sends too early would be lost.
ADMITTED_SECONDS = 5.0
# With one that was issued longer ago its patience may end before they have.
PATIENCE = timedelta(seconds=10)
# When a run took an agent's certificate over from another one that had not ended
TAKEN_OVER_ANNOTATION = "observability.scs.community/certificate-taken-over"
# What an API server says of a field that its definition does not have, and for how long it may after an update of it
NOT_DECLARED = "field not declared in schema"
SERVED_TIMEOUT = 30.0


class OvertakenError(ObservabilityError):
    """Another run for the same cluster was faster: what this one was about to write is not what is wanted any more."""


@dataclass(frozen=True, eq=False)
class ObserverSide:
    """What an observer has for every cluster: looked at once, however many come on board in a run.

    ``foundation`` is what registrations rest on (definition, namespace,
    authorities); the first cluster that is written has it made. May be used by several threads.
    """

    client: KubernetesClient
    uid: str
    namespace: str
    registered: tuple[Registration, ...]
    authorities: Mapping[str, KeyPair]
    foundation: Plan
    api: QueryApi
    watch: Watch
    _laid: list[bool] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(
        cls, client: KubernetesClient, params: Mapping[str, Any], now: datetime, *, clusters: Sequence[str] = ()
    ) -> ObserverSide:
        """Look at the observer. Nothing is written. Raises InputError, ApiError.

        The samples of ``clusters`` are asked for together.
        """
        where = namespace(params, "observer_namespace")
        api = QueryApi(client, where, params.get("query_frontend") or DEFAULT_SERVICE)
        uid = uid_of(client, "observer_kubeconfig")
        registered = [Registration.of(item) for item in client.list(kaas_cluster.API_VERSION, kaas_cluster.KIND)]
        try:
            authorities, missing = observe_or_create(client, where, [TENANTS, INTERNAL], now)
        except InputError as error:
            error.parameter = "observer_namespace"
            raise
        created_only = [*missing]
        if client.get("v1", "Namespace", where) is None:
            created_only.append(workload.namespace(where))
        foundation = plan_objects(
            client,
            [kaas_cluster.definition(), *created_only],
            force=bool(params.get("force")),
            create_only=[key_of(item) for item in created_only],
        )
        watch = SharedWatch(api, clusters) if clusters else Watch(api)
        return cls(client, uid, where, tuple(registered), authorities, foundation, api, watch)

    @property
    def owner(self) -> str:
        """Whose the agents will be."""
        return f"{self.uid}/{self.namespace}"

    @property
    def is_laid(self) -> bool:
        """Whether the foundation was made in this run."""
        return bool(self._laid)

    def lay_foundation(self, *, force: bool) -> None:
        """Have it made, if it is not yet."""
        with self._lock:
            if not self._laid:
                apply_plan(self.client, self.foundation, force=force)
                self._laid.append(True)


@dataclass(frozen=True)
class Observed:
    """Both worlds before anything is done. ``target`` is this observer as the agent will write to it, ``others`` whom
    it writes to as well, ``start`` is None when no proof is asked for.
    """

    cluster_uid: str
    registration: Registration | None
    namespace: Manifest | None
    node_namespace: Manifest | None
    target: agent.Target
    others: tuple[agent.Target, ...]
    identity_secret: Manifest | None
    discovered: Discovered
    start: proof.Start | None


@dataclass(frozen=True)
class Intended:
    """What is to be: the registration in its final phase, the plans of both sides, and what of it is still to come."""

    registration: Registration
    manifests: tuple[Manifest, ...]
    observer: Plan
    status: Plan
    clients: Plan
    kaas: Plan
    certificate_is_given: bool

    @property
    def plan(self) -> Plan:
        return self.at_observer + self.kaas

    @property
    def at_observer(self) -> Plan:
        return self.observer + self.status + self.clients


def register(
    params: Mapping[str, Any],
    check_mode: bool,
    company: parts.Company | None = None,
    *,
    shared: ObserverSide | None = None,
    kaas: KubernetesClient | None = None,
) -> dict[str, Any]:
    """Bring a cluster on board of one observer as the module's parameters say, and return the module's result.

    A registration remembers that a run failed, unless it was refused what it asked for, or another one was faster.
    ``company`` are other observers that the agent belongs to (observers.register goes through all of them). The
    foundation of an observer that several clusters have ``shared`` is not in the result.
    """
    try:
        return _register(params, check_mode, company or parts.Company(), shared, kaas)
    except (InputError, OvertakenError):
        raise
    except ObservabilityError as error:
        # With an observer that does not answer it would only take longer.
        if not check_mode and not str(error.parameter).startswith("observer_"):
            observer = shared.client if shared else KubernetesClient.from_parameters(params, "observer_")
            remember_failure(observer, cluster_name(params), namespace(params, "observer_namespace"), error)
        raise


def _register(
    params: Mapping[str, Any],
    check_mode: bool,
    company: parts.Company,
    shared: ObserverSide | None,
    kaas: KubernetesClient | None,
) -> dict[str, Any]:
    started = time.monotonic()
    wait, force = params.get("wait") is not False, bool(params.get("force"))
    prove = params.get("proof") is not False and wait
    problems = Problems()
    problems.of(refuse_erasing, params)
    settings = problems.of(Settings.of, params)
    wait_timeout = problems.of(seconds, params, "wait_timeout", DEFAULT_WAIT_TIMEOUT)
    proof_timeout = problems.of(seconds, params, "proof_timeout", PROOF_TIMEOUT)
    observer = shared.client if shared else problems.of(KubernetesClient.from_parameters, params, "observer_")
    kaas = kaas or problems.of(client_of_cluster, params)
    problems.refuse()
    side = shared or ObserverSide.of(observer, params, datetime.now(UTC))

    settings, observed = observe(side, kaas, settings, company, prove=prove and not check_mode, force=force)
    now = datetime.now(UTC)
    intended = intend(side, kaas, settings, observed, now, proven=prove and not settings.suspended, force=force)
    if not shared:
        intended = replace(intended, observer=side.foundation + intended.observer)
    company.runs.append(parts.Run(intended.at_observer, intended.kaas, observed.target))
    registration = intended.registration
    result: dict[str, Any] = {
        **intended.plan.result(),
        "name": settings.name,
        "phase": registration.phase,
        "cluster_uid": registration.cluster_uid,
        "certificate": vars(registration.certificate) if registration.certificate else {},
        "previous_certificate": vars(registration.previous_certificate) if registration.previous_certificate else {},
        "suspended": registration.suspended,
        "collection": {
            "profile": registration.profile,
            "scrape_interval": registration.scrape_interval,
            "jobs": list(registration.jobs),
        },
        "seconds": None,
        "series": None,
        "missing_jobs": [],
        "control_plane": registration.control_plane,
        "not_collected": [
            {"job": job, "reason": reason}
            for job, reason in (
                *observed.discovered.not_collected,
                *not_there(settings.overrides or {}, observed.discovered),
            )
        ],
        "timings": {},
        "queue": observed.target.name,
    }
    if check_mode:
        return result

    if shared:
        shared.lay_foundation(force=force)
    left = carry_out(observer, kaas, intended, observed, now, force=force, wait=wait)
    agent_keys, other_keys = parts.workloads(intended.manifests)
    deadline = time.monotonic() + wait_timeout

    def wait_for(keys: list[Any]) -> None:
        wait_ready(kaas, keys, max(deadline - time.monotonic(), 1.0))

    ready = [partial(wait_for, agent_keys), partial(wait_for, other_keys)]
    start, proven = observed.start, None
    if start is not None:
        applied = round(time.monotonic() - started, 1)
        if intended.kaas.changed and start.newest is not None:
            # What the former agent sent while it was being replaced proves nothing of this one.
            wait_for(agent_keys)
            start = proof.observe_start(Watch(side.api), settings.name)
        evidence = proof.Proof(
            api=side.api,
            watch=side.watch,
            kaas=kaas,
            observer=observer,
            wanted=parts.agent_of(settings),
            jobs=registration.jobs,
            interval=settings.interval_seconds,
            start=start,
            started=started,
            # One that has proven nothing yet is as good as new, whichever run deployed it.
            renewed=intended.kaas.changed or registration.proof is None,
            timeout=proof_timeout,
        ).establish(ready)
        proven = Proof(timestamp(datetime.now(UTC)), evidence.seconds, evidence.series, tuple(evidence.missing))
        result.update(
            seconds=evidence.seconds,
            series=evidence.series,
            missing_jobs=[{"job": job, "reason": reason} for job, reason in evidence.missing.items()],
            timings={"applied": applied, **evidence.timings},
        )
    elif wait:
        for wait_for_it in ready:
            wait_for_it()
    result["phase"] = conclude(observer, registration.phase, left, proven, force=force)
    return result


def refuse_erasing(params: Mapping[str, Any]) -> None:
    """Nothing is erased of a cluster that comes."""
    if params.get("erase"):
        raise InputError("is for a cluster that leaves", parameter="erase", advice="Give it with state: absent")


def observe(
    side: ObserverSide,
    kaas: KubernetesClient,
    settings: Settings,
    company: parts.Company,
    *,
    prove: bool,
    force: bool,
) -> tuple[Settings, Observed]:
    """Look at both sides and refuse what cannot be. Nothing is written. Raises InputError, ApiError, QueryError.

    The settings come back with what stays as it is registered, and the namespace that the agent has or gets.
    """
    cluster_uid, installed = look_at_agent(kaas)
    registration, settings = settle(
        settings, side.registered, installed, company, cluster_uid=cluster_uid, observer_uid=side.uid, force=force
    )
    if registration is None:
        refuse_iaas_name(side.client, settings.name)
    there, node_namespace, config_map, *secrets = kaas.parallel(
        [
            partial(kaas.get, "v1", "Namespace", settings.namespace),
            partial(kaas.get, "v1", "Namespace", node_exporter.namespace_of(settings.namespace)),
            partial(kaas.get, "v1", "ConfigMap", agent.NAME, settings.namespace),
            *(partial(kaas.get, "v1", "Secret", name, settings.namespace) for name in agent.IDENTITY_SECRETS),
        ]
    )
    targets = parts.written_to(installed, secrets, config_map)
    target, others = parts.placed(targets, side.owner, company, settings.remote_write_url)
    if registration is None:
        former.refuse(
            side.client,
            settings.observer_namespace,
            settings.name,
            cluster_uid=cluster_uid,
            customer=settings.customer or "",
            known=force
            or identity.was_issued(secrets[target.place], settings.name, side.authorities[TENANTS], datetime.now(UTC)),
        )
    # In maintenance a cluster may be silent, that is what it is for; suspended, it has to be.
    phase = settings.phase or (registration.phase if registration else "")
    return settings, Observed(
        cluster_uid=cluster_uid,
        registration=registration,
        namespace=there,
        node_namespace=node_namespace,
        target=target,
        others=others,
        identity_secret=secrets[target.place],
        discovered=discovery.look_at_jobs(kaas, settings.overrides or {}),
        start=proof.observe_start(side.watch, settings.name)
        if prove and phase != "maintenance" and not settings.suspended
        else None,
    )


def settle(
    settings: Settings,
    registered: Sequence[Registration],
    installed: parts.Installed | None,
    company: parts.Company,
    *,
    cluster_uid: str,
    observer_uid: str,
    force: bool,
) -> tuple[Registration | None, Settings]:
    """Return what is registered of the cluster, and the settings with what stays of it.

    Raises InputError for everything that cannot be there; what only follows from something else is not told.
    """
    problems = Problems()
    problems.of(refuse_own_cluster, cluster_uid, observer_uid)
    registration = problems.of(refuse_other_cluster, settings.name, cluster_uid, registered)
    if not problems.found:
        problems.of(refuse_other_observer, registration, settings.observer_namespace)
        owner = f"{observer_uid}/{settings.observer_namespace}"
        problems.of(partial(refuse_other_agent, company=company, force=force), installed, settings.name, owner)
    if not problems.found:
        known = [registration.namespace if registration else "", installed.namespace if installed else ""]
        place = problems.of(agent_namespace, settings.name, settings.namespace, known)
        problems.of(partial(next_phase, proven=False), registration.phase if registration else None, settings.phase)
        settings = replace(problems.of(settings.settled, registration) or settings, namespace=place)
    problems.refuse()
    return registration, settings


def refuse_iaas_name(observer: KubernetesClient, name: str) -> None:
    """Tenants are of one kind or the other. Raises InputError for a name that an IaaS Prometheus has, ApiError."""
    if observer.get(iaas_prometheus.API_VERSION, iaas_prometheus.KIND, name) is not None:
        raise InputError(
            f"{name!r} is the name of a registered IaaS Prometheus", parameter="name", advice="Choose another name"
        )


def look_at_agent(kaas: KubernetesClient) -> tuple[str, parts.Installed | None]:
    """Which cluster this is, and the agent that it has."""
    return uid_of(kaas), parts.installed(kaas.get(*parts.BINDING))


def refuse_other_agent(
    installed: parts.Installed | None, name: str, owner: str, *, company: parts.Company, force: bool
) -> None:
    """A cluster has one agent. One of another observer is taken over with ``force`` alone, one of another name never:
    its selectors cannot be changed.
    """
    if installed is None:
        return
    error = installed.left_out(owner, company)
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


def intend(
    side: ObserverSide,
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
    secret = identity.secret_of(
        settings,
        observed.target.secret,
        parts.identity_labels(settings),
        observed.identity_secret,
        before,
        tenants=side.authorities[TENANTS],
        internal_certificate=settings.remote_write_ca or side.authorities[INTERNAL].trusted,
        now=now,
    )
    collected = Collected.of(settings.overrides or {}, observed.discovered)
    secret["metadata"]["annotations"][agent.OBSERVER_ANNOTATION] = observed.target.observer
    current = identity.certificate_of(secret)
    registration = replace(
        wanted_registration(settings, observed.cluster_uid, before, proven=proven),
        jobs=collected.jobs,
        control_plane=observed.discovered.control_plane,
        certificate=current,
        previous_certificate=identity.previous_of(
            before, current, identity.fingerprint_of(observed.identity_secret), now
        ),
    ).after(before, now)
    manifests = (
        *parts.objects(
            settings,
            observed.namespace,
            observed.target,
            observed.others,
            collected=collected,
            live_node_namespace=observed.node_namespace,
        ),
        secret,
    )
    kaas_plan = plan_objects(
        kaas,
        manifests,
        owner=workload.owner(settings.name),
        owner_namespace=settings.namespace,
        prune_kinds=parts.KINDS,
        keep=partial(parts.is_secret_of, observed.others),
        force=force,
    ) + parts.roles_elsewhere(kaas, settings.name, settings.namespace, manifests)
    clients = remote_write_clients.admission(side.client, settings.observer_namespace, registration)
    return Intended(
        registration,
        manifests,
        observer=registration_plan(side.client, before, registration, force=force),
        status=status_plan(before, registration),
        clients=clients,
        kaas=kaas_plan,
        certificate_is_given=settings.provided is not None,
    )


def wanted_registration(
    settings: Settings, cluster_uid: str, before: Registration | None, *, proven: bool
) -> Registration:
    """The registration as it will be when all has gone well, but for its certificates and what was found in the
    cluster; ``settings`` are settled.
    """

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
        labels=settings.labels or {},
        suspended=bool(settings.suspended),
        overrides=settings.overrides or {},
        proof=before.proof if before else None,
        uid=before.uid if before else "",
        version=before.version if before else "",
    )


def registration_plan(
    observer: KubernetesClient, before: Registration | None, after: Registration, *, force: bool
) -> Plan:
    """What has to change in the registration, also while the definition there is that of an older release.

    That one cannot tell, because it refuses fields that it does not know.
    """
    try:
        return plan_objects(observer, [after.manifest()], force=force)
    except ApiError as error:
        if NOT_DECLARED not in error.reason:
            raise
    return Plan(
        (
            Change(
                action="update" if before else "create",
                api_version=kaas_cluster.API_VERSION,
                kind=kaas_cluster.KIND,
                name=after.name,
                before={"spec": before.manifest()["spec"]} if before else None,
                after={"spec": after.manifest()["spec"]},
                manifest=after.manifest(),
            ),
        )
    )


def served(write: Callable[[], Any], timeout: float = SERVED_TIMEOUT) -> Any:
    """Write a registration. An API server takes a moment until it knows the fields of a new definition."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return write()
        except ApiError as error:
            if NOT_DECLARED not in error.reason or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def status_plan(before: Registration | None, after: Registration) -> Plan:
    """Which certificates are let in is a change; when a proof was made, or that a run failed, is not.

    That is what each run observes: counted as changes, no run would ever find nothing to do.
    """
    if before is None or (before.certificate, before.previous_certificate) == (
        after.certificate,
        after.previous_certificate,
    ):
        return Plan()
    return Plan(
        (
            Change(
                action="update",
                api_version=kaas_cluster.API_VERSION,
                kind=f"{kaas_cluster.KIND}/status",
                name=after.name,
                before=_certificates_shown(before),
                after=_certificates_shown(after),
                manifest=after.status_manifest(),
            ),
        )
    )


def carry_out(
    observer: KubernetesClient,
    kaas: KubernetesClient,
    intended: Intended,
    observed: Observed,
    now: datetime,
    *,
    force: bool,
    wait: bool,
) -> Registration:
    """Registration first, then the agent. A cluster does not become active here: it has proven nothing yet.

    The agent gets a certificate only while it is the registered one: other runs may be at it, too. ``now`` is when it
    was issued. Return the registration as it is left. Raises OvertakenError.
    """
    before, registration = observed.registration, intended.registration
    preliminary = registration
    if registration.phase == "active":
        preliminary = registration.in_phase(before.phase if before else "provisioning")
    secret = observed.identity_secret
    if secret is not None and identity.is_interrupted(before, secret):
        secret = _take_over(kaas, secret, now)
    changes = intended.observer.changes
    apply_plan(observer, Plan(tuple(item for item in changes if item.kind != kaas_cluster.KIND)), force=force)
    live = before
    if live is None or any(item.kind == kaas_cluster.KIND for item in changes):
        live = Registration.of(served(partial(observer.apply, preliminary.conditional_manifest(), force=force)))

    def certified(live: Registration) -> Registration:
        if live.certificates not in (before.certificates if before else (None, None), registration.certificates):
            raise _overtaken(live.name)
        wanted = replace(
            live,
            certificate=registration.certificate,
            previous_certificate=registration.previous_certificate,
            control_plane=registration.control_plane,
        )
        return wanted.after(before, now) if live.phase == preliminary.phase else wanted

    left = update_status(observer, live, certified, force=force)
    if left is None:
        raise _removed(registration.name)
    # Whom the gateway does not know yet it refuses, and an agent drops what was refused.
    if before is None or intended.clients.changed:
        settled = remote_write_clients.settle(observer, registration.observer, registration.name)
        if settled is None or settled.phase == "deleting":
            raise _removed(registration.name)
        if settled.certificates != registration.certificates:
            raise _overtaken(registration.name)
    if intended.clients.changed and (intended.certificate_is_given or datetime.now(UTC) - now > PATIENCE):
        time.sleep(ADMITTED_SECONDS)
    plan = _resting_on(secret, intended.kaas)
    try:
        apply_and_reload(kaas, plan, registration.name, registration.namespace, force=force, wait=wait)
    except ApiError as error:
        if error.status != 409:
            raise
        raise _overtaken(registration.name) from error
    return left


def _take_over(kaas: KubernetesClient, secret: Manifest, now: datetime) -> Manifest:
    """Have a run that has registered its certificate already, if it is not dead, fail to give it to the agent.

    Of three certificates the one that the agent never had is let in no longer. Return the Secret as it is then.
    """
    metadata = {name: secret["metadata"][name] for name in ("name", "namespace", "resourceVersion")}
    metadata["annotations"] = {TAKEN_OVER_ANNOTATION: timestamp(now)}
    taken = kaas.merge({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    return secret if taken is None else taken


def _resting_on(secret: Manifest | None, plan: Plan) -> Plan:
    """The same plan, with the certificate written only over what was there when it was chosen."""
    if secret is None:
        return plan
    seen = {name: secret["metadata"][name] for name in ("uid", "resourceVersion")}

    def conditional(change: Change) -> Change:
        manifest = change.manifest or {}
        if change.action != "update" or key_of(manifest) != key_of(secret):
            return change
        return replace(change, manifest={**manifest, "metadata": {**manifest["metadata"], **seen}})

    return Plan(tuple(conditional(change) for change in plan.changes))


def _overtaken(name: str) -> OvertakenError:
    return OvertakenError(
        f"another run changed the certificate of {name!r}, or what else its agent has, while this one was at it",
        advice="Run again when it has ended",
    )


def _removed(name: str) -> OvertakenError:
    return OvertakenError(
        f"the registration {name!r} was removed by another run while this one waited",
        advice="If the cluster is to be on board, run again when the removal has ended",
    )


def update_status(
    observer: KubernetesClient,
    read: Registration,
    change: Callable[[Registration], Registration],
    *,
    force: bool,
    timeout: float = SERVED_TIMEOUT,
) -> Registration | None:
    """Write what ``change`` makes of the status of a registration, as it was read or as others have left it since.

    Return the registration as it is then, None when it was removed. ``timeout`` is for the API server to know its
    fields, in seconds. Raises ApiError.
    """
    live = read
    for rounds_left in reversed(range(ROUNDS)):
        wanted = change(live)
        if wanted.status() == live.status():
            break
        write = partial(observer.apply_status, wanted.status_manifest(), force=force)
        try:
            return Registration.of(served(write, timeout))
        except ApiError as error:
            if error.status not in (404, 409) or not rounds_left:
                raise
        found = remote_write_clients.find(observer, read.name)
        if found is None or found.uid != read.uid:
            return None
        live = found
    return live


def conclude(observer: KubernetesClient, phase: str, left: Registration, proven: Proof | None, *, force: bool) -> str:
    """What holds only once all has gone well: the phase, when it was proven, and that this run did not fail.

    ``left`` is the registration as this run left it, minutes ago: what others wrote since stays. Return the phase it is
    in at the end.
    """
    live = activate(observer, left, force=force) if phase == "active" and left.phase != "active" else left

    def concluded(live: Registration) -> Registration:
        if live.phase == "deleting":
            raise _removed(live.name)
        wanted = replace(live, proof=proven or live.proof, failure=None)
        # Unless whoever brought it into its phase has told already
        return wanted.after(left, datetime.now(UTC)) if live.phase_since == left.phase_since else wanted

    ended = update_status(observer, live, concluded, force=force)
    if ended is None:
        raise _removed(left.name)
    return ended.phase


def announce_leaving(observer: KubernetesClient, registration: Registration) -> bool:
    """Whoever set the phase before: from here on the silence of this cluster is wanted.

    Tell whether it is still registered: one that another run has removed is not made anew. Raises ApiError, and
    OvertakenError when the name is another registration's by now.
    """
    live = registration
    for rounds_left in reversed(range(ROUNDS)):
        try:
            live = Registration.of(observer.apply(live.in_phase("deleting").conditional_manifest(), force=True))
            break
        except ApiError as error:
            if error.status != 409 or not rounds_left:
                raise
        found = remote_write_clients.find(observer, registration.name)
        if found is None:
            return False
        if found.uid != registration.uid:
            raise OvertakenError(
                f"another run removed {registration.name!r}, and the name was registered anew meanwhile",
                advice="If that is to go, too, run again",
            )
        live = found
    now = datetime.now(UTC)
    try:
        told = update_status(observer, live, lambda live: live.after(registration, now), force=True, timeout=0)
        return told is not None
    except ApiError as error:
        # The definition of an older release does not know since when a phase is.
        if NOT_DECLARED not in error.reason:
            raise
    return True


def remember_failure(observer: KubernetesClient, name: str, observer_namespace: str, error: ObservabilityError) -> None:
    """Leave in the registration, if there is one, that this run failed. That this fails too is told by nobody."""
    try:
        live = remote_write_clients.find(observer, name)
        if live is None or live.observer != observer_namespace:
            return
        failure = Failure(timestamp(datetime.now(UTC)), _link_of(error), str(error)[: kaas_cluster.LONGEST_MESSAGE])
        update_status(observer, live, lambda live: replace(live, failure=failure), force=True, timeout=0)
    except ObservabilityError:
        return


def _link_of(error: ObservabilityError) -> str:
    """What of the way failed: as the error says, or by its kind, or whose API server was asked."""
    kinds = {QueryError: "query", NotReadyError: "agent"}
    asked = {"kubeconfig": "cluster", "observer_kubeconfig": "observer"}
    return str(error.details.get("link") or kinds.get(type(error)) or asked.get(error.parameter or "") or "unknown")


def activate(observer: KubernetesClient, left: Registration, *, force: bool) -> Registration:
    """Bring a registration from the phase in which it was ``left`` to active, and return it.

    The proof took its time, in which others may have written: what they wrote stays, a phase above all. Raises
    OvertakenError when the registration is removed meanwhile.
    """
    live = left
    for rounds_left in reversed(range(ROUNDS)):
        found = remote_write_clients.find(observer, left.name)
        if found is None or found.uid != left.uid or found.phase == "deleting":
            raise _removed(left.name)
        live = found
        if live.phase != left.phase:
            break
        try:
            return Registration.of(observer.apply(live.in_phase("active").conditional_manifest(), force=force))
        except ApiError as error:
            if error.status != 409 or not rounds_left:
                raise
    return live


def _certificates_shown(registration: Registration) -> dict[str, Any]:
    shown = ("certificate", "previousCertificate")
    return {"status": {name: value for name, value in registration.status().items() if name in shown}}
