# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import pytest

from tests import open_ports as program


def listening(stack: ExitStack) -> int:
    server = stack.enter_context(socket.socket())
    server.bind(("127.0.0.1", 0))
    server.listen(128)
    port: int = server.getsockname()[1]
    return port


def test_open_ports_are_found_and_closed_ones_are_not() -> None:
    with ExitStack() as stack:
        one, two = sorted((listening(stack), listening(stack)))
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        closed = bound.getsockname()[1]
        found = asyncio.run(program.open_ports("127.0.0.1", sorted([one, two, closed]), at_once=2))
    assert found == [one, two]


@pytest.mark.parametrize(
    ("found", "expected", "told"),
    [
        ([22, 6443], [6443, 22], []),
        ([22, 8080], [22], ["8080 is open, which nobody asked for"]),
        ([], [30443], ["30443 is not open, although it should be"]),
    ],
)
def test_more_and_less_than_was_asked_for_are_both_wrong(
    found: list[int], expected: list[int], told: list[str]
) -> None:
    assert program.differences(found, expected) == told


def test_machines_of_others_are_not_asked() -> None:
    with pytest.raises(SystemExit):
        program.main(["93.184.215.14", "22:ssh"])
