# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Thanos sidecar beside kolla's Prometheus: what is asked for, what would not work, what the container has to be.

Pure; the time is given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors, Problems
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    image_reference,
    is_address,
    not_known,
    quantity,
    quantity_number,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._identity import server
from ansible_collections.scs.observability.plugins.module_utils._identity.server import ServerCertificate
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted
from ansible_collections.scs.observability.plugins.module_utils._manifests import images
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    OBJSTORE_PATH,
    TLS_PATH,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.workload import MANAGED_BY, checksum
from ansible_collections.scs.observability.plugins.module_utils._objstore.given import ObjectStore, object_store
from ansible_collections.scs.observability.plugins.module_utils._osism.prometheus import (
    Answers,
    Container,
    Mount,
    host_and_port,
)

# What is given for the state present, and comes back after the state suspended.
SETTINGS = (
    "image",
    "grpc_address",
    "grpc_port",
    "http_address",
    "http_port",
    "server_name",
    "expected_labels",
    "prometheus_user",
    "prometheus_password",
    "tls_certificate",
    "tls_key",
    "tls_client_ca",
    "objstore",
    "objstore_access_key",
    "objstore_secret_key",
    "objstore_ca",
    "resources",
    "log_level",
)
TLS = ("tls_certificate", "tls_key", "tls_client_ca")
GRACE = 30
"""Seconds that a sidecar has to end."""

_ROOT = "/etc/thanos"
_PROMETHEUS_CLIENT = f"{_ROOT}/prometheus.yml"
_OBJSTORE = f"{OBJSTORE_PATH}/objstore.yml"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
CHECKSUM_LABEL = "community.scs.observability.checksum"
# Which image the reference stood for: engines do not agree on what they tell of that.
IMAGE_LABEL = "community.scs.observability.image"
LOG_LEVELS = ("debug", "info", "warn", "error")
_HIDDEN = "(hidden)"
# What a sidecar of one host needs: it streams from Prometheus, and keeps nothing.
_MEMORY = "1Gi"
_SMALLEST_MEMORY = 64 * 2**20
_SMALLEST_CPUS = 0.01
_DELAY = "storage.tsdb.delay-compact-file.path"
_SHIPPED = "thanos.shipper.json"
_LABELS_ADVICE = "Set prometheus_external_labels in kolla's configuration, then: osism apply -a reconfigure prometheus"


class Limits(NamedTuple):
    """What the container may take: bytes, and CPUs; 0 is no limit."""

    memory: int
    cpus: float


@dataclass(frozen=True)
class Settings:
    """What is asked for. ``grpc_address`` is empty for the one that Prometheus listens on."""

    image: str
    grpc_address: str
    grpc_port: int
    http_address: str
    http_port: int
    prometheus_user: str
    prometheus_password: str = field(repr=False)
    expected_labels: Mapping[str, str]
    tls_certificate: str
    tls_key: str = field(repr=False)
    tls_client_ca: str
    certificate: ServerCertificate
    store: ObjectStore | None
    limits: Limits
    log_level: str


@dataclass(frozen=True)
class Observed:
    """kolla's container with the numbers of its user, and what its Prometheus says."""

    container: Container
    user: tuple[int, int]
    prometheus: Answers


@dataclass(frozen=True)
class File:
    """A file on the host. What is ``read_again`` needs no other container."""

    content: str = field(repr=False)
    owner: tuple[int, int]
    mode: int
    secret: bool = True
    read_again: bool = False


