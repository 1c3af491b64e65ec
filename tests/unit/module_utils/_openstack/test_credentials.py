# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._openstack import credentials
from ansible_collections.scs.observability.plugins.module_utils._openstack.credentials import Chosen, Credential, Record


@pytest.mark.parametrize(
    ("remembered", "known", "asked", "chosen"),
    [
        # The first run, and the next one
        ((), "a", {}, Chosen(("a",))),
        (("a",), "a", {}, Chosen(("a",))),
        # Others that come are not mistaken for it.
        (("b",), "ab", {}, Chosen(("b",))),
        # One that is gone is forgotten.
        (("b", "a"), "a", {}, Chosen(("a",))),
        (("b",), "a", {}, Chosen(("a",))),
        # One that is named becomes the one in use.
        (("b",), "ab", {"named": "a"}, Chosen(("b", "a"))),
        (("a", "b"), "ab", {"named": "a"}, Chosen(("b", "a"))),
        # A rotation, and the same one once more
        (("a",), "a", {"rotate": True}, Chosen(("a",), create=True)),
        (("a", "b"), "ab", {"rotate": True}, Chosen(("a", "b"))),
        # Its end, and that once more
        (("a", "b"), "ab", {"revoke": ["a"]}, Chosen(("a", "b"), revoke=("a",))),
        (("a", "b"), "b", {"revoke": ["a"]}, Chosen(("b",))),
    ],
)
def test_which_is_used(remembered: tuple[str, ...], known: str, asked: dict[str, Any], chosen: Chosen) -> None:
    assert credentials.choose("a" if "a" in known else "b", remembered, set(known), **asked) == chosen


def test_the_one_in_use_is_not_revoked() -> None:
    with pytest.raises(InputError, match="b is the one that the bucket is used with") as error:
        credentials.choose("a", ("a", "b"), {"a", "b"}, revoke=["b"])
    assert error.value.parameter == "revoke_credentials"


@pytest.mark.parametrize(
    ("content", "record"),
    [
        (credentials.record(Record(("a", "b"), frozenset("b"))), Record(("a", "b"), frozenset("b"))),
        (None, Record()),
        (b"", Record()),
        (b"not JSON", Record()),
        (b"\xff", Record()),
        (b"[]", Record()),
        (b'{"access_keys": "a"}', Record()),
        (b'{"access_keys": ["a", 1]}', Record(("a",))),
        # What was not used with the bucket was not made for it.
        (b'{"access_keys": ["a"], "made": ["a", "b", 1, []]}', Record(("a",), frozenset("a"))),
        (b'{"access_keys": ["a"], "made": "a"}', Record(("a",))),
    ],
)
def test_what_a_bucket_remembers(content: bytes | None, record: Record) -> None:
    assert credentials.remembered(content) == record


def test_a_secret_is_not_shown() -> None:
    assert "swordfish" not in repr(Credential("a", "swordfish"))
