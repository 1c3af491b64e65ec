# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Python compiles out of archives is kept: half of the time that a module of a play takes here.

Ansible sends a module with all that it imports as one archive, for which Python keeps no bytecode; a play of the whole
observer compiles the same files thirty times. On PYTHONPATH this is read by each Python that starts. Files are in
BYTECODE_CACHE, by what was compiled and by which Python, so none is ever out of date.
"""

from __future__ import annotations

import marshal
import os
import sys
import zipimport
from importlib.util import MAGIC_NUMBER, source_hash
from types import CodeType

_FOLDER = os.environ.get("BYTECODE_CACHE", "")
_compile = getattr(zipimport, "_compile_source", None)


def _compiled(path: str, source: bytes) -> CodeType:
    inside = path.partition(".zip")[2].encode()
    name = f"{source_hash(source).hex()}{source_hash(inside).hex()}{len(source):x}-{MAGIC_NUMBER[:2].hex()}"
    kept = os.path.join(_FOLDER, name)
    try:
        with open(kept, "rb") as file:
            found: CodeType = marshal.load(file)
            return found
    except (OSError, ValueError, EOFError, TypeError):
        pass
    code: CodeType = _compile(path, source)
    partial = f"{kept}.{os.getpid()}"
    try:
        with open(partial, "wb") as file:
            marshal.dump(code, file)
        os.replace(partial, kept)
    except OSError:
        pass
    return code


if _FOLDER and _compile is not None and sys.version_info >= (3, 11):
    zipimport._compile_source = _compiled
