# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The object store of a Thanos component, as modules are given it. Pure; the time is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._core.names import not_known
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import trusted
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import (
    CA_FILE,
    bucket_name,
    with_credentials,
)

# The fields of Thanos' configuration of an S3 store, in its own words; credentials are given apart from it.
_S3 = frozenset(
    {
        "aws_sdk_auth",
        "bucket",
        "bucket_lookup_type",
        "disable_dualstack",
        "disable_multipart",
        "endpoint",
        "http_config",
        "insecure",
        "list_objects_version",
        "max_retries",
        "part_size",
        "put_user_metadata",
        "region",
        "send_content_md5",
        "session_token",
        "signature_version2",
        "sse_config",
        "sts_endpoint",
        "trace",
    }
)


@dataclass(frozen=True)
class ObjectStore:
    """Thanos' configuration with its credentials, and the certificates (PEM) by which the store is known."""

    configuration: Mapping[str, Any] = field(repr=False)
    ca: str


def object_store(params: Mapping[str, Any], now: datetime) -> ObjectStore | None:
    """Read objstore, objstore_access_key, objstore_secret_key and objstore_ca; None when there is no store.

    Raises InputError for what does not belong together, and for certificates that are none at ``now``.
    """
    configuration = params.get("objstore")
    access_key, secret_key = params.get("objstore_access_key"), params.get("objstore_secret_key")
    ca = params.get("objstore_ca") or ""
    if not configuration:
        for parameter, value in (("objstore_access_key", access_key), ("objstore_secret_key", secret_key)):
            if value:
                raise InputError("is of no use without objstore", parameter=parameter)
        return None
    config = configuration.get("config")
    if not configuration.get("type") or not isinstance(config, Mapping):
        raise InputError(
            "must have type and config", parameter="objstore", advice="Give what the module bucket returns as objstore"
        )
    if "access_key" in config or "secret_key" in config:
        raise InputError(
            "must not contain credentials",
            parameter="objstore",
            advice="Use objstore_access_key and objstore_secret_key, which no log shows",
        )
    if bool(access_key) != bool(secret_key):
        missing = "objstore_secret_key" if access_key else "objstore_access_key"
        raise InputError("is required with the other one of the pair", parameter=missing)
    if configuration["type"] == "S3":
        _check_s3(config)
    if ca:
        trusted(ca, now, "objstore_ca")
    ca_file = ((config.get("http_config") or {}).get("tls_config") or {}).get("ca_file")
    if ca_file == CA_FILE and not ca:
        raise InputError("is required: objstore refers to it", parameter="objstore_ca")
    if ca:
        configuration = _trusting(configuration)
    if access_key and secret_key:
        configuration = with_credentials(configuration, access_key, secret_key)
    return ObjectStore(configuration, ca)


def _check_s3(config: Mapping[str, Any]) -> None:
    """Refuse what Thanos would end with: it does not start with a field that it does not know."""
    for name in config:
        if name not in _S3:
            raise InputError(f"config.{not_known(name, _S3)}", parameter="objstore")
    bucket_name(config.get("bucket"), "objstore.config.bucket")
    host = config.get("endpoint")
    if not isinstance(host, str) or not host or "/" in host:
        raise InputError(
            f"config.endpoint is {host!r}" if host else "config.endpoint is missing",
            parameter="objstore",
            advice="It is a host, and a port if it is not the default one, without a scheme",
        )


def _trusting(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the mounted authority as the one to trust."""
    config = configuration["config"]
    http = config.get("http_config") or {}
    tls = {**(http.get("tls_config") or {}), "ca_file": CA_FILE}
    return {**configuration, "config": {**config, "http_config": {**http, "tls_config": tls}}}
