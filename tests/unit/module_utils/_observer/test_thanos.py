# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of thanos_component: what is refused, and what is made of the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._observer import thanos
from ansible_collections.scs.observability.plugins.module_utils._observer.thanos import Observed
from tests.pki import authority, make

NOW = datetime.now(UTC).replace(microsecond=0)
OBJSTORE: dict[str, Any] = {"objstore": {"type": "S3", "config": {"bucket": "metrics", "endpoint": "s3.example.org"}}}
QUERY_URL = "http://thanos-query.scs-observability.svc:10902"

GIVEN: dict[str, dict[str, Any]] = {
    "bucket_web": OBJSTORE,
    "compact": OBJSTORE,
    "query": {"endpoints": ["store:10901"]},
    "query_frontend": {"endpoints": [QUERY_URL]},
    "receive": {},
    "rule": {"endpoints": [QUERY_URL]},
    "store": OBJSTORE,
}


def settings_of(kind: str, **params: Any) -> thanos.Settings:
    given = {"component": kind, **GIVEN[kind], **params}
    return thanos.settings_of(thanos.component_of(given), given, NOW)[0]


def test_there_are_seven_components() -> None:
    assert sorted(thanos.COMPONENTS) == sorted(GIVEN)


@pytest.mark.parametrize("component", sorted(GIVEN))
def test_few_parameters_are_enough(component: str) -> None:
    assert settings_of(component).name == f"thanos-{component.replace('_', '-')}"


