# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query: one PromQL view over receive, store gateways and sidecars, replicas deduplicated."""

from __future__ import annotations

import re

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import shared_server_name
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    TLS_PATH,
    Component,
    Settings,
    instead,
)

REPLICA_LABELS = ("receive_replica", "ruler_replica", "prometheus_replica", "replica")

_HOST = r"(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\.?|\[[0-9a-fA-F:.]+\])"
_ENDPOINT = re.compile(rf"(?P<lookup>dns\+|dnssrv\+|dnssrvnoa\+)?{_HOST}(?P<port>:[0-9]{{1,5}})?")


def _check(settings: Settings) -> None:
    for endpoint in settings.endpoints:
        if "://" in endpoint:
            raise InputError(
                f"{endpoint!r} has a scheme; a StoreAPI endpoint is host:port",
                parameter="endpoints",
                advice="For example dnssrv+_grpc._tcp.thanos-receive-headless.scs-observability.svc, or host:10901",
            )
        match = _ENDPOINT.fullmatch(endpoint)
        needs_port = not endpoint.startswith("dnssrv")
        if match is None or needs_port != bool(match["port"]):
            raise InputError(
                f"{endpoint!r} is not a StoreAPI endpoint",
                parameter="endpoints",
                advice="Use host:port, dns+host:port, or dnssrv+name without a port",
            )
    if len(set(settings.endpoints)) != len(settings.endpoints):
        raise InputError("has an endpoint twice", parameter="endpoints")


def _arguments(settings: Settings) -> list[str]:
    result = [f"--endpoint={endpoint}" for endpoint in settings.endpoints]
    if settings.tls:
        result += [
            "--grpc-client-tls-secure",
            f"--grpc-client-tls-cert={TLS_PATH}/tls.crt",
            f"--grpc-client-tls-key={TLS_PATH}/tls.key",
            f"--grpc-client-tls-ca={TLS_PATH}/ca.crt",
            "--grpc-client-tls-min-version=1.3",
            # Endpoints are addresses of pods by then: all components share a name to be verified by.
            f"--grpc-client-server-name={shared_server_name(settings.namespace)}",
        ]
    return [*result, *(f"--query.replica-label={label}" for label in REPLICA_LABELS)]


COMPONENT = Component(
    name="query",
    command=("query",),
    resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
    takes=("endpoints",),
    check=_check,
    arguments=_arguments,
    tuning=(
        "--query.auto-downsampling",
        # A pod that was moved is found within seconds.
        "--store.sd-dns-interval=10s",
    ),
    reserved={"--endpoint": instead("endpoints"), "--store.sd-files": instead("endpoints")},
    client=True,
    exposable=True,
)
