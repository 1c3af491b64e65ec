# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One compactor per bucket, on a real S3 server and beside the real compactor."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore import client as client_module
from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import (
    Claim,
    Claimed,
    Owner,
    Place,
    claim,
    place,
    release,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import objstore
from tests.integration.s3_server import BLOCK, S3Server, User

from .faults import faulty, refusal

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
OURS = Owner("uid-a", "monitoring", "compactor", "observer-a")
THEIRS = Owner("uid-b", "monitoring", "compactor", "observer-b")
RACERS = 6


def place_of(s3: S3Server, name: str, *, user: User | None = None, url: str | None = None, prefix: str = "") -> Place:
    who = user or s3.owner
    given = {**objstore(name, url or s3.url, ca=True), "prefix": prefix}
    found = place(given, who.access_key, who.secret_key, s3.ca.read_text(), {})
    assert found is not None
    return found


@pytest.fixture
def where(s3: S3Server, name: str) -> Place:
    s3.witness.create_bucket(Bucket=name)
    return place_of(s3, name)


class TestOne:
    def test_a_life(self, s3: S3Server, where: Place, name: str) -> None:
        assert claim(where, OURS, NOW, check_mode=True).claim == Claim(OURS, NOW, NOW)
        assert s3.content(name) == []

        claim(where, OURS, NOW)
        later = NOW + timedelta(hours=1)
        assert claim(where, OURS, later) == Claimed(Claim(OURS, NOW, later), before=Claim(OURS, NOW, NOW))
        text = s3.witness.get_object(Bucket=name, Key=where.key)["Body"].read()
        assert json.loads(text)["observer"] == "observer-a"
        assert s3.owner.secret_key not in text.decode()

        for check_mode in (True, False):
            with pytest.raises(StorageError) as error:
                claim(where, THEIRS, later, check_mode=check_mode)
            assert (error.value.code, error.value.parameter) == ("BucketClaimed", "take_over_bucket")
            assert "monitoring/compactor of observer-a (cluster uid-a), which a run saw 0 s ago" in str(error.value)
        assert release(where, THEIRS) is None

        assert release(where, OURS, check_mode=True) == Claim(OURS, NOW, later)
        assert release(where, OURS) == Claim(OURS, NOW, later)
        assert s3.content(name) == []
        assert claim(where, THEIRS, later).taken_over is None

    def test_taken_over(self, where: Place) -> None:
        claim(where, OURS, NOW)
        assert claim(where, THEIRS, NOW, take_over=True).taken_over == Claim(OURS, NOW, NOW)
        with pytest.raises(StorageError, match="observer-b"):
            claim(where, OURS, NOW)

    def test_in_a_bucket_with_versions_nothing_is_left(self, s3: S3Server, where: Place, name: str) -> None:
        s3.witness.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        for hours in range(3):
            claim(where, OURS, NOW + timedelta(hours=hours))
        assert s3.content(name) == [("version", where.key)]
        release(where, OURS)
        assert s3.content(name) == []

    def test_each_prefix_has_its_own(self, s3: S3Server, where: Place, name: str) -> None:
        claim(where, OURS, NOW)
        assert claim(place_of(s3, name, prefix="site-b"), THEIRS, NOW).taken_over is None


class TestRace:
    @pytest.mark.parametrize("held", [False, True], ids=["a free bucket", "take over"])
    def test_one_wins_and_the_others_know_who(self, where: Place, held: bool) -> None:
        """Whoever comes later may take it over again, but one has it in the end, and was told so."""
        if held:
            claim(where, THEIRS, NOW)
        start = threading.Barrier(RACERS)

        def race(number: int) -> Claimed | StorageError:
            start.wait()
            try:
                return claim(
                    where, Owner(f"uid-{number}", "monitoring", "compactor", f"racer-{number}"), NOW, take_over=held
                )
            except StorageError as error:
                return error

        with ThreadPoolExecutor(RACERS) as pool:
            results = list(pool.map(race, range(RACERS)))
        winners = [result for result in results if isinstance(result, Claimed)]
        refused = [result for result in results if isinstance(result, StorageError)]
        assert {error.code for error in refused} <= {"BucketClaimed"}
        holder = claim(where, OURS, NOW, take_over=True, check_mode=True).taken_over
        assert holder is not None
        assert holder.owner in [winner.claim.owner for winner in winners]
        if not held:
            assert len(winners) == 1
            assert holder.owner is not None
            assert all(holder.owner.observer in str(error) for error in refused)

    def test_a_store_without_conditional_writes(self, s3: S3Server, where: Place, name: str) -> None:
        with faulty(s3) as store:
            store.before = lambda asked: (
                refusal("NotImplemented", 501) if {"if-match", "if-none-match"} & asked.headers.keys() else None
            )
            there = place_of(s3, name, url=store.url)
            claim(there, OURS, NOW)
            claim(there, OURS, NOW)
            with pytest.raises(StorageError, match="observer-a"):
                claim(there, THEIRS, NOW)
            release(there, OURS)
        assert s3.content(name) == []


@pytest.mark.usefixtures("one_attempt")
class TestFailures:
    def test_no_bucket(self, s3: S3Server, name: str) -> None:
        with pytest.raises(StorageError, match="module bucket") as error:
            claim(place_of(s3, name), OURS, NOW)
        assert (error.value.code, error.value.parameter) == ("NoSuchBucket", "objstore")
        assert release(place_of(s3, name), OURS) is None

    def test_wrong_credentials(self, s3: S3Server, where: Place, name: str) -> None:
        wrong = User(s3.owner.access_key, "wrong")
        with pytest.raises(StorageError, match="Check objstore_access_key, objstore_secret_key") as error:
            claim(place_of(s3, name, user=wrong), OURS, NOW)
        assert error.value.parameter == "objstore_secret_key"

    def test_a_bucket_of_somebody_else(self, s3: S3Server, where: Place, name: str) -> None:
        with pytest.raises(StorageError) as error:
            claim(place_of(s3, name, user=s3.stranger), OURS, NOW)
        assert (error.value.code, error.value.parameter) == ("AccessDenied", "objstore_access_key")

    def test_the_controller_does_not_reach_the_store(
        self, name: str, s3: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.2)
        with pytest.raises(StorageError, match="cannot be resolved") as error:
            claim(place_of(s3, name, url="https://s3.invalid"), OURS, NOW)
        assert error.value.parameter == "objstore"


@pytest.mark.parametrize(
    "arguments",
    [["tools", "bucket", "cleanup"], ["tools", "bucket", "verify"], ["compact", "--data-dir={folder}"]],
    ids=lambda arguments: arguments[-1],
)
def test_thanos_passes_over_it(s3: S3Server, where: Place, name: str, tmp_path: Any, arguments: list[str]) -> None:
    claim(where, OURS, NOW)
    given = objstore(name, s3.url, ca=True)
    done = s3.thanos(given, s3.owner, *(argument.format(folder=tmp_path) for argument in arguments))
    assert done.returncode == 0, done.stderr
    assert claim(where, OURS, NOW).claim.since == NOW
    s3.put_block(name)
    assert s3.blocks(given, s3.owner) == [BLOCK]
