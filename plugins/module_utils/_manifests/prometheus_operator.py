# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Prometheus Operator: its definitions as released, and the operator itself, for one namespace and without rights
in the rest of the cluster.

What its release grants and this does not, because an operator that looks at one namespace does without: everything in
other namespaces; ``prometheusagents`` and ``thanosrulers`` (it leaves those controllers off and says so in its log);
``nodes`` and ``endpoints`` (it would write the kubelets' addresses into kube-system; Prometheus finds nodes itself);
``ingresses``, ``events`` and ``storageclasses`` (needed for nothing but messages); deleting pods.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader
from ansible_collections.scs.observability.plugins.module_utils._manifests import rbac, workload

Manifest = dict[str, Any]
Version = tuple[int, int, int]

NAME = "prometheus-operator"
GROUP = "monitoring.coreos.com"
PORT = 8080
# Its image runs as nobody.
USER = 65534

# What the observer uses, and in which version.
NEEDED = {
    f"alertmanagers.{GROUP}": "v1",
    f"podmonitors.{GROUP}": "v1",
    f"probes.{GROUP}": "v1",
    f"prometheuses.{GROUP}": "v1",
    f"prometheusrules.{GROUP}": "v1",
    f"scrapeconfigs.{GROUP}": "v1alpha1",
    f"servicemonitors.{GROUP}": "v1",
}
# What a release defines beside that.
DEFINITIONS = (
    *NEEDED,
    *(f"{plural}.{GROUP}" for plural in ("alertmanagerconfigs", "prometheusagents", "thanosrulers")),
)
# The first that gives Prometheus 3 no flag that it does not have any more, and knows the fields enableServiceLinks,
# serviceName and terminationGracePeriodSeconds of Prometheus and Alertmanager.
OLDEST: Version = (0, 82, 0)

VERSION_ANNOTATION = "operator.prometheus.io/version"
BUNDLE_ANNOTATION = workload.CHECKSUM_ANNOTATION + "bundle"
SPEC_ANNOTATION = workload.CHECKSUM_ANNOTATION + "spec"
# Several observers in a cluster share the definitions, so they are no instance's.
DEFINITION_LABELS = {"app.kubernetes.io/managed-by": workload.MANAGED_BY, "app.kubernetes.io/part-of": workload.PART_OF}

_READ = ["get", "list", "watch"]
_RULES: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
    (GROUP, ["prometheuses", "alertmanagers"], [*_READ, "update", "patch"]),
    (GROUP, ["prometheuses/status", "alertmanagers/status"], ["get", "update", "patch"]),
    # Where owners may only block the deletion of what they could finalize.
    (GROUP, ["prometheuses/finalizers", "alertmanagers/finalizers"], ["update"]),
    (
        GROUP,
        ["alertmanagerconfigs", "podmonitors", "probes", "prometheusrules", "scrapeconfigs", "servicemonitors"],
        _READ,
    ),
    ("apps", ["statefulsets"], [*_READ, "create", "update", "patch", "delete"]),
    # It writes configurations and rules into them, and reads what these refer to.
    ("", ["configmaps", "secrets"], [*_READ, "create", "update", "patch", "delete"]),
    ("", ["services"], ["get", "create", "update", "delete"]),
    ("", ["services/finalizers"], ["update"]),
    ("", ["pods"], ["list"]),
)
_IMAGE = re.compile(r"(?P<repository>[^@]+?)(:(?P<tag>[^:/@]+))?(@.+)?")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?![\d.])")
# Of the operator: it looks at objects with certain labels or annotations only.
_SELECTING = ("controller-id", "prometheus-instance-selector", "alertmanager-instance-selector")


# The released bundle


@dataclass(frozen=True)
class Bundle:
    """The definitions of a release as they are in it, by name, and its version."""

    definitions: Mapping[str, Manifest]
    version: Version


