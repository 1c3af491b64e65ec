# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    NotReadyError,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    thanos_compact,
    thanos_component,
    thanos_store,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Settings
from ansible_collections.scs.observability.plugins.module_utils._objstore import blocks
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import parse
from ansible_collections.scs.observability.plugins.module_utils._registration import erasure, rewriting
from ansible_collections.scs.observability.plugins.module_utils._registration.erasure import Erasure, Looks
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from ansible_collections.scs.observability.plugins.module_utils._registration.rewriting import Recorded
from tests.hardening import of_container
from tests.unit.module_utils._objstore.block_store import A, B, Bucket, C, meta

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("before", "now", "follows"),
    [
        # None was under way: the next one counts.
        (Looks(5, 5, 0), Looks(5, 5, 0), False),
        (Looks(5, 5, 0), Looks(6, 5, 0), False),
        (Looks(5, 5, 0), Looks(6, 6, 0), True),
        # One was, and may have passed the mark already: the one after it counts.
        (Looks(6, 5, 0), Looks(6, 6, 0), False),
        (Looks(6, 5, 0), Looks(7, 7, 0), True),
        # One that failed has shown nothing.
        (Looks(5, 5, 2), Looks(6, 6, 3), False),
        (Looks(5, 5, 2), Looks(7, 7, 3), True),
        # Blocks that it no longer saw are still being dropped.
        (Looks(5, 5, 0), Looks(6, 6, 0, settled=False), False),
        # It was started anew, or there was none.
        (Looks(500, 500, 0), Looks(1, 0, 0), False),
        (Looks(500, 500, 0), Looks(1, 1, 0), True),
        (None, Looks(1, 1, 1), False),
        (None, Looks(1, 1, 0), True),
    ],
)
def test_when_a_store_gateway_has_looked_again(before: Looks | None, now: Looks, follows: bool) -> None:
    assert now.follows(before) is follows


def test_looks_are_read_from_a_store_gateways_metrics() -> None:
    text = b"""
thanos_blocks_meta_sync_duration_seconds_count 9
thanos_blocks_meta_sync_failures_total 1
thanos_blocks_meta_synced{state="loaded"} 3
thanos_blocks_meta_synced{state="marked-for-deletion"} 40
thanos_blocks_meta_syncs_total 10
thanos_bucket_store_blocks_loaded 4
"""
    assert Looks.of(parse(text, Looks.METRICS)) == Looks(10, 9, 1, settled=False)


def compactor(**given: Any) -> dict[str, Any]:
    settings = Settings("thanos-compact", "observer", objstore=True, **given)
    [item] = [
        item for item in thanos_component.objects(thanos_compact.COMPONENT, settings) if item["kind"] == "StatefulSet"
    ]
    return item


def test_retention_is_that_of_the_compactor() -> None:
    found = compactor(retention_raw="2d", retention_5m="10d", retention_1h="15d", delete_delay="1h")
    days = 86400.0
    assert erasure.retention_of([found]) == ({0: 2 * days, 300_000: 10 * days, 3_600_000: 15 * days}, 3600.0)


def test_without_one_blocks_are_kept_for_ever() -> None:
    for found in ([compactor()], []):
        kept, delay = erasure.retention_of(found)
        assert set(kept.values()) == {0.0}
        assert delay == 48 * 3600.0


RUNNING = {"status": {"containerStatuses": [{"state": {"running": {}}}]}}


@dataclass
class StoreGateway:
    """What the API server tells of an observer that has just a store gateway: ``answers`` are what its pod tells one
    after the other, times that it looked at the bucket, or None for an error of the API server's proxy.
    """

    answers: list[int | None]
    runs: bool = True

    def pod(self) -> dict[str, Any]:
        metadata = {"name": "thanos-store-0", "namespace": "observer", "uid": "one"}
        return {"metadata": metadata, "spec": {"containers": []}, **(RUNNING if self.runs else {})}

    def list(
        self, _api_version: str, kind: str, _namespace: str = "", selector: str = "", *_more: str
    ) -> Sequence[Any]:
        if kind == "Pod":
            return [self.pod()]
        settings = Settings("thanos-store", "observer", objstore=True)
        found = thanos_component.objects(thanos_store.COMPONENT, settings)
        stores = [item for item in found if item["kind"] == "StatefulSet"]
        return stores if selector.endswith("component=store") else []

    def get(self, *_what: str) -> dict[str, Any]:
        return self.pod()

    def pod_get(self, *_request: object) -> bytes:
        looks = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if looks is None:
            raise ApiError("https://example.org", "get", "pods/proxy", 503, "error trying to reach service")
        return f"""
thanos_blocks_meta_syncs_total {looks}
thanos_blocks_meta_sync_duration_seconds_count {looks}
thanos_bucket_store_blocks_loaded 1
thanos_blocks_meta_synced{{state="loaded"}} 1
""".encode()


