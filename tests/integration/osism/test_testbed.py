# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upstream testbed is driven by its own Makefile: up to where a cloud would be needed, which a stand-in says."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._osism.configuration import read
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration_plan import Record, plan_changes
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration_repository import apply
from tests import osism_repository
from tests.integration.osism.conftest import Osism
from tests.osism_repository import git, save

# Targets and variables of the upstream Makefile; what they did is written down, in the place of Terraform and SSH.
MAKEFILE = """\
prepare create manager deploy clean:
\t@echo "$@ $(ENVIRONMENT) $(VERSION_MANAGER) $(VERSION_OPENSTACK)" >> ../journal
\t@echo "what make $@ prints"
\t@test ! -e ../fail-$@
.PHONY: prepare create manager deploy clean
"""
# Two of them, to save time
STEPS = ["create", "deploy"]
PROGRAMS = ("curl", "jq", "rsync", "ssh", "ssh-keyscan", "unzip", "virtualenv")


@pytest.fixture
def testbed(tmp_path: Path) -> Path:
    """A checkout with the files that are looked at, committed, with credentials of a cloud beside it."""
    root = tmp_path / "testbed"
    (root / "terraform").mkdir(parents=True)
    (root / "Makefile").write_text(MAKEFILE)
    (root / "terraform" / "Makefile").write_text("create:\n")
    (root / ".gitignore").write_text("terraform/clouds.yaml\nterraform/secure.yaml\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    save(root)
    git(root, "tag", "v1")
    for name, content in (("clouds", {"region_name": "north"}), ("secure", {"auth": {"password": "swordfish"}})):
        (root / "terraform" / f"{name}.yaml").write_text(yaml.safe_dump({"clouds": {"north": content}}))
    return root


@pytest.fixture
def machine(osism: Osism, tmp_path: Path) -> Osism:
    """One that has the programs that the testbed needs, or something by their name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    path = os.pathsep.join([str(osism.folder / "bin"), str(folder), "/usr/bin", "/bin"])
    return Osism(osism.folder, osism.home, {**osism.variables, "PATH": path})


def run(machine: Osism, testbed: Path, *options: str, status: int = 0, **others: Any) -> str:
    variables = {
        "ansible_python_interpreter": str(machine.python),
        "osism_testbed_path": str(testbed),
        "osism_testbed_version": "v1",
        "osism_testbed_cloud": "north",
        "osism_testbed_manager_version": "9.2.0",
        "osism_testbed_openstack_version": "2025.1",
        **others,
    }
    given = machine.home / "variables.yml"
    given.write_text(yaml.safe_dump(variables))
    play = ("ansible-playbook", "--extra-vars", f"@{given}", *options, "scs.observability.osism_testbed")
    output = machine.run(*play, status=status)
    assert "swordfish" not in output
    return output


def journal(testbed: Path) -> list[str]:
    path = testbed.parent / "journal"
    return path.read_text().splitlines() if path.exists() else []


def test_steps_are_taken_in_order_and_go_on_where_they_stopped(machine: Osism, testbed: Path) -> None:
    (testbed.parent / "fail-deploy").touch()
    failed = run(machine, testbed, status=2, osism_testbed_steps=STEPS)
    assert "make deploy failed" in failed
    assert "what make deploy prints" in failed
    assert [line.split()[0] for line in journal(testbed)] == STEPS

    (testbed.parent / "fail-deploy").unlink()
    run(machine, testbed, osism_testbed_steps=STEPS)
    steps = [*STEPS, "deploy"]
    assert journal(testbed) == [f"{step} north 9.2.0 2025.1" for step in steps]

    again = run(machine, testbed, osism_testbed_steps=STEPS)
    assert re.search(r"changed=0 .*failed=0", again)
    assert len(journal(testbed)) == len(steps)
    assert git(testbed, "status", "--porcelain") == ""

    run(machine, testbed, osism_testbed_state="absent")
    assert journal(testbed)[-1] == "clean north 9.2.0 2025.1"
    assert len(journal(testbed)) == len(steps) + 1
    assert not (testbed / ".git" / "scs-observability" / "north").exists()


def test_one_cloud_is_destroyed_the_other_is_remembered_and_clean_always_runs(machine: Osism, testbed: Path) -> None:
    # A name that begins as the other does
    kept = testbed / ".git" / "scs-observability" / "north-2" / "create.done"
    kept.parent.mkdir(parents=True)
    kept.write_text("done v1 ENVIRONMENT=north-2 VERSION_MANAGER=9.2.0\n")
    for _time in range(2):
        run(machine, testbed, osism_testbed_state="absent")
    assert journal(testbed) == ["clean north 9.2.0 2025.1"] * 2
    assert kept.exists()


def test_what_osism_configuration_writes_into_the_checkout_stops_nothing(machine: Osism, testbed: Path) -> None:
    osism_repository.make(testbed, commit=False)
    save(testbed)
    git(testbed, "tag", "--force", "v1")
    configuration = read({"region": "north", "pull_addresses": {"testbed-manager": "192.0.2.5:10901"}})
    plan = plan_changes(configuration, osism_repository.FILES, Record())
    apply(testbed, plan.changes)
    (testbed / "environments" / "secrets.yml").write_text("scs_observability_prometheus_password: x\n")
    run(machine, testbed, osism_testbed_steps=STEPS[:1])
    save(testbed)
    assert re.search(r"changed=0 .*failed=0", run(machine, testbed, osism_testbed_steps=STEPS[:1]))

    # It costs money, so what others changed keeps nobody from destroying it.
    (testbed / "Makefile").write_text(MAKEFILE + "# mine\n")
    said = run(machine, testbed, status=2)
    assert "osism_testbed_path: the checkout has local changes: Makefile" in said
    save(testbed)
    assert "osism_testbed_version: the checkout is at" in run(machine, testbed, status=2)
    (testbed / "Makefile").write_text(MAKEFILE + "# mine, too\n")
    run(machine, testbed, osism_testbed_state="absent")
    assert [line.split()[0] for line in journal(testbed)] == [STEPS[0], "clean"]


def test_all_that_stands_in_the_way_is_told_before_the_first_step(machine: Osism, testbed: Path) -> None:
    (testbed / "Makefile").write_text(MAKEFILE + "# mine\n")
    Path(machine.variables["PATH"].split(os.pathsep)[1], "virtualenv").unlink()
    # Another release is an upgrade, which is not what the steps do.
    record = testbed / ".git" / "scs-observability"
    (record / "south").mkdir(parents=True)
    (record / "south" / "create.done").write_text("done v1 ENVIRONMENT=south VERSION_MANAGER=9.1.0\n")
    said = run(
        machine,
        testbed,
        status=2,
        osism_testbed_version="0" * 40,
        osism_testbed_cloud="south",
        osism_testbed_manager_version="latest",
    )
    for text in (
        "osism_testbed_version: the checkout is at ",
        "osism_testbed_path: the checkout has local changes: Makefile",
        "osism_testbed_manager_version: latest is another one each day",
        "clouds.yaml has no cloud south",
        "secure.yaml has no credentials of south",
        "these programs are not installed: virtualenv",
        "this testbed was made with v1 ENVIRONMENT=south VERSION_MANAGER=9.1.0",
    ):
        assert text in said
    assert journal(testbed) == []


def test_check_mode_says_what_would_run_and_runs_nothing(machine: Osism, testbed: Path) -> None:
    said = run(machine, testbed, "--check")
    for step in ("prepare", "create", "manager", "deploy"):
        assert f"make {step} ENVIRONMENT=north VERSION_MANAGER=9.2.0" in said
    assert journal(testbed) == []
    assert not (testbed / ".git" / "scs-observability").exists()
