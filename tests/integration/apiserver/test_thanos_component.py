# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""thanos_component on a real API server: what check mode says is what happens, and nothing else does."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, ApiextensionsV1Api, AppsV1Api, CoreV1Api

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    ConflictError,
    InputError,
    NotReadyError,
    StorageError,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    ObjectKey,
    identity,
    labels_of,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import objstore
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway, thanos
from ansible_collections.scs.observability.plugins.module_utils._observer.lifecycle import SERVICE_MONITOR
from tests.integration.api_server import ApiServer
from tests.integration.apiserver import thanos_bucket_mirror
from tests.integration.check_mode import Cluster, Ensure, Look, Result, documents, run_as_announced
from tests.integration.check_mode import look as look_in
from tests.integration.s3_server import S3Server
from tests.pki import authority, make

OBJSTORE = {
    "objstore": {"type": "S3", "config": {"bucket": "metrics", "endpoint": "s3.example.org"}},
    "objstore_access_key": "access",
    "objstore_secret_key": "swordfish",
}
RULES = {"own.yml": {"groups": [{"name": "own", "rules": [{"record": "a:b", "expr": "up"}]}]}}
CLIENT = make("sidecar")
SIDECAR = {"server_name": "sidecar", "certificate": CLIENT.pem, "key": CLIENT.key_pem}
REDIS = {"cache": {"type": "REDIS", "config": {"addr": "redis:6379"}}, "cache_password": "swordfish"}
GIVEN: dict[str, Result] = {
    "bucket_web": OBJSTORE,
    "compact": {**OBJSTORE, "retention_raw": "30d"},
    "query": {
        "replicas": 2,
        "endpoints": ["store:10901"],
        "external_endpoints": [{"address": "sidecar.example.org:10901", **SIDECAR}],
        "node_selector": {"disk": "fast"},
        "tolerations": [{"key": "observer", "operator": "Exists"}],
    },
    "query_frontend": {"endpoints": ["http://thanos-query:10902"], "cache": {"type": "IN-MEMORY"}},
    "receive": OBJSTORE,
    "rule": {**OBJSTORE, "replicas": 2, "endpoints": ["http://thanos-query:10902"], "rules": RULES},
    "store": {**OBJSTORE, **REDIS, "replicas": 3, "storage_size": "1Gi"},
}


@pytest.fixture
def store(s3: S3Server, new_namespace: str) -> Result:
    """A bucket of its own: a compactor claims it."""
    s3.witness.create_bucket(Bucket=new_namespace)
    return {
        "objstore": objstore(new_namespace, s3.url, ca=True),
        "objstore_access_key": s3.owner.access_key,
        "objstore_secret_key": s3.owner.secret_key,
        "objstore_ca": s3.ca.read_text(),
    }


@pytest.fixture
def ensure(api_server: Any, new_namespace: str, store: Result) -> Ensure:
    kubeconfig = str(api_server.kubeconfig())

    def call(component: str, *, check_mode: bool = False, **params: Any) -> Result:
        given = {"kubeconfig": kubeconfig, "namespace": new_namespace, "wait": False, **GIVEN.get(component, {})}
        real = store if "objstore" in given else {}
        result = thanos.ensure({"component": component, **given, **real, **params}, check_mode)
        told = str(result)
        secrets = (store["objstore_secret_key"], REDIS["cache_password"], CLIENT.key_pem.splitlines()[1])
        assert [secret for secret in secrets if secret in told] == []
        return result

    return call


@pytest.fixture
def look(admin: KubernetesClient, new_namespace: str) -> Look:
    """Return a way to look at the namespace alone, as nothing that Thanos has is outside of it."""

    def call() -> Cluster:
        found = look_in(admin, new_namespace)
        return {key: item for key, item in found.items() if new_namespace in (key.namespace, key.name)}

    return call


