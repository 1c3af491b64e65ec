# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's manifests. What HAProxy does with its configuration is shown by the integration tests."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import BACKDATED
from ansible_collections.scs.observability.plugins.module_utils._manifests import gateway, workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.gateway import Settings

SETTINGS = Settings(
    "remote-write-gateway", "observer", "https://thanos-receive.observer.svc:19291/api/v1/receive", node_port=None
)
AUTHORITIES = {"tenants": "PEM of tenants\n", "internal": "PEM of internal\n"}


def sections(settings: Settings = SETTINGS) -> dict[str, list[list[str]]]:
    """haproxy.cfg by section, each line as words."""
    result: dict[str, list[list[str]]] = {}
    current = ""
    for line in gateway.haproxy_configuration(settings).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            current = line
            result[current] = []
        else:
            # ' is an apostrophe in texts, not a quotation mark
            result[current].append(shlex.split(line.replace("'", "\\'") if '"' not in line else line))
    return result


def rules(section: str, settings: Settings = SETTINGS) -> list[list[str]]:
    return [line for line in sections(settings)[section] if line[0] == "http-request"]


def setting(section: str, *name: str) -> str:
    (line,) = [line for line in sections()[section] if tuple(line[: len(name)]) == name]
    return line[len(name)]


def objects(settings: Settings = SETTINGS) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["kind"], item["metadata"]["name"]): item for item in gateway.objects(settings, AUTHORITIES)}


def pod(settings: Settings = SETTINGS) -> dict[str, Any]:
    template: dict[str, Any] = objects(settings)[("Deployment", settings.name)]["spec"]["template"]
    return template


def container(settings: Settings = SETTINGS) -> dict[str, Any]:
    (found,) = pod(settings)["spec"]["containers"]
    result: dict[str, Any] = found
    return result


def test_the_door_asks_for_a_certificate_of_tenants_and_tls_1_3() -> None:
    (bind,) = [line for line in sections()["frontend remote_write"] if line[0] == "bind"]
    assert bind[bind.index("verify") + 1] == "required"
    assert bind[bind.index("ca-file") + 1] == "/etc/gateway/configuration/tenants.crt"
    assert setting("global", "ssl-default-bind-options", "ssl-min-ver") == "TLSv1.3"
    # A resumed session is not verified anew.
    assert ["ssl-default-bind-options", "ssl-min-ver", "TLSv1.3", "no-tls-tickets"] in sections()["global"]
    assert setting("global", "tune.ssl.cachesize") == "0"


def test_receive_is_known_by_its_name_and_sees_the_gateways_own_certificate() -> None:
    (server,) = [line for line in sections()["backend receive"] if line[0] == "server"]
    assert server[2] == "thanos-receive.observer.svc.cluster.local:19291"
    assert server[server.index("verify") + 1] == "required"
    assert server[server.index("verifyhost") + 1] == "thanos-receive.observer.svc"
    assert server[server.index("ca-file") + 1] == "/etc/gateway/configuration/internal.crt"
    assert server[server.index("crt") + 1] == "/etc/gateway/client/tls.crt"
    # The gateway starts although receive is not there yet.
    assert server[server.index("init-addr") + 1].split(",")[-1] == "none"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://192.0.2.7:19291/api/v1/receive", "192.0.2.7:19291"),
        ("https://receive.example.org/api/v1/receive", "receive.example.org:443"),
        ("https://thanos-receive.example.svc/api/v1/receive", "thanos-receive.example.svc.k8s.test:443"),
    ],
)
def test_receive_may_be_elsewhere(url: str, address: str) -> None:
    settings = replace(SETTINGS, receive_url=url, cluster_domain="k8s.test")
    (server,) = [line for line in sections(settings)["backend receive"] if line[0] == "server"]
    assert server[2] == address
    assert ("resolvers" in server) is ("example" in url)


