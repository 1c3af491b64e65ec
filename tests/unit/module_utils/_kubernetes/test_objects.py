# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import (
    ObjectKey,
    identity,
    is_terminating,
    labels_of,
    mask,
    normalize,
    with_encoded_data,
)

LIVE: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "query",
        "namespace": "monitoring",
        "uid": "c0ffee",
        "resourceVersion": "4711",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "query"},
        "annotations": {
            "deployment.kubernetes.io/revision": "3",
            "kubectl.kubernetes.io/last-applied-configuration": '{"spec":{}}',
        },
        "managedFields": [{"manager": "scs.observability"}],
    },
    "spec": {"replicas": 2},
    "status": {"readyReplicas": 2},
}


def secret(data: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    content = {"data": data} if data is not None else {}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3", "namespace": "ns"}, **content, **more}


@pytest.mark.parametrize(
    ("manifest", "key", "text"),
    [
        (LIVE, ("apps/v1", "Deployment", "monitoring", "query"), "apps/v1 Deployment monitoring/query"),
        (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "namespace": "ignored"}},
            ("v1", "Namespace", "", "ns"),
            "v1 Namespace ns",
        ),
    ],
)
def test_identity(manifest: dict[str, Any], key: tuple[str, ...], text: str) -> None:
    assert identity(manifest) == ObjectKey(*key)
    assert str(identity(manifest)) == text


def test_a_kind_that_the_table_lacks_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="v1 Gadget"):
        identity({"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "x"}})


def test_only_what_can_be_wanted_is_compared() -> None:
    assert normalize(LIVE) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "query",
            "namespace": "monitoring",
            "labels": {"app": "query"},
            "annotations": {"deployment.kubernetes.io/revision": "3"},
        },
        "spec": {"replicas": 2},
    }
    assert LIVE["metadata"]["uid"] == "c0ffee"


@pytest.mark.parametrize("empty", [{}, None])
def test_no_labels_and_empty_labels_are_the_same(empty: dict[str, str] | None) -> None:
    with_empty = {"kind": "Secret", "metadata": {"name": "x", "labels": empty, "annotations": empty}}
    assert normalize(with_empty) == normalize({"kind": "Secret", "metadata": {"name": "x"}})
    assert labels_of(with_empty) == {}


def test_a_secret_shows_which_keys_change_and_no_value() -> None:
    before = secret({"same": "YQ==", "changed": "YQ==", "removed": "YQ=="})
    after = secret({"same": "YQ==", "changed": "Yg==", "added": "YQ=="})
    assert mask(before, after)["data"] == {
        "same": "(hidden)",
        "changed": "(hidden, changed)",
        "removed": "(hidden)",
    }
    assert mask(after, before)["data"] == {"same": "(hidden)", "changed": "(hidden, changed)", "added": "(hidden)"}
    assert mask(after)["data"] == dict.fromkeys(("same", "changed", "added"), "(hidden)")
    assert after["data"]["changed"] == "Yg=="


def test_a_copy_of_the_secret_in_an_annotation_is_hidden_too() -> None:
    annotated = secret({"key": "c3dvcmRmaXNo"})
    annotated["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"key":"c3dvcmRmaXNo"}}',
        "note": "kept",
    }
    assert "c3dvcmRmaXNo" not in str(mask(annotated))
    assert mask(annotated)["metadata"]["annotations"] == {"note": "kept"}


def test_a_secret_without_data_and_other_kinds_stay_as_they_are() -> None:
    assert mask(secret()) == secret()
    assert mask(LIVE) == LIVE


def test_texts_of_a_secret_are_sent_encoded() -> None:
    assert with_encoded_data(secret({"a": "YQ=="}, stringData={"b": "ü"})) == secret({"a": "YQ==", "b": "w7w="})
    assert with_encoded_data(secret(stringData={"b": "b"}))["data"] == {"b": "Yg=="}
    assert with_encoded_data(LIVE) == LIVE


def test_terminating() -> None:
    assert not is_terminating(LIVE)
    assert is_terminating({"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
