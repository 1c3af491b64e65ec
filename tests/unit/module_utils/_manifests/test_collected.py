# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What overrides and discovery make of an agent's configuration, and what no override can."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    blackbox_exporter,
    collected,
    collection_profile,
    kube_state_metrics,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.blackbox_exporter import BlackboxExporter
from ansible_collections.scs.observability.plugins.module_utils._manifests.collected import Collected
from ansible_collections.scs.observability.plugins.module_utils._manifests.kube_state_metrics import KubeStateMetrics
from ansible_collections.scs.observability.plugins.module_utils._manifests.optional_jobs import Discovered, Found
from tests import relabelling
from tests.relabelling import series_of

FOUND = (
    Found("scheduler", "kube-system", "component=kube-scheduler", port=10259, https=True),
    Found("kube-proxy", "kube-system", "k8s-app=kube-proxy", port=10249),
    Found("ingress-nginx", "ingress-a", "app=a", ports=("metrics",)),
    Found("ingress-nginx", "ingress-b", "app=b", ports=("metrics",)),
)
OVERRIDES: dict[str, Any] = {
    "workloads": {"namespaces": ["shop", "billing"], "selector": "monitoring=true"},
    "extra_jobs": [
        {"name": "database", "service": "postgres", "namespace": "data", "port": 9187, "scheme": "https"},
        {"name": "gpu", "targets": ["192.0.2.7:9400"], "path": "/gpu", "interval": "5s"},
    ],
    "extra_series": {
        "kubelet": ["kubelet_http_requests_total"],
        "kube-state-metrics": ["kube_networkpolicy_.*", "kube_s.*"],
    },
    "blackbox": {
        "targets": [
            {"name": "api", "url": "https://kubernetes.default.svc/readyz"},
            {"name": "mail", "url": "tcp://mail.shop.svc:25"},
        ]
    },
}
THERE: dict[str, Any] = {
    "namespaces": frozenset({"shop", "billing"}),
    "ports": {("data", "postgres"): {5432: "sql", 9187: "exporter"}},
}
ALL = Collected.of(OVERRIDES, Discovered("kubeadm", FOUND, **THERE))
# The four cases of "what can be asked for": nothing, everything that is found, every override, both.
CASES = [
    pytest.param(profile, wanted, id=f"{profile}-{name}")
    for profile in collection_profile.PROFILES
    for name, wanted in {
        "nothing": Collected(),
        "found": Collected.of({}, Discovered("kubeadm", FOUND)),
        "overrides": Collected.of(OVERRIDES, Discovered(**THERE)),
        "all": ALL,
    }.items()
]


def configured(wanted: Collected, profile: str = "minimal") -> dict[str, dict[str, Any]]:
    given = agent.Agent(
        "alpha", "scs-observability", "https://gateway/api/v1/receive", profile=profile, collected=wanted
    )
    return {job["job_name"]: job for job in agent.configuration(given)["scrape_configs"]}


def objects(wanted: Collected, profile: str = "minimal") -> list[dict[str, Any]]:
    """Everything that a cluster gets."""
    place = {"instance": "alpha", "namespace": "scs-observability"}
    extra = wanted.extra_series.get("kube-state-metrics", ())
    return [
        *agent.objects(agent.Agent(**place, remote_write_url="https://gateway", profile=profile, collected=wanted)),
        *kube_state_metrics.objects(KubeStateMetrics(**place, profile=profile, extra_series=extra)),
        *blackbox_exporter.objects(BlackboxExporter(**place, endpoints=wanted.endpoints)),
    ]


def kept(job: dict[str, Any], series: dict[str, str]) -> bool:
    return relabelling.relabelled(job["metric_relabel_configs"], series) is not None


def relabelled(job: dict[str, Any], labels: dict[str, str]) -> dict[str, str] | None:
    """What Prometheus makes of a target: its labels, or nothing when it is dropped."""
    result = dict(labels)
    for rule in job["relabel_configs"]:
        value = ";".join(result.get(label, "") for label in rule.get("source_labels", []))
        match = re.fullmatch(rule.get("regex", "(.*)"), value)
        action = rule.get("action", "replace")
        if (action == "keep" and not match) or (action == "drop" and match):
            return None
        if action == "replace" and match:
            replacement = re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1"))
            result[rule["target_label"]] = match.expand(replacement)
    return result


