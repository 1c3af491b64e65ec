# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a lab up, taking it down, and telling what is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from lab import builds, bundle, clusters, containers, engine, images, limits, network, programs, registry, s3
from lab.clusters import GATEWAY_NODE_PORT, WEB_NODE_PORT, Clusters
from lab.containers import Container
from lab.engine import Docker
from lab.iaas import hosts as iaas_hosts
from lab.iaas import images as iaas_images
from lab.iaas import kolla as iaas_kolla
from lab.iaas import openstack
from lab.iaas.configuration import PROMETHEUS_PORT
from lab.iaas.hosts import Hosts
from lab.iaas.kolla import RELEASES, Kolla
from lab.iaas.openstack_servers import KEYSTONE_PORT
from lab.images import Images
from lab.network import Network
from lab.progress import Progress
from lab.state import OBSERVER, Lab, LabError, State, by_role_and_number, kaas_names, locked

# A cluster in the making keeps one core busy, the rest mostly waits
_PARALLEL = 3


def up(lab: Lab, kaas: int, progress: Progress, *, iaas: bool = False) -> State:
    """Everything of the lab runs and is Ready; makes, starts or rebuilds only what is not.

    iaas: with a host for each release of kolla; those there are stay also without it
    """
    with locked(lab.lock_file, _waiting(progress, f"lab {lab.prefix}")) as lock:
        lab.make_directory()
        docker, binaries, found = prepare(lab, progress)
        limits.raise_inotify(lab.cache, progress.say)
        state = State.load(lab.state_file)
        existing = clusters.find(docker, lab)
        if not lab.state_file.exists() and (existing or containers.names_with_label(docker, lab.label)):
            progress.say(f"There is a lab {lab.prefix} that another checkout made: taking it over.")
        names = sorted({OBSERVER, *kaas_names(kaas), *existing}, key=by_role_and_number)
        releases = [name for name in RELEASES if iaas or name in iaas_hosts.find(docker, lab)]
        layer = prepare_iaas(lab, docker, found, releases, progress) if releases else {}
        progress.expect(2 + found.mirrored + len(names) + bool(layer) + len(layer))
        with progress.step(f"network {lab.network}"):
            place = network.ensure(docker, lab, IPv4Network(state.subnet) if state.subnet else None)
        state = replace(
            state,
            subnet=str(place.subnet),
            binaries=str(binaries),
            operator_bundle=str(bundle.place(lab.cache)),
            registry=found.mirrored,
        )
        state.save(lab.state_file)
        work = Clusters(
            docker=docker,
            lab=lab,
            network=place,
            binaries=binaries,
            image=found.node,
            image_id=containers.image_id(docker, found.node),
            base=found.kind_config(),
            node_files=registry.hosts_files(found.cluster, registry.mirror_url(place)) if found.mirrored else {},
            lock=lock,
            say=progress.say,
        )
        _bring_up(work, found, {name: _ports(name, state) for name in names}, layer, progress)
        if layer:
            iaas_hosts.write_inventory(lab, place, releases)
        state = _found_state(state, work, names, releases)
        state.save(lab.state_file)
        return state


def prepare(lab: Lab, progress: Progress, *, tests: bool = False) -> tuple[Docker, Path, Images]:
    """The engine, the directory of programs and the images, which every lab on this machine uses.

    With tests, also what the integration tests start.
    """
    with locked(lab.cache_lock_file, _waiting(progress, "another lab's images")):
        docker = engine.ensure(progress, lab.cache)
        pull = images.are_pulled(docker, progress)
        bundle.ensure(progress, lab.cache, pull=pull)
        if not pull:
            binaries = builds.ensure(progress, lab.cache, builds.HOST_TOOLS)
            return docker, binaries, images.ensure(docker, progress, lab.cache, pull=False)
        found = images.ensure(docker, progress, lab.cache, pull=True)
        if tests:
            images.ensure_pulled(docker, progress, [images.HAPROXY])
        binaries = programs.ensure(docker, progress, lab.cache, programs.SOURCES if tests else programs.FOR_CLUSTERS)
        return docker, binaries, found


@dataclass(frozen=True)
class Layer:
    """What an IaaS host of one release is made with."""

    kolla: Kolla
    host_image: str
    images: Sequence[str]  # go into the host's engine; without any it pulls them itself


def prepare_iaas(
    lab: Lab, docker: Docker, found: Images, releases: Iterable[str], progress: Progress
) -> dict[str, Layer]:
    """kolla and the images of these releases, which all labs of this machine use."""
    with locked(lab.cache_lock_file, _waiting(progress, "another lab's images")):
        host_image = iaas_images.ensure_host(docker, progress, lab.cache, pull=not found.mirrored)
        iaas_images.ensure_openstack(docker, progress)
        layer = {}
        for name in releases:
            kolla = iaas_kolla.ensure(progress, lab.cache, RELEASES[name])
            images: list[str] = []
            if found.mirrored:
                made = iaas_images.ensure_kolla(docker, progress, lab.cache / "bin" / "current", kolla)
                images = iaas_hosts.images_for_hosts(made)
            layer[name] = Layer(kolla, host_image, images)
        return layer


