# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a cluster has room for pods: what nodes have free, from nodes and pods as the API shows them. Pure.

What is told as a problem cannot work. That something is not told does not mean that the scheduler finds a place:
affinity is not looked at, nor how pods share the nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.scs.observability.plugins.module_utils._core import names
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._core.names import quantity_number
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import conditions_of

Manifest = Mapping[str, Any]

_KEEPS_AWAY = ("NoSchedule", "NoExecute")
# A sum of many floats may differ from what it should be by this.
_TOLERANCE = 1e-6


class Amount(NamedTuple):
    """Cores, bytes of memory and pods."""

    cpu: float = 0.0
    memory: float = 0.0
    pods: float = 0.0

    def plus(self, other: Amount, times: float = 1) -> Amount:
        return Amount(*(mine + times * its for mine, its in zip(self, other, strict=True)))

    def more_than(self, other: Amount) -> list[str]:
        """Return of what this is more, in words: "3.20 of 1.50 CPU"."""
        words = (
            f"{self.cpu:.2f} of {other.cpu:.2f} CPU",
            f"{_gib(self.memory)} of {_gib(other.memory)} GiB of memory",
            f"{self.pods:.0f} of {other.pods:.0f} pods",
        )
        return [
            text for text, mine, its in zip(words, self, other, strict=True) if mine > max(its, 0.0) * (1 + _TOLERANCE)
        ]


