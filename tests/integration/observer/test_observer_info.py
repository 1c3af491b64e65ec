# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What observer_info tells of a real observer, from the API server to metrics. The tests build on one another."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ApiError
from ansible_collections.scs.observability.plugins.module_utils._manifests import images, kaas_cluster
from tests.integration.observer.conftest import CLUSTER, Site
from tests.integration.thanos.conftest import NAMESPACE
from tests.integration.thanos.pods import wait_for

RBAC = "rbac.authorization.k8s.io/v1"
# What the documentation of observer_info says it needs.
CLUSTERS = [("", "services/proxy", "get")]
COMPONENTS = [
    *CLUSTERS,
    ("apps", "deployments", "list"),
    ("apps", "statefulsets", "list"),
    ("apps", "daemonsets", "list"),
    ("", "services", "list"),
    ("", "pods", "list"),
    ("", "pods/proxy", "get"),
]
CERTIFICATES = [*COMPONENTS, ("", "secrets", "list")]
# An endpoint is asked every five seconds, and may take as long.
NOTICED = 30.0


def allow(site: Site, user: str, rights: list[tuple[str, str, str]]) -> str:
    """Let a user list registrations, and do that in the observer's namespace."""
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    wide = [{"apiGroups": [kaas_cluster.GROUP], "resources": ["kaasclusters", "iaasprometheuses"], "verbs": ["list"]}]
    here = [{"apiGroups": [group], "resources": [resource], "verbs": [verb]} for group, resource, verb in rights]
    for kind, rules, metadata in (
        ("ClusterRole", wide, {"name": user}),
        ("Role", here, {"name": user, "namespace": NAMESPACE}),
    ):
        site.admin.apply({"apiVersion": RBAC, "kind": kind, "metadata": metadata, "rules": rules})
        reference = {"kind": kind, "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"kind": f"{kind}Binding", "metadata": metadata, "roleRef": reference, "subjects": subjects}
        site.admin.apply({"apiVersion": RBAC, **binding})
    return user


def by_name(result: dict[str, Any]) -> dict[str, Any]:
    """The components that have a workload."""
    return {row["name"]: row for row in result["components"] if row["image"]}


def test_an_observer_that_works(site: Site) -> None:
    result = wait_for(lambda: healthy(site), NOTICED, "query sees both endpoints")
    assert (result["problems"], result["warnings"], result["changed"]) == ([], [], False)
    found = by_name(result)
    assert {name: row["component"] for name, row in found.items()} == {
        "remote-write-gateway": "remote_write_gateway",
        "thanos-query": "query",
        "thanos-query-frontend": "query_frontend",
        "thanos-receive": "receive",
        "thanos-store": "store",
    }
    version = images.THANOS.rpartition(":v")[2]
    assert {row["version"] for name, row in found.items() if name.startswith("thanos-")} == {version}
    assert found["remote-write-gateway"]["version"]
    assert {row["image"] for row in found.values()} == {images.THANOS, images.HAPROXY}
    assert all(row["replicas"] == {"wanted": 1, "ready": 1} for row in found.values())
    assert {row["error"] for row in found.values()} == {None}


def healthy(site: Site) -> dict[str, Any] | None:
    result = site.look()
    return result if result["healthy"] else None


def test_the_bucket_is_told_as_the_components_see_it(site: Site) -> None:
    (bucket,) = [row for row in site.look()["components"] if row["component"] == "bucket"]
    assert (bucket["state"], bucket["figures"]["requests_failed"]) == ("ok", 0)
    assert bucket["figures"]["requests"] > 0


def test_the_cluster_is_told_beside_them(site: Site) -> None:
    (cluster,) = site.look()["registrations"]
    assert (cluster["name"], cluster["state"]) == (CLUSTER, "ok")


def test_endpoints_tell_what_they_have(site: Site) -> None:
    endpoints = {item["type"]: item for item in site.component("thanos-query")["endpoints"]}
    assert set(endpoints) == {"receive", "store"}
    assert {"cluster": CLUSTER, "receive_replica": "thanos-receive-0"} in endpoints["receive"]["label_sets"]
    assert endpoints["receive"]["min_time"] is not None
    assert (endpoints["store"]["min_time"], endpoints["store"]["error"]) == (None, None), "an empty bucket"


def test_certificates_are_those_of_the_modules(site: Site) -> None:
    found = by_name(site.look())
    assert {name: [item["secret"] for item in row["certificates"]] for name, row in found.items()} == {
        "remote-write-gateway": ["remote-write-gateway-client", "remote-write-gateway-server"],
        "thanos-query": ["thanos-query-tls"],
        "thanos-query-frontend": [],
        "thanos-receive": ["thanos-receive-tls"],
        "thanos-store": ["thanos-store-tls"],
    }
    certificates = [item for row in found.values() for item in row["certificates"]]
    assert all(item["renew_after"] < item["expires"] for item in certificates)


def test_nothing_but_the_documented_rights_is_needed(site: Site) -> None:
    result = site.look(allow(site, "everything", CERTIFICATES))
    assert (result["healthy"], result["warnings"]) == (True, [])

    result = site.look(allow(site, "no-secrets", COMPONENTS))
    assert result["healthy"] is True
    assert {str(row["certificates"]) for row in by_name(result).values()} == {"None"}
    (warning,) = result["warnings"]
    assert "needs verb list on secrets" in warning

    user = allow(site, "clusters", CLUSTERS)
    assert site.look(user, components=False)["healthy"] is True
    with pytest.raises(ApiError, match=r"needs verb list on deployments\.apps"):
        site.look(user)


def test_a_right_that_is_missing_is_named(site: Site) -> None:
    rights = [right for right in CERTIFICATES if right[1] != "pods/proxy"]
    result = site.look(allow(site, "no-proxy", rights))
    assert {row["state"] for row in by_name(result).values()} == {"unknown"}
    assert all("needs verb get on pods/proxy" in problem for problem in result["problems"])
    assert len(result["problems"]) == 5


def test_a_store_that_does_not_answer_is_told_by_itself_and_by_query(site: Site) -> None:
    site.running.store.stop()
    query = wait_for(lambda: failing(site), NOTICED, "query misses the store gateway")
    (endpoint,) = [item for item in query["endpoints"] if item["error"]]
    assert endpoint["type"] == "store"
    assert query["reason"] == f"endpoint {endpoint['name']} (store): {endpoint['error']}"
    store = site.component("thanos-store")
    assert (store["state"], store["version"]) == ("unknown", None)
    assert store["error"].startswith("thanos-store-0: ")


def failing(site: Site) -> dict[str, Any] | None:
    query = site.component("thanos-query")
    return query if query["state"] == "failing" else None


def test_once_it_is_not_ready_there_is_a_diagnosis(site: Site) -> None:
    site.count("thanos-store", ready=0)
    crashed = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    fixed = {"name": "thanos", "image": images.THANOS, "imageID": "", "ready": False, "restartCount": 5}
    site.admin.apply_status(
        {
            **{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "thanos-store-0", "namespace": NAMESPACE}},
            "status": {
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [{**fixed, "state": crashed}],
            },
        },
        force=True,
    )
    result = site.look()
    store = by_name(result)["thanos-store"]
    assert (store["state"], store["replicas"]) == ("unready", {"wanted": 1, "ready": 0})
    assert store["reason"] == ("0 of 1 replicas are ready (thanos-store-0: CrashLoopBackOff: back-off 40s; 5 restarts)")
    assert "pod thanos-store-0 (Running)" in store["diagnosis"]
    assert f"component thanos-store: {store['reason']}\n{store['diagnosis']}" in result["problems"]


def test_a_query_path_that_is_away_hides_nothing(site: Site) -> None:
    site.running.query_frontend.stop()
    result = site.look()
    assert result["healthy"] is False
    (cluster,) = result["registrations"]
    assert (cluster["state"], cluster["healthy"]) == ("unknown", False)
    assert by_name(result)["thanos-receive"]["state"] == "ok"
    assert [text for text in result["problems"] if "did not answer a query" in text]
