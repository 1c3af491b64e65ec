# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bucket web: shows which blocks are in the bucket, of which cluster, time and resolution."""

from __future__ import annotations

from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    Component,
    Settings,
)


def _arguments(settings: Settings) -> list[str]:
    return [
        f"--label={settings.tenant_label}",
        # Nobody is asked who they are, so nobody may mark a block for deletion here.
        "--disable-admin-operations",
    ]


COMPONENT = Component(
    name="bucket_web",
    command=("tools", "bucket", "web"),
    resources={"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
    takes=("objstore",),
    arguments=_arguments,
    tuning=("--refresh=15m",),
    reserved={"--label": "It groups blocks by tenant_label"},
    grpc=False,
    needs_objstore=True,
    exposable=True,
)
