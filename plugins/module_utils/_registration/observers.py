# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster on board of several observers, whose one agent writes to all of them, and on its way from one to another.

Each observer gets a run of its own, which leaves what the agent has of the others. After each step the agent writes
wherever it did, or more; what it leaves it leaves last. So a run that was interrupted is simply repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import OBSERVER
from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    InputError,
    InputErrors,
    ObservabilityError,
    Problems,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Action, Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.cluster import uid_of
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from ansible_collections.scs.observability.plugins.module_utils._registration import offboarding, onboarding, parts
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import (
    Settings,
    namespace,
    require_kubeconfig,
)

# What each observer of a cluster has of its own
FIELDS = (
    *OBSERVER,
    "observer_namespace",
    "query_frontend",
    "remote_write_url",
    "remote_write_ca",
    "client_certificate",
    "client_key",
)
# Of a registration, what holds at a further observer as well unless it is given
CARRIED = ("customer", "sla", "contact", "labels", "overrides")

# Gives what an observer has for every cluster by the parameters of a call for it alone
SideOf = Callable[[Mapping[str, Any]], onboarding.ObserverSide]

TOLD_OF_EACH = ("queue", "phase", "certificate", "seconds", "series", "missing_jobs")

ADVICE = "If that observer is lost for good, force: true moves the cluster without it"


@dataclass(frozen=True)
class Observer:
    """One of the observers of a call: the parameters of a call for it alone, and where they stand (empty for those at
    the top). ``owner`` is who it is (see OBSERVER_ANNOTATION), ``registration`` what it knows of the cluster, ``side``
    what it has for every cluster, when that is shared.
    """

    params: Mapping[str, Any]
    where: str = ""
    owner: str = ""
    registration: Registration | None = None
    side: onboarding.ObserverSide | None = None

    def look(self, side_of: SideOf | None = None) -> Observer:
        """Ask it who it is and what it knows. Raises InputError and ApiError."""
        with self.named():
            if side_of is not None:
                side = side_of(self.params)
                known = next((item for item in side.registered if item.name == self.params["name"]), None)
                return replace(self, owner=side.owner, registration=known, side=side)
            client = KubernetesClient.from_parameters(self.params, "observer_")
            owner = f"{uid_of(client, 'observer_kubeconfig')}/{namespace(self.params, 'observer_namespace')}"
            record = client.get(kaas_cluster.API_VERSION, kaas_cluster.KIND, self.params["name"])
        return replace(self, owner=owner, registration=Registration.of(record) if record else None)

    @contextmanager
    def named(self) -> Iterator[None]:
        """What is said of its parameters says which of the observers is meant."""
        try:
            yield
        except InputErrors as error:
            for problem in error.errors:
                self._rename(problem)
            raise InputErrors(error.errors) from error
        except ObservabilityError as error:
            self._rename(error)
            raise

    def _rename(self, error: ObservabilityError) -> None:
        if self.where and (error.parameter or "").split(".")[0] in FIELDS:
            error.parameter = f"{self.where}.{error.parameter}"


def register(
    params: Mapping[str, Any],
    check_mode: bool,
    *,
    side_of: SideOf | None = None,
    kaas: KubernetesClient | None = None,
) -> dict[str, Any]:
    """Bring a cluster on board of all observers that are named, off the one that it moves from, and return the
    module's result: that of the first observer, with what changes at all of them.

    With ``side_of`` observers are shared with other clusters, and their foundations are not in the result.
    """
    if not params.get("additional_observers") and not _given(params):
        shared = side_of(params) if side_of is not None else None
        return onboarding.register(params, check_mode, shared=shared, kaas=kaas)
    require_kubeconfig(params)
    _refuse_what_is_wrong(params)
    kaas = kaas or KubernetesClient.from_parameters(params)
    _uid, installed = onboarding.look_at_agent(kaas)
    writes_to = frozenset(installed.observers if installed else ())
    wanted = [observer.look(side_of) for observer in observers_of(params)]
    _refuse_twice(wanted)
    former, warnings = _former(params, wanted, writes_to)
    leaving = _leaving(params, former, wanted, writes_to)
    wanted = _carried(wanted, former)

    # All that any of them refuses, before anything is touched
    results, runs = _run(kaas, wanted, leaving, check_mode=True)
    if not check_mode:
        results, runs = _run(kaas, wanted, leaving, check_mode=False)
    result = {**results[0], "warnings": warnings}
    if former is not None:
        owners = frozenset(observer.owner for observer in wanted)
        # Check mode has seen above what the agent leaves.
        company = parts.Company(owners | leaving if check_mode else owners)
        with former.named():
            gone = offboarding.deregister({**former.params, "erase": None}, check_mode, company, kaas=kaas)
        runs += [(former.owner, run) for run in company.runs]
        result["warnings"] = [*warnings, *gone["warnings"]]
    elif not check_mode:
        for owner in sorted(leaving):
            left = offboarding.leave(kaas, owner, wait=params.get("wait") is not False, force=bool(params.get("force")))
            runs.append((owner, parts.Run(Plan(), left)))
    result["observers"] = [
        {"observer": observer.owner, **{key: each[key] for key in TOLD_OF_EACH}}
        for observer, each in zip(wanted, results, strict=True)
    ]
    return {**result, **combined(runs)}


