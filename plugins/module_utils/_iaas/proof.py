# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that samples of an IaaS Prometheus are read back, for each of its paths by itself.

Query itself is asked, about one store at a time: what comes by another path proves nothing of this one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError, ProofError
from ansible_collections.scs.observability.plugins.module_utils._iaas.endpoints import SELECTOR
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import IaasRegistration, PathProof
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi, QueryError
from ansible_collections.scs.observability.plugins.module_utils._promql.series import query_data, selector_of
from ansible_collections.scs.observability.plugins.module_utils._promql.stores import Client

CONTAINER = "thanos"
POLL_SECONDS = 0.5
_UNKNOWN = "unknown"
# kolla scrapes once a minute: the newest sample of a Prometheus that works is not older, batches and clocks included.
MAX_AGE = 150.0
# Blocks are two hours long, and are uploaded and looked for some minutes after that.
UPLOADED_WITHIN = "6h"
UPLOAD_STEP = "5m"

# What a store says when it is not reached, and which link of the way that is
_LINKS = (
    ("dns", re.compile(r"no such host|name resolution|produced zero addresses", re.IGNORECASE)),
    ("tls", re.compile(r"x509|tls:|certificate|authentication handshake", re.IGNORECASE)),
    (
        "tcp",
        re.compile(r"connection refused|no route|timeout|deadline exceeded|unreachable|reset by peer", re.IGNORECASE),
    ),
)
# What query's log says of a store every few seconds, in which /api/v1/stores has none that was never reached
_UNREACHED = re.compile(r'msg="update of endpoint failed" err="(?P<error>(?:[^"\\]|\\.)*)" address=(?P<address>\S+)')
LOG_LINES = 400
_ADVICE = {
    _UNKNOWN: "See whether the log of query's pods says why; reading it here needs the right to get pods/log",
    "configuration": "See whether the pods of query run with its ConfigMap, which has the endpoint",
    "dns": "See whether the host of pull_address is known in the observer's cluster",
    "tcp": "See whether the sidecar runs and listens at that address, and whether a firewall lets the observer's nodes "
    "get there",
    "tls": "See whether the sidecar has the certificate and the client authority that this module returns with issue",
    "labels": "Give that Prometheus the external labels layer: iaas and region; the sidecar tells them once it has "
    "read them",
    "prometheus": "See whether the Prometheus behind it answers, and scrapes its targets at least every two minutes",
    "remote_write": "See whether its remote_write has the URL, the authority and the certificate that this module "
    "returns with issue, then what the gateway's log says of that tenant",
    "query": "See whether query and its stores are ready",
}


@dataclass(frozen=True)
class Finding:
    """What is known of a path: ``state`` is "proven", "pending" or "missing".

    ``link`` is what of the way is broken, ``newest`` the time of the newest sample, if there is one.
    """

    state: str
    message: str = ""
    link: str = ""
    newest: float | None = None


@dataclass(frozen=True)
class Store:
    """A store that query has reached: ``error`` is why it was not the last time."""

    kind: str
    address: str
    labels: tuple[Mapping[str, str], ...] = ()
    error: str = ""


def stores_of(data: Any) -> list[Store]:
    """Read the answer of /api/v1/stores. Raises ValueError for what is none."""
    if not isinstance(data, Mapping):
        raise ValueError("the answer is not a list of stores")
    return [
        Store(
            kind=str(kind),
            address=str(item.get("name", "")),
            labels=tuple(dict(labels) for labels in item.get("labelSets") or ()),
            error=_error(item.get("lastError")),
        )
        for kind, items in data.items()
        for item in items or ()
    ]


