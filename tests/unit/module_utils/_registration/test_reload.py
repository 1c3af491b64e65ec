# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import NotReadyError
from ansible_collections.scs.observability.plugins.module_utils._kubernetes import kubelet
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._manifests import agent
from ansible_collections.scs.observability.plugins.module_utils._registration.onboarding import register
from ansible_collections.scs.observability.plugins.module_utils._registration.reload import Reader

POD = ObjectKey("v1", "Pod", "scs-observability", f"{agent.NAME}-0")

LOADED = 'level=INFO msg="Completed loading of configuration file"'
REFUSED = 'level=ERROR msg="Error reloading config" err="open tls.crt: no such file or directory"'
OTHER = "level=INFO msg=other"


class Log:
    """An agent's log, of which each look shows more; the time of a look is its number."""

    def __init__(self, *looks: list[str]) -> None:
        self.looks = looks
        self.number = 0
        self.touched: list[int] = []

    def logs(self, pod: str, namespace: str, container: str = "", tail_lines: int = 20, previous: bool = False) -> str:
        lines = self.looks[min(self.number, len(self.looks) - 1)]
        self.number += 1
        return "\n".join(lines[-tail_lines:])

    def reader(self, timeout: float = 5) -> Reader:
        return Reader(
            self,
            "pod",
            "agents",
            lambda: self.touched.append(self.number),
            timeout,
            clock=lambda: float(self.number),
            sleep=lambda _seconds: None,
        )


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([["1"], ["1", LOADED]], id="at once"),
        pytest.param([["1", LOADED, "2"], ["1", LOADED, "2"], ["1", LOADED, "2", OTHER, LOADED]], id="a moment later"),
        pytest.param([["1"], ["1", REFUSED, REFUSED], ["1", REFUSED, REFUSED, LOADED]], id="at the third attempt"),
        pytest.param([["1"], ["8", LOADED, "9"]], id="after much else"),
        pytest.param([["1"], ["1"], []], id="another pod comes"),
        pytest.param([[], []], id="without a log, what comes after has to tell"),
    ],
)
def test_it_is_told_by_the_log_that_a_configuration_is_loaded(looks: list[list[str]]) -> None:
    reader = Log(*looks).reader()
    reader.start()
    reader.wait()


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        pytest.param([["1"], ["1", REFUSED, OTHER]], "after 5 s: .*no such file or directory", id="refused"),
        pytest.param([["1"], ["1", *[REFUSED] * 20]], "after 1 s: .*no such file", id="again and again"),
        pytest.param([[LOADED, "1"], [LOADED, "1"]], "after 5 s", id="an earlier one does not count"),
    ],
)
def test_a_configuration_that_is_not_loaded_is_an_error(looks: list[list[str]], said: str) -> None:
    reader = Log(*looks).reader()
    reader.start()
    with pytest.raises(NotReadyError, match=said) as raised:
        reader.wait()
    assert "agents/pod" in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "refreshed"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"scrape_interval": "15s"}, True, id="its configuration"),
        pytest.param({"remote_write_url": "https://other:30443/api/v1/receive"}, True, id="where it writes"),
        pytest.param({"images": {"node_exporter": "mirror/node-exporter:v2.0.0"}}, False, id="another part"),
        # A new pod reads everything at its start.
        pytest.param({"images": {"agent": "mirror/prometheus:v3.17.0"}, "scrape_interval": "15s"}, False, id="its pod"),
    ],
)
def test_the_kubelet_is_told_when_the_pod_that_runs_has_something_to_read(
    lab: Any, changes: dict[str, Any], refreshed: bool
) -> None:
    register(lab.params(), False)
    lab.forget()
    assert register(lab.params(**changes), True)["changed"] is bool(changes)
    assert ("apply", "Pod", POD.name) not in lab.kaas.written
    register(lab.params(**changes), False)
    assert (("apply", "Pod", POD.name) in lab.kaas.written) is refreshed
    assert (kubelet.ANNOTATION in (lab.kaas.objects[POD]["metadata"].get("annotations") or {})) is refreshed
    lab.forget()
    assert register(lab.params(**changes), False)["changed"] is False
    assert lab.kaas.written == []


def test_a_certificate_alone_is_brought_to_the_pod_as_well(lab: Any) -> None:
    register(lab.params(), False)
    del lab.kaas.objects[ObjectKey("v1", "Secret", "scs-observability", agent.IDENTITY_SECRET)]
    lab.forget()
    register(lab.params(), False)
    assert ("apply", "Pod", POD.name) in lab.kaas.written


def test_the_kubelet_is_told_again_when_it_does_not_come() -> None:
    log = Log(["1"])
    reader = log.reader(timeout=14)
    reader.start()
    with pytest.raises(NotReadyError):
        reader.wait()
    assert len(log.touched) == 2
