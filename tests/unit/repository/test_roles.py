# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles say of every variable what it is, and hand on only what the modules take."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scs.observability.plugins.module_utils._observer import thanos
from tests import rendered

CHECKOUT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((CHECKOUT / "playbooks").glob("*.yml"))
INVENTORIES = sorted((CHECKOUT / "inventories").glob("*/group_vars/*.yml")) + sorted(
    (CHECKOUT / "molecule").glob("*/inventory/group_vars/*.yml")
)


@cache
def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options(role: str) -> dict[str, dict[str, Any]]:
    specification: dict[str, dict[str, Any]] = load(CHECKOUT / "roles" / role / "meta" / "argument_specs.yml")[
        "argument_specs"
    ]["main"]["options"]
    return specification


def defaults(role: str) -> dict[str, Any]:
    values: dict[str, Any] = load(CHECKOUT / "roles" / role / "defaults" / "main.yml")
    return values


def task_files(role: str) -> list[Path]:
    return sorted((CHECKOUT / "roles" / role / "tasks").glob("*.yml"))


def tasks(content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in content:
        yield task
        yield from tasks(task.get("block", []))


def in_order(role: str, name: str) -> Iterator[dict[str, Any]]:
    """The tasks of a file, those of the files that it includes in their places."""
    folder = CHECKOUT / "roles" / role / "tasks"
    for task in tasks(load(folder / name)):
        included = task.get("ansible.builtin.include_tasks")
        if included and "{{" not in included:
            yield from in_order(role, included)
        else:
            yield task


def all_text(role: str) -> str:
    """Everything in a role that variables are used in."""
    folder = CHECKOUT / "roles" / role
    return "".join(
        path.read_text() for part in ("tasks", "templates", "vars") for path in sorted((folder / part).rglob("*.*"))
    )


def own_variables(role: str, text: str) -> set[str]:
    """What is named {{ like_this }} in Jinja; keys of tasks, such as register, are not."""
    expressions = re.findall(r"\{\{(.*?)\}\}", text, flags=re.DOTALL) + re.findall(r"when: (.*)|\{%(.*?)%\}", text)
    return set(re.findall(rf"(?<![\w.])({role}_\w+)", " ".join(map(str, expressions))))


def described(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in content.items():
        yield name, option
        yield from described(option.get("options", {}))


@pytest.mark.parametrize("role", ROLES)
class TestRole:
    def test_every_option_is_described_and_prefixed(self, role: str) -> None:
        assert all(name.startswith(f"{role}_") for name in options(role))
        assert [name for name, option in described(options(role)) if not option.get("description")] == []

    def test_defaults_are_those_that_are_documented(self, role: str) -> None:
        documented = {name: option["default"] for name, option in options(role).items() if "default" in option}
        templated = {name for name, value in defaults(role).items() if isinstance(value, str) and "{{" in value}
        assert {name: value for name, value in defaults(role).items() if name not in templated} == documented

    def test_what_must_be_given_has_no_default(self, role: str) -> None:
        assert {name for name, option in options(role).items() if option.get("required")} & set(defaults(role)) == set()

    def test_secrets_are_hidden_and_have_no_default(self, role: str) -> None:
        secret = {
            name
            for name in options(role)
            if re.search(r"secret(?!$)|(client|secret|private)_(key|secret)|password|kubeconfig_content", name)
        }
        assert {name for name, option in options(role).items() if option.get("no_log")} == secret
        # That of the observer stands in for the same one of another role.
        none = {"", "{{ observer_kubeconfig_content | default('') }}"}
        assert {defaults(role)[name] for name in secret & set(defaults(role))} <= none

    def test_an_empty_answer_is_taken_where_a_text_or_a_list_is_wanted(self, role: str) -> None:
        # Surveys have types of their own for numbers, switches and choices, and send nothing empty there.
        asked = {
            name: {part: content for part, content in option.items() if part in ("type", "elements", "default")}
            for name, option in options(role).items()
            if option.get("type", "str") in ("str", "path", "list")
            and not (option.get("choices") or option.get("elements") == "dict")
        }
        assert asked
        assert ArgumentSpecValidator(asked).validate(dict.fromkeys(asked, "")).error_messages == []

    def test_variables_in_tasks_are_documented_or_made_there(self, role: str) -> None:
        text = all_text(role)
        made = set(re.findall(r"(?:register|loop_var): (\w+)", text)) | set(
            re.findall(rf"^ +({role}_\w+):", text, re.M)
        )
        constants = CHECKOUT / "roles" / role / "vars" / "main.yml"
        made |= set(load(constants)) if constants.exists() else set()
        assert own_variables(role, text) - made <= set(options(role))

    def test_every_option_is_used(self, role: str) -> None:
        text = all_text(role)
        assert set(options(role)) - own_variables(role, text) == set()

    def test_modules_take_what_tasks_give(self, role: str) -> None:
        for path in task_files(role):
            for task in tasks(load(path)):
                for module, arguments in task.items():
                    if module.startswith("scs.observability."):
                        assert set(arguments or {}) <= set(documented_options(module)), f"{path}: {task['name']}"


def documented_options(fqcn: str) -> dict[str, Any]:
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.modules.{fqcn.rpartition('.')[2]}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    found: dict[str, Any] = dict(documentation["options"])
    for fragment in documentation.get("extends_documentation_fragment", []):
        name, _ignored, part = fragment.removeprefix("scs.observability.").partition(".")
        fragments = importlib.import_module(f"ansible_collections.scs.observability.plugins.doc_fragments.{name}")
        text = getattr(fragments.ModuleDocFragment, (part or "documentation").upper())
        found |= yaml.safe_load(text).get("options", {})
    return found


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_playbooks_are_callable_by_their_full_name(path: Path) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*\.yml", path.name)
    for play in load(path):
        for role in play.get("roles", []):
            namespace, _ignored, name = role["role"].rpartition(".")
            assert (namespace, name in ROLES) == ("scs.observability", True)


@pytest.mark.parametrize("name", ["kubeconfig", "kubeconfig_content", "context", "namespace"])
def test_verification_looks_at_the_observer_of_the_host(name: str) -> None:
    """Not at another one, because its name was said to the role observer alone."""
    default = jinja2.Template(defaults("verification")[f"verification_{name}"])
    assert default.render({f"observer_{name}": "other"}) == "other"
    assert default.render() == default.render({f"observer_{name}": ""}) == defaults("observer")[f"observer_{name}"]


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_inventories_set_only_variables_that_exist(path: Path) -> None:
    known = {name for role in ROLES for name in options(role)}
    given = {name for name in load(path) if name.startswith(tuple(f"{role}_" for role in ROLES))}
    assert given - known == set()


def test_whose_the_bucket_is_is_known_before_anything_writes_to_it() -> None:
    """With the one component that can be missed, which is waited for alone; the last one waits for all.

    Only then nothing needs the bucket's credentials of before.
    """
    modules = ("bucket", "thanos_component", "remote_write_gateway")
    deployed = [
        (module, task.get("check_mode", False), task[f"scs.observability.{module}"] or {})
        for task in in_order("observer", "present.yml")
        for module in modules
        if f"scs.observability.{module}" in task
    ]
    order = [arguments.get("component", module) for module, _checked, arguments in deployed]
    assert order[:3] == ["remote_write_gateway", "bucket", "compact"]
    assert [module for module, checked, _arguments in deployed if checked] == ["remote_write_gateway"]
    assert [arguments["component"] for _module, _checked, arguments in deployed if "wait" in arguments] == ["compact"]
    assert order[-2:] == ["remote_write_gateway", "bucket"]
    assert deployed[-2][2] == {"wait_for_observer": True}
    assert "revoke_credentials" in deployed[-1][2]


@pytest.mark.parametrize(
    ("bucket", "keys"),
    [
        ({"name": "metrics"}, ("given", "swordfish")),
        ({"name": "metrics", "access_key": "made"}, ("made", "secret of made at c")),
        # In check mode, while Keystone has none
        ({"name": "metrics", "access_key": ""}, ("", "secret of  at c")),
    ],
)
@pytest.mark.parametrize("role", ["observer", "osism_thanos_sidecar"])
def test_the_bucket_is_used_with_the_keys_that_are_given_or_that_keystone_made(
    role: str, bucket: dict[str, str], keys: tuple[str, str]
) -> None:
    prefix, mark = f"{role}_bucket", "_" if role == "observer" else ""
    variables = {
        **defaults(role),
        **{
            f"{mark}{prefix}": bucket,
            f"{prefix}_access_key": "given",
            f"{prefix}_secret_key": "swordfish",
            f"{prefix}_cloud": "c",
        },
        "lookup": lambda _name, access_key, **login: f"secret of {access_key} at {login['cloud']}",
    }
    used = load(CHECKOUT / "roles" / role / "vars" / "main.yml")
    names = [f"{mark}{prefix}_used_{name}_key" for name in ("access", "secret")]
    assert tuple(jinja2.Template(used[name]).render(variables) for name in names) == keys


def test_the_observer_removes_what_it_deploys() -> None:
    module = "scs.observability.thanos_component"
    deployed = [task[module]["component"] for task in in_order("observer", "present.yml") if module in task]
    (removed,) = [task["loop"] for task in in_order("observer", "absent.yml") if module in task]
    choices = documented_options(module)["component"]["choices"]
    assert sorted(deployed) == sorted(removed) == choices


# One variable of a role, with which every component has to come out well
ASKED: list[dict[str, Any]] = [
    {},
    {"observer_storage_class": "fast"},
    {"observer_storage_class": "fast", "observer_store_storage_size": "1Gi"},
    {"observer_cache_password": "swordfish"},
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(asked) or "defaults")
def test_what_the_observer_hands_on_is_not_refused(asked: dict[str, Any]) -> None:
    """Also what only some components have a use for."""
    found = [call.arguments for call in rendered.calls("thanos.yml", **asked) if call.module == "thanos_component"]
    assert found
    for given in found:
        thanos.settings_of(thanos.component_of(dict(given)), dict(given))


def test_what_the_observer_makes_by_itself_is_no_name_for_an_operator() -> None:
    """Else it would be told as a variable that there is not, or one that an inventory sets would be of no effect."""
    folder = CHECKOUT / "roles" / "observer"
    made = set(load(folder / "vars" / "main.yml"))
    for path in task_files("observer"):
        made |= set(re.findall(r"(?:register|loop_var): (\w+)", path.read_text()))
        for task in tasks(load(path)):
            made |= set(task.get("vars", {})) | set(task.get("ansible.builtin.set_fact", {}))
    assert made
    assert {name for name in made if not name.startswith("_observer_")} == set()


@pytest.mark.parametrize("role", ROLES)
def test_switches_may_be_texts_in_conditions(role: str) -> None:
    """With `-e name=true` a switch is a text, which is no condition for Ansible, and "false" is a true one."""
    switches = [name for name, option in options(role).items() if option.get("type") == "bool"]
    for path in task_files(role):
        for task in tasks(load(path)):
            conditions = task.get("when", [])
            for condition in conditions if isinstance(conditions, list) else [conditions]:
                bare = [name for name in switches if re.search(rf"\b{name}\b(?! \| bool)", str(condition))]
                assert not bare, f"{path.name}: {task['name']}: {condition}"
