# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_configuration import files
from ansible_collections.scs.observability.plugins.module_utils._manifests.alertmanager_problems import problems
from ansible_collections.scs.observability.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: alertmanager_configuration
short_description: Alertmanager's configuration from the data about notifications
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes the files that Alertmanager reads, its configuration and the templates of notifications, as the Secret has
    them that the Prometheus Operator hands over to it.
  - They hold passwords, tokens and URLs that are as good as passwords. Give them to something that does not log them.
  - Fails with everything that is wrong with the data, see P(scs.observability.alertmanager_problems#filter).
positional: _input
options:
  _input:
    description:
      - The variables C(observer_alertmanager_*) of the role P(scs.observability.observer#role) that are about
        notifications, without that prefix. Those that are missing have their default.
      - C(templates) and C(extra_templates) are the texts of files of templates by the names of the files.
    type: dict
    required: true
  directory:
    description: Folder in which Alertmanager finds the files.
    type: str
    default: /etc/alertmanager/config
seealso:
  - plugin: scs.observability.alertmanager_problems
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Have a configuration in the observer
  scs.observability.apply_set:
    name: our-alertmanager
    secrets:
      our-alertmanager: >-
        {{ {'receivers': [{'name': 'oncall', 'type': 'webhook', 'url': vault_oncall_url}]}
           | scs.observability.alertmanager_configuration }}
"""

RETURN = r"""
_value:
  description: Texts by the names of the files, C(alertmanager.yaml) and those of templates.
  type: dict
"""


def alertmanager_configuration(data: Mapping[str, Any], directory: str = "/etc/alertmanager/config") -> dict[str, str]:
    """Return the files that Alertmanager reads. Raises AnsibleFilterError with everything that is wrong."""
    given = plain("alertmanager_configuration", data)
    wrong = problems(given)
    if wrong:
        raise AnsibleFilterError("\n".join(wrong))
    try:
        return files(given, str(directory))
    except ObservabilityError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        return {"alertmanager_configuration": alertmanager_configuration}
