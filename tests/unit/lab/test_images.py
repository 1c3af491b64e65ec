# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import images
from lab.builds import MODULES, TOOLS
from lab.engine import Docker
from lab.images import ALL, BASE, DOCKERFILES, NODE_CONTENT, NODE_IMAGE, Image, debian_mirror
from lab.progress import Progress
from lab.registry import Reference
from lab.state import LabError
from plugins.module_utils._manifests import images as collection

EVERY = pytest.mark.parametrize("image", ALL, ids=lambda image: image.reference)


def dockerfile(image: Image) -> list[list[str]]:
    """Instructions of an image's Dockerfile, as words."""
    text = re.sub(r"\\\n", " ", (DOCKERFILES / image.folder / "Dockerfile").read_text())
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def copied(image: Image) -> set[str]:
    """What the Dockerfile takes from its context, with build arguments filled in."""
    sources: set[str] = set()
    for instruction, *words in dockerfile(image):
        if instruction == "COPY" and not any(word.startswith("--from=") for word in words):
            sources.update(_filled_in(word, image.arguments).rstrip("/") for word in words[:-1])
    return sources


def _filled_in(word: str, arguments: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], word)


def test_the_clusters_get_every_image_that_the_collection_deploys() -> None:
    deployed = {value for name, value in vars(collection).items() if name.isupper()}
    assert {image.reference for image in images.CLUSTER_IMAGES} | set(images.PULLED_ONLY) == deployed
    for reference in deployed:
        Reference.parse(reference)


def test_no_reference_is_made_twice() -> None:
    references = [image.reference for image in ALL]
    assert len(references) == len(set(references))


def test_every_folder_makes_an_image() -> None:
    assert {image.folder for image in ALL} == {path.parent.name for path in DOCKERFILES.glob("*/Dockerfile")}


@EVERY
def test_programs_come_from_a_build(image: Image) -> None:
    for tool, program in image.programs:
        assert program in TOOLS[tool].packages


@EVERY
def test_a_dockerfile_copies_what_its_context_has(image: Image) -> None:
    files = {path.name for path in (DOCKERFILES / image.folder).iterdir()}
    programs = {program for _tool, program in image.programs}
    context = files | programs | ({"images"} if image.contains else set())
    assert copied(image) <= context
    assert programs <= copied(image), "a program that the image is said to have is not in it"


@EVERY
def test_an_image_names_what_it_starts_from(image: Image) -> None:
    starts = {words[1] for words in dockerfile(image) if words[0] == "FROM"}
    assert starts - {"scratch"} == set(image.bases)


def test_an_image_is_built_after_what_it_contains() -> None:
    built = {BASE}
    for image in ALL:
        assert {*image.bases, *image.contains} <= built
        built.add(image.reference)


def instructions(folder: str) -> dict[str, str]:
    return {words[0]: " ".join(words[1:]) for words in dockerfile(Image("", folder))}


@pytest.mark.parametrize(
    ("folder", "contract"),
    [
        ("thanos", {"ENTRYPOINT": '["/bin/thanos"]', "USER": "1001"}),
        (
            "prometheus",
            {
                "ENTRYPOINT": '["/bin/prometheus"]',
                "USER": "65534",
                "WORKDIR": "/prometheus",
                "VOLUME": '["/prometheus"]',
                "CMD": '["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]',
            },
        ),
        (
            "kube-state-metrics",
            {"ENTRYPOINT": '["/kube-state-metrics", "--port=8080", "--telemetry-port=8081"]', "USER": "65534"},
        ),
        (
            "prometheus-operator",
            {"ENTRYPOINT": '["/bin/operator"]', "USER": "65534"},
        ),
        (
            "prometheus-config-reloader",
            {"ENTRYPOINT": '["/bin/prometheus-config-reloader"]', "USER": "nobody"},
        ),
        (
            "alertmanager",
            {
                "ENTRYPOINT": '["/bin/alertmanager"]',
                "USER": "nobody",
                "WORKDIR": "/alertmanager",
                "VOLUME": '["/alertmanager"]',
                "CMD": '["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]',
            },
        ),
        (
            "blackbox-exporter",
            {
                "ENTRYPOINT": '["/bin/blackbox_exporter"]',
                "EXPOSE": "9115",
                "CMD": '["--config.file=/etc/blackbox_exporter/config.yml"]',
            },
        ),
        ("oauth2-proxy", {"ENTRYPOINT": '["/bin/oauth2-proxy"]', "USER": "65532:65532"}),
        ("node-exporter", {"ENTRYPOINT": '["/bin/node_exporter"]', "USER": "65534", "EXPOSE": "9100"}),
        (
            "haproxy",
            {
                "ENTRYPOINT": '["docker-entrypoint.sh"]',
                "CMD": '["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]',
                "USER": "haproxy",
                "STOPSIGNAL": "SIGUSR1",
            },
        ),
    ],
)
def test_upstreams_contract_is_kept(folder: str, contract: Mapping[str, str]) -> None:
    assert contract.items() <= instructions(folder).items()


