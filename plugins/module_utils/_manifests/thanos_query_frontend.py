# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query frontend: what people and dashboards ask. Splits long queries and caches their parts."""

from __future__ import annotations

from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    CONFIGURATION_PATH,
    Component,
    Settings,
    instead,
)

_CACHE_FILE = f"{CONFIGURATION_PATH}/response-cache.yml"


def _check(settings: Settings) -> None:
    advice = "Give the http endpoint of query, like http://thanos-query.scs-observability.svc:10902"
    if len(settings.endpoints) != 1:
        raise InputError(
            f"query_frontend takes exactly one, not {len(settings.endpoints)}", parameter="endpoints", advice=advice
        )
    endpoint = settings.endpoints[0]
    try:
        url = urlsplit(endpoint)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:
        valid = False
    if not valid or any(character.isspace() for character in endpoint):
        raise InputError("is not an http or https URL without credentials", parameter="endpoints", advice=advice)
    if url.hostname == settings.host:
        raise InputError("is this very query_frontend", parameter="endpoints", advice=advice)


def _arguments(settings: Settings) -> list[str]:
    return [
        f"--query-frontend.downstream-url={settings.endpoints[0]}",
        f"--query-range.response-cache-config-file={_CACHE_FILE}",
        f"--labels.response-cache-config-file={_CACHE_FILE}",
    ]


def _files(_settings: Settings) -> dict[str, str]:
    return {"response-cache.yml": "type: IN-MEMORY\nconfig:\n  max_size: 250MB\n  max_size_items: 0\n  validity: 6h\n"}


COMPONENT = Component(
    name="query_frontend",
    command=("query-frontend",),
    resources={"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    takes=("endpoints",),
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
        "--query-range.response-cache-config": "The cache is part of this component",
        "--labels.response-cache-config": "The cache is part of this component",
    },
    files=_files,
    grpc=False,
    exposable=True,
)
