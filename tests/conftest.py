# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make `ansible_collections.scs.observability` importable straight from the checkout, for the edit loop.

What tests read with `yaml.safe_load` is read in C, where PyYAML has that, which takes a tenth of the time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
IMPORT_ROOT = CHECKOUT / ".build" / "dev"


def link_package() -> None:
    """.build/dev/ansible_collections/scs/observability -> checkout; several test processes may do this at once."""
    link = IMPORT_ROOT / "ansible_collections" / "scs" / "observability"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.resolve() == CHECKOUT:
        return
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.symlink_to(CHECKOUT, target_is_directory=True)
    fresh.replace(link)


yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
link_package()
sys.path.insert(0, str(IMPORT_ROOT))
# Processes that tests start (a module as Ansible would run it) find the package the same way.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(IMPORT_ROOT), os.environ.get("PYTHONPATH")]))
