# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module bucket on the real S3 server with faults put in between: what is said, and what is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import botocore.auth
import pytest

from ansible_collections.scs.observability.plugins.module_utils._objstore import client as client_module
from tests.integration.s3_server import BLOCK, S3Server

from .conftest import Module
from .faults import Asked, CutError, FaultyStore, Reply, faulty, refusal


@pytest.fixture(scope="module")
def _proxy(s3: S3Server) -> Iterator[FaultyStore]:
    with faulty(s3) as store:
        yield store


@pytest.fixture
def store(_proxy: FaultyStore) -> FaultyStore:
    """The proxy, without faults yet."""
    fresh = FaultyStore(_proxy.url)
    _proxy.asked, _proxy.before, _proxy.after = fresh.asked, fresh.before, fresh.after
    return _proxy


@pytest.fixture
def parameters(parameters: dict[str, Any], store: FaultyStore) -> dict[str, Any]:
    return {**parameters, "endpoint": store.url}


def once(fault: Callable[[], Reply], where: Callable[[Asked], bool]) -> Callable[[Asked], Reply | None]:
    pending = [fault]
    return lambda asked: pending.pop()() if pending and where(asked) else None


def cut() -> Reply:
    raise CutError


def test_without_faults_it_is_the_store_itself(
    module: Module, s3: S3Server, parameters: dict[str, Any], name: str
) -> None:
    assert module(parameters)["changed"] is True
    assert name in s3.buckets()


class TestTransient:
    """What passes by itself does not fail a run."""

    @pytest.mark.parametrize(
        "fault",
        [lambda: refusal("InternalError", 500), lambda: refusal("SlowDown", 503), lambda: Reply(502, b"<html>"), cut],
        ids=["500", "503", "a proxy's 502", "cut"],
    )
    def test_one_failure(self, module: Module, store: FaultyStore, parameters: dict[str, Any], fault: Any) -> None:
        store.before = once(fault, lambda asked: asked.method == "GET")
        assert module(parameters)["changed"] is True

    def test_the_answer_to_the_creation_is_lost(
        self, module: Module, s3: S3Server, store: FaultyStore, parameters: dict[str, Any], name: str
    ) -> None:
        lost = once(cut, lambda asked: asked.method == "PUT" and not asked.is_object)
        store.after = lambda asked, reply: lost(asked) or reply
        assert module(parameters)["changed"] is True
        assert name in s3.buckets()
        assert store.counted("PUT", objects=False) == 2


