# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of three clusters is erased: from receive, from the bucket, from what can be read; the others keep every byte.

The tests build on one another.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, StorageError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    kaas_cluster,
    thanos_compact,
    thanos_component,
    thanos_receive,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._objstore import blocks
from ansible_collections.scs.observability.plugins.module_utils._objstore.blocks import Survey
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.series import selector_of, series
from ansible_collections.scs.observability.plugins.module_utils._registration import erasure, former
from ansible_collections.scs.observability.plugins.module_utils._registration.former import Former
from ansible_collections.scs.observability.plugins.module_utils._registration.offboarding import deregister
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from tests.integration.observer.conftest import Site
from tests.integration.processes import binary, free_port
from tests.integration.thanos.conftest import NAMESPACE, write
from tests.integration.thanos.pods import wait_for

GOES, STAYS = "shop-prod", ("shop-test", "shop-prod-2")
# One of which only what the observer recorded is there
OLD = "shop-old"
# As promtool makes long blocks, in seconds
LONG = 54 * 3600
UID, OTHER_UID = "1d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e", "2d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"
RECEIVE = ("apps/v1", "StatefulSet", "thanos-receive")


@dataclass
class Kubelet:
    """Restarts receive as the StatefulSet says, init containers first, and counts its pod as ready. Of the compactor
    just the init containers run.
    """

    site: Site
    scripts: list[list[str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        seen: dict[str, int] = {}
        while not self._done.wait(0.1):
            for name, restart in (("thanos-receive", self._restart_receive), ("thanos-compact", self._run_first)):
                live = self.site.admin.get("apps/v1", "StatefulSet", name, NAMESPACE)
                if live is None:
                    continue
                generation = live["metadata"]["generation"]
                if seen.get(name, generation) != generation or (name not in seen and name == "thanos-compact"):
                    restart(live["spec"]["template"]["spec"])
                    self.site.count(name, 1)
                seen[name] = generation

    def _restart_receive(self, spec: dict[str, Any]) -> None:
        receive = self.site.running.receive
        receive.stop()
        self._run_first(spec)
        receive.start()

    def _run_first(self, spec: dict[str, Any]) -> None:
        folder = self.site.running.receive.folder
        places = {
            thanos_receive.DATA_PATH: folder / "data",
            thanos_compact.DATA_PATH: folder / "compact",
            thanos_component.OBJSTORE_PATH: folder / "objstore",
        }
        (folder / "compact").mkdir(exist_ok=True)
        environment = {**os.environ, "PATH": f"{Path(binary('thanos')).parent}:{os.environ['PATH']}"}
        for container in spec.get("initContainers") or []:
            command = list(container["command"])
            for path, place in places.items():
                command = [part.replace(path, str(place)) for part in command]
            self.scripts.append(container["command"])
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
            if done.returncode or "not rewritten" in done.stdout:
                self.failures.append(done.stdout + done.stderr)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


@pytest.fixture(scope="module")
def stored(site: Site) -> Iterator[Site]:
    """Three clusters with blocks in the bucket, and samples in receive's memory beside them."""
    running = site.running
    files = {name: (running.receive.folder / "objstore" / name).read_text() for name in ("objstore.yml", "ca.crt")}
    for component in ("receive", "store"):
        # The site was deployed with a bucket that is none.
        metadata = {"name": f"thanos-{component}-objstore", "namespace": NAMESPACE}
        site.admin.merge({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files})
    everybody = (GOES, *STAYS)
    agents = {name: running.agent(name) for name in everybody}
    for name in everybody:
        for job in ("agent", "kubelet"):
            assert write(agents[name], "up", job=job).status == 200
    running.receive.stop()
    running.receive.start()
    for name in everybody:
        wait_for(lambda name=name: write(agents[name], "later").status == 200, 30, f"{name} can write again")
        running.wait_for_series(f'later{{cluster="{name}"}}')
    wait_for(lambda: {*everybody} <= served(site), 30, "the store gateway serves blocks of all three")
    kubelet = Kubelet(site)
    yield site
    kubelet.stop()
    # Other sites are deployed to the same API server.
    for component in ("receive", "store"):
        site.admin.delete("v1", "Secret", f"thanos-{component}-objstore", NAMESPACE)
    site.admin.delete("apps/v1", "StatefulSet", "thanos-compact", NAMESPACE)
    assert not kubelet.failures


def served(site: Site) -> set[str]:
    """The clusters that the store gateway has blocks of, as query sees them."""
    answer = json.loads(site.admin.service_get(NAMESPACE, "thanos-query", "http", "/api/v1/stores"))
    return {labels.get("cluster", "") for store in answer["data"].get("store", []) for labels in store["labelSets"]}


def objects(site: Site) -> dict[str, str]:
    listed = site.running.s3.witness.list_objects_v2(Bucket=site.running.bucket)["Contents"]
    return {item["Key"]: item["ETag"] for item in listed}


def described(site: Site) -> dict[str, str]:
    """The cluster of each block."""
    s3, found = site.running.s3.witness, {}
    for key in objects(site):
        if key.endswith("/meta.json"):
            meta = json.load(s3.get_object(Bucket=site.running.bucket, Key=key)["Body"])
            found[meta["ulid"]] = meta["thanos"]["labels"].get("cluster", "")
    return found


def erase(site: Site, *, check: bool = False, **changes: Any) -> dict[str, Any]:
    params = {
        "name": GOES,
        "state": "absent",
        "erase": True,
        "observer_kubeconfig": str(site.api_server.kubeconfig()),
        "observer_namespace": NAMESPACE,
        "wait_timeout": 60,
        **changes,
    }
    return deregister(params, check)


def names(site: Site, cluster: str) -> set[str]:
    return {item["__name__"] for item in series(site.admin, NAMESPACE, selector_of({"cluster": cluster}))}


def remember(site: Site) -> None:
    former.remember(site.admin, NAMESPACE, GOES, Former(UID, "Example Shop", "2026-02-01T10:00:00Z"))


def test_the_name_is_not_given_to_another_customer_while_there_are_data(stored: Site) -> None:
    remember(stored)
    taking = {"cluster_uid": OTHER_UID}
    with pytest.raises(InputError, match="metrics are still there") as raised:
        former.refuse(stored.admin, NAMESPACE, GOES, customer="Other Shop", **taking)
    assert raised.value.parameter == "name"
    assert raised.value.details["former_customer"] == "Example Shop"
    former.refuse(stored.admin, NAMESPACE, GOES, customer="Example Shop", **taking)
    former.refuse(stored.admin, NAMESPACE, "another-name", customer="Other Shop", **taking)


def test_nor_is_one_of_which_nothing_else_is_known(stored: Site) -> None:
    """Its registration was removed by hand, or went with a backup."""
    taking = {"cluster_uid": OTHER_UID, "customer": "Example Shop"}
    with pytest.raises(InputError, match="of which nothing else is known"):
        former.refuse(stored.admin, NAMESPACE, STAYS[0], **taking)
    former.refuse(stored.admin, NAMESPACE, STAYS[0], known=True, **taking)


def test_what_is_not_in_a_block_yet_is_told_by_its_owner(stored: Site) -> None:
    assert erasure.left_of(stored.admin, NAMESPACE, GOES, Survey()) == [
        {"block": "", "owner": "receive", "expires": ""}
    ]


def test_check_mode_tells_what_would_go(stored: Site) -> None:
    before, writing = objects(stored), names(stored, GOES)
    planned = erase(stored, check=True)
    assert planned["changed"]
    assert planned["erasure"]["state"] == "pending"
    assert planned["erasure"]["blocks_removed"] == sum(cluster == GOES for cluster in described(stored).values()) > 0
    assert f"delete TSDB {NAMESPACE}/thanos-receive/{GOES}" in planned["changes"]
    # Others' blocks may have come meanwhile.
    assert before.items() <= objects(stored).items()
    assert names(stored, GOES) == writing


def test_without_waiting_nothing_is_deleted_that_is_still_served(stored: Site) -> None:
    """A query that meets half a block fails, and with it those about everybody else."""
    mine = {ulid for ulid, cluster in described(stored).items() if cluster == GOES}
    with pytest.MonkeyPatch.context() as patched:
        # Receive is for the next test.
        patched.setattr(erasure, "holds", lambda *_anything: False)
        result = erase(stored, wait=False)
    assert result["erasure"]["state"] == "pending"
    assert any("marked" in reason for reason in result["erasure"]["reasons"])
    assert mine <= set(described(stored))
    marks = [f"{ulid}/{blocks.MARK}" for ulid in mine]
    assert set(marks) <= set(objects(stored))
    content = stored.running.s3.witness.get_object(Bucket=stored.running.bucket, Key=marks[0])["Body"].read()
    since, whose = blocks.read_mark(content)
    assert whose == GOES
    assert since < time.time() - 24 * 3600


def test_what_one_cluster_had_is_gone_and_the_others_keep_every_byte(stored: Site) -> None:
    theirs = {ulid for ulid, cluster in described(stored).items() if cluster != GOES}
    before = {key: etag for key, etag in objects(stored).items() if key.partition("/")[0] in theirs}
    seen = {name: names(stored, name) for name in STAYS}

    result = erase(stored)

    assert result["erasure"]["state"] == "done", result["erasure"]
    assert result["erasure"]["receive"] == "removed"
    assert result["erasure"]["blocks_removed"] > 0
    assert result["erasure"]["left"] == []
    assert not names(stored, GOES)
    assert GOES not in described(stored).values()
    assert not (stored.running.receive.folder / "data" / GOES).exists()
    assert before.items() <= objects(stored).items()
    for name in STAYS:
        assert names(stored, name) == seen[name]
        assert (stored.running.receive.folder / "data" / name).is_dir()
    # Everything that is there belongs to a block: nothing half is left.
    assert {key.partition("/")[0] for key in objects(stored) if "/" in key} == set(described(stored))


def test_the_init_container_is_there_for_the_removal_alone(stored: Site) -> None:
    live = stored.admin.get(*RECEIVE, NAMESPACE)
    assert not live["spec"]["template"]["spec"].get("initContainers")


def test_again_there_is_nothing_to_do(stored: Site) -> None:
    for check in (True, False):
        again = erase(stored, check=check)
        assert (again["changed"], again["changes"]) == (False, [])
        assert again["erasure"] == {
            "state": "done",
            "blocks_removed": 0,
            "blocks_rewritten": 0,
            "receive": "absent",
            "left": [],
            "reasons": [],
        }


def test_then_the_name_is_free(stored: Site) -> None:
    assert former.find(stored.admin, NAMESPACE, GOES) is None
    remember(stored)
    # Also when nobody erased it: what was there has expired.
    former.refuse(stored.admin, NAMESPACE, GOES, cluster_uid=OTHER_UID, customer="")


def test_what_an_interruption_left_of_a_block_is_found_by_its_mark(stored: Site) -> None:
    s3, bucket = stored.running.s3.witness, stored.running.bucket
    half = "01HZZZZZZZZZZZZZZZZZZZZZZX"
    s3.put_object(Bucket=bucket, Key=f"{half}/chunks/000001", Body=b"chunks")
    s3.put_object(Bucket=bucket, Key=f"{half}/{blocks.MARK}", Body=blocks.mark(half, GOES, 0.0))
    result = erase(stored)
    assert result["erasure"]["state"] == "done", result["erasure"]
    assert result["erasure"]["blocks_removed"] == 1
    assert not [key for key in objects(stored) if key.startswith(half)]


@pytest.fixture(scope="module")
def compactor(stored: Site) -> None:
    """In the API server; the blocks that it joins are joined by ``compact``."""
    settings = Settings("thanos-compact", NAMESPACE, objstore=True, retention_5m="400d", retention_1h="400d")
    settings = replace(settings, retention_raw="400d", delete_delay="12h")
    found = thanos_component.objects(thanos_compact.COMPONENT, settings)
    [workload] = [item for item in found if item["kind"] == "StatefulSet"]
    stored.admin.apply(workload)
    wait_ready(stored.admin, [identity(workload)], 30)


def compact(site: Site, folder: Path) -> None:
    """Have the compactor look at the bucket once."""
    live = site.workload("thanos-compact")
    [container] = live["spec"]["template"]["spec"]["containers"]
    objstore = site.running.receive.folder / "objstore"
    given = [part.replace(thanos_component.OBJSTORE_PATH, str(objstore)) for part in container["args"]]
    own = ("--wait", "--data-dir", "--http-address")
    given = [part for part in given if not part.startswith(own)]
    more = [f"--data-dir={folder}", f"--http-address=127.0.0.1:{free_port()}", "--consistency-delay=0s"]
    done = subprocess.run([binary("thanos"), *given, *more], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def described_at(site: Site, resolution: int = 0) -> dict[str, dict[str, Any]]:
    """The descriptions of the observer's own blocks of a resolution that are not marked for deletion."""
    s3, found, keys = site.running.s3.witness, {}, objects(site)
    for key in keys:
        ulid, _slash, name = key.partition("/")
        if name == "meta.json" and f"{ulid}/{blocks.MARK}" not in keys:
            meta = json.load(s3.get_object(Bucket=site.running.bucket, Key=key)["Body"])
            if "cluster" not in meta["thanos"]["labels"] and meta["thanos"]["downsample"]["resolution"] == resolution:
                found[ulid] = meta
    return found


def only(found: dict[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The one block that there is."""
    assert len(found) == 1
    return found.popitem()


@pytest.mark.usefixtures("compactor")
def test_what_the_observer_recorded_is_rewritten_without_it(stored: Site, tmp_path: Path) -> None:
    """Its blocks hold everybody's series. One that has nothing of the cluster is left as it is."""
    now = time.time() // 7200 * 7200
    remember(stored)
    # Not all of two hours, so that each is one block.
    recorded = record(stored, tmp_path / "prometheus", now - 6600, GOES, STAYS[0], prometheus_replica="prometheus-0")
    other = record(stored, tmp_path / "before", now - 14000, STAYS[0], prometheus_replica="prometheus-0")
    ruled = record(stored, tmp_path / "rule", now - 6600, GOES, ruler_replica="thanos-rule-0")
    before = {key: etag for key, etag in objects(stored).items() if key.startswith(other)}
    # Query knows only after some seconds which time a store has.
    looked_for = partial(
        series, stored.admin, NAMESPACE, selector_of({"cluster": GOES}), start=now - 6660, end=now - 6540
    )
    wait_for(lambda: len(looked_for()) == 2, 30, "both blocks are served")

    planned = erase(stored, check=True)
    assert planned["erasure"]["blocks_rewritten"] == 2
    assert {item["block"]: item["owner"] for item in planned["erasure"]["left"]} == {
        recorded: "prometheus",
        ruled: "rule",
    }
    assert {f"update S3 Block {recorded}", f"update S3 Block {ruled}"} <= set(planned["changes"])
    assert set(described_at(stored)) == {recorded, other, ruled}

    result = erase(stored)

    assert {*planned["changes"]} < {*result["changes"]}
    assert result["erasure"]["state"] == "done", result["erasure"]
    assert (result["erasure"]["blocks_rewritten"], result["erasure"]["left"]) == (2, [])
    assert former.find(stored.admin, NAMESPACE, GOES) is None
    found = described_at(stored)
    # Of one that had nothing but the cluster, nothing is left.
    [rewritten] = set(found) - {other}
    assert found[rewritten]["stats"]["numSeries"] == 1
    assert found[rewritten]["thanos"]["labels"] == {"observer": "one", "prometheus_replica": "prometheus-0"}
    assert before.items() <= objects(stored).items()
    assert {key.partition("/")[0] for key in objects(stored) if "/" in key} == set(described(stored))
    seen = series(stored.admin, NAMESPACE, selector_of({"cluster": STAYS[0]}), start=now - 6660, end=now - 6540)
    assert "kaas_cluster_info" in {item["__name__"] for item in seen}
    assert not stored.workload("thanos-compact")["spec"]["template"]["spec"].get("initContainers")
    # The compactor brings nothing of it back.
    compact(stored, tmp_path / "compact")
    assert sum(meta["stats"]["numSamples"] for meta in described_at(stored).values()) == 2


@pytest.mark.usefixtures("compactor")
def test_the_compactor_makes_downsampled_blocks_anew(stored: Site, tmp_path: Path) -> None:
    """Thanos cannot rewrite them."""
    # In one block, which is as long as the tool makes them
    begin = (time.time() // LONG - 1) * LONG
    moments = [begin + 300 * step for step in range(50 * 12)]
    raw = record(stored, tmp_path / "long", moments, GOES, STAYS[0], OLD, prometheus_replica="prometheus-1")
    compact(stored, tmp_path / "compact")
    coarse = only(described_at(stored, 300_000))[0]
    there = partial(series, stored.admin, NAMESPACE, start=begin, end=begin + LONG)
    wait_for(lambda: there(selector_of({"cluster": GOES})), 60, "it is served")
    remember(stored)

    result = erase(stored)

    assert result["erasure"]["state"] == "done", result["erasure"]
    assert result["erasure"]["blocks_rewritten"] == 1
    assert not {raw, coarse} & set(described(stored))
    assert described_at(stored, 300_000) == {}
    compact(stored, tmp_path / "again")
    anew = only(described_at(stored, 300_000))[1]
    assert anew["stats"]["numSeries"] == 2
    for cluster in (STAYS[0], OLD):
        assert there(selector_of({"cluster": cluster}))
    assert not there(selector_of({"cluster": GOES}))


@pytest.mark.usefixtures("compactor")
def test_what_cannot_be_made_anew_is_listed_with_its_end(stored: Site) -> None:
    """What a downsampled block was made of has expired."""
    coarse, meta = only(described_at(stored, 300_000))
    expired = {ulid for ulid, found in described_at(stored).items() if found["minTime"] == meta["minTime"]}
    assert expired
    delete(stored, expired)
    former.remember(stored.admin, NAMESPACE, OLD, Former(UID, "Example Shop", "2026-02-01T10:00:00Z"))
    wait_for(lambda: left(erase(stored, name=OLD)) == {coarse}, 60, "only that is left")

    result = erase(stored, name=OLD)

    assert not result["changed"]
    assert result["erasure"]["state"] == "pending"
    assert "cannot be rewritten" in result["erasure"]["reasons"][0]
    end = datetime.fromtimestamp(meta["maxTime"] / 1000, UTC) + timedelta(days=400, hours=12)
    # The compactor takes away by which label replicas are told apart.
    assert result["erasure"]["left"] == [
        {"block": coarse, "owner": "observer", "expires": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    ]
    # Its name is not free as long as something is there to be seen.
    assert former.find(stored.admin, NAMESPACE, OLD) is not None


def left(result: dict[str, Any]) -> set[str]:
    return {item["block"] for item in result["erasure"]["left"]}


def delete(site: Site, ulids: set[str]) -> None:
    """Some blocks have expired."""
    for key in objects(site):
        if key.partition("/")[0] in ulids:
            site.running.s3.witness.delete_object(Bucket=site.running.bucket, Key=key)


def record(stored: Site, folder: Path, moments: float | list[float], *clusters: str, **labels: str) -> str:
    """Have a block in the bucket as the observer itself writes them, and return its ULID."""
    folder.mkdir()
    moments = moments if isinstance(moments, list) else [moments]
    samples = [f'kaas_cluster_info{{cluster="{cluster}"}} 1 {at}\n' for cluster in clusters for at in moments]
    (folder / "samples").write_text("".join([*samples, "# EOF\n"]))
    made = [
        binary("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        f"--max-block-duration={LONG}s",
        str(folder / "samples"),
        str(folder / "tsdb"),
    ]
    subprocess.run(made, check=True, capture_output=True)
    external = [f'--label={name}="{value}"' for name, value in {"observer": "one", **labels}.items()]
    objstore = stored.running.receive.folder / "objstore" / "objstore.yml"
    command = ["tools", "bucket", "upload-blocks", f"--path={folder / 'tsdb'}", f"--objstore.config-file={objstore}"]
    subprocess.run([binary("thanos"), *command, *external], check=True, capture_output=True)
    [block] = [path.name for path in (folder / "tsdb").iterdir() if (path / "meta.json").is_file()]
    return block


def seen(site: Site, cluster: str) -> int | None:
    """How many series query finds; None in the first seconds without a store, in which it fails."""
    with suppress(QueryError):
        return len(series(site.admin, NAMESPACE, selector_of({"cluster": cluster})))
    return None


def test_a_store_that_is_away_is_no_proof(stored: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Query leaves it out of its answers without error or warning: nothing is left, as it seems."""
    monkeypatch.setattr(former, "STORES_SECONDS", 0.0)
    taking = {"cluster_uid": OTHER_UID, "customer": "Other Shop"}
    stored.running.store.stop()
    try:
        wait_for(lambda: seen(stored, OLD) == 0, 60, "nothing is seen")
        result = erase(stored, name=OLD)
        assert (result["erasure"]["state"], result["erasure"]["left"]) == ("pending", [])
        assert re.search("cannot be seen: .* does not see all of its stores: .*store", result["erasure"]["reasons"][0])
        with pytest.raises(InputError, match=r"cannot be seen: .* does not see all of its stores"):
            former.refuse(stored.admin, NAMESPACE, OLD, **taking)
        with pytest.raises(QueryError, match="does not see all of its stores"):
            former.refuse(stored.admin, NAMESPACE, "another-name", **taking)
        assert former.find(stored.admin, NAMESPACE, OLD) is not None
    finally:
        stored.running.store.start()
    wait_for(lambda: seen(stored, OLD), 60, "it is back")
    monkeypatch.undo()
    with pytest.raises(InputError, match="metrics are still there"):
        former.refuse(stored.admin, NAMESPACE, OLD, **taking)
    former.refuse(stored.admin, NAMESPACE, "another-name", **taking)
    assert left(erase(stored, name=OLD))


def test_it_is_done_when_what_was_listed_has_expired(stored: Site) -> None:
    delete(stored, left(erase(stored, name=OLD)))
    wait_for(lambda: seen(stored, OLD) == 0, 60, "they are gone")
    result = erase(stored, name=OLD)
    assert result["erasure"]["state"] == "done", result["erasure"]
    assert former.find(stored.admin, NAMESPACE, OLD) is None


def test_it_is_not_done_while_query_cannot_tell(stored: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former, "STORES_SECONDS", 0.0)
    stored.running.query.stop()
    try:
        result = erase(stored)
        assert result["erasure"]["state"] == "pending"
        assert "cannot be seen" in result["erasure"]["reasons"][0]
        remember(stored)
        with pytest.raises(InputError, match="cannot be seen"):
            former.refuse(stored.admin, NAMESPACE, GOES, cluster_uid=OTHER_UID, customer="")
    finally:
        stored.running.query.start()


def test_no_key_of_the_bucket_is_told(stored: Site) -> None:
    secret = stored.admin.get("v1", "Secret", "thanos-receive-objstore", NAMESPACE)
    told = str(erase(stored))
    assert stored.running.s3.owner.secret_key in str(secret_text(secret, "objstore.yml"))
    assert stored.running.s3.owner.secret_key not in told


def test_a_cluster_that_is_registered_is_taken_off_board_first(stored: Site) -> None:
    registration = Registration(GOES, UID, "active", observer=NAMESPACE, customer="Example Shop")
    stored.admin.apply(registration.manifest())
    with pytest.raises(InputError) as raised:
        erase(stored)
    assert raised.value.parameter == "kubeconfig"
    stored.admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, GOES)


def test_a_cluster_that_is_gone_leaves_and_is_erased_in_one_run(stored: Site) -> None:
    name = STAYS[1]
    stored.admin.apply(Registration(name, UID, "active", observer=NAMESPACE, customer="Example Shop").manifest())
    gone = str(stored.api_server.kubeconfig(server=f"https://127.0.0.1:{free_port()}"))
    planned = erase(stored, name=name, kubeconfig=gone, force=True, check=True)
    assert planned["erasure"]["state"] == "pending"
    result = erase(stored, name=name, kubeconfig=gone, force=True)
    assert result["left"]
    assert result["erasure"]["state"] == "done", result["erasure"]
    assert stored.admin.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name) is None
    assert former.find(stored.admin, NAMESPACE, name) is None


def test_a_bucket_that_does_not_answer_is_told_before_anything_is_touched(stored: Site) -> None:
    """What was said last of the registration stays, and the next run does it all."""
    stored.admin.apply(Registration(GOES, UID, "active", observer=NAMESPACE).manifest())
    gone = str(stored.api_server.kubeconfig(server=f"https://127.0.0.1:{free_port()}"))
    stored.running.s3.stop()
    try:
        with pytest.raises(StorageError, match="the observer's bucket") as raised:
            erase(stored, kubeconfig=gone, force=True)
        assert raised.value.parameter is None
    finally:
        stored.running.s3.start()
    record = stored.admin.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, GOES)
    assert record["spec"]["phase"] == "active"
    stored.admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, GOES)
