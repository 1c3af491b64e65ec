# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a registered IaaS Prometheus, by what is known of its paths and certificates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.scs.observability.plugins.filter.iaas_table import iaas_table
from ansible_collections.scs.observability.plugins.module_utils._iaas.overview import assess, describe
from ansible_collections.scs.observability.plugins.module_utils._iaas.proof import Finding
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import IaasRegistration, PathProof, Proof
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Certificate

NOW = datetime(2026, 2, 1, 10, tzinfo=UTC)
TIME = NOW.timestamp()


def expiring(**left: float) -> Certificate:
    return Certificate("f" * 64, (NOW + timedelta(**left)).strftime("%Y-%m-%dT%H:%M:%SZ"))


NORTH = IaasRegistration(
    "north-1",
    "north",
    pull_address="192.0.2.10:10901",
    upload=True,
    remote_write=True,
    sidecar=expiring(days=60),
    certificate=expiring(days=50),
    proof=Proof("2026-01-01T10:00:00Z"),
)
READ = Finding("proven", newest=TIME - 12)
BROKEN = Finding("missing", "was not reached", "tcp")
UNASKED = Finding("missing", "did not answer", "query")
WAITS = Finding("pending", "no block yet")
UPLOADED = Proof("2026-01-01T10:00:00Z", {"upload": PathProof("proven")})


@pytest.mark.parametrize(
    ("changes", "paths", "state", "healthy", "reason"),
    [
        ({}, (READ, READ, READ), "ok", True, "read by every path"),
        ({}, (READ, WAITS, READ), "pending", True, "upload: no block yet"),
        ({"proof": UPLOADED}, (READ, WAITS, READ), "failing", False, "upload: no block yet"),
        ({}, (BROKEN, READ, READ), "failing", False, "pull: was not reached"),
        ({}, (BROKEN, WAITS, BROKEN), "silent", False, "pull: was not reached; remote_write: was not reached"),
        ({}, (UNASKED, UNASKED, UNASKED), "unknown", False, "did not answer"),
        ({}, None, "unknown", False, "the query API did not tell"),
        ({"proof": None}, (BROKEN, BROKEN, BROKEN), "unproven", True, "not read back yet"),
        ({"proof": None}, None, "unproven", True, "not read back yet"),
        ({"certificate": expiring(days=17)}, (READ, READ, READ), "due", True, "for remote_write is due"),
        ({"certificate": expiring(days=17)}, (READ, READ, BROKEN), "failing", False, "was not reached"),
        ({"sidecar": expiring(seconds=0)}, (BROKEN, READ, READ), "expired", False, "for sidecar has expired"),
        ({"sidecar": expiring(seconds=-1), "proof": None}, None, "expired", False, "for sidecar has expired"),
    ],
)
def test_who_has_to_act(
    changes: dict[str, object], paths: tuple[Finding, ...] | None, state: str, healthy: bool, reason: str
) -> None:
    found = None if paths is None else dict(zip(("pull", "upload", "remote_write"), paths, strict=True))
    health = assess(replace(NORTH, **changes), found, TIME)  # type: ignore[arg-type]
    assert (health.state, health.healthy) == (state, healthy)
    assert reason in health.reason


def test_rows_and_their_table() -> None:
    new = IaasRegistration("alpha", "south", remote_write=True)
    found = {"north-1": {"pull": READ, "upload": WAITS, "remote_write": BROKEN}, "alpha": {"remote_write": BROKEN}}
    first, second = describe([NORTH, new], found, TIME)
    assert (first["name"], first["last_sample_age_seconds"], first["certificate_expires"]) == ("alpha", None, None)
    assert first["paths"] == [{"path": "remote_write", "state": "missing", "message": "was not reached"}]
    assert (second["last_sample_age_seconds"], second["certificate_expires"]) == (12.0, "2026-03-23T10:00:00Z")
    assert (second["last_proof"], second["pull_address"]) == ("2026-01-01T10:00:00Z", "192.0.2.10:10901")
    assert iaas_table([first, second]).splitlines()[1:] == [
        "alpha    south   remote_write                never        -                     unproven  "
        "registered, and not read back yet",
        "north-1  north   pull, upload, remote_write  12s          2026-03-23T10:00:00Z  FAILING   "
        "remote_write: was not reached",
    ]
    (unknown,) = describe([NORTH], None, TIME)
    assert [item["state"] for item in unknown["paths"]] == ["unknown"] * 3
    assert iaas_table([]) == "no Prometheus of the IaaS layer is registered"
