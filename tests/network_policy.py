# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster's network makes of NetworkPolicies, for tests: who gets through to whom. The lab's enforces none.

After Kubernetes' documentation: policies that select a pod isolate it, what any of them allows is allowed, and both
ends have to allow it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """A pod (with labels) or something else (without a namespace), by its address."""

    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.0.0.1"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


def allowed(policies: Iterable[Policy], client: End, server: End, port: int, protocol: str = "TCP") -> bool:
    """Tell whether a connection of the client to a port (number) of the server gets through."""
    every = list(policies)
    ends = (("Egress", "to", client, server), ("Ingress", "from", server, client))
    return all(
        _one_end(
            [policy for policy in every if _selects(policy, pod, direction)],
            (direction.lower(), peers),
            other,
            (port, protocol),
        )
        for direction, peers, pod, other in ends
    )


def _one_end(isolating: list[Policy], fields: tuple[str, str], other: End, at: tuple[int, str]) -> bool:
    rules, peers = fields
    return not isolating or any(
        _port(rule, *at) and (not rule.get(peers) or any(_peer(peer, policy, other) for peer in rule[peers]))
        for policy in isolating
        for rule in policy["spec"].get(rules) or []
    )


def _selects(policy: Policy, pod: End, direction: str) -> bool:
    return (
        pod.namespace == policy["metadata"]["namespace"]
        and direction in policy["spec"]["policyTypes"]
        and _labels(policy["spec"]["podSelector"], pod.labels)
    )


def _labels(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if selector.keys() - {"matchLabels"}:
        raise NotImplementedError(f"selectors with {', '.join(selector)}")
    return (selector.get("matchLabels") or {}).items() <= labels.items()


def _port(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any((item["port"], item.get("protocol", "TCP")) == (port, protocol) for item in ports)


def _peer(peer: Mapping[str, Any], policy: Policy, other: End) -> bool:
    if "ipBlock" in peer:
        return ipaddress.ip_address(other.address) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if other.namespace is None:
        return False
    if "namespaceSelector" in peer:
        there = _labels(peer["namespaceSelector"], other.namespace_labels)
    else:
        there = other.namespace == policy["metadata"]["namespace"]
    return there and _labels(peer.get("podSelector") or {}, other.labels)
