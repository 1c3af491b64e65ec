# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query frontend: what people and dashboards ask. Splits long queries and caches their parts."""

from __future__ import annotations

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    SECRETS_PATH,
    Component,
    Settings,
    http_url,
    instead,
)

_CACHE_FILE = f"{SECRETS_PATH}/response-cache.yml"
_CACHE = "type: IN-MEMORY\nconfig:\n  max_size: 250MB\n  max_size_items: 0\n  validity: 6h\n"


def _check(settings: Settings) -> None:
    advice = "Give the http endpoint of query, like http://thanos-query.scs-observability.svc:10902"
    if len(settings.endpoints) != 1:
        raise InputError(
            f"query_frontend takes exactly one, not {len(settings.endpoints)}", parameter="endpoints", advice=advice
        )
    http_url(settings.endpoints[0], "endpoints", advice)


def _arguments(settings: Settings) -> list[str]:
    return [
        f"--query-frontend.downstream-url={settings.endpoints[0]}",
        f"--query-range.response-cache-config-file={_CACHE_FILE}",
        f"--labels.response-cache-config-file={_CACHE_FILE}",
    ]


def _secret_files(settings: Settings) -> dict[str, str]:
    return {"response-cache.yml": settings.cache or _CACHE}


COMPONENT = Component(
    name="query_frontend",
    command=("query-frontend",),
    resources={"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    takes=("endpoints", "cache"),
    check=_check,
    arguments=_arguments,
    tuning=(
        "--query-range.split-interval=12h",
        "--labels.split-interval=12h",
        "--cache-compression-type=snappy",
        "--query-frontend.compress-responses",
        "--query-frontend.log-queries-longer-than=10s",
    ),
    reserved={
        "--query-frontend.downstream-url": instead("endpoints"),
        "--query-range.response-cache-config": instead("cache"),
        "--labels.response-cache-config": instead("cache"),
    },
    secret_files=_secret_files,
    passes_on=True,
    grpc=False,
    exposable=True,
)
