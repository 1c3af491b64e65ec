# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that leaves on purpose alerts nobody, at whichever moment it is scraped and rules are evaluated."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.integration.processes import binary

RULES = Path(__file__).parents[3] / "roles" / "observer" / "files" / "ruler_rules"
# Scrapes are 30 s apart, and evaluations a minute.
BEFORE, MINUTES = 10, 80
# How many scrapes see "deleting" before the agent ends, and how many until the registration is gone: none, when all of
# it is done between two of them, or those of a removal that is interrupted and finished ten minutes later.
SEEN = (0, 1, 20)
# More than one, as some alerts are about many
LEAVE = ("leaves", "leaves-too")


def offboarding(announced: int, removed: int) -> dict[str, Any]:
    """The series of clusters that leave, beside one that stays."""
    info = 'customer="acme", sla="gold", job="kaas-metric-importer", observer="one"'
    leaving = announced + removed
    series = {}
    for name in LEAVE:
        series |= {
            f'kaas_cluster_info{{cluster="{name}", {info}}}': f"1x{BEFORE + leaving - 1} stale",
            f'kaas_cluster_phase{{cluster="{name}", phase="active", job="kaas-metric-importer", observer="one"}}': (
                f"1x{BEFORE - 1}" + (f" 0x{leaving - 1}" if leaving else "") + " stale"
            ),
            f'kaas_cluster_phase{{cluster="{name}", phase="deleting", job="kaas-metric-importer", observer="one"}}': (
                f"0x{BEFORE - 1}" + (f" 1x{leaving - 1}" if leaving else "") + " stale"
            ),
            # An agent that ends leaves no stale markers.
            f'up{{cluster="{name}", job="agent"}}': f"1x{BEFORE + announced - 1}",
            f'up{{cluster="{name}", job="kubelet"}}': f"1x{BEFORE + announced - 1}",
        }
    series |= {
        f'kaas_cluster_info{{cluster="stays", {info}}}': "1x400",
        'kaas_cluster_phase{cluster="stays", phase="active", job="kaas-metric-importer", observer="one"}': "1x400",
        'up{cluster="stays", job="agent"}': "1x400",
        'up{cluster="stays", job="kubelet"}': "1x400",
        'up{job="kaas-metric-importer", instance="kaas-metric-importer", observer="one"}': "1x400",
    }
    # Of every evaluation there has been. Those of severity info are told nobody: they have Alertmanager keep quiet.
    fired = f'ALERTS{{alertstate="firing", severity!~"info|none"}}[{MINUTES}m]'
    expression = f"count by (alertname, cluster) (count_over_time({fired}))"
    return {
        "name": f"announced {announced} scrapes before the agent ends, gone {removed} scrapes after that",
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": f"{MINUTES}m", "exp_samples": []}],
    }


def promtool(folder: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    document = {
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yml"))],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    file = folder / "test.yml"
    file.write_text(json.dumps(document))
    return subprocess.run([binary("promtool"), "test", "rules", str(file)], check=False, capture_output=True, text=True)


def test_nobody_is_alerted_at_any_scrape_or_evaluation(tmp_path: Path) -> None:
    done = promtool(tmp_path, [offboarding(*counts) for counts in itertools.product(SEEN, SEEN)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_that_is_lost_is_told_by_the_same_means(tmp_path: Path) -> None:
    """The test above can fail."""
    lost = offboarding(0, 0)
    lost["input_series"] = [
        item if "cluster_" not in item["series"] else {**item, "values": item["values"].replace(" stale", " 1x300")}
        for item in lost["input_series"]
        if 'phase="deleting"' not in item["series"]
    ]
    done = promtool(tmp_path, [lost])
    assert done.returncode != 0
    assert "KaaSClusterDown" in done.stdout + done.stderr
