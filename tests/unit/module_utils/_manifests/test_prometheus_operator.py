# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import (
    images,
    prometheus_operator,
    prometheus_operator_bundle,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests.prometheus_operator import (
    GROUP,
    NEEDED,
    Settings,
    bundle_of,
    checksum_of,
    definition,
    image_version,
    is_current,
    is_ours,
    objects,
    operators,
    shown,
    unserved,
    unusable,
    version_of,
)

Manifest = dict[str, Any]
CHECKSUM = "sha256:" + 64 * "0"


def crd(name: str, version: str = "0.85.0", served: Sequence[str] = ()) -> Manifest:
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [{"name": item, "served": True, "schema": schema} for item in served or [NEEDED.get(name, "v1")]]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "annotations": {prometheus_operator.VERSION_ANNOTATION: version}},
        "spec": {"group": GROUP, "names": {}, "versions": versions},
    }


def bundle(*changed: Manifest, without: str = "") -> bytes:
    items = {name: crd(name) for name in prometheus_operator.DEFINITIONS if name != without}
    items.update({item["metadata"]["name"]: item for item in changed})
    other = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prometheus-operator"}}
    return yaml.safe_dump_all([None, *items.values(), other]).encode()


def test_of_a_bundle_the_definitions_count() -> None:
    found = bundle_of(bundle())
    assert set(found.definitions) == set(prometheus_operator.DEFINITIONS)
    assert found.version == (0, 85, 0)


def test_an_equals_sign_is_a_text() -> None:
    # to Kubernetes; to YAML 1.1 it is a type of its own
    content = (
        bundle() + b"---\nkind: CustomResourceDefinition\nmetadata: {name: x}\nspec: {group: monitoring.coreos.com"
    )
    content += b", versions: [], x: ['=', =]}\n"
    assert bundle_of(content).definitions["x"]["spec"]["x"] == ["=", "="]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not YAML"),
        (b"kind: Service\n", f"lacks alertmanagers.{GROUP}; lacks podmonitors.{GROUP}"),
        (bundle(without=f"probes.{GROUP}"), f"lacks probes.{GROUP}"),
        (
            bundle(crd(f"scrapeconfigs.{GROUP}", served=["v1"])),
            f"scrapeconfigs.{GROUP} is served as v1, not as v1alpha1",
        ),
        (bundle(crd(f"probes.{GROUP}", "0.84.0")), "definitions of 2 releases"),
        (bundle(*(crd(name, "0.81.9") for name in prometheus_operator.DEFINITIONS)), "0.82.0 is the oldest"),
        (bundle(*(crd(name, "") for name in prometheus_operator.DEFINITIONS)), "definitions of 0 releases"),
    ],
)
def test_what_is_no_bundle_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError) as refused:
        bundle_of(content)
    assert refused.value.parameter == "bundle"
    assert message in str(refused.value)


def test_drift_is_seen_without_the_bundle() -> None:
    applied = definition(crd(f"probes.{GROUP}"), CHECKSUM, crd(f"probes.{GROUP}")["spec"])
    assert is_ours(applied)
    assert is_current(applied, CHECKSUM)
    assert not is_current(applied, checksum_of(b"another bundle"))
    assert not is_current({**applied, "spec": {**applied["spec"], "names": {"shortNames": ["x"]}}}, CHECKSUM)
    assert not is_current({**applied, "metadata": {**applied["metadata"], "deletionTimestamp": "now"}}, CHECKSUM)
    assert not is_current(crd(f"probes.{GROUP}"), CHECKSUM)
    assert not is_ours(crd(f"probes.{GROUP}"))


