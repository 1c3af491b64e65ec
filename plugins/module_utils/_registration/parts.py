# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registration puts into the KaaS cluster, as one list: to make it, to wait for it, to remove it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

with suppress(ImportError):  # reported where kubeconfigs are read, before anything gets here
    import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    INSTANCE_LABEL,
    ObjectKey,
    identity,
    is_ours,
    labels_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import plan_removal
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    blackbox_exporter,
    collection_profile,
    kube_state_metrics,
    node_exporter,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.agent import Agent, Target
from ansible_collections.scs.observability.plugins.module_utils._manifests.blackbox_exporter import BlackboxExporter
from ansible_collections.scs.observability.plugins.module_utils._manifests.collected import Collected
from ansible_collections.scs.observability.plugins.module_utils._manifests.kube_state_metrics import KubeStateMetrics
from ansible_collections.scs.observability.plugins.module_utils._manifests.node_exporter import NodeExporter
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import Settings

Manifest = dict[str, Any]

# What is in other namespaces, too: wherever something is scraped
ROLE_KINDS: tuple[tuple[str, str], ...] = (
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)
# Every kind of the objects below but the Namespace, which others may use too.
KINDS: tuple[tuple[str, str], ...] = (
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    *ROLE_KINDS,
)

# In a cluster may be objects of a component of an observer that has the cluster's name.
_OF_AGENT = {"app.kubernetes.io/component": "agent"}
BINDING = ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", agent.NAME)

# Kinds of what is in the namespace of node-exporter
NODE_KINDS: tuple[tuple[str, str], ...] = (("v1", "ServiceAccount"), ("apps/v1", "DaemonSet"))

_POD_SECURITY = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True)
class Installed:
    """The agent that a KaaS cluster has: its registration's name, its namespace and whose it is."""

    name: str
    namespace: str
    observers: tuple[str, ...] = ()

    def other_observer(self, owner: str) -> InputError | None:
        """What speaks against touching it: it says that others than ``owner`` have it."""
        if not self.observers or owner in self.observers:
            return None
        found = ", ".join(self.observers)
        return InputError(
            f"the cluster has the agent of another observer: {self.name!r} of {found}, in the namespace "
            f"{self.namespace!r}; this observer is {owner}",
            parameter="kubeconfig",
            advice="Take the cluster off board there (state: absent)",
            details={"found_observer": found, "observer": owner},
        )

    def without(self, owner: str, company: Company) -> tuple[str, ...]:
        """Whose it is when ``owner`` has left, after those who did before."""
        return tuple(observer for observer in self.observers if observer not in (owner, *company.leaving))

    def is_of(self, observers: Collection[str]) -> bool:
        """Tell whether all whose it is are among ``observers``."""
        return bool(self.observers) and set(self.observers) <= set(observers)

    def left_out(self, owner: str, company: Company) -> InputError | None:
        """What speaks against it that it belongs to ``owner`` and ``company`` alone: it has others now."""
        others = [observer for observer in self.observers if observer != owner and observer not in company.observers]
        if not others:
            return None
        if owner not in self.observers and not company.observers:
            return self.other_observer(owner)
        found = ", ".join(others)
        return InputError(
            f"the agent {self.name!r} of this cluster writes to an observer that is not named: {found}",
            parameter="additional_observers",
            advice="Name it, or take the cluster off board there (state: absent)",
            details={"found_observer": found, "observer": owner},
        )


def installed(binding: Mapping[str, Any] | None) -> Installed | None:
    """Read it from the agent's cluster role binding, of which a cluster has one, whatever else differs."""
    if binding is None or not is_ours(binding):
        return None
    annotations = binding["metadata"].get("annotations") or {}
    subjects = binding.get("subjects") or [{}]
    return Installed(
        name=labels_of(binding).get(INSTANCE_LABEL, ""),
        namespace=subjects[0].get("namespace", ""),
        observers=tuple(filter(None, annotations.get(agent.OBSERVER_ANNOTATION, "").split(agent.OBSERVER_SEPARATOR))),
    )


@dataclass(frozen=True)
class Run:
    """What a run changes at its observer and in the KaaS cluster, and as what the agent then writes to it."""

    observer: Plan
    kaas: Plan
    target: Target | None = None


