# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import runpy
from pathlib import Path

PROGRAM = runpy.run_path(str(Path(__file__).parents[3] / "dev" / "run_tests.py"))

OUTPUT = """\
PLAY [Make tea] ****
TASK [Boil water] ****
ok: [kitchen]
TASK [Pour it] ****
[ERROR]: Task failed: no pot
fatal: [kitchen]: FAILED! =>
    msg: no pot
TASK [Look for milk] ****
fatal: [kitchen]: FAILED! =>
    msg: no milk
...ignoring
RUNNING HANDLER [Ring the bell] ****
\x1b[31mfatal: [hall]: FAILED! =>\x1b[0m
TASK [Set the table] ****
failed: [hall] (item=cup) =>
ok: [hall] => (item=spoon)
PLAY RECAP ****
kitchen : ok=1 failed=1
"""


def test_tasks_that_failed_are_told_whole() -> None:
    pour, bell, table = PROGRAM["failed_tasks"](OUTPUT.splitlines(keepends=True))
    assert pour.splitlines()[0] == "TASK [Pour it] ****"
    assert pour.splitlines()[-1] == "    msg: no pot"
    assert "[hall]" in bell
    assert "item=cup" in table
    assert "PLAY RECAP" not in table
