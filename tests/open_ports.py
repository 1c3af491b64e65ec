# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connect to every TCP port of a node, and fail when others are open than those that are expected, or fewer.

open_ports.py ADDRESS PORT:WHY...

ADDRESS is loopback or private: this is for nodes of the lab. WHY is printed with what is open. Standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import socket
import sys
from collections.abc import Iterable, Sequence

ALL = range(1, 65536)
AT_ONCE = 400
# A port that is not open refuses at once; silence is a filter's, and as good as closed.
TIMEOUT = 2.0
TIMES = 3


async def open_ports(address: str, ports: Iterable[int] = ALL, *, at_once: int = AT_ONCE) -> list[int]:
    """Return the ports that accept connections."""
    waiting, found = iter(ports), []

    async def work() -> None:
        for port in waiting:
            if await is_open(address, port):
                found.append(port)

    await asyncio.gather(*(work() for _number in range(at_once)))
    return sorted(found)


async def is_open(address: str, port: int) -> bool:
    """Tell whether a port accepts; TIMES times, because a machine can meet itself on a port that it just took."""
    for _attempt in range(TIMES):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
            client.setblocking(False)
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(client, (address, port)), TIMEOUT)
            except OSError:
                return False
            if client.getsockname()[:2] != client.getpeername()[:2]:
                return True
    return False


def differences(found: Iterable[int], expected: Iterable[int]) -> list[str]:
    """One text per port that is open and should not be, or the other way round."""
    found, expected = set(found), set(expected)
    more = [f"{port} is open, which nobody asked for" for port in sorted(found - expected)]
    return more + [f"{port} is not open, although it should be" for port in sorted(expected - found)]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", type=ipaddress.ip_address)
    parser.add_argument("expected", nargs="*", metavar="PORT:WHY")
    options = parser.parse_args(arguments)
    if not options.address.is_private:
        parser.error(f"{options.address} is neither loopback nor private: this is for nodes of the lab")
    reasons = {int(port): why for port, _colon, why in (item.partition(":") for item in options.expected)}
    found = asyncio.run(open_ports(str(options.address)))
    for port in found:
        print(f"{port:>5}  {reasons.get(port, '?')}")
    wrong = differences(found, reasons)
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
