# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes import connection as module
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import (
    Connection,
    proxy_of_environment,
)

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def kubeconfig(
    cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "observer",
        "contexts": [
            {"name": "observer", "context": {"cluster": "c", "user": "u", "namespace": "monitoring"}},
            {"name": "kaas-1", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": "t"}}],
        **more,
    }


def write(path: Path, config: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(config))
    return str(path)


def connect(config: dict[str, Any], **params: Any) -> Connection:
    return Connection.from_parameters({"kubeconfig_content": yaml.safe_dump(config), **params}, environment={})


class TestWhere:
    def test_content(self) -> None:
        connection = connect(kubeconfig())
        assert connection.server == "https://192.0.2.1:6443"
        assert (connection.context, connection.namespace, connection.token) == ("observer", "monitoring", "t")
        assert connection.parameter == "kubeconfig_content"

    def test_json_is_yaml_too(self) -> None:
        params = {"observer_kubeconfig_content": json.dumps(kubeconfig()), "observer_context": "kaas-1"}
        connection = Connection.from_parameters(params, "observer_", environment={})
        assert (connection.context, connection.namespace) == ("kaas-1", "default")
        assert connection.parameter == "observer_kubeconfig_content"

    def test_a_parameter_goes_before_the_environment(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a", kubeconfig({"server": "https://a"}))
        other = write(tmp_path / "b", kubeconfig({"server": "https://b"}))
        environment = {"K8S_AUTH_KUBECONFIG": other, "KUBECONFIG": other, "K8S_AUTH_CONTEXT": "kaas-1"}
        connection = Connection.from_parameters({"kubeconfig": path}, environment=environment)
        assert connection.server == "https://a"
        # The environment's context belongs to the environment's kubeconfig.
        assert connection.context == "observer"

    @pytest.mark.parametrize("names", [["K8S_AUTH_KUBECONFIG", "KUBECONFIG", "HOME"], ["KUBECONFIG", "HOME"], ["HOME"]])
    def test_the_order_in_the_environment(self, tmp_path: Path, names: list[str]) -> None:
        (tmp_path / ".kube").mkdir()
        paths = {
            name: write(tmp_path / path, kubeconfig({"server": f"https://{name.lower().replace('_', '-')}"}))
            for name, path in (("K8S_AUTH_KUBECONFIG", "a"), ("KUBECONFIG", "b"), ("HOME", ".kube/config"))
        }
        environment = {name: str(tmp_path) if name == "HOME" else paths[name] for name in names}
        connection = Connection.from_parameters({}, environment={**environment, "K8S_AUTH_CONTEXT": "kaas-1"})
        assert connection.server == f"https://{names[0].lower().replace('_', '-')}"
        assert connection.context == "kaas-1"

    def test_the_observer_has_a_variable_of_its_own(self, tmp_path: Path) -> None:
        observer = write(tmp_path / "a", kubeconfig({"server": "https://observer"}))
        other = write(tmp_path / "b", kubeconfig({"server": "https://other"}))
        environment = {"OBSERVER_KUBECONFIG": observer, "KUBECONFIG": other, "K8S_AUTH_CONTEXT": "kaas-1"}

        def connection(prefix: str, **params: str) -> Connection:
            return Connection.from_parameters(params, prefix, environment=environment)

        assert connection("observer_").server == "https://observer"
        # The context of the environment belongs to the kubeconfig that every cluster may be in.
        assert connection("observer_").context == "observer"
        assert connection("observer_", observer_context="kaas-1").context == "kaas-1"
        assert connection("observer_", observer_kubeconfig=other).server == "https://other"
        assert connection("").server == "https://other"
        content = yaml.safe_dump(kubeconfig({"server": "https://content"}))
        assert connection("observer_", observer_kubeconfig_content=content).server == "https://content"

    def test_a_variable_that_leads_nowhere_is_the_parameters_fault(self) -> None:
        with pytest.raises(InputError, match="/nowhere does not exist") as refused:
            Connection.from_parameters({}, "observer_", environment={"OBSERVER_KUBECONFIG": "/nowhere"})
        assert refused.value.parameter == "observer_kubeconfig"

    def test_empty_variables_are_not_set(self, tmp_path: Path) -> None:
        names = ("OBSERVER_KUBECONFIG", "K8S_AUTH_KUBECONFIG", "KUBECONFIG", "K8S_AUTH_CONTEXT")
        environment = {**dict.fromkeys(names, ""), "HOME": str(tmp_path)}
        with pytest.raises(InputError, match="none of OBSERVER_KUBECONFIG, K8S_AUTH_KUBECONFIG, KUBECONFIG is set"):
            Connection.from_parameters({"observer_kubeconfig": ""}, "observer_", environment=environment)

    def test_several_files_are_merged_and_the_first_counts(self, tmp_path: Path) -> None:
        first = kubeconfig({"server": "https://first"})
        first["contexts"] = []
        second = kubeconfig({"server": "https://second"}) | {"current-context": "kaas-1"}
        first["current-context"] = ""
        listed = f"{write(tmp_path / 'a', first)}:{tmp_path / 'missing'}:{write(tmp_path / 'b', second)}"
        connection = Connection.from_parameters({}, environment={"KUBECONFIG": listed})
        assert (connection.server, connection.context) == ("https://first", "kaas-1")

    def test_inside_a_pod(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path)
        environment = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
        with pytest.raises(InputError, match="no kubeconfig"):
            Connection.from_parameters({}, environment=environment)
        (tmp_path / "token").write_text("t\n")
        with pytest.raises(InputError, match="service account cannot be read"):
            Connection.from_parameters({}, environment=environment)
        (tmp_path / "ca.crt").write_text(PEM)
        (tmp_path / "namespace").write_text("awx")
        connection = Connection.from_parameters({}, environment=environment)
        assert connection == Connection(
            server="https://[fd00::1]:6443", context="service account", namespace="awx", authority=PEM, token="t"
        )

    def test_nothing_anywhere(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as refused:
            Connection.from_parameters({}, "observer_", environment={"HOME": str(tmp_path)})
        assert refused.value.parameter == "observer_kubeconfig"

    def test_without_home_the_account_tells_where_it_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(InputError, match="no kubeconfig"):
            Connection.from_parameters({}, environment={})


class TestRefused:
    @pytest.mark.parametrize(
        ("params", "parameter", "text"),
        [
            ({"kubeconfig": "/nowhere/config"}, "kubeconfig", "/nowhere/config does not exist"),
            ({"kubeconfig": "/"}, "kubeconfig", "/ cannot be read: Is a directory"),
            ({"kubeconfig": "/a", "kubeconfig_content": "{}"}, "kubeconfig", "exclude each other"),
            ({"kubeconfig_content": "[1]"}, "kubeconfig_content", "is not a kubeconfig"),
            ({"kubeconfig_content": "contexts: 1"}, "kubeconfig_content", "is not a kubeconfig"),
            ({"kubeconfig_content": "users: {a: b: c}"}, "kubeconfig_content", r"not valid YAML \(line 1, column 13\)"),
            ({"kubeconfig_content": "{}"}, "context", "no current-context.*Contexts there are: none"),
        ],
    )
    def test_a_kubeconfig_that_is_none(self, params: dict[str, str], parameter: str, text: str) -> None:
        with pytest.raises(InputError, match=text) as refused:
            Connection.from_parameters(params, environment={})
        assert refused.value.parameter == parameter

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "config").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="it is not UTF-8 text"):
            Connection.from_parameters({"kubeconfig": str(tmp_path / "config")}, environment={})

    def test_the_content_is_not_quoted(self) -> None:
        with pytest.raises(InputError) as refused:
            Connection.from_parameters({"kubeconfig_content": "token: {swordfish: : }"}, environment={})
        assert "swordfish" not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_a_context_that_is_not_there(self) -> None:
        params = {"observer_kubeconfig_content": yaml.safe_dump(kubeconfig()), "observer_context": "prod"}
        with pytest.raises(InputError) as refused:
            Connection.from_parameters(params, "observer_", environment={})
        assert refused.value.parameter == "observer_context"
        assert "no context 'prod'" in str(refused.value)
        assert "Contexts there are: kaas-1, observer" in str(refused.value)

    def test_a_current_context_that_is_not_there_is_the_kubeconfigs_fault(self) -> None:
        with pytest.raises(InputError, match="no context 'gone'") as refused:
            connect(kubeconfig() | {"current-context": "gone"})
        assert refused.value.parameter == "kubeconfig_content"

    @pytest.mark.parametrize(
        ("config", "text"),
        [
            (kubeconfig(clusters=[]), "refers to cluster 'c', which is not there"),
            (kubeconfig(users=[{"name": "v", "user": {}}]), "refers to user 'u', which is not there"),
            (kubeconfig({"server": "192.0.2.1:6443"}), "is not a URL"),
            (kubeconfig({"server": "https://"}), "is not a URL"),
            (kubeconfig({"server": None}), "is not a URL"),
            (kubeconfig({"server": "https://192.0.2.1:https"}), "is not a URL"),
            (kubeconfig(user={"token": "two lines\nof text"}), "the token of context 'observer' is not one"),
            (kubeconfig({"certificate-authority-data": "%%%ÿ"}), "certificate-authority-data is not base64"),
            (kubeconfig(user={"client-key-data": "/w=="}), "client-key-data is not base64"),
            (kubeconfig(user={"client-certificate": "/nowhere/a"}), "client-certificate /nowhere/a cannot be read"),
            (kubeconfig(user={"tokenFile": "/nowhere/t"}), "tokenFile /nowhere/t cannot be read"),
        ],
    )
    def test_parts_that_are_missing_or_broken(self, config: dict[str, Any], text: str) -> None:
        with pytest.raises(InputError, match=text) as refused:
            connect(config)
        assert refused.value.parameter == "kubeconfig_content"


class TestCredentials:
    def test_data(self) -> None:
        encoded = base64.b64encode(PEM.encode()).decode()
        user = {"client-certificate-data": encoded, "client-key-data": encoded}
        connection = connect(kubeconfig({"certificate-authority-data": encoded}, user))
        assert connection.authority == connection.certificate == connection.key == PEM
        assert connection.token == ""

    def test_files_are_relative_to_the_kubeconfig(self, tmp_path: Path) -> None:
        for name in ("ca", "crt", "key", "token"):
            (tmp_path / name).write_text(f"{name}\n")
        user = {"client-certificate": "crt", "client-key": str(tmp_path / "key"), "tokenFile": "token", "token": "x"}
        path = write(tmp_path / "config", kubeconfig({"certificate-authority": "ca"}, user))
        connection = Connection.from_parameters({"kubeconfig": path}, environment={})
        assert (connection.authority, connection.certificate, connection.key, connection.token) == (
            "ca\n",
            "crt\n",
            "key\n",
            "token",
        )

    def test_secrets_are_not_printed(self) -> None:
        connection = Connection("https://a", key="swordfish", token="hunter2")
        assert "swordfish" not in repr(connection)
        assert "hunter2" not in repr(connection)

    def test_a_context_without_a_user(self) -> None:
        config = kubeconfig(contexts=[{"name": "observer", "context": {"cluster": "c"}}])
        assert connect(config).token == ""

    def test_options_of_the_cluster(self) -> None:
        cluster = {
            "insecure-skip-tls-verify": True,
            "tls-server-name": "kubernetes",
            "proxy-url": "http://proxy:3128",
        }
        connection = connect(kubeconfig(cluster))
        assert (connection.verify, connection.server_name, connection.proxy) == (
            False,
            "kubernetes",
            "http://proxy:3128",
        )
        assert connect(kubeconfig()).verify

    def test_acting_as_somebody_else(self) -> None:
        user = {"as": "bob", "as-uid": "7", "as-groups": ["a", "b"]}
        assert connect(kubeconfig(user=user)).impersonate == (
            ("Impersonate-User", "bob"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Group", "a"),
            ("Impersonate-Group", "b"),
        )


class TestPlugin:
    def user(self, tmp_path: Path, status: dict[str, str]) -> dict[str, Any]:
        (tmp_path / "credential.json").write_text(
            json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
        )
        command = {"command": "/bin/cat", "args": [str(tmp_path / "credential.json")], "interactiveMode": "Never"}
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", **command}}

    def test_a_token(self, tmp_path: Path) -> None:
        assert connect(kubeconfig(user=self.user(tmp_path, {"token": "fresh"}))).token == "fresh"

    def test_a_certificate(self, tmp_path: Path) -> None:
        status = {"clientCertificateData": PEM, "clientKeyData": "key"}
        connection = connect(kubeconfig(user=self.user(tmp_path, status)))
        assert (connection.certificate, connection.key, connection.token) == (PEM, "key", "")

    def test_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="'observer' failed: it gives no credentials"):
            connect(kubeconfig(user=self.user(tmp_path, {})))

    @pytest.mark.parametrize("user", [{"exec": {"command": "/bin/true"}}, {"auth-provider": {"config": {}}}])
    def test_a_plugin_that_the_library_refuses(self, user: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="login plugin of context 'observer' failed"):
            connect(kubeconfig(user=user))

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "kubernetes.client", None)
        with pytest.raises(LibraryError, match="kubernetes is needed"):
            connect(kubeconfig(user={"exec": {"command": "/bin/true"}}))


def test_without_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HAS_YAML", False)
    with pytest.raises(LibraryError, match="PyYAML"):
        connect(kubeconfig())


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        ("https://192.0.2.1:6443", {}, ""),
        ("https://192.0.2.1:6443", {"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("https://192.0.2.1:6443", {"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("https://192.0.2.1:6443", {"HTTP_PROXY": "http://proxy:3128"}, ""),
        ("http://192.0.2.1:8080", {"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://proxy:3128"}, ""),
        ("https://127.8.0.1:6443", {"HTTPS_PROXY": "http://proxy:3128"}, ""),
        ("https://[::1]:6443", {"HTTPS_PROXY": "http://proxy:3128"}, ""),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://proxy:3128"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p", "NO_PROXY": "a.example, 10.0.0.0/8"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.1.2.3"}, ""),
        ("https://11.1.2.3", {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8,"}, "http://p"),
        ("https://k8s.example.org", {"HTTPS_PROXY": "http://p", "no_proxy": ".example.org"}, ""),
        ("https://k8s.example.org", {"HTTPS_PROXY": "http://p", "no_proxy": "example.org"}, ""),
        ("https://k8s.example.org", {"HTTPS_PROXY": "http://p", "no_proxy": "*.example.org"}, ""),
        ("https://badexample.org", {"HTTPS_PROXY": "http://p", "no_proxy": "example.org"}, "http://p"),
        ("https://example.org:6443", {"HTTPS_PROXY": "http://p", "no_proxy": "example.org:443"}, "http://p"),
        ("https://example.org:443", {"HTTPS_PROXY": "http://p", "no_proxy": "example.org:443"}, ""),
        ("https://example.org", {"HTTPS_PROXY": "http://p", "no_proxy": "*"}, ""),
    ],
)
def test_the_proxy_of_the_environment(server: str, environment: dict[str, str], proxy: str) -> None:
    assert proxy_of_environment(server, environment) == proxy


def test_the_environments_proxy_counts_when_the_kubeconfig_has_none() -> None:
    params = {"kubeconfig_content": yaml.safe_dump(kubeconfig())}
    environment = {"HTTPS_PROXY": "http://proxy:3128"}
    assert Connection.from_parameters(params, environment=environment).proxy == "http://proxy:3128"
