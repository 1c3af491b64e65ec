# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests.prometheus_operator import checksum_of
from ansible_collections.scs.observability.plugins.module_utils._observer import operator_bundle


@pytest.mark.parametrize(
    "value", ["", "sha256:", 64 * "0", "sha256:" + 63 * "0", "sha256:" + 64 * "A", "md5:" + 64 * "0"]
)
def test_what_is_no_checksum(value: str) -> None:
    with pytest.raises(InputError, match=r"bundle_checksum: .* is not a checksum"):
        operator_bundle.checksum(value, "bundle_checksum")


@pytest.mark.parametrize("value", ["http://example.org/bundle.yaml", "ftp://example.org/x", "file:///etc/passwd"])
def test_only_files_and_tls(value: str) -> None:
    with pytest.raises(InputError, match=r"bundle: .* is neither a path nor an https URL"):
        operator_bundle.location(value, "bundle")


@pytest.mark.parametrize("value", ["https://example.org/bundle.yaml", "/tmp/bundle.yaml", "files/bundle.yaml"])
def test_places(value: str) -> None:
    assert operator_bundle.location(value, "bundle") == value


def test_a_file_is_held_to_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "bundle.yaml"
    path.write_bytes(b"content")
    wanted = checksum_of(b"content")
    assert operator_bundle.verified(str(path), wanted) == b"content"
    path.write_bytes(b"other")
    with pytest.raises(InputError) as refused:
        operator_bundle.verified(str(path), wanted)
    assert refused.value.details == {"wanted": wanted, "found": checksum_of(b"other")}
    with pytest.raises(InputError, match=r"bundle: .*missing\.yaml cannot be read: No such file"):
        operator_bundle.verified(str(tmp_path / "missing.yaml"), wanted)


def test_what_is_too_large_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bundle.yaml"
    path.write_bytes(100 * b"x")
    monkeypatch.setattr(operator_bundle, "LARGEST", 99)
    with pytest.raises(InputError, match="more than 99 bytes"):
        operator_bundle.verified(str(path), checksum_of(b""))
