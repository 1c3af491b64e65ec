# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds, quantity_number
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    gateway,
    receive_limits,
    thanos_component,
    thanos_receive,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.receive_limits import limits_of
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_receive import COMPONENT

PROMETHEUS = "http://prometheus.observer.svc:9090"


def test_what_is_given_is_what_thanos_reads() -> None:
    limits = limits_of(
        {
            "series": "200000",
            "clusters": {"shop-prod": 500000, "lab": 0},
            "request_samples": 5000,
            "request_bytes": "8Mi",
        },
        "observer",
    )
    assert yaml.safe_load(receive_limits.configuration(limits)) == {
        "write": {
            "global": {"meta_monitoring_url": PROMETHEUS},
            "default": {
                "head_series_limit": 200000,
                "request": {"samples_limit": 5000, "size_bytes_limit": 8 * 1024**2},
            },
            "tenants": {"shop-prod": {"head_series_limit": 500000}, "lab": {"head_series_limit": 0}},
        }
    }


@pytest.mark.parametrize(
    "given", [{}, {"series": 0, "metrics_url": PROMETHEUS}, {"series": None, "clusters": None, "request_bytes": ""}]
)
def test_without_a_limit_there_is_no_file(given: dict[str, Any]) -> None:
    settings = Settings("thanos-receive", "observer", limits=limits_of(given, "observer"))
    (workload,) = [item for item in thanos_component.objects(COMPONENT, settings) if item["kind"] == "StatefulSet"]
    arguments = workload["spec"]["template"]["spec"]["containers"][0]["args"]
    assert not [argument for argument in arguments if "limits" in argument]


def test_a_limit_is_a_file_that_receive_is_told_of() -> None:
    settings = Settings("thanos-receive", "observer", limits=limits_of({"series": 10}, "observer"))
    manifests = thanos_component.objects(COMPONENT, settings)
    (workload,) = [item for item in manifests if item["kind"] == "StatefulSet"]
    (argument,) = [
        argument
        for argument in workload["spec"]["template"]["spec"]["containers"][0]["args"]
        if argument.startswith("--receive.limits-config-file=")
    ]
    (files,) = [item["data"] for item in manifests if item["kind"] == "ConfigMap"]
    # The observer's own Prometheus counts
    assert PROMETHEUS in files[argument.rpartition("/")[2]]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InputError) as refused:
        limits_of(
            {
                "series": "many",
                "clusters": {"Shop": 5},
                "request_series": 10,
                "request_samples": 1999,
                "request_bytes": "5Ki",
                "metrics_url": "prometheus:9090",
            },
            "observer",
        )
    assert refused.value.parameter == "limits"
    for text in (
        "series: 'many' is not a number",
        "'Shop'",
        "request_series: an agent sends 2000",
        "request_samples: an agent sends 2000",
        "request_bytes: at least 1Mi",
        "metrics_url: is not an http or https URL",
    ):
        assert text in refused.value.message


# What is shipped

CHECKOUT = Path(__file__).resolve().parents[4]
SHIPPED = yaml.safe_load((CHECKOUT / "roles" / "observer" / "defaults" / "main.yml").read_text())
LIMITS = limits_of(SHIPPED["observer_receive_limits"], "observer")
RATE = SHIPPED["observer_gateway_max_requests_per_second"]
QUEUE = agent.configuration(agent.Agent("any", "any", "https://gateway"))["remote_write"][0]["queue_config"]
# Receive asks Prometheus every 15 seconds.
ASKED = 15.0
# Of a series with labels as long as all of them may be, measured (docs/sizing.md)
LARGEST_SERIES = 3.1 * 1024**3 / 900_000


def test_one_cluster_leaves_half_of_receives_memory_to_the_others() -> None:
    """The sum of docs/sizing.md."""
    late = duration_seconds(thanos_receive.SCRAPE_INTERVAL, "scrape_interval") + ASKED + gateway.RATE_SECONDS
    most = LIMITS.series + late * SHIPPED["observer_gateway_replicas"] * RATE * LIMITS.request_series
    assert f"= {most:,.0f} series" in (CHECKOUT / "docs" / "sizing.md").read_text()
    memory = quantity_number(COMPONENT.resources["limits"]["memory"])
    assert most * LARGEST_SERIES < 0.55 * memory


def test_an_agent_reaches_no_limit_of_requests() -> None:
    """And the largest that may be catches up even by one gateway alone, half as fast as it falls behind."""
    assert QUEUE["max_samples_per_send"] <= min(LIMITS.request_series, LIMITS.request_samples)
    sent = LIMITS.series / duration_seconds(agent.Agent("any", "any", "").scrape_interval, "scrape_interval")
    assert 1.5 * sent / QUEUE["max_samples_per_send"] <= RATE
    # As long as 2 KiB for each series; what is common is 0.7.
    assert LIMITS.request_bytes / LIMITS.request_series > 2000


def test_prometheus_asks_receive_as_often_as_the_sum_says() -> None:
    settings = Settings("thanos-receive", "observer", service_monitor=True)
    (monitor,) = [item for item in thanos_component.objects(COMPONENT, settings) if item["kind"] == "ServiceMonitor"]
    assert monitor["spec"]["endpoints"][0]["interval"] == thanos_receive.SCRAPE_INTERVAL
