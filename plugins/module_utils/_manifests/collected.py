# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected of one cluster beside what is collected of all: what was found there, what its overrides ask for.

No credentials of the agent go to any of it, but for control planes, which want them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.names import duration_seconds
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    blackbox_exporter,
    blackbox_probes,
    collection_profile,
    scrape_jobs,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.blackbox_probes import Endpoint
from ansible_collections.scs.observability.plugins.module_utils._manifests.optional_jobs import Discovered

# Seconds that a scrape may take, if its interval leaves it that long.
LONGEST_SCRAPE = 10
# Of a customer's pod: which of its ports has metrics, and where there.
PORT_NAMES = "(?:.+-)?metrics"
_ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"


@dataclass(frozen=True)
class Workloads:
    """Pods of the customer with the labels ``selector`` in ``namespaces``."""

    namespaces: tuple[str, ...]
    selector: str


@dataclass(frozen=True)
class ExtraJob:
    """A job of the operator's own: ``targets`` (host:port), or the pods behind the port of a Service. ``port`` is its
    name, which is empty where a Service has a single one.
    """

    name: str
    targets: tuple[str, ...] = ()
    service: str = ""
    namespace: str = ""
    port: str = ""
    path: str = "/metrics"
    scheme: str = "http"
    interval: str = ""


@dataclass(frozen=True)
class Collected:
    """All of it. ``extra_series`` are expressions of names by job, kept beside what the profile keeps."""

    discovered: Discovered = field(default_factory=Discovered)
    workloads: Workloads | None = None
    extra_jobs: tuple[ExtraJob, ...] = ()
    extra_series: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()

    @classmethod
    def of(cls, overrides: Mapping[str, Any], discovered: Discovered) -> Collected:
        """Put overrides that were checked together with what was found. What is not there is waited for: what a
        customer removed must not be in the way of everything else.
        """
        jobs = [_extra_job(given, discovered) for given in overrides.get("extra_jobs") or []]
        workloads = overrides.get("workloads") or {}
        namespaces = tuple(sorted(set(workloads.get("namespaces") or ()) & discovered.namespaces))
        return cls(
            discovered=discovered,
            workloads=Workloads(namespaces, str(workloads["selector"])) if namespaces else None,
            extra_jobs=tuple(job for job in jobs if job is not None),
            extra_series={job: tuple(names) for job, names in (overrides.get("extra_series") or {}).items() if names},
            endpoints=tuple(endpoints_of((overrides.get("blackbox") or {}).get("targets") or [], "")[0]),
        )

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs whose samples are expected. Of workloads there may be none at a time."""
        own = [job.name for job in self.extra_jobs]
        probed = [collection_profile.BLACKBOX] if self.endpoints else []
        return tuple(sorted({*collection_profile.JOBS, *self.discovered.jobs, *probed, *own}))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where the agent has to see what there is."""
        found = {item.namespace for item in self.discovered.found}
        own = {job.namespace for job in self.extra_jobs if job.namespace}
        return tuple(sorted(found | own | set(self.workloads.namespaces if self.workloads else ())))


def named_namespaces(overrides: Mapping[str, Any]) -> tuple[str, ...]:
    """Where overrides want workloads to be looked for."""
    return tuple(sorted(set((overrides.get("workloads") or {}).get("namespaces") or ())))


