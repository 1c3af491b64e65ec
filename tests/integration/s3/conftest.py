# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3 server: versitygw with TLS, versions and several users, as a process on loopback.

The binaries come from LAB_BIN, else from the lab's cache (`make lab` builds them).
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import create_authority, issue

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

START_TIMEOUT = 30.0


def binary(name: str) -> str:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = Path(os.environ.get("LAB_BIN") or cache / "scs-observability-lab" / "bin" / "current")
    path = folder / name
    if not path.is_file():
        pytest.fail(f"{path} is missing: `make lab` builds it, or let LAB_BIN point to a folder that has it")
    return str(path)


@dataclass(frozen=True)
class User:
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class S3Server:
    """``url`` has the address that the certificate names; ``stranger`` owns nothing of ``owner``'s."""

    port: int
    ca: Path
    owner: User
    stranger: User

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def client(self, user: User) -> S3Client:
        """An independent witness of what is in the store."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=user.access_key,
            aws_secret_access_key=user.secret_key,
            verify=str(self.ca),
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    @cached_property
    def witness(self) -> S3Client:
        return self.client(self.owner)

    def buckets(self) -> set[str]:
        return {str(bucket["Name"]) for bucket in self.witness.list_buckets()["Buckets"]}

    def content(self, bucket: str) -> list[tuple[str, str]]:
        """Everything in a bucket: objects' versions, delete markers and unfinished uploads, as kind and key."""
        versions = self.witness.list_object_versions(Bucket=bucket)
        uploads = self.witness.list_multipart_uploads(Bucket=bucket)
        found = {
            "version": versions.get("Versions", []),
            "marker": versions.get("DeleteMarkers", []),
            "upload": uploads.get("Uploads", []),
        }
        items: dict[str, Any] = found
        return [(kind, item["Key"]) for kind, listed in items.items() for item in listed]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3")
    now = datetime.now(UTC)
    authority = create_authority("test store", now)
    pair = issue(authority, "store", now, ip_addresses=["127.0.0.1"], server=True, client=False)
    for name, text in {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}.items():
        (folder / name).write_text(text)
    for name in ("data", "versions", "users"):
        (folder / name).mkdir()

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    owner, stranger = (User(name, secrets.token_urlsafe(24)) for name in ("test-owner", "test-stranger"))
    server = S3Server(port, folder / "ca.crt", owner, stranger)
    # Its root may do everything everywhere, so the tests are two users without privileges.
    root = User("test-root", secrets.token_urlsafe(24))

    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [
                *(binary("versitygw"), "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive"),
                *("--iam-dir", str(folder / "users")),
                *("--cert", str(folder / "tls.crt"), "--key", str(folder / "tls.key")),
                *("posix", "--versioning-dir", str(folder / "versions"), str(folder / "data")),
            ],
            env={"ROOT_ACCESS_KEY_ID": root.access_key, "ROOT_SECRET_ACCESS_KEY": root.secret_key},
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_until_it_answers(server, root, process, folder / "log")
            for user in (owner, stranger):
                _create_user(server, root, user)
            yield server
        finally:
            process.terminate()


def _wait_until_it_answers(server: S3Server, root: User, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            server.client(root).list_buckets()
            return
        except BotoCoreError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"versitygw does not answer: {error}\n{log.read_text()}")
            time.sleep(0.05)


def _create_user(server: S3Server, root: User, user: User) -> None:
    """userplus may create buckets, and sees only its own."""
    subprocess.run(
        [
            *(binary("versitygw"), "admin", "--endpoint-url", server.url, "create-user", "--role", "userplus"),
            *("--access", user.access_key, "--secret", user.secret_key),
        ],
        env={
            "ADMIN_ACCESS_KEY_ID": root.access_key,
            "ADMIN_SECRET_ACCESS_KEY": root.secret_key,
            "SSL_CERT_FILE": str(server.ca),
        },
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def name(_numbers: Iterator[int]) -> str:
    """A name that no bucket has yet."""
    return f"thanos-{next(_numbers)}"


@pytest.fixture
def parameters(s3: S3Server, name: str) -> dict[str, Any]:
    """What the module needs."""
    return {
        "name": name,
        "endpoint": s3.url,
        "ca_path": str(s3.ca),
        "access_key": s3.owner.access_key,
        "secret_key": s3.owner.secret_key,
    }
