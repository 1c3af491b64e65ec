# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import (
    CERTIFICATE,
    KUBERNETES,
    OBSERVER,
    WAIT,
    unset_empty,
)
from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError


def test_empty_texts_in_lists_are_left_out() -> None:
    params = {"endpoints": ["", "a:1", ""], "hostnames": [""], "replicas": 0, "force": False, "image": None}
    assert unset_empty(params, {}) == {**params, "endpoints": ["a:1"], "hostnames": []}


def test_what_is_within_a_value_is_left_alone() -> None:
    assert unset_empty({"resources": {"limits": {"cpu": ""}}}, {}) == {"resources": {"limits": {"cpu": ""}}}


def test_a_required_parameter_must_not_be_empty() -> None:
    with pytest.raises(InputError, match="name: is required"):
        unset_empty({"name": ""}, {"name": {"required": True}})


@pytest.mark.parametrize(
    ("fragment", "spec"),
    [("certificate", CERTIFICATE), ("kubernetes", KUBERNETES), ("observer", OBSERVER), ("wait", WAIT)],
)
def test_the_documentation_is_that_of_the_specification(fragment: str, spec: dict[str, dict[str, Any]]) -> None:
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.doc_fragments.{fragment}")
    options = yaml.safe_load(module.ModuleDocFragment.DOCUMENTATION)["options"]
    documented = {
        name: {part: option[part] for part in ("type", "default") if part in option} for name, option in options.items()
    }
    assert documented == {
        name: {part: option[part] for part in ("type", "default") if part in option} for name, option in spec.items()
    }


def test_secrets_are_not_logged() -> None:
    assert CERTIFICATE["private_key"]["no_log"]
    assert CERTIFICATE["private_key_passphrase"]["no_log"]
    assert KUBERNETES["kubeconfig_content"]["no_log"]
    assert OBSERVER["observer_kubeconfig_content"]["no_log"]
