# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we say of rules is what Thanos says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_rule_files
from tests.integration.processes import binary
from tests.unit.module_utils._manifests.test_thanos_rule import ALERT, RECORD, REFUSED, file_of

# Where we are stricter: names of files are keys of a ConfigMap, half of the data is no data, an empty file a mistake.
# A name twice is seen by the ruler, not by this check of Thanos.
OURS = {"path", "ending", "hidden", "partial response", "too much", "empty", "a tag", "a name twice"}


def loads(folder: Path, text: str) -> bool:
    path = folder / "rules.yml"
    path.write_text(text)
    command = [binary("thanos"), "tools", "rules-check", f"--rules={path}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("content", [file_of(), file_of(ALERT, RECORD, interval="30s", limit=10, query_offset="1m")])
def test_thanos_loads_what_is_taken(content: dict[str, Any], tmp_path: Path) -> None:
    assert loads(tmp_path, thanos_rule_files.texts({"a.yml": content})["a.yml"])


@pytest.mark.parametrize("content", [content for case, (_name, content) in REFUSED.items() if case not in OURS])
def test_thanos_does_not_load_what_is_refused(content: Any, tmp_path: Path) -> None:
    assert not loads(tmp_path, content if isinstance(content, str) else yaml.safe_dump(content))
