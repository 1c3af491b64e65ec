# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3 server: versitygw with TLS, versions and several users."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import create_authority, issue
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import (
    CA_FILE,
    to_yaml,
    with_credentials,
)
from tests.integration.processes import START_TIMEOUT, binary, free_port

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# A block as Thanos finds it.
BLOCK = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
META = {
    "ulid": BLOCK,
    "minTime": 0,
    "maxTime": 7200000,
    "version": 1,
    "stats": {},
    "compaction": {"level": 1, "sources": [BLOCK]},
    "thanos": {"labels": {"cluster": "alpha"}, "downsample": {"resolution": 0}, "source": "receive"},
}


@dataclass(frozen=True)
class User:
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class S3Server:
    """``url`` has the address that the certificate names; ``stranger`` owns nothing of ``owner``'s.

    ``root`` may do everything everywhere, so what is tested is done by users without privileges. It may be stopped and
    started again, with what it has.
    """

    port: int
    folder: Path
    root: User
    owner: User
    stranger: User
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def start(self) -> None:
        command = [
            *(binary("versitygw"), "--port", f"127.0.0.1:{self.port}", "--quiet", "--keep-alive"),
            *("--iam-dir", str(self.folder / "users")),
            *("--cert", str(self.folder / "tls.crt"), "--key", str(self.folder / "tls.key")),
            *("posix", "--versioning-dir", str(self.folder / "versions"), str(self.folder / "data")),
        ]
        environment = {"ROOT_ACCESS_KEY_ID": self.root.access_key, "ROOT_SECRET_ACCESS_KEY": self.root.secret_key}
        with (self.folder / "log").open("ab") as log:
            started = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self._running.append(started)
        _wait_until_it_answers(self, started, self.folder / "log")

    def stop(self) -> None:
        while self._running:
            ending = self._running.pop()
            ending.terminate()
            ending.wait()

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

    def create_user(self, user: User) -> None:
        """userplus may create buckets, and sees only its own."""
        self._admin("create-user", "--role", "userplus", "--access", user.access_key, "--secret", user.secret_key)

    def delete_user(self, user: User) -> None:
        self._admin("delete-user", "--access", user.access_key)

    def _admin(self, *arguments: str) -> None:
        subprocess.run(
            [binary("versitygw"), "admin", "--endpoint-url", self.url, *arguments],
            env={
                "ADMIN_ACCESS_KEY_ID": self.root.access_key,
                "ADMIN_SECRET_ACCESS_KEY": self.root.secret_key,
                "SSL_CERT_FILE": str(self.ca),
            },
            check=True,
            capture_output=True,
        )

    def buckets(self) -> set[str]:
        return {str(bucket["Name"]) for bucket in self.witness.list_buckets()["Buckets"]}

    def put_block(self, bucket: str, user: User | None = None) -> None:
        self.client(user or self.owner).put_object(
            Bucket=bucket, Key=f"{BLOCK}/meta.json", Body=json.dumps(META).encode()
        )

    def thanos(self, objstore: dict[str, Any], user: User, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Thanos with a configuration as the module returns it."""
        text = to_yaml(with_credentials(objstore, user.access_key, user.secret_key))
        # In a pod, the authority's certificate is mounted there.
        assert CA_FILE in text
        return subprocess.run(
            [binary("thanos"), *arguments, f"--objstore.config={text.replace(CA_FILE, str(self.ca))}"],
            check=False,
            capture_output=True,
            text=True,
        )

    def blocks(self, objstore: dict[str, Any], user: User) -> list[str]:
        """The blocks that Thanos sees."""
        listed = self.thanos(objstore, user, "tools", "bucket", "ls")
        assert listed.returncode == 0, listed.stderr
        return listed.stdout.split()

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


@contextmanager
def running_s3_server(folder: Path) -> Iterator[S3Server]:
    """A server with its users, for as long as the block lasts."""
    now = datetime.now(UTC)
    authority = create_authority("test store", now)
    pair = issue(authority, "store", now, ip_addresses=["127.0.0.1"], server=True, client=False)
    for name, text in {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}.items():
        (folder / name).write_text(text)
    for name in ("data", "versions", "users"):
        (folder / name).mkdir()

    owner, stranger = (User(name, secrets.token_urlsafe(24)) for name in ("test-owner", "test-stranger"))
    root = User("test-root", secrets.token_urlsafe(24))
    server = S3Server(free_port(), folder, root, owner, stranger)
    try:
        server.start()
        for user in (owner, stranger):
            server.create_user(user)
        yield server
    finally:
        server.stop()


def _wait_until_it_answers(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            server.client(server.root).list_buckets()
            return
        except BotoCoreError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"versitygw does not answer: {error}\n{log.read_text()}")
            time.sleep(0.05)
