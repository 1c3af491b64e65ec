# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observer's components, and all registrations against what really arrives.

Which components do not work, which clusters are silent that should not be, and who is unknown.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._iaas import overview as iaas
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import registered_with
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_receive import DEFAULT_TENANT
from ansible_collections.scs.observability.plugins.module_utils._observer import components
from ansible_collections.scs.observability.plugins.module_utils._observer.components import Health
from ansible_collections.scs.observability.plugins.module_utils._promql.client import (
    DEFAULT_SERVICE,
    QueryApi,
    QueryError,
)
from ansible_collections.scs.observability.plugins.module_utils._promql.freshness import (
    ClusterSamples,
    Freshness,
    freshness,
    last_seen,
    missing_jobs,
)
from ansible_collections.scs.observability.plugins.module_utils._registration import remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration
from ansible_collections.scs.observability.plugins.module_utils._registration.settings import namespace

# A single lost scrape or a slow batch is no failure.
INTERVALS_UNTIL_SILENT = 3
SECONDS_UNTIL_SILENT = 120.0
# Where receive puts what comes without a tenant: nobody's cluster.
NO_CLUSTERS = frozenset({DEFAULT_TENANT})


def overview(params: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Return the result of observer_info.

    For clusters six requests, seven when one is silent, however many there are; for an IaaS Prometheus two for each of
    its paths; for components see their observe().
    A query API that does not answer is a problem among others: what is registered and deployed is told all the same.
    """
    observer = KubernetesClient.from_parameters(params)
    api = QueryApi(observer, namespace(params, "namespace"), params.get("query_frontend") or DEFAULT_SERVICE)
    registered = remote_write_clients.clusters(observer, api.namespace)
    iaas_registered = registered_with(observer, api.namespace)
    writing = {item.name for item in iaas_registered if item.remote_write}
    problems: list[str] = []
    warnings: list[str] = []
    deployed: list[dict[str, Any]] = []
    if params.get("components") is not False:
        facts, expected, warnings = components.observe(observer, api.namespace)
        names = [item.name for item in registered]
        # Who asks another Service does without a query_frontend.
        spared = () if api.service == DEFAULT_SERVICE else ("query_frontend",)
        needed = [name for name in components.NEEDED if name not in spared]
        parts = components.EVERY_OBSERVERS if params.get("parts") is None else params["parts"]
        deployed = components.describe(
            facts,
            datetime.now(UTC),
            expected=expected,
            wanted=[name for name in parts if name not in spared],
            registered=names,
        )
        problems += components.problems(deployed, needed if registered else (), api.namespace)
    now = None
    seen: Mapping[str, float] = {}
    try:
        now = freshness(api)
        if {item.name for item in registered if item.phase == "active" and not item.suspended} - set(now.clusters):
            seen = last_seen(api)
    except QueryError as error:
        problems.append(str(error))
    found = iaas.look(observer, api, iaas_registered, now.time) if now else None
    iaas_rows = iaas.describe(iaas_registered, found, now.time if now else time.time())
    problems += [f"IaaS Prometheus {row['name']}: {row['reason']}" for row in iaas_rows if not row["healthy"] and now]
    rows = describe(registered, now, seen)
    problems += [f"cluster {row['name']}: {row['reason']}" for row in rows if not row["healthy"] and now]
    return {
        "changed": False,
        "components": deployed,
        "registrations": rows,
        "iaas": iaas_rows,
        "orphans": orphans(registered, now, writing) if now else [],
        "healthy": not problems,
        "problems": problems,
        "warnings": [*warnings, *(now.warnings if now else ())],
    }


def describe(
    registered: Iterable[Registration], now: Freshness | None, seen: Mapping[str, float]
) -> list[dict[str, Any]]:
    """One dictionary per registration, by name.

    ``seen`` has the last samples of clusters that are silent now; without ``now`` nothing is known of samples.
    """
    rows = []
    for registration in sorted(registered, key=lambda item: item.name):
        samples = now.clusters.get(registration.name) if now else None
        last = samples.last if samples else seen.get(registration.name)
        age, missing = None, {}
        if now:
            age = None if last is None else round(max(now.time - last, 0.0), 1)
            since = now.time - allowed_age(registration)
            missing = missing_jobs(samples.jobs if samples else {}, registration.jobs, since)
        health = assess(registration, samples, age, missing, now.time if now else None)
        rows.append(
            {
                "name": registration.name,
                "phase": registration.phase,
                "phase_since": registration.phase_since or None,
                "suspended": registration.suspended,
                "customer": registration.customer,
                "sla": registration.sla,
                "contact": registration.contact,
                "labels": dict(registration.labels),
                "control_plane": registration.control_plane or None,
                "profile": registration.profile,
                "registered_since": registration.since,
                "last_sample_age_seconds": age,
                "series": samples.series if samples else (0 if now else None),
                "missing_jobs": [{"job": job, "reason": reason} for job, reason in missing.items()],
                "certificate_expires": registration.certificate.expires if registration.certificate else None,
                "certificate_fingerprint": registration.certificate.fingerprint if registration.certificate else None,
                "last_proof": registration.proof.time if registration.proof else None,
                "last_failure": vars(registration.failure) if registration.failure else None,
                "healthy": health.healthy,
                "state": health.state,
                "reason": health.reason,
            }
        )
    return rows


def allowed_age(registration: Registration) -> float:
    """Seconds without a sample that are no failure yet."""
    interval = duration_seconds(registration.scrape_interval, "scrapeInterval")
    return max(INTERVALS_UNTIL_SILENT * interval, SECONDS_UNTIL_SILENT)


def assess(
    registration: Registration,
    samples: ClusterSamples | None,
    age: float | None,
    missing: Mapping[str, str],
    now: float | None,
) -> Health:
    """Only a cluster that is active and not suspended can fail. One whose targets are all down does, although its agent
    writes.

    ``now`` is the time of what is known of samples, None when nothing is.
    """
    if registration.phase != "active" or registration.suspended:
        state = registration.phase if registration.phase != "active" else "suspended"
        return Health(state, True, f"{state}: silence would be no failure")
    if now is None:
        return Health("unknown", False, "active, but the query API did not tell whether its samples arrive")
    allowed = allowed_age(registration)
    if age is None or age > allowed:
        last = "no sample within a day"
        if age is not None:
            last = f"its last sample is {age:.0f} s old, more than {allowed:.0f} s"
        return Health("silent", False, f"active, but {last}")
    if samples is None or samples.last_up is None or now - samples.last_up > allowed:
        return Health("down", False, "its agent writes, but every target is down")
    if missing:
        listed = ", ".join(f"{job} ({reason})" for job, reason in missing.items())
        return Health("incomplete", True, f"jobs missing: {listed}")
    return Health("ok", True, "fresh samples of every job")


def orphans(registered: Iterable[Registration], now: Freshness, others: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Clusters that write (within five minutes) and are not registered; ``others`` are tenants that are no clusters."""
    known = {registration.name for registration in registered} | NO_CLUSTERS | set(others)
    return [
        {
            "name": name,
            "last_sample_age_seconds": round(max(now.time - samples.last, 0.0), 1),
            "series": samples.series,
        }
        for name, samples in sorted(now.clusters.items())
        if name not in known
    ]
