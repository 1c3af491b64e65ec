# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Thanos sidecar beside kolla's Prometheus: observe, plan, apply. kolla's own containers are only looked at."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    IncompatibleError,
    InputError,
    NotReadyError,
    Problems,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kind.containers import port_taken
from ansible_collections.scs.observability.plugins.module_utils._osism import host, sidecar
from ansible_collections.scs.observability.plugins.module_utils._osism.engine import DEFAULT_HOST, Engine
from ansible_collections.scs.observability.plugins.module_utils._osism.prometheus import (
    KOLLA_CONFIGURATION,
    Client,
    Container,
    host_and_port,
    user_and_group,
)
from ansible_collections.scs.observability.plugins.module_utils._osism.sidecar import (
    SETTINGS,
    File,
    Observed,
    Settings,
)

FOLDER = "/etc/scs-observability"
_RECORD = "settings.json"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_POLL = 0.2
_LOG_LINES = 15


@dataclass(frozen=True)
class _Place:
    """The sidecar on this host: its container and its files, as they are."""

    engine: Engine
    name: str
    folder: Path
    document: Mapping[str, Any] | None
    files: Mapping[str, File]


class _Asked(NamedTuple):
    """What is asked for, as it was given, and as it was read."""

    values: Mapping[str, Any]
    settings: Settings


def ensure(
    params: Mapping[str, Any], check_mode: bool, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dict[str, Any]:
    """Do what the module osism_thanos_sidecar documents, and return its result."""
    problems = Problems()
    name, state = problems.of(_name, params, "name"), params["state"]
    problems.of(_name, params, "container")
    folder = problems.of(_folder, params.get("directory") or FOLDER, name or "")
    files = host.read_files(folder) if folder else {}
    asked = None
    if state == "present":
        values = sidecar.given(params, _remembered(files))
        asked = _Asked(values, sidecar.read(values, now(), problems))
    engine = problems.of(Engine, params.get("docker_host") or os.environ.get("DOCKER_HOST") or DEFAULT_HOST)
    document = problems.of(engine.container, name) if engine and name else None
    if engine is None or folder is None or any(error.parameter == "docker_host" for error in problems.found):
        problems.refuse()
    if document is not None and not sidecar.is_ours(document):
        raise IncompatibleError(
            f"there is a container {name} that this module did not make",
            parameter="name",
            advice="Remove it, or give another name",
        )
    place = _Place(engine, name, folder, document, files)
    if asked is not None:
        return _present(params, check_mode, place, asked, problems)
    problems.refuse()
    plan = sidecar.plan_container(name, sidecar.describe(document) if document else None, None)
    if state == "absent":
        plan += sidecar.plan_files(folder, files, {})
    if not check_mode:
        if document is not None:
            engine.remove(name, sidecar.GRACE)
        if state == "absent":
            host.remove_folder(folder, files, "directory")
    return {**plan.result(), "state": state, "container": params["container"]}


def _name(params: Mapping[str, Any], parameter: str) -> str:
    """Return the name of a container, which is that of a folder, too."""
    name = str(params[parameter])
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not the name of a container",
            parameter=parameter,
            advice="Use letters, digits, '_', '.' and '-', with a letter or digit at the beginning",
        )
    return name


def _folder(directory: str, name: str) -> Path:
    if not directory.startswith("/"):
        raise InputError(f"{directory!r} is not a path from the root", parameter="directory")
    folder = Path(directory) / name
    if os.geteuid() != 0:
        raise InputError(f"only root can keep files in {folder}", parameter="directory", advice="Set become: true")
    return folder


def _remembered(files: Mapping[str, File]) -> dict[str, Any] | None:
    """Return the settings of the last run, None when there was none."""
    try:
        found = json.loads(files[_RECORD].content)
    except (KeyError, ValueError):
        return None
    return {name: found[name] for name in SETTINGS if name in found} if isinstance(found, dict) else None