# It is asked once before the first look that counts.
@pytest.mark.parametrize("answers", [[5, None, 5, 6], [None, 5, 5, 6], [5, 5, None, None, 6]])
def test_a_store_gateway_that_is_not_heard_of_once_serves_blocks_still(
    answers: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Bucket({f"{A}/meta.json": meta(cluster="shop")})
    observer: Any = StoreGateway(answers)
    assert clear(store, observer, monkeypatch).blocks_removed == 1
    assert observer.answers == [6]


def test_nothing_is_deleted_while_it_is_not_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "_ANSWER_SECONDS", 0.0)
    store = Bucket({f"{A}/meta.json": meta(cluster="shop")})
    observer: Any = StoreGateway([None])
    with pytest.raises(ApiError, match="error trying to reach service"):
        clear(store, observer, monkeypatch, wait=False)
    assert f"{A}/meta.json" in store.content


def test_one_that_does_not_run_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Bucket({f"{A}/meta.json": meta(cluster="shop")})
    observer: Any = StoreGateway([None], runs=False)
    assert clear(store, observer, monkeypatch).blocks_removed == 1


@dataclass
class Compactor:
    """What the API server tells of an observer that has just a compactor: ``runs`` are what its pod tells one after the
    other (begun, completed, failed), ``compacts`` what it does at that moment.
    """

    runs: list[tuple[int, int, int] | None]
    compacts: dict[int, Callable[[], None]] = field(default_factory=dict)
    asked: int = 0

    def get(self, *_what: str) -> Any:
        return self.list("v1", "Pod")[0]

    def list(
        self, _api_version: str, kind: str, _namespace: str = "", selector: str = "", *_more: str
    ) -> Sequence[Any]:
        metadata = {"name": "thanos-compact-0", "namespace": "observer", "uid": "one"}
        if kind == "Pod":
            return [{"metadata": metadata, "spec": {"containers": []}, **RUNNING}]
        return [compactor()] if selector.endswith("component=compact") else []

    def pod_get(self, *_request: object) -> bytes:
        self.compacts.get(self.asked, lambda: None)()
        self.asked += 1
        told = self.runs[min(self.asked - 1, len(self.runs) - 1)]
        if told is None:
            raise ApiError("https://example.org", "get", "pods/proxy", 503, "error trying to reach service")
        begun, completed, failed = told
        return f"""
thanos_compact_group_compaction_runs_started_total {begun}
thanos_compact_group_compaction_runs_completed_total{{resolution="0"}} {completed}
thanos_compact_group_compactions_failures_total {failed}
""".encode()


def clear(store: Bucket, observer: Compactor, monkeypatch: pytest.MonkeyPatch, *, wait: bool = True) -> Erasure:
    monkeypatch.setattr(erasure, "_POLL_SECONDS", 0.0)
    result = Erasure()
    client: Any = observer
    erasure.BlocksOfCluster(client, "observer", "shop", store, "", wait=wait, timeout=5).clear(result)
    return result


def test_a_block_that_a_compaction_made_meanwhile_goes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Bucket({f"{A}/meta.json": meta(cluster="shop"), f"{B}/meta.json": meta(cluster="other")})
    # It had read A before A was marked, and is done at the third look.
    made = {2: lambda: store.content.update({f"{C}/meta.json": meta(cluster="shop")})}
    result = clear(store, Compactor([(7, 6, 0), (7, 6, 0), (7, 6, 0), (7, 7, 0)], made), monkeypatch)
    assert (result.blocks_removed, result.reasons) == (2, [])
    assert list(store.content) == [f"{B}/meta.json"]


def test_a_compaction_that_failed_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Bucket({f"{A}/meta.json": meta(cluster="shop")})
    result = clear(store, Compactor([(7, 6, 0), (7, 6, 1)]), monkeypatch)
    assert (result.blocks_removed, result.reasons) == (1, [])


def test_one_that_is_not_heard_of_once_is_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Bucket({f"{A}/meta.json": meta(cluster="shop")})
    observer = Compactor([(7, 6, 0), None, (7, 6, 0), (7, 7, 0)])
    assert clear(store, observer, monkeypatch).reasons == []
    assert observer.asked == 4


def test_one_that_goes_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Bucket({f"{A}/meta.json": meta(cluster="shop")})
    result = clear(store, Compactor([(7, 6, 0)]), monkeypatch, wait=False)
    assert result.blocks_removed == 1
    assert "compaction" in result.reasons[0]
    assert result.result()["state"] == "pending"


