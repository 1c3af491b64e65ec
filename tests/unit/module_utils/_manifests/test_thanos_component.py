# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all Thanos components have in common, and how little it takes to add one."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    thanos_bucket_web,
    thanos_compact,
    thanos_component,
    thanos_query,
    thanos_query_frontend,
    thanos_receive,
    thanos_rule,
    thanos_store,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Component, Settings

NAMESPACE = "observer"
FRONTEND = Settings("thanos-query-frontend", NAMESPACE, endpoints=("http://thanos-query.observer.svc:10902",))
QUERY = Settings("thanos-query", NAMESPACE, endpoints=("dnssrv+_grpc._tcp.thanos-receive-headless.observer.svc",))
RECEIVE = Settings("thanos-receive", NAMESPACE, objstore=True)
STORE = Settings("thanos-store", NAMESPACE, objstore=True)
RULE = Settings(
    "thanos-rule",
    NAMESPACE,
    endpoints=("http://thanos-query.observer.svc:10902",),
    rules={"own.yml": "groups: []\n"},
)
COMPACT = Settings("thanos-compact", NAMESPACE, objstore=True)
BUCKET_WEB = Settings("thanos-bucket-web", NAMESPACE, objstore=True)

ALL = [
    pytest.param(thanos_bucket_web.COMPONENT, BUCKET_WEB, id="bucket_web"),
    pytest.param(thanos_compact.COMPONENT, COMPACT, id="compact"),
    pytest.param(thanos_query_frontend.COMPONENT, FRONTEND, id="query_frontend"),
    pytest.param(thanos_query.COMPONENT, QUERY, id="query"),
    pytest.param(thanos_receive.COMPONENT, RECEIVE, id="receive"),
    pytest.param(thanos_rule.COMPONENT, RULE, id="rule"),
    pytest.param(thanos_store.COMPONENT, STORE, id="store"),
]

GRPC = ("query", "receive", "rule", "store")


def objects(component: Component, settings: Settings) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["kind"], item["metadata"]["name"]): item for item in thanos_component.objects(component, settings)}


def pod(component: Component, settings: Settings) -> dict[str, Any]:
    (found,) = [item for item in thanos_component.objects(component, settings) if item["apiVersion"] == "apps/v1"]
    template: dict[str, Any] = found["spec"]["template"]
    return template


def container(component: Component, settings: Settings) -> dict[str, Any]:
    (found,) = pod(component, settings)["spec"]["containers"]
    result: dict[str, Any] = found
    return result


def flags(component: Component, settings: Settings) -> dict[str, list[str]]:
    """The command line as flags with their values; a switch has an empty one."""
    result: dict[str, list[str]] = {}
    for argument in thanos_component.arguments(component, settings)[len(component.command) :]:
        flag, _ignored, value = argument.partition("=")
        result.setdefault(flag, []).append(value)
    return result