def _present(
    params: Mapping[str, Any], check_mode: bool, place: _Place, asked: _Asked, problems: Problems
) -> dict[str, Any]:
    engine, settings = place.engine, asked.settings
    timeout = float(params["wait_timeout"])
    observed = problems.of(_observe, engine, params["container"], settings, timeout)
    image = problems.of(engine.image, settings.image) if settings.image else None
    pulled = image is None and bool(settings.image)
    if observed is not None:
        sidecar.refuse(settings, observed, problems)
    beside = observed.container.address if observed is not None else ""
    for parameter, (address, port) in sidecar.listening(settings, beside).items():
        if address:
            problems.of(_refuse_address, parameter, address, port, sidecar.arguments_of(place.document))
    # An image that is pulled changes nothing that runs, so whether it can be is found out before anything is touched.
    if pulled:
        problems.of(engine.offered if check_mode or problems.found else engine.pull, settings.image)
    problems.refuse()
    if pulled and not check_mode:
        image = engine.image(settings.image)

    files = sidecar.files(settings, asked.values, observed)
    wanted = sidecar.container(settings, observed, place.folder, files, str((image or {}).get("Id") or ""))
    live = sidecar.describe(place.document) if place.document else None
    of_container = sidecar.plan_container(place.name, live, wanted)
    plan = sidecar.plan_files(place.folder, place.files, files) + of_container
    if pulled:
        plan += Plan((Change("create", "image", settings.image, after={"pulled": True}),))
    listens = sidecar.listening(settings, observed.container.address)
    if not check_mode:
        host.write_files(place.folder, place.files, files, "directory")
        if of_container.changed:
            engine.remove(place.name, sidecar.GRACE)
            engine.create(place.name, sidecar.body(wanted))
        _wait(engine, place.name, settings, listens, timeout)
    volume = sidecar.volume_of(settings, observed)
    return {
        **plan.result(),
        "state": "present",
        "container": observed.container.name,
        "volume": volume.source if volume else None,
        "external_labels": dict(observed.prometheus.external_labels),
        "version": observed.prometheus.version,
        "endpoint": host_and_port(*listens["grpc_address"]),
        "expires": settings.certificate.expires.isoformat(),
    }


def _observe(engine: Engine, name: str, settings: Settings, seconds: float) -> Observed:
    """Read kolla's container, and ask the Prometheus in it. Raises InputError."""
    document = engine.container(name)
    if document is None:
        raise InputError(
            f"there is no container {name} on this host",
            parameter="container",
            advice="Run the module where kolla has deployed Prometheus, which is the group prometheus of its inventory",
        )
    container = Container.of(document, engine.file(name, KOLLA_CONFIGURATION))
    if not container.running:
        raise InputError(
            f"the container {name} does not run ({document['State'].get('Status')})",
            parameter="container",
            advice=f"See: docker logs {name}, systemctl status kolla-{name}-container",
        )
    for item in container.mounts:
        if item.volume and engine.volume(item.source) is None:
            raise InputError(
                f"the volume {item.source} of {name} is lost",
                parameter="container",
                advice="Have kolla deploy Prometheus anew: osism apply prometheus",
            )
    user = user_and_group(container.user, engine.file(name, "/etc/passwd") or "")
    if user is None:
        raise InputError(f"the user {container.user} of {name} is not in its /etc/passwd", parameter="container")
    if not settings.grpc_address and ip_address(container.address).is_loopback:
        raise InputError(
            f"is required, as Prometheus in {name} does not listen on one address of the host",
            parameter="grpc_address",
            advice="Give the address of this host that the observer reaches",
        )
    client = Client(container.url, settings.prometheus_user, settings.prometheus_password, seconds)
    return Observed(container, user, client.answers())


def _refuse_address(parameter: str, address: str, port: int | None, ours: Sequence[str]) -> None:
    """Refuse where nothing can listen. ``ours`` are the arguments of the sidecar that runs, which may stay there."""
    if not host.is_own(address):
        raise InputError(
            f"{address} is not an address of this host",
            parameter=parameter,
            advice="Give its own address, not a virtual one that wanders: the sidecar is of this host's Prometheus",
        )
    flag = f"--{parameter.replace('_', '-')}={host_and_port(address, port or 0)}"
    if port is not None and flag not in ours and port_taken(port, address):
        raise InputError(
            f"{host_and_port(address, port)} is taken on this host",
            parameter=parameter.replace("address", "port"),
            advice="Choose another port, or stop what listens there",
        )


def _wait(
    engine: Engine, name: str, settings: Settings, listens: Mapping[str, tuple[str, int]], timeout: float
) -> None:
    """Wait until the sidecar is ready and shows the certificate that was given. Raises NotReadyError."""
    deadline = time.monotonic() + timeout
    while not (_is_ready(*listens["http_address"]) and _shows(*listens["grpc_address"], settings.tls_certificate)):
        if time.monotonic() >= deadline:
            document = engine.container(name)
            status = document["State"].get("Status") if document else "gone"
            raise NotReadyError(
                f"the sidecar {name} is not ready after {timeout:.0f} s, its container is {status}; it says:\n"
                f"{engine.logs(name, _LOG_LINES)}".rstrip(),
                advice="Nothing of kolla's was touched",
            )
        time.sleep(_POLL)


def _is_ready(address: str, port: int) -> bool:
    connection = HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _shows(address: str, port: int, certificate: str) -> bool:
    """Tell whether a TLS server has a certificate (PEM). It shows its own before it wants to see the client's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shown = None
    with (
        suppress(OSError),
        socket.create_connection((address, port), timeout=5) as plain,
        context.wrap_socket(plain) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    return shown == ssl.PEM_cert_to_DER_cert(_first(certificate))


def _first(certificate: str) -> str:
    start = certificate.index("-----BEGIN CERTIFICATE-----")
    end = "-----END CERTIFICATE-----"
    return certificate[start : certificate.index(end, start) + len(end)]
