# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach an API server: from a kubeconfig given as parameter, from the environment, or inside a pod."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

try:
    import yaml

    HAS_YAML = True
except ImportError:
    HAS_YAML = False

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Connection:
    """An API server and the credentials for it, everything read: no file is needed afterwards.

    Certificates and keys are PEM texts. ``parameter`` names the module parameter that errors are about.
    """

    server: str
    parameter: str = "kubeconfig"
    context: str = ""
    namespace: str = "default"
    authority: str = ""
    verify: bool = True
    server_name: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    proxy: str = ""
    impersonate: tuple[tuple[str, str], ...] = ()
    """Headers that let a user act as another one."""

    @classmethod
    def from_parameters(
        cls, params: Mapping[str, Any], prefix: str = "", *, environment: Mapping[str, str] | None = None
    ) -> Connection:
        """Return the connection that <prefix>kubeconfig, <prefix>kubeconfig_content and <prefix>context ask for.

        Without any: with a prefix the environment variable of the parameter's name (OBSERVER_KUBECONFIG), as a machine
        that reaches two clusters has it; K8S_AUTH_KUBECONFIG, KUBECONFIG (several files are merged as kubectl does),
        ~/.kube/config, and inside a pod its service account. Raises InputError naming the parameter.
        """
        env = os.environ if environment is None else environment
        parameter, content_parameter = f"{prefix}kubeconfig", f"{prefix}kubeconfig_content"
        path, content = params.get(parameter), params.get(content_parameter)
        context = params.get(f"{prefix}context") or ""
        own_variable = parameter.upper() if prefix else ""
        if path and content:
            raise InputError(f"and {content_parameter} exclude each other", parameter=parameter)
        if content:
            source = _Source(content_parameter, f"{prefix}context", "the content", env)
            return source.connection(_parse(content, content_parameter, "the content"), context)
        path = path or env.get(own_variable)
        if path:
            path = Path(path).expanduser()
            source = _Source(parameter, f"{prefix}context", str(path), env)
            return source.connection(_read(path, parameter), context)

        context = context or env.get("K8S_AUTH_CONTEXT", "")
        files = _files_of_environment(env)
        if files:
            source = _Source(parameter, f"{prefix}context", os.pathsep.join(str(file) for file in files), env)
            return source.connection(_merge([_read(file, parameter) for file in files]), context)
        if "KUBERNETES_SERVICE_HOST" in env and (SERVICE_ACCOUNT / "token").is_file():
            return _of_service_account(env, parameter)
        variables = [*([own_variable] if own_variable else []), "K8S_AUTH_KUBECONFIG", "KUBECONFIG"]
        raise InputError(
            f"no kubeconfig: none is given, none of {', '.join(variables)} is set, "
            "there is no ~/.kube/config, and this is not a pod with a service account",
            parameter=parameter,
        )


