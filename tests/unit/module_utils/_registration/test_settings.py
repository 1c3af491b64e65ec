# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    Settings,
    agent_namespace,
    require_kubeconfig,
    seconds,
)
from tests.pki import authority, make

URL = "https://observer.example.org:30443/api/v1/receive"
PEM = authority("any").pem.strip()
DAY = timedelta(days=1)
EXPIRED = authority("old", start=datetime.now(UTC) - 9 * DAY, end=datetime.now(UTC) - DAY).pem


def settings(**changes: Any) -> Settings:
    return Settings.of({"name": "alpha", "remote_write_url": URL, **changes})


def test_what_is_not_given_has_a_default_or_stays_as_it_is_registered() -> None:
    result = settings()
    assert (result.namespace, result.observer_namespace) == ("", "scs-observability")
    assert (result.scrape_interval, result.interval_seconds, result.profile) == ("30s", 30.0, "minimal")
    assert (result.phase, result.customer, result.sla, result.contact) == (None, None, None, None)
    assert result.kubelet_insecure_skip_verify is True
    assert result.node_exporter_port == 19100
    parts = {"agent", "blackbox_exporter", "kube_state_metrics", "node_exporter"}
    assert set(result.images) == set(result.resources) == parts
    assert all(result.images.values())


@pytest.mark.parametrize("name", ["..", "A_b", "a" * 64, "", None, "-a", "a-", "a.b", "a b"])
def test_a_name_that_is_no_dns_label_is_refused(name: str | None) -> None:
    with pytest.raises(InputError) as raised:
        settings(name=name)
    assert raised.value.parameter == "name"


@pytest.mark.parametrize("name", ["a", "kaas-1", "a" * 63])
def test_dns_labels_are_names(name: str) -> None:
    assert settings(name=name).name == name


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("namespace", "Not_ok"),
        ("observer_namespace", "a.b"),
        ("remote_write_url", None),
        ("remote_write_url", "observer.example.org"),
        ("remote_write_url", "http://observer.example.org/api/v1/receive"),
        ("remote_write_url", "https:///api/v1/receive"),
        ("remote_write_url", "https://observer:nonsense/"),
        ("remote_write_url", "https://observer:0/"),
        ("remote_write_url", "https://[::1/"),
        ("remote_write_url", "https://observer/a b"),
        ("remote_write_url", "https://observer/#part"),
        ("phase", "deleting"),
        ("phase", "sleeping"),
        ("profile", "everything"),
        ("sla", "gold plus"),
        ("sla", "-"),
        ("customer", "two\nlines"),
        ("contact", "x" * 254),
        ("remote_write_ca", "not a certificate"),
        ("remote_write_ca", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"),
        ("remote_write_ca", EXPIRED),
        ("remote_write_ca", PEM + "\n-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"),
        ("scrape_interval", "soon"),
        ("scrape_interval", "4s"),
        ("scrape_interval", "5m"),
        ("scrape_interval", "0"),
        ("node_exporter_port", 80),
        ("node_exporter_port", 65536),
        ("labels", {"cluster": "beta"}),
        ("labels", ["stage"]),
        ("sla_classes", ["gold plus"]),
        ("overrides", {"profil": "full"}),
    ],
)
def test_what_cannot_be_is_refused_by_the_parameters_name(parameter: str, value: Any) -> None:
    with pytest.raises(InputError) as raised:
        settings(**{parameter: value})
    assert str(raised.value.parameter).partition(".")[0] == parameter


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InputErrors) as raised:
        Settings.of(
            {
                "name": "A_b",
                "observer_namespace": "a.b",
                "remote_write_url": "http://observer",
                "phase": "sleeping",
                "customer": "two\nlines",
                "sla": "glod",
                "sla_classes": ["gold", "silver"],
                "scrape_interval": "soon",
                "profile": "maximal",
                "images": {"agent": "two words", "node_exporter": "a;b"},
                "resources": {"agent": {"limit": {}}},
                "labels": {"cluster": "a", "1a": "b"},
                "overrides": {"profile": "maximal"},
                "client_key": "a key",
            }
        )
    assert [error.parameter for error in raised.value.errors] == [
        "name",
        "observer_namespace",
        "remote_write_url",
        "phase",
        "customer",
        "sla",
        "scrape_interval",
        "profile",
        "images.agent",
        "images.node_exporter",
        "resources.agent",
        "labels.cluster",
        "labels.1a",
        "overrides.profile",
        "client_certificate",
    ]
    assert "did you mean gold?" in str(raised.value)


@pytest.mark.parametrize(
    ("sla", "classes", "expected"),
    [
        (None, ["gold"], None),
        (None, None, None),
        ("gold", ["gold", "silver"], "gold"),
    ],
)
def test_a_class_is_one_of_those_that_there_are(sla: str | None, classes: list[str] | None, expected: str) -> None:
    assert settings(sla=sla, sla_classes=classes).sla == expected


