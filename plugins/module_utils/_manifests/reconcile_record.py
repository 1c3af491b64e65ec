# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the observer was last reconciled: a Lease, which kube-state-metrics can tell about without a definition of ours.

Nothing of ours runs between plays, so the last one leaves its time in the cluster, like a node does that is alive. One
after which the observer was well and something else failed leaves a second, which the next that succeeds removes.
"""

from __future__ import annotations

from typing import Any

LEASE = "reconcile"
METRIC = "scs_observability_reconcile_last_success_timestamp_seconds"
FAILED_LEASE = "reconcile-failed"
FAILED_METRIC = "scs_observability_reconcile_last_failure_timestamp_seconds"

_SOURCE = "kube_lease_renew_time"
RESOURCES = "leases"
ALLOWED = f"^{_SOURCE}$"
RULE: dict[str, Any] = {"apiGroups": ["coordination.k8s.io"], "resources": [RESOURCES], "verbs": ["list", "watch"]}


def relabelings(namespace: str, label: str) -> list[dict[str, Any]]:
    """Of all leases, name those of the observer in ``namespace`` as their metrics, and give them ``label``=namespace.

    In Prometheus' format, to be done after the scrape.
    """
    return [
        {
            "source_labels": ["__name__", "namespace", "lease"],
            "regex": f"{_SOURCE};{namespace};{lease}",
            "target_label": target,
            "replacement": value,
        }
        for lease, metric in ((LEASE, METRIC), (FAILED_LEASE, FAILED_METRIC))
        for target, value in ((label, namespace), ("__name__", metric))
    ]
