# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Keystone, and a real Swift with its S3 interface, as processes on loopback.

Both come from an environment of their own (requirements/openstack.txt). Swift's proxy has TLS: without, Thanos' uploads
fail there.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import create_authority, issue
from lab.python_environments import environment
from lab.state import CHECKOUT, lab_from_environment
from tests.integration.processes import answers, free_port, wait_until

if TYPE_CHECKING:
    from openstack.connection import Connection

# As long as ten of them on a quiet machine.
START_TIMEOUT = 180.0
PROJECT, OTHER_PROJECT, MEMBER, READER = "observer", "somebody-else", "operator", "onlooker"
ADMIN_PASSWORD, MEMBER_PASSWORD, SWIFT_PASSWORD = (secrets.token_hex(16) for _number in range(3))
HASH_SECRET = secrets.token_hex(16)
CATALOG_REGION = "RegionOne"

_KEYSTONE = """\
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/fernet-keys
[fernet_receipts]
key_repository = {folder}/receipt-keys
[credential]
key_repository = {folder}/credential-keys
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = oslo_cache.dict
"""

# gunicorn takes no arguments here: Keystone reads those of its process.
_GUNICORN = """\
wsgi_app = "keystone.wsgi.api:application"
bind = "127.0.0.1:{port}"
certfile, keyfile = "{certificate}", "{key}"
workers, threads = 1, 4
control_socket_disable = True
"""

_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
cert_file = {certificate}
key_file = {key}
swift_dir = {folder}
workers = 0
user = {user}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging s3api authtoken s3token keystoneauth copy slo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 60
node_timeout = 60
error_suppression_limit = 1000
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}
auth_url = {keystone}
cafile = {ca}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = swift
password = {swift_password}
delay_auth_decision = true
service_token_roles_required = true
[filter:s3token]
use = egg:swift#s3token
auth_uri = {keystone}/v3
auth_url = {keystone}
cafile = {ca}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = swift
password = {swift_password}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""  # noqa: E501

_STORAGE = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
workers = 0
user = {user}
fallocate_reserve = 0
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
conn_timeout = 60
node_timeout = 60
"""

# Importing takes these programs longer than what they do.
_COMMANDS = """\
import importlib, json, os, sys
module, commands = sys.argv[1], json.loads(sys.argv[2])
main = importlib.import_module(module).main
for command in commands:
    child = os.fork()
    if not child:
        sys.argv[:] = command
        sys.exit(main())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # The ring builder warns with 1.
    if status > int("rings" in command[0]):
        sys.exit(f"{command} exits with {status}")
