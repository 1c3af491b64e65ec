# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import (
    CA_FILE,
    bucket_name,
    endpoint,
    from_yaml,
    objstore,
    region,
    to_yaml,
    with_credentials,
)


@pytest.mark.parametrize("name", ["abc", "a" * 63, "thanos", "my.bucket", "0-1", "1.2.3", "1.2.3.400", "a--b"])
def test_bucket_names(name: str) -> None:
    assert bucket_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "must not be empty"),
        (None, "must not be empty"),
        (7, "must not be empty"),
        ("ab", "3 to 63"),
        ("a" * 64, "3 to 63"),
        ("Thanos", "3 to 63"),
        ("tha_nos", "3 to 63"),
        ("-thanos", "letter or digit at both ends"),
        ("thanos-", "letter or digit at both ends"),
        (".thanos", "letter or digit at both ends"),
        ("thanos\n", "letter or digit at both ends"),
        ("thanos/x", "3 to 63"),
        ("th\u00e4nos", "3 to 63"),
        ("a..b", "two dots"),
        ("192.168.0.1", "IP address"),
        ("xn--thanos", "begin with xn--"),
        ("sthree-thanos", "begin with sthree-"),
        ("amzn-s3-demo-thanos", "begin with amzn-s3-demo-"),
        ("thanos-s3alias", "end with -s3alias"),
        ("thanos--ol-s3", "end with --ol-s3"),
        ("thanos.mrap", "end with .mrap"),
        ("thanos--x-s3", "end with --x-s3"),
        ("thanos--table-s3", "end with --table-s3"),
    ],
)
def test_no_bucket_names(name: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refusal:
        bucket_name(name)
    assert refusal.value.parameter == "name"


@pytest.mark.parametrize(
    ("text", "url", "secure"),
    [
        ("https://s3.example.com", "https://s3.example.com", True),
        ("https://s3.example.com/", "https://s3.example.com", True),
        ("https://s3.example.com:443", "https://s3.example.com", True),
        ("http://s3.example.com:80", "http://s3.example.com", False),
        ("https://s3.example.com:80", "https://s3.example.com:80", True),
        ("HTTPS://S3.Example.Com:7480", "https://s3.example.com:7480", True),
        ("http://192.0.2.1:7480", "http://192.0.2.1:7480", False),
        ("https://[2001:db8::1]:7480", "https://[2001:db8::1]:7480", True),
        ("https://[2001:db8::1]", "https://[2001:db8::1]", True),
        ("https://scs-lab-s3:7070", "https://scs-lab-s3:7070", True),
    ],
)
def test_endpoints(text: str, url: str, secure: bool) -> None:
    where = endpoint(text)
    assert (where.url, str(where), where.secure) == (url, url, secure)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must not be empty"),
        (None, "must not be empty"),
        ("s3.example.com", "lacks the scheme"),
        ("s3.example.com:7480", "lacks the scheme"),
        ("ftp://s3.example.com", "lacks the scheme"),
        ("//s3.example.com", "lacks the scheme"),
        ("https://", "lacks the scheme"),
        ("https:s3.example.com", "lacks the scheme"),
        ("https://s3.example.com/thanos", "must end after the host"),
        ("https://s3.example.com//", "must end after the host"),
        ("https://s3.example.com?x=1", "must end after the host"),
        ("https://s3.example.com?", "must end after the host"),
        ("https://s3.example.com#x", "must end after the host"),
        ("https://s3.example.com:0", "no valid port"),
        ("https://s3.example.com:", "no valid port"),
        ("https://s3.example.com:70000", "valid host and port"),
        ("https://s3.example.com:https", "valid host and port"),
        ("https://[2001:db8::1", "valid host and port"),
        ("https://[v1.fe]", "valid host"),
        ("https://s3 example.com", "no valid host"),
        ("https://s3..example.com", "no valid host"),
        ("https://-s3.example.com", "no valid host"),
        ("https://:7480", "no valid host"),
    ],
)
def test_no_endpoints(text: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refusal:
        endpoint(text)
    assert refusal.value.parameter == "endpoint"


def test_credentials_in_an_endpoint_are_not_quoted() -> None:
    with pytest.raises(InputError, match="must not hold credentials") as refusal:
        endpoint("https://key:geheim@s3.example.com/path")
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    ("value", "name"),
    [(None, "us-east-1"), ("", "us-east-1"), ("eu-central-1", "eu-central-1"), ("RegionOne", "RegionOne")],
)
def test_regions(value: str | None, name: str) -> None:
    assert region(value) == name


@pytest.mark.parametrize("value", ["eu central", "-eu", "eu/1", "eu\n", 1])
def test_no_regions(value: Any) -> None:
    with pytest.raises(InputError) as refusal:
        region(value)
    assert refusal.value.parameter == "region"


def test_what_thanos_takes() -> None:
    assert objstore("thanos", "https://s3.example.com:7480", "RegionOne", ca=True) == {
        "type": "S3",
        "config": {
            "bucket": "thanos",
            "endpoint": "s3.example.com:7480",
            "region": "RegionOne",
            "insecure": False,
            "bucket_lookup_type": "path",
            "http_config": {"tls_config": {"ca_file": CA_FILE}},
        },
    }


def test_what_thanos_takes_without_tls() -> None:
    config = objstore("thanos", "http://s3.example.com", validate_certs=False)["config"]
    assert config["insecure"] is True
    assert "http_config" not in config


def test_what_thanos_takes_without_verification_and_with_hosts_per_bucket() -> None:
    config = objstore("thanos", "https://s3.example.com", addressing_style="virtual", validate_certs=False)["config"]
    assert config["bucket_lookup_type"] == "virtual-hosted"
    assert config["http_config"] == {"insecure_skip_verify": True}


def test_what_thanos_takes_for_a_store_with_the_first_listing_only() -> None:
    assert objstore("thanos", "https://s3.example.com", lists_v1=True)["config"]["list_objects_version"] == "v1"
    assert "list_objects_version" not in objstore("thanos", "https://s3.example.com")["config"]


def test_credentials_are_added_to_a_copy() -> None:
    configuration = objstore("thanos", "https://s3.example.com")
    whole = with_credentials(configuration, "key", "secret: '\"")
    assert yaml.safe_load(to_yaml(whole))["config"] == {
        **configuration["config"],
        "access_key": "key",
        "secret_key": "secret: '\"",
    }
    assert from_yaml(to_yaml(whole)) == whole
    assert "access_key" not in configuration["config"]


@pytest.mark.parametrize("text", ["", "secret: {", "secret", "config: secret", "type: S3", "secret: !!python/name:os"])
def test_what_is_no_configuration_is_not_quoted(text: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as refusal:
        from_yaml(text)
    assert "secret" not in str(refusal.value)


def test_the_text_is_the_same_for_the_same_content() -> None:
    configuration = objstore("thanos", "https://s3.example.com")
    reordered = {"config": dict(reversed(configuration["config"].items())), "type": "S3"}
    assert to_yaml(configuration) == to_yaml(reordered)


def test_yaml_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(LibraryError, match="PyYAML"):
        to_yaml({})
