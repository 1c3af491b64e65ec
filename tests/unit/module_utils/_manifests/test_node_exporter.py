# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._manifests import node_exporter
from ansible_collections.scs.observability.plugins.module_utils._manifests.node_exporter import NodeExporter, Tls


def pod_spec(**changes: Any) -> dict[str, Any]:
    objects = node_exporter.objects(NodeExporter("alpha", "monitoring", **changes))
    (daemonset,) = [item for item in objects if item["kind"] == "DaemonSet"]
    result: dict[str, Any] = daemonset["spec"]["template"]["spec"]
    return result


def argument(name: str) -> str:
    (value,) = [text.partition("=")[2] for text in pod_spec()["containers"][0]["args"] if text.startswith(f"--{name}=")]
    return str(value)


def test_it_runs_on_every_node_whatever_its_taints() -> None:
    assert pod_spec()["tolerations"] == [{"operator": "Exists"}]


def test_it_listens_beside_one_that_the_customer_may_have_and_on_one_address_only() -> None:
    assert pod_spec()["hostNetwork"] is True
    assert argument("web.listen-address") == "[$(HOST_IP)]:19100"
    address = {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}}
    assert {"name": "HOST_IP", "valueFrom": address} in pod_spec()["containers"][0]["env"]
    assert pod_spec()["containers"][0]["ports"][0]["containerPort"] == 19100


def test_the_host_is_mounted_read_only() -> None:
    pod = pod_spec()
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"]} == {
        "proc": "/proc",
        "sys": "/sys",
        "root": "/",
    }
    assert all(mount.get("readOnly") for mount in mounts.values())
    assert mounts["root"]["mountPropagation"] == "HostToContainer"
    for name, flag in (("proc", "path.procfs"), ("sys", "path.sysfs"), ("root", "path.rootfs")):
        assert argument(flag) == mounts[name]["mountPath"]


def test_it_shares_no_process_namespace_with_the_host() -> None:
    assert "hostPID" not in pod_spec()


@pytest.mark.parametrize(
    ("interface", "left_out"),
    [
        ("eth0", False),
        ("ens3", False),
        ("bond0", False),
        ("veth1a2b3c", True),
        ("cali0123abc", True),
        ("lxc_health", True),
    ],
)
def test_interfaces_of_pods_are_left_out(interface: str, left_out: bool) -> None:
    assert bool(re.search(argument("collector.netdev.device-exclude"), interface)) is left_out


@pytest.mark.parametrize(
    ("mount", "left_out"),
    [
        ("/", False),
        ("/var/lib/kubelet", False),
        ("/var/lib/containerd", False),
        ("/data", False),
        ("/var/lib/kubelet/pods/0a/volumes/x", True),
        ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/1/rootfs", True),
        ("/proc", True),
        ("/sys/fs/cgroup", True),
    ],
)
def test_mounts_of_pods_are_left_out_and_disks_are_not(mount: str, left_out: bool) -> None:
    assert bool(re.search(argument("collector.filesystem.mount-points-exclude"), mount)) is left_out


def test_image_and_resources_are_the_wanted_ones() -> None:
    resources = {"limits": {"memory": "1Gi"}}
    (container,) = pod_spec(image="mirror/ne:1", resources=resources)["containers"]
    assert (container["image"], container["resources"]) == ("mirror/ne:1", resources)


def test_with_tls_only_one_name_is_answered_and_the_kubelet_needs_no_certificate() -> None:
    objects = node_exporter.objects(
        NodeExporter("alpha", "monitoring", tls=Tls("its-tls", "prometheus.monitoring.svc"))
    )
    (config_map,) = [item for item in objects if item["kind"] == "ConfigMap"]
    (daemonset,) = [item for item in objects if item["kind"] == "DaemonSet"]
    server = json.loads(config_map["data"]["web.yml"])["tls_server_config"]
    assert server["client_auth_type"] == "RequireAndVerifyClientCert"
    assert server["client_allowed_sans"] == ["prometheus.monitoring.svc"]
    pod = daemonset["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "--web.config.file=/etc/node-exporter/web/web.yml" in container["args"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["tls"]["secret"]["secretName"] == "its-tls"
    assert volumes["web"]["configMap"]["name"] == config_map["metadata"]["name"]
    # Its user may read the key.
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
    probes = [container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")]
    assert all(probe["tcpSocket"] == {"port": "metrics"} for probe in probes)
