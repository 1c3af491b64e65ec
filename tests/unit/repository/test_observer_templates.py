# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables change in the templates of blackbox exporter and Grafana."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import OPTIONAL
from tests import rendered
from tests.pki import authority

CA = authority("provider").pem

Objects = dict[str, dict[str, Any]]


def made(file: str, **given: Any) -> Objects:
    """The objects of a set by kind and name; variables have their defaults unless given."""
    (call,) = rendered.calls(file, **given)
    return {f"{item['kind']} {item['metadata']['name']}": item for item in call.arguments["objects"]}


def blackbox_exporter(**given: Any) -> Objects:
    return made("blackbox_exporter.yml", **given)


def with_grafana(**given: Any) -> Objects:
    return made("grafana.yml", **given)


OIDC = {
    "client_id": "grafana",
    "auth_url": "https://sso.example.org/auth",
    "token_url": "https://sso.example.org/token",
    "api_url": "https://sso.example.org/userinfo",
    "viewer_groups": ["observers"],
    "ca": CA,
}


@pytest.fixture
def extra(tmp_path: Path) -> str:
    """A directory of the operator with a dashboard."""
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "billing.json").write_text(json.dumps({"title": "Billing", "uid": "billing"}))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("file", "given"),
    [
        ("blackbox_exporter.yml", {}),
        (
            "blackbox_exporter.yml",
            {"observer_endpoints_ca": CA, "observer_endpoints": [{"name": "host", "url": "ICMP://host"}]},
        ),
        ("grafana.yml", {}),
        (
            "grafana.yml",
            {
                "observer_grafana_url": "https://grafana.example.org",
                "observer_grafana_oidc": OIDC,
                "observer_grafana_oidc_client_secret": "swordfish",
                "observer_grafana_storage_size": "5Gi",
            },
        ),
    ],
)
def test_what_is_mounted_is_there(file: str, given: dict[str, Any], extra: str) -> None:
    objects = made(file, observer_extra_directory=extra, **given)
    (workload,) = [item for kind, item in objects.items() if kind.startswith("Deployment ")]
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    for volume in volumes.values():
        sources = [volume, *volume.get("projected", {}).get("sources", [])]
        config_maps = {source["configMap"]["name"] for source in sources if "configMap" in source}
        assert config_maps <= {key.partition(" ")[2] for key in objects if key.startswith("ConfigMap ")}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("urls", "sysctls"),
    [
        ([], None),
        (["https://host/icmp:"], None),
        (["https://host/", "icmp://host"], [{"name": "net.ipv4.ping_group_range", "value": "65534 65534"}]),
    ],
)
def test_who_pings_needs_no_capability(urls: list[str], sysctls: Any) -> None:
    catalogue = [{"name": f"endpoint-{number}", "url": url} for number, url in enumerate(urls)]
    objects = blackbox_exporter(observer_endpoints=catalogue)
    pod = objects["Deployment blackbox-exporter"]["spec"]["template"]["spec"]
    assert pod["securityContext"].get("sysctls") == sysctls
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    # The range is that of its group.
    assert pod["securityContext"]["runAsGroup"] == 65534


