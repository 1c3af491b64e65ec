# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes cluster that KinD makes on this machine: observe, plan, apply. The place that runs kind and docker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    InputError,
    NotReadyError,
    ObservabilityError,
)
from ansible_collections.scs.observability.plugins.module_utils._kind import settings as wanted
from ansible_collections.scs.observability.plugins.module_utils._kind.configuration import (
    CLUSTER_LABEL,
    context_of,
    create_command,
    kubeconfig_command,
    remove_arguments,
)
from ansible_collections.scs.observability.plugins.module_utils._kind.containers import Container, port_taken
from ansible_collections.scs.observability.plugins.module_utils._kind.readiness import unready
from ansible_collections.scs.observability.plugins.module_utils._kind.settings import Action, Settings

# Written into the control plane's node as the last step: without it the cluster is half-made.
MARKER = "/kind/scs-observability.json"
_POLL = 0.5
_CURRENT_CONTEXT = re.compile(r"^current-context: *\"?([^\"\n]*)\"?$", re.MULTILINE)
_SERVER = re.compile(r"^(\s*server: )(\S+)$", re.MULTILINE)


class Result(NamedTuple):
    """How a program ended. ``status`` is None when it is not there."""

    status: int | None
    output: str
    error: str


Runner = Callable[..., Result]


class KindError(ObservabilityError):
    """kind or docker did not do what they were asked for."""


def run_program(command: Sequence[str], *, text: str = "", environment: Mapping[str, str] | None = None) -> Result:
    """Run a program with ``text`` on its standard input."""
    try:
        done = subprocess.run(  # noqa: S603
            list(command),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
        )
    except OSError as error:
        return Result(None, "", error.strerror or type(error).__name__)
    return Result(done.returncode, done.stdout, done.stderr)


@dataclass
class Programs:
    """docker and kind, with what their failures mean."""

    kind: str
    network: str
    timeout: float
    """Seconds that a cluster has to get ready."""
    run: Runner = run_program
    sleep: Callable[[float], None] = time.sleep

    def docker(self, *arguments: str, check: bool = True) -> str:
        result = self.run(["docker", *arguments])
        if result.status is None:
            raise KindError(
                "there is no container engine: docker is not installed on this machine",
                advice="Install one, or let the role do it with kind_cluster_install_engine: true",
            )
        if check and result.status != 0:
            said = _last_lines(result.error, 3)
            down = "daemon" in said.lower()
            raise KindError(
                f"docker {arguments[0]} failed: {said or f'exit status {result.status}'}",
                advice="Start the container engine, or let this user use it" if down else None,
            )
        return result.output

    def kind_is_there(self) -> None:
        if self.run([self.kind, "version"]).status != 0:
            raise InputError(
                f"{self.kind} is not a program that runs on this machine",
                parameter="kind",
                advice="Install KinD, or let the role do it with kind_cluster_binary_url",
            )

    def create(self, configuration: Mapping[str, Any]) -> Result:
        """Make a cluster; its kubeconfig is asked for afterwards."""
        with tempfile.TemporaryDirectory(prefix="scs-observability-") as folder:
            command = create_command(self.kind, "-", os.path.join(folder, "kubeconfig"))
            return self.run(command, text=json.dumps(configuration), environment=self._environment())

    def kubeconfig(self, name: str) -> str:
        result = self.run(kubeconfig_command(self.kind, name), environment=self._environment())
        if result.status != 0:
            raise KindError(f"kind gives no kubeconfig of {name}: {_last_lines(result.error, 3)}")
        return result.output.rstrip("\n") + "\n"

    def _environment(self) -> dict[str, str]:
        return {"KIND_EXPERIMENTAL_DOCKER_NETWORK": self.network} if self.network else {}


