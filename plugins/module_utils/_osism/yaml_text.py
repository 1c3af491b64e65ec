# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML that people write, in which single values are changed.

Only the text of these values is another one afterwards: comments, order, quotes and tags such as !vault stay as they
are, byte for byte, because nothing else is written anew. Every change is read back and compared with what was wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader

COMMENT = "# Made by scs.observability.osism_configuration"


@dataclass(frozen=True)
class Tagged:
    """A value with a tag of its own, such as !vault, of which only the text is known."""

    tag: str
    text: str


class YamlError(InputError):
    """A file that is not what YAML allows, or not what is looked for in it."""

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message, parameter="path", advice=advice)


class YamlText:
    """A text with a dictionary at its top, or with nothing."""

    def __init__(self, name: str, text: str) -> None:
        """``name`` is what errors call it. YamlError: it cannot be read; the message says the line."""
        self.name = name
        self.text = text
        yaml = _library()
        if text.startswith("$ANSIBLE_VAULT"):
            raise YamlError(f"{name} is encrypted as a whole", advice="Encrypt only what is secret in it")
        loader = _loader()
        try:
            self._root = yaml.compose(text, Loader=loader)
            self.data: Any = yaml.load(text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}" if mark else ""
            # Not the line itself, which may hold a secret.
            raise YamlError(f"{name}{line}: it is no YAML: {error.problem}", advice="Repair it") from None
        except (yaml.YAMLError, ValueError) as error:
            raise YamlError(f"{name}: it is no YAML: {type(error).__name__}", advice="Repair it") from None
        if self.data is None:
            self.data = {}
        if not isinstance(self.data, dict):
            raise YamlError(f"{name}, line {self._root.start_mark.line + 1}: it is no dictionary of variables")
        seen: dict[str, int] = {}
        for key, _value in self._entries():
            line = key.start_mark.line + 1
            if key.value in seen:
                raise YamlError(
                    f"{name}, line {line}: {key.value} is there twice, first in line {seen[key.value]}",
                    advice="Keep one of them",
                )
            seen[key.value] = line

    def line(self, key: str) -> int:
        """Return where a variable is, counted from 1."""
        return int(self._entry(key)[0].start_mark.line) + 1

    def excerpt(self, key: str) -> str:
        """Return the lines of a variable, none when it is not there."""
        if key not in self.data:
            return ""
        start, end = self._lines(*self._entry(key))
        return self.text[start:end]

    def with_value(self, key: str, value: Any) -> YamlText:
        """Return it with a variable that has this value, at the end when it is a new one."""
        wanted = {**self.data, key: value}
        if key not in self.data:
            gap = "" if not self.text or self.text.endswith("\n") else "\n"
            return self._edited(len(self.text), len(self.text), f"{gap}{COMMENT}\n{rendered({key: value})}", wanted)
        entry = self._entry(key)
        if _is_scalar(entry[1]) and not isinstance(value, (Mapping, list)) and entry[1].style not in ("|", ">"):
            return self._replaced(entry[1], inline(value), wanted)
        start, end = self._lines(*entry)
        return self._edited(start, end, rendered({key: value}), wanted)

    def without(self, key: str) -> YamlText:
        """Return it without a variable, and without the comment that came with it."""
        start, end = self._lines(*self._entry(key))
        if self.text[:start].endswith(f"{COMMENT}\n"):
            start -= len(COMMENT) + 1
        return self._edited(start, end, "", {name: value for name, value in self.data.items() if name != key})

    def with_item(self, key: str, name: str, value: Any) -> YamlText:
        """Return it with an item of the dictionary that a variable is; the last one unless it is there."""
        there = self.data.get(key) or {}
        if not there and not self._is_flow(key):
            return self.with_value(key, {name: value})
        wanted = {**self.data, key: {**there, name: value}}
        container = self._entry(key)[1]
        found = [entry for entry in container.value if entry[0].value == name]
        if not found:
            return self._added(container, rendered({name: value}), f"{name}: {inline(value)}", wanted)
        if not _is_scalar(found[0][1]) or found[0][1].style in ("|", ">"):
            start, end = self._lines(*found[0])
            return self._edited(start, end, _indented(rendered({name: value}), container.start_mark.column), wanted)
        return self._replaced(found[0][1], inline(value), wanted)

    def without_item(self, key: str, name: str) -> YamlText:
        """Return it without an item, and without the variable when it was the only one."""
        rest = {item: value for item, value in self.data[key].items() if item != name}
        if not rest:
            return self.without(key)
        container = self._entry(key)[1]
        place = [entry[0].value for entry in container.value].index(name)
        return self._removed(container, [*container.value[place]], place, {**self.data, key: rest})

    def with_element(self, key: str, value: Mapping[str, Any], place: int | None = None) -> YamlText:
        """Return it with an element of the list that a variable is: a new last one, or another one at a place."""
        there = list(self.data.get(key) or [])
        if not there and not self._is_flow(key):
            return self.with_value(key, [dict(value)])
        if place is not None:
            there[place] = dict(value)
            container = self._entry(key)[1]
            node, wanted = container.value[place], {**self.data, key: there}
            if container.flow_style:
                return self._replaced(node, inline(value), wanted)
            return self._edited(
                *self._lines(node), _indented(rendered([dict(value)]), container.start_mark.column), wanted
            )
        wanted = {**self.data, key: [*there, dict(value)]}
        return self._added(self._entry(key)[1], rendered([dict(value)]), inline(value), wanted)

    def without_element(self, key: str, place: int) -> YamlText:
        """Return it without an element, and without the variable when it was the only one."""
        rest = [value for index, value in enumerate(self.data[key]) if index != place]
        if not rest:
            return self.without(key)
        container = self._entry(key)[1]
        return self._removed(container, [container.value[place]], place, {**self.data, key: rest})

    def with_words(self, key: str, words: list[str], edit: Callable[[str], str]) -> YamlText:
        """Return it with a text of which only the words count, in which ``edit`` changes the text as it is written.

        The words are the wanted ones. What is written over several lines stays so.
        """
        node = self._entry(key)[1]
        start, end = node.start_mark.index, self._end(node)
        text = self.text[:start] + edit(self.text[start:end]) + self.text[end:]
        changed = _read_back(self.name, text)
        if changed is None or str(changed.data.get(key)).split() != words:
            return self.with_value(key, " ".join(words))
        if {**changed.data, key: 0} != {**self.data, key: 0}:
            raise self._by_hand(key)
        return changed

    def is_block(self, key: str) -> bool:
        """Return whether a text is written as a block, with a line or more below its name."""
        return self._entry(key)[1].style in ("|", ">")

    def _is_flow(self, key: str) -> bool:
        """Return whether a list or a dictionary is written in brackets or braces."""
        return key in self.data and not _is_scalar(node := self._entry(key)[1]) and bool(node.flow_style)

    def _entries(self) -> list[tuple[Any, Any]]:
        return cast("list[tuple[Any, Any]]", self._root.value) if self._root is not None and self.data else []

    def _entry(self, key: str) -> tuple[Any, Any]:
        return next(entry for entry in self._entries() if entry[0].value == key)

    def _end(self, node: Any) -> int:
        """Return where the text of a node ends, without the comments and empty lines that PyYAML counts in."""
        start, end = node.start_mark.index, node.end_mark.index
        if not _is_scalar(node) and not node.flow_style:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        if _is_scalar(node) and node.style in ("|", ">"):
            return int(start + len(self.text[start:end].rstrip()))
        return int(end)

    def _lines(self, *nodes: Any) -> tuple[int, int]:
        """Return the range of whole lines that nodes are written in."""
        start = self.text.rfind("\n", 0, nodes[0].start_mark.index) + 1
        end = self.text.find("\n", self._end(nodes[-1]))
        return start, len(self.text) if end < 0 else end + 1

    def _added(self, container: Any, block: str, flow: str, wanted: Mapping[str, Any]) -> YamlText:
        end = self._end(container)
        if container.flow_style:
            return self._edited(end - 1, end - 1, f", {flow}" if container.value else flow, wanted)
        line_end = self.text.find("\n", end)
        place = len(self.text) if line_end < 0 else line_end + 1
        gap = "\n" if line_end < 0 else ""
        return self._edited(place, place, gap + _indented(block, container.start_mark.column), wanted)

    def _removed(self, container: Any, nodes: list[Any], place: int, wanted: Mapping[str, Any]) -> YamlText:
        if not container.flow_style:
            return self._edited(*self._lines(*nodes), "", wanted)
        start, end = nodes[0].start_mark.index, self._end(nodes[-1])
        comma = re.compile(r",\s*")
        if place:
            start = self.text.rfind(",", 0, start)
        elif after := comma.match(self.text, end):
            end = after.end()
        return self._edited(start, end, "", wanted)

    def _replaced(self, node: Any, text: str, wanted: Mapping[str, Any]) -> YamlText:
        start, end = node.start_mark.index, self._end(node)
        # A name without a value has nothing that could be replaced, not even a blank.
        gap = " " if start == end and not self.text[start - 1].isspace() else ""
        return self._edited(start, end, gap + text, wanted)

    def _edited(self, start: int, end: int, text: str, wanted: Mapping[str, Any]) -> YamlText:
        changed = _read_back(self.name, self.text[:start] + text + self.text[end:])
        if changed is None or changed.data != wanted:
            raise self._by_hand(", ".join(key for key in {**self.data, **wanted} if self._differs(key, wanted)))
        return changed

    def _differs(self, key: str, wanted: Mapping[str, Any]) -> bool:
        return key not in self.data or key not in wanted or self.data[key] != wanted[key]

    def _by_hand(self, keys: str) -> YamlError:
        return YamlError(
            f"{self.name}: {keys} is written in a way that cannot be changed without writing other parts anew",
            advice="Write it as a plain list or dictionary, without anchors and without sharing a line with others",
        )


