# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of the observer, on a real API server and a real S3 server: what check mode says is what happens, and
what must not happen to a bucket."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes
import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from tests.integration.api_server import ApiServer, running_cluster
from tests.integration.check_mode import (
    Cluster,
    Result,
    apart_from_keys,
    assert_honest,
    assert_untouched,
    differences,
    documents,
    look,
)
from tests.integration.processes import prometheus_operator_bundle
from tests.integration.s3_server import S3Server
from tests.pki import authority, make

RBAC = "rbac.authorization.k8s.io/v1"
CHECKOUT = Path(__file__).resolve().parents[3]
CALLBACKS = CHECKOUT / "tests" / "integration" / "ansible_callbacks"


class Run(NamedTuple):
    """``told`` is what each call of a module returned, with the task's name."""

    succeeded: bool
    output: str
    told: list[Result]


Playbook = Callable[..., Run]


@pytest.fixture(scope="module")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One that no other test uses: definitions of the Prometheus Operator are for all namespaces."""
    with running_cluster(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="module")
def admin(api_server: ApiServer) -> KubernetesClient:
    return api_server.client()


@pytest.fixture(scope="module")
def collections() -> Path:
    tree = subprocess.run(
        [sys.executable, CHECKOUT / "dev" / "collection_tree.py"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return Path(tree).parents[2]


@pytest.fixture
def playbook(collections: Path, api_server: ApiServer, s3: S3Server, new_namespace: str, tmp_path: Path) -> Playbook:
    """Run the playbook for an observer in a namespace, with this test's bucket; ``others`` are in its inventory."""
    kubeconfig = str(api_server.kubeconfig())
    told = tmp_path / "told"
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "told",
        "TOLD": str(told),
    }

    def call(namespace: str, *arguments: str, others: dict[str, Any] | None = None, **variables: Any) -> Run:
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "observer_kubeconfig": kubeconfig,
            "observer_namespace": namespace,
            "observer_bucket_name": new_namespace,
            "observer_bucket_endpoint": s3.url,
            "observer_bucket_ca": s3.ca.read_text(),
            "observer_bucket_access_key": s3.owner.access_key,
            "observer_bucket_secret_key": s3.owner.secret_key,
            # There is no kubelet, so no pod ever runs.
            "observer_wait": False,
            "observer_prometheus_operator_bundle": str(prometheus_operator_bundle()),
            **variables,
        }
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"observer": {"hosts": {"observer-1": given, **(others or {})}}}))
        told.write_text("")
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                "-i",
                inventory,
                "scs.observability.observer",
                *arguments,
            ],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert s3.owner.secret_key not in done.stdout
        return Run(done.returncode == 0, done.stdout, [json.loads(line) for line in told.read_text().splitlines()])

    return call


@pytest.fixture
def namespaces(admin: KubernetesClient, new_namespace: str) -> tuple[str, str]:
    """Two that somebody else made, as nobody here empties one that is to go."""
    names = (f"{new_namespace}-a", f"{new_namespace}-b")
    for name in names:
        admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return names


class Site(NamedTuple):
    """Where the playbook works: a namespace and a bucket of the same name."""

    admin: KubernetesClient
    other: kubernetes.client.ApiClient
    s3: S3Server
    name: str

    def look(self) -> Cluster:
        return look(self.admin, self.name)

    def bucket(self) -> list[tuple[str, str]] | None:
        return self.s3.content(self.name) if self.name in self.s3.buckets() else None


@pytest.fixture
def site(admin: KubernetesClient, other: kubernetes.client.ApiClient, s3: S3Server, new_namespace: str) -> Site:
    return Site(admin, other, s3, new_namespace)


def together(run: Run) -> Result:
    """The changes of all tasks, with their names, and their diffs.

    In check mode each task tells of the namespace and of an authority, where it needs one, that it would make it if it
    is not there yet. In the real run the first of them does.
    """
    told = [result for result in run.told if result.get("changed")]
    made: set[str] = set()
    changes = []
    for result in told:
        changes += [(result["task"], change) for change in result["changes"] if change not in made]
        made.update(change for change in result["changes"] if change.startswith("create "))
    diff = {which: "".join(result["diff"][which] for result in told) for which in ("before", "after")}
    return {"tasks": changes, "changes": sorted(change for _task, change in changes), "diff": diff}


def announced(playbook: Playbook, site: Site, before: Cluster, **variables: Any) -> Result:
    """What check mode tells, which must change nothing."""
    bucket = site.bucket()
    run = playbook(site.name, "--check", "--diff", **variables)
    assert run.succeeded, run.output
    assert_untouched(before, site.look())
    assert site.bucket() == bucket
    return together(run)


