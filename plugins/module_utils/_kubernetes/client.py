# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests that this collection makes to a Kubernetes API server, and what their failures mean."""

from __future__ import annotations

import builtins
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import responses
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from ansible_collections.scs.observability.plugins.module_utils._core.clocks import clock_skew
from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    AlreadyExists,
    ApiError,
    ConflictError,
    FieldConflict,
    ImmutableError,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    FIELD_MANAGER,
    Manifest,
    identity,
    resource_of,
)
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.transport import (
    Response,
    Transport,
    Unreachable,
)

T = TypeVar("T")

# More do not help: an API server answers these requests in milliseconds, and every connection costs a handshake.
WORKERS = 4
# Of many threads that share a client, so many ask at once.
CONNECTIONS = 16
PAGE = 500

_JSON = ("Content-Type", "application/json")
_APPLY = ("Content-Type", "application/apply-patch+yaml")
_MERGE = ("Content-Type", "application/merge-patch+json")
_STRATEGIC_MERGE = ("Content-Type", "application/strategic-merge-patch+json")
_ACCEPT_METADATA = ("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json")
_ACCEPT_DISCOVERY = ("Accept", "application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2")

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_IMMUTABLE = re.compile(
    r"field is immutable|updates to \w+ spec for fields other than|cannot change roleRef|is immutable after|"
    r"may not change once set|spec is immutable"
)
_CONFLICT_MANAGER = re.compile(r'conflict with "(?P<manager>[^"]*)"')


class ServerVersion(NamedTuple):
    """What an API server says of itself; its clock is None when it does not tell the time."""

    version: str
    clock_skew_seconds: int | None
    """By how much its clock is ahead of this machine's."""


