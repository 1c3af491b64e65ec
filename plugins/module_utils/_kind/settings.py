# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of kind_cluster, checked, and what has to be done about a cluster. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, TypeVar

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_label,
    dns_subdomain,
    image_reference,
)
from ansible_collections.scs.observability.plugins.module_utils._kind.configuration import (
    LOOPBACK,
    ApiServer,
    Port,
    configuration,
)
from ansible_collections.scs.observability.plugins.module_utils._kind.containers import Container

T = TypeVar("T")

# Together with this it is the host name of a node.
LONGEST_NAME = 63 - len("-control-plane")
PROTOCOLS = ("TCP", "UDP", "SCTP")
# They are what other parameters say.
_OWN_KEYS = ("apiVersion", "kind", "name", "nodes")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
_API_SERVER_PORT = 6443


@dataclass(frozen=True)
class Settings:
    """A cluster as it is wanted. ``base`` may hold a password, such as a registry's: it is never shown."""

    name: str
    image: str = ""
    workers: int = 0
    ports: tuple[Port, ...] = ()
    api_server: ApiServer = field(default_factory=ApiServer)
    base: Mapping[str, Any] = field(default_factory=dict, repr=False)
    network: str = ""

    @property
    def control_plane(self) -> str:
        return f"{self.name}-control-plane"

    def configuration(self) -> dict[str, Any]:
        """Return KinD's configuration."""
        return configuration(
            self.name,
            self.image,
            self.ports,
            workers=self.workers,
            api_server=self.api_server,
            base=self.base,
        )

    def description(self) -> dict[str, Any]:
        """Return what is kept in the node, compared and shown. None of it can be changed while the cluster is there."""
        config = json.dumps(self.base, sort_keys=True)
        return {
            "name": self.name,
            "image": self.image or "KinD's own",
            "workers": self.workers,
            "ports": sorted(map(str, self.ports)),
            "api_server_address": self.api_server.address,
            "api_server_port": self.api_server.port,
            "api_server_names": sorted(self.api_server.names),
            "network": self.network or "kind",
            "config": f"sha256:{sha256(config.encode()).hexdigest()[:16]}" if self.base else "none",
        }


class Action(Enum):
    NOTHING = "nothing"
    CREATE = "create"
    RECREATE = "recreate"
    START = "start"
    DELETE = "delete"


def read(params: Mapping[str, Any]) -> Settings:
    """Return the settings. Raises an error with everything that is wrong with the parameters."""
    problems: list[ObservabilityError] = []

    def attempt(check: Callable[..., T], instead: T, *given: Any) -> T:
        try:
            return check(*given)
        except InputError as error:
            problems.append(error)
            return instead

    image, config = params.get("image") or "", params.get("config") or {}
    address = str(params.get("api_server_address") or LOOPBACK)
    settings = Settings(
        name=attempt(_name, "", params.get("name")),
        image=attempt(image_reference, "", image, "image") if image else "",
        workers=params.get("workers") or 0,
        ports=tuple(
            attempt(_port, Port(0, 0), item, f"ports[{number}]")
            for number, item in enumerate(params.get("ports") or ())
        ),
        api_server=ApiServer(
            attempt(_address, LOOPBACK, address, "api_server_address"),
            params.get("api_server_port") or 0,
            tuple(attempt(_host, "", item) for item in params.get("api_server_names") or ()),
        ),
        base=config,
        network=params.get("network") or "",
    )
    problems += _contradictions(settings)
    if params.get("state") != "absent" and not params.get("kubeconfig"):
        problems.append(InputError("is required and must not be empty", parameter="kubeconfig"))
    raise_all(problems)
    return settings


