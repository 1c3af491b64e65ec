# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Prometheus Operator's released bundle against a real API server, which nobody else's definitions are in."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import IncompatibleError, InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import prometheus_operator as manifests
from ansible_collections.scs.observability.plugins.module_utils._manifests import prometheus_operator_bundle as release
from ansible_collections.scs.observability.plugins.module_utils._observer import operator_bundle, prometheus_operator
from tests.integration.api_server import ApiServer, Authority, running_api_server
from tests.integration.check_mode import Ensure, Look, Result, run_as_announced
from tests.integration.check_mode import look as look_in
from tests.integration.processes import prometheus_operator_bundle

Bundle = Callable[..., dict[str, str]]

OURS = ["apps/v1 Deployment", "v1 Service", "v1 ServiceAccount", "monitoring.coreos.com/v1 ServiceMonitor"]
OURS += [f"rbac.authorization.k8s.io/v1 {kind}" for kind in ("Role", "RoleBinding")]
DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
PROMETHEUSES = f"prometheuses.{manifests.GROUP}"
KINDS = ["Alertmanager", "AlertmanagerConfig", "PodMonitor", "Probe", "Prometheus", "PrometheusAgent", "PrometheusRule"]
KINDS += ["ScrapeConfig", "ServiceMonitor", "ThanosRuler"]


@pytest.fixture(scope="class")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One for each test without a class: an API server may take minutes to remove definitions that were just there."""
    with running_api_server(tmp_path_factory.mktemp("operator")) as running:
        yield running


@pytest.fixture
def client(server: ApiServer) -> KubernetesClient:
    return server.client()


@pytest.fixture
def ensure(server: ApiServer, client: KubernetesClient, new_namespace: str, bundle: Bundle) -> Ensure:
    """The module, with a bundle of short definitions unless told otherwise: the real ones take seconds."""
    kubeconfig, short = str(server.kubeconfig()), bundle()

    def call(*, check_mode: bool = False, **params: Any) -> Result:
        common = {"kubeconfig": kubeconfig, "namespace": new_namespace, "wait": False, **short}
        return prometheus_operator.ensure({**common, **params}, check_mode)

    return call


@pytest.fixture
def look(client: KubernetesClient, new_namespace: str) -> Look:
    return partial(look_in, client, new_namespace)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    def write(version: str = "0.85.0", *more: dict[str, Any]) -> dict[str, str]:
        path = tmp_path / f"bundle-{version}.yaml"
        path.write_text(yaml.safe_dump_all([*short_definitions(version), *more]))
        return {"bundle": str(path), "bundle_checksum": manifests.checksum_of(path.read_bytes())}

    return write


def released() -> dict[str, str]:
    """The real bundle, which has the checksum that is the default."""
    return {"bundle": str(prometheus_operator_bundle()), "bundle_checksum": ""}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Checksums that a bundle was read for."""
    seen: list[str] = []
    verified = operator_bundle.verified

    def noted(place: str, wanted: str) -> bytes:
        seen.append(wanted)
        return verified(place, wanted)

    monkeypatch.setattr(operator_bundle, "verified", noted)
    return seen


def definition(client: KubernetesClient, name: str) -> dict[str, Any] | None:
    return client.get(*DEFINITION, name)


def everything(client: KubernetesClient) -> set[str]:
    """What there is in the cluster, but for what an API server keeps for itself."""
    found = [
        f"{kind} {item['metadata'].get('namespace')}/{item['metadata']['name']}"
        for api_version, kind, plural in client.namespaced_kinds()
        if kind not in ("Event", "Lease")
        for item in client.list_metadata(api_version, kind, plural, "")
    ]
    for kind in ("Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"):
        group = {"Namespace": "v1", "CustomResourceDefinition": "apiextensions.k8s.io/v1"}
        items = client.list(group.get(kind, "rbac.authorization.k8s.io/v1"), kind)
        # Without controllers a namespace that was deleted stays.
        found += [f"{kind} {item['metadata']['name']}" for item in items if "deletionTimestamp" not in item["metadata"]]
    return set(found)


def of_others(
    client: KubernetesClient, *arguments: str, namespace: str = "default", name: str = "operator", tag: str = "v0.85.0"
) -> None:
    """An operator that somebody else has installed."""
    labels = {"app": name}
    container = {"name": "x", "image": f"mirror.example.org/prometheus-operator:{tag}", "args": list(arguments)}
    client.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )


