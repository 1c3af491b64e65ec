# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan

CREATE = Change("create", "Secret", "s3", "monitoring", after={"data": {"key": "(hidden)"}}, api_version="v1")
UPDATE = Change(
    "update",
    "Deployment",
    "query",
    "monitoring",
    before={"spec": {"replicas": 1, "paused": False}},
    after={"spec": {"replicas": 2, "paused": False}},
    api_version="apps/v1",
)
DELETE = Change("delete", "Bucket", "thanos", before={"name": "thanos"})


def test_an_empty_plan_changes_nothing() -> None:
    plan = Plan()
    assert not plan.changed
    assert plan.result() == {
        "changed": False,
        "changes": [],
        "diff": {"before_header": "live", "before": "", "after_header": "planned", "after": ""},
    }


def test_plans_join() -> None:
    plan = Plan((UPDATE,)) + Plan((CREATE, DELETE))
    assert plan.changed
    assert plan.changes == (UPDATE, CREATE, DELETE)
    assert plan.summary() == [
        "create v1 Secret monitoring/s3",
        "delete Bucket thanos",
        "update apps/v1 Deployment monitoring/query",
    ]


def test_the_diff_shows_each_object_under_its_name_in_one_order() -> None:
    diff = Plan((UPDATE, CREATE, DELETE)).diff()
    assert diff["before"] == (
        "--- # Bucket thanos\nname: thanos\n"
        "--- # apps/v1 Deployment monitoring/query\nspec:\n  paused: false\n  replicas: 1\n"
    )
    assert diff["after"] == (
        "--- # apps/v1 Deployment monitoring/query\nspec:\n  paused: false\n  replicas: 2\n"
        "--- # v1 Secret monitoring/s3\ndata:\n  key: (hidden)\n"
    )


def test_a_file_in_a_config_map_is_shown_line_by_line() -> None:
    content = {"data": {"haproxy.cfg": "global\n  maxconn 100\n", "name": "x"}, "list": ["a", "a"]}
    text = Plan((Change("create", "ConfigMap", "gateway", "ns", after=content),)).diff()["after"]
    assert "  haproxy.cfg: |\n    global\n      maxconn 100\n" in text
    assert yaml.safe_load(text) == content


def test_an_object_that_is_referred_to_twice_is_written_out_twice() -> None:
    labels = {"app": "query"}
    text = Plan((Change("create", "Deployment", "query", after={"a": labels, "b": labels}),)).diff()["after"]
    assert text == "--- # Deployment query\na:\n  app: query\nb:\n  app: query\n"


def test_what_is_sent_is_never_printed() -> None:
    change = Change("create", "Secret", "s3", manifest={"stringData": {"key": "swordfish"}})
    assert "swordfish" not in f"{change} {change!r} {Plan((change,))!r} {Plan((change,)).result()}"
