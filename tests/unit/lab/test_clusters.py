# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any

import pytest
import yaml

from lab.clusters import Action, Marker, choose_port, decide, kind_config, port_taken, preferred_ports, unready
from lab.containers import Container
from lab.network import Network
from lab.state import LabError
from plugins.module_utils._kind.containers import moment

START = datetime(2026, 11, 23, 9, 30, 0, 500000, tzinfo=UTC)
NOW = START + timedelta(seconds=20)
NETWORK = Network("scs-lab", IPv4Network("172.30.0.0/24"))
MARKER = Marker("172.30.0.129", "sha256:node")


def container(
    *, running: bool = True, address: str = "172.30.0.129", ports: Mapping[int, int] | None = None
) -> Container:
    return Container(
        name="scs-lab-observer-control-plane",
        running=running,
        created=START,
        started=START,
        image="sha256:node",
        labels={},
        environment={},
        addresses={"scs-lab": address} if address else {},
        ports=ports or {},
    )


@pytest.mark.parametrize(
    ("seen", "marker", "action", "reason"),
    [
        (None, None, Action.CREATE, ""),
        (container(), None, Action.REBUILD, "half-made"),
        (container(running=False), None, Action.REBUILD, "half-made"),
        (container(), MARKER, Action.KEEP, ""),
        (container(running=False, address=""), MARKER, Action.START, ""),
        (container(address="172.30.0.130"), MARKER, Action.READDRESS, "from 172.30.0.129 to 172.30.0.130"),
        (container(address=""), MARKER, Action.READDRESS, "to none"),
    ],
)
def test_decision(seen: Container | None, marker: Marker | None, action: Action, reason: str) -> None:
    decision = decide(seen, marker, NETWORK, [])
    assert decision.action is action
    assert reason in decision.reason


def test_a_cluster_without_a_wanted_port_is_rebuilt_one_with_another_host_port_is_not() -> None:
    wanted = preferred_ports("observer", None, None)
    assert decide(container(), MARKER, NETWORK, wanted).reason == "it does not publish node port 30443"
    moved = container(ports={30843: 30950, 30443: 30451, 6443: 40000})
    assert decide(moved, MARKER, NETWORK, wanted).action is Action.KEEP


def test_ports_are_remembered_and_only_the_observers() -> None:
    assert preferred_ports("observer", None, None) == {30843: 30843, 30443: 30443}
    assert preferred_ports("observer", 30910, 30455) == {30843: 30910, 30443: 30455}
    assert preferred_ports("kaas-1", 30910, 30455) == {}


@pytest.mark.parametrize(("taken", "expected"), [(set(), 30902), ({30902}, 30903), ({30902, 30903, 30905}, 30904)])
def test_the_preferred_port_or_the_next_free_one(taken: set[int], expected: int) -> None:
    assert choose_port(30902, taken.__contains__) == expected


def test_no_free_port_is_an_error() -> None:
    with pytest.raises(LabError, match="no free port"):
        choose_port(30902, lambda port: True)


def test_a_port_that_somebody_listens_on_is_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert port_taken(port)
    assert not port_taken(port)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "half a ma", '{"address": "172.30.0.129"}'])
def test_an_unreadable_marker_is_none(text: str | None) -> None:
    assert Marker.parse(text) is None


def test_kind_config_keeps_what_the_node_image_asks_for() -> None:
    base = yaml.safe_load(
        """
        networking: {disableDefaultCNI: true}
        kubeadmConfigPatches: ["kind: KubeletConfiguration"]
        """
    )
    config = kind_config(base, "scs-lab-observer", "node:1", {30902: 30903})
    assert yaml.safe_load(yaml.safe_dump(config)) == {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": "scs-lab-observer",
        "networking": {"disableDefaultCNI": True},
        "kubeadmConfigPatches": ["kind: KubeletConfiguration"],
        "nodes": [
            {
                "role": "control-plane",
                "image": "node:1",
                "extraPortMappings": [
                    {"containerPort": 30902, "hostPort": 30903, "listenAddress": "127.0.0.1", "protocol": "TCP"}
                ],
            }
        ],
    }
    assert "nodes" not in base, "the image's own configuration is not changed"


def test_kind_config_without_ports_publishes_nothing() -> None:
    config = kind_config({}, "scs-lab-kaas-1", "node:1", {})
    assert config["nodes"] == [{"role": "control-plane", "image": "node:1"}]


def pod(namespace: str, label: str, *, ready: bool = True, started: datetime = START) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"namespace": namespace, "labels": {"k8s-app": label}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"state": {"running": {"startedAt": started.strftime("%Y-%m-%dT%H:%M:%SZ")}}}],
        },
    }