@pytest.mark.parametrize(("profile", "wanted"), CASES)
def test_jobs_are_those_that_are_expected_and_workloads(profile: str, wanted: Collected) -> None:
    there = set(configured(wanted, profile)) - {"workloads"}
    assert tuple(sorted(there)) == wanted.jobs


def test_jobs_of_every_kind() -> None:
    assert set(ALL.jobs) - set(collection_profile.JOBS) == {
        *("blackbox", "database", "gpu", "ingress-nginx", "kube-proxy", "scheduler")
    }
    assert "workloads" in configured(ALL)


# Secrets


def rules_of_roles(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in manifests:
        if item["kind"] in ("Role", "ClusterRole"):
            yield from item["rules"]


@pytest.mark.parametrize(("profile", "wanted"), CASES)
def test_nothing_may_read_secrets(profile: str, wanted: Collected) -> None:
    for rule in rules_of_roles(objects(wanted, profile)):
        resources = rule.get("resources", [])
        assert not {"secrets", "configmaps", "*"} & {name.split("/")[0] for name in resources}
        assert "*" not in rule.get("apiGroups", [])
        assert set(rule["verbs"]) <= {"get", "list", "watch"}


@pytest.mark.parametrize(("profile", "wanted"), CASES)
def test_kube_state_metrics_watches_no_secret(profile: str, wanted: Collected) -> None:
    (deployment,) = [
        item
        for item in objects(wanted, profile)
        if item["kind"] == "Deployment" and item["metadata"]["name"] == kube_state_metrics.NAME
    ]
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    (resources,) = [text.partition("=")[2] for text in arguments if text.startswith("--resources=")]
    assert not {"secrets", "configmaps"} & set(resources.split(","))


# Names and numbers of Secrets, as API servers, kubelets, kube-state-metrics and exporters of certificates write them
OF_SECRETS = """
kube_secret_info{namespace="shop",secret="till"} 1
kube_secret_labels{namespace="shop",name="till"} 1
kube_secret_metadata_resource_version{namespace="shop",name="till"} 7
kube_serviceaccount_secret{namespace="shop",serviceaccount="default",name="till"} 1
kube_serviceaccount_image_pull_secret{namespace="shop",serviceaccount="default",name="till"} 1
kube_ingress_tls{namespace="shop",ingress="shop",tls_host="shop.example.org",secret="till"} 1
kube_resourcequota{namespace="shop",resourcequota="all",resource="secrets",type="used"} 4
kube_resourcequota{namespace="shop",resourcequota="all",resource="count/secrets",type="used"} 4
apiserver_storage_objects{resource="secrets"} 4
apiserver_resource_objects{group="",resource="secrets"} 4
apiserver_resource_size_estimate_bytes{group="",resource="secrets"} 4096
apiserver_storage_list_fetched_objects_total{group="",resource="secrets"} 4
apiserver_cache_list_fetched_objects_total{index="",resource_prefix="/secrets"} 4
apiserver_watch_events_total{group="",kind="Secret",version="v1"} 4
apiserver_response_sizes_sum{group="",resource="secrets",verb="LIST"} 4096
apiserver_request_body_size_bytes_sum{group="",resource="secrets",verb="create"} 4096
etcd_object_counts{resource="secrets"} 4
informer_queued_items{name="any",group="",resource="secrets",version="v1"} 4
volume_manager_total_volumes{plugin_name="kubernetes.io/secret",state="actual_state_of_world"} 4
x509_cert_not_after{secret_namespace="shop",secret_name="till",secret_key="tls.crt"} 2e9
"""
# What looks like them
OF_OTHERS = {
    "apiserver": 'apiserver_storage_objects{resource="pods"} 4',
    "kube-state-metrics": 'kube_resourcequota{namespace="shop",resourcequota="all",resource="pods",type="used"} 4',
    "kubelet": 'volume_manager_total_volumes{plugin_name="kubernetes.io/csi",state="actual_state_of_world"} 4',
}


@pytest.mark.parametrize(("profile", "wanted"), CASES)
def test_no_job_keeps_what_tells_of_a_secret(profile: str, wanted: Collected) -> None:
    for name, job in configured(wanted, profile).items():
        left = [relabelling.relabelled(job["metric_relabel_configs"], series) for series in series_of(OF_SECRETS)]
        # An ingress controller's keep all but the name.
        assert [series for series in left if series and "secret_namespace" not in series] == [], name
        assert not [series for series in left if series and {"till", "tls.crt"} <= set(series.values())], name


@pytest.mark.parametrize(("profile", "wanted"), CASES)
def test_what_is_told_of_other_objects_stays(profile: str, wanted: Collected) -> None:
    jobs = configured(wanted, profile)
    # Error budgets are of all requests.
    for name in ("apiserver_request_total", "apiserver_request_sli_duration_seconds_bucket"):
        series = {"__name__": name, "resource": "secrets", "verb": "LIST", "le": "+Inf"}
        assert kept(jobs["apiserver"], series)
    for name, text in OF_OTHERS.items():
        assert all(kept(jobs[name], series) for series in series_of(text))


@pytest.mark.parametrize("profile", collection_profile.PROFILES)
def test_a_certificate_of_ingress_nginx_loses_the_name_of_its_secret_alone(profile: str) -> None:
    rules = configured(ALL, profile)["ingress-nginx"]["metric_relabel_configs"]
    host = {"host": "shop.example.org", "namespace": "shop"}
    for name in ("ssl_expire_time_seconds", "ssl_certificate_info"):
        series = {"__name__": f"nginx_ingress_controller_{name}", **host}
        assert relabelling.relabelled(rules, {**series, "secret_name": "till"}) == series


@pytest.mark.parametrize(("profile", "wanted"), CASES)
def test_credentials_of_the_agent_go_to_the_control_plane_and_kubelets_alone(profile: str, wanted: Collected) -> None:
    trusted = {"apiserver", "cadvisor", "kubelet", "scheduler", "controller-manager"}
    for name, job in configured(wanted, profile).items():
        assert ("authorization" in job) == (name in trusted), name


# Limits


@pytest.mark.parametrize(("profile", "wanted"), CASES)
def test_every_job_is_limited(profile: str, wanted: Collected) -> None:
    for name, job in configured(wanted, profile).items():
        assert 0 < job["sample_limit"] <= 500_000
        assert job["body_size_limit"]
        assert {"label_limit", "label_name_length_limit", "label_value_length_limit"} <= set(job)
        ours = name in collection_profile.MINIMAL
        assert ("target_limit" in job) is not ours
        assert ours or job["sample_limit"] < 10_000


# Extra series


def test_extra_series_are_kept_beside_the_profile() -> None:
    job = configured(ALL)["kubelet"]
    assert kept(job, {"__name__": "kubelet_http_requests_total"})
    assert kept(job, {"__name__": "kubelet_node_name"})
    assert not kept(job, {"__name__": "kubelet_http_requests_total_more"})
    assert not kept(configured(Collected())["kubelet"], {"__name__": "kubelet_http_requests_total"})


def test_alternatives_in_an_extra_expression_stay_its_own() -> None:
    job = configured(Collected(extra_series={"kubelet": ("a_total|b_total",)}))["kubelet"]
    assert kept(job, {"__name__": "a_total"})
    assert kept(job, {"__name__": "b_total", "le": "7"})
    assert not kept(job, {"__name__": "b_total_more"})


@pytest.mark.parametrize(
    ("extra", "added"),
    [
        ("kube_networkpolicy_.*", {"networkpolicies"}),
        ("kube_limitrange", {"limitranges"}),
        ("kube_storageclass_info|kube_limitrange", set()),
        ("kube_pod_tolerations", set()),
        ("kube_secret_info", set()),
    ],
)
def test_what_extra_series_are_about_is_watched(extra: str, added: set[str]) -> None:
    def all_of(*expressions: str) -> set[str]:
        return {name for names in kube_state_metrics.watched("minimal", expressions).values() for name in names}

    if "|" in extra:
        assert all_of(extra) == {name for names in kube_state_metrics.watched("full").values() for name in names}
    else:
        assert all_of(extra) - all_of() == added


# Where targets are


def test_the_agent_sees_the_namespaces_of_its_targets_and_no_others() -> None:
    roles = {item["metadata"]["namespace"] for item in objects(ALL) if item["kind"] == "Role"}
    looked_at = {
        name
        for job in configured(ALL).values()
        for place in job.get("kubernetes_sd_configs", [])
        for name in place.get("namespaces", {}).get("names", [])
    }
    assert roles == looked_at
    assert roles == {"default", "kube-system", "ingress-a", "ingress-b", "data", "shop", "billing"}
    for job in configured(ALL).values():
        for place in job.get("kubernetes_sd_configs", []):
            assert place["role"] == "node" or place["namespaces"]["names"]


@pytest.mark.parametrize(
    ("there", "jobs", "namespaces", "told"),
    [
        (THERE, ["database", "gpu"], ("billing", "shop"), []),
        (
            {**THERE, "namespaces": frozenset({"shop"})},
            ["database", "gpu"],
            ("shop",),
            ["workloads: there is no namespace billing"],
        ),
        (
            {**THERE, "ports": {}},
            ["gpu"],
            ("billing", "shop"),
            ["database: there is no Service postgres in the namespace data"],
        ),
        (
            {**THERE, "ports": {("data", "postgres"): {5432: ""}}},
            ["gpu"],
            ("billing", "shop"),
            ["database: the Service postgres in the namespace data has no port 9187"],
        ),
        (
            {},
            ["gpu"],
            (),
            [
                "workloads: there is no namespace billing",
                "workloads: there is no namespace shop",
                "database: there is no Service postgres in the namespace data",
            ],
        ),
    ],
)
def test_what_is_not_there_is_waited_for_and_told(
    there: dict[str, Any], jobs: list[str], namespaces: tuple[str, ...], told: list[str]
) -> None:
    wanted = Collected.of(OVERRIDES, Discovered(**there))
    assert [job.name for job in wanted.extra_jobs] == jobs
    assert (wanted.workloads.namespaces if wanted.workloads else ()) == namespaces
    assert {"shop", "billing"} & set(wanted.namespaces) == set(namespaces)
    assert [f"{job}: {reason}" for job, reason in collected.not_there(OVERRIDES, Discovered(**there))] == told


def pod(**labels: str) -> dict[str, str]:
    meta = {
        "namespace": "shop",
        "pod_name": "cart-0",
        "pod_ip": "10.1.2.3",
        "pod_node_name": "worker-1",
        "pod_phase": "Running",
        "pod_container_port_name": "http",
        "pod_container_port_number": "80",
        **labels,
    }
    address = f"{meta['pod_ip']}:{meta['pod_container_port_number']}"
    return {"__address__": address, **{f"__meta_kubernetes_{name}": value for name, value in meta.items()}}


def asked(job: str, **labels: str) -> dict[str, str] | None:
    """Address, path, scheme and labels of a target."""
    result = relabelled(configured(ALL)[job], pod(**labels))
    return result and {name: value for name, value in result.items() if not name.startswith(("__meta_", "__tmp_"))}


PORT = {"pod_container_port_name": "metrics", "pod_container_port_number": "9000"}
ANNOTATION = "pod_annotation_prometheus_io_"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (PORT, {"__address__": "10.1.2.3:9000"}),
        ({**PORT, "pod_container_port_name": "http-metrics"}, {"__address__": "10.1.2.3:9000"}),
        ({**PORT, "pod_ip": "fd00::3"}, {"__address__": "[fd00::3]:9000"}),
        ({}, None),
        ({f"{ANNOTATION}port": "8081"}, {"__address__": "10.1.2.3:8081"}),
        # The annotation says it for all ports of the pod: they are one target.
        ({**PORT, f"{ANNOTATION}port": "8081"}, {"__address__": "10.1.2.3:8081"}),
        (
            {**PORT, f"{ANNOTATION}path": "/stats", f"{ANNOTATION}scheme": "https"},
            {"__address__": "10.1.2.3:9000", "__metrics_path__": "/stats", "__scheme__": "https"},
        ),
        ({**PORT, f"{ANNOTATION}port": "no port"}, None),
        ({**PORT, f"{ANNOTATION}scheme": "file"}, {"__address__": "10.1.2.3:9000"}),
        ({**PORT, f"{ANNOTATION}scrape": "false"}, None),
        ({**PORT, "pod_phase": "Succeeded"}, None),
        ({**PORT, "pod_container_init": "true"}, None),
    ],
)
def test_a_pod_of_the_customer_says_where_its_metrics_are(
    labels: dict[str, str], expected: dict[str, str] | None
) -> None:
    assert asked("workloads", **labels) == (expected and {**expected, "namespace": "shop", "pod": "cart-0"})


