# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OCI runtime for a root without CAP_SYS_RESOURCE: `docker run --privileged` fails there with "unable to apply caps".

Takes that capability and negative OOM scores, which need it, out of what Docker asks for, then becomes runc.
The engine runs a copy of this file as a program of its own, several times per container: it imports next to nothing.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

CAPABILITY = "CAP_SYS_RESOURCE"
_DIRECTORIES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")


def permitted(document: dict[str, Any]) -> dict[str, Any]:
    """A container's config.json, or the process of an exec, without what this host cannot give."""
    process = document.get("process", document)
    for name, capabilities in (process.get("capabilities") or {}).items():
        process["capabilities"][name] = [entry for entry in capabilities or [] if entry != CAPABILITY]
    if (process.get("oomScoreAdj") or 0) < 0:
        process["oomScoreAdj"] = 0
    return document


def documents(arguments: list[str]) -> list[str]:
    """The files that a runc command line names: a bundle's configuration or an exec's process."""
    found = []
    for option, value in zip(arguments, arguments[1:], strict=False):
        if option in ("--bundle", "-b"):
            found.append(os.path.join(value, "config.json"))
        elif option in ("--process", "-p"):
            found.append(value)
    return found


def main() -> None:
    for path in documents(sys.argv[1:]):
        with open(path) as file:
            document = json.load(file)
        with open(path, "w") as file:
            json.dump(permitted(document), file)
    runc = next(path for path in (f"{directory}/runc" for directory in _DIRECTORIES) if os.access(path, os.X_OK))
    os.execv(runc, [runc, *sys.argv[1:]])


if __name__ == "__main__":
    main()
