# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's parts for Prometheus and exporters, on an API server that knows the Prometheus Operator's resources."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import kubernetes
import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, prometheus_operator
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    Proof,
    Registration,
)
from tests.integration.api_server import ApiServer, have, running_api_server
from tests.integration.processes import (
    answers,
    binary,
    free_port,
    process,
    prometheus_operator_bundle,
    wait_until,
)

CHECKOUT = Path(__file__).resolve().parents[3]
NAMESPACE = "observer-a"
SECRET = "not-to-be-seen"
PARTS = ("exporters", "prometheus")

PLAYBOOK = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/scs.observability.observer:
      kubeconfig: "{{ observer_kubeconfig }}"
      namespace: "{{ observer_namespace }}"
      node_selector: {disk: fast}
  tasks:
    - ansible.builtin.include_role:
        name: scs.observability.observer
        tasks_from: "{{ item }}.yml"
      loop: "{{ parts }}"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    content = prometheus_operator_bundle().read_bytes()
    definitions = list(prometheus_operator.bundle_of(content).definitions.values())
    with running_api_server(tmp_path_factory.mktemp("apiserver")) as running:
        client = running.client()
        client.parallel([partial(client.apply, item) for item in definitions])
        wait_ready(client, [identity(item) for item in definitions], 60)
        yield running


@pytest.fixture(scope="module")
def client(server: ApiServer) -> KubernetesClient:
    return server.client()


@pytest.fixture(scope="module")
def official(server: ApiServer) -> Iterator[kubernetes.client.ApiClient]:
    with kubernetes.config.new_client_from_config(str(server.kubeconfig())) as found:
        yield found


Play = Callable[..., str]


