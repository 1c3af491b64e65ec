# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._kind.containers import Container
from ansible_collections.scs.observability.plugins.module_utils._kind.settings import Action, decide, read

PARAMS: dict[str, Any] = {"name": "observer", "kubeconfig": "/etc/observer.kubeconfig"}
SETTINGS = read(PARAMS)


def node(name: str = "observer-control-plane", *, running: bool = True) -> Container:
    now = datetime.now(UTC)
    return Container(name, running, now, now, "sha256:node", {}, {}, {}, {})


def port(node_port: Any = 30443, host_port: Any = 443, **more: Any) -> dict[str, Any]:
    return {"node_port": node_port, "host_port": host_port, **more}


@pytest.mark.parametrize(
    ("changes", "parameter", "words"),
    [
        ({"name": ""}, "name", "must not be empty"),
        ({"name": "Observer"}, "name", "is not a DNS label"),
        ({"name": "a" * 50}, "name", "longer than 49"),
        ({"kubeconfig": None}, "kubeconfig", "must not be empty"),
        ({"image": "node:"}, "image", "is not an image reference"),
        ({"workers": -1}, "workers", "is not a number of nodes"),
        ({"ports": [port(0)]}, "ports[0].node_port", "is not a port"),
        ({"ports": [port(30443, 70000)]}, "ports[0].host_port", "is not a port"),
        ({"ports": [port(protocol="ICMP")]}, "ports[0].protocol", "none of TCP"),
        ({"ports": [port(listen_address="eth0")]}, "ports[0].listen_address", "is not an IP address"),
        ({"ports": [port(), port(30443, 444)]}, "ports[1]", "node port 30443/TCP is mapped by ports[0], too"),
        ({"ports": [port(), port(30444, 443)]}, "ports[1]", "port 443/TCP of the host is ports[0]'s, too"),
        (
            {"ports": [port(), port(30444, 443, listen_address="0.0.0.0")]},
            "ports[1]",
            "port 443/TCP of the host is ports[0]'s, too",
        ),
        ({"ports": [port(30443, 6443)], "api_server_port": 6443}, "api_server_port", "is ports[0]'s, too"),
        ({"api_server_port": 65536}, "api_server_port", "is not a port"),
        ({"api_server_address": "localhost"}, "api_server_address", "is not an IP address"),
        ({"api_server_address": "0.0.0.0"}, "api_server_names", "has to name one"),
        ({"api_server_names": ["-x"]}, "api_server_names", "is not a name"),
        ({"config": {"nodes": [], "name": "x"}}, "config", "name, nodes is said by other parameters"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], parameter: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read({**PARAMS, **changes})
    assert caught.value.parameter == parameter
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "absent", "kubeconfig": None},
        {"ports": [port(), port(30443, 443, protocol="UDP")]},
        {"ports": [port(), port(30444, 443, listen_address="192.0.2.7")]},
        {"api_server_address": "0.0.0.0", "api_server_names": ["192.0.2.7", "api.example.org"]},
        {"api_server_address": "::1", "workers": None, "config": {"networking": {"ipFamily": "ipv6"}}},
    ],
)
def test_what_can_be(changes: dict[str, Any]) -> None:
    read({**PARAMS, **changes})


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ObservabilityError) as caught:
        read({"name": "A", "ports": [port(0), port(host_port=0)], "workers": -1})
    problems = caught.value.result()["problems"]
    assert [problem.partition(":")[0] for problem in problems] == [
        "name",
        "ports[0].node_port",
        "ports[1].host_port",
        "workers",
        "kubeconfig",
    ]


def test_what_is_configured_beside_is_compared_and_not_shown() -> None:
    def config(password: str) -> dict[str, Any]:
        patch = f'[plugins."io.containerd.grpc.v1.cri".registry.configs.r.auth]\npassword = "{password}"'
        return read({**PARAMS, "config": {"containerdConfigPatches": [patch]}}).description()

    assert config("swordfish") == config("swordfish") != config("other")
    assert "swordfish" not in str(config("swordfish"))
    assert "swordfish" not in repr(read({**PARAMS, "config": {"x": "swordfish"}}))


@pytest.mark.parametrize(
    ("nodes", "made_as", "present", "recreate", "action"),
    [
        ([], None, True, False, Action.CREATE),
        ([], None, True, True, Action.CREATE),
        ([], None, False, False, Action.NOTHING),
        ([node()], SETTINGS.description(), True, False, Action.NOTHING),
        ([node()], SETTINGS.description(), True, True, Action.NOTHING),
        ([node(running=False)], SETTINGS.description(), True, False, Action.START),
        ([node(), node("observer-worker", running=False)], SETTINGS.description(), True, False, Action.START),
        ([node()], None, True, True, Action.RECREATE),
        ([node()], {**SETTINGS.description(), "workers": 1}, True, True, Action.RECREATE),
        ([node()], None, False, False, Action.DELETE),
        ([node()], {**SETTINGS.description(), "workers": 1}, False, False, Action.DELETE),
    ],
)
def test_what_is_done(
    nodes: list[Container], made_as: dict[str, Any] | None, present: bool, recreate: bool, action: Action
) -> None:
    assert decide(SETTINGS, nodes, made_as, present=present, recreate=recreate) is action


def test_a_half_made_cluster_is_refused_with_how_to_go_on() -> None:
    with pytest.raises(InputError, match="half-made") as caught:
        decide(SETTINGS, [node()], None)
    assert "recreate: true" in str(caught.value)


def test_another_cluster_than_is_wanted_is_refused_with_what_differs() -> None:
    settings = read({**PARAMS, "ports": [port()], "image": "node:2"})
    with pytest.raises(InputError) as caught:
        decide(settings, [node()], SETTINGS.description())
    assert caught.value.parameter == "image"
    assert "image: KinD's own instead of node:2; ports: none instead of 127.0.0.1:443 -> 30443/TCP" in str(caught.value)
