# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be set for one cluster alone, and a table of what is refused and which parameter is named."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import RESERVED_JOBS
from ansible_collections.scs.observability.plugins.module_utils._registration import overrides

SERVICE = {"name": "shop", "service": "shop", "namespace": "shop", "port": 8080}
TARGETS = {"name": "static", "targets": ["shop.shop.svc:80", "10.0.0.1:9100", "[fd00::1]:9100"]}
FULL: dict[str, Any] = {
    "profile": "full",
    "scrape_interval": "15s",
    "extra_jobs": [{**SERVICE, "path": "/actuator/prometheus", "scheme": "https", "interval": "1m"}, TARGETS],
    "extra_series": {"kubelet": ["kubelet_started_pods_total", "kubelet_(?:a|b)_.+"]},
    "resources": {"agent": {"limits": {"memory": "1Gi"}}},
    "workloads": {"namespaces": ["shop"], "selector": "monitoring=true"},
    "blackbox": {"targets": [{"name": "shop", "url": "https://shop.example.org"}]},
}


def test_what_is_given_is_kept_and_read_again() -> None:
    """Those of a registration are read as those of an operator."""
    assert overrides.read(FULL) == FULL
    assert overrides.read(overrides.read(FULL)) == FULL


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        dict.fromkeys(FULL),
        {"extra_jobs": [], "extra_series": {}, "profile": ""},
        {"resources": {"agent": None, "node_exporter": {}}},
        {"extra_series": {"kubelet": []}},
    ],
    ids=str,
)
def test_what_says_nothing_is_nothing(nothing: dict[str, Any]) -> None:
    assert overrides.read(nothing) == {}


def test_numbers_and_what_is_empty_are_as_a_survey_sends_them() -> None:
    job = {**SERVICE, "port": "8080", "path": "", "interval": None, "targets": []}
    assert overrides.read({"extra_jobs": [job]}) == {"extra_jobs": [SERVICE]}