def node_file(name: str) -> str:
    return (DOCKERFILES / "node" / name).read_text()


def kubernetes_version() -> str:
    match = re.search(r"^require k8s\.io/kubernetes (\S+)$", (MODULES / "kubernetes" / "go.mod").read_text(), re.M)
    assert match
    return match[1]


def test_the_node_has_one_kubernetes_version() -> None:
    version = kubernetes_version()
    assert node_file("version").strip() == version
    assert NODE_IMAGE.reference.endswith(f":{version}")
    control_plane = {image.reference for image in NODE_CONTENT if image.reference.startswith("registry.k8s.io/kube-")}
    assert {reference.rpartition(":")[2] for reference in control_plane} == {version}
    assert len(control_plane) == 4


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def test_the_node_holds_every_image_that_its_own_pods_use() -> None:
    held = {image.reference for image in NODE_CONTENT}
    pause = tomllib.loads(node_file("containerd.toml"))["plugins"]["io.containerd.cri.v1.images"]["pinned_images"]
    assert set(pause.values()) <= held
    used = {
        match
        for document in yaml.safe_load_all(node_file("default-storage.yaml"))
        for text in strings(document)
        for match in re.findall(r"docker\.io/[a-z/-]+:[\w.]+", text)
    }
    assert len(used) == 2
    assert used <= held
    assert set(NODE_IMAGE.contains) == held


def test_the_node_takes_mirrors_by_dropping_files() -> None:
    configuration = tomllib.loads(node_file("containerd.toml"))
    assert (
        configuration["plugins"]["io.containerd.cri.v1.images"]["registry"]["config_path"] == "/etc/containerd/certs.d"
    )


def test_a_runtime_that_kubernetes_cannot_use_is_started_again() -> None:
    # it happens when the machine is out of inotify instances: containerd would run on without its CRI plugin
    assert tomllib.loads(node_file("containerd.toml"))["required_plugins"] == ["io.containerd.grpc.v1.cri"]
    service = node_file("containerd.service")
    assert "Restart=always" in service
    assert "StartLimitIntervalSec=0" in service


def test_the_import_of_images_holds_up_the_kubelet_and_not_the_boot() -> None:
    # KinD waits 30 seconds for the default target, and the import takes longer when three nodes share two busy cores
    assert "DefaultDependencies=no" in node_file("lab-images.service").splitlines()
    (after,) = [line for line in node_file("kubelet.service").splitlines() if line.startswith("After=")]
    assert "lab-images.service" in after


def test_only_our_node_image_asks_something_of_kind() -> None:
    assert images.Images("node", "s3", "", (), mirrored=False).kind_config() == {}
    config = images.Images("node", "s3", "registry", (), mirrored=True).kind_config()
    assert config["networking"] == {"disableDefaultCNI": True}
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, config["kubeadmConfigPatches"])}
    assert patches["KubeletConfiguration"]["failCgroupV1"] is False


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        (["deb http://mirror.example.org/debian bookworm main\n"], "http://mirror.example.org/debian"),
        (
            ["deb [arch=amd64 signed-by=/k] https://mirror.example.org/debian/ trixie main"],
            "https://mirror.example.org/debian/",
        ),
        (
            ["Types: deb\nURIs: http://mirror.example.org/debian\nSuites: bookworm\n"],
            "http://mirror.example.org/debian",
        ),
        (
            [
                "# deb http://old.example.org/debian x main\ndeb http://mirror.example.org/debian-security x main\n",
                "URIs: http://a.example.org/debian",
            ],
            "http://a.example.org/debian",
        ),
    ],
)
def test_the_mirror_is_the_hosts_own(sources: list[str], mirror: str) -> None:
    assert debian_mirror(sources) == mirror