def healthy() -> dict[str, dict[str, Any]]:
    return {
        "node": {"kind": "Node", "metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
        "dns": pod("kube-system", "kube-dns"),
        "proxy": pod("kube-system", "kube-proxy"),
        "storage": pod("local-path-storage", "lpp"),
        "class": {
            "kind": "StorageClass",
            "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        },
    }


def test_a_ready_cluster_lacks_nothing() -> None:
    assert unready(healthy().values(), START, NOW) == []


def test_pods_of_others_do_not_matter() -> None:
    objects = [*healthy().values(), pod("kube-system", "kube-dns", ready=False), pod("default", "broken", ready=False)]
    assert unready(objects, START, NOW) == []


@pytest.mark.parametrize(
    ("missing", "lacking"),
    [
        ("node", "a Ready node"),
        ("dns", "CoreDNS"),
        ("proxy", "kube-proxy"),
        ("storage", "the storage provisioner"),
        ("class", "a default storage class"),
    ],
)
def test_each_part_is_required(missing: str, lacking: str) -> None:
    objects = healthy()
    del objects[missing]
    assert unready(objects.values(), START, NOW) == [lacking]


def test_a_node_that_is_not_ready_counts() -> None:
    objects = healthy()
    objects["node"]["status"]["conditions"][0]["status"] = "Unknown"
    assert unready(objects.values(), START, NOW) == ["a Ready node"]


def test_what_ran_before_the_node_was_started_is_old_news() -> None:
    objects = healthy() | {"dns": pod("kube-system", "kube-dns", started=START - timedelta(seconds=2))}
    assert unready(objects.values(), START, NOW) == ["CoreDNS"]


def test_a_provisioner_that_has_just_started_may_end_again() -> None:
    objects = healthy() | {"storage": pod("local-path-storage", "lpp", started=NOW - timedelta(seconds=2))}
    assert unready(objects.values(), START, NOW) == ["the storage provisioner"]
    assert unready(objects.values(), START, NOW + timedelta(seconds=4)) == []


def test_a_pod_whose_container_does_not_run_is_not_ready_whatever_its_condition() -> None:
    objects = healthy()
    objects["dns"]["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 255}}
    assert unready(objects.values(), START, NOW) == ["CoreDNS"]


def test_a_storage_class_that_is_not_the_default_does_not_count() -> None:
    objects = healthy()
    objects["class"]["metadata"] = {}
    assert unready(objects.values(), START, NOW) == ["a default storage class"]


INSPECTED = {
    "Name": "/scs-lab-observer-control-plane",
    "Created": "2026-11-23T09:29:59.123456789Z",
    "Image": "sha256:node",
    "State": {"Running": True, "StartedAt": "2026-11-23T09:30:00.5Z"},
    "Config": {"Labels": None, "Env": ["A=1=2", "B="]},
    "HostConfig": {
        "PortBindings": {
            "30902/tcp": [{"HostIp": "127.0.0.1", "HostPort": "30903"}],
            "5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
        }
    },
    "NetworkSettings": {
        "Ports": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "49153"}], "9000/tcp": None},
        "Networks": {"scs-lab": {"IPAddress": "172.30.0.129"}, "bridge": {"IPAddress": ""}},
    },
}


def test_a_container_as_the_engine_shows_it() -> None:
    seen = Container.from_inspect(INSPECTED)
    assert seen.name == "scs-lab-observer-control-plane"
    assert seen.running
    assert seen.created == datetime(2026, 11, 23, 9, 29, 59, 123456, tzinfo=UTC)
    assert seen.started == START
    assert seen.environment == {"A": "1=2", "B": ""}
    assert seen.addresses == {"scs-lab": "172.30.0.129"}
    assert seen.ports == {30902: 30903, 5000: 49153}


def test_a_stopped_container_keeps_the_ports_that_were_configured() -> None:
    stopped = INSPECTED | {
        "State": {"Running": False, "StartedAt": "0001-01-01T00:00:00Z"},
        "NetworkSettings": {"Ports": {}, "Networks": {"scs-lab": {"IPAddress": ""}}},
    }
    seen = Container.from_inspect(stopped)
    assert seen.ports == {30902: 30903}
    assert seen.addresses == {}
    assert seen.started is None


@pytest.mark.parametrize(
    "text", ["2026-11-23T09:30:00Z", "2026-11-23T09:30:00.000000000Z", "2026-11-23T10:30:00+01:00"]
)
def test_times_of_docker_and_kubernetes(text: str) -> None:
    assert moment(text) == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