def short_definitions(version: str, **served: str) -> Iterator[dict[str, Any]]:
    """Definitions as a release has them, but for their schemas; ``served`` are versions other than those needed."""
    for kind in KINDS:
        plural = f"{kind.lower()}es" if kind == "Prometheus" else f"{kind.lower()}s"
        name = f"{plural}.{manifests.GROUP}"
        api_version = served.get(plural, manifests.NEEDED.get(name, "v1"))
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name, "annotations": {manifests.VERSION_ANNOTATION: version}},
            "spec": {
                "group": manifests.GROUP,
                "scope": "Namespaced",
                "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
                "versions": [{"name": api_version, "served": True, "storage": True, "schema": schema}],
            },
        }


def definitions_of_others(client: KubernetesClient, version: str = "0.85.0", **served: str) -> None:
    for item in short_definitions(version, **served):
        client.create(item)


def test_from_nothing_to_nothing(
    ensure: Ensure, look: Look, server: ApiServer, new_namespace: str, reads: list[str]
) -> None:
    """The released bundle, once: it takes an API server seconds each time, so all that needs it is here."""
    client = server.client()
    before = everything(client)
    result = run_as_announced(ensure, look, **released())
    created = [f"create {kind} {new_namespace}/prometheus-operator" for kind in OURS]
    created += [f"create apiextensions.k8s.io/v1 CustomResourceDefinition {name}" for name in manifests.DEFINITIONS]
    assert sorted(result["changes"]) == sorted([*created, f"create v1 Namespace {new_namespace}"])
    assert result["operator"] == {
        "namespace": new_namespace,
        "name": "prometheus-operator",
        "version": "0.85.0",
        "ours": True,
    }
    # As long as a screen, not as two million characters of schemas
    assert len(result["diff"]["after"]) < 50_000

    fields = result["scrape_config_fields"]
    assert {"staticConfigs", "kubernetesSDConfigs", "scrapeInterval"} <= set(fields)

    del reads[:]
    again = run_as_announced(ensure, look, **released())
    assert (again["changes"], again["scrape_config_fields"]) == ([], fields)
    assert reads == []

    # What somebody changed comes back.
    current = definition(client, PROMETHEUSES)
    assert current
    with kubernetes.config.new_client_from_config(str(server.kubeconfig())) as other:
        api = kubernetes.client.ApiextensionsV1Api(other)
        changes = [
            {"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/replicas"},
            {"op": "remove", "path": "/spec/names/shortNames"},
        ]
        api.patch_custom_resource_definition(PROMETHEUSES, changes)
        core = kubernetes.client.CoreV1Api(other)
        account = core.delete_namespaced_service_account("prometheus-operator", new_namespace)
        left = {"name": "left-over", "labels": account.metadata.labels}
        core.create_namespaced_service_account(new_namespace, {"metadata": left})
    repaired = run_as_announced(ensure, look, **released())
    assert repaired["changes"] == [
        f"create v1 ServiceAccount {new_namespace}/prometheus-operator",
        f"delete v1 ServiceAccount {new_namespace}/left-over",
        f"update apiextensions.k8s.io/v1 CustomResourceDefinition {PROMETHEUSES}",
    ]
    assert "shortNames" in repaired["diff"]["after"]
    after = definition(client, PROMETHEUSES)
    assert after
    assert after["spec"] == current["spec"]
    assert ensure(**released())["changes"] == []

    removed = run_as_announced(ensure, look, state="absent", purge=True)
    assert removed["warnings"] == []
    assert everything(client) == before
    assert ensure(state="absent", purge=True)["changes"] == []


