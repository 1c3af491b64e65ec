# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of objects against a real API server, read with the official client."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import kubernetes
import pytest
from cryptography import x509

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._observer import apply_set
from tests.integration.api_server import ApiServer
from tests.integration.check_mode import Ensure, Look, Result, run_as_announced
from tests.integration.check_mode import look as look_in

NAME = "exporter"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME}


@pytest.fixture
def ensure(api_server: ApiServer, new_namespace: str) -> Ensure:
    kubeconfig = str(api_server.kubeconfig())

    def call(*, check_mode: bool = False, name: str = NAME, namespace: str = new_namespace, **params: Any) -> Result:
        common = {"kubeconfig": kubeconfig, "namespace": namespace, "wait": False, "name": name}
        return apply_set.ensure({**common, **params}, check_mode)

    return call


@pytest.fixture
def look(admin: KubernetesClient, new_namespace: str) -> Look:
    return partial(look_in, admin, new_namespace)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def cluster_role(name: str) -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
    metadata = {"name": name}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": rules,
    }


def deployment() -> dict[str, Any]:
    volume = {"name": "configuration", "configMap": {"name": "settings"}}
    pod = {"containers": [{"name": NAME, "image": "exporter:1"}], "volumes": [volume]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pod},
        },
    }


SET: dict[str, Any] = {
    "objects": [config_map("settings", a="1"), config_map("more", b="2"), deployment()],
    "secrets": {"given": {"password": "swordfish"}},
    "generated_secrets": {"made": ["one", "two"]},
    "certificates": {"tls": {"services": [NAME], "hostnames": ["exporter.example.org", "192.0.2.7"], "client": True}},
}
ALL = [
    "apps/v1 Deployment {0}/exporter",
    "v1 ConfigMap {0}/more",
    "v1 ConfigMap {0}/settings",
    "v1 Secret {0}/given",
    "v1 Secret {0}/made",
    "v1 Secret {0}/tls",
]


