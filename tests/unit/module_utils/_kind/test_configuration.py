# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import yaml

from ansible_collections.scs.observability.plugins.module_utils._kind.configuration import (
    ApiServer,
    Port,
    configuration,
)


def test_the_least_that_kind_is_told() -> None:
    assert configuration("observer") == {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": "observer",
        "nodes": [{"role": "control-plane"}],
    }


def test_ports_are_on_the_control_plane_alone_and_every_node_has_the_image() -> None:
    config = configuration("observer", "node:1", [Port(30443, 443, "0.0.0.0", "TCP")], workers=2)
    mapping = {"containerPort": 30443, "hostPort": 443, "listenAddress": "0.0.0.0", "protocol": "TCP"}
    assert config["nodes"] == [
        {"role": "control-plane", "image": "node:1", "extraPortMappings": [mapping]},
        {"role": "worker", "image": "node:1"},
        {"role": "worker", "image": "node:1"},
    ]


def test_the_api_server_is_added_to_what_an_operator_asks_for() -> None:
    base = {"networking": {"disableDefaultCNI": True}, "kubeadmConfigPatches": ["kind: KubeletConfiguration"]}
    config = configuration("observer", api_server=ApiServer("192.0.2.7", 6443, ("api.example.org",)), base=base)
    assert config["networking"] == {"disableDefaultCNI": True, "apiServerAddress": "192.0.2.7", "apiServerPort": 6443}
    first, patch = config["kubeadmConfigPatches"]
    assert first == "kind: KubeletConfiguration"
    # Its list is replaced, not extended, so KinD's own names have to be in it.
    names = ["localhost", "192.0.2.7", "api.example.org"]
    assert yaml.safe_load(patch) == {"kind": "ClusterConfiguration", "apiServer": {"certSANs": names}}
    assert base == {"networking": {"disableDefaultCNI": True}, "kubeadmConfigPatches": ["kind: KubeletConfiguration"]}


def test_a_port_that_is_free_is_kinds_to_choose() -> None:
    config = configuration("observer", api_server=ApiServer())
    assert config["networking"] == {"apiServerAddress": "127.0.0.1"}
    assert "kubeadmConfigPatches" not in config
