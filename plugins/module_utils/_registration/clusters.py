# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clusters in one call: side by side, what is the same for all looked at once, and none stops another."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import unset_empty
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._core.module import without_empty
from ansible_collections.scs.observability.plugins.module_utils._core.names import nearest
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import WORKERS, KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.cluster import uid_of
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.scs.observability.plugins.module_utils._registration import observers
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import (
    ObserverSide,
    remember_failure,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    cluster_name,
    require_kubeconfig,
)

Spec = Mapping[str, Mapping[str, Any]]

# Most of the time they wait for pods and samples, so that many threads cost little.
AT_ONCE = 128
# More clusters than these get one connection each: a handshake is dearer than to wait, beside so many others.
FEW = 10
_ERASING = threading.Lock()
# Which observer is meant
_OBSERVER = ("observer_kubeconfig", "observer_kubeconfig_content", "observer_context", "observer_namespace")


class ClustersError(ObservabilityError):
    """Some of the clusters of a call failed; what became of each is in ``details``."""


@dataclass
class _Cluster:
    """One of the clusters of a call, and what became of it: ``result`` or ``error``."""

    params: Mapping[str, Any]
    side: ObserverSide | None = None
    client: KubernetesClient | None = None
    uid: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return str(self.params.get("name") or "")

    @property
    def leaves(self) -> bool:
        return self.params.get("state") == "absent"

    @property
    def erased(self) -> bool:
        """Whether it may be gone, so that nobody needs to say how it is reached."""
        return self.leaves and bool(self.params.get("erase"))

    def attempt(self, step: Callable[[_Cluster], None]) -> None:
        """Take a step, unless one failed before. What goes wrong is this cluster's alone."""
        if self.error is not None:
            return
        try:
            step(self)
        except ObservabilityError as error:
            self.error = error.result()
        except Exception as error:
            # A fault of ours must not hide what became of the others.
            text = f"an error that nobody foresaw: {type(error).__name__}"
            self.error = {"msg": text, "exception": traceback.format_exc()}

    def outcome(self) -> dict[str, Any]:
        """What the module returns of it; the diff of all clusters is shown together."""
        found = {"changed": False, "msg": told(self.result), **self.result, **(self.error or {})}
        found.pop("diff", None)
        return {**found, "name": self.name, "failed": self.error is not None}


def manage_all(params: Mapping[str, Any], check_mode: bool, spec: Spec) -> dict[str, Any]:
    """Bring each of ``clusters`` to what is wanted. Raises InputError for what is no list of clusters, before anything
    is touched, and ClustersError with the whole result at the end when clusters failed.
    """
    started = time.monotonic()
    clusters = [_Cluster(given) for given in parameters_of_each(params, spec)]
    for cluster in clusters:
        cluster.attempt(_check)
    _refuse_twice(clusters, lambda cluster: cluster.name, "the name is given more than once, for {others} clusters")
    sides = _Sides(cluster for cluster in clusters if cluster.error is None)
    for cluster in clusters:
        cluster.attempt(partial(_look_at_observer, sides=sides))
    _each(clusters, partial(_look, check_mode=check_mode, workers=WORKERS if len(clusters) <= FEW else 1))
    _refuse_twice(
        clusters, lambda cluster: cluster.uid, "the kubeconfigs of {names} lead to the same cluster, with UID {key}"
    )
    _each(clusters, partial(_operate, sides=sides, check_mode=check_mode))
    result = _result(clusters, sides, check_mode)
    result["summary"]["seconds"] = round(time.monotonic() - started, 1)
    failed = [cluster for cluster in clusters if cluster.error is not None]
    if failed:
        raise ClustersError(f"{len(failed)} of {len(clusters)} clusters failed:\n{_messages(failed)}", details=result)
    return result


