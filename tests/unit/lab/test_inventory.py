# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's inventory and the lab mean the same lab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab.state import CHECKOUT, OBSERVER, lab_from_environment


@pytest.mark.parametrize(
    "variables",
    [{}, {"LAB_PREFIX": "other"}, {"LAB_PREFIX": "other", "LAB_STATE": "/somewhere/else"}],
    ids=["default", "another lab", "elsewhere"],
)
def test_the_inventory_leads_to_the_lab_that_the_environment_names(variables: dict[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")} | variables
    command = [
        *(str(Path(sys.executable).with_name("ansible")), "--inventory", str(CHECKOUT / "inventories" / "lab")),
        *("observer-1", "--module-name", "debug"),
        *("--args", "msg={{ {'kubeconfig': observer_kubeconfig, 'gateway': lab_gateway_hostname} }}"),
    ]
    result = subprocess.run(
        command,
        env={
            **environment,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found = yaml.safe_load(result.stdout.partition("=>")[2])["msg"]
    lab = lab_from_environment(variables)
    assert found == {"kubeconfig": str(lab.kubeconfig(OBSERVER)), "gateway": lab.node(OBSERVER)}
