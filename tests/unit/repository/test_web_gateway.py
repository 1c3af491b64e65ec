# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role makes of what is asked of the web gateway: objects, Secrets, and nothing that was not asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml

from tests import rendered
from tests.rendered import ROLE

HOSTNAMES = {"grafana": "Grafana.example.org", "thanos": "thanos.example.org"}


@cache
def _asked(variables: str) -> rendered.Call:
    asked = {"observer_web_enabled": True, "observer_web_hostnames": HOSTNAMES, **yaml.safe_load(variables)}
    (call,) = rendered.calls("web_gateway.yml", **asked)
    return call


def asked(**variables: Any) -> dict[str, Any]:
    named = {f"observer_web_{name}": value for name, value in variables.items()}
    return dict(_asked(yaml.safe_dump(named)).arguments)


def kinds(arguments: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """One object by kind, the Service that is the door among Services."""
    return {item["kind"]: item for item in reversed(arguments["objects"])}


def test_nothing_is_there_unless_it_was_asked_for() -> None:
    arguments = asked(enabled=False)
    assert (arguments["state"], arguments["objects"]) == ("absent", [])


def test_by_default_the_door_is_closed_to_the_outside() -> None:
    found = kinds(asked())
    assert found["Service"]["spec"]["type"] == "ClusterIP"
    assert not {"Ingress", "HTTPRoute"} & set(found)
    for service in (item for item in asked()["objects"] if item["kind"] == "Service"):
        assert not [port for port in service["spec"]["ports"] if "nodePort" in port]


def test_metrics_are_never_offered_where_the_door_is() -> None:
    arguments = asked(service_type="NodePort", node_port=30843)
    types = {
        item["metadata"]["name"]: (
            item["spec"].get("type", "ClusterIP"),
            [port["port"] for port in item["spec"]["ports"]],
        )
        for item in arguments["objects"]
        if item["kind"] == "Service"
    }
    assert types == {"web-gateway": ("NodePort", [443]), "web-gateway-metrics": ("ClusterIP", [8404])}


CERTIFICATES: list[tuple[dict[str, Any], str, set[str], set[str]]] = [
    ({}, "web-gateway-tls", {"web-gateway-tls"}, set()),
    ({"certificate": "PEM", "private_key": "KEY"}, "web-gateway-provided", set(), {"web-gateway-provided"}),
    ({"certificate_secret": "by-cert-manager"}, "by-cert-manager", set(), set()),
]


@pytest.mark.parametrize(("variables", "mounted", "signed", "secrets"), CERTIFICATES)
def test_the_certificate_that_is_shown_is_the_one_that_is_meant(
    variables: dict[str, Any], mounted: str, signed: set[str], secrets: set[str]
) -> None:
    arguments = asked(**variables)
    volumes = {item["name"]: item for item in kinds(arguments)["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["server"]["secret"]["secretName"] == mounted
    assert (set(arguments["certificates"]), set(arguments["secrets"])) == (signed, secrets)
    for certificate in arguments["certificates"].values():
        assert certificate["hostnames"] == ["grafana.example.org", "thanos.example.org"]


def test_each_login_has_its_own_secrets_and_none_of_the_other() -> None:
    basic, oidc = asked(users=["ann", "bob"]), asked(authentication="oidc", oidc_client_secret="swordfish")
    assert (basic["secrets"], basic["generated_secrets"]) == ({}, {"web-gateway-users": ["ann", "bob"]})
    assert oidc["secrets"] == {"web-gateway-oidc": {"client-secret": "swordfish"}}
    assert oidc["generated_secrets"] == {"web-gateway-cookie": ["secret"]}
    for arguments, containers in ((basic, ["haproxy"]), (oidc, ["haproxy", "oauth2-proxy"])):
        made = kinds(arguments)["Deployment"]["spec"]["template"]["spec"]["containers"]
        assert [item["name"] for item in made] == containers
        referenced = {
            variable["valueFrom"]["secretKeyRef"]["name"] for item in made for variable in item.get("env") or []
        }
        assert referenced == set(arguments["secrets"]) | set(arguments["generated_secrets"])
        # Where anybody may look
        assert "swordfish" not in yaml.safe_dump(arguments["objects"])


def test_everybody_is_meant_only_with_groups_or_when_that_is_said() -> None:
    def arguments_of(**variables: Any) -> list[str]:
        made = kinds(asked(authentication="oidc", **variables))["Deployment"]["spec"]["template"]["spec"]["containers"]
        found: list[str] = made[1]["args"]
        return [argument for argument in found if argument.startswith(("--allowed-group", "--email-domain"))]

    assert arguments_of(oidc_allowed_groups=["a", "b c"]) == [
        "--allowed-group=a",
        "--allowed-group=b c",
        "--email-domain=*",
    ]
    assert arguments_of(oidc_email_domains=["x.org"]) == ["--email-domain=x.org"]
    assert arguments_of(oidc_allowed_groups=["a"], oidc_email_domains=["x.org"]) == [
        "--allowed-group=a",
        "--email-domain=x.org",
    ]


def test_what_is_in_front_leads_all_names_to_the_gateway() -> None:
    hosts = ["grafana.example.org", "thanos.example.org"]
    annotations = {"cert-manager.io/cluster-issuer": "letsencrypt"}
    ingress = kinds(asked(ingress={"class": "nginx", "annotations": annotations}))["Ingress"]
    assert ingress["metadata"]["annotations"] == annotations
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": hosts, "secretName": "web-gateway-ingress"}]
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == hosts
    parents = [{"name": "public", "namespace": "gateways"}]
    route = kinds(asked(gateway_api={"parent_refs": parents}))["HTTPRoute"]["spec"]
    assert (route["parentRefs"], route["hostnames"]) == (parents, hosts)
    (port,) = kinds(asked())["Service"]["spec"]["ports"]
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == ("web-gateway", port["name"])
    assert route["rules"][0]["backendRefs"] == [{"name": "web-gateway", "port": port["port"]}]


def test_every_name_that_can_be_asked_for_leads_somewhere() -> None:
    specification = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"][
        "options"
    ]
    servers = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["_observer_web_servers"]
    assert set(specification["observer_web_hostnames"]["options"]) == set(servers)


@pytest.mark.parametrize("domain", ["cluster.local", "k8s.example.org"])
def test_what_is_behind_the_gateway_is_called_by_its_whole_name(domain: str) -> None:
    """HAProxy has no search list, so the domain of the cluster is in it."""
    variables = {"observer_web_enabled": True, "observer_web_hostnames": HOSTNAMES, "observer_cluster_domain": domain}
    (call,) = rendered.calls("web_gateway.yml", **variables)
    configuration = kinds(dict(call.arguments))["ConfigMap"]["data"]["haproxy.cfg"]
    servers = [line.split()[2] for line in configuration.splitlines() if line.strip().startswith("server ")]
    assert servers == [
        f"grafana.scs-observability.svc.{domain}:3000",
        f"thanos-query-frontend.scs-observability.svc.{domain}:10902",
    ]


def test_several_pods_are_not_taken_down_at_once() -> None:
    assert kinds(asked(replicas=2))["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" not in kinds(asked())
