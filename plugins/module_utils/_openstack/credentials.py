# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a user's EC2 credentials a bucket is used with. Pure.

Keystone tells neither how old one is nor what it is for. So the bucket remembers the access keys that it was used with,
the one in use last, and which of them were made for it, in an object that Thanos passes over.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError


@dataclass(frozen=True)
class Credential:
    """An EC2 credential of the user for the project."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Record:
    """What a bucket remembers: the access keys that it was used with, the one in use last, and those made for it."""

    access_keys: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Chosen:
    """``history`` are the access keys that there still are, the one in use last."""

    history: tuple[str, ...]
    create: bool = False
    revoke: tuple[str, ...] = ()

    @property
    def current(self) -> str:
        return self.history[-1]

    @property
    def previous(self) -> tuple[str, ...]:
        return tuple(key for key in self.history[:-1] if key not in self.revoke)


def choose(
    usable: str,
    remembered: Sequence[str],
    known: Collection[str],
    *,
    named: str | None = None,
    rotate: bool = False,
    revoke: Collection[str] = (),
) -> Chosen:
    """Decide. ``usable`` is one that the store accepts, ``known`` are all that Keystone has.

    ``rotate`` asks for a new one, but not for a third: while there is a previous one, Thanos may not have taken the new
    one yet. Raises InputError when the one in use is to be revoked.
    """
    history = used(usable, remembered, known, named)
    current = history[-1]
    if current in revoke:
        raise InputError(
            f"{current} is the one that the bucket is used with",
            parameter="revoke_credentials",
            advice="First rotate_credentials, and let Thanos take the new one",
        )
    return Chosen(tuple(history), create=rotate and len(history) == 1, revoke=tuple(sorted(set(revoke) & set(known))))


def used(usable: str, remembered: Sequence[str], known: Collection[str], named: str | None = None) -> list[str]:
    """Return the access keys of a bucket that there still are, the one to use last."""
    history = [key for key in remembered if key in known]
    current = named or (history[-1] if history else usable)
    return [*(key for key in history if key != current), current]


def remembered(content: bytes | None) -> Record:
    """Return what a bucket's record says; nothing where there is no record, or nobody can read it."""
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        found = {}
    access_keys, made = (_texts(found.get(name)) if isinstance(found, dict) else () for name in ("access_keys", "made"))
    return Record(access_keys, frozenset(made) & frozenset(access_keys))


def _texts(found: object) -> tuple[str, ...]:
    return tuple(key for key in found if isinstance(key, str)) if isinstance(found, list) else ()


def record(what: Record) -> bytes:
    """Return the content of a bucket's record."""
    return json.dumps({"access_keys": list(what.access_keys), "made": sorted(what.made)}).encode()