def test_own_authorities_are_beside_the_public_ones() -> None:
    objects = blackbox_exporter(observer_endpoints_ca=CA)
    assert objects["ConfigMap blackbox-exporter-ca"]["data"] == {"ca.crt": CA}
    (container,) = objects["Deployment blackbox-exporter"]["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "SSL_CERT_DIR", "value": "/etc/ssl/certs:/etc/blackbox_exporter/ca"}]


@pytest.mark.parametrize("required", [True, False])
def test_the_image_of_grafana_may_be_missing_unless_it_is_required(required: bool) -> None:
    objects = with_grafana(observer_grafana_required=required)
    metadata = objects["Deployment grafana"]["metadata"]
    assert metadata.get("annotations", {}).get(OPTIONAL) == (None if required else "true")
    # Alerts see it by a label of its target.
    (endpoint,) = objects["ServiceMonitor grafana"]["spec"]["endpoints"]
    marked = [{"targetLabel": "optional", "replacement": "true"}]
    assert endpoint.get("relabelings", []) == ([] if required else marked)


def provisioned(objects: Objects, name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(objects["ConfigMap grafana-provisioning"]["data"][name])
    return content


def test_grafana_knows_its_data_sources_and_folders(extra: str) -> None:
    objects = with_grafana(observer_extra_directory=extra)
    sources = provisioned(objects, "datasources.yaml")["datasources"]
    assert [(item["uid"], item.get("isDefault", False)) for item in sources] == [
        ("thanos", True),
        ("prometheus", False),
        ("alertmanager", False),
    ]
    (container,) = objects["Deployment grafana"]["spec"]["template"]["spec"]["containers"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    providers = provisioned(objects, "dashboards.yaml")["providers"]
    assert [item["folder"] for item in providers] == ["SCS observability", "Own"]
    assert {item["options"]["path"] for item in providers} <= mounted


def test_nobody_gets_in_without_a_login() -> None:
    (container,) = with_grafana()["Deployment grafana"]["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    # Made for this observer and read from a file: the one that Grafana comes with is known to everybody.
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/etc/grafana/admin/")
    assert environment["GF_SECURITY_SECRET_KEY__FILE"].startswith("/etc/grafana/admin/")


def test_the_volume_of_grafana() -> None:
    def data(objects: Objects) -> dict[str, Any]:
        volumes = objects["Deployment grafana"]["spec"]["template"]["spec"]["volumes"]
        (found,) = [volume for volume in volumes if volume["name"] == "data"]
        return {key: value for key, value in found.items() if key != "name"}

    assert data(with_grafana()) == {"emptyDir": {"sizeLimit": "1Gi"}}
    kept = with_grafana(observer_grafana_storage_size="5Gi", observer_storage_class="fast")
    assert data(kept) == {"persistentVolumeClaim": {"claimName": "grafana"}}
    claim = kept["PersistentVolumeClaim grafana"]["spec"]
    assert (claim["storageClassName"], claim["resources"]) == ("fast", {"requests": {"storage": "5Gi"}})


@pytest.mark.parametrize("text", ["", "apiVersion: v1"], ids=["here", "elsewhere"])
def test_clusters_of_cluster_api_are_read_when_it_is_wanted(text: str) -> None:
    asked = {
        "observer_cluster_api_importer_enabled": True,
        "observer_cluster_api_importer_kubeconfig_content": text,
    }
    (call,) = rendered.calls("exporters.yml", **asked)
    (pod,) = [
        item["spec"]["template"]["spec"]
        for item in call.arguments["objects"]
        if (item["kind"], item["metadata"]["name"]) == ("Deployment", "cluster-api-importer")
    ]
    assert pod["automountServiceAccountToken"] is not bool(text)
    secrets = {"cluster-api-importer-kubeconfig": {"kubeconfig": text}} if text else {}
    assert call.arguments["secrets"] == secrets
    (other,) = rendered.calls("exporters.yml")
    assert "cluster-api-importer" not in str(other.arguments)


def jobs(**asked: Any) -> set[str]:
    (call,) = rendered.calls("prometheus.yml", **asked)
    found = yaml.safe_load(call.arguments["secrets"]["prometheus-scrape-jobs"]["jobs.yml"])
    return {job["job_name"] for job in found}


def test_they_are_scraped_then() -> None:
    assert jobs(observer_cluster_api_importer_enabled=True) - jobs() == {"cluster-api-importer"}


@pytest.mark.parametrize("enabled", [False, "false"])
def test_nothing_is_left_of_a_node_exporter_that_is_turned_off(enabled: Any) -> None:
    (on,) = rendered.calls("exporters.yml")
    (off,) = rendered.calls("exporters.yml", observer_node_exporter_enabled=enabled)
    assert "node-exporter" in str(on.arguments)
    assert "node-exporter" not in str(off.arguments)
    assert jobs() - jobs(observer_node_exporter_enabled=enabled) == {"node-exporter"}
