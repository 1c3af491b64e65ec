# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's own authority in the observer: put where the other modules would otherwise make one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    EXPIRES_ANNOTATION,
    INTERNAL,
    TENANTS,
    authority_secret,
    authority_secret_name,
    pair_of_authority,
    secret_text,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    LEAF_LIFETIME,
    KeyPair,
    date_text,
    expiry,
    fingerprint,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.provided import (
    ALSO_TRUSTED,
    Source,
    also_trusted,
    authority_of,
    check_apart,
    each,
    has_signed,
    is_same_authority,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    identity,
    is_ours,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import (
    apply_plan,
    plan_objects,
    plan_removal,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, workload
from ansible_collections.scs.observability.plugins.module_utils._observer import parameters

Manifest = dict[str, Any]

# The third one, internal-gateway, is known to receive and the gateway alone, so nobody's own could be of use.
NAMES = (TENANTS, INTERNAL)

_SHOWN = 5


@dataclass(frozen=True)
class Observed:
    """Secrets of this authority and of the other one, and what may have certificates of this one."""

    secret: Manifest | None
    other: Manifest | None
    secrets: tuple[Manifest, ...]
    registrations: tuple[Manifest, ...]


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring an authority of the observer to what the module's parameters say, and return the module's result."""
    name, namespace, force = params["name"], parameters.namespace(params), bool(params.get("force"))
    now = datetime.now(UTC)
    result = {"name": name, "namespace": namespace, "secret": authority_secret_name(name)}
    if params.get("state") == "absent":
        client = KubernetesClient.from_parameters(params)
        observed = observe(client, name, namespace)
        if not force:
            refuse_loss(name, observed, None, now)
        labels = {"app.kubernetes.io/name": "authority", "app.kubernetes.io/component": name}
        plan = plan_removal(client, labels, namespace, [("v1", "Secret")])
        if not check_mode:
            apply_plan(client, plan)
        return {**plan.result(), **result, "fingerprint": None, "expires": None}

    # The agents' certificates may all be signed elsewhere; components' are signed here, at each renewal.
    source = Source.of(params, key_elsewhere=name == TENANTS)
    beside = params.get(ALSO_TRUSTED) or ""
    if source is None and not beside:
        raise InputError("is required and must not be empty", parameter="certificate")
    if beside and name != INTERNAL:
        raise InputError("is for internal alone", parameter=ALSO_TRUSTED, advice="Replace tenants with force: true")
    pair = authority_of(source, now, signs_servers=name == INTERNAL) if source else None
    client = KubernetesClient.from_parameters(params)
    observed = observe(client, name, namespace)
    if pair is None:
        if observed.secret is None:
            raise InputError(
                f"there is no authority {name} yet that others could be trusted beside", parameter=ALSO_TRUSTED
            )
        pair = pair_of_authority(observed.secret)
    others = each(pair_of_authority(observed.other).trusted) if observed.other else []
    if source:
        for item in others:
            check_apart(source, item)
    pair = replace(pair, also_trusted=also_trusted(beside, pair.certificate, others))
    if not force:
        refuse_loss(name, observed, pair, now)
    plan = plan_of(client, observed, authority_secret(name, namespace, pair), force=force)
    if not check_mode:
        apply_plan(client, plan, force=True)
    end = expiry(pair.certificate)
    warnings = []
    if end - now < LEAF_LIFETIME:
        warnings.append(f"The authority {name} expires on {date_text(end)}, and with it everything that it signs.")
    return {
        **plan.result(),
        **result,
        "fingerprint": fingerprint(pair.certificate),
        "expires": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "warnings": warnings,
    }


def observe(client: KubernetesClient, name: str, namespace: str) -> Observed:
    """Look at both authorities and at everything that may have a certificate of this one. Nothing is written."""
    (other,) = (which for which in NAMES if which != name)
    registered_here = f"{kaas_cluster.OBSERVER_LABEL}={namespace}"
    secret, others = client.parallel(
        [
            partial(client.get, "v1", "Secret", authority_secret_name(name), namespace),
            partial(client.get, "v1", "Secret", authority_secret_name(other), namespace),
        ]
    )
    secrets, registrations = client.parallel(
        [
            partial(client.list, "v1", "Secret", namespace, f"{MANAGED_BY_LABEL}={MANAGED_BY}"),
            partial(client.list, kaas_cluster.API_VERSION, kaas_cluster.KIND, label_selector=registered_here),
        ]
    )
    return Observed(secret, others, tuple(secrets), tuple(registrations))


def refuse_loss(name: str, observed: Observed, wanted: KeyPair | None, now: datetime) -> None:
    """Refuse what cuts off who has a certificate that is in use. ``wanted`` is the authority to be, None for none.

    Raises InputError: when an authority that was trusted is to be so no more and has signed some, and when one is to
    sign that whoever has one does not trust yet.
    """
    if observed.secret is None:
        return
    live = pair_of_authority(observed.secret)
    trusted, kept = each(live.trusted), each(wanted.trusted) if wanted else []
    gone = [item for item in trusted if not _is_among(item, kept)]
    is_replaced = wanted is None or not is_same_authority(live.certificate, wanted.certificate)
    is_known = wanted is not None and _is_among(wanted.certificate, trusted)
    in_use = [item for item in observed.secrets if _is_good(item, now)]
    # Of components, of sidecars, and of what writes without an agent
    cut_off = _names(
        item for item in in_use if any(has_signed(authority, _text(item, "tls.crt")) for authority in gone)
    )
    if name == TENANTS:
        if is_replaced:
            clusters = sorted(item["metadata"]["name"] for item in observed.registrations if _is_written_as(item, now))
            _refuse(
                name,
                clusters + cut_off,
                "would not be let in any more, until it has been registered again (onboard)",
                "state" if wanted is None else "certificate",
            )
        return
    loss = (
        "would not be known to the others any more, until the observer has been deployed again (for a sidecar "
        "osism_sidecar)"
    )
    if is_replaced and not is_known:
        clusters = [item for item in observed.registrations if _is_written_as(item, now)]
        loss += (
            f", and the gateway not to the agents of {len(clusters)} clusters, until these have been registered again "
            "(onboard)"
        )
        signed = _names(
            item for item in in_use if any(has_signed(authority, _text(item, "tls.crt")) for authority in trusted)
        )
        _refuse(name, signed, loss, "state" if wanted is None else "certificate")
    _refuse(name, cut_off, loss, ALSO_TRUSTED)
    if wanted is not None and is_replaced:
        unaware = _names(
            item
            for item in in_use
            if _is_among(live.certificate, each(_text(item, "ca.crt")))
            and not _is_among(wanted.certificate, each(_text(item, "ca.crt")))
        )
        _refuse(name, unaware, "does not trust the other one yet", "certificate")


def _refuse(name: str, signed: Sequence[str], loss: str, parameter: str) -> None:
    if not signed:
        return
    shown = ", ".join(signed[:_SHOWN]) + (f" and {len(signed) - _SHOWN} more" if len(signed) > _SHOWN else "")
    steps = "Change it in steps with also_trusted, or set" if name == INTERNAL else "Set"
    which = (
        "an authority that is no longer to be trusted"
        if parameter == ALSO_TRUSTED
        else f"the observer's authority {name} is another one and"
    )
    raise InputError(
        f"{which} has signed certificates that are in use, of {shown}. Each of them {loss}",
        parameter=parameter,
        advice=f"{steps} force: true to do it all the same",
        details={"signed": list(signed)},
    )


def _names(secrets: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(item["metadata"]["name"] for item in secrets)


def _text(secret: Mapping[str, Any], key: str) -> str:
    return secret_text(secret, key) or ""


def _is_among(certificate: str, authorities: Iterable[str]) -> bool:
    return any(is_same_authority(certificate, item) for item in authorities)


def plan_of(client: KubernetesClient, observed: Observed, secret: Manifest, *, force: bool) -> Plan:
    """Return what has to change: the Secret is created and nothing else, or replaced where that was found right."""
    key = identity(secret)
    namespace = plan_objects(client, [workload.namespace(key.namespace)], force=force)
    if observed.secret is None:
        return namespace + plan_objects(client, [secret], create_only=[key])
    # It was created, not applied, so to the API server its fields are those of another manager even if it is ours.
    ours = is_ours(observed.secret)
    return namespace + plan_objects(client, [secret], force=force or ours)


def _is_written_as(registration: Mapping[str, Any], now: datetime) -> bool:
    expires = ((registration.get("status") or {}).get("certificate") or {}).get("expires", "")
    return _is_future(expires, now)


def _is_good(secret: Mapping[str, Any], now: datetime) -> bool:
    return _is_future((secret["metadata"].get("annotations") or {}).get(EXPIRES_ANNOTATION, ""), now)


def _is_future(timestamp: str, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(timestamp) > now
    except (ValueError, TypeError):
        return False
