# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in to a real API server, and what an operator is told when it does not work."""

from __future__ import annotations

import base64
import json
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient, CoreV1Api

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError, InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes import client as client_module
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient


def client_for(kubeconfig: Path) -> KubernetesClient:
    return KubernetesClient.from_parameters({"kubeconfig": str(kubeconfig)})


def who(client: KubernetesClient) -> str:
    """Return the user that the API server takes us for: it is in what it says when it forbids something."""
    with pytest.raises(ApiError) as refused:
        client.get("v1", "Node", "any")
    assert refused.value.status == 403
    return str(refused.value).split('user "')[1].split('"')[0]


@pytest.fixture
def token(other: ApiClient, namespace: str) -> str:
    """Return the token of a service account without rights."""
    CoreV1Api(other).create_namespaced_service_account(namespace, {"metadata": {"name": "reader"}})
    request = {"spec": {"audiences": [], "expirationSeconds": 3600}}
    return str(CoreV1Api(other).create_namespaced_service_account_token("reader", namespace, request).status.token)


class TestLogin:
    def test_with_a_client_certificate_whose_files_are_relative(self, api_server: Any) -> None:
        path = api_server.kubeconfig("alice", ())
        config = yaml.safe_load(path.read_text())
        user = config["users"][0]["user"]
        config["users"][0]["user"] = {name: Path(value).name for name, value in user.items()}
        path.write_text(yaml.safe_dump(config))
        assert who(client_for(path)) == "alice"

    def test_with_certificates_in_the_kubeconfig_as_content_and_no_key_left_on_disk(
        self, api_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        config = yaml.safe_load(api_server.kubeconfig("alice", ()).read_text())
        for part in (config["users"][0]["user"], config["clusters"][0]["cluster"]):
            for name in ("client-certificate", "client-key", "certificate-authority"):
                if name in part:
                    part[f"{name}-data"] = base64.b64encode(Path(part.pop(name)).read_bytes()).decode()
        client = KubernetesClient.from_parameters({"kubeconfig_content": json.dumps(config)})
        assert who(client) == "alice"
        assert list(tmp_path.iterdir()) == []

    def test_with_a_token(self, api_server: Any, token: str, namespace: str) -> None:
        assert who(client_for(api_server.kubeconfig_of({"token": token}))) == (
            f"system:serviceaccount:{namespace}:reader"
        )

    def test_with_a_file_that_has_the_token(self, api_server: Any, token: str, namespace: str, tmp_path: Path) -> None:
        (tmp_path / "token").write_text(f"{token}\n")
        user = {"tokenFile": str(tmp_path / "token")}
        assert who(client_for(api_server.kubeconfig_of(user))).endswith(f"{namespace}:reader")

    def test_with_a_plugin(self, api_server: Any, token: str, namespace: str, tmp_path: Path) -> None:
        credential = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": token},
        }
        plugin = tmp_path / "login"
        plugin.write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(credential)}\nEOF\n")
        plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
        command = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin),
            "interactiveMode": "Never",
        }
        assert who(client_for(api_server.kubeconfig_of({"exec": command}))).endswith(f"{namespace}:reader")

    def test_as_somebody_else(self, api_server: Any) -> None:
        path = api_server.kubeconfig()
        config = yaml.safe_load(path.read_text())
        config["users"][0]["user"] |= {"as": "bob", "as-groups": ["auditors", "people"]}
        path.write_text(yaml.safe_dump(config))
        client = client_for(path)
        assert who(client) == "bob"
        response = client._transport.request(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            headers=[("Content-Type", "application/json")],
            body=json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode(),
        )
        assert json.loads(response.body)["status"]["userInfo"]["groups"] == [
            "auditors",
            "people",
            "system:authenticated",
        ]

    def test_a_server_whose_certificate_has_another_name(self, api_server: Any) -> None:
        url = api_server.url
        assert client_for(api_server.kubeconfig(**{"server": url, "tls-server-name": "localhost"})).get(
            "v1", "Namespace", "default"
        )
        with pytest.raises(ApiError, match="certificate is not trusted") as refused:
            client_for(api_server.kubeconfig(**{"server": url, "tls-server-name": "elsewhere"})).get(
                "v1", "Namespace", "default"
            )
        assert refused.value.status is None

    def test_without_verification_only_when_the_kubeconfig_says_so(self, api_server: Any) -> None:
        path = api_server.kubeconfig()
        config = yaml.safe_load(path.read_text())
        cluster = config["clusters"][0]["cluster"]
        del cluster["certificate-authority"]
        path.write_text(yaml.safe_dump(config))
        with pytest.raises(ApiError, match="certificate is not trusted"):
            client_for(path).get("v1", "Namespace", "default")
        cluster["insecure-skip-tls-verify"] = True
        path.write_text(yaml.safe_dump(config))
        assert client_for(path).get("v1", "Namespace", "default")


