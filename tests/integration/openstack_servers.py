# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Keystone and Swift on loopback, with projects and users."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import create_authority, issue
from lab.iaas.openstack_servers import REGION, STORAGE_PORTS, Servers
from lab.python_environments import environment
from lab.state import CHECKOUT, lab_from_environment
from tests.integration.processes import free_port

if TYPE_CHECKING:
    from openstack.connection import Connection

PROJECT, OTHER_PROJECT, MEMBER, READER = "observer", "somebody-else", "operator", "onlooker"
MEMBER_PASSWORD = secrets.token_hex(16)
CATALOG_REGION = REGION


@dataclass
class OpenStack:
    """Where it is, and who may do what."""

    keystone: str
    swift: str
    ca: Path
    admin_password: str = field(repr=False)

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
        return self.connection(username="admin", password=self.admin_password, project_name="admin")


@contextmanager
def running_openstack(folder: Path) -> Iterator[OpenStack]:
    """Keystone and Swift, with two projects and two users of the first, until the end of the block."""
    authority = create_authority("openstack", datetime.now(UTC))
    served = issue(authority, "127.0.0.1", datetime.now(UTC), ip_addresses=["127.0.0.1"], server=True, client=False)
    for name, content in (("ca.crt", authority.certificate), ("tls.crt", served.certificate), ("tls.key", served.key)):
        (folder / name).write_text(content)
    # In an environment of the lab's cache that is made once.
    cache = lab_from_environment(os.environ).cache
    packages = environment(cache / "python", CHECKOUT / "requirements" / "openstack.txt", 11)
    servers = Servers(
        folder=folder,
        certificates=folder,
        python=packages / "bin" / "python",
        address="127.0.0.1",
        keystone_port=free_port(),
        swift_port=free_port(),
        storage_ports={name: free_port() for name in STORAGE_PORTS},
    )
    found = OpenStack(servers.keystone, servers.swift, folder / "ca.crt", servers.admin_password)
    with ExitStack() as processes:
        # Swift starts while Keystone is set up.
        swift_answers = servers.start_swift(processes)
        servers.start_keystone(processes)()
        _seed(found, servers.swift_password)
        swift_answers()
        yield found


def _seed(found: OpenStack, swift_password: str) -> None:
    with found.admin() as cloud:
        projects = {name: cloud.create_project(name, "default") for name in (PROJECT, OTHER_PROJECT, "service")}
        for name, password, project, role in (
            (MEMBER, MEMBER_PASSWORD, PROJECT, "member"),
            (READER, MEMBER_PASSWORD, PROJECT, "reader"),
            ("swift", swift_password, "service", "service"),
        ):
            user = cloud.create_user(name=name, password=password, domain_id="default")
            cloud.grant_role(role, user=user.id, project=projects[project].id)
        cloud.grant_role("admin", user="swift", project=projects["service"].id)
        service = cloud.create_service("swift", type="object-store")
        cloud.create_endpoint(
            service.id, url=f"{found.swift}/v1/AUTH_%(project_id)s", interface="public", region=CATALOG_REGION
        )
