# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told what when clusters are taken off board, lost and worked on, and when parts of the observer are away.

All programs from the registration in an API server to what Alertmanager sends are real; times are a sixtieth of those
that are shipped, but for how far a query looks back: a fifteenth, which a slow machine needs.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from ansible_collections.scs.observability.plugins.lookup.observer_files import files
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, kaas_metric_importer
from tests.integration.alertmanager.servers import Alertmanager, Web, running_alertmanager, running_web, served
from tests.integration.api_server import ApiServer
from tests.integration.importer import Importer, running_importer
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.remote_write import HEADERS, Sample, body
from tests.integration.rules.test_alerts import SHIPPED, soon
from tests.integration.thanos.pods import wait_for

PATIENCE = 120.0
# What is told about the observer itself, and what the ruler goes by
OF_PROMETHEUS = ("ObserverComponentDown", "ThanosQueryMissesEndpoint", "observer:receive:seen")
LOOKS_BACK = "20s"
# Query takes as long to drop receive as it does in an observer, so what is told of that is as much later, and what
# comes after that.
DROPS_WITHIN = 10
NAMESPACE = "observer"


def faster() -> tuple[dict[str, Any], dict[str, Any]]:
    """The rules of ruler and Prometheus with a sixtieth of their times."""
    overrides: dict[str, Any] = {}
    for path in SHIPPED.glob("*rules/*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                times = {name: rule[name] for name in ("for", "keep_firing_for") if name in rule}
                late = (
                    {"for": DROPS_WITHIN * 1000}
                    if rule.get("alert") in (*OF_PROMETHEUS, "KaaSRegistrationsUnknown")
                    else {}
                )
                if times:
                    overrides[f"{rule['alert']}/{rule['labels']['severity']}"] = {
                        name: f"{round(duration_seconds(text, name) * 1000 / 60) + late.get(name, 0)}ms"
                        for name, text in times.items()
                    }
    found = files("", str(SHIPPED), {}, overrides)
    assert found["problems"] == []
    of_ruler = {
        name: soon(yaml.safe_load(looks_back(content if isinstance(content, str) else yaml.safe_dump(content))))
        for name, content in found["ruler_rules"].items()
    }
    rules = [
        # Two scrapes, as well
        {**rule, "expr": rule["expr"].replace('store_type="receive"}[1m]', 'store_type="receive"}[1s]')}
        for item in found["rules"]
        for group in item["spec"]["groups"]
        for rule in group["rules"]
        if (rule.get("alert") or rule["record"]) in OF_PROMETHEUS
    ]
    # The others that they are about are there: they are not looked at here.
    there = [{"record": "up", "expr": "vector(1)", "labels": {"job": job}} for job in ("thanos-rule", "alertmanager")]
    return of_ruler, {"groups": [{"name": "observer", "interval": "500ms", "rules": [*there, *rules]}]}


def looks_back(rules: str) -> str:
    """The same with a sixtieth of the time for which receive has to have been seen."""
    return re.sub(r"(observer:receive:seen\{[^}]*\})\[10m\]", r"\1[10s]", rules)


class Gateway:
    """Stands for the gateway: hands writes to receive, and can be away."""

    def __init__(self, receive: str) -> None:
        self.port = free_port()
        self._receive = receive
        self._running = ExitStack()

    def start(self) -> None:
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                request = urllib.request.Request(receive, content, {**HEADERS, "THANOS-TENANT": self.headers["Tenant"]})
                try:
                    urllib.request.urlopen(request, timeout=10).close()
                except OSError:
                    self._answer(503)
                else:
                    self._answer(200)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._running.enter_context(served(ThreadingHTTPServer(("127.0.0.1", self.port), Handler)))

    def stop(self) -> None:
        self._running.close()


class Agent:
    """Writes for a cluster that its targets are up, the oldest samples first, until it is killed."""

    def __init__(self, url: str, cluster: str) -> None:
        self._request = {"url": url, "headers": {"Tenant": cluster}}
        self._waiting: list[int] = []
        self._killed = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        while not self._killed.wait(0.1 if len(self._waiting) > 1 else 0.3):
            now = round(time.time() * 1000)
            if now - max(self._waiting, default=0) >= 300:
                self._waiting.append(now)
            jobs = ("agent", "kubelet", "apiserver")
            samples = [Sample({"__name__": "up", "job": job, "instance": "one"}, 1, self._waiting[0]) for job in jobs]
            request = urllib.request.Request(data=body(samples), **self._request)
            with suppress(OSError):
                urllib.request.urlopen(request, timeout=10).close()
                del self._waiting[0]

    def kill(self) -> None:
        self._killed.set()
        self._thread.join()


@dataclass
class Observer:
    """What the test asks of it."""

    query_url: str
    alertmanager: Alertmanager
    web: Web
    importer: Importer
    gateway: Gateway
    start_programs: Callable[..., None]
    programs: dict[str, Popen[bytes]]
    agents: dict[str, Agent] = field(default_factory=dict)

    def query(self, expression: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.query_url}/api/v1/query?{urlencode({'query': expression})}") as response:
            result: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return result

    def states(self) -> dict[str, str]:
        return {found["metric"]["cluster"]: found["metric"]["state"] for found in self.query("kaas:cluster:state == 1")}

    def start(self, cluster: str) -> None:
        self.agents[cluster] = Agent(f"http://127.0.0.1:{self.gateway.port}/api/v1/receive", cluster)

    def inhibited(self, alert: str) -> set[str]:
        """Of which clusters an alert is there and not told."""
        alerts = self.alertmanager.call(f"/api/v2/alerts?filter=alertname={alert}")
        return {found["labels"].get("cluster", "") for found in alerts if found["status"]["inhibitedBy"]}

    def notifications(self) -> list[tuple[str, str, str, str]]:
        """To whom, firing or resolved, and which alert of which cluster or component."""
        return [
            (
                path.strip("/"),
                content["status"],
                content["commonLabels"]["alertname"],
                content["commonLabels"].get("cluster") or content["commonLabels"].get("component", "several"),
            )
            for path, _headers, content in list(self.web.requests)
        ]

    def critical(self) -> list[dict[str, Any]]:
        """What is wrong, whether or not it is told."""
        alerts: list[dict[str, Any]] = self.alertmanager.call("/api/v2/alerts?filter=severity=critical")
        return alerts

    def last_told(self) -> dict[str, str]:
        """Whether each group of alerts is firing or resolved for those who were told."""
        return {content["groupKey"]: content["status"] for _path, _headers, content in list(self.web.requests)}

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
        gateway = Gateway(f"http://127.0.0.1:{write}/api/v1/receive")
        gateway.start()
        stack.callback(gateway.stop)
        scraped = {
            "thanos-receive": ports["receive"][0],
            "thanos-query": ports["query"][0],
            "remote-write-gateway": gateway.port,
        }
        configuration = {
            "global": {"scrape_interval": "500ms", "external_labels": {"observer": "one"}},
            "rule_files": [f"{tmp_path}/prometheus.rules.yml"],
            "scrape_configs": [
                importer.through_these(kaas_metric_importer.scrape_job(NAMESPACE)),
                *(
                    {
                        "job_name": job,
                        "static_configs": [
                            {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": NAMESPACE, "pod": f"{job}-0"}}
                        ],
                    }
                    for job, port in scraped.items()
                ),
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}]},
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        grpc = {name: f"127.0.0.1:{port}" for name, (_http, port) in ports.items()}
        programs = {
            "prometheus": [
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/prometheus",
                f"--web.listen-address=127.0.0.1:{ports['prometheus'][0]}",
                "--scrape.discovery-reload-interval=1s",
            ],
            "sidecar": [f"--prometheus.url={url['prometheus']}", f"--tsdb.path={tmp_path}/prometheus"],
            "receive": [
                f"--tsdb.path={tmp_path}/receive",
                '--label=receive_replica="0"',
                "--receive.tenant-label-name=cluster",
                f"--remote-write.address=127.0.0.1:{write}",
                # Else the same port for each receive on this machine
                "--receive.capnproto-address=127.0.0.1:0",
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

        running: dict[str, Popen[bytes]] = {}

        def start(*names: str) -> None:
            started = []
            for name in names:
                listening = [name, f"--http-address=127.0.0.1:{ports[name][0]}", f"--grpc-address={grpc[name]}"]
                program, given = ("prometheus", []) if name == "prometheus" else ("thanos", listening)
                log = tmp_path / f"{name}.log"
                started.append((name, stack.enter_context(process(program, [*given, *programs[name]], log)), log))
            for name, program_of_it, log in started:
                running[name] = program_of_it
                wait_until(lambda name=name: answers(f"{url[name]}/-/ready"), program_of_it, log)  # type: ignore[misc]

        # Who does not find another at once looks again after seconds: sidecar for Prometheus, query for the others.
        start("receive", "prometheus")
        start("sidecar", "rule")
        start("query")
        found = Observer(url["query"], alertmanager, web, importer, gateway, start, running)
        wait_for(lambda: found.query('up{job="kaas-metric-importer"} == 1'), PATIENCE, "the importer's metrics")
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

    wait_for(lambda: observer.inhibited("KaaSRegistrationsUnknown"), PATIENCE, "what follows from it")
    wait_for(lambda: observer.states() == dict.fromkeys(shown, "unknown"), PATIENCE, "that nothing is known")
    assert observer.of_clusters() == expected


def all_is_well(observer: Observer, admin: KubernetesClient, *clusters: str) -> None:
    wait_for(lambda: admin.serves(kaas_cluster.API_VERSION, kaas_cluster.KIND), PATIENCE, "the definition")
    for cluster in clusters:
        register(admin, cluster, "active")
        observer.start(cluster)
    wait_for(lambda: observer.states() == dict.fromkeys(clusters, "ok"), PATIENCE, "that all is well")
    # What was late to start may have been told.
    wait_for(lambda: observer.query("min_over_time(observer:receive:seen[10s]) == 1"), PATIENCE, "receive in sight")
    wait_for(lambda: observer.critical() == [], PATIENCE, "that nothing is wrong")
    wait_for(lambda: "firing" not in observer.last_told().values(), PATIENCE, "that the end of it is told")
    observer.web.requests.clear()


def test_an_outage_of_receive_is_one_page_beside_clusters_that_are_down_before_and_lost_meanwhile(
    observer: Observer, admin: KubernetesClient
) -> None:
    all_is_well(observer, admin, "down", "lost", "stays")
    observer.agents["down"].kill()
    expected = [("page", "firing", "KaaSClusterDown", "down")]
    wait_for(observer.notifications, PATIENCE, "the page about the first cluster")
    assert observer.notifications() == expected
    observer.programs["receive"].kill()
    observer.agents["lost"].kill()
    expected.append(("page", "firing", "ObserverComponentDown", "thanos-receive"))
    wait_for(lambda: len(observer.notifications()) >= len(expected), PATIENCE, "the page about receive")
    assert observer.notifications() == expected
    observer.start_programs("receive")
    expected += [
        ("page", "firing", "KaaSClusterDown", "lost"),
        ("page", "resolved", "ObserverComponentDown", "thanos-receive"),
    ]
    wait_for(lambda: len(observer.notifications()) >= len(expected), PATIENCE, "its end, and the page about the other")
    # Twice the time for which nothing new is told
    wait_for(lambda: observer.query("min_over_time(observer:receive:seen[20s]) == 1"), PATIENCE, "receive in sight")
    assert sorted(observer.notifications()) == sorted(expected)
    observer.start("down")
    expected.append(("page", "resolved", "KaaSClusterDown", "down"))
    wait_for(lambda: len(observer.notifications()) >= len(expected), PATIENCE, "the end of the first")
    assert sorted(observer.notifications()) == sorted(expected)


def test_an_outage_of_the_gateway_is_one_page_until_agents_have_caught_up(
    observer: Observer, admin: KubernetesClient
) -> None:
    def about(status: str) -> tuple[str, str, str, str]:
        return ("page", status, "ObserverComponentDown", "remote-write-gateway")

    all_is_well(observer, admin, "shop", "bank")
    observer.gateway.stop()
    wait_for(lambda: observer.inhibited("KaaSClusterDown") == {"shop", "bank"}, PATIENCE, "what follows")
    observer.gateway.start()
    wait_for(lambda: about("resolved") in observer.notifications(), PATIENCE, "its end")
    wait_for(lambda: observer.critical() == [], PATIENCE, "the end of what followed")
    assert observer.notifications() == [about("firing"), about("resolved")]
