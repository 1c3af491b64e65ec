# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query and its frontend: what they read from."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    thanos_component,
    thanos_query,
    thanos_query_frontend,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import (
    ExternalEndpoint,
    Settings,
)

QUERY = Settings("thanos-query", "observer")
FRONTEND = Settings("thanos-query-frontend", "observer")
SIDECAR = ExternalEndpoint("control-1.example.org:10901")


def manifests(settings: Settings) -> dict[str, Any]:
    found = thanos_component.objects(thanos_query.COMPONENT, settings)
    return {item["kind"]: item for item in found}


def configuration(settings: Settings) -> dict[str, Any]:
    """The file of endpoints that query is told to read."""
    arguments = thanos_component.arguments(thanos_query.COMPONENT, settings)
    (path,) = [
        argument.partition("=")[2] for argument in arguments if argument.startswith("--endpoint.sd-config-file=")
    ]
    folder, _ignored, name = path.rpartition("/")
    assert folder == thanos_component.CONFIGURATION_PATH
    content: dict[str, Any] = json.loads(manifests(settings)["ConfigMap"]["data"][name])
    return content


def read(settings: Settings) -> list[dict[str, Any]]:
    endpoints: list[dict[str, Any]] = configuration(settings)["endpoints"]
    return endpoints


@pytest.mark.parametrize(
    "endpoint",
    [
        "thanos-store.observer.svc:10901",
        "192.0.2.7:10901",
        "[2001:db8::7]:10901",
        "dns+thanos-store.observer.svc:10901",
        "dnssrv+_grpc._tcp.thanos-receive-headless.observer.svc",
        "dnssrvnoa+_grpc._tcp.thanos-receive-headless.observer.svc.cluster.local.",
    ],
)
def test_endpoints_of_a_storeapi_are_taken(endpoint: str) -> None:
    settings = replace(QUERY, endpoints=(endpoint,))
    thanos_component.check(thanos_query.COMPONENT, settings)
    assert read(settings) == [{"address": endpoint}]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://thanos-store.observer.svc:10901",
        "https://thanos-store.observer.svc:10901",
        "grpc://thanos-store:10901",
        "thanos-store.observer.svc",
        "dns+thanos-store.observer.svc",
        "dnssrv+thanos-store.observer.svc:10901",
        "file+thanos-store:10901",
        "thanos store:10901",
        "thanos-store:port",
        "",
    ],
)
def test_other_endpoints_are_refused(endpoint: str) -> None:
    with pytest.raises(InputError) as caught:
        thanos_component.check(thanos_query.COMPONENT, replace(QUERY, endpoints=(endpoint,)))
    assert caught.value.parameter == "endpoints"
    assert repr(endpoint) in str(caught.value)


def test_an_endpoint_is_given_once() -> None:
    with pytest.raises(InputError, match=r"twice"):
        thanos_component.check(thanos_query.COMPONENT, replace(QUERY, endpoints=("a:1", "a:1")))


def test_another_endpoint_does_not_restart_query() -> None:
    one = replace(QUERY, endpoints=("a:1",))
    two = replace(
        one, endpoints=("a:1", "b:1"), external_endpoints=(replace(SIDECAR, ca="CA", certificate="CRT", key="KEY"),)
    )
    assert manifests(one)["ConfigMap"] != manifests(two)["ConfigMap"]
    assert manifests(one)["Secret"] != manifests(two)["Secret"]
    assert manifests(one)["Deployment"]["spec"] == manifests(two)["Deployment"]["spec"]
    arguments = thanos_component.arguments(thanos_query.COMPONENT, one)
    assert "--endpoint.sd-config-reload-interval=10s" in arguments


def test_an_external_endpoint_has_the_tls_that_is_given() -> None:
    given = replace(SIDECAR, server_name="sidecar", ca="CA", certificate="CRT", key="KEY")
    settings = replace(QUERY, external_endpoints=(given,))
    thanos_component.check(thanos_query.COMPONENT, settings)
    (endpoint,) = read(settings)
    tls = endpoint["client_config"]["tls_config"]
    assert endpoint["address"] == "control-1.example.org:10901"
    assert endpoint["client_config"]["server_name"] == "sidecar"
    assert tls["enabled"] is True
    secret = manifests(settings)["Secret"]["data"]
    for key, content in (("ca_file", "CA"), ("cert_file", "CRT"), ("key_file", "KEY")):
        folder, _ignored, name = tls[key].rpartition("/")
        assert folder == thanos_component.SECRETS_PATH
        assert base64.b64decode(secret[name]).decode() == content
    assert "KEY" not in repr(given)