@pytest.mark.parametrize("classes", [None, []])
def test_without_classes_every_class_may_be_a_typo(classes: list[str] | None) -> None:
    with pytest.raises(InputError, match="sla_classes") as raised:
        settings(sla="gold", sla_classes=classes)
    assert raised.value.parameter == "sla"


@pytest.mark.parametrize(("sla", "text"), [("glod", "did you mean gold?"), ("x", "known are gold, silver")])
def test_another_class_is_refused_with_the_nearest(sla: str, text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)) as raised:
        settings(sla=sla, sla_classes=["silver", "gold"])
    assert raised.value.parameter == "sla"


@pytest.mark.parametrize(
    "labels",
    [
        *({name: "x"} for name in ("cluster", "tenant_id", "replica", "__name__", "a-b", "", "a" * 64)),
        *({"stage": value} for value in ("", None, "x" * 254, "two\nlines", {"a": "b"}, ["a"])),
    ],
    ids=str,
)
def test_labels_that_cannot_be_are_refused_by_name(labels: dict[str, Any]) -> None:
    with pytest.raises(InputError) as raised:
        settings(labels=labels)
    assert raised.value.parameter == f"labels.{next(iter(labels))}"


def test_there_is_an_end_to_labels() -> None:
    with pytest.raises(InputError, match="33, more than 32"):
        settings(labels={f"label_{number}": "x" for number in range(33)})
    assert settings(labels={"stage": "production", "_x": 7}).labels == {"stage": "production", "_x": "7"}


REGISTERED = Registration(
    name="alpha",
    cluster_uid="uid",
    phase="active",
    labels={"stage": "production"},
    suspended=True,
    overrides={"profile": "full", "resources": {"agent": {"limits": {"memory": "1Gi"}}}},
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ({"stage": "production"}, True, "full", "30s")),
        ({"profile": "minimal", "scrape_interval": "1m"}, ({"stage": "production"}, True, "full", "1m")),
        ({"labels": {}, "suspended": False, "overrides": {}}, ({}, False, "minimal", "30s")),
        ({"overrides": {"scrape_interval": "15s"}}, ({"stage": "production"}, True, "minimal", "15s")),
        ({"overrides": dict.fromkeys(("profile", "resources"))}, ({"stage": "production"}, True, "minimal", "30s")),
    ],
    ids=str,
)
def test_what_is_registered_stays_until_something_else_is_given(given: dict[str, Any], expected: Any) -> None:
    result = settings(**given).settled(REGISTERED)
    assert (result.labels, result.suspended, result.profile, result.scrape_interval) == expected


def test_resources_of_one_cluster_go_before_those_of_all() -> None:
    of_all = {"agent": {"limits": {"memory": "2Gi"}}, "node_exporter": {"limits": {"memory": "3Gi"}}}
    result = settings(resources=of_all).settled(REGISTERED)
    assert result.resources["agent"] == {"limits": {"memory": "1Gi"}}
    assert result.resources["node_exporter"] == {"limits": {"memory": "3Gi"}}


def test_without_a_registration_there_is_what_is_given() -> None:
    result = settings(overrides={"profile": "full"}).settled(None)
    assert (result.labels, result.suspended, result.profile) == ({}, False, "full")


def test_what_somebody_wrote_into_a_registration_is_looked_at_too() -> None:
    written = replace(REGISTERED, overrides={"extra_series": {"kubelet": [".*"]}})
    with pytest.raises(InputError, match="matches everything"):
        settings().settled(written)
    assert settings(overrides={}).settled(written).overrides == {}


@pytest.mark.parametrize("given", ["client_certificate", "client_key"])
def test_certificate_and_key_belong_together(given: str) -> None:
    (other,) = {"client_certificate", "client_key"} - {given}
    with pytest.raises(InputError, match=f"required with {given}") as raised:
        settings(**{given: "text"})
    assert raised.value.parameter == other


def test_the_key_that_is_given_is_in_no_text() -> None:
    made = make("alpha")
    result = settings(client_certificate=made.pem, client_key=made.key_pem)
    assert result.provided is not None
    assert result.provided.key == made.key_pem
    assert made.key_pem.splitlines()[1] not in repr(result)
    with pytest.raises(InputError) as raised:
        settings(client_certificate=made.pem, client_key=made.key_pem, renew=True)
    assert raised.value.parameter == "renew"


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(InputError) as raised:
        settings(remote_write_url="https://user:hunter2@observer/api/v1/receive")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("interval", ["5s", "30s", "1m", "1m30s", "2m"])