@pytest.mark.parametrize("component", sorted(GIVEN))
def test_check_mode_says_what_happens(
    ensure: Ensure, look: Look, new_namespace: str, other: ApiClient, component: str
) -> None:
    assert run_as_announced(ensure, look, component)["changed"]
    assert not run_as_announced(ensure, look, component)["changed"]

    # What somebody took away or left behind
    name = f"thanos-{component.replace('_', '-')}"
    CoreV1Api(other).delete_namespaced_service(name, new_namespace)
    labels = next(item["metadata"]["labels"] for key, item in look().items() if key.kind == "ServiceAccount")
    CoreV1Api(other).create_namespaced_config_map(new_namespace, {"metadata": {"name": "left-over", "labels": labels}})
    kind = next(key.kind for key in look() if key.kind in ("Deployment", "StatefulSet"))
    patch = getattr(AppsV1Api(other), f"patch_namespaced_{'deployment' if kind == 'Deployment' else 'stateful_set'}")
    patch(name, new_namespace, [{"op": "remove", "path": "/spec/template/spec/containers/0/resources"}])
    result = run_as_announced(ensure, look, component)
    assert result["changes"] == [
        f"create v1 Service {new_namespace}/{name}",
        f"delete v1 ConfigMap {new_namespace}/left-over",
        f"update apps/v1 {kind} {new_namespace}/{name}",
    ]
    assert not run_as_announced(ensure, look, component)["changed"]

    run_as_announced(ensure, look, component, state="absent")
    left = [item for item in look().values() if labels_of(item).get("app.kubernetes.io/name") != "authority"]
    assert [item["kind"] for item in left] == ["Namespace"]
    assert not run_as_announced(ensure, look, component, state="absent")["changed"]


def test_back_at_one_replica_there_is_no_disruption_budget(ensure: Ensure, look: Look, new_namespace: str) -> None:
    assert f"create policy/v1 PodDisruptionBudget {new_namespace}/thanos-query" in ensure("query")["changes"]
    result = run_as_announced(ensure, look, "query", replicas=1)
    assert result["changes"] == [
        f"delete policy/v1 PodDisruptionBudget {new_namespace}/thanos-query",
        f"update apps/v1 Deployment {new_namespace}/thanos-query",
    ]


def test_a_field_of_somebody_else_is_reported_and_taken_with_force(
    ensure: Ensure, look: Look, new_namespace: str, other: ApiClient
) -> None:
    ensure("store")
    AppsV1Api(other).patch_namespaced_stateful_set(
        "thanos-store", new_namespace, {"spec": {"replicas": 1}}, field_manager="somebody"
    )
    before = look()
    for check_mode in (True, False):
        with pytest.raises(ConflictError) as caught:
            ensure("store", check_mode=check_mode)
        (conflict,) = caught.value.conflicts
        assert (conflict.manager, conflict.field) == ("somebody", ".spec.replicas")
        assert "force" in str(caught.value)
    assert look() == before
    result = run_as_announced(ensure, look, "store", force=True)
    assert result["changes"] == [f"update apps/v1 StatefulSet {new_namespace}/thanos-store"]
    assert not run_as_announced(ensure, look, "store")["changed"]


def test_another_endpoint_leaves_the_pods_alone(
    ensure: Ensure, look: Look, admin: KubernetesClient, new_namespace: str
) -> None:
    def template() -> Any:
        live = admin.get("apps/v1", "Deployment", "thanos-query", new_namespace)
        return live["spec"]["template"] if live else None

    ensure("query")
    before = template()
    pem = authority("peers").pem
    result = run_as_announced(
        ensure, look, "query", endpoints=["rule:10901"], external_endpoints=[{"address": "peer:10901", "ca": pem}]
    )
    assert f"update v1 ConfigMap {new_namespace}/thanos-query-configuration" in result["changes"]
    assert f"update v1 Secret {new_namespace}/thanos-query-secrets" in result["changes"]
    assert template() == before


def test_a_circle_is_seen_in_the_cluster_and_refused_before_anything_is_touched(
    ensure: Ensure, look: Look, new_namespace: str
) -> None:
    ensure("query", name="inner", endpoints=["store:10901"], external_endpoints=[])
    ensure("query", name="outer", endpoints=[f"inner.{new_namespace}.svc:10901"], external_endpoints=[])
    before = look()
    with pytest.raises(InputError, match=r"inner -> outer -> inner") as caught:
        ensure("query", name="inner", endpoints=["outer:10901"], external_endpoints=[])
    assert caught.value.parameter == "endpoints"
    with pytest.raises(InputError, match=r"this very component"):
        ensure("query", name="outer", endpoints=["outer:10901"])
    assert look() == before


# One compactor per bucket