def test_what_is_not_given_for_an_external_endpoint_is_as_with_our_own() -> None:
    settings = replace(QUERY, external_endpoints=(SIDECAR,))
    (endpoint,) = read(settings)
    assert endpoint["client_config"] == {
        "tls_config": {
            "enabled": True,
            "min_version": "1.2",
            "ca_file": "/etc/thanos/tls/ca.crt",
            "cert_file": "/etc/thanos/tls/tls.crt",
            "key_file": "/etc/thanos/tls/tls.key",
        }
    }
    (plain,) = read(replace(settings, tls=False))
    assert plain["client_config"] == {"tls_config": {"enabled": False}}
    (encrypted,) = read(replace(settings, tls=False, external_endpoints=(replace(SIDECAR, ca="CA"),)))
    assert encrypted["client_config"]["tls_config"]["enabled"] is True
    assert "cert_file" not in encrypted["client_config"]["tls_config"]


@pytest.mark.parametrize(
    "settings",
    [
        replace(QUERY, external_endpoints=(replace(SIDECAR, address="dns+sidecar:10901"),)),
        replace(QUERY, external_endpoints=(replace(SIDECAR, address="dnssrv+_grpc._tcp.sidecar"),)),
        replace(QUERY, external_endpoints=(replace(SIDECAR, address="https://sidecar:10901"),)),
        replace(QUERY, external_endpoints=(replace(SIDECAR, address="sidecar"),)),
        replace(QUERY, external_endpoints=(replace(SIDECAR, address=""),)),
        replace(QUERY, external_endpoints=(replace(SIDECAR, certificate="CRT"),)),
        replace(QUERY, external_endpoints=(replace(SIDECAR, key="KEY"),)),
        replace(QUERY, external_endpoints=(SIDECAR, SIDECAR)),
        replace(QUERY, external_endpoints=(SIDECAR,), endpoints=(SIDECAR.address,)),
        replace(QUERY, external_endpoints=(replace(SIDECAR, server_name="x"),), tls=False),
    ],
)
def test_other_external_endpoints_are_refused(settings: Settings) -> None:
    with pytest.raises(InputError) as caught:
        thanos_component.check(thanos_query.COMPONENT, settings)
    assert caught.value.parameter == "external_endpoints"
    assert "KEY" not in str(caught.value)


def test_replicas_of_every_kind_of_writer_are_deduplicated() -> None:
    arguments = thanos_component.arguments(thanos_query.COMPONENT, QUERY)
    labels = {argument.partition("=")[2] for argument in arguments if argument.startswith("--query.replica-label=")}
    assert labels == {"receive_replica", "ruler_replica", "prometheus_replica", "replica"}


def test_query_proves_itself_and_expects_the_name_that_all_components_share() -> None:
    client = configuration(QUERY)["default_client_config"]
    assert client["tls_config"] == {
        "enabled": True,
        "min_version": "1.3",
        "ca_file": "/etc/thanos/tls/ca.crt",
        "cert_file": "/etc/thanos/tls/tls.crt",
        "key_file": "/etc/thanos/tls/tls.key",
    }
    assert client["server_name"] == "thanos-grpc.observer.svc"
    assert thanos_query.COMPONENT.client
    plain = replace(QUERY, tls=False)
    assert "default_client_config" not in configuration(plain)
    assert not [argument for argument in thanos_component.arguments(thanos_query.COMPONENT, plain) if "tls" in argument]


@pytest.mark.parametrize("endpoint", ["http://thanos-query.observer.svc:10902", "https://query.example.org/thanos"])
def test_the_frontend_takes_one_url(endpoint: str) -> None:
    settings = replace(FRONTEND, endpoints=(endpoint,))
    thanos_component.check(thanos_query_frontend.COMPONENT, settings)
    arguments = thanos_component.arguments(thanos_query_frontend.COMPONENT, settings)
    assert f"--query-frontend.downstream-url={endpoint}" in arguments


