# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays, roles and modules with ansible-core 2.18 and what OSISM's container has: no boto3, no kubernetes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests import osism_repository
from tests.integration.osism.conftest import Osism


def configure(osism: Osism, root: Path, *options: str, status: int = 0, **others: Any) -> str:
    """What the playbook printed that writes into a configuration repository."""
    variables = {
        "ansible_python_interpreter": str(osism.python),
        "osism_configuration_path": str(root),
        "osism_configuration_region": "RegionOne",
        "osism_configuration_pull_addresses": {"testbed-manager": "192.0.2.5:10901"},
        "osism_configuration_upload": True,
        "osism_configuration_sidecar": {"osism_thanos_sidecar_bucket_name": "metrics"},
        "osism_configuration_sidecar_references": {"osism_thanos_sidecar_bucket_secret_key": "bucket_secret_key"},
        **others,
    }
    file = osism.home / "variables.yml"
    file.write_text(yaml.safe_dump(variables))
    play = ("ansible-playbook", "--extra-vars", f"@{file}", *options, "scs.observability.osism_configuration")
    return osism.run(*play, status=status)


def changed(output: str) -> int:
    (found,) = re.findall(r"^localhost +: .*changed=(\d+)", output, flags=re.MULTILINE)
    return int(found)


def test_the_playbook_writes_says_what_to_call_and_changes_nothing_again(osism: Osism, tmp_path: Path) -> None:
    assert "[core 2.18." in osism.run("ansible", "--version")
    root = osism_repository.make(tmp_path / "configuration")
    before = osism_repository.contents(root)

    said = configure(osism, root, "--check", "--diff")
    assert changed(said) == 1
    assert osism_repository.contents(root) == before

    done = configure(osism, root, "--diff")
    assert changed(done) == 1
    shown = done[done.index("--- ") :]
    assert "+  region: RegionOne" in shown
    assert '+osism_thanos_sidecar_bucket_secret_key: "{{ bucket_secret_key }}"' in shown
    order = [
        "osism apply configuration",
        "osism apply -a reconfigure prometheus",
        "osism apply scs-observability-sidecar",
    ]
    places = [done.index(command, done.index('"commands"')) for command in order]
    assert places == sorted(places)

    assert changed(configure(osism, root)) == 0
    assert "DEPRECATION" not in said + done

    # An operator who takes a value over keeps it, and is told.
    kolla = root / osism_repository.KOLLA_FILE
    kolla.write_text(kolla.read_text().replace("region: RegionOne", "region: north"))
    osism_repository.save(root)
    refused = configure(osism, root, status=2)
    assert "prometheus_external_labels.region is north, and would have to be RegionOne" in refused
    assert "region: north" in kolla.read_text()

    kolla.write_text(kolla.read_text().replace("region: north", "region: RegionOne"))
    assert changed(configure(osism, root, osism_configuration_state="absent")) == 1
    assert osism_repository.contents(root) == before


def test_osism_finds_the_playbook_in_the_collection_beside_it(osism: Osism, collections: Path, tmp_path: Path) -> None:
    root = osism_repository.make(tmp_path / "configuration")
    configure(osism, root)
    custom = root / "environments/custom"
    vendored = custom / "collections/ansible_collections/scs/observability"
    tree = collections / "ansible_collections/scs/observability"
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "roles"):
        source = tree / name
        target = vendored / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    # As osism apply does it: in this folder, with these files, and no other path to collections.
    inventory = tmp_path / "hosts"
    inventory.write_text(
        "[monitoring]\ntestbed-manager\n" + "".join(path.read_text() for path in root.glob("inventory/*"))
    )
    environment = Osism(osism.folder, osism.home, {"ANSIBLE_CONFIG": str(root / "environments/ansible.cfg")})
    files = [root / "environments" / name for name in ("configuration.yml", "secrets.yml")]
    files += [custom / name for name in ("secrets.yml", "images.yml", "configuration.yml")]
    listed = environment.run(
        "ansible-playbook",
        *("--inventory", inventory, "--list-hosts", "--list-tasks"),
        *(argument for path in files for argument in ("--extra-vars", f"@{path}")),
        custom / "playbook-scs-observability-sidecar.yml",
        cwd=custom,
    )
    assert "testbed-manager" in listed
    assert "osism_thanos_sidecar : " in listed


def test_what_needs_a_package_that_osism_has_not_says_so(osism: Osism) -> None:
    arguments = "name=metrics endpoint=http://127.0.0.1:1 access_key=the-access-key secret_key=the-secret-key"
    said = osism.run(
        "ansible",
        *("localhost", "--extra-vars", f"ansible_python_interpreter={osism.python}"),
        *("--module-name", "scs.observability.bucket", "--args", arguments),
        status=2,
    )
    assert re.search(r"the Python library boto(3|core) is needed", said)
    assert "pip install boto" in said
