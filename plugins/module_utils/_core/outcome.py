# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that ends a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import unset_empty
from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Operation = Callable[[dict[str, Any], bool], dict[str, Any]]


def run(module: AnsibleModule, operation: Operation) -> None:
    """Call ``operation(parameters, check_mode)`` and exit with the result that it returns, or fail with its error.

    The texts in the result's ``warnings`` are shown as such.
    """
    end = module.exit_json
    try:
        result = operation(unset_empty(module.params, module.argument_spec), module.check_mode)
    except ObservabilityError as error:
        end, result = module.fail_json, error.result()
    for text in result.pop("warnings", ()):
        module.warn(text)
    end(**result)