@pytest.mark.parametrize("sources", [[], ["deb http://archive.example.org/ubuntu noble main\n", "# nothing\n"]])
def test_a_host_without_a_debian_archive_is_told_what_to_do(sources: list[str]) -> None:
    with pytest.raises(LabError, match="LAB_IMAGES=pull"):
        debian_mirror(sources)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image's folder and its program's cached build, for the key."""
    folder = tmp_path / "dockerfiles"
    (folder / "thing").mkdir(parents=True)
    (folder / "thing" / "Dockerfile").write_text("FROM scratch\n")
    (folder / "thing" / "a").write_text("content\n")
    monkeypatch.setattr(images, "DOCKERFILES", folder)
    build(tmp_path, "thing-1")
    return tmp_path


def build(directory: Path, key: str) -> None:
    """The program as lab.builds leaves it: a link into a folder that is named after its key."""
    place = directory / "bin" / key
    place.mkdir(parents=True, exist_ok=True)
    (place / "thing").touch()
    link = directory / "bin" / "current" / "thing"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(place / "thing")


THING = Image("example.org/thing:1", "thing", (("thing", "thing"),), (BASE,))


def key(recipe: Path, image: Image = THING, base: str = "base-1") -> str:
    return images._key(image, recipe / "bin" / "current", {BASE: base})


def test_the_key_stays_when_nothing_changes(recipe: Path) -> None:
    assert key(recipe) == key(recipe)


def test_a_changed_file_changes_the_key(recipe: Path) -> None:
    before = key(recipe)
    (recipe / "dockerfiles" / "thing" / "a").write_text("other\n")
    assert key(recipe) != before


def test_a_moved_file_changes_the_key(recipe: Path) -> None:
    before = key(recipe)
    folder = recipe / "dockerfiles" / "thing"
    (folder / "a").rename(folder / "b")
    assert key(recipe) != before


def test_another_build_of_the_program_changes_the_key(recipe: Path) -> None:
    before = key(recipe)
    build(recipe, "thing-2")
    assert key(recipe) != before


def test_another_base_or_argument_changes_the_key(recipe: Path) -> None:
    other = Image(THING.reference, THING.folder, THING.programs, THING.bases, arguments={"PROGRAM": "x"})
    assert len({key(recipe), key(recipe, base="base-2"), key(recipe, other)}) == 3


def engine(tmp_path: Path, present: str, *, registry: bool) -> Docker:
    program = tmp_path / "docker"
    program.write_text(f"""#!/bin/sh
echo "$*" >>{tmp_path}/calls
case "$1 $2" in
  "image inspect") case " {present} " in *" $5 "*) echo '=[]';; *) exit 1;; esac ;;
  pull*) {"exit 0" if registry else "echo 'no such host' >&2; exit 1"} ;;
esac
""")
    program.chmod(0o755)
    return Docker((str(program),), {"PATH": "/usr/bin:/bin"})


def pulls(tmp_path: Path) -> list[str]:
    return [line.split()[-1] for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("pull")]


def chosen(docker: Docker, tmp_path: Path, stream: io.StringIO | None = None) -> bool:
    return images.are_pulled(docker, Progress(tmp_path, stream or io.StringIO()))


@pytest.mark.parametrize(
    ("present", "registry", "pulled"),
    [
        ("", True, True),
        ("", False, False),
        (images.NODE, True, False),
        (images.NODE, False, False),
        (images.NODE_UPSTREAM, False, True),
    ],
    ids=["it answers", "it does not", "built before", "built before, and none", "pulled before, and none now"],
)
def test_what_was_done_here_before_goes_on_otherwise_a_registry_decides(
    tmp_path: Path, present: str, registry: bool, pulled: bool
) -> None:
    assert chosen(engine(tmp_path, present, registry=registry), tmp_path) is pulled
    asked = pulls(tmp_path)
    assert len(asked) == (0 if present else 1)


def test_what_is_going_to_take_long_is_said(tmp_path: Path) -> None:
    stream = io.StringIO()
    chosen(engine(tmp_path, "", registry=False), tmp_path, stream)
    assert "No container registry answers" in stream.getvalue()


def test_the_choice_can_be_made_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = engine(tmp_path, images.NODE, registry=True)
    monkeypatch.setenv("LAB_IMAGES", "pull")
    assert chosen(docker, tmp_path)
    monkeypatch.setenv("LAB_IMAGES", "build")
    assert not chosen(docker, tmp_path)
    monkeypatch.setenv("LAB_IMAGES", "guess")
    with pytest.raises(LabError, match="LAB_IMAGES: 'guess' is neither pull nor build"):
        chosen(docker, tmp_path)


def test_only_what_is_missing_on_this_machine_is_pulled(tmp_path: Path) -> None:
    docker = engine(tmp_path, images.S3_UPSTREAM, registry=True)
    found = images.ensure(docker, Progress(tmp_path, io.StringIO()), tmp_path / "cache", pull=True)
    assert not found.mirrored
    assert found.node == images.NODE_UPSTREAM
    assert pulls(tmp_path) == [images.NODE_UPSTREAM]
    assert not (tmp_path / "cache").exists()


def test_what_is_built_is_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[object, Path]] = []
    monkeypatch.setattr(images.builds, "ensure", lambda progress, cache: cache / "bin")
    monkeypatch.setattr(images, "build", lambda docker, progress, wanted, binaries: built.append((wanted, binaries)))
    docker = engine(tmp_path, "", registry=False)
    found = images.ensure(docker, Progress(tmp_path, io.StringIO()), tmp_path / "cache", pull=False)
    assert built == [(images.ALL, tmp_path / "cache" / "bin")]
    assert (found.mirrored, found.node) == (True, images.NODE)
