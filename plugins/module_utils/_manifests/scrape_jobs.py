# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Prometheus scrapes the Kubernetes cluster that it runs in, be it a customer's or the observer's own.

Jobs in Prometheus' format; what of their series is kept says the collection profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    collection_profile,
    kube_state_metrics,
    node_exporter,
    rbac,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.optional_jobs import Found

Manifest = dict[str, Any]

# Where the API server and CoreDNS are found
TARGET_NAMESPACES = ("default", "kube-system")

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def jobs(
    namespace: str,
    *,
    profile: str,
    kubelet_insecure_skip_verify: bool,
    exporter: str,
    discovery: bool = True,
    node_exporter_port: int = node_exporter.PORT,
    node_exporter_tls: Mapping[str, Any] | None = None,
    extra_series: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """The jobs that every cluster has; ``exporter`` is the Service of kube-state-metrics in ``namespace``.

    Without ``discovery``, nothing in other namespaces needs to be seen: API servers and CoreDNS are asked through their
    Services, where one of them answers for as long as the connection lasts. ``extra_series`` are expressions of names
    by job, which are kept beside what the profile keeps. With ``node_exporter_tls`` (tls_config), node-exporter is
    asked over TLS.
    """
    return [
        kept(job, profile, (extra_series or {}).get(job["job_name"], ()))
        for job in (
            _apiserver(discovery),
            _cadvisor(kubelet_insecure_skip_verify),
            _coredns(discovery),
            _kube_state_metrics(exporter, namespace),
            _kubelet(kubelet_insecure_skip_verify),
            _node_exporter(node_exporter_port, node_exporter_tls),
        )
    ]


def kept(job: dict[str, Any], profile: str, extra: Sequence[str] = ()) -> dict[str, Any]:
    """The job with the rules that keep what the profile wants of it, and with limits.

    What goes beyond a limit fails the scrape of that one target; the others know nothing of it.
    """
    name = job["job_name"]
    rules = [
        *collection_profile.rules_about_secrets(name),
        *collection_profile.relabel_rules(collection_profile.series_of(profile, name, extra)),
    ]
    return {"job_name": name, **collection_profile.limits(name, profile), **job, "metric_relabel_configs": rules}


def found_jobs(found: Sequence[Found]) -> list[dict[str, Any]]:
    """A job per name, whose targets are the pods of all places where it was found."""
    by_job: dict[str, list[Found]] = {}
    for item in found:
        by_job.setdefault(item.job, []).append(item)
    return [_found_job(name, places) for name, places in sorted(by_job.items())]


def _found_job(name: str, places: Sequence[Found]) -> dict[str, Any]:
    first = places[0]
    if first.port:
        address = pod_address(str(first.port))
        # One on each node, and a node's name stays.
        identity = [
            {"source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": label}
            for label in ("instance", "node")
        ]
    else:
        names = "|".join(sorted({port for place in places for port in place.ports}))
        address = [{"source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": names, "action": "keep"}]
        identity = []
    return {
        "job_name": name,
        # Their certificates are signed by nobody, like kubelets'.
        **(_credentials(insecure_skip_verify=True) if first.https else {}),
        "kubernetes_sd_configs": [pods([place.namespace], place.selector) for place in places],
        "relabel_configs": [*running_pods(), *address, *pod_labels(), *identity],
    }


def pods(namespaces: Sequence[str], selector: str) -> dict[str, Any]:
    """The pods with these labels."""
    return {
        "role": "pod",
        "namespaces": {"names": list(namespaces)},
        "selectors": [{"role": "pod", "label": selector}],
    }


def pod_address(port: str) -> list[dict[str, Any]]:
    """Rules that ask each pod once, at the port, whichever of its ports it declares; brackets are for IPv6."""
    return [
        {
            "source_labels": ["__meta_kubernetes_pod_ip"],
            "regex": regex,
            "replacement": replacement,
            "target_label": "__address__",
        }
        for regex, replacement in ((r"([^:]+)", f"$1:{port}"), (r"(.*:.*)", f"[$1]:{port}"))
    ]


def running_pods() -> list[dict[str, Any]]:
    """A pod that has ended has no metrics, and init containers end before the others begin."""
    return [
        {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed", "action": "drop"},
        {"source_labels": ["__meta_kubernetes_pod_container_init"], "regex": "true", "action": "drop"},
    ]


def pod_labels() -> list[dict[str, Any]]:
    return [
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    ]


def cluster_rules() -> list[Manifest]:
    """What the jobs need to be allowed everywhere: find nodes and read metrics. No Secrets, no proxy to nodes."""
    return [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]


def target_roles(
    name: str, account_namespace: str, labels: Mapping[str, str], namespaces: Sequence[str] = ()
) -> list[Manifest]:
    """What they need only where their targets are, in ``namespaces`` too. Prometheus reads Pods and Services beside the
    EndpointSlices.
    """
    rules = [
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    return [
        manifest
        for namespace in sorted({*TARGET_NAMESPACES, *namespaces})
        for manifest in (
            rbac.role(name, namespace, labels, rules),
            rbac.role_binding(name, namespace, account_namespace, labels),
        )
    ]


def _credentials(*, insecure_skip_verify: bool = False, server_name: str = "") -> dict[str, Any]:
    tls: dict[str, Any] = {"ca_file": f"{_SERVICE_ACCOUNT}/ca.crt"}
    if insecure_skip_verify:
        tls = {"insecure_skip_verify": True}
    if server_name:
        tls["server_name"] = server_name
    return {
        "scheme": "https",
        "authorization": {"credentials_file": f"{_SERVICE_ACCOUNT}/token"},
        "tls_config": tls,
    }


def _apiserver(discovery: bool) -> dict[str, Any]:
    return {
        "job_name": collection_profile.APISERVER,
        # Addresses of API servers may be missing in their certificate, this name never is.
        **_credentials(server_name="kubernetes"),
        **(
            {
                "kubernetes_sd_configs": [endpoint_slices("default", "kubernetes.io/service-name=kubernetes")],
                "relabel_configs": [keep_port("https")],
            }
            if discovery
            else {"static_configs": [through_service("kubernetes", "default", 443)]}
        ),
    }


def _kubelet(insecure_skip_verify: bool) -> dict[str, Any]:
    return {
        "job_name": collection_profile.KUBELET,
        **_credentials(insecure_skip_verify=insecure_skip_verify),
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": _node_labels(),
    }


def _cadvisor(insecure_skip_verify: bool) -> dict[str, Any]:
    return {
        "job_name": collection_profile.CADVISOR,
        "metrics_path": "/metrics/cadvisor",
        # It stamps its samples with the time of measuring; without this a container that went lives on for 5 minutes.
        "track_timestamps_staleness": True,
        **_credentials(insecure_skip_verify=insecure_skip_verify),
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": _node_labels(),
    }


def _coredns(discovery: bool) -> dict[str, Any]:
    if not discovery:
        return {
            "job_name": collection_profile.COREDNS,
            "static_configs": [through_service("kube-dns", "kube-system", 9153)],
        }
    return {
        "job_name": collection_profile.COREDNS,
        "kubernetes_sd_configs": [endpoint_slices("kube-system", "k8s-app=kube-dns")],
        "relabel_configs": [keep_port("metrics"), *pod_labels()],
    }


def _kube_state_metrics(service: str, namespace: str) -> dict[str, Any]:
    return {
        "job_name": collection_profile.KUBE_STATE_METRICS,
        # Its labels namespace and pod are those of the objects it tells about.
        "honor_labels": True,
        "static_configs": [through_service(service, namespace, kube_state_metrics.PORT)],
    }


def through_service(service: str, namespace: str, port: int, *, instance: str = "") -> dict[str, Any]:
    """A target that is found without discovery, and has the same series whichever pod answers."""
    return {"targets": [f"{service}.{namespace}.svc:{port}"], "labels": {"instance": instance or service}}


def _node_exporter(number: int, tls: Mapping[str, Any] | None) -> dict[str, Any]:
    port = {
        "source_labels": ["__address__"],
        "regex": r"(.+):\d+",
        "replacement": f"$1:{number}",
        "target_label": "__address__",
    }
    return {
        "job_name": collection_profile.NODE_EXPORTER,
        **({"scheme": "https", "tls_config": dict(tls)} if tls else {}),
        # Nodes are found as such: a node without its exporter is then a target that is down, not one that is missing.
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [port, *_node_labels()],
    }


def endpoint_slices(namespace: str, label: str) -> dict[str, Any]:
    """The endpoints of one Service."""
    return {
        "role": "endpointslice",
        "namespaces": {"names": [namespace]},
        "selectors": [{"role": "endpointslice", "label": label}],
    }


def keep_port(name: str) -> dict[str, Any]:
    return {"source_labels": ["__meta_kubernetes_endpointslice_port_name"], "regex": name, "action": "keep"}


def _node_labels() -> list[dict[str, Any]]:
    node = "__meta_kubernetes_node_name"
    return [
        {"source_labels": [node], "target_label": "instance"},
        {"source_labels": [node], "target_label": "node"},
    ]
