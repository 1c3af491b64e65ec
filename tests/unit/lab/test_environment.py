# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from lab.environment import exports, variables
from lab.state import Lab, LabError, State

STATE = State(
    web_port=30904,
    gateway_port=30443,
    subnet="172.30.0.0/24",
    s3_endpoint="https://172.30.0.10:7070",
    gateway_node_address="172.30.0.129",
    binaries="/cache/bin",
    clusters=["observer", "kaas-1", "kaas-2"],
)
LAB = Lab("scs-lab", Path("/a b/.lab"), Path("/cache"))


def test_everything_that_a_script_needs_is_exported() -> None:
    assert variables(LAB, STATE) == {
        "OBSERVER_KUBECONFIG": "/a b/.lab/observer.kubeconfig",
        "KAAS_1_KUBECONFIG": "/a b/.lab/kaas-1.kubeconfig",
        "KAAS_2_KUBECONFIG": "/a b/.lab/kaas-2.kubeconfig",
        "S3_ENDPOINT": "https://172.30.0.10:7070",
        "S3_CA_FILE": "/a b/.lab/s3/ca.crt",
        "S3_CREDENTIALS_FILE": "/a b/.lab/s3/credentials.yml",
        "S3_BUCKET": "scs-observability",
        "GATEWAY_URL": "https://scs-lab-observer-control-plane:30443/api/v1/receive",
        "GATEWAY_NODE_ADDRESS": "172.30.0.129:30443",
        "HOST_ADDRESS": "172.30.0.1",
        "WEB_ADDRESS": "127.0.0.1:30904",
        "PROMETHEUS_OPERATOR_BUNDLE": "/cache/prometheus-operator-v0.85.0-bundle.yaml",
        "LAB_BIN": "/cache/bin",
    }


@pytest.mark.parametrize(
    "state", [State(), State(clusters=["observer"]), State(s3_endpoint="https://x", binaries="/b")]
)
def test_an_incomplete_lab_has_no_environment(state: State) -> None:
    with pytest.raises(LabError, match="make lab"):
        variables(LAB, state)


@pytest.mark.parametrize("value", ["plain", "a b", "it's", '$(touch pwned) `id` "q" \\', "new\nline", ""])
def test_a_shell_reads_back_exactly_what_was_exported(value: str, tmp_path: Path) -> None:
    script = exports({"VALUE": value}) + 'printf %s "$VALUE"'
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout == value
    assert list(tmp_path.iterdir()) == []
    assert shlex.split(exports({"VALUE": value})) == ["export", f"VALUE={value}"]
