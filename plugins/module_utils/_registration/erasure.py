# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an observer holds of a cluster that was taken off board goes: in receive, in the bucket, and its name.

Receive has no call for it. It holds the files of a tenant open, and writes them anew when it ends, so they are removed
between two of its runs, by an init container that is there for just that. Blocks are marked first, with a mark so old
that no store gateway looks at them any more, and deleted when none does: a query that meets half a block would fail,
and with it those about all other clusters. What the observer itself recorded about the cluster is in blocks with
everybody's: these are rewritten without it, by an init container of the compactor. What is not in the bucket yet, or
cannot be rewritten, is told with the date at which it is gone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    NotReadyError,
    ObservabilityError,
    StorageError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    container_port,
    identity,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import unready_reason, wait_ready
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    images,
    kaas_cluster,
    thanos_receive,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import HTTP_PORT
from ansible_collections.scs.observability.plugins.module_utils._objstore import blocks
from ansible_collections.scs.observability.plugins.module_utils._objstore.blocks import CLUSTER_LABEL, Block, Survey
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import BucketClient
from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import Place, place
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import from_yaml
from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import Metric, parse
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.series import are_none, selector_of, series
from ansible_collections.scs.observability.plugins.module_utils._promql.stores import Stores
from ansible_collections.scs.observability.plugins.module_utils._registration import (
    former,
    remote_write_clients,
    rewriting,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.record import timestamp
from ansible_collections.scs.observability.plugins.module_utils._registration.rewriting import Recorded

Manifest = dict[str, Any]

# Whose Secret tells where the bucket is; compact must have one, receive may be without.
_BUCKET_OWNERS = ("compact", "receive", "store")
_HEAD = "prometheus_tsdb_head_series"
_RUNS = (
    "thanos_compact_group_compaction_runs_started_total",
    "thanos_compact_group_compaction_runs_completed_total",
    "thanos_compact_group_compactions_failures_total",
)
_RETENTIONS = {
    0: "--retention.resolution-raw",
    300_000: "--retention.resolution-5m",
    3_600_000: "--retention.resolution-1h",
}
# Who has what is not in the bucket, as query calls it and as it is told: what agents write is in receive alone.
_LOCAL = {"receive": "receive", "rule": "rule", "sidecar": "prometheus"}
# A block is that long, and goes when all of it is older than what is kept; it is looked for every few minutes.
_BLOCK_SECONDS = 3 * 3600
_IGNORED_AFTER = ("--ignore-deletion-marks-delay", "24h")
_DELETED_AFTER = ("--delete-delay", "48h")
# Beyond the delay: clocks differ.
_MARGIN = 600.0
# An init container that is left there after an interruption must not remove what comes later, on new volumes neither.
_VALID_SECONDS = 3600
_POLL_SECONDS = 1.0
# Query looks at its stores every 5 seconds, and up every 10 seconds where they are.
_FOUND_SECONDS = 30.0
# How long the metrics of a pod that runs are asked for, also where nothing else is waited for
_ANSWER_SECONDS = 10.0
# Once on each volume: what comes after that is another database, even of a cluster by the same name.
_SCRIPT = '[ "$(date +%s)" -lt "$1" ] && [ ! -e "$3.$1" ] || exit 0; rm -rf -- "$2" && rm -f "$3".* && : > "$3.$1"'
_RESOURCES = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}}

Connect = Callable[[Any], AbstractContextManager[blocks.Store]]


@dataclass(frozen=True)
class Holdings:
    """What there is of a cluster before anything is done: ``receives`` are the StatefulSets whose pods have a database
    of it, ``erasers`` those that have been left with the init container that removes it, ``where`` the bucket (None
    without one that can be worked on, and then ``obstacle`` says why).
    """

    name: str
    receives: tuple[Manifest, ...] = ()
    erasers: tuple[Manifest, ...] = ()
    where: Place | None = None
    obstacle: str = ""
    survey: Survey = field(default_factory=Survey)
    former: former.Former | None = None

    @property
    def plan(self) -> Plan:
        """What goes of it, as changes."""
        changes = [
            Change("delete", "TSDB", self.name, f"{item['metadata']['namespace']}/{item['metadata']['name']}")
            for item in self.receives
        ]
        changes += [
            Change(
                "delete",
                "InitContainer",
                _eraser_name(self.name),
                f"{item['metadata']['namespace']}/{item['metadata']['name']}",
            )
            for item in self.erasers
        ]
        for ulid in self.survey.of(self.name):
            block = self.survey.blocks.get(ulid)
            before = blocks.summary(block) if block else {}
            changes.append(Change("delete", "Block", ulid, str(self.where), before=before, api_version="S3"))
        return Plan(tuple(changes))


