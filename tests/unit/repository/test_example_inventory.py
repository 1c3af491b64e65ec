# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that operators copy has nothing that the role's own checks would refuse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.scs.observability.plugins.filter.alertmanager_problems import alertmanager_problems
from ansible_collections.scs.observability.plugins.filter.endpoint_problems import endpoint_problems
from ansible_collections.scs.observability.plugins.filter.grafana_problems import grafana_problems
from ansible_collections.scs.observability.plugins.filter.prometheus_problems import problems as prometheus_problems
from ansible_collections.scs.observability.plugins.filter.web_problems import web_problems

CHECKOUT = Path(__file__).resolve().parents[3]
INVENTORY = CHECKOUT / "inventories" / "example"


def variables(environment: dict[str, str]) -> dict[str, Any]:
    """What the host observer-1 has, as Ansible sees it with secrets in the environment."""
    texts = "".join(path.read_text() for path in (INVENTORY / "group_vars").glob("*.yml"))
    names = sorted(set(re.findall(r"^(observer_\w+):", texts, re.MULTILINE)))
    asked = ", ".join(f"'{name}': {name}" for name in names)
    result = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible")), "--inventory", str(INVENTORY), "observer-1"),
            *("--module-name", "debug", "--args", f"msg={{{{ {{{asked}}} }}}}"),
        ],
        env={
            **os.environ,
            **environment,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = yaml.safe_load(result.stdout.partition("=>")[2])["msg"]
    return found


def problems(asked: dict[str, Any]) -> list[str]:
    prefix = "observer_alertmanager_"
    notifications = {name.removeprefix(prefix): value for name, value in asked.items() if name.startswith(prefix)}
    # As the role's default has it
    grafana_url = {"observer_grafana_url": "https://" + asked["observer_web_hostnames"]["grafana"]}
    return [
        *endpoint_problems(asked["observer_endpoints"]),
        *grafana_problems({**grafana_url, **asked}),
        *web_problems(asked),
        *alertmanager_problems(notifications),
        *prometheus_problems(asked),
    ]


def test_it_needs_secrets_alone() -> None:
    texts = (INVENTORY / "group_vars" / "observer.yml").read_text()
    secrets = re.findall(r"lookup\('ansible.builtin.env', '(\w+)'\)", texts)
    assert problems(variables(dict.fromkeys(secrets, "swordfish"))) == []
    # Those are told when they are not there, which also shows that something is looked at.
    missing = "\n".join(problems(variables(dict.fromkeys(secrets, ""))))
    for name in ("web_oidc_client_secret", "grafana_oidc_client_secret", "alertmanager_smtp_password"):
        assert f"observer_{name}" in missing
