# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule: evaluates Prometheus rules over what query sees, keeps what they record, and tells Alertmanagers what fires."""

from __future__ import annotations

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    CONFIGURATION_PATH,
    REPLICA_LABELS,
    Component,
    Settings,
    http_url,
    instead,
    local_retention,
    quoted,
)

DATA_PATH = "/var/thanos/rule"
LONGEST_INTERVAL = 86400
REPLICA_LABEL = "ruler_replica"


def _check(settings: Settings) -> None:
    advice = "Give the http endpoint of query, like http://thanos-query.scs-observability.svc:10902"
    if not settings.endpoints:
        raise InputError("rule needs one of a query", parameter="endpoints", advice=advice)
    for parameter, urls, hint in (
        ("endpoints", settings.endpoints, advice),
        ("alertmanagers", settings.alertmanagers, "For example http://alertmanager.scs-observability.svc:9093"),
    ):
        for url in urls:
            http_url(url, parameter, hint)
        if len(set(urls)) != len(urls):
            raise InputError("has a URL twice", parameter=parameter)
    local_retention(settings)
    interval = settings.evaluation_interval
    if interval and not 1 <= duration_seconds(interval, "evaluation_interval") <= LONGEST_INTERVAL:
        raise InputError(f"{interval!r} is not between 1s and 1d", parameter="evaluation_interval")
    for label in (REPLICA_LABEL, "cluster", settings.tenant_label):
        if label in settings.external_labels:
            advice = "It would replace that label of every series that a rule records; use for example observer"
            raise InputError(
                f"{label} is not for a ruler to set",
                parameter="external_labels",
                advice=advice if label != REPLICA_LABEL else "It is the name of the pod",
            )


def _arguments(settings: Settings) -> list[str]:
    return [
        f"--data-dir={DATA_PATH}",
        f"--rule-file={CONFIGURATION_PATH}/*.y*ml",
        *(f"--query={endpoint}" for endpoint in settings.endpoints),
        *(f"--alertmanagers.url={url}" for url in settings.alertmanagers),
        f'--label={REPLICA_LABEL}="$(POD_NAME)"',
        *(f"--label={name}={quoted(value)}" for name, value in sorted(settings.external_labels.items())),
        # Alertmanager takes alerts of two rulers for one when they have the same labels.
        *(f"--alert.label-drop={label}" for label in REPLICA_LABELS),
        f"--eval-interval={settings.evaluation_interval or '1m'}",
        f"--tsdb.retention={settings.retention or '2d'}",
    ]


def _files(settings: Settings) -> dict[str, str]:
    return dict(settings.rules)


COMPONENT = Component(
    name="rule",
    command=("rule",),
    resources={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    takes=(
        "endpoints",
        "rules",
        "alertmanagers",
        "external_labels",
        "evaluation_interval",
        "retention",
        "objstore",
        "storage_size",
        "storage_class",
    ),
    check=_check,
    arguments=_arguments,
    reserved={
        "--data-dir": "Volumes are mounted there",
        "--rule-file": instead("rules"),
        "--query=": instead("endpoints"),
        "--query.sd-files": instead("endpoints"),
        "--query.config": instead("endpoints"),
        "--grpc-query-endpoint": instead("endpoints"),
        "--alertmanagers.url": instead("alertmanagers"),
        "--alertmanagers.config": instead("alertmanagers"),
        "--label": instead("external_labels"),
        "--eval-interval": instead("evaluation_interval"),
        "--tsdb.retention": instead("retention"),
        "--remote-write.config": "Query reads the results from here",
    },
    files=_files,
    stateful=True,
    data_path=DATA_PATH,
    storage_size="5Gi",
)