class KubernetesClient:
    """One API server. May be used by several threads; keeps its connections."""

    def __init__(
        self,
        connection: Connection,
        *,
        workers: int = WORKERS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.host = connection.server
        self.namespace = connection.namespace
        self._connection = connection
        self._transport = Transport(connection, sleep=sleep)
        self._workers = workers
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._slots = threading.BoundedSemaphore(CONNECTIONS)

    @classmethod
    def from_parameters(cls, params: Mapping[str, Any], prefix: str = "") -> KubernetesClient:
        """Return a client for <prefix>kubeconfig, <prefix>kubeconfig_content and <prefix>context."""
        return cls(Connection.from_parameters(params, prefix))

    def close(self) -> None:
        """Close connections and end threads; the client can be used on."""
        with self._lock:
            if self._executor is not None:
                self._executor.shutdown()
                self._executor = None
        self._transport.close()

    # Objects

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """Return an object, or None when it, its namespace or its kind is not there."""
        request = _Request("get", _described(api_version, kind, namespace, name))
        response = self._send(request, "GET", _path(api_version, kind, namespace, name))
        return None if response.status == 404 else self._object(request, response)

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> builtins.list[Manifest]:
        """Return the objects of a kind in a namespace (or in all), empty when the API server does not have the kind."""
        items = self._list(
            _path(api_version, kind, namespace),
            _described(api_version, kind, namespace),
            {"labelSelector": label_selector, "fieldSelector": field_selector},
        )
        return [{**item, "apiVersion": api_version, "kind": kind} for item in items]

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = False, force: bool = False) -> Manifest:
        """Apply a manifest (server-side apply as "scs.observability") and return the object.

        Raises ConflictError when another manager owns a field that differs, unless ``force``; ImmutableError when the
        object there cannot be changed that way.
        """
        return self._apply(manifest, "", dry_run, force)

    def apply_status(self, manifest: Mapping[str, Any], *, dry_run: bool = False, force: bool = False) -> Manifest:
        """Apply the status of an object that is there; what else the manifest has is of no effect."""
        return self._apply(manifest, "/status", dry_run, force)

    def merge(self, manifest: Mapping[str, Any], *, strategic: bool = False) -> Manifest | None:
        """Write just what the manifest has into an object, whoever wrote it before; None removes a key.

        Return the object, or None when it is not there. ``strategic`` merges lists by the names of their elements,
        where the API server itself has the kind.
        """
        key = identity(manifest)
        request = _Request("patch", _described(*key))
        path = _path(key.api_version, key.kind, key.namespace, key.name)
        query = {"fieldManager": FIELD_MANAGER}
        header = _STRATEGIC_MERGE if strategic else _MERGE
        response = self._send(request, "PATCH", path, query, headers=[header], body=manifest)
        return None if response.status == 404 else self._object(request, response)

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Manifest:
        """Create an object; raises AlreadyExists when there is one of that name."""
        key = identity(manifest)
        query = {"fieldManager": FIELD_MANAGER, **_dry_run(dry_run)}
        path = _path(key.api_version, key.kind, key.namespace)
        request = _Request("create", _described(*key))
        return self._object(
            request, self._send(request, "POST", path, query, headers=[_JSON], body=manifest, idempotent=False)
        )

    def delete(self, api_version: str, kind: str, name: str, namespace: str = "", *, uid: str | None = None) -> bool:
        """Delete an object and, in the background, what depends on it. Return False when it was not there.

        With ``uid`` only that very object, not a later one of the same name.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        request = _Request("delete", _described(api_version, kind, namespace, name))
        response = self._send(
            request, "DELETE", _path(api_version, kind, namespace, name), headers=[_JSON], body=options
        )
        if response.status == 404:
            return False
        self._object(request, response)
        return True

    def logs(self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False) -> str:
        """Return the last log lines of a container; empty when there are none (yet)."""
        query = {"container": container, "tailLines": str(tail_lines), "previous": "true" if previous else ""}
        request = _Request("get", f"pods/log {namespace}/{pod}")
        response = self._send(request, "GET", f"{_path('v1', 'Pod', namespace, pod)}/log", query)
        if response.status in (400, 404):  # not started, or gone
            return ""
        if response.status != 200:
            self._fail(request, response)
        return response.body.decode(errors="replace")

    def service_get(
        self, namespace: str, service: str, port: str | int, path: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        """Return what a service in the cluster answers to a GET, through the API server's proxy.

        ``service`` is a name, or "https:name" for a service with TLS; ``port`` a name or number.
        """
        return self._proxied("Service", namespace, f"{service}:{port}", path, query)

    def pod_get(self, namespace: str, pod: str, port: int, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return what one pod answers to a GET, through the API server's proxy, which knows ports by number only."""
        return self._proxied("Pod", namespace, f"{pod}:{port}", path, query)

    def _proxied(self, kind: str, namespace: str, name: str, path: str, query: Mapping[str, str] | None) -> bytes:
        target = f"{_path('v1', kind, namespace, name)}/proxy/{quote(path.lstrip('/'))}"
        request = _Request("get", f"{resource_of('v1', kind).plural}/proxy {namespace}/{name}")
        response = self._send(request, "GET", target, query or {}, retry_status=False)
        if response.status != 200:
            self._fail(request, response)
        return response.body

    # What the API server has

    def serves(self, api_version: str, kind: str) -> bool:
        """Tell whether the API server has a kind of a group. Everybody may ask that."""
        path = f"/apis/{api_version}"
        request = _Request("get", path)
        response = self._send(request, "GET", path)
        if response.status == 404:
            return False
        return any(resource["kind"] == kind for resource in self._object(request, response).get("resources") or [])

    def version(self) -> ServerVersion:
        """Return the API server's version and what its clock says. Everybody may ask that."""
        request = _Request("get", "/version")
        started = time.time()
        response = self._send(request, "GET", "/version")
        skew = clock_skew(response.headers.get("date"), started, time.time())
        return ServerVersion(str(self._object(request, response).get("gitVersion") or ""), skew)

    def may(self, verb: str, resource: str, namespace: str = "") -> bool:
        """Tell whether this user may do that, in a namespace or (without one) in the whole cluster.

        ``resource`` is as errors name it, for example "statefulsets.apps" or "pods/log"; "*.*" is every resource.
        """
        name, _ignored, group = resource.partition(".")
        plural, _ignored, subresource = name.partition("/")
        attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
        api_version = "authorization.k8s.io/v1"
        review = {
            "apiVersion": api_version,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, "namespace": namespace}},
        }
        request = _Request("create", "selfsubjectaccessreviews.authorization.k8s.io")
        path = f"/apis/{api_version}/selfsubjectaccessreviews"
        answer = self._object(request, self._send(request, "POST", path, headers=[_JSON], body=review))
        return bool((answer.get("status") or {}).get("allowed"))

    # What else a namespace holds

    def namespaced_kinds(self) -> builtins.list[tuple[str, str, str]]:
        """Return (apiVersion, kind, plural) of everything in namespaces that can be listed and deleted."""

        def discover(path: str) -> Manifest:
            request = _Request("get", path)
            return self._object(request, self._send(request, "GET", path, headers=[_ACCEPT_DISCOVERY]))

        kinds = []
        for document in self.parallel([partial(discover, "/api"), partial(discover, "/apis")]):
            for group in document.get("items") or []:
                group_name = group["metadata"].get("name", "")
                # The first version is the preferred one; others show the same objects.
                version = group["versions"][0]
                api_version = f"{group_name}/{version['version']}" if group_name else version["version"]
                kinds += [
                    (api_version, resource["responseKind"]["kind"], resource["resource"])
                    for resource in version.get("resources") or []
                    if resource["scope"] == "Namespaced" and {"list", "delete"} <= set(resource["verbs"])
                ]
        return kinds

    def list_metadata(self, api_version: str, kind: str, plural: str, namespace: str) -> builtins.list[Manifest]:
        """Return the objects of any kind in a namespace (or in all) with their metadata only."""
        base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        group = api_version.rpartition("/")[0]
        described = f"{plural}.{group}" if group else plural
        items = self._list(
            f"{base}/namespaces/{quote(namespace)}/{plural}" if namespace else f"{base}/{plural}",
            f"{described} in namespace {namespace}" if namespace else described,
            {},
            [_ACCEPT_METADATA],
        )
        return [{**item, "apiVersion": api_version, "kind": kind} for item in items]

    # Several requests at once

    def parallel(self, calls: Sequence[Callable[[], T]]) -> builtins.list[T]:
        """Make calls in a few threads, return their results in order; of several errors the first call's is raised.

        A call may do the same again; then its calls are made one after the other, as all threads may be busy.
        """
        if len(calls) < 2 or self._workers == 1 or getattr(self._thread, "is_ours", False):
            return [call() for call in calls]
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._workers, initializer=self._mark_thread)
            futures = [self._executor.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _mark_thread(self) -> None:
        self._thread.is_ours = True

    # Requests

    def _apply(self, manifest: Mapping[str, Any], subresource: str, dry_run: bool, force: bool) -> Manifest:
        key = identity(manifest)
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false", **_dry_run(dry_run)}
        path = _path(key.api_version, key.kind, key.namespace, key.name) + subresource
        request = _Request("patch", _described(*key))
        return self._object(request, self._send(request, "PATCH", path, query, headers=[_APPLY], body=manifest))

    def _list(
        self, path: str, described: str, query: Mapping[str, str], headers: Sequence[tuple[str, str]] = ()
    ) -> builtins.list[Manifest]:
        request = _Request("list", described)
        items: list[Manifest] = []
        more = ""
        while True:
            response = self._send(
                request, "GET", path, {**query, "limit": str(PAGE), "continue": more}, headers=headers
            )
            if response.status == 404:
                return []
            page = self._object(request, response)
            items += page.get("items") or []
            more = page.get("metadata", {}).get("continue") or ""
            if not more:
                return items

    def _send(
        self,
        request: _Request,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        idempotent: bool = True,
        retry_status: bool = True,
    ) -> Response:
        given = {name: value for name, value in (query or {}).items() if value}
        target = f"{path}?{urlencode(given)}" if given else path
        data = json.dumps(body).encode() if body is not None else None
        try:
            with self._slots:
                return self._transport.request(
                    method, target, headers=headers, body=data, idempotent=idempotent, retry_status=retry_status
                )
        except Unreachable as error:
            raise ApiError(
                self.host,
                request.verb,
                request.resource,
                None,
                f"it cannot be reached: {error}",
                parameter=self._connection.parameter,
                advice=self._advice("Check the server's address and authority"),
            ) from error

    def _object(self, request: _Request, response: Response) -> Manifest:
        if response.status >= 300:
            self._fail(request, response)
        try:
            result = json.loads(response.body)
        except ValueError:
            result = None
        if not isinstance(result, dict):
            raise ApiError(
                self.host,
                request.verb,
                request.resource,
                response.status,
                "the answer is not a Kubernetes object",
                parameter=self._connection.parameter,
                advice=self._advice("Check the server's address"),
            )
        return result

    def _fail(self, request: _Request, response: Response) -> NoReturn:
        reason, text, causes = _failure(response, secret=request.resource.startswith("secrets "))
        error = ApiError
        verb = request.verb
        parameter = advice = None
        if response.status == 401:
            text = "it does not accept the credentials"
            parameter, advice = self._connection.parameter, self._advice("They may have expired")
        elif response.status == 403:
            text, verb = _forbidden(text, verb)
            parameter = self._connection.parameter
        elif response.status == 409 and reason == "AlreadyExists":
            error = AlreadyExists
        elif response.status == 409 and any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
            raise ConflictError(_conflicts(request.resource, causes))
        elif response.status == 422 and _IMMUTABLE.search(text):
            error = ImmutableError
            advice = (
                "What is to change cannot be changed in place: remove the object (state: absent keeps volumes "
                "unless told otherwise) and run again, or keep the value it has"
            )
        raise error(
            self.host,
            verb,
            request.resource,
            response.status,
            text,
            causes=[str(cause.get("reason")) for cause in causes],
            parameter=parameter,
            advice=advice,
        )

    def _advice(self, text: str) -> str:
        return f"{text} (context {self._connection.context})" if self._connection.context else text


class _Request(NamedTuple):
    """How a request is called in errors: the verb of access control, and what it is about."""

    verb: str
    resource: str


def _path(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    resource = resource_of(api_version, kind)
    path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    if resource.namespaced:
        if namespace:
            path += f"/namespaces/{quote(namespace, safe='')}"
        elif name:
            raise ValueError(f"{api_version} {kind} {name} needs a namespace")
    path += f"/{resource.plural}"
    return f"{path}/{quote(name, safe=':')}" if name else path


def _described(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    """Return for example "statefulsets.apps monitoring/receive" or "secrets in namespace monitoring"."""
    resource = resource_of(api_version, kind)
    group = api_version.rpartition("/")[0]
    text = f"{resource.plural}.{group}" if group else resource.plural
    if not resource.namespaced:
        namespace = ""
    if name:
        return f"{text} {namespace}/{name}" if namespace else f"{text} {name}"
    return f"{text} in namespace {namespace}" if namespace else text


def _dry_run(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _failure(response: Response, *, secret: bool) -> tuple[str, str, list[dict[str, Any]]]:
    """Return reason, message and causes of a failed request, whatever its body is."""
    try:
        body = json.loads(response.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        text = " ".join(response.body.decode(errors="replace").split())[:300]
        return "", text or http_phrase(response.status), []
    causes = [cause for cause in (body.get("details") or {}).get("causes") or [] if isinstance(cause, dict)]
    text = str(body.get("message") or body.get("error") or http_phrase(response.status))
    if secret and response.status in (400, 422):
        # The message may quote the value that is refused.
        fields = ", ".join(f"{cause.get('field')} ({cause.get('reason')})" for cause in causes)
        immutable = _IMMUTABLE.search(text)
        text = f"{body.get('reason') or 'refused'}{': ' if fields else ''}{fields}"
        text += f": {immutable[0]}" if immutable else ""
    return str(body.get("reason") or ""), text[:1000], causes


def http_phrase(status: int) -> str:
    """Return the standard phrase of an HTTP status."""
    return responses.get(status, "unexpected answer")


def _forbidden(text: str, verb: str) -> tuple[str, str]:
    """Return what is missing in the words of access control, and the verb that was refused."""
    match = _FORBIDDEN.search(text)
    if match is None:
        return f"forbidden: {text}", verb
    resource = match["resource"]
    if match["group"]:
        plural, _ignored, subresource = resource.partition("/")
        resource = f"{plural}.{match['group']}" + (f"/{subresource}" if subresource else "")
    place = f"in namespace {match['namespace']}" if match["namespace"] else "in the whole cluster"
    return f'user "{match["user"]}" is forbidden: needs verb {match["verb"]} on {resource} {place}', match["verb"]


def _conflicts(described: str, causes: Sequence[Mapping[str, Any]]) -> builtins.list[FieldConflict]:
    conflicts = []
    for cause in causes:
        match = _CONFLICT_MANAGER.search(str(cause.get("message")))
        manager = match["manager"] if match else str(cause.get("message"))
        conflicts.append(FieldConflict(described, manager, str(cause.get("field") or "a field")))
    return conflicts
