# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    collection_profile,
    kube_state_metrics,
    node_exporter,
)

URL = "https://observer.example.org:30443/api/v1/receive"


def wanted(**changes: Any) -> agent.Agent:
    return agent.Agent(**{"instance": "alpha", "namespace": "scs-observability", "remote_write_url": URL, **changes})


def by_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def job(name: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [item for item in agent.configuration(wanted(**changes))["scrape_configs"] if item["job_name"] == name]
    return found


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
    }


def test_in_the_whole_cluster_it_reads_nodes_and_metrics_and_nothing_else() -> None:
    role = by_kind(agent.objects(wanted()), "ClusterRole")
    assert rights(role) == {("", "nodes"): {"list", "watch"}, ("", "nodes/metrics"): {"get"}}
    assert [rule["nonResourceURLs"] for rule in role["rules"] if "nonResourceURLs" in rule] == [["/metrics"]]


def test_targets_in_namespaces_it_finds_exactly_where_its_jobs_look() -> None:
    """Prometheus lists and watches Services and Pods beside the EndpointSlices that it is asked for."""
    discoveries = [
        found
        for item in agent.configuration(wanted())["scrape_configs"]
        for found in item.get("kubernetes_sd_configs", [])
        if found["role"] != "node"
    ]
    assert {found["role"] for found in discoveries} == {"endpointslice"}
    looked_at = {name for found in discoveries for name in found["namespaces"]["names"]}
    roles = [item for item in agent.objects(wanted()) if item["kind"] == "Role"]
    assert {role["metadata"]["namespace"] for role in roles} == looked_at
    assert len(roles) == len(looked_at)
    for role in roles:
        assert rights(role) == {
            ("", "pods"): {"list", "watch"},
            ("", "services"): {"list", "watch"},
            ("discovery.k8s.io", "endpointslices"): {"list", "watch"},
        }


def test_every_binding_gives_its_role_to_the_account_the_pod_runs_as() -> None:
    objects = agent.objects(wanted())
    account = by_kind(objects, "ServiceAccount")
    pod = by_kind(objects, "Deployment")["spec"]["template"]["spec"]
    roles = {
        (item["kind"], item["metadata"]["name"], item["metadata"].get("namespace"))
        for item in objects
        if item["kind"] in ("ClusterRole", "Role")
    }
    bindings = [item for item in objects if item["kind"].endswith("RoleBinding")]
    assert {
        (item["roleRef"]["kind"], item["roleRef"]["name"], item["metadata"].get("namespace")) for item in bindings
    } == roles
    for binding in bindings:
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "scs-observability"}
        ]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert pod["automountServiceAccountToken"] is True


def test_it_scrapes_exactly_the_jobs_that_are_expected() -> None:
    names = [item["job_name"] for item in agent.configuration(wanted())["scrape_configs"]]
    assert sorted(names) == sorted(collection_profile.JOBS)


@pytest.mark.parametrize("profile", collection_profile.PROFILES)
def test_targets_are_found_by_what_every_build_of_prometheus_has(profile: str) -> None:
    for item in agent.configuration(wanted(profile=profile))["scrape_configs"]:
        assert {key for key in item if key.endswith("_configs") and "relabel" not in key} <= {
            "static_configs",
            "kubernetes_sd_configs",
        }


def test_kubelets_are_asked_directly() -> None:
    # Paths are /metrics unless given: none leads through the API server's proxy to a node.
    for item in agent.configuration(wanted())["scrape_configs"]:
        assert item.get("metrics_path", "/metrics") in ("/metrics", "/metrics/cadvisor")
        assert not [rule for rule in item.get("relabel_configs", []) if rule.get("target_label") == "__metrics_path__"]
    assert job("kubelet")["kubernetes_sd_configs"] == [{"role": "node"}]
    assert job("cadvisor")["metrics_path"] == "/metrics/cadvisor"