@pytest.fixture
def running(admin: KubernetesClient, new_namespace: str) -> Callable[[str], ObjectKey]:
    """Return a way to have a pod of a compactor, as there is nobody here who makes them."""

    def call(name: str) -> ObjectKey:
        labels = {"app.kubernetes.io/instance": name, MANAGED_BY_LABEL: MANAGED_BY}
        pod = {
            **{"apiVersion": "v1", "kind": "Pod"},
            "metadata": {"name": f"{name}-0", "namespace": new_namespace, "labels": labels},
            "spec": {"containers": [{"name": "thanos", "image": "thanos"}], "terminationGracePeriodSeconds": 0},
        }
        return identity(admin.create(pod))

    return call


def test_a_second_compactor_of_a_bucket_is_refused_with_the_name_of_the_first(
    ensure: Ensure, look: Look, new_namespace: str
) -> None:
    assert f"create S3 CompactorClaim {new_namespace}" in ensure("compact", name="first")["changes"]
    before = look()
    for check_mode in (True, False):
        with pytest.raises(StorageError, match=f"{new_namespace}/first") as caught:
            # Taking over fields is one thing, taking over a bucket another.
            ensure("compact", name="second", check_mode=check_mode, force=True)
        assert caught.value.parameter == "take_over_bucket"
    assert look() == before
    for check_mode in (True, False):
        # Without objstore: the Secret has it, and the keys.
        gone = ensure("compact", name="first", state="absent", objstore=None, check_mode=check_mode)
        assert f"delete S3 CompactorClaim {new_namespace}" in gone["changes"]
        assert gone["warnings"] == []
    second = ensure("compact", name="second")
    assert (f"create S3 CompactorClaim {new_namespace}" in second["changes"], second["warnings"]) == (True, [])


def test_a_bucket_whose_compactor_is_gone_is_taken_over(ensure: Ensure, new_namespace: str) -> None:
    ensure("compact", name="first")
    announced, result = (
        ensure("compact", name="second", take_over_bucket=True, check_mode=check_mode) for check_mode in (True, False)
    )
    for told in (announced, result):
        assert f"update S3 CompactorClaim {new_namespace}" in told["changes"]
        title = f"S3 CompactorClaim {new_namespace}"
        assert f"{new_namespace}/first" in documents(told["diff"]["before"])[title]["owner"]
        assert f"{new_namespace}/second" in documents(told["diff"]["after"])[title]["owner"]
        assert f"{new_namespace}/first" in told["warnings"][0]
    with pytest.raises(StorageError, match=f"{new_namespace}/second"):
        ensure("compact", name="first")
    again = ensure("compact", name="second", take_over_bucket=True)
    assert (again["changed"], again["warnings"]) == (False, [])


def test_a_takeover_of_a_compactor_that_is_there_is_a_change(ensure: Ensure, new_namespace: str) -> None:
    ensure("compact", name="first")
    ensure("compact", name="second", take_over_bucket=True)
    for check_mode in (True, False):
        back = ensure("compact", name="first", take_over_bucket=True, check_mode=check_mode)
        assert (back["changed"], back["changes"]) == (True, [f"update S3 CompactorClaim {new_namespace}"])


def test_what_a_run_refuses_claims_nothing(
    ensure: Ensure, s3: S3Server, new_namespace: str, admin: KubernetesClient, other: ApiClient
) -> None:
    # Fields of somebody else, where there is no compactor yet
    ensure("store", name="thanos-compact")
    AppsV1Api(other).patch_namespaced_stateful_set(
        "thanos-compact", new_namespace, {"spec": {"replicas": 7}}, field_manager="somebody"
    )
    with pytest.raises(ConflictError):
        ensure("compact")
    assert s3.content(new_namespace) == []


def test_another_bucket_gives_the_one_before_free(
    ensure: Ensure, s3: S3Server, new_namespace: str, running: Callable[[str], ObjectKey], admin: KubernetesClient
) -> None:
    s3.witness.create_bucket(Bucket=f"{new_namespace}-b")
    elsewhere = {"objstore": objstore(f"{new_namespace}-b", s3.url, ca=True)}
    ensure("compact")
    moves = [f"create S3 CompactorClaim {new_namespace}-b", f"delete S3 CompactorClaim {new_namespace}"]
    for check_mode in (True, False):
        moved = ensure("compact", **elsewhere, check_mode=check_mode)
        assert [change for change in moved["changes"] if "CompactorClaim" in change] == moves
        assert moved["warnings"] == []
    assert (s3.content(new_namespace), len(s3.content(f"{new_namespace}-b"))) == ([], 1)
    # Back again, while the pod works on
    running("thanos-compact")
    (warning,) = ensure("compact")["warnings"]
    assert f"{new_namespace}-b is not given free" in warning
    assert len(s3.content(f"{new_namespace}-b")) == 1