def test_the_tenant_is_set_after_everything_that_could_claim_one_is_gone() -> None:
    for header in ("THANOS-TENANT", "X-Cluster"):
        lines = rules("frontend remote_write", replace(SETTINGS, tenant_header=header))
        (setting_it,) = [number for number, line in enumerate(lines) if line[1] == "set-header"]
        assert lines[setting_it][2:] == [header, "%[var(txn.tenant)]"]
        removed = [(line[2], "-m" in line) for line in lines[:setting_it] if line[1] == "del-header"]
        assert {("thanos-", True), ("x-scope-", True), (header, False)} <= set(removed)
        assert not [line for line in lines[setting_it + 1 :] if line[1] == "set-header"]


def test_refusals_come_before_the_body_is_waited_for() -> None:
    lines = rules("frontend remote_write")
    (wait,) = [number for number, line in enumerate(lines) if line[1] == "wait-for-body"]
    before = [line[3] for line in lines[:wait] if line[1:3] == ["return", "status"]]
    # Who it is before what it asks for: a stranger learns nothing.
    assert before == ["503", "503", "403", "404", "503", "503", "429", "411", "413", "503", "503"]
    # How large the message is that the body holds is written in the body.
    assert [line[3] for line in lines[wait:] if line[1:3] == ["return", "status"]] == ["413", "400"]


def test_a_whole_request_fits_into_the_buffer() -> None:
    for limit in (64 * 1024, 2 * 1024**2, 16 * 1024**2):
        configuration = gateway.haproxy_configuration(replace(SETTINGS, max_body_bytes=limit))
        (buffer,) = re.findall(r"tune\.bufsize (\d+)", configuration)
        assert int(buffer) > limit
        assert f"gt {limit} }}" in configuration


@pytest.mark.parametrize(("limit", "requests"), [("1Gi", 302), ("256Mi", 75), (None, 0)])
def test_requests_that_are_held_fit_into_the_memory_limit(limit: str | None, requests: int) -> None:
    settings = replace(SETTINGS, resources={"limits": {"memory": limit}} if limit else {})
    configuration = gateway.haproxy_configuration(settings)
    assert re.findall(r"tune\.buffers\.limit (\d+)", configuration) == [str(requests)]
    # Some are left for answers, probes and the look at the clients.
    assert 0 < settings.requests < (requests or 10**6)
    assert f"sc_conn_cur(1) gt {settings.requests} }}" in configuration


@pytest.mark.parametrize(
    ("limit", "taken", "unproven"),
    [("1Gi", 5242, 1310), ("256Mi", 1310, 327), ("64Gi", 20000, 5000), (None, 20000, 5000)],
)
def test_connections_fit_into_the_memory_limit_and_leave_room_for_probes(
    limit: str | None, taken: int, unproven: int
) -> None:
    found = sections(replace(SETTINGS, resources={"limits": {"memory": limit}} if limit else {}))
    (of_agents,) = [int(line[1]) for line in found["frontend remote_write"] if line[0] == "maxconn"]
    (of_all,) = [int(line[1]) for line in found["global"] if line[0] == "maxconn"]
    assert of_agents == taken < of_all
    # From one address
    (rule,) = [line for line in found["frontend remote_write"] if line[:3] == ["tcp-request", "connection", "reject"]]
    assert rule[-3:-1] == ["gt", str(unproven)]


def test_timeouts_are_those_that_are_given_and_the_defaults_otherwise() -> None:
    configured = sections(replace(SETTINGS, timeouts={"body": "1m", "connect": "500ms"}))
    timeouts = {line[1]: line[2] for line in configured["defaults"] if line[0] == "timeout"}
    assert timeouts["connect"] == "500ms"
    assert timeouts["http-request"] == "10000ms"
    (wait,) = [line for line in configured["frontend remote_write"] if line[1:2] == ["wait-for-body"]]
    assert wait[3] == "60000ms"


def test_neither_bodies_nor_headers_are_logged() -> None:
    (line,) = [line for line in sections()["frontend remote_write"] if line[0] == "log-format"]
    assert not re.search(r"%h[rs]|%r|req\.(hdr|body)|%\[(capture|req)", line[1])
    assert "capture" not in gateway.haproxy_configuration(SETTINGS)


