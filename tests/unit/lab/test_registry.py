# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import tomllib

import pytest

from lab.registry import Reference, hosts_files, mirrored_paths
from lab.state import LabError

THANOS = "quay.io/thanos/thanos:v0.42.4"
HAPROXY = "docker.io/library/haproxy:3.0.11"
KSM = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (THANOS, Reference("quay.io", "thanos/thanos", "v0.42.4")),
        (HAPROXY, Reference("docker.io", "library/haproxy", "3.0.11")),
        ("registry.k8s.io/pause:3.10.1", Reference("registry.k8s.io", "pause", "3.10.1")),
        ("registry.example.org:5000/a/b:1", Reference("registry.example.org:5000", "a/b", "1")),
    ],
)
def test_upstream_references(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["haproxy:3.0", "quay.io/thanos/thanos", "quay.io/thanos/thanos@sha256:00", "library/haproxy:3", ""]
)
def test_a_reference_without_host_or_tag_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="host/repository:tag"):
        Reference.parse(text)


def test_images_lie_under_their_upstream_path() -> None:
    assert mirrored_paths([THANOS, HAPROXY, THANOS]) == {
        "thanos/thanos:v0.42.4": THANOS,
        "library/haproxy:3.0.11": HAPROXY,
    }


def test_two_upstreams_never_share_a_path() -> None:
    with pytest.raises(LabError, match="same path"):
        mirrored_paths(["quay.io/a/b:1", "docker.io/a/b:1"])


def test_containerd_finds_the_mirror_for_every_upstream_host() -> None:
    files = hosts_files([THANOS, HAPROXY, KSM, "quay.io/prometheus/prometheus:v3.16.0"], "http://172.30.0.11:5000")
    assert sorted(files) == [
        "/etc/containerd/certs.d/docker.io/hosts.toml",
        "/etc/containerd/certs.d/quay.io/hosts.toml",
        "/etc/containerd/certs.d/registry.k8s.io/hosts.toml",
    ]
    for content in files.values():
        parsed = tomllib.loads(content)
        assert parsed["server"] == "http://172.30.0.11:5000", "no second attempt at an upstream that does not answer"
        assert parsed["host"] == {"http://172.30.0.11:5000": {"capabilities": ["pull", "resolve"]}}
