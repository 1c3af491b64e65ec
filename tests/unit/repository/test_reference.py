# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages about roles, playbooks, modules and filters say what Ansible is told about them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
SOURCE = CHECKOUT / "dev" / "reference.py"

SPECIFICATION = """\
argument_specs:
  main:
    short_description: Makes tea
    description: [With V(hot) water., Never without O(tea_pot).]
    options:
      tea_pot:
        description: Where it is made, see E(HOME) | C(a|b). Comes from M(scs.observability.kettle).
        type: str
        required: true
      tea_sorts:
        description: [What is in the shop., "With O(tea_state=absent), what is thrown away."]
        type: list
        elements: dict
        default: []
        options:
          name:
            description: What it is called, as O(tea_sorts[].name) has it.
            required: true
      tea_state:
        description: Whether there is tea.
        choices: ["", present]
        default: ""
      tea_drinker:
        description: Who drinks it.
"""

MODULE = '''\
DOCUMENTATION = r"""
short_description: Heat water
description: Until it boils.
extends_documentation_fragment: [scs.observability.fire, scs.observability.fire.wood]
options:
  litres:
    description: How much, at least V(1). Answered in RV(heat.seconds).
    type: int
  lid:
    description: Whether there is one.
    type: bool
    required: true
notes: [Mind the steam of O(lid).]
seealso:
  - module: scs.observability.kettle
  - {name: Boiling, description: How it boils., link: "https://example.org/"}
"""
EXAMPLES = r"""
- name: Heat
  scs.observability.kettle:
    lid: true
"""
RETURN = r"""
heat:
  description: What it took.
  returned: when it was cold
  type: dict
  contains:
    seconds:
      description: How long.
      type: int
"""
'''

FRAGMENT = '''\
class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  gas:
    description: Whether gas is burnt.
    type: bool
    default: true
requirements: [a chimney]
"""
    WOOD = r"""
requirements: [an axe]
"""
'''

