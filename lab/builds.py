# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the lab, built from pinned Go modules and cached by what they are built from."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.progress import Progress
from lab.state import LabError

MODULES = Path(__file__).parent / "go"
_VERSION = "github.com/prometheus/common/version.Version"


@dataclass(frozen=True)
class Tool:
    """One module of lab/go and what is built from it: packages maps a program's name to its package."""

    module: str
    packages: Mapping[str, str]
    tags: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)  # set at link time, as upstream does

    def arguments(self) -> list[str]:
        values = "".join(f" -X {name}={value}" for name, value in self.variables.items())
        tags = ["-tags", ",".join(self.tags)] if self.tags else []
        return ["-trimpath", "-mod=readonly", *tags, "-ldflags", f"-s -w{values}"]


_KUBERNETES = (
    "kubeadm",
    "kubelet",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)

TOOLS = {
    tool.module: tool
    for tool in (
        Tool("kind", {"kind": "sigs.k8s.io/kind"}),
        Tool(
            "kubernetes",
            {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES},
            variables={
                "k8s.io/component-base/version.gitVersion": "v1.36.3",
                "k8s.io/component-base/version.gitMajor": "1",
                "k8s.io/component-base/version.gitMinor": "36",
            },
        ),
        Tool("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
        Tool("coredns", {"coredns": "github.com/coredns/coredns"}),
        Tool(
            "containerd",
            {
                name: f"github.com/containerd/containerd/v2/cmd/{name}"
                for name in ("containerd", "containerd-shim-runc-v2", "ctr")
            },
        ),
        Tool("local_path_provisioner", {"local-path-provisioner": "github.com/rancher/local-path-provisioner"}),
        # Without slicelabels it builds and crashes at run time
        Tool(
            "thanos",
            {"thanos": "github.com/thanos-io/thanos/cmd/thanos"},
            tags=("netgo", "slicelabels"),
            variables={_VERSION: "0.42.4"},
        ),
        # Only Kubernetes' service discovery: another one needs a module that is not always served
        Tool(
            "prometheus",
            {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
            tags=("remove_all_sd", "enable_kubernetes_sd"),
            variables={_VERSION: "3.16.0"},
        ),
        Tool(
            "kube_state_metrics",
            {"kube-state-metrics": "k8s.io/kube-state-metrics/v2"},
            variables={_VERSION: "v2.15.0"},
        ),
        Tool(
            "prometheus_operator",
            {
                "prometheus-operator": "github.com/prometheus-operator/prometheus-operator/cmd/operator",
                "prometheus-config-reloader": (
                    "github.com/prometheus-operator/prometheus-operator/cmd/prometheus-config-reloader"
                ),
            },
            variables={_VERSION: "0.85.0"},
        ),
        Tool(
            "alertmanager",
            {name: f"github.com/prometheus/alertmanager/cmd/{name}" for name in ("alertmanager", "amtool")},
            tags=("netgo",),
            variables={_VERSION: "0.28.1"},
        ),
        Tool(
            "blackbox_exporter",
            {"blackbox_exporter": "github.com/prometheus/blackbox_exporter"},
            tags=("netgo",),
            variables={_VERSION: "0.26.0"},
        ),
        Tool(
            "oauth2_proxy",
            {"oauth2-proxy": "github.com/oauth2-proxy/oauth2-proxy/v7"},
            variables={"github.com/oauth2-proxy/oauth2-proxy/v7/pkg/version.VERSION": "v7.15.6"},
        ),
        Tool("node_exporter", {"node_exporter": "github.com/prometheus/node_exporter"}, variables={_VERSION: "1.12.1"}),
        Tool(
            "versitygw",
            {"versitygw": "github.com/versity/versitygw/cmd/versitygw"},
            variables={"main.Version": "v1.8.0"},
        ),
        Tool("pause", {"pause": "."}),
        Tool("registry", {"registry": "github.com/distribution/distribution/v3/cmd/registry"}),
    )
}

# What a host needs beside the images: the clusters' tools, and processes for the integration tests
HOST_TOOLS = (
    *("kind", "kubernetes", "etcd", "thanos", "prometheus", "versitygw"),
    *("alertmanager", "blackbox_exporter", "oauth2_proxy"),
)


def key(tool: Tool, module: bytes, sums: bytes, go: str) -> str:
    """What a build depends on, as a file name."""
    digest = hashlib.sha256()
    for part in (
        module,
        sums,
        go.encode(),
        " ".join(tool.arguments()).encode(),
        repr(sorted(tool.packages.items())).encode(),
    ):
        digest.update(hashlib.sha256(part).digest())
    return f"{tool.module}-{digest.hexdigest()[:16]}"


# What every build has in its environment
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}


@dataclass(frozen=True)
class Go:
    """A compiler: ``command`` gives what to call for a module's folder and the folder that programs go to."""

    version: str
    command: Callable[[Path, Path], list[str]]

    @classmethod
    def of_host(cls) -> Go | None:
        """The one in PATH, None without."""
        if not shutil.which("go"):
            return None
        result = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
        return cls(result.stdout.strip(), lambda _folder, _output: ["go"])


def ensure(progress: Progress, cache: Path, tools: Iterable[str] | None = None, go: Go | None = None) -> Path:
    """Every program of the named tools (default: all) exists; gives the one directory that holds them all."""
    names = list(TOOLS if tools is None else tools)
    go = go or Go.of_host()
    if go is None:
        raise LabError(
            "no container registry answers, so the lab builds its programs itself: that needs Go 1.26 or newer in PATH"
        )
    places = {name: cache / "bin" / _key_of(TOOLS[name], go.version) for name in names}
    missing = [name for name in names if not places[name].is_dir()]
    progress.expect(len(missing))
    for name in missing:
        _build(progress, TOOLS[name], places[name], go)
    current = cache / "bin" / "current"
    current.mkdir(parents=True, exist_ok=True)
    for name in names:
        for program in TOOLS[name].packages:
            link(current / program, places[name] / program)
    return current


def _key_of(tool: Tool, go: str) -> str:
    folder = MODULES / tool.module
    sources = b"".join(path.read_bytes() for path in sorted(folder.glob("*.go")))
    return key(tool, (folder / "go.mod").read_bytes() + sources, (folder / "go.sum").read_bytes(), go)


def _build(progress: Progress, tool: Tool, place: Path, go: Go) -> None:
    """Into a folder beside the place, then renamed: an interruption leaves nothing half."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with (
        progress.step(f"building {tool.module} from source") as log,
        tempfile.TemporaryDirectory(dir=place.parent, prefix=".building-") as directory,
        log.open("w") as file,
    ):
        fresh = Path(directory) / "bin"
        fresh.mkdir()
        for program, package in tool.packages.items():
            result = subprocess.run(
                [
                    *go.command(MODULES / tool.module, fresh),
                    *("build", *tool.arguments(), "-o", str(fresh / program), package),
                ],
                cwd=MODULES / tool.module,
                env={**os.environ, **ENVIRONMENT},
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
            if result.returncode != 0:
                raise LabError(f"building {program} failed; see {log}")
        fresh.rename(place)


def link(place: Path, target: Path) -> None:
    """Have a symbolic link there, replaced at once when it leads elsewhere."""
    if place.is_symlink() and place.readlink() == target:
        return
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)
