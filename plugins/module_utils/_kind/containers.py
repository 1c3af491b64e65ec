# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container engine says about containers, read once and typed.

Imports nothing of the collection, so that the lab can use it from the checkout.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Container:
    name: str
    running: bool
    created: datetime
    started: datetime | None  # None: was never started
    image: str  # id, sha256:…
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    addresses: Mapping[str, str]  # network name -> IPv4 address, only those that are attached now
    ports: Mapping[int, int]  # container port -> port on the host; one that the engine chooses only while it runs

    @classmethod
    def from_inspect(cls, document: Mapping[str, Any]) -> Container:
        networks = document["NetworkSettings"].get("Networks") or {}
        started = moment(document["State"]["StartedAt"])
        return cls(
            name=document["Name"].lstrip("/"),
            running=bool(document["State"]["Running"]),
            created=moment(document["Created"]),
            started=started if started.year > 1 else None,
            image=document["Image"],
            labels=document["Config"].get("Labels") or {},
            environment=dict(entry.partition("=")[::2] for entry in document["Config"].get("Env") or []),
            addresses={name: net["IPAddress"] for name, net in networks.items() if net and net.get("IPAddress")},
            ports=_ports(document["HostConfig"].get("PortBindings")) | _ports(document["NetworkSettings"].get("Ports")),
        )


def _ports(bindings: Mapping[str, Any] | None) -> dict[int, int]:
    return {
        int(port.partition("/")[0]): int(hosts[0]["HostPort"])
        for port, hosts in (bindings or {}).items()
        if hosts and hosts[0].get("HostPort", "0") not in ("", "0")
    }


def moment(text: str) -> datetime:
    """A time as Docker and Kubernetes write it, which is up to nanoseconds; timezone-aware."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))


def port_taken(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody listens on the port; also when the address is none of this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
        return False
