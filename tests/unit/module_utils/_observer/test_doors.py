# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._observer import doors
from tests import pki

NOW = datetime.now(UTC)
BASIC: dict[str, Any] = {
    "observer_web_enabled": True,
    "observer_web_authentication": "basic",
    "observer_web_hostnames": {"grafana": "grafana.example.org", "thanos": "thanos.example.org"},
    "observer_web_users": ["admin"],
    "observer_web_service_type": "ClusterIP",
    "observer_web_node_port": 0,
    "observer_gateway_service_type": "ClusterIP",
    "observer_gateway_node_port": 0,
}
OIDC: dict[str, Any] = {
    **BASIC,
    "observer_web_authentication": "oidc",
    "observer_web_users": [],
    "observer_web_oidc_issuer": "https://sso.example.org/realms/x",
    "observer_web_oidc_client_id": "observer",
    "observer_web_oidc_client_secret": "swordfish",
    "observer_web_oidc_allowed_groups": ["operators"],
}


def problems(given: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    return doors.problems({**(given or BASIC), **{f"observer_{name}": value for name, value in changes.items()}}, NOW)


@pytest.mark.parametrize("given", [BASIC, OIDC, {}, {"observer_web_enabled": False, "observer_web_users": []}])
def test_what_works_has_no_problems(given: dict[str, Any]) -> None:
    assert doors.problems(given, NOW) == []


# What is changed, and how the one problem begins
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (BASIC, {"web_hostnames": {}}, "observer_web_hostnames: is empty"),
    (BASIC, {"web_hostnames": {"grafana": ""}}, "observer_web_hostnames.grafana: '' is not a host name"),
    (BASIC, {"web_hostnames": {"grafana": "a b"}}, "observer_web_hostnames.grafana: 'a b' is not"),
    (
        BASIC,
        {"web_hostnames": {"grafana": "x.example:8443"}},
        "observer_web_hostnames.grafana: 'x.example:8443' is not",
    ),
    (BASIC, {"web_hostnames": {"grafana": "*.example"}}, "observer_web_hostnames.grafana: '*.example' is not"),
    (
        BASIC,
        {"web_hostnames": {"grafana": "Web.example", "thanos": "web.example"}},
        "observer_web_hostnames: web.example is the name of grafana and thanos",
    ),
    (
        BASIC,
        {
            "web_service_type": "LoadBalancer",
            "gateway_service_type": "LoadBalancer",
            "gateway_hostnames": ["Grafana.example.org"],
        },
        "observer_web_hostnames.grafana: grafana.example.org is one of observer_gateway_hostnames",
    ),
    (BASIC, {"web_node_port": 30443}, "observer_web_node_port: needs observer_web_service_type"),
    (BASIC, {"web_service_type": "NodePort", "web_node_port": 70000}, "observer_web_node_port: 70000 is not a port"),
    (BASIC, {"gateway_service_type": "NodePort", "gateway_node_port": "http"}, "observer_gateway_node_port: 'http' is"),
    (BASIC, {"web_replicas": 0}, "observer_web_replicas: must be at least 1"),
    (
        BASIC,
        {"web_load_balancer_source_ranges": ["192.0.2.0/24"]},
        "observer_web_load_balancer_source_ranges: needs observer_web_service_type LoadBalancer",
    ),
    (BASIC, {"web_trusted_proxies": ["10.0.0.1/8"]}, "observer_web_trusted_proxies: '10.0.0.1/8' is not a network"),
    (BASIC, {"network_policies_api_server": ["node-1"]}, "observer_network_policies_api_server: 'node-1' is not"),
    (BASIC, {"web_service_annotations": {"a": True}}, "observer_web_service_annotations.a: is not a text"),
    (BASIC, {"web_ingress": {"annotations": {"a": 1}}}, "observer_web_ingress.annotations.a: is not a text"),
    (BASIC, {"web_gateway_api": {"parent_refs": []}}, "observer_web_gateway_api.parent_refs: is required"),
    (BASIC, {"web_gateway_api": {"parent_refs": [{}]}}, "observer_web_gateway_api.parent_refs: each needs the name"),
    (BASIC, {"web_users": []}, "observer_web_users: is empty"),
    (BASIC, {"web_users": ["ann", "ann"]}, "observer_web_users: ann is there twice"),
    (BASIC, {"web_users": ["ann:x"]}, "observer_web_users: 'ann:x' is not a user name"),
    (BASIC, {"web_users": ['a" insecure-password "x']}, "observer_web_users: 'a\" insecure-password \"x' is not"),
    (BASIC, {"web_certificate": "PEM"}, "observer_web_private_key: is required with observer_web_certificate"),
    (BASIC, {"web_private_key": "PEM"}, "observer_web_certificate: is required with observer_web_private_key"),
    (BASIC, {"web_certificate": "x", "web_private_key": "y"}, "observer_web_certificate: is not a certificate"),
    (
        BASIC,
        {"web_certificate": "x", "web_private_key": "y", "web_certificate_secret": "z"},
        "observer_web_certificate_secret: and observer_web_certificate exclude each other",
    ),
    (OIDC, {"web_oidc_issuer": ""}, "observer_web_oidc_issuer: is required"),
    (OIDC, {"web_oidc_issuer": "http://sso.example.org"}, "observer_web_oidc_issuer: is not an https URL"),
    (OIDC, {"web_oidc_issuer": "https://u:swordfish@sso"}, "observer_web_oidc_issuer: is not an https URL"),
    (OIDC, {"web_oidc_client_id": ""}, "observer_web_oidc_client_id: is required"),
    (OIDC, {"web_oidc_client_secret": ""}, "observer_web_oidc_client_secret: is required"),
    (
        OIDC,
        {"web_oidc_allowed_groups": []},
        "observer_web_oidc_allowed_groups: and observer_web_oidc_email_domains are",
    ),
    (OIDC, {"web_oidc_allowed_groups": ["a,b"]}, "observer_web_oidc_allowed_groups: 'a,b' is not the name"),
    (OIDC, {"web_oidc_email_domains": ["@x.org"]}, "observer_web_oidc_email_domains: '@x.org' is not"),
    (OIDC, {"web_oidc_ca": "x"}, "observer_web_oidc_ca: holds no PEM certificate"),
]


