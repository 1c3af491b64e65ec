# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of clusters that were taken off board: while an observer has data under a name, no other customer gets it.

They are kept in a ConfigMap of the observer, a key per name, which runs side by side write without meeting.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.scs.observability.plugins.module_utils._core.errors import AlreadyExists, ApiError, InputError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, workload
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.series import selector_of, series
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration, timestamp

NAME = kaas_cluster.FORMER_CLUSTERS


@dataclass(frozen=True)
class Former:
    """A cluster that had a name: its UID, its customer (empty when nobody said), and until when."""

    cluster_uid: str
    customer: str
    until: str

    @classmethod
    def of(cls, registration: Registration, now: datetime) -> Former:
        return cls(registration.cluster_uid, registration.customer, timestamp(now))

    def text(self) -> str:
        return json.dumps({"clusterUID": self.cluster_uid, "customer": self.customer, "until": self.until})

    def may_become(self, cluster_uid: str, customer: str) -> bool:
        """Tell whether a cluster may see what is left under the name: it is the same, or the same customer's."""
        return cluster_uid == self.cluster_uid or (bool(customer) and customer == self.customer)


def read(text: str) -> Former:
    """Read an entry; what cannot be read is nobody's, so that the name is not given away."""
    try:
        found = json.loads(text)
        return Former(*(str(found.get(name) or "") for name in ("clusterUID", "customer", "until")))
    except (ValueError, AttributeError):
        return Former("", "", "")


def find(observer: KubernetesClient, namespace: str, name: str) -> Former | None:
    """The cluster that had the name, unless nothing is left of it. Raises ApiError."""
    live = observer.get("v1", "ConfigMap", NAME, namespace)
    text = ((live or {}).get("data") or {}).get(name)
    return None if text is None else read(text)


def remember(observer: KubernetesClient, namespace: str, name: str, former: Former) -> None:
    """Note whose the data under the name are. Raises ApiError."""
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


def refuse(observer: KubernetesClient, namespace: str, name: str, *, cluster_uid: str, customer: str) -> None:
    """Refuse a new cluster under the name of a former one whose data are still there.

    Raises InputError that says what is left, also when that cannot be seen; ApiError.
    """
    former = find(observer, namespace, name)
    if former is None or former.may_become(cluster_uid, customer):
        return
    try:
        left = series(observer, namespace, selector_of({"cluster": name}), limit=1)
    except QueryError as error:
        left, what = [{}], f"whether metrics of it are left cannot be seen: {error.message}"
    else:
        what = "its metrics are still there"
    if left:
        raise InputError(
            f"the name {name!r} was that of another cluster (UID {former.cluster_uid}, customer "
            f"{former.customer or 'unknown'}) until {former.until}, and {what}",
            parameter="name",
            advice="Choose another name, or erase what is left (state: absent with erase: true); "
            "a new cluster of the same customer may have it, if customer says so",
            details={"former_uid": former.cluster_uid, "former_customer": former.customer},
        )


def _write(observer: KubernetesClient, namespace: str, name: str, text: str | None) -> bool:
    metadata = {"name": NAME, "namespace": namespace}
    patch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {name: text}}
    return observer.merge(patch) is not None
