# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What KinD (Kubernetes in Docker) is asked for: its configuration and its commands. Pure.

Imports nothing of the collection, so that the lab can use it from the checkout.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# KinD puts the cluster's name, and the node's role, onto the containers that are its nodes.
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Port:
    """A port of the node that is reached through one of the host."""

    node_port: int
    host_port: int
    listen_address: str = LOOPBACK
    protocol: str = "TCP"

    def mapping(self) -> dict[str, Any]:
        return {
            "containerPort": self.node_port,
            "hostPort": self.host_port,
            "listenAddress": self.listen_address,
            "protocol": self.protocol,
        }

    def __str__(self) -> str:
        return f"{self.listen_address}:{self.host_port} -> {self.node_port}/{self.protocol}"


@dataclass(frozen=True)
class ApiServer:
    """Where the API server listens on the host (0: a port that is free), and names that its certificate is to have."""

    address: str = LOOPBACK
    port: int = 0
    names: tuple[str, ...] = ()


def configuration(
    name: str,
    image: str = "",
    ports: Iterable[Port] = (),
    *,
    workers: int = 0,
    api_server: ApiServer | None = None,
    base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return KinD's configuration: one control plane, on which ``ports`` are, and ``workers``.

    ``base`` is what a node image or an operator asks for beside that. Without ``image`` it is KinD's own choice.
    """
    config = dict(base or {})
    if api_server is not None:
        config["networking"] = {
            **(config.get("networking") or {}),
            "apiServerAddress": api_server.address,
            **({"apiServerPort": api_server.port} if api_server.port else {}),
        }
        if api_server.names:
            config["kubeadmConfigPatches"] = [*(config.get("kubeadmConfigPatches") or []), _names_patch(api_server)]
    of_image = {"image": image} if image else {}
    node: dict[str, Any] = {"role": "control-plane", **of_image}
    mappings = [port.mapping() for port in ports]
    if mappings:
        node["extraPortMappings"] = mappings
    nodes = [node, *({"role": "worker", **of_image} for _number in range(workers))]
    return {**config, "kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": name, "nodes": nodes}


def _names_patch(api_server: ApiServer) -> str:
    # It replaces KinD's own list, which has these two.
    names = dict.fromkeys(("localhost", api_server.address, *api_server.names))
    return json.dumps({"kind": "ClusterConfiguration", "apiServer": {"certSANs": list(names)}})


def create_command(kind: str, config: str, kubeconfig: str) -> list[str]:
    """Return the command that makes a cluster; ``config`` is a file, or "-" for standard input.

    When it fails the nodes stay, so that they can be asked why.
    """
    return [kind, "create", "cluster", "--config", config, "--kubeconfig", kubeconfig, "--retain"]


def kubeconfig_command(kind: str, name: str) -> list[str]:
    return [kind, "get", "kubeconfig", "--name", name]


def remove_arguments(nodes: Sequence[str]) -> list[str]:
    """Return the arguments of docker that remove nodes with their volumes. KinD itself does nothing else."""
    return ["rm", "--force", "--volumes", *nodes]


def context_of(name: str) -> str:
    """Return how KinD calls a cluster in kubeconfigs."""
    return f"kind-{name}"
