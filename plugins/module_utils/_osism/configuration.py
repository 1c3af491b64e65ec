# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer needs in an OSISM configuration repository: values in files of the operator, and files of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    InputError,
    LibraryError,
    Problems,
)
from ansible_collections.scs.observability.plugins.module_utils._osism.yaml_text import (
    COMMENT,
    Tagged,
    YamlText,
    rendered,
)

KOLLA = "environments/kolla/configuration.yml"
CUSTOM = "environments/custom/configuration.yml"
REQUIREMENTS = "environments/custom/collections/requirements.yml"
RECORD = "environments/custom/scs-observability.yml"
PLAYBOOK = "scs-observability-sidecar"
WRAPPER = f"environments/custom/playbook-{PLAYBOOK}.yml"
VENDORED = "environments/custom/collections/ansible_collections/scs/observability"
SECRETS = "environments/secrets.yml"
_OVERLAYS = "environments/kolla/files/overlays/prometheus"
EXTRAS = f"{_OVERLAYS}/extras/scs-observability"
# A template, so that each host gets its own and no other
KEY = f"{EXTRAS}/client.key"
KEYS = "scs_observability_remote_write_keys"
ADDRESSES = "scs_observability_pull_addresses"
URLS = "scs_observability_remote_write_urls"
INVENTORY = "inventory/60-scs-observability"
# Where kolla-ansible copies what is in extras/
_EXTRAS_IN_CONTAINER = "/etc/prometheus/extras/scs-observability"

# A sidecar uploads blocks as Prometheus cuts them first, so none may be joined by it.
BLOCK_FLAGS = {"--storage.tsdb.min-block-duration": "2h", "--storage.tsdb.max-block-duration": "2h"}
PASSWORD_VARIABLE = "scs_observability_prometheus_password"

# prometheus_basic_auth_users_default: its file has users by name, so another one would take its place
_KOLLAS_USERS = ("admin", "grafana", "haproxy", "skyline")
_ROLE = "osism_thanos_sidecar_"
_MADE = COMMENT.removeprefix("# ")
_WRAPPER = f"""---
# {_MADE}; osism apply {PLAYBOOK}
- name: Thanos sidecar beside kolla's Prometheus
  ansible.builtin.import_playbook: scs.observability.osism_sidecar
"""
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# The role's variables that are secrets
SECRET_VARIABLES = frozenset(
    _ROLE + name for name in ("bucket_secret_key", "observer_kubeconfig_content", "private_key", "prometheus_password")
)
_SECRET_NAME = re.compile(r"password|secret|access_key|private_key|tls_key|token")
_SECRET_TEXT = re.compile(r"PRIVATE KEY-----|client-key-data|token[\"']?\s*:")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_CERTIFICATES = re.compile(r"\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")
VAULTED = "$ANSIBLE_VAULT;"

Kind = Literal["value", "item", "element", "flag"]


@dataclass(frozen=True)
class RemoteWrite:
    """The third of the data paths: the Prometheus of a host sends to the observer's gateway by itself."""

    host: str
    url: str
    ca: str
    certificate: str
    key: str = ""
    """Encrypted by ansible-vault."""
    key_variable: str = ""

    @property
    def certificate_file(self) -> str:
        return f"{EXTRAS}/{self.host}.crt"


@dataclass(frozen=True)
class Settings:
    """What is wanted of a repository."""

    present: bool = True
    region: str = ""
    replica: str = "{{ inventory_hostname }}"
    pull: bool = True
    upload: bool = False
    read_user: str = ""
    password_variable: str = PASSWORD_VARIABLE
    remote_write: tuple[RemoteWrite, ...] = ()
    pull_addresses: Mapping[str, str] = field(default_factory=dict)
    group: str = "prometheus"
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    sidecar_references: Mapping[str, str] = field(default_factory=dict)
    collection: str = "scs.observability"


@dataclass(frozen=True)
class Claim:
    """A value in a file of the operator: a variable, an item of one that is a dictionary, an element of one that is a
    list of dictionaries, by one of their keys, or a flag in one that is a command line.
    """

    file: str
    key: str
    kind: Kind
    name: str
    value: Any

    @property
    def title(self) -> str:
        return f"{self.key}.{self.name}" if self.name and self.kind == "item" else f"{self.key} {self.name}".strip()

    @property
    def place(self) -> tuple[str, str, str]:
        return self.file, self.key, self.name


