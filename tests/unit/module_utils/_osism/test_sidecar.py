# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a sidecar: what is refused of it, what its container and files are, what comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import Problems
from ansible_collections.scs.observability.plugins.module_utils._osism import sidecar
from ansible_collections.scs.observability.plugins.module_utils._osism.prometheus import Answers, Container, Mount
from ansible_collections.scs.observability.plugins.module_utils._osism.sidecar import File, Observed, Settings
from tests import pki

NOW = datetime.now(UTC)
AUTHORITY = pki.authority("internal")
PAIR = pki.make("control-1", AUTHORITY, names=["control-1.example.org"])
TLS = {"tls_certificate": PAIR.pem, "tls_key": PAIR.key_pem, "tls_client_ca": AUTHORITY.pem}
USER = {"prometheus_user": "thanos", "prometheus_password": "swordfish"}
S3 = {"bucket": "iaas", "endpoint": "s3.example.org"}
STORE = {
    "objstore": {"type": "S3", "config": S3},
    "objstore_access_key": "key",
    "objstore_secret_key": "secret-swordfish",
}
FOLDER = Path("/etc/scs-observability/sidecar")
LABELS = {"layer": "iaas", "region": "RegionOne", "replica": "control-1"}
EXPECTED = {"layer": "iaas", "region": "RegionOne"}
TESTBED = {"infrastructure": "testbed"}
EQUAL = {"storage.tsdb.min-block-duration": "2h", "storage.tsdb.max-block-duration": "2h"}
DELAY = "storage.tsdb.delay-compact-file.path"


def observed(
    flags: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None, mounted: bool = True
) -> Observed:
    flags, labels = EQUAL if flags is None else flags, LABELS if labels is None else labels
    mounts = (Mount("prometheus_v2", "/var/lib/prometheus", True),) if mounted else ()
    command = ("prometheus", "--web.listen-address=192.0.2.10:9091")
    container = Container("prometheus_server", True, "prometheus", mounts, command)
    answers = Answers("3.2.1", {"storage.tsdb.path": "/var/lib/prometheus/", **flags}, labels)
    return Observed(container, (42472, 42472), answers)


def read(**values: Any) -> Settings:
    problems = Problems()
    settings = sidecar.read({**TLS, **values}, NOW, problems)
    problems.refuse()
    return settings


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"tls_key": "", "tls_client_ca": ""}, ["tls_key", "tls_client_ca"]),
    ({"tls_client_ca": "x"}, ["tls_client_ca"]),
    ({"server_name": "control-2.example.org"}, ["tls_certificate"]),
    ({"prometheus_user": "thanos"}, ["prometheus_password"]),
    ({"prometheus_password": "x"}, ["prometheus_user"]),
    ({**USER, "prometheus_user": "a:b"}, ["prometheus_user"]),
    ({"image": "Not An Image"}, ["image"]),
    ({"grpc_address": "0.0.0.0"}, ["grpc_address"]),
    ({"grpc_address": "control-1"}, ["grpc_address"]),
    ({"http_address": "::"}, ["http_address"]),
    ({"http_port": 10901}, ["http_port"]),
    ({"grpc_port": 70000, "http_port": -1}, ["grpc_port", "http_port"]),
    ({"log_level": "loud"}, ["log_level"]),
    ({"resources": {"memory": "much"}}, ["resources.memory"]),
    ({"resources": {"memory": "1Mi"}}, ["resources.memory"]),
    ({"resources": {"cpu": 1}}, ["resources"]),
    ({"resources": {"cpus": "1m"}}, ["resources.cpus"]),
    ({"objstore": {"type": "S3"}}, ["objstore"]),
    ({"objstore": {"type": "S3", "config": {**S3, "secret_key": "swordfish"}}}, ["objstore"]),
    ({"objstore": {"type": "S3", "config": {**S3, "endpont": "x"}}}, ["objstore"]),
    ({"objstore": {"type": "S3", "config": {**S3, "endpoint": "https://s3.example.org"}}}, ["objstore"]),
    ({"objstore": {"type": "S3", "config": {**S3, "bucket": "A"}}}, ["objstore.config.bucket"]),
    ({**STORE, "objstore_secret_key": ""}, ["objstore_secret_key"]),
    ({**STORE, "objstore_ca": "x"}, ["objstore_ca"]),
    ({"objstore_access_key": "key"}, ["objstore_access_key"]),
    ({"image": "A B", "resources": {"cpus": "x"}, "log_level": "x"}, ["image", "log_level", "resources.cpus"]),
]


@pytest.mark.parametrize(("values", "parameters"), REFUSED)
def test_all_that_is_wrong_is_refused_by_name(values: dict[str, Any], parameters: list[str]) -> None:
    problems = Problems()
    sidecar.read({**TLS, **values}, NOW, problems)
    assert sorted(str(error.parameter) for error in problems.found) == sorted(parameters)
    assert "swordfish" not in " ".join(map(str, problems.found))