@dataclass(frozen=True)
class WantedPod:
    """Pods that are to run: each asks for ``request``; ``replicas`` do not count for one on every node."""

    name: str
    request: Amount
    replicas: int = 1
    every_node: bool = False
    host_access: bool = False
    """It uses the node's network, files or processes, which the stricter Pod Security levels do not allow."""
    host_ports: tuple[int, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> WantedPod:
        """Return what an element of the parameter ``pods`` says. Raises InputError."""
        name, parameter = str(given.get("name") or ""), f"pods[{given.get('name') or ''}]"
        replicas = given.get("replicas")
        replicas = 1 if replicas is None else int(replicas)
        if not name or replicas < 0:
            raise InputError("needs a name, and replicas that are not negative", parameter=parameter)
        requests = names.resources({"requests": given.get("requests") or {}}, parameter)["requests"]
        cpu, memory = (quantity_number(requests.get(what, 0)) for what in ("cpu", "memory"))
        ports = tuple(given.get("host_ports") or ())
        return cls(
            name,
            Amount(cpu, memory, 1),
            replicas,
            every_node=bool(given.get("every_node")),
            host_access=bool(given.get("host_access")),
            host_ports=ports,
        )


@dataclass(frozen=True)
class Room:
    """What each node has free that pods may run on, and why they may not on the others."""

    free: Mapping[str, Amount] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Amount:
        total = Amount()
        for amount in self.free.values():
            # A node that is overcommitted takes nothing away from the others.
            total = total.plus(Amount(*(max(part, 0.0) for part in amount)))
        return total


def room(
    nodes: Iterable[Manifest],
    pods: Iterable[Manifest],
    namespace: str,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Sequence[Manifest] = (),
) -> Room:
    """Return what is free for pods in ``namespace``. The pods that are there already do not count: they are ours."""
    used: dict[str, Amount] = {}
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        if node and pod["metadata"].get("namespace") != namespace and not _is_over(pod):
            used[node] = used.get(node, Amount()).plus(request_of(pod["spec"]))
    free, unusable = {}, {}
    for node in nodes:
        name = node["metadata"]["name"]
        reason = unusable_reason(node, node_selector or {}, tolerations)
        if reason:
            unusable[name] = reason
        else:
            free[name] = _allocatable(node).plus(used.get(name, Amount()), -1)
    return Room(free, unusable)


def unusable_reason(node: Manifest, node_selector: Mapping[str, str], tolerations: Sequence[Manifest]) -> str | None:
    """Return why no pod of ours comes to a node, None when it may."""
    spec, labels = node.get("spec") or {}, node["metadata"].get("labels") or {}
    if conditions_of(node).get("Ready", {}).get("status") != "True":
        return "is not Ready"
    if spec.get("unschedulable"):
        return "is cordoned"
    lacking = [f"{key}={value}" for key, value in node_selector.items() if labels.get(key) != value]
    if lacking:
        return f"has no label {', '.join(lacking)}"
    for taint in spec.get("taints") or []:
        if taint.get("effect") in _KEEPS_AWAY and not any(_tolerates(item, taint) for item in tolerations):
            return f"has the taint {taint['key']}={taint.get('value', '')}:{taint['effect']}"
    return None


def problems(there: Room, wanted: Sequence[WantedPod]) -> list[ObservabilityError]:
    """Return what makes it impossible that all wanted pods run."""
    if not wanted:
        return []
    if not there.free:
        reasons = "; ".join(f"{name} {reason}" for name, reason in sorted(there.unusable.items())) or "there is none"
        return [
            ObservabilityError(
                f"no node takes pods: {reasons}",
                parameter="node_selector",
                advice="Bring nodes back, or choose others with node_selector and tolerations",
            )
        ]
    found = []
    asked = total_of(wanted, len(there.free))
    lacking = asked.more_than(there.total)
    if lacking:
        found.append(
            ObservabilityError(
                f"the pods ask for more than {len(there.free)} nodes have free: {', '.join(lacking)}",
                parameter="pods",
                advice="Add nodes, or ask for less",
            )
        )
    for pod in wanted:
        refused = [pod.request.more_than(amount) for amount in there.free.values()]
        if all(refused) and not pod.every_node and pod.replicas:
            largest = min(refused, key=len)
            found.append(
                ObservabilityError(
                    f"{pod.name} asks for more than any single node has free: {', '.join(largest)}",
                    parameter="pods",
                    advice="Add a larger node, or ask for less",
                )
            )
    return found


def total_of(wanted: Iterable[WantedPod], nodes: int) -> Amount:
    total = Amount()
    for pod in wanted:
        total = total.plus(pod.request, nodes if pod.every_node else pod.replicas)
    return total


def port_problems(
    pods: Iterable[Manifest], namespace: str, wanted: Iterable[WantedPod], nodes: Iterable[str]
) -> list[ObservabilityError]:
    """Return which ports of nodes that ours are to listen on are others' already."""
    ports = {port for pod in wanted for port in pod.host_ports}
    usable = set(nodes)
    taken: dict[int, list[str]] = {}
    for pod in pods:
        spec, where = pod.get("spec") or {}, pod["metadata"].get("namespace")
        if where == namespace or spec.get("nodeName") not in usable or _is_over(pod):
            continue
        for container in spec.get("containers") or []:
            for item in container.get("ports") or []:
                port = item.get("hostPort") or (item.get("containerPort") if spec.get("hostNetwork") else None)
                if port in ports:
                    taken.setdefault(port, []).append(f"{where}/{pod['metadata']['name']} on {spec['nodeName']}")
    return [
        ObservabilityError(
            f"port {port} of nodes is taken by {', '.join(sorted(holders))}",
            parameter="pods",
            advice="Remove that, or leave the part that needs the port out",
        )
        for port, holders in sorted(taken.items())
    ]


def request_of(spec: Manifest) -> Amount:
    """Return what the scheduler reserves for a pod: the larger of its containers and of what starts before them."""
    beside, before = Amount(), Amount()
    for container in spec.get("initContainers") or []:
        request = _requests(container)
        if container.get("restartPolicy") == "Always":
            beside = beside.plus(request)
            before = _larger(before, beside)
        else:
            before = _larger(before, beside.plus(request))
    running = beside
    for container in spec.get("containers") or []:
        running = running.plus(_requests(container))
    amount = _larger(running, before)
    whole = _requests(spec)
    amount = Amount(whole.cpu or amount.cpu, whole.memory or amount.memory)
    overhead = spec.get("overhead") or {}
    return amount.plus(Amount(_number(overhead.get("cpu")), _number(overhead.get("memory")), 1))


def _requests(container: Manifest) -> Amount:
    requests = (container.get("resources") or {}).get("requests") or {}
    return Amount(_number(requests.get("cpu")), _number(requests.get("memory")))


def _allocatable(node: Manifest) -> Amount:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return Amount(*(_number(allocatable.get(what)) for what in ("cpu", "memory", "pods")))


def _number(quantity: object) -> float:
    return quantity_number(quantity) if quantity else 0.0


def _larger(one: Amount, other: Amount) -> Amount:
    return Amount(*(max(pair) for pair in zip(one, other, strict=True)))


def _is_over(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _tolerates(toleration: Manifest, taint: Manifest) -> bool:
    key, effect = toleration.get("key"), toleration.get("effect")
    if effect and effect != taint.get("effect"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return not key or key == taint.get("key")
    return key == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _gib(amount: float) -> str:
    return f"{amount / 2**30:.1f}"