@pytest.mark.parametrize(("given", "changes", "beginning"), REFUSED)
def test_what_cannot_work_is_said_once_by_its_name(
    given: dict[str, Any], changes: dict[str, Any], beginning: str
) -> None:
    (problem,) = problems(given, **changes)
    assert problem.startswith(beginning)
    assert "swordfish" not in problem


def test_everything_is_said_at_once() -> None:
    found = problems(
        OIDC, web_hostnames={"grafana": "?"}, web_oidc_issuer="", web_oidc_allowed_groups=[], web_replicas=0
    )
    assert len(found) == 4


@pytest.mark.parametrize("enabled", ["true", "yes", "True", True, 1])
def test_on_is_on_however_it_is_written(enabled: Any) -> None:
    assert len(problems(web_enabled=enabled, web_users=[])) == 1


@pytest.mark.parametrize("enabled", ["false", "no", "False", False, 0, "", None])
def test_off_is_off(enabled: Any) -> None:
    assert problems(web_enabled=enabled, web_users=[]) == []


def test_texts_are_not_taken_apart_into_letters() -> None:
    assert problems(web_users="admin, ops", web_hostnames='{"grafana": "g.example.org"}') == [
        "observer_web_users: is a text, and must be a list",
        "observer_web_hostnames: is a text, and must be a dictionary",
    ]


def test_everybody_is_let_in_only_when_that_is_said() -> None:
    assert problems(OIDC, web_oidc_allowed_groups=[], web_oidc_email_domains=["*"]) == []


PORTS = {
    "observer_gateway_node_port": 30443,
    "observer_web_node_port": 30443,
}


@pytest.mark.parametrize(
    ("types", "told"),
    [
        ({"gateway": "NodePort", "web": "NodePort"}, ["gateway", "web"]),
        ({"gateway": "LoadBalancer", "web": "NodePort"}, ["gateway", "web"]),
        ({"gateway": "NodePort", "web": "ClusterIP"}, []),
    ],
)
def test_node_ports_collide_where_services_have_them(types: dict[str, str], told: list[str]) -> None:
    asked = {**PORTS, **{f"observer_{name}_service_type": value for name, value in types.items()}}
    expected = " and ".join(f"observer_{name}_node_port" for name in told)
    assert [problem.partition(":")[0] for problem in doors.problems(asked, NOW)] == ([expected] if told else [])