@pytest.mark.parametrize("component", sorted(GIVEN))
def test_empty_values_are_as_good_as_none(component: str) -> None:
    empty: dict[str, Any] = dict.fromkeys(
        (
            *("image", "storage_size", "storage_class", "retention", "retention_raw", "retention_5m", "retention_1h"),
            *(
                "delete_delay",
                "evaluation_interval",
                "cache_password",
                "priority_class",
                "service_monitor",
                "log_level",
            ),
        ),
        "",
    )
    structures = {"resources": {}, "rules": {}, "external_labels": {}, "cache": {}, "bucket_cache": {}}
    placement = {"node_selector": {}, "tolerations": [], "affinity": {}, "external_endpoints": [], "alertmanagers": []}
    assert settings_of(component, **empty, **structures, **placement, node_port=0) == settings_of(component)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("store", {"component": "sidecar"}, "component"),
    ("store", {"component": None}, "component"),
    ("store", {"name": "Thanos"}, "name"),
    ("store", {"name": "a" * 60}, "name"),
    ("store", {"namespace": "a.b"}, "namespace"),
    ("store", {"image": "not an image"}, "image"),
    ("store", {"replicas": 0}, "replicas"),
    ("receive", {"replicas": 2}, "replicas"),
    ("compact", {"replicas": 2}, "replicas"),
    ("store", {"storage_size": "10 GB"}, "storage_size"),
    ("store", {"storage_size": "-1Gi"}, "storage_size"),
    ("store", {"storage_size": "0"}, "storage_size"),
    ("store", {"storage_size": "1n"}, "storage_size"),
    ("store", {"storage_size": "1Gi", "storage_class": "Not Valid"}, "storage_class"),
    ("store", {"resources": {"limits": {"memroy": "1Gi"}}}, "resources.limits"),
    ("store", {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}, "resources.requests.cpu"),
    ("store", {"resources": {"requests": {"cpu": "much"}}}, "resources.requests.cpu"),
    ("store", {"log_level": "loud"}, "log_level"),
    ("store", {"service_type": "ExternalName"}, "service_type"),
    ("query", {"node_port": 30902}, "node_port"),
    ("store", {"service_monitor": "perhaps"}, "service_monitor"),
    *(
        (component, {parameter: value}, parameter)
        for component, parameter in (
            ("receive", "retention"),
            ("compact", "retention_raw"),
            ("compact", "retention_5m"),
            ("compact", "retention_1h"),
            ("compact", "delete_delay"),
            ("rule", "evaluation_interval"),
        )
        for value in ("soon", "-1h", "1", "1h 30m", "300y")
    ),
    *(("rule", {"evaluation_interval": value}, "evaluation_interval") for value in ("0", "0s", "999ms", "2d", "1y")),
    *(
        ("query", {"endpoints": [f"{name}:{port}"]}, "endpoints")
        for name in ("a", "dns+a")
        for port in (0, 65536, 99999)
    ),
    *(("query", {"external_endpoints": [{"address": f"a:{port}"}]}, "external_endpoints") for port in (0, 65536)),
    *(("query_frontend", {"endpoints": [f"http://a:{port}"]}, "endpoints") for port in (0, 65536)),
    *(("rule", {"alertmanagers": [f"http://a:{port}"]}, "alertmanagers") for port in (0, 65536)),
    ("receive", {"retention": "1h"}, "retention"),
    ("compact", {"retention_raw": "1d"}, "retention_raw"),
    ("compact", {"retention_5m": "1d"}, "retention_5m"),
    ("compact", {"retention_raw": "2d", "retention_5m": "30d", "retention_1h": "20d"}, "retention_1h"),
    ("store", {"objstore": {}}, "objstore"),
    ("store", {"cache": {"type": "DISK"}}, "cache"),
    ("store", {"cache": {"config": {}}}, "cache"),
    ("store", {"cache": {"type": "MEMCACHED", "config": {}}}, "cache"),
    ("store", {"cache": {"type": "MEMCACHED", "config": ["memcached:11211"]}}, "cache"),
    ("store", {"cache": {"type": "REDIS", "config": {"addr": "redis:6379", "password": "swordfish"}}}, "cache"),
    ("store", {"bucket_cache": {"type": "REDIS", "config": {}}}, "bucket_cache"),
    ("query_frontend", {"bucket_cache": {"type": "IN-MEMORY"}}, "bucket_cache"),
    ("query", {"cache": {"type": "IN-MEMORY"}}, "cache"),
    ("rule", {"rules": {"a.yml": "up"}}, "rules"),
    ("query", {"rules": {"a.yml": "groups: []"}}, "rules"),
    ("rule", {"external_labels": {"cluster": "a"}}, "external_labels"),
    ("rule", {"external_labels": {"customer": "a"}, "tenant_label": "customer"}, "external_labels"),
    ("rule", {"external_labels": {"ruler_replica": "a"}}, "external_labels"),
    ("rule", {"external_labels": {"my-label": "a"}}, "external_labels"),
    ("rule", {"external_labels": {"observer": 1}}, "external_labels"),
    ("rule", {"external_labels": {"observer": ""}}, "external_labels"),
    ("rule", {"alertmanagers": ["alertmanager:9093"]}, "alertmanagers"),
    ("rule", {"endpoints": []}, "endpoints"),
    ("query", {"external_endpoints": [{"address": "a:1", "ca": "swordfish"}]}, "external_endpoints"),
    ("query", {"external_endpoints": [{"address": "a:1", "key": "swordfish"}]}, "external_endpoints"),
    ("store", {"external_endpoints": [{"address": "a:1"}]}, "external_endpoints"),
    ("query", {"node_selector": {"disk": True}}, "node_selector"),
    ("query", {"tolerations": [{"keys": "a"}]}, "tolerations"),
    ("query", {"affinity": {"antiAffinity": {}}}, "affinity"),
    ("query", {"priority_class": "Very Important"}, "priority_class"),
    ("query", {"extra_args": ["--endpoint=a:1"]}, "extra_args"),
]


@pytest.mark.parametrize(("component", "params", "parameter"), REFUSED)
def test_what_cannot_work_is_refused_by_name(component: str, params: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InputError) as caught:
        settings_of(component, **params)
    assert caught.value.parameter == parameter
    assert "swordfish" not in str(caught.value)


# Certificates, of the object store and of external endpoints

ROOT = authority("Example Root")
OLD = authority("Old Root", start=NOW - timedelta(days=9), end=NOW - timedelta(days=1))
SIDECAR = make("sidecar", ROOT, start=NOW, end=NOW + timedelta(days=1))
DAMAGED = ROOT.pem.replace("MII", "NII", 1)
CLIENT = {"certificate": SIDECAR.pem, "key": SIDECAR.key_pem}
EXPIRED = make("sidecar", ROOT, start=NOW - timedelta(days=9), end=NOW - timedelta(days=1))
EARLY = make("sidecar", ROOT, start=NOW + timedelta(days=1), end=NOW + timedelta(days=9))
SERVER = make("sidecar", ROOT, extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])])