def test_health_does_not_depend_on_receive_and_readiness_on_what_was_read() -> None:
    probes = {name: container()[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "readiness": "/readyz",
        "liveness": "/healthz",
    }
    assert {probe["port"] for probe in probes.values()} == {"metrics"}
    assert ["monitor-uri", "/readyz"] in sections()["frontend observability"]


def test_it_may_read_who_may_write_and_nothing_else() -> None:
    found = objects()
    (rule,) = found[("Role", SETTINGS.name)]["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["remote-write-clients"],
        "verbs": ["get"],
    }
    binding = found[("RoleBinding", SETTINGS.name)]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", SETTINGS.name)
    assert [(subject["name"], subject["namespace"]) for subject in binding["subjects"]] == [
        (pod()["spec"]["serviceAccountName"], SETTINGS.namespace)
    ]
    assert not [kind for kind, _name in found if kind.startswith("Cluster")]


def test_what_may_be_too_new_to_be_known_is_longer_than_certificates_are_backdated() -> None:
    assert BACKDATED.total_seconds() < gateway.NEW_SECONDS < BACKDATED.total_seconds() + 60


def test_metrics_are_not_offered_where_the_door_is() -> None:
    services = gateway.objects(replace(SETTINGS, service_type="NodePort", node_port=30443), AUTHORITIES)
    found = {item["metadata"]["name"]: item["spec"] for item in services if item["kind"] == "Service"}
    door, metrics = found["remote-write-gateway"], found["remote-write-gateway-metrics"]
    assert [(port["port"], port["targetPort"], port["nodePort"]) for port in door["ports"]] == [(443, "https", 30443)]
    assert door["type"] == "NodePort"
    assert metrics["type"] == "ClusterIP"
    assert [port["targetPort"] for port in metrics["ports"]] == ["metrics"]


def test_ports_of_the_configuration_are_those_of_the_pod() -> None:
    ports = {port["containerPort"] for port in container()["ports"]}
    bound = {int(line[1].lstrip(":")) for lines in sections().values() for line in lines if line[0] == "bind"}
    assert ports == bound == {8443, 8404}


def test_it_runs_as_the_image_does_and_without_privileges() -> None:
    spec = pod()["spec"]
    assert spec["securityContext"]["runAsUser"] == 99
    # To look who may write
    assert spec["automountServiceAccountToken"] is True
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert container()["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_what_the_configuration_names_is_mounted() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert mounts == {
        "configuration": "/etc/gateway/configuration",
        "server": "/etc/gateway/server",
        "client": "/etc/gateway/client",
    }
    files = {"haproxy.cfg", "tenants.crt", "internal.crt", "clients.lua", "clients.map", "certificates.lua"}
    content = {"configuration": files}
    for path in re.findall(r"/etc/gateway/[^\s)]+", gateway.haproxy_configuration(SETTINGS)):
        folder, _ignored, name = path.rpartition("/")
        volume = next(name for name, mounted in mounts.items() if mounted == folder)
        assert name in content.get(volume, {"tls.crt", "tls.key", "ca.crt"})
    data = objects()[("ConfigMap", "remote-write-gateway-configuration")]["data"]
    assert set(data) == content["configuration"]
    assert data["tenants.crt"] == AUTHORITIES["tenants"]


def test_whatever_it_reads_at_its_start_rolls_the_pods_when_it_changes() -> None:
    def annotations(settings: Settings, authorities: dict[str, str]) -> dict[str, str]:
        (workload_,) = [item for item in gateway.objects(settings, authorities) if item["kind"] == "Deployment"]
        result: dict[str, str] = workload_["spec"]["template"]["metadata"]["annotations"]
        return result

    before = annotations(replace(SETTINGS, checksums={"certificates": "1"}), AUTHORITIES)
    assert before != annotations(replace(SETTINGS, checksums={"certificates": "2"}), AUTHORITIES)
    assert before != annotations(replace(SETTINGS, checksums={"certificates": "1"}, max_body_bytes=65536), AUTHORITIES)
    renewed = {**AUTHORITIES, "tenants": "another PEM"}
    assert before != annotations(replace(SETTINGS, checksums={"certificates": "1"}), renewed)


def test_a_rolling_update_drops_nothing() -> None:
    spec = objects()[("Deployment", "remote-write-gateway")]["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    drain = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    stop = int(setting("global", "hard-stop-after").removesuffix("s"))
    # Requests that have begun have the time that a request may take.
    assert stop >= 60
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > drain + stop


@pytest.mark.parametrize(("replicas", "guarded"), [(1, False), (2, True)])
def test_replicas_are_apart_and_not_taken_down_at_once(replicas: int, guarded: bool) -> None:
    settings = replace(SETTINGS, replicas=replicas)
    assert (("PodDisruptionBudget", settings.name) in objects(settings)) is guarded
    assert ("podAntiAffinity" in pod(settings)["spec"].get("affinity", {})) is guarded
    given = {"affinity": {"nodeAffinity": {}}, "priority_class": "high"}
    spec = pod(replace(settings, placement=given))["spec"]
    assert (spec["affinity"], spec["priorityClassName"]) == ({"nodeAffinity": {}}, "high")


def test_everything_but_the_namespace_is_found_by_its_owner() -> None:
    for (kind, _name), item in objects().items():
        if kind != "Namespace":
            assert workload.owner(SETTINGS.name).items() <= item["metadata"]["labels"].items()


def test_agents_of_the_same_cluster_write_to_the_service() -> None:
    assert gateway.endpoints(SETTINGS)["remote_write"] == "https://remote-write-gateway.observer.svc/api/v1/receive"


def live(*given: dict[str, str], node_port: int | None = None) -> dict[str, Any]:
    """A Service as the API server has it."""
    return {
        "spec": {"ports": [{"port": 443, **({"nodePort": node_port} if node_port else {})}]},
        "status": {"loadBalancer": {"ingress": list(given)} if given else {}},
    }


@pytest.mark.parametrize(
    ("service_type", "node_port", "hostnames", "service", "expected"),
    [
        ("ClusterIP", None, ["a.example"], live(), None),
        ("LoadBalancer", None, [], None, None),
        ("LoadBalancer", None, [], live(), None),
        ("LoadBalancer", None, [], live({"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}), "https://192.0.2.1"),
        ("LoadBalancer", None, [], live({"ip": "2001:db8::1"}), "https://[2001:db8::1]"),
        ("LoadBalancer", None, [], live({"hostname": "lb.example"}), "https://lb.example"),
        ("LoadBalancer", None, ["a.example", "b.example"], live({"ip": "192.0.2.1"}), "https://a.example"),
        ("LoadBalancer", None, ["*.example", "b.example"], live(), "https://b.example"),
        ("LoadBalancer", 30443, ["a.example"], live(node_port=30443), "https://a.example"),
        ("NodePort", None, ["a.example"], None, None),
        ("NodePort", None, ["a.example"], live(), None),
        ("NodePort", None, ["a.example"], live(node_port=30001), "https://a.example:30001"),
        ("NodePort", 30443, ["192.0.2.1"], None, "https://192.0.2.1:30443"),
        ("NodePort", 30443, [], live(node_port=30443), None),
    ],
)
def test_agents_elsewhere_write_to_what_leads_to_the_service(
    service_type: str,
    node_port: int | None,
    hostnames: list[str],
    service: dict[str, Any] | None,
    expected: str | None,
) -> None:
    settings = replace(SETTINGS, service_type=service_type, node_port=node_port)
    external = gateway.endpoints(settings, hostnames, service)["external"]
    assert external == (f"{expected}/api/v1/receive" if expected else None)


def test_a_certificate_of_somebody_else_is_mounted_from_where_it_is() -> None:
    volumes = pod(replace(SETTINGS, server_secret="cert"))["spec"]["volumes"]
    assert [volume["secret"]["secretName"] for volume in volumes if volume["name"] == "server"] == ["cert"]
