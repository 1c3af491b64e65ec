# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's KinD clusters: made, brought back after the engine was stopped, or rebuilt when they do not come back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab import containers
from lab.containers import Container
from lab.network import Network
from lab.state import OBSERVER, Lab, LabError, write_atomically
from plugins.module_utils._kind.configuration import CLUSTER_LABEL as KIND_LABEL
from plugins.module_utils._kind.configuration import (
    Port,
    configuration,
    create_command,
    kubeconfig_command,
    remove_arguments,
)
from plugins.module_utils._kind.containers import port_taken
from plugins.module_utils._kind.readiness import unready

if TYPE_CHECKING:
    from lab.engine import Docker

WEB_NODE_PORT = 30843
GATEWAY_NODE_PORT = 30443
# Written into a node as the last step of its making: without it the cluster is half-made
MARKER = "/kind/scs-observability-lab.json"
_NEW_SECONDS = 300.0
_RETURN_SECONDS = 150.0


@dataclass(frozen=True)
class Marker:
    """What must hold for a node to be brought back: kubeadm wrote the address into certificates and manifests."""

    address: str
    image: str

    @classmethod
    def parse(cls, text: str | None) -> Marker | None:
        try:
            content = json.loads(text or "")
            return cls(str(content["address"]), str(content["image"]))
        except (ValueError, KeyError, TypeError):
            return None


class Action(Enum):
    CREATE = "create"
    REBUILD = "rebuild"
    START = "start"
    READDRESS = "readdress"
    KEEP = "keep"


@dataclass(frozen=True)
class Decision:
    action: Action
    reason: str = ""


def decide(container: Container | None, marker: Marker | None, network: Network, ports: Iterable[int]) -> Decision:
    """What to do with a cluster's node, from what is seen of it."""
    if container is None:
        return Decision(Action.CREATE)
    if marker is None:
        return Decision(Action.REBUILD, "it was left half-made")
    if missing := sorted(set(ports) - set(container.ports)):
        return Decision(Action.REBUILD, f"it does not publish node port {missing[0]}")
    address = container.addresses.get(network.name)
    if container.running and address == marker.address:
        return Decision(Action.KEEP)
    if container.running:
        return Decision(Action.READDRESS, f"its address changed from {marker.address} to {address or 'none'}")
    return Decision(Action.START)


def choose_port(preferred: int, taken: Callable[[int], bool]) -> int:
    """The preferred port of the host, or the next one that nobody listens on."""
    for port in range(preferred, min(preferred + 500, 65536)):
        if not taken(port):
            return port
    raise LabError(f"no free port on 127.0.0.1 from {preferred} on")


def kind_config(base: Mapping[str, Any], name: str, image: str, ports: Mapping[int, int]) -> dict[str, Any]:
    """KinD's configuration: `base` is what the node image asks for, `ports` maps node ports to loopback ports."""
    return configuration(name, image, [Port(*pair) for pair in ports.items()], base=base)


