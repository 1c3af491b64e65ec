#!/usr/bin/env python3
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a Markdown page per role, playbook, module, filter and lookup into docs/, from what describes them to Ansible.

--check writes nothing and fails when a page is not what would be written. antsibull-docs writes reStructuredText for
Sphinx, knows no playbooks and needs an installed collection; its parser reads the markup (O(), V(), M()...) here.
"""

from __future__ import annotations

import ast
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from antsibull_docs_parser import dom
from antsibull_docs_parser.format import LinkProvider
from antsibull_docs_parser.md import MDFormatter, to_md
from antsibull_docs_parser.parser import Context, parse

CHECKOUT = Path(__file__).resolve().parent.parent
COLLECTION = "scs.observability"
# Folders of docs/ that hold nothing else, and what Ansible calls the kind
SECTIONS = ("pre_tasks", "tasks", "post_tasks")
KINDS = {"role": "roles", "playbook": "playbooks", "module": "modules", "filter": "filters", "lookup": "lookups"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=LOADER)


def code(text: str) -> str:
    """Inline code, also inside a table."""
    escaped = text.replace("|", "\\|")
    return f"`` {escaped} ``" if "`" in text else f"`{escaped}`"


class Markdown(MDFormatter):
    """Ansible markup as Markdown that reads well as text too."""

    def format_text(self, part: dom.TextPart) -> str:
        return re.sub(r"([|<*_`])", r"\\\1", part.text)

    def format_code(self, part: dom.CodePart) -> str:
        return code(part.text)

    def format_env_variable(self, part: dom.EnvVariablePart) -> str:
        return code(part.name)

    def format_option_value(self, part: dom.OptionValuePart) -> str:
        return code(part.value)

    def format_module(self, part: dom.ModulePart, url: str | None) -> str:
        return f"[{code(part.fqcn)}]({url})" if url else code(part.fqcn)

    def format_plugin(self, part: dom.PluginPart, url: str | None) -> str:
        return f"[{code(part.plugin.fqcn)}]({url})" if url else code(part.plugin.fqcn)

    @staticmethod
    def _format_option_like(part: dom.OptionNamePart | dom.ReturnValuePart, url: str | None) -> str:
        text = code(part.name if part.value is None else f"{part.name}={part.value}")
        return f"[{text}]({url})" if url else text


class Links(LinkProvider):
    """Links of a page to the others and to the lines of its own tables."""

    def plugin_link(self, plugin: dom.PluginIdentifier) -> str | None:
        collection, _ignored, name = plugin.fqcn.rpartition(".")
        return f"../{KINDS[plugin.type]}/{name}.md" if collection == COLLECTION and plugin.type in KINDS else None

    def plugin_option_like_link(
        self, plugin: dom.PluginIdentifier, _entrypoint: str | None, what: str, name: list[str], current_plugin: bool
    ) -> str | None:
        page = "" if current_plugin else self.plugin_link(plugin)
        return None if page is None else f"{page}#{anchor(what, '.'.join(name))}"


def anchor(what: str, path: str) -> str:
    return path if what == "option" else f"return.{path}"


class Page:
    """The page of a role, a playbook or a plugin, line by line."""

    def __init__(self, kind: str, name: str, source: str, title: str) -> None:
        self.kind, self.name, self.links = kind, name, Links()
        self.plugin = dom.PluginIdentifier(f"{COLLECTION}.{name}", kind)
        self.lines = [
            f"<!-- Written by `make reference` from {source}. Change it there. -->",
            f"# {title}",
        ]

    @property
    def path(self) -> str:
        return f"docs/{KINDS[self.kind]}/{self.name}.md"

    def add(self, *lines: str) -> None:
        self.lines += [line for line in lines if line]

    def text(self) -> str:
        return "\n\n".join(self.lines) + "\n"

    def markdown(self, paragraphs: str | list[str], separator: str = "\n\n") -> str:
        context = Context(self.plugin, "main" if self.kind == "role" else None)
        found = parse(paragraphs, context, errors="exception")
        return to_md(found, Markdown(), self.links, par_sep=separator, current_plugin=self.plugin)

    def link(self, kind: str, name: str) -> str:
        """A link to the page of something of this collection."""
        return f"[{code(name)}](../{KINDS[kind]}/{name}.md)"

    def source(self, path: str) -> str:
        """A link to a file of the collection."""
        return f"[{path}]({posixpath.relpath(path, posixpath.dirname(self.path))})"

    def options(self, what: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        rows = list(self._rows("option", options, defaults))
        self.add("\n".join([f"| {what} | type | description |", "|---|---|---|", *rows]) if rows else "None.")

    def return_values(self, values: Mapping[str, Any]) -> None:
        self.add("\n".join(["| key | type | description |", "|---|---|---|", *self._rows("retval", values, {})]))

    def _rows(
        self, what: str, options: Mapping[str, Any], defaults: Mapping[str, Any], parents: tuple[str, ...] = ()
    ) -> Iterator[str]:
        """A row for each option, those inside it after it and indented."""
        for name, option in options.items():
            path = (*parents, name)
            indent = "&nbsp;" * 4 * len(parents)
            label = f'<a id="{anchor(what, ".".join(path))}"></a>{indent}{code(name)}'
            kind = option.get("type", "str")
            if option.get("elements"):
                kind = f"{kind} of {option['elements']}"
            if option.get("required"):
                kind += "<br>**required**"
            description = [self.markdown(option.get("description", []), "<br>")]
            if option.get("choices"):
                description.append("One of " + ", ".join(code(plain(choice)) for choice in option["choices"]) + ".")
            default = option.get("default", defaults.get(name))
            if default is not None:
                description.append(f"Default: {code(plain(default))}")
            if option.get("returned") not in (None, "always", "success"):
                description.append(f"Returned: {self.markdown(str(option['returned']))}")
            text = "<br>".join(description).replace("\n", " ")
            yield f"| {label} | {kind} | {text} |"
            inside = option.get("options") or option.get("suboptions") or option.get("contains") or {}
            yield from self._rows(what, inside, {}, path)


def plain(value: Any) -> str:
    """A value as YAML has it, on one line."""
    if isinstance(value, str) and value and "{{" in value:
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize).removesuffix("...\n").strip()
    return text.replace("''", '""') if value == "" else text


def role_page(role: Path) -> Page:
    source = f"roles/{role.name}/meta/argument_specs.yml"
    page = Page("role", role.name, source, f"Role {COLLECTION}.{role.name}")
    specification = load(CHECKOUT / source)["argument_specs"]["main"]
    options = specification.get("options", {})
    defaults = role / "defaults" / "main.yml"
    tasks = "".join(path.read_text() for path in sorted((role / "tasks").glob("*.yml")))
    modules = sorted(set(re.findall(rf"^ *{re.escape(COLLECTION)}\.(\w+):", tasks, re.MULTILINE)))
    playbooks = [path.stem for path in playbook_files() if role.name in roles_of(path)]
    required = [name for name, option in options.items() if option.get("required") and "default" not in option]
    page.add(
        page.markdown(specification["short_description"]) + ".",
        page.markdown(specification.get("description", [])),
        "\n".join(
            line
            for line in (
                listed("- Must be given:", [f"[{code(name)}](#{name})" for name in required]),
                listed("- Run by", [page.link("playbook", name) for name in playbooks]),
                listed("- Runs", [page.link("module", name) for name in modules]),
                f"- Its tasks are in {page.source(f'roles/{role.name}/tasks')}.",
            )
            if line
        ),
        "## Variables",
    )
    page.options("variable", options, load(defaults) or {} if defaults.exists() else {})
    return page


def listed(intro: str, items: list[str]) -> str:
    return f"{intro} {', '.join(items)}." if items else ""


def playbook_files() -> list[Path]:
    return sorted((CHECKOUT / "playbooks").glob("*.yml"))


def entries(play: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The roles of a play, each as a mapping, and those that its tasks include."""
    for role in play.get("roles", []):
        yield {"role": role} if isinstance(role, str) else role
    for section in SECTIONS:
        yield from included(play.get(section, []))


