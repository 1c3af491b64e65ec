# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    Settings,
    agent_namespace,
    require_kubeconfig,
    seconds,
)
from tests.pki import authority

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
    ],
)
def test_what_cannot_be_is_refused_by_the_parameters_name(parameter: str, value: str | int | None) -> None:
    with pytest.raises(InputError) as raised:
        settings(**{parameter: value})
    assert raised.value.parameter == parameter


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
