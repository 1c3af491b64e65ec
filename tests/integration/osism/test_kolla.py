# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kolla-ansible's own role makes of the overlay, and what a real Prometheus makes of that.

OSISM calls the role with the files of the configuration repository as extra variables, and the password of its vault.
"""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from ansible_collections.scs.observability.plugins.module_utils._osism.configuration_repository import ensure
from lab.iaas.kolla import RELEASES
from lab.python_environments import environment
from lab.state import lab_from_environment
from tests import osism_repository
from tests.integration.osism.conftest import Osism
from tests.integration.processes import binary, free_port, process, wait_until
from tests.pki import Made, authority, make

HOST = "testbed-manager"
PASSWORD = "readers-password"
PLAY = """
- hosts: prometheus
  gather_facts: true
  gather_subset: ["!all", network]
  tasks:
    - ansible.builtin.include_role: {name: prometheus, tasks_from: config.yml}
"""
# What kolla-ansible and OSISM have beside the configuration repository: the host, and passwords of other users.
VARIABLES = {
    "ansible_become": False,
    "api_interface": "lo",
    "config_owner_group": "root",
    "config_owner_user": "root",
    "enable_prometheus": True,
    "enable_haproxy": False,
    "enable_mariadb": False,
    # As `config`: nothing is restarted.
    "kolla_action": "config",
    "kolla_base_distro": "debian",
    # It would need the collection ansible.utils.
    "kolla_same_external_internal_vip": False,
    "network_interface": "lo",
    "prometheus_alertmanager_password": "alertmanagers",
    "prometheus_bcrypt_salt": "4GZXHPgiLHTYL/GTYN8b.u",
    "prometheus_grafana_password": "grafanas",
    "prometheus_haproxy_password": "haproxys",
    "prometheus_skyline_password": "skylines",
    **dict.fromkeys(
        [
            f"enable_prometheus_{name}"
            for name in (
                *("alertmanager", "blackbox_exporter", "cadvisor", "elasticsearch_exporter", "fluentd_integration"),
                *("haproxy_exporter", "libvirt_exporter", "memcached_exporter", "mysqld_exporter"),
                *("node_exporter", "openstack_exporter", "rabbitmq_exporter"),
            )
        ],
        False,
    ),
}


class Gateway(ThreadingHTTPServer):
    """Takes remote write from who has a certificate, as the observer's gateway does, and keeps what it got."""

    def __init__(self, server: Made, clients: Made, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Writes)
        (folder / "server.pem").write_text(server.pem + server.key_pem)
        (folder / "clients.pem").write_text(clients.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        context.load_verify_locations(folder / "clients.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.writes: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}/api/v1/receive"


class _Writes(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        certificate = self.connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        subject = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
        self.server.writes.append((subject, body))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    internal, tenants = authority("internal"), authority("tenants")
    server = Gateway(make("gateway", internal, names=["127.0.0.1"]), tenants, tmp_path)
    server.internal, server.tenants = internal, tenants  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def encrypted(osism: Osism, text: str) -> str:
    """A text as ansible-vault encrypts it with the password of the repository."""
    command = [
        osism.folder / "bin" / "ansible-vault",
        "encrypt",
        "--vault-password-file",
        osism.home / "vault",
        "--output",
        "-",
    ]
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=["2024.2", "2025.1"])
def kolla(request: pytest.FixtureRequest, osism: Osism) -> Osism:
    """kolla-ansible of a release with the Ansible that it needs; of the newer one as OSISM's containers have it."""
    if request.param == "2025.1":
        return osism
    lock = next(release.lock for release in RELEASES.values() if release.version == request.param)
    return Osism(environment(lab_from_environment(os.environ).cache / "kolla", lock, 11), osism.home)


def deploy_configuration(osism: Osism, root: Path, folder: Path) -> Path:
    """Run kolla-ansible's own tasks as OSISM does. Return the folder that the container is given."""
    share = osism.folder / "share" / "kolla-ansible" / "ansible"
    (osism.home / "play.yml").write_text(PLAY)
    (osism.home / "hosts").write_text(f"[prometheus]\n{HOST} ansible_connection=local\n")
    own = {
        **VARIABLES,
        "ansible_python_interpreter": str(osism.python),
        "node_config": str(folder),
        "node_config_directory": str(folder),
        "node_custom_config": str(root / "environments/kolla/files/overlays"),
    }
    (osism.home / "own.yml").write_text(yaml.safe_dump(own))
    environments = root / "environments"
    given = [
        share / "group_vars" / "all.yml",
        *(environments / name for name in ("configuration.yml", "secrets.yml")),
        *(environments / "kolla" / name for name in ("secrets.yml", "images.yml", "configuration.yml")),
        osism.home / "own.yml",
    ]
    plugins = {"ROLES_PATH": "roles", "LIBRARY": "library"} | {
        name.upper(): name for name in ("action_plugins", "filter_plugins", "module_utils")
    }
    kolla = Osism(osism.folder, osism.home, {f"ANSIBLE_{name}": str(share / path) for name, path in plugins.items()})
    kolla.run(
        "ansible-playbook",
        *("--inventory", osism.home / "hosts", "--vault-password-file", osism.home / "vault"),
        *(argument for path in given for argument in ("--extra-vars", f"@{path}")),
        osism.home / "play.yml",
    )
    return folder / "prometheus-server"


def test_kolla_merges_the_overlay_and_prometheus_writes_with_the_certificate(
    osism: Osism, kolla: Osism, gateway: Any, tmp_path: Path
) -> None:
    root = osism_repository.make(tmp_path / "configuration")
    (osism.home / "vault").write_text("password-of-the-vault\n")
    kolla_file = root / osism_repository.KOLLA_FILE
    # A value that somebody has encrypted with the password of the vault, in the place of the one of the fixture
    own = encrypted(osism, "smtps-password").replace("\n", "\n  ").strip()
    text = re.sub(
        r"(?<=smtp_password: !vault \|\n  )\$ANSIBLE_VAULT[^\n]*(\n  [0-9]+)*",
        lambda _found: own,
        kolla_file.read_text(),
    )
    kolla_file.write_text(text)
    secret = {"operator_password": "x", "scs_observability_prometheus_password": PASSWORD}
    (root / "environments/secrets.yml").write_text(encrypted(osism, yaml.safe_dump(secret)))
    osism_repository.save(root)
    paths = []
    for host in (HOST, "other"):
        client = make(f"iaas-{host}", gateway.tenants)
        key = encrypted(osism, client.key_pem)
        paths.append(
            {"host": host, "url": gateway.url, "ca": gateway.internal.pem, "certificate": client.pem, "key": key}
        )
    given = {
        "path": str(root),
        "region": "RegionOne",
        "pull_addresses": {HOST: "192.0.2.5:10901"},
        "upload": True,
        "read_user": "scs-observability",
        "remote_write": paths,
    }
    result = ensure(given, False)
    assert result["warnings"] == []

    made = deploy_configuration(kolla, root, tmp_path / "kolla")
    merged = yaml.safe_load((made / "prometheus.yml").read_text())
    assert merged["global"]["external_labels"] == {
        "infrastructure": "example",
        "layer": "iaas",
        "region": "RegionOne",
        "replica": HOST,
    }
    # The operator's own overlay is merged beside ours.
    assert {item["name"] for item in merged["remote_write"]} == {"capacity", "scs-observability"}
    assert "ipmi" in {job["job_name"] for job in merged["scrape_configs"]}
    keys = [(made / "extras/scs-observability/client.key").read_text()]
    assert len(keys[0].split("-----BEGIN PRIVATE KEY-----")) == 2

    # As the container has it, but for where it is, and without the operator's receiver that is not there
    text = (made / "prometheus.yml").read_text().replace("/etc/prometheus/", f"{made}/")
    running = yaml.safe_load(text)
    port = free_port()
    running["global"]["scrape_interval"] = "1s"
    running["global"]["scrape_timeout"] = "1s"
    running["remote_write"] = [item for item in running["remote_write"] if item["name"] == "scs-observability"]
    running["scrape_configs"] = [job for job in running["scrape_configs"] if job["job_name"] == "prometheus"]
    running["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    (made / "running.yml").write_text(yaml.safe_dump(running))
    (made / "as-it-is.yml").write_text(text)
    subprocess.run([binary("promtool"), "check", "config", made / "as-it-is.yml"], check=True, capture_output=True)
    command = json.loads((made / "config.json").read_text())["command"].split()
    flags = [
        flag for flag in command if flag.startswith(("--storage.tsdb.m", "--storage.tsdb.retention", "--web.page"))
    ]
    assert {"--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"} < set(flags)
    arguments = [
        *flags,
        f"--config.file={made / 'running.yml'}",
        f"--web.config.file={made / 'web.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
    ]
    log = tmp_path / "prometheus.log"
    with process("prometheus", arguments, log) as running_prometheus:
        wait_until(lambda: any(b"RegionOne" in body for _subject, body in gateway.writes), running_prometheus, log)
        assert {subject for subject, _body in gateway.writes} == {f"CN=iaas-{HOST}"}
        # kolla has made the read user of it.
        url = f"http://127.0.0.1:{port}/api/v1/status/flags"
        basic = base64.b64encode(f"scs-observability:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request) as answer:
            seen = json.load(answer)["data"]
        assert seen["storage.tsdb.max-block-duration"] == "2h"
