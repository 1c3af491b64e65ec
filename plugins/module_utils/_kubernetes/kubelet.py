# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubelet is told to look at a pod: it brings changed ConfigMaps and Secrets into it when it does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient

# When the pod's files were last changed
ANNOTATION = "observability.scs.community/refreshed"


def touch(client: KubernetesClient, pod: Mapping[str, Any]) -> None:
    """Let the kubelet look at the pod now. It does so anyway, later: who may not write pods waits a minute longer."""
    metadata = {name: pod["metadata"][name] for name in ("name", "namespace", "uid") if name in pod["metadata"]}
    now = datetime.now(UTC).isoformat()
    # Gone meanwhile, or no right to it.
    with suppress(ApiError):
        client.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "annotations": {ANNOTATION: now}}}, force=True
        )
