# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an endpoint leads to, and ways that come back."""

from __future__ import annotations

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_wiring import circle, service_of


@pytest.mark.parametrize(
    "endpoint",
    [
        "thanos-query:10901",
        "thanos-query.observer:10901",
        "thanos-query.observer.svc:10901",
        "thanos-query.observer.svc.cluster.local.:10901",
        "dns+thanos-query.observer.svc:10901",
        "dnssrv+_grpc._tcp.thanos-query-headless.observer.svc",
        "dnssrvnoa+_grpc._tcp.thanos-query-headless.observer.svc.cluster.local",
        "http://thanos-query.observer.svc:10902",
        "https://thanos-query:10902/prefix",
    ],
)
def test_an_endpoint_of_the_namespace_leads_to_its_component(endpoint: str) -> None:
    assert service_of(endpoint, "observer") == "thanos-query"


@pytest.mark.parametrize(
    "endpoint",
    [
        "thanos-query.other.svc:10901",
        "thanos-query.observer.example.org:10901",
        "192.0.2.7:10901",
        "[2001:db8::7]:10901",
        "http://192.0.2.7:10902",
        "",
    ],
)
def test_others_lead_elsewhere(endpoint: str) -> None:
    assert service_of(endpoint, "observer") is None


@pytest.mark.parametrize(
    ("reads", "way"),
    [
        ({"a": []}, []),
        ({"a": ["b"], "b": []}, []),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, []),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, []),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["a"]}, ["a", "b", "a"]),
        ({"a": ["x", "b"], "b": ["c", "y"], "c": ["z", "a"]}, ["a", "b", "c", "a"]),
    ],
)
def test_a_circle_is_found_with_all_who_are_part_of_it(reads: dict[str, list[str]], way: list[str]) -> None:
    assert circle(reads, "a") == way