@dataclass(frozen=True)
class Clusters:
    """Works on the clusters of one lab, with one engine, on one network."""

    docker: Docker
    lab: Lab
    network: Network
    binaries: Path
    image: str
    image_id: str
    base: Mapping[str, Any]  # KinD configuration that the node image asks for
    node_files: Mapping[str, str]  # path -> content, the same in every node
    lock: int  # file descriptor that KinD inherits
    say: Callable[[str], None]

    def revive(self, wanted: Mapping[str, Mapping[int, int]]) -> dict[str, Decision]:
        """Start what was stopped, every node at the address it had, before anything new can take one of these.

        wanted: cluster -> node port -> preferred port on loopback. Gives what `ensure` has to do about each.
        """
        decisions, markers = {}, {}
        for name, ports in wanted.items():
            node = self.lab.node(name)
            container = containers.find(self.docker, node).get(node)
            markers[name] = Marker.parse(containers.read_file(self.docker, node, MARKER)) if container else None
            decisions[name] = decide(container, markers[name], self.network, ports)
        for name, decision in decisions.items():
            if decision.action is Action.REBUILD:
                self._remove_for_rebuild(name, decision.reason)
        returning = [
            name for name, decision in decisions.items() if decision.action in (Action.START, Action.READDRESS)
        ]
        for name in returning:
            node = self.lab.node(name)
            if decisions[name].action is Action.READDRESS:
                self.say(f"{node}: {decisions[name].reason}; it gets the old one back")
                self.docker.run("stop", "--time", "10", node)
            self.docker.run("network", "disconnect", "--force", self.network.name, node, check=False)
        for name in returning:
            node, marker = self.lab.node(name), markers[name]
            assert marker is not None
            try:
                # A fixed address from now on: the engine gave the first one by order of start
                self.docker.run("network", "connect", "--ip", marker.address, self.network.name, node)
                self.docker.run("start", node)
            except LabError as error:  # a taken port, a vanished mount: a new node has neither
                decisions[name] = Decision(Action.REBUILD)
                self._remove_for_rebuild(name, f"its node does not start ({str(error).splitlines()[0]})")
        for name, found in markers.items():
            if found and found.image != self.image_id and decisions[name].action is not Action.REBUILD:
                self.say(f"{self.lab.cluster(name)} keeps its older node image; lab-down and lab bring the new one")
        return decisions

    def ensure(self, name: str, decision: Decision, wanted_ports: Mapping[int, int], log: Path) -> bool:
        """The cluster is Ready and its kubeconfig is there; whether anything had to be done.

        A port that the cluster has already is kept; wanted_ports count for a new one.
        """
        if decision.action in (Action.START, Action.READDRESS, Action.KEEP):
            self._complete(name)
            limit = _RETURN_SECONDS
            if not (missing := self._wait(name, limit)):
                return decision.action is not Action.KEEP
            self._remove_for_rebuild(name, f"after {limit:.0f} s it still lacks {', '.join(missing)}")
        try:
            self._create(name, wanted_ports, log)
        except LabError as error:
            # KinD gives a node 30 seconds to boot, which a busy machine needs for its images alone.
            self.say(f"{self.lab.cluster(name)} is made once more: {error}")
            self._create(name, wanted_ports, log)
        return True

    def _remove_for_rebuild(self, name: str, reason: str) -> None:
        self.say(f"{self.lab.cluster(name)} is rebuilt: {reason}")
        remove(self.docker, self.lab, [name])

    def _complete(self, name: str) -> None:
        """Everything outside Kubernetes that a cluster needs; the same when it is there already."""
        containers.write_files(self.docker, self.lab.node(name), self.node_files)
        result = subprocess.run(
            kubeconfig_command(str(self.binaries / "kind"), self.lab.cluster(name)),
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
        )
        if result.returncode == 0 and result.stdout:
            # Just as `kind create` writes it, so that nothing changes
            write_atomically(self.lab.kubeconfig(name), result.stdout.rstrip("\n") + "\n", 0o600)

    def _create(self, name: str, wanted_ports: Mapping[int, int], log: Path) -> None:
        cluster, node = self.lab.cluster(name), self.lab.node(name)
        ports = {node_port: choose_port(preferred, port_taken) for node_port, preferred in wanted_ports.items()}
        config = self.lab.directory / f"{name}.kind.yml"
        write_atomically(config, yaml.safe_dump(kind_config(self.base, cluster, self.image, ports), sort_keys=False))
        kubeconfig = self.lab.kubeconfig(name)
        try:
            self._run(log, create_command(str(self.binaries / "kind"), str(config), str(kubeconfig)))
            kubeconfig.chmod(0o600)
            # The engine would start nodes in any order and give them each other's addresses: `up` starts them
            self.docker.run("update", "--restart", "no", node)
            containers.write_files(self.docker, node, self.node_files)
            if missing := self._wait(name, _NEW_SECONDS):
                raise LabError(f"{cluster} lacks {', '.join(missing)} after {_NEW_SECONDS:.0f} s; see {log}")
        except LabError:
            self._keep_evidence(node, log)
            remove(self.docker, self.lab, [name])
            raise
        container = containers.find(self.docker, node)[node]
        marker = Marker(container.addresses[self.network.name], container.image)
        containers.write_files(self.docker, node, {MARKER: json.dumps(asdict(marker)) + "\n"})

    def _keep_evidence(self, node: str, log: Path) -> None:
        """What the node had to say, into the log: it goes, since a node without a cluster is of no use."""
        kubectl = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "pods,events", "--all-namespaces")
        for command in (
            ("logs", "--tail", "50", node),
            ("exec", node, *kubectl),
            ("exec", node, "journalctl", "--no-pager", "--lines", "40", "--unit", "kubelet"),
        ):
            said = self.docker.run(*command, check=False)
            with log.open("a") as file:
                file.write(f"\n$ docker {' '.join(command)}\n" + "\n".join(said.split("\r\n")))

    def _wait(self, name: str, seconds: float) -> list[str]:
        """What is still lacking when the time is over; empty as soon as nothing is."""
        seen: list[list[str]] = [[]]

        def healthy() -> bool:
            seen[0] = self._lacking(name)
            return not seen[0]

        containers.wait_for(healthy, seconds)
        return seen[0]

    def _lacking(self, name: str) -> list[str]:
        node = self.lab.node(name)
        container = containers.find(self.docker, node).get(node)
        return lacking(self.lab, self.binaries, name, container)

    def _run(self, log: Path, command: Sequence[str]) -> None:
        """Run KinD with its output in the log; it holds the lab's lock as long as it runs."""
        with log.open("a") as file:
            result = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
                env=self._environment(),
                pass_fds=[self.lock],
            )
        if result.returncode != 0:
            raise LabError(f"kind {' '.join(command[1:3])}: exit status {result.returncode}; see {log}")

    def _environment(self) -> dict[str, str]:
        return {**self.docker.env, "KIND_EXPERIMENTAL_DOCKER_NETWORK": self.network.name}


