# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet costs: receive and gateway with 1 to 1,000 clusters that together have the same number of series.

Real HAProxy, receive, S3 server and API server as processes; registrations and agents' certificates as the module
makes them; each cluster writes over mutual TLS of its own. Arguments, files and environment are those of the manifests
that the modules would send; what Go heeds of the environment is read from receive's process. A fresh receive and
gateway for each number. Needs the programs of the lab, and no cluster.

    fleet.py [NUMBER OF CLUSTERS...]
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import bounds
from bounds import Bound
from machine import Cpu

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

import tests.conftest  # noqa: F401, E402
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway  # noqa: E402
from tests.integration import fleet  # noqa: E402
from tests.integration.api_server import running_api_server  # noqa: E402
from tests.integration.s3_server import S3Server, running_s3_server  # noqa: E402
from tests.integration.thanos.clients import Clients  # noqa: E402
from tests.integration.thanos.conftest import (  # noqa: E402
    GATEWAY_NAME,
    NAMESPACE,
    Identities,
    component_of,
    known_clients,
    new_bucket,
)
from tests.integration.thanos.pods import Node, Pod, wait_for  # noqa: E402

NUMBERS = (1, 100, 500, 1000)
SERIES = 50_000
# All clusters send once within these, as they do within a scrape interval.
INTERVAL = 10.0
# New clusters do not come a hundred in a second.
OPENING = 30.0
ROUNDS = 4
SENDERS = 16
MEBIBYTE = 2**20
MEGABYTE = 10**6
# What a cluster may take of receive's memory beside its series
MOST_PER_TENANT = 5.0
TICKS = os.sysconf("SC_CLK_TCK")
# What Go heeds
RUNTIME = ("GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG")


@dataclass(frozen=True)
class Usage:
    """CPU seconds since the start, and resident memory in bytes, of some processes."""

    cpu: float
    memory: int


def usage(pids: Sequence[int]) -> Usage:
    cpu, memory = 0.0, 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu += (int(fields[11]) + int(fields[12])) / TICKS
        memory += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return Usage(cpu, memory)


def pids_of(pod: Pod) -> list[int]:
    """Of the program itself: in a container it is no child of the process that was started."""
    if Path(pod.command[0]).name != "docker":
        return [pod.process.pid]
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if Path(arguments[0]).name == "haproxy" and any(str(pod.folder) in argument for argument in arguments):
            found.append(int(path.name))
    return found


def runtime_of(pod: Pod) -> dict[str, str]:
    """What Go heeds in the environment of a process; ends the benchmark when it is not the manifest's."""
    text = Path(f"/proc/{pod.process.pid}/environ").read_bytes().decode()
    variables = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
    found, wanted = ({name: given[name] for name in RUNTIME if name in given} for given in (variables, pod.environment))
    if found != wanted:
        sys.exit(f"{pod.name} runs with {found}, its manifest has {wanted}: unset these in the environment")
    return found


@dataclass(frozen=True)
class Measured:
    clusters: int
    runtime: Mapping[str, str]
    opening_cpu: float
    receive_cpu: float
    gateway_cpu: float
    receive_memory: int
    gateway_memory: int
    p50: float
    p99: float
    samples: int
    again: int
    others: float
    """Share of all cores that went to none of sender, receive and gateway during the rounds."""