@pytest.mark.usefixtures("one_attempt")
class TestRefusals:
    """Each says what to look at, and changes nothing."""

    @pytest.fixture(autouse=True)
    def _no_bucket_comes_or_goes(self, s3: S3Server) -> Any:
        before = s3.buckets()
        yield
        assert s3.buckets() == before

    @pytest.mark.parametrize(
        ("reply", "code", "parameter", "found"),
        [
            (refusal("InternalError", 500), "InternalError", None, "internal error"),
            (refusal("SlowDown", 503), "SlowDown", None, "slow down"),
            (Reply(503, b"<html>no server is available</html>"), "503", None, "slow down or is not available"),
            (Reply(504, b"<html>"), "504", None, "a proxy before the store"),
            (Reply(507), "507", None, "the store is full"),
            (Reply(400, b"<html>plain HTTP to an HTTPS port</html>"), "400", "endpoint", "not one of an S3 service"),
            (Reply(200, b"<html>a login</html>"), "NotS3", "endpoint", "not one of an S3 service"),
            # Half an answer
            (Reply(200, b"<List", {"content-length": "1000"}), "500", "endpoint", "not one of an S3 service"),
            (Reply(404, b"<html>not found</html>"), "404", "endpoint", "not one of an S3 service"),
            (
                refusal("PermanentRedirect", 301, x_amz_bucket_region="eu-central-1"),
                "PermanentRedirect",
                "region",
                "in another region: eu-central-1",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_answers(
        self,
        module: Module,
        store: FaultyStore,
        parameters: dict[str, Any],
        *,
        reply: Reply,
        code: str,
        parameter: str | None,
        found: str,
    ) -> None:
        store.before = lambda asked: reply
        result = module(parameters, check=True, fails=True)
        assert module(parameters, fails=True)["code"] == result["code"]
        assert (result["code"], result.get("parameter")) == (code, parameter)
        assert found in result["found"]

    def test_slow(
        self, module: Module, store: FaultyStore, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.2)
        told = threading.Event()

        def wait(asked: Asked) -> None:
            told.wait(10)

        store.before = wait
        result = module(parameters, fails=True)
        told.set()
        assert (result["code"], result["parameter"]) == ("Timeout", "endpoint")

    def test_cut(self, module: Module, store: FaultyStore, parameters: dict[str, Any]) -> None:
        store.before = lambda asked: cut()
        result = module(parameters, fails=True)
        assert (result["error"], result["code"], result["parameter"]) == (
            "storage_error",
            "ConnectionFailed",
            "endpoint",
        )

    @pytest.mark.parametrize("hours", [1, -1])
    def test_the_clock_of_the_store(
        self, module: Module, store: FaultyStore, parameters: dict[str, Any], hours: int
    ) -> None:
        store.after = lambda asked, reply: replace(
            reply, headers={**reply.headers, "date": formatdate(time.time() + hours * 3600, usegmt=True)}
        )
        result = module(parameters, fails=True)
        assert result["code"] == "ClockSkew"
        assert ("ahead of" if hours > 0 else "behind") in result["found"]

    def test_the_clock_of_this_machine(
        self, module: Module, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = botocore.auth.get_current_datetime
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now() - timedelta(hours=1))
        result = module(parameters, fails=True)
        assert result["code"] == "RequestTimeTooSkewed"
        assert "NTP" in result["msg"]


@pytest.mark.usefixtures("one_attempt")
class TestHalfDone:
    def test_the_answer_to_the_write_is_lost(
        self, module: Module, s3: S3Server, store: FaultyStore, parameters: dict[str, Any], name: str
    ) -> None:
        s3.witness.create_bucket(Bucket=name)
        lost = once(cut, lambda asked: asked.method == "PUT" and asked.is_object)
        store.after = lambda asked, reply: lost(asked) or reply
        result = module(parameters, fails=True)
        assert (result["operation"], result["code"]) == ("PutObject", "ConnectionFailed")
        assert s3.content(name) == []

    def test_nothing_can_be_written_into_the_new_bucket(
        self, module: Module, s3: S3Server, store: FaultyStore, parameters: dict[str, Any], name: str
    ) -> None:
        store.before = lambda asked: refusal("AccessDenied", 403) if asked.is_object and asked.method == "PUT" else None
        result = module(parameters, fails=True)
        assert (result["operation"], result["code"], result["changed"]) == ("PutObject", "AccessDenied", True)
        assert name in s3.buckets()


class TestOldStores:
    def test_without_the_second_listing(
        self, module: Module, s3: S3Server, store: FaultyStore, parameters: dict[str, Any], *, name: str
    ) -> None:
        """Everything works, and Thanos is told, which would fail otherwise."""
        store.before = lambda asked: refusal("NotImplemented", 501) if "list-type" in asked.query else None
        result = module(parameters)
        assert result["objstore"]["config"]["list_objects_version"] == "v1"
        s3.put_block(name)
        assert module(parameters)["changed"] is False
        assert s3.blocks(result["objstore"], s3.owner) == [BLOCK]

        del result["objstore"]["config"]["list_objects_version"]
        assert s3.thanos(result["objstore"], s3.owner, "tools", "bucket", "ls").returncode != 0

        assert module(parameters, state="absent", force=True)["deleted"]["objects"] == 1

    def test_one_that_ignores_it_does_not_lose_what_is_on_the_next_page(
        self, module: Module, s3: S3Server, store: FaultyStore, parameters: dict[str, Any], *, name: str
    ) -> None:
        def first_version_only(asked: Asked) -> Reply | None:
            # Versions would find them all as well.
            if "versions" in asked.query:
                return refusal("NotImplemented", 501)
            if asked.method != "GET" or asked.is_object or "uploads" in asked.query:
                return None
            marker = asked.query.get("marker", [""])[0]
            page = s3.witness.list_objects(Bucket=name, Marker=marker, MaxKeys=2)
            keys = "".join(f"<Contents><Key>{item['Key']}</Key></Contents>" for item in page.get("Contents", ()))
            more = str(page["IsTruncated"]).lower()
            return Reply(200, f"<ListBucketResult>{keys}<IsTruncated>{more}</IsTruncated></ListBucketResult>".encode())

        s3.witness.create_bucket(Bucket=name)
        for number in range(5):
            s3.witness.put_object(Bucket=name, Key=str(number))
        store.before = first_version_only
        assert module(parameters, state="absent", force=True)["deleted"]["objects"] == 5
        assert name not in s3.buckets()

    def test_that_knows_no_checksum_but_md5(
        self, module: Module, s3: S3Server, store: FaultyStore, parameters: dict[str, Any], name: str
    ) -> None:
        def strict(asked: Asked) -> Reply | None:
            unknown = [key for key in asked.headers if "checksum" in key or key == "x-amz-trailer"]
            if unknown or "STREAMING" in asked.headers.get("x-amz-content-sha256", ""):
                return refusal("InvalidArgument", 400)
            wants_md5 = asked.method in ("PUT", "POST") and asked.query.keys() & {"delete", "tagging", "versioning"}
            return refusal("MissingContentMD5", 400) if wants_md5 and "content-md5" not in asked.headers else None

        store.before = strict
        module(parameters, tags={"team": "a"}, versioning=True)
        for number in range(3):
            s3.witness.put_object(Bucket=name, Key=str(number))
        store.asked.clear()
        assert module(parameters, state="absent", force=True)["deleted"]["objects"] == 3
        # All at once.
        assert store.counted("DELETE", objects=True) == 0

    @pytest.mark.parametrize(("parameter", "value"), [("tags", {"team": "a"}), ("versioning", True)])
    @pytest.mark.parametrize("silent", [True, False], ids=["reading works", "nothing works"])
    def test_without_tags_or_versions(
        self,
        module: Module,
        s3: S3Server,
        store: FaultyStore,
        parameters: dict[str, Any],
        *,
        name: str,
        parameter: str,
        value: Any,
        silent: bool,
    ) -> None:
        resource = "tagging" if parameter == "tags" else "versioning"
        store.before = lambda asked: (
            refusal("NotImplemented", 501)
            if resource in asked.query and (asked.method != "GET" or not silent)
            else None
        )
        assert module(parameters)["changed"] is True
        result = module(parameters, fails=True, **{parameter: value})
        assert (result["parameter"], result["code"]) == (parameter, "NotImplemented")
        assert result["msg"].endswith(f"Leave {parameter} out")
        assert "changed" not in result or result["changed"] is False
        assert s3.content(name) == []