def checksum_of(content: bytes) -> str:
    """Return the checksum of a bundle as it is given and shown."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def bundle_of(content: bytes) -> Bundle:
    """Read a released bundle; InputError for what is none."""
    import yaml  # noqa: PLC0415 - not needed while the definitions are as they should be

    class Loader(safe_loader()):  # type: ignore[misc]
        """Plain = is a text, as it is to Kubernetes: among the operators that a matcher may have."""

    Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))
    try:
        documents = [item for item in yaml.load_all(content, Loader=Loader) if isinstance(item, dict)]
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {error}", parameter="bundle") from error
    definitions = {
        item["metadata"]["name"]: item
        for item in documents
        if item.get("kind") == "CustomResourceDefinition" and item["spec"]["group"] == GROUP
    }
    problems = [f"lacks {name}" for name in sorted(set(NEEDED) - set(definitions))]
    problems += [reason for name, item in definitions.items() if (reason := unserved(name, item))]
    versions = {version for item in definitions.values() if (version := definition_version(item))}
    if not problems and len(versions) != 1:
        problems.append(f"has definitions of {len(versions)} releases")
    if not problems and min(versions) < OLDEST:
        problems.append(f"is of {text_of(min(versions))}, and {text_of(OLDEST)} is the oldest that works")
    if problems:
        raise InputError(
            f"is not a bundle of the Prometheus Operator that works: {'; '.join(problems)}", parameter="bundle"
        )
    return Bundle(definitions, min(versions))


def definition(manifest: Mapping[str, Any], checksum: str, live_spec: Mapping[str, Any] | None = None) -> Manifest:
    """A definition of a release as it is applied.

    ``live_spec`` is what the API server makes of its spec, from a dry run: by its checksum a later run sees, without
    the bundle, that nobody has changed it.
    """
    given = manifest["metadata"]
    annotations = {**(given.get("annotations") or {}), BUNDLE_ANNOTATION: checksum}
    if live_spec is not None:
        annotations[SPEC_ANNOTATION] = workload.checksum(live_spec)
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {
            "name": given["name"],
            "labels": {**(given.get("labels") or {}), **DEFINITION_LABELS},
            "annotations": annotations,
        },
        "spec": manifest["spec"],
    }


def is_current(live: Mapping[str, Any], checksum: str) -> bool:
    """Tell whether a live definition is that of the bundle with this checksum, and nobody has changed its spec."""
    annotations = live["metadata"].get("annotations") or {}
    return bool(
        annotations.get(BUNDLE_ANNOTATION) == checksum
        and annotations.get(SPEC_ANNOTATION) == workload.checksum(live["spec"])
        and not live["metadata"].get("deletionTimestamp")
    )


def is_ours(live: Mapping[str, Any]) -> bool:
    """Tell whether a live definition is one that this collection has made."""
    return DEFINITION_LABELS.items() <= (live["metadata"].get("labels") or {}).items()


def unserved(name: str, live: Mapping[str, Any]) -> str:
    """Say why a definition does not serve the version that is needed; empty when it does."""
    served = [version["name"] for version in live["spec"].get("versions") or [] if version.get("served")]
    needed = NEEDED.get(name)
    if needed is None or needed in served:
        return ""
    return f"{name} is served as {', '.join(served) or 'nothing'}, not as {needed}"


def definition_version(live: Mapping[str, Any]) -> Version | None:
    """Return the release that a definition comes from, None when it does not say."""
    return version_of((live["metadata"].get("annotations") or {}).get(VERSION_ANNOTATION, ""))


def scrape_config_fields(definitions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what the spec of a ScrapeConfig may have, of definitions by name; nothing where they do not tell."""
    name = f"scrapeconfigs.{GROUP}"
    versions = definitions.get(name, {}).get("spec", {}).get("versions") or []
    schemas = [item.get("schema", {}).get("openAPIV3Schema", {}) for item in versions if item["name"] == NEEDED[name]]
    return sorted(
        field for schema in schemas for field in schema.get("properties", {}).get("spec", {}).get("properties", {})
    )


def shown(manifest: Mapping[str, Any]) -> Manifest:
    """A definition as a diff shows it: schemas of some hundred thousand characters by their checksum."""
    spec = dict(manifest["spec"])
    spec["versions"] = [
        {**version, "schema": f"sha256:{workload.checksum(version['schema'])}"} if "schema" in version else version
        for version in spec.get("versions") or []
    ]
    return {**manifest, "spec": spec}


# Operators that are there


@dataclass(frozen=True)
class Operator:
    """A Deployment of the Prometheus Operator, and whether it looks at the namespace in question.

    ``version`` is None when it does not tell. ``doubt`` says why it is not clear whether it can be used there.
    """

    namespace: str
    name: str
    version: Version | None
    watches: bool
    doubt: str = ""

    def __str__(self) -> str:
        return f"Deployment {self.namespace}/{self.name}"


def operators(deployments: Iterable[Mapping[str, Any]], namespace: str) -> list[Operator]:
    """Return those Deployments that run the Prometheus Operator, whoever made them."""
    found = []
    for deployment in deployments:
        template = deployment["spec"]["template"]
        for container in template["spec"]["containers"]:
            match = _IMAGE.fullmatch(container.get("image") or "")
            if match is None or not match["repository"].endswith(NAME):
                continue
            labels = {**(deployment["metadata"].get("labels") or {}), **(template["metadata"].get("labels") or {})}
            watches, doubt = _watches(_flags(container), namespace)
            found.append(
                Operator(
                    deployment["metadata"]["namespace"],
                    deployment["metadata"]["name"],
                    version_of(match["tag"] or "") or version_of(labels.get("app.kubernetes.io/version", "")),
                    watches,
                    doubt,
                )
            )
    return found


def unusable(operator: Operator) -> str:
    """Say why an operator that looks at the namespace cannot be used there; empty when it can."""
    if operator.doubt:
        return operator.doubt
    if operator.version is None:
        return "neither its image's tag nor its label app.kubernetes.io/version tells its version"
    if operator.version < OLDEST:
        return f"is {text_of(operator.version)}, and {text_of(OLDEST)} is the oldest that works"
    return ""


