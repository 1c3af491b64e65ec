# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from lab.containers import Container
from lab.engine import Docker
from lab.iaas import hosts, images, openstack, openstack_servers
from lab.iaas.configuration import OPEN_FILES, configuration_of, globals_of, inventory, kolla_inventory
from lab.iaas.hosts import Marker
from lab.iaas.kolla import RELEASES, Kolla
from lab.images import BASE, DOCKERFILES
from lab.network import Network
from lab.state import Lab, LabError

NETWORK = Network("scs-lab", IPv4Network("172.30.0.0/24"))
OLD, NEW = RELEASES.values()


def container(*, running: bool = True, address: str = "172.30.0.20", image: str = "sha256:1") -> Container:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    addresses = {NETWORK.name: address} if running else {}
    return Container("scs-lab-iaas-2024-2", running, now, now, image, {}, {}, addresses, {})


@pytest.mark.parametrize(
    ("found", "marker", "reason"),
    [
        (container(), None, ""),
        (container(), Marker("2024-2", ""), ""),
        (container(running=False), Marker("2024-2", ""), ""),
        (container(), Marker("2025-1", ""), "upgraded to 2025.1"),
        (container(address="172.30.0.130"), Marker("2024-2", ""), "address"),
        (container(image="sha256:2"), Marker("2024-2", ""), "image"),
    ],
)
def test_a_host_is_made_anew_only_when_it_cannot_stay(found: Container, marker: Marker | None, reason: str) -> None:
    told = hosts.rebuild_reason("2024-2", found, marker, NETWORK, "sha256:1")
    assert reason in told
    assert bool(told) == bool(reason)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"release": "2024-2"}', '{"release": "1999-1", "secrets": ""}'])
def test_a_marker_that_cannot_be_read_is_none(text: str | None) -> None:
    assert Marker.parse(text) is None


def test_hosts_have_fixed_addresses_of_their_own() -> None:
    addresses = {*(hosts.address_of(name, NETWORK) for name in RELEASES), NETWORK.openstack_address}
    assert len(addresses) == len(RELEASES) + 1
    taken = {NETWORK.gateway, NETWORK.s3_address, NETWORK.registry_address}
    assert not addresses & taken
    assert not any(address in map(str, NETWORK.dynamic_range) for address in addresses)


def test_kollas_inventory_has_the_host_where_it_says_localhost() -> None:
    text = "# comment\n[control]\nlocalhost       ansible_connection=local\n\n[common:children]\ncontrol\n"
    assert kolla_inventory(text, "host-1").splitlines() == [
        "# comment",
        "[control]",
        "host-1 ansible_connection=community.docker.docker",
        "",
        "[common:children]",
        "control",
    ]


@pytest.mark.parametrize(("limit", "limited"), [(1024, True), (OPEN_FILES - 1, True), (OPEN_FILES, False)])
def test_open_files_are_not_asked_for_where_the_kernel_would_refuse(limit: int, limited: bool) -> None:
    values = globals_of("172.30.0.20", "172.30.0.12", "/overlays", limit)
    assert ("default_container_dimensions" in values) is limited


def test_keystone_and_swift_are_probed_as_kollas_blackbox_exporter_wants_its_endpoints() -> None:
    values = globals_of("172.30.0.20", "172.30.0.12", "/overlays", OPEN_FILES)
    # kolla's own expression, of which the parts are service, module and target
    parts = [
        re.fullmatch("([^:]+):([^:]+):(.+)", endpoint) for endpoint in values["prometheus_blackbox_exporter_endpoints"]
    ]
    assert [part.groups() for part in parts if part] == [
        ("prometheus", "tcp_connect", "172.30.0.20:9091"),
        ("keystone", "os_endpoint", "https://172.30.0.12:5000"),
        ("swift", "http_2xx", "https://172.30.0.12:8080/healthcheck"),
    ]


def test_keystone_and_swift_are_started_by_a_python_that_has_nothing_of_the_lab() -> None:
    command = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='imported')"
    subprocess.run([sys.executable, "-I", "-S", "-c", command, openstack_servers.__file__], check=True)


def test_hosts_of_a_lab_without_keystone_say_how_to_get_one(tmp_path: Path) -> None:
    nothing = Docker(("false",), {"PATH": "/usr/bin:/bin"})
    with pytest.raises(LabError, match="no scs-lab-openstack; `make lab IAAS=1` makes it"):
        openstack.authority(nothing, Lab("scs-lab", tmp_path / "lab", tmp_path / "cache"))


def test_an_operator_has_what_a_sidecar_wants_of_prometheus() -> None:
    values = configuration_of("region-1")
    assert values["prometheus_external_labels"] == {
        "layer": "iaas",
        "region": "region-1",
        "replica": "{{ inventory_hostname }}",
    }
    durations = re.findall(r"--storage\.tsdb\.(?:min|max)-block-duration=(\S+)", values["prometheus_cmdline_extras"])
    assert durations == ["2h", "2h"]


