# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_compact, thanos_component
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._objstore.blocks import MARK, Block, Survey
from ansible_collections.scs.observability.plugins.module_utils._registration import rewriting
from tests.hardening import of_container

HOUR = 3_600_000
FIVE_MINUTES, ONE_HOUR = 300_000, 3_600_000
OWN = {"observer": "one", "prometheus_replica": "prometheus-observer-0"}


def block(name: str, *sources: str, hours: int = 2, resolution: int = 0, **more: Any) -> Block:
    return Block(name, OWN, 0, hours * HOUR, resolution, sources=frozenset(sources or (name,)), **more)


def without(name: str, cluster: str, *sources: str, hours: int = 2, **more: Any) -> Block:
    """What the tool makes of a block with these sources."""
    return block(name, name, hours=hours, rewrites=frozenset({(cluster, frozenset(sources))}), **more)


RAW = block("raw", "a", "b", hours=48)
NEW = without("new", "shop", "a", "b", hours=48)
COARSE = block("coarse", "a", "b", hours=48, resolution=FIVE_MINUTES)
COARSER = block("coarser", "a", "b", hours=48, resolution=ONE_HOUR)


@pytest.mark.parametrize(
    ("having", "others", "downsampling", "outcome"),
    [
        ([], [], True, {}),
        ([RAW], [], True, {"to_rewrite": "raw"}),
        ([RAW], [NEW], True, {"replaced": "raw"}),
        # A coarser one hides it from queries.
        ([], [RAW, NEW], True, {"replaced": "raw"}),
        # Of another cluster, or of another block
        ([RAW], [without("new", "bank", "a", "b", hours=48)], True, {"to_rewrite": "raw"}),
        ([RAW], [without("new", "shop", "a", hours=48)], True, {"to_rewrite": "raw"}),
        # What store gateways say of it is about the one that it replaces.
        ([RAW, NEW], [], True, {"replaced": "raw"}),
        # The compactor makes it anew, of what was rewritten.
        ([RAW, COARSE], [], True, {"to_rewrite": "raw", "derived": "coarse"}),
        ([RAW, COARSE], [NEW], True, {"replaced": "raw coarse"}),
        # Also when the one that was rewritten went before
        ([COARSE], [NEW], True, {"replaced": "coarse"}),
        # It does not any more, or not of so short a block.
        ([RAW, COARSE], [], False, {"to_rewrite": "raw", "kept": "coarse"}),
        ([RAW, COARSER], [NEW], True, {"replaced": "raw", "kept": "coarser"}),
        ([COARSE], [], True, {"kept": "coarse"}),
        ([COARSE], [block("raw", "a", hours=48)], True, {"kept": "coarse"}),
        ([COARSE], [block("raw", "a", "b", hours=39)], True, {"kept": "coarse"}),
        # All of it has to be rewritten first.
        (
            [RAW, block("more", "c", hours=48), block("long", "a", "b", "c", hours=96, resolution=FIVE_MINUTES)],
            [NEW],
            True,
            {"to_rewrite": "more", "replaced": "raw", "derived": "long"},
        ),
        # One without a description of where it came from
        ([Block("old", OWN, 0, 48 * HOUR, FIVE_MINUTES)], [RAW], True, {"kept": "old"}),
        # Nothing but this cluster was in it.
        ([RAW], [without("new", "shop", "a", "b", hours=48, empty=True)], True, {"replaced": "raw new"}),
        ([], [without("new", "bank", "a", empty=True)], True, {}),
    ],
)
def test_what_becomes_of_blocks(
    having: Sequence[Block], others: Sequence[Block], downsampling: bool, outcome: dict[str, str]
) -> None:
    found = rewriting.sort_out(having, survey([*having, *others]), "shop", downsampling=downsampling)
    assert told(found) == outcome


def survey(live: Sequence[Block], marked: Sequence[Block] = ()) -> Survey:
    keys = {block.ulid: (f"{block.ulid}/meta.json",) for block in live}
    keys |= {block.ulid: (f"{block.ulid}/meta.json", f"{block.ulid}/{MARK}") for block in marked}
    return Survey({block.ulid: block for block in (*live, *marked)}, keys)