@dataclass
class Erasure:
    """How far it is; ``reasons`` are why it is not done."""

    blocks_removed: int = 0
    blocks_rewritten: int = 0
    receive: str = "absent"
    left: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return not (self.left or self.reasons)

    def result(self) -> dict[str, Any]:
        return {
            "state": "done" if self.is_done else "pending",
            "blocks_removed": self.blocks_removed,
            "blocks_rewritten": self.blocks_rewritten,
            "receive": self.receive,
            "left": self.left,
            "reasons": self.reasons,
        }


def look(observer: KubernetesClient, namespace: str, name: str, connect: Connect = BucketClient) -> Holdings:
    """Look at what there is of a cluster. Raises ApiError, InputError, StorageError: then nothing was touched."""
    where, obstacle = bucket_of(observer, namespace)
    found, receives = Survey(), workloads(observer, namespace, "receive")
    if where is not None:
        with _opened(where, connect) as store:
            found = blocks.survey(store, _prefix(where))
    return Holdings(
        name,
        receives=tuple(item for item in receives if holds(observer, item, name)),
        erasers=tuple(item for item in receives if _has_eraser(item, name)),
        where=where,
        obstacle=obstacle,
        survey=found,
        former=former.find(observer, namespace, name),
    )


def would_be(observer: KubernetesClient, namespace: str, holdings: Holdings) -> tuple[Plan, dict[str, Any]]:
    """What check mode tells of it: changes and result."""
    name, recorded = holdings.name, recorded_in(observer, namespace, holdings)
    plan = holdings.plan + recorded.plan
    erasure = Erasure(
        len(holdings.survey.of(name)),
        len(recorded.to_rewrite),
        "present" if holdings.receives else "absent",
    )
    if plan.changed:
        erasure.reasons.append("nothing is removed in check mode")
    elif holdings.obstacle:
        erasure.reasons.append(holdings.obstacle)
    conclude(observer, namespace, name, holdings.survey, erasure)
    if erasure.is_done:
        plan += former.forgetting(namespace, name, holdings.former)
    return plan, erasure.result()


def erase(
    observer: KubernetesClient,
    namespace: str,
    holdings: Holdings,
    *,
    wait: bool,
    timeout: float,
    connect: Connect = BucketClient,
) -> tuple[Plan, dict[str, Any]]:
    """Remove all that can be removed now, and prove what is left; a further run goes on. Return changes and result.

    The cluster must be off board. Raises NotReadyError when receive does not come back; what else stands in the way is
    told in the result.
    """
    name, recorded, erasure = holdings.name, recorded_in(observer, namespace, holdings), Erasure()
    plan = holdings.plan + recorded.plan
    if holdings.receives:
        erasure.receive = "removed"
        for item in holdings.receives:
            remove_from_receive(observer, item, name, image_of_gateway(observer, namespace), wait=wait, timeout=timeout)
    for item in holdings.erasers:
        if item not in holdings.receives:
            _take_eraser_away(observer, item, name, timeout if wait else None)
    if holdings.receives and not wait:
        erasure.receive = "pending"
        erasure.reasons.append("receive restarts, which was not waited for")
    survey = holdings.survey
    if holdings.where is None:
        if holdings.obstacle:
            erasure.reasons.append(holdings.obstacle)
    else:
        with _opened(holdings.where, connect) as store:
            bucket = BlocksOfCluster(
                observer, namespace, name, store, _prefix(holdings.where), wait=wait, timeout=timeout
            )
            survey = bucket.rewrite(bucket.clear(erasure), recorded, erasure)
    if wait and (holdings.receives or holdings.erasers):
        # Query has to find again what was restarted here; if it does not, what is read back says so.
        with suppress(QueryError):
            Stores.all_there(observer, namespace, patience=min(timeout, _FOUND_SECONDS))
    conclude(observer, namespace, name, survey, erasure)
    if erasure.is_done:
        plan += former.forgetting(namespace, name, holdings.former)
        # Also one that this very run has remembered, when it took the cluster off board
        if former.find(observer, namespace, name) is not None:
            former.forget(observer, namespace, name)
    return plan, erasure.result()


