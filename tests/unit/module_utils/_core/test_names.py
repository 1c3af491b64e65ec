# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import (
    dns_label,
    dns_subdomain,
    duration,
    duration_seconds,
    image_reference,
    quantity,
    quantity_number,
    resources,
    volume_size,
)


@pytest.mark.parametrize("value", ["a", "7", "kaas-1", "0-0", "a" * 63, "a--b"])
def test_dns_labels(value: str) -> None:
    assert dns_label(value, "name") == value


@pytest.mark.parametrize(
    "value",
    ["..", "A_b", "a" * 64, "", None, "-a", "a-", "a.b", "a b", "ä", "a\n", "a/b", 7, ["a"], "KAAS", "a\x00"],
)
def test_what_is_no_dns_label_is_refused_by_the_name_of_the_parameter(value: object) -> None:
    with pytest.raises(InputError) as refused:
        dns_label(value, "name")
    assert refused.value.parameter == "name"
    assert str(refused.value).startswith("name: ")


@pytest.mark.parametrize("value", ["fast", "a.b", "7", "a" * 63 + ".b-c"])
def test_dns_subdomains(value: str) -> None:
    assert dns_subdomain(value, "storage_class") == value


@pytest.mark.parametrize("value", ["", None, "Not Valid", "a..b", ".a", "a.", "a" * 64, "a." * 127, "a_b", "a\n", 7])
def test_what_is_no_dns_subdomain_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="storage_class"):
        dns_subdomain(value, "storage_class")


@pytest.mark.parametrize("value", ["0", 0, "1n", "100m", "10", "1Ki", "1000", "ten"])
def test_what_is_no_size_of_a_volume_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="storage_size"):
        volume_size(value, "storage_size")


@pytest.mark.parametrize("value", ["1Mi", "10Gi", "1e9", "0.5Ti"])
def test_sizes_of_volumes(value: str) -> None:
    assert volume_size(value, "storage_size") == value


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1024Mi"}},
        {"requests": {"cpu": "1"}, "limits": {"cpu": "1000m", "ephemeral-storage": "1Gi"}},
        {"limits": {"nvidia.com/gpu": "1", "hugepages-2Mi": "4Mi"}},
        {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}},
    ],
)
def test_resources(given: dict[str, Any]) -> None:
    assert resources(given, "resources") == given


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"request": {"cpu": "1"}}, "resources"),
        ({"limits": "1Gi"}, "resources.limits"),
        ({"limits": {"memory": "much"}}, "resources.limits.memory"),
        ({"limits": {"mem": "1Gi"}}, "resources.limits"),
        ({"limits": {"CPU": "1"}}, "resources.limits"),
        ({"limits": {"storage": "1Gi"}}, "resources.limits"),
        ({"limits": {"pods": "1"}}, "resources.limits"),
        ({"limits": {"/gpu": "1"}}, "resources.limits"),
        ({"limits": {7: "1"}}, "resources.limits"),
        ({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}, "resources.requests.memory"),
        ({"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}, "resources.requests.cpu"),
        ({"requests": {"nvidia.com/gpu": "1"}}, "resources.requests.nvidia.com/gpu"),
        ({"requests": {"hugepages-2Mi": "4Mi"}}, "resources.requests.hugepages-2Mi"),
    ],
)
def test_resources_that_no_container_can_have_are_refused(given: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InputError) as refused:
        resources(given, "resources")
    assert refused.value.parameter == parameter


@pytest.mark.parametrize("value", ["500m", "2", "0.5", ".5", "10Gi", "128Mi", "1e3", "1E-3", "100k", "+1", 4, 1.5])
def test_quantities(value: object) -> None:
    assert quantity(value, "storage_size") == str(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("500m", 0.5),
        ("2", 2),
        (".5", 0.5),
        ("10Gi", 10 * 2**30),
        ("1Ki", 1024),
        ("1E", 1e18),
        ("1E3", 1000),
        ("1e-3", 0.001),
        (4, 4),
    ],
)
def test_what_a_quantity_amounts_to(value: object, number: float) -> None:
    assert quantity_number(value) == pytest.approx(number)


@pytest.mark.parametrize("value", ["", None, "-1", "10 Gi", "10GiB", "ten", "Gi", "1e", "10gi", True, ".", "1Gi\n"])
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="storage_size"):
        quantity(value, "storage_size")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("15d", 15 * 86400),
        ("292y", 292 * 365 * 86400),
        ("1y2w", 365 * 86400 + 14 * 86400),
        ("250ms", 0.25),
        ("1m500ms", 60.5),
        ("0", 0),
        ("0s", 0),
        (0, 0),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert duration(value, "retention") == str(value)
    assert duration_seconds(value, "retention") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", ["", None, "30", 30, "-5m", "5 m", "30m1h", "1.5h", "5min", "s", "5m5m", True, "293y", "9" * 30 + "ms"]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="retention"):
        duration(value, "retention")


@pytest.mark.parametrize(
    "value",
    [
        "prometheus",
        "quay.io/prometheus/prometheus:v3.5.0",
        "registry.example.org:5000/a/b_c--d@sha256:" + "0f" * 32,
        "mirror/prometheus:1@sha256:" + "0f" * 32,
    ],
)
def test_image_references(value: str) -> None:
    assert image_reference(value, "image") == value


@pytest.mark.parametrize("value", ["", None, "two words", "prometheus:", "Prometheus", "a@sha256:12", "a:1\n", 1])
def test_what_is_no_image_reference_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="image"):
        image_reference(value, "image")