def _flags(container: Mapping[str, Any]) -> dict[str, str]:
    """The flags of a Go program by name; in place of a variable what the container sets it to, if it does so here."""
    variables = {item["name"]: item.get("value") for item in container.get("env") or []}
    words = [
        re.sub(r"\$\((\w+)\)", lambda match: variables.get(match[1]) or match[0], str(word))
        for word in [*(container.get("command") or []), *(container.get("args") or [])]
    ]
    flags: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], "-"], strict=False):
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            flags[name] = value if equals or following.startswith("-") else following
    return flags


def _watches(flags: Mapping[str, str], namespace: str) -> tuple[bool, str]:
    """Whether an operator looks at a namespace, and if so, what is doubtful about it."""
    names = ("namespaces", "deny-namespaces", "prometheus-instance-namespaces", "alertmanager-instance-namespaces")
    unclear = sorted(f"--{name}" for name in names if "$(" in flags.get(name, ""))
    if unclear:
        return True, f"it takes {', '.join(unclear)} from elsewhere"
    lists = {name: {item.strip() for item in flags.get(name, "").split(",") if item.strip()} for name in names}
    everything = namespace in lists["namespaces"] if lists["namespaces"] else namespace not in lists["deny-namespaces"]
    instances = {
        kind: namespace in allowed if (allowed := lists[f"{kind.lower()}-instance-namespaces"]) else everything
        for kind in ("Prometheus", "Alertmanager")
    }
    if not any(instances.values()):
        return False, ""
    missing = [kind for kind, seen in instances.items() if not seen]
    if not everything:
        missing.append("what configures them")
    selecting = [f"--{name}={flags[name]}" for name in _SELECTING if flags.get(name)]
    if missing:
        return True, f"it looks at the namespace, but there not at {' and '.join(missing)}"
    return True, f"it looks only at objects that it selects by {', '.join(selecting)}" if selecting else ""


def version_of(text: str) -> Version | None:
    """Return the version that a tag, label or annotation begins with, None when there is none."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def image_version(image: str) -> Version | None:
    """Return the version that an image's tag tells, None without."""
    match = _IMAGE.fullmatch(image)
    return version_of((match["tag"] if match else None) or "")


def text_of(version: Version) -> str:
    return ".".join(map(str, version))


# Our own


@dataclass(frozen=True)
class Settings:
    """What is wanted of our operator. ``reloader_resources`` are those of a container beside Prometheus' and
    Alertmanager's, None for the operator's own idea of them."""

    namespace: str
    image: str
    reloader_image: str
    resources: Mapping[str, Any] | None
    reloader_resources: Mapping[str, Mapping[str, str]] | None
    placement: Mapping[str, Any]


def labels() -> dict[str, str]:
    return workload.labels(name=NAME, instance=NAME, component="controller")


def objects(settings: Settings) -> list[Manifest]:
    """Everything in the namespace; the definitions come before it."""
    namespace, object_labels = settings.namespace, labels()
    container = workload.container(
        NAME,
        settings.image,
        args=_arguments(settings),
        ports={"http": PORT},
        # As released: its memory is mostly caches of what it watches.
        env=[{"name": "GOGC", "value": "30"}],
        readiness=workload.http_probe("/healthz", "http", period_seconds=5, failure_threshold=3),
        liveness=workload.http_probe("/healthz", "http", period_seconds=15, failure_threshold=4),
        resources=settings.resources,
    )
    template = workload.pod_template(
        object_labels,
        [container],
        user=USER,
        service_account_name=NAME,
        service_account_token=True,
        **settings.placement,
    )
    return [
        workload.service_account(NAME, namespace, object_labels),
        rbac.role(NAME, namespace, object_labels, _rules(namespace)),
        rbac.role_binding(NAME, namespace, namespace, object_labels),
        # It elects no leader: two of them would undo each other's work.
        workload.deployment(NAME, namespace, object_labels, template=template, strategy={"type": "Recreate"}),
        workload.service(NAME, namespace, object_labels, ports={"http": PORT}),
        workload.service_monitor(NAME, namespace, object_labels, port="http"),
    ]


def _arguments(settings: Settings) -> list[str]:
    arguments = [f"--namespaces={settings.namespace}", f"--prometheus-config-reloader={settings.reloader_image}"]
    if settings.reloader_resources is not None:
        # Without a value it would set one of its own; 0 is none.
        arguments += [
            f"--config-reloader-{what}-{kind}={settings.reloader_resources.get(f'{kind}s', {}).get(what, '0')}"
            for kind in ("request", "limit")
            for what in ("cpu", "memory")
        ]
    return arguments


def _rules(namespace: str) -> list[Manifest]:
    rules = [{"apiGroups": [group], "resources": [*what], "verbs": [*verbs]} for group, what, verbs in _RULES]
    # Its own namespace, the labels of which decide about AlertmanagerConfigs
    return [
        *rules,
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["get"]},
    ]
