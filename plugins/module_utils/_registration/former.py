# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of clusters that were taken off board: while an observer has data under a name, no other customer gets it.

They are kept in a ConfigMap of the observer, a key per name, which runs side by side write without meeting.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import AlreadyExists, ApiError, InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import AGENT
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.series import are_none, selector_of
from ansible_collections.scs.observability.plugins.module_utils._promql.stores import query_service
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration, timestamp

NAME = kaas_cluster.FORMER_CLUSTERS
# What has what agents write
_AGENTS_STORES = ("receive", "store")
# How long stores may take that query does not see, as those of an observer that has just been deployed
STORES_SECONDS = 60.0


@dataclass(frozen=True)
class Former:
    """A cluster that had a name: its UID, its customer (empty when nobody said), and until when; ``before`` are those
    that had it before and whose data are there, too.
    """

    cluster_uid: str
    customer: str
    until: str
    before: tuple[Former, ...] = ()

    @classmethod
    def of(cls, registration: Registration, now: datetime) -> Former:
        return cls(registration.cluster_uid, registration.customer, timestamp(now))

    def after(self, found: Former | None) -> Former:
        """The same with those that had the name before; each is kept once."""
        others = (*found.before, replace(found, before=())) if found else ()
        same = (self.cluster_uid, self.customer)
        return replace(self, before=tuple(one for one in others if (one.cluster_uid, one.customer) != same))

    def text(self) -> str:
        return json.dumps(self._entry())

    def _entry(self) -> dict[str, Any]:
        own = {"clusterUID": self.cluster_uid, "customer": self.customer, "until": self.until}
        return {**own, "before": [one._entry() for one in self.before]} if self.before else own

    def obstacle(self, cluster_uid: str, customer: str) -> Former | None:
        """Of those that had the name, the last one whose data a cluster must not see: it is neither the same nor the
        same customer's.
        """
        strangers = [
            one
            for one in (*self.before, self)
            if cluster_uid != one.cluster_uid and (not customer or customer != one.customer)
        ]
        return strangers[-1] if strangers else None


def read(text: str) -> Former:
    """Read an entry; what cannot be read is nobody's, so that the name is not given away."""
    try:
        found = json.loads(text)
        before = tuple(read(json.dumps(one)) for one in found.get("before") or ())
        cluster_uid, customer, until = (str(found.get(name) or "") for name in ("clusterUID", "customer", "until"))
        return Former(cluster_uid, customer, until, before)
    except (ValueError, AttributeError, TypeError):
        return Former("", "", "")


def find(observer: KubernetesClient, namespace: str, name: str) -> Former | None:
    """The cluster that had the name, unless nothing is left of it. Raises ApiError."""
    live = observer.get("v1", "ConfigMap", NAME, namespace)
    text = ((live or {}).get("data") or {}).get(name)
    return None if text is None else read(text)


def remember(observer: KubernetesClient, namespace: str, name: str, former: Former) -> None:
    """Note whose the data under the name are, too. Raises ApiError."""
    former = former.after(find(observer, namespace, name))
    if _write(observer, namespace, name, former.text()):
        return
    labels = workload.labels(name=NAME, instance=NAME, component="registration")
    try:
        observer.create(workload.config_map(NAME, namespace, labels, {name: former.text()}))
    except AlreadyExists:
        _write(observer, namespace, name, former.text())
    except ApiError as error:
        # Without its namespace there is no observer any more, and nothing that it holds.
        if error.status != 404:
            raise


def forget(observer: KubernetesClient, namespace: str, name: str) -> None:
    """Give the name free: nothing is left under it. Raises ApiError."""
    _write(observer, namespace, name, None)


def forgetting(namespace: str, name: str, former: Former | None) -> Plan:
    """That a name is given free, as a change."""
    if former is None:
        return Plan()
    change = Change(
        "update", "ConfigMap", NAME, namespace, before={"data": {name: former.text()}}, after={}, api_version="v1"
    )
    return Plan((change,))


def refuse(
    observer: KubernetesClient,
    namespace: str,
    name: str,
    *,
    cluster_uid: str,
    customer: str,
    known: bool | None = None,
) -> None:
    """Refuse a new cluster under the name of a former one whose data are still there.

    A registration may have gone without being noted here, by hand or with a backup. Then whose the data are is not
    known: they are this cluster's when it is ``known`` to have had the name (None when nobody could tell).
    Stores that query does not see are waited for: they may have just started.
    Raises InputError that says what is left, also when that cannot be seen; QueryError, ApiError.
    """
    former = find(observer, namespace, name)
    if former is None:
        if not known:
            _refuse_unknown(observer, namespace, name, may_be_its_own=known is not None)
        return
    stranger = former.obstacle(cluster_uid, customer)
    if stranger is None:
        return
    try:
        free = are_none(observer, namespace, selector_of({"cluster": name}), patience=STORES_SECONDS)
        what = "its metrics are still there"
    except QueryError as error:
        free, what = False, f"whether metrics of it are left cannot be seen: {error.message}"
    if not free:
        raise InputError(
            f"the name {name!r} was that of another cluster (UID {stranger.cluster_uid}, customer "
            f"{stranger.customer or 'unknown'}) until {stranger.until}, and {what}",
            parameter="name",
            advice="Choose another name, or erase what is left (state: absent with erase: true); "
            "a new cluster of the same customer may have it, if customer says so",
            details={"former_uid": stranger.cluster_uid, "former_customer": stranger.customer},
        )


def _refuse_unknown(observer: KubernetesClient, namespace: str, name: str, *, may_be_its_own: bool) -> None:
    try:
        query_service(observer, namespace)
    except QueryError:
        # An observer that is being built up: nothing was ever read of any cluster.
        return
    # What an agent says of itself, each of them. The observer itself may know a cluster before it is registered. That
    # a sidecar is away, which has nothing of agents, must not keep new clusters out.
    own = selector_of({"cluster": name, "job": AGENT})
    if are_none(observer, namespace, own, of=_AGENTS_STORES, patience=STORES_SECONDS):
        return
    its_own = ". If they are this cluster's, whose registration was lost, force: true has it go on with them"
    raise InputError(
        f"there are metrics of a cluster {name!r} of which nothing else is known",
        parameter="name",
        advice="Choose another name, or erase what is left (state: absent with erase: true)"
        + (its_own if may_be_its_own else ""),
    )


def _write(observer: KubernetesClient, namespace: str, name: str, text: str | None) -> bool:
    metadata = {"name": NAME, "namespace": namespace}
    patch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {name: text}}
    return observer.merge(patch) is not None
