# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real query says of expressions in rules, and that it is what the ruler would say."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._observer import thanos
from tests.integration.observer.conftest import Site
from tests.integration.processes import binary
from tests.integration.thanos.conftest import NAMESPACE

GOOD = [
    "up",
    "1",
    "vector(1) or up offset 1h",
    "sum by (cluster) (rate(up[5m]))",
    "up @ end()",
    # Parsed, and of no use
    'label_replace(up, "a", "$1", "b", "(")',
]
BAD = ["sum by (", "foo{", "rate(up)", "xrate(up[5m])", "{}", "double_exponential_smoothing(up[5m], 0.1, 0.2)"]


def rules(expression: str) -> dict[str, Any]:
    return {"groups": [{"name": "own", "rules": [{"record": "a:b", "expr": "up"}, {"alert": "A", "expr": expression}]}]}


def ruler_loads(folder: Path, expression: str) -> bool:
    (folder / "rules.yml").write_text(yaml.safe_dump(rules(expression)))
    command = [binary("thanos"), "tools", "rules-check", f"--rules={folder / 'rules.yml'}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def check(site: Site, expression: str, query: str) -> dict[str, Any]:
    params = {
        "kubeconfig": str(site.api_server.kubeconfig()),
        "namespace": NAMESPACE,
        "component": "rule",
        "endpoints": [f"http://{query}.{NAMESPACE}.svc:10902"],
        "rules": {"own.yml": rules(expression)},
    }
    return thanos.ensure(params, True)


@pytest.mark.parametrize("query", ["thanos-query", "thanos-query-frontend"])
@pytest.mark.parametrize("expression", BAD)
def test_what_a_ruler_cannot_load_is_refused(site: Site, expression: str, query: str, tmp_path: Path) -> None:
    assert not ruler_loads(tmp_path, expression)
    with pytest.raises(InputError, match=r"rules: own.yml, group own, rule 2 \(A\): .*parse error") as caught:
        check(site, expression, query)
    assert caught.value.parameter == "rules"


@pytest.mark.parametrize("expression", GOOD)
def test_what_a_ruler_loads_is_not_refused(site: Site, expression: str, tmp_path: Path) -> None:
    assert ruler_loads(tmp_path, expression)
    assert check(site, expression, "thanos-query")["changed"]


def test_without_a_query_nothing_is_refused(site: Site) -> None:
    assert check(site, BAD[0], "thanos-other")["changed"]