def run_eraser(folder: Path, name: str, now: float) -> None:
    """Run the init container's script as if the folder were receive's volume."""
    command = [
        part.replace("/var/thanos/receive", str(folder)) for part in erasure.eraser(name, "image", now)["command"]
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not done.stderr


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    for name in ("shop", "shop-prod", "shop-prod-2", "_unassigned"):
        (tmp_path / name / "wal").mkdir(parents=True)
        (tmp_path / name / "wal" / "00000000").write_text("samples")
    return tmp_path


def test_the_database_of_one_cluster_goes(volume: Path) -> None:
    for _again in range(2):
        run_eraser(volume, "shop-prod", 4e9)
        assert names_on(volume) == {"shop", "shop-prod-2", "_unassigned"}


def names_on(volume: Path) -> set[str]:
    return {path.name for path in volume.iterdir() if not path.name.startswith(".")}


def test_an_init_container_that_was_left_there_removes_nothing_later(volume: Path) -> None:
    run_eraser(volume, "shop-prod", 1.7e9)
    assert (volume / "shop-prod" / "wal" / "00000000").is_file()


def test_nor_what_a_cluster_by_the_same_name_has_written_since(volume: Path) -> None:
    run_eraser(volume, "shop-prod", 4e9)
    (volume / "shop-prod" / "wal").mkdir(parents=True)
    run_eraser(volume, "shop-prod", 4e9)
    assert "shop-prod" in names_on(volume)
    # When it leaves, too
    run_eraser(volume, "shop-prod", 4e9 + 60)
    assert "shop-prod" not in names_on(volume)
    assert len(list(volume.glob(".*"))) == 1


def test_init_containers_of_several_runs_do_not_meet() -> None:
    names = [erasure.eraser(name, "image", NOW)["name"] for name in ("a" * 63, "a" * 62 + "b", "shop")]
    assert len(set(names)) == 3
    assert all(len(name) <= 63 for name in names)


def test_the_init_container_may_nothing() -> None:
    assert not list(of_container(erasure.eraser("shop", "image", NOW), {"runAsUser": thanos_component.USER}))


def test_erase_is_for_a_cluster_that_leaves() -> None:
    with pytest.raises(InputError) as raised:
        register({"name": "shop", "erase": True}, False)
    assert raised.value.parameter == "erase"


def test_how_long_components_keep_what_they_have_uploaded() -> None:
    def running(*arguments: str) -> dict[str, Any]:
        # The Prometheus Operator puts its own before it.
        containers = [{"name": "config-reloader"}, {"name": "other", "args": list(arguments)}]
        return {"spec": {"template": {"spec": {"containers": containers}}}}

    found = [
        running("receive", "--tsdb.retention=1d"),
        running("rule", "--tsdb.retention=6h"),
        running("--storage.tsdb.retention.time=2d"),
    ]
    assert erasure.local_retention_of(found) == {"rule": 6 * 3600.0, "prometheus": 48 * 3600.0}


@pytest.mark.parametrize(
    ("until", "kept", "gone"),
    [
        ("2026-02-01T10:00:00Z", 6 * 3600.0, "2026-02-01T19:00:00Z"),
        ("2026-02-01T10:00:00Z", None, ""),
        ("", 6 * 3600.0, ""),
    ],
)
def test_when_what_was_recorded_is_gone_where_it_was(until: str, kept: float | None, gone: str) -> None:
    assert erasure.gone(until, kept) == gone


@dataclass
class Restarting:
    """An observer whose compactor does not become ready again; its init container ``works`` or has not started."""

    works: bool
    patched: list[dict[str, Any]] = field(default_factory=list)

    def list(self, _version: str, kind: str, *_more: str) -> Sequence[Any]:
        if kind == "StatefulSet":
            return [compactor()]
        state = {"running" if self.works else "waiting": {}}
        statuses = [{"name": rewriting.rewriter_name("shop"), "state": state}]
        return [{"metadata": {"name": "thanos-compact-0"}, "status": {"initContainerStatuses": statuses}}]

    def merge(self, manifest: dict[str, Any], *, strategic: bool) -> None:
        assert strategic
        self.patched += manifest["spec"]["template"]["spec"]["initContainers"]


@pytest.mark.parametrize(("works", "reason"), [(True, "rewrites blocks before it starts"), (False, "no shell")])
def test_a_compactor_that_is_kept_from_its_work_gets_it_back(
    works: bool, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_ready(*_arguments: Any) -> None:
        raise NotReadyError("no shell")

    monkeypatch.setattr(erasure, "wait_ready", never_ready)
    store, told, observer = Bucket({f"{A}/meta.json": meta(observer="one")}), Erasure(), Restarting(works)
    client: Any = observer
    bucket = erasure.BlocksOfCluster(client, "observer", "shop", store, "", wait=True, timeout=5)
    found = blocks.survey(store)
    assert bucket.rewrite(found, Recorded(to_rewrite=(found.blocks[A],)), told) == found
    assert reason in told.reasons[0]
    # What does not start is taken away; what works is left to it.
    [added, *taken] = observer.patched
    assert added["image"] == compactor()["spec"]["template"]["spec"]["containers"][0]["image"]
    assert taken == ([] if works else [{"name": added["name"], "$patch": "delete"}])
    # Nothing goes before there is another one.
    assert f"{A}/meta.json" in store.content
    assert f"{A}/{blocks.MARK}" not in store.content
