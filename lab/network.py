# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Docker network: a subnet that collides with nothing, its lower half for fixed addresses."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.state import LABEL, Lab, LabError

if TYPE_CHECKING:
    from lab.engine import Docker

# KinD's pod and service ranges: a node could not reach an address of the lab inside them
CLUSTER_RANGES = (IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16"))
CANDIDATES = (IPv4Network("172.30.0.0/16"), IPv4Network("10.213.0.0/16"), IPv4Network("192.168.128.0/17"))
PREFIX_LENGTH = 24
S3_HOST, REGISTRY_HOST, OPENSTACK_HOST = 10, 11, 12


@dataclass(frozen=True)
class Network:
    name: str
    subnet: IPv4Network

    @property
    def gateway(self) -> str:
        return str(self.subnet[1])

    @property
    def s3_address(self) -> str:
        return str(self.subnet[S3_HOST])

    @property
    def registry_address(self) -> str:
        return str(self.subnet[REGISTRY_HOST])

    @property
    def openstack_address(self) -> str:
        return str(self.subnet[OPENSTACK_HOST])

    @property
    def dynamic_range(self) -> IPv4Network:
        """What the engine may give to nodes: the upper half, so that it never takes a fixed address."""
        return list(self.subnet.subnets(prefixlen_diff=1))[1]


def candidates(preferred: IPv4Network | None) -> Iterator[IPv4Network]:
    if preferred is not None:
        yield preferred
    for block in CANDIDATES:
        yield from block.subnets(new_prefix=PREFIX_LENGTH)


def choose_subnet(taken: Iterable[IPv4Network], preferred: IPv4Network | None = None) -> IPv4Network:
    """The preferred subnet, or the first candidate, that overlaps nothing that is taken and no cluster range."""
    avoid = [*taken, *CLUSTER_RANGES]
    for candidate in candidates(preferred):
        if not any(candidate.overlaps(other) for other in avoid):
            return candidate
    raise LabError("no free /24 for the lab's network in " + ", ".join(map(str, CANDIDATES)))


def routes_from_ip(output: str) -> list[IPv4Network]:
    """Destinations from `ip -json route show table all`; the default route and single addresses of our own are none."""
    return _networks(route.get("dst", "") for route in json.loads(output or "[]"))


def routes_from_proc(content: str) -> list[IPv4Network]:
    """Destinations of /proc/net/route: little-endian hexadecimal destination and mask."""
    found = []
    for line in content.splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        found.append(f"{IPv4Address(destination)}/{mask.bit_count()}")
    return _networks(found)


def _networks(texts: Iterable[str]) -> list[IPv4Network]:
    found = []
    for text in texts:
        try:
            network = ip_network(text, strict=False)
        except ValueError:  # "default" and the like
            continue
        if isinstance(network, IPv4Network) and network.prefixlen > 0:
            found.append(network)
    return found


def host_routes() -> list[IPv4Network]:
    """Where this machine sends packets already, policy tables of a VPN included where `ip` is there to tell."""
    if program := shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        command = [program, "-4", "-json", "route", "show", "table", "all"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return routes_from_ip(result.stdout)
    table = Path("/proc/net/route")
    return routes_from_proc(table.read_text()) if table.exists() else []


def subnets(document: dict[str, Any]) -> list[IPv4Network]:
    """IPv4 subnets of one network as `docker network inspect` shows it."""
    return _networks(entry.get("Subnet", "") for entry in document["IPAM"].get("Config") or [])


def find(docker: Docker, lab: Lab) -> Network | None:
    """The lab's network when it exists; one of that name that the lab did not make is an error."""
    documents = _inspect(docker, [lab.network])
    if not documents:
        return None
    if (documents[0].get("Labels") or {}).get(LABEL) != lab.prefix:
        raise LabError(
            f"Docker network {lab.network} exists and is not the lab's (it lacks the label {lab.label}). "
            "Remove it, or choose other names with LAB_PREFIX"
        )
    return Network(lab.network, subnets(documents[0])[0])


def ensure(docker: Docker, lab: Lab, preferred: IPv4Network | None) -> Network:
    """The lab's network, made if it is not there; `preferred` is the subnet that it had before."""
    if network := find(docker, lab):
        return network
    existing = docker.run("network", "ls", "--quiet").split()
    taken = [subnet for document in _inspect(docker, existing) for subnet in subnets(document)]
    network = Network(lab.network, choose_subnet([*taken, *host_routes()], preferred))
    docker.run(
        *("network", "create", "--driver", "bridge", "--label", lab.label),
        *("--subnet", str(network.subnet), "--gateway", network.gateway, "--ip-range", str(network.dynamic_range)),
        network.name,
    )
    return network


def guests(docker: Docker, lab: Lab) -> list[str]:
    """Containers on the lab's network that run now."""
    return [
        container["Name"]
        for document in _inspect(docker, [lab.network])
        for container in (document.get("Containers") or {}).values()
    ]


def _inspect(docker: Docker, names: list[str]) -> list[dict[str, Any]]:
    return json.loads(docker.run("network", "inspect", *names, check=False) or "[]") if names else []
