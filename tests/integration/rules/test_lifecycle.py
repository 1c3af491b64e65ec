# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told what when clusters are taken off board, are lost, and are worked on, and when the importer is away.

All programs from the registration in an API server to what Alertmanager sends are real; times are a sixtieth of those
that are shipped, but for how far a query looks back: a thirtieth, which a slow machine needs.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from ansible_collections.scs.observability.plugins.lookup.observer_files import files
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, kaas_metric_importer
from tests.integration.alertmanager.servers import Alertmanager, Web, running_alertmanager, running_web
from tests.integration.api_server import ApiServer
from tests.integration.importer import Importer, running_importer
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.remote_write import HEADERS, Sample, body
from tests.integration.rules.test_alerts import SHIPPED, soon
from tests.integration.thanos.pods import wait_for

PATIENCE = 120.0
LOOKS_BACK = "10s"
NAMESPACE = "observer"


def faster() -> tuple[dict[str, Any], dict[str, Any]]:
    """The rules of ruler and Prometheus with a sixtieth of their times."""
    overrides: dict[str, Any] = {}
    for path in SHIPPED.glob("*rules/*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                times = {name: rule[name] for name in ("for", "keep_firing_for") if name in rule}
                if times:
                    overrides[f"{rule['alert']}/{rule['labels']['severity']}"] = {
                        name: f"{round(duration_seconds(text, name) * 1000 / 60)}ms" for name, text in times.items()
                    }
    found = files("", str(SHIPPED), {}, overrides)
    assert found["problems"] == []
    of_ruler = {
        name: soon(yaml.safe_load(content) if isinstance(content, str) else content)
        for name, content in found["ruler_rules"].items()
    }
    (monitoring,) = [item["spec"] for item in found["rules"] if item["metadata"]["name"] == "observer-monitoring"]
    rules = [
        rule for group in monitoring["groups"] for rule in group["rules"] if rule["alert"] == "ObserverComponentDown"
    ]
    # The others that it is about are there: they are not looked at here.
    others = ("thanos-receive", "thanos-query", "thanos-rule", "remote-write-gateway", "alertmanager")
    there = [{"record": "up", "expr": "vector(1)", "labels": {"job": job}} for job in others]
    return of_ruler, soon({"groups": [{"name": "targets", "rules": [*there, *rules]}]})


class Agent:
    """Writes for a cluster that its targets are up, until it is killed."""

    def __init__(self, url: str, cluster: str) -> None:
        self._request = {"url": url, "headers": {**HEADERS, "THANOS-TENANT": cluster}}
        self._killed = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        while not self._killed.wait(0.3):
            now = round(time.time() * 1000)
            jobs = ("agent", "kubelet", "apiserver")
            samples = [Sample({"__name__": "up", "job": job, "instance": "one"}, 1, now) for job in jobs]
            request = urllib.request.Request(data=body(samples), **self._request)
            urllib.request.urlopen(request, timeout=10).close()

    def kill(self) -> None:
        self._killed.set()
        self._thread.join()


@dataclass
class Observer:
    """What the test asks of it."""

    query_url: str
    write_url: str
    alertmanager: Alertmanager
    web: Web
    importer: Importer
    agents: dict[str, Agent] = field(default_factory=dict)

    def query(self, expression: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.query_url}/api/v1/query?{urlencode({'query': expression})}") as response:
            result: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return result

    def states(self) -> dict[str, str]:
        return {found["metric"]["cluster"]: found["metric"]["state"] for found in self.query("kaas:cluster:state == 1")}

    def start(self, cluster: str) -> None:
        self.agents[cluster] = Agent(self.write_url, cluster)

    def notifications(self) -> list[tuple[str, str, str, str]]:
        """To whom, firing or resolved, and which alert of which cluster or component."""
        return [
            (
                path.strip("/"),
                content["status"],
                content["commonLabels"]["alertname"],
                content["commonLabels"].get("cluster") or content["commonLabels"]["component"],
            )
            for path, _headers, content in list(self.web.requests)
        ]

    def of_clusters(self) -> list[tuple[str, str, str, str]]:
        """Those about clusters: a busy machine may miss scrapes of the importer, which is told, and not meant here."""
        return [item for item in self.notifications() if item[2].startswith("KaaS")]


@pytest.fixture
def observer(
    api_server: ApiServer, admin: KubernetesClient, no_registrations: None, tmp_path: Path
) -> Iterator[Observer]:
    ports = {name: (free_port(), free_port()) for name in ("prometheus", "sidecar", "receive", "query", "rule")}
    url = {name: f"http://127.0.0.1:{http}" for name, (http, _grpc) in ports.items()}
    write = free_port()
    of_ruler, of_prometheus = faster()
    (tmp_path / "ruler").mkdir()
    for name, content in of_ruler.items():
        (tmp_path / "ruler" / name).write_text(yaml.safe_dump(content))
    (tmp_path / "prometheus.rules.yml").write_text(yaml.safe_dump(of_prometheus))
    admin.apply(kaas_cluster.definition())
    with ExitStack() as stack:
        web = stack.enter_context(running_web())
        told = {
            "receivers": [{"name": name, "type": "webhook", "url": web.url(f"/{name}")} for name in ("page", "ticket")],
            "page_receivers": ["page"],
            "ticket_receivers": ["ticket"],
            "working_hours": [{"years": ["2000:2999"]}],
            "group_wait": "1s",
            "group_interval": "1s",
        }
        alertmanager = stack.enter_context(running_alertmanager(told, tmp_path / "alertmanager"))
        importer = stack.enter_context(running_importer(api_server.kubeconfig(), tmp_path / "importer"))
        configuration = {
            "global": {"scrape_interval": "1s", "external_labels": {"observer": "one"}},
            "rule_files": [f"{tmp_path}/prometheus.rules.yml"],
            "scrape_configs": [importer.through_these(kaas_metric_importer.scrape_job(NAMESPACE))],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}]},
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        grpc = {name: f"127.0.0.1:{port}" for name, (_http, port) in ports.items()}
        programs = {
            "prometheus": [
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/prometheus",
                f"--web.listen-address=127.0.0.1:{ports['prometheus'][0]}",
            ],
            "sidecar": [f"--prometheus.url={url['prometheus']}", f"--tsdb.path={tmp_path}/prometheus"],
            "receive": [
                f"--tsdb.path={tmp_path}/receive",
                '--label=receive_replica="0"',
                "--receive.tenant-label-name=cluster",
                f"--remote-write.address=127.0.0.1:{write}",
            ],
            "query": [
                *(f"--endpoint={grpc[name]}" for name in ("sidecar", "receive", "rule")),
                *(f"--query.replica-label={name}" for name in ("receive_replica", "ruler_replica")),
                f"--query.lookback-delta={LOOKS_BACK}",
            ],
            "rule": [
                f"--data-dir={tmp_path}/rule",
                f"--rule-file={tmp_path}/ruler/*.yml",
                f"--query={url['query']}",
                f"--alertmanagers.url=http://127.0.0.1:{alertmanager.port}",
                *('--label=ruler_replica="0"', '--label=observer="one"', "--alert.label-drop=ruler_replica"),
            ],
        }

        def start(*names: str) -> None:
            started = []
            for name in names:
                listening = [name, f"--http-address=127.0.0.1:{ports[name][0]}", f"--grpc-address={grpc[name]}"]
                program, given = ("prometheus", []) if name == "prometheus" else ("thanos", listening)
                log = tmp_path / f"{name}.log"
                started.append((name, stack.enter_context(process(program, [*given, *programs[name]], log)), log))
            for name, running, log in started:
                wait_until(lambda name=name: answers(f"{url[name]}/-/ready"), running, log)  # type: ignore[misc]

        start("prometheus", "sidecar", "receive", "query")
        found = Observer(url["query"], f"http://127.0.0.1:{write}/api/v1/receive", alertmanager, web, importer)
        # A ruler that is there before would tell that it is not.
        wait_for(lambda: found.query('up{job="kaas-metric-importer"} == 1'), PATIENCE, "the importer's metrics")
        start("rule")
        try:
            yield found
        finally:
            for agent in found.agents.values():
                agent.kill()
            for registration in admin.list(kaas_cluster.API_VERSION, kaas_cluster.KIND):
                admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, registration["metadata"]["name"])
            admin.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", kaas_cluster.DEFINITION_NAME)


