# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a problem; what is asked is in tests/integration/observer/test_preflight.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import resource_of
from ansible_collections.scs.observability.plugins.module_utils._observer import preflight
from ansible_collections.scs.observability.plugins.module_utils._observer.capacity import WantedPod
from tests import deployed

PLAYBOOKS = Path(__file__).resolve().parents[4] / "playbooks"

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "minimum", "too_old"),
    [
        ("v1.31.0", "1.31", False),
        ("v1.36.3", "1.31", False),
        ("v2.0.0", "1.31", False),
        ("v1.30.14", "1.31", True),
        ("v1.9.11", "1.31", True),
        ("v1.30.4+k3s1", "1.31", True),
        ("v1.31.2-eks-7f9249a", "v1.31.0", False),
        # What cannot be read is not called old.
        ("", "1.31", False),
    ],
)
def test_versions(version: str, minimum: str, too_old: bool) -> None:
    problems = preflight.version_problems(version, preflight.version_of(minimum))
    assert [version in str(problem) for problem in problems] == [True] * too_old


@pytest.mark.parametrize("text", ["", "new", "1", "x1.31"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(InputError, match="minimum_version"):
        preflight.version_of(text)


@pytest.mark.parametrize(
    ("skew", "words"), [(None, ""), (0, ""), (60, ""), (-60, ""), (61, "61 s ahead of"), (-300, "300 s behind")]
)
def test_clocks(skew: int | None, words: str) -> None:
    problems = preflight.clock_problems("https://api", skew)
    assert bool(problems) == bool(words)
    assert all(words in str(problem) for problem in problems)


def node(name: str, ready: str = "True") -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


@pytest.mark.parametrize(
    ("ahead", "ready", "words"),
    [
        (0, "True", ""),
        # The kubelet is about to renew it, or has just missed to.
        (-10, "True", ""),
        (-100, "True", ""),
        (60, "True", ""),
        (90, "True", "90 s ahead of"),
        (-200, "True", "150 s behind"),
        # It is old because nobody renews it.
        (-3600, "Unknown", ""),
    ],
)
def test_clocks_of_nodes(ahead: int, ready: str, words: str) -> None:
    renewed = (NOW + timedelta(seconds=ahead)).isoformat().replace("+00:00", "Z")
    lease = {"metadata": {"name": "n1"}, "spec": {"renewTime": renewed}}
    problems = preflight.node_clock_problems([node("n1", ready), node("n2")], [lease], NOW)
    assert bool(problems) == bool(words)
    assert all(f"node n1 is {words}" in str(problem) for problem in problems)


def storage_class(name: str, default: str = "", created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    annotations = {f"storageclass.{default}kubernetes.io/is-default-class": "true"} if default is not None else {}
    return {"metadata": {"name": name, "annotations": annotations, "creationTimestamp": created}}


PLAIN = {"metadata": {"name": "slow"}}


@pytest.mark.parametrize(
    ("classes", "wanted", "words"),
    [
        ([storage_class("standard")], "", ""),
        ([storage_class("standard", "beta.")], "", ""),
        ([PLAIN], "slow", ""),
        ([PLAIN], "", "storage_class: no storage class is the default one, and none is given. There are: slow"),
        ([], "", "storage_class: no storage class is the default one, and none is given. There is none: install a"),
        ([storage_class("standard"), PLAIN], "fast", "there is no storage class fast. There are: slow, standard"),
    ],
)
def test_storage_classes(classes: list[dict[str, Any]], wanted: str, words: str) -> None:
    problems = [str(problem) for problem in preflight.storage_problems(classes, wanted)]
    assert bool(problems) == bool(words)
    assert all(words in problem for problem in problems)


def test_sizes_of_volumes() -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    sets = [
        {"metadata": {"name": "receive"}, "spec": {"volumeClaimTemplates": [claim]}},
        {"metadata": {"name": "store"}, "spec": {}},
    ]
    assert preflight.volume_sizes(sets) == {"receive": "10Gi", "store": ""}


def test_of_two_default_classes_the_newer_counts() -> None:
    classes = [storage_class("new", created="2026-02-01T00:00:00Z"), storage_class("old"), PLAIN]
    assert preflight.default_class(classes) == "new"
    assert preflight.default_class([PLAIN]) is None


@pytest.mark.parametrize(
    ("slices", "wrong"),
    [
        ([], False),
        ([{"endpoints": [{"conditions": {"ready": True}}]}], False),
        ([{"endpoints": [{"conditions": {}}]}], False),
        ([{"endpoints": None}, {"endpoints": [{"conditions": {"ready": True}}]}], False),
        ([{"endpoints": [{"conditions": {"ready": False}}]}], True),
        ([{"endpoints": None}], True),
    ],
)
def test_dns(slices: list[dict[str, Any]], wrong: bool) -> None:
    assert bool(preflight.dns_problems(slices)) == wrong


def namespace(level: str | None, **metadata: Any) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": level} if level else None
    return {"metadata": {"name": "observer", "labels": labels, **metadata}}


HOST = WantedPod.of({"name": "node_exporter", "host_access": True})


@pytest.mark.parametrize(
    ("found", "pods", "words"),
    [
        (None, [HOST], ""),
        (namespace(None), [HOST], ""),
        (namespace("privileged"), [HOST], ""),
        (namespace("restricted"), [WantedPod.of({"name": "query"})], ""),
        (namespace("restricted"), [HOST], "level restricted, and node_exporter needs access to nodes. Label it"),
        (namespace("baseline"), [HOST], "level baseline"),
        (namespace(None, deletionTimestamp="2026-01-01T00:00:00Z"), [], "namespace: observer is being deleted"),
    ],
)
def test_namespaces(found: dict[str, Any] | None, pods: list[WantedPod], words: str) -> None:
    problems = [str(problem) for problem in preflight.namespace_problems(found, pods)]
    assert bool(problems) == bool(words)
    assert all(words in problem for problem in problems)


def test_every_right_that_is_missing_is_told_by_place() -> None:
    missing = {
        ("namespaces", ""): ["create", "patch"],
        ("pods/log", "observer"): ["get"],
        ("pods", "observer"): ["list"],
    }
    assert [str(problem).partition(". ")[0] for problem in preflight.rights_problems(missing, "observer")] == [
        "kubeconfig: this user may not, in the whole cluster: create, patch namespaces",
        "kubeconfig: this user may not, in namespace observer: get pods/log; list pods",
    ]
    assert preflight.rights_problems({}, "observer") == []


def service(namespace: str, name: str, *ports: int, **spec: Any) -> dict[str, Any]:
    listed = [{"port": 443}, *({"port": 443, "nodePort": port} for port in ports)]
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"ports": listed, **spec}}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"gateway_node_port": 30443, "web_node_port": 30844}, []),
        ({"web_node_port": 30843}, ["web_node_port: 30843 is a node port of the Service apps/web-gateway"]),
        # Of ours, it is the other one that has it.
        (
            {"web_node_port": 30443},
            ["web_node_port: 30443 is a node port of the Service observer/remote-write-gateway"],
        ),
        ({"gateway_node_port": 30999}, ["gateway_node_port: 30999 is a node port of the Service apps/balanced"]),
        ({"gateway_node_port": 443}, []),
    ],
)
def test_ports_of_nodes_that_other_services_have(wanted: dict[str, int], told: list[str]) -> None:
    services = [
        service("observer", "remote-write-gateway", 30443),
        service("apps", "web-gateway", 30843, 30845),
        service("apps", "balanced", healthCheckNodePort=30999),
        {"metadata": {"namespace": "apps", "name": "elsewhere"}, "spec": {"externalName": "example.org"}},
    ]
    problems = preflight.node_port_problems(services, "observer", wanted)
    assert [str(problem).partition(". ")[0] for problem in problems] == told