def test_a_bucket_is_not_given_free_while_a_pod_works_on_it(
    ensure: Ensure, s3: S3Server, new_namespace: str, running: Callable[[str], ObjectKey], admin: KubernetesClient
) -> None:
    ensure("compact")
    pod = running("thanos-compact")
    for check_mode in (True, False):
        removed = ensure("compact", state="absent", objstore=None, check_mode=check_mode)
        assert "wait is false" in removed["warnings"][0]
        assert not [change for change in removed["changes"] if "CompactorClaim" in change]
    assert len(s3.content(new_namespace)) == 1
    admin.delete(pod.api_version, pod.kind, pod.name, pod.namespace)
    # Nothing is left that could tell where the bucket is.
    freed = ensure("compact", state="absent")
    assert freed["changes"] == [f"delete S3 CompactorClaim {new_namespace}"]
    assert s3.content(new_namespace) == []


@pytest.mark.parametrize("trouble", ["keys", "configuration", "bucket"])
def test_a_compactor_is_removed_without_a_store_that_works(
    ensure: Ensure, s3: S3Server, new_namespace: str, other: ApiClient, trouble: str
) -> None:
    ensure("compact")
    secret = CoreV1Api(other).read_namespaced_secret("thanos-compact-objstore", new_namespace)
    text = base64.b64decode(secret.data["objstore.yml"]).decode()
    if trouble == "bucket":
        s3.witness.delete_object(Bucket=new_namespace, Key=s3.content(new_namespace)[0][1])
        s3.witness.delete_bucket(Bucket=new_namespace)
    else:
        text = text.replace(s3.owner.secret_key, "dead") if trouble == "keys" else "{"
        encoded = base64.b64encode(text.encode()).decode()
        CoreV1Api(other).patch_namespaced_secret(
            "thanos-compact-objstore", new_namespace, {"data": {"objstore.yml": encoded}}
        )
    for check_mode in (True, False):
        removed = ensure("compact", state="absent", objstore=None, purge=True, check_mode=check_mode)
        assert removed["changed"]
        assert [("not given free" in text, "take_over_bucket" in text) for text in removed["warnings"]] == [
            (True, True)
        ] * (trouble != "bucket")
    assert not ensure("compact", state="absent", objstore=None, purge=True)["changed"]


def test_an_older_version_is_refused_before_anything_is_touched(ensure: Ensure, look: Look) -> None:
    older = "quay.io/thanos/thanos:v0.42.0"
    ensure("bucket_web")
    before = look()
    with pytest.raises(InputError) as caught:
        ensure("bucket_web", image=older)
    assert caught.value.parameter == "image"
    assert look() == before
    assert run_as_announced(ensure, look, "bucket_web", image=older, allow_downgrade=True)["changed"]


# Waiting


def test_the_gateway_waits_for_what_was_started_before_it(
    api_server: Any, ensure: Ensure, new_namespace: str, other: ApiClient
) -> None:
    """With what is wrong of each; there is nobody here who runs pods, so the status is what is written here."""

    def wait(**params: Any) -> str:
        given = {"kubeconfig": str(api_server.kubeconfig()), "namespace": new_namespace, "wait_timeout": 1}
        url = f"https://thanos-receive.{new_namespace}.svc:19291/api/v1/receive"
        try:
            gateway.ensure({**given, "receive_url": url, "replicas": 1, **params}, False)
        except NotReadyError as error:
            return str(error)
        return ""

    def becomes_ready(kind: str, name: str) -> None:
        patch = getattr(AppsV1Api(other), f"patch_namespaced_{kind}_status")
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 1)
        patch(name, new_namespace, {"status": {"observedGeneration": 1, **counts}})

    ensure("store", replicas=1)
    ensure("query_frontend")
    assert wait(wait=False, wait_for_observer=True) == ""
    assert "remote-write-gateway is not ready" in (alone := wait())
    assert "thanos" not in alone.replace("thanos-receive", "")
    becomes_ready("deployment", "remote-write-gateway")
    assert wait() == ""
    for kind, name in (("stateful_set", "thanos-store"), ("deployment", "thanos-query-frontend")):
        assert f"{name} is not ready after 1 s" in wait(wait_for_observer=True)
        becomes_ready(kind, name)
    assert wait(wait_for_observer=True) == ""