def test_a_diff_has_no_schema_but_sees_its_change() -> None:
    before, after = crd(f"probes.{GROUP}"), crd(f"probes.{GROUP}")
    after["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["type"] = "array"
    assert "openAPIV3Schema" not in str(shown(before))
    assert shown(before) != shown(after)
    assert "openAPIV3Schema" in str(before), "what is applied must not be shortened"


@pytest.mark.parametrize(
    ("served", "needed"), [(["v1"], ""), (["v1beta1", "v1"], ""), (["v1beta1"], "is served as v1beta1, not as v1")]
)
def test_a_definition_must_serve_what_is_needed(served: list[str], needed: str) -> None:
    assert needed in unserved(f"probes.{GROUP}", crd(f"probes.{GROUP}", served=served))
    assert unserved(f"thanosrulers.{GROUP}", crd(f"thanosrulers.{GROUP}", served=served)) == ""


def deployment(
    image: str = "quay.io/prometheus-operator/prometheus-operator:v0.85.0",
    args: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    env: Sequence[Mapping[str, Any]] = (),
) -> Manifest:
    container = {"name": "operator", "image": image, "args": list(args), "env": list(env)}
    return {
        "metadata": {"name": "po", "namespace": "monitoring", "labels": labels},
        "spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "x", "image": "proxy:1"}, container]}}},
    }


@pytest.mark.parametrize(
    ("image", "labels", "version"),
    [
        ("quay.io/prometheus-operator/prometheus-operator:v0.85.0", {}, (0, 85, 0)),
        ("docker.io/bitnami/prometheus-operator:0.84.1-debian-12-r0", {}, (0, 84, 1)),
        ("localhost:5000/mirror/prometheus-operator:v0.90.0@sha256:" + 64 * "a", {}, (0, 90, 0)),
        (
            "mirror.example.org/prometheus-operator@sha256:" + 64 * "a",
            {"app.kubernetes.io/version": "0.83.0"},
            (0, 83, 0),
        ),
        ("mirror.example.org/prometheus-operator@sha256:" + 64 * "a", {}, None),
        ("mirror.example.org/prometheus-operator", {}, None),
    ],
)
def test_an_operator_is_known_by_its_image(image: str, labels: dict[str, str], version: Any) -> None:
    (found,) = operators([deployment(image, labels=labels)], "observer")
    assert (found.namespace, found.name, found.version) == ("monitoring", "po", version)


@pytest.mark.parametrize(
    "image",
    [
        "quay.io/prometheus-operator/admission-webhook:v0.85.0",
        "victoriametrics/operator:v0.60.0",
        "prometheus-operator-x:1",
    ],
)
def test_what_is_no_operator_is_none(image: str) -> None:
    assert operators([deployment(image)], "observer") == []


@pytest.mark.parametrize(
    ("args", "watches", "doubt"),
    [
        ([], True, ""),
        (["--log-level=debug", "--kubelet-endpoints"], True, ""),
        (["--namespaces="], True, ""),
        (["--namespaces=a,observer"], True, ""),
        (["--namespaces", "a, observer"], True, ""),
        (["-namespaces=a"], False, ""),
        (["--namespaces=observer-2"], False, ""),
        (["--deny-namespaces=observer,a"], False, ""),
        (["--deny-namespaces=a"], True, ""),
        (["--namespaces=$(NAMESPACES)"], False, ""),
        (["--namespaces=$(ELSEWHERE)"], True, "takes --namespaces from elsewhere"),
        (["--namespaces=$(FIELD)"], True, "takes --namespaces from elsewhere"),
        (["--prometheus-instance-namespaces=a", "--alertmanager-instance-namespaces=a"], False, ""),
        (["--prometheus-instance-namespaces=a"], True, "not at Prometheus"),
        (
            ["--namespaces=a", "--prometheus-instance-namespaces=observer"],
            True,
            "not at Alertmanager and what configures",
        ),
        (["--deny-namespaces=observer", "--prometheus-instance-namespaces=a"], False, ""),
        (["--prometheus-instance-selector=team=x"], True, "selects by --prometheus-instance-selector=team=x"),
        (["--controller-id=x"], True, "selects by --controller-id=x"),
        (["--controller-id="], True, ""),
    ],
)
def test_whether_an_operator_looks_at_the_namespace(args: list[str], watches: bool, doubt: str) -> None:
    env = [{"name": "NAMESPACES", "value": "a,b"}, {"name": "FIELD", "valueFrom": {}}]
    (found,) = operators([deployment(args=args, env=env)], "observer")
    assert found.watches is watches
    assert doubt in found.doubt
    assert bool(doubt) == bool(found.doubt)
    assert unusable(found) == found.doubt


def test_the_words_of_a_flag_may_be_in_the_command() -> None:
    item = deployment()
    item["spec"]["template"]["spec"]["containers"][1]["command"] = ["/bin/operator", "--namespaces=a"]
    assert [found.watches for found in operators([item], "observer")] == [False]


@pytest.mark.parametrize(
    ("tag", "reason"),
    [("v0.82.0", ""), ("v0.81.0", "is 0.81.0, and 0.82.0 is the oldest"), ("latest", "neither its image")],
)
def test_an_operator_must_be_new_enough(tag: str, reason: str) -> None:
    (found,) = operators([deployment(f"prometheus-operator:{tag}")], "observer")
    assert reason in unusable(found)
    assert bool(reason) == bool(unusable(found))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v0.85.0", (0, 85, 0)),
        ("0.85.0-rc.1", (0, 85, 0)),
        ("v0.85", None),
        ("0.85.0.1", None),
        ("main", None),
        ("", None),
    ],
)
def test_versions(text: str, version: Any) -> None:
    assert version_of(text) == version


def settings(**changes: Any) -> Settings:
    given: dict[str, Any] = {
        "namespace": "observer",
        "image": images.PROMETHEUS_OPERATOR,
        "reloader_image": "example.org/reloader:1",
        "resources": {"limits": {"memory": "1Gi"}},
        "reloader_resources": None,
        "placement": {"priority_class": "high"},
    }
    return Settings(**{**given, **changes})


def made(kind: str, **changes: Any) -> Manifest:
    (item,) = (item for item in objects(settings(**changes)) if item["kind"] == kind)
    return item


def container(**changes: Any) -> Manifest:
    (found,) = made("Deployment", **changes)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_our_operator_looks_at_one_namespace() -> None:
    (found,) = operators([made("Deployment")], "observer")
    assert (found.watches, found.doubt, found.version) == (True, "", (0, 85, 0))
    assert [item.watches for item in operators([made("Deployment")], "another")] == [False]
    assert {item["metadata"]["namespace"] for item in objects(settings())} == {"observer"}


def test_it_has_no_more_rights_than_named_ones() -> None:
    rules = made("Role")["rules"]
    assert not [rule for rule in rules if "*" in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])]
    assert made("RoleBinding")["roleRef"]["kind"] == "Role"


def test_two_of_it_never_run() -> None:
    assert made("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert made("Deployment")["spec"]["replicas"] == 1


def test_resources_of_what_it_puts_beside_prometheus() -> None:
    assert "--prometheus-config-reloader=example.org/reloader:1" in container()["args"]
    assert not [word for word in container()["args"] if word.startswith("--config-reloader-")]
    given = {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
    assert {word for word in container(reloader_resources=given)["args"] if word.startswith("--config-reloader-")} == {
        "--config-reloader-cpu-request=5m",
        "--config-reloader-memory-request=16Mi",
        "--config-reloader-cpu-limit=0",
        "--config-reloader-memory-limit=64Mi",
    }


def test_operator_and_definitions_are_of_one_release() -> None:
    version = image_version(images.PROMETHEUS_OPERATOR)
    assert version == image_version(images.PROMETHEUS_CONFIG_RELOADER)
    assert version
    assert f"/v{prometheus_operator.text_of(version)}/" in prometheus_operator_bundle.URL
