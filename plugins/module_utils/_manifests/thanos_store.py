# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Store gateway: serves the blocks in the bucket."""

from __future__ import annotations

from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    Component,
    Settings,
)

DATA_PATH = "/var/thanos/store"


def _arguments(_settings: Settings) -> list[str]:
    return [f"--data-dir={DATA_PATH}"]


COMPONENT = Component(
    name="store",
    command=("store",),
    resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
    takes=("objstore", "storage_size", "storage_class"),
    arguments=_arguments,
    tuning=(
        "--index-cache-size=250MB",
        "--chunk-pool-size=500MB",
        # New blocks, and the way back from a bucket that was away, within minutes.
        "--sync-block-duration=3m",
    ),
    reserved={"--data-dir": "Volumes are mounted there"},
    stateful=True,
    # Only headers and caches of what is in the bucket: without a size they go with the pod.
    data_path=DATA_PATH,
    needs_objstore=True,
)