def rendered(value: Any) -> str:
    """Return YAML in lines. What Ansible is going to template is quoted."""
    return str(
        _library().dump(
            value, Dumper=_dumper(), sort_keys=False, default_flow_style=False, allow_unicode=True, width=10**6
        )
    )


def inline(value: Any) -> str:
    """Return YAML in one line."""
    text = _library().dump(
        value, Dumper=_dumper(), sort_keys=False, default_flow_style=True, allow_unicode=True, width=10**6
    )
    return str(text).removesuffix("...\n").rstrip("\n")


def _indented(block: str, column: int) -> str:
    return "".join(f"{' ' * column}{line}" if line.strip() else line for line in block.splitlines(keepends=True))


def _read_back(name: str, text: str) -> YamlText | None:
    try:
        return YamlText(name, text)
    except YamlError:
        return None


def _is_scalar(node: Any) -> bool:
    return isinstance(node, _library().ScalarNode)


def _library() -> Any:
    try:
        import yaml  # noqa: PLC0415 - the error says what it is needed for
    except ImportError:
        raise LibraryError("PyYAML", "to read configuration") from None
    return yaml


def _loader() -> type[Any]:
    base: Any = safe_loader()

    class Loader(base):  # type: ignore[misc]
        """What has a tag of its own is kept as it is."""

    def tagged(loader: Any, suffix: str, node: Any) -> Any:
        text = loader.construct_scalar(node) if _is_scalar(node) else str(node.value)
        return Tagged(f"!{suffix}", text)

    Loader.add_multi_constructor("!", tagged)
    return Loader


def _dumper() -> type[Any]:
    base: Any = _library().SafeDumper

    class Dumper(base):  # type: ignore[misc]
        """Lists below their variable are moved in, texts that are templated are quoted."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
            return super().increase_indent(flow, False)

        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else '"' if "{{" in value or "{%" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def tagged(dumper: Any, value: Tagged) -> Any:
        return dumper.represent_scalar(value.tag, value.text, style="|" if "\n" in value.text else None)

    Dumper.add_representer(str, text)
    Dumper.add_representer(Tagged, tagged)
    return Dumper
