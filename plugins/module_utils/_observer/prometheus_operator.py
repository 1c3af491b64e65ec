# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Prometheus Operator in the observer: one that is there is used, else ours is made, with its definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import IncompatibleError, InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes import objects
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    ObjectKey,
    is_terminating,
    labels_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_gone, wait_ready
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import (
    apply_plan,
    plan_objects,
    plan_removal,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    images,
    prometheus_operator,
    prometheus_operator_bundle,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.prometheus_operator import (
    Bundle,
    Operator,
    Settings,
    definition_version,
    is_current,
    is_ours,
    text_of,
)
from ansible_collections.scs.observability.plugins.module_utils._observer import operator_bundle, parameters
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import (
    SERVICE_MONITOR,
    carry_out,
    prepare,
    remove,
    served,
)

Manifest = dict[str, Any]

_DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_KINDS = (
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    SERVICE_MONITOR,
)
_OWNER = workload.owner(prometheus_operator.NAME)
_SHOWN = 5


@dataclass(frozen=True)
class Observed:
    """Live definitions by name, which of them are those of the bundle and nobody has changed, and the operators in the
    cluster that are not ours in this namespace."""

    definitions: Mapping[str, Manifest]
    current: frozenset[str]
    others: tuple[Operator, ...]


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the operator to what the module's parameters say, and return the module's result."""
    if params.get("state") == "absent":
        return _ensure_absent(params, check_mode)
    settings = settings_of(params)
    place = operator_bundle.location(params.get("bundle") or prometheus_operator_bundle.URL, "bundle")
    checksum = operator_bundle.checksum(
        params.get("bundle_checksum") or prometheus_operator_bundle.CHECKSUM, "bundle_checksum"
    )
    client = KubernetesClient.from_parameters(params)
    observed = observe(client, settings.namespace, checksum)
    watching = [operator for operator in observed.others if operator.watches]
    if watching:
        refuse(watching, observed.definitions, settings.namespace)
        return {**_use(client, watching[0], params, check_mode), **_told(observed.definitions)}

    force = bool(params.get("force"))
    bundle = None
    if needs_bundle(observed, force=force):
        bundle = prometheus_operator.bundle_of(operator_bundle.verified(place, checksum))
    wanted = definitions_to_apply(observed, bundle, force=force)
    refuse_definitions(observed, bundle, wanted, settings.image)
    definitions = _plan_definitions(client, wanted, checksum)
    deployment = prepare(
        client,
        _OWNER,
        settings.namespace,
        [workload.namespace(settings.namespace), *prometheus_operator.objects(settings)],
        [],
        params=params,
        kinds=served(client, _KINDS),
    )
    if not check_mode:
        apply_plan(client, definitions, force=True)
        carry_out(client, deployment)
    version = prometheus_operator.image_version(settings.image)
    return {
        **(definitions + deployment.plan).result(),
        "namespace": settings.namespace,
        "operator": _described(settings.namespace, prometheus_operator.NAME, version, ours=True),
        **_told({**observed.definitions, **wanted}),
    }


def _told(definitions: Mapping[str, Manifest]) -> dict[str, list[str]]:
    return {"scrape_config_fields": prometheus_operator.scrape_config_fields(definitions)}


def settings_of(params: Mapping[str, Any]) -> Settings:
    """Read the module's parameters; raises InputError naming the one that cannot work."""
    reloader = params.get("config_reloader_resources")
    return Settings(
        namespace=parameters.namespace(params),
        image=parameters.image(params, images.PROMETHEUS_OPERATOR),
        reloader_image=names.image_reference(
            params.get("config_reloader_image") or images.PROMETHEUS_CONFIG_RELOADER, "config_reloader_image"
        ),
        resources=parameters.resources(params),
        reloader_resources=names.resources(reloader, "config_reloader_resources") if reloader else None,
        placement=parameters.placement(params),
    )


def observe(client: KubernetesClient, namespace: str, checksum: str) -> Observed:
    """Look for operators and definitions, of the bundle with this checksum or not. Nothing is written."""
    deployments, *live = client.parallel(
        [
            partial(client.list, "apps/v1", "Deployment"),
            *(partial(_definition, client, name) for name in prometheus_operator.DEFINITIONS),
        ]
    )
    others = [item for item in deployments if not (_is_ours(item) and item["metadata"]["namespace"] == namespace)]
    definitions = {item["metadata"]["name"]: item for items in live for item in items}
    return Observed(
        definitions,
        frozenset(name for name, item in definitions.items() if is_current(item, checksum)),
        tuple(prometheus_operator.operators(others, namespace)),
    )


def _definition(client: KubernetesClient, name: str) -> list[Manifest]:
    live = client.get(*_DEFINITION, name)
    return [] if live is None else [live]


def _is_ours(manifest: Mapping[str, Any]) -> bool:
    return _OWNER.items() <= labels_of(manifest).items()


# An operator that is there


def refuse(watching: Sequence[Operator], definitions: Mapping[str, Manifest], namespace: str) -> None:
    """Refuse operators that look at the namespace and cannot be used there; IncompatibleError says all reasons."""
    problems = [f"{operator}: {why}" for operator in watching if (why := prometheus_operator.unusable(operator))]
    if len(watching) > 1:
        problems.append(f"{' and '.join(map(str, watching))} would undo each other's work")
    problems += [f"there is no definition {name}" for name in prometheus_operator.NEEDED if name not in definitions]
    problems += [why for name, live in definitions.items() if (why := _unfit(name, live, prometheus_operator.OLDEST))]
    if problems:
        raise IncompatibleError(
            f"an operator that is there already looks at the namespace {namespace} and cannot be used: "
            f"{'; '.join(problems)}",
            advice="Bring it and its definitions to a newer release, or have it look elsewhere (--deny-namespaces): "
            "then the observer gets its own",
        )


def _unfit(name: str, live: Mapping[str, Any], oldest: prometheus_operator.Version) -> str:
    """Why a definition of others does not do; empty when it does, and for those that are not needed."""
    if name not in prometheus_operator.NEEDED:
        return ""
    if why := prometheus_operator.unserved(name, live):
        return why
    version = definition_version(live)
    if version is None:
        return f"the definition {name} does not tell its release"
    if version < oldest:
        return f"the definition {name} is of {text_of(version)}, and {text_of(oldest)} is needed"
    return ""


def _use(client: KubernetesClient, operator: Operator, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Have another operator do the work: ours, if there was one, must not go on beside it."""
    namespace, timeout = parameters.namespace(params), parameters.wait_timeout(params)
    plan = plan_objects(client, [workload.namespace(namespace)], force=bool(params.get("force")))
    plan += plan_removal(client, _OWNER, namespace, served(client, _KINDS))
    if not check_mode:
        apply_plan(client, plan)
        if params.get("wait") is not False:
            wait_ready(client, [ObjectKey("apps/v1", "Deployment", operator.namespace, operator.name)], timeout)
    return {
        **plan.result(),
        "namespace": namespace,
        "operator": _described(operator.namespace, operator.name, operator.version, ours=False),
    }


def _described(
    namespace: str, name: str, version: prometheus_operator.Version | None, *, ours: bool
) -> dict[str, str | bool | None]:
    return {"namespace": namespace, "name": name, "version": text_of(version) if version else None, "ours": ours}


# Definitions


def needs_bundle(observed: Observed, *, force: bool) -> bool:
    """Tell whether a definition is missing, or is one that we may change and is not that of the bundle."""
    return any(
        live is None or ((force or is_ours(live)) and name not in observed.current)
        for name, live in ((name, observed.definitions.get(name)) for name in prometheus_operator.DEFINITIONS)
    )


def definitions_to_apply(observed: Observed, bundle: Bundle | None, *, force: bool) -> dict[str, Manifest]:
    """Return the definitions of the bundle that are to be applied, by name.

    Those of others are left to them without ``force``, and newer ones of ours, too: another observer in this cluster
    needs them.
    """
    if bundle is None:
        return {}
    wanted = {}
    for name, manifest in bundle.definitions.items():
        live = observed.definitions.get(name)
        if live is not None:
            newer = (definition_version(live) or bundle.version) > bundle.version
            if name in observed.current or newer or not (force or is_ours(live)):
                continue
        wanted[name] = manifest
    return wanted


def refuse_definitions(observed: Observed, bundle: Bundle | None, wanted: Mapping[str, Manifest], image: str) -> None:
    """Refuse definitions that our operator would not work with: it needs those of its own release or a newer one."""
    needed = prometheus_operator.image_version(image) or prometheus_operator.OLDEST
    given = (
        {bundle.version} if bundle else {definition_version(observed.definitions[name]) for name in observed.current}
    )
    if older := [version for version in given if version and version < needed]:
        raise InputError(
            f"has definitions of {text_of(older[0])}, and the image is of {text_of(needed)}",
            parameter="bundle",
            advice="Give bundle, bundle_checksum, image and config_reloader_image of one release",
        )
    problems = [
        why for name, live in observed.definitions.items() if name not in wanted and (why := _unfit(name, live, needed))
    ]
    if problems:
        raise IncompatibleError(
            f"the definitions that are there already cannot be used: {'; '.join(problems)}",
            advice="Have whoever made them bring them up to date, or take them over with force: true",
        )


def _plan_definitions(client: KubernetesClient, wanted: Mapping[str, Manifest], checksum: str) -> Plan:
    """What has to change for definitions to be there; their schemas are too long to be shown."""

    def completed(manifest: Manifest) -> Manifest:
        dry = client.apply(prometheus_operator.definition(manifest, checksum), dry_run=True, force=True)
        return prometheus_operator.definition(manifest, checksum, dry["spec"])

    manifests = client.parallel([partial(completed, manifest) for manifest in wanted.values()])
    return _shortened(plan_objects(client, manifests, force=True))


def _shortened(plan: Plan) -> Plan:
    def short(change: Change) -> Change:
        return replace(
            change,
            before=prometheus_operator.shown(change.before) if change.before else None,
            after=prometheus_operator.shown(change.after) if change.after else None,
        )

    return Plan(tuple(short(change) for change in plan.changes))


# Removal


def _ensure_absent(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    namespace, timeout = parameters.namespace(params), parameters.wait_timeout(params)
    client = KubernetesClient.from_parameters(params)
    plan = remove(client, _OWNER, namespace, params=params, check_mode=check_mode, kinds=_KINDS)
    warnings: list[str] = []
    if params.get("purge"):
        observed = observe(client, namespace, "")
        stay = staying(client, observed, namespace)
        definitions = _shortened(
            plan_removal(
                client,
                {"app.kubernetes.io/part-of": workload.PART_OF},
                "",
                [_DEFINITION],
                keep=lambda item: (
                    item["metadata"]["name"] not in observed.definitions or item["metadata"]["name"] in stay
                ),
            )
        )
        if not check_mode:
            apply_plan(client, definitions)
            wait_gone(client, [ObjectKey(*_DEFINITION, "", change.name) for change in definitions.changes], timeout)
        plan += definitions
        warnings = [
            f"Of the definitions stay {', '.join(name for name, reason in stay.items() if reason == why)}: {why}."
            for why in dict.fromkeys(stay.values())
        ]
    return {**plan.result(), "namespace": namespace, "operator": None, "warnings": warnings}


def staying(client: KubernetesClient, observed: Observed, namespace: str) -> dict[str, str]:
    """Return the definitions that must stay, and why: with a definition, everything of its kind would go.

    What is ours in this namespace goes anyway.
    """
    if observed.others:
        return dict.fromkeys(observed.definitions, f"{observed.others[0]} works with them")
    result = {name: "somebody else made it" for name, live in observed.definitions.items() if not is_ours(live)}
    ours = {name: live for name, live in observed.definitions.items() if name not in result}
    used = client.parallel([partial(_users, client, live, namespace) for live in ours.values()])
    result.update({name: f"there are {', '.join(users)}" for name, users in zip(ours, used, strict=True) if users})
    return result


def _users(client: KubernetesClient, definition: Mapping[str, Any], namespace: str) -> list[str]:
    """Resources of a definition that are not this observer's, the first few."""
    spec = definition["spec"]
    version = next(version["name"] for version in spec["versions"] if version["storage"])
    kind = spec["names"]["kind"]
    items = client.list_metadata(f"{spec['group']}/{version}", kind, spec["names"]["plural"], "")
    others = [
        f"{kind} {item['metadata']['namespace']}/{item['metadata']['name']}"
        for item in items
        if not is_terminating(item) and not (item["metadata"]["namespace"] == namespace and objects.is_ours(item))
    ]
    return others[:_SHOWN] + ([f"{len(others) - _SHOWN} more"] if len(others) > _SHOWN else [])
