# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compact: joins blocks in the bucket, downsamples them, and removes what is older than its retention."""

from __future__ import annotations

from itertools import pairwise

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    REPLICA_LABELS,
    Component,
    Settings,
    instead,
)

DATA_PATH = "/var/thanos/compact"

_HOUR = 3600.0
# Samples are downsampled when their block spans this long, and would be gone before.
_SHORTEST = {"retention_raw": 40 * _HOUR, "retention_5m": 240 * _HOUR}
_RESOLUTIONS = ("retention_raw", "retention_5m", "retention_1h")


def _check(settings: Settings) -> None:
    kept = {parameter: _seconds(settings, parameter) for parameter in _RESOLUTIONS}
    for parameter, shortest in _SHORTEST.items():
        if settings.downsampling and kept[parameter] < shortest:
            raise InputError(
                f"{getattr(settings, parameter)} is too short for downsampling",
                parameter=parameter,
                advice=f"Keep at least {shortest / _HOUR:.0f}h, or turn downsampling off",
            )
    for finer, coarser in pairwise(_RESOLUTIONS):
        if kept[coarser] < kept[finer]:
            longer = "for ever" if kept[finer] == float("inf") else getattr(settings, finer)
            raise InputError(
                f"{getattr(settings, coarser)} is shorter than {finer}, which is {longer}",
                parameter=coarser,
                advice="Keep a coarser resolution at least as long as a finer one; 0 is for ever",
            )


def _seconds(settings: Settings, parameter: str) -> float:
    """How long a resolution is kept; without an end unless given, and for 0."""
    value = getattr(settings, parameter)
    return (duration_seconds(value, parameter) if value else 0.0) or float("inf")


def _arguments(settings: Settings) -> list[str]:
    return [
        "--wait",
        f"--data-dir={DATA_PATH}",
        f"--retention.resolution-raw={settings.retention_raw or '0d'}",
        f"--retention.resolution-5m={settings.retention_5m or '0d'}",
        f"--retention.resolution-1h={settings.retention_1h or '0d'}",
        f"--delete-delay={settings.delete_delay or '48h'}",
        *([] if settings.downsampling else ["--downsampling.disable"]),
        # Blocks that differ in nothing but these labels may overlap and become one (vertical compaction).
        *(f"--deduplication.replica-label={label}" for label in REPLICA_LABELS),
        f"--bucket-web-label={settings.tenant_label}",
        # Nobody is asked who they are, so nobody may mark a block for deletion here.
        "--disable-admin-operations",
    ]


COMPONENT = Component(
    name="compact",
    command=("compact",),
    resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "4Gi"}},
    takes=(
        "objstore",
        "storage_size",
        "storage_class",
        "retention_raw",
        "retention_5m",
        "retention_1h",
        "downsampling",
        "delete_delay",
    ),
    check=_check,
    arguments=_arguments,
    reserved={
        "--data-dir": "Volumes are mounted there",
        "--retention.resolution-raw": instead("retention_raw"),
        "--retention.resolution-5m": instead("retention_5m"),
        "--retention.resolution-1h": instead("retention_1h"),
        "--delete-delay": instead("delete_delay"),
        "--downsampling.disable": instead("downsampling"),
    },
    grpc=False,
    stateful=True,
    data_path=DATA_PATH,
    storage_size="20Gi",
    needs_objstore=True,
    claims_bucket=True,
    single="Two compactors of a bucket destroy each other's blocks",
)