class TestDefinitionsThatStay:
    """These have one API server, the first of them with nothing in it."""

    def test_a_bundle_that_will_not_do_touches_nothing(
        self, ensure: Ensure, client: KubernetesClient, tmp_path: Path
    ) -> None:
        before = everything(client)
        # Not even YAML: it must not be looked into
        (tmp_path / "bundle.yaml").write_text("{")
        found = f"sha256:{hashlib.sha256(b'{').hexdigest()}"
        with pytest.raises(InputError) as refused:
            ensure(bundle=str(tmp_path / "bundle.yaml"), bundle_checksum="")
        assert refused.value.parameter == "bundle_checksum"
        assert f"wanted is {release.CHECKSUM}" in str(refused.value)
        assert found in str(refused.value)
        with pytest.raises(InputError, match=r"bundle: has definitions of 0\.85\.0, and the image is of 0\.86\.0"):
            ensure(image="example.org/prometheus-operator:v0.86.0")
        assert everything(client) == before

    def test_without_purge_the_definitions_stay(
        self, ensure: Ensure, client: KubernetesClient, new_namespace: str
    ) -> None:
        # Another observer would keep them, too.
        assert definition(client, PROMETHEUSES) is None
        ensure()
        removed = ensure(state="absent")["changes"]
        assert sorted(removed) == sorted(f"delete {kind} {new_namespace}/prometheus-operator" for kind in OURS)
        assert definition(client, PROMETHEUSES)

    def test_an_image_newer_than_the_definitions_is_refused(self, ensure: Ensure) -> None:
        newer = {"image": "example.org/prometheus-operator:v0.86.0"}
        ensure()
        with pytest.raises(InputError, match=r"bundle: has definitions of 0\.85\.0, and the image is of 0\.86\.0"):
            ensure(**newer)

    def test_ours_goes_when_another_operator_looks_at_the_namespace(
        self, ensure: Ensure, client: KubernetesClient, new_namespace: str
    ) -> None:
        ensure()
        of_others(client)
        result = ensure()
        assert sorted(result["changes"]) == sorted(
            f"delete {kind} {new_namespace}/prometheus-operator" for kind in OURS
        )
        assert result["operator"]["ours"] is False
        assert ensure()["changes"] == []
        client.delete("apps/v1", "Deployment", "operator", "default")

    def test_the_operator_may_do_in_its_namespace_what_it_asks_for_and_nothing_elsewhere(
        self, ensure: Ensure, server: ApiServer, new_namespace: str
    ) -> None:
        """What cmd/operator of the release asks for before it starts a controller."""
        ensure()

        def allowed(verb: str, resource: str, namespace: str, group: str = manifests.GROUP, name: str = "") -> bool:
            attributes = {"verb": verb, "group": group, "namespace": namespace, "name": name}
            attributes["resource"], _slash, attributes["subresource"] = resource.partition("/")
            account = f"system:serviceaccount:{new_namespace}:prometheus-operator"
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": account, "groups": ["system:serviceaccounts"], "resourceAttributes": attributes},
            }
            api = kubernetes.client.AuthorizationV1Api(official)
            return bool(api.create_subject_access_review(review).status.allowed)

        with kubernetes.config.new_client_from_config(str(server.kubeconfig())) as official:
            for resource in (
                "prometheuses",
                "alertmanagers",
                "scrapeconfigs",
                "servicemonitors",
                "alertmanagerconfigs",
            ):
                assert all(allowed(verb, resource, new_namespace) for verb in ("get", "list", "watch"))
                assert not allowed("list", resource, "default")
            for resource in ("prometheuses/status", "alertmanagers/status"):
                assert all(allowed(verb, resource, new_namespace) for verb in ("update", "patch"))
            assert allowed("get", "namespaces", new_namespace, "", new_namespace)
            assert allowed("create", "secrets", new_namespace, "")
            assert not allowed("get", "secrets", "default", "")
            assert not allowed("list", "nodes", "", "")


def test_an_operator_that_is_there_is_used(
    ensure: Ensure, client: KubernetesClient, new_namespace: str, reads: list[str]
) -> None:
    definitions_of_others(client, version="0.82.0")
    for number, tag in enumerate(("v0.85.0", "v0.90.1", "0.82.0-debian-12-r3")):
        # Without controllers a namespace that was deleted stays.
        namespace = f"{new_namespace}-{number}"
        of_others(client, tag=tag)
        before = everything(client)
        result = ensure(namespace=namespace)
        assert result["changes"] == [f"create v1 Namespace {namespace}"], tag
        assert (result["operator"]["name"], result["operator"]["ours"]) == ("operator", False)
        assert reads == []
        assert ensure(namespace=namespace)["changes"] == []
        removed = ensure(namespace=namespace, state="absent", purge=True)
        assert everything(client) == before
        assert "Deployment default/operator works with them" in removed["warnings"][0]
        client.delete("apps/v1", "Deployment", "operator", "default")


def test_all_reasons_against_an_operator_are_said_at_once(ensure: Ensure, client: KubernetesClient) -> None:
    of_others(client, tag="v0.68.0")
    of_others(client, name="second", tag="latest")
    definitions_of_others(client, version="0.68.0", scrapeconfigs="v1alpha2")
    before = everything(client)
    with pytest.raises(IncompatibleError) as refused:
        ensure()
    text = str(refused.value)
    assert "default/operator: is 0.68.0, and 0.82.0 is the oldest that works" in text
    assert "default/second: neither its image's tag" in text
    assert "would undo each other's work" in text
    assert f"scrapeconfigs.{manifests.GROUP} is served as v1alpha2, not as v1alpha1" in text
    assert f"{PROMETHEUSES} is of 0.68.0, and 0.82.0 is needed" in text
    assert everything(client) == before


