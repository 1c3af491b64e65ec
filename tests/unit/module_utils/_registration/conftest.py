# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clusters in memory, and a Thanos that has samples as soon as there is an agent."""

from __future__ import annotations

import itertools
import json
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import AlreadyExists, ApiError, InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    ObjectKey,
    identity,
    resource_of,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    agent,
    kaas_cluster,
    remote_write_clients,
    workload,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.collection_profile import JOBS
from ansible_collections.scs.observability.plugins.module_utils._registration import (
    offboarding,
    onboarding,
    overview,
)

T = TypeVar("T")
Manifest = dict[str, Any]
# Inside of a class with a method "list" these have no other name.
Manifests = list[Manifest]
Kinds = list[tuple[str, str, str]]
Results = list[T]

_READY = {
    "Deployment": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
    "DaemonSet": {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1},
}
WRITES = ("apply", "apply_status", "create", "merge", "delete")
_ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}


def copied(item: T) -> T:
    """A deep copy of plain data, several times as fast as copy.deepcopy."""
    result: T = pickle.loads(pickle.dumps(item))
    return result


def _merge(into: Manifest, patch: Mapping[str, Any]) -> None:
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, Mapping):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


class Cluster:
    """What the code under test uses of an API server: one field manager, no validation, everything ready at once.
    What a write rests on (uid, resourceVersion) is looked at.

    ``written`` lists what was really written, in order: (verb, kind, name).
    """

    def __init__(self, host: str, uid: str) -> None:
        self.host = host
        self.objects: dict[ObjectKey, Manifest] = {}
        self.written: list[tuple[str, str, str]] = []
        self.phases: list[str] = []
        self.thanos: Thanos | None = None
        # The status of every answer, None for no answer at all.
        self.failure: int | str | None = "none"
        self._numbers = itertools.count(1)
        for name in ("kube-system", "default"):
            self._store({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": uid}})

    def kinds(self) -> set[str]:
        return {key.kind for key in self.objects}

    # What a KubernetesClient has

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        self._reach()
        return copied(self.objects.get(self._key(api_version, kind, namespace, name)))

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Manifests:
        self._reach()
        if " in (" in label_selector:  # optional jobs, of which these clusters have none
            return []
        wanted = dict(item.split("=") for item in label_selector.split(",") if "=" in item)
        return [
            copied(item)
            for key, item in sorted(self.objects.items())
            if key[:2] == (api_version, kind)
            and namespace in ("", key.namespace)
            and wanted.items() <= (item["metadata"].get("labels") or {}).items()
        ]

    def list_metadata(self, api_version: str, kind: str, plural: str, namespace: str) -> Manifests:
        return self.list(api_version, kind, namespace)

    def namespaced_kinds(self) -> Kinds:
        kinds = sorted({key[:2] for key in self.objects if key.namespace})
        return [(api_version, kind, resource_of(api_version, kind).plural) for api_version, kind in kinds]

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = False, force: bool = False) -> Manifest:
        self._reach()
        key = identity(manifest)
        self._must_exist(key)
        live = self.objects.get(key)
        self._must_be_as_seen(manifest, live)
        result = copied(dict(manifest))
        if key.kind == "Pod" and live is not None:
            # Made by a controller, so what is applied to it comes on top.
            result = {**live, "metadata": {**live["metadata"], **result["metadata"]}}
        elif live is not None:
            kept = {name: value for name, value in live["metadata"].items() if name not in ("labels", "annotations")}
            result["metadata"] = {**result["metadata"], **kept}
            if "status" in live:
                result["status"] = live["status"]
        if dry_run:
            return result
        self.written.append(("apply", key.kind, key.name))
        if key.kind == "KaaSCluster":
            self.phases.append(result["spec"]["phase"])
        # What changes nothing makes no new version.
        return copied(live if result == live else self._store(result))

    def apply_status(self, manifest: Mapping[str, Any], *, dry_run: bool = False, force: bool = False) -> Manifest:
        key = identity(manifest)
        if key not in self.objects:
            raise ApiError(self.host, "patch", str(key), 404, "not found")
        self._must_be_as_seen(manifest, self.objects[key])
        self.written.append(("apply_status", key.kind, key.name))
        if self.objects[key].get("status") != manifest["status"]:
            self.objects[key]["status"] = copied(manifest["status"])
            self.touch(self.objects[key])
        return copied(self.objects[key])

    def merge(self, manifest: Mapping[str, Any], *, strategic: bool = False) -> Manifest | None:
        key = identity(manifest)
        live = self.objects.get(key)
        if live is None:
            return None
        self._must_be_as_seen(manifest, live)
        self.written.append(("merge", key.kind, key.name))
        _merge(live, manifest)
        self.touch(live)
        return copied(live)

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Manifest:
        key = identity(manifest)
        if dry_run:
            return dict(manifest)
        self._must_exist(key)
        if key in self.objects:
            raise AlreadyExists(self.host, "create", str(key), 409, "already exists")
        self.written.append(("create", key.kind, key.name))
        return self._store(copied(dict(manifest)))

    def delete(self, api_version: str, kind: str, name: str, namespace: str = "", *, uid: str | None = None) -> bool:
        key = self._key(api_version, kind, namespace, name)
        live = self.objects.get(key)
        if live is not None and uid is not None:
            self._must_be_as_seen({"metadata": {"uid": uid}}, live)
        self.written.append(("delete", kind, name))
        self.objects.pop(key, None)
        if kind == "Namespace":
            self.objects = {other: item for other, item in self.objects.items() if other.namespace != name}
        if kind == "Deployment":
            pod = self._key("v1", "Pod", namespace, f"{name}-0")
            self.objects.pop(pod, None)
        return live is not None

    def logs(self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False) -> str:
        return ""

    def pod_get(self, namespace: str, pod: str, port: int, path: str, query: Mapping[str, str] | None = None) -> bytes:
        raise ApiError(self.host, "get", f"pods/proxy {namespace}/{pod}", 503, "nothing listens there")

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        if self.thanos is None:
            raise ApiError(self.host, "get", f"services/proxy {namespace}/{service}", 404, "not found")
        return self.thanos.answer((query or {})["query"])

    def parallel(self, calls: Sequence[Callable[[], T]]) -> Results[T]:
        return [call() for call in calls]

    # Behind the scenes

    def touch(self, item: Manifest) -> None:
        """Somebody wrote the object: whoever looked before has an old version of it."""
        item["metadata"]["resourceVersion"] = str(next(self._numbers))

    def _reach(self) -> None:
        if self.failure != "none":
            status = None if self.failure is None else int(self.failure)
            raise ApiError(self.host, "get", "namespaces", status, "it does not work", parameter="kubeconfig")

    @staticmethod
    def _key(api_version: str, kind: str, namespace: str, name: str) -> ObjectKey:
        return ObjectKey(api_version, kind, namespace if resource_of(api_version, kind).namespaced else "", name)

    def _must_be_as_seen(self, manifest: Mapping[str, Any], live: Manifest | None) -> None:
        """What the API server demands where a write says on which object, or which state of it, it rests."""
        for precondition in ("uid", "resourceVersion"):
            expected = manifest["metadata"].get(precondition)
            if expected and expected != (live or {"metadata": {}})["metadata"].get(precondition):
                raise ApiError(self.host, "patch", str(manifest["metadata"]), 409, "the object has been modified")

    def _must_exist(self, key: ObjectKey) -> None:
        definition = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "")
        missing_kind = key.kind == "KaaSCluster" and not any(item[:2] == definition[:2] for item in self.objects)
        missing_namespace = key.namespace and ObjectKey("v1", "Namespace", "", key.namespace) not in self.objects
        if missing_kind or missing_namespace:
            raise ApiError(self.host, "patch", str(key), 404, "not found")

    def _store(self, manifest: Manifest) -> Manifest:
        key = identity(manifest)
        metadata = manifest["metadata"]
        metadata.setdefault("uid", f"uid-{next(self._numbers)}")
        metadata.setdefault("creationTimestamp", "2026-02-01T10:00:00Z")
        if key.kind in _READY:
            manifest["status"] = dict(_READY[key.kind])
        if key.kind == "CustomResourceDefinition":
            manifest["status"] = dict(_ESTABLISHED)
        self.touch(manifest)
        self.objects[key] = manifest
        if key.kind == "Deployment":
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{key.name}-0",
                    "namespace": key.namespace,
                    "labels": dict(manifest["spec"]["template"]["metadata"]["labels"]),
                },
            }
            self.objects[identity(pod)] = pod
        return manifest


