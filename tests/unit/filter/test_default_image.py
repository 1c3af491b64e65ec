# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.default_image import default_image
from ansible_collections.scs.observability.plugins.module_utils._manifests import images


@pytest.mark.parametrize(
    ("given", "program", "expected"),
    [
        ("", "prometheus", images.PROMETHEUS),
        (None, "kube_state_metrics", images.KUBE_STATE_METRICS),
        ("registry.example.org/thanos:1", "thanos", "registry.example.org/thanos:1"),
    ],
)
def test_what_is_given_comes_before_the_default(given: str | None, program: str, expected: str) -> None:
    assert default_image(given, program) == expected


def test_a_program_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(AnsibleFilterError, match=r"'promtheus' is none of alertmanager, .*prometheus"):
        default_image("", "promtheus")
