# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every workload of the collection promises, whoever builds it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes import objects
from ansible_collections.scs.observability.plugins.module_utils._manifests import workload

LABELS = workload.labels(name="thanos", instance="thanos-query", component="query")


def template(**arguments: Any) -> dict[str, Any]:
    return workload.pod_template(
        LABELS, [workload.container("main", "image:1")], user=1001, service_account_name="it", **arguments
    )


def restricted_violations(pod: dict[str, Any]) -> list[str]:
    """What the Pod Security Standard "restricted" objects to."""
    spec = pod["spec"]
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [volume["name"] for volume in spec.get("volumes", []) if "hostPath" in volume]
    for container in spec["containers"]:
        context = {**spec.get("securityContext", {}), **container["securityContext"]}
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
            found.append("root")
        if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            found.append("seccomp")
        if context.get("privileged") or context.get("allowPrivilegeEscalation") is not False:
            found.append("privileges")
        if "ALL" not in context.get("capabilities", {}).get("drop", []) or context["capabilities"].get("add"):
            found.append("capabilities")
    return found


def test_a_pod_is_restricted_and_its_root_file_system_read_only() -> None:
    pod = template(volumes=[workload.empty_dir("data"), workload.secret_volume("tls", "it-tls")])
    assert restricted_violations(pod) == []
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_check_for_restricted_sees_what_a_node_exporter_needs() -> None:
    pod = template(host_network=True, host_pid=True, volumes=[workload.host_path("root", "/")])
    assert restricted_violations(pod) == ["hostNetwork", "hostPID", "root"]
    assert pod["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_a_pod_gets_a_token_only_when_it_asks_for_one() -> None:
    assert template()["spec"]["automountServiceAccountToken"] is False
    assert template(service_account_token=True)["spec"]["automountServiceAccountToken"] is True
    assert workload.service_account("it", "ns", LABELS)["automountServiceAccountToken"] is False


def test_volumes_belong_to_the_group_of_the_pod() -> None:
    assert "fsGroup" not in template()["spec"]["securityContext"]
    security = template(fs_group=1001, group=7)["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (1001, 7, 1001)


def test_a_secret_volume_is_not_for_everybody() -> None:
    volume = workload.secret_volume("tls", "it-tls")
    assert volume["secret"]["defaultMode"] & 0o007 == 0


def test_a_changed_checksum_is_a_changed_template_and_nothing_else_is() -> None:
    one, two = (template(checksums={"configuration": workload.checksum({"a": text})}) for text in ("1", "2"))
    assert one["metadata"]["annotations"] != two["metadata"]["annotations"]
    assert one["spec"] == two["spec"]
    assert workload.checksum({"a": "1", "b": "2"}) == workload.checksum({"b": "2", "a": "1"})


@pytest.mark.parametrize(
    "manifest",
    [
        workload.deployment("it", "ns", LABELS, template=template()),
        workload.statefulset("it", "ns", LABELS, service_name="it-headless", template=template()),
        workload.daemonset("it", "ns", LABELS, template=template()),
    ],
    ids=lambda manifest: manifest["kind"],
)
def test_a_workload_selects_its_pods_by_labels_that_never_change(manifest: dict[str, Any]) -> None:
    selected = manifest["spec"]["selector"]["matchLabels"]
    assert selected.items() <= manifest["spec"]["template"]["metadata"]["labels"].items()
    assert "app.kubernetes.io/instance" in selected
    assert objects.identity(manifest) == ("apps/v1", manifest["kind"], "ns", "it")


def test_two_instances_of_a_component_do_not_select_each_others_pods() -> None:
    other = workload.labels(name="thanos", instance="thanos-query-2", component="query")
    assert not workload.selector(LABELS).items() <= other.items()


def test_what_a_module_owns_is_found_by_the_labels_that_prune_looks_for() -> None:
    assert workload.owner("thanos-query") == {
        objects.MANAGED_BY_LABEL: objects.MANAGED_BY,
        objects.INSTANCE_LABEL: "thanos-query",
    }
    assert workload.owner("thanos-query").items() <= LABELS.items()


def test_a_deployment_has_a_ready_pod_before_an_old_one_goes() -> None:
    strategy = workload.deployment("it", "ns", LABELS, template=template())["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    given = workload.deployment("it", "ns", LABELS, template=template(), strategy={"type": "Recreate"})
    assert given["spec"]["strategy"] == {"type": "Recreate"}


def test_the_volumes_of_a_statefulset_carry_its_labels() -> None:
    claim = workload.volume_claim("data", LABELS, size="10Gi", storage_class="fast")
    manifest = workload.statefulset("it", "ns", LABELS, service_name="x", template=template(), volume_claims=[claim])
    (found,) = manifest["spec"]["volumeClaimTemplates"]
    assert workload.owner("thanos-query").items() <= found["metadata"]["labels"].items()
    assert found["spec"]["storageClassName"] == "fast"
    assert "storageClassName" not in workload.volume_claim("data", LABELS, size="10Gi")["spec"]


def test_a_service_leads_to_named_ports_of_its_pods() -> None:
    service = workload.service("it", "ns", LABELS, ports={"https": 443})
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (443, "https")
    assert service["spec"]["type"] == "ClusterIP"
    assert "nodePort" not in port


def test_a_node_port_is_put_to_its_port_only() -> None:
    service = workload.service(
        "it", "ns", LABELS, ports={"http": 1, "grpc": 2}, service_type="NodePort", node_ports={"http": 30902}
    )
    assert [port.get("nodePort") for port in service["spec"]["ports"]] == [30902, None]


def test_a_headless_service_names_pods_that_are_not_ready_too() -> None:
    spec = workload.service("it", "ns", LABELS, ports={"grpc": 1}, headless=True)["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)


def test_a_namespace_is_the_same_for_all_who_share_it() -> None:
    namespace = workload.namespace("observer")
    assert namespace["metadata"]["labels"][objects.MANAGED_BY_LABEL] == objects.MANAGED_BY
    assert objects.INSTANCE_LABEL not in namespace["metadata"]["labels"]
    assert workload.namespace("agents", {"own": "label"})["metadata"]["labels"] == {"own": "label"}


def test_a_secret_holds_encoded_values() -> None:
    secret = workload.secret("it", "ns", LABELS, {"key": "g\u00fcltig"})
    assert base64.b64decode(secret["data"]["key"]).decode() == "g\u00fcltig"


def test_a_container_has_no_empty_parts() -> None:
    container = workload.container("main", "image:1", resources={})
    assert not {"args", "command", "ports", "env", "volumeMounts", "resources", "livenessProbe"} & set(container)
