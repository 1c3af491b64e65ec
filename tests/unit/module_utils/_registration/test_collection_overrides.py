# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What overrides may say of workloads and of what is probed inside of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._registration import overrides

SHOP = {"name": "shop", "url": "https://shop.example.org"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"workloads": {"namespaces": ["shop", "billing", "shop"], "selector": "monitoring=true"}},
            {"workloads": {"namespaces": ["billing", "shop"], "selector": "monitoring=true"}},
        ),
        (
            {"workloads": {"namespaces": ["a"], "selector": "example.org/scrape=,team==Blue_1"}},
            {"workloads": {"namespaces": ["a"], "selector": "example.org/scrape=,team==Blue_1"}},
        ),
        ({"blackbox": {"targets": [{**SHOP, "module": ""}]}}, {"blackbox": {"targets": [SHOP]}}),
        ({"blackbox": {"targets": []}}, {}),
        ({"workloads": {}, "blackbox": None}, {}),
        ({"extra_series": {"traefik": ["traefik_.*_total"]}}, {"extra_series": {"traefik": ["traefik_.*_total"]}}),
    ],
)
def test_what_is_read(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert overrides.read(given) == expected


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (
            {"workloads": {"namespaces": ["Shop"], "selector": "monitoring"}},
            ["overrides.workloads.namespaces[0]", "overrides.workloads.selector"],
        ),
        ({"workloads": {"selector": "a=b"}}, ["overrides.workloads.namespaces"]),
        ({"workloads": {"namespaces": ["shop"]}}, ["overrides.workloads.selector"]),
        ({"workloads": {"namespaces": ["shop"], "selector": "a in (b)"}}, ["overrides.workloads.selector"]),
        ({"workloads": {"namespaces": "shop", "selector": "a=b"}}, ["overrides.workloads.namespaces"]),
        ({"workloads": {"namespaces": ["shop"], "selector": "a=b", "port": 1}}, ["overrides.workloads"]),
        ({"workloads": ["shop"]}, ["overrides.workloads"]),
        (
            {"blackbox": {"targets": [SHOP, {"name": "Shop", "url": "ftp://shop"}]}},
            ["overrides.blackbox.targets[1].name", "overrides.blackbox.targets[1].url"],
        ),
        ({"blackbox": {"targets": [SHOP, SHOP]}}, ["targets[1].name", "targets[1].url"]),
        ({"blackbox": {"targets": [{**SHOP, "url": "https://ann:swordfish@shop"}]}}, ["targets[0].url"]),
        ({"blackbox": {"targets": [{**SHOP, "url": "icmp://shop"}]}}, ["overrides.blackbox.targets"]),
        ({"blackbox": {"targets": [{**SHOP, "interval": "5s"}]}}, ["overrides.blackbox.targets[0]"]),
        ({"blackbox": {"endpoints": [SHOP]}}, ["overrides.blackbox"]),
        ({"extra_jobs": [{"name": "workloads", "targets": ["a:1"]}]}, ["overrides.extra_jobs[0].name"]),
        ({"extra_jobs": [{"name": "ingress-nginx", "targets": ["a:1"]}]}, ["overrides.extra_jobs[0].name"]),
        ({"extra_series": {"workloads": ["a"]}}, ["overrides.extra_series"]),
    ],
)
def test_what_is_refused_and_where(given: dict[str, Any], wrong: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        overrides.read(given)
    lines = str(raised.value).splitlines()
    assert len(lines) == len(wrong)
    for line, place in zip(lines, wrong, strict=True):
        assert place in line
    assert "swordfish" not in str(raised.value)