@dataclass(frozen=True)
class Company:
    """The other observers that a cluster's agent belongs to, for a run at one of them (each as in OBSERVER_ANNOTATION).

    It goes on writing to ``observers`` but for those that are ``leaving``, or have left by runs before. Check mode
    takes ``presumed`` for done by such. Each run adds itself to ``runs``.
    """

    observers: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    presumed: tuple[Target, ...] = ()
    runs: list[Run] = field(default_factory=list, compare=False)


def written_to(
    found: Installed | None, secrets: Sequence[Mapping[str, Any] | None], config_map: Mapping[str, Any] | None
) -> list[Target]:
    """The observers that an agent writes to: by its Secrets (those in IDENTITY_SECRETS) whose each is, by its
    configuration where it is.
    """
    urls = {item.get("name"): item.get("url", "") for item in loaded(config_map).get("remote_write") or ()}
    result = []
    for place, secret in enumerate(secrets):
        if secret is not None:
            annotations = secret["metadata"].get("annotations") or {}
            # One that was made before Secrets said whose they are is of the only observer there was.
            owner = annotations.get(agent.OBSERVER_ANNOTATION) or "".join((found.observers if found else ())[:1])
            target = Target(place, "", owner, secret["metadata"].get("creationTimestamp", ""))
            result.append(replace(target, url=str(urls.get(target.name) or "")))
    return result


def placed(targets: Sequence[Target], owner: str, company: Company, url: str) -> tuple[Target, tuple[Target, ...]]:
    """What of ``targets`` is that of ``owner``, a new one if it has none, and which others stay.

    Raises InputError when there are more than an agent has places for.
    """
    since = {target.observer: target.since for target in targets}
    presumed = [replace(target, since=since.get(target.observer, "")) for target in company.presumed]
    known = {target.observer: target for target in (*targets, *presumed)}
    others = [target for target in known.values() if target.observer in company.observers]
    own = next((target for target in targets if target.observer in (owner, "")), None)
    if own is None:
        taken = {target.place for target in others}
        place = next((place for place in range(len(agent.IDENTITY_SECRETS)) if place not in taken), None)
        if place is None:
            raise InputError(
                f"an agent writes to at most {len(agent.IDENTITY_SECRETS)} observers",
                parameter="additional_observers",
                advice="Take the cluster off board at one of them first (state: absent)",
            )
        # What is there is another's, which goes.
        own = Target(place, url, since=next((target.since for target in targets if target.place == place), ""))
    # Where one writes is not known when its part of the configuration is gone; a run at it brings it back.
    stay = tuple(target for target in others if target.url and target.observer not in company.leaving)
    return replace(own, url=url, observer=owner), stay


def is_secret_of(targets: Collection[Target], manifest: Mapping[str, Any]) -> bool:
    """Tell whether an object is the Secret with the certificate of one of ``targets``."""
    return manifest["kind"] == "Secret" and manifest["metadata"]["name"] in {target.secret for target in targets}


def loaded(config_map: Mapping[str, Any] | None) -> dict[str, Any]:
    """The agent's configuration as it is; empty when there is none that can be read."""
    text = ((config_map or {}).get("data") or {}).get(agent.CONFIGURATION_FILE, "")
    with suppress(yaml.YAMLError):
        content = yaml.load(text, Loader=safe_loader())  # noqa: S506
        if isinstance(content, dict):
            return content
    return {}


def objects_without(
    found: Installed, owner: str, stay: Collection[Target], config_map: Mapping[str, Any] | None
) -> list[Manifest]:
    """What changes but for Secrets when an agent is to write no more to ``owner``, and goes on to those that stay."""
    result = [agent.binding(found.name, found.namespace, [item for item in found.observers if item != owner])]
    content = loaded(config_map)
    if content:
        names = {target.name for target in stay}
        kept = [item for item in content.get("remote_write") or () if item.get("name") in names]
        result.append(agent.config_map(found.name, found.namespace, {**content, "remote_write": kept}))
    return result


