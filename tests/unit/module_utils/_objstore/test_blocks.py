# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._objstore import blocks
from ansible_collections.scs.observability.plugins.module_utils._objstore.blocks import Block
from tests.unit.module_utils._objstore.block_store import A, B, Bucket, C, D, meta


@pytest.mark.parametrize(
    ("labels", "cluster", "owner"),
    [
        ({"cluster": "shop-prod", "receive_replica": "thanos-receive-0"}, "shop-prod", "receive"),
        ({"cluster": "shop-prod"}, "shop-prod", "observer"),
        ({"observer": "one", "ruler_replica": "thanos-rule-0"}, "", "rule"),
        ({"observer": "one", "prometheus_replica": "prometheus-observer-0"}, "", "prometheus"),
        ({"observer": "one"}, "", "observer"),
        ({}, "", "observer"),
    ],
)
def test_whose_a_block_is(labels: dict[str, str], cluster: str, owner: str) -> None:
    block = blocks.read(A, meta(**labels))
    assert block is not None
    assert (block.cluster, block.owner) == (cluster, owner)


@pytest.mark.parametrize(
    ("deletion", "clusters"),
    [
        ({"matchers": [{"Type": 0, "Name": "cluster", "Value": "shop"}]}, {"shop"}),
        # Only some of its series, or those of some time, or of several clusters
        ({"matchers": [{"Type": 0, "Name": "cluster", "Value": "shop"}], "intervals": [{"mint": 0}]}, set()),
        ({"matchers": [{"Type": 0, "Name": "cluster", "Value": "shop"}, {"Type": 0, "Name": "job"}]}, set()),
        ({"matchers": [{"Type": 1, "Name": "cluster", "Value": "shop"}]}, set()),
        ({"matchers": [{"Type": 0, "Name": "tenant", "Value": "shop"}]}, set()),
        ({}, set()),
    ],
)
def test_of_which_clusters_series_were_taken_out(deletion: dict[str, Any], clusters: set[str]) -> None:
    description = json.loads(meta(observer="one"))
    description["compaction"] = {"sources": [B]}
    description["thanos"]["rewrites"] = [{"sources": [A], "deletions_applied": [deletion]}]
    block = blocks.read(B, json.dumps(description).encode())
    assert block is not None
    assert block.rewrites == {(cluster, frozenset([A])) for cluster in clusters}
    assert block.is_without("shop") is bool(clusters)


BEFORE = Block(A, {"observer": "one"}, 0, 7_200_000, sources=frozenset([A, B]))
AFTER = replace(BEFORE, ulid=C, sources=frozenset([C]), rewrites=frozenset([("shop", frozenset([A, B]))]))


@pytest.mark.parametrize(
    ("before", "cluster", "replaced"),
    [
        (BEFORE, "shop", True),
        (BEFORE, "shop-prod", False),
        (replace(BEFORE, sources=frozenset([A])), "shop", False),
        (replace(BEFORE, sources=frozenset()), "shop", False),
        # A downsampled block has the sources of what it was made of.
        (replace(BEFORE, resolution=300_000), "shop", False),
        (replace(BEFORE, max_time=3_600_000), "shop", False),
        (replace(BEFORE, labels={"observer": "two"}), "shop", False),
    ],
)
def test_what_a_block_was_before(before: Block, cluster: str, replaced: bool) -> None:
    assert AFTER.replaces(before, cluster) is replaced
    assert not AFTER.replaces(AFTER, cluster)


@pytest.mark.parametrize(("stats", "empty"), [({}, True), ({"numSeries": 0}, True), ({"numSeries": 2}, False)])
def test_a_block_without_series(stats: dict[str, int], empty: bool) -> None:
    block = blocks.read(A, json.dumps({**json.loads(meta()), "stats": stats}).encode())
    assert block is not None
    assert block.empty is empty
    # Nothing is known of one that does not say it.
    assert blocks.read(A, meta()) == replace(block, empty=False)


def test_the_compactor_is_told_to_leave_a_block_alone() -> None:
    store = Bucket({f"x/{A}/meta.json": meta()})
    for moment in (1.0, 2.0):
        blocks.keep_from_compactor(store, [A], "shop", moment, "x/")
    marks = {key: json.loads(store.content[key]) for key in store.content if key.endswith("-mark.json")}
    assert {key: mark["id"] for key, mark in marks.items()} == {
        f"x/{A}/no-compact-mark.json": A,
        f"x/{A}/no-downsample-mark.json": A,
    }
    assert marks[f"x/{A}/no-compact-mark.json"]["no_compact_time"] == 1
    assert marks[f"x/{A}/no-downsample-mark.json"]["no_downsample_time"] == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"no JSON", b'{"minTime": 0, "maxTime": 1, "thanos": []}'])