class Thanos:
    """Has samples of ``cluster``, of all jobs, as new as the question, as long as its agent is deployed."""

    def __init__(self, kaas: Cluster, cluster: str) -> None:
        self.kaas = kaas
        self.cluster = cluster
        self.missing: set[str] = set()
        self.asked: list[str] = []

    def answer(self, expression: str) -> bytes:
        self.asked.append(expression)
        now = time.time()
        if expression == "time()":
            return self._document("scalar", [now, str(now)])
        running = any(key.kind == "Deployment" and key.name == agent.NAME for key in self.kaas.objects)
        jobs = [job for job in JOBS if job not in self.missing] if running else []
        if expression.startswith("sum"):
            rows = [({"cluster": self.cluster}, 100.0 * len(jobs))] if jobs else []
        elif expression.startswith("max by (cluster, job)"):
            rows = [({"cluster": self.cluster, "job": job}, now) for job in jobs]
        elif expression.startswith("max by (cluster)"):
            rows = [({"cluster": self.cluster}, now - 3600)]
        else:
            rows = [({}, now)] if jobs else []
        return self._document("vector", [{"metric": labels, "value": [now, str(value)]} for labels, value in rows])

    @staticmethod
    def _document(kind: str, result: object) -> bytes:
        return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


OBSERVER_UID = "aaaaaaaa-0000-4000-8000-000000000000"
OTHER_OBSERVER_UID = "abababab-0000-4000-8000-000000000000"
KAAS_UID = "bbbbbbbb-0000-4000-8000-000000000000"
RECORD = ObjectKey(kaas_cluster.API_VERSION, kaas_cluster.KIND, "", "alpha")
SECRET = ObjectKey("v1", "Secret", "scs-observability", agent.IDENTITY_SECRET)
CLIENTS = ObjectKey("v1", "ConfigMap", "scs-observability", remote_write_clients.NAME)