def values(core: kubernetes.client.CoreV1Api, namespace: str, secret: str) -> dict[str, str]:
    data = core.read_namespaced_secret(secret, namespace).data
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_from_nothing_to_nothing(
    ensure: Ensure, look: Look, other: kubernetes.client.ApiClient, new_namespace: str
) -> None:
    core = kubernetes.client.CoreV1Api(other)
    result = run_as_announced(ensure, look, **SET)
    created = [f"create {title.format(new_namespace)}" for title in ALL]
    assert set(created) <= set(result["changes"])
    assert run_as_announced(ensure, look, **SET)["changes"] == []

    made = values(core, new_namespace, "made")
    assert {len(value) for value in made.values()} == {32}
    assert len(set(made.values())) == 2
    shown = str(result)
    assert not [secret for secret in ("swordfish", *made.values(), "PRIVATE KEY") if secret in shown]

    certificate = x509.load_pem_x509_certificate(values(core, new_namespace, "tls")["tls.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {f"{NAME}.{new_namespace}.svc", "exporter.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]

    removed = run_as_announced(ensure, look, state="absent")["changes"]
    assert f"delete v1 Secret {new_namespace}/made" not in removed
    assert values(core, new_namespace, "made") == made
    assert ensure(state="absent")["changes"] == []
    run_as_announced(ensure, look, state="absent", purge=True)
    assert core.read_namespace(new_namespace).metadata.deletion_timestamp


def test_what_left_the_set_goes_and_what_drifted_comes_back(
    ensure: Ensure, look: Look, other: kubernetes.client.ApiClient, new_namespace: str
) -> None:
    role = cluster_role(f"exporter-{new_namespace}")
    ensure(**{**SET, "objects": [*SET["objects"], role]})
    core = kubernetes.client.CoreV1Api(other)
    labels = core.read_namespaced_config_map("more", new_namespace).metadata.labels
    core.create_namespaced_config_map(new_namespace, {"metadata": {"name": "left-over", "labels": labels}})
    core.create_namespaced_config_map(new_namespace, config_map("foreign"))
    core.delete_namespaced_config_map("settings", new_namespace)
    for secret in ("made", "tls"):
        core.delete_namespaced_secret(secret, new_namespace)
    label = [{"op": "remove", "path": "/metadata/labels/app.kubernetes.io~1part-of"}]
    kubernetes.client.AppsV1Api(other).patch_namespaced_deployment(NAME, new_namespace, label)
    kubernetes.client.RbacAuthorizationV1Api(other).patch_cluster_role(role["metadata"]["name"], label)
    smaller = {**SET, "objects": [config_map("settings", a="1"), deployment(), role]}
    assert run_as_announced(ensure, look, **smaller)["changes"] == [
        f"create v1 ConfigMap {new_namespace}/settings",
        f"create v1 Secret {new_namespace}/made",
        f"create v1 Secret {new_namespace}/tls",
        f"delete v1 ConfigMap {new_namespace}/left-over",
        f"delete v1 ConfigMap {new_namespace}/more",
        f"update apps/v1 Deployment {new_namespace}/exporter",
        f"update rbac.authorization.k8s.io/v1 ClusterRole exporter-{new_namespace}",
    ]
    assert ensure(**smaller)["changes"] == []


def test_pods_are_replaced_when_their_configuration_changes(ensure: Ensure, new_namespace: str) -> None:
    ensure(**SET)
    changed = {**SET, "objects": [config_map("settings", a="2"), config_map("more", b="2"), deployment()]}
    title = f"update apps/v1 Deployment {new_namespace}/exporter"
    assert title in ensure(**changed)["changes"]
    changed = {**SET, "objects": [config_map("settings", a="2"), config_map("more", b="3"), deployment()]}
    assert title not in ensure(**changed)["changes"]


def test_a_token_is_added_and_those_that_are_there_stay(
    ensure: Ensure, other: kubernetes.client.ApiClient, new_namespace: str
) -> None:
    core = kubernetes.client.CoreV1Api(other)
    ensure(generated_secrets={"made": ["one"]})
    before = values(core, new_namespace, "made")
    ensure(generated_secrets={"made": ["one", "two"]})
    after = values(core, new_namespace, "made")
    assert (after["one"], sorted(after)) == (before["one"], ["one", "two"])


def test_a_secret_of_the_operators_own_is_left_alone(
    ensure: Ensure, other: kubernetes.client.ApiClient, namespace: str
) -> None:
    core = kubernetes.client.CoreV1Api(other)
    own = {"metadata": {"name": "made"}, "stringData": {"one": "own", "empty": ""}}
    core.create_namespaced_secret(namespace, own)
    changes = ensure(namespace=namespace, generated_secrets={"made": ["one"]})["changes"]
    assert [change for change in changes if "Secret" in change] == []
    with pytest.raises(InputError, match="which somebody else made, lacks empty, two") as refusal:
        ensure(namespace=namespace, generated_secrets={"made": ["one", "two", "empty"]})
    assert refusal.value.parameter == "generated_secrets"
    ensure(namespace=namespace, state="absent", purge=True)
    assert values(core, namespace, "made") == {"one": "own", "empty": ""}


def test_two_observers_in_a_cluster_do_not_take_each_others(
    ensure: Ensure, other: kubernetes.client.ApiClient, new_namespace: str
) -> None:
    rbac = kubernetes.client.RbacAuthorizationV1Api(other)
    second = f"{new_namespace}-second"
    for namespace in (new_namespace, second):
        ensure(namespace=namespace, objects=[cluster_role(f"exporter-{namespace}")])
    ensure(state="absent")
    left = {item.metadata.name for item in rbac.list_cluster_role().items}
    assert {f"exporter-{new_namespace}", f"exporter-{second}"} & left == {f"exporter-{second}"}
    ensure(namespace=second, state="absent", purge=True)
    assert f"exporter-{second}" not in {item.metadata.name for item in rbac.list_cluster_role().items}


def test_a_set_does_not_take_what_another_has(
    ensure: Ensure, other: kubernetes.client.ApiClient, new_namespace: str
) -> None:
    ensure(objects=[config_map("settings", a="1")])
    with pytest.raises(InputError, match=f"v1 ConfigMap {new_namespace}/settings belongs to exporter"):
        ensure(name="second", objects=[config_map("settings", a="2"), config_map("more", b="2")])
    found = kubernetes.client.CoreV1Api(other).list_namespaced_config_map(new_namespace).items
    assert [(item.metadata.name, item.data) for item in found] == [("settings", {"a": "1"})]


REFUSED: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "objects",
        {
            "objects": [
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "open"}, "stringData": {"a": "swordfish"}},
                {"kind": "ConfigMap"},
                {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "backup"}},
            ]
        },
        ["Secret open would be shown", "number 2 lacks apiVersion", "CronJob backup: batch/v1 CronJob cannot be"],
    ),
    (
        "secrets",
        {"secrets": {"Not A Name": {"a": "b"}, "numbers": {"a": 1}, "keys": {"a b": "c"}, "none": {}}},
        ["'Not A Name' is not", "a of numbers is not a text", "keys has a key", "none has no keys"],
    ),
    ("secrets", {"secrets": {"both": {"a": "b"}}, "generated_secrets": {"both": ["a"]}}, ["both is among"]),
    ("generated_secrets", {"generated_secrets": {"empty": []}}, ["empty has no keys"]),
    ("name", {"name": "Not a name"}, ["Not a name"]),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0])
def test_everything_wrong_is_said_at_once_and_nothing_touched(
    ensure: Ensure,
    other: kubernetes.client.ApiClient,
    new_namespace: str,
    case: tuple[str, dict[str, Any], list[str]],
) -> None:
    parameter, params, texts = case
    with pytest.raises(InputError) as refusal:
        ensure(**params)
    assert refusal.value.parameter == parameter
    assert [text for text in texts if text not in str(refusal.value)] == []
    assert "swordfish" not in str(refusal.value)
    namespaces = kubernetes.client.CoreV1Api(other).list_namespace().items
    assert new_namespace not in [item.metadata.name for item in namespaces]