def raise_all(problems: Sequence[ObservabilityError]) -> None:
    """Raise the one problem there is, or all of them as one."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        texts = [str(problem) for problem in problems]
        first = next((problem.parameter for problem in problems if problem.parameter), None)
        raise ObservabilityError("\n".join(texts), details={"problems": texts, "parameter": first})


def _name(value: object) -> str:
    name = dns_label(value, "name")
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"{name!r} is longer than {LONGEST_NAME} characters, and names of nodes begin with it", parameter="name"
        )
    return name


def _port(given: Mapping[str, Any], parameter: str) -> Port:
    protocol = str(given.get("protocol") or "TCP")
    ports = {}
    for what in ("node_port", "host_port"):
        value = given.get(what)
        if not isinstance(value, int) or not 1 <= value <= 65535:
            raise InputError(f"{value} is not a port", parameter=f"{parameter}.{what}")
        ports[what] = value
    if protocol not in PROTOCOLS:
        raise InputError(f"{protocol!r} is none of {', '.join(PROTOCOLS)}", parameter=f"{parameter}.protocol")
    address = _address(str(given.get("listen_address") or LOOPBACK), f"{parameter}.listen_address")
    return Port(ports["node_port"], ports["host_port"], address, protocol)


def _address(value: str, parameter: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise InputError(
            f"{value!r} is not an IP address", parameter=parameter, advice="Use an address of the host, or 0.0.0.0"
        ) from None


def _host(value: object) -> str:
    try:
        return str(ip_address(str(value)))
    except ValueError:
        return dns_subdomain(value, "api_server_names")


def _contradictions(settings: Settings) -> list[ObservabilityError]:
    """Return what does not go together, although each of it could be."""
    found: list[ObservabilityError] = []
    if settings.workers < 0:
        found.append(InputError(f"{settings.workers} is not a number of nodes", parameter="workers"))
    if not 0 <= settings.api_server.port <= 65535:
        found.append(InputError(f"{settings.api_server.port} is not a port", parameter="api_server_port"))
    own = sorted(set(_OWN_KEYS) & set(settings.base))
    if own:
        found.append(InputError(f"{', '.join(own)} is said by other parameters", parameter="config"))
    if settings.api_server.address in _EVERYWHERE and not settings.api_server.names:
        found.append(
            InputError(
                "is needed when the API server listens on all addresses: the kubeconfig has to name one",
                parameter="api_server_names",
            )
        )
    listening = [
        *((f"ports[{number}]", port) for number, port in enumerate(settings.ports) if port.host_port),
        ("api_server_port", Port(_API_SERVER_PORT, settings.api_server.port, settings.api_server.address)),
    ]
    for number, (parameter, port) in enumerate(listening):
        for earlier_parameter, earlier in listening[:number]:
            if port.protocol != earlier.protocol:
                continue
            if port.node_port == earlier.node_port and parameter != "api_server_port":
                found.append(
                    InputError(
                        f"node port {port.node_port}/{port.protocol} is mapped by {earlier_parameter}, too",
                        parameter=parameter,
                    )
                )
            if port.host_port == earlier.host_port and _overlap(port.listen_address, earlier.listen_address):
                found.append(
                    InputError(
                        f"port {port.host_port}/{port.protocol} of the host is {earlier_parameter}'s, too",
                        parameter=parameter,
                    )
                )
    return found


def _overlap(one: str, other: str) -> bool:
    return one == other or one in _EVERYWHERE or other in _EVERYWHERE


def listening(settings: Settings) -> Iterable[tuple[str, Port]]:
    """Return the ports of the host that a new cluster takes, by parameter."""
    for number, port in enumerate(settings.ports):
        yield f"ports[{number}].host_port", port
    if settings.api_server.port:
        yield "api_server_port", Port(_API_SERVER_PORT, settings.api_server.port, settings.api_server.address)


def decide(
    settings: Settings,
    nodes: Sequence[Container],
    made_as: Mapping[str, Any] | None,
    *,
    present: bool = True,
    recreate: bool = False,
) -> Action:
    """Return what to do, from the nodes that there are and the description that was put into the first of them last.

    Raises InputError for a cluster that is half-made or another one than is wanted, unless ``recreate``.
    """
    if not nodes:
        return Action.CREATE if present else Action.NOTHING
    if not present:
        return Action.DELETE
    names = ", ".join(sorted(node.name for node in nodes))
    reason = advice = ""
    if made_as is None:
        reason = f"{names} is there, and was left half-made, is just being made, or is not this module's"
        advice = (
            "recreate: true makes the cluster anew, state: absent removes it. If it is one of yours, take another "
            "name, or use it as it is with its own kubeconfig"
        )
    elif different := differences(made_as, settings.description()):
        reason = f"the cluster is there with what cannot be changed in place: {'; '.join(different)}"
        advice = "recreate: true makes the cluster anew, and removes everything that is in it"
    if reason and not recreate:
        raise InputError(reason, parameter="name" if made_as is None else different[0].split(":")[0], advice=advice)
    if reason:
        return Action.RECREATE
    return Action.NOTHING if all(node.running for node in nodes) else Action.START


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return in words what is not the same: "ports: [] instead of [...]"."""
    return [
        f"{name}: {_text(before.get(name))} instead of {_text(value)}"
        for name, value in after.items()
        if before.get(name) != value
    ]


def _text(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)