def conclude(observer: KubernetesClient, namespace: str, name: str, survey: Survey, erasure: Erasure) -> None:
    """Read back, past all that was done here, whether anything of the cluster is left; tell it in ``erasure``."""
    if observer.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, name) is not None:
        erasure.reasons.append("its registration is still there")
    if remote_write_clients.revocation(observer, namespace, name).changed:
        erasure.reasons.append("the gateway still lets its certificate in")
    erasure.reasons += [f"the description of the block {ulid} cannot be read" for ulid in survey.unreadable]
    try:
        # Query may not have found a receive again that has just been restarted.
        if any(holds(observer, item, name) for item in workloads(observer, namespace, "receive")):
            erasure.reasons.append("receive has a database of it")
        if are_none(observer, namespace, selector_of({CLUSTER_LABEL: name})):
            return
        erasure.left = left_of(observer, namespace, name, survey)
    except ObservabilityError as error:
        erasure.reasons.append(f"whether anything of it is left cannot be seen: {error}")
        return
    if not erasure.left and not erasure.reasons:
        erasure.reasons.append("series of it can still be read; run this again in some minutes")


def recorded_in(observer: KubernetesClient, namespace: str, holdings: Holdings) -> Recorded:
    """What becomes of blocks of the observer itself that have series of the cluster; nothing where that is not seen."""
    if holdings.where is None:
        return Recorded()
    compactors = workloads(observer, namespace, "compact")
    try:
        having = having_of(observer, namespace, holdings.name, holdings.survey) if compactors else []
    except QueryError:
        # Nor is it erased then, which is told at the end.
        having = []
    return sorted_out(having, holdings.survey, holdings.name, compactors)


def sorted_out(having: Sequence[Block], survey: Survey, name: str, compactors: Sequence[Manifest]) -> Recorded:
    """The same of blocks of which that is known. Pure."""
    disabled = any("--downsampling.disable" in arguments_of(item) for item in compactors)
    return rewriting.sort_out(having, survey, name, downsampling=not disabled)


def having_of(observer: KubernetesClient, namespace: str, name: str, survey: Survey) -> list[Block]:
    """The blocks of the observer itself of which store gateways have series of the cluster. Raises QueryError."""
    own = {CLUSTER_LABEL: name}
    candidates = sorted(
        (block for block in survey.blocks.values() if not (block.cluster or block.is_without(name))),
        key=lambda block: (block.min_time, block.ulid),
    )
    gateways = Stores.wanted(observer, namespace).addresses().get("store", []) if candidates else []

    def has(block: Block) -> bool:
        selector = selector_of({**own, **{label: value for label, value in block.labels.items() if label not in own}})
        # Its end is the beginning of the next one.
        start, end = block.min_time / 1000, (block.max_time - 1) / 1000
        return bool(series(observer, namespace, selector, start=start, end=end, limit=1, stores=gateways))

    having = observer.parallel([partial(has, block) for block in candidates])
    return [block for block, is_there in zip(candidates, having, strict=True) if is_there]


def left_of(observer: KubernetesClient, namespace: str, name: str, survey: Survey) -> list[dict[str, Any]]:
    """What the observer's own blocks have of the cluster, and what is still where it was recorded, with the date at
    which it is gone. Raises QueryError.
    """
    retention, delay = retention_of(workloads(observer, namespace, "compact"))
    found = [
        {"block": block.ulid, "owner": block.owner, "expires": _moment(block.expires(retention, delay))}
        for block in having_of(observer, namespace, name, survey)
    ]
    addresses = Stores.wanted(observer, namespace).addresses()
    components = [component for component in _LOCAL if addresses.get(component)]
    selector = selector_of({CLUSTER_LABEL: name})
    local = observer.parallel(
        [
            partial(series, observer, namespace, selector, limit=1, stores=addresses[component])
            for component in components
        ]
    )
    kept = local_retention_of(observer.list("apps/v1", "StatefulSet", namespace))
    last = former.find(observer, namespace, name)
    for component, there in zip(components, local, strict=True):
        if there:
            owner = _LOCAL[component]
            found.append({"block": "", "owner": owner, "expires": gone(last.until if last else "", kept.get(owner))})
    return found


