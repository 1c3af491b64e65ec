# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the repository, and what of it reaches users."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ansible_collections.scs.observability.plugins.module_utils._manifests import images
from lab import images as lab_images

CHECKOUT = Path(__file__).resolve().parents[3]
# In pieces, so that this file holds none of them.
REGISTRY_HOSTS = [
    ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("golang", "org"), ("npmjs", "org"))
]
# Names of modules, not addresses that anything is fetched from: golang.org/x/... in go.mod and go.sum.
MODULE_NAMES = ("*/go.mod", "*/go.sum")
DEVELOPERS_HOME = re.compile(r"(?<![\w.])/(?:home/\w|Users/\w)")


@cache
def tracked() -> tuple[str, ...]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    paths = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True, text=True).stdout.split("\0")
    return tuple(path for path in paths if path and (CHECKOUT / path).is_file())


@cache
def texts() -> dict[str, str]:
    return {path: (CHECKOUT / path).read_text(errors="replace") for path in tracked()}


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_no_package_registry_is_named(host: str) -> None:
    # Where packages come from is the configuration of the machine.
    searched = {
        path: text
        for path, text in texts().items()
        if host in text and not any(fnmatch.fnmatch(path, name) for name in MODULE_NAMES)
    }
    pattern = re.compile(rf"(?:[\w-]+\.)*{re.escape(host)}(?!/x/)\b")
    assert [path for path, text in searched.items() if pattern.search(text)] == []


def test_no_path_of_a_developers_machine() -> None:
    assert [path for path, text in texts().items() if DEVELOPERS_HOME.search(text)] == []


@pytest.mark.parametrize("lock", sorted((CHECKOUT / "requirements").glob("*.txt")), ids=lambda lock: lock.name)
def test_the_lock_holds_only_hashed_packages(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    assert [line for line in lines if not re.match(r"[a-z0-9][\w.-]*==|    --hash=sha256:|\s*#", line)] == []
    packages = "\n".join(lines).split("\n")
    pinned = [number for number, line in enumerate(packages) if "==" in line and not line.lstrip().startswith("#")]
    assert [packages[number] for number in pinned if "--hash=sha256:" not in packages[number + 1]] == []


def test_the_lock_is_complete() -> None:
    # dev/bootstrap installs it as it is, without looking for what packages need.
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout


def test_the_ansible_core_that_is_promised_is_the_one_that_is_tested() -> None:
    promised = SpecifierSet(yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())["requires_ansible"])
    locks = sorted((CHECKOUT / "requirements").glob("ansible-core-*.txt"))
    tested = [re.search(r"^ansible-core==(\S+)", lock.read_text(), flags=re.MULTILINE) for lock in locks]
    versions = sorted(Version(match[1]) for match in tested if match)
    assert len(versions) == len(locks) == 2
    oldest, newest = versions
    assert oldest.release[:2] < newest.release[:2]
    assert oldest in promised
    assert newest in promised
    # Not a release before the oldest tested one
    first = f"{oldest.major}.{oldest.minor}"
    assert f"{first}.0" in promised
    assert f"{oldest.major}.{oldest.minor - 1}.99" not in promised
    roles = [yaml.safe_load(path.read_text()) for path in CHECKOUT.glob("roles/*/meta/main.yml")]
    assert {role["galaxy_info"]["min_ansible_version"] for role in roles} == {first}
    assert f"| ansible-core | {first} or newer" in texts()["README.md"]


def test_the_artifact_is_the_collection_alone() -> None:
    ignored = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["build_ignore"]
    top_level = {path.partition("/")[0] for path in tracked()}
    shipped = {name for name in top_level if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)}
    assert shipped <= {
        ".gitattributes",
        "CHANGELOG.rst",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "changelogs",
        "docs",
        "galaxy.yml",
        "inventories",
        "meta",
        "playbooks",
        "plugins",
        "requirements.txt",
        "requirements.yml",
        "roles",
    }
    assert {"README.md", "meta", "playbooks", "plugins", "roles"} <= shipped


def test_the_lab_has_every_image_that_the_collection_deploys() -> None:
    """Except for Grafana's, which cannot be built from modules or packages alone; the play goes on without it."""
    deployed = {value for name, value in vars(images).items() if name.isupper() and "BUNDLE" not in name}
    deployed.remove(images.GRAFANA)
    assert deployed
    assert {image.reference for image in lab_images.CLUSTER_IMAGES} == deployed


@pytest.mark.parametrize("kind", ["plugins/modules/*.py", "roles/*", "playbooks/*.yml"])
def test_the_readme_names_everything(kind: str) -> None:
    readme = (CHECKOUT / "README.md").read_text()
    names = {path.stem for path in CHECKOUT.glob(kind) if path.stem not in ("__init__", "__pycache__")}
    assert names
    assert {name for name in names if f"`{name}`" not in readme} == set()


def anchors(page: str) -> set[str]:
    """What a link into a page can name: its headings as they are addressed, and its marked lines."""
    headings = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', page))


@pytest.mark.parametrize("page", sorted(path for path in tracked() if path.endswith(".md")))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)", texts()[page])
    assert [path for path, _anchor in links if not ((CHECKOUT / page).parent / path).exists()] == []
    named = [((CHECKOUT / page).parent / path if path else CHECKOUT / page, anchor) for path, anchor in links if anchor]
    assert [(path.name, anchor) for path, anchor in named if anchor not in anchors(path.read_text())] == []


def test_what_is_to_be_found_is_there() -> None:
    page = CHECKOUT / "docs" / "how-it-is-built.md"
    rows = re.findall(r"^\| .* \| \[`[^`]+`\]\(([^)]+)\) \| `(\w+)` \|$", page.read_text(), flags=re.MULTILINE)
    table = page.read_text().partition("## Where to find what")[2].partition("\n\n## ")[0]
    assert len(rows) == len(re.findall(r"^\| (?!you look for).* \|$", table, flags=re.MULTILINE))
    # Of Python what is defined at the top, of YAML any key
    defined = re.compile(r"^(?:(?:def |class )?(?=\w)| +(?=\w+:\s))(\w+)\b(?=[ (:=])", flags=re.MULTILINE)
    assert [(path, name) for path, name in rows if name not in defined.findall((page.parent / path).read_text())] == []


def test_make_targets_in_pages_exist() -> None:
    declared = set(re.findall(r"^([a-z][a-z-]*(?: [a-z-]+)*):", texts()["Makefile"], flags=re.M))
    targets = {target for group in declared for target in group.split()}
    pages = {path: text for path, text in texts().items() if path.endswith(".md")}
    named = {(path, target) for path, text in pages.items() for target in re.findall(r"`make ([a-z][a-z-]+)", text)}
    assert {(path, target) for path, target in named if target not in targets} == set()