def test_what_is_no_description(content: bytes) -> None:
    assert blocks.read(A, content) is None


@pytest.mark.parametrize(
    ("name", "other"),
    [("shop", "shop-prod"), ("shop-prod", "shop"), ("shop", "Shop"), ("shop", "shop ")],
)
def test_only_the_very_name_counts(name: str, other: str) -> None:
    found = blocks.survey(Bucket({f"{A}/meta.json": meta(cluster=name), f"{B}/meta.json": meta(cluster=other)}))
    assert found.of(name) == (A,)


@pytest.mark.parametrize(
    ("resolution", "retention", "expires"),
    [
        (0, {0: 3600.0}, 7200 + 3600 + 100),
        (300_000, {0: 3600.0, 300_000: 7200.0}, 7200 + 7200 + 100),
        (3_600_000, {0: 3600.0}, None),
        (0, {0: 0.0}, None),
    ],
)
def test_when_a_block_expires(resolution: int, retention: dict[int, float], expires: float | None) -> None:
    assert Block(A, {}, 0, 7_200_000, resolution).expires(retention, 100.0) == expires


def test_what_is_marked_for_deletion_is_not_there_to_stay() -> None:
    keys = {f"x/{A}/meta.json": meta(), f"x/{A}/{blocks.MARK}": b"{}", f"x/{B}/meta.json": meta()}
    assert [block.ulid for block in blocks.survey(Bucket(keys), "x/").live] == [B]


def test_what_is_no_block_is_passed_over() -> None:
    keys = [f"{A}/index", f"{A}/chunks/000001", "debug/metas/x.json", "scs-observability/compactor.json", f"x{B}/index"]
    assert blocks.grouped(keys) == {A: (f"{A}/index", f"{A}/chunks/000001")}
    below = [f"site-1/{A}/index", f"site-2/{B}/index", f"{C}/index"]
    assert blocks.grouped(below, "site-1/") == {A: (f"site-1/{A}/index",)}


def test_a_survey_tells_whole_half_and_unreadable_ones_apart() -> None:
    found = blocks.survey(
        Bucket(
            {
                f"{A}/meta.json": meta(cluster="shop"),
                f"{A}/index": b"",
                # Interrupted after its description went
                f"{B}/chunks/000001": b"",
                f"{B}/deletion-mark.json": blocks.mark(B, "shop", 0),
                # Being uploaded by somebody, or left by him
                f"{C}/chunks/000001": b"",
                f"{D}/meta.json": b"broken",
            }
        )
    )
    assert found.of("shop") == (A, B)
    assert found.of("other") == ()
    assert found.unreadable == (D,)
    assert set(found.keys) == {A, B, C, D}


def test_a_mark_is_as_thanos_has_it() -> None:
    assert json.loads(blocks.mark(A, "shop", 1234.5)) == {
        "id": A,
        "version": 1,
        "details": "erased: cluster shop",
        "deletion_time": 1234,
    }


@pytest.mark.parametrize(
    ("before", "since", "whose"),
    [
        (None, 1000, "shop"),
        # The compactor's own: it stays as old as it is, and says whose the block is.
        ({"id": A, "version": 1, "details": "source of compacted block", "deletion_time": 400}, 400, "shop"),
        ({"id": A, "version": 1, "deletion_time": 5000}, 1000, "shop"),
        ({"id": A, "version": 1, "details": "erased: cluster shop", "deletion_time": 900}, 900, "shop"),
    ],
)
def test_marks_become_older_and_never_younger(before: dict[str, object] | None, since: float, whose: str) -> None:
    key = f"{A}/{blocks.MARK}"
    bucket = Bucket({key: json.dumps(before).encode()} if before else {})
    blocks.mark_all(bucket, [A], "shop", 1000.0)
    assert blocks.read_mark(bucket.content[key]) == (since, whose)


@pytest.mark.parametrize("prefix", ["", "site-1/"])
def test_a_block_goes_with_its_description_first_and_its_mark_last(prefix: str) -> None:
    names = ("chunks/000001", "deletion-mark.json", "index", "meta.json", "no-compact-mark.json")
    content = {f"{prefix}{ulid}/{name}": b"" for ulid in (A, B) for name in names}
    bucket = Bucket({**content, f"{prefix}{C}/meta.json": b""}, older={f"{prefix}{A}/index": "v1"})
    keys = blocks.grouped(content, prefix)
    blocks.remove(bucket, keys, prefix)
    order = [key.removeprefix(prefix).partition("/")[2] for key, version in bucket.deleted if version is None]
    assert order[:2] == ["meta.json"] * 2
    assert order[-2:] == ["deletion-mark.json"] * 2
    assert bucket.deleted[-1] == (f"{prefix}{A}/index", "v1")
    assert list(bucket.content) == [f"{prefix}{C}/meta.json"]
