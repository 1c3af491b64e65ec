# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket exists, or does not: observe, plan, apply."""

from __future__ import annotations

import os
import re
import ssl
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, StorageError
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._objstore import configuration, preflight
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Access, BucketClient, Version
from ansible_collections.scs.observability.plugins.module_utils._objstore.errors import Finding, failure

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----")


@dataclass(frozen=True)
class Wanted:
    """What the parameters say, checked."""

    access: Access
    present: bool
    force: bool


@dataclass(frozen=True)
class Observed:
    """``empty`` is None when nobody asked."""

    exists: bool
    empty: bool | None = None


class Store(preflight.ObjectStore, Protocol):
    """The S3 client, as far as it is used here."""

    def exists(self) -> bool: ...

    def is_empty(self) -> bool: ...

    def create(self) -> bool: ...

    def remove(self) -> None: ...

    def objects(self) -> Iterator[Version]: ...

    def versions(self) -> Iterator[Version]: ...

    def uploads(self) -> Iterator[tuple[str, str]]: ...

    def delete_all(self, which: Iterator[Version]) -> int: ...

    def abort_upload(self, key: str, upload: str) -> None: ...


def ensure(
    params: Mapping[str, Any],
    check_mode: bool,
    environment: Mapping[str, str] | None = None,
    connect: Callable[[Access], AbstractContextManager[Store]] = BucketClient,
) -> dict[str, Any]:
    """Do what the module bucket documents and return its result. Raises InputError, StorageError, LibraryError."""
    wanted = read_parameters(params, os.environ if environment is None else environment)
    with connect(wanted.access) as store:
        observed = observe(store, wanted)
        changes = plan(wanted, observed, store)
        result: dict[str, Any] = {"name": wanted.access.bucket, **changes.result()}
        if not check_mode:
            result.update(apply(store, changes, observed))
        if wanted.present:
            result.update(_usable(store, wanted, observed, changes, check_mode))
        return result


def read_parameters(params: Mapping[str, Any], environment: Mapping[str, str]) -> Wanted:
    """Check everything that can be checked without the store. Raises InputError naming the parameter."""
    where = configuration.endpoint(params.get("endpoint"))
    ca = _ca(params.get("ca_path"), params.get("ca_content"))
    if ca and not where.secure:
        raise InputError(
            "an authority is of no use with an endpoint without TLS",
            parameter="ca_path" if params.get("ca_path") else "ca_content",
            advice="Use https:// in endpoint, or leave the authority out",
        )
    return Wanted(
        access=Access(
            bucket=configuration.bucket_name(params.get("name")),
            endpoint=where,
            region=configuration.region(params.get("region")),
            access_key=_credential("access_key", "AWS_ACCESS_KEY_ID", params, environment),
            secret_key=_credential("secret_key", "AWS_SECRET_ACCESS_KEY", params, environment),
            ca=ca,
            validate_certs=params.get("validate_certs") is not False,
            addressing_style="virtual" if params.get("addressing_style") == "virtual" else "path",
        ),
        present=params.get("state") != "absent",
        force=bool(params.get("force")),
    )


def observe(store: Store, wanted: Wanted) -> Observed:
    """Look whether the bucket is there and, if it has to go, whether something is in it."""
    exists = store.exists()
    preflight.check_clocks(store)
    return Observed(exists, empty=store.is_empty() if exists and not wanted.present else None)


def plan(wanted: Wanted, observed: Observed, store: Store) -> Plan:
    """Decide. Raises StorageError when the bucket has to go, holds something, and force is not set."""
    if wanted.present == observed.exists:
        return Plan()
    access = wanted.access
    state = {"name": access.bucket, "endpoint": access.endpoint.url, "region": access.region}
    if wanted.present:
        return Plan((Change("create", "Bucket", access.bucket, after=state, api_version="S3"),))
    if not observed.empty and not wanted.force:
        raise failure(
            store.request("DeleteBucket"),
            "BucketNotEmpty",
            Finding(
                "it holds objects, versions of objects or unfinished uploads",
                "Set force: true to delete them all with the bucket, for good",
                "force",
            ),
        )
    before = {**state, "content": "none" if observed.empty else "objects, versions or unfinished uploads"}
    return Plan((Change("delete", "Bucket", access.bucket, before=before, api_version="S3"),))


def apply(store: Store, changes: Plan, observed: Observed) -> dict[str, Any]:
    """Carry the plan out. Returns, for a deletion, what went with the bucket."""
    result: dict[str, Any] = {}
    for change in changes.changes:
        if change.action == "create":
            store.create()
            continue
        deleted = {"objects": 0, "uploads": 0}
        if not observed.empty:
            # Versions first. Where a store has none, or lists them under another name, the objects are left to delete.
            deleted["objects"] = store.delete_all(store.versions()) + store.delete_all(store.objects())
            for key, upload in store.uploads():
                store.abort_upload(key, upload)
                deleted["uploads"] += 1
        store.remove()
        result["deleted"] = deleted
    return result


def _usable(store: Store, wanted: Wanted, observed: Observed, changes: Plan, check_mode: bool) -> dict[str, Any]:
    access = wanted.access
    try:
        if not check_mode:
            proof = preflight.run(store, f"{preflight.PREFIX}{uuid.uuid4()}", uuid.uuid4().bytes * 4)
        elif observed.exists:
            proof = preflight.run_read_only(store)
        else:
            proof = preflight.Preflight(clock_skew_seconds=store.clock_skew())
    except StorageError as error:
        if changes.changed and not check_mode:
            error.details["changed"] = True
        raise
    return {
        "objstore": configuration.objstore(
            access.bucket,
            access.endpoint.url,
            access.region,
            ca=access.ca is not None,
            addressing_style=access.addressing_style,
            validate_certs=access.validate_certs,
        ),
        "objstore_ca": access.ca or "",
        "preflight": proof.result(),
    }


def _credential(parameter: str, variable: str, params: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    value = params.get(parameter) or environment.get(variable)
    if not value:
        raise InputError(
            "is not given", parameter=parameter, advice=f"Set it, or {variable} in the environment of the module"
        )
    if value != value.strip() or not value.isprintable():
        # The value itself is not for showing.
        raise InputError("has white space at an end or characters that cannot be printed", parameter=parameter)
    return str(value)


def _ca(path: str | None, content: str | None) -> str | None:
    """Return the PEM text of the authority from one of the two parameters."""
    if path and content:
        raise InputError("excludes ca_content", parameter="ca_path", advice="Give one of the two")
    if not path and not content:
        return None
    parameter, text = "ca_content", content or ""
    if path:
        parameter = "ca_path"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}", parameter=parameter) from error
    # Bundles come with comments in any alphabet.
    certificates = "".join(f"{block}\n" for block in _CERTIFICATE.findall(text))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError):
        raise InputError("holds no PEM certificate that can be read", parameter=parameter) from None
    return certificates