def test_the_collections_inventory_has_the_hosts_in_both_groups_with_the_password() -> None:
    secrets = {"host-1": {"prometheus_password": "secret-1", "other": "x"}, "host-2": {"prometheus_password": "s-2"}}
    found = inventory([(OLD, "host-1", "172.30.0.20"), (NEW, "host-2", "172.30.0.21")], secrets)
    groups = found["all"]["children"]
    assert list(groups["iaas"]["hosts"]) == list(groups["prometheus"]["hosts"]) == ["host-1", "host-2"]
    first = groups["iaas"]["hosts"]["host-1"]
    assert first["ansible_connection"] == "community.docker.docker"
    assert first["prometheus_password"] == "secret-1"
    assert first["api_interface_address"] == "172.30.0.20"
    assert "other" not in str(found)


def test_the_inventory_is_for_its_owner_only(tmp_path: Path) -> None:
    lab = Lab("scs-lab", tmp_path / "lab", tmp_path / "cache")
    secrets = lab.iaas_secrets("2024-2")
    secrets.parent.mkdir(parents=True)
    secrets.write_text("prometheus_password: hidden\n")
    hosts.write_inventory(lab, NETWORK, ["2024-2"])
    assert lab.iaas_inventory.stat().st_mode & 0o777 == 0o600
    entries = yaml.safe_load(lab.iaas_inventory.read_text())["all"]["children"]["iaas"]["hosts"]
    assert entries["scs-lab-iaas-2024-2"]["openstack_release"] == "2024.2"


def test_a_prometheus_of_which_no_password_is_known_is_not_ready(tmp_path: Path) -> None:
    assert not hosts.ready(Lab("scs-lab", tmp_path / "lab", tmp_path / "cache"), "2024-2", "127.0.0.1")


@pytest.mark.parametrize("release", RELEASES.values(), ids=lambda release: release.name)
def test_each_release_has_a_lock_with_hashes_of_kolla_and_of_the_collections(release: object) -> None:
    assert isinstance(release, type(OLD))
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", release.lock.read_text(), re.MULTILINE))
    assert {"kolla", "kolla-ansible", "ansible", "ansible-core", "docker"} <= set(pinned)
    assert pinned["kolla"] == pinned["kolla-ansible"]
    assert release.lock.read_text().count("--hash=sha256:") > len(pinned)


def test_images_start_from_the_labs_base_and_have_the_names_that_kolla_asks_for() -> None:
    for image in (images.HOST, images.PROGRAMS, images.OPENSTACK):
        assert f"FROM {BASE}\n" in (DOCKERFILES / image.folder / "Dockerfile").read_text()
    assert OLD.image("prometheus-v2-server") == "quay.io/openstack.kolla/prometheus-v2-server:2024.2-debian-bookworm"


def test_a_command_of_kollas_that_fails_names_itself_and_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_CONFIG", "/somewhere/else")
    program = tmp_path / "bin" / "kolla-ansible"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "config=$ANSIBLE_CONFIG $(command -v kolla-ansible)"\n[ "$1" = deploy ]\n')
    program.chmod(0o755)
    log = tmp_path / "log"
    kolla = Kolla(OLD, tmp_path)
    kolla.run(log, "kolla-ansible", "deploy")
    assert f"config= {program}" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    with pytest.raises(LabError, match=r"kolla-ansible upgrade: exit status 1; see .*log"):
        kolla.run(log, "kolla-ansible", "upgrade")


def passwords_of_kolla(folder: Path, names: str) -> Kolla:
    """A release that wants these passwords, whose tools fill empty ones in, and put what was there over them."""
    kolla = Kolla(OLD, folder)
    place = kolla.share / "kolla-ansible" / "etc_examples" / "kolla" / "passwords.yml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(names)
    (folder / "bin").mkdir(exist_ok=True)
    for name, script in {
        "kolla-genpwd": 'sed -i "s/:$/: made/" "$2"',
        # --old OLD --new NEW --final FINAL
        "kolla-mergepwd": 'grep -v -f <(cut -d: -f1 "$2") "$4" >"$4.rest"; cat "$2" "$4.rest" >"$6"; rm "$4.rest"',
    }.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)
    return kolla


def test_a_release_gets_the_passwords_that_are_new_in_it_and_others_stay(tmp_path: Path) -> None:
    place, log = tmp_path / "environments" / "secrets.yml", tmp_path / "log"
    place.parent.mkdir()
    hosts.make_passwords(passwords_of_kolla(tmp_path, "prometheus_password:\n"), place, log)
    assert place.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(place.read_text()) == {"prometheus_password": "made"}

    place.write_text("prometheus_password: kept\n")
    later = passwords_of_kolla(tmp_path, "prometheus_password:\nprometheus_haproxy_password:\n")
    hosts.make_passwords(later, place, log)
    assert yaml.safe_load(place.read_text()) == {"prometheus_password": "kept", "prometheus_haproxy_password": "made"}
    assert [path.name for path in place.parent.iterdir()] == ["secrets.yml"]

    (tmp_path / "bin" / "kolla-genpwd").unlink()
    hosts.make_passwords(later, place, log)
    assert "kept" in place.read_text()