def kolla(lab: Lab, name: str, action: str, release: str, progress: Progress) -> None:
    """Run kolla-ansible of a release on the host that was made by `name`'s; on another host at the same time."""
    with (
        locked(lab.lock_file, _waiting(progress, f"lab {lab.prefix}"), shared=True),
        locked(lab.iaas_lock_file(name), _waiting(progress, lab.iaas_host(name))),
    ):
        docker, _binaries, found = prepare(lab, progress)
        place = network.find(docker, lab)
        if place is None or name not in iaas_hosts.find(docker, lab):
            raise LabError(f"there is no {lab.iaas_host(name)}; `make lab IAAS=1` makes it")
        layer = prepare_iaas(lab, docker, found, [release], progress)[release]
        progress.expect(1)
        with progress.step(f"kolla-ansible {action} on {lab.iaas_host(name)}") as log:
            Hosts(docker, lab, place, progress.say).run_kolla(layer.kolla, action, name, layer.images, log)


def _bring_up(
    work: Clusters,
    found: Images,
    ports: Mapping[str, Mapping[int, int]],
    layer: Mapping[str, Layer],
    progress: Progress,
) -> None:
    """Registry, S3 server, the clusters, by name with their preferred ports, and the IaaS hosts."""
    docker, lab, place = work.docker, work.lab, work.network
    decisions = work.revive(ports)

    def registry_with_images() -> None:
        with progress.step("registry with the clusters' images"):
            registry.push(docker, registry.ensure(docker, lab, place, found.registry), found.cluster)

    def s3_server() -> None:
        with progress.step(f"S3 server at {s3.endpoint(place)}"):
            s3.ensure(docker, lab, place, found.s3)

    def cluster(name: str) -> None:
        with progress.step(f"cluster {lab.cluster(name)}") as log:
            work.ensure(name, decisions[name], ports[name], log)

    def iaas_host(name: str) -> None:
        made = layer[name]
        with progress.step(f"IaaS host {lab.iaas_host(name)}") as log:
            Hosts(docker, lab, place, progress.say).ensure(made.kolla, made.host_image, made.images, log)

    def openstack_servers() -> None:
        with progress.step(f"Keystone and Swift at {place.openstack_address}"):
            openstack.wait(docker, lab, place)

    parts: list[Callable[[], None]] = [
        s3_server,
        *(partial(cluster, name) for name in ports),
        *(partial(iaas_host, name) for name in layer),
    ]
    if layer:
        # Hosts are told of it
        openstack.ensure(docker, lab, place, iaas_images.OPENSTACK.reference)
        parts.append(openstack_servers)
    in_parallel([registry_with_images, *parts] if found.mirrored else parts)


def _ports(name: str, state: State) -> dict[int, int]:
    return clusters.preferred_ports(name, state.web_port, state.gateway_port)


def _found_state(state: State, work: Clusters, names: Sequence[str], releases: Sequence[str]) -> State:
    """What is there now, as a reader of the state file wants it."""
    node = work.lab.node(OBSERVER)
    observer = containers.find(work.docker, node)[node]
    return replace(
        state,
        web_port=observer.ports[WEB_NODE_PORT],
        gateway_port=observer.ports[GATEWAY_NODE_PORT],
        gateway_node_address=observer.addresses[work.network.name],
        s3_endpoint=s3.endpoint(work.network),
        clusters=list(names),
        iaas=list(releases),
    )


def in_parallel(parts: Iterable[Callable[[], None]]) -> None:
    """All parts to their end, then the first failure, or LabError with all messages.

    An interruption starts no more parts, and waits for those that run: a signal from the terminal ends them, too.
    """
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        try:
            # An interruption comes while parts are still being handed over, too
            futures = [pool.submit(part) for part in parts]
            wait(futures)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    failures = [error for future in futures if (error := future.exception())]
    if failures and all(isinstance(error, LabError) for error in failures):
        raise LabError("\n".join(str(error) for error in failures))
    for error in failures:
        raise error


