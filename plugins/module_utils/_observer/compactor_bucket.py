# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compactor's bucket: claimed before a compactor is deployed, given free once its pods have ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    InputError,
    NotReadyError,
    ObservabilityError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.cluster import uid_of
from ansible_collections.scs.observability.plugins.module_utils._manifests import workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    Settings,
    objstore_secret_name,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore import compactor_claim
from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import Claim, Owner, Place
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import from_yaml
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import pods_of


class Outcome(NamedTuple):
    """What changes in a bucket, warnings, and the claim that holds (in check mode: would hold)."""

    plan: Plan = Plan()
    warnings: tuple[str, ...] = ()
    claim: Claim | None = None


@dataclass(frozen=True)
class Compactor:
    """A compactor, perhaps not there yet. ``params`` are those of the module thanos_component."""

    client: KubernetesClient
    name: str
    namespace: str
    params: Mapping[str, Any]
    check_mode: bool

    def claim(self, now: datetime) -> Outcome:
        """Claim the bucket of the parameters.

        Raises StorageError naming whose it is, or the store's, InputError and ApiError.
        """
        where = self._given()
        if where is None:
            return Outcome(warnings=(compactor_claim.cannot_be_claimed(self.params["objstore"]),))
        take_over = bool(self.params.get("take_over_bucket"))
        claimed = compactor_claim.claim(where, self._owner(), now, take_over=take_over, check_mode=self.check_mode)
        warnings: tuple[str, ...] = ()
        if claimed.taken_over:
            whose = claimed.taken_over.owner or "somebody who cannot be told"
            warnings = (f"taking the bucket over from {whose} does not stop that one: see to it that it is gone",)
        return Outcome(compactor_claim.changes(where, claimed.before, claimed.claim), warnings, claimed.claim)

    def left(self) -> Place | None:
        """Return where the live compactor works, if the parameters lead to another bucket. Raises InputError."""
        wanted, live = self._given(), self._live()
        stays = isinstance(live, Place) and wanted is not None and live.is_at(wanted)
        return None if stays or not isinstance(live, Place) else live

    def last(self) -> Place | InputError | None:
        """Return where a compactor works that is to go, or why that cannot be told. Raises InputError."""
        return self._given() if self.params.get("objstore") else self._live()

    def give_free(self, where: Place | InputError | None, other: Claim | None = None) -> Outcome:
        """Give a bucket free after the removal, or the deployment with the ``other`` one.

        Never fails: a compactor can also be removed when the store is gone, or its keys are of no use any more.
        """
        if where is None:
            return Outcome()
        bucket = "the bucket" if isinstance(where, InputError) else f"the bucket {where}"
        try:
            if isinstance(where, InputError):
                raise where
            # With wait, it has ended or there was an error.
            if self.params.get("wait") is False and pods_of(self.client, workload.owner(self.name), self.namespace):
                raise NotReadyError("wait is false, so the compactor's pod may still work on it")
            released = compactor_claim.release(where, self._owner(), other=other, check_mode=self.check_mode)
        except ObservabilityError as error:
            again = "run this again with objstore and keys that work, or "
            advice = f"{again if self.params.get('state') == 'absent' else ''}let the next compactor take_over_bucket"
            return Outcome(
                warnings=(f"{bucket} is not given free, and other compactors are refused: {error}; {advice}",)
            )
        return Outcome(compactor_claim.changes(where, released, None))

    def _given(self) -> Place | None:
        params = self.params
        return compactor_claim.place(
            params["objstore"],
            params.get("objstore_access_key"),
            params.get("objstore_secret_key"),
            params.get("objstore_ca"),
        )

    def _live(self) -> Place | InputError | None:
        """By its Secret; None if there is none, or its bucket cannot be claimed."""
        secret_name = objstore_secret_name(Settings(self.name, self.namespace))
        secret = self.client.get("v1", "Secret", secret_name, self.namespace)
        if secret is None:
            return None
        try:
            objstore = from_yaml(secret_text(secret, "objstore.yml") or "")
            config = objstore["config"]
            return compactor_claim.place(
                objstore, config.get("access_key"), config.get("secret_key"), secret_text(secret, "ca.crt")
            )
        except InputError as error:
            return error

    def _owner(self) -> Owner:
        return Owner(uid_of(self.client), self.namespace, self.name, self.client.host)
