# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reconcile.yml with roles that do or fail what they are told to: who goes on, what is listed, when time is left."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]

# In the place of the collection's own
ROLES: dict[str, list[dict[str, Any]]] = {
    "observer": [{"name": "Deploy", "ansible.builtin.fail": {"msg": "bucket away"}, "when": "observer_breaks | bool"}],
    "kaas_agent": [
        {
            "name": "Register",
            "ansible.builtin.debug": {"msg": "did {{ inventory_hostname }} {{ kaas_agent_registration }}"},
        },
        {"name": "Prove", "ansible.builtin.fail": {"msg": "no API server"}, "when": "kaas_breaks | default(false)"},
    ],
    "verification": [
        {"name": "Look", "ansible.builtin.set_fact": {"verification_observer": "{{ looks }}"}},
        {
            "name": "Fail",
            "ansible.builtin.fail": {"msg": "{{ looks.problems | join('\n') }}"},
            "when": "not looks.healthy",
        },
    ],
}
MODULE = """
import json
from ansible.module_utils.basic import AnsibleModule
options = {"kubeconfig": {}, "kubeconfig_content": {}, "context": {}, "namespace": {}, "name": {}}
module = AnsibleModule({**options, "objects": {"type": "list", "elements": "dict"}}, supports_check_mode=True)
with open("@FILE@", "a") as file:
    file.write(json.dumps(module.params) + "\\n")
module.exit_json(changed=True)
"""
REGISTERED = ["shop", "bank", "former"]


def looks(**changes: Any) -> dict[str, Any]:
    return {
        "components": [{"name": "thanos-query", "healthy": True}],
        "registrations": [{"name": name} for name in REGISTERED],
        "orphans": [{"name": "stranger"}],
        "healthy": True,
        "problems": [],
        **changes,
    }


@dataclass(frozen=True)
class Run:
    status: int
    output: str
    leases: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        return [lease["metadata"]["name"] for lease in self.leases]

    def listed(self, what: str) -> list[str]:
        found = re.search(rf'"{what}": (\[[^\]]*\])', self.output)
        assert found, self.output
        result: list[str] = yaml.safe_load(found[1])
        return result


@pytest.fixture
def reconcile(tmp_path: Path) -> Callable[..., Run]:
    collection = tmp_path / "ansible_collections" / "scs" / "observability"
    record = tmp_path / "record"
    for name, tasks in ROLES.items():
        (collection / "roles" / name / "tasks").mkdir(parents=True)
        (collection / "roles" / name / "tasks" / "main.yml").write_text(yaml.safe_dump(tasks))
    (collection / "plugins" / "modules").mkdir(parents=True)
    (collection / "plugins" / "modules" / "apply_set.py").write_text(MODULE.replace("@FILE@", str(record)))
    (collection / "playbooks").mkdir()
    shutil.copy(CHECKOUT / "playbooks" / "reconcile.yml", collection / "playbooks")

    def call(*options: str, clusters: dict[str, dict[str, Any]] | None = None, **variables: Any) -> Run:
        given = {"observer_namespace": "ns", "observer_breaks": False, "looks": looks(), **variables}
        hosts = {"shop": {}, "host-of-bank": {"kaas_agent_name": "bank"}} if clusters is None else clusters
        common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {
            "all": {"vars": common},
            "observer": {"hosts": {"observer-1": given}},
            **({"kaas": {"hosts": hosts}} if hosts else {}),
        }
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
        command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), "scs.observability.reconcile", *options]
        (tmp_path / "ansible.cfg").touch()
        own = {"COLLECTIONS_PATH": tmp_path, "HOME": tmp_path / "home", "CONFIG": tmp_path / "ansible.cfg"}
        environment = {**os.environ, **{f"ANSIBLE_{name}": str(value) for name, value in own.items()}}
        result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        lines = record.read_text().splitlines() if record.exists() else []
        leases = yaml.safe_load(lines[0])["objects"] if lines else []
        return Run(result.returncode, result.stdout + result.stderr, leases)

    return call


def test_a_run_after_which_all_is_well_leaves_its_time_and_changes_nothing(reconcile: Callable[..., Run]) -> None:
    run = reconcile()
    assert run.status == 0, run.output
    (lease,) = run.leases
    assert (lease["kind"], lease["metadata"]["name"]) == ("Lease", "reconcile")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", lease["spec"]["renewTime"])
    assert re.search(r"observer-1 .*changed=0 ", run.output)
    assert "did shop present" in run.output
    assert run.listed("registered_and_not_in_the_inventory") == ["former"]
    assert run.listed("in_the_inventory_and_not_registered") == []
    assert run.listed("writing_and_not_registered") == ["stranger"]


def test_a_cluster_that_fails_stops_nobody_and_is_named(reconcile: Callable[..., Run]) -> None:
    run = reconcile(clusters={"away": {"kaas_breaks": True}, "shop": {}, "new": {}})
    assert run.status == 2
    assert "did shop present" in run.output
    assert "cluster away: Prove: no API server" in run.output
    assert run.names == ["reconcile", "reconcile-failed"], "the observer is well"
    assert run.listed("in_the_inventory_and_not_registered") == ["away", "new"]


def test_an_observer_that_fails_stops_no_cluster_and_leaves_no_time(reconcile: Callable[..., Run]) -> None:
    run = reconcile(observer_breaks=True)
    assert run.status == 2
    assert "did shop present" in run.output
    assert "observer: Deploy: bucket away" in run.output
    assert run.names == []


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (looks(healthy=False, problems=["cluster shop: silent"]), ["reconcile", "reconcile-failed"]),
        (looks(healthy=False, problems=["component x"], components=[{"name": "x", "healthy": False}]), []),
        ({"healthy": False, "problems": ["no answer"]}, []),
    ],
)
def test_what_does_not_work_is_told_and_only_the_observer_holds_its_time_back(
    reconcile: Callable[..., Run], found: dict[str, Any], left: list[str]
) -> None:
    run = reconcile(looks=found)
    assert run.status == 2
    assert found["problems"][0] in run.output
    assert run.names == left


def test_check_mode_leaves_no_time(reconcile: Callable[..., Run]) -> None:
    run = reconcile("--check", "--diff")
    assert run.status == 0, run.output
    assert run.names == []


def test_without_clusters_there_is_an_observer_all_the_same(reconcile: Callable[..., Run]) -> None:
    run = reconcile(clusters={})
    assert run.status == 0, run.output
    assert run.names == ["reconcile"]
    assert run.listed("registered_and_not_in_the_inventory") == sorted(REGISTERED)
