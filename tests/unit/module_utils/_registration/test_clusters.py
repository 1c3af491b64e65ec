# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._registration.clusters import told


def left(block: str, owner: str, expires: str) -> dict[str, str]:
    return {"block": block, "owner": owner, "expires": expires}


def erasure(*items: dict[str, str], reasons: tuple[str, ...] = ()) -> dict[str, Any]:
    state = "pending" if items or reasons else "done"
    return {"phase": "absent", "erasure": {"state": state, "left": list(items), "reasons": list(reasons)}}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"phase": "provisioning"}, "provisioning"),
        (
            {"phase": "active", "seconds": 4.26, "series": 3016},
            "active, 3016 series, the first new sample after 4.3 s",
        ),
        (
            {"phase": "active", "missing_jobs": [{"job": "etcd"}, {"job": "coredns"}]},
            "active, missing: etcd, coredns",
        ),
        (
            {"phase": "absent", "left": ["Deployment a", "Secret b"], "left_reason": "it does not answer"},
            "absent, left in the cluster: Deployment a, Secret b (it does not answer)",
        ),
        (erasure(), "absent, its metrics are erased"),
        (
            erasure(reasons=("receive restarts, which was not waited for",)),
            "absent, its metrics are not all erased: receive restarts, which was not waited for",
        ),
        (
            erasure(
                left("01A", "rule", "2026-05-02T10:00:00Z"),
                left("01B", "rule", "2026-06-02T10:00:00Z"),
                left("01C", "observer", "never"),
                left("", "prometheus", "2026-05-01T10:00:00Z"),
                left("", "rule", ""),
                reasons=("a block cannot be read",),
            ),
            "absent, its metrics are not all erased: what is in blocks of observer never expires; "
            "what is in blocks of rule is gone by 2026-06-02T10:00:00Z; "
            "what prometheus keeps itself is gone by 2026-05-01T10:00:00Z; "
            "what rule keeps itself stays for a time that is not known; a block cannot be read",
        ),
    ],
)
def test_what_came_of_a_cluster_is_told_in_a_few_words(result: dict[str, Any], expected: str) -> None:
    assert told(result) == expected
