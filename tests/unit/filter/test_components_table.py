# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.components_table import FilterModule

table = FilterModule().filters()["components_table"]


def component(**changes: Any) -> dict[str, Any]:
    return {
        "name": "thanos-query",
        "component": "query",
        "version": "0.42.4",
        "image": "quay.io/thanos:v1",
        "replicas": {"wanted": 2, "ready": 2},
        "endpoints": [{"error": None}, {"error": None}],
        "last_upload": None,
        "compaction": None,
        "figures": {},
        "certificates": [{"expires": "2026-06-01T10:00:00Z"}, {"expires": "2026-05-02T10:00:00Z"}],
        "healthy": True,
        "state": "ok",
        "reason": "ready",
        **changes,
    }


def cells(**changes: Any) -> list[str]:
    """The row of a component, by the columns of the headings."""
    heading, row = table([component(**changes)]).splitlines()
    names = [name for name in heading.split("  ") if name]
    starts = [heading.index(name) for name in names]
    return [row[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]


def test_a_row_is_silent_when_all_is_well() -> None:
    assert cells() == ["thanos-query", "0.42.4", "2/2", "2/2", "-", "-", "-", "2026-05-02T10:00:00Z", "ok", ""]


def test_a_row_tells_what_is_wrong() -> None:
    found = cells(
        endpoints=[{"error": "connection refused"}, {"error": None}],
        healthy=False,
        state="failing",
        reason="endpoint a: connection refused",
    )
    assert found[3:] == ["1/2", "-", "-", "-", "2026-05-02T10:00:00Z", "FAILING", "endpoint a: connection refused"]


@pytest.mark.parametrize(
    ("compaction", "shown"),
    [
        (None, "-"),
        ({"halted": False, "todo": {}}, "-"),
        ({"halted": False, "todo": {"compactions": 0}}, "0"),
        ({"halted": False, "todo": {"compactions": 3, "compaction_blocks": 9}}, "3"),
    ],
)
def test_what_a_compactor_has_left_to_do(compaction: dict[str, Any] | None, shown: str) -> None:
    found = cells(name="thanos-compact", endpoints=[], compaction=compaction, last_upload="2026-03-01T11:00:41Z")
    assert found[3:6] == ["-", "2026-03-01T11:00:41Z", shown]


@pytest.mark.parametrize("certificates", [None, []])
def test_what_is_not_known_is_a_dash(certificates: list[Any] | None) -> None:
    found = cells(version=None, certificates=certificates, state="due", reason="soon")
    assert (found[1], found[7:]) == ("-", ["-", "due", "soon"])


def test_figures_are_told_in_words() -> None:
    assert cells(name="prometheus-observer", figures={"targets_up": 12, "targets_down": 0})[6] == (
        "12 targets up, 0 targets down"
    )


def test_a_bucket_is_told_from_a_workload_of_its_name() -> None:
    assert cells(name="metrics", component="bucket", image=None)[0] == "bucket metrics"


def test_what_is_not_there_has_no_replicas() -> None:
    found = cells(name="grafana", version=None, image=None, replicas={"wanted": 0, "ready": 0}, state="absent")
    assert found[1:3] == ["-", "-"]
    assert found[8:] == ["absent", "ready"]


def test_without_components_it_says_so() -> None:
    assert table([]) == "no component is deployed"


@pytest.mark.parametrize("wrong", ["text", {"name": "x"}, 5, [{"name": "x"}], ["x"], [component(replicas=None)]])
def test_what_is_no_list_of_components_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"components.*observer_info"):
        table(wrong)