def register(admin: KubernetesClient, cluster: str, phase: str) -> None:
    admin.apply(
        {
            "apiVersion": kaas_cluster.API_VERSION,
            "kind": kaas_cluster.KIND,
            "metadata": {"name": cluster, "labels": {kaas_cluster.OBSERVER_LABEL: NAMESPACE}},
            "spec": {
                "phase": phase,
                "clusterUID": "00000000-0000-0000-0000-000000000000",
                "customer": "acme",
                "sla": "gold",
            },
        }
    )


def test_who_is_told_of_clusters_that_come_and_go(observer: Observer, admin: KubernetesClient) -> None:
    wait_for(lambda: admin.serves(kaas_cluster.API_VERSION, kaas_cluster.KIND), PATIENCE, "the definition")
    clusters = ("leaves", "dies", "served", "stays")
    for cluster in clusters:
        register(admin, cluster, "provisioning")
        observer.start(cluster)
    wait_for(lambda: observer.states() == dict.fromkeys(clusters, "provisioning"), PATIENCE, "their registration")
    for cluster in clusters:
        register(admin, cluster, "active")
    wait_for(lambda: observer.states() == dict.fromkeys(clusters, "ok"), PATIENCE, "that all is well")
    register(admin, "served", "maintenance")
    wait_for(lambda: observer.states()["served"] == "maintenance", PATIENCE, "maintenance")

    # At once, so that the page about the one that dies shows that those about the others do not come.
    register(admin, "leaves", "deleting")
    for cluster in ("leaves", "served", "dies"):
        observer.agents[cluster].kill()
    admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, "leaves")
    wait_for(observer.of_clusters, PATIENCE, "the page")
    expected = [("page", "firing", "KaaSClusterDown", "dies")]
    assert observer.of_clusters() == expected
    shown = {"dies": "down", "served": "maintenance", "stays": "ok"}
    wait_for(lambda: observer.states() == shown, PATIENCE, "its state")
    observer.start("dies")
    wait_for(lambda: len(observer.of_clusters()) > 1, PATIENCE, "its end")
    expected.append(("page", "resolved", "KaaSClusterDown", "dies"))
    assert observer.of_clusters() == expected
    wait_for(lambda: observer.states() == {**shown, "dies": "ok"}, PATIENCE, "its state")

    about_it = ("page", "firing", "ObserverComponentDown", "kaas-metric-importer")
    before = observer.notifications().count(about_it)
    observer.importer.process.kill()
    wait_for(lambda: observer.notifications().count(about_it) > before, PATIENCE, "the page about the importer")

    def waiting() -> list[dict[str, Any]]:
        alerts = observer.alertmanager.call("/api/v2/alerts?filter=alertname=KaaSRegistrationsUnknown")
        return [alert for alert in alerts if alert["status"]["inhibitedBy"]]

    wait_for(waiting, PATIENCE, "what follows from it")
    wait_for(lambda: observer.states() == dict.fromkeys(shown, "unknown"), PATIENCE, "that nothing is known")
    assert observer.of_clusters() == expected
