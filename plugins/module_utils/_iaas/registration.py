# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus of the IaaS layer is registered: certificates, who may write, whom query asks, proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._iaas import endpoints, proof
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import (
    IaasRegistration,
    Proof,
    refuse_other_observer,
    refuse_taken,
    registered,
)
from ansible_collections.scs.observability.plugins.module_utils._iaas.settings import Settings, name
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    TENANTS,
    agent_secret,
    leaf_secret,
    observe_or_create,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import LEAF_LIFETIME, KeyPair
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity as key_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import (
    apply_plan,
    plan_objects,
    plan_removal,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    iaas_prometheus,
    kaas_cluster,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import ExternalEndpoint
from ansible_collections.scs.observability.plugins.module_utils._promql.client import DEFAULT_SERVICE, QueryApi
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import observer_time
from ansible_collections.scs.observability.plugins.module_utils._registration import (
    former,
    identity,
    remote_write_clients,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.record import timestamp
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import namespace

Manifest = dict[str, Any]

SECRETS = ("v1", "Secret")
RECORDS = (iaas_prometheus.API_VERSION, iaas_prometheus.KIND)
# It takes somebody who reconfigures kolla until a new client certificate is in its place, so the one before is let in
# for as long as it can be valid. Past its end TLS refuses it.
OVERLAP = LEAF_LIFETIME


@dataclass(frozen=True)
class Observed:
    """What is there. ``missing`` are the Secrets of authorities to create, ``others`` the endpoints of others."""

    before: IaasRegistration | None
    others: tuple[ExternalEndpoint, ...]
    has_namespace: bool
    authorities: Mapping[str, KeyPair]
    missing: tuple[Manifest, ...]
    secrets: Mapping[str, Manifest]


@dataclass(frozen=True)
class Intended:
    """What is to be; ``secrets`` are the Secrets with certificates by what they are for."""

    registration: IaasRegistration
    secrets: Mapping[str, Manifest]
    objects: Plan
    status: Plan
    clients: Plan
    queries: Plan

    @property
    def plan(self) -> Plan:
        return self.objects + self.status + self.clients + self.queries


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring a registration to what the module's parameters say, and return the module's result."""
    return (_ensure_absent if params.get("state") == "absent" else _ensure_present)(params, check_mode)


def _ensure_present(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    settings = Settings.of(params)
    client = KubernetesClient.from_parameters(params)
    force, now = bool(params.get("force")), datetime.now(UTC)
    wanted = settings.registration
    api = QueryApi(client, wanted.observer, params.get("query_frontend") or DEFAULT_SERVICE)
    observed = observe(client, wanted, now)
    prove = settings.proof and not check_mode
    # Without the query path nothing can be proven, so nothing is begun.
    start = observer_time(api) if prove else 0.0
    intended = intend(client, settings, observed, now, force=force)
    registration = intended.registration
    warnings = [endpoints.closed_port(client, wanted.observer, wanted.pull_address)] if wanted.pull_address else []
    result: dict[str, Any] = {
        **intended.plan.result(),
        "name": wanted.name,
        "state": "present",
        "server_name": iaas_prometheus.server_name(wanted.name, wanted.observer) if wanted.has_sidecar else None,
        "certificates": _certificates_result(registration),
        "sidecar": _sidecar(intended.secrets.get("sidecar")) if settings.issue else None,
        "remote_write": _remote_write(settings, intended.secrets.get("remote_write")) if settings.issue else None,
        "proof": {},
        "warnings": [text for text in warnings if text],
    }
    if check_mode:
        return result

    apply_plan(client, intended.objects, force=force)
    if observed.before is None or intended.status.changed:
        client.apply_status(registration.status_manifest(), force=True)
    remote_write_clients.carry_out(client, intended.clients)
    endpoints.carry_out(client, wanted.observer)
    if prove:
        found = proof.Proof(
            client,
            api,
            registration,
            floors={
                # That its sidecar answers is seen by asking it; that it writes has to be seen anew the first time.
                "pull": start - proof.MAX_AGE,
                "remote_write": start - (proof.MAX_AGE if registration.has_proven("remote_write") else 0.0),
            },
            timeout=settings.proof_timeout,
        ).establish()
        proven = Proof(timestamp(datetime.now(UTC)), proof.proven(found, registration))
        client.apply_status(replace(registration, proof=proven).status_manifest(), force=True)
        result["proof"] = found
    return result


def _ensure_absent(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    problems = Problems()
    gone, where = problems.of(name, params), problems.of(namespace, params, "namespace")
    problems.refuse()
    client = KubernetesClient.from_parameters(params)
    every = registered(client)
    before = next((item for item in every if item.name == gone), None)
    if before is not None:
        refuse_other_observer(before, where)
    stay = [item.endpoint for item in every if item.endpoint and item.observer == where and item.name != gone]
    owner = workload.owner(iaas_prometheus.instance(gone))
    objects = plan_removal(client, owner, where, [SECRETS, *([RECORDS] if before else [])])
    queries = endpoints.drift(client, where, stay)
    # The tenant of a cluster that has the name meanwhile is not touched.
    is_cluster = client.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, gone) is not None
    clients = Plan() if is_cluster else remote_write_clients.revocation(client, where, gone)
    if not check_mode:
        remote_write_clients.carry_out(client, clients)
        if before is not None and before.remote_write:
            # Before its record goes, or nobody would know any more whose the data are.
            left = former.Former(_identity(before), "", timestamp(datetime.now(UTC)))
            former.remember(client, where, gone, left)
        apply_plan(client, objects)
        endpoints.carry_out(client, where)
    return {
        **(objects + clients + queries).result(),
        "name": gone,
        "state": "absent",
        "server_name": None,
        "certificates": {},
        "sidecar": None,
        "remote_write": None,
        "proof": {},
    }


def observe(client: KubernetesClient, wanted: IaasRegistration, now: datetime) -> Observed:
    """Look at the observer and refuse what cannot be. Nothing is written. Raises InputError, ApiError."""
    where = wanted.observer
    every = registered(client)
    cluster, there, sidecar, remote_write = client.parallel(
        [
            partial(client.get, kaas_cluster.API_VERSION, kaas_cluster.KIND, wanted.name),
            partial(client.get, "v1", "Namespace", where),
            partial(client.get, *SECRETS, secret_name(wanted, "sidecar"), where),
            partial(client.get, *SECRETS, secret_name(wanted, "remote_write"), where),
        ]
    )
    problems = Problems()
    before = problems.of(refuse_taken, wanted, every)
    if cluster is not None:
        problems.found.append(
            InputError(
                f"{wanted.name!r} is the name of a registered KaaS cluster",
                parameter="name",
                advice="Choose another name",
            )
        )
    problems.refuse()
    if wanted.remote_write and not (before and before.remote_write):
        former.refuse(client, where, wanted.name, cluster_uid=_identity(wanted), customer="")
    authorities, missing = observe_or_create(client, where, (TENANTS, INTERNAL), now)
    live = {"sidecar": sidecar, "remote_write": remote_write}
    return Observed(
        before,
        tuple(item.endpoint for item in every if item.endpoint and item.observer == where and item.name != wanted.name),
        there is not None,
        authorities,
        tuple(missing),
        {what: secret for what, secret in live.items() if secret is not None},
    )


def intend(client: KubernetesClient, settings: Settings, observed: Observed, now: datetime, *, force: bool) -> Intended:
    """Compare what is wanted with what is there, by dry runs. Raises InputError, ConflictError and ApiError."""
    secrets = certificates(settings, observed, now)
    wanted, before = settings.registration, observed.before
    found = {what: identity.certificate_of(secret) for what, secret in secrets.items()}
    current = found.get("remote_write")
    registration = replace(
        wanted,
        sidecar=found.get("sidecar"),
        certificate=current,
        previous_certificate=identity.previous_of(
            before, current, identity.fingerprint_of(observed.secrets.get("remote_write")), now, OVERLAP
        )
        if current
        else None,
        uid=before.uid if before else "",
    )
    registration = replace(registration, proof=_kept_proof(registration, before))
    where = wanted.observer
    created_only = [*observed.missing, *([] if observed.has_namespace else [workload.namespace(where)])]
    asked = (*observed.others, *([registration.endpoint] if registration.endpoint else []))
    return Intended(
        registration,
        secrets,
        objects=plan_objects(
            client,
            [iaas_prometheus.definition(), *created_only, *secrets.values(), registration.manifest()],
            owner=workload.owner(iaas_prometheus.instance(wanted.name)),
            owner_namespace=where,
            prune_kinds=[SECRETS],
            create_only=[key_of(item) for item in created_only],
            force=force,
        ),
        status=_status_plan(before, registration),
        clients=remote_write_clients.admission(client, where, registration)
        if registration.remote_write
        else remote_write_clients.revocation(client, where, wanted.name),
        queries=endpoints.drift(client, where, asked),
    )


def certificates(settings: Settings, observed: Observed, now: datetime) -> dict[str, Manifest]:
    """The Secrets with the certificates of the paths that there are to be: those that are there, or new ones.

    Raises InputError where one has to be signed and the key of its authority is not there.
    """
    wanted = settings.registration
    internal, tenants = observed.authorities[INTERNAL], observed.authorities[TENANTS]
    live: Mapping[str, Manifest] = {} if settings.renew else observed.secrets
    secrets: dict[str, Manifest] = {}
    if wanted.has_sidecar and settings.keep_sidecar and "sidecar" in observed.secrets:
        secrets["sidecar"] = _as_it_is(observed.secrets["sidecar"])
    elif wanted.has_sidecar:
        secrets["sidecar"] = leaf_secret(
            live.get("sidecar"),
            secret_name(wanted, "sidecar"),
            wanted.observer,
            wanted.labels,
            internal,
            common_name=wanted.name,
            now=now,
            dns_names=[iaas_prometheus.server_name(wanted.name, wanted.observer)],
            server=True,
        )
    if wanted.remote_write:
        try:
            secrets["remote_write"] = agent_secret(
                live.get("remote_write"),
                secret_name(wanted, "remote_write"),
                wanted.observer,
                wanted.labels,
                tenants=tenants,
                internal_certificate=settings.remote_write_ca or internal.trusted,
                cluster=wanted.name,
                now=now,
            )
        except InputError as error:
            if tenants.key:
                raise
            raise InputError(
                "the observer has no key to sign a client certificate with, only the certificate of its authority "
                f"{TENANTS}",
                parameter="remote_write",
                advice="Take another path, or give the observer the key of an authority",
            ) from error
    return secrets


def _as_it_is(secret: Manifest) -> Manifest:
    """A live Secret as it would be applied."""
    metadata = {key: secret["metadata"].get(key) or {} for key in ("name", "namespace", "labels", "annotations")}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": secret["type"], "data": secret["data"]}


def secret_name(registration: IaasRegistration, what: str) -> str:
    """What the Secret with the certificate of a path is called."""
    return f"{iaas_prometheus.instance(registration.name)}-{what.replace('_', '-')}"


def _identity(registration: IaasRegistration) -> str:
    """Whose the data under its name are: those of a region stay its own."""
    return f"{iaas_prometheus.LAYER}/{registration.region}"


def _kept_proof(registration: IaasRegistration, before: IaasRegistration | None) -> Proof | None:
    """Of what was proven, that of paths that nothing changed of."""
    if before is None or before.proof is None:
        return None
    same = {
        "pull": (before.sidecar, before.pull_address) == (registration.sidecar, registration.pull_address),
        "upload": True,
        "remote_write": before.certificate == registration.certificate,
    }
    is_kept = before.region == registration.region
    kept = {
        path: found
        for path, found in before.proof.paths.items()
        if is_kept and same[path] and path in registration.paths
    }
    return replace(before.proof, paths=kept) if kept else None


def _status_plan(before: IaasRegistration | None, after: IaasRegistration) -> Plan:
    """Which certificates are in use is a change; when a proof was made is what each run observes."""
    if before is None or before.certificates() == after.certificates():
        return Plan()
    return Plan(
        (
            Change(
                action="update",
                api_version=iaas_prometheus.API_VERSION,
                kind=f"{iaas_prometheus.KIND}/status",
                name=after.name,
                before={"status": {"certificates": before.certificates()}},
                after={"status": {"certificates": after.certificates()}},
                manifest=after.status_manifest(),
            ),
        )
    )


def _certificates_result(registration: IaasRegistration) -> dict[str, Any]:
    found = {
        "sidecar": registration.sidecar,
        "remote_write": registration.certificate,
        "previous_remote_write": registration.previous_certificate,
    }
    return {what: dict(vars(certificate)) for what, certificate in found.items() if certificate}


def _sidecar(secret: Manifest | None) -> dict[str, str | None] | None:
    if secret is None:
        return None
    files = {"certificate": "tls.crt", "key": "tls.key", "client_ca": "ca.crt"}
    return {what: secret_text(secret, file) for what, file in files.items()}


def _remote_write(settings: Settings, secret: Manifest | None) -> dict[str, str | None] | None:
    if secret is None:
        return None
    files = {"ca": "ca.crt", "certificate": "tls.crt", "key": "tls.key"}
    return {"url": settings.remote_write_url, **{what: secret_text(secret, file) for what, file in files.items()}}
