# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests.prometheus_problems import problems

DEFAULTS = Path(__file__).resolve().parents[4] / "roles" / "observer" / "defaults" / "main.yml"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("prometheus_replicas", 0, "0 is not a number of at least 1"),
        ("prometheus_replicas", "two", "'two' is not a number of at least 1"),
        ("prometheus_storage_size", "ten", "'ten' is not a quantity"),
        ("prometheus_storage_size", "10", "10 is too small for a volume"),
        ("prometheus_retention", "2 days", "'2 days' is not a duration"),
        ("prometheus_retention", "2h", "2h is too short"),
        ("prometheus_retention_size", "8Gi", "'8Gi' is not a size"),
        ("prometheus_retention_size", "8 GB", "'8 GB' is not a size"),
        ("prometheus_external_url", "prometheus.example.org", "is not an http or https URL"),
        ("prometheus_external_url", "https://me:swordfish@prometheus.example.org", "is not an http or https URL"),
        ("prometheus_image", "a b", "'a b' is not an image reference"),
        ("kaas_metric_importer_image", "a b", "'a b' is not an image reference"),
    ],
)
def test_what_cannot_work_is_told_by_name(name: str, value: Any, expected: str) -> None:
    (found,) = problems({f"observer_{name}": value})
    assert found.startswith(f"observer_{name}: {expected}")
    assert "swordfish" not in found


@pytest.mark.parametrize(
    ("size", "storage", "fits"),
    [("9GB", "10Gi", True), ("9.5GB", "10Gi", False), ("9000MiB", "10Gi", True), ("8GB", "8G", False)],
)
def test_samples_leave_room_on_the_volume(size: str, storage: str, fits: bool) -> None:
    found = problems({"observer_prometheus_retention_size": size, "observer_prometheus_storage_size": storage})
    assert (found == []) is fits


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        {
            "observer_prometheus_retention": "soon",
            "observer_prometheus_retention_size": "much",
            "observer_prometheus_storage_size": "10Gi",
            "observer_prometheus_replicas": -1,
        }
    )
    assert [text.partition(":")[0] for text in found] == [
        "observer_prometheus_replicas",
        "observer_prometheus_retention",
        "observer_prometheus_retention_size",
    ]


def test_what_is_there_by_default_and_what_is_not_given_is_fine() -> None:
    assert problems(yaml.safe_load(DEFAULTS.read_text())) == []
    assert problems({}) == []


def test_a_retention_and_a_size_must_not_be_empty() -> None:
    needed = ["observer_prometheus_retention", "observer_prometheus_storage_size"]
    found = problems(dict.fromkeys([*needed, "observer_prometheus_image"], ""))
    assert sorted(text.partition(":")[0] for text in found) == needed
