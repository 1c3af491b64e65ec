# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import collection_profile, kube_state_metrics
from ansible_collections.scs.observability.plugins.module_utils._manifests.kube_state_metrics import KubeStateMetrics


def deployment(**changes: Any) -> dict[str, Any]:
    objects = kube_state_metrics.objects(KubeStateMetrics("alpha", "monitoring", **changes))
    (found,) = [item for item in objects if item["kind"] == "Deployment"]
    return found


def argument(name: str, **changes: Any) -> str | None:
    (container,) = deployment(**changes)["spec"]["template"]["spec"]["containers"]
    values = [text.partition("=")[2] for text in container["args"] if text.startswith(f"--{name}=")]
    return values[0] if values else None


def watched(profile: str) -> set[str]:
    given = argument("resources", profile=profile)
    assert given is not None
    return set(given.split(","))


@pytest.mark.parametrize("profile", collection_profile.PROFILES)
def test_it_watches_exactly_what_its_role_allows(profile: str) -> None:
    role = kube_state_metrics.cluster_role(KubeStateMetrics("alpha", "monitoring", profile=profile))
    allowed = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert watched(profile) == allowed
    assert not {"secrets", "configmaps"} & allowed
    assert all(rule["resources"] for rule in role["rules"])


def test_minimal_watches_no_more_than_its_metrics_are_about() -> None:
    """What is not watched costs the API server nothing, and nobody can read it with this account."""
    assert watched("full") - watched("minimal") == {
        "limitranges",
        "mutatingwebhookconfigurations",
        "networkpolicies",
        "replicationcontrollers",
        "storageclasses",
        "validatingwebhookconfigurations",
        "volumeattachments",
    }


def test_every_metric_of_minimal_has_its_source_watched() -> None:
    families = {
        "ingresses": "ingress",
        **{resource: resource.removesuffix("s") for resource in watched("minimal") - {"ingresses"}},
    }
    for series in collection_profile.MINIMAL[collection_profile.KUBE_STATE_METRICS]:
        kind = re.fullmatch(r"kube_([a-z]+)(_.*)?", series.name)
        assert kind, series.name
        assert kind[1] in families.values(), series.name


def test_a_profile_reaches_the_source() -> None:
    allowed = argument("metric-allowlist", profile="minimal")
    assert allowed is not None
    assert "^kube_pod_status_(?:phase|ready|reason|unschedulable)$" in allowed.split(",")
    assert argument("metric-allowlist", profile="full") is None


def test_labels_and_annotations_of_objects_are_not_exposed() -> None:
    assert argument("metric-labels-allowlist") is None
    assert argument("metric-annotations-allowlist") is None


def test_the_service_reaches_the_pods() -> None:
    objects = kube_state_metrics.objects(KubeStateMetrics("alpha", "monitoring"))
    (service,) = [item for item in objects if item["kind"] == "Service"]
    template = deployment()["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
    (offered,) = service["spec"]["ports"]
    assert ports[offered["targetPort"]] == offered["port"] == kube_state_metrics.PORT


def test_image_and_resources_are_the_wanted_ones() -> None:
    resources = {"limits": {"memory": "1Gi"}}
    pod = deployment(image="mirror/ksm:1", resources=resources)["spec"]["template"]["spec"]
    assert (pod["containers"][0]["image"], pod["containers"][0]["resources"]) == ("mirror/ksm:1", resources)