@pytest.fixture(scope="module")
def play(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Run the parts, with variables; gives what was printed at the highest verbosity that shows arguments."""
    folder = tmp_path_factory.mktemp("play")
    tree = subprocess.run(
        [sys.executable, CHECKOUT / "dev" / "collection_tree.py"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(Path(tree).parents[2]), "ANSIBLE_NOCOLOR": "1"}
    (folder / "play.yml").write_text(PLAYBOOK)
    base = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "observer_kubeconfig": str(server.kubeconfig()),
        "observer_namespace": NAMESPACE,
        "_observer_bucket": {"objstore": {"type": "S3", "config": {"bucket": "blocks", "endpoint": "s3.invalid"}}},
        "observer_bucket_access_key": "key",
        "observer_bucket_secret_key": SECRET,
        "parts": list(PARTS),
    }

    def call(**variables: Any) -> str:
        (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"site-1": {**base, **variables}}}}))
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-vvv", "--diff", "-i", "hosts.yml", "play.yml"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return call


@pytest.fixture(scope="module")
def deployed(play: Play) -> str:
    return play()


def test_a_second_run_changes_nothing_and_no_run_shows_the_keys_of_the_bucket(deployed: str, play: Play) -> None:
    again = play()
    assert "changed=2" in deployed
    assert "changed=0" in again
    assert SECRET not in deployed + again


@pytest.mark.usefixtures("deployed")
def test_a_change_of_the_keys_reaches_the_sidecar_and_replaces_its_pod(play: Play, client: KubernetesClient) -> None:
    """It reads the file at its start only."""

    def seen() -> tuple[str | None, str]:
        secret = client.get("v1", "Secret", "prometheus-objstore", NAMESPACE)
        prometheus = client.get("monitoring.coreos.com/v1", "Prometheus", "observer", NAMESPACE)
        assert secret is not None
        assert prometheus is not None
        return secret_text(secret, "objstore.yml"), str(prometheus["spec"]["podMetadata"]["annotations"])

    text, annotations = seen()
    assert yaml.safe_load(text or "")["config"] == {
        "bucket": "blocks",
        "endpoint": "s3.invalid",
        "access_key": "key",
        "secret_key": SECRET,
    }
    play(observer_bucket_access_key="other", parts=["prometheus"])
    assert seen()[1] != annotations
    play(parts=["prometheus"])
    assert seen() == (text, annotations)


@pytest.mark.usefixtures("deployed")
def test_node_exporter_goes_when_it_is_turned_off_and_comes_back(play: Play, client: KubernetesClient) -> None:
    def there() -> list[str]:
        kinds = {"DaemonSet": "apps/v1", **dict.fromkeys(("ConfigMap", "Secret", "ServiceAccount"), "v1")}
        found = [item for kind, version in kinds.items() for item in client.list(version, kind, NAMESPACE)]
        jobs = client.get("v1", "Secret", "prometheus-scrape-jobs", NAMESPACE) or {}
        scraped = [job["job_name"] for job in yaml.safe_load(secret_text(jobs, "jobs.yml") or "")]
        names = [f"{item['kind']} {item['metadata']['name']}" for item in found]
        return sorted(name for name in names + scraped if "node-exporter" in name)

    objects = ["ConfigMap node-exporter-web", "DaemonSet node-exporter", "Secret node-exporter-tls"]
    everything = [*objects, "ServiceAccount node-exporter", "node-exporter"]
    assert there() == everything
    off = {"observer_node_exporter_enabled": False}
    play(**off)
    assert there() == []
    assert "changed=0" in play(**off)
    play()
    assert there() == everything


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {
            "observer_prometheus_replicas": 2,
            "observer_prometheus_external_url": "https://prometheus.example.org/",
            "observer_prometheus_image": "registry.example.org/prometheus@sha256:" + "0" * 64,
            "observer_prometheus_retention_size": "",
            "observer_storage_class": "fast",
            "observer_bucket_ca": "a certificate",
        },
    ],
    ids=["defaults", "much of it"],
)
def test_the_api_server_knows_every_field(variables: dict[str, Any], server: ApiServer, tmp_path: Path) -> None:
    """It would drop an unknown one of a custom resource silently."""
    role = CHECKOUT / "roles" / "observer"
    rendered = tmp_path / "objects.yml"
    playbook = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": [str(role / "defaults" / "main.yml"), str(role / "vars" / "main.yml")],
            "tasks": [
                {"ansible.builtin.template": {"src": str(role / "templates/prometheus.yml.j2"), "dest": str(rendered)}}
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(playbook))
    (tmp_path / "variables.json").write_text(json.dumps(variables))
    tree = subprocess.run(
        [sys.executable, CHECKOUT / "dev" / "collection_tree.py"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "play.yml", "-e", "@variables.json"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(Path(tree).parents[2])},
        capture_output=True,
        check=True,
    )
    command = [binary("kubectl"), f"--kubeconfig={server.kubeconfig()}", "--namespace=default", "apply"]
    done = subprocess.run(
        [*command, "--server-side", "--dry-run=server", "--validate=strict", f"--filename={rendered}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "unknown field" not in done.stderr


def test_what_the_operator_says_of_placement_holds_for_all_but_node_exporter(
    deployed: str, client: KubernetesClient
) -> None:
    assert deployed
    selectors = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"].get("nodeSelector")
        for kind in ("Deployment", "DaemonSet")
        for item in client.list("apps/v1", kind, NAMESPACE)
    }
    assert selectors == {
        "kaas-metric-importer": {"disk": "fast"},
        "kube-state-metrics": {"disk": "fast"},
        "node-exporter": {"kubernetes.io/os": "linux"},
    }


ALLOWED = [
    ("prometheus", "list", "", "nodes", ""),
    ("prometheus", "get", "", "nodes/metrics", ""),
    ("prometheus", "list", "discovery.k8s.io", "endpointslices", NAMESPACE),
    ("prometheus", "list", "", "pods", NAMESPACE),
    ("kube-state-metrics", "list", "", "pods", "kube-system"),
    ("kaas-metric-importer", "watch", kaas_cluster.GROUP, kaas_cluster.PLURAL, ""),
]
DENIED = [
    ("prometheus", "get", "", "secrets", NAMESPACE),
    ("prometheus", "get", "", "nodes/proxy", ""),
    ("prometheus", "list", "", "pods", "kube-system"),
    ("prometheus", "list", "", "configmaps", NAMESPACE),
    ("kube-state-metrics", "list", "", "secrets", NAMESPACE),
    ("kube-state-metrics", "list", "", "configmaps", NAMESPACE),
    ("kaas-metric-importer", "patch", kaas_cluster.GROUP, kaas_cluster.PLURAL, ""),
    ("kaas-metric-importer", "list", "", "pods", NAMESPACE),
    ("node-exporter", "list", "", "pods", NAMESPACE),
]


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("right", "expected"),
    [(right, True) for right in ALLOWED] + [(right, False) for right in DENIED],
)
def test_each_account_may_do_what_it_needs_and_no_more(
    official: kubernetes.client.ApiClient, right: tuple[str, ...], expected: bool
) -> None:
    account, verb, group, resource, namespace = right
    name, _slash, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": subresource, "namespace": namespace}
    review = kubernetes.client.AuthorizationV1Api(official).create_subject_access_review(
        {"spec": {"user": f"system:serviceaccount:{NAMESPACE}:{account}", "resourceAttributes": attributes}}
    )
    assert review.status.allowed is expected


@pytest.mark.usefixtures("deployed")
def test_prometheus_takes_the_jobs(client: KubernetesClient, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": jobs(client)}))
    command = [binary("promtool"), "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def jobs(client: KubernetesClient) -> list[dict[str, Any]]:
    secret = client.get("v1", "Secret", "prometheus-scrape-jobs", NAMESPACE)
    assert secret is not None
    found: list[dict[str, Any]] = yaml.safe_load(secret_text(secret, "jobs.yml") or "")
    return found


@dataclass
class Importer:
    """The importer as it is deployed, with the rights of its account, and a Prometheus that reads it."""

    client: KubernetesClient
    url: str

    def values(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        """What Prometheus has, by labels without those of the scrape."""
        with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': query})}", timeout=10) as response:
            found = json.load(response)["data"]["result"]
        left_out = {"__name__", "job", "instance"}
        return {
            tuple(sorted((name, value) for name, value in item["metric"].items() if name not in left_out)): float(
                item["value"][1]
            )
            for item in found
        }

    def wait(self, query: str, expected: dict[tuple[tuple[str, str], ...], float]) -> None:
        deadline = time.monotonic() + 60
        while (found := self.values(query)) != expected:
            assert time.monotonic() < deadline, f"{query}: {found}"
            time.sleep(0.2)

    def register(self, name: str, observer: str = NAMESPACE, **changes: Any) -> Registration:
        given = {"cluster_uid": UID, "phase": "active", "customer": "ACME", "sla": "gold", "jobs": ("agent", "kubelet")}
        registration = Registration(name, observer=observer, **{**given, **changes})
        have(self.client, kaas_cluster.definition(), registration.manifest())
        return registration


UID = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"


@pytest.fixture
def importer(deployed: str, server: ApiServer, client: KubernetesClient, tmp_path: Path) -> Iterator[Importer]:
    assert deployed
    name = "kaas-metric-importer"
    live, configuration = (
        client.get("apps/v1", "Deployment", name, NAMESPACE),
        client.get("v1", "ConfigMap", name, NAMESPACE),
    )
    assert live is not None
    assert configuration is not None
    for file, text in configuration["data"].items():
        (tmp_path / file).write_text(text)
    (container,) = live["spec"]["template"]["spec"]["containers"]
    (mount,) = container["volumeMounts"]
    ports = {port["containerPort"]: free_port() for port in container["ports"]}
    arguments = [argument.replace(mount["mountPath"], str(tmp_path)) for argument in container["args"]]
    for wanted, port in ports.items():
        arguments = [re.sub(f"={wanted}$", f"={port}", argument) for argument in arguments]
    kubeconfig = server.kubeconfig(f"system:serviceaccount:{NAMESPACE}:{name}", ())
    arguments += ["--host=127.0.0.1", "--telemetry-host=127.0.0.1", f"--kubeconfig={kubeconfig}"]

    (job,) = [job for job in jobs(client) if job["job_name"] == name]
    for static in job["static_configs"]:
        host, port = static["targets"][0].split(":")
        assert host == f"{name}.{NAMESPACE}.svc"
        static["targets"] = [f"127.0.0.1:{ports[int(port)]}"]
    (tmp_path / "prometheus.yml").write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]})
    )
    web = free_port()
    with ExitStack() as stack:
        log = tmp_path / "importer.log"
        running = stack.enter_context(process("kube-state-metrics", arguments, log))
        # By its own probe, before there is any registration or a definition of them.
        wait_until(lambda: answers(f"http://127.0.0.1:{ports[8081]}/readyz"), running, log)
        log = tmp_path / "prometheus.log"
        options = [
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address=127.0.0.1:{web}",
            "--scrape.discovery-reload-interval=1s",
        ]
        running = stack.enter_context(process("prometheus", options, log))
        wait_until(lambda: answers(f"http://127.0.0.1:{web}/-/ready"), running, log)
        yield Importer(client, f"http://127.0.0.1:{web}")


def test_series_come_with_a_registration_follow_it_and_go_with_it(importer: Importer) -> None:
    """The definition comes with the first registration, when the importer has long been running."""
    importer.wait("count(up == 1)", {(): 2})
    assert importer.client.get(*DEFINITION) is None

    alpha = importer.register("alpha", phase="provisioning")
    importer.register("beta", contact="ops@example.org", profile="full")
    # Another observer in the same cluster, whose business it is.
    importer.register("gamma", observer="observer-b")

    def info(cluster: str, **labels: str) -> tuple[tuple[str, str], ...]:
        given = {"customer": "ACME", "sla": "gold", "cluster_uid": UID, "profile": "minimal", "scrape_interval": "30s"}
        return tuple(sorted({"cluster": cluster, **given, **labels}.items()))

    importer.wait("kaas_cluster_info", {info("alpha"): 1, info("beta", contact="ops@example.org", profile="full"): 1})
    importer.wait('kaas_cluster_phase{cluster="alpha"} == 1', {(("cluster", "alpha"), ("phase", "provisioning")): 1})
    assert len(importer.values('kaas_cluster_phase{cluster="alpha"}')) == len(kaas_cluster.PHASES)
    assert set(importer.values("kaas_cluster_expected_job")) == {
        (("cluster", cluster), ("expected_job", job)) for cluster in ("alpha", "beta") for job in ("agent", "kubelet")
    }
    (created,) = importer.values('time() - kaas_cluster_created{cluster="alpha"}').values()
    assert 0 <= created < 120
    assert importer.values("kaas_cluster_certificate_expiry_timestamp_seconds") == {}

    alpha = replace(
        alpha,
        phase="active",
        certificate=Certificate("0" * 64, "2030-01-01T00:00:00Z"),
        proof=Proof("2026-01-01T00:00:00Z", 4.5, 1872, ("kubelet",)),
    )
    importer.client.apply(alpha.manifest())
    importer.client.apply_status({**alpha.manifest(), "status": alpha.status()})
    one = (("cluster", "alpha"),)
    importer.wait('kaas_cluster_phase{cluster="alpha"} == 1', {(*one, ("phase", "active")): 1})
    importer.wait("kaas_cluster_certificate_expiry_timestamp_seconds", {one: 1893456000})
    importer.wait("kaas_cluster_proof_timestamp_seconds", {one: 1767225600})
    importer.wait("kaas_cluster_proof_duration_seconds", {one: 4.5})
    importer.wait("kaas_cluster_proof_series", {one: 1872})
    importer.wait("kaas_cluster_proof_missing_job", {(*one, ("missing_job", "kubelet")): 1})

    # Whether it sees registrations at all
    listed = importer.values("sum by (result) (kube_state_metrics_list_total)")
    assert set(listed) == {(("result", "success"),)}

    importer.client.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, "alpha")
    importer.wait('{cluster="alpha"}', {})
    assert len(importer.values("kaas_cluster_info")) == 1


DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", kaas_cluster.DEFINITION_NAME)