class Lab:
    """An observer with query-frontend and one KaaS cluster, and the parameters that lead to them."""

    def __init__(self) -> None:
        self.observer = Cluster("https://observer:6443", OBSERVER_UID)
        self.other_observer = Cluster("https://other-observer:6443", OTHER_OBSERVER_UID)
        self.kaas = Cluster("https://kaas:6443", KAAS_UID)
        self.thanos = self.observer.thanos = self.other_observer.thanos = Thanos(self.kaas, "alpha")

    def client(self, params: Mapping[str, Any], prefix: str = "") -> Cluster:
        """Stands in for KubernetesClient.from_parameters: a kubeconfig is the name of a cluster."""
        where = params.get(f"{prefix}kubeconfig")
        clusters = {"observer": self.observer, "other observer": self.other_observer, "kaas": self.kaas}
        if where not in clusters:
            raise InputError(f"{where!r} does not exist", parameter=f"{prefix}kubeconfig")
        return clusters[where]

    @staticmethod
    def params(**changes: Any) -> dict[str, Any]:
        return {
            "name": "alpha",
            "kubeconfig": "kaas",
            "observer_kubeconfig": "observer",
            "remote_write_url": "https://gateway:30443/api/v1/receive",
            "sla_classes": ["gold", "silver"],
            # Here all is ready at once, or never.
            "wait_timeout": 1,
            "proof_timeout": 1,
            **changes,
        }

    def forget(self) -> None:
        """Look only at what is written from now on."""
        for cluster in (self.observer, self.other_observer, self.kaas):
            cluster.written.clear()
            cluster.phases.clear()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name in ("K8S_AUTH_KUBECONFIG", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    result = Lab()
    monkeypatch.setattr(onboarding, "ADMITTED_SECONDS", 0.0)
    for module in (onboarding, offboarding, overview):
        monkeypatch.setattr(module.KubernetesClient, "from_parameters", result.client)
    return result


@pytest.fixture
def gateway(lab: Lab) -> Callable[[], str | None]:
    """Whom the gateway lets in, as its module makes it: nobody yet. Gives the part of the cluster alpha."""
    lab.observer.apply(workload.namespace("scs-observability"))
    lab.observer.apply(remote_write_clients.config_map("scs-observability", {}, []))
    lab.forget()
    return lambda: lab.observer.objects[CLIENTS]["data"].get("alpha")
