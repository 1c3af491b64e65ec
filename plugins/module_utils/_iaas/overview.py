# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registered IaaS Prometheuses against what query has of each, path by path. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._iaas.proof import MAX_AGE, Finding, Proof
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import IaasRegistration
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    LEAF_LIFETIME,
    RENEWAL_FRACTION,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._observer.components import Health
from ansible_collections.scs.observability.plugins.module_utils._promql.client import QueryApi

Findings = Mapping[str, Finding]

# Of the life of a certificate, in which it is renewed
_LAST_PART = 1 - RENEWAL_FRACTION


def look(
    client: KubernetesClient, api: QueryApi, registered: Sequence[IaasRegistration], now: float
) -> Mapping[str, Findings]:
    """What is known of each path of each registration, by name. ``now`` is the observer's time, seconds since 1970."""
    floors = dict.fromkeys(("pull", "remote_write"), now - MAX_AGE)
    asked = [(item, path) for item in registered for path in item.paths]
    found = client.parallel([partial(_look, Proof(client, api, item, floors, 0), path) for item, path in asked])
    result: dict[str, dict[str, Finding]] = {item.name: {} for item in registered}
    for (item, path), finding in zip(asked, found, strict=True):
        result[item.name][path] = finding
    return result


def _look(proof: Proof, path: str) -> Finding:
    try:
        return proof.look(path)
    except ApiError as error:
        return Finding("missing", str(error), "query")


def describe(
    registered: Sequence[IaasRegistration], found: Mapping[str, Findings] | None, now: float
) -> list[dict[str, Any]]:
    """One dictionary per registration, by name. Without ``found`` nothing is known of samples."""
    rows = []
    for item in sorted(registered, key=lambda registration: registration.name):
        findings = None if found is None else found[item.name]
        ends = [certificate.expires for certificate in (item.sidecar, item.certificate) if certificate]
        newest = [finding.newest for finding in (findings or {}).values() if finding.newest is not None]
        health = assess(item, findings, now)
        rows.append(
            {
                "name": item.name,
                "region": item.region,
                "pull_address": item.pull_address or None,
                "paths": [
                    {"path": path, "state": _state(finding), "message": finding.message if finding else ""}
                    for path in item.paths
                    for finding in [(findings or {}).get(path)]
                ],
                "last_sample_age_seconds": round(max(now - max(newest), 0.0), 1) if newest else None,
                "certificate_expires": min(ends) if ends else None,
                "last_proof": item.proof.time if item.proof else None,
                "healthy": health.healthy,
                "state": health.state,
                "reason": health.reason,
            }
        )
    return rows


def assess(registration: IaasRegistration, findings: Findings | None, now: float) -> Health:
    """One that was never read back is being set up, and cannot fail. ``findings`` are by path, None when nothing is
    known.
    """
    expired, due = _ended(registration, now, timedelta()), _ended(registration, now, LEAF_LIFETIME * _LAST_PART)
    if expired:
        return Health("expired", False, f"its certificate for {' and '.join(expired)} has expired")
    if registration.proof is None:
        return Health("unproven", True, "registered, and not read back yet")
    if findings is None:
        return Health("unknown", False, "the query API did not tell whether its samples arrive")
    # What is still to come the first time was lost on its way the next.
    missing = {
        path: finding
        for path, finding in findings.items()
        if finding.state == "missing" or (finding.state == "pending" and registration.has_proven(path))
    }
    if missing:
        arrives = any(finding.state == "proven" for finding in findings.values())
        is_told = any(finding.link != "query" for finding in missing.values())
        return Health("failing" if arrives else "silent" if is_told else "unknown", False, _texts(missing))
    if due:
        return Health(
            "due", True, f"its certificate for {' and '.join(due)} is due: the next run of its play renews it"
        )
    pending = {path: finding for path, finding in findings.items() if finding.state == "pending"}
    return Health("pending", True, _texts(pending)) if pending else Health("ok", True, "read by every path")


def _ended(registration: IaasRegistration, now: float, before: timedelta) -> list[str]:
    """Which of its certificates are at their end, or not longer ``before`` it."""
    used = {"sidecar": registration.sidecar, "remote_write": registration.certificate}
    moment = datetime.fromtimestamp(now, UTC) + before
    return [what for what, found in used.items() if found and datetime.fromisoformat(found.expires) <= moment]


def _texts(findings: Findings) -> str:
    return "; ".join(f"{path}: {finding.message}" for path, finding in findings.items())


def _state(finding: Finding | None) -> str:
    return finding.state if finding else "unknown"
