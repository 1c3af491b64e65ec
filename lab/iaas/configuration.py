# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the IaaS hosts are told: kolla's variables and inventory, and the collection's inventory. No input or output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.iaas.kolla import Release
from lab.iaas.openstack_servers import KEYSTONE_PORT, SWIFT_PORT

PROMETHEUS_PORT = 9091
# From kolla 2025.1 on; where the kernel grants less, runc does not start the container
OPEN_FILES = 1048576


def globals_of(address: str, openstack: str, overlays: str, open_files: int) -> dict[str, Any]:
    """kolla's globals.yml: its monitoring alone, on one host, from images of Debian.

    openstack:  address of Keystone and Swift
    overlays:   folder with configuration that kolla merges in, `files/overlays` in OSISM's repository
    open_files: how many the host can grant a container
    """
    values: dict[str, Any] = {
        "config_strategy": "COPY_ALWAYS",
        "kolla_base_distro": "debian",
        "network_interface": "eth0",
        "kolla_internal_vip_address": address,
        "node_custom_config": overlays,
        **dict.fromkeys(
            (
                "enable_openstack_core",
                "enable_haproxy",
                "enable_keepalived",
                "enable_proxysql",
                "enable_mariadb",
                "enable_memcached",
                "enable_rabbitmq",
                "enable_fluentd",
                "enable_cron",
                "enable_prometheus_alertmanager",
                "enable_prometheus_cadvisor",
                "enable_prometheus_openstack_exporter",
            ),
            False,
        ),
        "enable_prometheus": True,
        # The host's own HAProxy, RabbitMQ and MariaDB, where the lab has made the exporter's user
        "enable_prometheus_haproxy_exporter": True,
        "enable_prometheus_rabbitmq_exporter": True,
        "enable_prometheus_mysqld_exporter": True,
        "use_preconfigured_databases": True,
        "prometheus_blackbox_exporter_endpoints": [
            f"prometheus:tcp_connect:{address}:{PROMETHEUS_PORT}",
            f"keystone:os_endpoint:https://{openstack}:{KEYSTONE_PORT}",
            f"swift:http_2xx:https://{openstack}:{SWIFT_PORT}/healthcheck",
        ],
        # The authority of Keystone and Swift, from `certificates/ca`
        "kolla_copy_ca_into_containers": True,
        "prometheus_scrape_interval": "15s",
    }
    if open_files < OPEN_FILES:
        values["default_container_dimensions"] = {}
    return values


def configuration_of(region: str) -> dict[str, Any]:
    """`environments/kolla/configuration.yml` as an operator of OSISM has it: what the sidecar needs to work."""
    return {
        "prometheus_external_labels": {"layer": "iaas", "region": region, "replica": "{{ inventory_hostname }}"},
        "prometheus_cmdline_extras": "--storage.tsdb.min-block-duration=2h --storage.tsdb.max-block-duration=2h",
    }


def kolla_inventory(all_in_one: str, host: str) -> str:
    """kolla's own inventory for one host, where `localhost` is that host, in its container."""
    lines = []
    for line in all_in_one.splitlines():
        name, *_settings = line.split() or [""]
        lines.append(f"{host} ansible_connection=community.docker.docker" if name == "localhost" else line)
    return "\n".join(lines) + "\n"


def inventory(hosts: Iterable[tuple[Release, str, str]], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The collection's inventory of the hosts (release, name, address), in the groups that OSISM has them in.

    secrets: by name of the host, kolla's passwords
    """
    entries = {
        name: {
            "ansible_connection": "community.docker.docker",
            "ansible_python_interpreter": "/usr/bin/python3",
            "api_interface_address": address,
            "openstack_release": release.version,
            "openstack_region_name": region_of(release),
            "prometheus_password": secrets[name]["prometheus_password"],
        }
        for release, name, address in hosts
    }
    return {"all": {"children": {"iaas": {"hosts": entries}, "prometheus": {"hosts": dict.fromkeys(entries)}}}}


def region_of(release: Release) -> str:
    return f"lab-{release.name}"