def test_a_certificate_has_to_cover_every_host_name() -> None:
    made = pki.make("web", names=["grafana.example.org"])
    given = {"web_certificate": made.pem, "web_private_key": made.key_pem}
    (problem,) = problems(BASIC, **given)
    assert problem.startswith("observer_web_certificate: does not cover thanos.example.org")
    assert problems(BASIC, **given, web_hostnames={"grafana": "GRAFANA.example.org"}) == []
    other = pki.make("other", names=["grafana.example.org"])
    (problem,) = problems(
        BASIC, web_certificate=made.pem, web_private_key=other.key_pem, web_hostnames={"grafana": "grafana.example.org"}
    )
    assert problem.startswith("observer_web_private_key: does not belong to")


def observer(**changes: Any) -> dict[str, Any]:
    return {
        "observer_kubeconfig": "a.kubeconfig",
        "observer_namespace": "scs-observability",
        "observer_bucket_name": "one",
        "observer_bucket_endpoint": "https://s3.example.org",
        "observer_gateway_service_type": "NodePort",
        "observer_gateway_node_port": 30443,
        **changes,
    }


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"observer_kubeconfig": "b.kubeconfig", "observer_bucket_name": "two"}, []),
        ({"observer_context": "b", "observer_bucket_name": "two"}, []),
        ({"observer_kubeconfig": "b.kubeconfig"}, ["observer_bucket_name: o1, o2 all work on the bucket one"]),
        ({"observer_kubeconfig": "b.kubeconfig", "observer_bucket_endpoint": "https://other.example.org"}, []),
        (
            {"observer_bucket_name": "two", "observer_namespace": "second", "observer_gateway_node_port": 30444},
            [],
        ),
        (
            {"observer_bucket_name": "two", "observer_namespace": "second"},
            ["observer_gateway_node_port of o1 and observer_gateway_node_port of o2: all are 30443"],
        ),
        (
            {},
            [
                "observer_namespace: o1, o2 are all in scs-observability of one cluster",
                "observer_gateway_node_port of o1 and observer_gateway_node_port of o2: all are 30443",
                "observer_bucket_name: o1, o2 all work on the bucket one",
            ],
        ),
    ],
)
def test_observers_of_one_inventory_leave_each_other_alone(second: dict[str, Any], told: list[str]) -> None:
    found = doors.collisions({"o1": observer(), "o2": observer(**{"observer_node_exporter_port": 19101, **second})})
    assert [text.partition(". ")[0] for text in found] == told


def test_a_namespace_that_is_not_given_is_one_too() -> None:
    namespace, port = doors.collisions({"o1": {}, "o2": {}})
    assert namespace.startswith("observer_namespace: o1, o2 are all in scs-observability")
    assert port.startswith("observer_node_exporter_port: o1, o2 all have 19100")


@pytest.mark.parametrize(("enabled", "told"), [(False, 0), ("false", 0), (True, 1), ("yes", 1)])
def test_only_a_node_exporter_that_runs_takes_a_port(enabled: Any, told: int) -> None:
    two = {"observer_namespace": "two", "observer_node_exporter_enabled": enabled}
    assert len(doors.collisions({"o1": {}, "o2": two})) == told


def test_ports_that_the_inventory_has_for_itself_are_not_ours() -> None:
    one = {"observer_bucket_name": "one", "site_node_port": 30443}
    two = {"observer_bucket_name": "two", "site_node_port": 30443, "observer_context": "two"}
    assert doors.collisions({"o1": one, "o2": two}) == []
    assert len(doors.collisions({"o1": one, "o2": {**two, "observer_context": ""}})) == 2


class NotYet(dict[str, Any]):
    """Variables of a host, of which one cannot be told before something else was found."""

    def __getitem__(self, name: str) -> Any:
        if name == "observer_later":
            raise KeyError("is undefined")
        return super().__getitem__(name)

    items = values = None  # type: ignore[assignment]


def test_only_what_matters_is_read_of_other_hosts() -> None:
    hosts = {host: NotYet(observer(), observer_later=None, observer_namespace=host) for host in ("o1", "o2")}
    assert len(doors.collisions(hosts)) == 3
