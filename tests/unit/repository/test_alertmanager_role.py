# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables change in what the role makes of Alertmanager."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_problems import PREFIX, problems
from tests import rendered

ALWAYS = {"ServiceAccount alertmanager", "Service alertmanager", "ServiceMonitor alertmanager", "Alertmanager observer"}


def of_the_role(**given: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Objects by kind and name, and the texts of the Secret."""
    (call,) = rendered.calls("alertmanager.yml", **given)
    objects = {f"{item['kind']} {item['metadata']['name']}": item for item in call.arguments["objects"]}
    return objects, call.arguments["secrets"]["alertmanager-configuration"]


def test_one_that_tells_nobody_is_there_without_any_variable() -> None:
    objects, files = of_the_role()
    assert set(objects) == ALWAYS
    spec = objects["Alertmanager observer"]["spec"]
    assert (spec["replicas"], spec["version"], "affinity" in spec) == (1, "0.28.1", False)
    assert spec["externalUrl"] == "http://alertmanager.scs-observability.svc:9093"
    assert spec["storage"]["volumeClaimTemplate"]["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert list(files) == ["alertmanager.yaml", "scs.tmpl"]
    assert yaml.safe_load(files["alertmanager.yaml"])["templates"] == ["/etc/alertmanager/config/scs.tmpl"]


def test_everything_that_can_be_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "alertmanager_templates"
    folder.mkdir()
    (folder / "ours.tmpl").write_text('{{ define "scs.subject" }}Ours{{ end }}')
    (folder / "notes.txt").write_text("not a template")
    objects, files = of_the_role(
        observer_alertmanager_replicas=2,
        observer_alertmanager_storage_size="",
        observer_alertmanager_image="registry.example.com/alertmanager@sha256:" + 64 * "0",
        observer_alertmanager_resources={"limits": {"memory": "1Gi"}},
        observer_alertmanager_smtp_smarthost="mail.example.com:587",
        observer_alertmanager_smtp_from="observer@example.com",
        observer_alertmanager_receivers=[{"name": "tickets", "type": "email", "to": "team@example.com"}],
        observer_alertmanager_dashboard_url="https://grafana.example.com/d/x?var-cluster={cluster}",
        observer_extra_directory=str(tmp_path),
        observer_web_enabled=True,
        observer_web_hostnames={"alertmanager": "alerts.example.com"},
    )
    assert set(objects) == {*ALWAYS, "PodDisruptionBudget alertmanager"}
    spec = objects["Alertmanager observer"]["spec"]
    # A version that the image does not tell is the operator's to know.
    assert ("version" in spec, "storage" in spec, spec["replicas"]) == (False, False, 2)
    assert spec["externalUrl"] == "https://alerts.example.com"
    assert spec["resources"] == {"limits": {"memory": "1Gi"}}
    selected = {"app.kubernetes.io/name": "alertmanager", "alertmanager": "observer"}
    (preferred,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"]["labelSelector"]["matchLabels"] == selected
    assert objects["PodDisruptionBudget alertmanager"]["spec"]["selector"]["matchLabels"] == selected
    assert objects["Service alertmanager"]["spec"]["selector"] == selected
    assert list(files) == ["alertmanager.yaml", "scs.tmpl", "links.tmpl", "ours.tmpl"]
    assert files["ours.tmpl"] == '{{ define "scs.subject" }}Ours{{ end }}'
    assert yaml.safe_load(files["alertmanager.yaml"])["global"]["smtp_smarthost"] == "mail.example.com:587"


def test_an_affinity_of_the_operators_own_is_left_alone() -> None:
    objects, _files = of_the_role(observer_alertmanager_replicas=2, observer_affinity={"nodeAffinity": {}})
    assert "affinity" not in objects["Alertmanager observer"]["spec"]


def test_the_examples_of_the_page_are_without_problems() -> None:
    page = (rendered.CHECKOUT / "docs" / "notifications.md").read_text()
    data: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL):
        # What the vault has is not ours to know.
        text = re.sub(r"\{\{ \w+ \}\}", "https://example.com", block)
        data |= {name.removeprefix(PREFIX): value for name, value in yaml.safe_load(text).items()}
    data["receivers"] += [{"name": name, "type": "email", "to": "a@example.com"} for name in ("acme", "registry-team")]
    assert problems(data) == []