def deregister(
    params: Mapping[str, Any],
    check_mode: bool,
    *,
    side_of: SideOf | None = None,
    kaas: KubernetesClient | None = None,
) -> dict[str, Any]:
    """Take a cluster off all observers that are named; where its agent has others, it goes on writing to them."""
    if not params.get("additional_observers"):
        client = side_of(params).client if side_of is not None else None
        return offboarding.deregister(params, check_mode, observer=client, kaas=kaas)
    if params.get("erase"):
        raise InputError(
            "and additional_observers exclude each other",
            parameter="erase",
            advice="Take the cluster off board first, then erase its data at each observer by itself",
        )
    leaves = [observer.look(side_of) for observer in observers_of(params)]
    _refuse_twice(leaves)
    runs: list[tuple[str, parts.Run]] = []
    results = []
    left: frozenset[str] = frozenset()
    for observer in leaves:
        company = parts.Company(leaving=left)
        client = observer.side.client if observer.side else None
        with observer.named():
            results.append(offboarding.deregister(observer.params, check_mode, company, observer=client, kaas=kaas))
        runs += [(observer.owner, run) for run in company.runs]
        left |= {observer.owner}
    result = dict(results[0])
    result["warnings"] = list(dict.fromkeys(text for each in results for text in each["warnings"]))
    return {**result, **combined(runs)}


