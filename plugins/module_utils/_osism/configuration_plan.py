# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change in an OSISM configuration repository. Nothing is read or written here.

A record in the repository says which values and files are ours, so that they can be changed, and taken back, without
touching others.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration import (
    CUSTOM,
    KEYS,
    KOLLA,
    RECORD,
    REQUIREMENTS,
    Claim,
    Settings,
    claims,
    files,
    is_secret,
)
from ansible_collections.scs.observability.plugins.module_utils._osism.yaml_text import (
    Tagged,
    YamlText,
    inline,
    rendered,
)

_RECORD_HEADER = """---
# What scs.observability.osism_configuration has made in this repository, so that it can change it, and take it back.
# Commit it with the rest.
"""


@dataclass(frozen=True)
class Record:
    """What is ours in a repository."""

    claims: tuple[Claim, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that are ours as a whole, with their checksums."""
    made: tuple[str, ...] = ()
    """Files of the operator that were not there before."""
    written: Mapping[str, str] = field(default_factory=dict)
    """Checksums of all files as they were written, by which they are told from what others changed since."""


@dataclass(frozen=True)
class Change:
    """A file that becomes another one; None where there is none. The excerpts are for people, without secrets."""

    path: str
    before: str | None
    after: str | None
    excerpt_before: str = ""
    excerpt_after: str = ""

    @property
    def summary(self) -> str:
        action = "create" if self.before is None else "remove" if self.after is None else "update"
        return f"{action} {self.path}"


@dataclass
class Plan:
    """All changes, and the record afterwards; warnings about what is left as it is."""

    changes: list[Change] = field(default_factory=list)
    record: Record = field(default_factory=Record)
    warnings: list[str] = field(default_factory=list)


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def plan_changes(settings: Settings, there: Mapping[str, str], record: Record, force: bool = False) -> Plan:
    """Return what has to change in a repository.

    ``there`` has the texts of files by path, without those that are not there. What contradicts the operator's values
    or files is an InputErrors with all of them, unless ``force``.
    """
    return _Planner(settings, there, record, force).plan()


@dataclass
class _Planner:
    settings: Settings
    there: Mapping[str, str]
    record: Record
    force: bool
    problems: Problems = field(default_factory=Problems)
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plan(self) -> Plan:
        kept, made = self._values()
        own = self._files()
        self.problems.refuse()
        record = Record()
        if self.settings.present:
            paths = {*(claim.file for claim in kept), *own, *made}
            written = {path: text for path, text in self.record.written.items() if path in paths}
            written.update({change.path: checksum(change.after) for change in self.changes if change.after is not None})
            record = Record(kept, own, made, written)
        text = _record_text(record)
        if text != self.there.get(RECORD) and (self.changes or record != self.record):
            self.changes.append(Change(RECORD, self.there.get(RECORD), text))
        return Plan(self.changes, record, self.warnings)

    def _values(self) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
        """Plan the values in files of the operator. Return those that are ours, and the files that we make."""
        paths = (KOLLA, CUSTOM, REQUIREMENTS)
        documents = {path: self.problems.of(YamlText, path, self.there.get(path, "")) for path in paths}
        self.problems.refuse()
        after, wanted = dict(documents), claims(self.settings)
        kept = [
            replace(claim, value=current(after[claim.file], claim)) if claim.key == KEYS else claim
            for claim in wanted
            if self._put(after, claim)
        ]
        places = {claim.place for claim in wanted}
        for claim in self.record.claims:
            if claim.place not in places:
                self._take(after, claim)
        made = {path for path, document in after.items() if self._write(documents[path], document)}
        return tuple(kept), tuple(sorted(made))

    def _put(self, documents: dict[str, YamlText], claim: Claim) -> bool:
        """Put a claim into its document, or find a problem. Return whether it is ours then."""
        ours = {claim.place: claim.value for claim in self.record.claims}
        found = current(documents[claim.file], claim)
        # Whatever else an operator says of the collection, such as its version, is his.
        if (
            found == claim.value
            or (claim.file == REQUIREMENTS and found is not MISSING)
            or self._same_key(claim, found)
        ):
            return claim.place in ours
        if found is not MISSING and not self.force and ours.get(claim.place, MISSING) != found:
            self.problems.found.append(_contradiction(documents[claim.file], claim, found))
            return False
        documents[claim.file] = put(documents[claim.file], claim)
        return True

    def _same_key(self, claim: Claim, found: Any) -> bool:
        """Return whether an encrypted key stays, as its certificate does: each encryption gives another text.

        With ``force`` it does not: nothing tells here by which password it was encrypted, which may be a wrong one.
        """
        if self.force or claim.key != KEYS or not (isinstance(found, Tagged) and isinstance(claim.value, Tagged)):
            return False
        paths = [path for path in self.settings.remote_write if path.host == claim.name]
        return all(self.there.get(path.certificate_file) == path.certificate.strip() + "\n" for path in paths)

    def _take(self, documents: dict[str, YamlText], claim: Claim) -> None:
        found = current(documents[claim.file], claim)
        if found == claim.value:
            documents[claim.file] = take(documents[claim.file], claim)
        elif found is not MISSING:
            self.warnings.append(f"{claim.file}: {claim.title} was changed since, and is left as it is")

    def _write(self, before: YamlText, after: YamlText) -> bool:
        """Plan a file of the operator. Return whether it is one that we make."""
        path, made = before.name, before.name in self.record.made
        text: str | None = after.text
        if path not in self.there:
            made, text = bool(text), f"---\n{text}" if text else None
        elif made and not after.text.strip("-\n"):
            made, text = False, None
        if text != self.there.get(path):
            keys = [key for key in {**before.data, **after.data} if before.data.get(key) != after.data.get(key)]
            self.changes.append(Change(path, self.there.get(path), text, _excerpt(before, keys), _excerpt(after, keys)))
        return made

    def _files(self) -> dict[str, str]:
        """Plan the files that are ours as a whole. Return them with their checksums."""
        wanted = files(self.settings)
        for path in sorted({*wanted, *self.record.files}):
            old, new = self.there.get(path), wanted.get(path)
            if old == new:
                continue
            if old is None or self.force or self.record.files.get(path) == checksum(old):
                self.changes.append(Change(path, old, new, old or "", new or ""))
            elif new is None:
                self.warnings.append(f"{path} was changed since, and is left as it is")
            else:
                self.problems.found.append(_other_file(path, old, new))
        return {path: checksum(text) for path, text in wanted.items()}


def checksum(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_record(text: str | None) -> Record:
    """Return what a record says. InputError: it is none."""
    if not text:
        return Record()
    data = YamlText(RECORD, text).data
    try:
        return Record(
            tuple(Claim(**claim) for claim in data["values"]),
            dict(data["files"]),
            tuple(data["made"]),
            dict(data["written"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{RECORD} is not as this module writes it: {type(error).__name__}",
            parameter="path",
            advice="Bring it back from the repository's history",
        ) from None


def _record_text(record: Record) -> str | None:
    """Return the text of a record, None when nothing is ours."""
    if record == Record():
        return None
    return _RECORD_HEADER + rendered(
        {
            "values": [dict(vars(claim)) for claim in record.claims],
            "files": dict(sorted(record.files.items())),
            "made": list(record.made),
            "written": dict(sorted(record.written.items())),
        }
    )


def current(document: YamlText, claim: Claim) -> Any:
    """Return what is in the place of a claim: MISSING, or the whole variable when it is no place for such a claim."""
    there = document.data.get(claim.key)
    if claim.kind == "value":
        return document.data.get(claim.key, MISSING)
    if there is None:
        return MISSING
    if claim.kind == "item":
        return there.get(claim.name, MISSING) if isinstance(there, dict) else there
    if claim.kind == "element" and isinstance(there, list):
        place = _place(there, claim)
        return MISSING if place is None else there[place]
    if claim.kind == "flag" and isinstance(there, str):
        found = _flag(claim.name).search(there)
        return found[1] if found else MISSING
    return there


def put(document: YamlText, claim: Claim) -> YamlText:
    """Return a document with the value of a claim. A variable that is no place for it becomes one."""
    there = document.data.get(claim.key)
    if claim.kind == "item" and isinstance(there, dict | None):
        return document.with_item(claim.key, claim.name, claim.value)
    if claim.kind == "element" and isinstance(there, list | None):
        return document.with_element(claim.key, claim.value, _place(there or [], claim))
    if claim.kind == "flag":
        return _put_flag(document, claim, there.strip() if isinstance(there, str) else "")
    return document.with_value(
        claim.key, {"value": claim.value, "item": {claim.name: claim.value}, "element": [claim.value]}[claim.kind]
    )


def take(document: YamlText, claim: Claim) -> YamlText:
    """Return a document without the value of a claim, which is there."""
    if claim.kind == "item":
        return document.without_item(claim.key, claim.name)
    if claim.kind == "element":
        return document.without_element(claim.key, _place(document.data[claim.key], claim) or 0)
    if claim.kind == "flag":
        pattern = re.compile(rf"(?:\n[ \t]*| )?{_flag(claim.name).pattern}")
        words = pattern.sub("", document.data[claim.key]).split()
        if words:
            return document.with_words(claim.key, words, lambda text: pattern.sub("", text))
    return document.without(claim.key)


def _put_flag(document: YamlText, claim: Claim, there: str) -> YamlText:
    flag = f"{claim.name}={claim.value}"
    if not there:
        return document.with_value(claim.key, flag)
    pattern = _flag(claim.name)
    edit: Callable[[str], str] = (
        (lambda text: pattern.sub(flag, text)) if pattern.search(there) else (lambda text: _with_word(text, flag))
    )
    return document.with_words(claim.key, edit(there).split(), edit)


def _flag(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\s'\"]){re.escape(name)}(?:=|\s+)([^\s'\"]+)")


def _with_word(text: str, word: str) -> str:
    """Return a text as YAML has it, quotes and lines included, with another word at its end."""
    if text[:1] in ("'", '"') and text[-1] == text[0]:
        return f"{text[:-1].rstrip()} {word}{text[-1]}"
    last = text.splitlines()[-1]
    indent = last[: len(last) - len(last.lstrip())] if text[:1] in ("|", ">") else ""
    return f"{text}\n{indent}{word}" if indent else f"{text} {word}"


def _place(elements: Sequence[Any], claim: Claim) -> int | None:
    """Return where the element is that has a claim's name, or is it."""
    identity = next(key for key, value in claim.value.items() if value == claim.name)
    names = [element.get(identity) if isinstance(element, dict) else element for element in elements]
    return names.index(claim.name) if claim.name in names else None


def _contradiction(document: YamlText, claim: Claim, found: Any) -> InputError:
    return InputError(
        f"{claim.file}, line {document.line(claim.key)}: {claim.title} is {_shown(claim, found)}, and would have to be "
        f"{_shown(claim, claim.value)}",
        parameter="path",
        advice="Change it there, or let this run do so with force: true",
    )


def _other_file(path: str, old: str, new: str) -> InputError:
    names = "as it is", "as it would have to be"
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), *names, lineterm="")
    return InputError(
        f"{path} is there, and is not as this module wrote it:\n" + "\n".join(lines) + "\n",
        parameter="path",
        advice="Move it away, or let this run write over it with force: true",
    )


def _shown(claim: Claim, value: Any) -> str:
    return inline(_without_secrets({claim.key: value})[claim.key])


def _without_secrets(value: Any) -> Any:
    """Return a value for people: references stay, and what is a secret by its name or its tag does not."""
    if isinstance(value, dict):
        return {
            key: "(hidden)"
            if not isinstance(content, dict | list) and is_secret(str(key), content) and "{{" not in str(content)
            else _without_secrets(content)
            for key, content in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return "(hidden)" if isinstance(value, Tagged) else value


def _excerpt(document: YamlText, keys: Sequence[str]) -> str:
    """Return the variables that are touched: as they are written, or anew when a secret has to be hidden."""
    touched = {key: document.data[key] for key in keys if key in document.data}
    shown = _without_secrets(touched)
    return "".join(document.excerpt(key) for key in keys) if shown == touched else rendered(shown)