def included(tasks: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The roles that tasks include, those in blocks too."""
    for task in tasks:
        if role := task.get("ansible.builtin.include_role"):
            yield {"role": role["name"], "vars": task.get("vars", {})}
        for inner in ("block", "rescue", "always"):
            yield from included(task.get(inner, []))


def imported(play: Mapping[str, Any]) -> str | None:
    """The playbook of this collection that an entry imports: its name."""
    name = play.get("ansible.builtin.import_playbook", play.get("import_playbook"))
    return None if name is None else str(name).removeprefix(f"{COLLECTION}.").removesuffix(".yml")


def plays(playbook: Path) -> Iterator[Mapping[str, Any]]:
    """All its plays, those of imported playbooks included."""
    for play in load(playbook):
        other = imported(play)
        if other is None:
            yield play
        else:
            yield from plays(playbook.with_name(f"{other}.yml"))


def roles_of(playbook: Path) -> dict[str, None]:
    found = (str(entry["role"]) for play in plays(playbook) for entry in entries(play))
    return dict.fromkeys(name.removeprefix(f"{COLLECTION}.") for name in found)


def playbook_page(playbook: Path) -> Page:
    name = playbook.stem
    source = f"playbooks/{playbook.name}"
    page = Page("playbook", name, source, f"Playbook {COLLECTION}.{name}")
    # The comment at its top, as far as it goes
    comment = re.match(r"---\n((?:#.*\n)*)", playbook.read_text())
    about = re.sub(r"^#(?: |$)", "", comment[1], flags=re.MULTILINE).strip() if comment else ""
    hosts = dict.fromkeys(str(play.get("hosts", "all")) for play in plays(playbook))
    page.add(
        about,
        f"Hosts: {', '.join(code(host) for host in hosts)}",
        f"```shell\nansible-playbook -i my-site {COLLECTION}.{name}\n```",
        f"`--check --diff` says what it would change. [inventories/example]"
        f"({posixpath.relpath('inventories/example', posixpath.dirname(page.path))}) is an inventory to start from.",
        "## What it does, in this order",
        "\n".join(f"{number}. {step}" for number, play in enumerate(load(playbook), 1) for step in steps(page, play)),
        "## Variables",
        listed("Those of", [page.link("role", role) for role in roles_of(playbook)]) or "None.",
    )
    return page


def steps(page: Page, play: Mapping[str, Any]) -> Iterator[str]:
    other = imported(play)
    name = str(play.get("name", "")).rstrip(".")
    if other is not None:
        yield f"{name}: playbook {page.link('playbook', other)}"
        return
    parts = [part(page, entry) for entry in entries({"roles": play.get("roles", [])})]
    for section in SECTIONS:
        for task in play.get(section, []):
            roles = [part(page, entry) for entry in included([task])]
            parts += roles or ([f"task *{task['name']}*"] if "name" in task else [])
    yield f"{name} (hosts {code(str(play.get('hosts', 'all')))}): {', '.join(parts)}"


def part(page: Page, entry: Mapping[str, Any]) -> str:
    """A role as a part of a step, with what it is given."""
    role = str(entry["role"]).removeprefix(f"{COLLECTION}.")
    given = [code(f"{key}: {plain(value)}") for key, value in entry.get("vars", {}).items()]
    return f"role {page.link('role', role)}" + (f" with {', '.join(given)}" if given else "")


def constants(path: Path) -> dict[str, str]:
    """Texts that a Python file gives to names, without running it."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.update({target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)})
    return found


def plugin_page(kind: str, plugin: Path) -> Page:
    texts = constants(plugin)
    documentation = yaml.load(texts["DOCUMENTATION"], Loader=LOADER)
    name = plugin.stem
    source = str(plugin.relative_to(CHECKOUT))
    page = Page(kind, name, source, f"{kind.capitalize()} {COLLECTION}.{name}")
    options, requirements = dict(documentation.get("options") or {}), list(documentation.get("requirements") or [])
    extended = documentation.get("extends_documentation_fragment") or []
    for fragment in [extended] if isinstance(extended, str) else extended:
        shared = shared_documentation(fragment)
        options = {
            **options,
            **{key: value for key, value in (shared.get("options") or {}).items() if key not in options},
        }
        requirements += shared.get("requirements") or []
    page.add(
        page.markdown(documentation["short_description"]) + ".",
        page.markdown(documentation.get("description", [])),
        "\n".join(f"- Needs {page.markdown(text)}" for text in dict.fromkeys(requirements)),
        "## Parameters",
    )
    page.options("parameter", dict(sorted(options.items(), key=lambda item: not item[1].get("required"))), {})
    if notes := documentation.get("notes"):
        page.add("## Notes", "\n".join(f"- {page.markdown(note)}" for note in notes))
    if texts.get("EXAMPLES"):
        page.add("## Examples", f"```yaml\n{texts['EXAMPLES'].strip()}\n```")
    if values := yaml.load(texts.get("RETURN", ""), Loader=LOADER):
        page.add("## Return values")
        page.return_values(values)
    if others := documentation.get("seealso"):
        page.add("## See also", "\n".join(f"- {seen(page, other)}" for other in others))
    return page


def seen(page: Page, other: Mapping[str, str]) -> str:
    """An entry of seealso: a module, a plugin or a link."""
    if "link" in other:
        return f"[{other['name']}]({other['link']})"
    markup = f"M({other['module']})" if "module" in other else f"P({other['plugin']}#{other['plugin_type']})"
    return page.markdown(markup)


def shared_documentation(fragment: str) -> dict[str, Any]:
    """A documentation fragment of this collection."""
    if not fragment.startswith(f"{COLLECTION}."):
        raise ValueError(f"documentation fragment {fragment}: only those of {COLLECTION} can be read")
    name, _ignored, part = fragment.removeprefix(f"{COLLECTION}.").partition(".")
    texts = constants(CHECKOUT / "plugins" / "doc_fragments" / f"{name}.py")
    found: dict[str, Any] = yaml.load(texts[(part or "documentation").upper()], Loader=LOADER)
    return found


def pages() -> dict[str, str]:
    """The text of every page by its path in the checkout."""
    made = [role_page(path.parent.parent) for path in sorted(CHECKOUT.glob("roles/*/meta/argument_specs.yml"))]
    made += [playbook_page(path) for path in playbook_files()]
    for kind in ("module", "filter", "lookup"):
        folder = "modules" if kind == "module" else kind
        plugins = sorted((CHECKOUT / "plugins" / folder).glob("*.py"))
        made += [plugin_page(kind, path) for path in plugins if path.stem != "__init__"]
    return {page.path: page.text() for page in made}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: reference.py [--check]", file=sys.stderr)
        return 2
    wanted = pages()
    present = {
        str(path.relative_to(CHECKOUT)): path.read_text()
        for folder in KINDS.values()
        for path in (CHECKOUT / "docs" / folder).glob("*.md")
    }
    stale = sorted(path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))
    if arguments:
        if stale:
            print(f"not what `make reference` writes: {', '.join(stale)}", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        page = CHECKOUT / path
        if path not in wanted:
            page.unlink()
            continue
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