def local_retention_of(found: Sequence[Manifest]) -> dict[str, float]:
    """How many seconds Prometheus and rule keep what they have uploaded. Pure."""
    flags = {"--storage.tsdb.retention.time": "prometheus", "--tsdb.retention": "rule"}
    kept: dict[str, float] = {}
    for item in found:
        for given in arguments_of(item):
            flag, _equals, value = given.partition("=")
            # Receive has the same flag as rule.
            if flag in flags and (flag != "--tsdb.retention" or "rule" in arguments_of(item)):
                kept[flags[flag]] = _seconds(value)
    return kept


def gone(until: str, kept: float | None) -> str:
    """When what was recorded until then is gone from where it was recorded; empty when nobody knows. Pure."""
    if not (until and kept):
        return ""
    return timestamp(datetime.fromisoformat(until) + timedelta(seconds=kept + _BLOCK_SECONDS))


def arguments_of(item: Manifest) -> list[str]:
    """The arguments of all containers of a workload. Pure."""
    containers = item["spec"]["template"]["spec"]["containers"]
    return [str(given) for container in containers for given in container.get("args") or []]


def retention_of(compactors: Sequence[Manifest]) -> tuple[dict[int, float], float]:
    """How many seconds blocks are kept, by resolution, and pass from their mark to their end. Pure."""
    arguments = {flag: argument(compactors, flag, "0s") for flag in _RETENTIONS.values()}
    kept = {resolution: _seconds(arguments[flag]) for resolution, flag in _RETENTIONS.items()}
    return kept, _seconds(argument(compactors, *_DELETED_AFTER))


def argument(found: Sequence[Manifest], flag: str, default: str) -> str:
    """The value of a flag of a workload. Pure."""
    for item in found:
        for given in arguments_of(item):
            if given.startswith(f"{flag}="):
                return given.partition("=")[2]
    return default


# Receive


def holds(observer: KubernetesClient, item: Manifest, name: str) -> bool:
    """Tell whether one of the pods of a receive has a database of the cluster. Raises ApiError."""
    for pod in pods(observer, item):
        found = parse(metrics_of(observer, pod), (_HEAD,))
        if any(metric.labels.get("tenant") == name for metric in found.get(_HEAD, ())):
            return True
    return False


def remove_from_receive(
    observer: KubernetesClient, item: Manifest, name: str, image: str, *, wait: bool, timeout: float
) -> None:
    """Restart receive, with the database of the cluster removed before it starts; agents keep their data meanwhile.

    Several runs may do that at once: each has an init container of its own. Raises NotReadyError, ApiError.
    """
    ends = float(item["spec"]["template"]["spec"].get("terminationGracePeriodSeconds") or 30)
    deadline = time.monotonic() + timeout + ends
    _patch_init_container(observer, item, eraser(name, image, time.time()))
    if wait:
        wait_ready(observer, [identity(item)], max(deadline - time.monotonic(), 1.0))
        _take_eraser_away(observer, item, name, max(deadline - time.monotonic(), 1.0))


def _take_eraser_away(observer: KubernetesClient, item: Manifest, name: str, timeout: float | None) -> None:
    """Receive restarts once more; without ``timeout`` that is not waited for."""
    _patch_init_container(observer, item, {"name": _eraser_name(name), "$patch": "delete"})
    if timeout is not None:
        wait_ready(observer, [identity(item)], timeout)


def _patch_init_container(observer: KubernetesClient, item: Manifest, element: Mapping[str, Any]) -> None:
    key = identity(item)
    manifest = {
        "apiVersion": key.api_version,
        "kind": key.kind,
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {"template": {"spec": {"initContainers": [element]}}},
    }
    observer.merge(manifest, strategic=True)


def eraser(name: str, image: str, now: float) -> Manifest:
    """The init container that removes the database of a cluster. Pure."""
    container, folder = _eraser_name(name), thanos_receive.DATA_PATH
    until = str(int(now) + _VALID_SECONDS)
    return workload.container(
        container,
        image,
        command=["sh", "-c", _SCRIPT, "erase", until, f"{folder}/{name}", f"{folder}/.{container}"],
        mounts=[workload.mount("data", thanos_receive.DATA_PATH, read_only=False)],
        resources=_RESOURCES,
    )


