# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where kolla's Prometheus is, and who it is, by what its container says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._osism.prometheus import (
    Container,
    Mount,
    external_labels,
    user_and_group,
)

# As kolla-ansible 2025.1 writes it
KOLLA = (
    "/opt/prometheus/prometheus --config.file /etc/prometheus/prometheus.yml --web.config.file=/etc/prometheus/web.yml "
    "--web.listen-address 192.0.2.10:9091 --web.external-url=https://api.example.org:9091 "
    "--storage.tsdb.path /var/lib/prometheus"
)
PASSWD = "root:x:0:0:root:/root:/bin/bash\nprometheus:x:42472:42472::/var/lib/prometheus:/usr/sbin/nologin\nbroken\n"


def inspection(**others: Any) -> dict[str, Any]:
    return {
        "Name": "/prometheus_server",
        "Path": "dumb-init",
        "Args": ["--single-child", "--", "kolla_start"],
        "State": {"Status": "running"},
        "Config": {"User": "prometheus"},
        "Mounts": [
            {"Type": "bind", "Source": "/etc/kolla/prometheus-server", "Destination": "/var/lib/kolla/config_files"},
            {
                "Type": "volume",
                "Name": "prometheus_v2",
                "Source": "/var/lib/docker/volumes/prometheus_v2/_data",
                "Destination": "/var/lib/prometheus",
            },
            {"Type": "tmpfs", "Source": "", "Destination": "/run"},
        ],
        **others,
    }


def container(command: str) -> Container:
    return Container.of(inspection(), json.dumps({"command": command}))


def test_kollas_container_is_read() -> None:
    read = container(KOLLA)
    assert (read.name, read.running, read.user) == ("prometheus_server", True, "prometheus")
    assert (read.url, read.address) == ("http://192.0.2.10:9091", "192.0.2.10")
    volume = Mount("prometheus_v2", "/var/lib/prometheus", True)
    assert read.mount_of("/var/lib/prometheus") == read.mount_of("/var/lib/prometheus/metrics2/") == volume
    assert read.mount_of("/var/lib/prometheus2") is None


@pytest.mark.parametrize("configuration", [None, "", "no json", "[]", '{"command": 1}', "{}"])
def test_another_image_runs_what_the_engine_started(configuration: str | None) -> None:
    document = inspection(Path="/bin/prometheus", Args=["--web.listen-address=192.0.2.10:9090"])
    assert Container.of(document, configuration).url == "http://192.0.2.10:9090"


@pytest.mark.parametrize(
    ("arguments", "url", "address"),
    [
        ("", "http://127.0.0.1:9090", "127.0.0.1"),
        ("--web.listen-address=:9091", "http://127.0.0.1:9091", "127.0.0.1"),
        ("--web.listen-address=0.0.0.0:9091", "http://127.0.0.1:9091", "127.0.0.1"),
        ("--web.listen-address=[::]:9091", "http://[::1]:9091", "::1"),
        ("--web.listen-address=[2001:db8::1]:9091", "http://[2001:db8::1]:9091", "2001:db8::1"),
        (
            "--web.listen-address 192.0.2.1:9091 --web.external-url=https://a/metrics/",
            "http://192.0.2.1:9091/metrics",
            "192.0.2.1",
        ),
        (
            "--web.listen-address=192.0.2.1:9091 --web.external-url=https://a/metrics/ --web.route-prefix=/",
            "http://192.0.2.1:9091",
            "192.0.2.1",
        ),
    ],
)
def test_where_it_listens(arguments: str, url: str, address: str) -> None:
    read = container(f"/opt/prometheus/prometheus {arguments}")
    assert (read.url, read.address) == (url, address)


@pytest.mark.parametrize(
    ("user", "found"),
    [
        ("prometheus", (42472, 42472)),
        ("42472", (42472, 42472)),
        ("42472:42472", (42472, 42472)),
        ("prometheus:100", (42472, 100)),
        ("1000", (1000, 0)),
        ("", (0, 0)),
        ("nobody", None),
        ("prometheus:kolla", None),
    ],
)
def test_the_user_in_numbers(user: str, found: tuple[int, int] | None) -> None:
    assert user_and_group(user, PASSWD) == found


@pytest.mark.parametrize(
    ("configuration", "labels"),
    [
        ("global:\n  scrape_interval: 1m\n", {}),
        ("", {}),
        ("global:\n  external_labels: {}\n", {}),
        (
            'global:\n  scrape_interval: 1m\n  external_labels:\n    region: RegionOne\n    zone: "1"\n'
            "runtime:\n  gogc: 75\n    not: one\n",
            {"region": "RegionOne", "zone": "1"},
        ),
    ],
)
def test_external_labels_are_read_from_the_configuration(configuration: str, labels: dict[str, str]) -> None:
    assert external_labels(configuration) == labels