# Rights


def allow(admin: KubernetesClient, user: str, rule: dict[str, Any], namespace: str = "") -> None:
    """Give a user a right, in a namespace or in the whole cluster."""
    rbac = "rbac.authorization.k8s.io"
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": f"{user}-{'-'.join(rule.get('resourceNames', ['all']))}"}
    metadata |= {"namespace": namespace} if namespace else {}
    admin.apply({"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": metadata, "rules": [rule]})
    binding = {
        **{"apiVersion": f"{rbac}/v1", "kind": f"{kind}Binding", "metadata": metadata},
        "roleRef": {"apiGroup": rbac, "kind": kind, "name": metadata["name"]},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
    }
    admin.apply(binding)


@pytest.fixture
def restricted(api_server: Any, admin: KubernetesClient, namespace: str, store: Result) -> Ensure:
    """As an operator who may not even ask for ServiceMonitors, in a namespace that was made for them."""
    operator = f"operator-of-{namespace}"
    everything = {"resources": ["*"], "verbs": ["get", "list", "create", "patch", "delete"]}
    allow(admin, operator, {"apiGroups": ["", "apps", "policy"], **everything}, namespace)
    its_own = {"resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["get", "patch"]}
    allow(admin, operator, {"apiGroups": [""], **its_own})
    kubeconfig = str(api_server.kubeconfig(operator, ()))

    def call(component: str, **params: Any) -> Result:
        given = {"kubeconfig": kubeconfig, "namespace": namespace, "wait": False, **GIVEN[component], **store}
        return thanos.ensure({"component": component, **given, **params}, False)

    return call


def test_rights_in_the_namespace_suffice(restricted: Ensure) -> None:
    assert restricted("store")["changed"]
    assert not restricted("store")["changed"]
    assert restricted("store", state="absent")["changed"]


def test_a_compactor_needs_to_tell_the_cluster_from_others(
    restricted: Ensure, admin: KubernetesClient, namespace: str, s3: S3Server, store: Result
) -> None:
    bucket = store["objstore"]["config"]["bucket"]
    with pytest.raises(ApiError, match=r"namespaces kube-system.*needs verb get on namespaces") as caught:
        restricted("compact")
    assert (caught.value.parameter, s3.content(bucket)) == ("kubeconfig", [])
    assert admin.list("apps/v1", "StatefulSet", namespace) == []

    one_more = {"resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}
    allow(admin, f"operator-of-{namespace}", {"apiGroups": [""], **one_more})
    wait_for(lambda: succeeds(restricted, "compact"))
    assert not restricted("compact")["changed"]
    removed = restricted("compact", state="absent", objstore=None)
    assert (removed["changed"], removed["warnings"], s3.content(bucket)) == (True, [], [])


def succeeds(call: Ensure, component: str) -> bool:
    try:
        return bool(call(component)["changed"])
    except ApiError:
        return False


# ServiceMonitors, where the cluster has the Prometheus Operator


@pytest.fixture
def operator(admin: KubernetesClient, other: ApiClient) -> Iterator[None]:
    """The kind ServiceMonitor, as long as a test runs."""
    definition = {
        "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": "ServiceMonitor", "plural": "servicemonitors", "listKind": "ServiceMonitorList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                        }
                    },
                }
            ],
        },
    }
    api = ApiextensionsV1Api(other)
    api.create_custom_resource_definition(definition)
    wait_for(lambda: admin.serves(*SERVICE_MONITOR))
    yield
    api.delete_custom_resource_definition(definition["metadata"]["name"])
    wait_for(lambda: not admin.serves(*SERVICE_MONITOR))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_without_the_operator_there_is_no_service_monitor(ensure: Ensure, look: Look) -> None:
    for given in ({"service_monitor": "always"}, {"service_monitor": "always", "check_mode": True}):
        with pytest.raises(InputError) as caught:
            ensure("bucket_web", **given)
        assert caught.value.parameter == "service_monitor"
    assert look() == {}