def observers_of(params: Mapping[str, Any]) -> list[Observer]:
    """The observers that a cluster is to be on board of, the first is that of the parameters themselves."""
    further = [
        Observer(_for(params, given), f"additional_observers[{number}]")
        for number, given in enumerate(params.get("additional_observers") or ())
    ]
    return [Observer(params), *further]


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the observer that the cluster moves from; empty when nothing is."""
    return {name: value for name, value in (params.get("move_from") or {}).items() if value}


def _for(params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {**params, **{name: given.get(name) or None for name in FIELDS}}


def _refuse_what_is_wrong(params: Mapping[str, Any]) -> None:
    """All that is wrong with the parameters of all observers, before any of them is asked."""
    problems = Problems()

    def reading(observer: Observer) -> Callable[[], Settings]:
        def read() -> Settings:
            with observer.named():
                return Settings.of(observer.params)

        return read

    for observer in observers_of(params):
        problems.of(reading(observer))
    if _given(params):
        problems.of(_refuse_without_proof, params)
    # What is wrong with the cluster is wrong for each of them.
    unique = {str(error): error for error in problems.found}
    problems.found = list(unique.values())
    problems.refuse()


def _refuse_without_proof(params: Mapping[str, Any]) -> None:
    unproven = [name for name in ("wait", "proof") if params.get(name) is False]
    if unproven and not params.get("force"):
        raise InputError(
            f"without {unproven[0]} nobody knows that the new observer receives when the former one is left",
            parameter="move_from",
            advice=f"Leave out {unproven[0]}: false, or have force: true",
        )


def _refuse_twice(observers: Sequence[Observer]) -> None:
    for number, observer in enumerate(observers):
        if any(observer.owner == other.owner for other in observers[:number]):
            raise InputError(
                f"is an observer that is named before: {observer.owner}",
                parameter=f"{observer.where}.observer_kubeconfig",
                advice="Name each observer once",
            )


def _former(
    params: Mapping[str, Any], wanted: Sequence[Observer], writes_to: frozenset[str]
) -> tuple[Observer | None, list[str]]:
    """The observer that the cluster moves from; None when there is none, or it does not answer.

    Raises ApiError when one that the agent still writes to does not answer, unless ``force``.
    """
    if not _given(params):
        return None, []
    given = Observer(_for(params, _given(params)), "move_from")
    try:
        former = given.look()
    except ApiError as error:
        if error.status is not None and error.status < 500:
            raise
        strangers = sorted(writes_to - {observer.owner for observer in wanted})
        if strangers and not params.get("force"):
            error.advice = f"{error.advice}. {ADVICE}" if error.advice else ADVICE
            raise
        return None, [f"the observer that the cluster moves from does not answer, its registration is left: {error}"]
    if any(former.owner == observer.owner for observer in wanted):
        raise InputError(
            f"is an observer that the cluster is to be on board of: {former.owner}",
            parameter="move_from.observer_kubeconfig",
            advice="Name the observer that it leaves",
        )
    return former, []


def _leaving(
    params: Mapping[str, Any], former: Observer | None, wanted: Sequence[Observer], writes_to: frozenset[str]
) -> frozenset[str]:
    """Whom the agent is to write to no more once all others have proven that they are written to."""
    if former is not None:
        return frozenset({former.owner})
    if _given(params):
        # It cannot tell who it is.
        return writes_to - {observer.owner for observer in wanted}
    return frozenset()


def _carried(wanted: Sequence[Observer], former: Observer | None) -> list[Observer]:
    """With what is registered of the cluster elsewhere, for those that do not know it yet."""
    known = next((found for item in (*wanted, former) if item and (found := item.registration)), None)
    if known is None:
        return list(wanted)
    if any(observer.registration is None for observer in wanted):
        _refuse_unproven(known)
    return [
        replace(observer, params={**observer.params, **_missing(observer.params, known)})
        if observer.registration is None
        else observer
        for observer in wanted
    ]


def _refuse_unproven(known: Registration) -> None:
    """A further observer begins with the proof that it receives, and takes silence after that for a failure."""
    if known.phase == "maintenance":
        raise InputError(
            "a cluster in maintenance may be silent, which a further observer would take for a failure",
            parameter="phase",
            advice="End the maintenance first (phase: active)",
        )
    if known.suspended:
        raise InputError(
            "a cluster that is suspended cannot be brought on board of a further observer",
            parameter="suspended",
            advice="End the suspension first (suspended: false)",
        )


def _missing(params: Mapping[str, Any], known: Registration) -> dict[str, Any]:
    missing = {name: getattr(known, name) or None for name in CARRIED if params.get(name) is None}
    # What another observer has registered is no typo.
    classes = [known.sla] if missing.get("sla") and not params.get("sla_classes") else None
    return {**missing, "sla_classes": classes} if classes else missing


def _run(
    kaas: KubernetesClient, wanted: Sequence[Observer], leaving: frozenset[str], *, check_mode: bool
) -> tuple[list[dict[str, Any]], list[tuple[str, parts.Run]]]:
    """On board of one after the other."""
    owners = frozenset(observer.owner for observer in wanted)
    results: list[dict[str, Any]] = []
    runs: list[tuple[str, parts.Run]] = []
    for observer in wanted:
        company = parts.Company(
            observers=(owners | leaving) - {observer.owner},
            leaving=leaving if check_mode else frozenset(),
            presumed=tuple(run.target for _owner, run in runs if run.target is not None),
        )
        with observer.named():
            results.append(onboarding.register(observer.params, check_mode, company, shared=observer.side, kaas=kaas))
        runs += [(observer.owner, run) for run in company.runs]
    return results, runs


def combined(runs: Sequence[tuple[str, parts.Run]]) -> dict[str, Any]:
    """The part of a result that the runs at several observers give: changed, changes and diff.

    What more than one of them changes in the cluster is told once, as what comes of all.
    """
    result: dict[str, Any] = {"changed": False, "changes": [], "diff": {}}

    def tell(plan: Plan, where: str) -> None:
        result["changed"] = result["changed"] or plan.changed
        result["changes"] += [f"{line}{where}" for line in plan.summary()]
        for side, text in plan.diff().items():
            is_text = side in ("before", "after")
            result["diff"][side] = result["diff"].get(side, "") + text if is_text else text

    tell(folded([run.kaas for _owner, run in runs]), "")
    for owner in dict.fromkeys(owner for owner, _run in runs):
        tell(folded([run.observer for other, run in runs if other == owner]), f" at {owner}")
    return result


def folded(plans: Sequence[Plan]) -> Plan:
    """What comes of plans that are carried out one after the other, object by object."""
    first: dict[str, Change] = {}
    last: dict[str, Change] = {}
    for change in (change for plan in plans for change in plan.changes):
        first.setdefault(change.title, change)
        last[change.title] = change
    result = []
    for title, start in first.items():
        end = last[title]
        before = None if start.action == "create" else start.before
        after = None if end.action == "delete" else end.after
        if before is None and after is None:
            continue
        if before is not None and before == after:
            continue
        action: Action = "create" if before is None else "delete" if after is None else "update"
        result.append(replace(end, action=action, before=before, after=after))
    return Plan(tuple(result))
