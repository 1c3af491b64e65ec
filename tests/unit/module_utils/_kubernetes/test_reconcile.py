# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked and sent, and in which order; that the API server understands it is tested with a real one."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    ApiError,
    ConflictError,
    NotReadyError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._kubernetes import reconcile
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey, identity
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.reconcile import (
    apply_plan,
    plan_namespace_removal,
    plan_objects,
    plan_removal,
)

from .conftest import NOT_FOUND, Answer, ScriptedApi, failure

Manifest = dict[str, Any]
OWNER = {"app.kubernetes.io/instance": "receive"}
OURS = {"app.kubernetes.io/managed-by": "scs.observability"}
SELECTOR = "app.kubernetes.io/instance=receive,app.kubernetes.io/managed-by=scs.observability"
CONFIG_MAPS = "/api/v1/namespaces/ns/configmaps"
NAMESPACE = "/api/v1/namespaces/ns"
PRUNED = [("v1", "ConfigMap"), ("rbac.authorization.k8s.io/v1", "ClusterRole")]


def manifest(kind: str, name: str = "x", api_version: str = "v1", namespace: str = "ns", **content: Any) -> Manifest:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def config_map(name: str = "x", **data: str) -> Manifest:
    return manifest("ConfigMap", name, data=data or {"a": "1"})


def live(wanted: Manifest, version: str = "7", **metadata: Any) -> Manifest:
    """Return an object as the API server has it."""
    known = copy.deepcopy(wanted)
    known["metadata"] |= {"uid": f"uid-{known['metadata']['name']}", "resourceVersion": version, **metadata}
    return known


def serve(api: ScriptedApi, wanted: Manifest, *, version: str = "7") -> None:
    """Have an object that is as wanted."""
    path = f"{CONFIG_MAPS}/{wanted['metadata']['name']}"
    api.on("GET", path, live(wanted, version))
    api.on("PATCH", path, live(wanted, version))


def writes(api: ScriptedApi) -> list[tuple[str, str]]:
    return [
        (request.method, request.path)
        for request in api.requests
        if request.method != "GET" and "dryRun" not in request.query
    ]