def _eraser_name(name: str) -> str:
    # A cluster's name may be as long as a container's.
    return f"erase-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _has_eraser(item: Manifest, name: str) -> bool:
    """Tell whether one is left there by a run that was interrupted, or did not wait. Pure."""
    return _has_init_container(item, _eraser_name(name))


def _has_init_container(item: Manifest, name: str) -> bool:
    containers = item["spec"]["template"]["spec"].get("initContainers") or []
    return any(container["name"] == name for container in containers)


def image_of_gateway(observer: KubernetesClient, namespace: str) -> str:
    """HAProxy's image, the one of an observer that always has a shell, from where the observer gets it."""
    for item in observer.list("apps/v1", "Deployment", namespace, _selector("remote-write-gateway", "haproxy")):
        return str(item["spec"]["template"]["spec"]["containers"][0]["image"])
    return images.HAPROXY


# The bucket


def bucket_of(observer: KubernetesClient, namespace: str) -> tuple[Place | None, str]:
    """Where the observer's blocks are, by the Secrets of its components; or why that cannot be worked on.

    Raises InputError when they cannot be read.
    """
    for component in _BUCKET_OWNERS:
        for secret in observer.list("v1", "Secret", namespace, _selector(component)):
            text = secret_text(secret, "objstore.yml")
            if text is None:
                continue
            objstore = from_yaml(text)
            config = objstore["config"]
            where = place(objstore, config.get("access_key"), config.get("secret_key"), secret_text(secret, "ca.crt"))
            return (
                where,
                "" if where else f"its blocks in object storage of type {objstore.get('type')} are not removed",
            )
    return None, ""


@contextmanager
def _opened(where: Place, connect: Connect) -> Iterator[blocks.Store]:
    """The store; its errors are about no parameter of this module, but about what the observer was deployed with."""
    try:
        with connect(where.access) as store:
            yield store
    except StorageError as error:
        error.parameter = None
        error.message = f"the observer's bucket: {error.message}"
        raise


@dataclass(frozen=True)
class Looks:
    """How often a store gateway began to look at the bucket, ended, and failed; and whether it serves no more blocks
    than it saw at the last look.
    """

    METRICS: ClassVar = (
        "thanos_blocks_meta_syncs_total",
        "thanos_blocks_meta_sync_duration_seconds_count",
        "thanos_blocks_meta_sync_failures_total",
        "thanos_bucket_store_blocks_loaded",
        "thanos_blocks_meta_synced",
    )

    begun: float
    ended: float
    failed: float
    settled: bool = True

    @classmethod
    def of(cls, metrics: Mapping[str, Sequence[Metric]]) -> Looks:
        begun, ended, failed, loaded, seen = (
            sum(found.value for found in metrics.get(name, ()) if found.labels.get("state", "loaded") == "loaded")
            for name in cls.METRICS
        )
        return cls(begun, ended, failed, loaded <= seen)

    def follows(self, before: Looks | None) -> bool:
        """Tell whether a look that began after ``before`` was taken has shown what it serves now. Pure."""
        if before is None or self.begun < before.begun:
            # Another process: it looks before it serves anything.
            return self.settled and self.ended > self.failed
        under_way = before.begun - before.ended
        return self.settled and self.ended - self.failed > before.ended - before.failed + under_way


