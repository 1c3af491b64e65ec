# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkout of an OSISM configuration repository: observe, plan, apply. The place that reads and writes its files."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    IncompatibleError,
    InputError,
    Problems,
)
from ansible_collections.scs.observability.plugins.module_utils._osism import configuration as wanted
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration_plan import (
    Change,
    Record,
    checksum,
    plan_changes,
    read_record,
)
from ansible_collections.scs.observability.plugins.module_utils._osism.yaml_text import YamlError, YamlText

_NO_REPOSITORY = "not a git repository"


def ensure(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Do what the module osism_configuration documents, and return its result."""
    settings = wanted.read(params)
    root = Path(os.path.expanduser(params["path"])).resolve()
    if not (root / wanted.KOLLA).is_file():
        raise InputError(
            f"{root} is no checkout of an OSISM configuration repository: it has no {wanted.KOLLA}",
            parameter="path",
            advice="Give the folder that has environments/ in it",
        )
    record = read_record(_read(root, wanted.RECORD))
    there = observe(root, settings, record)
    force = bool(params.get("force"))
    plan = plan_changes(settings, there, record, force)
    warnings = list(plan.warnings)
    if not force:
        warnings += _refuse_local_changes(root, plan.changes, record)
    if not check_mode:
        apply(root, plan.changes, last=wanted.RECORD if not settings.present else None)
    secrets = wanted.secrets(settings)
    return {
        "changed": bool(plan.changes),
        "changes": [change.summary for change in plan.changes],
        "diff": [
            {
                "before_header": change.path,
                "after_header": change.path,
                "before": change.excerpt_before,
                "after": change.excerpt_after,
            }
            for change in plan.changes
            if change.path != wanted.RECORD
        ],
        "commands": wanted.commands(settings, (root / wanted.VENDORED).is_dir(), bool(plan.changes)),
        "secrets": secrets,
        "files": sorted(plan.record.files),
        "warnings": warnings + _missing_secrets(root, secrets),
    }


def observe(root: Path, settings: wanted.Settings, record: Record) -> dict[str, str]:
    """Return the texts of all files that are looked at, by path."""
    paths = {wanted.KOLLA, wanted.CUSTOM, wanted.REQUIREMENTS, wanted.RECORD, *wanted.files(settings), *record.files}
    problems = Problems()
    texts = {path: problems.of(_read, root, path) for path in sorted(paths)}
    problems.refuse()
    return {path: text for path, text in texts.items() if text is not None}


def apply(root: Path, changes: Iterable[Change], last: str | None = None) -> None:
    """Write and remove files. The record is written first and removed ``last``, so that nothing is made without it."""
    first = [change for change in changes if change.path == wanted.RECORD]
    rest = [change for change in changes if change.path != wanted.RECORD]
    for change in [*rest, *first] if last else [*first, *rest]:
        path = root / change.path
        if change.after is None:
            path.unlink(missing_ok=True)
            _remove_empty_folders(root, path.parent)
        else:
            _write(path, change.after)


def _refuse_local_changes(root: Path, changes: Sequence[Change], record: Record) -> list[str]:
    """InputErrors: files that would be changed have changes that are in no commit. Else return warnings.

    What this module wrote itself in a run before may be uncommitted.
    """
    paths = [change.path for change in changes if change.path != wanted.RECORD and change.before is not None]
    if not paths:
        return []
    command = ["git", "-C", str(root), "status", "--porcelain=v1", "-z", "--untracked-files=all", "--", *paths]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError:
        return ["path: git is not installed, so nothing tells whether these files have local changes"]
    if done.returncode != 0:
        said = done.stderr.strip()
        if _NO_REPOSITORY in said:
            return ["path: it is no git repository, so nothing tells whether these files have local changes"]
        raise IncompatibleError(
            f"git does not tell whether {root} has local changes: {said}",
            parameter="path",
            advice="Repair that first, or let this run go on with force: true",
        )
    texts = {change.path: change.before for change in changes}
    # Paths are relative to the top of the work tree, which may be above.
    dirty = [entry[3:] for entry in done.stdout.split("\0") if len(entry) > 3]
    problems = Problems()
    problems.found += [
        InputError(
            f"{path} has local changes that are in no commit",
            parameter="path",
            advice="Commit or stash them first, or let this run go on with force: true",
        )
        for path in paths
        if any(name == path or name.endswith(f"/{path}") for name in dirty)
        and record.written.get(path) != checksum(str(texts[path]))
    ]
    problems.refuse()
    return []


def _missing_secrets(root: Path, secrets: Sequence[Mapping[str, str]]) -> list[str]:
    """Return warnings about variables that are not where they have to be. An encrypted file is not looked into."""
    if not secrets:
        return []
    text = _read(root, wanted.SECRETS)
    if text is not None and text.startswith(wanted.VAULTED):
        return []
    try:
        there = YamlText(wanted.SECRETS, text or "").data
    except YamlError as error:
        return [str(error)]
    return [
        f"{secret['file']}: {secret['variable']} is not there yet: {secret['purpose']}. Encrypt it with ansible-vault"
        for secret in secrets
        if secret["variable"] not in there
    ]


def _read(root: Path, name: str) -> str | None:
    path = root / name
    if not path.resolve().is_relative_to(root):
        raise InputError(f"{name} leads out of the repository, to {path.resolve()}", parameter="path")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise InputError(f"{path} cannot be read: {why}", parameter="path") from None


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all. It keeps its mode, and a link stays one."""
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
        descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            Path(fresh).chmod(mode)
            Path(fresh).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(fresh).unlink()
            raise
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", parameter="path") from error


def _remove_empty_folders(root: Path, folder: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
