# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus remote write 1.0 by hand: the few fields of its protobuf message, and Snappy that does not compress."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Sample(NamedTuple):
    """One sample of a series; ``labels`` include ``__name__``, ``timestamp`` is in milliseconds."""

    labels: Mapping[str, str]
    value: float
    timestamp: int


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def _time_series(sample: Sample) -> bytes:
    labels = b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(sample.labels.items())
    )
    # value: field 1, 64 bits; timestamp: field 2, varint
    return labels + field(2, b"\x09" + struct.pack("<d", sample.value) + b"\x10" + varint(sample.timestamp))


def message(samples: Iterable[Sample]) -> bytes:
    """A prometheus.WriteRequest, not yet compressed."""
    return b"".join(field(1, _time_series(sample)) for sample in samples)


def snappy(content: bytes) -> bytes:
    """Snappy's block format, in literals of up to 64 KiB."""
    blocks = [content[start : start + 65536] for start in range(0, len(content), 65536)]
    return varint(len(content)) + b"".join(
        bytes([61 << 2]) + struct.pack("<H", len(block) - 1) + block for block in blocks
    )


def body(samples: Iterable[Sample]) -> bytes:
    """The body of a request to write samples."""
    return snappy(message(samples))
