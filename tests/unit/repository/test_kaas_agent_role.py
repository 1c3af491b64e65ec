# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role says of each cluster is what the module takes, and what is secret of it is hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.scs.observability.plugins.module_utils._registration.clusters import parameters_of_each
from tests.argument_specs import argument_spec

ROLE = Path(__file__).resolve().parents[3] / "roles" / "kaas_agent"


def the_one_that_says_what_is_wanted() -> dict[str, Any]:
    content: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    (task,) = [task for task in content if "kaas_agent_wanted" in task.get("ansible.builtin.set_fact", {})]
    return task


def test_every_option_of_a_cluster_is_one_of_the_module() -> None:
    wanted = the_one_that_says_what_is_wanted()["ansible.builtin.set_fact"]["kaas_agent_wanted"]
    spec = argument_spec("agent_registration")
    # As they are where nothing is said: empty texts are not given, and unset variables are none.
    given = {**dict.fromkeys(wanted, ""), "name": "shop", "state": "absent", "labels": None}
    assert parameters_of_each({"clusters": [given], "state": "present", "profile": "minimal"}, spec) == [
        {"name": "shop", "state": "absent", "profile": "minimal"}
    ]


def test_secrets_of_a_cluster_are_hidden() -> None:
    options = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    task = the_one_that_says_what_is_wanted()
    for name, option in options.items():
        if option.get("no_log"):
            assert name in task["no_log"]