def test_check_mode_takes_an_expected_operator_for_granted(ensure: Ensure, request: pytest.FixtureRequest) -> None:
    with pytest.raises(InputError, match="has no ServiceMonitors"):
        ensure("bucket_web", service_monitor="expected")
    announced = ensure("bucket_web", service_monitor="expected", check_mode=True)
    request.getfixturevalue("operator")
    assert ensure("bucket_web", service_monitor="expected")["changes"] == announced["changes"]


@pytest.mark.usefixtures("operator")
def test_with_the_operator_there_is_one_until_it_is_not_wanted(ensure: Ensure, look: Look, new_namespace: str) -> None:
    monitor = f"monitoring.coreos.com/v1 ServiceMonitor {new_namespace}/thanos-bucket-web"
    assert f"create {monitor}" in run_as_announced(ensure, look, "bucket_web")["changes"]
    assert not run_as_announced(ensure, look, "bucket_web")["changed"]
    result = run_as_announced(ensure, look, "bucket_web", service_monitor="never")
    assert result["changes"] == [f"delete {monitor}"]
    run_as_announced(ensure, look, "bucket_web", service_monitor="always")
    assert f"delete {monitor}" in run_as_announced(ensure, look, "bucket_web", state="absent")["changes"]


# An eighth component

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def eighth(tmp_path: Path, api_server: ApiServer, new_namespace: str) -> Ensure:
    """Return the module in Ansible's hands, from a copy of the collection with one file, imported in the table's."""
    collection = tmp_path / "ansible_collections" / "scs" / "observability"
    for part in ("meta", "plugins"):
        shutil.copytree(CHECKOUT / part, collection / part, ignore=shutil.ignore_patterns("__pycache__"))
    utils = collection / "plugins" / "module_utils"
    shutil.copy2(Path(thanos_bucket_mirror.__file__), utils / "_manifests")
    table = utils / "_observer" / "thanos.py"
    text, lines = re.subn(
        r"^( +)thanos_bucket_web,\n", r"\1thanos_bucket_mirror,\n\g<0>", table.read_text(), flags=re.MULTILINE
    )
    assert lines == 2, "where it is imported, and in the table"
    table.write_text(text)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    common = {"kubeconfig": str(api_server.kubeconfig()), "namespace": new_namespace, "wait": False}

    def call(*, check_mode: bool = False, **params: Any) -> Result:
        options = ["--check"] if check_mode else []
        arguments = json.dumps({**common, "component": "bucket_mirror", **params})
        module = ("--module-name", "scs.observability.thanos_component", "--args", arguments)
        ansible = Path(sys.executable).with_name("ansible")
        ended = subprocess.run(
            [ansible, "localhost", *module, *options], cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        head, found, result = ended.stdout.decode().partition(" => ")
        assert found, ended
        return {**json.loads(result), "failed": "FAILED" in head}

    return call


def assert_works(mirror: Ensure, look: Look, namespace: str) -> None:
    announced = mirror(check_mode=True, **OBJSTORE)
    assert look() == {}
    result = mirror(**OBJSTORE)
    assert f"create apps/v1 StatefulSet {namespace}/thanos-bucket-mirror" in result["changes"]
    assert result["changes"] == announced["changes"]
    assert result["endpoints"]["grpc"].endswith(f"thanos-bucket-mirror-headless.{namespace}.svc")
    assert not mirror(**OBJSTORE)["changed"]
    assert mirror(state="absent", purge=True)["changed"]
    assert look() == {}


def test_an_eighth_component_is_one_file(
    ensure: Ensure, look: Look, new_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Observed, planned, applied, refused and removed as the seven are, which know nothing of it."""
    monkeypatch.setitem(thanos.COMPONENTS, "bucket_mirror", thanos_bucket_mirror.COMPONENT)
    mirror = partial(ensure, "bucket_mirror")
    for params, text in (({}, "objstore"), ({**OBJSTORE, "replicas": 2}, "Two would copy")):
        with pytest.raises(InputError, match=text):
            mirror(**params)
    assert_works(mirror, look, new_namespace)


def test_ansible_takes_it_to_a_host_once_it_is_imported(eighth: Ensure, look: Look, new_namespace: str) -> None:
    """A module carries what is imported, so the table of components has a line for each."""
    assert "objstore" in eighth()["msg"]
    assert_works(eighth, look, new_namespace)