def run_as_announced(playbook: Playbook, site: Site, **variables: Any) -> list[str]:
    """Check mode, then the real run, which must do just that; return what it did."""
    before = site.look()
    said = announced(playbook, site, before, **variables)
    run = playbook(site.name, "--diff", **variables)
    assert run.succeeded, run.output
    done = together(run)
    assert said["tasks"] == done["tasks"]
    assert_honest({**done, "changed": bool(done["changes"])}, before, site.look())
    for which in ("before", "after"):
        shown, wanted = (documents(apart_from_keys(result)["diff"][which]) for result in (said, done))
        assert [title for title in {**shown, **wanted} if shown.get(title) != wanted.get(title)] == []
    return list(done["changes"])


def test_check_mode_says_what_happens_and_an_observer_goes_when_its_store_is_gone(
    playbook: Playbook, site: Site
) -> None:
    """First in this file, as there must be nothing of an observer in the cluster, nor definitions that it makes."""
    own = authority("agents")
    given = {"observer_tenants_certificate": own.pem, "observer_tenants_private_key": own.key_pem}
    created = run_as_announced(playbook, site, **given)
    secrets = site.admin.list("v1", "Secret", site.name, "app.kubernetes.io/name=authority")
    assert own.pem in [secret_text(secret, "tls.crt") for secret in secrets]

    current = site.look()
    assert announced(playbook, site, current, **given)["changes"] == []

    repairs = drift(site)
    assert run_as_announced(playbook, site, **given) == sorted(repairs)
    repaired = site.look()
    assert differences(current, repaired) == []

    # What goes with the last of an observer is not told in check mode, as all the rest is still there.
    with_the_last = re.compile(
        r"v1 Namespace |v1 Secret .*/scs-observability-authority|.*observability[.]scs[.]community"
    )
    titles = [change.removeprefix("create ") for change in created]
    purge = announced(playbook, site, repaired, observer_state="absent", observer_purge=True)
    assert purge["changes"] == sorted(f"delete {title}" for title in titles if not with_the_last.match(title))

    removed = playbook(site.name, observer_state="absent", observer_bucket_endpoint="https://s3.invalid")
    assert removed.succeeded, removed.output
    assert [site.admin.list("apps/v1", kind, site.name) for kind in ("Deployment", "StatefulSet")] == [[], []]


def drift(site: Site) -> list[str]:
    """Have somebody take away, change and leave objects of every module that makes some; return what repairs that."""
    name, core = site.name, kubernetes.client.CoreV1Api(site.other)
    apps, custom = kubernetes.client.AppsV1Api(site.other), kubernetes.client.CustomObjectsApi(site.other)
    labels = core.read_namespaced_service_account("thanos-store", name).metadata.labels
    core.create_namespaced_config_map(name, {"metadata": {"name": "left-over", "labels": labels}})
    for kind in (
        ("v1", "ServiceAccount", "prometheus-operator"),
        ("v1", "ConfigMap", "remote-write-gateway-configuration"),
        ("networking.k8s.io/v1", "NetworkPolicy", "thanos-query"),
    ):
        assert site.admin.delete(*kind, name), kind
    limits = [{"op": "remove", "path": "/spec/template/spec/containers/0/resources"}]
    apps.patch_namespaced_stateful_set("thanos-receive", name, limits)
    label = [{"op": "remove", "path": "/metadata/labels/app.kubernetes.io~1part-of"}]
    core.patch_namespaced_secret("scs-observability-authority-tenants", name, label)
    retention = {"spec": {"retention": None}}
    custom.patch_namespaced_custom_object("monitoring.coreos.com", "v1", name, "prometheuses", "observer", retention)
    ((_kind, claim),) = site.s3.content(name)
    site.s3.witness.delete_object(Bucket=name, Key=claim)
    return [
        f"create S3 CompactorClaim {name}",
        f"create networking.k8s.io/v1 NetworkPolicy {name}/thanos-query",
        f"create v1 ConfigMap {name}/remote-write-gateway-configuration",
        f"create v1 ServiceAccount {name}/prometheus-operator",
        f"delete v1 ConfigMap {name}/left-over",
        f"update apps/v1 StatefulSet {name}/thanos-receive",
        f"update monitoring.coreos.com/v1 Prometheus {name}/observer",
        f"update v1 Secret {name}/scs-observability-authority-tenants",
    ]


def versions(admin: KubernetesClient, namespace: str) -> dict[str, str]:
    """Everything of a namespace but what the API server puts into each, and when it last changed."""
    kinds = {
        **dict.fromkeys(("Secret", "ConfigMap", "Service", "ServiceAccount"), "v1"),
        "Role": RBAC,
        "RoleBinding": RBAC,
    }
    kinds |= dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet"), "apps/v1")
    found = [item for kind, version in kinds.items() for item in admin.list(version, kind, namespace)]
    return {
        f"{item['kind']} {item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for item in found
        if item["metadata"]["name"] not in ("default", "kube-root-ca.crt")
    }