@pytest.mark.parametrize(
    ("ca", "reason"),
    [
        ("swordfish", "no PEM certificate"),
        (DAMAGED, "no PEM certificate"),
        (OLD.pem, "expired on"),
        (ROOT.pem + SIDECAR.key_pem, "no key"),
    ],
)
def test_an_authority_that_cannot_be_used_is_refused(ca: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        settings_of("store", objstore_ca=ca)
    assert caught.value.parameter == "objstore_ca"
    with pytest.raises(InputError, match=f"a:1: ca: .*{reason}") as caught:
        settings_of("query", external_endpoints=[{"address": "a:1", "ca": ca}])
    assert caught.value.parameter == "external_endpoints"


@pytest.mark.parametrize("ca", [ROOT.pem, OLD.pem + ROOT.pem, f"# any\n{ROOT.pem}"])
def test_an_authority_that_is_over_may_be_beside_one_that_is_not(ca: str) -> None:
    settings_of("store", objstore_ca=ca)
    settings_of("query", external_endpoints=[{"address": "a:1", "ca": ca}])


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        ({"certificate": SIDECAR.pem}, "key is required"),
        ({"key": SIDECAR.key_pem}, "certificate is required"),
        ({**CLIENT, "certificate": DAMAGED}, "certificate: is not a certificate"),
        ({**CLIENT, "certificate": EXPIRED.pem}, "certificate: .* expired on"),
        ({**CLIENT, "certificate": EARLY.pem}, "certificate: .* is not valid before"),
        ({**CLIENT, "certificate": SERVER.pem, "key": SERVER.key_pem}, "certificate: is not for a TLS client"),
        ({**CLIENT, "key": ROOT.key_pem}, "key: does not belong"),
        ({**CLIENT, "key": SIDECAR.pem}, "key: is not a private key"),
        ({**CLIENT, "key": SIDECAR.encrypted_key_pem("swordfish")}, "key: is encrypted. Give the key without"),
    ],
)
def test_what_no_endpoint_would_let_in_is_refused(client: dict[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=f"a:1: {reason}") as caught:
        settings_of("query", external_endpoints=[{"address": "a:1", **client}])
    assert caught.value.parameter == "external_endpoints"


def test_a_priority_class_may_have_dots() -> None:
    assert settings_of("store", priority_class="example.org.high").placement == {"priority_class": "example.org.high"}


def test_a_client_of_an_external_endpoint() -> None:
    (endpoint,) = settings_of("query", external_endpoints=[{"address": "a:1", **CLIENT}]).external_endpoints
    assert (endpoint.certificate, endpoint.key) == (SIDECAR.pem, SIDECAR.key_pem)


def test_a_cache_is_thanos_own_format_with_the_password_in_it() -> None:
    redis = {"type": "REDIS", "config": {"addr": "redis:6379"}}
    settings = settings_of("store", cache={**redis, "ttl": "24h"}, bucket_cache=redis, cache_password="swordfish")
    expected = {"type": "REDIS", "config": {"addr": "redis:6379", "password": "swordfish"}}
    assert yaml.safe_load(settings.cache) == {**expected, "ttl": "24h"}
    assert yaml.safe_load(settings.bucket_cache) == expected
    assert "swordfish" not in repr(settings)


def test_an_external_endpoint_needs_no_more_than_an_address() -> None:
    (endpoint,) = settings_of("query", external_endpoints=[{"address": "a:1", "ca": None}]).external_endpoints
    assert (endpoint.address, endpoint.ca) == ("a:1", "")


# What is well in itself, and not beside what is there


def live(name: str, *reads: str, image: str = "quay.io/thanos/thanos:v0.42.4") -> dict[str, Any]:
    annotations = {"observability.scs.community/reads": " ".join(reads)} if reads else {}
    return {
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
    }


def refuse(component: str, *workloads: dict[str, Any], **params: Any) -> None:
    given = {"component": component, **GIVEN[component], **params}
    kind = thanos.component_of(given)
    settings, _store = thanos.settings_of(kind, given)
    thanos.refuse(kind, settings, Observed({}, (), None, workloads), given)


def test_a_circle_of_queries_is_refused_with_all_of_it() -> None:
    with pytest.raises(InputError) as caught:
        refuse(
            "query",
            live("inner", "store:10901", "dns+outer.scs-observability.svc:10901"),
            live("outer", "thanos-query.scs-observability.svc:10901"),
            live("thanos-query", "store:10901"),
            endpoints=["inner:10901"],
        )
    assert caught.value.parameter == "endpoints"
    assert "thanos-query -> inner -> outer -> thanos-query" in str(caught.value)


def test_a_circle_through_an_external_endpoint_is_one_too() -> None:
    with pytest.raises(InputError, match=r"thanos-query -> other -> thanos-query"):
        refuse("query", live("other", "thanos-query:10901"), external_endpoints=[{"address": "other:10901"}])


def test_frontends_in_a_circle_are_refused() -> None:
    with pytest.raises(InputError, match=r"circle"):
        refuse(
            "query_frontend",
            live("other", "http://thanos-query-frontend:10902"),
            endpoints=["http://other.scs-observability.svc:10902"],
        )


def test_rule_asks_query_and_query_reads_rule() -> None:
    rule = live("thanos-rule")
    refuse("query", rule, endpoints=["dnssrv+_grpc._tcp.thanos-rule-headless.scs-observability.svc"])
    refuse("rule", live("thanos-query", "thanos-rule:10901"), rule)


def test_what_a_component_read_before_does_not_count() -> None:
    refuse("query", live("thanos-query", "inner:10901"), live("inner", "thanos-query:10901"), endpoints=["store:10901"])


@pytest.mark.parametrize(
    ("running", "wanted"),
    [
        ("quay.io/thanos/thanos:v0.42.4", "quay.io/thanos/thanos:v0.42.3"),
        ("quay.io/thanos/thanos:v0.42.4", "registry.example.org:5000/thanos:0.9.9"),
        ("registry.example.org:5000/thanos:v0.42.10", "quay.io/thanos/thanos:v0.42.4"),
        ("quay.io/thanos/thanos:v1.0.0", "quay.io/thanos/thanos:v0.42.4-rc.1"),
        ("quay.io/thanos/thanos:v0.42.4", "quay.io/thanos/thanos:v0.42.4-rc.1"),
        ("quay.io/thanos/thanos:v0.42.4-rc.10", "quay.io/thanos/thanos:v0.42.4-rc.9"),
    ],
)
def test_an_older_version_is_refused_unless_it_is_allowed(running: str, wanted: str) -> None:
    with pytest.raises(InputError) as caught:
        refuse("store", live("thanos-store", image=running), image=wanted)
    assert caught.value.parameter == "image"
    assert "allow_downgrade" in str(caught.value)
    refuse("store", live("thanos-store", image=running), image=wanted, allow_downgrade=True)
    refuse("store", live("another", image=running), image=wanted)


@pytest.mark.parametrize(
    ("running", "wanted"),
    [
        ("quay.io/thanos/thanos:v0.42.4", "quay.io/thanos/thanos:v0.42.4"),
        ("quay.io/thanos/thanos:v0.42.4", "quay.io/thanos/thanos:v0.43.0"),
        ("quay.io/thanos/thanos:v0.9.0", "quay.io/thanos/thanos:v0.42.4"),
        ("quay.io/thanos/thanos:v0.42.4-rc.1", "quay.io/thanos/thanos:v0.42.4"),
        ("registry.example.org/thanos:0.42.4", "registry.example.org/thanos:0.42.4-debian-12-r1"),
        ("quay.io/thanos/thanos:latest", "quay.io/thanos/thanos:v0.42.4"),
        ("quay.io/thanos/thanos:v0.42.4", "quay.io/thanos/thanos:main"),
        ("quay.io/thanos/thanos:v0.42.4", f"quay.io/thanos/thanos@sha256:{'a' * 64}"),
    ],
)
def test_other_changes_of_the_image_are_not_refused(running: str, wanted: str) -> None:
    refuse("store", live("thanos-store", image=running), image=wanted)


def test_a_service_monitor_follows_the_cluster_unless_it_is_said() -> None:
    def kinds(has_operator: bool, mode: str) -> set[str]:
        given = {"component": "bucket_web", **OBJSTORE, "service_monitor": mode}
        component = thanos.component_of(given)
        settings, store = thanos.settings_of(component, given)
        observed = Observed({}, (), None, (), has_operator)
        thanos.refuse(component, settings, observed, given)
        return {item["kind"] for item in thanos.objects(component, settings, store, observed, NOW)}

    assert "ServiceMonitor" in kinds(True, "auto")
    assert "ServiceMonitor" not in kinds(False, "auto")
    assert "ServiceMonitor" not in kinds(True, "never")
    with pytest.raises(InputError) as caught:
        kinds(False, "always")
    assert caught.value.parameter == "service_monitor"
