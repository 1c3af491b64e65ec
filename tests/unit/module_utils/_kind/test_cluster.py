# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's operation, with docker and kind played by a machine that remembers its containers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, NotReadyError
from ansible_collections.scs.observability.plugins.module_utils._kind.cluster import (
    MARKER,
    KindError,
    Result,
    ensure,
    run_program,
)

CONTROL_PLANE = "observer-control-plane"
STARTED = "2026-01-01T10:00:00.5Z"


def ready_objects() -> list[dict[str, Any]]:
    condition = {"conditions": [{"type": "Ready", "status": "True"}]}
    running = {"containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T10:00:30Z"}}}]}
    pods = [("kube-system", "kube-dns"), ("kube-system", "kube-proxy"), ("local-path-storage", "provisioner")]
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    return [
        {"kind": "Node", "metadata": {"name": CONTROL_PLANE}, "status": condition},
        {"kind": "StorageClass", "metadata": {"name": "standard", **default}},
        *(
            {"kind": "Pod", "metadata": {"namespace": where, "labels": {"k8s-app": app}}, "status": condition | running}
            for where, app in pods
        ),
    ]


class Machine:
    """What there is on the machine, and the calls that change something, in order."""

    def __init__(self) -> None:
        self.nodes: dict[str, bool] = {}
        self.marker: str | None = None
        self.calls: list[str] = []
        self.configuration: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.has_docker = self.has_kind = True
        self.create_fails = ""
        self.objects = ready_objects()

    def run(self, command: Sequence[str], *, text: str = "", environment: Mapping[str, str] | None = None) -> Result:
        program, *arguments = command
        if not (self.has_docker if program == "docker" else self.has_kind):
            return Result(None, "", "No such file or directory")
        answer = getattr(self, f"{program}_{arguments[0]}")(arguments[1:], text)
        self.environment |= environment or {}
        if isinstance(answer, Result):
            return answer
        return Result(0, answer or "", "")

    def docker_ps(self, arguments: list[str], text: str) -> str:
        assert "label=io.x-k8s.kind.cluster=observer" in arguments
        return "\n".join(self.nodes)

    def docker_container(self, arguments: list[str], text: str) -> str:
        return json.dumps(
            [
                {
                    "Name": f"/{name}",
                    "Created": STARTED,
                    "Image": "sha256:node",
                    "State": {"Running": running, "StartedAt": STARTED},
                    "Config": {"Labels": {}, "Env": []},
                    "HostConfig": {"PortBindings": {"30443/tcp": [{"HostIp": "", "HostPort": "443"}]}},
                    "NetworkSettings": {"Networks": {}, "Ports": {}},
                }
                for name, running in self.nodes.items()
                if name in arguments
            ]
        )

    def docker_exec(self, arguments: list[str], text: str) -> str:
        return json.dumps({"items": self.objects})

    def docker_cp(self, arguments: list[str], text: str) -> Result | None:
        source, target = arguments
        if source == f"{CONTROL_PLANE}:{MARKER}":
            if self.marker is None:
                return Result(1, "", "no such file")
            Path(target).write_text(self.marker)
            return None
        assert target == f"{CONTROL_PLANE}:{MARKER}"
        self.marker = Path(source).read_text()
        self.calls.append("mark")
        return None

    def docker_rm(self, arguments: list[str], text: str) -> None:
        assert arguments[:2] == ["--force", "--volumes"]
        self.calls.append(f"rm {' '.join(arguments[2:])}")
        self.nodes = {name: running for name, running in self.nodes.items() if name not in arguments}
        self.marker = None

    def docker_start(self, arguments: list[str], text: str) -> None:
        self.calls.append(f"start {' '.join(arguments)}")
        self.nodes |= dict.fromkeys(arguments, True)

    def docker_logs(self, arguments: list[str], text: str) -> str:
        return "Failed to start kubelet\n"

    def kind_version(self, arguments: list[str], text: str) -> str:
        return "kind v0.33.0"

    def kind_create(self, arguments: list[str], text: str) -> Result | None:
        self.calls.append("create")
        self.configuration = json.loads(text)
        self.nodes[CONTROL_PLANE] = True
        if self.create_fails:
            return Result(1, "", f"Creating cluster\n{self.create_fails}\n")
        return None

    def kind_get(self, arguments: list[str], text: str) -> str:
        assert arguments == ["kubeconfig", "--name", "observer"]
        return (
            "clusters:\n- cluster:\n    server: https://127.0.0.1:41913\n  name: kind-observer\n"
            "current-context: kind-observer\nusers: [{user: {client-key-data: c2VjcmV0}}]\n"
        )


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def run(machine: Machine, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Call the operation for a cluster whose kubeconfig goes into a folder that is not there yet."""

    def call(check_mode: bool = False, taken: Sequence[int] = (), **changes: Any) -> dict[str, Any]:
        params = {"name": "observer", "kubeconfig": str(tmp_path / "new" / "kubeconfig"), "wait_timeout": 0.001}
        return ensure(
            {**params, **changes},
            check_mode,
            machine.run,
            lambda port, _address: port in taken,
            lambda _seconds: None,
        )

    return call


Run = Callable[..., dict[str, Any]]
PORTS = [{"node_port": 30443, "host_port": 443}]


def test_a_cluster_is_made_and_then_nothing_changes(machine: Machine, run: Run, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "new" / "kubeconfig"
    planned = run(check_mode=True)
    assert planned["changes"] == ["create KinD cluster observer", f"write kubeconfig {kubeconfig}"]
    assert (machine.calls, kubeconfig.exists()) == ([], False)

    made = run(network="lab", config={"featureGates": {"A": True}}, ports=PORTS)
    assert made["changes"] == planned["changes"]
    assert made["diff"]["before"] == ""
    assert "127.0.0.1:443 -> 30443/TCP" in made["diff"]["after"]
    assert machine.calls == ["create", "mark"]
    assert machine.configuration["featureGates"] == {"A": True}
    assert machine.environment == {"KIND_EXPERIMENTAL_DOCKER_NETWORK": "lab"}
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert (made["server"], made["context"]) == ("https://127.0.0.1:41913", "kind-observer")
    assert "c2VjcmV0" not in json.dumps(made)

    again = run(network="lab", config={"featureGates": {"A": True}}, ports=PORTS)
    assert (again["changed"], again["changes"]) == (False, [])
    assert again["diff"]["before"] == again["diff"]["after"]


def test_the_first_name_of_the_api_server_is_in_the_kubeconfig(run: Run, tmp_path: Path) -> None:
    result = run(api_server_names=["api.example.org", "192.0.2.7"])
    assert result["server"] == "https://api.example.org:41913"
    assert "server: https://api.example.org:41913\n" in (tmp_path / "new" / "kubeconfig").read_text()
    assert run(api_server_names=["api.example.org", "192.0.2.7"])["changed"] is False


def test_a_stopped_cluster_is_started(machine: Machine, run: Run) -> None:
    run()
    machine.nodes[CONTROL_PLANE] = False
    machine.calls.clear()
    assert run(check_mode=True)["changes"] == ["start KinD cluster observer"]
    assert machine.calls == []
    assert run()["changes"] == ["start KinD cluster observer"]
    assert machine.calls == [f"start {CONTROL_PLANE}"]


def test_a_kubeconfig_that_was_changed_is_written_again(run: Run, tmp_path: Path) -> None:
    run()
    kubeconfig = tmp_path / "new" / "kubeconfig"
    right = kubeconfig.read_text()
    kubeconfig.write_text(right.replace("41913", "1"))
    assert run(check_mode=True)["changes"] == [f"write kubeconfig {kubeconfig}"]
    assert run()["changed"]
    assert kubeconfig.read_text() == right


def test_a_kubeconfig_of_another_cluster_is_never_touched(machine: Machine, run: Run, tmp_path: Path) -> None:
    for text in ("current-context: production\n", "something else\n", 'current-context: "kind-other"\n'):
        (tmp_path / "kubeconfig").write_text(text)
        for state in ("present", "absent"):
            with pytest.raises(InputError, match="not of this cluster"):
                run(kubeconfig=str(tmp_path / "kubeconfig"), state=state)
        assert (tmp_path / "kubeconfig").read_text() == text
    assert machine.calls == []


def test_what_cannot_be_changed_in_place_is_refused_or_made_anew(machine: Machine, run: Run) -> None:
    run()
    machine.calls.clear()
    with pytest.raises(InputError, match="ports: none instead of"):
        run(ports=PORTS)
    assert machine.calls == []
    anew = run(ports=PORTS, recreate=True, taken=[])
    assert anew["changes"] == ["recreate KinD cluster observer"]
    assert machine.calls == [f"rm {CONTROL_PLANE}", "create", "mark"]
    assert run(ports=PORTS, recreate=True)["changed"] is False


def test_a_half_made_cluster_is_refused_or_made_anew(machine: Machine, run: Run) -> None:
    machine.nodes[CONTROL_PLANE] = True
    with pytest.raises(InputError, match="half-made"):
        run()
    assert run(recreate=True)["changes"][0] == "recreate KinD cluster observer"
    assert machine.calls == [f"rm {CONTROL_PLANE}", "create", "mark"]


def test_ports_that_are_taken_are_told_all_before_anything_is_made(machine: Machine, run: Run) -> None:
    ports = [*PORTS, {"node_port": 30902, "host_port": 8080}]
    for check_mode in (True, False):
        with pytest.raises(Exception, match="443 is taken") as caught:
            run(check_mode, ports=ports, api_server_port=6443, taken=[443, 6443])
        assert "127.0.0.1:6443 is taken" in str(caught.value)
        assert "8080" not in str(caught.value)
    assert machine.calls == []


def test_its_own_ports_are_not_taken_when_it_is_made_anew(machine: Machine, run: Run) -> None:
    machine.nodes[CONTROL_PLANE] = True
    assert run(ports=PORTS, recreate=True, taken=[443])["changed"]


def test_what_kind_cannot_make_is_told_with_what_the_node_said_and_removed(machine: Machine, run: Run) -> None:
    machine.create_fails = "ERROR: failed to init node with kubeadm"
    with pytest.raises(KindError) as caught:
        run()
    assert "failed to init node with kubeadm" in str(caught.value)
    assert "Failed to start kubelet" in str(caught.value)
    assert caught.value.details == {"removed": [CONTROL_PLANE]}
    assert (machine.nodes, machine.marker) == ({}, None)
    machine.create_fails = ""
    assert run()["changed"]


def test_a_new_cluster_that_does_not_get_ready_is_told_and_removed(machine: Machine, run: Run) -> None:
    machine.objects = [item for item in ready_objects() if item["kind"] != "StorageClass"]
    with pytest.raises(KindError, match="it lacks a default storage class after"):
        run()
    assert machine.nodes == {}


def test_nodes_that_did_not_join_are_lacking(run: Run) -> None:
    with pytest.raises(KindError, match="lacks 1 nodes"):
        run(workers=1)


def test_a_cluster_that_was_ready_once_is_never_removed_by_itself(machine: Machine, run: Run) -> None:
    run()
    machine.objects = []
    with pytest.raises(NotReadyError, match="lacks a Ready node, CoreDNS"):
        run()
    assert machine.nodes == {CONTROL_PLANE: True}


def test_it_is_removed_with_its_kubeconfig_and_then_nothing_changes(machine: Machine, run: Run, tmp_path: Path) -> None:
    run()
    # Nothing has to be ready, or even right, to be removed.
    machine.objects, machine.marker, machine.has_kind = [], None, False
    machine.calls.clear()
    kubeconfig = tmp_path / "new" / "kubeconfig"
    expected = ["delete KinD cluster observer", f"remove kubeconfig {kubeconfig}"]
    assert run(check_mode=True, state="absent")["changes"] == expected
    assert (machine.calls, kubeconfig.exists()) == ([], True)
    gone = run(state="absent")
    assert (gone["changes"], gone["server"], gone["diff"]["after"]) == (expected, None, "")
    assert (machine.calls, kubeconfig.exists()) == ([f"rm {CONTROL_PLANE}"], False)
    assert run(state="absent")["changed"] is False
    assert run(state="absent", kubeconfig=None)["changed"] is False


def test_programs_that_are_not_there(machine: Machine, run: Run) -> None:
    machine.has_kind = False
    with pytest.raises(InputError, match="kind is not a program"):
        run()
    machine.has_docker = False
    with pytest.raises(KindError, match="no container engine"):
        run()
    assert machine.calls == []


def test_a_program_as_it_is_run(tmp_path: Path) -> None:
    assert run_program(["cat"], text="words").output == "words"
    assert run_program(["sh", "-c", "echo $WHERE >&2; exit 3"], environment={"WHERE": "here"}) == (3, "", "here\n")
    assert run_program([str(tmp_path / "nothing")]).status is None