def test_neither_a_second_observer_nor_a_slip_in_a_name_writes_into_the_bucket_of_the_first_or_deletes_it(
    playbook: Playbook, admin: KubernetesClient, s3: S3Server, new_namespace: str, namespaces: tuple[str, str]
) -> None:
    first, second = namespaces
    assert playbook(first).succeeded
    s3.put_block(new_namespace)
    before = s3.content(new_namespace)

    refused = playbook(second, observer_force=True)
    assert not refused.succeeded
    assert "observer_compact_take_over_bucket: " in refused.output
    assert f"{first}/thanos-compact" in refused.output
    assert versions(admin, second) == {}

    # What runs is in the way, too.
    there = versions(admin, first)
    frontend = {"address": f"thanos-query-frontend.{first}.svc:10901"}
    worse = playbook(
        first, observer_thanos_image="quay.io/thanos/thanos:v0.1.0", observer_query_external_endpoints=[frontend]
    )
    assert not worse.succeeded
    assert "observer_thanos_image: quay.io/thanos/thanos:v0.1.0 is older than" in worse.output
    assert "observer_query_endpoints: components ask one another in a circle: thanos-query ->" in worse.output
    assert there == versions(admin, first)

    # A removal with a slip in a name is one of something else.
    away = {"observer_state": "absent", "observer_purge": True}
    cluster = look(admin, first)
    for slip, meant in (("observer_namspace", "observer_namespace"), ("observer_pruge", "observer_purge")):
        wrong = playbook(first, **away, **{slip: "true"})
        assert not wrong.succeeded
        assert f"{slip}: there is no such variable. Did you mean {meant}?" in wrong.output
    assert_untouched(cluster, look(admin, first))
    assert s3.content(new_namespace) == before

    purged = playbook(second, **away, observer_force=True)
    assert not purged.succeeded
    assert "force_claimed" in purged.output
    assert s3.content(new_namespace) == before

    gone = playbook(first, **away)
    assert gone.succeeded, gone.output
    assert "WARNING" not in gone.output
    assert new_namespace not in s3.buckets()


def test_a_certificate_of_the_gateway_that_does_not_fit_is_found_before_anything_is_touched(
    playbook: Playbook, admin: KubernetesClient, s3: S3Server, new_namespace: str
) -> None:
    own = make("gateway", names=["other.example.org"])
    refused = playbook(
        f"{new_namespace}-a",
        observer_gateway_hostnames=["metrics.example.org"],
        observer_gateway_certificate=own.pem,
        observer_gateway_private_key=own.key_pem,
    )
    assert not refused.succeeded
    assert "metrics.example.org" in refused.output
    assert new_namespace not in s3.buckets()
    assert admin.get("v1", "Namespace", f"{new_namespace}-a") is None


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_everything_that_stands_in_the_way_is_told_at_once(
    playbook: Playbook, site: Site, tmp_path: Path, arguments: list[str]
) -> None:
    own = tmp_path / "own" / "scrape_configs"
    own.mkdir(parents=True)
    (own / "site.yml").write_text("staticConfig: []")
    secret = "not-the-secret-key-of-this-store"
    other = make("gateway", names=["other.example.org"])
    refused = playbook(
        f"{site.name}-a",
        *arguments,
        "-vvv",
        "--limit",
        "observer-1",
        others={"observer-2": {"observer_bucket_name": site.name, "observer_bucket_endpoint": site.s3.url}},
        observer_bucket_secret_key=secret,
        observer_storage_class="fast",
        observer_receive_resources={"requests": {"memory": "1Ti"}},
        observer_query_replica=2,
        # What the role makes is no name for an operator.
        observer_profiles={"small": {}},
        observer_extra_directory=str(own.parent),
        observer_web_enabled=True,
        observer_web_hostnames={"grafana": "grafana.example.org"},
        observer_web_gateway_api={"parent_refs": [{"name": "public"}]},
        observer_gateway_certificate=other.pem,
        observer_gateway_private_key=other.key_pem,
        observer_gateway_hostnames=["metrics.example.org"],
    )
    assert not refused.succeeded
    for words in (
        "observer_query_replica: there is no such variable. Did you mean observer_query_replicas?",
        "observer_profiles: there is no such variable. Did you mean observer_profile?",
        "observer_web_gateway_api: is wanted, and the cluster does not know HTTPRoute",
        "storage_class: there is no storage class fast. There are: standard",
        "receive asks for more than any single node has free",
        "bucket.secret_key: could not list the objects",
        "scrape_configs/site.yml: 'staticConfig' is not known; did you mean staticConfigs?",
        "observer_bucket_name: observer-1, observer-2 all work on the bucket",
        # Of the gateway's certificate
        "metrics.example.org",
    ):
        assert words in refused.output
    assert secret not in refused.output
    assert site.admin.get("v1", "Namespace", f"{site.name}-a") is None