def ensure(
    params: Mapping[str, Any],
    check_mode: bool,
    run: Runner = run_program,
    taken: Callable[[int, str], bool] = port_taken,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Do what the module kind_cluster documents, and return its result."""
    settings, present = wanted.read(params), params.get("state") != "absent"
    path = Path(os.path.expanduser(params["kubeconfig"])) if params.get("kubeconfig") else None
    if path is not None:
        _refuse_other_kubeconfig(path, settings.name)
    timeout = params.get("wait_timeout") or 300
    programs = Programs(params.get("kind") or "kind", settings.network, timeout, run, sleep)
    nodes = observe(programs, settings.name)
    made_as = _made_as(programs, settings.control_plane) if nodes else None
    action = wanted.decide(settings, nodes, made_as, present=present, recreate=bool(params.get("recreate")))
    if present:
        programs.kind_is_there()
    if action in (Action.CREATE, Action.RECREATE):
        _refuse_taken_ports(settings, nodes, taken)

    changes = [] if action is Action.NOTHING else [f"{action.value} KinD cluster {settings.name}"]
    if not check_mode and (present or nodes):
        _apply(programs, settings, action, nodes)
    before = after = _read(path) if path is not None else None
    if not present:
        after = None
    elif not check_mode or action is Action.NOTHING:
        after = kubeconfig_of(settings, programs.kubeconfig(settings.name))
    elif action is not Action.START:
        after = "there is none yet"
    if path is not None and after != before:
        changes.append(f"{'write' if after else 'remove'} kubeconfig {path}")
        if not check_mode:
            _write(path, after)
    server = _SERVER.search(after or "")
    return {
        "changed": bool(changes),
        "changes": changes,
        "diff": _diff(settings, action, made_as, present),
        "name": settings.name,
        "context": context_of(settings.name),
        "kubeconfig": str(path) if path is not None else None,
        "server": server[2] if server else None,
    }


def observe(programs: Programs, name: str) -> list[Container]:
    """Return the nodes of the cluster, running or not."""
    names = programs.docker(
        "ps", "--all", "--filter", f"label={CLUSTER_LABEL}={name}", "--format", "{{.Names}}"
    ).split()
    if not names:
        return []
    return [Container.from_inspect(item) for item in json.loads(programs.docker("container", "inspect", *names))]


def lacking(programs: Programs, settings: Settings) -> list[str]:
    """Return what the cluster lacks now."""
    nodes = {node.name: node for node in observe(programs, settings.name)}
    node = nodes.get(settings.control_plane)
    if node is None or not node.running or node.started is None:
        return ["a running node"]
    kubectl = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "--request-timeout", "10s")
    asked = ("get", "nodes,pods,storageclasses", "--all-namespaces", "--output", "json")
    try:
        objects = json.loads(programs.docker("exec", node.name, *kubectl, *asked, check=False))["items"]
    except (ValueError, KeyError, TypeError):
        return ["an answering API server"]
    missing = unready(objects, node.started, datetime.now(UTC))
    count = sum(item["kind"] == "Node" for item in objects)
    return missing if count > settings.workers else [*missing, f"{settings.workers + 1 - count} nodes"]


def kubeconfig_of(settings: Settings, text: str) -> str:
    """Return KinD's kubeconfig with the first name of the API server, if it has one, in the place of its address."""
    if not settings.api_server.names:
        return text
    host = settings.api_server.names[0]
    host = f"[{host}]" if ":" in host else host
    return _SERVER.sub(lambda match: f"{match[1]}https://{host}:{match[2].rpartition(':')[2]}", text)


def _apply(
    programs: Programs,
    settings: Settings,
    action: Action,
    nodes: Sequence[Container],
) -> None:
    """Carry out what was decided, and wait until the cluster can be used."""
    if action in (Action.DELETE, Action.RECREATE):
        programs.docker(*remove_arguments([node.name for node in nodes]))
    if action is Action.DELETE:
        return
    if action in (Action.CREATE, Action.RECREATE):
        _create(programs, settings)
        return
    if action is Action.START:
        programs.docker("start", *(node.name for node in nodes if not node.running))
    missing = _wait(programs, settings)
    if missing:
        raise NotReadyError(
            f"the cluster {settings.name} lacks {', '.join(missing)} after {programs.timeout:.0f} s\n"
            f"{_evidence(programs, settings)}".rstrip(),
            advice="Look at its node, or make the cluster anew: remove it with state: absent first",
        )


def _create(programs: Programs, settings: Settings) -> None:
    """Make a cluster and wait for it. What does not get ready is removed again, as it is of no use."""
    made = programs.create(settings.configuration())
    why = ""
    if made.status != 0:
        why = f"kind create cluster ended with {made.status}:\n{_last_lines(made.error or made.output, 15)}"
    elif missing := _wait(programs, settings):
        why = f"it lacks {', '.join(missing)} after {programs.timeout:.0f} s"
    if why:
        evidence = _evidence(programs, settings)
        left = [node.name for node in observe(programs, settings.name)]
        if left:
            programs.docker(*remove_arguments(left))
        raise KindError(
            f"the cluster {settings.name} could not be made: {why}\n{evidence}".rstrip(),
            details={"removed": left},
        )
    with tempfile.TemporaryDirectory(prefix="scs-observability-") as folder:
        file = Path(folder, "description")
        file.write_text(json.dumps(settings.description()) + "\n", encoding="utf-8")
        programs.docker("cp", str(file), f"{settings.control_plane}:{MARKER}")


def _wait(programs: Programs, settings: Settings) -> list[str]:
    """Return what is still lacking when the time is over; empty as soon as nothing is."""
    deadline = time.monotonic() + programs.timeout
    while missing := lacking(programs, settings):
        if time.monotonic() >= deadline:
            break
        programs.sleep(_POLL)
    return missing


def _evidence(programs: Programs, settings: Settings) -> str:
    """Return the last that the node said."""
    said = programs.run(["docker", "logs", "--tail", "15", settings.control_plane])
    text = _last_lines(said.output + said.error, 15)
    return f"{settings.control_plane}:\n{text}" if said.status == 0 and text else ""


def _made_as(programs: Programs, node: str) -> dict[str, Any] | None:
    """Return the description that was put into a node when the cluster was complete, None without one."""
    with tempfile.TemporaryDirectory(prefix="scs-observability-") as folder:
        file = Path(folder, "description")
        programs.docker("cp", f"{node}:{MARKER}", str(file), check=False)
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
    return found if isinstance(found, dict) else None


def _refuse_taken_ports(settings: Settings, nodes: Sequence[Container], taken: Callable[[int, str], bool]) -> None:
    ours = {port for node in nodes for port in node.ports.values()}
    wanted.raise_all(
        [
            InputError(
                f"{port.listen_address}:{port.host_port} is taken on this machine, or not an address of it",
                parameter=parameter,
                advice="Choose another port, or stop what listens there",
            )
            for parameter, port in wanted.listening(settings)
            if port.protocol == "TCP" and port.host_port not in ours and taken(port.host_port, port.listen_address)
        ]
    )


def _refuse_other_kubeconfig(path: Path, name: str) -> None:
    """Never write over, or remove, a kubeconfig of another cluster."""
    text = _read(path)
    if not text:
        return
    context = _CURRENT_CONTEXT.search(text)
    if context is None or context[1].strip() != context_of(name):
        what = f"of the context {context[1].strip()}" if context else "something else"
        raise InputError(
            f"{path} is there and is {what}, not of this cluster",
            parameter="kubeconfig",
            advice="Give another path; to use that cluster as it is, nothing has to be made",
        )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise InputError(f"{path} cannot be read: {why}", parameter="kubeconfig") from None


def _write(path: Path, text: str | None) -> None:
    """Write a file that nobody else may read, whole or not at all; None removes it."""
    if text is None:
        path.unlink(missing_ok=True)
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(fresh).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(fresh).unlink()
            raise
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", parameter="kubeconfig") from error


def _diff(settings: Settings, action: Action, made_as: Mapping[str, Any] | None, present: bool) -> dict[str, str]:
    """Return the cluster before and after, without its kubeconfig."""

    def text(description: Mapping[str, Any] | None) -> str:
        return json.dumps(description, indent=2, sort_keys=True) + "\n" if description else ""

    after = settings.description() if present else None
    if action is Action.NOTHING:
        return {"before": text(after), "after": text(after)}
    if action is Action.START:
        return {"before": text({**settings.description(), "running": False}), "after": text(after)}
    there = made_as or {"name": settings.name}
    return {"before": "" if action is Action.CREATE else text(there), "after": text(after)}


def _last_lines(text: str, count: int) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