@pytest.mark.parametrize(
    ("given", "parameter", "text"),
    [
        ({"profil": "full"}, "overrides", "did you mean profile?"),
        ({"profile": "maximal"}, "overrides.profile", "did you mean minimal?"),
        ({"scrape_interval": "5m"}, "overrides.scrape_interval", "not between"),
        ({"resources": {"agents": {}}}, "overrides.resources", "did you mean agent?"),
        ({"resources": {"agent": {"limit": {}}}}, "overrides.resources.agent", "limit is neither"),
        ({"resources": {"agent": "1Gi"}}, "overrides.resources.agent", "must be a dictionary"),
        ({"workloads": "all"}, "overrides.workloads", "must be a dictionary"),
        ({"extra_jobs": SERVICE}, "overrides.extra_jobs", "must be a list"),
        ({"extra_jobs": ["shop"]}, "overrides.extra_jobs[0]", "must be a dictionary"),
        ({"extra_jobs": [SERVICE, SERVICE]}, "overrides.extra_jobs", "'shop' is there more than once"),
        ({"extra_jobs": [{**SERVICE, "name": ""}]}, "overrides.extra_jobs[0].name", "required"),
        ({"extra_jobs": [{**SERVICE, "name": "My shop"}]}, "overrides.extra_jobs[0].name", "DNS label"),
        ({"extra_jobs": [{"name": "shop"}]}, "overrides.extra_jobs[0]", "nothing to scrape"),
        ({"extra_jobs": [{"name": "shop", "service": "a"}]}, "overrides.extra_jobs[0]", "no namespace, port"),
        ({"extra_jobs": [{**SERVICE, "targets": ["a:1"]}]}, "overrides.extra_jobs[0].targets", "excludes"),
        ({"extra_jobs": [{**SERVICE, "port": 0}]}, "overrides.extra_jobs[0].port", "not a port"),
        ({"extra_jobs": [{**SERVICE, "port": True}]}, "overrides.extra_jobs[0].port", "not a port"),
        ({"extra_jobs": [{**SERVICE, "service": "a.b"}]}, "overrides.extra_jobs[0].service", "DNS label"),
        ({"extra_jobs": [{**SERVICE, "path": "metrics"}]}, "overrides.extra_jobs[0].path", "not a path"),
        ({"extra_jobs": [{**SERVICE, "path": "/m?token=x"}]}, "overrides.extra_jobs[0].path", "not a path"),
        ({"extra_jobs": [{**SERVICE, "scheme": "ftp"}]}, "overrides.extra_jobs[0].scheme", "neither http"),
        ({"extra_jobs": [{**SERVICE, "interval": "1s"}]}, "overrides.extra_jobs[0].interval", "not between"),
        ({"extra_jobs": [{**SERVICE, "pth": "/m"}]}, "overrides.extra_jobs[0]", "did you mean path?"),
        ({"extra_jobs": [{"name": "a", "targets": ["http://a:1"]}]}, "overrides.extra_jobs[0].targets[0]", "address"),
        ({"extra_jobs": [{"name": "a", "targets": ["a"]}]}, "overrides.extra_jobs[0].targets[0]", "address"),
        ({"extra_jobs": [{"name": "a", "targets": ["a:70000"]}]}, "overrides.extra_jobs[0].targets[0]", "address"),
        ({"extra_series": ["kubelet_.+"]}, "overrides.extra_series", "must be a dictionary"),
        ({"extra_series": {"kublet": ["a"]}}, "overrides.extra_series", "did you mean kubelet?"),
        ({"extra_series": {"kubelet": "a"}}, "overrides.extra_series.kubelet", "must be a list"),
        ({"extra_series": {"kubelet": [""]}}, "overrides.extra_series.kubelet[0]", "not an expression"),
        ({"extra_series": {"kubelet": ["a", "b("]}}, "overrides.extra_series.kubelet[1]", "not a regular expression"),
        ({"extra_series": {"kubelet": ["a)|(b"]}}, "overrides.extra_series.kubelet[0]", "not a regular expression"),
        ({"extra_series": {"kubelet": ["(?!a)b"]}}, "overrides.extra_series.kubelet[0]", "RE2"),
        ({"extra_series": {"kubelet": ["a{1,2}"]}}, "overrides.extra_series.kubelet[0]", "comma"),
        ({"extra_series": {"kubelet": [r"\pL+"]}}, "overrides.extra_series.kubelet[0]", "cannot be tried"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_the_place_where_it_is(given: dict[str, Any], parameter: str, text: str) -> None:
    with pytest.raises(InputError) as raised:
        overrides.read(given)
    assert raised.value.parameter == parameter
    assert text in str(raised.value)


@pytest.mark.parametrize("job", RESERVED_JOBS)
def test_a_job_cannot_be_called_as_one_of_ours(job: str) -> None:
    with pytest.raises(InputError, match="agents have") as raised:
        overrides.read({"extra_jobs": [{**SERVICE, "name": job}]})
    assert raised.value.parameter == "overrides.extra_jobs[0].name"


@pytest.mark.parametrize("everything", [".*", ".+", "(?s:.)*", "[a-z_]+", "x|.+", r"\w+", "(?i)[A-Z_]*", "[^;]*"])
def test_nothing_that_matches_everything_is_added(everything: str) -> None:
    with pytest.raises(InputError, match="matches everything"):
        overrides.read({"extra_series": {"kubelet": [everything]}})


@pytest.mark.parametrize(
    "pattern",
    [
        "kube_secret_info",
        "kube_secret_metadata_resource_version",
        "kube_.+",
        "kube_[a-z]+_labels",
        "(?i)KUBE_SECRET_TYPE",
        "kube_se.+",
        ".*_created",
        "kube_(?:pod|secret)_owner",
        r"kube_\x73ecret_info",
        "kube_ingress_.*",
        "kube_serviceaccount_.+",
    ],
)
@pytest.mark.parametrize("job", ["kube-state-metrics", "kubelet"])
def test_nothing_that_tells_of_secrets_is_added(job: str, pattern: str) -> None:
    with pytest.raises(InputError, match="told of Secrets") as raised:
        overrides.read({"extra_series": {job: [pattern]}})
    assert raised.value.parameter == f"overrides.extra_series.{job}[0]"


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "basic_auth",
        "bearer_token",
        "oauth2",
        "tls_config",
        "secret",
        "password_file",
        "params",
        "headers",
    ],
)
def test_no_job_has_credentials(key: str) -> None:
    """They would be in a Secret, or in the open in a ConfigMap."""
    with pytest.raises(InputError, match="no credentials") as raised:
        overrides.read({"extra_jobs": [{**SERVICE, key: "hunter2"}]})
    assert "hunter2" not in str(raised.value)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(InputError) as raised:
        overrides.read({"extra_jobs": [{"name": "a", "targets": ["user:hunter2@shop:80"]}]})
    assert "hunter2" not in str(raised.value)


def test_all_of_it_is_told_at_once() -> None:
    with pytest.raises(InputErrors) as raised:
        overrides.read(
            {
                "profile": "maximal",
                "extra_jobs": [{"name": "agent", "targets": ["nowhere"]}, {"name": "a"}],
                "extra_series": {"kubelet": [".*", "kube_secret_info"]},
            }
        )
    assert [error.parameter for error in raised.value.errors] == [
        "overrides.profile",
        "overrides.extra_jobs[0].name",
        "overrides.extra_jobs[0].targets[0]",
        "overrides.extra_jobs[1]",
        "overrides.extra_series.kubelet[0]",
        "overrides.extra_series.kubelet[1]",
    ]