def agent_of(
    settings: Settings,
    own: Target | None = None,
    others: tuple[Target, ...] = (),
    collected: Collected | None = None,
) -> Agent:
    """The agent as it is wanted; whom it writes to does not matter for its labels and for where its log is."""
    own = own or Target(0, settings.remote_write_url)
    return Agent(
        instance=settings.name,
        namespace=settings.namespace,
        remote_write_url=settings.remote_write_url,
        scrape_interval=settings.scrape_interval,
        profile=settings.profile,
        kubelet_insecure_skip_verify=settings.kubelet_insecure_skip_verify,
        node_exporter_port=settings.node_exporter_port,
        image=settings.images["agent"],
        resources=settings.resources["agent"],
        observer=own.observer,
        place=own.place,
        since=own.since,
        others=others,
        collected=collected or Collected(),
    )


def identity_labels(settings: Settings) -> dict[str, str]:
    """Labels of the Secret with the agent's certificate."""
    return agent_of(settings).labels


def objects(
    settings: Settings,
    live_namespace: Mapping[str, Any] | None,
    own: Target,
    others: tuple[Target, ...] = (),
    *,
    collected: Collected | None = None,
    live_node_namespace: Mapping[str, Any] | None = None,
) -> list[Manifest]:
    """Everything in the KaaS cluster but the Secrets with certificates.

    A namespace that somebody else made is used as it is: with our label on it, it would be removed some day.
    """
    result: list[Manifest] = []
    collected = collected or Collected()
    node_namespace = node_exporter.namespace_of(settings.namespace)
    for name, live, level in (
        (settings.namespace, live_namespace, "restricted"),
        (node_namespace, live_node_namespace, "privileged"),
    ):
        if live is None or is_ours(live):
            namespace = workload.namespace(name)
            # Said, because a cluster may enforce another level where nothing is said.
            namespace["metadata"]["labels"][_POD_SECURITY] = level
            result.append(namespace)
    return [
        *result,
        *agent.objects(agent_of(settings, own, others, collected)),
        *kube_state_metrics.objects(
            KubeStateMetrics(
                instance=settings.name,
                namespace=settings.namespace,
                profile=settings.profile,
                extra_series=collected.extra_series.get(collection_profile.KUBE_STATE_METRICS, ()),
                image=settings.images["kube_state_metrics"],
                resources=settings.resources["kube_state_metrics"],
            )
        ),
        *node_exporter.objects(
            NodeExporter(
                instance=settings.name,
                namespace=node_namespace,
                port=settings.node_exporter_port,
                image=settings.images["node_exporter"],
                resources=settings.resources["node_exporter"],
            )
        ),
        *blackbox_exporter.objects(
            BlackboxExporter(
                instance=settings.name,
                namespace=settings.namespace,
                endpoints=collected.endpoints,
                image=settings.images["blackbox_exporter"],
                resources=settings.resources["blackbox_exporter"],
            )
        ),
    ]


def roles_elsewhere(
    client: KubernetesClient, name: str, namespace: str, wanted: Sequence[Mapping[str, Any]] = ()
) -> Plan:
    """The removal of what agents may in other namespaces than ``namespace``, where it is not ``wanted`` any more."""
    keys = {identity(item) for item in wanted}

    def stays(item: Mapping[str, Any]) -> bool:
        return identity(item) in keys or item["metadata"].get("namespace") == namespace

    return plan_removal(client, {**workload.owner(name), **_OF_AGENT}, "", ROLE_KINDS, keep=stays)


def workloads(manifests: Sequence[Mapping[str, Any]]) -> tuple[list[ObjectKey], list[ObjectKey]]:
    """What to wait for: the agent, and what it scrapes."""
    keys = [identity(item) for item in manifests if item["kind"] in ("Deployment", "DaemonSet")]
    return [key for key in keys if key.name == agent.NAME], [key for key in keys if key.name != agent.NAME]


def names(name: str, namespace: str) -> list[str]:
    """All of it by title, for when the cluster cannot be looked at: "v1 Secret scs-observability/…"."""
    agent_, node_namespace = Agent(name, namespace, ""), node_exporter.namespace_of(namespace)
    manifests = [
        workload.namespace(namespace),
        workload.namespace(node_namespace),
        *agent.objects(agent_),
        *kube_state_metrics.objects(KubeStateMetrics(name, namespace)),
        *node_exporter.objects(NodeExporter(name, node_namespace)),
    ]
    secret = ObjectKey("v1", "Secret", namespace, agent.IDENTITY_SECRET)
    return sorted(str(key) for key in (*(identity(item) for item in manifests), secret))