@pytest.mark.parametrize(
    ("values", "state", "parameters"),
    [
        ({}, observed(), []),
        (STORE, observed(), []),
        ({}, observed(labels={}), ["container"]),
        # Without uploads neither matters.
        ({}, observed(flags={**EQUAL, "storage.tsdb.max-block-duration": "36h"}, mounted=False), []),
        (STORE, observed(flags={**EQUAL, "storage.tsdb.max-block-duration": "36h"}), ["objstore"]),
        (STORE, observed(mounted=False), ["container"]),
        # Prometheus that waits for the uploads by itself
        (
            STORE,
            observed(
                flags={"storage.tsdb.max-block-duration": "36h", DELAY: "/var/lib/prometheus/thanos.shipper.json"}
            ),
            [],
        ),
        (STORE, observed(flags={**EQUAL, DELAY: "/elsewhere"}), ["objstore"]),
        (STORE, observed(flags={"storage.tsdb.max-block-duration": "2h"}, labels={}), ["container", "objstore"]),
        ({"expected_labels": EXPECTED}, observed(), []),
        ({"expected_labels": EXPECTED}, observed(labels={}), ["container"]),
        ({"expected_labels": EXPECTED}, observed(labels=TESTBED), ["expected_labels"]),
        ({"expected_labels": EXPECTED}, observed(labels={**LABELS, "region": "RegionTwo"}), ["expected_labels"]),
        # Of two without it the blocks would be of one identity, and overlap.
        ({}, observed(labels=EXPECTED), []),
        (STORE, observed(labels=EXPECTED), ["objstore"]),
        ({**STORE, "expected_labels": EXPECTED}, observed(labels=TESTBED), ["expected_labels", "objstore"]),
    ],
)
def test_what_thanos_would_not_work_with_is_refused(
    values: dict[str, Any], state: Observed, parameters: list[str]
) -> None:
    problems = Problems()
    sidecar.refuse(read(**values), state, problems)
    assert [error.parameter for error in problems.found] == parameters
    assert all(error.advice for error in problems.found)


def test_labels_that_differ_are_told_with_those_that_there_are() -> None:
    problems = Problems()
    expected = {"layer": "iaas", "region": "RegionOne", "zone": 1}
    sidecar.refuse(read(expected_labels=expected), observed(labels={**LABELS, "region": "two"}), problems)
    (error,) = problems.found
    assert str(error).startswith(
        "expected_labels: region=RegionOne, zone=1 are expected of the external labels of the Prometheus in "
        "prometheus_server, which are layer=iaas, region=two, replica=control-1"
    )


def made(**values: Any) -> tuple[dict[str, Any], dict[str, File]]:
    settings = read(**USER, **values)
    files = sidecar.files(settings, {**TLS, **USER, **values}, observed())
    return sidecar.container(settings, observed(), FOLDER, files, "sha256:1"), files


def test_the_volume_is_shared_only_for_uploads() -> None:
    reading, _files = made()
    assert reading["mounts"] == [f"{FOLDER}/thanos:/etc/thanos:ro"]
    uploading, files = made(**STORE)
    assert uploading["mounts"] == [f"{FOLDER}/thanos:/etc/thanos:ro", "prometheus_v2:/var/lib/prometheus:rw"]
    assert "secret-swordfish" in files["thanos/objstore/objstore.yml"].content
    assert "swordfish" not in json.dumps(uploading)


def test_it_listens_beside_prometheus_unless_it_is_said() -> None:
    assert "--grpc-address=192.0.2.10:10901" in made()[0]["command"]
    other = made(grpc_address="2001:db8::1", grpc_port=1)[0]["command"]
    assert "--grpc-address=[2001:db8::1]:1" in other


@pytest.mark.parametrize(
    ("values", "anew"),
    [
        ({"tls_certificate": PAIR.pem + AUTHORITY.pem}, False),
        ({"tls_client_ca": AUTHORITY.pem + pki.authority("next").pem}, True),
        ({"prometheus_password": "other"}, True),
        ({"resources": {"memory": "2Gi"}}, True),
        ({"resources": {"cpus": "500m"}}, True),
    ],
)
def test_only_what_thanos_reads_once_makes_another_container(values: dict[str, Any], anew: bool) -> None:
    before, _files = made()
    given = {**TLS, **USER, **values}
    settings = read(**given)
    files = sidecar.files(settings, given, observed())
    after = sidecar.container(settings, observed(), FOLDER, files, "sha256:1")
    plan = sidecar.plan_container("sidecar", before, after)
    assert plan.changed is anew
    assert plan.diff()["before"] != plan.diff()["after"] or not anew
    assert sidecar.plan_files(FOLDER, _files, files).changed


def test_a_diff_shows_no_secret_and_that_one_changed() -> None:
    _container, before = made(**STORE)
    given = {**TLS, **USER, **STORE, "objstore_secret_key": "another-swordfish"}
    after = sidecar.files(read(**given), given, observed())
    for plan in (
        sidecar.plan_files(FOLDER, {}, before),
        sidecar.plan_files(FOLDER, before, after),
        sidecar.plan_files(FOLDER, before, {}),
    ):
        shown = json.dumps(plan.result())
        assert plan.changed
        assert "swordfish" not in shown
        assert PAIR.key_pem.splitlines()[1] not in shown
    changed = sidecar.plan_files(FOLDER, before, after)
    assert changed.summary() == [
        f"update file {FOLDER}/{name}" for name in ("settings.json", "thanos/objstore/objstore.yml")
    ]
    assert "(hidden, changed)" in changed.diff()["after"]


REMEMBERED = {**TLS, **USER, "expected_labels": EXPECTED, "grpc_port": 1, "image": "quay.io/thanos/thanos:v0.42.4"}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, REMEMBERED),
        ({"image": "quay.io/thanos/thanos:v0.43.0"}, {**REMEMBERED, "image": "quay.io/thanos/thanos:v0.43.0"}),
        (TLS, TLS),
        ({**TLS, "grpc_port": 2, "image": None}, {**TLS, "grpc_port": 2}),
    ],
)
def test_what_is_not_given_is_as_it_was_unless_certificates_are_given(
    params: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert sidecar.given({"state": "present", "name": "x", **params}, REMEMBERED) == expected


def test_without_anything_remembered_only_what_is_given_counts() -> None:
    assert sidecar.given({"image": "x"}, None) == {"image": "x"}