@pytest.mark.parametrize(("address", "expected"), [("10.1.2.3", "10.1.2.3:10259"), ("fd00::3", "[fd00::3]:10259")])
def test_a_static_pod_is_asked_at_its_port_and_called_by_its_node(address: str, expected: str) -> None:
    found = asked("scheduler", pod_ip=address, **PORT)
    assert found is not None
    assert (found["__address__"], found["instance"], found["node"]) == (expected, "worker-1", "worker-1")


def test_an_ingress_controller_is_asked_at_its_port_for_metrics() -> None:
    assert asked("ingress-nginx", **PORT) == {"__address__": "10.1.2.3:9000", "namespace": "shop", "pod": "cart-0"}
    assert asked("ingress-nginx") is None


def test_nothing_a_target_says_can_pose_as_something_else() -> None:
    """With honor_labels, a pod could write series of another job."""
    honoured = {name for name, job in configured(ALL).items() if job.get("honor_labels")}
    assert honoured == {"kube-state-metrics"}


def test_an_extra_job_of_a_service_finds_its_pods() -> None:
    job = configured(ALL)["database"]
    assert job["kubernetes_sd_configs"] == [
        {
            "role": "endpointslice",
            "namespaces": {"names": ["data"]},
            "selectors": [{"role": "endpointslice", "label": "kubernetes.io/service-name=postgres"}],
        }
    ]
    port = "__meta_kubernetes_endpointslice_port_name"
    assert relabelled(job, {port: "exporter"})
    assert relabelled(job, {port: "sql"}) is None


