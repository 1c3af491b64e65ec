# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real compactor tells of itself, while it works and once it has halted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from ansible_collections.scs.observability.plugins.module_utils._observer.components import Facts, describe
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.thanos.pods import wait_for

# Older than what the compactor leaves alone because it may still be uploaded.
BLOCKS = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW")
NOTICED = 30.0


def block(name: str) -> dict[str, Any]:
    """The description of a block, which is all that the compactor looks at before it compacts."""
    return {
        **{"version": 1, "ulid": name, "minTime": 0, "maxTime": 7200000},
        "stats": {"numSamples": 1, "numSeries": 1, "numChunks": 1},
        "compaction": {"level": 1, "sources": [name]},
        "thanos": {"version": 1, "labels": {"cluster": "kaas-1"}, "downsample": {"resolution": 0}, "source": "receive"},
    }


@contextmanager
def compactor(folder: Path, blocks: Sequence[str] = ()) -> Iterator[int]:
    """A compactor of a bucket that is a folder; yields its port."""
    bucket, port, log = folder / "bucket", free_port(), folder / "log"
    bucket.mkdir()
    for name in blocks:
        (bucket / name).mkdir()
        (bucket / name / "meta.json").write_text(json.dumps(block(name)))
    arguments = [
        *("compact", "--wait", "--wait-interval=1s", "--compact.progress-interval=1s"),
        f"--data-dir={folder / 'data'}",
        f"--objstore.config={json.dumps({'type': 'FILESYSTEM', 'config': {'directory': str(bucket)}})}",
        f"--http-address=127.0.0.1:{port}",
    ]
    with process("thanos", arguments, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
        yield port
        # One that has halted does not end when it is asked to.
        running.kill()


def told(port: int) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "thanos", "app.kubernetes.io/component": "compact"}
    workload = {
        "kind": "StatefulSet",
        "metadata": {"name": "thanos-compact", "labels": labels},
        "spec": {"template": {"spec": {"containers": [{"image": "thanos"}]}}},
        "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1},
    }
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        body = answer.read()
    rows = describe([Facts(workload, metrics={"thanos-compact-0": body})], datetime.now(UTC))
    return next(row for row in rows if row["name"] == "thanos-compact")


def test_a_compactor_that_works_tells_its_progress(tmp_path: Path) -> None:
    with compactor(tmp_path) as port:
        wait_for(lambda: told(port)["compaction"]["iterations"] > 1, NOTICED, "two iterations")
        wait_for(lambda: told(port)["compaction"]["todo"], NOTICED, "what is left to do is counted")
        row = told(port)
    assert (row["state"], row["error"], row["compaction"]["halted"]) == ("ok", None, False)
    assert row["compaction"]["todo"] == dict.fromkeys(
        ("compactions", "compaction_blocks", "downsample_blocks", "deletion_blocks"), 0
    )


def test_a_compactor_that_finds_blocks_that_overlap_has_halted_and_stays_ready(tmp_path: Path) -> None:
    with compactor(tmp_path, BLOCKS) as port:
        wait_for(lambda: told(port)["state"] == "halted", NOTICED, "it halts")
        row = told(port)
        assert answers(f"http://127.0.0.1:{port}/-/ready"), "or Kubernetes would tell"
    assert row["healthy"] is False
    assert row["compaction"]["iterations"] == 0