def down(lab: Lab, progress: Progress) -> None:
    """Remove what the lab made on this machine, from whichever checkout, and nothing else; the cache stays."""
    with locked(lab.lock_file, _waiting(progress, f"lab {lab.prefix}")):
        docker = _client()
        if not docker.answers() and lab.directory.exists() and shutil.which("dockerd"):
            # Stopped containers lie on its disk, and would come back with it
            docker = engine.ensure(progress, lab.cache)
        if docker.answers():
            _remove_everything(docker, lab, progress)
        lab.remove_directory()
        with locked(lab.cache_lock_file, _waiting(progress, "another lab's images")):
            # Another lab, or somebody's own cluster, may count on the limit
            if not docker.answers() or not containers.names_with_label(docker, clusters.KIND_LABEL):
                limits.restore_inotify(lab.cache)
            if engine.stop_if_ours(lab.cache):
                progress.say("The container engine that the lab had started is stopped.")
    progress.say(f"Nothing of lab {lab.prefix} is left. Images, programs ({lab.cache}) and installed packages stay.")


def _remove_everything(docker: Docker, lab: Lab, progress: Progress) -> None:
    nodes = [node for found in clusters.find(docker, lab).values() for node in found]
    if ours := sorted({*nodes, *containers.names_with_label(docker, lab.label)}):
        progress.say("Removing " + ", ".join(ours))
        docker.run("rm", "--force", "--volumes", *ours)
    if volumes := docker.run("volume", "ls", "--quiet", "--filter", f"label={lab.label}").split():
        docker.run("volume", "rm", *volumes)
    if network.find(docker, lab):
        for guest in network.guests(docker, lab):
            progress.say(f"Container {guest} is not the lab's: it loses the lab's network and stays")
            docker.run("network", "disconnect", "--force", lab.network, guest)
        docker.run("network", "rm", lab.network)


@dataclass(frozen=True)
class Part:
    """One line of the status: address and since are empty where there is nothing to tell."""

    name: str
    state: str
    address: str = ""
    since: datetime | None = None

    @property
    def is_up(self) -> bool:
        return self.state in ("running", "Ready")


def status(lab: Lab) -> list[Part]:
    """Every part that the lab has or should have; asks, and changes nothing."""
    docker = _client()
    if not docker.answers():
        return [Part("container engine", "not running")]
    state = State.load(lab.state_file)
    place = network.find(docker, lab)
    names = sorted({OBSERVER, *state.clusters, *clusters.find(docker, lab)}, key=by_role_and_number)
    releases = [name for name in RELEASES if name in {*state.iaas, *iaas_hosts.find(docker, lab)}]
    seen = containers.find(
        docker, lab.s3, lab.registry, lab.openstack, *map(lab.node, names), *map(lab.iaas_host, releases)
    )
    binaries = Path(state.binaries or lab.cache / "bin" / "current")

    def cluster(name: str) -> Part:
        container = seen.get(lab.node(name))
        missing = clusters.lacking(lab, binaries, name, container)
        return _part(lab.cluster(name), container, place, "lacks " + ", ".join(missing) if missing else "Ready")

    def iaas_host(name: str) -> Part:
        host = lab.iaas_host(name)
        answers = place is not None and iaas_hosts.ready(lab, name, iaas_hosts.address_of(name, place))
        return _part(host, seen.get(host), place, "Ready" if answers else "lacks Prometheus", PROMETHEUS_PORT)

    with ThreadPoolExecutor(max_workers=4) as pool:
        rows = [*pool.map(cluster, names), *pool.map(iaas_host, releases)]
    servers = [_part(lab.s3, seen.get(lab.s3), place, "running", s3.PORT)]
    if releases:
        servers.append(_part(lab.openstack, seen.get(lab.openstack), place, "running", KEYSTONE_PORT))
    if state.registry or lab.registry in seen:
        servers.append(_part(lab.registry, seen.get(lab.registry), place, "running", registry.PORT))
    return [
        Part("container engine", "running"),
        Part(f"network {lab.network}", "running" if place else "missing", str(place.subnet) if place else ""),
        *servers,
        *rows,
    ]


def _part(name: str, container: Container | None, place: Network | None, state: str, port: int | None = None) -> Part:
    if container is None:
        return Part(name, "missing")
    if not container.running:
        return Part(name, "stopped", since=container.created)
    address = container.addresses.get(place.name, "") if place else ""
    published = [f"127.0.0.1:{host}" for inside, host in sorted(container.ports.items()) if inside != port]
    shown = [f"{address}:{port}" if port and address else address, *published]
    return Part(name, state, " ".join(filter(None, shown)), container.created)


def table(parts: Iterable[Part], now: datetime) -> str:
    rows = [("PART", "STATE", "ADDRESS", "AGE")]
    rows += [
        (part.name, part.state, part.address or "-", age(now - part.since) if part.since else "-") for part in parts
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def age(duration: timedelta) -> str:
    """As kubectl writes it: 40s, 12m, 5h, 3d."""
    seconds = max(0, int(duration.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _client() -> Docker:
    """The engine's client, whether or not an engine answers it."""
    return Docker(env=engine.client_environment(os.environ))


def _waiting(progress: Progress, what: str) -> Callable[[str], None]:
    return lambda owner: progress.say(f"Process {owner or 'unknown'} works on {what}: waiting for it.")
