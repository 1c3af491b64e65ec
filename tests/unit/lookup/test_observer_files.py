# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the operator's directory, and what is said of what cannot be read."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.scs.observability.plugins.lookup.observer_files import files, read

SHIPPED = Path(__file__).resolve().parents[3] / "roles" / "observer" / "files"
RULES = "groups:\n  - {name: own, rules: [{alert: A, expr: up, annotations: {summary: '{{ $labels.job }}'}}]}\n"


def write(directory: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_without_a_directory_it_is_what_comes_along() -> None:
    found = files("", str(SHIPPED), {})
    assert found["problems"] == []
    assert {item["metadata"]["name"] for item in found["rules"]} == {
        path.stem for path in (SHIPPED / "rules").glob("*.yml")
    }
    assert set(found["ruler_rules"]) == {path.name for path in (SHIPPED / "ruler_rules").glob("*.yml")}
    assert found["scrape_configs"] == []


def test_the_operators_files_and_variable_are_beside_it(tmp_path: Path) -> None:
    write(tmp_path, **{"rules__own.yml": RULES, ".git__config": "x", "dashboards__a.json": "{}"})
    found = files(str(tmp_path), str(SHIPPED), {"site.yml": RULES})
    assert found["problems"] == []
    assert "own" in {item["metadata"]["name"] for item in found["rules"]}
    assert found["ruler_rules"]["site.yml"] == RULES
    assert (found["dashboards"], found["alertmanager_templates"]) == ({"a.json": "{}"}, {})


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    found = files(str(tmp_path / "missing"), str(SHIPPED), {})
    assert found["problems"] == [f"observer_extra_directory: {tmp_path}/missing is not a directory"]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    write(tmp_path, **{"rules__good.yml": RULES})
    (tmp_path / "rules" / "latin.yml").write_bytes(b"\xe4")
    (tmp_path / "rules" / "gone.yml").symlink_to("nowhere")
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "latin.json").write_bytes(b"\xe4")
    found, wrong = read(tmp_path)
    assert list(found) == ["rules/good.yml"]
    assert wrong == [
        "observer_extra_directory/dashboards/latin.json: cannot be read: it is not text in UTF-8",
        "observer_extra_directory/rules/gone.yml: cannot be read: No such file or directory",
        "observer_extra_directory/rules/latin.yml: cannot be read: it is not text in UTF-8",
    ]
