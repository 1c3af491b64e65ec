# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact, installed into an empty path, deploys an observer, with the oldest and with the newest ansible-core."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.api_server import ApiServer, running_cluster
from tests.integration.artifact.conftest import Core
from tests.integration.processes import prometheus_operator_bundle
from tests.integration.s3_server import S3Server


@pytest.fixture(scope="module")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One that no other test uses: definitions of the Prometheus Operator are for all namespaces."""
    with running_cluster(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


def recap(output: str) -> dict[str, int]:
    """The numbers in the last lines of a run on one host."""
    lines = re.findall(r"^observer-1 +: (.*)$", output, flags=re.MULTILINE)
    assert len(lines) == 1, output
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", lines[0])}


def test_the_installed_artifact_deploys_an_observer_and_changes_nothing_again(
    core: Core, artifact: Path, api_server: ApiServer, s3: S3Server, tmp_path: Path
) -> None:
    name = f"artifact-{core.name.replace('.', '-')}"
    inventory = tmp_path / "hosts.yml"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "observer_kubeconfig": str(api_server.kubeconfig()),
        "observer_namespace": name,
        "observer_bucket_name": name,
        "observer_bucket_endpoint": s3.url,
        "observer_bucket_ca": s3.ca.read_text(),
        "observer_bucket_access_key": s3.owner.access_key,
        "observer_bucket_secret_key": s3.owner.secret_key,
        "observer_gateway_hostnames": ["metrics.example.org"],
        # There is no kubelet, so no pod ever runs.
        "observer_wait": False,
        "observer_prometheus_operator_bundle": str(prometheus_operator_bundle()),
        "verification_kubeconfig": "{{ observer_kubeconfig }}",
        "verification_namespace": name,
    }
    inventory.write_text(yaml.safe_dump({"observer": {"hosts": {"observer-1": variables}}}))
    assert f"[core {core.version}]" in core.run("ansible", "--version", home=tmp_path)
    core.run("ansible-galaxy", "collection", "install", "--offline", artifact, home=tmp_path)
    assert [path.name for path in (tmp_path / "collections" / "ansible_collections").glob("*/*")] == ["observability"]

    deploy = ("ansible-playbook", "--inventory", inventory, "scs.observability.observer")
    first = core.run(*deploy, home=tmp_path)
    assert recap(first)["changed"] > 0, first
    assert name in s3.buckets()
    client = api_server.client()
    workloads = {
        str(item["metadata"]["name"])
        for kind in ("Deployment", "StatefulSet")
        for item in client.list("apps/v1", kind, namespace=name)
    }
    assert workloads == {
        "blackbox-exporter",
        "grafana",
        "kaas-metric-importer",
        "kube-state-metrics",
        "prometheus-operator",
        "remote-write-gateway",
        "thanos-bucket-web",
        "thanos-compact",
        "thanos-query",
        "thanos-query-frontend",
        "thanos-receive",
        "thanos-rule",
        "thanos-store",
    }

    second = core.run(*deploy, home=tmp_path)
    assert recap(second)["changed"] == 0, second
    assert s3.owner.secret_key not in first + second
    # What a newer ansible-core is going to refuse is said by the newest one.
    assert "DEPRECATION" not in first + second

    # Asked again, told in tables all the same, and failed by the role's last task alone.
    verify = ("ansible-playbook", "--inventory", inventory, "scs.observability.verify")
    last = core.run(*verify, "--extra-vars", "verification_wait_timeout=10", home=tmp_path, status=2)
    assert last.count("FAILED - RETRYING") == 1, last
    assert "thanos-receive" in last[last.index("TASK [scs.observability.verification : Show the components]") :]
    before, *failures = last.split("fatal: ")
    assert len(failures) == 1
    assert before.rpartition("TASK [")[2].startswith("scs.observability.verification : Fail when something")
    assert "DEPRECATION" not in last