class TestRefused:
    def test_unreachable(self, api_server: Any) -> None:
        config = yaml.safe_load(api_server.kubeconfig().read_text())
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
        client = KubernetesClient.from_parameters({"observer_kubeconfig_content": json.dumps(config)}, "observer_")
        with pytest.raises(ApiError) as refused:
            client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}, dry_run=True)
        error = refused.value
        assert (error.host, error.verb, error.resource, error.status) == (
            "https://127.0.0.1:1",
            "patch",
            "namespaces new",
            None,
        )
        assert str(error).startswith("observer_kubeconfig_content: https://127.0.0.1:1 did not patch namespaces new")
        assert "connection refused" in str(error)

    def test_credentials_that_are_not_accepted(self, api_server: Any) -> None:
        with pytest.raises(ApiError, match="does not accept the credentials") as refused:
            client_for(api_server.kubeconfig_of({"token": "wrong-token"})).list("v1", "Secret", "default")
        assert refused.value.status == 401
        assert refused.value.resource == "secrets in namespace default"
        assert "wrong-token" not in str(refused.value.result())

    def test_a_plugin_that_fails(self, api_server: Any, tmp_path: Path) -> None:
        command = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(tmp_path / "missing"),
            "interactiveMode": "Never",
        }
        with pytest.raises(InputError, match="login plugin of context 'test' failed") as refused:
            client_for(api_server.kubeconfig_of({"exec": command}))
        assert refused.value.parameter == "kubeconfig"


def test_the_answers_for_what_is_not_there(admin: KubernetesClient, new_namespace: str) -> None:
    assert admin.get("v1", "ConfigMap", "settings", new_namespace) is None
    assert admin.list("v1", "ConfigMap", new_namespace) == []
    assert admin.delete("v1", "ConfigMap", "settings", new_namespace) is False
    assert admin.logs("receive-0", new_namespace) == ""
    with pytest.raises(ApiError, match="services/proxy") as refused:
        admin.service_get(new_namespace, "query", "http", "/-/ready")
    assert refused.value.status == 404


def test_a_service_without_pods(admin: KubernetesClient, namespace: str, other: ApiClient) -> None:
    spec = {"selector": {"app": "query"}, "ports": [{"name": "http", "port": 10902}]}
    metadata = {"name": "query", "namespace": namespace}
    admin.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    # As its controller leaves it while no pod is ready.
    CoreV1Api(other).create_namespaced_endpoints(namespace, {"metadata": {"name": "query"}})
    with pytest.raises(ApiError, match="no endpoints available") as refused:
        admin.service_get(namespace, "query", "http", "/api/v1/query", {"query": "up"})
    assert refused.value.status == 503
    assert refused.value.resource == f"services/proxy {namespace}/query:http"


def test_many_objects_come_in_pages(admin: KubernetesClient, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 3)
    names = [f"item-{number}" for number in range(8)]
    admin.parallel(
        [
            lambda name=name: admin.apply(  # type: ignore[misc]
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
            )
            for name in names
        ]
    )
    assert [item["metadata"]["name"] for item in admin.list("v1", "ConfigMap", namespace)] == names
    assert all(item["kind"] == "ConfigMap" for item in admin.list("v1", "ConfigMap", namespace))
