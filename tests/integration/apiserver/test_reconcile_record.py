# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of the last reconciliation is a metric beside those of registrations: real importer, real Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    kaas_cluster,
    kaas_metric_importer,
    reconcile_record,
)
from ansible_collections.scs.observability.plugins.module_utils._observer import apply_set
from tests.integration.api_server import ApiServer, have
from tests.integration.importer import running_importer
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.thanos.pods import wait_for

SCRAPED = 40.0


def lease(time: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {"holderIdentity": "awx", "renewTime": time},
    }


def reconciled(api_server: ApiServer, namespace: str, time: str, *, failed: bool = False) -> dict[str, Any]:
    names = [reconcile_record.LEASE, *([reconcile_record.FAILED_LEASE] if failed else [])]
    params = {"kubeconfig": str(api_server.kubeconfig()), "namespace": namespace, "name": "reconcile", "wait": False}
    return apply_set.ensure({**params, "objects": [lease(time, name) for name in names]}, False)


@pytest.fixture
def prometheus(api_server: ApiServer, namespace: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a Prometheus that scrapes an importer, both as they are deployed."""
    own = free_port()
    with ExitStack() as stack:
        importer = stack.enter_context(running_importer(api_server.kubeconfig(), tmp_path / "importer"))
        job = importer.through_these(kaas_metric_importer.scrape_job(namespace))
        (tmp_path / "prometheus.yml").write_text(
            yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]})
        )
        log = tmp_path / "prometheus.log"
        options = [
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{own}",
        ]
        server = stack.enter_context(process("prometheus", options, log))
        url = f"http://127.0.0.1:{own}"
        wait_until(lambda: answers(f"{url}/-/ready"), server, log)
        yield url


def query(url: str, expression: str) -> list[dict[str, Any]]:
    with urlopen(f"{url}/api/v1/query?{urlencode({'query': expression})}") as response:
        result: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return result


def test_the_last_success_and_the_registrations_of_this_observer_are_told(
    prometheus: str, api_server: ApiServer, admin: KubernetesClient, namespace: str
) -> None:
    reconciled(api_server, namespace, "2026-03-01T12:00:00.000000Z")
    reconciled(api_server, f"{namespace}-another", "2026-03-02T12:00:00.000000Z")
    for observer, cluster in ((namespace, "alpha"), ("another", "beta")):
        registration = {
            "apiVersion": kaas_cluster.API_VERSION,
            "kind": kaas_cluster.KIND,
            "metadata": {"name": cluster, "labels": {kaas_cluster.OBSERVER_LABEL: observer}},
            "spec": {"phase": "active", "clusterUID": "00000000-0000-0000-0000-000000000000"},
        }
        have(admin, kaas_cluster.definition(), registration)
    try:
        (found,) = wait_for(lambda: query(prometheus, reconcile_record.METRIC), SCRAPED, reconcile_record.METRIC)
        assert float(found["value"][1]) == 1772366400
        assert found["metric"] == {
            "__name__": reconcile_record.METRIC,
            "instance": "kaas-metric-importer",
            "job": "kaas-metric-importer",
            "lease": "reconcile",
            "namespace": namespace,
        }
        (info,) = wait_for(lambda: query(prometheus, "kaas_cluster_info"), SCRAPED, "kaas_cluster_info")
        assert info["metric"]["cluster"] == "alpha"
        assert query(prometheus, '{__name__=~"kube_lease.+"}') == [], "nobody else's leases"

        assert query(prometheus, reconcile_record.FAILED_METRIC) == []
        reconciled(api_server, namespace, "2026-03-03T12:00:00.000000Z", failed=True)
        later = f"{reconcile_record.METRIC} == 1772539200"
        wait_for(lambda: query(prometheus, later), SCRAPED, "the next success")
        failed = f"{reconcile_record.FAILED_METRIC} == 1772539200"
        wait_for(lambda: query(prometheus, failed), SCRAPED, "that something else failed")
        reconciled(api_server, namespace, "2026-03-04T12:00:00.000000Z")
        wait_for(lambda: query(prometheus, reconcile_record.FAILED_METRIC) == [], SCRAPED, "that all is well again")
    finally:
        for cluster in ("alpha", "beta"):
            admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, cluster)
        admin.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", kaas_cluster.DEFINITION_NAME)