@dataclass(frozen=True)
class BlocksOfCluster:
    """The bucket while the blocks of a cluster are removed from it."""

    observer: KubernetesClient
    namespace: str
    name: str
    store: blocks.Store
    prefix: str
    wait: bool
    timeout: float

    def clear(self, erasure: Erasure) -> Survey:
        """Remove its blocks, also those that a compaction makes of them meanwhile; return what is there then."""
        deadline = time.monotonic() + self.timeout
        began: float | None = None
        while True:
            # What was under way when the last look began may bring another block.
            ended = began is None or self._compactions(deadline)[1] >= began
            found = blocks.survey(self.store, self.prefix)
            own = found.of(self.name)
            if not own and ended:
                return found
            if own:
                if not self._withdraw(own, deadline):
                    erasure.reasons.append(
                        f"{len(own)} blocks are marked, and deleted once no store gateway serves them: run this again "
                        "in some minutes"
                    )
                    return found
                blocks.remove(self.store, {ulid: found.keys[ulid] for ulid in own}, self.prefix)
                erasure.blocks_removed += len(own)
                began = self._compactions(deadline)[0]
            elif not self.wait or time.monotonic() >= deadline:
                erasure.reasons.append("a compaction is under way that began before its blocks were deleted")
                return found
            else:
                time.sleep(_POLL_SECONDS)

    def rewrite(self, found: Survey, recorded: Recorded, erasure: Erasure) -> Survey:
        """Have what the observer recorded about it rewritten, and remove what was; return what is there then."""
        compactors = workloads(self.observer, self.namespace, "compact")
        for item in compactors:
            if recorded.to_rewrite and not self._rewritten(item, recorded, erasure):
                return found
        having = [*recorded.to_rewrite, *recorded.replaced, *recorded.derived, *recorded.kept]
        if recorded.to_rewrite:
            found = blocks.survey(self.store, self.prefix)
            having = [block for block in having if block.ulid in found.blocks]
        now = sorted_out(having, found, self.name, compactors)
        if now.to_rewrite:
            erasure.reasons.append(
                f"{len(now.to_rewrite)} blocks were not rewritten" + "".join(map(self._why, compactors[:1]))
            )
        if now.kept:
            erasure.reasons.append(
                f"{len(now.kept)} downsampled blocks cannot be rewritten by Thanos, and what they were made of is not "
                "there any more: they expire by the compactor's retention"
            )
        if now.replaced:
            gone = [block.ulid for block in now.replaced]
            if not self._withdraw(gone, time.monotonic() + self.timeout):
                erasure.reasons.append(
                    f"{len(gone)} blocks that were rewritten are marked, and deleted once no store gateway serves "
                    "them: run this again in some minutes"
                )
                return found
            blocks.remove(self.store, {ulid: found.keys[ulid] for ulid in gone}, self.prefix)
            erasure.blocks_rewritten = sum(not (block.resolution or block.empty) for block in now.replaced)
            found = blocks.survey(self.store, self.prefix)
        for item in compactors:
            self._take_rewriter_away(item)
        return found

    def _rewritten(self, item: Manifest, recorded: Recorded, erasure: Erasure) -> bool:
        """Restart the compactor, with blocks rewritten before it starts; tell whether that is over."""
        container = rewriting.rewriter_name(self.name)
        if not (_has_init_container(item, container) and unready_reason(item)):
            which = [block.ulid for block in recorded.to_rewrite]
            blocks.keep_from_compactor(self.store, which, self.name, time.time(), self.prefix)
            _patch_init_container(self.observer, item, rewriting.rewriter(item, self.name, which, time.time()))
        under_way = "the compactor's pod rewrites blocks before it starts: run this again in some minutes"
        if not self.wait:
            erasure.reasons.append(under_way)
            return False
        try:
            wait_ready(self.observer, [identity(item)], self.timeout)
        except NotReadyError as error:
            if any(works(pod, container) for pod in pods(self.observer, item)):
                erasure.reasons.append(under_way)
            else:
                # Whatever keeps it from starting, such as an image without a shell: the compactor has to.
                _patch_init_container(self.observer, item, {"name": container, "$patch": "delete"})
                erasure.reasons.append(f"blocks could not be rewritten: {error.message}")
            return False
        return True

    def _why(self, item: Manifest) -> str:
        """The last error that the tool told."""
        with suppress(ApiError):
            for pod in pods(self.observer, item):
                metadata = pod["metadata"]
                container = rewriting.rewriter_name(self.name)
                told = self.observer.logs(metadata["name"], metadata["namespace"], container, tail_lines=200)
                for line in reversed(told.splitlines()):
                    if "level=error" in line or line.startswith("panic:"):
                        return f": {line[:300]}"
        return ""

    def _take_rewriter_away(self, item: Manifest) -> None:
        """The compactor restarts once more."""
        key, container = identity(item), rewriting.rewriter_name(self.name)
        live = self.observer.get(key.api_version, key.kind, key.name, key.namespace)
        if live is None or not _has_init_container(live, container):
            return
        _patch_init_container(self.observer, live, {"name": container, "$patch": "delete"})
        if self.wait:
            wait_ready(self.observer, [key], self.timeout)

    def _withdraw(self, own: Sequence[str], deadline: float) -> bool:
        """Mark blocks, and tell whether no store gateway serves them any more."""
        stores = workloads(self.observer, self.namespace, "store")
        ignored = _seconds(argument(stores, *_IGNORED_AFTER))
        blocks.mark_all(self.store, own, self.name, time.time() - ignored - _MARGIN, self.prefix)
        before = self._looks(stores, deadline)
        while not all(look.follows(before.get(pod)) for pod, look in self._looks(stores, deadline).items()):
            if not self.wait or time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _looks(self, stores: Sequence[Manifest], deadline: float) -> dict[str, Looks]:
        """How often each pod of the store gateways has looked at the bucket; one that does not run serves nothing."""
        return {pod: Looks.of(parse(text, Looks.METRICS)) for pod, text in self._metrics(stores, deadline)}

    def _compactions(self, deadline: float) -> tuple[float, float]:
        """How many runs of the compactor have begun, and how many have ended; both 0 where none runs.

        One that does not run compacts nothing, and begins with a look at the bucket.
        """
        totals = dict.fromkeys(_RUNS, 0.0)
        for _pod, text in self._metrics(workloads(self.observer, self.namespace, "compact"), deadline):
            for metric, found in parse(text, _RUNS).items():
                totals[metric] += sum(sample.value for sample in found)
        began, completed, failed = (totals[metric] for metric in _RUNS)
        return began, completed + failed

    def _metrics(self, found: Sequence[Manifest], deadline: float) -> Iterator[tuple[str, bytes]]:
        """The metrics of each pod that runs, by its uid. Raises ApiError when one that runs does not give them."""
        patience = max(deadline if self.wait else 0.0, time.monotonic() + _ANSWER_SECONDS)
        for item in found:
            for pod in pods(self.observer, item):
                text = self._metrics_of(pod, patience)
                if text is not None:
                    yield pod["metadata"]["uid"], text

    def _metrics_of(self, pod: Manifest, patience: float) -> bytes | None:
        while runs(pod):
            try:
                return metrics_of(self.observer, pod)
            except ApiError:
                # That nothing was heard of it says nothing of what it serves.
                if time.monotonic() >= patience:
                    raise
            time.sleep(_POLL_SECONDS)
            metadata = pod["metadata"]
            now = self.observer.get("v1", "Pod", metadata["name"], metadata["namespace"])
            if now is None or now["metadata"]["uid"] != metadata["uid"]:
                return None
            pod = now
        return None