def measure(clusters: Sequence[fleet.Cluster], identities: Identities, clients: Clients, s3: S3Server) -> Measured:
    """Have the clusters write to a fresh receive, through a fresh gateway."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        node = Node(Path(folder), {}, clients)
        manifests, endpoints = component_of(
            identities, component="receive", **new_bucket(s3, f"fleet-{len(clusters)}-{int(time.time())}")
        )
        receive = stack.enter_context(node.run(manifests))
        settings = gateway.settings_of({"receive_url": endpoints["remote_write"]})
        observed = gateway.observe(identities.secrets, settings, identities.now)
        door = stack.enter_context(
            node.run(gateway.objects(settings, gateway.hostnames_of({}), observed, identities.now))
        )
        wait_for(partial(known_clients, door), 60, "the gateway knows its clients")
        for cluster in clusters:
            cluster.connect(door.ports["https"], GATEWAY_NAME)
            stack.callback(cluster.close)
            cluster.has(SERIES // len(clusters))
        of_receive, of_door = pids_of(receive), pids_of(door)

        before = usage(of_receive)
        send = partial(fleet.send_all, clusters, at_once=SENDERS)
        # Opens a database for each cluster, and makes every series.
        opening = send(within=OPENING)
        opened, door_opened = usage(of_receive), usage(of_door)
        machine, sender = Cpu.until_now(), time.process_time()
        rounds = [send(within=INTERVAL) for _number in range(ROUNDS)]
        after, door_after = usage(of_receive), usage(of_door)
        machine, sender = Cpu.until_now().since(machine), time.process_time() - sender
        runtime = runtime_of(receive)
        # At its end it would upload every block.
        receive.stop(signal.SIGKILL)
    refused = sum(sent.samples for done in (opening, *rounds) for sent in done if sent.status != 200)
    if refused:
        sys.exit(f"{refused} samples of {len(clusters)} clusters were not taken")
    seconds = [sent.seconds for done in rounds for sent in done]
    again = sum(sent.attempts - 1 for done in (opening, *rounds) for sent in done)
    samples = sum(sent.samples for done in rounds for sent in done)
    ours = sender + after.cpu - opened.cpu + door_after.cpu - door_opened.cpu
    return Measured(
        clusters=len(clusters),
        runtime=runtime,
        opening_cpu=opened.cpu - before.cpu,
        receive_cpu=(after.cpu - opened.cpu) / samples,
        gateway_cpu=(door_after.cpu - door_opened.cpu) / samples,
        receive_memory=after.memory,
        gateway_memory=door_after.memory,
        p50=statistics.median(seconds),
        p99=statistics.quantiles(seconds, n=100)[98],
        samples=samples,
        again=again,
        others=machine.share(machine.used - ours),
    )


def main(numbers: Sequence[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        places = {name: Path(folder, name) for name in ("api", "s3", "identities")}
        for place in places.values():
            place.mkdir()
        server = stack.enter_context(running_api_server(places["api"]))
        s3 = stack.enter_context(running_s3_server(places["s3"]))
        identities = Identities(places["identities"], datetime.now(UTC))
        clients = Clients(server, NAMESPACE)
        fleet.define(clients.api)
        started = time.monotonic()
        names = [f"kaas-{number:04d}" for number in range(max(numbers))]
        authorities = identities.authorities
        clusters = fleet.register(clients.api, NAMESPACE, names, authorities["tenants"], authorities["internal"])
        print(f"{len(clusters)} clusters registered in {time.monotonic() - started:.0f} s")

        print(f"{SERIES} series in all, a sample of each within {INTERVAL:g} s, {ROUNDS} rounds")
        columns = (
            "clusters",
            "receive",
            "per tenant",
            "gateway",
            "opening",
            "receive",
            "gateway",
            "p50",
            "p99",
            "sent again",
            "others",
        )
        units = ("", "MiB", "MB", "MiB", "CPU s", "µs/sample", "µs/sample", "ms", "ms", "requests", "% of CPU")
        for row in (columns, units):
            print(" ".join(f"{text:>10}" for text in row))
        smallest: Measured | None = None
        most: list[Bound] = []
        for number in numbers:
            found = measure(clusters[:number], identities, clients, s3)
            if smallest is None:
                smallest = found
                print(f"receive runs with {' '.join(f'{name}={value}' for name, value in found.runtime.items())}")
            more = found.clusters - smallest.clusters
            tenant = (found.receive_memory - smallest.receive_memory) / more / MEGABYTE if more else 0.0
            values = (
                f"{found.receive_memory / MEBIBYTE:.0f}",
                f"{tenant:.2f}" if more else "-",
                f"{found.gateway_memory / MEBIBYTE:.0f}",
                f"{found.opening_cpu:.1f}",
                f"{found.receive_cpu * 1e6:.2f}",
                f"{found.gateway_cpu * 1e6:.2f}",
                f"{found.p50 * 1e3:.1f}",
                f"{found.p99 * 1e3:.1f}",
                f"{found.again}",
                f"{found.others * 100:.0f}",
            )
            print(" ".join(f"{text:>10}" for text in (str(number), *values)), flush=True)
            if more:
                most.append(Bound(f"MB per tenant, of {number}", tenant, MOST_PER_TENANT))
    bounds.tell(most)


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]] or NUMBERS)