def test_an_extra_job_of_targets() -> None:
    job = configured(ALL)["gpu"]
    assert job["static_configs"] == [{"targets": ["192.0.2.7:9400"]}]
    assert (job["metrics_path"], job["scheme"]) == ("/gpu", "http")
    assert (job["scrape_interval"], job["scrape_timeout"]) == ("5s", "5s")


# Probes


def test_endpoints_are_probed_through_the_exporter_in_the_cluster() -> None:
    job = configured(ALL)["blackbox"]
    manifests = blackbox_exporter.objects(BlackboxExporter("alpha", "scs-observability", ALL.endpoints))
    (service,) = [item for item in manifests if item["kind"] == "Service"]
    modules = blackbox_modules(manifests)
    for target in job["static_configs"]:
        assert target["labels"]["__param_module"] in modules
    first = relabelled(job, {"__address__": job["static_configs"][0]["targets"][0]})
    assert first == {
        "__address__": f"{service['metadata']['name']}.scs-observability.svc:{service['spec']['ports'][0]['port']}",
        "__param_target": "https://kubernetes.default.svc/readyz",
    }
    assert [target["labels"]["instance"] for target in job["static_configs"]] == [
        "https://kubernetes.default.svc/readyz",
        "tcp://mail.shop.svc:25",
    ]


