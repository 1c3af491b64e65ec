# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.scs.observability.plugins.module_utils._iaas.names import names, problems


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("control-1", "control-1"),
        ("testbed-node-0.osism.local", "testbed-node-0-osism-local"),
        ("CTL_01", "ctl-01"),
        ("192.0.2.10", "192-0-2-10"),
        ("2001:db8::1", "2001-db8-1"),
        ("_node__1_", "node-1"),
        ("Knoten-ä", "knoten"),
    ],
)
def test_a_host_is_called_by_its_name_as_far_as_that_can_be(host: str, name: str) -> None:
    assert names([host]) == {host: name}
    assert problems({host: name}, "variable") == []


def test_what_is_given_is_taken() -> None:
    assert names(["a.b", "c.d"], {"a.b": "first", "c.d": "", "other": "x"}) == {"a.b": "first", "c.d": "c-d"}


def test_what_cannot_be_a_name_is_told_with_the_variable() -> None:
    long = "n" * 51
    found = problems({**names(["___", long, "CTL_01", "ctl-01"]), "x": "No_Label"}, "the_variable")
    assert all(text.startswith("the_variable: ") for text in found)
    assert [text.removeprefix("the_variable: ").split(",")[0] for text in found] == [
        "is required and must not be empty",
        f"'{long}' is longer than 50 characters",
        "'No_Label' is not a DNS label",
        "CTL_01",
    ]
    assert "CTL_01, ctl-01 would all be registered as 'ctl-01'" in found[-1]
