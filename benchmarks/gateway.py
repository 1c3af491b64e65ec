# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon a cluster that is revoked is refused, and what it costs to look each certificate up.

Two gateways (HAProxy in the lab's image) beside a real API server, on this machine; receive is left out: the gateways
answer themselves, so what the look-up costs is not hidden by what receive costs. The peer is the same HAProxy with the
same configuration but for the look-up.

PYTHONPATH=.:.build/collections python benchmarks/gateway.py
"""

from __future__ import annotations

import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import bounds
from bounds import Bound
from urllib3 import HTTPSConnectionPool

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import KeyPair
from ansible_collections.scs.observability.plugins.module_utils._manifests import remote_write_clients
from tests.integration import remote_write
from tests.integration.api_server import running_api_server
from tests.integration.remote_write import Sample
from tests.integration.thanos.clients import Clients
from tests.integration.thanos.conftest import NAMESPACE, Identities
from tests.integration.thanos.pods import Node, Pod
from tests.integration.thanos.test_gateway_clients import PATH, SOON, Doors, seconds_until

CLUSTERS = 1000
THREADS = 4
REQUESTS = 4000
ROUNDS = 5
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def answering(doors: Doors, *, looks_up: bool = True) -> Iterator[Pod]:
    """A gateway that answers in receive's place."""
    with doors.another(quick=False) as pod:
        pod.stop()
        path = pod.folder / "configuration" / "haproxy.cfg"
        text = path.read_text().replace("    default_backend receive\n", "    http-request return status 200\n")
        if not looks_up:
            text = re.sub(r".*set-var\(txn\.client\).*\n", "", text)
            text = re.sub(r"(set-var\(txn\.tenant\)) .*", r"\1 ssl_c_s_dn(cn)", text)
            text = re.sub(
                r".*http-request return status 503 .*(not known yet|not registered yet|suspended).*\n", "", text
            )
            text = re.sub(r".*http-request return status 403 .*\n", "", text)
        # What is measured is not to be limited.
        text = re.sub(r".*return status 429 .*\n", "", text)
        path.write_text(text)
        pod.start()
        yield pod


def cpu_seconds(pod: Pod) -> float:
    """What the processes of a gateway have used, wherever they run."""
    path, total = str(pod.folder / "configuration" / "haproxy.cfg").encode(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"haproxy") and path in words:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / TICKS


def load(doors: Doors, pod: Pod, certificate: KeyPair, body: bytes) -> float:
    """Send requests over kept connections; return the microseconds of the gateway's processor for each."""
    pools = [doors.pools(certificate, pod)[0] for _number in range(THREADS)]

    def send(pool: HTTPSConnectionPool) -> None:
        for _number in range(REQUESTS // THREADS):
            response = pool.request("POST", PATH, body=body, headers=remote_write.HEADERS)
            if response.status != 200:
                sys.exit(f"the gateway answers {response.status}: {response.data!r}")

    before = cpu_seconds(pod)
    with ThreadPoolExecutor(THREADS) as executor:
        list(executor.map(send, pools))
    return (cpu_seconds(pod) - before) / REQUESTS * 1e6


def revocations(doors: Doors, pods: list[Pod], rounds: int) -> list[float]:
    certificate = doors.certificate("kaas-leaving")
    pools = doors.pools(certificate, *pods)
    found = []
    for _number in range(rounds):
        doors.admit("kaas-leaving", certificate)
        seconds_until(pools, 200)
        # Not always at the same moment between two looks
        time.sleep(random.uniform(0, remote_write_clients.INTERVAL))
        start = time.monotonic()
        doors.clients.write("kaas-leaving", None)
        seconds_until(pools, 403)
        found.append(time.monotonic() - start)
    return found


def main(rounds: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("api", "identities", "doors"):
            (folder / name).mkdir()
        server = stack.enter_context(running_api_server(folder / "api"))
        clients = Clients(server, NAMESPACE)
        doors = Doors(Identities(folder / "identities", datetime.now(UTC)), clients, Node(folder), folder / "doors")
        others = {f"one-of-{number}": f"active {number:064x}" for number in range(CLUSTERS)}
        metadata = {"name": remote_write_clients.NAME, "namespace": NAMESPACE}
        clients.api.merge({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": others})

        with answering(doors) as first, answering(doors) as second:
            found = revocations(doors, [first, second], rounds)
        print(f"A cluster of {CLUSTERS} is revoked; seconds until two gateways refuse it over kept connections")
        print(
            f"  median of {rounds} (min to max) {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
        )

        certificate = doors.certificate("kaas-busy")
        doors.admit("kaas-busy", certificate)
        now = int(time.time() * 1000)
        body = remote_write.body(Sample({"__name__": "up", "job": "node", "n": str(n)}, 1.0, now) for n in range(500))
        with answering(doors) as looking, answering(doors, looks_up=False) as peer:
            seconds_until(doors.pools(certificate, looking, peer), 200)
            runs = [
                (load(doors, looking, certificate, body), load(doors, peer, certificate, body)) for _ in range(ROUNDS)
            ]
        ours, theirs = ([run[side] for run in runs] for side in (0, 1))
        print(
            f"Microseconds of the processor for each request of {len(body) // 1024} KiB, {ROUNDS} x {REQUESTS} requests"
        )
        for name, values in (("with the look-up", ours), ("without", theirs)):
            print(f"  {name:20} {statistics.median(values):6.0f} ({min(values):.0f} to {max(values):.0f})")
        print(f"  ratio {statistics.median(one / other for one, other in runs):.2f}")
    bounds.tell([Bound("seconds until a cluster that is revoked is refused, the longest", max(found), SOON)])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