def test_intervals(interval: str) -> None:
    assert settings(scrape_interval=interval).scrape_interval == interval


def test_of_a_bundle_only_the_certificates_are_taken() -> None:
    text = f"subject=CN = a\n{PEM}\nsubject=CN = b\n{PEM}\n"
    assert settings(remote_write_ca=text).remote_write_ca == f"{PEM}\n{PEM}\n"
    assert settings(remote_write_ca=EXPIRED + PEM).remote_write_ca == f"{EXPIRED}{PEM}\n"


def test_images_can_be_given_one_by_one() -> None:
    result = settings(images={"agent": "mirror/prometheus:1", "node_exporter": "", "kube_state_metrics": None})
    assert result.images["agent"] == "mirror/prometheus:1"
    assert {name: image for name, image in result.images.items() if name != "agent"} == {
        name: image for name, image in settings().images.items() if name != "agent"
    }


@pytest.mark.parametrize("image", ["two words", "prometheus:", "Prometheus", "mirror/prometheus@sha256:12", "a;b"])
@pytest.mark.parametrize("part", ["agent", "kube_state_metrics", "node_exporter", "blackbox_exporter"])
def test_an_image_that_is_no_reference_is_refused(part: str, image: str) -> None:
    with pytest.raises(InputError) as raised:
        settings(images={part: image})
    assert raised.value.parameter == f"images.{part}"


def test_resources_can_be_given_one_by_one() -> None:
    result = settings(resources={"agent": {"limits": {"memory": "1Gi", "cpu": 2}}})
    assert result.resources["agent"] == {"limits": {"memory": "1Gi", "cpu": "2"}}
    assert result.resources["node_exporter"] == settings().resources["node_exporter"]


@pytest.mark.parametrize(
    ("resources", "parameter"),
    [
        ({"agent": {"limit": {"memory": "1Gi"}}}, "resources.agent"),
        ({"agent": {"limits": "1Gi"}}, "resources.agent.limits"),
        ({"node_exporter": {"limits": {"memory": "much"}}}, "resources.node_exporter.limits.memory"),
        ({"agent": {"limits": {"memroy": "1Gi"}}}, "resources.agent.limits"),
        ({"agent": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}, "resources.agent.requests.cpu"),
    ],
)
def test_resources_that_cannot_be_are_refused(resources: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InputError) as raised:
        settings(resources=resources)
    assert raised.value.parameter == parameter


def test_timeouts_are_positive() -> None:
    assert seconds({}, "wait_timeout", 300) == 300.0
    assert seconds({"wait_timeout": 5}, "wait_timeout", 300) == 5.0
    with pytest.raises(InputError) as raised:
        seconds({"wait_timeout": 0}, "wait_timeout", 300)
    assert raised.value.parameter == "wait_timeout"


@pytest.mark.parametrize("params", [{}, {"kubeconfig": None, "kubeconfig_content": ""}, {"observer_kubeconfig": "/o"}])
def test_which_cluster_must_be_said(params: dict[str, Any]) -> None:
    """Otherwise ~/.kube/config decides, which leads to whatever the operator looked at last."""
    with pytest.raises(InputError, match="KUBECONFIG") as raised:
        require_kubeconfig(params, {"HOME": "/var/empty"})
    assert raised.value.parameter == "kubeconfig"


@pytest.mark.parametrize(
    ("params", "environment"),
    [
        ({"kubeconfig": "/etc/kubernetes/a"}, {}),
        ({"kubeconfig_content": "{}"}, {}),
        ({}, {"K8S_AUTH_KUBECONFIG": "/etc/kubernetes/a"}),
        ({}, {"KUBECONFIG": "/etc/kubernetes/a"}),
    ],
)
def test_a_parameter_or_the_environment_says_it(params: dict[str, Any], environment: dict[str, str]) -> None:
    require_kubeconfig(params, environment)


@pytest.mark.parametrize(
    ("given", "known", "expected"),
    [
        ("", [], "scs-observability"),
        ("", ["", ""], "scs-observability"),
        ("agents", [], "agents"),
        ("", ["agents", ""], "agents"),
        ("", ["", "agents"], "agents"),
        ("agents", ["agents", "agents"], "agents"),
    ],
)
def test_the_namespace_of_an_agent_is_the_one_where_it_is(given: str, known: list[str], expected: str) -> None:
    assert agent_namespace("alpha", given, known) == expected


@pytest.mark.parametrize("known", [["agents"], ["", "agents"]])
def test_an_agent_does_not_move(known: list[str]) -> None:
    with pytest.raises(InputError, match="'agents'") as raised:
        agent_namespace("alpha", "elsewhere", known)
    assert raised.value.parameter == "namespace"
    assert "state: absent" in (raised.value.advice or "")