def test_an_operator_that_looks_elsewhere_is_left_alone(
    ensure: Ensure, client: KubernetesClient, new_namespace: str
) -> None:
    of_others(client, "--namespaces=elsewhere", tag="v0.50.0")
    result = ensure()
    assert f"create apps/v1 Deployment {new_namespace}/prometheus-operator" in result["changes"]
    assert ensure()["changes"] == []
    removed = ensure(state="absent", purge=True)
    assert not [change for change in removed["changes"] if "CustomResourceDefinition" in change]
    (warning,) = removed["warnings"]
    assert "Deployment default/operator works with them" in warning


def test_definitions_of_others_are_used_or_refused_and_taken_over_by_force(
    ensure: Ensure, client: KubernetesClient, new_namespace: str
) -> None:
    definitions_of_others(client, version="0.84.0")
    before = everything(client)
    with pytest.raises(IncompatibleError, match=r"is of 0\.84\.0, and 0\.85\.0 is needed.*force: true"):
        ensure()
    assert everything(client) == before

    older = {"image": "example.org/prometheus-operator:v0.83.0"}
    result = ensure(**older)
    assert not [change for change in result["changes"] if "CustomResourceDefinition" in change]
    assert ensure(**older)["changes"] == []

    taken = ensure(force=True)
    assert len([change for change in taken["changes"] if "CustomResourceDefinition" in change]) == 10
    assert ensure()["changes"] == []


def test_newer_definitions_of_another_observer_stay(ensure: Ensure, client: KubernetesClient, bundle: Bundle) -> None:
    ensure(**bundle("0.85.1"))
    assert ensure()["changes"] == []
    live = definition(client, PROMETHEUSES)
    assert live
    assert manifests.definition_version(live) == (0, 85, 1)


def test_definitions_that_are_used_stay(ensure: Ensure, client: KubernetesClient, new_namespace: str) -> None:
    ensure()
    rule: dict[str, Any] = {
        "apiVersion": f"{manifests.GROUP}/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "somebodys", "namespace": "default"},
        "spec": {"groups": []},
    }
    client.create(rule)
    labels = {"app.kubernetes.io/managed-by": "scs.observability"}
    ours = {"name": "ours", "namespace": new_namespace, "labels": labels}
    client.create({**rule, "kind": "ServiceMonitor", "metadata": ours})
    announced = ensure(state="absent", purge=True, check_mode=True)
    removed = ensure(state="absent", purge=True)
    assert removed["changes"] == announced["changes"]
    (warning,) = removed["warnings"]
    assert f"stay prometheusrules.{manifests.GROUP}: there are PrometheusRule default/somebodys" in warning
    assert definition(client, f"prometheusrules.{manifests.GROUP}")
    assert not definition(client, f"servicemonitors.{manifests.GROUP}")
    client.delete(f"{manifests.GROUP}/v1", "PrometheusRule", "somebodys", "default")
    last = f"delete apiextensions.k8s.io/v1 CustomResourceDefinition prometheusrules.{manifests.GROUP}"
    assert last in ensure(state="absent", purge=True)["changes"]


class Mirror:
    """A web server with TLS that answers as told."""

    def __init__(self, authority: Authority) -> None:
        certificate, key = authority.pair("mirror", "mirror", server=True)
        self.content: bytes | None = None
        self.location = ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if outer.location and self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", outer.location)
                    self.end_headers()
                    return
                self.send_response(200 if outer.content is not None else 404)
                self.end_headers()
                self.wfile.write(outer.content or b"")

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/bundle.yaml"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def mirror(authority: Authority) -> Iterator[Mirror]:
    running = Mirror(authority)
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_a_bundle_comes_by_https(authority: Authority, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.content = b"content"
    wanted = manifests.checksum_of(mirror.content)
    with pytest.raises(InputError, match=r"cannot be had: .*certificate"):
        operator_bundle.verified(mirror.url, wanted)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    assert operator_bundle.verified(mirror.url, wanted) == mirror.content
    mirror.location = mirror.url
    moved = mirror.url.replace("/bundle.yaml", "/moved")
    assert operator_bundle.verified(moved, wanted) == mirror.content
    monkeypatch.setattr(operator_bundle, "LARGEST", 3)
    with pytest.raises(InputError, match="more than 3 bytes"):
        operator_bundle.verified(mirror.url, wanted)
    monkeypatch.setattr(operator_bundle, "LONGEST", -1.0)
    monkeypatch.setattr(operator_bundle, "LARGEST", 1000)
    with pytest.raises(InputError, match="not there after"):
        operator_bundle.verified(mirror.url, wanted)
    mirror.content = None
    with pytest.raises(InputError, match="cannot be had: HTTP Error 404"):
        operator_bundle.verified(mirror.url, wanted)
