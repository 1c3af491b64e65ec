# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a bucket is, checked before anything is touched, and the same as Thanos' objstore configuration. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError

AddressingStyle = Literal["path", "virtual"]

# Where a component finds the certificate of the store's authority; mounted there beside objstore.yml.
CA_FILE = "/etc/thanos/objstore/ca.crt"
DEFAULT_REGION = "us-east-1"

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?")
_REGION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_ENDPOINT_ADVICE = "Use for example https://s3.example.com or https://192.0.2.10:7480"


@dataclass(frozen=True)
class Endpoint:
    """An S3 service: ``host`` is host or host:port, IPv6 addresses in brackets."""

    scheme: Literal["http", "https"]
    host: str

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def __str__(self) -> str:
        return self.url


def bucket_name(value: object, parameter: str = "name") -> str:
    """Return a bucket name that follows the rules of S3. Raises InputError."""
    text = value if isinstance(value, str) else ""
    if not text:
        raise InputError("is required and must not be empty", parameter=parameter)
    reason = _bucket_name_fault(text)
    if reason:
        raise InputError(
            f"{text!r} is not a bucket name: {reason}",
            parameter=parameter,
            advice="Use 3 to 63 characters of a-z, 0-9, '-' and '.'",
        )
    return text


def _bucket_name_fault(text: str) -> str | None:
    if not _BUCKET_NAME.fullmatch(text):
        return "it has 3 to 63 characters of a-z, 0-9, '-' and '.', with a letter or digit at both ends"
    if ".." in text:
        return "two dots must not follow each other"
    try:
        ipaddress.IPv4Address(text)
        return "it must not look like an IP address"
    except ValueError:
        pass
    for reserved in _RESERVED_PREFIXES:
        if text.startswith(reserved):
            return f"names that begin with {reserved} are reserved"
    for reserved in _RESERVED_SUFFIXES:
        if text.endswith(reserved):
            return f"names that end with {reserved} are reserved"
    return None


def endpoint(value: object, parameter: str = "endpoint") -> Endpoint:
    """Parse the URL of an S3 service: http or https, host, perhaps a port, nothing else. Raises InputError.

    A message never quotes the value when it holds credentials.
    """
    text = value if isinstance(value, str) else ""
    if not text:
        raise InputError("is required and must not be empty", parameter=parameter)

    def refuse(reason: str) -> InputError:
        return InputError(reason, parameter=parameter, advice=_ENDPOINT_ADVICE)

    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refuse("is not a URL with a valid host and port") from None
    if "@" in parts.netloc:
        raise refuse("must not hold credentials; there are access_key and secret_key")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise refuse(f"{text!r} lacks the scheme http:// or https://")
    if parts.path not in ("", "/") or parts.query or parts.fragment or text.endswith(("?", "#")):
        raise refuse(f"{text!r} must end after the host or port; the bucket has a parameter of its own")
    if port == 0 or parts.netloc.endswith(":"):
        raise refuse(f"{text!r} has no valid port")
    if "[" in parts.netloc:
        try:
            host = f"[{ipaddress.IPv6Address(host)}]"
        except ValueError:
            raise refuse(f"{text!r} has no valid host") from None
    elif not _HOST.fullmatch(host):
        raise refuse(f"{text!r} has no valid host")
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return Endpoint(
        "https" if parts.scheme == "https" else "http", host if port in (None, default_port) else f"{host}:{port}"
    )


def region(value: object, parameter: str = "region") -> str:
    """Return a region's name; us-east-1 if it is not given. Raises InputError."""
    if value in (None, ""):
        return DEFAULT_REGION
    if not isinstance(value, str) or not _REGION.fullmatch(value):
        raise InputError(f"{value!r} is not the name of a region", parameter=parameter)
    return value


def credential(parameter: str, value: str | None, variable: str, environment: Mapping[str, str]) -> str:
    """Return a key, from the parameter or else from the environment. Raises InputError, which never shows it."""
    found = value or environment.get(variable)
    if not found:
        raise InputError(
            "is not given", parameter=parameter, advice=f"Set it, or {variable} in the environment of the module"
        )
    if found != found.strip() or not found.isprintable():
        raise InputError("has white space at an end or characters that cannot be printed", parameter=parameter)
    return found


def objstore(
    bucket: str,
    endpoint_url: str,
    region_name: str = DEFAULT_REGION,
    ca: bool = False,
    *,
    addressing_style: AddressingStyle = "path",
    validate_certs: bool = True,
    lists_v1: bool = False,
) -> dict[str, Any]:
    """Return Thanos' objstore configuration, without credentials.

    With ``ca`` Thanos reads the certificate of the store's authority from CA_FILE. ``lists_v1`` is for a store that
    knows only the first version of S3's listing.
    Raises InputError for a bucket name or an endpoint that is none.
    """
    where = endpoint(endpoint_url)
    config: dict[str, Any] = {
        "bucket": bucket_name(bucket),
        "endpoint": where.host,
        "region": region(region_name),
        "insecure": not where.secure,
        "bucket_lookup_type": "path" if addressing_style == "path" else "virtual-hosted",
    }
    if lists_v1:
        config["list_objects_version"] = "v1"
    http: dict[str, Any] = {}
    if ca:
        http["tls_config"] = {"ca_file": CA_FILE}
    if where.secure and not validate_certs:
        http["insecure_skip_verify"] = True
    if http:
        config["http_config"] = http
    return {"type": "S3", "config": config}


def with_credentials(configuration: Mapping[str, Any], access_key: str, secret_key: str) -> dict[str, Any]:
    """Return an objstore configuration together with the credentials, as it goes into a Secret and nowhere else."""
    config = {**configuration.get("config", {}), "access_key": access_key, "secret_key": secret_key}
    return {**configuration, "config": config}


def to_yaml(configuration: Mapping[str, Any]) -> str:
    """Return the text of objstore.yml."""
    yaml = _yaml("to write Thanos' objstore configuration")
    return str(yaml.safe_dump(dict(configuration), sort_keys=True, default_flow_style=False, allow_unicode=True))


def from_yaml(text: str) -> dict[str, Any]:
    """Return the configuration in an objstore.yml, with the credentials that it has. Raises InputError."""
    yaml = _yaml("to read Thanos' objstore configuration")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        # Its text holds credentials.
        raise InputError("the one in the Secret cannot be read", parameter="objstore")
    return found


def _yaml(purpose: str) -> Any:
    try:
        import yaml  # noqa: PLC0415 - the bucket module does not need it
    except ImportError:
        raise LibraryError("PyYAML", purpose) from None
    return yaml