def parameters_of_each(params: Mapping[str, Any], spec: Spec) -> list[dict[str, Any]]:
    """Return the parameters of every cluster: what it does not say itself is what is said for all.

    Raises InputError that lists everything that is no option, or none of its type.
    """
    if params.get("name") is not None:
        raise InputError("and clusters exclude each other", parameter="name", advice="Name each in clusters")
    shared = {name: value for name, value in params.items() if name not in ("clusters", "name")}
    own = {
        name: {key: value for key, value in option.items() if key not in ("default", "required")}
        for name, option in spec.items()
        if name != "clusters"
    }
    validator = ArgumentSpecValidator(own)
    result, problems = [], []
    for number, given in enumerate(params["clusters"]):
        place = f"clusters[{number}]" + (f" ({given['name']})" if given.get("name") else "")
        unknown = sorted(set(given) - set(own))
        for name in unknown:
            meant = nearest(name, own)
            problems.append(f"{place}: {name} is no option of a cluster" + (f", {meant} is" if meant else ""))
        known = {name: value for name, value in given.items() if name in own}
        validated = validator.validate(without_empty(known, own))
        problems += [f"{place}: {text}" for text in validated.error_messages]
        said = unset_empty(validated.validated_parameters, own)
        result.append({**shared, **{name: value for name, value in said.items() if value is not None}})
    if problems:
        raise InputError("; ".join(problems), parameter="clusters")
    return result


def _check(cluster: _Cluster) -> None:
    cluster_name(cluster.params)
    if not cluster.erased:
        require_kubeconfig(cluster.params)


def _refuse_twice(clusters: Sequence[_Cluster], key_of: Callable[[_Cluster], str], text: str) -> None:
    """What two claim, neither gets."""
    by_key: dict[str, list[_Cluster]] = {}
    for cluster in clusters:
        if cluster.error is None and key_of(cluster):
            by_key.setdefault(key_of(cluster), []).append(cluster)
    for key, same in by_key.items():
        if len(same) > 1:
            names = ", ".join(sorted(cluster.name for cluster in same))
            error = InputError(text.format(names=names, key=key, others=len(same)), parameter="clusters")
            for cluster in same:
                cluster.error = error.result()


class _Sides:
    """The observers of a call, each looked at once, by whoever needs it first. May be used by several threads."""

    def __init__(self, clusters: Iterable[_Cluster]) -> None:
        self._names: dict[tuple[Any, ...], list[str]] = {}
        self._found: dict[tuple[Any, ...], ObserverSide | ObservabilityError] = {}
        self._lock = threading.Lock()
        for cluster in clusters:
            for observer in observers.observers_of(cluster.params):
                self._names.setdefault(self._key(observer.params), []).append(cluster.name)

    @staticmethod
    def _key(params: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(params.get(name) for name in _OBSERVER)

    def of(self, params: Mapping[str, Any]) -> ObserverSide:
        """The observer of a call's parameters. One that does not answer fails all its clusters."""
        key = self._key(params)
        with self._lock:
            if key not in self._found:
                try:
                    client = KubernetesClient.from_parameters(params, "observer_")
                    names = self._names[key]
                    self._found[key] = ObserverSide.of(client, params, datetime.now(UTC), clusters=names)
                except ObservabilityError as error:
                    self._found[key] = error
        found = self._found[key]
        if isinstance(found, ObservabilityError):
            raise found
        return found

    def all(self) -> list[ObserverSide]:
        """Those that were looked at."""
        return [found for found in self._found.values() if isinstance(found, ObserverSide)]


def _look_at_observer(cluster: _Cluster, *, sides: _Sides) -> None:
    cluster.side = sides.of(cluster.params)


def _look(cluster: _Cluster, *, check_mode: bool, workers: int) -> None:
    """Find out which cluster it is. One that leaves may not answer: that is for its removal to judge."""
    if cluster.side is None:
        raise ValueError("its observer was not looked at")
    if cluster.erased:
        # How it is reached may not even be said.
        return
    cluster.client = KubernetesClient(Connection.from_parameters(cluster.params), workers=workers)
    try:
        cluster.uid = uid_of(cluster.client)
    except ObservabilityError as error:
        if cluster.leaves:
            return
        if not check_mode:
            remember_failure(cluster.side.client, cluster.name, cluster.side.namespace, error)
        raise


def _operate(cluster: _Cluster, *, sides: _Sides, check_mode: bool) -> None:
    if cluster.side is None:
        raise ValueError("its observer was not looked at")
    operation = observers.deregister if cluster.leaves else observers.register
    try:
        # All erasing works on the same bucket and the same receive.
        with _ERASING if cluster.erased else nullcontext():
            cluster.result = operation(cluster.params, check_mode, side_of=sides.of, kaas=cluster.client)
    finally:
        if cluster.client is not None:
            cluster.client.close()


def _each(clusters: Sequence[_Cluster], step: Callable[[_Cluster], None]) -> None:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="cluster") as executor:
        list(executor.map(lambda cluster: cluster.attempt(step), clusters))