def read(params: Mapping[str, Any]) -> Settings:
    """Return settings from the module's parameters. InputErrors tell all that is wrong with them."""
    if params.get("state") == "absent":
        return Settings(present=False)
    problems = Problems()
    defaults = Settings()
    replica = params.get("replica") or defaults.replica
    user = params.get("read_user") or ""
    variable = params.get("read_user_variable") or PASSWORD_VARIABLE
    problems.of(_label, params.get("region"), "region")
    if "{{" not in replica:
        problems.of(_label, replica, "replica")
    if user:
        problems.of(_match, user, _LABEL, "read_user", "a user name: letters, digits, '.', '_' and '-'")
    if user in _KOLLAS_USERS:
        problems.found.append(InputError(f"{user} is a user that kolla-ansible has itself", parameter="read_user"))
    problems.of(_match, variable, _VARIABLE, "read_user_variable", "the name of a variable")
    given = params.get("remote_write") or []
    remote_write = [problems.of(_remote_write, item, f"remote_write[{place}]") for place, item in enumerate(given)]
    hosts = [str(item.get("host")) for item in given]
    problems.found += [
        InputError(f"{host} is there more than once", parameter="remote_write")
        for host in sorted({host for host in hosts if hosts.count(host) > 1})
    ]
    addresses = {str(host): str(address) for host, address in (params.get("pull_addresses") or {}).items()}
    for host, address in addresses.items():
        problems.of(_match, host, _LABEL, "pull_addresses", "the name of a host of OSISM's inventory")
        problems.of(
            _match, address, _ADDRESS, f"pull_addresses.{host}", "an address and a port, such as 192.0.2.9:10901"
        )
    group = params.get("group") or defaults.group
    problems.of(_match, group, _GROUP, "group", "the name of a group")
    sidecar, secrets = dict(params.get("sidecar") or {}), dict(params.get("sidecar_references") or {})
    problems.of(_sidecar, sidecar, secrets)
    settings = Settings(
        region=str(params.get("region")),
        replica=replica,
        pull=bool(params.get("pull", True)),
        upload=bool(params.get("upload")),
        read_user=user,
        password_variable=variable,
        remote_write=tuple(remote_write),
        pull_addresses=addresses,
        group=group,
        sidecar=sidecar,
        sidecar_references=secrets,
        collection=params.get("collection") or defaults.collection,
    )
    if settings.pull and not addresses:
        problems.found.append(InputError("are required for pull: host: address:port", parameter="pull_addresses"))
    if not (settings.pull or settings.upload or given):
        problems.found.append(
            InputError(
                "is off, as are upload and remote_write, so no metric would reach the observer",
                parameter="pull",
                advice="Turn one of them on, or take everything back with state: absent",
            )
        )
    problems.refuse()
    return settings


def claims(settings: Settings) -> list[Claim]:
    """Return the values that files of the operator are to have."""
    if not settings.present:
        return []
    labels = {"layer": "iaas", "region": settings.region, "replica": settings.replica}
    found = [Claim(KOLLA, "prometheus_external_labels", "item", name, value) for name, value in labels.items()]
    if settings.upload:
        found += [Claim(KOLLA, "prometheus_cmdline_extras", "flag", *flag) for flag in BLOCK_FLAGS.items()]
    variables: dict[str, Any] = {
        "region": settings.region,
        "pull": settings.pull,
        "upload": settings.upload,
        "remote_write": False,
    }
    if settings.pull:
        variables["pull_address"] = reference(f"{ADDRESSES}[inventory_hostname]")
        addresses = settings.pull_addresses.items()
        found += [Claim(CUSTOM, ADDRESSES, "item", host, address) for host, address in addresses]
    if settings.remote_write:
        # Of the group's hosts some may write, and each to a gateway of its own.
        variables["remote_write"] = reference(f"inventory_hostname in {URLS}")
        variables["remote_write_url"] = reference(f"{URLS}[inventory_hostname] | default('')")
    for path in settings.remote_write:
        found.append(Claim(CUSTOM, URLS, "item", path.host, path.url))
        key = Tagged("!vault", path.key.strip() + "\n") if path.key else reference(path.key_variable)
        found.append(Claim(KOLLA, KEYS, "item", path.host, key))
    if settings.read_user:
        password = reference(settings.password_variable)
        user = {"username": settings.read_user, "password": password, "enabled": True}
        found.append(Claim(KOLLA, "prometheus_basic_auth_users_extra", "element", settings.read_user, user))
        variables["prometheus_user"] = settings.read_user
        variables["prometheus_password"] = password
    own = {_ROLE + name: value for name, value in variables.items()}
    own.update(settings.sidecar)
    own.update({name: reference(variable) for name, variable in settings.sidecar_references.items()})
    found += [Claim(CUSTOM, name, "value", "", value) for name, value in own.items()]
    required: dict[str, Any] = {"name": settings.collection}
    found.append(Claim(REQUIREMENTS, "collections", "element", settings.collection, required))
    return found