def works(pod: Manifest, container: str) -> bool:
    """Tell whether an init container of a pod runs, as the kubelet told last. Pure."""
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or []
    return any(status["name"] == container and "running" in (status.get("state") or {}) for status in statuses)


def runs(pod: Manifest) -> bool:
    """Tell whether a container of a pod runs, as the kubelet told last. Pure."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any("running" in (status.get("state") or {}) for status in statuses)


def workloads(observer: KubernetesClient, namespace: str, component: str) -> list[Manifest]:
    """The StatefulSets of one of Thanos' components."""
    return observer.list("apps/v1", "StatefulSet", namespace, _selector(component))


def pods(observer: KubernetesClient, item: Manifest) -> list[Manifest]:
    labels = item["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{label}={value}" for label, value in labels.items())
    return observer.list("v1", "Pod", item["metadata"]["namespace"], selector)


def metrics_of(observer: KubernetesClient, pod: Manifest) -> bytes:
    """The metrics of a pod of Thanos. Raises ApiError."""
    port = container_port(pod, "http", HTTP_PORT)
    return observer.pod_get(pod["metadata"]["namespace"], pod["metadata"]["name"], port, "metrics")


def _selector(component: str, name: str = "thanos") -> str:
    return f"{MANAGED_BY_LABEL}={MANAGED_BY},app.kubernetes.io/name={name},app.kubernetes.io/component={component}"


def _prefix(where: Place) -> str:
    return f"{where.prefix}/" if where.prefix else ""


def _seconds(value: str) -> float:
    """A duration of an argument; an operator's own may be in a form that is not ours to judge."""
    try:
        return duration_seconds(value, "retention")
    except InputError:
        return 0.0


def _moment(seconds: float | None) -> str:
    return "never" if seconds is None else timestamp(datetime.fromtimestamp(seconds, UTC))