def test_other_observers_are_where_there_is_a_receive() -> None:
    def pod(where: str, **labels: str) -> dict[str, Any]:
        return {"metadata": {"namespace": where, "labels": {f"app.kubernetes.io/{k}": v for k, v in labels.items()}}}

    ours = {"part-of": "scs-observability"}
    receive = {"component": "receive", **ours}
    pods = [
        pod("observer", **receive),
        pod("molecule", **receive),
        pod("molecule", **receive),
        pod("agent", component="agent", **ours),
        {"metadata": {"namespace": "default"}},
    ]
    assert preflight.other_observers(pods, "observer") == ["molecule"]


def test_a_cluster_that_cannot_be_asked_hides_nothing_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of nobody's")
    params = {
        "kubeconfig": "/does/not/exist",
        "namespace": "Observer",
        "minimum_version": "new",
        "pods": [{"name": "query", "requests": {"cpu": "lots"}}, {"name": "rule", "requests": {"cores": 1}}],
        "tolerations": [{"effekt": "NoSchedule"}],
        "bucket": {"name": "Metrics", "endpoint": "https://s3.example.org"},
        "hostnames": ["localhost", "nowhere.invalid", "no..name"],
        "fail": False,
    }
    result = preflight.check(params, False)
    about = [problem.partition(":")[0] for problem in result["problems"]]
    assert about == [
        "tolerations",
        "pods[query].requests.cpu",
        "pods[rule].requests",
        "namespace",
        "minimum_version",
        "kubeconfig",
        "bucket.name",
        "bucket.access_key",
    ]
    assert [warning.split()[1] for warning in result["warnings"]] == ["nowhere.invalid", "no..name"]
    with pytest.raises(preflight.PreflightError) as caught:
        preflight.check({**params, "fail": True}, False)
    told = caught.value.result()
    assert told["msg"].splitlines() == told["problems"] == result["problems"]
    assert (told["error"], told["facts"], told["warnings"]) == ("preflight_error", result["facts"], result["warnings"])


def test_rights_are_those_for_every_kind_that_is_made() -> None:
    left = yaml.safe_load((PLAYBOOKS / "reconcile.yml").read_text())[-1]["vars"]["reconcile_leases"]
    made = [item.manifest for item in deployed.in_the_observer()] + left
    kinds = {(item["apiVersion"], item["kind"]) for item in made}
    needed = {f"{resource_of(*kind).plural}.{kind[0].rpartition('/')[0]}".rstrip(".") for kind in kinds}
    assert needed - {*preflight.RIGHTS_IN_CLUSTER, *preflight.RIGHTS_IN_NAMESPACE} == set()