def named_services(overrides: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The Services that extra jobs ask, with the namespace before each."""
    jobs = overrides.get("extra_jobs") or []
    return tuple(sorted({(job["namespace"], job["service"]) for job in jobs if job.get("service")}))


def not_there(overrides: Mapping[str, Any], discovered: Discovered) -> list[tuple[str, str]]:
    """What of overrides waits for something that is not there, as (job, reason)."""
    result = [
        (collection_profile.WORKLOADS, f"there is no namespace {name}")
        for name in named_namespaces(overrides)
        if name not in discovered.namespaces
    ]
    for job in overrides.get("extra_jobs") or []:
        if job.get("service") and _extra_job(job, discovered) is None:
            there = (job["namespace"], job["service"]) in discovered.ports
            what = f"the Service {job['service']} in the namespace {job['namespace']}"
            result.append((job["name"], f"{what} has no port {job['port']}" if there else f"there is no {what[4:]}"))
    return result


def endpoints_of(given: Sequence[Mapping[str, Any]], parameter: str) -> tuple[list[Endpoint], list[str]]:
    """The endpoints that are probed inside of the cluster, and what is wrong with others, a line each."""
    found, wrong = blackbox_probes.read(given, {}, parameter)
    pinged = [endpoint.name for endpoint in found if endpoint.url.startswith("icmp:")]
    advice = "pods of a customer's cluster may not ping; use tcp://host:port"
    return found, [*wrong, *(f"{parameter}: {name}: {advice}" for name in pinged)]


def jobs(wanted: Collected, namespace: str, *, profile: str, scrape_interval: str) -> list[dict[str, Any]]:
    """The jobs in Prometheus' format; ``namespace`` is that of the agent."""

    def extra(job: str) -> tuple[str, ...]:
        return wanted.extra_series.get(job, ())

    return [
        scrape_jobs.kept(job, profile, extra(job["job_name"]))
        for job in (
            *scrape_jobs.found_jobs(wanted.discovered.found),
            *_probes(wanted.endpoints, namespace),
            *_workloads(wanted.workloads),
            *(_own(job, scrape_interval) for job in wanted.extra_jobs),
        )
    ]


def _extra_job(given: Mapping[str, Any], discovered: Discovered) -> ExtraJob | None:
    """None where there is no such port of a Service."""
    port: str | None = ""
    if given.get("service"):
        port = discovered.ports.get((given["namespace"], given["service"]), {}).get(int(given["port"]))
    if port is None:
        return None
    return ExtraJob(
        name=str(given["name"]),
        targets=tuple(given.get("targets") or ()),
        service=str(given.get("service") or ""),
        namespace=str(given.get("namespace") or ""),
        port=port,
        path=str(given.get("path") or "/metrics"),
        scheme=str(given.get("scheme") or "http"),
        interval=str(given.get("interval") or ""),
    )


def _probes(endpoints: tuple[Endpoint, ...], namespace: str) -> Iterator[dict[str, Any]]:
    if not endpoints:
        return
    exporter = f"{blackbox_exporter.NAME}.{namespace}.svc:{blackbox_exporter.PORT}"
    yield {
        "job_name": collection_profile.BLACKBOX,
        "metrics_path": "/probe",
        "static_configs": [
            {
                "targets": [endpoint.target],
                "labels": {
                    "__param_module": endpoint.probed_by,
                    "module": endpoint.module,
                    "probe": endpoint.name,
                    "instance": endpoint.url,
                },
            }
            for endpoint in endpoints
        ],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"target_label": "__address__", "replacement": exporter},
        ],
    }


def _workloads(workloads: Workloads | None) -> Iterator[dict[str, Any]]:
    """Pods that say where their metrics are: by annotations as they are common, or by a port that is called so."""
    if workloads is None:
        return
    yield {
        "job_name": collection_profile.WORKLOADS,
        "kubernetes_sd_configs": [scrape_jobs.pods(workloads.namespaces, workloads.selector)],
        "relabel_configs": [
            *scrape_jobs.running_pods(),
            {"source_labels": [f"{_ANNOTATION}scrape"], "regex": "false", "action": "drop"},
            {
                "source_labels": [
                    f"{_ANNOTATION}port",
                    *(f"__meta_kubernetes_pod_container_port_{what}" for what in ("name", "number")),
                ],
                "regex": f";{PORT_NAMES};(\\d+)",
                "target_label": "__tmp_port",
            },
            {"source_labels": [f"{_ANNOTATION}port"], "regex": r"(\d+)", "target_label": "__tmp_port"},
            {"source_labels": ["__tmp_port"], "regex": r"\d+", "action": "keep"},
            *(
                {
                    "source_labels": ["__meta_kubernetes_pod_ip", "__tmp_port"],
                    "regex": regex,
                    "replacement": replacement,
                    "target_label": "__address__",
                }
                for regex, replacement in ((r"([^:;]+);(\d+)", "$1:$2"), (r"([^;]*:[^;]*);(\d+)", "[$1]:$2"))
            ),
            *(
                {"source_labels": [f"{_ANNOTATION}{annotation}"], "regex": regex, "target_label": label}
                for annotation, regex, label in (
                    ("path", "(/.*)", "__metrics_path__"),
                    ("scheme", "(https?)", "__scheme__"),
                )
            ),
            *scrape_jobs.pod_labels(),
        ],
        # It is asked by its address, which no certificate has.
        "tls_config": {"insecure_skip_verify": True},
    }


def _own(job: ExtraJob, scrape_interval: str) -> dict[str, Any]:
    interval = duration_seconds(job.interval or scrape_interval, "interval")
    result: dict[str, Any] = {
        "job_name": job.name,
        "metrics_path": job.path,
        "scheme": job.scheme,
        **({"scrape_interval": job.interval} if job.interval else {}),
        "scrape_timeout": f"{min(LONGEST_SCRAPE, interval):g}s",
    }
    if job.targets:
        return {**result, "static_configs": [{"targets": list(job.targets)}]}
    service = f"kubernetes.io/service-name={job.service}"
    return {
        **result,
        "kubernetes_sd_configs": [scrape_jobs.endpoint_slices(job.namespace, service)],
        "relabel_configs": [
            *([scrape_jobs.keep_port(job.port)] if job.port else []),
            *scrape_jobs.pod_labels(),
        ],
        **({"tls_config": {"insecure_skip_verify": True}} if job.scheme == "https" else {}),
    }
