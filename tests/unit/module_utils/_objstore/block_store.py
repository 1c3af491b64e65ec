# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket with blocks, in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Stored, Version

A, B, C, D = (f"01HZZZZZZZZZZZZZZZZZZZZZZ{letter}" for letter in "ABCD")


def meta(resolution: int = 0, **labels: str) -> bytes:
    thanos = {"labels": labels, "downsample": {"resolution": resolution}, "source": "receive"}
    return json.dumps({"ulid": "any", "minTime": 0, "maxTime": 7_200_000, "thanos": thanos}).encode()


@dataclass
class Bucket:
    """A store in memory; ``deleted`` are keys in the order in which they went, of each a version where it has some."""

    content: dict[str, bytes]
    older: dict[str, str] = field(default_factory=dict)
    deleted: list[tuple[str, str | None]] = field(default_factory=list)

    def find(self, key: str) -> Stored | None:
        return Stored(self.content[key], "etag") if key in self.content else None

    def objects(self, prefix: str = "") -> Iterator[Version]:
        yield from [Version(key) for key in self.content if key.startswith(prefix)]

    def versions(self, prefix: str = "") -> Iterator[Version]:
        yield from [Version(key, version) for key, version in self.older.items() if key.startswith(prefix)]

    def delete_all(self, which: Iterable[Version]) -> int:
        which = list(which)
        self.deleted += [(item.key, item.version) for item in which]
        for item in which:
            self.content.pop(item.key, None)
        return len(which)

    def put(self, key: str, content: bytes) -> str | None:
        self.content[key] = content
        return None