@pytest.mark.parametrize(("component", "settings"), ALL)
def test_pods_run_as_the_image_does_and_without_privileges(component: Component, settings: Settings) -> None:
    spec = pod(component, settings)["spec"]
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 1001
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == settings.name
    for item in spec["containers"]:
        assert item["securityContext"]["readOnlyRootFilesystem"] is True
        assert item["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(("component", "settings"), ALL)
def test_whatever_is_written_or_read_is_mounted(component: Component, settings: Settings) -> None:
    spec = pod(component, settings)["spec"]
    mounts = {mount["mountPath"]: mount for mount in container(component, settings)["volumeMounts"]}
    for argument in thanos_component.arguments(component, settings):
        path = argument.partition("=")[2]
        if path.startswith(("/etc/", "/var/")):
            (mount,) = [mount for base, mount in mounts.items() if path == base or path.startswith(f"{base}/")]
            assert mount.get("readOnly", False) is path.startswith("/etc/")
    claims = {
        claim["metadata"]["name"]
        for item in thanos_component.objects(component, settings)
        for claim in item.get("spec", {}).get("volumeClaimTemplates", [])
    }
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == volumes | claims


@pytest.mark.parametrize(("component", "settings"), ALL)
def test_probes_are_upstreams_on_the_port_that_is_listened_to(component: Component, settings: Settings) -> None:
    found = container(component, settings)
    ports = {port["name"]: port["containerPort"] for port in found["ports"]}
    assert ports["http"] == 10902
    assert flags(component, settings)["--http-address"] == ["0.0.0.0:10902"]
    assert found["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": "http", "scheme": "HTTP"}
    assert found["readinessProbe"]["httpGet"]["path"] == found["startupProbe"]["httpGet"]["path"] == "/-/ready"
    # A start that replays hours of a write-ahead log must not be cut short.
    assert found["startupProbe"]["failureThreshold"] * found["startupProbe"]["periodSeconds"] >= 1800


@pytest.mark.parametrize(("component", "settings"), ALL)
def test_services_offer_the_ports_that_exist(component: Component, settings: Settings) -> None:
    names = {port["name"] for port in container(component, settings)["ports"]}
    services = [item for item in thanos_component.objects(component, settings) if item["kind"] == "Service"]
    assert services
    for service in services:
        assert {port["targetPort"] for port in service["spec"]["ports"]} == names
        assert service["spec"]["selector"].items() <= pod(component, settings)["metadata"]["labels"].items()


@pytest.mark.parametrize(("component", "settings"), ALL)
def test_everything_but_the_namespace_is_found_by_its_owner(component: Component, settings: Settings) -> None:
    for (kind, _name), item in objects(component, settings).items():
        if kind != "Namespace":
            assert workload.owner(settings.name).items() <= item["metadata"]["labels"].items()
            assert item["metadata"]["namespace"] == NAMESPACE


@pytest.mark.parametrize(("component", "settings"), [entry for entry in ALL if entry.id in GRPC])
def test_grpc_is_mutual_tls_1_3_unless_it_is_turned_off(component: Component, settings: Settings) -> None:
    with_tls = flags(component, settings)
    assert with_tls["--grpc-server-tls-client-ca"] == ["/etc/thanos/tls/ca.crt"]
    assert with_tls["--grpc-server-tls-min-version"] == ["1.3"]
    without = flags(component, replace(settings, tls=False))
    assert not [flag for flag in without if "tls" in flag]
    volumes = pod(component, replace(settings, tls=False))["spec"].get("volumes", [])
    assert "tls" not in {volume["name"] for volume in volumes}


@pytest.mark.parametrize(("component", "settings"), [entry for entry in ALL if entry.id not in GRPC])
def test_the_others_have_neither_grpc_nor_a_certificate(component: Component, settings: Settings) -> None:
    assert not [flag for flag in flags(component, settings) if "grpc" in flag or "tls" in flag]
    assert not component.needs_certificate
    assert set(thanos_component.endpoints(component, settings)) == {"http"}


def test_endpoints_lead_to_services_that_exist() -> None:
    assert thanos_component.endpoints(thanos_query_frontend.COMPONENT, FRONTEND) == {
        "http": "http://thanos-query-frontend.observer.svc:10902"
    }
    assert thanos_component.endpoints(thanos_query.COMPONENT, QUERY) == {
        "http": "http://thanos-query.observer.svc:10902",
        "grpc": "thanos-query.observer.svc:10901",
    }
    receive = thanos_component.endpoints(thanos_receive.COMPONENT, RECEIVE)
    assert receive == {
        "http": "http://thanos-receive.observer.svc:10902",
        "grpc": "dnssrv+_grpc._tcp.thanos-receive-headless.observer.svc",
        "remote_write": "https://thanos-receive.observer.svc:19291/api/v1/receive",
    }
    headless = objects(thanos_receive.COMPONENT, RECEIVE)[("Service", "thanos-receive-headless")]
    assert {"name": "grpc", "port": 10901}.items() <= headless["spec"]["ports"][1].items()


def test_what_a_component_returns_another_one_takes() -> None:
    grpc = [
        thanos_component.endpoints(component, settings)["grpc"]
        for component, settings in (
            (thanos_receive.COMPONENT, RECEIVE),
            (thanos_store.COMPONENT, STORE),
            (thanos_rule.COMPONENT, RULE),
            (thanos_query.COMPONENT, replace(QUERY, name="another-query")),
        )
    ]
    thanos_component.check(thanos_query.COMPONENT, replace(QUERY, endpoints=tuple(grpc)))
    http = thanos_component.endpoints(thanos_query.COMPONENT, QUERY)["http"]
    thanos_component.check(thanos_query_frontend.COMPONENT, replace(FRONTEND, endpoints=(http,)))
    thanos_component.check(thanos_rule.COMPONENT, replace(RULE, endpoints=(http,)))


def test_a_configuration_is_mounted_and_a_change_of_it_rolls_the_pods() -> None:
    configuration = objects(thanos_receive.COMPONENT, RECEIVE)[("ConfigMap", "thanos-receive-configuration")]
    assert set(configuration["data"]) == {"relabel.yml"}
    before = pod(thanos_receive.COMPONENT, RECEIVE)["metadata"]["annotations"]
    after = pod(thanos_receive.COMPONENT, replace(RECEIVE, tenant_label="customer"))["metadata"]["annotations"]
    assert before.keys() == after.keys()
    assert before != after


def test_checksums_of_secrets_reach_the_pods() -> None:
    annotations = pod(thanos_store.COMPONENT, replace(STORE, checksums={"objstore": "abc"}))["metadata"]["annotations"]
    assert annotations == {"observability.scs.community/checksum-objstore": "abc"}


def test_the_objstore_secret_is_the_one_that_is_mounted() -> None:
    secret = thanos_component.objstore_secret(thanos_store.COMPONENT, STORE, "type: S3\n", "PEM")
    assert base64.b64decode(secret["data"]["objstore.yml"]) == b"type: S3\n"
    assert set(secret["data"]) == {"objstore.yml", "ca.crt"}
    volumes = {volume["name"]: volume for volume in pod(thanos_store.COMPONENT, STORE)["spec"]["volumes"]}
    assert volumes["objstore"]["secret"]["secretName"] == secret["metadata"]["name"]
    assert flags(thanos_store.COMPONENT, STORE)["--objstore.config-file"] == ["/etc/thanos/objstore/objstore.yml"]
    assert set(thanos_component.objstore_secret(thanos_store.COMPONENT, STORE, "x", "")["data"]) == {"objstore.yml"}


def test_a_volume_of_a_pod_is_what_was_asked_for() -> None:
    (claim,) = objects(thanos_receive.COMPONENT, RECEIVE)[("StatefulSet", "thanos-receive")]["spec"][
        "volumeClaimTemplates"
    ]
    assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
    store = objects(thanos_store.COMPONENT, STORE)[("StatefulSet", "thanos-store")]["spec"]
    assert "volumeClaimTemplates" not in store
    assert {"name": "data", "emptyDir": {}} in store["template"]["spec"]["volumes"]
    sized = replace(STORE, storage_size="5Gi", storage_class="fast")
    (claim,) = objects(thanos_store.COMPONENT, sized)[("StatefulSet", "thanos-store")]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"


def test_resources_are_the_components_or_those_that_are_given() -> None:
    assert container(thanos_query.COMPONENT, QUERY)["resources"]["limits"]["memory"]
    given = {"requests": {"cpu": "1"}}
    assert container(thanos_query.COMPONENT, replace(QUERY, resources=given))["resources"] == given


@pytest.mark.parametrize(("component", "settings"), [entry for entry in ALL if entry.id in ("query", "store", "rule")])
def test_replicas_keep_apart_and_go_one_at_a_time(component: Component, settings: Settings) -> None:
    one, two = settings, replace(settings, replicas=2)
    assert ("PodDisruptionBudget", settings.name) not in objects(component, one)
    assert "affinity" not in pod(component, one)["spec"]
    spec = objects(component, two)[("PodDisruptionBudget", settings.name)]["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["selector"]["matchLabels"].items() <= pod(component, two)["metadata"]["labels"].items()
    (term,) = pod(component, two)["spec"]["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"


def test_a_placement_reaches_the_pods_and_replaces_the_default() -> None:
    placement = {
        "node_selector": {"disk": "fast"},
        "tolerations": [{"key": "observer", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priority_class": "important",
    }
    spec = pod(thanos_query.COMPONENT, replace(QUERY, replicas=2, placement=placement))["spec"]
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["tolerations"] == [{"key": "observer", "operator": "Exists"}]
    assert spec["affinity"] == {"nodeAffinity": {}}
    assert spec["priorityClassName"] == "important"


def test_a_service_monitor_finds_every_pod_once() -> None:
    found = objects(thanos_store.COMPONENT, replace(STORE, service_monitor=True))
    selector = found[("ServiceMonitor", STORE.name)]["spec"]["selector"]
    (expression,) = selector["matchExpressions"]
    assert expression["operator"] == "DoesNotExist"
    selected = [
        name
        for (kind, name), item in found.items()
        if kind == "Service"
        and selector["matchLabels"].items() <= item["metadata"]["labels"].items()
        and expression["key"] not in item["metadata"]["labels"]
    ]
    assert selected == [STORE.name]
    (endpoint,) = found[("ServiceMonitor", STORE.name)]["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in found[("Service", STORE.name)]["spec"]["ports"]}


def test_what_holds_passwords_is_a_secret_and_a_change_of_it_rolls_the_pods() -> None:
    cached = replace(STORE, cache="type: REDIS\nconfig: {password: swordfish}\n")
    found = objects(thanos_store.COMPONENT, cached)
    assert (
        base64.b64decode(found[("Secret", "thanos-store-secrets")]["data"]["index-cache.yml"]).decode() == cached.cache
    )
    assert "swordfish" not in str([item for (kind, _name), item in found.items() if kind != "Secret"])
    assert "swordfish" not in repr(cached)
    assert "swordfish" not in str(pod(thanos_store.COMPONENT, cached))
    other = replace(cached, cache="type: IN-MEMORY\n")
    assert pod(thanos_store.COMPONENT, cached)["metadata"] != pod(thanos_store.COMPONENT, other)["metadata"]
    assert ("Secret", "thanos-store-secrets") not in objects(thanos_store.COMPONENT, STORE)


def test_a_bucket_cache_is_for_the_store_gateway() -> None:
    found = flags(thanos_store.COMPONENT, replace(STORE, cache="a", bucket_cache="b"))
    assert found["--index-cache.config-file"] == ["/etc/thanos/secrets/index-cache.yml"]
    assert found["--store.caching-bucket.config-file"] == ["/etc/thanos/secrets/bucket-cache.yml"]


@pytest.mark.parametrize(("component", "settings"), [entry for entry in ALL if entry.id in ("store", "compact")])
def test_whoever_reaches_a_port_deletes_no_blocks(component: Component, settings: Settings) -> None:
    assert "--disable-admin-operations" in flags(component, settings)
    with pytest.raises(InputError):
        thanos_component.check(component, replace(settings, extra_args=("--no-disable-admin-operations",)))


def test_a_node_port_is_for_people() -> None:
    published = replace(FRONTEND, service_type="NodePort", node_port=30902)
    thanos_component.check(thanos_query_frontend.COMPONENT, published)
    service = objects(thanos_query_frontend.COMPONENT, published)[("Service", "thanos-query-frontend")]
    assert service["spec"]["type"] == "NodePort"
    assert service["spec"]["ports"][0]["nodePort"] == 30902


REFUSED = [
    (thanos_receive.COMPONENT, replace(RECEIVE, replicas=2), "replicas"),
    (thanos_receive.COMPONENT, replace(RECEIVE, endpoints=("a:1",)), "endpoints"),
    (thanos_receive.COMPONENT, replace(RECEIVE, service_type="NodePort"), "service_type"),
    (thanos_receive.COMPONENT, replace(RECEIVE, retention="2h"), "retention"),
    (thanos_store.COMPONENT, replace(STORE, objstore=False), "objstore"),
    (thanos_store.COMPONENT, replace(STORE, retention="2d"), "retention"),
    (thanos_store.COMPONENT, replace(STORE, storage_class="fast"), "storage_class"),
    (thanos_store.COMPONENT, replace(STORE, endpoints=("a:1",)), "endpoints"),
    (thanos_query.COMPONENT, replace(QUERY, objstore=True), "objstore"),
    (thanos_query.COMPONENT, replace(QUERY, storage_size="1Gi"), "storage_size"),
    (thanos_query.COMPONENT, replace(QUERY, retention="2d"), "retention"),
    (thanos_query_frontend.COMPONENT, replace(FRONTEND, objstore=True), "objstore"),
    (thanos_query_frontend.COMPONENT, replace(FRONTEND, node_port=30902), "node_port"),
    (thanos_query_frontend.COMPONENT, replace(FRONTEND, storage_class="fast"), "storage_class"),
    (thanos_query_frontend.COMPONENT, replace(FRONTEND, bucket_cache="x"), "bucket_cache"),
    (thanos_query_frontend.COMPONENT, replace(FRONTEND, endpoints=("http://thanos-query-frontend:1",)), "endpoints"),
    (thanos_query.COMPONENT, replace(QUERY, endpoints=("thanos-query.observer.svc:10901",)), "endpoints"),
    (thanos_query.COMPONENT, replace(QUERY, endpoints=("dns+thanos-query:10901",)), "endpoints"),
    (thanos_query.COMPONENT, replace(QUERY, cache="x"), "cache"),
    (thanos_query.COMPONENT, replace(QUERY, rules={"a.yml": ""}), "rules"),
    (thanos_query.COMPONENT, replace(QUERY, alertmanagers=("http://a",)), "alertmanagers"),
    (thanos_store.COMPONENT, replace(STORE, retention_raw="30d"), "retention_raw"),
    (thanos_store.COMPONENT, replace(STORE, downsampling=False), "downsampling"),
    (thanos_receive.COMPONENT, replace(RECEIVE, delete_delay="1h"), "delete_delay"),
    (thanos_receive.COMPONENT, replace(RECEIVE, external_labels={"a": "b"}), "external_labels"),
    (thanos_receive.COMPONENT, replace(RECEIVE, evaluation_interval="1m"), "evaluation_interval"),
    (thanos_compact.COMPONENT, replace(COMPACT, replicas=2), "replicas"),
    (thanos_compact.COMPONENT, replace(COMPACT, objstore=False), "objstore"),
    (thanos_compact.COMPONENT, replace(COMPACT, retention="2d"), "retention"),
    (thanos_compact.COMPONENT, replace(COMPACT, service_type="NodePort"), "service_type"),
    (thanos_compact.COMPONENT, replace(COMPACT, retention_raw="39h"), "retention_raw"),
    (thanos_compact.COMPONENT, replace(COMPACT, retention_raw="40h", retention_5m="9d"), "retention_5m"),
    (thanos_compact.COMPONENT, replace(COMPACT, retention_raw="30d", retention_5m="20d"), "retention_5m"),
    (thanos_compact.COMPONENT, replace(COMPACT, retention_5m="20d"), "retention_5m"),
    (thanos_compact.COMPONENT, replace(COMPACT, retention_1h="1y"), "retention_1h"),
    (
        thanos_compact.COMPONENT,
        replace(COMPACT, retention_raw="2d", retention_5m="0", retention_1h="1y"),
        "retention_1h",
    ),
    (thanos_bucket_web.COMPONENT, replace(BUCKET_WEB, objstore=False), "objstore"),
    (thanos_bucket_web.COMPONENT, replace(BUCKET_WEB, storage_size="1Gi"), "storage_size"),
    (thanos_rule.COMPONENT, replace(RULE, retention="2h"), "retention"),
    (thanos_rule.COMPONENT, replace(RULE, endpoints=()), "endpoints"),
    (thanos_rule.COMPONENT, replace(RULE, endpoints=("thanos-query:10901",)), "endpoints"),
    (thanos_rule.COMPONENT, replace(RULE, endpoints=("http://a", "http://a")), "endpoints"),
    (thanos_rule.COMPONENT, replace(RULE, endpoints=("http://user:secret@a",)), "endpoints"),
    (thanos_rule.COMPONENT, replace(RULE, endpoints=("http://thanos-rule.observer.svc:10902",)), "endpoints"),
    (thanos_rule.COMPONENT, replace(RULE, alertmanagers=("alertmanager:9093",)), "alertmanagers"),
    (thanos_rule.COMPONENT, replace(RULE, external_labels={"cluster": "a"}), "external_labels"),
    (
        thanos_rule.COMPONENT,
        replace(RULE, external_labels={"customer": "a"}, tenant_label="customer"),
        "external_labels",
    ),
    (thanos_rule.COMPONENT, replace(RULE, external_labels={"ruler_replica": "a"}), "external_labels"),
    (thanos_rule.COMPONENT, replace(RULE, service_type="NodePort"), "service_type"),
]


@pytest.mark.parametrize(("component", "settings", "parameter"), REFUSED)
def test_what_cannot_work_is_refused_by_name(component: Component, settings: Settings, parameter: str) -> None:
    with pytest.raises(InputError) as caught:
        thanos_component.check(component, settings)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(("component", "settings"), ALL)
def test_the_defaults_are_not_refused(component: Component, settings: Settings) -> None:
    thanos_component.check(component, settings)


# Extra arguments


def test_an_extra_argument_comes_after_the_others() -> None:
    settings = replace(QUERY, extra_args=("--query.timeout=5m", "--web.disable-cors"))
    assert thanos_component.arguments(thanos_query.COMPONENT, settings)[-2:] == [
        "--query.timeout=5m",
        "--web.disable-cors",
    ]


def test_an_extra_argument_replaces_tuning() -> None:
    settings = replace(STORE, extra_args=("--sync-block-duration=1m", "--no-enable-auto-gomemlimit"))
    found = flags(thanos_store.COMPONENT, settings)
    assert found["--sync-block-duration"] == ["1m"]
    assert "--enable-auto-gomemlimit" not in found
    assert "--no-enable-auto-gomemlimit" in found


def test_an_extra_argument_that_says_the_same_is_not_said_twice() -> None:
    settings = replace(STORE, extra_args=("--log.level=info",))
    assert flags(thanos_store.COMPONENT, settings)["--log.level"] == ["info"]


def test_a_list_may_be_added_to() -> None:
    settings = replace(QUERY, extra_args=("--query.replica-label=rack",))
    assert flags(thanos_query.COMPONENT, settings)["--query.replica-label"][-2:] == ["replica", "rack"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--query.timeout=5m", "--query.timeout=6m"),
        ("--query.timeout=5m", "--query.timeout=5m"),
        ("--web.disable-cors", "--no-web.disable-cors"),
    ],
)
def test_an_extra_argument_is_there_once(arguments: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"--[a-z.-]+ is there twice") as caught:
        thanos_component.check(thanos_query.COMPONENT, replace(QUERY, extra_args=arguments))
    assert caught.value.parameter == "extra_args"


def test_a_list_of_ones_own_is_there_as_often_as_it_is_given() -> None:
    features = ("--enable-feature=promql-experimental-functions", "--enable-feature=another")
    found = flags(thanos_query.COMPONENT, replace(QUERY, extra_args=features))
    assert found["--enable-feature"] == ["promql-experimental-functions", "another"]


TWO_QUERIES = replace(RULE, endpoints=("http://one:10902", "http://two:10902"))

CONTRADICTIONS = [
    (thanos_query.COMPONENT, QUERY, "--log.level=debug", "log_level"),
    (thanos_query.COMPONENT, QUERY, "--endpoint=elsewhere:10901", "endpoints"),
    (thanos_query.COMPONENT, QUERY, "--endpoint.sd-config-file=/x", "endpoints"),
    (thanos_query.COMPONENT, QUERY, "--no-grpc-client-tls-secure", "tls"),
    (thanos_query.COMPONENT, QUERY, "--grpc-client-tls-skip-verify", "tls"),
    (thanos_query.COMPONENT, QUERY, "--grpc-server-tls-min-version=1.0", "tls"),
    (thanos_query.COMPONENT, replace(QUERY, tls=False), "--grpc-server-tls-cert=/x", "tls"),
    (thanos_query.COMPONENT, QUERY, "--http-address=0.0.0.0:80", "port"),
    (thanos_query.COMPONENT, QUERY, "--http.config=/x", "HTTP"),
    (thanos_query.COMPONENT, QUERY, "--grpc-address=0.0.0.0:1", "port"),
    (thanos_store.COMPONENT, STORE, "--objstore.config=x", "objstore"),
    (thanos_store.COMPONENT, STORE, "--data-dir=/elsewhere", "mounted"),
    (thanos_receive.COMPONENT, RECEIVE, "--tsdb.retention=1d", "retention"),
    (thanos_receive.COMPONENT, RECEIVE, "--receive.tenant-header=X", "tenant_header"),
    (thanos_receive.COMPONENT, RECEIVE, "--receive.tenant-label-name=x", "tenant_label"),
    (thanos_receive.COMPONENT, RECEIVE, "--receive.tenant-certificate-field=commonName", "gateway"),
    (thanos_receive.COMPONENT, RECEIVE, "--receive.split-tenant-label-name=cluster", "cluster"),
    (thanos_receive.COMPONENT, RECEIVE, "--receive.relabel-config=[]", "labels"),
    (thanos_receive.COMPONENT, RECEIVE, "--receive.hashrings=[]", "ring"),
    (thanos_receive.COMPONENT, RECEIVE, "--receive.capnproto-address=0.0.0.0:19391", "certificate"),
    (thanos_receive.COMPONENT, RECEIVE, '--label=replica="x"', "label"),
    (thanos_receive.COMPONENT, RECEIVE, "--remote-write.server-tls-client-ca=/x", "tls"),
    (thanos_query_frontend.COMPONENT, FRONTEND, "--query-frontend.downstream-url=http://x", "endpoints"),
    (thanos_query_frontend.COMPONENT, FRONTEND, "--query-range.response-cache-config=x", "cache"),
    (thanos_store.COMPONENT, STORE, "--index-cache.config=x", "cache"),
    (thanos_compact.COMPONENT, COMPACT, "--no-wait", "wired"),
    (thanos_compact.COMPONENT, COMPACT, "--downsampling.disable", "downsampling"),
    (thanos_compact.COMPONENT, COMPACT, "--retention.resolution-raw=1d", "retention_raw"),
    (thanos_compact.COMPONENT, COMPACT, "--delete-delay=0s", "delete_delay"),
    (thanos_rule.COMPONENT, RULE, "--rule-file=/x", "rules"),
    (thanos_rule.COMPONENT, RULE, "--query=http://x", "endpoints"),
    (thanos_rule.COMPONENT, TWO_QUERIES, "--query=thanos-rule:10902", "endpoints"),
    (thanos_rule.COMPONENT, TWO_QUERIES, "--query.sd-files=/x", "endpoints"),
    (thanos_rule.COMPONENT, RULE, '--label=cluster="x"', "external_labels"),
    (thanos_rule.COMPONENT, RULE, "--alertmanagers.url=http://x", "alertmanagers"),
    (thanos_rule.COMPONENT, RULE, "--remote-write.config=x", "results"),
    (thanos_bucket_web.COMPONENT, BUCKET_WEB, "--no-disable-admin-operations", "wired"),
]


@pytest.mark.parametrize(("component", "settings", "argument", "advice"), CONTRADICTIONS)
def test_an_extra_argument_that_contradicts_is_refused_with_what_to_use(
    component: Component, settings: Settings, argument: str, advice: str
) -> None:
    with pytest.raises(InputError) as caught:
        thanos_component.check(component, replace(settings, extra_args=(argument,)))
    assert caught.value.parameter == "extra_args"
    assert argument in str(caught.value)
    assert advice in (caught.value.advice or "")


@pytest.mark.parametrize("argument", ["query.timeout=5m", "-v", "--query.timeout 5m", "@file", "", "--Upper=1"])
def test_an_extra_argument_is_a_flag_with_its_value(argument: str) -> None:
    with pytest.raises(InputError, match=r"--flag=value"):
        thanos_component.check(thanos_query.COMPONENT, replace(QUERY, extra_args=(argument,)))


# An eighth component


def test_a_new_component_is_a_few_lines() -> None:
    mirror = Component(
        name="bucket_mirror",
        command=("tools", "bucket", "replicate"),
        resources={"requests": {"cpu": "10m"}},
        takes=("objstore",),
        arguments=lambda settings: [f"--objstore-to.config-file={thanos_component.CONFIGURATION_PATH}/to.yml"],
        files=lambda settings: {"to.yml": "type: FILESYSTEM\n"},
        grpc=False,
        needs_objstore=True,
        single="Two would copy everything twice",
    )
    settings = Settings(mirror.default_name, NAMESPACE, objstore=True)
    thanos_component.check(mirror, settings)
    assert mirror.default_name == "thanos-bucket-mirror"
    assert thanos_component.arguments(mirror, settings)[:3] == ["tools", "bucket", "replicate"]
    assert set(objects(mirror, settings)) == {
        ("Namespace", NAMESPACE),
        ("ServiceAccount", "thanos-bucket-mirror"),
        ("Service", "thanos-bucket-mirror"),
        ("ConfigMap", "thanos-bucket-mirror-configuration"),
        ("Deployment", "thanos-bucket-mirror"),
    }
    with pytest.raises(InputError, match=r"exactly 1"):
        thanos_component.check(mirror, replace(settings, replicas=2))
