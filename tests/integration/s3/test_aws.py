# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS does differently from other stores, on moto, which models it: regions, owners, tags, conditional writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ansible_collections.scs.observability.plugins.module_utils._core.errors import StorageError
from ansible_collections.scs.observability.plugins.module_utils._objstore.client import Access, BucketClient
from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import (
    Owner,
    Place,
    claim,
    release,
)
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import endpoint

from .conftest import Module

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Aws:
    url: str

    def s3(self, region: str = "us-east-1") -> S3Client:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id="ours",
            aws_secret_access_key="secret-of-ours",
        )

    def other_account(self) -> tuple[str, str]:
        sts = boto3.client(
            "sts",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="ours",
            aws_secret_access_key="secret-of-ours",
        )
        role = sts.assume_role(RoleArn="arn:aws:iam::111111111111:role/theirs", RoleSessionName="theirs")
        return role["Credentials"]["AccessKeyId"], role["Credentials"]["SecretAccessKey"]

    def access(
        self, name: str, region: str = "us-east-1", keys: tuple[str, str] = ("ours", "secret-of-ours")
    ) -> Access:
        return Access(name, endpoint(self.url), region, *keys)


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Aws(f"http://{host}:{port}")
    server.stop()


@pytest.fixture
def parameters(aws: Aws, name: str) -> dict[str, Any]:
    return {"name": name, "endpoint": aws.url, "access_key": "ours", "secret_key": "secret-of-ours"}


@contextmanager
def refused(code: str, parameter: str | None) -> Iterator[None]:
    with pytest.raises(StorageError) as error:
        yield
    assert (error.value.code, error.value.parameter) == (code, parameter)


class TestRegions:
    # AWS refuses the name of its first region as a constraint, and tells none for buckets in it.
    @pytest.mark.parametrize(("region", "location"), [("us-east-1", None), ("eu-central-1", "eu-central-1")])
    def test_created_where_it_is_wanted(
        self, module: Module, aws: Aws, parameters: dict[str, Any], name: str, *, region: str, location: str | None
    ) -> None:
        assert module(parameters, region=region)["changed"] is True
        assert aws.s3().get_bucket_location(Bucket=name)["LocationConstraint"] == location
        assert module(parameters, region=region)["changed"] is False
        assert module(parameters, region=region, state="absent")["changed"] is True


class TestOwners:
    @pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
    def test_created_by_another_run_in_the_meantime(self, aws: Aws, name: str, region: str) -> None:
        """In its first region AWS says yes once more, elsewhere BucketAlreadyOwnedByYou."""
        with BucketClient(aws.access(name, region)) as client:
            client.create()
            client.create()
            assert client.exists()

    def test_created_by_somebody_else_in_the_meantime(self, aws: Aws, name: str) -> None:
        aws.s3().create_bucket(Bucket=name)
        with (
            BucketClient(aws.access(name, keys=aws.other_account())) as client,
            refused("BucketAlreadyExists", "name"),
        ):
            client.create()


class TestSettings:
    def test_tags_and_versions(self, module: Module, aws: Aws, parameters: dict[str, Any], name: str) -> None:
        wanted: dict[str, Any] = {"tags": {"team": "a"}, "versioning": True}
        module(parameters)
        assert module(parameters, check=True, **wanted)["diff"] == module(parameters, **wanted)["diff"]
        assert module(parameters, **wanted)["changed"] is False
        assert module(parameters)["changed"] is False
        assert aws.s3().get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "team", "Value": "a"}]
        assert aws.s3().get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        assert module(parameters, tags={}, versioning=False)["changed"] is True
        assert module(parameters, tags={}, versioning=False)["changed"] is False
        assert module(parameters, state="absent")["deleted"] == {"objects": 0, "uploads": 0}


class TestCompactor:
    def test_one_per_bucket(self, aws: Aws, name: str) -> None:
        aws.s3().create_bucket(Bucket=name)
        where = Place(aws.access(name))
        ours, theirs = (Owner(uid, "monitoring", "compactor", uid) for uid in ("uid-a", "uid-b"))
        claim(where, ours, NOW)
        claim(where, ours, NOW)
        with refused("BucketClaimed", "take_over_bucket"):
            claim(where, theirs, NOW)
        assert claim(where, theirs, NOW, take_over=True).taken_over is not None
        assert release(where, ours) is None
        assert release(where, theirs) is not None
        assert "Contents" not in aws.s3().list_objects_v2(Bucket=name)

    def test_a_late_write_is_refused_by_the_store(self, aws: Aws, name: str) -> None:
        aws.s3().create_bucket(Bucket=name)
        with BucketClient(aws.access(name)) as client:
            assert client.put_unless_changed("a", b"1", None) is True
            assert client.put_unless_changed("a", b"2", None) is False
            first = client.find("a")
            assert client.put_unless_changed("a", b"3", first) is True
            assert client.put_unless_changed("a", b"4", first) is False
            client.delete("a")
            assert client.put_unless_changed("a", b"5", first) is False
            assert client.find("a") is None
