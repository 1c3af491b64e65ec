# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: observer_files
short_description: Rules and scrape configs of an observer, ours and the operator's own
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Reads a directory of the operator beside the files of the role P(scs.observability.observer#role), and says what is
    deployed of both.
  - The directory may have the folders C(rules) (for the observer's own Prometheus), C(ruler_rules) (for Thanos rule),
    C(scrape_configs) (objects of kind ScrapeConfig, or just their C(spec)), C(dashboards) and
    C(alertmanager_templates). What is in the last two is looked at by P(scs.observability.grafana_problems#filter) and
    P(scs.observability.alertmanager_problems#filter).
  - Files and folders whose names begin with a dot are left alone.
options:
  _terms:
    description: The directory; nothing is read when it is empty.
    type: list
    elements: str
    required: true
  shipped:
    description: A directory of the same form, the role's own.
    type: str
    required: true
  rule_files:
    description: Further files of rules for Thanos rule, by name, as texts or as structures.
    type: dict
    default: {}
  alert_overrides:
    description:
      - What is to be different of the alerts in O(shipped), by name, or by C(NAME/SEVERITY) where rules of several
        severities have one name. Each is a dictionary of C(enabled), C(for), C(keep_firing_for), C(severity) and
        C(threshold).
    type: dict
    default: {}
  scrape_config_fields:
    description:
      - What the C(spec) of a ScrapeConfig may have, as M(scs.observability.prometheus_operator) tells. Anything else is
        a problem. Not looked at when it is empty.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: See what is wrong with the files in a directory
  ansible.builtin.debug:
    msg: "{{ lookup('scs.observability.observer_files', 'my-site/observer', shipped='roles/observer/files').problems }}"
"""

RETURN = r"""
_raw:
  description:
    - One dictionary. C(problems) is a list with a line for each problem. C(rules) and C(scrape_configs) are lists of
      objects for the Prometheus Operator, C(ruler_rules) are files of rules by name. C(own_rules) are the directory's
      files among C(rules), texts by C(observer_extra_directory/rules/NAME), whose expressions are not looked at here.
      C(dashboards) and C(alertmanager_templates) are the directory's files of those, texts by name. What is wrong is
      left out.
  type: list
  elements: dict
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._manifests import observer_files


class LookupModule(LookupBase):
    """The lookup of this file."""

    def run(
        self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return the one dictionary, see RETURN."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [
                files(
                    terms[0] if terms else "",
                    self.get_option("shipped"),
                    self.get_option("rule_files") or {},
                    self.get_option("alert_overrides") or {},
                    self.get_option("scrape_config_fields") or [],
                )
            ]
        except ObservabilityError as error:
            raise AnsibleError(str(error)) from error


def files(
    directory: str,
    shipped: str,
    rule_files: Mapping[str, Any],
    alert_overrides: Mapping[str, Any] | None = None,
    scrape_config_fields: Collection[str] = (),
) -> dict[str, Any]:
    """Return what the lookup returns."""
    ours, wrong = read(Path(shipped))
    own: dict[str, str] = {}
    if directory:
        own, more = read(Path(directory).expanduser())
        wrong += more
    result = observer_files.combine(ours, own, rule_files, alert_overrides, scrape_config_fields)
    return {**result, "problems": wrong + result["problems"]}


def read(directory: Path) -> tuple[dict[str, str], list[str]]:
    """Return the texts of all files by their paths in the directory, and what could not be read."""
    place = observer_files.DIRECTORY
    if not directory.is_dir():
        return {}, [f"{place}: {directory} is not a directory"]
    found, wrong = {}, []
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        if path.is_dir() or any(part.startswith(".") for part in inside.parts):
            continue
        try:
            found[inside.as_posix()] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            wrong.append(f"{place}/{inside.as_posix()}: cannot be read: {reason}")
    return found, wrong