def files(settings: Settings) -> dict[str, str]:
    """Return the files that are ours as a whole, by their path in the repository."""
    if not settings.present:
        return {}
    found = {WRAPPER: _WRAPPER, INVENTORY: f"# {_MADE}\n[iaas:children]\n{settings.group}\n"}
    if settings.remote_write:
        # kolla-ansible templates what is in extras/.
        found[KEY] = reference(f"{KEYS}[inventory_hostname] | default('')") + "\n"
    for path in settings.remote_write:
        found[overlay_of(path.host)] = _overlay(path)
        found[path.certificate_file] = path.certificate.strip() + "\n"
        found[f"{EXTRAS}/{path.host}-ca.crt"] = path.ca.strip() + "\n"
    return found


def overlay_of(host: str) -> str:
    """Return the file that kolla-ansible merges into the prometheus.yml of a host."""
    return f"{_OVERLAYS}/{host}/prometheus.yml.d/90-scs-observability.yml"


def secrets(settings: Settings) -> list[dict[str, str]]:
    """Return the variables that hold secrets, which the operator keeps, and what each is for."""
    found: dict[str, str] = {}
    if settings.present:
        if settings.read_user:
            found[settings.password_variable] = f"password of Prometheus' user {settings.read_user}"
        for path in settings.remote_write:
            if path.key_variable:
                found[path.key_variable] = f"private key (PEM) of the certificate by which {path.host} writes"
        for name, variable in settings.sidecar_references.items():
            found[variable] = name
    return [{"variable": name, "file": SECRETS, "purpose": purpose} for name, purpose in found.items()]


def commands(settings: Settings, vendored: bool, changed: bool) -> list[str]:
    """Return what an operator calls then, in this order: ansible-galaxy in the checkout, the others on the manager."""
    kolla = ["osism apply configuration", "osism reconciler sync", "osism apply -a reconfigure prometheus"]
    if not settings.present:
        return [f"osism apply {PLAYBOOK} -e {_ROLE}state=absent", *kolla] if changed else []
    install = f"ansible-galaxy collection install -r {REQUIREMENTS} -p environments/custom/collections"
    return [*([] if vendored else [install]), *kolla, f"osism apply {PLAYBOOK}"]


def is_secret(name: str, value: Any) -> bool:
    """Return whether a value is a secret, by its name or by what is in it."""
    return bool(name in SECRET_VARIABLES or _SECRET_NAME.search(name) or _SECRET_TEXT.search(rendered(value)))


