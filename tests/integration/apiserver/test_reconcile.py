# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning and applying against a real API server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api, DiscoveryV1Api

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    AlreadyExists,
    ApiError,
    ConflictError,
    ImmutableError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import identity
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import (
    apply_plan,
    plan_namespace_removal,
    plan_objects,
    plan_removal,
)

Manifest = dict[str, Any]
Client = Callable[..., KubernetesClient]

OWNER = {"app.kubernetes.io/instance": "receive"}
LABELS = {"app.kubernetes.io/managed-by": "scs.observability", "app.kubernetes.io/part-of": "scs-observability"} | OWNER
KAAS_CLUSTER = ("observability.scs.community/v1alpha1", "KaaSCluster")
PRUNED = [("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "Service"), ("apps/v1", "StatefulSet")]


def manifest(api_version: str, kind: str, name: str, namespace: str = "", **content: Any) -> Manifest:
    metadata: Manifest = {"name": name, "labels": dict(LABELS)}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def config_map(namespace: str, name: str = "settings", **data: str) -> Manifest:
    return manifest("v1", "ConfigMap", name, namespace, data=data or {"retention": "15d"})


def stateful_set(
    namespace: str, *, replicas: int = 2, storage: str = "10Gi", env: dict[str, str] | None = None
) -> Manifest:
    """Leave out what the API server defaults, and write quantities as people do."""
    container: Manifest = {
        "name": "receive",
        "image": "quay.io/thanos/thanos:v0.42.4",
        "args": ["receive", "--tsdb.path=/data"],
        "env": [{"name": name, "value": value} for name, value in (env or {"GOGC": "50"}).items()],
        "ports": [{"name": "grpc", "containerPort": 10901}, {"name": "http", "containerPort": 10902}],
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": "http"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}},
    }
    return manifest(
        "apps/v1",
        "StatefulSet",
        "receive",
        namespace,
        spec={
            "replicas": replicas,
            "serviceName": "receive-headless",
            "selector": {"matchLabels": OWNER},
            "template": {
                "metadata": {"labels": dict(LABELS)},
                "spec": {"serviceAccountName": "receive", "containers": [container]},
            },
            "volumeClaimTemplates": [claim],
        },
    )


def component(namespace: str) -> list[Manifest]:
    """What a component of Thanos needs, of every kind that has peculiarities in comparison."""
    return [
        manifest("v1", "Namespace", namespace),
        manifest("v1", "ServiceAccount", "receive", namespace, automountServiceAccountToken=False),
        config_map(namespace, **{"hashring.json": '[{"endpoints": []}]\n'}),
        manifest(
            "v1", "Secret", "objstore", namespace, type="Opaque", stringData={"objstore.yml": "secret_key: swordfish"}
        ),
        manifest(
            "v1",
            "Service",
            "receive",
            namespace,
            spec={
                "type": "NodePort",
                "selector": OWNER,
                "ports": [{"name": "http", "port": 10902, "targetPort": "http"}, {"name": "grpc", "port": 10901}],
            },
        ),
        manifest(
            "policy/v1",
            "PodDisruptionBudget",
            "receive",
            namespace,
            spec={"maxUnavailable": 1, "selector": {"matchLabels": OWNER}},
        ),
        manifest(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "receive",
            namespace,
            spec={"podSelector": {"matchLabels": OWNER}, "ingress": [{"ports": [{"port": 10901}]}]},
        ),
        manifest(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            f"scs-{namespace}",
            rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
        ),
        manifest(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            f"scs-{namespace}",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"scs-{namespace}"},
            subjects=[{"kind": "ServiceAccount", "name": "receive", "namespace": namespace}],
        ),
        stateful_set(namespace),
    ]


def run(client: KubernetesClient, wanted: list[Manifest], **options: Any) -> Plan:
    plan = plan_objects(client, wanted, **options)
    apply_plan(client, plan, force=options.get("force", False))
    return plan


class TestEmptyCluster:
    def test_the_plan_without_a_namespace_is_what_the_run_does(
        self, admin: KubernetesClient, new_namespace: str
    ) -> None:
        wanted = component(new_namespace)
        checked = plan_objects(admin, wanted)
        assert admin.get("v1", "Namespace", new_namespace) is None
        assert checked.summary() == sorted(
            f"create {item['apiVersion']} {item['kind']} "
            + (f"{new_namespace}/" if "namespace" in item["metadata"] else "")
            + item["metadata"]["name"]
            for item in wanted
        )

        done = run(admin, wanted)
        assert done == checked
        for item in wanted:
            assert admin.get(*identity(item)[:2], item["metadata"]["name"], item["metadata"].get("namespace", ""))

    @pytest.mark.parametrize("name", ["receive", "kubernetes"], ids=["free", "taken in the default namespace"])
    def test_what_is_invalid_is_refused_before_the_namespace_is_made(
        self, admin: KubernetesClient, new_namespace: str, name: str
    ) -> None:
        broken = manifest("v1", "Service", name, new_namespace, spec={"ports": [{"port": 99999}]})
        with pytest.raises(ApiError, match=rf"services {new_namespace}/{name}.*99999") as refused:
            plan_objects(admin, [manifest("v1", "Namespace", new_namespace), broken])
        assert refused.value.status == 422
        assert "default" not in str(refused.value)

    def test_a_second_run_changes_nothing(self, admin: KubernetesClient, new_namespace: str) -> None:
        run(admin, component(new_namespace), owner=OWNER, owner_namespace=new_namespace, prune_kinds=PRUNED)
        versions = {
            identity(item): item["metadata"]["resourceVersion"] for item in admin.list("v1", "Secret", new_namespace)
        }
        again = plan_objects(
            admin, component(new_namespace), owner=OWNER, owner_namespace=new_namespace, prune_kinds=PRUNED
        )
        assert again.summary() == []
        assert again.diff()["before"] == again.diff()["after"] == ""
        assert versions == {
            identity(item): item["metadata"]["resourceVersion"] for item in admin.list("v1", "Secret", new_namespace)
        }

    def test_a_kind_that_is_defined_in_the_same_run(self, admin: KubernetesClient, new_namespace: str) -> None:
        wanted = [kaas_cluster("alpha"), kaas_cluster_definition()]
        checked = plan_objects(admin, wanted, owner=OWNER, prune_kinds=[KAAS_CLUSTER])
        assert [line.split()[0] for line in checked.summary()] == ["create", "create"]
        assert admin.list(*KAAS_CLUSTER) == []

        assert run(admin, wanted) == checked
        assert admin.get(*KAAS_CLUSTER, "alpha")
        assert not plan_objects(admin, wanted).changed

        admin.apply_status({**kaas_cluster("alpha"), "status": {"lastProof": "2026-01-01T00:00:00Z"}})
        live = admin.get(*KAAS_CLUSTER, "alpha")
        assert live is not None
        assert live["status"] == {"lastProof": "2026-01-01T00:00:00Z"}
        assert not plan_objects(admin, wanted).changed


def kaas_cluster(name: str) -> Manifest:
    return manifest(*KAAS_CLUSTER, name, spec={"phase": "active"})


def kaas_cluster_definition() -> Manifest:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return manifest(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "kaasclusters.observability.scs.community",
        spec={
            "group": "observability.scs.community",
            "scope": "Cluster",
            "names": {"kind": "KaaSCluster", "plural": "kaasclusters", "singular": "kaascluster"},
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}
                    },
                }
            ],
        },
    )


