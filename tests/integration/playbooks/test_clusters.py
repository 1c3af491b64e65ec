# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""onboard.yml and offboard.yml: all hosts by one call of the module, and each with a result of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from tests.integration.api_server import ApiServer, running_api_server
from tests.integration.processes import free_port
from tests.integration.shown_clusters import ShownClusters, shown_clusters

CHECKOUT = Path(__file__).resolve().parents[3]
CALL = "Bring all clusters to what is wanted, side by side, until that is proven"
NAMES = ("shop", "bank", "mill")


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api_server(tmp_path_factory.mktemp("observer")) as server:
        yield server


@pytest.fixture(scope="module")
def shown(observer: ApiServer) -> Iterator[ShownClusters]:
    """Of the observer's own API server: another one would show nothing more."""
    with shown_clusters(observer, range(len(NAMES))) as found:
        yield found


@dataclass(frozen=True)
class Run:
    status: int
    output: str

    def recap(self, host: str) -> dict[str, int]:
        (line,) = re.findall(rf"^{host} +: (.*)$", self.output, flags=re.MULTILINE)
        return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}

    def calls(self) -> int:
        return self.output.count(f": {CALL}]")


@dataclass
class Site:
    observer: ApiServer
    folder: Path
    hosts: dict[str, dict[str, Any]]

    def run(self, playbook: str, *options: str, **hosts: dict[str, Any]) -> Run:
        given = {name: {**variables, **hosts.get(name, {})} for name, variables in self.hosts.items()}
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "kaas_agent_observer_kubeconfig": str(self.observer.kubeconfig()),
            "kaas_agent_remote_write_url": "https://gateway.example.org/api/v1/receive",
            "kaas_agent_sla_classes": ["gold", "silver"],
            "kaas_agent_wait": False,
            # Of its own: without controllers, a namespace that was removed stays forever.
            "kaas_agent_namespace": f"agents-{self.folder.name.replace('_', '-')}"[:40].strip("-"),
        }
        inventory = self.folder / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"kaas": {"hosts": given, "vars": common}}))
        tree = subprocess.run(
            [sys.executable, CHECKOUT / "dev" / "collection_tree.py"], capture_output=True, text=True, check=True
        )
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(Path(tree.stdout.strip()).parents[2]),
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "home"),
        }
        command = ["ansible-playbook", "--inventory", str(inventory), playbook, *options]
        result = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False)
        return Run(result.returncode, result.stdout + result.stderr)

    def registered(self) -> dict[str, str]:
        """Names with the class of their service level."""
        found = self.observer.client().list(kaas_cluster.API_VERSION, kaas_cluster.KIND)
        return {item["metadata"]["name"]: item["spec"].get("sla", "") for item in found}


@pytest.fixture
def site(observer: ApiServer, shown: ShownClusters, tmp_path: Path) -> Site:
    hosts = {name: {"kaas_agent_kubeconfig": str(shown.kubeconfig(number))} for number, name in enumerate(NAMES)}
    return Site(observer, tmp_path, hosts)


def test_a_life(site: Site) -> None:
    """One failing host among three, the others, a second run, check mode, a limit, and the end."""
    gone = site.observer.kubeconfig(server=f"https://127.0.0.1:{free_port()}")
    # As credentials in AWX are given
    text = Path(site.hosts["mill"]["kaas_agent_kubeconfig"]).read_text()
    as_text = {"kaas_agent_kubeconfig": "", "kaas_agent_kubeconfig_content": text, "kaas_agent_sla": "gold"}

    run = site.run("scs.observability.onboard", "-vvv", bank={"kaas_agent_kubeconfig": str(gone)}, mill=as_text)
    assert run.status == 2
    assert run.calls() == 1
    assert site.registered() == {"shop": "", "mill": "gold"}
    assert [run.recap(name)["failed"] for name in NAMES] == [0, 1, 0]
    assert [run.recap(name)["changed"] for name in NAMES] == [1, 0, 1]
    assert re.search(r"bank.*?it cannot be reached", run.output, flags=re.DOTALL), run.output
    assert re.search(r"3 clusters in [\d.]+ s: 2 changed, 1 failed", run.output)
    assert "current-context" not in run.output

    run = site.run("scs.observability.onboard", "--check", "--diff", mill=as_text)
    assert run.status == 0, run.output
    assert [run.recap(name)["changed"] > 0 for name in NAMES][1:] == [True, False]
    assert "bank, planned" in run.output
    assert "bank" not in site.registered()

    run = site.run("scs.observability.onboard", "--limit", "bank,mill", mill={"kaas_agent_sla": "silver"})
    assert run.status == 0, run.output
    assert (run.recap("bank")["changed"], run.recap("mill")["changed"]) == (1, 1)
    run = site.run("scs.observability.onboard")
    assert run.status == 0, run.output
    assert [run.recap(name)["changed"] for name in NAMES] == [0, 0, 0]
    assert site.registered() == {"shop": "", "bank": "", "mill": "silver"}

    run = site.run("scs.observability.offboard", "--limit", "shop,mill")
    assert run.status == 0, run.output
    assert site.registered() == {"bank": ""}


def test_batches_and_a_rescue(site: Site) -> None:
    """With `serial` a call for each batch; who fails is rescued alone, also before the call."""
    playbook = site.folder / "own.yml"
    role = {"ansible.builtin.include_role": {"name": "scs.observability.kaas_agent"}}
    tell = {"ansible.builtin.debug": {"msg": "rescued {{ inventory_hostname }}: {{ ansible_failed_result.msg }}"}}
    play = {"hosts": "kaas", "gather_facts": False, "serial": 2, "tasks": [{"block": [role], "rescue": [tell]}]}
    playbook.write_text(yaml.safe_dump([play]))
    run = site.run(str(playbook), shop={"kaas_agent_sla": "-"}, bank={"kaas_agent_profile": "all"})
    assert run.status == 0, run.output
    assert run.calls() == 2
    assert re.search(r"rescued shop: 'sla:|rescued shop: sla:", run.output), run.output
    assert "rescued bank: Validation of arguments failed" in run.output
    assert set(site.registered()) >= {"mill"}
    assert "shop" not in site.registered()