@pytest.mark.parametrize(
    ("skip", "expected"),
    [
        (True, {"insecure_skip_verify": True}),
        (False, {"ca_file": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"}),
    ],
)
def test_whether_certificates_of_kubelets_are_verified_is_configurable(skip: bool, expected: dict[str, Any]) -> None:
    for name in ("kubelet", "cadvisor"):
        assert job(name, kubelet_insecure_skip_verify=skip)["tls_config"] == expected


def test_the_certificate_of_the_api_server_is_verified_whatever_kubelets_have() -> None:
    for skip in (True, False):
        tls = job("apiserver", kubelet_insecure_skip_verify=skip)["tls_config"]
        assert "insecure_skip_verify" not in tls
        assert tls["ca_file"]


def test_node_exporter_is_found_on_its_own_port_of_every_node() -> None:
    (port, *_rest) = job("node-exporter")["relabel_configs"]
    expression = re.compile(port["regex"])
    replacement = port["replacement"].replace("$1", r"\1")
    assert expression.sub(replacement, "10.0.0.1:10250") == f"10.0.0.1:{node_exporter.PORT}"
    assert expression.sub(replacement, "[fd00::1]:10250") == f"[fd00::1]:{node_exporter.PORT}"


def test_kube_state_metrics_is_found_at_its_service() -> None:
    item = job("kube-state-metrics", namespace="monitoring")
    service = by_kind(kube_state_metrics.objects(kube_state_metrics.KubeStateMetrics("alpha", "monitoring")), "Service")
    port = service["spec"]["ports"][0]["port"]
    assert item["static_configs"][0]["targets"] == [f"{service['metadata']['name']}.monitoring.svc:{port}"]
    assert item["honor_labels"] is True


def test_remote_write_is_what_receive_understands_and_loses_nothing_at_a_limit() -> None:
    (remote,) = agent.configuration(wanted())["remote_write"]
    assert remote["url"] == URL
    assert remote["protobuf_message"] == "prometheus.WriteRequest"
    assert remote["queue_config"]["retry_on_http_429"] is True
    assert remote["queue_config"]["batch_send_deadline"] == "5s"
    assert remote["tls_config"]["min_version"] == "TLS13"
    assert "insecure_skip_verify" not in remote["tls_config"]


OBSERVERS = (
    agent.Target(2, "https://third.example.org/api/v1/receive", "uid-3/scs", "2026-02-01T10:00:00Z"),
    agent.Target(1, "https://second.example.org/api/v1/receive", "uid-2/scs"),
)


def test_each_observer_is_written_to_with_a_certificate_of_its_own() -> None:
    objects = agent.objects(wanted(observer="uid-1/scs", since="2026-01-01T10:00:00Z", others=OBSERVERS))
    content = yaml.safe_load(by_kind(objects, "ConfigMap")["data"][agent.CONFIGURATION_FILE])
    pod = by_kind(objects, "Deployment")["spec"]["template"]["spec"]
    (volume,) = [item for item in pod["volumes"] if "projected" in item]
    (mount,) = [item for item in pod["containers"][0]["volumeMounts"] if item["name"] == volume["name"]]
    files = {
        f"{mount['mountPath']}/{item['path']}": (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    read = {
        item["url"]: [files[item["tls_config"][f"{part}_file"]] for part in ("cert", "key", "ca")]
        for item in content["remote_write"]
    }
    keys = ("tls.crt", "tls.key", "ca.crt")
    assert read == {target.url: [(target.secret, key) for key in keys] for target in (agent.Target(0, URL), *OBSERVERS)}
    binding = by_kind(objects, "ClusterRoleBinding")
    assert binding["metadata"]["annotations"] == {agent.OBSERVER_ANNOTATION: "uid-1/scs,uid-2/scs,uid-3/scs"}


def test_an_observer_more_changes_no_queue_and_no_pod() -> None:
    """A queue whose configuration changes sends only what is newer, and a pod that is replaced as well."""
    alone, beside = wanted(), wanted(others=OBSERVERS)
    (queue,) = agent.configuration(alone)["remote_write"]
    assert queue in agent.configuration(beside)["remote_write"]
    assert by_kind(agent.objects(alone), "Deployment") == by_kind(agent.objects(beside), "Deployment")


def test_which_observer_asks_makes_no_difference() -> None:
    second, third = OBSERVERS[1], OBSERVERS[0]
    first = agent.Target(0, URL, "uid-1/scs", "2026-01-01T10:00:00Z")
    asked_by = [
        wanted(
            remote_write_url=own.url,
            observer=own.observer,
            place=own.place,
            since=own.since,
            others=tuple(other for other in (third, second, first) if other is not own),
        )
        for own in (first, second, third)
    ]
    assert agent.objects(asked_by[0]) == agent.objects(asked_by[1]) == agent.objects(asked_by[2])


def test_the_youngest_observer_is_named_first() -> None:
    """Its certificate may come a moment later than its name, and what is named before it would be forgotten."""
    queues = agent.configuration(wanted(since="2026-01-01T10:00:00Z", others=OBSERVERS))["remote_write"]
    assert [item["name"] for item in queues] == ["observer-2", "observer-3", "observer"]


def relabelled(labels: dict[str, str]) -> dict[str, str]:
    """What Prometheus' labelmap and labeldrop make of a series (expressions match whole names)."""
    result = dict(labels)
    for rule in agent.configuration(wanted())["remote_write"][0]["write_relabel_configs"]:
        expression = re.compile(rule["regex"])
        matching = [name for name in result if expression.fullmatch(name)]
        if rule["action"] == "labelmap":
            replacement = rule["replacement"].replace("$1", r"\1")
            result.update({expression.sub(replacement, name): result[name] for name in matching})
        elif rule["action"] == "labeldrop":
            result = {name: value for name, value in result.items() if name not in matching}
        else:
            pytest.fail(f"not understood: {rule}")
    return result


def test_labels_that_the_observer_sets_are_kept_apart() -> None:
    assert relabelled({"__name__": "etcd_up", "cluster": "beta", "replica": "2", "replicas": "3"}) == {
        "__name__": "etcd_up",
        "exported_cluster": "beta",
        "exported_replica": "2",
        "replicas": "3",
    }


def test_no_label_of_the_configuration_names_the_cluster() -> None:
    assert "external_labels" not in agent.configuration(wanted())["global"]
    assert "alpha" not in yaml.safe_dump(agent.configuration(wanted()))


@pytest.mark.parametrize(("interval", "timeout"), [("30s", "10s"), ("1m", "10s"), ("10s", "10s"), ("5s", "5s")])
def test_a_scrape_ends_before_the_next_one_starts(interval: str, timeout: str) -> None:
    assert agent.configuration(wanted(scrape_interval=interval))["global"] == {
        "scrape_interval": interval,
        "scrape_timeout": timeout,
    }


def test_an_interval_that_is_none_is_refused() -> None:
    with pytest.raises(InputError) as raised:
        agent.configuration(wanted(scrape_interval="soon"))
    assert raised.value.parameter == "scrape_interval"


def test_full_keeps_everything_but_secrets_and_minimal_filters_every_job() -> None:
    for name in collection_profile.JOBS:
        about_secrets = collection_profile.rules_about_secrets(name)
        assert job(name, profile="full")["metric_relabel_configs"] == about_secrets
        *before, rule = job(name, profile="minimal")["metric_relabel_configs"]
        assert (before, rule["action"]) == (about_secrets, "keep")


def test_the_config_map_holds_the_configuration_that_is_mounted() -> None:
    objects = agent.objects(wanted())
    config = by_kind(objects, "ConfigMap")
    pod = by_kind(objects, "Deployment")["spec"]["template"]["spec"]
    (volume,) = [item for item in pod["volumes"] if item.get("configMap")]
    (mount,) = [item for item in pod["containers"][0]["volumeMounts"] if item["name"] == volume["name"]]
    ((file, content),) = config["data"].items()
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert f"--config.file={mount['mountPath']}/{file}" in pod["containers"][0]["args"]
    assert yaml.safe_load(content) == agent.configuration(wanted())


def test_a_change_of_the_configuration_is_read_by_the_pod_that_runs() -> None:
    """Another pod would lose what this one has not sent."""

    def deployment(**changes: Any) -> dict[str, Any]:
        return by_kind(agent.objects(wanted(**changes)), "Deployment")

    assert deployment() == deployment(scrape_interval="15s", profile="full", remote_write_url=f"{URL}/other")
    arguments = deployment()["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--enable-feature=auto-reload-config" in arguments
    assert "--config.auto-reload-interval=1s" in arguments


def test_two_agents_never_run_at_once() -> None:
    spec = by_kind(agent.objects(wanted()), "Deployment")["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["replicas"] == 1


def test_it_runs_in_agent_mode_with_its_log_in_a_bounded_volume() -> None:
    pod = by_kind(agent.objects(wanted()), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "--agent" in container["args"]
    (mount,) = [item for item in container["volumeMounts"] if not item.get("readOnly")]
    assert f"--storage.agent.path={mount['mountPath']}" in container["args"]
    (volume,) = [item for item in pod["volumes"] if item["name"] == mount["name"]]
    assert volume["emptyDir"]["sizeLimit"]


def test_image_and_resources_are_the_wanted_ones() -> None:
    resources = {"limits": {"memory": "1Gi"}}
    deployment = by_kind(agent.objects(wanted(image="mirror/prometheus:1", resources=resources)), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["resources"]) == ("mirror/prometheus:1", resources)
