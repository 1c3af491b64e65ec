# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer itself recorded about a cluster goes out of its blocks, which hold everybody's. Pure.

Thanos has a tool that makes another block of one, without some series. It must not work beside the compactor, which
would join both and bring back what was taken out; so it works in the compactor's pod before that starts, as an init
container. A block goes when the one without the series is there.

The tool cannot read downsampled blocks. They go, and the compactor makes them anew of what was rewritten, where that is
still there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_compact, workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import OBJSTORE_PATH
from ansible_collections.scs.observability.plugins.module_utils._objstore.blocks import (
    CLUSTER_LABEL,
    Block,
    Survey,
    summary,
)

Manifest = dict[str, Any]

_HOUR = 3_600_000
# How long a block has to be for the compactor to make one of this resolution of it
_DOWNSAMPLED_FROM = {300_000: 40 * _HOUR, 3_600_000: 240 * _HOUR}
# An init container that is left there must not work on what comes later.
_VALID_SECONDS = 24 * 3600
# Once, whatever comes of it: the compactor has to start, and whoever asked for it sees in the bucket how far it got.
_SCRIPT = """[ "$(date +%s)" -lt "$1" ] && [ ! -e "$2.$1" ] || exit 0
rm -f "$2".* && : > "$2.$1" || exit 0
folder=$3 deletions=$4; shift 4
for id in "$@"; do
  thanos tools bucket rewrite --id="$id" --objstore.config-file=OBJSTORE/objstore.yml --tmp.dir="$folder" \\
    --rewrite.to-delete-config="$deletions" --no-rewrite.add-change-log --no-dry-run || echo "not rewritten: $id"
done
rm -rf "$folder"
""".replace("OBJSTORE", OBJSTORE_PATH)


@dataclass(frozen=True)
class Recorded:
    """Blocks of the observer itself that have series of a cluster: those ``to_rewrite``, those that are ``replaced`` by
    blocks without them, those that wait for that (``derived``), and those that can only expire (``kept``).
    """

    to_rewrite: tuple[Block, ...] = ()
    replaced: tuple[Block, ...] = ()
    derived: tuple[Block, ...] = ()
    kept: tuple[Block, ...] = ()

    @property
    def plan(self) -> Plan:
        """What becomes of them, as changes."""
        return Plan(
            (
                *(_change("update", block) for block in self.to_rewrite),
                *(_change("delete", block) for block in (*self.replaced, *self.derived)),
            )
        )


def _change(action: Any, block: Block) -> Change:
    after = {} if action == "delete" else {**summary(block), "rewritten": True}
    return Change(action, "Block", block.ulid, before=summary(block), after=after, api_version="S3")


def sort_out(having: Sequence[Block], survey: Survey, cluster: str, *, downsampling: bool) -> Recorded:
    """Say what becomes of the blocks that have series of a cluster, by what else is in the bucket.

    ``downsampling`` tells whether the compactor makes blocks of coarser resolutions.
    """
    live = survey.live
    raw = [block for block in survey.blocks.values() if not (block.cluster or block.resolution)]
    mine = [block for block in having if not block.is_without(cluster) and block in live]
    # What the compactor has joined with others since, or what has expired, is served for a while.
    replaced = [block for block in having if block not in live]
    # Also those that are marked, or of which queries see one of a coarser resolution. What replaces them may have been
    # joined with others since.
    replaced += [
        block for block in raw if block not in replaced and any(other.replaces(block, cluster) for other in raw)
    ]
    to_rewrite = [block for block in mine if not block.resolution and block not in replaced]
    derived, kept, staying = [], [], [block for block in raw if block in live and block not in replaced]
    for block in mine:
        if not block.resolution:
            continue
        if not (downsampling and block.sources and block.sources <= _downsampled(raw, staying, block.resolution)):
            kept.append(block)
        elif any(block.sources & other.sources for other in to_rewrite):
            derived.append(block)
        else:
            replaced.append(block)
    # What has nothing but the cluster leaves a block of nothing.
    replaced += [block for block in raw if block.empty and block.is_without(cluster) and block in live]
    return Recorded(tuple(to_rewrite), tuple(replaced), tuple(derived), tuple(kept))


def _downsampled(raw: Sequence[Block], staying: Sequence[Block], resolution: int) -> frozenset[str]:
    """The sources of which the compactor makes blocks of a resolution, also by the names that they had before they were
    rewritten.
    """
    shortest = _DOWNSAMPLED_FROM.get(resolution, float("inf"))
    found: set[str] = set()
    for block in staying:
        if block.max_time - block.min_time >= shortest:
            found |= block.sources
    for block in raw:
        if block.sources <= found:
            found |= {source for _cluster, sources in block.rewrites for source in sources}
    return frozenset(found)


def rewriter(compactor: Manifest, cluster: str, blocks: Iterable[str], now: float) -> Manifest:
    """The init container of a compactor that makes blocks without a cluster's series of these."""
    template = compactor["spec"]["template"]["spec"]["containers"][0]
    name, folder = rewriter_name(cluster), thanos_compact.DATA_PATH
    deletions = json.dumps([{"matchers": f'{{{CLUSTER_LABEL}="{cluster}"}}'}])
    until = str(int(now) + _VALID_SECONDS)
    return workload.container(
        name,
        template["image"],
        command=["sh", "-c", _SCRIPT, name, until, f"{folder}/.{name}", f"{folder}/rewrite", deletions, *blocks],
        mounts=[mount for mount in template["volumeMounts"] if mount["mountPath"] in (folder, OBJSTORE_PATH)],
        # It never runs beside the compactor.
        resources=template.get("resources"),
    )


def rewriter_name(cluster: str) -> str:
    # A cluster's name may be as long as a container's.
    return f"rewrite-{hashlib.sha256(cluster.encode()).hexdigest()[:16]}"
