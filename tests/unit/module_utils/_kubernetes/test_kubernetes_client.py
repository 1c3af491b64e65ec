# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    AlreadyExists,
    ApiError,
    ConflictError,
    FieldConflict,
    ImmutableError,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import Connection

from .conftest import HANG_UP, Answer, ScriptedApi, failure

STATEFUL_SET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "receive", "namespace": "ns"}}
STATEFUL_SET_PATH = "/apis/apps/v1/namespaces/ns/statefulsets/receive"
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3", "namespace": "ns"}, "data": {"k": "djE="}}


class TestRequests:
    def test_get(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("GET", STATEFUL_SET_PATH, STATEFUL_SET)
        api.on("GET", "/api/v1/namespaces/ns", {"kind": "Namespace"})
        assert client.get("apps/v1", "StatefulSet", "receive", "ns") == STATEFUL_SET
        assert client.get("v1", "Namespace", "ns", "ignored") == {"kind": "Namespace"}
        assert client.get("v1", "Secret", "missing", "ns") is None

    def test_an_object_of_a_namespace_needs_one(self, client: KubernetesClient) -> None:
        with pytest.raises(ValueError, match="v1 Secret s3 needs a namespace"):
            client.get("v1", "Secret", "s3")

    def test_names_cannot_leave_their_place_in_the_path(self, api: ScriptedApi, client: KubernetesClient) -> None:
        assert client.get("v1", "Secret", "../../x?y", "a/b") is None
        assert api.requests[0].path == "/api/v1/namespaces/a%2Fb/secrets/..%2F..%2Fx%3Fy"

    def test_list_goes_on_until_the_last_page(self, api: ScriptedApi, client: KubernetesClient) -> None:
        pages = [
            Answer(body={"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "next"}}),
            Answer(body={"items": [{"metadata": {"name": "b"}}], "metadata": {}}),
        ]
        api.on("GET", "/api/v1/secrets", *pages)
        found = client.list("v1", "Secret", label_selector="a=b,c", field_selector="type=Opaque")
        assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in found] == [
            ("Secret", "v1", "a"),
            ("Secret", "v1", "b"),
        ]
        selectors = {"labelSelector": "a=b,c", "fieldSelector": "type=Opaque", "limit": "500"}
        assert [request.query for request in api.requests] == [selectors, {**selectors, "continue": "next"}]

    def test_a_kind_that_the_server_does_not_have_has_no_objects(self, client: KubernetesClient) -> None:
        assert client.list("observability.scs.community/v1alpha1", "KaaSCluster") == []

    def test_apply(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("PATCH", STATEFUL_SET_PATH, STATEFUL_SET)
        api.on("PATCH", f"{STATEFUL_SET_PATH}/status", STATEFUL_SET)
        client.apply(STATEFUL_SET)
        client.apply(STATEFUL_SET, dry_run=True, force=True)
        client.apply_status(STATEFUL_SET)
        manager = {"fieldManager": "scs.observability"}
        assert [request.query for request in api.requests] == [
            {**manager, "force": "false"},
            {**manager, "force": "true", "dryRun": "All"},
            {**manager, "force": "false"},
        ]
        assert {request.headers["content-type"] for request in api.requests} == {"application/apply-patch+yaml"}
        assert api.requests[0].body == STATEFUL_SET

    def test_create(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("POST", "/api/v1/namespaces/ns/secrets", Answer(201, SECRET))
        assert client.create(SECRET, dry_run=True) == SECRET
        assert api.requests[0].query == {"fieldManager": "scs.observability", "dryRun": "All"}

    def test_a_creation_whose_answer_is_lost_is_not_repeated(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("POST", "/api/v1/namespaces/ns/secrets", HANG_UP, Answer(201, SECRET))
        with pytest.raises(ApiError, match="it cannot be reached"):
            client.create(SECRET)
        assert len(api.requests) == 1

    def test_delete(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("DELETE", STATEFUL_SET_PATH, {"kind": "Status"})
        assert client.delete("apps/v1", "StatefulSet", "receive", "ns", uid="c0ffee")
        assert api.requests[0].body["propagationPolicy"] == "Background"
        assert api.requests[0].body["preconditions"] == {"uid": "c0ffee"}
        assert client.delete("apps/v1", "StatefulSet", "missing", "ns") is False
        assert "preconditions" not in api.requests[1].body

    def test_logs(self, api: ScriptedApi, client: KubernetesClient) -> None:
        path = "/api/v1/namespaces/ns/pods/receive-0/log"
        api.on("GET", path, Answer(body="level=error\nü\xff".encode("latin-1")), failure(400, "BadRequest", "waiting"))
        assert client.logs("receive-0", "ns", "receive", 5, previous=True).startswith("level=error\n")
        assert api.requests[0].query == {"container": "receive", "tailLines": "5", "previous": "true"}
        assert client.logs("receive-0", "ns") == ""
        assert client.logs("gone", "ns") == ""
        api.on("GET", path, failure(403, "Forbidden", "no"))
        with pytest.raises(ApiError, match="pods/log ns/receive-0"):
            client.logs("receive-0", "ns")

    def test_a_service_behind_the_proxy(self, api: ScriptedApi, client: KubernetesClient, pauses: list[float]) -> None:
        base = "/api/v1/namespaces/ns/services/https:query:http/proxy"
        api.on("GET", f"{base}/api/v1/query", Answer(body=b'{"status":"success"}'))
        answer = client.service_get("ns", "https:query", "http", "/api/v1/query", {"query": 'up{job="a b"}'})
        assert answer == b'{"status":"success"}'
        assert api.requests[0].query == {"query": 'up{job="a b"}'}

        bad_query = {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"}
        api.on("GET", f"{base}/api/v1/query", Answer(400, bad_query), Answer(503, b"no healthy upstream"))
        with pytest.raises(ApiError, match="parse error: unexpected end") as refused:
            client.service_get("ns", "https:query", "http", "api/v1/query")
        assert refused.value.status == 400
        with pytest.raises(ApiError, match="no healthy upstream"):
            client.service_get("ns", "https:query", "http", "api/v1/query")
        assert pauses == []

    def test_a_pod_behind_the_proxy(self, api: ScriptedApi, client: KubernetesClient, pauses: list[float]) -> None:
        path = "/api/v1/namespaces/ns/pods/query-0:10902/proxy/metrics"
        api.on("GET", path, Answer(body=b"up 1\n"), Answer(503, b"connection refused"))
        assert client.pod_get("ns", "query-0", 10902, "/metrics", {"scope": "global"}) == b"up 1\n"
        assert api.requests[0].query == {"scope": "global"}
        with pytest.raises(ApiError, match="connection refused") as refused:
            client.pod_get("ns", "query-0", 10902, "/metrics")
        assert refused.value.resource == "pods/proxy ns/query-0:10902"
        assert pauses == []

    def test_what_a_namespace_can_hold(self, api: ScriptedApi, client: KubernetesClient) -> None:
        def resource(name: str, kind: str, scope: str = "Namespaced", verbs: str = "list delete") -> dict[str, Any]:
            return {"resource": name, "responseKind": {"kind": kind}, "scope": scope, "verbs": verbs.split()}

        core = [
            resource("secrets", "Secret"),
            resource("nodes", "Node", "Cluster"),
            resource("bindings", "Binding", verbs="create"),
        ]
        groups = [
            {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [resource("jobs", "Job")]}]},
            {
                "metadata": {"name": "example.com"},
                "versions": [
                    {"version": "v2", "resources": [resource("gadgets", "Gadget")]},
                    {"version": "v1", "resources": [resource("gadgets", "Gadget")]},
                ],
            },
        ]
        api.on("GET", "/api", {"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": core}]}]})
        api.on("GET", "/apis", {"items": groups})
        assert client.namespaced_kinds() == [
            ("v1", "Secret", "secrets"),
            ("apps/v1", "Job", "jobs"),
            ("example.com/v2", "Gadget", "gadgets"),
        ]
        api.on("GET", "/apis/example.com/v2/namespaces/ns/gadgets", {"items": [{"metadata": {"name": "g"}}]})
        found = client.list_metadata("example.com/v2", "Gadget", "gadgets", "ns")
        assert found == [{"apiVersion": "example.com/v2", "kind": "Gadget", "metadata": {"name": "g"}}]
        assert "PartialObjectMetadataList" in api.requests[-1].headers["accept"]
        assert client.list_metadata("v1", "Secret", "secrets", "ns") == []


class TestFailures:
    def refused(self, api: ScriptedApi, client: KubernetesClient, answer: Answer) -> ApiError:
        api.on("PATCH", STATEFUL_SET_PATH, answer)
        with pytest.raises(ApiError) as refused:
            client.apply(STATEFUL_SET)
        error = refused.value
        assert (error.host, error.resource) == (api.url, "statefulsets.apps ns/receive")
        return error

    @pytest.mark.parametrize(
        ("message", "missing"),
        [
            (
                'statefulsets.apps "receive" is forbidden: User "bob" cannot create resource "statefulsets" in API '
                'group "apps" in the namespace "ns"',
                'user "bob" is forbidden: needs verb create on statefulsets.apps in namespace ns',
            ),
            (
                'namespaces is forbidden: User "bob" cannot create resource "namespaces" in API group "" at the '
                "cluster scope",
                'user "bob" is forbidden: needs verb create on namespaces in the whole cluster',
            ),
            (
                'x is forbidden: User "bob" cannot create resource "deployments/scale" in API group "apps" in the '
                'namespace "ns"',
                "needs verb create on deployments.apps/scale in namespace ns",
            ),
        ],
    )
    def test_forbidden(self, api: ScriptedApi, client: KubernetesClient, message: str, missing: str) -> None:
        error = self.refused(api, client, failure(403, "Forbidden", message))
        assert missing in str(error)
        assert (error.verb, error.parameter, error.status) == ("create", "kubeconfig", 403)

    def test_forbidden_by_something_else_than_access_control(self, api: ScriptedApi, client: KubernetesClient) -> None:
        error = self.refused(api, client, failure(403, "Forbidden", "exceeded quota: pods=10"))
        assert "forbidden: exceeded quota: pods=10" in str(error)
        assert error.verb == "patch"

    def test_credentials_that_are_not_accepted(self, api: ScriptedApi, client: KubernetesClient) -> None:
        error = self.refused(api, client, failure(401, "Unauthorized", "Unauthorized"))
        assert str(error) == (
            f"kubeconfig: {api.url} did not patch statefulsets.apps ns/receive (401): "
            "it does not accept the credentials. They may have expired (context test)"
        )

    def test_unreachable(self, api: ScriptedApi, client: KubernetesClient) -> None:
        error = self.refused(api, client, HANG_UP)
        assert error.status is None
        assert "it cannot be reached: the connection was closed" in str(error)
        assert error.parameter == "kubeconfig"

    def test_something_that_is_no_api_server(self, api: ScriptedApi, client: KubernetesClient) -> None:
        error = self.refused(api, client, Answer(200, b"<html>Welcome</html>"))
        assert "the answer is not a Kubernetes object" in str(error)
        error = self.refused(api, client, Answer(404, b"<html>\n  Not here</html>"))
        assert "(404): <html> Not here</html>" in str(error)
        error = self.refused(api, client, Answer(418, b""))
        assert "I'm a Teapot" in str(error)

    def test_a_conflict(self, api: ScriptedApi, client: KubernetesClient) -> None:
        answer = failure(
            409,
            "Conflict",
            "Apply failed with 2 conflicts",
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "kubectl-edit" using apps/v1',
                "field": ".spec.replicas",
            },
            {"reason": "FieldManagerConflict", "message": "conflict with somebody", "field": ".spec.x"},
        )
        api.on("PATCH", STATEFUL_SET_PATH, answer)
        with pytest.raises(ConflictError) as refused:
            client.apply(STATEFUL_SET)
        assert refused.value.conflicts == (
            FieldConflict("statefulsets.apps ns/receive", "kubectl-edit", ".spec.replicas"),
            FieldConflict("statefulsets.apps ns/receive", "conflict with somebody", ".spec.x"),
        )

    def test_another_conflict_is_an_error_of_the_api(self, api: ScriptedApi, client: KubernetesClient) -> None:
        error = self.refused(api, client, failure(409, "Conflict", "the object has been modified"))
        assert error.__class__ is ApiError

    def test_already_there(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("POST", "/api/v1/namespaces/ns/secrets", failure(409, "AlreadyExists", 'secrets "s3" already exists'))
        with pytest.raises(AlreadyExists, match="already exists"):
            client.create(SECRET)

    @pytest.mark.parametrize(
        "message",
        [
            'StatefulSet.apps "receive" is invalid: spec: Forbidden: updates to statefulset spec for fields other than '
            "'replicas', 'ordinals', 'template' are forbidden",
            'Deployment.apps "query" is invalid: spec.selector: Invalid value: {}: field is immutable',
            'ClusterRoleBinding "x" is invalid: roleRef: Invalid value: {}: cannot change roleRef',
            'Service "x" is invalid: spec.clusterIPs[0]: Invalid value: []: may not change once set',
        ],
    )
    def test_what_cannot_be_changed(self, api: ScriptedApi, client: KubernetesClient, message: str) -> None:
        error = self.refused(api, client, failure(422, "Invalid", message))
        assert isinstance(error, ImmutableError)
        assert "remove the object" in str(error)

    def test_what_is_invalid(self, api: ScriptedApi, client: KubernetesClient) -> None:
        cause = {"reason": "FieldValueInvalid", "field": "spec.replicas"}
        error = self.refused(api, client, failure(422, "Invalid", "spec.replicas: must be positive", cause))
        assert error.__class__ is ApiError
        assert error.causes == ("FieldValueInvalid",)

    @pytest.mark.parametrize(
        ("answer", "text", "kind"),
        [
            (
                failure(
                    422, "Invalid", "data[k]: swordfish is bad", {"reason": "FieldValueInvalid", "field": "data[k]"}
                ),
                "Invalid: data[k] (FieldValueInvalid)",
                ApiError,
            ),
            (failure(400, "BadRequest", "cannot parse swordfish"), "BadRequest", ApiError),
            (failure(422, "Invalid", "type: swordfish: field is immutable"), "field is immutable", ImmutableError),
        ],
    )
    def test_a_secret_is_not_quoted(
        self, api: ScriptedApi, client: KubernetesClient, answer: Answer, text: str, kind: type[ApiError]
    ) -> None:
        api.on("PATCH", "/api/v1/namespaces/ns/secrets/s3", answer)
        with pytest.raises(kind) as refused:
            client.apply(SECRET)
        assert text in str(refused.value)
        assert "swordfish" not in str(refused.value.result())

    def test_the_parameter_is_that_of_the_cluster(self, api: ScriptedApi) -> None:
        client = KubernetesClient(Connection(api.url, "observer_kubeconfig"), sleep=lambda _: None)
        api.on("GET", "/api/v1/nodes", failure(401, "Unauthorized", "Unauthorized"))
        with pytest.raises(ApiError, match=r"^observer_kubeconfig: "):
            client.list("v1", "Node")
        client.close()


class TestParallel:
    def test_results_come_in_order(self, client: KubernetesClient) -> None:
        assert client.parallel([]) == []
        assert client.parallel([lambda: 1]) == [1]
        assert client.parallel([lambda n=n: n * n for n in range(20)]) == [n * n for n in range(20)]  # type: ignore[misc]

    def test_calls_run_at_the_same_time(self, client: KubernetesClient) -> None:
        meeting = threading.Barrier(2, timeout=5)
        assert sorted(client.parallel([meeting.wait, meeting.wait])) == [0, 1]

    def test_of_several_errors_the_first_calls_is_raised(self, client: KubernetesClient) -> None:
        def fail(name: str) -> None:
            raise LookupError(name)

        with pytest.raises(LookupError, match="first"):
            client.parallel([lambda: None, lambda: fail("first"), lambda: fail("second")])

    def test_calls_within_calls_do_not_wait_for_each_other(self, client: KubernetesClient) -> None:
        def inner() -> list[int]:
            return client.parallel([lambda: 1, lambda: 2])

        assert client.parallel([inner] * 20) == [[1, 2]] * 20

    def test_connections_are_shared(self, api: ScriptedApi, client: KubernetesClient) -> None:
        api.on("GET", STATEFUL_SET_PATH, STATEFUL_SET)
        calls = [lambda: client.get("apps/v1", "StatefulSet", "receive", "ns")] * 40
        assert client.parallel(calls) == [STATEFUL_SET] * 40
        assert len({request.connection for request in api.requests}) <= 4

    def test_a_closed_client_can_be_used_on(self, api: ScriptedApi, client: KubernetesClient) -> None:
        assert client.parallel([lambda: 1, lambda: 2]) == [1, 2]
        client.close()
        assert client.parallel([lambda: 1, lambda: 2]) == [1, 2]
