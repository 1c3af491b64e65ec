# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the alerts about Thanos and Prometheus ask for is what these programs tell."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import Popen

import pytest
import yaml

from tests.integration.processes import answers, free_port, process, wait_until

CHECKOUT = Path(__file__).resolve().parents[3]
RULES = sorted((CHECKOUT / "roles" / "observer" / "files" / "rules").glob("*.yml"))
# Of programs that are not started here
OTHERS = r"alertmanager_|haproxy_|kube_|kubelet_|node_|probe_|prometheus_operator_|remote_write_gateway_|scs_"
NAMES = re.compile(r"\b(?!up\b|vector\b)[a-z]+(?:_[a-z0-9]+)+\b(?=\s*[{\[\)]|\s+[-+*/<>=]|\s*$)", flags=re.MULTILINE)
FUNCTIONS = {"label_replace", "predict_linear", "max_over_time"}


def asked() -> set[str]:
    """The names of the metrics in all expressions."""
    found: set[str] = set()
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                text = re.sub(r"#.*", "", rule["expr"])
                text = re.sub(r"\{[^}]*\}", "{}", re.sub(r'"[^"]*"', '""', text))
                text = re.sub(r"\b(by|on)\s*\([^)]*\)", "", text)
                found |= set(NAMES.findall(text)) - FUNCTIONS
    return {name for name in found if not re.match(OTHERS, name)}


@pytest.fixture
def told(tmp_path: Path) -> set[str]:
    """The names of the metrics of all programs, after a request to each that counts some."""
    (tmp_path / "bucket.yml").write_text(
        yaml.safe_dump({"type": "FILESYSTEM", "config": {"directory": f"{tmp_path}/bucket"}})
    )
    (tmp_path / "bucket").mkdir()
    rules = {"groups": [{"name": "a", "interval": "1s", "rules": [{"alert": "A", "expr": "vector(1)"}]}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    nobody = f"127.0.0.1:{free_port()}"
    configuration = {
        "global": {"external_labels": {"observer": "one"}},
        "rule_files": [f"{tmp_path}/rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [nobody]}]}]},
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    names = ("prometheus", "receive", "query", "query-frontend", "store", "compact", "rule", "sidecar")
    port = {name: free_port() for name in names}
    grpc = {name: free_port() for name in names}
    url = {name: f"http://127.0.0.1:{number}" for name, number in port.items()}
    bucket = f"--objstore.config-file={tmp_path}/bucket.yml"
    arguments = {
        "receive": [
            f"--tsdb.path={tmp_path}/receive",
            '--label=receive_replica="0"',
            f"--remote-write.address=127.0.0.1:{grpc['prometheus']}",
            # Else the same port for each receive on this machine
            "--receive.capnproto-address=127.0.0.1:0",
            bucket,
        ],
        "query": [f"--endpoint=127.0.0.1:{grpc[name]}" for name in ("receive", "rule")],
        "query-frontend": [f"--query-frontend.downstream-url={url['query']}"],
        "store": [f"--data-dir={tmp_path}/store", bucket],
        "compact": [f"--data-dir={tmp_path}/compact", "--wait", bucket],
        "rule": [
            f"--data-dir={tmp_path}/rule",
            f"--rule-file={tmp_path}/rules.yml",
            f"--query={url['query']}",
            f"--alertmanagers.url=http://{nobody}",
            '--label=ruler_replica="0"',
            bucket,
        ],
        "sidecar": [f"--tsdb.path={tmp_path}/prometheus", f"--prometheus.url={url['prometheus']}", bucket],
    }
    with ExitStack() as stack:

        def run(name: str, program: str, given: list[str]) -> tuple[Popen[bytes], Path]:
            log = tmp_path / f"{name}.log"
            return stack.enter_context(process(program, given, log)), log

        started = {
            "prometheus": run(
                "prometheus",
                "prometheus",
                [
                    f"--config.file={tmp_path}/prometheus.yml",
                    f"--storage.tsdb.path={tmp_path}/prometheus",
                    f"--web.listen-address=127.0.0.1:{port['prometheus']}",
                    # Else the sidecar does not upload
                    "--storage.tsdb.min-block-duration=2h",
                    "--storage.tsdb.max-block-duration=2h",
                ],
            )
        }
        # A sidecar that does not find it at once looks again after half a minute.
        wait_until(lambda: answers(f"{url['prometheus']}/-/ready"), *started["prometheus"])
        for name, given in arguments.items():
            listening = [f"--http-address=127.0.0.1:{port[name]}"]
            if name not in ("compact", "query-frontend"):
                listening.append(f"--grpc-address=127.0.0.1:{grpc[name]}")
            started[name] = run(name, "thanos", [name, *listening, *given])
        for name, (running, log) in started.items():
            wait_until(lambda name=name: answers(f"{url[name]}/-/ready"), running, log)  # type: ignore[misc]
        for name in ("query", "query-frontend"):
            with suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{url[name]}/api/v1/query?query=up").close()
        found: set[str] = set()

        def complete() -> bool:
            found.update(name for source in url.values() for name in metrics(source))
            return asked() <= found

        with suppress(pytest.fail.Exception):
            wait_until(complete, *started["rule"])
        return found


def metrics(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/metrics") as response:
        return re.findall(r"^([a-zA-Z_:]\w*)", response.read().decode(), flags=re.MULTILINE)


def test_they_tell_what_is_asked_for(told: set[str]) -> None:
    assert {"thanos_compact_halted", "prometheus_tsdb_head_min_time", "http_requests_total"} <= asked()
    assert asked() - told == set()