@pytest.mark.parametrize(
    "endpoints",
    [
        (),
        ("http://one:10902", "http://two:10902"),
        ("thanos-query:10902",),
        ("grpc://thanos-query:10901",),
        ("http://",),
        ("http://query:port",),
        ("http://query:0",),
        ("http://a query",),
        ("http://user:password@query:10902",),
        ("http://thanos-query-frontend.observer.svc:10902",),
    ],
)
def test_other_downstreams_are_refused(endpoints: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        thanos_component.check(thanos_query_frontend.COMPONENT, replace(FRONTEND, endpoints=endpoints))
    assert caught.value.parameter == "endpoints"
    assert "password" not in str(caught.value)


def test_the_frontend_splits_by_half_days_and_keeps_answers() -> None:
    settings = replace(FRONTEND, endpoints=("http://thanos-query.observer.svc:10902",))
    arguments = thanos_component.arguments(thanos_query_frontend.COMPONENT, settings)
    assert "--query-range.split-interval=12h" in arguments
    assert "--query-frontend.compress-responses" in arguments
    (path,) = {argument.partition("=")[2] for argument in arguments if "response-cache-config-file" in argument}
    folder, _ignored, name = path.rpartition("/")
    assert folder == thanos_component.SECRETS_PATH
    cache = yaml.safe_load(thanos_query_frontend.COMPONENT.secret_files(settings)[name])
    assert cache["type"] == "IN-MEMORY"
    given = replace(settings, cache="type: MEMCACHED\n")
    assert thanos_query_frontend.COMPONENT.secret_files(given) == {name: "type: MEMCACHED\n"}


REGISTERED = (
    ExternalEndpoint("192.0.2.11:10901", "north-2.iaas.observer.svc"),
    ExternalEndpoint("192.0.2.10:10901", "north-1.iaas.observer.svc"),
)


def file_of(settings: Settings) -> str:
    text: str = manifests(settings)["ConfigMap"]["data"][thanos_query.ENDPOINTS_FILE]
    return text


def test_registered_endpoints_are_known_by_their_own_names_with_our_certificates() -> None:
    *others, first, second = read(replace(QUERY, endpoints=("a:1",), registered_endpoints=REGISTERED))
    assert others == [{"address": "a:1"}]
    assert [item["address"] for item in (first, second)] == ["192.0.2.10:10901", "192.0.2.11:10901"]
    tls = first["client_config"].pop("tls_config")
    assert first["client_config"] == {"server_name": "north-1.iaas.observer.svc"}
    assert tls == {
        "enabled": True,
        "min_version": "1.3",
        **{name: f"{thanos_component.TLS_PATH}/{file}" for name, file in OWN_FILES.items()},
    }


OWN_FILES = {"ca_file": "ca.crt", "cert_file": "tls.crt", "key_file": "tls.key"}


@pytest.mark.parametrize(
    "settings",
    [
        QUERY,
        replace(QUERY, endpoints=("a:1", "dnssrv+b")),
        replace(QUERY, endpoints=("a:1",), external_endpoints=(replace(SIDECAR, server_name="x", ca="CA"),)),
    ],
    ids=["none", "own", "external"],
)
def test_what_is_written_while_query_runs_is_what_deploying_it_writes(settings: Settings) -> None:
    """Otherwise one would take back what the other did."""
    deployed = file_of(replace(settings, registered_endpoints=REGISTERED))
    assert thanos_query.with_registered(file_of(settings), REGISTERED, "observer") == deployed
    assert thanos_query.with_registered(deployed, REGISTERED, "observer") == deployed
    one = file_of(replace(settings, registered_endpoints=REGISTERED[:1]))
    assert thanos_query.with_registered(deployed, REGISTERED[:1], "observer") == one
    assert thanos_query.with_registered(deployed, (), "observer") == file_of(settings)


def test_a_registration_does_not_show_on_the_workload() -> None:
    registered = replace(QUERY, registered_endpoints=REGISTERED)
    assert manifests(registered)["Deployment"] == manifests(QUERY)["Deployment"]


@pytest.mark.parametrize(
    ("file", "parameter", "text"),
    [
        ("{", "namespace", "cannot be read"),
        ('{"endpoints": 1}', "namespace", "cannot be read"),
        ('{"endpoints": [{"address": "a:1"}]}', "pull_address", "without tls"),
        (
            file_of(replace(QUERY, external_endpoints=(ExternalEndpoint("192.0.2.10:10901"),))),
            "pull_address",
            "192.0.2.10:10901 is registered, and given",
        ),
    ],
)
def test_a_file_that_registrations_cannot_be_written_into_is_refused(file: str, parameter: str, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        thanos_query.with_registered(file, REGISTERED, "observer")
    assert caught.value.parameter == parameter
