# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import KINDS
from ansible_collections.scs.observability.plugins.module_utils._manifests import collection_profile, kaas_cluster

VERSION = kaas_cluster.definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]["properties"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(schema[keyword], f"{path}[]")


def test_it_is_what_the_kubernetes_client_asks_for() -> None:
    definition = kaas_cluster.definition()
    names = definition["spec"]["names"]
    resource = KINDS[(kaas_cluster.API_VERSION, kaas_cluster.KIND)]
    assert (resource.plural, resource.namespaced) == (names["plural"], definition["spec"]["scope"] == "Namespaced")
    assert definition["metadata"]["name"] == f"{names['plural']}.{definition['spec']['group']}"


def test_the_schema_is_structural_and_bounded() -> None:
    for path, node in nodes(SCHEMA):
        assert node.get("type"), path
        if node["type"] == "string" and not {"enum", "format"} & set(node):
            assert node["maxLength"], path
        if node["type"] == "array":
            assert node["maxItems"], path
        if "additionalProperties" in node:
            assert node["maxProperties"], path


def test_no_registration_owns_the_definition() -> None:
    assert "app.kubernetes.io/instance" not in kaas_cluster.definition()["metadata"]["labels"]


def test_the_life_of_a_cluster() -> None:
    assert set(kaas_cluster.TRANSITIONS) == set(kaas_cluster.PHASES) == set(SPEC["phase"]["enum"])
    assert kaas_cluster.TRANSITIONS["deleting"] == ()
    for phase in ("provisioning", "active", "maintenance"):
        assert "deleting" in kaas_cluster.TRANSITIONS[phase]
        assert "provisioning" not in kaas_cluster.TRANSITIONS[phase]


def test_status_is_a_subresource_so_that_it_never_counts_as_a_change_of_the_registration() -> None:
    assert VERSION["subresources"] == {"status": {}}


def test_the_list_shows_the_fleet() -> None:
    columns = {column["name"]: column for column in VERSION["additionalPrinterColumns"]}
    assert {"Phase", "Customer", "SLA", "Expires", "Age"} <= set(columns)
    paths = {path for path, _node in nodes(SCHEMA)}
    for column in columns.values():
        assert column["jsonPath"] in paths | {".metadata.creationTimestamp"}
    # kubectl shows a date that is to come as "<invalid>".
    assert columns["Expires"]["type"] == "string"


@pytest.mark.parametrize("name", ["", "__name__", "__", "1a", "a-b", "a.b", "ä"])
def test_names_that_are_no_labels_do_not_match(name: str) -> None:
    assert not re.search(kaas_cluster.LABEL_PATTERN, name)


@pytest.mark.parametrize("name", ["a", "_", "_a", "_1", "A1_b__c"])
def test_labels_match(name: str) -> None:
    assert re.search(kaas_cluster.LABEL_PATTERN, name)


def test_profiles_are_those_that_there_are() -> None:
    assert kaas_cluster.PROFILES == collection_profile.PROFILES


@pytest.mark.parametrize("name", ["..", "A_b", "a" * 64, "", "-a", "a.b"])
def test_names_that_are_no_dns_labels_do_not_match(name: str) -> None:
    assert not re.search(kaas_cluster.DNS_LABEL_PATTERN, name)


@pytest.mark.parametrize("name", ["a", "kaas-1", "a" * 63, "0"])
def test_dns_labels_match(name: str) -> None:
    assert re.search(kaas_cluster.DNS_LABEL_PATTERN, name)
