# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of objects in the observer, exactly these: what is asked for, what is there, what has to change."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import dns_subdomain, is_address
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import (
    INTERNAL,
    leaf_secret,
    observe_or_create,
    service_names,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    is_ours,
    labels_of,
    resource_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import never
from ansible_collections.scs.observability.plugins.module_utils._manifests import object_set, workload
from ansible_collections.scs.observability.plugins.module_utils._observer import parameters
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import (
    KINDS,
    SET_KINDS,
    VOLUMES,
    carry_out,
    prepare,
    remove,
    served,
)

Manifest = dict[str, Any]

# 32 characters, about 190 bits
_TOKEN_BYTES = 24
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_ALLOWED = frozenset({*KINDS, *SET_KINDS, VOLUMES, ("apiextensions.k8s.io/v1", "CustomResourceDefinition")})


@dataclass(frozen=True)
class Certificate:
    """A certificate of the authority ``internal``, in a Secret of that name."""

    secret: str
    services: tuple[str, ...]
    hostnames: tuple[str, ...]
    server: bool
    client: bool


@dataclass(frozen=True)
class Settings:
    """What is wanted of a set. ``secrets`` are texts by name and key, ``generated`` keys by name."""

    name: str
    namespace: str
    manifests: tuple[Manifest, ...]
    secrets: Mapping[str, Mapping[str, str]] = field(repr=False)
    generated: Mapping[str, tuple[str, ...]]
    certificates: tuple[Certificate, ...]
    placement: Mapping[str, Any]


@dataclass(frozen=True)
class Observed:
    """What is there and cannot be made anew: the authority, certificates and generated Secrets by name."""

    authority: KeyPair | None
    missing: tuple[Manifest, ...]
    live: Mapping[str, Manifest | None]


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the set to what the module's parameters say, and return the module's result."""
    name, namespace = parameters.name(params, ""), parameters.namespace(params)
    owner, kinds = object_set.owner(name, namespace), (*KINDS, *SET_KINDS)
    identity = {"name": name, "namespace": namespace}
    if params.get("state") == "absent":
        client = KubernetesClient.from_parameters(params)
        keep = never if params.get("purge") else _is_generated
        removed = remove(client, owner, namespace, params=params, check_mode=check_mode, kinds=kinds, keep=keep)
        return {**removed.result(), **identity}
    settings = settings_of(params)
    client = KubernetesClient.from_parameters(params)
    now = datetime.now(UTC)
    observed = observe(client, settings, now)
    refuse(settings, observed)
    wanted, kept = objects(settings, observed, now)
    deployment = prepare(
        client, owner, namespace, wanted, [*kept, *observed.missing], params=params, kinds=served(client, kinds)
    )
    said = [] if check_mode else carry_out(client, deployment)
    return {**deployment.plan.result(), **identity, "warnings": said}


def _is_generated(manifest: Mapping[str, Any]) -> bool:
    return object_set.GENERATED_LABEL in labels_of(manifest)


def settings_of(params: Mapping[str, Any]) -> Settings:
    """Read the module's parameters; InputError says everything that cannot work of one of them, and names it."""
    manifests = params.get("objects") or []
    _refuse("objects", [problem for place, item in enumerate(manifests) for problem in _problems(place, item)])
    texts = {name: dict(values or {}) for name, values in (params.get("secrets") or {}).items()}
    _refuse("secrets", [problem for name, values in texts.items() for problem in _secret_problems(name, values)])
    generated = {name: tuple(keys or ()) for name, keys in (params.get("generated_secrets") or {}).items()}
    _refuse(
        "generated_secrets",
        [problem for name, keys in generated.items() for problem in _secret_problems(name, dict.fromkeys(keys, ""))],
    )
    certificates = tuple(
        Certificate(
            name,
            tuple(options.get("services") or ()),
            tuple(options.get("hostnames") or ()),
            server=options.get("server") is not False,
            client=bool(options.get("client")),
        )
        for name, options in (params.get("certificates") or {}).items()
    )
    twice = [name for name in texts if name in generated or name in {item.secret for item in certificates}]
    _refuse("secrets", [f"{name} is among generated_secrets or certificates, too" for name in twice])
    return Settings(
        name=parameters.name(params, ""),
        namespace=parameters.namespace(params),
        manifests=tuple(manifests),
        secrets=texts,
        generated=generated,
        certificates=certificates,
        placement=parameters.placement(params),
    )


def _refuse(parameter: str, problems: Sequence[str]) -> None:
    if problems:
        raise InputError("; ".join(problems), parameter=parameter)


def _problems(place: int, manifest: Any) -> list[str]:
    """What is wrong with an object before any API server has seen it."""
    where = f"number {place + 1}"
    if not isinstance(manifest, Mapping):
        return [f"{where} is not an object"]
    kind = (manifest.get("apiVersion"), manifest.get("kind"))
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not all(isinstance(text, str) and text for text in (*kind, name)):
        return [f"{where} lacks apiVersion, kind or metadata.name"]
    where = f"{kind[1]} {name}"
    if kind == ("v1", "Secret"):
        return [f"{where} would be shown with the arguments of the task: give it as secrets"]
    if kind not in _ALLOWED:
        return [f"{where}: {kind[0]} {kind[1]} cannot be in a set"]
    return []


def _secret_problems(name: str, values: Mapping[str, Any]) -> list[str]:
    problems = []
    try:
        dns_subdomain(name, "")
    except InputError:
        problems.append(f"{name!r} is not the name of a Secret")
    if not values:
        problems.append(f"{name} has no keys")
    problems += [f"{name} has a key that Kubernetes does not take" for key in values if not _KEY.fullmatch(str(key))]
    problems += [f"{key} of {name} is not a text" for key, value in values.items() if not isinstance(value, str)]
    return problems


def observe(client: KubernetesClient, settings: Settings, now: datetime) -> Observed:
    """Look for the authority, if something is to be signed, and for the Secrets that must not be made anew."""
    names = [item.secret for item in settings.certificates] + list(settings.generated)
    found = client.parallel([partial(client.get, "v1", "Secret", name, settings.namespace) for name in names])
    live = dict(zip(names, found, strict=True))
    if not settings.certificates:
        return Observed(None, (), live)
    authorities, missing = observe_or_create(client, settings.namespace, [INTERNAL], now)
    return Observed(authorities[INTERNAL], tuple(missing), live)


def refuse(settings: Settings, observed: Observed) -> None:
    """Refuse a Secret of the operator's own that lacks what is to be in it; InputError names it."""
    problems = [
        f"the Secret {settings.namespace}/{name}, which somebody else made, lacks {', '.join(lacking)}"
        for name, keys in settings.generated.items()
        if (live := observed.live.get(name)) is not None
        and not is_ours(live)
        # An empty password would let everybody in.
        and (lacking := sorted(key for key in set(keys) if not (live.get("data") or {}).get(key)))
    ]
    _refuse("generated_secrets", problems)


def objects(settings: Settings, observed: Observed, now: datetime) -> tuple[list[Manifest], list[Manifest]]:
    """Everything that is wanted, and what is to be created and then left alone. Pure but for new keys and tokens."""
    name, namespace = settings.name, settings.namespace
    labels = object_set.labels(name, namespace)
    completed = [
        object_set.complete(
            item,
            name,
            namespace,
            placement=settings.placement,
            namespaced=resource_of(item["apiVersion"], item["kind"]).namespaced,
        )
        for item in settings.manifests
    ]
    made = [workload.secret(secret, namespace, labels, values) for secret, values in settings.secrets.items()]
    made += [_signed(item, settings, observed, now) for item in settings.certificates]
    generated = [_generated(secret, keys, settings, observed) for secret, keys in settings.generated.items()]
    wanted, new = [*completed, *made], []
    for secret in generated:
        live = observed.live.get(secret["metadata"]["name"])
        if live is None:
            new.append(secret)
        # One that the operator has made is used and left alone.
        elif is_ours(live):
            wanted.append(secret)
    return [workload.namespace(namespace), *object_set.with_checksums(wanted, generated)], new


def _signed(wanted: Certificate, settings: Settings, observed: Observed, now: datetime) -> Manifest:
    if observed.authority is None:
        raise ValueError("there is nothing to sign with")
    services = [name for service in wanted.services for name in service_names(service, settings.namespace)]
    addresses = [host for host in wanted.hostnames if is_address(host)]
    return leaf_secret(
        observed.live.get(wanted.secret),
        wanted.secret,
        settings.namespace,
        object_set.labels(settings.name, settings.namespace),
        observed.authority,
        common_name=wanted.services[0] if wanted.services else settings.name,
        now=now,
        dns_names=[*services, *(host for host in wanted.hostnames if host not in addresses)],
        ip_addresses=addresses,
        server=wanted.server,
        client=wanted.client,
    )


def _generated(name: str, keys: Sequence[str], settings: Settings, observed: Observed) -> Manifest:
    """The Secret with a token for each key; those that are there already stay, others are added."""
    live = (observed.live.get(name) or {}).get("data") or {}
    labels = {**object_set.labels(settings.name, settings.namespace), object_set.GENERATED_LABEL: "true"}
    secret = workload.secret(name, settings.namespace, labels, {})
    secret["data"] = {key: live.get(key) or workload.encoded(secrets.token_urlsafe(_TOKEN_BYTES)) for key in keys}
    return secret
