# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module bucket against a real S3 server."""

from __future__ import annotations

import json
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import create_authority
from ansible_collections.scs.observability.plugins.module_utils._objstore import client as client_module
from ansible_collections.scs.observability.plugins.modules import bucket
from tests.integration.processes import ansible
from tests.integration.s3_server import BLOCK, S3Server

from .conftest import Module


def fill(s3: S3Server, name: str) -> None:
    """Two objects; in one bucket with versions also an old version and a delete marker; an unfinished upload."""
    witness = s3.witness
    for key in ("01BLOCK/meta.json", "01BLOCK/chunks/000001", "01BLOCK/index"):
        witness.put_object(Bucket=name, Key=key, Body=b"1")
    witness.create_multipart_upload(Bucket=name, Key="01BLOCK/chunks/000002")


class TestPresent:
    def test_check_create_and_again(self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str) -> None:
        checked = module(parameters, check=True)
        assert checked["changed"] is True
        assert checked["preflight"]["skipped"] == ["write", "read", "list", "delete"]
        assert name not in s3.buckets()

        created = module(parameters)
        assert name in s3.buckets()
        assert created["preflight"] == {
            "write": True,
            "read": True,
            "list": True,
            "delete": True,
            "read_existing": None,
            "clock_skew_seconds": 0,
            "skipped": [],
        }
        for key in ("changed", "changes", "diff", "objstore", "objstore_ca"):
            assert checked[key] == created[key]

        again = module(parameters)
        assert (again["changed"], again["changes"]) == (False, [])
        assert again["diff"]["before"] == again["diff"]["after"]
        assert s3.content(name) == []

    def test_check_mode_on_a_bucket_that_is_there(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        result = module(parameters, check=True)
        assert result["changed"] is False
        assert result["preflight"]["skipped"] == ["write", "read", "delete"]
        assert result["preflight"]["list"] is True

    def test_the_preflight_leaves_nothing_in_a_bucket_with_versions(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        s3.witness.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        module(parameters)
        assert s3.content(name) == []

    def test_the_preflight_harms_nothing(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        fill(s3, name)
        before = s3.content(name)
        assert module(parameters)["changed"] is False
        assert s3.content(name) == before

    def test_content_of_the_authority_and_credentials_of_the_environment(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.owner.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.owner.secret_key)
        result = module(parameters, ca_path="", ca_content=s3.ca.read_text(), access_key="", secret_key="")
        assert result["changed"] is True
        assert result["objstore_ca"] == s3.ca.read_text()

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_without_verification(self, module: Module, parameters: dict[str, Any]) -> None:
        result = module(parameters, ca_path="", validate_certs=False)
        assert result["objstore"]["config"]["http_config"] == {"insecure_skip_verify": True}

    def test_thanos_reads_the_bucket_with_the_configuration(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str
    ) -> None:
        result = module(parameters)
        s3.put_block(name)
        assert s3.blocks(result["objstore"], s3.owner) == [BLOCK]


class TestSettings:
    def test_tags_and_versions(self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str) -> None:
        wanted: dict[str, Any] = {"tags": {"team": "a", "cost": 7}, "versioning": True}
        assert module(parameters, check=True, **wanted)["diff"] == module(parameters, **wanted)["diff"]
        assert module(parameters, **wanted)["changed"] is False
        tags = s3.witness.get_bucket_tagging(Bucket=name)["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "a", "cost": "7"}
        assert s3.witness.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        assert s3.content(name) == []

    def test_unset_they_stay(self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str) -> None:
        module(parameters, tags={"team": "a"}, versioning=True)
        assert module(parameters)["changed"] is False
        assert module(parameters, tags={"team": "a"}, versioning=True)["changed"] is False

    def test_off_again(self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str) -> None:
        module(parameters, tags={"team": "a"}, versioning=True)
        result = module(parameters, tags={}, versioning=False)
        assert result["changes"] == [f"update S3 Bucket {name}"]
        assert "team: a" in result["diff"]["before"]
        assert module(parameters, tags={}, versioning=False)["changed"] is False
        assert s3.witness.get_bucket_versioning(Bucket=name)["Status"] == "Suspended"


class TestAbsent:
    def test_check_delete_and_again(self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str) -> None:
        module(parameters)
        checked = module(parameters, check=True, state="absent")
        assert checked["changed"] is True
        assert name in s3.buckets()

        deleted = module(parameters, state="absent")
        assert name not in s3.buckets()
        for key in ("changed", "changes", "diff"):
            assert checked[key] == deleted[key]
        assert deleted["deleted"] == {"objects": 0, "uploads": 0}

        assert module(parameters, state="absent")["changed"] is False
        assert module(parameters, check=True, state="absent")["changed"] is False

    @pytest.mark.parametrize("check", [True, False])
    def test_a_bucket_with_objects_is_refused(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str, check: bool
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        fill(s3, name)
        before = s3.content(name)
        result = module(parameters, check=check, state="absent", fails=True)
        assert (result["code"], result["parameter"], result["error"]) == ("BucketNotEmpty", "force", "storage_error")
        assert s3.content(name) == before

    def test_an_unfinished_upload_is_content_too(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        s3.witness.create_multipart_upload(Bucket=name, Key="block")
        assert module(parameters, state="absent", fails=True)["code"] == "BucketNotEmpty"
        assert module(parameters, state="absent", force=True)["deleted"] == {"objects": 0, "uploads": 1}
        assert name not in s3.buckets()

    def test_force(self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str) -> None:
        s3.witness.create_bucket(Bucket=name)
        fill(s3, name)
        before = s3.content(name)
        checked = module(parameters, check=True, state="absent", force=True)
        assert checked["changed"] is True
        assert s3.content(name) == before
        result = module(parameters, state="absent", force=True)
        assert result["deleted"] == {"objects": 3, "uploads": 1}
        assert checked["diff"] == result["diff"]
        assert name not in s3.buckets()

    @pytest.mark.parametrize("prefix", ["", "site-b/"])
    def test_force_is_not_enough_where_a_compactor_works(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str, prefix: str
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        fill(s3, name)
        s3.witness.put_object(Bucket=name, Key=f"{prefix}.scs-observability/compactor.json", Body=b"{}")
        before = s3.content(name)
        refused = module(parameters, state="absent", force=True, fails=True)
        assert (refused["code"], refused["parameter"]) == ("BucketClaimed", "force_claimed")
        assert s3.content(name) == before
        assert module(parameters, state="absent", force=True, force_claimed=True)["deleted"]["objects"] == 4
        assert name not in s3.buckets()

    def test_force_with_versions(self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str) -> None:
        witness = s3.witness
        witness.create_bucket(Bucket=name)
        witness.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        for body in (b"1", b"2"):
            witness.put_object(Bucket=name, Key="block", Body=body)
        witness.delete_object(Bucket=name, Key="block")
        assert sorted(kind for kind, _key in s3.content(name)) == ["marker", "version", "version"]
        assert "Contents" not in witness.list_objects_v2(Bucket=name)

        assert module(parameters, state="absent", fails=True)["code"] == "BucketNotEmpty"
        assert module(parameters, state="absent", force=True)["deleted"] == {"objects": 3, "uploads": 0}
        assert name not in s3.buckets()

    def test_force_with_more_than_a_page(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        with ThreadPoolExecutor(8) as pool:
            keys = (f"{number % 10}/{number}" for number in range(1010))
            list(pool.map(lambda key: s3.witness.put_object(Bucket=name, Key=key, Body=b""), keys))
        assert module(parameters, state="absent", force=True)["deleted"]["objects"] == 1010
        assert name not in s3.buckets()


@pytest.mark.usefixtures("one_attempt")
class TestRefusals:
    """Each names what to look at, and changes nothing."""

    @pytest.fixture(autouse=True)
    def _no_bucket_comes_or_goes(self, s3: S3Server) -> Any:
        before = s3.buckets()
        yield
        assert s3.buckets() == before

    @pytest.mark.parametrize("check", [True, False])
    @pytest.mark.parametrize(
        ("parameter", "code"), [("access_key", "InvalidAccessKeyId"), ("secret_key", "SignatureDoesNotMatch")]
    )
    def test_wrong_credentials(
        self, module: Module, parameters: dict[str, Any], parameter: str, code: str, check: bool
    ) -> None:
        result = module(parameters, check=check, fails=True, **{parameter: "wrong"})
        assert (result["parameter"], result["code"], result["error"]) == (parameter, code, "storage_error")
        assert result["msg"].startswith(f"{parameter}: could not list the objects")

    @pytest.mark.parametrize("check", [True, False])
    def test_another_region(self, module: Module, parameters: dict[str, Any], check: bool) -> None:
        result = module(parameters, check=check, region="eu-central-1", fails=True)
        assert (result["parameter"], result["code"]) == ("region", "AuthorizationHeaderMalformed")
        assert result["msg"].endswith("Set region to us-east-1")

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_a_bucket_of_somebody_else(
        self, module: Module, s3: S3Server, parameters: dict[str, Any], name: str, state: str
    ) -> None:
        theirs = s3.client(s3.stranger)
        theirs.create_bucket(Bucket=name)
        for check in (True, False):
            result = module(parameters, state=state, force=True, check=check, fails=True)
            assert (result["code"], result["parameter"]) == ("AccessDenied", "name")
            assert "belongs to somebody else" in result["found"]
        theirs.delete_bucket(Bucket=name)

    def test_another_authority(self, module: Module, parameters: dict[str, Any]) -> None:
        other = create_authority("test store", datetime.now(UTC)).certificate
        result = module(parameters, ca_path="", ca_content=other, fails=True)
        assert (result["code"], result["parameter"]) == ("TlsAuthority", "ca_path")

    def test_no_authority(self, module: Module, parameters: dict[str, Any]) -> None:
        result = module(parameters, ca_path="", fails=True)
        assert (result["code"], result["parameter"]) == ("TlsAuthority", "ca_path")

    def test_a_name_that_is_not_in_the_certificate(
        self, module: Module, s3: S3Server, parameters: dict[str, Any]
    ) -> None:
        result = module(parameters, endpoint=f"https://localhost:{s3.port}", fails=True)
        assert (result["code"], result["parameter"]) == ("TlsName", "endpoint")
        assert "localhost" in result["found"]

    def test_without_tls_on_a_port_with_it(self, module: Module, s3: S3Server, parameters: dict[str, Any]) -> None:
        result = module(parameters, endpoint=f"http://127.0.0.1:{s3.port}", ca_path="", fails=True)
        assert (result["error"], result["parameter"]) == ("storage_error", "endpoint")

    def test_a_closed_port(self, module: Module, parameters: dict[str, Any]) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            result = module(parameters, endpoint=f"https://127.0.0.1:{closed.getsockname()[1]}", fails=True)
        assert (result["code"], result["parameter"]) == ("ConnectionRefused", "endpoint")

    def test_a_port_that_says_nothing(
        self, module: Module, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.2)
        monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            result = module(parameters, endpoint=f"https://127.0.0.1:{silent.getsockname()[1]}", fails=True)
        assert (result["code"], result["parameter"]) == ("Timeout", "endpoint")

    def test_a_name_that_does_not_resolve(self, module: Module, parameters: dict[str, Any]) -> None:
        result = module(parameters, endpoint="https://store.invalid", fails=True)
        assert (result["code"], result["parameter"]) == ("NameResolution", "endpoint")

    def test_clocks(self, module: Module, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        here = time.time
        monkeypatch.setattr(client_module.BucketClient.__init__, "__defaults__", (lambda: here() - 600,))
        result = module(parameters, fails=True)
        assert result["code"] == "ClockSkew"
        assert "s ahead of this machine's" in result["found"]
        assert "NTP" in result["msg"]


class TestThroughAnsible:
    def test_ad_hoc(self, s3: S3Server, parameters: dict[str, Any], name: str, tmp_path: Path) -> None:
        command = [
            "adhoc",
            "localhost",
            "-m",
            "scs.observability.bucket",
            "-a",
            json.dumps(parameters),
            "-vvv",
            "--diff",
        ]
        for extra, status in ((["--check"], "CHANGED"), ([], "CHANGED"), ([], "SUCCESS")):
            done = ansible(*command, *extra, tmp_path=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"localhost | {status} =>" in done.stdout
            assert s3.owner.secret_key not in done.stdout + done.stderr
        assert name in s3.buckets()

    def test_the_examples_run(self, s3: S3Server, name: str, tmp_path: Path) -> None:
        text = bucket.EXAMPLES
        for documented, here in {
            "https://s3.example.com": s3.url,
            "https://s3.eu-central-1.amazonaws.com": s3.url,
            "/etc/ssl/certs/s3-authority.crt": str(s3.ca),
            "name: thanos\n": f"name: {name}\n",
            "region: eu-central-1": "region: us-east-1",
        }.items():
            assert documented in text
            text = text.replace(documented, here)
        # Those that log in at a cloud run on one: see the tests in openstack.
        tasks = [
            task
            for task in yaml.safe_load(text)
            if not {"cloud", "auth"} & set(task.get("scs.observability.bucket", {"cloud": ""}))
        ]
        for task in tasks:
            # The one for AWS needs no authority of its own; here every store has one.
            if "environment" in task:
                task["scs.observability.bucket"]["ca_path"] = str(s3.ca)
        playbook = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
        (tmp_path / "examples.yml").write_text(yaml.safe_dump(playbook, sort_keys=False))
        variables = {
            f"s3_{which}{key}": getattr(s3.owner, key) for which in ("", "new_") for key in ("access_key", "secret_key")
        }
        done = ansible("playbook", "examples.yml", "-e", json.dumps(variables), tmp_path=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ok=4 " in done.stdout
        assert "changed=2 " in done.stdout
        assert name not in s3.buckets()


def test_the_store_is_really_verified(s3: S3Server) -> None:
    """The tests above would prove little if this server's certificate were good for everybody."""
    with (
        socket.create_connection(("127.0.0.1", s3.port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        pass
