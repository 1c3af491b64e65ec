# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the observer's pods may take to go. Deploying and removing is shown on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_component, thanos_receive
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import ending, grace_period


def change(manifest: dict[str, Any] | None) -> Change:
    return Change("update", "StatefulSet", "name", before=manifest)


def test_receive_has_the_time_to_upload() -> None:
    manifests = thanos_component.objects(thanos_receive.COMPONENT, Settings("receive", "observer"))
    assert grace_period(Plan(tuple(change(item) for item in manifests))) == 900


@pytest.mark.parametrize("before", [None, {}, {"spec": {}}, {"spec": {"template": {"spec": {}}}}, {"spec": None}])
def test_what_has_no_pods_takes_no_time(before: dict[str, Any] | None) -> None:
    assert grace_period(Plan((change(before),))) == 0


def test_nothing_takes_no_time() -> None:
    assert grace_period(Plan()) == 0


@pytest.mark.parametrize(("generation", "seconds"), [(1, 0), (2, 900)])
def test_pods_of_a_workload_that_is_new_need_not_end(generation: int, seconds: float) -> None:
    manifests = thanos_component.objects(thanos_receive.COMPONENT, Settings("receive", "observer"))
    live = [{**item, "metadata": {**item["metadata"], "generation": generation}} for item in manifests]
    assert ending(live) == seconds
    assert ending([]) == 0