@dataclass(frozen=True)
class _Source:
    """Where a kubeconfig came from, to say so in errors."""

    parameter: str
    context_parameter: str
    name: str
    environment: Mapping[str, str]

    def connection(self, config: Mapping[str, Any], wanted_context: str) -> Connection:
        contexts = _named(config, "contexts", "context")
        name = wanted_context or config.get("current-context") or ""
        there = f"Contexts there are: {', '.join(sorted(contexts)) or 'none'}"
        if not name:
            raise InputError(
                f"{self.name} has no current-context", parameter=self.context_parameter, advice=f"Give one. {there}"
            )
        if name not in contexts:
            parameter = self.context_parameter if wanted_context else self.parameter
            raise InputError(f"{self.name} has no context {name!r}", parameter=parameter, advice=there)
        context = contexts[name]
        cluster = self._part(config, "clusters", "cluster", context, name)
        user = self._part(config, "users", "user", context, name) if context.get("user") else {}
        user = self._with_plugin(config, name, user)

        server = str(cluster.get("server") or "").rstrip("/")
        if not _is_server(server):
            raise self._error(f"the server of context {name!r} is not a URL: {server!r}")
        token_file = user.get("tokenFile")
        token = (self._text(token_file, "tokenFile") if token_file else str(user.get("token") or "")).strip()
        if any(character.isspace() or not character.isprintable() for character in token):
            raise self._error(f"the token of context {name!r} is not one")
        return Connection(
            server=server,
            parameter=self.parameter,
            context=name,
            namespace=context.get("namespace") or "default",
            authority=self._pem(cluster, "certificate-authority"),
            verify=not cluster.get("insecure-skip-tls-verify", False),
            server_name=cluster.get("tls-server-name") or "",
            certificate=self._pem(user, "client-certificate"),
            key=self._pem(user, "client-key"),
            token=token,
            proxy=cluster.get("proxy-url") or proxy_of_environment(server, self.environment),
            impersonate=_impersonation(user),
        )

    def _error(self, message: str) -> InputError:
        return InputError(f"{self.name}: {message}", parameter=self.parameter)

    def _part(
        self, config: Mapping[str, Any], section: str, kind: str, context: Mapping[str, Any], context_name: str
    ) -> Mapping[str, Any]:
        name = context.get(kind)
        parts = _named(config, section, kind)
        if name not in parts:
            raise self._error(f"context {context_name!r} refers to {kind} {name!r}, which is not there")
        return parts[name]

    def _text(self, path: str, what: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._error(f"{what} {path} cannot be read: {_why(error)}") from None

    def _pem(self, part: Mapping[str, Any], name: str) -> str:
        data, path = part.get(f"{name}-data"), part.get(name)
        if data:
            try:
                return base64.b64decode(str(data)).decode()
            except ValueError:
                raise self._error(f"{name}-data is not base64 of a PEM text") from None
        return self._text(path, name) if path else ""

    def _with_plugin(self, config: Mapping[str, Any], context: str, user: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the user with the credentials that a plugin gives, if it has one (cloud providers' logins)."""
        if not ("exec" in user or "auth-provider" in user):
            return user
        try:
            # Half a second to import, so only where it is needed.
            from kubernetes.client import Configuration  # noqa: PLC0415
            from kubernetes.config import load_kube_config_from_dict  # noqa: PLC0415
        except ImportError:
            raise LibraryError("kubernetes", f"because the user of context {context} logs in with a plugin") from None
        configuration = Configuration()
        try:
            load_kube_config_from_dict(
                dict(config), context=context, client_configuration=configuration, persist_config=False
            )
        except Exception as error:
            # The library lets through whatever a plugin does wrong, and its text may quote the plugin's output.
            raise self._error(f"the login plugin of context {context!r} failed ({type(error).__name__})") from error
        # The name of the only key differs between versions of the library.
        authorization = str(next(iter(configuration.api_key.values()), ""))
        if not authorization and not configuration.cert_file:
            raise self._error(f"the login plugin of context {context!r} failed: it gives no credentials")
        return {
            **{name: value for name, value in user.items() if name not in ("exec", "auth-provider")},
            "token": authorization.removeprefix("Bearer "),
            "client-certificate": configuration.cert_file,
            "client-key": configuration.key_file,
        }


def _is_server(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        return False


def proxy_of_environment(server: str, environment: Mapping[str, str]) -> str:
    """Return the proxy that HTTPS_PROXY (or HTTP_PROXY for http) and NO_PROXY give for a server, like kubectl."""
    url = urlsplit(server)
    host = url.hostname or ""
    name = f"{url.scheme}_proxy"
    proxy = environment.get(name) or environment.get(name.upper()) or ""
    if not proxy or host == "localhost" or _matches_address(host, "127.0.0.0/8") or _matches_address(host, "::1/128"):
        return ""
    for exception in (environment.get("no_proxy") or environment.get("NO_PROXY") or "").split(","):
        pattern = exception.strip().lower()
        if pattern == "*" or (pattern and _matches_exception(host, url.port, pattern)):
            return ""
    return proxy if "//" in proxy else f"http://{proxy}"


def _matches_exception(host: str, port: int | None, pattern: str) -> bool:
    if _matches_address(host, pattern):
        return True
    name, _ignored, only_port = pattern.partition(":")
    if only_port and only_port != str(port):
        return False
    name = name.removeprefix("*").removeprefix(".")
    return host == name or host.endswith(f".{name}")


def _matches_address(host: str, network: str) -> bool:
    import ipaddress  # noqa: PLC0415

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _files_of_environment(environment: Mapping[str, str]) -> list[Path]:
    explicit = environment.get("K8S_AUTH_KUBECONFIG")
    if explicit:
        return [Path(explicit).expanduser()]
    listed = [Path(item).expanduser() for item in environment.get("KUBECONFIG", "").split(os.pathsep) if item]
    if listed:
        # kubectl passes over files of the list that are missing, but one has to be there.
        return [path for path in listed if path.exists()] or listed[:1]
    home = environment.get("HOME")
    default = Path(home, ".kube", "config") if home else Path("~/.kube/config").expanduser()
    return [default] if default.is_file() else []


def _read(path: Path, parameter: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist", parameter=parameter) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {_why(error)}", parameter=parameter) from None
    config = _parse(text, parameter, str(path))
    for section, kind, names in (
        ("clusters", "cluster", ("certificate-authority",)),
        ("users", "user", ("client-certificate", "client-key", "tokenFile")),
    ):
        for part in _named(config, section, kind).values():
            for name in names:
                if part.get(name):
                    part[name] = str(path.parent / part[name])
    return config


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is not UTF-8 text"


def _parse(text: str, parameter: str, name: str) -> dict[str, Any]:
    if not HAS_YAML:
        raise LibraryError("PyYAML", "to read a kubeconfig")
    try:
        config = yaml.load(text, Loader=safe_loader())  # noqa: S506
    except yaml.YAMLError as error:
        # Only the place: the error itself quotes the text, which holds credentials.
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise InputError(f"{name} is not valid YAML{place}", parameter=parameter) from None
    if not isinstance(config, dict) or not all(
        isinstance(config.get(section) or [], list) for section in ("contexts", "clusters", "users")
    ):
        raise InputError(f"{name} is not a kubeconfig", parameter=parameter)
    return config


def _named(config: Mapping[str, Any], section: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return the entries of a section by name; of two with one name the first counts, as with kubectl."""
    entries: dict[str, dict[str, Any]] = {}
    for item in config.get(section) or []:
        if isinstance(item, dict) and isinstance(item.get(kind), dict):
            entries.setdefault(str(item.get("name")), item[kind])
    return entries


def _merge(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {
        section: [item for config in configs for item in config.get(section) or []]
        for section in ("contexts", "clusters", "users")
    }
    merged["current-context"] = next(
        (config["current-context"] for config in configs if config.get("current-context")), ""
    )
    return merged


def _impersonation(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not user.get("as"):
        return ()
    headers = [("Impersonate-User", str(user["as"]))]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or []]
    return tuple(headers)


def _of_service_account(environment: Mapping[str, str], parameter: str) -> Connection:
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    try:
        return Connection(
            server=f"https://{host}:{port}",
            parameter=parameter,
            context="service account",
            namespace=(SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or "default",
            authority=(SERVICE_ACCOUNT / "ca.crt").read_text(encoding="utf-8"),
            token=(SERVICE_ACCOUNT / "token").read_text(encoding="utf-8").strip(),
        )
    except OSError as error:
        raise InputError(f"the service account cannot be read: {_why(error)}", parameter=parameter) from None