def secret_texts(params: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of parameters in which a secret is where none belongs: they are refused, and not shown."""
    given = params.get("sidecar")
    # Without the library nothing can be told from a secret; what is missing is said later on.
    with suppress(LibraryError):
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if is_secret(str(name), value):
                yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
    elif value not in (None, "") and not isinstance(value, bool):
        yield str(value)


def reference(variable: str) -> str:
    """Return what Ansible replaces with a variable."""
    return f"{{{{ {variable} }}}}"


def _label(value: object, parameter: str) -> str:
    """Return the value of a label. kolla-ansible writes it into YAML without quotes."""
    text = "" if value is None else str(value)
    if not text:
        raise InputError("is required and must not be empty", parameter=parameter)
    _match(text, _LABEL, parameter, "letters, digits, '.', '_' and '-', beginning and ending with a letter or a digit")
    if YamlText(parameter, f"value: {text}").data["value"] != text:
        raise InputError(
            f"{text} is a number, a date or a truth value in YAML, where kolla-ansible writes it without quotes",
            parameter=parameter,
            advice="Use a name that begins with a letter and is a word of its own",
        )
    return text


def _match(value: str, pattern: re.Pattern[str], parameter: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise InputError(f"{value!r} is not {what}", parameter=parameter)
    return value


def _remote_write(given: Mapping[str, Any], parameter: str) -> RemoteWrite:
    problems = Problems()
    problems.of(_match, given.get("host") or "", _LABEL, f"{parameter}.host", "the name of a host of OSISM's inventory")
    problems.of(_url, given.get("url"), f"{parameter}.url")
    for name in ("ca", "certificate"):
        problems.of(_certificates, given.get(name), f"{parameter}.{name}")
    key, variable = (given.get("key") or "").strip(), given.get("key_variable") or ""
    if bool(key) == bool(variable):
        problems.found.append(
            InputError(
                "give the private key encrypted by ansible-vault, or the variable that has it: one of both",
                parameter=f"{parameter}.key",
            )
        )
    elif key and not key.startswith(VAULTED):
        problems.found.append(
            InputError(
                "is not encrypted by ansible-vault, and would be read by whoever reads the repository",
                parameter=f"{parameter}.key",
                advice="Encrypt it with ansible-vault or the filter ansible.builtin.vault, or name a variable in "
                f"{SECRETS} with {parameter}.key_variable",
            )
        )
    elif variable:
        problems.of(_match, variable, _VARIABLE, f"{parameter}.key_variable", "the name of a variable")
    problems.refuse()
    return RemoteWrite(given["host"], given["url"], given["ca"], given["certificate"], key, variable)


def _url(value: object, parameter: str) -> None:
    try:
        parts = urlsplit(str(value or ""))
        valid = parts.scheme == "https" and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        valid = False
    if not valid or "{" in str(value) or any(character.isspace() for character in str(value)):
        raise InputError(
            "is not an https URL without credentials",
            parameter=parameter,
            advice="Give the gateway's, such as https://metrics.example.com/api/v1/receive",
        )


def _certificates(value: object, parameter: str) -> None:
    if not _CERTIFICATES.fullmatch(str(value or "")):
        raise InputError("is not a certificate, or several, in PEM and nothing else", parameter=parameter)


def _sidecar(given: Mapping[str, Any], secret_variables: Mapping[str, Any]) -> None:
    """Refuse what is no variable of the role, and secrets in clear."""
    problems = Problems()
    for parameter, names in (("sidecar", given), ("sidecar_references", secret_variables)):
        for name in names:
            if not str(name).startswith(_ROLE) or not _VARIABLE.fullmatch(str(name)):
                problems.found.append(
                    InputError(f"{name} is not a variable of the role {_ROLE.rstrip('_')}", parameter=parameter)
                )
    problems.found += [
        InputError(
            f"{name} is a secret, or has one in it, and would be read by whoever reads the repository",
            parameter="sidecar",
            advice=f"Keep it in {SECRETS}, and give the name of the variable there with sidecar_references",
        )
        for name, value in given.items()
        if is_secret(str(name), value)
    ]
    for name, variable in secret_variables.items():
        problems.of(_match, str(variable), _VARIABLE, "sidecar_references", f"the name of a variable, for {name}")
        if variable == name:
            problems.found.append(
                InputError(
                    f"{name} would be itself", parameter="sidecar_references", advice="Give it another name there"
                )
            )
    problems.refuse()


def _overlay(path: RemoteWrite) -> str:
    tls = {"ca_file": f"{path.host}-ca.crt", "cert_file": f"{path.host}.crt", "key_file": "client.key"}
    return f"---\n# {_MADE}; kolla-ansible merges it into prometheus.yml\n" + rendered(
        {
            "remote_write": [
                {
                    "name": "scs-observability",
                    "url": path.url,
                    "tls_config": {name: f"{_EXTRAS_IN_CONTAINER}/{file}" for name, file in tls.items()},
                }
            ]
        }
    )
