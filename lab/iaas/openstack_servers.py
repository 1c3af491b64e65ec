# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Keystone, and a real Swift with its S3 interface, as processes, from requirements/openstack.txt.

The lab runs this file in a container (arguments: the address to listen on, the folder with the certificate), and the
integration tests import it. Swift's proxy has TLS: without, Thanos' uploads fail there. Imports nothing of the lab.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

KEYSTONE_PORT, SWIFT_PORT = 5000, 8080
STORAGE_PORTS = {"account": 6202, "container": 6201, "object": 6200}
REGION = "RegionOne"
# As long as ten of them on a quiet machine
START_SECONDS = 180.0

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
bind = "{address}:{port}"
certfile, keyfile = "{certificate}", "{key}"
workers, threads = 1, 4
control_socket_disable = True
"""

_PROXY = """\
[DEFAULT]
bind_ip = {address}
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


@dataclass(frozen=True)
class Servers:
    """Where they are and listen, and what they are told. Raises RuntimeError when one does not start.

    folder: what they write, made for them; certificates: has ca.crt, tls.crt and tls.key; python: has the packages
    """

    folder: Path
    certificates: Path
    python: Path
    address: str
    keystone_port: int = KEYSTONE_PORT
    swift_port: int = SWIFT_PORT
    storage_ports: dict[str, int] = field(default_factory=lambda: dict(STORAGE_PORTS))
    admin_password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    swift_password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def keystone(self) -> str:
        return f"https://{self.address}:{self.keystone_port}"

    @property
    def swift(self) -> str:
        return f"https://{self.address}:{self.swift_port}"

    def start_keystone(self, processes: ExitStack) -> Callable[[], None]:
        """Start it with what bootstrapping makes, and return what waits until it answers."""
        place = self.folder / "keystone"
        place.mkdir()
        (place / "keystone.conf").write_text(_KEYSTONE.format(folder=self.folder))
        (place / "gunicorn.conf.py").write_text(_GUNICORN.format(port=self.keystone_port, **self._served()))
        me = ["--keystone-user", getpass.getuser(), "--keystone-group", getpass.getuser()]
        bootstrap = [
            *("bootstrap", "--bootstrap-password", self.admin_password),
            *("--bootstrap-region-id", REGION, "--bootstrap-public-url", f"{self.keystone}/v3"),
        ]
        commands = [["db_sync"], *([f"{kind}_setup", *me] for kind in ("fernet", "receipt", "credential")), bootstrap]
        self._run(
            place,
            "keystone.cmd.manage",
            [["keystone-manage", "--config-dir", str(place), *command] for command in commands],
        )
        program = self._process("gunicorn.app.wsgiapp", "run", [], place, {"OS_KEYSTONE_CONFIG_DIR": str(place)})
        running = processes.enter_context(program)
        return lambda: running(f"{self.keystone}/v3")

    def start_swift(self, processes: ExitStack) -> Callable[[], None]:
        """Start it, and return what waits until it answers; it asks Keystone only when it is asked itself."""
        place = self.folder / "swift"
        (place / "devices" / "d1").mkdir(parents=True)
        (place / "swift.conf").write_text(f"[swift-hash]\nswift_hash_path_suffix = {secrets.token_hex(8)}\n")
        given = {"folder": place, "user": getpass.getuser()}
        self._run(
            place,
            "swift.cli.ringbuilder",
            [
                ["rings", f"{name}.builder", *command]
                for name, port in self.storage_ports.items()
                for command in (["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"])
            ],
        )
        for name, port in self.storage_ports.items():
            (place / f"{name}.conf").write_text(_STORAGE.format(name=name, port=port, **given))
            module = f"swift.{'obj' if name == 'object' else name}.server"
            processes.enter_context(self._process(module, "main", [f"{name}.conf"], place))
        (place / "proxy.conf").write_text(
            _PROXY.format(
                port=self.swift_port,
                ca=self._ca,
                keystone=self.keystone,
                swift_password=self.swift_password,
                **self._served(),
                **given,
            )
        )
        # s3token has no option for what its service token is fetched with.
        trust = {"REQUESTS_CA_BUNDLE": str(self._ca)}
        running = processes.enter_context(self._process("swift.proxy.server", "main", ["proxy.conf"], place, trust))
        return lambda: running(f"{self.swift}/healthcheck")

    @property
    def _ca(self) -> Path:
        return self.certificates / "ca.crt"

    def _served(self) -> dict[str, object]:
        return {
            "address": self.address,
            "certificate": self.certificates / "tls.crt",
            "key": self.certificates / "tls.key",
        }

    def _run(self, folder: Path, module: str, commands: list[list[str]]) -> None:
        done = subprocess.run(
            [self.python, "-c", _COMMANDS, module, json.dumps(commands)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{module}:\n{done.stdout[-3000:]}")

    @contextmanager
    def _process(
        self, module: str, function: str, arguments: list[str], folder: Path, environment: dict[str, str] | None = None
    ) -> Iterator[Callable[[str], None]]:
        """Have a program run; what is yielded waits until it answers at a URL."""
        log = folder / f"{module}.log"
        with log.open("wb") as output:
            started = subprocess.Popen(
                [self.python, "-c", f"from {module} import {function}; {function}()", *arguments],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

        def wait(url: str) -> None:
            deadline = time.monotonic() + START_SECONDS
            while not answers(url, ssl.create_default_context(cafile=self._ca)):
                if started.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{module} did not start:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.1)

        try:
            yield wait
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def answers(url: str, trust: ssl.SSLContext) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5, context=trust) as response:
            return int(response.status) == 200
    except OSError:
        return False


def main(address: str, certificates: str) -> None:
    """Run them, empty, until the first of them ends."""
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit())
    with tempfile.TemporaryDirectory() as folder, ExitStack() as processes:
        servers = Servers(Path(folder), Path(certificates), Path(sys.executable), address)
        for start in (servers.start_swift, servers.start_keystone):
            start(processes)
        _process, status = os.wait()
        for log in sorted(Path(folder).rglob("*.log")):
            print(f"{log}:\n{log.read_text(errors='replace')[-3000:]}", flush=True)
        sys.exit(f"a server ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