def blackbox_modules(manifests: list[dict[str, Any]]) -> set[str]:
    (config,) = [item for item in manifests if item["kind"] == "ConfigMap"]
    return set(json.loads(config["data"]["config.yml"])["modules"])


def test_it_has_the_modules_that_are_asked_for_and_no_others() -> None:
    manifests = blackbox_exporter.objects(BlackboxExporter("alpha", "scs-observability", ALL.endpoints))
    assert blackbox_modules(manifests) == {"http_2xx", "tcp_connect"}


def test_without_endpoints_there_is_no_exporter() -> None:
    assert blackbox_exporter.objects(BlackboxExporter("alpha", "scs-observability")) == []
    assert "blackbox" not in configured(Collected())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"name": "api", "url": "icmp://192.0.2.1"}, "may not ping"),
        ({"name": "api", "url": "https://user:word@shop/"}, "must not contain credentials"),
        ({"name": "api", "url": "https://shop", "module": "tcp_connect"}, "does not probe https"),
    ],
)
def test_what_cannot_be_probed_is_told(target: dict[str, str], expected: str) -> None:
    _found, wrong = collected.endpoints_of([target], "overrides.blackbox.targets")
    assert expected in "\n".join(wrong)
    assert "overrides.blackbox.targets" in wrong[0]
    assert "word@" not in "\n".join(wrong)