def _result(clusters: Sequence[_Cluster], sides: _Sides, check_mode: bool) -> dict[str, Any]:
    outcomes = [cluster.outcome() for cluster in clusters]
    joined = [
        sides.of(observer.params)
        for cluster in clusters
        if cluster.result and not cluster.leaves
        for observer in observers.observers_of(cluster.params)
    ]
    foundations = [
        side.foundation.result()
        for side in sides.all()
        if side.foundation.changed and (side in joined if check_mode else side.is_laid)
    ]
    return {
        "changed": any(found["changed"] for found in (*outcomes, *foundations)),
        "changes": [line for found in foundations for line in found["changes"]]
        + [f"{found['name']}: {line}" for found in outcomes for line in found.get("changes") or []],
        "diff": [found["diff"] for found in foundations] + list(_diffs(clusters)),
        "clusters": outcomes,
        "summary": {
            "clusters": len(outcomes),
            "changed": sum(found["changed"] for found in outcomes),
            "failed": sum(found["failed"] for found in outcomes),
        },
        "warnings": [f"{found['name']}: {text}" for found in outcomes for text in found.pop("warnings", None) or ()],
    }


def _diffs(clusters: Iterable[_Cluster]) -> Iterator[dict[str, str]]:
    for cluster in clusters:
        if cluster.result.get("changed"):
            diff = cluster.result["diff"]
            headers = {key: f"{cluster.name}, {diff[key]}" for key in ("before_header", "after_header")}
            yield {**diff, **headers}


def _messages(failed: Iterable[_Cluster]) -> str:
    """One line for each message, with all that it is about: a hundred may have the same reason."""
    about: dict[str, list[str]] = {}
    for cluster in failed:
        about.setdefault((cluster.error or {})["msg"], []).append(cluster.name or "without a name")
    return "\n".join(f"{', '.join(dict.fromkeys(names))}: {text}" for text, names in about.items())


def told(result: Mapping[str, Any]) -> str:
    """In a few words what came of a cluster that did not fail. Pure."""
    words = [str(result.get("phase") or "")]
    if result.get("seconds") is not None:
        words.append(f"{result['series']} series, the first new sample after {result['seconds']:.1f} s")
    if result.get("missing_jobs"):
        words.append(f"missing: {', '.join(missing['job'] for missing in result['missing_jobs'])}")
    if result.get("left"):
        words.append(f"left in the cluster: {', '.join(result['left'])} ({result['left_reason']})")
    if result.get("erasure"):
        words.append(_erased(result["erasure"]))
    return ", ".join(words)


def _erased(erasure: Mapping[str, Any]) -> str:
    """How far a cluster's metrics are erased, and when what is left will be gone."""
    if erasure["state"] == "done":
        return "its metrics are erased"
    left: dict[str, list[str]] = {}
    for item in erasure["left"]:
        what = f"what is in blocks of {item['owner']}" if item["block"] else f"what {item['owner']} keeps itself"
        left.setdefault(what, []).append(item["expires"])
    reasons = [f"{what} {_until(moments)}" for what, moments in sorted(left.items())] + erasure["reasons"]
    return f"its metrics are not all erased: {'; '.join(reasons)}"


def _until(moments: Sequence[str]) -> str:
    known = [moment for moment in moments if moment]
    if "never" in known:
        return "never expires"
    return f"is gone by {max(known)}" if known else "stays for a time that is not known"