class TestChange:
    def test_the_diff_shows_the_live_object_and_what_it_becomes(self, admin: KubernetesClient, namespace: str) -> None:
        run(admin, [stateful_set(namespace)])
        plan = run(admin, [stateful_set(namespace, replicas=3, env={"GOGC": "80"})])
        assert plan.summary() == [f"update apps/v1 StatefulSet {namespace}/receive"]
        diff = plan.diff()
        before, after = yaml.safe_load(diff["before"]), yaml.safe_load(diff["after"])
        assert (before["spec"]["replicas"], after["spec"]["replicas"]) == (2, 3)
        # A default of the API server is in both: the diff has nothing but what changes.
        assert before["spec"]["podManagementPolicy"] == after["spec"]["podManagementPolicy"] == "OrderedReady"
        changed = set(diff["before"].splitlines()) ^ set(diff["after"].splitlines())
        assert {line.strip() for line in changed} == {
            "replicas: 2", "replicas: 3", "value: '50'", "value: '80'",
        }  # fmt: skip

    def test_what_is_no_longer_wanted_in_an_object_goes(self, admin: KubernetesClient, namespace: str) -> None:
        run(admin, [stateful_set(namespace, env={"GOGC": "50", "GOMAXPROCS": "2"})])
        run(admin, [stateful_set(namespace, env={"GOGC": "50"})])
        live = admin.get("apps/v1", "StatefulSet", "receive", namespace)
        assert live is not None
        assert live["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "GOGC", "value": "50"}]

    def test_secrets_change_without_being_shown(self, admin: KubernetesClient, namespace: str) -> None:
        def secret(password: str) -> Manifest:
            return manifest("v1", "Secret", "s3", namespace, stringData={"user": "thanos", "password": password})

        run(admin, [secret("swordfish")])
        plan = run(admin, [secret("hunter2")])
        text = str(plan.result()) + str(plan)
        for value in ("swordfish", "hunter2", "c3dvcmRmaXNo", "aHVudGVyMg=="):
            assert value not in text
        assert yaml.safe_load(plan.diff()["after"])["data"] == {"user": "(hidden)", "password": "(hidden, changed)"}
        live = admin.get("v1", "Secret", "s3", namespace)
        assert live is not None
        assert live["data"]["password"] == "aHVudGVyMg=="
        assert not plan_objects(admin, [secret("hunter2")]).changed

    def test_an_immutable_field_is_refused_before_anything_is_written(
        self, admin: KubernetesClient, namespace: str
    ) -> None:
        run(admin, [stateful_set(namespace)])
        with pytest.raises(ImmutableError) as refused:
            run(admin, [config_map(namespace), stateful_set(namespace, storage="20Gi")])
        assert f"statefulsets.apps {namespace}/receive" in str(refused.value)
        assert "cannot be changed in place" in str(refused.value)
        assert admin.get("v1", "ConfigMap", "settings", namespace) is None

    def test_an_invalid_object_is_refused_with_the_reason(self, admin: KubernetesClient, namespace: str) -> None:
        broken = stateful_set(namespace)
        broken["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        with pytest.raises(ApiError, match=r"selector.*does not match") as refused:
            plan_objects(admin, [broken])
        assert refused.value.status == 422
        assert not isinstance(refused.value, ImmutableError)

    def test_a_secret_that_is_refused_is_not_quoted(self, admin: KubernetesClient, namespace: str) -> None:
        with pytest.raises(ApiError) as refused:
            plan_objects(admin, [manifest("v1", "Secret", "s3", namespace, data={"password": "not base64 swordfish"})])
        assert "swordfish" not in str(refused.value)
        assert "swordfish" not in str(refused.value.result())


class TestOtherManagers:
    def test_drift_is_reported_with_manager_and_field(
        self, admin: KubernetesClient, namespace: str, other: ApiClient
    ) -> None:
        run(admin, [config_map(namespace), stateful_set(namespace)])
        AppsV1Api(other).patch_namespaced_stateful_set(
            "receive", namespace, {"spec": {"replicas": 5}}, field_manager="kubectl-edit"
        )
        CoreV1Api(other).patch_namespaced_config_map(
            "settings", namespace, {"data": {"retention": "1d"}}, field_manager="kubectl-patch"
        )
        with pytest.raises(ConflictError) as refused:
            run(admin, [config_map(namespace), stateful_set(namespace)])
        assert {(conflict.manager, conflict.field) for conflict in refused.value.conflicts} == {
            ("kubectl-edit", ".spec.replicas"),
            ("kubectl-patch", ".data.retention"),
        }
        assert f"statefulsets.apps {namespace}/receive" in str(refused.value)
        assert "force" in str(refused.value)

        forced = run(admin, [config_map(namespace), stateful_set(namespace)], force=True)
        assert len(forced.changes) == 2
        live = admin.get("apps/v1", "StatefulSet", "receive", namespace)
        assert live is not None
        assert live["spec"]["replicas"] == 2
        # Taken over: without force there is nothing left to do or to refuse.
        assert not plan_objects(admin, [config_map(namespace), stateful_set(namespace)]).changed

    def test_what_somebody_removed_comes_back_without_force(
        self, admin: KubernetesClient, namespace: str, other: ApiClient
    ) -> None:
        run(admin, [config_map(namespace, retention="15d", level="info")])
        CoreV1Api(other).patch_namespaced_config_map(
            "settings", namespace, {"data": {"level": None}}, field_manager="kubectl-edit"
        )
        assert run(admin, [config_map(namespace, retention="15d", level="info")]).changed
        live = admin.get("v1", "ConfigMap", "settings", namespace)
        assert live is not None
        assert live["data"] == {"retention": "15d", "level": "info"}

    def test_what_others_add_stays(self, admin: KubernetesClient, namespace: str, other: ApiClient) -> None:
        run(admin, [stateful_set(namespace)])
        restarted = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}
        AppsV1Api(other).patch_namespaced_stateful_set(
            "receive", namespace, {"spec": {"template": restarted}}, field_manager="kubectl-rollout"
        )
        assert not plan_objects(admin, [stateful_set(namespace)]).changed
        run(admin, [stateful_set(namespace, replicas=3)])
        live = admin.get("apps/v1", "StatefulSet", "receive", namespace)
        assert live is not None
        assert live["spec"]["template"]["metadata"]["annotations"] == restarted["metadata"]["annotations"]

    def test_an_object_that_somebody_else_made_alike_is_left_alone(
        self, admin: KubernetesClient, namespace: str, other: ApiClient
    ) -> None:
        CoreV1Api(other).create_namespaced_config_map(namespace, config_map(namespace))
        assert not plan_objects(admin, [config_map(namespace)]).changed

    def test_a_namespace_that_somebody_else_made_does_not_become_ours(
        self, admin: KubernetesClient, namespace: str
    ) -> None:
        run(admin, [manifest("v1", "Namespace", namespace), config_map(namespace)])
        live = admin.get("v1", "Namespace", namespace)
        assert live is not None
        assert "app.kubernetes.io/managed-by" not in live["metadata"]["labels"]
        assert not plan_objects(admin, [manifest("v1", "Namespace", namespace)]).changed


class TestCreateOnly:
    def test_it_is_created_once_and_never_touched(self, admin: KubernetesClient, namespace: str) -> None:
        def authority(certificate: str) -> Manifest:
            return manifest("v1", "Secret", "authority", namespace, data={"tls.crt": certificate})

        only = [identity(authority("b25l"))]
        assert run(admin, [authority("b25l")], create_only=only).changed
        assert not run(admin, [authority("dHdv")], create_only=only).changed
        live = admin.get("v1", "Secret", "authority", namespace)
        assert live is not None
        assert live["data"] == {"tls.crt": "b25l"}

    def test_one_that_was_created_in_the_meantime_is_an_error(self, admin: KubernetesClient, namespace: str) -> None:
        plan = plan_objects(admin, [config_map(namespace)], create_only=[identity(config_map(namespace))])
        admin.create(config_map(namespace, retention="1d"))
        with pytest.raises(AlreadyExists, match="settings"):
            apply_plan(admin, plan)
        live = admin.get("v1", "ConfigMap", "settings", namespace)
        assert live is not None
        assert live["data"] == {"retention": "1d"}


class TestPrune:
    def test_what_we_own_and_no_longer_want_goes(self, admin: KubernetesClient, namespace: str) -> None:
        wanted = [config_map(namespace, "old"), config_map(namespace, "kept"), config_map(namespace, "wanted")]
        strange = config_map(namespace, "of-another")
        strange["metadata"]["labels"]["app.kubernetes.io/instance"] = "query"
        run(admin, [*wanted, strange])
        plan = run(
            admin,
            [config_map(namespace, "wanted")],
            owner=OWNER,
            owner_namespace=namespace,
            prune_kinds=PRUNED,
            keep=lambda item: item["metadata"]["name"] == "kept",
        )
        assert plan.summary() == [f"delete v1 ConfigMap {namespace}/old"]
        assert sorted(item["metadata"]["name"] for item in admin.list("v1", "ConfigMap", namespace)) == [
            "kept", "of-another", "wanted",
        ]  # fmt: skip

    def test_removal_takes_all_of_the_owner_and_a_second_one_nothing(
        self, admin: KubernetesClient, namespace: str
    ) -> None:
        run(admin, [config_map(namespace), stateful_set(namespace)])
        plan = plan_removal(admin, OWNER, namespace, PRUNED)
        assert plan.summary() == [
            f"delete apps/v1 StatefulSet {namespace}/receive",
            f"delete v1 ConfigMap {namespace}/settings",
        ]
        apply_plan(admin, plan)
        # The garbage collector, which ends the background deletion, does not run here; nothing depends on the object.
        assert not plan_removal(admin, OWNER, namespace, PRUNED).changed

    def test_an_object_of_the_same_name_that_came_later_is_not_deleted(
        self, admin: KubernetesClient, namespace: str
    ) -> None:
        run(admin, [config_map(namespace)])
        plan = plan_removal(admin, OWNER, namespace, PRUNED)
        admin.delete("v1", "ConfigMap", "settings", namespace)
        run(admin, [config_map(namespace)])
        with pytest.raises(ApiError, match="UID") as refused:
            apply_plan(admin, plan)
        assert refused.value.status == 409


def test_an_object_that_is_being_removed_is_made_anew_when_it_is_gone(
    admin: KubernetesClient, namespace: str, other: ApiClient
) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    before = admin.create(held)
    admin.delete("v1", "ConfigMap", "settings", namespace)

    plan = plan_objects(admin, [config_map(namespace)])
    assert plan.summary() == [f"create v1 ConfigMap {namespace}/settings"]
    release = threading.Timer(
        0.3,
        CoreV1Api(other).patch_namespaced_config_map,
        ("settings", namespace, {"metadata": {"finalizers": None}}),
    )
    release.start()
    apply_plan(admin, plan)
    release.join()
    live = admin.get("v1", "ConfigMap", "settings", namespace)
    assert live is not None
    assert live["metadata"]["uid"] != before["metadata"]["uid"]


class TestNamespaceRemoval:
    @pytest.fixture
    def ours(self, admin: KubernetesClient, new_namespace: str, other: ApiClient) -> str:
        run(admin, [manifest("v1", "Namespace", new_namespace), stateful_set(new_namespace)])
        # What the controllers of a whole cluster put into every namespace.
        core = CoreV1Api(other)
        core.create_namespaced_service_account(new_namespace, {"metadata": {"name": "default"}})
        core.create_namespaced_config_map(new_namespace, {"metadata": {"name": "kube-root-ca.crt"}})
        DiscoveryV1Api(other).create_namespaced_endpoint_slice(
            new_namespace, {"metadata": {"name": "receive-x7k2p"}, "addressType": "IPv4", "endpoints": []}
        )
        return new_namespace

    def test_it_goes_when_nothing_else_is_left(self, admin: KubernetesClient, ours: str) -> None:
        removal = plan_removal(admin, OWNER, ours, PRUNED)
        assert not plan_namespace_removal(admin, ours, []).changed
        plan = plan_namespace_removal(admin, ours, [identity(stateful_set(ours))])
        assert plan.summary() == [f"delete v1 Namespace {ours}"]
        apply_plan(admin, removal + plan)
        live = admin.get("v1", "Namespace", ours)
        assert live is None or live["metadata"]["deletionTimestamp"]
        assert not plan_namespace_removal(admin, ours, []).changed

    def test_it_stays_with_an_object_of_somebody_else(
        self, admin: KubernetesClient, ours: str, other: ApiClient
    ) -> None:
        CoreV1Api(other).create_namespaced_secret(ours, {"metadata": {"name": "precious"}})
        assert not plan_namespace_removal(admin, ours, [identity(stateful_set(ours))]).changed
        assert plan_namespace_removal(
            admin,
            ours,
            [identity(stateful_set(ours))],
            disposable=lambda item: (item["kind"], item["metadata"]["name"]) == ("Secret", "precious"),
        ).changed

    def test_what_is_derived_from_another_object_does_not_count(
        self, admin: KubernetesClient, ours: str, other: ApiClient
    ) -> None:
        workload = admin.get("apps/v1", "StatefulSet", "receive", ours)
        assert workload is not None
        owner = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": "receive",
            "uid": workload["metadata"]["uid"],
            "controller": True,
        }
        pod = {"containers": [{"name": "receive", "image": "quay.io/thanos/thanos:v0.42.4"}]}
        metadata = {"name": "receive-0", "ownerReferences": [owner]}
        CoreV1Api(other).create_namespaced_pod(ours, {"metadata": metadata, "spec": pod})
        assert plan_namespace_removal(admin, ours, [identity(stateful_set(ours))]).changed
        # A volume is kept, so the namespace is.
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        CoreV1Api(other).create_namespaced_persistent_volume_claim(
            ours, {"metadata": {"name": "data-receive-0"}, "spec": claim}
        )
        assert not plan_namespace_removal(admin, ours, [identity(stateful_set(ours))]).changed

    def test_a_namespace_of_somebody_else_stays(self, admin: KubernetesClient, namespace: str) -> None:
        assert not plan_namespace_removal(admin, namespace, []).changed

    def test_one_that_is_not_there_is_no_change(self, admin: KubernetesClient, new_namespace: str) -> None:
        assert not plan_namespace_removal(admin, new_namespace, []).changed


