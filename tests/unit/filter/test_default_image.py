# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.default_image import default_image
from ansible_collections.scs.observability.plugins.module_utils._manifests import images


@pytest.mark.parametrize(
    ("program", "expected"),
    [("prometheus", images.PROMETHEUS), ("kube_state_metrics", images.KUBE_STATE_METRICS), ("thanos", images.THANOS)],
)
def test_it_is_the_one_of_the_collection(program: str, expected: str) -> None:
    assert default_image(program) == expected


def test_a_program_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"'promtheus' is none of the programs, which are alertmanager, .*prometheus"
    ):
        default_image("promtheus")