def lacking(lab: Lab, binaries: Path, name: str, container: Container | None) -> list[str]:
    """What the cluster lacks now, asked of its API server; empty when it is Ready."""
    if container is None:
        return ["a node"]
    if not container.running or container.started is None:
        return ["a running node"]
    if not lab.kubeconfig(name).exists():
        return ["a kubeconfig"]
    result = subprocess.run(
        [
            *(str(binaries / "kubectl"), "--kubeconfig", str(lab.kubeconfig(name)), "--request-timeout", "10s"),
            *("--cache-dir", str(lab.directory / "kubectl-cache")),  # not in the home directory
            *("get", "nodes,pods,storageclasses", "--all-namespaces", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(lab.directory), "PATH": os.defpath},
    )
    if result.returncode != 0:
        return ["an answering API server"]
    return unready(json.loads(result.stdout)["items"], container.started, datetime.now(UTC))


def find(docker: Docker, lab: Lab) -> dict[str, list[str]]:
    """Clusters of this lab that have nodes, half-made ones included: name -> containers."""
    found: dict[str, list[str]] = {}
    for container in containers.names_with_label(docker, KIND_LABEL):
        if name := lab.cluster_of_node(container):
            found.setdefault(name, []).append(container)
    return found


def remove(docker: Docker, lab: Lab, names: Iterable[str]) -> None:
    """The clusters' nodes with their volumes, and the kubeconfigs. Needs no KinD: it does nothing else either."""
    nodes = find(docker, lab)
    for name in names:
        if name in nodes:
            docker.run(*remove_arguments(nodes[name]))
        lab.kubeconfig(name).unlink(missing_ok=True)


def preferred_ports(name: str, web: int | None, gateway: int | None) -> dict[int, int]:
    """Node port -> port on loopback; only the observer is looked at from outside."""
    if name != OBSERVER:
        return {}
    return {
        WEB_NODE_PORT: web or WEB_NODE_PORT,
        GATEWAY_NODE_PORT: gateway or GATEWAY_NODE_PORT,
    }
