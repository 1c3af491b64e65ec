# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bucket goes away, and the shipped alert tells; it comes back, and the alert ends.

A real compactor asks a real S3 server, and a real Prometheus evaluates the rules. Times are a twelfth of those that
are shipped, and the shipped ones with TEST_DURATION_SCALE from 12 on (`make soak`).
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import (
    CA_FILE,
    objstore,
    to_yaml,
    with_credentials,
)
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.rules.test_alerts import evaluating, rules_in
from tests.integration.s3_server import running_s3_server

RULES = Path(__file__).resolve().parents[3] / "roles" / "observer" / "files" / "rules" / "observer-thanos.yml"
ALERT = "ObserverBucketUnreachable"
SHIPPED = float(os.environ.get("TEST_DURATION_SCALE") or "1") >= 12
SECONDS = {"s": 1, "m": 60, "h": 3600}
# Seconds until an alert that is shipped for minutes must have told, or ended
PATIENCE = 600.0 if SHIPPED else 90.0


def faster(text: str) -> str:
    """A duration, a twelfth of it unless times are to be those that are shipped."""
    number, unit = int(text[:-1]), text[-1]
    return text if SHIPPED else f"{max(1, number * SECONDS[unit] // 12)}s"


def rules() -> dict[str, Any]:
    """The group with the alert, with its times."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {
        "groups": [
            {
                **group,
                "interval": faster(group["interval"]),
                "rules": [
                    {
                        **rule,
                        "expr": re.sub(r"\[(\d+[smh])\]", lambda found: f"[{faster(found[1])}]", rule["expr"]),
                        **({"for": faster(rule["for"])} if "for" in rule else {}),
                    }
                    for rule in group["rules"]
                    if rule.get("alert") == ALERT
                ],
            }
        ]
    }


def test_the_alert_tells_that_the_bucket_is_away_and_ends_when_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "s3"
    folder.mkdir()
    with running_s3_server(folder) as s3:
        s3.client(s3.owner).create_bucket(Bucket="metrics")
        configuration = with_credentials(objstore("metrics", s3.url, ca=True), s3.owner.access_key, s3.owner.secret_key)
        (tmp_path / "objstore.yml").write_text(to_yaml(configuration).replace(CA_FILE, str(s3.ca)))
        (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules()))
        port, log = free_port(), tmp_path / "compact.log"
        scrape = {
            "job_name": "thanos-compact",
            "scrape_interval": faster("30s"),
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        }
        settings = {"rule_files": [f"{tmp_path}/rules.yml"], "scrape_configs": [scrape]}
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
        compact = [
            *("compact", "--wait", f"--objstore.config-file={tmp_path}/objstore.yml", f"--data-dir={tmp_path}/compact"),
            f"--http-address=127.0.0.1:{port}",
            # As often as its default of 5 m, beside the shipped times
            *([] if SHIPPED else ["--wait-interval=5s", "--compact.progress-interval=5s"]),
        ]

        def prometheus(number: int) -> list[str]:
            return [
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{number}",
                "--scrape.discovery-reload-interval=1s",
            ]

        with process("thanos", compact, log) as running:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
            with evaluating("prometheus", prometheus, "/-/ready", tmp_path) as ask:

                def state() -> str:
                    (rule,) = rules_in(ask("/api/v1/rules"))
                    return str(rule["state"])

                def until(wanted: str) -> float:
                    began = time.monotonic()
                    wait_until(lambda: state() == wanted, running, log, PATIENCE)
                    return time.monotonic() - began

                assert state() == "inactive"
                s3.stop()
                told = until("firing")
                s3.start()
                ended = until("inactive")
    if path := os.environ.get("SOAK_RESULTS"):
        results = Path(path)
        measured = json.loads(results.read_text()) if results.exists() else {}
        results.write_text(json.dumps({**measured, "alert_told": round(told), "alert_ended": round(ended)}))
