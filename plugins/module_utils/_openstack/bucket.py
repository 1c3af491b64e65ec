# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket in an OpenStack cloud, with EC2 credentials that Keystone makes; or elsewhere, with keys that are given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    InputError,
    ObservabilityError,
    Problems,
    StorageError,
)
from ansible_collections.scs.observability.plugins.module_utils._core.plan import Change, Plan
from ansible_collections.scs.observability.plugins.module_utils._objstore import bucket, configuration
from ansible_collections.scs.observability.plugins.module_utils._objstore.bucket import Store
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import (
    CREDENTIALS_RECORD,
    Access,
    BucketClient,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.preflight import Preflight
from ansible_collections.scs.observability.plugins.module_utils._openstack import catalog, credentials, login
from ansible_collections.scs.observability.plugins.module_utils._openstack.cloud import Cloud
from ansible_collections.scs.observability.plugins.module_utils._openstack.credentials import Credential, Record

_REFUSED_BY_STORE = (
    "Keystone has EC2 credentials of the user for the project, and the store accepts none: give the user a role in the "
    "project that the store lets in (Swift: operator_roles, such as member)"
)
_NOT_SEEN = (
    "there is no EC2 credential yet, so nobody could look at the bucket: what is said of it is what happens without "
    "check mode if it is not there"
)
_STAY = (
    "EC2 credentials that stay in Keystone: {}. The bucket was used with them, and they were there before, or another "
    "bucket of the project uses them. If nothing does, name them in revoke_credentials"
)

Connect = Callable[[Access], AbstractContextManager[Store]]


class Identity(Protocol):
    """The login, as far as it is used here."""

    @property
    def project(self) -> str: ...

    @property
    def keystone(self) -> str: ...

    @property
    def interface(self) -> str: ...

    @property
    def region_name(self) -> str | None: ...

    def catalog(self) -> Sequence[Mapping[str, Any]]: ...

    def credentials(self) -> list[Credential]: ...

    def create_credential(self) -> Credential: ...

    def delete_credential(self, access_key: str) -> None: ...

    def swift_info(self, url: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Wanted:
    """What the parameters say about the credentials, checked."""

    present: bool
    named: str | None = None
    rotate: bool = False
    revoke: tuple[str, ...] = ()
    remove: bool = False


@dataclass(frozen=True)
class _Seen:
    """A credential that the store accepts, and what the bucket remembers; nothing if it is not there."""

    credential: Credential
    record: Record


def ensure(
    params: Mapping[str, Any],
    check_mode: bool,
    environment: Mapping[str, str] | None = None,
    connect: Connect = BucketClient,
    log_in: Callable[[login.Login], AbstractContextManager[Identity]] = Cloud,
) -> dict[str, Any]:
    """Do what the module bucket documents and return its result.

    Raises InputError, CloudError, StorageError, LibraryError.
    """
    environment = os.environ if environment is None else environment
    if not login.is_meant(params, environment):
        login.refuse_without(params)
        return bucket.ensure(params, check_mode, environment, connect)
    wanted, given = read_parameters(params)
    with log_in(given) as cloud:
        return _Run(params, wanted, cloud, connect, check_mode).result()


def read_parameters(params: Mapping[str, Any]) -> tuple[Wanted, login.Login]:
    """Check everything that can be checked without the cloud. Raises InputError naming the parameter."""
    problems = Problems()
    given = problems.of(login.read_parameters, params)
    # What it says of the store itself; login has looked at the authority.
    of_the_store = {name: value for name, value in params.items() if name not in ("ca_path", "ca_content")}
    unknown = {"endpoint": params.get("endpoint") or "https://in.the.catalog", "access_key": "-", "secret_key": "-"}
    problems.of(bucket.read_parameters, {**of_the_store, **unknown}, {})
    present = params.get("state") != "absent"
    rotate, revoke = bool(params.get("rotate_credentials")), tuple(params.get("revoke_credentials") or ())
    if params.get("secret_key"):
        problems.found.append(
            InputError(
                "excludes cloud and auth",
                parameter="secret_key",
                advice="With these Keystone tells the secret; access_key may say of which credential",
            )
        )
    if rotate and (revoke or not present):
        problems.found.append(
            InputError(
                "excludes revoke_credentials and state: absent",
                parameter="rotate_credentials",
                advice="Revoke the previous one when Thanos has taken the new one",
            )
        )
    problems.refuse()
    remove = bool(params.get("remove_credentials")) and not present
    return Wanted(present, params.get("access_key") or None, rotate, revoke, remove), given


class _Run:
    """One run of the module with a login. Credentials that it makes go again when it fails."""

    def __init__(
        self, params: Mapping[str, Any], wanted: Wanted, cloud: Identity, connect: Connect, check_mode: bool
    ) -> None:
        self._params, self._wanted, self._cloud, self._connect = params, wanted, cloud, connect
        self._check_mode = check_mode
        self._endpoint = str(params.get("endpoint") or self._endpoint_in_catalog())
        self._known = {credential.access_key: credential for credential in cloud.credentials()}
        self._made: list[str] = []

    def result(self) -> dict[str, Any]:
        named = self._wanted.named
        if named and named not in self._known:
            raise InputError(
                f"{named} is none of the user's EC2 credentials for the project; there are "
                f"{', '.join(self._known) or 'none'}",
                parameter="access_key",
                advice="Leave it out to use one of these, or to have one made",
            )
        if not self._known and self._check_mode:
            return self._unseen()
        return self._present() if self._wanted.present else self._absent()

    def _present(self) -> dict[str, Any]:
        wanted = self._wanted
        with self._takes_back():
            plan = Plan() if self._known else self._creation()
            seen = self._look()
            chosen = credentials.choose(
                seen.credential.access_key,
                seen.record.access_keys,
                self._known,
                named=wanted.named,
                # One that was made just now need not be exchanged.
                rotate=wanted.rotate and not self._made,
                revoke=wanted.revoke,
            )
            history = [key for key in chosen.history if key not in chosen.revoke]
            if chosen.create:
                plan += self._creation()
                history += [key for key in self._made if key not in history]
            result = self._ensure(self._known[history[-1]], plan + self._deletion(chosen.revoke))
            record = Record(tuple(history), (seen.record.made | set(self._made)) & set(history))
            if not self._check_mode and record != seen.record:
                with self._connect(self._access(self._known[history[-1]])) as store:
                    store.put(CREDENTIALS_RECORD, credentials.record(record))
        self._delete(chosen.revoke)
        return {**result, "access_key": history[-1], "previous_access_keys": history[:-1]}

    def _absent(self) -> dict[str, Any]:
        with self._takes_back(always=True):
            if not self._known:
                # Without one nobody can look whether the bucket is there.
                self._creation()
            seen = self._look()
            remembered, made = (set(keys) & set(self._known) for keys in (seen.record.access_keys, seen.record.made))
            used = credentials.used(
                seen.credential.access_key, seen.record.access_keys, self._known, self._wanted.named
            )[-1]
            going = set(self._wanted.revoke)
            if self._wanted.remove and made:
                # What was there before may be somebody else's, and what was made here may be by now.
                going |= made - self._used_elsewhere(self._known[used])
            deleted = tuple(sorted(going & set(self._known) - set(self._made)))
            result = self._ensure(self._known[used], self._deletion(deleted))
        self._delete(deleted)
        stay = sorted(remembered - going)
        if self._wanted.remove and stay:
            result["warnings"] = [_STAY.format(", ".join(stay))]
        return result

    def _used_elsewhere(self, credential: Credential) -> set[str]:
        """The access keys that other buckets of the project remember."""
        found: set[str] = set()
        access = self._access(credential)
        with self._connect(access) as store:
            others = store.bucket_names() - {access.bucket}
        for name in sorted(others):
            try:
                # Not every container of Swift is one that S3 can name.
                configuration.bucket_name(name)
                with self._connect(replace(access, bucket=name)) as store:
                    stored = store.find(CREDENTIALS_RECORD)
            except InputError:
                continue
            except StorageError as error:
                # Gone, or not readable to this user, who then does not use it.
                if error.details.get("status") not in (403, 404):
                    raise
                continue
            found.update(credentials.remembered(stored.content if stored else None).access_keys)
        return found

    def _unseen(self) -> dict[str, Any]:
        """What check mode can say without a credential."""
        access = self._access(Credential("-", "-"))
        plan = Plan()
        if self._wanted.present:
            new = {"name": access.bucket, "endpoint": access.endpoint.url, "region": access.region}
            plan = self._creation() + Plan((Change("create", "Bucket", access.bucket, after=new, api_version="S3"),))
        result = {"name": access.bucket, "endpoint": access.endpoint.url, **plan.result(), "warnings": [_NOT_SEEN]}
        if self._wanted.present:
            result.update(bucket.described(access, Preflight()), access_key="", previous_access_keys=[])
        return result

    def _look(self) -> _Seen:
        """Find a credential that the store accepts: Keystone makes some that are of no use there."""
        candidates = [self._wanted.named] if self._wanted.named else list(self._known)
        for access_key in candidates[:-1]:
            try:
                return self._seen_with(access_key)
            except StorageError as error:
                if not _is_refusal(error):
                    raise
        try:
            return self._seen_with(candidates[-1])
        except StorageError as error:
            if _is_refusal(error):
                error.parameter, error.advice = "auth", _REFUSED_BY_STORE
            raise

    def _seen_with(self, access_key: str) -> _Seen:
        credential = self._known[access_key]
        with self._connect(self._access(credential)) as store:
            exists = store.exists()
            found = store.find(CREDENTIALS_RECORD) if exists else None
        return _Seen(credential, credentials.remembered(found.content if found else None))

    def _ensure(self, credential: Credential, beside: Plan) -> dict[str, Any]:
        return bucket.ensure(self._settings(credential), self._check_mode, {}, self._connect, beside)

    def _settings(self, credential: Credential) -> dict[str, Any]:
        """What the bucket's own parameters are with a credential."""
        keys = {"access_key": credential.access_key, "secret_key": credential.secret_key}
        return {**self._params, "endpoint": self._endpoint, **keys}

    def _access(self, credential: Credential) -> Access:
        return bucket.read_parameters(self._settings(credential), {}).access

    def _endpoint_in_catalog(self) -> str:
        cloud = self._cloud
        kind, url = catalog.s3_url(cloud.catalog(), cloud.keystone, cloud.interface, cloud.region_name)
        endpoint = catalog.s3_endpoint(url, cloud.keystone)
        if kind == catalog.OBJECT_STORE:
            catalog.refuse_unusable_swift(url, endpoint, cloud.swift_info(endpoint.url), cloud.keystone)
        return endpoint.url

    def _creation(self) -> Plan:
        """Have Keystone make a credential, unless in check mode."""
        if not self._check_mode:
            credential = self._cloud.create_credential()
            self._known[credential.access_key] = credential
            self._made.append(credential.access_key)
        # Its name is known only to a real run.
        project = self._cloud.project
        return Plan((Change("create", "EC2Credential", project, after={"project": project}, api_version="Keystone"),))

    def _deletion(self, access_keys: Sequence[str]) -> Plan:
        project = {"project": self._cloud.project}
        return Plan(
            tuple(
                Change("delete", "EC2Credential", access_key, before=project, api_version="Keystone")
                for access_key in access_keys
            )
        )

    def _delete(self, access_keys: Sequence[str]) -> None:
        """Carry that out, after all else. Those that are left when it fails are told, as nothing else knows them."""
        if self._check_mode:
            return
        for number, access_key in enumerate(access_keys):
            try:
                self._cloud.delete_credential(access_key)
            except ObservabilityError as error:
                error.details.update(changed=True, left_behind=list(access_keys[number:]))
                raise

    @contextmanager
    def _takes_back(self, *, always: bool = False) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            for access_key in self._made:
                try:
                    self._cloud.delete_credential(access_key)
                except ObservabilityError:
                    # The first failure is the one to report.
                    if isinstance(error, ObservabilityError):
                        error.details["left_behind"] = list(self._made)
            raise
        if always:
            self._delete(self._made)


def _is_refusal(error: StorageError) -> bool:
    """Tell whether the store refuses the credential, not the name of the bucket."""
    return error.details.get("status") == 403 and error.parameter != "name"