def given(params: Mapping[str, Any], remembered: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings of this run: those of the last one too, when no certificate is given with this one."""
    now_given = {name: params[name] for name in SETTINGS if params.get(name) is not None}
    if any(name in now_given for name in TLS) or not remembered:
        return now_given
    return {**remembered, **now_given}


def read(values: Mapping[str, Any], now: datetime, problems: Problems) -> Settings:
    """Return the settings; what is wrong with them goes to ``problems``, which must let pass before they are used."""
    user, password = values.get("prometheus_user") or "", values.get("prometheus_password") or ""
    if bool(user) != bool(password):
        absent = "prometheus_password" if user else "prometheus_user"
        problems.found.append(InputError("is required with the other one of the pair", parameter=absent))
    elif ":" in user:
        problems.found.append(InputError("must not have a colon", parameter="prometheus_user"))
    level = values.get("log_level") or "info"
    if level not in LOG_LEVELS:
        problems.found.append(InputError(not_known(level, LOG_LEVELS), parameter="log_level"))
    http_port, grpc_port = (problems.of(_port, values, *item) for item in (("http_port", 10902), ("grpc_port", 10901)))
    if http_port == grpc_port and http_port is not None:
        problems.found.append(InputError(f"{http_port} is grpc_port, too", parameter="http_port"))
    return Settings(
        image=problems.of(image_reference, values.get("image") or images.THANOS, "image"),
        grpc_address=problems.of(_address, values.get("grpc_address") or "", "grpc_address"),
        grpc_port=grpc_port,
        http_address=problems.of(_address, values.get("http_address") or "127.0.0.1", "http_address"),
        http_port=http_port,
        prometheus_user=user,
        prometheus_password=password,
        expected_labels={str(name): str(value) for name, value in (values.get("expected_labels") or {}).items()},
        tls_certificate=values.get("tls_certificate") or "",
        tls_key=values.get("tls_key") or "",
        tls_client_ca=problems.of(trusted, values["tls_client_ca"], now, "tls_client_ca")
        if values.get("tls_client_ca")
        else "",
        certificate=problems.of(_certificate, values, now),
        store=problems.of(object_store, values, now),
        limits=problems.of(_limits, values.get("resources") or {}),
        log_level=level,
    )


def refuse(settings: Settings, observed: Observed, problems: Problems) -> None:
    """Add to ``problems`` what the sidecar would not start, or not work, with."""
    answers, name = observed.prometheus, observed.container.name

    def say(message: str, advice: str, parameter: str = "container") -> None:
        problems.found.append(InputError(message, parameter=parameter, advice=advice))

    labels, expected = answers.external_labels, settings.expected_labels
    wrong = {label: value for label, value in expected.items() if labels.get(label) != value}
    if not labels:
        say(
            f"the Prometheus in {name} has no external labels, without which Thanos cannot tell whose its series are",
            _LABELS_ADVICE,
        )
    elif wrong:
        say(
            f"{_listed(wrong)} are expected of the external labels of the Prometheus in {name}, which are "
            f"{_listed(labels)}",
            _LABELS_ADVICE,
            "expected_labels",
        )
    if settings.store is None:
        return
    if labels and not labels.get("replica"):
        say(
            f"the Prometheus in {name} has no external label replica: blocks of two of a region would overlap in the "
            "bucket, on which its compactor halts",
            _LABELS_ADVICE,
            "objstore",
        )
    if observed.container.mount_of(answers.tsdb_path) is None:
        say(
            f"{answers.tsdb_path or 'the path of the database'} of {name} is in no volume, so nothing can be uploaded",
            "Without objstore the sidecar needs none",
        )
    shipped = f"{answers.tsdb_path.rstrip('/')}/{_SHIPPED}"
    delay = answers.flags.get(_DELAY, "")
    durations = [answers.flags.get(f"storage.tsdb.{which}-block-duration", "") for which in ("min", "max")]
    if delay and delay != shipped:
        say(f"Prometheus has --{_DELAY}={delay}, where Thanos writes {shipped}", "Both must be the same", "objstore")
    elif not delay and durations[0] != durations[1]:
        say(
            f"blocks of Prometheus are to last from {durations[0]} to {durations[1]}: those that it has joined before "
            "they are uploaded would be missing in the bucket",
            "Add --storage.tsdb.min-block-duration=2h --storage.tsdb.max-block-duration=2h to "
            "prometheus_cmdline_extras in kolla's configuration, then: osism apply -a reconfigure prometheus",
            "objstore",
        )


def _listed(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def listening(settings: Settings, prometheus_address: str) -> dict[str, tuple[str, int]]:
    """Return where the sidecar listens, by the name of the parameter for the address."""
    return {
        "grpc_address": (settings.grpc_address or prometheus_address, settings.grpc_port),
        "http_address": (settings.http_address, settings.http_port),
    }


def volume_of(settings: Settings, observed: Observed) -> Mount | None:
    """Return what the sidecar shares with Prometheus: nothing, when nothing is uploaded."""
    return observed.container.mount_of(observed.prometheus.tsdb_path) if settings.store else None


def files(settings: Settings, values: Mapping[str, Any], observed: Observed) -> dict[str, File]:
    """Return all files by their path below the folder of the sidecar; the ones below thanos/ are for its eyes."""
    mine, root = observed.user, (0, 0)
    client: dict[str, Any] = {}
    if settings.prometheus_user:
        client = {
            "basic_auth": {"username": settings.prometheus_user, "password": settings.prometheus_password},
        }
    wanted = {
        f"{TLS_PATH}/tls.crt": File(settings.tls_certificate, mine, 0o400, secret=False, read_again=True),
        f"{TLS_PATH}/tls.key": File(settings.tls_key, mine, 0o400, read_again=True),
        # Whom it trusts is read once.
        f"{TLS_PATH}/ca.crt": File(settings.tls_client_ca, mine, 0o400, secret=False),
        # JSON is YAML, too, and a host need not have a writer of that.
        _PROMETHEUS_CLIENT: File(json.dumps(client) + "\n", mine, 0o400),
    }
    if settings.store:
        wanted[_OBJSTORE] = File(json.dumps(settings.store.configuration, sort_keys=True) + "\n", mine, 0o400)
        if settings.store.ca:
            wanted[f"{OBJSTORE_PATH}/ca.crt"] = File(settings.store.ca, mine, 0o400, secret=False)
    record = json.dumps(dict(values), indent=1, sort_keys=True) + "\n"
    return {
        "settings.json": File(record, root, 0o600, read_again=True),
        **{path.replace(_ROOT, "thanos", 1): file for path, file in wanted.items()},
    }


def container(
    settings: Settings, observed: Observed, folder: Path, wanted: Mapping[str, File], image: str
) -> dict[str, Any]:
    """Return what the container has to be, in the words of describe. ``image`` is the id of the image."""
    grpc = listening(settings, observed.container.address)["grpc_address"]
    command = [
        "sidecar",
        f"--log.level={settings.log_level}",
        f"--http-address={host_and_port(settings.http_address, settings.http_port)}",
        f"--grpc-address={host_and_port(*grpc)}",
        f"--grpc-server-tls-cert={TLS_PATH}/tls.crt",
        f"--grpc-server-tls-key={TLS_PATH}/tls.key",
        f"--grpc-server-tls-client-ca={TLS_PATH}/ca.crt",
        "--grpc-server-tls-min-version=1.3",
        f"--prometheus.url={observed.container.url}",
        f"--prometheus.http-client-file={_PROMETHEUS_CLIENT}",
        # How soon it notices that Prometheus is back, or has other external labels; 30 s by default.
        "--prometheus.get_config_interval=10s",
        "--enable-auto-gomemlimit",
    ]
    mounts = [f"{folder / 'thanos'}:{_ROOT}:ro"]
    volume = volume_of(settings, observed)
    if volume is not None:
        command += [f"--tsdb.path={observed.prometheus.tsdb_path}", f"--objstore.config-file={_OBJSTORE}"]
        mounts.append(f"{volume.source}:{volume.destination}:rw")
    read_once = {path: file.content for path, file in wanted.items() if not file.read_again}
    return {
        "image": settings.image,
        "image_id": image,
        "command": command,
        "user": "{}:{}".format(*observed.user),
        "mounts": mounts,
        "network": "host",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "privileged": False,
        "restart": "unless-stopped",
        "memory": settings.limits.memory,
        "cpus": settings.limits.cpus,
        "status": "running",
        "checksum": checksum(read_once),
    }


def describe(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a container is, by its inspection."""
    config, host = document["Config"], document["HostConfig"]
    labels = config.get("Labels") or {}
    return {
        "image": config.get("Image") or "",
        "image_id": labels.get(IMAGE_LABEL) or "",
        "command": list(config.get("Cmd") or ()),
        "user": config.get("User") or "",
        "mounts": list(host.get("Binds") or ()),
        "network": host.get("NetworkMode") or "",
        "read_only": bool(host.get("ReadonlyRootfs")),
        "cap_drop": list(host.get("CapDrop") or ()),
        "security_opt": list(host.get("SecurityOpt") or ()),
        "privileged": bool(host.get("Privileged")),
        "restart": (host.get("RestartPolicy") or {}).get("Name") or "",
        "memory": host.get("Memory") or 0,
        "cpus": (host.get("NanoCpus") or 0) / 1e9,
        "status": document["State"].get("Status") or "",
        "checksum": labels.get(CHECKSUM_LABEL) or "",
    }


def body(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the engine is asked for, from what the container has to be."""
    return {
        "Image": wanted["image"],
        "Cmd": wanted["command"],
        "User": wanted["user"],
        "Labels": {
            MANAGED_LABEL: MANAGED_BY,
            CHECKSUM_LABEL: wanted["checksum"],
            IMAGE_LABEL: wanted["image_id"],
        },
        "StopTimeout": GRACE,
        "HostConfig": {
            "Binds": wanted["mounts"],
            "NetworkMode": wanted["network"],
            "ReadonlyRootfs": wanted["read_only"],
            "CapDrop": wanted["cap_drop"],
            "SecurityOpt": wanted["security_opt"],
            "RestartPolicy": {"Name": wanted["restart"]},
            "Memory": wanted["memory"],
            "NanoCpus": round(wanted["cpus"] * 1e9),
        },
    }


def is_ours(document: Mapping[str, Any]) -> bool:
    return (document["Config"].get("Labels") or {}).get(MANAGED_LABEL) == MANAGED_BY


def plan_container(name: str, live: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> Plan:
    """Return the change of the container, both as describe has them. None is that it is not there, or must not be."""
    if live == wanted:
        return Plan()
    action = "create" if live is None else "delete" if wanted is None else "update"
    shown = [{key: item[key] for key in item if key != "checksum"} if item else None for item in (live, wanted)]
    if live and wanted and shown[0] == shown[1]:
        shown[1] = {**(shown[1] or {}), "reads": "other files"}
    return Plan((Change(action, "container", name, before=shown[0], after=shown[1]),))  # type: ignore[arg-type]


def plan_files(folder: Path, live: Mapping[str, File], wanted: Mapping[str, File]) -> Plan:
    """Return the changes of files by their path below ``folder``; what is not wanted is deleted."""
    changes = []
    for path in sorted({*live, *wanted}):
        before, after = live.get(path), wanted.get(path)
        if before and after and (before.content, before.owner, before.mode) == (after.content, after.owner, after.mode):
            continue
        action = "create" if before is None else "delete" if after is None else "update"
        secret = (after or before).secret if path in wanted else True  # type: ignore[union-attr]
        changes.append(
            Change(
                action,  # type: ignore[arg-type]
                "file",
                str(folder / path),
                before=_shown(before, _HIDDEN if secret else ""),
                after=_shown(after, (_HIDDEN if before is None else "(hidden, changed)") if secret else ""),
            )
        )
    return Plan(tuple(changes))


def _shown(file: File | None, instead: str) -> dict[str, Any] | None:
    if file is None:
        return None
    return {"owner": "{}:{}".format(*file.owner), "mode": f"{file.mode:04o}", "content": instead or file.content}


def _certificate(values: Mapping[str, Any], now: datetime) -> ServerCertificate:
    advice = "Give what iaas_registration returns, or a certificate of your own"
    missing = [InputError("is required", parameter=name, advice=advice) for name in TLS if not values.get(name)]
    if missing:
        raise InputErrors(missing)
    return server.check(
        values["tls_certificate"],
        values["tls_key"],
        values.get("server_name") or "",
        now,
        certificate_parameter="tls_certificate",
        key_parameter="tls_key",
    )


def _address(value: str, parameter: str) -> str:
    """Return an IP address, of one interface; empty is not given."""
    if value and (not is_address(value) or value in ("0.0.0.0", "::")):  # noqa: S104
        raise InputError(
            f"{value!r} is not the IP address of one interface",
            parameter=parameter,
            advice="The sidecar shares the host's network, so say where it is to listen",
        )
    return value


def _port(values: Mapping[str, Any], name: str, default: int) -> int:
    port = int(values.get(name) or default)
    if not 0 < port < 65536:
        raise InputError(f"{port} is not a port", parameter=name)
    return port


def _limits(given: Mapping[str, Any]) -> Limits:
    for name in given:
        if name not in ("memory", "cpus"):
            raise InputError(not_known(name, ("memory", "cpus")), parameter="resources")
    memory, cpus = (
        quantity_number(quantity(given.get(name, default), f"resources.{name}"))
        for name, default in (("memory", _MEMORY), ("cpus", "0"))
    )
    if 0 < memory < _SMALLEST_MEMORY:
        raise InputError(
            f"{given['memory']} is too little", parameter="resources.memory", advice="Use for example 512Mi"
        )
    if 0 < cpus < _SMALLEST_CPUS:
        raise InputError(f"{given['cpus']} is too little", parameter="resources.cpus", advice="Use for example 0.5")
    return Limits(int(memory), round(cpus, 2))


def arguments_of(document: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the arguments of a sidecar that runs; nothing of one that does not, which holds no port."""
    if document is None or document["State"].get("Status") != "running":
        return ()
    return document["Config"].get("Cmd") or ()