def has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Tell whether a store has these external labels."""
    return all(labels.get(name) == value for name, value in wanted.items())


def reason_in(log: str, address: str) -> str:
    """Why query did not reach a store, by the last line of its log about it; empty when there is none."""
    for line in reversed(log.splitlines()):
        found = _UNREACHED.search(line)
        if found and found["address"] == address:
            return found["error"].replace(r"\"", '"')
    return ""


def link_of(error: str) -> str:
    """Which link of the way to a store is broken, by what query says of it."""
    return next((link for link, sign in _LINKS if sign.search(error)), "tcp")


class Reader(Client, Protocol):
    """The part of the Kubernetes client that asks query, and reads its log."""

    def logs(
        self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False
    ) -> str: ...


@dataclass(frozen=True)
class Proof:
    """How to prove one registration.

    ``floors`` are, by path, the times after which a sample has to be (seconds since 1970, the observer's clock).
    """

    client: Reader
    api: QueryApi
    registration: IaasRegistration
    floors: Mapping[str, float]
    timeout: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    started: float = field(default_factory=time.monotonic)

    def establish(self) -> dict[str, dict[str, Any]]:
        """Wait until each path is proven or pending; return by path what was found.

        Raises ProofError that says of every other path what is broken.
        """
        deadline = self.clock() + self.timeout
        waiting = list(self.registration.paths)
        found: dict[str, Finding] = {}
        result: dict[str, dict[str, Any]] = {}
        while True:
            for path in waiting:
                found[path] = self.look(path)
                if found[path].state != "missing":
                    result[path] = self._result(found[path])
            waiting = [path for path in waiting if path not in result]
            if not waiting:
                return result
            if self.clock() >= deadline:
                raise self._failed({path: self._explained(found[path]) for path in waiting}, result)
            self.sleep(POLL_SECONDS)

    def look(self, path: str) -> Finding:
        """What is known of a path now."""
        looks = {"pull": self._pulled, "upload": self._uploaded, "remote_write": self._written}
        try:
            return looks[path]()
        except QueryError as error:
            return Finding("missing", error.message, "query")

    def _pulled(self) -> Finding:
        address, series = self.registration.pull_address, self.registration.series
        stores = [store for store in self._stores() if store.address == address]
        if not stores:
            return Finding("missing", f"query has not reached {address}", _UNKNOWN)
        store = stores[0]
        if store.error:
            return Finding("missing", f"{address} was not reached: {store.error}", link_of(store.error))
        if not any(has(labels, series) for labels in store.labels):
            said = ", ".join(_shown(labels) for labels in store.labels) or "none"
            return Finding("missing", f"{address} has the external labels {said}, not {_shown(series)}", "labels")
        newest = self._newest(f"max(timestamp(up{selector_of(series, any_name=False)}))", [address])
        if newest is None:
            return Finding("missing", f"{address} answers, and has no sample of the last minutes", "prometheus")
        return self._fresh("pull", newest, "prometheus")

    def _explained(self, finding: Finding) -> Finding:
        """Of a store that query has never reached only its log says why."""
        if finding.link != _UNKNOWN:
            return finding
        address, where = self.registration.pull_address, self.api.namespace
        with suppress(ObservabilityError):
            for pod in self.client.list("v1", "Pod", where, SELECTOR):
                log = self.client.logs(pod["metadata"]["name"], where, CONTAINER, LOG_LINES)
                if reason := reason_in(log, address):
                    return replace(finding, message=f"{finding.message}: {reason}", link=link_of(reason))
            return replace(finding, message=f"{finding.message}, and does not try to", link="configuration")
        # Who may register need not see the log.
        return finding

    def _written(self) -> Finding:
        name, series = self.registration.name, self.registration.series
        newest = self._newest(f"max(timestamp(up{selector_of({'cluster': name, **series}, any_name=False)}))")
        if newest is not None:
            return self._fresh("remote_write", newest, "remote_write")
        if self._newest(f"max(timestamp(up{selector_of({'cluster': name}, any_name=False)}))") is not None:
            return Finding("missing", f"what it writes has not the labels {_shown(series)}", "labels")
        return Finding("missing", "it has written no sample in the last minutes", "remote_write")

    def _uploaded(self) -> Finding:
        series = self.registration.series
        gateways = [store for store in self._stores() if store.kind == "store"]
        if not gateways:
            return Finding("missing", "query asks no store gateway, which would show what is uploaded", "query")
        if not any(has(labels, series) for store in gateways for labels in store.labels):
            return Finding(
                "pending",
                f"no block with the external labels {_shown(series)} is served yet: the first comes after two hours",
            )
        newest = self._newest(
            f"max(max_over_time(timestamp(up{selector_of(series, any_name=False)})[{UPLOADED_WITHIN}:{UPLOAD_STEP}]))",
            [store.address for store in gateways],
        )
        if newest is None:
            return Finding("pending", f"blocks are there, and none has a sample of the last {UPLOADED_WITHIN}")
        return Finding("proven", newest=newest)

    def _fresh(self, path: str, newest: float, link: str) -> Finding:
        floor = self.floors[path]
        if newest > floor:
            return Finding("proven", newest=newest)
        return Finding("missing", f"its newest sample is {floor - newest:.0f} s too old", link, newest)

    def _newest(self, expression: str, addresses: Sequence[str] = ()) -> float | None:
        query = {"query": expression, "dedup": "false", "partial_response": "true"}
        if addresses:
            query["storeMatch[]"] = "{__address__=~" + json.dumps("|".join(map(re.escape, addresses))) + "}"
        data = query_data(self.client, self.api.namespace, "/api/v1/query", query)
        try:
            return max((float(item["value"][1]) for item in data["result"]), default=None)
        except (KeyError, TypeError, ValueError, IndexError):
            raise QueryError("the answer is not one of Prometheus' query API") from None

    def _stores(self) -> list[Store]:
        try:
            return stores_of(query_data(self.client, self.api.namespace, "/api/v1/stores", {}))
        except (ValueError, AttributeError):
            raise QueryError("the answer of query about its stores cannot be read") from None

    def _result(self, finding: Finding) -> dict[str, Any]:
        newest = finding.newest
        return {
            "state": finding.state,
            "message": finding.message,
            "newest": None if newest is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(newest)),
            "seconds": round(self.clock() - self.started, 1),
        }

    def _failed(self, missing: Mapping[str, Finding], result: Mapping[str, Any]) -> ProofError:
        texts = [f"{path}: broken link: {finding.link}, {finding.message}" for path, finding in missing.items()]
        advice = dict.fromkeys(_ADVICE[finding.link] for finding in missing.values())
        failed = {
            path: {"state": "missing", "message": item.message, "link": item.link} for path, item in missing.items()
        }
        return ProofError(
            f"no fresh sample of {self.registration.name!r} within {self.timeout:.0f} s. {'; '.join(texts)}",
            link=next(iter(missing.values())).link,
            advice=". ".join(advice),
            details={"proof": {**result, **failed}},
        )


def proven(found: Mapping[str, Mapping[str, Any]], registration: IaasRegistration) -> dict[str, PathProof]:
    """What of it is recorded. A path that was proven before stays so: what is pending then has stopped to come."""
    return {
        path: PathProof("proven" if registration.has_proven(path) else item["state"], item["message"])
        for path, item in found.items()
    }


def _error(value: Any) -> str:
    """A store's last error: a text, or a structure that only says that there is one."""
    if not value:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _shown(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
