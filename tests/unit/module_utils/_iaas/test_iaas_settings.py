# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of a registration before anything is looked at, and what it means between object and code."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, InputErrors
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import (
    IaasRegistration,
    PathProof,
    Proof,
    refuse_taken,
)
from ansible_collections.scs.observability.plugins.module_utils._iaas.settings import Settings
from ansible_collections.scs.observability.plugins.module_utils._manifests import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    PreviousCertificate,
)

URL = "https://metrics.example.org/api/v1/receive"
GOOD = {"name": "north-1", "region": "north", "pull_address": "192.0.2.10:10901"}


def read(**changes: Any) -> Settings:
    return Settings.of({**GOOD, **changes})


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({}, ("pull",)),
        ({"pull_address": "control-1.example.org:10901"}, ("pull",)),
        ({"pull_address": "[2001:db8::1]:10901"}, ("pull",)),
        ({"upload": True}, ("pull", "upload")),
        ({"pull_address": None, "upload": True}, ("upload",)),
        ({"pull_address": None, "remote_write": True, "remote_write_url": URL}, ("remote_write",)),
        ({"upload": True, "remote_write": True, "remote_write_url": URL}, ("pull", "upload", "remote_write")),
    ],
)
def test_paths_in_any_combination(changes: dict[str, Any], paths: tuple[str, ...]) -> None:
    assert read(**changes).registration.paths == paths


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"name": ""}, "name"),
        ({"name": "North"}, "name"),
        ({"name": "n" * 51}, "name"),
        ({"region": None}, "region"),
        ({"region": 'n"}'}, "region"),
        ({"region": "-north"}, "region"),
        ({"pull_address": "192.0.2.10"}, "pull_address"),
        ({"pull_address": "https://192.0.2.10:10901"}, "pull_address"),
        ({"pull_address": "dns+control:10901"}, "pull_address"),
        ({"pull_address": "control:70000"}, "pull_address"),
        ({"pull_address": None}, "pull_address"),
        ({"remote_write": True}, "remote_write_url"),
        ({"remote_write": True, "remote_write_url": "http://metrics.example.org"}, "remote_write_url"),
        ({"remote_write_ca": "no certificate"}, "remote_write_ca"),
        ({"namespace": "A"}, "namespace"),
        ({"proof_timeout": 0}, "proof_timeout"),
    ],
)
def test_what_cannot_work_is_named(changes: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InputError) as caught:
        read(**changes)
    assert caught.value.parameter == parameter


def test_all_of_it_is_told_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        read(name="-", region="", pull_address="x", remote_write=True)
    assert [error.parameter for error in caught.value.errors] == ["name", "region", "pull_address", "remote_write_url"]


FULL = IaasRegistration(
    name="north-1",
    region="north",
    observer="observer",
    pull_address="192.0.2.10:10901",
    upload=True,
    remote_write=True,
    sidecar=Certificate("a" * 64, "2027-01-01T00:00:00Z"),
    certificate=Certificate("b" * 64, "2027-02-01T00:00:00Z"),
    previous_certificate=PreviousCertificate("c" * 64, "2026-11-01T00:00:00Z"),
    proof=Proof(
        "2026-11-26T09:00:00Z",
        {"pull": PathProof("proven"), "upload": PathProof("pending", "no block"), "remote_write": PathProof("proven")},
    ),
)


@pytest.mark.parametrize(
    "registration",
    [FULL, IaasRegistration("south", "south", "observer", upload=True)],
    ids=["full", "bare"],
)
def test_an_object_says_what_was_registered(registration: IaasRegistration) -> None:
    live = {**registration.manifest(), "status": registration.status_manifest()["status"]}
    assert IaasRegistration.of(live) == registration


def test_the_gateway_takes_it_as_any_other_registration() -> None:
    assert remote_write_clients.entry(FULL) == f"active {'b' * 64} {'c' * 64}"
    assert remote_write_clients.entry(IaasRegistration("south", "south", upload=True)) is None


def test_an_address_and_a_name_are_of_one() -> None:
    wanted = IaasRegistration("north-1", "north", "observer", pull_address="192.0.2.10:10901")
    others = [IaasRegistration("south", "south", "observer", pull_address="192.0.2.20:10901")]
    assert refuse_taken(wanted, others) is None
    assert refuse_taken(wanted, [*others, FULL]) is FULL
    with pytest.raises(InputError, match="'north-2'") as caught:
        refuse_taken(wanted, [IaasRegistration("north-2", "north", "observer", pull_address="192.0.2.10:10901")])
    assert caught.value.parameter == "pull_address"
    # Behind another observer's network it may be another host.
    assert refuse_taken(wanted, [IaasRegistration("o", "north", "elsewhere", pull_address=wanted.pull_address)]) is None
    with pytest.raises(InputError, match="'elsewhere'") as caught:
        refuse_taken(wanted, [IaasRegistration("north-1", "north", "elsewhere", upload=True)])
    assert caught.value.parameter == "namespace"