FILES = {
    "roles/tea/meta/argument_specs.yml": SPECIFICATION,
    "roles/tea/defaults/main.yml": 'tea_sorts: []\ntea_state: ""\ntea_drinker: "{{ inventory_hostname }}"\n',
    "roles/tea/tasks/main.yml": "- name: Heat\n  scs.observability.kettle:\n    lid: true\n",
    "roles/bare/meta/argument_specs.yml": "argument_specs: {main: {short_description: Takes nothing}}\n",
    "playbooks/breakfast.yml": "---\n# Every morning,\n# without `--limit`.\n- name: Have tea\n  hosts: kitchen\n"
    "  roles:\n    - role: scs.observability.tea\n      vars: {tea_state: present}\n    - scs.observability.bare\n",
    "playbooks/day.yml": "---\n- name: Begin\n  ansible.builtin.import_playbook: breakfast.yml\n"
    "- name: Go on\n  hosts: office\n  tasks:\n    - name: Work\n      ansible.builtin.debug:\n",
    "playbooks/night.yml": "---\n- name: Sleep well\n  hosts: bedroom\n  tasks:\n    - name: Go to bed whatever comes\n"
    "      block:\n        - name: Have tea\n          ansible.builtin.include_role: {name: scs.observability.tea}\n"
    "          vars: {tea_state: absent}\n    - name: Dream\n      ansible.builtin.debug:\n",
    "plugins/modules/kettle.py": MODULE,
    "plugins/modules/__init__.py": "",
    "plugins/doc_fragments/fire.py": FRAGMENT,
}


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, for a checkout of its own."""
    specification = importlib.util.spec_from_file_location("reference", SOURCE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    return module


def row(page: str, name: str) -> str:
    found = [line for line in page.splitlines() if line.startswith(f'| <a id="{name}">')]
    assert len(found) == 1, page
    return found[0]


class TestRole:
    @pytest.fixture
    def page(self, reference: ModuleType) -> str:
        text: str = reference.pages()["docs/roles/tea.md"]
        return text

    def test_markup_becomes_markdown(self, page: str) -> None:
        assert "With `hot` water.\n\nNever without [`tea_pot`](#tea_pot)." in page
        assert r"see `HOME` \| `a\|b`." in row(page, "tea_pot")
        assert "[`scs.observability.kettle`](../modules/kettle.md)" in row(page, "tea_pot")
        assert "[`tea_state=absent`](#tea_state)" in row(page, "tea_sorts")

    def test_what_must_be_given_is_said(self, page: str) -> None:
        assert "Must be given: [`tea_pot`](#tea_pot)." in page
        assert "| str<br>**required** |" in row(page, "tea_pot")

    def test_suboptions_come_after_their_option_and_are_indented(self, page: str) -> None:
        lines = page.splitlines()
        assert lines.index(row(page, "tea_sorts.name")) == lines.index(row(page, "tea_sorts")) + 1
        assert "&nbsp;`name`" in row(page, "tea_sorts.name")
        assert "[`tea_sorts[].name`](#tea_sorts.name)" in row(page, "tea_sorts.name")

    def test_types_choices_and_defaults(self, page: str) -> None:
        assert "| list of dict |" in row(page, "tea_sorts")
        assert "Default: `[]`" in row(page, "tea_sorts")
        assert 'One of `""`, `present`.<br>Default: `""`' in row(page, "tea_state")

    def test_a_default_that_only_the_defaults_have(self, page: str) -> None:
        assert "Default: `{{ inventory_hostname }}`" in row(page, "tea_drinker")

    def test_it_names_what_runs_it_and_what_it_runs(self, page: str) -> None:
        playbooks = ", ".join(f"[`{name}`](../playbooks/{name}.md)" for name in ("breakfast", "day", "night"))
        assert f"Run by {playbooks}." in page
        assert "Runs [`kettle`](../modules/kettle.md)." in page

    def test_a_role_may_have_nothing_to_say(self, reference: ModuleType) -> None:
        assert "## Variables\n\nNone.\n" in reference.pages()["docs/roles/bare.md"]


class TestPlaybook:
    def test_hosts_roles_and_what_they_are_given(self, reference: ModuleType) -> None:
        page = reference.pages()["docs/playbooks/breakfast.md"]
        assert "Every morning,\nwithout `--limit`.\n\nHosts: `kitchen`" in page
        assert "ansible-playbook -i my-site scs.observability.breakfast" in page
        tea, bare = "role [`tea`](../roles/tea.md) with `tea_state: present`", "role [`bare`](../roles/bare.md)"
        assert f"1. Have tea (hosts `kitchen`): {tea}, {bare}" in page
        assert "Those of [`tea`](../roles/tea.md), [`bare`](../roles/bare.md)." in page

    def test_imported_playbooks_in_order(self, reference: ModuleType) -> None:
        page = reference.pages()["docs/playbooks/day.md"]
        assert "1. Begin: playbook [`breakfast`](../playbooks/breakfast.md)\n2. Go on (hosts `office`)" in page
        assert "Hosts: `kitchen`, `office`" in page
        assert "Those of [`tea`](../roles/tea.md)" in page

    def test_roles_that_tasks_include(self, reference: ModuleType) -> None:
        page = reference.pages()["docs/playbooks/night.md"]
        tea = "role [`tea`](../roles/tea.md) with `tea_state: absent`"
        assert f"1. Sleep well (hosts `bedroom`): {tea}, task *Dream*" in page
        assert "Those of [`tea`](../roles/tea.md)." in page


class TestModule:
    @pytest.fixture
    def page(self, reference: ModuleType) -> str:
        text: str = reference.pages()["docs/modules/kettle.md"]
        return text

    def test_fragments_are_part_of_it(self, page: str) -> None:
        assert "Default: `true`" in row(page, "gas")
        assert "- Needs a chimney\n- Needs an axe" in page

    def test_what_is_required_comes_first_and_what_is_shared_last(self, page: str) -> None:
        assert page.index('id="lid"') < page.index('id="litres"') < page.index('id="gas"')

    def test_return_values_are_nested_and_linked(self, page: str) -> None:
        assert "[`heat.seconds`](#return.heat.seconds)" in row(page, "litres")
        assert "Returned: when it was cold" in row(page, "return.heat")
        assert "&nbsp;`seconds` | int |" in row(page, "return.heat.seconds")

    def test_examples_are_shown_as_they_are(self, page: str) -> None:
        assert "```yaml\n- name: Heat\n  scs.observability.kettle:\n    lid: true\n```" in page

    def test_notes_and_what_to_see_also(self, page: str) -> None:
        assert "## Notes\n\n- Mind the steam of [`lid`](#lid)." in page
        assert "- [`scs.observability.kettle`](../modules/kettle.md)\n- [Boiling](https://example.org/)" in page

    def test_a_fragment_of_another_collection_is_refused(self, reference: ModuleType) -> None:
        with pytest.raises(ValueError, match=r"fragment other\.collection\.x"):
            reference.shared_documentation("other.collection.x")


def test_markup_that_cannot_be_read_is_an_error(reference: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "roles" / "bare" / "meta" / "argument_specs.yml"
    path.write_text('argument_specs: {main: {short_description: "Uses M(kettle)"}}\n')
    with pytest.raises(ValueError, match="kettle"):
        reference.pages()


class TestCheck:
    def test_what_was_written_passes(self, reference: ModuleType) -> None:
        assert reference.main(["--check"]) == 1
        assert reference.main([]) == 0
        assert reference.main(["--check"]) == 0

    def test_it_names_what_is_stale_and_changes_nothing(
        self, reference: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reference.main([])
        page = tmp_path / "docs" / "roles" / "tea.md"
        page.write_text("old")
        assert reference.main(["--check"]) == 1
        assert capsys.readouterr().err == "not what `make reference` writes: docs/roles/tea.md\n"
        assert page.read_text() == "old"

    def test_the_page_of_what_is_gone_goes(self, reference: ModuleType, tmp_path: Path) -> None:
        reference.main([])
        (tmp_path / "playbooks" / "day.yml").unlink()
        assert reference.main(["--check"]) == 1
        assert reference.main([]) == 0
        assert not (tmp_path / "docs" / "playbooks" / "day.md").exists()


def test_the_pages_of_this_collection_are_current() -> None:
    check = subprocess.run([sys.executable, SOURCE, "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