"""


@dataclass
class OpenStack:
    """Where it is, and who may do what."""

    keystone: str
    swift: str
    ca: Path
    programs: Path = field(repr=False)

    def auth(self, user: str = MEMBER, password: str = MEMBER_PASSWORD, project: str = PROJECT) -> dict[str, Any]:
        """As the parameter ``auth`` takes it."""
        return {
            "auth_url": f"{self.keystone}/v3",
            "username": user,
            "password": password,
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }

    def connection(self, **auth: str) -> Connection:
        """An independent witness."""
        import openstack  # noqa: PLC0415 - takes a second, which tests without it need not spend

        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth={**self.auth(), **auth},
            cacert=str(self.ca),
            region_name=CATALOG_REGION,
        )

    def admin(self) -> Connection:
        return self.connection(username="admin", password=ADMIN_PASSWORD, project_name="admin")


def programs() -> Path:
    """Where the servers' programs are, in an environment of the lab's cache that is made once."""
    cache = lab_from_environment(os.environ).cache
    return environment(cache / "python", CHECKOUT / "requirements" / "openstack.txt", 11) / "bin"


@contextmanager
def running_openstack(folder: Path) -> Iterator[OpenStack]:
    """Keystone and Swift, with two projects and two users of the first, until the end of the block."""
    keystone, swift = (f"https://127.0.0.1:{free_port()}" for _number in range(2))
    authority = create_authority("openstack", datetime.now(UTC))
    served = issue(authority, "127.0.0.1", datetime.now(UTC), ip_addresses=["127.0.0.1"], server=True, client=False)
    found = OpenStack(keystone, swift, folder / "ca.crt", programs())
    found.ca.write_text(authority.certificate)
    (folder / "tls.crt").write_text(served.certificate)
    (folder / "tls.key").write_text(served.key)
    with ExitStack() as processes:
        # Swift asks Keystone only when it is asked itself, so it can start meanwhile.
        swift_answers = _start_swift(found, folder, processes)
        _start_keystone(found, folder, processes)
        _seed(found)
        swift_answers()
        yield found


def _start_keystone(found: OpenStack, folder: Path, processes: ExitStack) -> None:
    configuration = folder / "keystone"
    configuration.mkdir()
    (configuration / "keystone.conf").write_text(_KEYSTONE.format(folder=folder))
    (configuration / "gunicorn.conf.py").write_text(
        _GUNICORN.format(port=_port(found.keystone), certificate=folder / "tls.crt", key=folder / "tls.key")
    )
    me = ["--keystone-user", getpass.getuser(), "--keystone-group", getpass.getuser()]
    _run(
        found,
        configuration,
        "keystone.cmd.manage",
        *(
            ["keystone-manage", "--config-dir", str(configuration), *command]
            for command in (
                ["db_sync"],
                ["fernet_setup", *me],
                ["receipt_setup", *me],
                ["credential_setup", *me],
                [
                    *("bootstrap", "--bootstrap-password", ADMIN_PASSWORD),
                    *("--bootstrap-region-id", CATALOG_REGION, "--bootstrap-public-url", f"{found.keystone}/v3"),
                ],
            )
        ),
    )
    running = processes.enter_context(
        _process([found.programs / "gunicorn"], configuration, OS_KEYSTONE_CONFIG_DIR=str(configuration))
    )
    running(f"{found.keystone}/v3", found)


def _seed(found: OpenStack) -> None:
    with found.admin() as cloud:
        projects = {name: cloud.create_project(name, "default") for name in (PROJECT, OTHER_PROJECT, "service")}
        for name, password, project, role in (
            (MEMBER, MEMBER_PASSWORD, PROJECT, "member"),
            (READER, MEMBER_PASSWORD, PROJECT, "reader"),
            ("swift", SWIFT_PASSWORD, "service", "service"),
        ):
            user = cloud.create_user(name=name, password=password, domain_id="default")
            cloud.grant_role(role, user=user.id, project=projects[project].id)
        cloud.grant_role("admin", user="swift", project=projects["service"].id)
        service = cloud.create_service("swift", type="object-store")
        cloud.create_endpoint(
            service.id, url=f"{found.swift}/v1/AUTH_%(project_id)s", interface="public", region=CATALOG_REGION
        )


def _start_swift(found: OpenStack, folder: Path, processes: ExitStack) -> Callable[[], None]:
    """Start it, and return what waits until it answers."""
    place = folder / "swift"
    (place / "devices" / "d1").mkdir(parents=True)
    (place / "swift.conf").write_text(f"[swift-hash]\nswift_hash_path_suffix = {secrets.token_hex(8)}\n")
    given = {"folder": place, "user": getpass.getuser()}
    ports = {name: free_port() for name in ("account", "container", "object")}
    _run(
        found,
        place,
        "swift.cli.ringbuilder",
        *(
            ["rings", f"{name}.builder", *command]
            for name, port in ports.items()
            for command in (["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"])
        ),
    )
    for name, port in ports.items():
        (place / f"{name}.conf").write_text(_STORAGE.format(name=name, port=port, **given))
        processes.enter_context(_process([found.programs / f"swift-{name}-server", f"{name}.conf"], place))
    (place / "proxy.conf").write_text(
        _PROXY.format(
            port=_port(found.swift),
            certificate=folder / "tls.crt",
            key=folder / "tls.key",
            ca=found.ca,
            keystone=found.keystone,
            swift_password=SWIFT_PASSWORD,
            **given,
        )
    )
    running = processes.enter_context(
        # s3token has no option for what its service token is fetched with.
        _process([found.programs / "swift-proxy-server", "proxy.conf"], place, REQUESTS_CA_BUNDLE=str(found.ca))
    )
    return lambda: running(f"{found.swift}/healthcheck", found)


def _port(url: str) -> str:
    return url.rsplit(":", 1)[1]


def _run(found: OpenStack, folder: Path, module: str, *commands: list[str]) -> None:
    done = subprocess.run(
        [found.programs / "python", "-c", _COMMANDS, module, json.dumps(commands)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{module}:\n{done.stdout[-3000:]}")


@contextmanager
def _process(command: list[str | Path], folder: Path, **environment: str) -> Iterator[Callable[[str, OpenStack], None]]:
    """Have a program run; what is yielded waits until it answers at a URL."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    try:
        yield lambda url, found: wait_until(
            lambda: answers(url, ssl.create_default_context(cafile=found.ca)), started, log, START_TIMEOUT
        )
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