class TestRights:
    def test_planning_needs_the_rights_of_applying(
        self, admin: KubernetesClient, client_of: Client, namespace: str
    ) -> None:
        with pytest.raises(ApiError) as refused:
            plan_objects(client_of("nobody"), [config_map(namespace)])
        assert refused.value.status == 403
        text = str(refused.value)
        assert text.startswith("kubeconfig: https://127.0.0.1:")
        assert (
            f'user "nobody" is forbidden: needs verb {refused.value.verb} on configmaps in namespace {namespace}'
            in text
        )

    def test_rights_in_one_namespace_suffice_for_what_is_in_it(
        self, admin: KubernetesClient, client_of: Client, namespace: str
    ) -> None:
        rules = [{"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list", "create", "patch", "delete"]}]
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"}
        run(
            admin,
            [
                manifest("rbac.authorization.k8s.io/v1", "Role", "operator", namespace, rules=rules),
                manifest(
                    "rbac.authorization.k8s.io/v1",
                    "RoleBinding",
                    "operator",
                    namespace,
                    roleRef=reference,
                    subjects=[subject],
                ),
            ],
        )
        operator = client_of("operator")
        wanted = [config_map(namespace), stateful_set(namespace)]
        run(operator, wanted, owner=OWNER, owner_namespace=namespace, prune_kinds=PRUNED)
        assert not plan_objects(operator, wanted, owner=OWNER, owner_namespace=namespace, prune_kinds=PRUNED).changed
        with pytest.raises(ApiError, match=r"clusterroles\.rbac\.authorization\.k8s\.io in the whole cluster"):
            run(operator, [item for item in component(namespace) if item["kind"] == "ClusterRole"])
        # Not allowed to look at everything in it: then it is not for us to say that nothing is left.
        admin.apply(manifest("v1", "Namespace", namespace))
        assert not plan_namespace_removal(operator, namespace, [identity(item) for item in wanted]).changed


@pytest.fixture
def client_of(api_server: Any) -> Client:
    def client(user: str) -> KubernetesClient:
        connected: KubernetesClient = api_server.client(user, ())
        return connected

    return client
