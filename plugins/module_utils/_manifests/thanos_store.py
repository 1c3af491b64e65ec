# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Store gateway: serves the blocks in the bucket."""

from __future__ import annotations

from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    SECRETS_PATH,
    Component,
    Settings,
    instead,
)

DATA_PATH = "/var/thanos/store"

_CACHE_FILE = "index-cache.yml"
_BUCKET_CACHE_FILE = "bucket-cache.yml"


def _arguments(settings: Settings) -> list[str]:
    # Nobody is asked who they are, so nobody may mark a block for deletion here.
    result = [f"--data-dir={DATA_PATH}", "--disable-admin-operations"]
    if settings.cache:
        result.append(f"--index-cache.config-file={SECRETS_PATH}/{_CACHE_FILE}")
    if settings.bucket_cache:
        result.append(f"--store.caching-bucket.config-file={SECRETS_PATH}/{_BUCKET_CACHE_FILE}")
    return result


def _secret_files(settings: Settings) -> dict[str, str]:
    files = {_CACHE_FILE: settings.cache, _BUCKET_CACHE_FILE: settings.bucket_cache}
    return {name: text for name, text in files.items() if text}


COMPONENT = Component(
    name="store",
    command=("store",),
    resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
    takes=("objstore", "storage_size", "storage_class", "cache", "bucket_cache"),
    arguments=_arguments,
    tuning=(
        # Of no effect beside a cache of one's own.
        "--index-cache-size=250MB",
        "--chunk-pool-size=500MB",
        # New blocks, and the way back from a bucket that was away, within minutes.
        "--sync-block-duration=3m",
    ),
    reserved={
        "--data-dir": "Volumes are mounted there",
        "--index-cache.config": instead("cache"),
        "--store.caching-bucket.config": instead("bucket_cache"),
    },
    secret_files=_secret_files,
    stateful=True,
    # Only headers and caches of what is in the bucket: without a size they go with the pod.
    data_path=DATA_PATH,
    needs_objstore=True,
)
