# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest

from lab import network
from lab.network import CLUSTER_RANGES, Network, choose_subnet, routes_from_ip, routes_from_proc
from lab.state import LabError


def nets(*texts: str) -> list[IPv4Network]:
    return [IPv4Network(text) for text in texts]


@pytest.mark.parametrize(
    ("taken", "preferred", "expected"),
    [
        ([], None, "172.30.0.0/24"),
        (["172.17.0.0/16", "10.0.0.0/8"], None, "172.30.0.0/24"),
        (["172.30.0.0/24"], None, "172.30.1.0/24"),
        (["172.30.0.128/25", "172.30.1.7/32"], None, "172.30.2.0/24"),
        (["172.16.0.0/12"], None, "10.213.0.0/24"),
        (["172.16.0.0/12", "10.0.0.0/8"], None, "192.168.128.0/24"),
        ([], "172.30.9.0/24", "172.30.9.0/24"),
        (["172.30.9.0/26"], "172.30.9.0/24", "172.30.0.0/24"),
        ([], "10.244.3.0/24", "172.30.0.0/24"),
    ],
)
def test_the_subnet_overlaps_nothing(taken: list[str], preferred: str | None, expected: str) -> None:
    chosen = choose_subnet(nets(*taken), IPv4Network(preferred) if preferred else None)
    assert chosen == IPv4Network(expected)
    assert not any(chosen.overlaps(other) for other in (*nets(*taken), *CLUSTER_RANGES))


def test_no_free_subnet_is_an_error() -> None:
    with pytest.raises(LabError, match="no free /24"):
        choose_subnet(nets("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def test_fixed_addresses_are_outside_of_what_the_engine_gives_away() -> None:
    lab = Network("scs-lab", IPv4Network("172.30.4.0/24"))
    assert lab.dynamic_range == IPv4Network("172.30.4.128/25")
    fixed = {lab.gateway, lab.s3_address, lab.registry_address}
    assert fixed == {"172.30.4.1", "172.30.4.10", "172.30.4.11"}
    assert not fixed & {str(address) for address in lab.dynamic_range}


def test_routes_of_ip() -> None:
    routes = [
        {"dst": "default", "gateway": "192.0.2.1"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"type": "local", "dst": "192.0.2.2", "dev": "eth0", "table": "local"},
        {"dst": "100.64.0.0/10", "dev": "wg0", "table": "52"},
        {"dst": "0.0.0.0/1", "dev": "wg0"},
    ]
    expected = nets("192.0.2.0/24", "192.0.2.2/32", "100.64.0.0/10", "0.0.0.0/1")
    assert routes_from_ip(json.dumps(routes)) == expected
    assert routes_from_ip("") == []


def test_routes_of_proc() -> None:
    content = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert routes_from_proc(content) == nets("192.0.2.0/24", "172.17.0.0/16")


def test_subnets_of_a_docker_network() -> None:
    config = [{"Subnet": "fc00:f853:ccd:e793::/64"}, {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]
    assert network.subnets({"IPAM": {"Config": config}}) == nets("172.18.0.0/16")
    assert network.subnets({"IPAM": {"Config": None}}) == []