def told(found: rewriting.Recorded) -> dict[str, str]:
    return {what: " ".join(item.ulid for item in items) for what, items in vars(found).items() if items}


@pytest.mark.parametrize(
    ("live", "outcome"),
    [
        # The compactor has joined it with others, of which one has the series, too.
        ([COARSE, block("joined", "a", "b", "c", hours=96)], {"derived": "coarse", "to_rewrite": "joined"}),
        # It has expired, so nothing is made of it any more.
        ([COARSE], {"kept": "coarse"}),
    ],
)
def test_what_is_marked_for_deletion_is_as_good_as_gone(live: Sequence[Block], outcome: dict[str, str]) -> None:
    found = rewriting.sort_out([RAW, *live], survey(live, [RAW]), "shop", downsampling=True)
    assert told(found) == {"replaced": "raw", **outcome}


def test_what_replaces_a_block_may_have_been_joined_with_others_since() -> None:
    joined = block("joined", "new", "c", hours=96)
    found = survey([RAW, COARSE, joined], [NEW])
    assert told(rewriting.sort_out([RAW, COARSE], found, "shop", downsampling=True)) == {"replaced": "raw coarse"}
    # Or has expired
    found, expected = survey([RAW, COARSE], [NEW]), {"replaced": "raw", "kept": "coarse"}
    assert told(rewriting.sort_out([RAW, COARSE], found, "shop", downsampling=True)) == expected


def test_what_was_marked_for_its_replacement_goes() -> None:
    """Store gateways do not serve it any more."""
    assert told(rewriting.sort_out([], survey([NEW], [RAW]), "shop", downsampling=True)) == {"replaced": "raw"}


def compactor() -> dict[str, Any]:
    settings = Settings("thanos-compact", "observer", objstore=True)
    found = thanos_component.objects(thanos_compact.COMPONENT, settings)
    [item] = [item for item in found if item["kind"] == "StatefulSet"]
    return item


def test_the_init_container_may_nothing_and_has_what_the_compactor_has() -> None:
    made, own = rewriting.rewriter(compactor(), "shop", ["A"], 0.0), compactor()["spec"]["template"]["spec"]
    assert not list(of_container(made, {"runAsUser": thanos_component.USER}))
    [container] = own["containers"]
    assert (made["image"], made["resources"]) == (container["image"], container["resources"])
    assert {mount["name"] for mount in made["volumeMounts"]} == {"data", "objstore"}


@pytest.fixture
def thanos(tmp_path: Path) -> Path:
    """A program that notes what it is asked for, and fails for the block B."""
    program = tmp_path / "bin" / "thanos"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncase "$*" in *--id=B*) exit 2;; esac\n')
    program.chmod(0o755)
    return tmp_path


def run(folder: Path, name: str, now: float) -> str:
    """Run the init container's script as if the folder were the compactor's volume."""
    made = rewriting.rewriter(compactor(), name, ["A", "B", "C"], now)
    command = [part.replace(thanos_compact.DATA_PATH, str(folder)) for part in made["command"]]
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert not done.stderr
    return done.stdout


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []


def test_each_block_is_rewritten_whatever_became_of_another(thanos: Path) -> None:
    assert run(thanos, "shop", 4e9) == "not rewritten: B\n"
    assert [line.partition("--id=")[2][0] for line in asked(thanos)] == ["A", "B", "C"]
    assert """--rewrite.to-delete-config=[{"matchers": "{cluster=\\"shop\\"}"}] """ in asked(thanos)[0]
    # A pod that starts again does nothing twice.
    assert run(thanos, "shop", 4e9) == ""
    assert len(asked(thanos)) == 3
    run(thanos, "shop", 4e9 + 60)
    assert len(asked(thanos)) == 6
    assert len(list(thanos.glob(".rewrite-*"))) == 1


def test_an_init_container_that_was_left_there_does_nothing_later(thanos: Path) -> None:
    run(thanos, "shop", 1.7e9)
    assert asked(thanos) == []