class TestPlan:
    def test_unchanged_objects_cost_one_dry_run_each_and_one_list_per_kind(
        self, api: ScriptedApi, client: KubernetesClient
    ) -> None:
        wanted = [config_map(f"c{number}") for number in range(7)]
        for item in wanted:
            serve(api, item)
        api.on("GET", CONFIG_MAPS, {"items": [live(item) for item in wanted]})
        plan = plan_objects(client, wanted, owner=OWNER, owner_namespace="ns", prune_kinds=PRUNED)
        assert not plan.changed
        assert len(api.requests) == 7 + len(PRUNED)
        assert all(request.query["dryRun"] == "All" for request in api.requests if request.method == "PATCH")
        lists = [request for request in api.requests if request.method == "GET"]
        assert {request.query["labelSelector"] for request in lists} == {SELECTOR}
        assert {request.path for request in lists} == {
            CONFIG_MAPS,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        }

    def test_a_difference_is_an_update_from_live_to_the_dry_run(
        self, api: ScriptedApi, client: KubernetesClient
    ) -> None:
        defaulted = {"immutable": False}
        api.on("GET", f"{CONFIG_MAPS}/x", live(config_map(a="1") | defaulted))
        api.on("PATCH", f"{CONFIG_MAPS}/x", live(config_map(a="2") | defaulted))
        (change,) = plan_objects(client, [config_map(a="2")]).changes
        assert change.action == "update"
        assert change.before == config_map(a="1") | defaulted
        assert change.after == config_map(a="2") | defaulted
        assert change.manifest == config_map(a="2")
        assert writes(api) == []

    def test_what_cannot_be_rehearsed_is_planned_from_the_manifest(
        self, api: ScriptedApi, client: KubernetesClient
    ) -> None:
        cluster = manifest("KaaSCluster", "alpha", "observability.scs.community/v1alpha1", "", spec={"phase": "active"})
        secret = manifest("Secret", "s3", stringData={"key": "swordfish"})
        plan = plan_objects(client, [cluster, secret])
        assert plan.summary() == [
            "create observability.scs.community/v1alpha1 KaaSCluster alpha",
            "create v1 Secret ns/s3",
        ]
        assert "swordfish" not in plan.diff()["after"]
        assert {change.name: change.after for change in plan.changes}["alpha"] == cluster
        assert {change.name: change.manifest for change in plan.changes}["s3"] == {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s3", "namespace": "ns"},
            "data": {"key": "c3dvcmRmaXNo"},
        }

    def test_an_object_with_our_name_and_without_our_labels_is_found_too(
        self, api: ScriptedApi, client: KubernetesClient
    ) -> None:
        serve(api, config_map("theirs"))
        api.on("GET", CONFIG_MAPS, {"items": []})
        plan = plan_objects(
            client, [config_map("theirs")], owner=OWNER, owner_namespace="ns", prune_kinds=[("v1", "ConfigMap")]
        )
        assert not plan.changed

    def test_another_write_between_the_two_looks_is_not_taken_for_a_difference(
        self, api: ScriptedApi, client: KubernetesClient
    ) -> None:
        before, after = live(config_map(), "7"), live(config_map(), "8")
        after["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
        api.on("GET", f"{CONFIG_MAPS}/x", before, after)
        api.on("PATCH", f"{CONFIG_MAPS}/x", after)
        assert not plan_objects(client, [config_map()]).changed

    def test_an_object_that_never_rests_is_planned_all_the_same(
        self, api: ScriptedApi, client: KubernetesClient
    ) -> None:
        api.on("GET", f"{CONFIG_MAPS}/x", live(config_map(a="1"), "7"))
        api.on("PATCH", f"{CONFIG_MAPS}/x", live(config_map(a="2"), "8"))
        assert plan_objects(client, [config_map(a="2")]).summary() == ["update v1 ConfigMap ns/x"]
        assert len(api.requests) == 2 + 2 * 5

    def test_all_conflicts_are_told_at_once(self, api: ScriptedApi, client: KubernetesClient) -> None:
        for name, field in (("a", ".data.a"), ("b", ".data.b")):
            cause = {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "kubectl-edit" using v1',
                "field": field,
            }
            api.on("PATCH", f"{CONFIG_MAPS}/{name}", failure(409, "Conflict", "conflict", cause))
        with pytest.raises(ConflictError) as refused:
            plan_objects(client, [config_map("b"), config_map("a"), config_map("c")])
        assert [conflict.field for conflict in refused.value.conflicts] == [".data.b", ".data.a"]

    def test_without_force_nothing_is_taken_over(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("GET", f"{CONFIG_MAPS}/x", live(config_map(a="1")))
        api.on("PATCH", f"{CONFIG_MAPS}/x", live(config_map(a="2")))
        apply_plan(client, plan_objects(client, [config_map(a="2")]))
        assert [request.query["force"] for request in api.requests if request.method == "PATCH"] == ["false", "false"]

    def test_force_is_handed_on(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("GET", f"{CONFIG_MAPS}/x", live(config_map(a="1")))
        api.on("PATCH", f"{CONFIG_MAPS}/x", live(config_map(a="2")))
        plan = plan_objects(client, [config_map(a="2")], force=True)
        apply_plan(client, plan, force=True)
        assert [request.query["force"] for request in api.requests if request.method == "PATCH"] == ["true", "true"]

    def test_objects_to_be_created_only(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("GET", f"{CONFIG_MAPS}/there", live(config_map("there", a="of old")))
        api.on("POST", CONFIG_MAPS, Answer(201, live(config_map("new"))))
        wanted = [config_map("there"), config_map("new")]
        plan = plan_objects(client, wanted, create_only={identity(item) for item in wanted})
        assert plan.summary() == ["create v1 ConfigMap ns/new"]
        apply_plan(client, plan)
        assert [request.method for request in api.requests] == ["GET", "GET", "POST"]

    def test_other_failures_are_failures(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("PATCH", f"{CONFIG_MAPS}/x", failure(403, "Forbidden", "no"))
        with pytest.raises(ApiError, match="forbidden"):
            plan_objects(client, [config_map()])

    @pytest.mark.parametrize(
        ("wanted", "options", "text"),
        [
            ([config_map(), config_map()], {}, "v1 ConfigMap ns/x is wanted twice"),
            ([manifest("ConfigMap", namespace="")], {}, "v1 ConfigMap x needs a namespace"),
            ([], {"prune_kinds": PRUNED}, "labels of its own"),
            ([], {"prune_kinds": PRUNED, "owner": OURS}, "labels of its own"),
            ([], {"prune_kinds": PRUNED, "owner": {"app.kubernetes.io/instance": ""}}, "labels of its own"),
        ],
    )
    def test_mistakes_of_ours(
        self, api: ScriptedApi, client: KubernetesClient, wanted: list[Manifest], options: Any, text: str
    ) -> None:
        with pytest.raises(ValueError, match=text):
            plan_objects(client, wanted, **options)
        assert api.requests == []


class TestPrune:
    def test_what_is_ours_and_not_wanted_is_deleted(self, api: ScriptedApi, client: KubernetesClient) -> None:
        serve(api, config_map("wanted"))
        items = [
            live(config_map("wanted")),
            live(config_map("old")),
            live(config_map("kept")),
            live(config_map("going"), deletionTimestamp="2026-01-01T00:00:00Z"),
        ]
        api.on("GET", CONFIG_MAPS, {"items": items})
        plan = plan_objects(
            client,
            [config_map("wanted")],
            owner=OWNER,
            owner_namespace="ns",
            prune_kinds=PRUNED,
            keep=lambda item: item["metadata"]["name"] == "kept",
        )
        assert plan.summary() == ["delete v1 ConfigMap ns/old"]
        api.on("DELETE", f"{CONFIG_MAPS}/old", {})
        apply_plan(client, plan)
        assert api.requests[-1].body["preconditions"] == {"uid": "uid-old"}

    def test_removal_shows_no_secret(self, api: ScriptedApi, client: KubernetesClient) -> None:
        secret = live(manifest("Secret", "s3", data={"key": "c3dvcmRmaXNo"}))
        api.on("GET", "/api/v1/namespaces/ns/secrets", {"items": [secret]})
        plan = plan_removal(client, OWNER, "ns", [("v1", "Secret"), ("v1", "ConfigMap")])
        assert plan.summary() == ["delete v1 Secret ns/s3"]
        assert "c3dvcmRmaXNo" not in str(plan.result())
        assert {request.query["labelSelector"] for request in api.requests} == {SELECTOR}


class TestRemovalInProgress:
    def test_a_new_object_waits_for_the_old_one_to_go(self, api: ScriptedApi, client: KubernetesClient) -> None:
        path = f"{CONFIG_MAPS}/x"
        going = live(config_map(), deletionTimestamp="2026-01-01T00:00:00Z")
        api.on("GET", path, going)
        api.on("PATCH", path, live(config_map()))
        plan = plan_objects(client, [config_map()])
        assert plan.summary() == ["create v1 ConfigMap ns/x"]
        api.requests.clear()
        api.on("GET", path, going, NOT_FOUND)
        apply_plan(client, plan)
        assert [request.method for request in api.requests] == ["GET", "GET", "PATCH"]

    def test_one_that_does_not_go_is_named(
        self, api: ScriptedApi, client: KubernetesClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reconcile, "_GONE_TIMEOUT", 0.0)
        api.on("GET", f"{CONFIG_MAPS}/x", live(config_map(), finalizers=["example.com/hold"]))
        plan = Plan((Change("create", "ConfigMap", "x", "ns", api_version="v1", after_removal=True),))
        with pytest.raises(NotReadyError, match=r"example\.com/hold.*see its finalizers"):
            apply_plan(client, plan)
        assert writes(api) == []

    def test_in_a_namespace_that_goes_everything_is_new(self, api: ScriptedApi, client: KubernetesClient) -> None:
        going = live(manifest("Namespace", "ns", namespace=""), deletionTimestamp="2026-01-01T00:00:00Z")
        api.on("GET", NAMESPACE, going)
        api.on("PATCH", NAMESPACE, going)
        api.on(
            "PATCH",
            f"{CONFIG_MAPS}/x",
            failure(403, "Forbidden", "being terminated", {"reason": "NamespaceTerminating"}),
        )
        plan = plan_objects(client, [manifest("Namespace", "ns", namespace=""), config_map()])
        assert plan.summary() == ["create v1 ConfigMap ns/x", "create v1 Namespace ns"]
        assert {change.kind: change.after_removal for change in plan.changes} == {"Namespace": True, "ConfigMap": False}


class TestNamespace:
    def namespace(self, **labels: str) -> Manifest:
        wanted = manifest("Namespace", "ns", namespace="")
        wanted["metadata"]["labels"] = {**OURS, "app.kubernetes.io/part-of": "scs-observability", **labels}
        return wanted

    @pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/managed-by": "Helm"}])
    def test_one_of_somebody_else_does_not_become_ours(
        self, api: ScriptedApi, client: KubernetesClient, labels: dict[str, str]
    ) -> None:
        theirs = live(manifest("Namespace", "ns", namespace=""), labels=labels)
        api.on("GET", NAMESPACE, theirs)
        api.on("PATCH", NAMESPACE, theirs)
        plan_objects(client, [self.namespace(team="a")])
        sent = [request.body["metadata"]["labels"] for request in api.requests if request.method == "PATCH"]
        assert sent == [{"team": "a"}]

    def test_our_own_stays_ours(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("GET", NAMESPACE, live(self.namespace()))
        api.on("PATCH", NAMESPACE, live(self.namespace()))
        assert not plan_objects(client, [self.namespace()]).changed
        assert api.requests[-1].body == self.namespace()

    def test_one_that_is_only_to_be_created(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("GET", NAMESPACE, live(self.namespace(team="a")))
        assert not plan_objects(client, [self.namespace()], create_only=[identity(self.namespace())]).changed
        assert api.asked("PATCH") == []


class TestApply:
    def change(self, action: Any, kind: str, api_version: str = "v1", namespace: str = "ns", **more: Any) -> Change:
        return Change(
            action,
            kind,
            "x",
            namespace,
            api_version=api_version,
            manifest=manifest(kind, "x", api_version, namespace),
            **more,
        )

    def test_what_others_need_comes_first_and_goes_last(self, api: ScriptedApi, client: KubernetesClient) -> None:
        paths = {
            "StatefulSet": ("apps/v1", "/apis/apps/v1/namespaces/ns/statefulsets/x"),
            "Service": ("v1", "/api/v1/namespaces/ns/services/x"),
            "Secret": ("v1", "/api/v1/namespaces/ns/secrets/x"),
            "ClusterRoleBinding": (
                "rbac.authorization.k8s.io/v1",
                "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/x",
            ),
            "ClusterRole": ("rbac.authorization.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1/clusterroles/x"),
            "Namespace": ("v1", "/api/v1/namespaces/x"),
        }
        for _api_version, path in paths.values():
            api.on("PATCH", path, {})
            api.on("DELETE", path, {})
        for action in ("create", "delete"):
            changes = [self.change(action, kind, api_version) for kind, (api_version, _path) in paths.items()]
            apply_plan(client, Plan(tuple(changes)))
        order = [path for _api_version, path in paths.values()]
        assert [path for method, path in writes(api) if method == "PATCH"] == order[::-1]
        assert [path for method, path in writes(api) if method == "DELETE"] == order

    def test_what_is_new_is_there_before_what_is_old_goes(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("PATCH", "/api/v1/namespaces/ns/secrets/x", {})
        api.on("DELETE", f"{CONFIG_MAPS}/x", {})
        apply_plan(client, Plan((self.change("delete", "ConfigMap"), self.change("update", "Secret"))))
        assert [method for method, _path in writes(api)] == ["PATCH", "DELETE"]

    def test_objects_of_a_new_kind_wait_until_it_is_served(self, api: ScriptedApi, client: KubernetesClient) -> None:
        definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x"
        cluster = "/apis/observability.scs.community/v1alpha1/kaasclusters/x"
        established = {"conditions": [{"type": "Established", "status": "True"}]}
        known = manifest("CustomResourceDefinition", "x", "apiextensions.k8s.io/v1", "")
        api.on("PATCH", definition, known)
        api.on("GET", definition, known, known | {"status": established})
        api.on("PATCH", cluster, Answer(404, b"404 page not found"), known)
        changes = (
            self.change("create", "KaaSCluster", "observability.scs.community/v1alpha1", ""),
            self.change("create", "CustomResourceDefinition", "apiextensions.k8s.io/v1", ""),
        )
        apply_plan(client, Plan(changes))
        assert [(request.method, request.path) for request in api.requests] == [
            ("PATCH", definition),
            ("GET", definition),
            ("GET", definition),
            ("PATCH", cluster),
            ("PATCH", cluster),
        ]

    def test_without_a_new_kind_what_is_missing_is_missing(self, api: ScriptedApi, client: KubernetesClient) -> None:
        with pytest.raises(ApiError) as refused:
            apply_plan(client, Plan((self.change("create", "ConfigMap"),)))
        assert refused.value.status == 404
        assert len(api.requests) == 1

    def test_a_failure_ends_it(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("PATCH", "/api/v1/namespaces/ns/secrets/x", failure(422, "Invalid", "bad"))
        changes = (
            self.change("update", "Secret"),
            self.change("update", "Service"),
            self.change("delete", "ConfigMap"),
        )
        with pytest.raises(ApiError, match="secrets ns/x"):
            apply_plan(client, Plan(changes))
        assert [path for _method, path in writes(api)] == ["/api/v1/namespaces/ns/secrets/x"]

    def test_what_somebody_else_deleted_is_gone(self, api: ScriptedApi, client: KubernetesClient) -> None:
        apply_plan(client, Plan((self.change("delete", "ConfigMap"),)))
        assert writes(api) == [("DELETE", f"{CONFIG_MAPS}/x")]


class TestNamespaceRemoval:
    KINDS = (
        ("v1", "ConfigMap", "configmaps"),
        ("v1", "Secret", "secrets"),
        ("v1", "ServiceAccount", "serviceaccounts"),
        ("v1", "Pod", "pods"),
        ("v1", "Event", "events"),
        ("apps/v1", "StatefulSet", "statefulsets"),
    )

    @pytest.fixture
    def ours(self, api: ScriptedApi) -> ScriptedApi:
        api.on("GET", NAMESPACE, live(manifest("Namespace", "ns", namespace=""), labels=OURS))
        groups: dict[str, list[Manifest]] = {"": [], "apps": []}
        for api_version, kind, plural in self.KINDS:
            groups[api_version.rpartition("/")[0]].append(
                {
                    "resource": plural,
                    "responseKind": {"kind": kind},
                    "scope": "Namespaced",
                    "verbs": ["delete", "get", "list"],
                }
            )
        for path, name in (("/api", ""), ("/apis", "apps")):
            version = {"version": "v1", "resources": groups[name]}
            api.on("GET", path, {"items": [{"metadata": {"name": name}, "versions": [version]}]})
        self.hold(api, "configmaps", {"name": "kube-root-ca.crt"})
        self.hold(api, "serviceaccounts", {"name": "default"})
        return api

    def hold(self, api: ScriptedApi, plural: str, *metadata: Manifest, group: str = "/api/v1") -> None:
        api.on("GET", f"{group}/namespaces/ns/{plural}", {"items": [{"metadata": item} for item in metadata]})

    @pytest.mark.parametrize(
        ("plural", "metadata"),
        [
            ("configmaps", {"name": "openshift-service-ca.crt"}),
            ("secrets", {"name": "s3"}),
            (
                "secrets",
                {"name": "default-token-x", "annotations": {"kubernetes.io/service-account.name": "default"}},
            ),
            ("pods", {"name": "receive-0", "deletionTimestamp": "2026-01-01T00:00:00Z"}),
            (
                "pods",
                {
                    "name": "receive-0",
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "controller": True}],
                },
            ),
            ("events", {"name": "receive-0.17a"}),
        ],
    )
    def test_what_may_go_with_it(
        self, ours: ScriptedApi, client: KubernetesClient, plural: str, metadata: Manifest
    ) -> None:
        self.hold(ours, plural, metadata)
        plan = plan_namespace_removal(client, "ns", [ObjectKey("v1", "Secret", "ns", "s3")])
        assert plan.summary() == ["delete v1 Namespace ns"]
        assert ("/api/v1/namespaces/ns/events" in ours.asked("GET")) is False

    @pytest.mark.parametrize(
        ("plural", "metadata"),
        [
            ("configmaps", {"name": "settings"}),
            ("secrets", {"name": "default"}),
            ("secrets", {"name": "robot-token", "annotations": {"kubernetes.io/service-account.name": "robot"}}),
            ("serviceaccounts", {"name": "s3"}),
            ("pods", {"name": "by-hand"}),
            (
                "pods",
                {"name": "x", "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "controller": True}]},
            ),
            (
                "pods",
                {"name": "x", "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet"}]},
            ),
        ],
    )
    def test_what_keeps_it(self, ours: ScriptedApi, client: KubernetesClient, plural: str, metadata: Manifest) -> None:
        self.hold(ours, plural, metadata)
        removed = [ObjectKey("v1", "Secret", "ns", "s3"), ObjectKey("v1", "Pod", "other", "by-hand")]
        assert not plan_namespace_removal(client, "ns", removed).changed
        assert plan_namespace_removal(client, "ns", removed, disposable=lambda item: True).changed

    def test_where_we_must_not_look_nothing_is_removed(self, ours: ScriptedApi, client: KubernetesClient) -> None:
        ours.on("GET", "/api/v1/namespaces/ns/secrets", failure(403, "Forbidden", "no"))
        assert not plan_namespace_removal(client, "ns", []).changed

    def test_another_failure_is_one(self, ours: ScriptedApi, client: KubernetesClient) -> None:
        ours.on("GET", "/api/v1/namespaces/ns/secrets", failure(401, "Unauthorized", "no"))
        with pytest.raises(ApiError):
            plan_namespace_removal(client, "ns", [])

    @pytest.mark.parametrize(
        "answer",
        [
            NOT_FOUND,
            Answer(body=live(manifest("Namespace", "ns", namespace=""), labels={"team": "a"})),
            Answer(
                body=live(
                    manifest("Namespace", "ns", namespace=""), labels=OURS, deletionTimestamp="2026-01-01T00:00:00Z"
                )
            ),
        ],
    )
    def test_one_that_is_not_ours_or_goes_anyway(
        self, api: ScriptedApi, client: KubernetesClient, answer: Answer
    ) -> None:
        api.on("GET", NAMESPACE, answer)
        assert not plan_namespace_removal(client, "ns", []).changed
        assert len(api.requests) == 1
